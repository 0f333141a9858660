package wire

import (
	"crypto/ecdh"
	"crypto/rand"
	"math/big"
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

// IKEPublic is a public value of a group, nil for one that IKEGroupLen does not know. That of an elliptic curve is genuine. That of another
// group is a square below the prime, as servers may ask for (RFC 6989, section 2.1): nobody can tell it from a genuine one.
func IKEPublic(group uint16) []byte {
	switch group {
	case GroupCurve25519:
		return ecPublic(ecdh.X25519())
	case GroupECP256:
		return ecPublic(ecdh.P256())[1:] // without the octet that says "uncompressed" (RFC 5903, section 7)
	case GroupECP384:
		return ecPublic(ecdh.P384())[1:]
	}
	n := IKEGroupLen(group)
	if n == 0 {
		return nil
	}
	root := make([]byte, n/2)
	rand.Read(root)
	root[0] = root[0]&0x3F | 0x80 // the square has n octets, and is less than three quarters of what has n
	r := new(big.Int).SetBytes(root)
	return r.Mul(r, r).FillBytes(make([]byte, n))
}

func ecPublic(curve ecdh.Curve) []byte {
	key, err := curve.GenerateKey(rand.Reader)
	if err != nil {
		panic(err) // crypto/rand does not fail
	}
	return key.PublicKey().Bytes()
}
