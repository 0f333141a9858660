package wire

import (
	"crypto/cipher"
	"crypto/ecdh"
	"crypto/hmac"
	"fmt"
	"hash"

	"golang.org/x/crypto/blake2s"
	"golang.org/x/crypto/chacha20poly1305"
)

// Noise_IKpsk2 as WireGuard uses it (section 5.4): X25519, ChaCha20-Poly1305, BLAKE2s.

const (
	noiseConstruction = "Noise_IKpsk2_25519_ChaChaPoly_BLAKE2s"
	noiseIdentifier   = "WireGuard v1 zx2c4 Jason@zx2c4.com"
	labelMAC1         = "mac1----"
)

// A noise is a handshake under way: the chaining key, the hash of all that was said, and the key of the next sealed field. It is copied by
// assignment.
type noise struct {
	chain, said, key [blake2s.Size]byte
}

// newNoise begins one with the responder's static public key, which both know.
func newNoise(responder []byte) noise {
	n := noise{chain: blake2s.Sum256([]byte(noiseConstruction))}
	n.said = n.chain
	n.hash([]byte(noiseIdentifier))
	n.hash(responder)
	return n
}

func (n *noise) hash(b []byte) {
	n.said = blake2s.Sum256(append(n.said[:len(n.said):len(n.said)], b...))
}

// mix takes something into the chaining key alone.
func (n *noise) mix(b []byte) { n.chain = n.kdf(b, 1)[0] }

// secret takes a shared secret into the chaining key, and makes a key of it. It fails for a public key of low order.
func (n *noise) secret(own *ecdh.PrivateKey, remote *ecdh.PublicKey) error {
	shared, err := own.ECDH(remote)
	if err != nil {
		return bad("WireGuard's key exchange: %v", err)
	}
	k := n.kdf(shared, 2)
	n.chain, n.key = k[0], k[1]
	return nil
}

// respond is what both ends do with the responder's ephemeral key: two secrets, and the preshared key, which is zero (section 5.4.3).
func (n *noise) respond(ephemeral []byte, own [2]*ecdh.PrivateKey, remote [2]*ecdh.PublicKey) error {
	n.mix(ephemeral)
	n.hash(ephemeral)
	for i := range own {
		if err := n.secret(own[i], remote[i]); err != nil {
			return err
		}
	}
	k := n.kdf(make([]byte, 32), 3)
	n.chain, n.key = k[0], k[2]
	n.hash(k[1][:])
	return nil
}

// seal appends a field that is sealed with the key, and hashes it.
func (n *noise) seal(b, plain []byte) []byte {
	sealed := aead(n.key).Seal(nil, make([]byte, chacha20poly1305.NonceSize), plain, n.said[:])
	n.hash(sealed)
	return append(b, sealed...)
}

// open is its other end.
func (n *noise) open(sealed []byte) ([]byte, error) {
	plain, err := aead(n.key).Open(nil, make([]byte, chacha20poly1305.NonceSize), sealed, n.said[:])
	if err != nil {
		return nil, fmt.Errorf("opening a field of WireGuard's handshake: %w: %w", err, ErrFormat)
	}
	n.hash(sealed)
	return plain, nil
}

// split makes the keys of the transport: the initiator sends with the first (section 5.4.5).
func (n *noise) split() (first, second cipher.AEAD) {
	k := n.kdf(nil, 2)
	return aead(k[0]), aead(k[1])
}

// kdf is HKDF (RFC 5869) with the chaining key for its salt.
func (n *noise) kdf(in []byte, keys int) [3][blake2s.Size]byte {
	var out [3][blake2s.Size]byte
	prk := hmacBLAKE2s(n.chain[:], in)
	var last []byte
	for i := range keys {
		last = hmacBLAKE2s(prk, last, []byte{byte(i + 1)})
		out[i] = [blake2s.Size]byte(last)
	}
	return out
}

func hmacBLAKE2s(key []byte, parts ...[]byte) []byte {
	m := hmac.New(func() hash.Hash {
		h, _ := blake2s.New256(nil) // fails for a key that is too long, and there is none
		return h
	}, key)
	for _, p := range parts {
		m.Write(p)
	}
	return m.Sum(nil)
}

func aead(key [blake2s.Size]byte) cipher.AEAD {
	a, err := chacha20poly1305.New(key[:])
	if err != nil {
		panic(err) // the key has its length
	}
	return a
}

// mac1 shows that the sender of a message knows its receiver's public key (section 5.4.4).
func mac1(b, receiver []byte) []byte {
	key := blake2s.Sum256(append([]byte(labelMAC1), receiver...))
	m, err := blake2s.New128(key[:])
	if err != nil {
		panic(err) // the key has its length
	}
	m.Write(b)
	return m.Sum(nil)
}
