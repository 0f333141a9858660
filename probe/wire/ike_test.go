package wire

import (
	"bytes"
	"errors"
	"testing"

	"github.com/google/go-cmp/cmp"
)

var ikeRows = []struct {
	name string
	b    []byte
	m    IKEMessage
}{
	{
		name: "v2_nonce_and_critical_notify",
		b: octetsOf(
			[]byte{1, 2, 3, 4, 5, 6, 7, 8},          // Initiator's SPI
			[]byte{0, 0, 0, 0, 0, 0, 0, 0},          // Responder's SPI
			[]byte{40, 0x20, 34, 0x08},              // Next Payload, version, Exchange Type, Flags
			[]byte{0, 0, 0, 0},                      // Message ID
			[]byte{0, 0, 0, 44},                     // Length
			[]byte{41, 0, 0, 8, 0xA, 0xB, 0xC, 0xD}, // a nonce, too short to be one
			[]byte{0, 0x80, 0, 8, 0, 0, 0x40, 0x2E}, // IKEV2_FRAGMENTATION_SUPPORTED
		),
		m: IKEMessage{
			Header: IKEHeader{
				InitiatorSPI: 0x0102030405060708, NextPayload: IKEv2Nonce, MajorVersion: 2, ExchangeType: IKESAInit,
				Flags: IKEv2FlagInitiator, Length: 44,
			},
			Payloads: []IKEPayload{
				{Type: IKEv2Nonce, Body: []byte{0xA, 0xB, 0xC, 0xD}},
				{Type: IKEv2NotifyPayload, Critical: true, Body: []byte{0, 0, 0x40, 0x2E}},
			},
		},
	},
	{
		name: "v2_encrypted",
		b: octetsOf(
			[]byte{1, 2, 3, 4, 5, 6, 7, 8},
			[]byte{9, 10, 11, 12, 13, 14, 15, 16},
			[]byte{46, 0x20, 35, 0x20},
			[]byte{0, 0, 0, 1},
			[]byte{0, 0, 0, 36},
			[]byte{36, 0, 0, 8, 0xDE, 0xAD, 0xBE, 0xEF}, // its first payload inside is IDr
		),
		m: IKEMessage{
			Header: IKEHeader{
				InitiatorSPI: 0x0102030405060708, ResponderSPI: 0x090A0B0C0D0E0F10, NextPayload: IKEv2Encrypted, MajorVersion: 2,
				ExchangeType: IKEAuth, Flags: IKEv2FlagResponse, MessageID: 1, Length: 36,
			},
			Payloads: []IKEPayload{{Type: IKEv2Encrypted, Inner: IKEv2IDResponder, Body: []byte{0xDE, 0xAD, 0xBE, 0xEF}}},
		},
	},
	{
		name: "v2_empty",
		b: octetsOf(
			make([]byte, 16),
			[]byte{0, 0x20, 37, 0},
			[]byte{0, 0, 0, 2},
			[]byte{0, 0, 0, 28},
		),
		m: IKEMessage{Header: IKEHeader{MajorVersion: 2, ExchangeType: IKEv2Informational, MessageID: 2, Length: 28}},
	},
	{
		name: "v1_encrypted",
		b: octetsOf(
			[]byte{1, 2, 3, 4, 5, 6, 7, 8},
			[]byte{9, 10, 11, 12, 13, 14, 15, 16},
			[]byte{8, 0x10, 32, 0x01},
			[]byte{0xCA, 0xFE, 0xBA, 0xBE},
			[]byte{0, 0, 0, 32},
			[]byte{0, 0, 0, 0}, // no generic header
		),
		m: IKEMessage{
			Header: IKEHeader{
				InitiatorSPI: 0x0102030405060708, ResponderSPI: 0x090A0B0C0D0E0F10, NextPayload: IKEv1Hash, MajorVersion: 1,
				ExchangeType: IKEQuickMode, Flags: IKEv1FlagEncryption, MessageID: 0xCAFEBABE, Length: 32,
			},
			Payloads: []IKEPayload{{Type: IKEv1Hash, Body: make([]byte, 4)}},
		},
	},
}

func TestIKE(t *testing.T) {
	for _, row := range ikeRows {
		t.Run(row.name, func(t *testing.T) {
			if diff := cmp.Diff(row.b, row.m.Append(nil)); diff != "" {
				t.Errorf("Append differs (-want +got):\n%s", diff)
			}
			if diff := cmp.Diff(append([]byte("odd"), row.b...), row.m.Append([]byte("odd"))); diff != "" {
				t.Errorf("Append behind three octets differs (-want +got):\n%s", diff)
			}
			m, err := ParseIKE(row.b)
			if diff := cmp.Diff(row.m, m); err != nil || diff != "" {
				t.Errorf("ParseIKE: %v, differs (-want +got):\n%s", err, diff)
			}
			for i := range row.b {
				if _, err := ParseIKE(row.b[:i]); !errors.Is(err, ErrShort) {
					t.Errorf("of %d octets: got %v, want %v", i, err, ErrShort)
				}
			}
			if _, err := ParseIKE(append(bytes.Clone(row.b), 0)); !errors.Is(err, ErrFormat) {
				t.Errorf("of one octet more: got %v, want %v", err, ErrFormat)
			}
		})
	}
}

func TestParseIKERefuses(t *testing.T) {
	header := IKEHeader{MajorVersion: 2, ExchangeType: IKESAInit}
	v2 := func(first uint8, payloads ...byte) []byte {
		h := header
		h.NextPayload, h.Length = first, uint32(28+len(payloads))
		return append(h.Append(nil), payloads...)
	}
	v1 := func(flags, first uint8, payloads ...byte) []byte {
		b := v2(first, payloads...)
		b[17], b[19] = 0x10, flags
		return b
	}
	length := func(n uint32) []byte {
		h := header
		h.Length = n
		return h.Append(nil)
	}
	version := v2(0)
	version[17] = 0x30
	for name, b := range map[string][]byte{
		"major_version_3":       version,
		"length_of_less":        length(27),
		"length_of_4_gigabytes": length(0xFFFFFFFF),
		"payload_length_3":      v2(40, 0, 0, 0, 3),
		"payload_too_long":      v2(40, 0, 0, 0, 5),
		"half_a_payload":        v2(40, 0, 0, 0),
		"no_payload":            v2(40),
		"chain_goes_on":         v2(40, 41, 0, 0, 4),
		"chain_has_ended":       v2(0, 0, 0, 0, 4),
		"behind_encrypted":      v2(46, 41, 0, 0, 4, 0, 0, 0, 4),
		"v1_reserved":           v1(0, 10, 0, 0x80, 0, 4),
		"v1_encrypted_nothing":  v1(1, 8),
		"v1_encrypted_untyped":  v1(1, 0, 1, 2, 3, 4),
		"33_payloads":           v2(40, append(bytes.Repeat([]byte{40, 0, 0, 4}, 32), 0, 0, 0, 4)...),
	} {
		t.Run(name, func(t *testing.T) {
			if m, err := ParseIKE(b); !errors.Is(err, ErrFormat) {
				t.Errorf("got %+v, %v, want %v", m, err, ErrFormat)
			}
		})
	}
	if m, err := ParseIKE(v2(40, append(bytes.Repeat([]byte{40, 0, 0, 4}, 31), 0, 0, 0, 4)...)); err != nil || len(m.Payloads) != 32 {
		t.Errorf("of 32 payloads: got %d, %v", len(m.Payloads), err)
	}
}

// A receiver of version 2 does not look at RESERVED (RFC 7296, section 3.2), at the minor version, nor at flags it does not know.
func TestParseIKEReservedIsIgnored(t *testing.T) {
	b := bytes.Clone(ikeRows[0].b)
	b[29] |= 0x7F // of the nonce
	m, err := ParseIKE(b)
	if diff := cmp.Diff(ikeRows[0].m, m); err != nil || diff != "" {
		t.Errorf("%v, differs (-want +got):\n%s", err, diff)
	}
	b[17], b[19] = 0x2F, 0xFF
	if m, err = ParseIKE(b); err != nil || m.Header.MinorVersion != 15 || m.Header.Flags != 0xFF {
		t.Errorf("got %+v, %v", m.Header, err)
	}
}

// What cannot be read again is not written.
func TestIKEAppendCuts(t *testing.T) {
	body := []byte{1}
	for name, row := range map[string]struct {
		h        IKEHeader
		payloads []IKEPayload
		want     int
	}{
		"33_payloads":      {IKEHeader{MajorVersion: 2}, make40(33), 32},
		"type_0":           {IKEHeader{MajorVersion: 2}, []IKEPayload{{Type: 40}, {}, {Type: 41}}, 1},
		"behind_encrypted": {IKEHeader{MajorVersion: 2}, []IKEPayload{{Type: 46, Body: body}, {Type: 41}}, 1},
		"v1_encrypted":     {IKEHeader{MajorVersion: 1, Flags: 1}, []IKEPayload{{Type: 8, Body: body}, {Type: 10}}, 1},
		"v1_critical":      {IKEHeader{MajorVersion: 1}, []IKEPayload{{Type: 10, Critical: true}}, 1},
	} {
		t.Run(name, func(t *testing.T) {
			m, err := ParseIKE(IKEMessage{Header: row.h, Payloads: row.payloads}.Append(nil))
			if err != nil || len(m.Payloads) != row.want {
				t.Errorf("got %d payloads, %v, want %d", len(m.Payloads), err, row.want)
			}
		})
	}
	long := IKEPayload{Type: IKEv2VendorID, Body: make([]byte, 70000)}
	if n := len(IKEMessage{Header: IKEHeader{MajorVersion: 2}, Payloads: []IKEPayload{long}}.Append(nil)); n != 28+65535 {
		t.Errorf("got %d octets", n)
	}
}

func make40(n int) []IKEPayload {
	payloads := make([]IKEPayload, n)
	for i := range payloads {
		payloads[i].Type = IKEv2Nonce
	}
	return payloads
}

func TestIKEMessageFind(t *testing.T) {
	m := ikeRows[0].m
	if p, ok := m.Find(IKEv2Nonce); !ok || len(p.Body) != 4 {
		t.Errorf("nonce: got %v, %v", p, ok)
	}
	if _, ok := m.Find(IKEv2VendorID); ok || m.HasVendor(VendorNATT) {
		t.Error("got a vendor ID")
	}
	if n, ok := m.Notify(NotifyFragmentationSupported); !ok || n.Type != 16430 {
		t.Errorf("notify: got %v, %v", n, ok)
	}
	if _, ok := m.Notify(NotifyCookie); ok {
		t.Error("got a cookie")
	}
	if m := mainMode1(); !m.HasVendor(VendorNATT) || m.HasVendor(VendorCGA) {
		t.Error("Main Mode 1 has other vendor IDs")
	}
}
