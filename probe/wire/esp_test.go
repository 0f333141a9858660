package wire

import (
	"bytes"
	"errors"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/gopacket"
	"github.com/google/gopacket/layers"
)

var espRows = []struct {
	name string
	b    []byte
	e    ESP
}{
	{
		name: "cbc",
		b: octetsOf(
			[]byte{0x7C, 0xFD, 0xAB, 0xFD}, // SPI
			[]byte{0x00, 0x00, 0x00, 0x01}, // Sequence Number
			bytes.Repeat([]byte{0x1F}, 16), // IV
			bytes.Repeat([]byte{0xC0}, 32), // ciphertext with the trailer
			[]byte("integrity value "),     // ICV
		),
		e: ESP{
			SPI: 0x7CFDABFD, SequenceNumber: 1, ICV: []byte("integrity value "),
			Payload: append(bytes.Repeat([]byte{0x1F}, 16), bytes.Repeat([]byte{0xC0}, 32)...),
		},
	},
	{
		name: "smallest",
		b: octetsOf(
			[]byte{0x00, 0x00, 0x01, 0x00}, // SPI
			[]byte{0xFF, 0xFF, 0xFF, 0xFF}, // Sequence Number
			[]byte{0x01, 0x02, 0x02, 0x3B}, // trailer
			make([]byte, 16),               // ICV
		),
		e: ESP{SPI: MinSPI, SequenceNumber: 0xFFFFFFFF, Payload: []byte{1, 2, 2, 59}, ICV: make([]byte, 16)},
	},
}

func TestESP(t *testing.T) {
	for _, row := range espRows {
		t.Run(row.name, func(t *testing.T) {
			if diff := cmp.Diff(append([]byte("odd"), row.b...), row.e.Append([]byte("odd"))); diff != "" {
				t.Errorf("Append differs (-want +got):\n%s", diff)
			}
			e, err := ParseESP(row.b)
			same(t, row.e, e, err)
			for i := range row.b {
				_, err := ParseESP(row.b[:i])
				if short := i < 28; short && !errors.Is(err, ErrShort) || !short && i%4 != 0 && !errors.Is(err, ErrFormat) {
					t.Errorf("of %d octets: got %v", i, err)
				}
			}
		})
	}
}

func TestParseESPRefuses(t *testing.T) {
	for name, spi := range map[string][]byte{
		"non_esp_marker": {0, 0, 0, 0}, "local": {0, 0, 0, 1}, "reserved": {0, 0, 0, 255},
	} {
		t.Run(name, func(t *testing.T) {
			if e, err := ParseESP(append(spi, make([]byte, 60)...)); !errors.Is(err, ErrFormat) {
				t.Errorf("got %+v, %v, want %v", e, err, ErrFormat)
			}
			if _, err := ParseESP(spi); !errors.Is(err, ErrFormat) {
				t.Errorf("of 4 octets: got %v, want %v", err, ErrFormat)
			}
		})
	}
}

// Append writes a packet that ParseESP takes, whatever the lengths.
func TestESPLengths(t *testing.T) {
	for payload := 1; payload < 40; payload++ {
		for _, icv := range []int{0, 12, 16, 20} {
			b := ESP{SPI: MinSPI, Payload: make([]byte, payload), ICV: make([]byte, icv)}.Append(nil)
			if e, err := ParseESP(b); err != nil || len(e.Payload) != (payload+3)/4*4 || len(e.ICV) != 16 {
				t.Errorf("%d octets of payload, %d of ICV: got %+v, %v", payload, icv, e, err)
			}
		}
	}
}

func TestESPToken(t *testing.T) {
	token := Token([]byte("a token of 20 octets"))
	for _, size := range []int{0, 4, 7, 48, 112} {
		payload := bytes.Repeat([]byte{0xC0}, size)
		b := ESP{SPI: 0xC0FFEE00, SequenceNumber: 1, Payload: payload}.WithToken(token).Append(nil)
		if !bytes.HasSuffix(b, token[:]) || len(b) != 8+max(size&^3, 4)+16 {
			t.Errorf("%d octets of payload: got %x", size, b)
		}
		e, err := ParseESP(b)
		if err != nil {
			t.Fatal(err)
		}
		got, err := e.Token()
		same(t, token, got, err)
		if bytes.ContainsAny(payload, "token") {
			t.Error("WithToken wrote into the payload that it was given")
		}
	}
	if _, err := (ESP{}).Token(); !errors.Is(err, ErrFormat) {
		t.Errorf("got %v, want %v", err, ErrFormat)
	}
}

func TestESPSize(t *testing.T) {
	for inner, want := range map[int]int{
		84: 136, // ping's packet in tunnel mode, as captured
		20: 72, 14: 56, 15: 72, 1400: 1448, 0: 56,
	} {
		if got := ESPSize(inner); got != want {
			t.Errorf("%d octets: got %d, want %d", inner, got, want)
		}
	}
}

// gopacket reads what we write as we meant it. A packet of less than 8 octets makes its decoder panic, which NewPacket catches.
func TestESPAgainstGopacket(t *testing.T) {
	for _, row := range espRows {
		p := gopacket.NewPacket(row.e.Append(nil), layers.LayerTypeIPSecESP, gopacket.Default)
		got, ok := p.Layer(layers.LayerTypeIPSecESP).(*layers.IPSecESP)
		if !ok {
			t.Errorf("%s: %v", row.name, p.ErrorLayer())
			continue
		}
		rest := append(bytes.Clone(row.e.Payload), row.e.ICV...)
		if got.SPI != row.e.SPI || got.Seq != row.e.SequenceNumber || !bytes.Equal(got.Encrypted, rest) {
			t.Errorf("%s: gopacket reads %+v", row.name, got)
		}
	}
}

func TestESPAllocatesNothing(t *testing.T) {
	e, buf := espRows[0].e, make([]byte, 0, 128)
	if n := testing.AllocsPerRun(100, func() {
		buf = e.Append(buf[:0])
		if _, err := ParseESP(buf); err != nil {
			t.Fatal(err)
		}
	}); n != 0 {
		t.Errorf("got %v allocations, want 0", n)
	}
}

func FuzzParseESP(f *testing.F) {
	for _, row := range espRows {
		f.Add(row.b)
	}
	addCapturedNATT(f)
	f.Fuzz(func(t *testing.T, b []byte) {
		e, err := ParseESP(b)
		if refused(t, err) {
			return
		}
		same(t, b, e.Append(nil), nil)
		if kind, err := NATTKind(b); kind != NATTESP || err != nil {
			t.Fatalf("NATTKind says %q, %v", kind, err)
		}
		token, err := e.Token()
		same(t, b[len(b)-TokenSize:], token[:], err)
		same(t, b, e.WithToken(token).Append(nil), nil)
	})
}
