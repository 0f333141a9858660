package wire

import (
	"bytes"
	"errors"
	"testing"
)

func TestTag(t *testing.T) {
	tag := Tag{Token: Token(counting(1, TokenSize)), Nonce: [NonceSize]byte(counting(0xf0, NonceSize))}
	b := tag.Append([]byte("before"))
	want := append(append([]byte("before"), counting(1, TokenSize)...), counting(0xf0, NonceSize)...)
	if !bytes.Equal(b, want) {
		t.Fatalf("got %x, want %x", b, want)
	}
	b = b[len("before"):]
	if len(b) != TagSize {
		t.Errorf("got %d octets, want %d", len(b), TagSize)
	}
	for _, more := range []string{"", "and more"} {
		if got, err := ParseTag(append(bytes.Clone(b), more...)); err != nil || got != tag {
			t.Errorf("got %v, %v, want %v", got, err, tag)
		}
	}
	for n := range b {
		if _, err := ParseTag(b[:n]); !errors.Is(err, ErrShort) {
			t.Errorf("of %d octets: got %v, want %v", n, err, ErrShort)
		}
	}
}
