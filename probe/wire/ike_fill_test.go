package wire

import (
	"bytes"
	"crypto/ecdh"
	"testing"
)

func TestIKEFill(t *testing.T) {
	tag := Tag{Token: Token(counting(0x30, TokenSize)), Nonce: [NonceSize]byte(counting(0x70, NonceSize))}
	v2 := IKEHeader{MajorVersion: 2}
	for name, row := range map[string]struct {
		p    IKEPayload
		size int
	}{
		"nonce":      {IKEPayload{Type: IKEv2Nonce, Body: IKENonce(tag)}, 32},
		"sealed":     {IKEPayload{Type: IKEv2Encrypted, Body: IKESealed(tag, 256)}, 256},
		"sealed_min": {IKEPayload{Type: IKEv2Encrypted, Body: IKESealed(tag, 3)}, 44},
	} {
		if got, err := (IKEMessage{Header: v2, Payloads: []IKEPayload{row.p}}).Tag(); got != tag || err != nil || len(row.p.Body) != row.size {
			t.Errorf("%s: got %x, %v in %d octets, want %x in %d", name, got, err, len(row.p.Body), tag, row.size)
		}
	}
	if bytes.Equal(IKESealed(tag, 80), IKESealed(tag, 80)) || bytes.Equal(IKENonce(tag), IKENonce(tag)) {
		t.Error("nothing in it is random")
	}
}

func TestIKEPublic(t *testing.T) {
	if _, err := ecdh.X25519().NewPublicKey(IKEPublic(GroupCurve25519)); err != nil {
		t.Error(err)
	}
	for group := range uint16(40) {
		b := IKEPublic(group)
		if len(b) != IKEGroupLen(group) || len(b) > 0 && group != GroupCurve25519 && b[0] == 0 {
			t.Errorf("group %d: got %x, want %d octets that do not start with zero", group, b, IKEGroupLen(group))
		}
	}
}
