package gate

import (
	"fmt"
	"math/rand/v2"
	"net/netip"
	"testing"
	"time"

	"vpncheck/probe/wire"
)

func TestEveryExchangeOnceInAnyOrder(t *testing.T) {
	e := open(t, Limits{})
	order := rand.New(rand.NewPCG(1, 2)).Perm(1000)
	for _, i := range order {
		e.admit(e.question(home, uint32(i)*4294967), "")
	}
	for _, i := range order {
		if p := e.question(home, uint32(i)*4294967); i != order[len(order)-1] {
			e.admit(p, SilentReplay)
		}
	}
	p := e.question(home, 0)
	p.Carrier = wire.CarrierPPTP // the same number in another carrier is another exchange
	p.Token = e.mint.Make(wire.Question, p.Carrier, 0)
	e.admit(p, "")
}

// answered is a gate that has answered exchange 1 from home with "one".
func answered(t *testing.T) (*end, Packet) {
	e := open(t, Limits{})
	p := e.question(home, 1)
	e.admit(p, "")
	e.s.Store(p.Carrier, 1, p.Message, []byte("one"))
	return e, p
}

func (e *end) retransmit(p Packet, want string) {
	e.t.Helper()
	if d := e.admit(p, ""); string(d.Stored) != want {
		e.t.Errorf("got %q, want %q", d.Stored, want)
	}
}

func TestRetransmission(t *testing.T) {
	for _, tt := range []struct {
		name string
		play func(e *end, p *Packet)
		want string
	}{
		{"identical", func(*end, *Packet) {}, ""},
		{"after-30-s", func(e *end, _ *Packet) { e.time = e.time.Add(30 * time.Second) }, ""},
		{"too-late", func(e *end, _ *Packet) { e.time = e.time.Add(30*time.Second + 1) }, SilentReplay},
		{"changed", func(_ *end, p *Packet) { p.Message = []byte{2} }, SilentReplay},
		{"longer", func(_ *end, p *Packet) { p.Message = []byte{1, 0} }, SilentReplay},
		{"empty", func(_ *end, p *Packet) { p.Message = nil }, SilentReplay},
		// The stored answer carries the nonce of the address that it was for.
		{"from-elsewhere", func(_ *end, p *Packet) { p.From = cgn }, SilentReplay},
		{"not-the-newest", func(e *end, _ *Packet) { e.admit(e.question(home, 2), "") }, SilentReplay},
		{"newer-was-silent", func(e *end, _ *Packet) { e.admit(e.question(netip.Addr{}, 2), SilentUnproved) }, ""},
		{"newer-elsewhere", func(e *end, _ *Packet) {
			q := e.question(home, 2)
			q.Carrier = wire.CarrierPPTP
			q.Token = e.mint.Make(wire.Question, q.Carrier, 2)
			e.admit(q, "")
		}, ""},
		{"closed", func(e *end, _ *Packet) { e.s.Close() }, SilentToken},
	} {
		t.Run(tt.name, func(t *testing.T) {
			e, p := answered(t)
			tt.play(e, &p)
			d := e.admit(p, tt.want)
			if want := map[bool]string{true: "one"}[tt.want == ""]; string(d.Stored) != want {
				t.Errorf("got %q, want %q", d.Stored, want)
			}
		})
	}
}

func TestRetransmissionFiveTimes(t *testing.T) {
	e, p := answered(t)
	for range 5 {
		e.time = e.time.Add(time.Second)
		e.retransmit(p, "one")
	}
	e.admit(p, SilentReplay)
}

func TestRetransmissionCountsAsCredit(t *testing.T) {
	e := open(t, Limits{Packets: 3})
	p := e.question(cgn, 1)
	e.admit(p, "")
	e.s.Store(p.Carrier, 1, p.Message, []byte("one"))
	e.spend(cgn, 100, "")
	e.spend(cgn, 100, SilentUnproved)
	e.retransmit(p, "one")
	e.spend(cgn, 100, "")
	e.retransmit(p, "one")
	e.admit(p, SilentBudget)
}

func TestStore(t *testing.T) {
	long := make([]byte, maxAnswer+1)
	for _, tt := range []struct {
		name     string
		exchange uint32
		message  []byte
		answer   []byte
		kept     bool
	}{
		{"newest", 2, []byte{2}, []byte("two"), true},
		{"largest", 2, []byte{2}, long[1:], true},
		{"too-large", 2, []byte{2}, long, false},
		{"empty", 2, []byte{2}, nil, false},
		{"older", 1, []byte{1}, []byte("one"), false},
		{"other-message", 2, []byte{1}, []byte("two"), false},
		{"unknown", 3, []byte{2}, []byte("two"), false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			e := open(t, Limits{})
			e.s.Store(wire.CarrierGRE, 2, []byte{2}, []byte("too early"))
			e.admit(e.question(home, 1), "")
			e.admit(e.question(home, 2), "")
			answer := append([]byte(nil), tt.answer...)
			e.s.Store(wire.CarrierGRE, tt.exchange, tt.message, answer)
			if len(answer) > 0 {
				answer[0] = 'X' // the gate keeps a copy
			}
			if tt.kept {
				e.retransmit(e.question(home, 2), string(tt.answer))
			} else {
				e.admit(e.question(home, 2), SilentReplay)
			}
		})
	}
}

func TestCarriersAreBounded(t *testing.T) {
	e := open(t, Limits{})
	for i := range 100 {
		p := e.question(home, 1)
		p.Carrier = wire.Carrier(fmt.Sprint("carrier-", i))
		p.Token = e.mint.Make(wire.Question, p.Carrier, 1)
		want := ""
		if i >= maxCarriers {
			want = SilentBudget
		}
		e.admit(p, want)
	}
}
