package wire

import (
	"bytes"
	"encoding/hex"
	"errors"
	"net/netip"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/gopacket"
	"github.com/google/gopacket/layers"
)

// ahRows have the payload "an IP packet"; all but the payload is needed.
var ahRows = []struct {
	name string
	b    []byte
	a    AH
}{
	{
		name: "ipv4",
		b: octetsOf(
			[]byte{0x04},                   // Next Header
			[]byte{0x05},                   // Payload Len: 7 words less 2
			[]byte{0x00, 0x00},             // RESERVED
			[]byte{0xC0, 0xFF, 0xEE, 0x01}, // SPI
			[]byte{0x00, 0x00, 0x00, 0x01}, // Sequence Number
			[]byte("integrity value "),     // ICV
		),
		a: AH{NextHeader: 4, SPI: 0xC0FFEE01, SequenceNumber: 1, ICV: []byte("integrity value ")},
	},
	{
		name: "ipv6",
		b: octetsOf(
			[]byte{0x29},                   // Next Header
			[]byte{0x06},                   // Payload Len: 8 words less 2
			[]byte{0x00, 0x00},             // RESERVED
			[]byte{0x00, 0x00, 0x01, 0x00}, // SPI
			[]byte{0xFF, 0xFF, 0xFF, 0xFF}, // Sequence Number
			[]byte("integrity value "),     // ICV
			[]byte{0, 0, 0, 0},             // its padding
		),
		a: AH{NextHeader: 41, SPI: MinSPI, SequenceNumber: 0xFFFFFFFF, ICV: []byte("integrity value \x00\x00\x00\x00")},
	},
}

func TestAH(t *testing.T) {
	payload := []byte("an IP packet")
	for _, row := range ahRows {
		t.Run(row.name, func(t *testing.T) {
			if diff := cmp.Diff(append([]byte("odd"), row.b...), row.a.Append([]byte("odd"))); diff != "" {
				t.Errorf("Append differs (-want +got):\n%s", diff)
			}
			for _, payload := range [][]byte{nil, payload} {
				a, rest, err := ParseAH(append(bytes.Clone(row.b), payload...))
				same(t, row.a, a, err)
				same(t, payload, rest, nil)
			}
			for i := range row.b {
				if _, _, err := ParseAH(row.b[:i]); !errors.Is(err, ErrShort) {
					t.Errorf("of %d octets: got %v, want %v", i, err, ErrShort)
				}
			}
		})
	}
}

func TestParseAHRefuses(t *testing.T) {
	for name, edit := range map[string]func(b []byte){
		"no_icv":         func(b []byte) { b[1] = 1 },
		"icv_of_96_bits": func(b []byte) { b[1] = 4 },
		"long_icv":       func(b []byte) { b[1] = 7 },
		"reserved":       func(b []byte) { b[3] = 1 },
		"spi":            func(b []byte) { copy(b[4:], []byte{0, 0, 0, 255}) },
	} {
		t.Run(name, func(t *testing.T) {
			b := append(bytes.Clone(ahRows[0].b), make([]byte, 40)...)
			edit(b)
			if a, _, err := ParseAH(b); !errors.Is(err, ErrFormat) {
				t.Errorf("got %+v, %v, want %v", a, err, ErrFormat)
			}
		})
	}
}

// Append writes a header that ParseAH takes, whatever the ICV.
func TestAHLengths(t *testing.T) {
	for n, want := range map[int]int{0: AHSize, 12: AHSize, 16: AHSize, 17: AHSizeIPv6, 20: AHSizeIPv6, 64: AHSizeIPv6} {
		b := AH{SPI: MinSPI, ICV: make([]byte, n)}.Append(nil)
		if _, _, err := ParseAH(b); err != nil || len(b) != want {
			t.Errorf("%d octets of ICV: got %d octets, %v, want %d", n, len(b), err, want)
		}
	}
}

var (
	ahKey = []byte("\x00\x01\x02\x03\x04\x05\x06\x07\x08\x09\x0a\x0b\x0c\x0d\x0e\x0f" +
		"\x10\x11\x12\x13\x14\x15\x16\x17\x18\x19\x1a\x1b\x1c\x1d\x1e\x1f")
	ahPayload = []byte("an IP packet")
	ahIPv4    = IPv4{
		TOS: 0x88, TotalLength: 60, ID: 0x1234, DF: true, TTL: 64, Protocol: IPProtoAH,
		Src: netip.MustParseAddr("192.168.1.11"), Dst: netip.MustParseAddr("198.51.100.10"),
	}
)

// The ICVs of this test were computed by another program over these octets:
//
//	4500 003c 1234 0000 0033 0000 c0a8010b c633640a    IPv4
//	04 05 0000 c0ffee01 00000001, 16 zeros             AH
//	"an IP packet"
//
//	60000000 002c 33 00, 2001:db8::1, 2001:db8::2      IPv6
//	29 06 0000 c0ffee01 00000001, 20 zeros             AH
//	"an IP packet"
func TestAHICV(t *testing.T) {
	a := AH{NextHeader: 4, SPI: 0xC0FFEE01, SequenceNumber: 1}
	if got := hex.EncodeToString(AHICV(ahKey, ahIPv4, a, ahPayload)); got != "e7d22f39a52259677c0d724269dc701c" {
		t.Errorf("IPv4: got %s", got)
	}
	a.NextHeader = 41
	src, dst := netip.MustParseAddr("2001:db8::1"), netip.MustParseAddr("2001:db8::2")
	if got := hex.EncodeToString(AHICV6(ahKey, src, dst, a, ahPayload)); got != "27343c3ab80c69d0dc333770daca2a9c00000000" {
		t.Errorf("IPv6: got %s", got)
	}
}

// What a router may change leaves the ICV as it is, and what a NAT changes does not.
func TestAHICVCovers(t *testing.T) {
	signed := AH{NextHeader: 4, SPI: 0xC0FFEE01, SequenceNumber: 1}
	signed.ICV = AHICV(ahKey, ahIPv4, signed, ahPayload)
	for _, row := range []struct {
		name  string
		edit  func(h *IPv4, a *AH, payload []byte)
		valid bool
	}{
		{"nothing", func(*IPv4, *AH, []byte) {}, true},
		{"ttl", func(h *IPv4, _ *AH, _ []byte) { h.TTL-- }, true},
		{"tos", func(h *IPv4, _ *AH, _ []byte) { h.TOS = 0 }, true},
		{"df", func(h *IPv4, _ *AH, _ []byte) { h.DF = false }, true},
		{"fragment", func(h *IPv4, _ *AH, _ []byte) { h.MF, h.FragOffset = true, 185 }, true},
		{"length_computed", func(h *IPv4, _ *AH, _ []byte) { h.TotalLength = 0 }, true},
		{"protocol_implied", func(h *IPv4, _ *AH, _ []byte) { h.Protocol = 0 }, true},
		{"source", func(h *IPv4, _ *AH, _ []byte) { h.Src = netip.MustParseAddr("203.0.113.2") }, false},
		{"destination", func(h *IPv4, _ *AH, _ []byte) { h.Dst = netip.MustParseAddr("198.51.100.11") }, false},
		{"id", func(h *IPv4, _ *AH, _ []byte) { h.ID++ }, false},
		{"length", func(h *IPv4, _ *AH, _ []byte) { h.TotalLength++ }, false},
		{"options", func(h *IPv4, _ *AH, _ []byte) { h.Options = []byte{1, 1, 1, 1} }, false},
		{"next_header", func(_ *IPv4, a *AH, _ []byte) { a.NextHeader = 17 }, false},
		{"spi", func(_ *IPv4, a *AH, _ []byte) { a.SPI++ }, false},
		{"sequence", func(_ *IPv4, a *AH, _ []byte) { a.SequenceNumber++ }, false},
		{"payload", func(_ *IPv4, _ *AH, p []byte) { p[0] ^= 1 }, false},
	} {
		t.Run(row.name, func(t *testing.T) {
			// As it travels: the header's checksum changes with every edit.
			h, a, payload := ahIPv4, signed, bytes.Clone(ahPayload)
			row.edit(&h, &a, payload)
			packet := append(h.Append(nil), append(a.Append(nil), payload...)...)
			h, n, err := ParseIPv4Header(packet)
			if err != nil && h.TotalLength != 0 {
				t.Fatal(err)
			}
			if err != nil { // a Total Length of 0 does not travel
				h, n = ahIPv4, 20
				h.TotalLength = 0
			}
			a, payload, err = ParseAH(packet[n:])
			if err != nil {
				t.Fatal(err)
			}
			if valid := bytes.Equal(AHICV(ahKey, h, a, payload), a.ICV); valid != row.valid {
				t.Errorf("got %v, want %v", valid, row.valid)
			}
		})
	}
	if bytes.Equal(AHICV(make([]byte, 32), ahIPv4, signed, ahPayload), signed.ICV) {
		t.Error("another key has the same ICV")
	}
}

func TestAHICV6Covers(t *testing.T) {
	src, dst := netip.MustParseAddr("2001:db8::1"), netip.MustParseAddr("2001:db8::2")
	signed := AH{NextHeader: 41, SPI: 0xC0FFEE01, SequenceNumber: 1}
	signed.ICV = AHICV6(ahKey, src, dst, signed, ahPayload)
	for name, got := range map[string][]byte{
		"source":      AHICV6(ahKey, dst, dst, signed, ahPayload),
		"destination": AHICV6(ahKey, src, src, signed, ahPayload),
		"length":      AHICV6(ahKey, src, dst, signed, append(bytes.Clone(ahPayload), 0)),
		"payload":     AHICV6(ahKey, src, dst, signed, []byte("an IP racket")),
	} {
		if bytes.Equal(got, signed.ICV) {
			t.Errorf("%s changed: the ICV is the same", name)
		}
	}
	if again := AHICV6(ahKey, src, dst, signed, ahPayload); !bytes.Equal(again, signed.ICV) || len(again) != 20 {
		t.Errorf("got %x, want %x", again, signed.ICV)
	}
}

// gopacket reads what we write as we meant it.
func TestAHAgainstGopacket(t *testing.T) {
	for _, row := range ahRows {
		a, err := gopacketAH(row.a.Append(nil))
		same(t, row.a, a, err)
	}
}

func gopacketAH(b []byte) (AH, error) {
	p := gopacket.NewPacket(b, layers.LayerTypeIPSecAH, gopacket.Default) // catches its decoders' panics
	a, ok := p.Layer(layers.LayerTypeIPSecAH).(*layers.IPSecAH)
	if !ok {
		return AH{}, p.ErrorLayer().Error()
	}
	return AH{NextHeader: uint8(a.NextHeader), SPI: a.SPI, SequenceNumber: a.Seq, ICV: a.AuthenticationData}, nil
}

func FuzzParseAH(f *testing.F) {
	for _, row := range ahRows {
		f.Add(row.b)
		f.Add(append(bytes.Clone(row.b), ahPayload...))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		a, payload, err := ParseAH(b)
		if refused(t, err) {
			return
		}
		same(t, b, append(a.Append(nil), payload...), nil) // nothing is tolerated, so nothing is lost
		second, err := gopacketAH(b[:len(b)-len(payload)])
		same(t, a, second, err)
		AHICV(ahKey, ahIPv4, a, payload)
		AHICV6(ahKey, ahIPv4.Src, netip.Addr{}, a, payload)
	})
}
