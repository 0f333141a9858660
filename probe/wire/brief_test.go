package wire

import "testing"

func TestBrief(t *testing.T) {
	mint, other := NewMint(1, make([]byte, 32)), NewMint(2, []byte("another key of thirty-two octets"))
	seen := make(map[Brief]bool)
	for n := range uint32(3000) {
		b := mint.Brief(Question, CarrierOpenVPNUDP, n)
		if seen[b] {
			t.Fatalf("exchange %d: %x again", n, b)
		}
		seen[b] = true
		if got, ok := mint.ReadBrief(Question, CarrierOpenVPNUDP, b); !ok || got != n {
			t.Fatalf("exchange %d: read %d, %v", n, got, ok)
		}
		for _, wrong := range []struct {
			m *Mint
			d Direction
			c Carrier
		}{{mint, Answer, CarrierOpenVPNUDP}, {mint, Question, CarrierOpenVPNTCP}, {other, Question, CarrierOpenVPNUDP}} {
			if _, ok := wrong.m.ReadBrief(wrong.d, wrong.c, b); ok {
				t.Fatalf("exchange %d: valid as %c of %s", n, wrong.d, wrong.c)
			}
		}
	}
	b := mint.Brief(Question, CarrierOpenVPNUDP, 7)
	for bit := range 8 * BriefSize {
		b[bit/8] ^= 1 << (bit % 8)
		if _, ok := mint.ReadBrief(Question, CarrierOpenVPNUDP, b); ok {
			t.Errorf("valid with bit %d changed", bit)
		}
		b[bit/8] ^= 1 << (bit % 8)
	}
}

// A session's brief tokens show neither its number nor that of the exchange.
func TestBriefLooksRandom(t *testing.T) {
	mint := NewMint(0x01020304, []byte("a key of some thirty-two octets!"))
	var ones [8 * BriefSize]int
	const n = 2000
	for i := range uint32(n) {
		b := mint.Brief(Question, CarrierOpenVPNUDP, i)
		for bit := range ones {
			ones[bit] += int(b[bit/8] >> (bit % 8) & 1)
		}
	}
	for bit, count := range ones {
		if count < n*2/5 || count > n*3/5 {
			t.Errorf("bit %d is set in %d of %d", bit, count, n)
		}
	}
}

// BenchmarkBrief reads a question's brief token: what a packet of fourteen octets costs the server, for each session that it may belong to.
func BenchmarkBrief(b *testing.B) {
	m := NewMint(1, []byte("another key of thirty-two octets"))
	t := m.Brief(Question, CarrierOpenVPNUDP, 7)
	for b.Loop() {
		if _, ok := m.ReadBrief(Question, CarrierOpenVPNUDP, t); !ok {
			b.Fatal("not read")
		}
	}
}
