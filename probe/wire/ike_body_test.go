package wire

import (
	"bytes"
	"errors"
	"testing"

	"github.com/google/go-cmp/cmp"
)

type appender interface{ Append([]byte) []byte }

// reader makes parsers of different types one.
func reader[T appender](parse func([]byte) (T, error)) func([]byte) (appender, error) {
	return func(b []byte) (appender, error) { return parse(b) }
}

// ikeBodyRows are bodies of payloads; whole is how many octets of b are needed before b is a body at all.
var ikeBodyRows = []struct {
	name  string
	b     []byte
	whole int
	body  appender
	parse func([]byte) (appender, error)
}{
	{
		name: "v2_sa",
		b: octetsOf(
			[]byte{2, 0, 0, 28, 1, 1, 0, 2},             // more, Proposal Length, Num, IKE, SPI Size, 2 transforms
			[]byte{3, 0, 0, 12, 1, 0, 0, 12},            // more, Transform Length, ENCR, AES-CBC
			[]byte{0x80, 14, 0x01, 0x00},                // Key Length 256
			[]byte{0, 0, 0, 8, 4, 0, 0, 31},             // last, D-H, Curve25519
			[]byte{0, 0, 0, 20, 2, 3, 4, 1, 1, 2, 3, 4}, // last, ESP, SPI
			[]byte{0, 0, 0, 8, 2, 0, 0, 5},              // last, PRF, HMAC-SHA-256
		),
		whole: 48,
		body: IKEv2SA{
			{Num: 1, ProtocolID: ProtocolIDIKE, Transforms: []IKEv2Transform{
				{Type: TransformEncryption, ID: EncryptionAESCBC, KeyLength: 256}, {Type: TransformGroup, ID: GroupCurve25519},
			}},
			{Num: 2, ProtocolID: ProtocolIDESP, SPI: []byte{1, 2, 3, 4}, Transforms: []IKEv2Transform{{Type: TransformPRF, ID: PRFHMACSHA256}}},
		},
		parse: reader(ParseIKEv2SA),
	},
	{
		name: "v1_sa",
		b: octetsOf(
			[]byte{0, 0, 0, 1},                          // DOI
			[]byte{0, 0, 0, 1},                          // Situation
			[]byte{2, 0, 0, 40, 1, 1, 0, 2},             // more, Payload Length, #, ISAKMP, SPI Size, 2 transforms
			[]byte{3, 0, 0, 20, 1, 1, 0, 0},             // more, Payload Length, #, KEY_IKE
			[]byte{0x80, 1, 0, 7},                       // AES-CBC
			[]byte{0, 12, 0, 4, 0, 0, 0x70, 0x80},       // Life Duration, long
			[]byte{0, 0, 0, 12, 2, 1, 0, 0},             // last
			[]byte{0x80, 3, 0, 1},                       // pre-shared key
			[]byte{0, 0, 0, 20, 2, 1, 4, 1, 9, 8, 7, 6}, // last, with an SPI
			[]byte{0, 0, 0, 8, 1, 1, 0, 0},              // a transform without attributes
		),
		whole: 68,
		body: IKEv1SA{
			{Num: 1, ProtocolID: ProtocolIDIKE, Transforms: []IKEv1Transform{
				{Num: 1, ID: IKEv1KeyIKE, Attributes: []IKEv1Attribute{
					{Type: AttributeEncryption, Value: IKEv1EncryptionAESCBC}, {Type: AttributeLifeDuration, Long: []byte{0, 0, 0x70, 0x80}},
				}},
				{Num: 2, ID: IKEv1KeyIKE, Attributes: []IKEv1Attribute{{Type: AttributeAuth, Value: IKEv1AuthPSK}}},
			}},
			{Num: 2, ProtocolID: ProtocolIDIKE, SPI: []byte{9, 8, 7, 6}, Transforms: []IKEv1Transform{{Num: 1, ID: IKEv1KeyIKE}}},
		},
		parse: reader(ParseIKEv1SA),
	},
	{
		name:  "v2_ke_curve25519",
		b:     append([]byte{0, 31, 0, 0}, counting(1, 32)...),
		whole: 36,
		body:  IKEv2KE{Group: GroupCurve25519, Data: counting(1, 32)},
		parse: reader(ParseIKEv2KE),
	},
	{
		name:  "v2_ke_unknown_group",
		b:     []byte{0, 99, 0, 0, 1, 2, 3},
		whole: 5,
		body:  IKEv2KE{Group: 99, Data: []byte{1, 2, 3}},
		parse: reader(ParseIKEv2KE),
	},
	{
		name:  "notify",
		b:     []byte{3, 4, 0, 11, 1, 2, 3, 4, 0xAA, 0xBB},
		whole: 8,
		body:  IKENotify{ProtocolID: ProtocolIDESP, Type: 11, SPI: []byte{1, 2, 3, 4}, Data: []byte{0xAA, 0xBB}},
		parse: reader(ParseIKENotify),
	},
	{
		name:  "v1_notify",
		b:     []byte{0, 0, 0, 1, 1, 4, 0, 14, 1, 2, 3, 4, 0xAA},
		whole: 12,
		body:  IKEv1Notify{DOI: 1, ProtocolID: ProtocolIDIKE, Type: 14, SPI: []byte{1, 2, 3, 4}, Data: []byte{0xAA}},
		parse: reader(ParseIKEv1Notify),
	},
	{
		name:  "notify_empty",
		b:     []byte{0, 0, 0x40, 0x2E},
		whole: 4,
		body:  IKENotify{Type: NotifyFragmentationSupported},
		parse: reader(ParseIKENotify),
	},
}

func TestIKEBodies(t *testing.T) {
	for _, row := range ikeBodyRows {
		t.Run(row.name, func(t *testing.T) {
			if diff := cmp.Diff(append([]byte("odd"), row.b...), row.body.Append([]byte("odd"))); diff != "" {
				t.Errorf("Append behind three octets differs (-want +got):\n%s", diff)
			}
			body, err := row.parse(row.b)
			if diff := cmp.Diff(row.body, body); err != nil || diff != "" {
				t.Errorf("%v, differs (-want +got):\n%s", err, diff)
			}
			for i := range row.whole {
				if _, err := row.parse(row.b[:i]); !errors.Is(err, ErrShort) {
					t.Errorf("of %d octets: got %v, want %v", i, err, ErrShort)
				}
			}
		})
	}
}

func TestIKEBodiesRefuse(t *testing.T) {
	v2, v1 := ikeBodyRows[0].b, ikeBodyRows[1].b
	with := func(b []byte, at int, octets ...byte) []byte {
		b = bytes.Clone(b)
		copy(b[at:], octets)
		return b
	}
	for name, row := range map[string]struct {
		parse func([]byte) (appender, error)
		b     []byte
	}{
		"v2_trailing":             {reader(ParseIKEv2SA), append(bytes.Clone(v2), 0)},
		"v2_substruc":             {reader(ParseIKEv2SA), with(v2, 0, 1)},
		"v2_proposal_length_7":    {reader(ParseIKEv2SA), with(v2, 3, 7)},
		"v2_no_transforms":        {reader(ParseIKEv2SA), with(v2, 7, 0)},
		"v2_65_transforms":        {reader(ParseIKEv2SA), with(v2, 7, 65)},
		"v2_spi_of_9":             {reader(ParseIKEv2SA), with(v2, 6, 9)},
		"v2_one_transform_of_two": {reader(ParseIKEv2SA), with(v2, 7, 1)},
		"v2_last_transform_first": {reader(ParseIKEv2SA), with(v2, 8, 0)},
		"v2_transform_length_13":  {reader(ParseIKEv2SA), with(v2, 11, 13)},
		"v2_attribute_type":       {reader(ParseIKEv2SA), with(v2, 17, 13)},
		"v2_key_length_0":         {reader(ParseIKEv2SA), with(v2, 18, 0)},
		"v1_trailing":             {reader(ParseIKEv1SA), append(bytes.Clone(v1), 0)},
		"v1_doi":                  {reader(ParseIKEv1SA), with(v1, 3, 0)},
		"v1_situation":            {reader(ParseIKEv1SA), with(v1, 7, 3)},
		"v1_reserved":             {reader(ParseIKEv1SA), with(v1, 9, 1)},
		"v1_transform_reserved":   {reader(ParseIKEv1SA), with(v1, 17, 1)},
		"v1_reserved2":            {reader(ParseIKEv1SA), with(v1, 23, 1)},
		"v1_spi_of_17":            {reader(ParseIKEv1SA), with(v1, 14, 17)},
		"v1_no_transforms":        {reader(ParseIKEv1SA), with(v1, 15, 0)},
		"v1_one_of_two":           {reader(ParseIKEv1SA), with(v1, 15, 1)},
		"v1_attribute_empty":      {reader(ParseIKEv1SA), with(v1, 31, 0)},
		"v1_attribute_of_65":      {reader(ParseIKEv1SA), with(v1, 31, 65)},
		"ke_too_long":             {reader(ParseIKEv2KE), append(bytes.Clone(ikeBodyRows[2].b), 0)},
		"33_proposals":            {reader(ParseIKEv2SA), append(bytes.Repeat([]byte{2, 0, 0, 16, 1, 1, 0, 1, 0, 0, 0, 8, 2, 0, 0, 5}, 33), 0)},
	} {
		t.Run(name, func(t *testing.T) {
			if body, err := row.parse(row.b); !errors.Is(err, ErrFormat) {
				t.Errorf("got %+v, %v, want %v", body, err, ErrFormat)
			}
		})
	}
}

func TestIKEPlainBodies(t *testing.T) {
	nonce := func(major uint8) func([]byte) ([]byte, error) {
		return func(b []byte) ([]byte, error) { return ParseIKENonce(b, major) }
	}
	ke := func(group uint16) func([]byte) ([]byte, error) {
		return func(b []byte) ([]byte, error) { return ParseIKEv1KE(b, group) }
	}
	natd := func(b []byte) ([]byte, error) { return ParseIKEv1NATD(b, 20) }
	for name, row := range map[string]struct {
		parse             func([]byte) ([]byte, error)
		shortest, longest int
	}{
		"v1_nonce":   {nonce(1), 8, 256},
		"v2_nonce":   {nonce(2), 16, 256},
		"x25519":     {ke(GroupCurve25519), 32, 32},
		"ecp384":     {ke(GroupECP384), 96, 96},
		"modp1024":   {ke(GroupMODP1024), 128, 128},
		"modp8192":   {ke(GroupMODP8192), 1024, 1024},
		"natd_sha_1": {natd, 20, 20},
	} {
		t.Run(name, func(t *testing.T) {
			for _, n := range []int{row.shortest, row.longest} {
				if b, err := row.parse(counting(1, n)); err != nil || len(b) != n {
					t.Errorf("of %d octets: got %d, %v", n, len(b), err)
				}
			}
			if _, err := row.parse(counting(1, row.shortest-1)); !errors.Is(err, ErrShort) {
				t.Errorf("of one less: got %v, want %v", err, ErrShort)
			}
			if _, err := row.parse(counting(1, row.longest+1)); !errors.Is(err, ErrFormat) {
				t.Errorf("of one more: got %v, want %v", err, ErrFormat)
			}
		})
	}
	if _, err := ParseIKEv1KE(nil, 99); !errors.Is(err, ErrFormat) {
		t.Errorf("of an unknown group: got %v, want %v", err, ErrFormat)
	}
}

func TestIKEGroupLen(t *testing.T) {
	for group, want := range map[uint16]int{
		GroupMODP1024: 128, GroupMODP2048: 256, GroupMODP3072: 384, GroupMODP4096: 512, GroupMODP6144: 768, GroupMODP8192: 1024,
		GroupECP256: 64, GroupECP384: 96, GroupCurve25519: 32, 0: 0, 1: 0,
	} {
		if got := IKEGroupLen(group); got != want {
			t.Errorf("group %d: got %d, want %d", group, got, want)
		}
	}
}

func TestIKEv1TransformFind(t *testing.T) {
	transform := strongSwanV1SA[0].Transforms[0]
	if a, ok := transform.Find(AttributeGroup); !ok || a.Value != GroupCurve25519 {
		t.Errorf("group: got %v, %v", a, ok)
	}
	if a, ok := transform.Find(99); ok {
		t.Errorf("attribute 99: got %v", a)
	}
}
