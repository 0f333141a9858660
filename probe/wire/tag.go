package wire

import "fmt"

// TagSize is the length of a Tag.
const TagSize = TokenSize + NonceSize

// A Tag is a token and a nonce: all that a control message says, and the first octets of the payload wherever a protocol leaves
// room for data of ours (LCP Echo data, the inner packet of GRE). Questions and answers have the same length, so that an answer
// is never larger than what asked for it.
//
// In an answer the nonce is the server's own; a question gives back the nonce of the last answer (zero before the first), which
// proves that its address receives.
type Tag struct {
	Token Token
	Nonce [NonceSize]byte
}

// Append appends the tag's 28 octets to b.
func (t Tag) Append(b []byte) []byte { return append(append(b, t.Token[:]...), t.Nonce[:]...) }

// ParseTag reads the tag at the start of b; more may follow.
func ParseTag(b []byte) (Tag, error) {
	if len(b) < TagSize {
		return Tag{}, fmt.Errorf("reading a tag: %d octets, want %d: %w", len(b), TagSize, ErrShort)
	}
	return Tag{Token: Token(b[:TokenSize]), Nonce: [NonceSize]byte(b[TokenSize:TagSize])}, nil
}
