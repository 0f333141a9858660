package gate

import (
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"vpncheck/probe/wire"
)

// TestManyGoroutines lets many send the same questions to the same sessions while these open, close and are swept: each question is
// admitted once, and the budget holds.
func TestManyGoroutines(t *testing.T) {
	const senders, exchanges, allowed = 8, 400, 300
	g := New(Limits{Packets: allowed}, time.Now)
	s, err := g.Open(home)
	if err != nil {
		t.Fatal(err)
	}
	mint := wire.NewMint(s.ID(), s.Key())
	var admitted, left atomic.Int64
	var wg sync.WaitGroup
	for i := range senders {
		wg.Go(func() {
			for x := range uint32(exchanges) {
				p := Packet{Carrier: wire.CarrierGRE, From: numbered(i % 3), Token: mint.Make(wire.Question, wire.CarrierGRE, x), Size: 60}
				p.Nonce = s.Nonce(p.From)
				if d := g.Admit(p); d.Silent == "" && d.Stored == nil {
					admitted.Add(1)
					s.Store(p.Carrier, x, p.Message, p.Nonce[:])
				}
				if s.Spend(p.From, 60) == "" {
					left.Add(1)
				}
			}
		})
		wg.Go(func() {
			for range exchanges {
				other, err := g.Open(cgn)
				if err != nil {
					continue
				}
				other.Prove(numbered(i))
				g.SessionsFrom(numbered(i))
				g.Sweep()
				other.Close()
			}
		})
	}
	wg.Wait()
	if admitted.Load() > allowed || left.Load() > allowed || admitted.Load() == 0 || left.Load() == 0 {
		t.Errorf("admitted %d and sent %d, at most %d each", admitted.Load(), left.Load(), allowed)
	}
	s.Close()
	if g.Sessions() != 0 || len(g.proved) != 0 || len(g.from) != 0 || len(g.sites) != 0 {
		t.Errorf("%d sessions, %d addresses, %d places are left", g.Sessions(), len(g.proved), len(g.from))
	}
}
