package wire

import (
	"bytes"
	"errors"
	"net/netip"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"github.com/google/gopacket"
	"github.com/google/gopacket/layers"
)

var (
	laptopAddr = netip.MustParseAddr("192.168.1.11")
	serverAddr = netip.MustParseAddr("198.51.100.10")
	compareIP  = cmpopts.EquateComparable(netip.Addr{})
)

func TestChecksum(t *testing.T) {
	for _, row := range []struct {
		b    []byte
		want uint16
	}{
		{nil, 0xFFFF},
		{[]byte{0x00, 0x01, 0xF2, 0x03, 0xF4, 0xF5, 0xF6, 0xF7}, 0x220D}, // RFC 1071, section 3: the sum is DDF2
		{[]byte{0x00, 0x01, 0xF2}, 0x0DFE},
		{bytes.Repeat([]byte{0xFF}, 65535), 0x00FF},
	} {
		if got := Checksum(row.b); got != row.want {
			t.Errorf("of %d octets: got %#04x, want %#04x", len(row.b), got, row.want)
		}
	}
}

var ipv4Rows = []struct {
	name    string
	b       []byte
	h       IPv4
	payload []byte
}{
	{
		name: "gre", // the header of a captured packet
		b: octetsOf(
			[]byte{0x45},             // Version, IHL
			[]byte{0x00},             // Type of Service
			[]byte{0x00, 0x16},       // Total Length
			[]byte{0x74, 0xC4},       // Identification
			[]byte{0x40, 0x00},       // Flags, Fragment Offset
			[]byte{0x40},             // Time to Live
			[]byte{0x2F},             // Protocol
			[]byte{0xDA, 0x03},       // Header Checksum
			[]byte{192, 168, 1, 11},  // Source Address
			[]byte{198, 51, 100, 10}, // Destination Address
			[]byte{0x20, 0x81},       // payload
		),
		h: IPv4{
			TotalLength: 22, ID: 0x74C4, DF: true, TTL: 64, Protocol: IPProtoGRE, Src: laptopAddr, Dst: serverAddr,
		},
		payload: []byte{0x20, 0x81},
	},
	{
		name: "fragment_with_options",
		b: octetsOf(
			[]byte{0x46},                   // Version, IHL
			[]byte{0xB8},                   // Type of Service
			[]byte{0x00, 0x18},             // Total Length
			[]byte{0x00, 0x01},             // Identification
			[]byte{0x20, 0xB9},             // Flags, Fragment Offset
			[]byte{0x01},                   // Time to Live
			[]byte{0x11},                   // Protocol
			[]byte{0x17, 0x6E},             // Header Checksum
			[]byte{192, 168, 1, 11},        // Source Address
			[]byte{198, 51, 100, 10},       // Destination Address
			[]byte{0x94, 0x04, 0x00, 0x00}, // Options: Router Alert
		),
		h: IPv4{
			TOS: 0xB8, TotalLength: 24, ID: 1, MF: true, FragOffset: 185, TTL: 1, Protocol: IPProtoUDP,
			Src: laptopAddr, Dst: serverAddr, Options: []byte{0x94, 4, 0, 0},
		},
	},
}

func TestIPv4(t *testing.T) {
	for _, row := range ipv4Rows {
		t.Run(row.name, func(t *testing.T) {
			if diff := cmp.Diff(row.b, append(row.h.Append(nil), row.payload...)); diff != "" {
				t.Errorf("Append differs (-want +got):\n%s", diff)
			}
			h := row.h
			h.TotalLength = 0
			if diff := cmp.Diff(append([]byte("odd"), row.b...), h.AppendPacket([]byte("odd"), row.payload)); diff != "" {
				t.Errorf("AppendPacket differs (-want +got):\n%s", diff)
			}
			for _, padding := range []string{"", "padding"} {
				h, payload, err := ParseIPv4(append(bytes.Clone(row.b), padding...))
				if diff := cmp.Diff(row.h, h, compareIP); err != nil || diff != "" {
					t.Errorf("ParseIPv4: %v, differs (-want +got):\n%s", err, diff)
				}
				if diff := cmp.Diff(row.payload, payload); diff != "" {
					t.Errorf("payload differs (-want +got):\n%s", diff)
				}
			}
			for i := range row.b {
				if _, _, err := ParseIPv4(row.b[:i]); !errors.Is(err, ErrShort) {
					t.Errorf("of %d octets: got %v, want %v", i, err, ErrShort)
				}
			}
		})
	}
}

func TestParseIPv4Refuses(t *testing.T) {
	edit := func(at int, with ...byte) []byte {
		b := bytes.Clone(ipv4Rows[0].b)
		copy(b[at:], with)
		b[10], b[11] = 0, 0
		sum := Checksum(b[:20])
		b[10], b[11] = byte(sum>>8), byte(sum)
		return b
	}
	damaged := bytes.Clone(ipv4Rows[0].b)
	damaged[8]-- // a TTL that went down without its checksum
	for name, b := range map[string][]byte{
		"version_6":       {0x60},
		"header_16":       edit(0, 0x44),
		"length_19":       edit(2, 0, 19),
		"length_0":        edit(2, 0, 0),
		"reserved_flag":   edit(6, 0xC0),
		"header_checksum": damaged,
	} {
		t.Run(name, func(t *testing.T) {
			if h, _, err := ParseIPv4(b); !errors.Is(err, ErrFormat) {
				t.Errorf("got %+v, %v, want %v", h, err, ErrFormat)
			}
		})
	}
	if h, n, err := ParseIPv4Header(damaged[:20]); err != nil || n != 20 || h.TTL != 63 || h.TotalLength != 22 {
		t.Errorf("quoted by ICMP: got %+v, %d, %v", h, n, err)
	}
}

func TestIPv4AppendCuts(t *testing.T) {
	h := IPv4{FragOffset: 0xFFFF, Options: bytes.Repeat([]byte{1}, 50), Src: netip.MustParseAddr("::ffff:192.0.2.1"), Dst: netip.IPv6Loopback()}
	b := h.AppendPacket(nil, make([]byte, 70000))
	got, payload, err := ParseIPv4(b)
	want := IPv4{
		TotalLength: 65535, FragOffset: 0x1FFF, Options: bytes.Repeat([]byte{1}, 40),
		Src: netip.MustParseAddr("192.0.2.1"), Dst: netip.IPv4Unspecified(),
	}
	if diff := cmp.Diff(want, got, compareIP); err != nil || diff != "" || len(payload) != 65535-60 {
		t.Errorf("%d octets of payload, %v, differs (-want +got):\n%s", len(payload), err, diff)
	}
	padded := IPv4{Options: []byte{1}}.AppendPacket(nil, nil)
	if got, _, err := ParseIPv4(padded); err != nil || !bytes.Equal(got.Options, []byte{1, 0, 0, 0}) {
		t.Errorf("one octet of options: got % x, %v", got.Options, err)
	}
}

func TestUDP(t *testing.T) {
	src, dst := netip.AddrPortFrom(laptopAddr, 0x1234), netip.AddrPortFrom(serverAddr, 53)
	b := octetsOf(
		[]byte{0x12, 0x34}, // Source Port
		[]byte{0x00, 0x35}, // Destination Port
		[]byte{0x00, 0x0B}, // Length
		[]byte{0x3D, 0x1B}, // Checksum
		[]byte("abc"),      // payload
	)
	want := UDP{SrcPort: 0x1234, DstPort: 53, Length: 11, Checksum: 0x3D1B}
	if diff := cmp.Diff(b, AppendUDP(nil, src, dst, []byte("abc"))); diff != "" {
		t.Errorf("AppendUDP differs (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff(b, append(want.Append(nil), "abc"...)); diff != "" {
		t.Errorf("Append differs (-want +got):\n%s", diff)
	}
	got, payload, err := ParseUDP(append(bytes.Clone(b), "padding"...))
	if diff := cmp.Diff(want, got); err != nil || diff != "" || string(payload) != "abc" {
		t.Errorf("ParseUDP: payload %q, %v, differs (-want +got):\n%s", payload, err, diff)
	}
	for i := range b {
		if _, _, err := ParseUDP(b[:i]); !errors.Is(err, ErrShort) {
			t.Errorf("of %d octets: got %v, want %v", i, err, ErrShort)
		}
	}
	if u, _, err := ParseUDP([]byte{0, 1, 0, 2, 0, 7, 0, 0}); !errors.Is(err, ErrFormat) {
		t.Errorf("length 7: got %+v, %v, want %v", u, err, ErrFormat)
	}
	if got := UDPChecksum(laptopAddr, serverAddr, b); got != want.Checksum {
		t.Errorf("UDPChecksum: got %#04x, want %#04x", got, want.Checksum)
	}
	if got := UDPChecksum(laptopAddr, serverAddr, b[:7]); got != 0 {
		t.Errorf("UDPChecksum of 7 octets: got %#04x, want 0", got)
	}
}

// A checksum that comes out as 0 is sent as FFFF.
func TestUDPChecksumIsNeverZero(t *testing.T) {
	zero := netip.AddrPort{}
	for high := range 256 {
		for low := range 256 {
			b := AppendUDP(nil, zero, zero, []byte{byte(high), byte(low)})
			if be16(b[6:]) == 0 {
				t.Fatalf("payload %02x%02x has checksum 0", high, low)
			}
		}
	}
}

// gopacket reads our packets as we meant them, and writes the same octets.
func TestIPv4AgainstGopacket(t *testing.T) {
	src, dst := netip.AddrPortFrom(laptopAddr, 50000), netip.AddrPortFrom(serverAddr, 4754)
	header := IPv4{TOS: 0xB8, ID: 7, DF: true, TTL: 61, Protocol: IPProtoUDP, Src: laptopAddr, Dst: serverAddr}
	ours := header.AppendPacket(nil, AppendUDP(nil, src, dst, []byte("odd")))

	if got := header.DSCP(); got != 46 {
		t.Errorf("got DSCP %d, want 46", got)
	}
	var ip layers.IPv4
	if err := ip.DecodeFromBytes(ours, gopacket.NilDecodeFeedback); err != nil {
		t.Fatal(err)
	}
	if ip.TOS != 0xB8 || ip.Id != 7 || ip.Flags != layers.IPv4DontFragment || ip.TTL != 61 || ip.Protocol != layers.IPProtocolUDP ||
		!ip.SrcIP.Equal(laptopAddr.AsSlice()) || !ip.DstIP.Equal(serverAddr.AsSlice()) || int(ip.Length) != len(ours) {
		t.Errorf("gopacket reads %+v, want %+v", ip, header)
	}
	udp := layers.UDP{SrcPort: 50000, DstPort: 4754}
	if err := udp.SetNetworkLayerForChecksum(&ip); err != nil {
		t.Fatal(err)
	}
	buf := gopacket.NewSerializeBuffer()
	opts := gopacket.SerializeOptions{FixLengths: true, ComputeChecksums: true}
	if err := gopacket.SerializeLayers(buf, opts, &ip, &udp, gopacket.Payload("odd")); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(buf.Bytes(), ours); diff != "" {
		t.Errorf("gopacket writes other octets (-gopacket +ours):\n%s", diff)
	}
}
