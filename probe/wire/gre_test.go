package wire

import (
	"bytes"
	"errors"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/gopacket"
	"github.com/google/gopacket/layers"
)

// greRows are packets of GRE version 0; header is how many octets of b are needed before b is a packet at all.
var greRows = []struct {
	name   string
	b      []byte
	header int
	g      GRE
}{
	{
		name: "plain",
		b: octetsOf(
			[]byte{0x00, 0x00},             // flags, Ver
			[]byte{0x08, 0x00},             // Protocol Type
			[]byte{0x45, 0x00, 0x00, 0x14}, // payload
		),
		header: 4,
		g:      GRE{ProtocolType: ProtocolTypeIPv4, Payload: []byte{0x45, 0, 0, 0x14}},
	},
	{
		name:   "empty",
		b:      []byte{0x00, 0x00, 0x08, 0x00},
		header: 4,
		g:      GRE{ProtocolType: ProtocolTypeIPv4},
	},
	{
		name: "key",
		b: octetsOf(
			[]byte{0x20, 0x00},             // K
			[]byte{0x08, 0x00},             // Protocol Type
			[]byte{0x01, 0x02, 0x03, 0x04}, // Key
			[]byte{0xAA},                   // payload
		),
		header: 8,
		g:      GRE{HasKey: true, ProtocolType: ProtocolTypeIPv4, Key: 0x01020304, Payload: []byte{0xAA}},
	},
	{
		name: "sequence",
		b: octetsOf(
			[]byte{0x10, 0x00},             // S
			[]byte{0x86, 0xDD},             // Protocol Type
			[]byte{0x00, 0x00, 0x00, 0x07}, // Sequence Number
			[]byte{0xAA},                   // payload
		),
		header: 8,
		g:      GRE{HasSeq: true, ProtocolType: 0x86DD, SequenceNumber: 7, Payload: []byte{0xAA}},
	},
	{
		name: "checksum_key_sequence",
		b: octetsOf(
			[]byte{0xB0, 0x00},             // C, K, S
			[]byte{0x08, 0x00},             // Protocol Type
			[]byte{0x99, 0xF1},             // Checksum: ^(B000+0800+0102+0304+0007+AA00)
			[]byte{0x00, 0x00},             // Reserved1
			[]byte{0x01, 0x02, 0x03, 0x04}, // Key
			[]byte{0x00, 0x00, 0x00, 0x07}, // Sequence Number
			[]byte{0xAA},                   // payload
		),
		header: 16,
		g: GRE{
			HasChecksum: true, HasKey: true, HasSeq: true, ProtocolType: ProtocolTypeIPv4,
			Key: 0x01020304, SequenceNumber: 7, Payload: []byte{0xAA},
		},
	},
}

func TestGRE(t *testing.T) {
	for _, row := range greRows {
		t.Run(row.name, func(t *testing.T) {
			if diff := cmp.Diff(row.b, row.g.Append(nil)); diff != "" {
				t.Errorf("Append differs (-want +got):\n%s", diff)
			}
			if diff := cmp.Diff(append([]byte("odd"), row.b...), row.g.Append([]byte("odd"))); diff != "" {
				t.Errorf("Append behind three octets differs (-want +got):\n%s", diff)
			}
			g, err := ParseGRE(row.b)
			if diff := cmp.Diff(row.g, g); err != nil || diff != "" {
				t.Errorf("ParseGRE: %v, differs (-want +got):\n%s", err, diff)
			}
			for i := range row.header {
				if _, err := ParseGRE(row.b[:i]); !errors.Is(err, ErrShort) {
					t.Errorf("of %d octets: got %v, want %v", i, err, ErrShort)
				}
			}
		})
	}
}

func TestParseGRERefuses(t *testing.T) {
	damaged := bytes.Clone(greRows[4].b)
	damaged[len(damaged)-1] ^= 1
	for name, b := range map[string][]byte{
		"version_1": {0x20, 0x01, 0x88, 0x0B, 0, 0, 0, 1},
		"routing":   {0x40, 0x00, 0x08, 0x00, 0, 0, 0, 0},
		"strict":    {0x08, 0x00, 0x08, 0x00, 0, 0, 0, 0},
		"recursion": {0x04, 0x00, 0x08, 0x00, 0, 0, 0, 0},
		"checksum":  damaged,
	} {
		t.Run(name, func(t *testing.T) {
			if g, err := ParseGRE(b); !errors.Is(err, ErrFormat) {
				t.Errorf("got %+v, %v, want %v", g, err, ErrFormat)
			}
		})
	}
}

var enhancedGRERows = []struct {
	name string
	b    []byte
	g    EnhancedGRE
}{
	{
		name: "payload",
		b: octetsOf(
			[]byte{0x30, 0x01},             // K, S, Ver
			[]byte{0x88, 0x0B},             // Protocol Type
			[]byte{0x00, 0x04},             // Payload Length
			[]byte{0x1B, 0xC6},             // Call ID
			[]byte{0x00, 0x00, 0x00, 0x01}, // Sequence Number
			[]byte{0xFF, 0x03, 0xC0, 0x21}, // payload
		),
		g: EnhancedGRE{CallID: 0x1BC6, HasSeq: true, Seq: 1, Payload: []byte{0xFF, 0x03, 0xC0, 0x21}},
	},
	{
		name: "payload_and_acknowledgment",
		b: octetsOf(
			[]byte{0x30, 0x81},             // K, S, A, Ver
			[]byte{0x88, 0x0B},             // Protocol Type
			[]byte{0x00, 0x01},             // Payload Length
			[]byte{0x1B, 0xC6},             // Call ID
			[]byte{0xFF, 0xFF, 0xFF, 0xFF}, // Sequence Number
			[]byte{0x00, 0x00, 0x00, 0x02}, // Acknowledgment Number
			[]byte{0xAA},                   // payload
		),
		g: EnhancedGRE{CallID: 0x1BC6, HasSeq: true, HasAck: true, Seq: 0xFFFFFFFF, Ack: 2, Payload: []byte{0xAA}},
	},
	{
		name: "bare_acknowledgment",
		b: octetsOf(
			[]byte{0x20, 0x81},             // K, A, Ver
			[]byte{0x88, 0x0B},             // Protocol Type
			[]byte{0x00, 0x00},             // Payload Length
			[]byte{0x00, 0x00},             // Call ID
			[]byte{0x00, 0x00, 0x00, 0x02}, // Acknowledgment Number
		),
		g: EnhancedGRE{HasAck: true, Ack: 2},
	},
}

func TestEnhancedGRE(t *testing.T) {
	for _, row := range enhancedGRERows {
		t.Run(row.name, func(t *testing.T) {
			if diff := cmp.Diff(row.b, row.g.Append(nil)); diff != "" {
				t.Errorf("Append differs (-want +got):\n%s", diff)
			}
			g, err := ParseEnhancedGRE(row.b)
			if diff := cmp.Diff(row.g, g); err != nil || diff != "" {
				t.Errorf("ParseEnhancedGRE: %v, differs (-want +got):\n%s", err, diff)
			}
			if got := be16(row.b[EnhancedGRECallIDOffset:]); got != g.CallID {
				t.Errorf("at EnhancedGRECallIDOffset: got %d, want %d", got, g.CallID)
			}
			for i := range row.b {
				if _, err := ParseEnhancedGRE(row.b[:i]); !errors.Is(err, ErrShort) {
					t.Errorf("of %d octets: got %v, want %v", i, err, ErrShort)
				}
			}
		})
	}
}

func TestParseEnhancedGRERefuses(t *testing.T) {
	edit := func(at int, with ...byte) []byte {
		b := bytes.Clone(enhancedGRERows[0].b)
		copy(b[at:], with)
		return b
	}
	for name, b := range map[string][]byte{
		"version_0":            edit(1, 0x00),
		"version_2":            edit(1, 0x02),
		"no_key":               edit(0, 0x10),
		"checksum":             edit(0, 0xB0),
		"routing":              edit(0, 0x70),
		"strict":               edit(0, 0x38),
		"recursion":            edit(0, 0x31),
		"flags":                edit(1, 0x09),
		"protocol_ipv4":        edit(2, 0x08, 0x00),
		"length_below":         edit(4, 0, 3),
		"length_zero":          edit(4, 0, 0),
		"payload_without_seq":  edit(0, 0x20),
		"one_octet_too_many":   append(edit(0), 0),
		"acknowledgment_trail": append(bytes.Clone(enhancedGRERows[2].b), 0),
	} {
		t.Run(name, func(t *testing.T) {
			if g, err := ParseEnhancedGRE(b); !errors.Is(err, ErrFormat) {
				t.Errorf("got %+v, %v, want %v", g, err, ErrFormat)
			}
		})
	}
}

func TestEnhancedGRELongPayload(t *testing.T) {
	b := EnhancedGRE{HasSeq: true, Payload: make([]byte, 70000)}.Append(nil)
	g, err := ParseEnhancedGRE(b)
	if err != nil || len(g.Payload) != 65535 {
		t.Errorf("got %d octets of payload, %v, want 65535", len(g.Payload), err)
	}
}

func TestGREVersion(t *testing.T) {
	for want, b := range [][]byte{greRows[0].b, enhancedGRERows[0].b} {
		if got, err := GREVersion(b); got != want || err != nil {
			t.Errorf("got %d, %v, want %d", got, err, want)
		}
	}
	if _, err := GREVersion([]byte{0x20}); !errors.Is(err, ErrShort) {
		t.Errorf("got %v, want %v", err, ErrShort)
	}
}

// gopacket reads what we write as we meant it.
func TestGREAgainstGopacket(t *testing.T) {
	for _, row := range greRows {
		var got layers.GRE
		if err := got.DecodeFromBytes(row.g.Append(nil), gopacket.NilDecodeFeedback); err != nil {
			t.Errorf("%s: %v", row.name, err)
			continue
		}
		back := GRE{
			HasChecksum: got.ChecksumPresent, HasKey: got.KeyPresent, HasSeq: got.SeqPresent,
			ProtocolType: uint16(got.Protocol), Key: got.Key, SequenceNumber: got.Seq, Payload: some(got.Payload),
		}
		if diff := cmp.Diff(row.g, back); diff != "" || got.Version != 0 || got.AckPresent || got.Flags != 0 {
			t.Errorf("%s: gopacket differs (-want +got):\n%s", row.name, diff)
		}
	}
	for _, row := range enhancedGRERows {
		got, err := gopacketEnhancedGRE(row.g.Append(nil))
		if diff := cmp.Diff(row.g, got); err != nil || diff != "" {
			t.Errorf("%s: %v, gopacket differs (-want +got):\n%s", row.name, err, diff)
		}
	}
}

// gopacketEnhancedGRE is gopacket's reading of a packet that ParseEnhancedGRE accepts; of others it may panic. It takes the bit
// A for one of Flags as well.
func gopacketEnhancedGRE(b []byte) (EnhancedGRE, error) {
	var g layers.GRE
	if err := g.DecodeFromBytes(b, gopacket.NilDecodeFeedback); err != nil {
		return EnhancedGRE{}, err
	}
	if g.Version != 1 || !g.KeyPresent || g.ChecksumPresent || g.Protocol != layers.EthernetTypePPP || int(g.Key>>16) != len(g.Payload) {
		return EnhancedGRE{}, bad("gopacket reads %+v", g)
	}
	return EnhancedGRE{
		CallID: uint16(g.Key), HasSeq: g.SeqPresent, HasAck: g.AckPresent, Seq: g.Seq, Ack: g.Ack, Payload: some(g.Payload),
	}, nil
}

func BenchmarkParseEnhancedGRE(b *testing.B) {
	packet := enhancedGRERows[1].b
	b.ReportAllocs()
	for b.Loop() {
		if _, err := ParseEnhancedGRE(packet); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkAppendEnhancedGRE(b *testing.B) {
	g, buf := enhancedGRERows[1].g, make([]byte, 0, 64)
	b.ReportAllocs()
	for b.Loop() {
		buf = g.Append(buf[:0])
	}
}

func TestEnhancedGREAllocatesNothing(t *testing.T) {
	g, buf := enhancedGRERows[1].g, make([]byte, 0, 64)
	if n := testing.AllocsPerRun(100, func() {
		buf = g.Append(buf[:0])
		if _, err := ParseEnhancedGRE(buf); err != nil {
			t.Fatal(err)
		}
	}); n != 0 {
		t.Errorf("got %v allocations, want 0", n)
	}
}
