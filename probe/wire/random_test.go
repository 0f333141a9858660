package wire

import (
	"bytes"
	"errors"
	"testing"
)

func TestRandom(t *testing.T) {
	tag := Tag{Token: NewMint(7, make([]byte, 32)).Make(Question, CarrierRandom, 3), Nonce: [NonceSize]byte{1, 2, 3, 4, 5, 6, 7, 8}}
	for _, size := range []int{0, RandomSize, 100, 464, 1400} {
		b := AppendRandom([]byte("odd"), size, tag)[3:]
		if len(b) != max(size, RandomSize) {
			t.Errorf("got %d octets, want %d", len(b), size)
		}
		if got, err := ParseRandom(b); err != nil || got != tag {
			t.Errorf("got %+v, %v, want %+v", got, err, tag)
		}
		if other := AppendRandom(nil, size, tag); bytes.Equal(b[:4], other[:4]) {
			t.Error("two datagrams begin alike: that is a form")
		}
	}
	b := AppendRandom(nil, 0, tag)
	for i := range b {
		if _, err := ParseRandom(b[:i]); !errors.Is(err, ErrShort) {
			t.Errorf("of %d octets: got %v, want ErrShort", i, err)
		}
	}
}

// Eight octets of zero are no noise.
func TestRandomHasNoZeros(t *testing.T) {
	b := AppendRandom(nil, 200, Tag{Token: Token(bytes.Repeat([]byte{0xa5}, TokenSize))})
	if bytes.Contains(b, make([]byte, 4)) {
		t.Errorf("got %x", b)
	}
}

func FuzzParseRandom(f *testing.F) {
	f.Add([]byte{NATKeepalive})
	f.Add(AppendRandom(nil, 0, Tag{}))
	f.Add(AppendRandom(nil, 464, Tag{Token: NewMint(7, make([]byte, 32)).Make(Question, CarrierRandom, 3)}))
	f.Fuzz(func(t *testing.T, b []byte) {
		tag, err := ParseRandom(b)
		if (err == nil) != (len(b) >= RandomSize) {
			t.Fatalf("%d octets: %v", len(b), err)
		}
		if err != nil {
			return
		}
		again, err := ParseRandom(AppendRandom(nil, len(b), tag))
		if err != nil || again.Token != tag.Token || tag.Nonce != ([NonceSize]byte{}) && again.Nonce != tag.Nonce {
			t.Fatalf("got %+v, %v, want %+v", again, err, tag)
		}
	})
}
