package wire

import (
	"bytes"
	"testing"
)

func TestESPTag(t *testing.T) {
	tag := Tag{Token: Token(counting(0x30, TokenSize)), Nonce: [NonceSize]byte(counting(0x70, NonceSize))}
	for _, inner := range []int{0, 20, 52, 84, 576, 1400} {
		plain := ESP{SPI: 0x01020304, SequenceNumber: 7, Payload: counting(1, ESPPayload(inner)), ICV: counting(9, icvLen)}
		before := plain.Append(nil)
		b := plain.WithTag(tag).Append(nil)
		if len(b) != ESPSize(inner) || !bytes.Equal(b[:len(b)-TagSize], before[:len(b)-TagSize]) {
			t.Errorf("inner %d: got %x, want the packet but for its last 28 octets", inner, b)
		}
		if want := append(tag.Nonce[:], tag.Token[:]...); !bytes.HasSuffix(b, want) {
			t.Errorf("inner %d: got %x, want nonce and token at its end", inner, b)
		}
		if !bytes.Equal(plain.Append(nil), before) {
			t.Errorf("inner %d: the packet itself was changed", inner)
		}
		got, err := ParseESP(b)
		if err != nil {
			t.Fatal(err)
		}
		if back, err := got.Tag(); err != nil || back != tag {
			t.Errorf("inner %d: got %x, %v, want %x", inner, back, err, tag)
		}
	}
	for _, e := range []ESP{{}, {Payload: make([]byte, 8), ICV: make([]byte, icvLen)}, {Payload: make([]byte, 64)}} {
		if _, err := e.Tag(); err == nil {
			t.Errorf("%+v has no tag, and no error says so", e)
		}
	}
	if e := (ESP{}).WithTag(tag); len(e.Append(nil)) != espHeaderLen+TagSize {
		t.Errorf("got %d octets, want the header and the tag", len(e.Append(nil)))
	}
}
