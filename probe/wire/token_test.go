package wire

import (
	"bytes"
	"encoding/hex"
	"errors"
	"strings"
	"sync"
	"testing"
)

var tokenKey = counting(0, 32)

func TestTokenVectors(t *testing.T) {
	for _, tt := range []struct {
		session  uint32
		d        Direction
		c        Carrier
		exchange uint32
		hex      string
		text     string
	}{
		{1, Question, CarrierControl, 0, "00000001000000004a56d25e8593c3c6ff8b7d3d", "aaaaaaiaaaaaassw2jpile6dy37yw7j5"},
		{1, Answer, CarrierControl, 0, "0000000100000000c0b95cb455251f858748a32d", "aaaaaaiaaaaabqfzls2fkji7qwdurizn"},
		{1, Question, CarrierPPTP, 0, "00000001000000008d0eaef4ae988b303647ee6a", "aaaaaaiaaaaabdiov32k5gelga3ep3tk"},
		{0xfffefdfc, Question, CarrierGRE, 0x01020304, "fffefdfc01020304659bf91a5e9d4e512d860b80", "777p37abaibqizm37enf5hkokewymc4a"},
		{0xfffefdfc, Answer, CarrierGREv1, 0xffffffff, "fffefdfcffffffff1010656002aafb5f094b0d3f", "777p37h777776eaqmvqafkx3l4euwdj7"},
	} {
		got := NewMint(tt.session, tokenKey).Make(tt.d, tt.c, tt.exchange)
		if h := hex.EncodeToString(got[:]); h != tt.hex || got.String() != tt.text {
			t.Errorf("%#x %c %s %#x: got %s %s, want %s %s", tt.session, tt.d, tt.c, tt.exchange, h, got, tt.hex, tt.text)
		}
		if got.Session() != tt.session || got.Exchange() != tt.exchange {
			t.Errorf("got session %#x and exchange %#x, want %#x and %#x", got.Session(), got.Exchange(), tt.session, tt.exchange)
		}
	}
}

func TestTokenIsValidForOneThingOnly(t *testing.T) {
	m := NewMint(7, tokenKey)
	good := m.Make(Question, CarrierGRE, 3)
	other := counting(1, 32)
	for _, tt := range []struct {
		name string
		mint *Mint
		d    Direction
		c    Carrier
		tok  Token
		want bool
	}{
		{"itself", m, Question, CarrierGRE, good, true},
		{"same-key-elsewhere", NewMint(7, tokenKey), Question, CarrierGRE, good, true},
		{"other-direction", m, Answer, CarrierGRE, good, false},
		{"other-carrier", m, Question, CarrierGREv1, good, false},
		{"other-session", NewMint(8, tokenKey), Question, CarrierGRE, good, false},
		{"other-key", NewMint(7, other), Question, CarrierGRE, good, false},
		{"zero", m, Question, CarrierGRE, Token{}, false},
	} {
		if got := tt.mint.Valid(tt.d, tt.c, tt.tok); got != tt.want {
			t.Errorf("%s: got %v, want %v", tt.name, got, tt.want)
		}
	}
	for bit := range TokenSize * 8 {
		bad := good
		bad[bit/8] ^= 1 << (bit % 8)
		if m.Valid(Question, CarrierGRE, bad) {
			t.Errorf("a token with bit %d changed is valid", bit)
		}
	}
}

func TestTokenText(t *testing.T) {
	tok := NewMint(7, tokenKey).Make(Answer, CarrierPPTP, 9)
	if got, err := ParseToken(tok.String()); err != nil || got != tok {
		t.Errorf("got %v, %v, want %v", got, err, tok)
	}
	for _, s := range []string{
		"", tok.String()[:31], tok.String() + "a", strings.ToUpper(tok.String()), "1" + tok.String()[1:], tok.String()[:31] + "=",
		tok.String()[:24] + "\n\n\n\n\n\n\n\n", "\r" + tok.String()[1:],
	} {
		if got, err := ParseToken(s); err == nil || got != (Token{}) {
			t.Errorf("%q: got %v, %v, want an error", s, got, err)
		}
	}
}

func TestTokenAt(t *testing.T) {
	tok := NewMint(7, tokenKey).Make(Answer, CarrierPPTP, 9)
	b := append([]byte{1, 2, 3}, tok[:]...)
	if got, err := TokenAt(b, 3); err != nil || got != tok {
		t.Errorf("got %v, %v, want %v", got, err, tok)
	}
	for n := range b {
		if _, err := TokenAt(b[:n], 3); !errors.Is(err, ErrShort) {
			t.Errorf("of %d octets: got %v, want %v", n, err, ErrShort)
		}
	}
	for _, at := range []int{-1, 4, len(b), len(b) + 1, 1 << 62, -1 << 63} {
		if _, err := TokenAt(b, at); !errors.Is(err, ErrShort) {
			t.Errorf("at %d: got %v, want %v", at, err, ErrShort)
		}
	}
}

func TestMintDoesNotAllocate(t *testing.T) {
	m := NewMint(7, tokenKey)
	tok := m.Make(Question, CarrierGREv1, 0)
	if n := testing.AllocsPerRun(1000, func() { tok = m.Make(Question, CarrierGREv1, 1) }); n != 0 {
		t.Errorf("Make: got %v allocations, want none", n)
	}
	if n := testing.AllocsPerRun(1000, func() { m.Valid(Question, CarrierGREv1, tok) }); n != 0 {
		t.Errorf("Valid: got %v allocations, want none", n)
	}
}

func TestMintFromManyGoroutines(t *testing.T) {
	m := NewMint(7, tokenKey)
	var wg sync.WaitGroup
	for g := range uint32(8) {
		wg.Go(func() {
			for i := range uint32(200) {
				if !m.Valid(Question, CarrierGRE, m.Make(Question, CarrierGRE, g<<16|i)) {
					t.Errorf("the token of exchange %#x is not valid", g<<16|i)
				}
			}
		})
	}
	wg.Wait()
}

func TestMintDerive(t *testing.T) {
	m, other := NewMint(7, tokenKey), NewMint(7, make([]byte, 32))
	key := m.Derive("ah")
	switch {
	case len(key) != 32 || !bytes.Equal(key, NewMint(8, tokenKey).Derive("ah")):
		t.Errorf("got %x, want 32 octets that the session's key and the label decide", key)
	case bytes.Equal(key, m.Derive("esp")) || bytes.Equal(key, other.Derive("ah")):
		t.Error("another label or another key gives the same")
	}
}
