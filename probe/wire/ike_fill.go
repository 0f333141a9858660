package wire

import (
	"crypto/ecdh"
	"crypto/rand"
)

// IKENonce is the Body of a Nonce payload that starts with a tag: what Tag finds.
func IKENonce(t Tag) []byte {
	b := append(t.Append(nil), make([]byte, IKENonceLen-TagSize)...)
	rand.Read(b[TagSize:])
	return b
}

// IKESealed is what a cipher could have made, with a tag in it: the Body of an Encrypted payload, or all behind the header of an encrypted
// message of version 1. It has the size that is asked for, or as many octets as the tag needs.
func IKESealed(t Tag, size int) []byte {
	b := make([]byte, max(size, IKETagOffset+TagSize))
	rand.Read(b)
	t.Append(b[:IKETagOffset])
	return b
}

// IKEPublic is a public value of a group, nil for one that IKEGroupLen does not know. That of Curve25519 is genuine; another is as random
// as a genuine one looks, and never zero.
func IKEPublic(group uint16) []byte {
	if group == GroupCurve25519 {
		if key, err := ecdh.X25519().GenerateKey(rand.Reader); err == nil {
			return key.PublicKey().Bytes()
		}
	}
	n := IKEGroupLen(group)
	if n == 0 {
		return nil
	}
	b := make([]byte, n)
	rand.Read(b)
	b[0] = max(b[0], 1)
	return b
}
