package wire

import (
	"crypto/rand"
	"fmt"
)

// A datagram without a form: random octets, and at its end, as random to whoever has not the key, a tag with the nonce in front of the
// token, as in ESP. It goes to the port of a protocol in the size of that protocol's opening: where it passes and the opening does not,
// something on the way has looked into it (F12).

// RandomSize is the least size of such a datagram in octets.
const RandomSize = TagSize + 4

// AppendRandom appends a datagram of size octets, at least RandomSize, with a tag at its end. A nonce of zeros, as a first question has it,
// would be a form: random octets stand in its place, which prove nothing to the server.
func AppendRandom(b []byte, size int, t Tag) []byte {
	size = max(size, RandomSize)
	if t.Nonce == ([NonceSize]byte{}) {
		rand.Read(t.Nonce[:])
	}
	noise := make([]byte, size-TagSize)
	rand.Read(noise)
	return append(append(append(b, noise...), t.Nonce[:]...), t.Token[:]...)
}

// ParseRandom reads the tag at the end of such a datagram. Whether it is one, only the token's key tells. It returns ErrShort if b has no
// room for one.
func ParseRandom(b []byte) (Tag, error) {
	if len(b) < RandomSize {
		return Tag{}, fmt.Errorf("reading random octets: %d octets, want %d: %w", len(b), RandomSize, ErrShort)
	}
	end := b[len(b)-TagSize:]
	return Tag{Nonce: [NonceSize]byte(end), Token: Token(end[NonceSize:])}, nil
}

// Where a protocol's opening is smaller than RandomSize, as OpenVPN's of 14 octets is, random octets of its size have a Brief at their end.

// BriefRandomSize is the least size of a datagram of random octets at all.
const BriefRandomSize = BriefSize + 4

// AppendBriefRandom appends a datagram of size octets, at least BriefRandomSize, with a brief token at its end.
func AppendBriefRandom(b []byte, size int, t Brief) []byte {
	return append(appendNoise(b, max(size, BriefRandomSize)-BriefSize), t[:]...)
}

// ParseBriefRandom reads the brief token at the end of a datagram that is too small for a whole one. It returns ErrShort if b has no room for
// it, and ErrFormat if b has room for a Tag.
func ParseBriefRandom(b []byte) (Brief, error) {
	if err := need(b, BriefRandomSize, "a datagram of random octets"); err != nil {
		return Brief{}, err
	}
	if len(b) >= RandomSize {
		return Brief{}, bad("%d octets have room for a whole token", len(b))
	}
	return Brief(b[len(b)-BriefSize:]), nil
}
