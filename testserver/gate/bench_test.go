package gate

import (
	"fmt"
	"testing"
	"time"

	"vpncheck/probe/wire"
)

func roomy(t testing.TB) *end { return open(t, Limits{Packets: 1 << 40, Bytes: 1 << 50}) }

func BenchmarkAdmit(b *testing.B) {
	for _, size := range []int{64, 1400} {
		b.Run(fmt.Sprint("new-", size), func(b *testing.B) {
			e := roomy(b)
			p := e.question(home, 0)
			p.Message = make([]byte, size)
			b.ReportAllocs()
			for x := uint32(0); b.Loop(); x++ {
				p.Token = e.mint.Make(wire.Question, p.Carrier, x)
				if d := e.gate.Admit(p); d.Silent != "" {
					b.Fatal(d.Silent)
				}
			}
		})
	}
	b.Run("replay", func(b *testing.B) {
		e := roomy(b)
		p := e.question(home, 0)
		b.ReportAllocs()
		for b.Loop() {
			e.gate.Admit(p)
		}
	})
	b.Run("stranger", func(b *testing.B) {
		e := roomy(b)
		p := Packet{Carrier: wire.CarrierGRE, From: victim, Message: make([]byte, 64), Size: 84}
		b.ReportAllocs()
		for b.Loop() {
			e.gate.Admit(p)
		}
	})
}

func BenchmarkSpend(b *testing.B) {
	e := roomy(b)
	b.ReportAllocs()
	for b.Loop() {
		e.s.Spend(home, 0)
	}
}

func BenchmarkMint(b *testing.B) {
	m := wire.NewMint(1, make([]byte, 32))
	b.ReportAllocs()
	for x := uint32(0); b.Loop(); x++ {
		m.Make(wire.Answer, wire.CarrierGRE, x)
	}
}

// A session's whole budget of packets, so that growing tables are counted too.
func TestAdmitDoesNotAllocate(t *testing.T) {
	e := open(t, Limits{Bytes: 1 << 40, Lifetime: time.Hour})
	x := uint32(0)
	run := func(f func(p Packet)) float64 {
		return testing.AllocsPerRun(900, func() {
			x++
			f(Packet{Carrier: wire.CarrierGRE, From: home, Token: e.mint.Make(wire.Question, wire.CarrierGRE, x), Size: 60})
		})
	}
	if n := run(func(p Packet) { e.admit(p, ""); e.s.Spend(home, 10) }); n != 0 {
		t.Errorf("new: got %v allocations, want none", n)
	}
	if n := run(func(p Packet) { p.Token[8] ^= 1; e.admit(p, SilentToken) }); n != 0 {
		t.Errorf("stranger: got %v allocations, want none", n)
	}
	if n := run(func(p Packet) { e.s.Nonce(p.From); e.s.Token(p.Carrier, 1) }); n != 0 {
		t.Errorf("nonce and token: got %v allocations, want none", n)
	}
}
