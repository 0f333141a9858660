package gate

import (
	"bytes"
	"net/netip"
	"testing"
	"time"

	"vpncheck/probe/wire"
)

var (
	home   = netip.MustParseAddr("192.0.2.1")
	cgn    = netip.MustParseAddr("192.0.2.2")
	victim = netip.MustParseAddr("203.0.113.9")
)

// An end is a gate with a clock that the test moves, a session opened from home, and the client's mint.
type end struct {
	t    testing.TB
	time time.Time
	gate *Gate
	s    *Session
	mint *wire.Mint
}

func open(t testing.TB, l Limits) *end {
	t.Helper()
	e := &end{t: t, time: time.Unix(1e9, 0)}
	e.gate = New(l, func() time.Time { return e.time })
	var err error
	if e.s, err = e.gate.Open(home); err != nil {
		t.Fatal(err)
	}
	e.mint = wire.NewMint(e.s.ID(), e.s.Key())
	return e
}

// question is a packet of 100 octets whose message is its own.
func (e *end) question(from netip.Addr, exchange uint32) Packet {
	c := wire.CarrierGRE
	return Packet{Carrier: c, From: from, Token: e.mint.Make(wire.Question, c, exchange), Message: []byte{byte(exchange)}, Size: 100}
}

func (e *end) admit(p Packet, silent string) Decision {
	e.t.Helper()
	d := e.gate.Admit(p)
	if d.Silent != silent {
		e.t.Errorf("admit from %v, exchange %d: got %q, want %q", p.From, p.Token.Exchange(), d.Silent, silent)
	}
	if (d.Session == nil) != (silent == SilentToken) {
		e.t.Errorf("got session %v with %q", d.Session, d.Silent)
	}
	return d
}

func (e *end) spend(to netip.Addr, octets int, want string) {
	e.t.Helper()
	if got := e.s.Spend(to, octets); got != want {
		e.t.Errorf("spending %d on %v: got %q, want %q", octets, to, got, want)
	}
}

// Knowing a token takes nothing away: the packet is still admitted afterwards, once.
func TestKnows(t *testing.T) {
	e := open(t, Limits{})
	p := e.question(home, 1)
	for range 3 {
		if e.gate.Knows(p.Carrier, p.Token) != e.s {
			t.Error("got an unknown token, want a session's")
		}
	}
	e.admit(p, "")
	for name, known := range map[string]*Session{
		"answer":        e.gate.Knows(p.Carrier, e.s.Token(p.Carrier, 1)),
		"other-carrier": e.gate.Knows(wire.CarrierRandom, p.Token),
		"zero":          e.gate.Knows(p.Carrier, wire.Token{}),
	} {
		if known != nil {
			t.Errorf("%s: known", name)
		}
	}
	e.s.Close()
	if e.gate.Knows(p.Carrier, p.Token) != nil {
		t.Error("the token of a closed session is known")
	}
}

func TestAdmitOnlyValidTokens(t *testing.T) {
	e := open(t, Limits{})
	other, _ := e.gate.Open(home)
	good := e.question(home, 1)
	with := func(change func(p *Packet)) Packet {
		p := good
		change(&p)
		return p
	}
	for name, p := range map[string]Packet{
		"zero":          {From: home},
		"mirror":        with(func(p *Packet) { p.Token = e.s.Token(p.Carrier, 1) }),
		"other-carrier": with(func(p *Packet) { p.Carrier = wire.CarrierGREv1 }),
		"other-session": with(func(p *Packet) { p.Token[3] ^= byte(e.s.ID()) ^ byte(other.ID()) }),
		"other-key":     with(func(p *Packet) { p.Token = wire.NewMint(e.s.ID(), other.Key()).Make(wire.Question, p.Carrier, 1) }),
		"damaged":       with(func(p *Packet) { p.Token[19] ^= 1 }),
		"renumbered":    with(func(p *Packet) { p.Token[7] ^= 1 }),
	} {
		t.Run(name, func(t *testing.T) {
			e.t = t
			e.admit(p, SilentToken)
		})
	}
	e.t = t
	if d := e.admit(good, ""); d.Session != e.s || d.Stored != nil {
		t.Errorf("got %v, want the session and nothing stored", d)
	}
	want := e.mint.Make(wire.Answer, good.Carrier, 1)
	if got := e.s.Token(good.Carrier, 1); got != want || got == good.Token {
		t.Errorf("got answer token %v, want %v", got, want)
	}
}

func TestSessionsHaveSecretsOfTheirOwn(t *testing.T) {
	e := open(t, Limits{})
	other, _ := e.gate.Open(home)
	if e.s.ID() == 0 || e.s.ID() == other.ID() || len(e.s.Key()) != 32 || bytes.Equal(e.s.Key(), other.Key()) {
		t.Error("two sessions share their number or key")
	}
	if e.s.Nonce(home) == other.Nonce(home) || e.s.Nonce(home) == e.s.Nonce(cgn) {
		t.Error("a nonce is of one session and one address")
	}
	e.s.Key()[0] ^= 1
	e.admit(e.question(home, 1), "")
}

func TestSessionLimits(t *testing.T) {
	g := New(Limits{Sessions: 5, SessionsPerAddress: 2}, time.Now)
	for i, tt := range []struct {
		from string
		want error
	}{
		{"192.0.2.1", nil},
		{"::ffff:192.0.2.1", nil},
		{"192.0.2.1", ErrBusy},
		{"2001:db8::1", nil},
		{"2001:db8::2", nil},
		{"2001:db8::ffff:0:0:3", ErrBusy}, // one /64
		{"2001:db8:0:1::1", nil},
		{"192.0.2.3", ErrBusy}, // the sixth
		{"0.0.0.0", ErrAddress},
		{"::", ErrAddress},
		{"224.0.0.1", ErrAddress},
		{"ff02::1", ErrAddress},
		{"255.255.255.255", ErrAddress},
	} {
		if _, err := g.Open(netip.MustParseAddr(tt.from)); err != tt.want {
			t.Errorf("%d, from %s: got %v, want %v", i, tt.from, err, tt.want)
		}
	}
	if _, err := g.Open(netip.Addr{}); err != ErrAddress {
		t.Errorf("got %v, want %v", err, ErrAddress)
	}
	s := g.SessionsFrom(home)[0]
	s.Close()
	s.Close()
	if _, err := g.Open(home); err != nil {
		t.Errorf("after Close: %v", err)
	}
	if _, err := g.Open(home); err != ErrBusy {
		t.Errorf("closing twice made room twice: got %v", err)
	}
}

// Who has an IPv6 /48, and with it 65,536 households, has not all sessions.
func TestSessionsOfSite(t *testing.T) {
	g := New(Limits{Sessions: 9, SessionsPerAddress: 2, SessionsPerSite: 3}, time.Now)
	for i, tt := range []struct {
		from string
		want error
	}{
		{"2001:db8::1", nil},
		{"2001:db8:0:1::1", nil},
		{"2001:db8:0:2::1", nil},
		{"2001:db8:0:3::1", ErrBusy},
		{"2001:db8:1::1", nil},
		{"192.0.2.1", nil},
		{"192.0.2.1", nil},
		{"192.0.2.2", nil},
		{"192.0.2.3", nil},
	} {
		if _, err := g.Open(netip.MustParseAddr(tt.from)); err != tt.want {
			t.Errorf("%d, from %s: got %v, want %v", i, tt.from, err, tt.want)
		}
	}
	g.SessionsFrom(netip.MustParseAddr("2001:db8:0:1::1"))[0].Close()
	if _, err := g.Open(netip.MustParseAddr("2001:db8:0:3::1")); err != nil {
		t.Errorf("after Close: %v", err)
	}
}

func TestExpiry(t *testing.T) {
	e := open(t, Limits{Sessions: 1, Lifetime: time.Minute})
	e.admit(e.question(home, 1), "")
	e.time = e.time.Add(time.Minute - 1)
	e.admit(e.question(home, 2), "")
	if e.s.Expired() {
		t.Error("expired too early")
	}
	e.time = e.time.Add(1)
	e.admit(e.question(home, 3), SilentToken)
	e.spend(home, 1, SilentBudget)
	if !e.s.Expired() || e.s.Closed() || len(e.gate.SessionsFrom(home)) != 0 {
		t.Error("a session past its lifetime is still found")
	}
	e.gate.Sweep()
	if !e.s.Closed() || e.gate.Sessions() != 0 {
		t.Error("a session past its lifetime survived a sweep")
	}
	if _, err := e.gate.Open(cgn); err != nil {
		t.Fatal(err)
	}
	e.time = e.time.Add(time.Minute)
	if _, err := e.gate.Open(cgn); err != nil {
		t.Errorf("an expired session keeps others out: %v", err)
	}
}

func TestClose(t *testing.T) {
	e := open(t, Limits{})
	e.admit(e.question(home, 1), "")
	e.s.Close()
	e.admit(e.question(home, 2), SilentToken)
	e.spend(home, 1, SilentBudget)
	e.s.Prove(cgn)
	e.s.Store(wire.CarrierGRE, 1, []byte{1}, []byte("late"))
	if got := e.gate.SessionsFrom(cgn); got != nil || !e.s.Closed() || len(e.gate.proved) != 0 || len(e.gate.from) != 0 {
		t.Errorf("a closed session left something behind: %v", got)
	}
}

func TestSessionsFrom(t *testing.T) {
	e := open(t, Limits{})
	two, _ := e.gate.Open(netip.MustParseAddr("::ffff:192.0.2.1"))
	check := func(a string, want int) {
		t.Helper()
		if got := e.gate.SessionsFrom(netip.MustParseAddr(a)); len(got) != want {
			t.Errorf("%s: got %d sessions, want %d", a, len(got), want)
		}
	}
	check("192.0.2.1", 2)
	check("::ffff:192.0.2.1", 2)
	check("192.0.2.2", 0)
	e.admit(e.question(cgn, 1), "")
	check("192.0.2.2", 0) // seen, not proved
	two.Prove(netip.MustParseAddr("::ffff:192.0.2.2"))
	two.Prove(cgn)
	check("192.0.2.2", 1)
	e.spend(cgn, 100, "")
	p := e.question(cgn, 2)
	p.Nonce = e.s.Nonce(cgn)
	e.admit(p, "")
	check("192.0.2.2", 2)
	two.Close()
	check("192.0.2.1", 1)
	check("192.0.2.2", 1)
}
