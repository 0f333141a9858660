package wire

import (
	"bytes"
	"errors"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// l2tpRows are messages of an xl2tpd client, and some that it does not send; need is how many octets of b are needed before b is a
// message at all.
var l2tpRows = []struct {
	name string
	b    []byte
	need int
	m    L2TP
}{
	{
		name: "sccrq_with_random_vector",
		b: octetsOf(
			[]byte{0xC8, 0x02},                                              // T, L, S, Ver
			[]byte{0x00, 0x58},                                              // Length
			[]byte{0x00, 0x00, 0x00, 0x00},                                  // Tunnel ID, Session ID
			[]byte{0x00, 0x00, 0x00, 0x00},                                  // Ns, Nr
			[]byte{0x80, 0x08, 0, 0, 0, 0, 0x00, 0x01},                      // Message Type
			[]byte{0x80, 0x1A, 0, 0, 0, 36}, []byte("a token of 20 octets"), // Random Vector
			[]byte{0x80, 0x0A, 0, 0, 0, 3, 0, 0, 0, 3},   // Framing Capabilities
			[]byte{0x00, 0x08, 0, 0, 0, 6, 0x06, 0x90},   // Firmware Revision
			[]byte{0x80, 0x08, 0, 0, 0, 7}, []byte("vm"), // Host Name
			[]byte{0x80, 0x08, 0, 0, 0, 9, 0x9D, 0xB9},       // Assigned Tunnel ID
			[]byte{0xC0, 0x08, 0x00, 0x09, 0, 1, 0xAA, 0xBB}, // somebody's, hidden
		),
		need: 88,
		m: L2TPControl(0, 0, 0, 0,
			AVP16(AVPMessageType, L2TPSCCRQ), NewAVP(AVPRandomVector, []byte("a token of 20 octets")),
			AVP32(AVPFramingCapabilities, 3), AVP16(AVPFirmwareRevision, 0x0690), NewAVP(AVPHostName, []byte("vm")),
			AVP16(AVPAssignedTunnelID, 40377), AVP{Mandatory: true, Hidden: true, VendorID: 9, Type: 1, Value: []byte{0xAA, 0xBB}},
		),
	},
	{
		name: "cdn",
		b: octetsOf(
			[]byte{0xC8, 0x02},                                     // T, L, S, Ver
			[]byte{0x00, 0x26},                                     // Length
			[]byte{0x3E, 0x9C, 0x6A, 0x06},                         // Tunnel ID, Session ID
			[]byte{0x00, 0x04, 0x00, 0x02},                         // Ns, Nr
			[]byte{0x80, 0x08, 0, 0, 0, 0, 0x00, 0x0E},             // Message Type
			[]byte{0x80, 0x0A, 0, 0, 0, 1, 0x00, 0x01, 0x00, 0x00}, // Result Code
			[]byte{0x80, 0x08, 0, 0, 0, 14, 0x98, 0x1E},            // Assigned Session ID
		),
		need: 38,
		m: L2TPControl(16028, 27142, 4, 2,
			AVP16(AVPMessageType, L2TPCDN), L2TPResult{ResultCode: 1}.AVP(), AVP16(AVPAssignedSessionID, 38942)),
	},
	{
		name: "zero_length_body",
		b:    []byte{0xC8, 0x02, 0x00, 0x0C, 0x9D, 0xB9, 0x00, 0x00, 0x00, 0x01, 0x00, 0x02},
		need: 12,
		m:    L2TPControl(40377, 0, 1, 2),
	},
	{
		name: "data",
		b: octetsOf(
			[]byte{0x00, 0x02},             // Ver
			[]byte{0x9D, 0xB9, 0x98, 0x1E}, // Tunnel ID, Session ID
			[]byte{0xFF, 0x03, 0xC0, 0x21}, // PPP
		),
		need: 6,
		m:    L2TP{TunnelID: 40377, SessionID: 38942, Payload: []byte{0xFF, 0x03, 0xC0, 0x21}},
	},
	{
		name: "data_length_sequence",
		b: octetsOf(
			[]byte{0x48, 0x02},             // L, S, Ver
			[]byte{0x00, 0x0D},             // Length
			[]byte{0x00, 0x01, 0x00, 0x02}, // Tunnel ID, Session ID
			[]byte{0x00, 0x03, 0x00, 0x04}, // Ns, Nr
			[]byte{0xAA},                   // payload
		),
		need: 13,
		m:    L2TP{HasLength: true, HasSeq: true, TunnelID: 1, SessionID: 2, Ns: 3, Nr: 4, Payload: []byte{0xAA}},
	},
	{
		name: "data_offset_priority",
		b: octetsOf(
			[]byte{0x03, 0x02},             // O, P, Ver
			[]byte{0x00, 0x01, 0x00, 0x02}, // Tunnel ID, Session ID
			[]byte{0x00, 0x03},             // Offset Size
			[]byte{0x00, 0x00, 0x00},       // Offset pad
			[]byte{0xAA},                   // payload
		),
		need: 11,
		m:    L2TP{HasOffset: true, Priority: true, TunnelID: 1, SessionID: 2, OffsetSize: 3, Payload: []byte{0xAA}},
	},
}

func TestL2TP(t *testing.T) {
	for _, row := range l2tpRows {
		t.Run(row.name, func(t *testing.T) {
			if diff := cmp.Diff(append([]byte("odd"), row.b...), row.m.Append([]byte("odd"))); diff != "" {
				t.Errorf("Append differs (-want +got):\n%s", diff)
			}
			m, err := ParseL2TP(row.b)
			same(t, row.m, m, err)
			for i := range row.need {
				if _, err := ParseL2TP(row.b[:i]); !errors.Is(err, ErrShort) {
					t.Errorf("of %d octets: got %v, want %v", i, err, ErrShort)
				}
			}
		})
	}
}

func TestParseL2TPRefuses(t *testing.T) {
	sccrq, sequenced := l2tpRows[0].b, l2tpRows[4].b
	edit := func(b []byte, at int, with ...byte) []byte {
		b = bytes.Clone(b)
		copy(b[at:], with)
		return b
	}
	for name, b := range map[string][]byte{
		"version_1":              edit(sccrq, 1, 0x01),
		"version_3":              edit(sccrq, 1, 0x03),
		"control_without_length": edit(sccrq, 0, 0x88),
		"control_without_ns":     edit(sccrq, 0, 0xC0),
		"control_offset":         edit(sccrq, 0, 0xCA),
		"control_priority":       edit(sccrq, 0, 0xC9),
		"length_below":           edit(sccrq, 2, 0, 0x57),
		"length_of_control":      edit(sequenced, 2, 0, 11),
		"length_of_flags":        {0x48, 0x02, 0, 4},
		"length_zero":            {0x48, 0x02, 0, 0},
		"one_octet_too_many":     append(bytes.Clone(sccrq), 0),
		"not_a_message_type":     edit(sccrq, 17, 2),
		"hidden_message_type":    edit(sccrq, 12, 0xC0),
		"vendors_message_type":   edit(sccrq, 15, 9),
		"long_message_type":      octetsOf([]byte{0xC8, 2, 0, 21, 0, 0, 0, 0, 0, 0, 0, 0}, []byte{0x80, 9, 0, 0, 0, 0, 0, 1, 0}),
		"avp_length":             edit(sccrq, 12, 0x80, 5),
		"avp_reserved":           edit(sccrq, 12, 0x84),
	} {
		t.Run(name, func(t *testing.T) {
			if m, err := ParseL2TP(b); !errors.Is(err, ErrFormat) {
				t.Errorf("got %+v, %v, want %v", m, err, ErrFormat)
			}
		})
	}
}

// The bits x and the Offset pad are not looked at.
func TestParseL2TPTolerates(t *testing.T) {
	want := l2tpRows[5]
	b := bytes.Clone(want.b)
	b[0] |= 0x34
	b[1] |= 0xF0
	b[9] = 0xAA
	m, err := ParseL2TP(b)
	same(t, want.m, m, err)
}

// Append writes a message that ParseL2TP takes, whatever is asked of it.
func TestL2TPLimits(t *testing.T) {
	many := make([]AVP, 100)
	for i := range many {
		many[i] = NewAVP(AVPMessageType, make([]byte, 2000))
	}
	many[0] = AVP16(AVPMessageType, L2TPHello)
	for name, m := range map[string]L2TP{
		"avps":    L2TPControl(1, 1, 1, 1, many...),
		"flags":   {Control: true, HasOffset: true, Priority: true, OffsetSize: 9, Payload: []byte{1}},
		"payload": {HasLength: true, Payload: make([]byte, 70000)},
		"offset":  {HasLength: true, HasSeq: true, HasOffset: true, OffsetSize: 65535, Payload: []byte{1}},
	} {
		b := m.Append(nil)
		got, err := ParseL2TP(b)
		if err != nil || len(b) > 65535 || len(got.AVPs) > 64 {
			t.Errorf("%s: %d octets, %d AVPs, %v", name, len(b), len(got.AVPs), err)
		}
	}
	b := L2TPControl(1, 1, 1, 1, many[:64]...).Append(nil)
	b = append(b, 0x80, 8, 0, 0, 0, 0, 0, 1)
	b[2], b[3] = uint8(len(b)>>8), uint8(len(b))
	if _, err := ParseL2TP(b); !errors.Is(err, ErrFormat) {
		t.Errorf("65 AVPs: got %v, want %v", err, ErrFormat)
	}
}

func TestAVPValues(t *testing.T) {
	m := l2tpRows[0].m
	if typ, ok := m.MessageType(); typ != L2TPSCCRQ || !ok {
		t.Errorf("got %d, %v", typ, ok)
	}
	vector, ok := m.AVPs.Find(AVPRandomVector)
	if token, err := TokenAt(vector.Value, 0); string(token[:]) != "a token of 20 octets" || !ok || err != nil {
		t.Errorf("got %q, %v, %v", token[:], ok, err)
	}
	if a, ok := m.AVPs.Find(AVPResultCode); ok { // somebody else's type 1, and hidden
		t.Errorf("got %+v", a)
	}
	framing, _ := m.AVPs.Find(AVPFramingCapabilities)
	if got, ok := framing.Uint32(); got != 3 || !ok {
		t.Errorf("got %d, %v", got, ok)
	}
	if _, ok := framing.Uint16(); ok {
		t.Error("four octets are a number of two")
	}
	if _, ok := m.AVPs[0].Uint32(); ok {
		t.Error("two octets are a number of four")
	}
	for _, m := range []L2TP{l2tpRows[2].m, l2tpRows[3].m} {
		if typ, ok := m.MessageType(); ok {
			t.Errorf("a message without a type has %d", typ)
		}
	}
}

func TestAVPResult(t *testing.T) {
	for _, row := range []struct {
		value []byte
		want  L2TPResult
		ok    bool
	}{
		{[]byte{0, 1}, L2TPResult{ResultCode: 1}, true},
		{[]byte{0, 2, 0, 6}, L2TPResult{ResultCode: 2, ErrorCode: 6}, true},
		{[]byte("\x00\x02\x00\x06no"), L2TPResult{ResultCode: 2, ErrorCode: 6, ErrorMessage: "no"}, true},
		{nil, L2TPResult{}, false},
		{[]byte{0}, L2TPResult{}, false},
		{[]byte{0, 1, 0}, L2TPResult{}, false},
	} {
		got, ok := NewAVP(AVPResultCode, row.value).Result()
		if got != row.want || ok != row.ok {
			t.Errorf("% x: got %+v, %v", row.value, got, ok)
		}
		if len(row.value) >= 4 && !bytes.Equal(got.AVP().Value, row.value) {
			t.Errorf("% x: written again % x", row.value, got.AVP().Value)
		}
	}
	if _, ok := NewAVP(AVPQ931CauseCode, []byte{0, 1}).Result(); ok {
		t.Error("another type is a Result Code")
	}
}
