package wire

import (
	"bytes"
	"crypto/ecdh"
	"math/big"
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
	for group, curve := range map[uint16]ecdh.Curve{GroupECP256: ecdh.P256(), GroupECP384: ecdh.P384()} {
		if _, err := curve.NewPublicKey(append([]byte{4}, IKEPublic(group)...)); err != nil {
			t.Errorf("group %d: no point of the curve: %v", group, err)
		}
	}
	for group := range uint16(40) {
		if b := IKEPublic(group); len(b) != IKEGroupLen(group) {
			t.Errorf("group %d: got %d octets, want %d", group, len(b), IKEGroupLen(group))
		}
	}
}

// A server may check that a value is below the prime and in the group that the generator spans (RFC 6989, section 2.1): the squares.
func TestIKEPublicMODP(t *testing.T) {
	for group := range map[uint16]bool{GroupMODP1024: true, GroupMODP2048: true, GroupMODP3072: true, GroupMODP8192: true} {
		b := IKEPublic(group)
		n := new(big.Int).SetBytes(b)
		root := new(big.Int).Sqrt(n)
		// All these primes begin with 64 bits that are set (RFC 3526).
		if b[0]&0xC0 == 0 || b[0] >= 0xC0 || new(big.Int).Mul(root, root).Cmp(n) != 0 || bytes.Equal(b, IKEPublic(group)) {
			t.Errorf("group %d: got %x, want a square that is fresh and well below the prime", group, b)
		}
	}
}
