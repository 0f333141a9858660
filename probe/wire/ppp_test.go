package wire

import (
	"bytes"
	"errors"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestPPP(t *testing.T) {
	b := octetsOf(
		[]byte{0xFF},                   // Address
		[]byte{0x03},                   // Control
		[]byte{0xC0, 0x21},             // Protocol
		[]byte{0x05, 0x01, 0x00, 0x04}, // Information
	)
	want := PPP{Protocol: ProtocolLCP, Information: []byte{5, 1, 0, 4}}
	if diff := cmp.Diff(b, want.Append(nil)); diff != "" {
		t.Errorf("Append differs (-want +got):\n%s", diff)
	}
	for name, b := range map[string][]byte{"with_address": b, "without_address": b[2:]} {
		got, err := ParsePPP(b)
		if diff := cmp.Diff(want, got); err != nil || diff != "" {
			t.Errorf("%s: %v, differs (-want +got):\n%s", name, err, diff)
		}
	}
	for i := range 4 { // a frame has no length: longer prefixes are shorter frames
		if _, err := ParsePPP(b[:i]); !errors.Is(err, ErrShort) {
			t.Errorf("of %d octets: got %v, want %v", i, err, ErrShort)
		}
	}
	if _, err := ParsePPP(b[2:3]); !errors.Is(err, ErrShort) {
		t.Errorf("of half a Protocol: got %v, want %v", err, ErrShort)
	}
	for name, b := range map[string][]byte{
		"control":             {0xFF, 0x13, 0xC0, 0x21},
		"even_protocol":       {0xFF, 0x03, 0xC0, 0x20},
		"compressed_protocol": {0x21, 0x45, 0x00, 0x00},
		"address_twice":       {0xFF, 0x03, 0xFF, 0x03},
	} {
		if p, err := ParsePPP(b); !errors.Is(err, ErrFormat) {
			t.Errorf("%s: got %+v, %v, want %v", name, p, err, ErrFormat)
		}
	}
}

// lcpRows: options and echo are Data, read once more.
var lcpRows = []struct {
	name    string
	b       []byte
	l       LCP
	options LCPOptions
	echo    *LCPEcho
}{
	{
		name: "configure_request",
		b: octetsOf(
			[]byte{0x01},                   // Code
			[]byte{0x07},                   // Identifier
			[]byte{0x00, 0x1A},             // Length
			[]byte{0x01, 0x04, 0x05, 0xDC}, // MRU
			[]byte{0x02, 0x06, 0x00, 0x0A, 0x00, 0x00}, // Async-Control-Character-Map
			[]byte{0x05, 0x06, 0xDE, 0xAD, 0xBE, 0xEF}, // Magic-Number
			[]byte{0x07, 0x02},                         // Protocol-Field-Compression
			[]byte{0x13, 0x04, 0x01, 0x2A},             // Endpoint Discriminator
		),
		l: LCP{Code: ConfigureRequest, Identifier: 7, Data: []byte{
			1, 4, 0x05, 0xDC, 2, 6, 0, 0x0A, 0, 0, 5, 6, 0xDE, 0xAD, 0xBE, 0xEF, 7, 2, 19, 4, 1, 42,
		}},
		options: LCPOptions{
			MRUOption(1500), AsyncMapOption(0x000A0000), MagicNumberOption(0xDEADBEEF), {Type: OptionPFC},
			EndpointDiscriminatorOption(ClassLocal, []byte{42}),
		},
	},
	{
		name: "echo_request",
		b: octetsOf(
			[]byte{0x09},                   // Code
			[]byte{0xFF},                   // Identifier
			[]byte{0x00, 0x0B},             // Length
			[]byte{0xDE, 0xAD, 0xBE, 0xEF}, // Magic-Number
			[]byte("abc"),                  // Data
		),
		l:    LCP{Code: LCPEchoRequest, Identifier: 255, Data: []byte("\xDE\xAD\xBE\xEFabc")},
		echo: &LCPEcho{MagicNumber: 0xDEADBEEF, Data: []byte("abc")},
	},
	{
		name: "terminate_request",
		b:    []byte{0x05, 0x02, 0x00, 0x08, 'U', 's', 'e', 'r'},
		l:    LCP{Code: TerminateRequest, Identifier: 2, Data: []byte("User")},
	},
	{
		name: "terminate_ack",
		b:    []byte{0x06, 0x02, 0x00, 0x04},
		l:    LCP{Code: TerminateAck, Identifier: 2},
	},
}

func TestLCP(t *testing.T) {
	for _, row := range lcpRows {
		t.Run(row.name, func(t *testing.T) {
			if diff := cmp.Diff(row.b, row.l.Append(nil)); diff != "" {
				t.Errorf("Append differs (-want +got):\n%s", diff)
			}
			for _, padding := range []string{"", "\x00\x00padding"} {
				l, err := ParseLCP(append(bytes.Clone(row.b), padding...))
				if diff := cmp.Diff(row.l, l); err != nil || diff != "" {
					t.Errorf("ParseLCP: %v, differs (-want +got):\n%s", err, diff)
				}
			}
			for i := range row.b {
				if _, err := ParseLCP(row.b[:i]); !errors.Is(err, ErrShort) {
					t.Errorf("of %d octets: got %v, want %v", i, err, ErrShort)
				}
			}
			if row.options != nil {
				testLCPOptions(t, row.l.Data, row.options)
			}
			if row.echo != nil {
				testLCPEcho(t, row.l.Data, *row.echo)
			}
		})
	}
}

func testLCPOptions(t *testing.T, b []byte, want LCPOptions) {
	if diff := cmp.Diff(b, want.Append(nil)); diff != "" {
		t.Errorf("Append differs (-want +got):\n%s", diff)
	}
	got, err := ParseLCPOptions(b)
	if diff := cmp.Diff(want, got); err != nil || diff != "" {
		t.Errorf("ParseLCPOptions: %v, differs (-want +got):\n%s", err, diff)
	}
	ends := map[int]bool{0: true} // between two options a prefix is a shorter list
	for i, n := range want {
		ends[len(want[:i].Append(nil))+2+len(n.Data)] = true
	}
	for i := range b {
		if _, err := ParseLCPOptions(b[:i]); !ends[i] && !errors.Is(err, ErrShort) {
			t.Errorf("of %d octets: got %v, want %v", i, err, ErrShort)
		}
	}
}

func testLCPEcho(t *testing.T, b []byte, want LCPEcho) {
	if diff := cmp.Diff(b, want.Append(nil)); diff != "" {
		t.Errorf("Append differs (-want +got):\n%s", diff)
	}
	got, err := ParseLCPEcho(b)
	if diff := cmp.Diff(want, got); err != nil || diff != "" {
		t.Errorf("ParseLCPEcho: %v, differs (-want +got):\n%s", err, diff)
	}
	for i := range 4 {
		if _, err := ParseLCPEcho(b[:i]); !errors.Is(err, ErrShort) {
			t.Errorf("of %d octets: got %v, want %v", i, err, ErrShort)
		}
	}
}

func TestParseLCPRefuses(t *testing.T) {
	for name, b := range map[string][]byte{
		"length_3":    {1, 1, 0, 3},
		"length_0":    {1, 1, 0, 0},
		"length_1501": {1, 1, 0x05, 0xDD},
	} {
		if l, err := ParseLCP(b); !errors.Is(err, ErrFormat) {
			t.Errorf("%s: got %+v, %v, want %v", name, l, err, ErrFormat)
		}
	}
	for name, b := range map[string][]byte{
		"length_0":   {5, 0},
		"length_1":   {5, 1, 0},
		"33_options": bytes.Repeat([]byte{OptionPFC, 2}, 33),
	} {
		if o, err := ParseLCPOptions(b); !errors.Is(err, ErrFormat) {
			t.Errorf("%s: got %+v, %v, want %v", name, o, err, ErrFormat)
		}
	}
}

func TestLCPOptionValues(t *testing.T) {
	address := []byte("01234567890123456789")
	options := LCPOptions{
		MRUOption(1400), AsyncMapOption(1), MagicNumberOption(2), MagicNumberOption(3),
		EndpointDiscriminatorOption(ClassLocal, append(address, "cut"...)),
	}
	find := func(typ uint8) LCPOption {
		o, ok := options.Find(typ)
		if !ok {
			t.Errorf("option %d not found", typ)
		}
		return o
	}
	if v, ok := find(OptionMRU).MRU(); v != 1400 || !ok {
		t.Errorf("MRU: got %d, %v", v, ok)
	}
	if v, ok := find(OptionAsyncMap).AsyncMap(); v != 1 || !ok {
		t.Errorf("async map: got %d, %v", v, ok)
	}
	if v, ok := find(OptionMagicNumber).MagicNumber(); v != 2 || !ok { // the first
		t.Errorf("magic number: got %d, %v", v, ok)
	}
	class, got, ok := find(OptionEndpointDiscriminator).EndpointDiscriminator()
	if class != ClassLocal || !bytes.Equal(got, address) || !ok {
		t.Errorf("endpoint discriminator: got %d, %q, %v", class, got, ok)
	}
	if o, ok := options.Find(OptionACFC); ok {
		t.Errorf("got %+v, want none", o)
	}
}

func TestLCPOptionValuesRefuse(t *testing.T) {
	for _, data := range [][]byte{nil, {1}, {1, 2, 3}, make([]byte, 22)} {
		if v, ok := (LCPOption{OptionMRU, data}).MRU(); ok {
			t.Errorf("MRU of % x: got %d", data, v)
		}
		if v, ok := (LCPOption{OptionAsyncMap, data}).AsyncMap(); ok {
			t.Errorf("async map of % x: got %d", data, v)
		}
		if v, ok := (LCPOption{OptionMagicNumber, data}).MagicNumber(); ok {
			t.Errorf("magic number of % x: got %d", data, v)
		}
	}
	for _, data := range [][]byte{nil, make([]byte, 22)} {
		if class, v, ok := (LCPOption{OptionEndpointDiscriminator, data}).EndpointDiscriminator(); ok {
			t.Errorf("endpoint discriminator of % x: got %d, % x", data, class, v)
		}
	}
	other := LCPOption{Type: 99, Data: make([]byte, 4)}
	if _, ok := other.MagicNumber(); ok {
		t.Errorf("option 99 is a magic number")
	}
}

func TestLCPAppendCuts(t *testing.T) {
	b := LCP{Data: make([]byte, 70000)}.Append(nil)
	if l, err := ParseLCP(b); err != nil || len(l.Data) != 1496 {
		t.Errorf("got %d octets, %v, want 1496", len(l.Data), err)
	}
	many := make(LCPOptions, 40)
	many[0].Data = make([]byte, 300)
	if o, err := ParseLCPOptions(many.Append(nil)); err != nil || len(o) != 32 || len(o[0].Data) != 253 {
		t.Errorf("got %d options, %v, want 32", len(o), err)
	}
}
