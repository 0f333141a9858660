package main

import (
	"context"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"vpncheck/probe/sock"
	"vpncheck/probe/wire"
	"vpncheck/testserver"
)

// A site is one of two servers that test each other.
type site struct {
	host  *sock.FakeHost
	addr  netip.Addr
	state *testserver.State
	srv   *testserver.Server

	mu   sync.Mutex
	said []string
}

func newSite(t *testing.T, f *sock.Fake, addr, dir string) *site {
	s := &site{addr: netip.MustParseAddr(addr)}
	s.host = f.Host(s.addr)
	var err error
	if s.state, err = testserver.OpenState(dir, testserver.StateOptions{}); err != nil {
		t.Fatal(err)
	}
	return s
}

func (s *site) serve(t *testing.T) {
	s.srv = testserver.New(testserver.Config{Net: s.host, Own: []netip.Addr{s.addr}, State: s.state, Responders: responders(), Build: "test"})
	if err := s.srv.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
}

// test begins to test another site, as serve does with --peer.
func (s *site) test(ctx context.Context, other *site) {
	p := &peers{
		net: s.host, others: []wire.ConnString{other.state.ConnString(other.addr.String(), 0)}, sentTo: s.srv.SentTo,
		say: func(text string) { s.mu.Lock(); defer s.mu.Unlock(); s.said = append(s.said, text) },
	}
	go p.run(ctx)
}

func (s *site) proven() (out []wire.Carrier) {
	for c := range s.state.Proofs() {
		out = append(out, c)
	}
	slices.Sort(out)
	return out
}

func (s *site) says() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return strings.Join(s.said, "\n")
}

// sites runs f in a bubble with two servers.
func sites(t *testing.T, between func(sock.FakePacket) []sock.FakePacket, f func(t *testing.T, ctx context.Context, a, b *site)) {
	t.Helper()
	dirs := [2]string{t.TempDir(), t.TempDir()}
	synctest.Test(t, func(t *testing.T) {
		fake := sock.NewFake()
		fake.Between, fake.Delay = between, 5*time.Millisecond
		a, b := newSite(t, fake, "198.51.100.10", dirs[0]), newSite(t, fake, "203.0.113.77", dirs[1])
		ctx, cancel := context.WithCancel(t.Context())
		a.serve(t)
		defer func() {
			cancel()
			time.Sleep(time.Second) // the bubble's time: a test that is under way ends
			a.srv.Close()
			if b.srv != nil {
				b.srv.Close()
			}
		}()
		f(t, ctx, a, b)
	})
}

func through(p sock.FakePacket) []sock.FakePacket { return []sock.FakePacket{p} }

var everyCarrier = []wire.Carrier{"ah", "esp", "gre", "gre-v1", "ike", "l2tp", "natt", "openvpn-tcp", "openvpn-udp", "pptp", "sstp", "udp-control", "wireguard"}

// Two servers that test each other prove each other, whichever begins: what has no ports counts as soon as it cannot be an answer.
func TestPeersProveEachOther(t *testing.T) {
	sites(t, through, func(t *testing.T, ctx context.Context, a, b *site) {
		b.serve(t)
		a.test(ctx, b)
		b.test(ctx, a)
		time.Sleep(time.Minute)
		for _, s := range []*site{a, b} {
			for _, c := range []wire.Carrier{"ike", "l2tp", "natt", "pptp", "sstp", "udp-control", "wireguard"} {
				if !slices.Contains(s.proven(), c) {
					t.Errorf("%v is not proven after a minute: %v", c, s.proven())
				}
			}
		}
		time.Sleep(3 * time.Hour)
		for _, s := range []*site{a, b} {
			if got := s.proven(); !slices.Equal(got, everyCarrier) {
				t.Errorf("%v: got %v, want all proven", s.addr, got)
			}
			if said := s.says(); !strings.HasPrefix(said, "proved to the other server ") || strings.Contains(said, "\n") {
				t.Errorf("got %q, want it said once that it was proved", said)
			}
		}
	})
}

// A server that tests another proves that one, and nothing about itself: the answers come back through any firewall.
func TestPeerAnswersProveNothing(t *testing.T) {
	sites(t, through, func(t *testing.T, ctx context.Context, a, b *site) {
		b.serve(t)
		a.test(ctx, b)
		time.Sleep(3 * time.Hour)
		if got := b.proven(); !slices.Equal(got, everyCarrier) {
			t.Errorf("the other: got %v, want all proven", got)
		}
		if got := a.proven(); len(got) > 0 {
			t.Errorf("got %v proven, want nothing", got)
		}
		for _, r := range b.state.Proofs() {
			if time.Since(r.At) > 80*time.Minute {
				t.Errorf("the last proof is of %v ago, want one every hour", time.Since(r.At))
			}
		}
	})
}

// What does not arrive is said once, and so is a server that is not there; the secret is never said.
func TestPeerFailures(t *testing.T) {
	noESP := func(p sock.FakePacket) []sock.FakePacket {
		if p.Proto == wire.IPProtoESP {
			return nil
		}
		return through(p)
	}
	sites(t, noESP, func(t *testing.T, ctx context.Context, a, b *site) {
		a.test(ctx, b)
		time.Sleep(time.Hour)
		if said := a.says(); !strings.HasPrefix(said, "testing the other server 203.0.113.77: ") || strings.Contains(said, "\n") {
			t.Errorf("got %q, want one sentence", said)
		}
		b.serve(t)
		time.Sleep(time.Hour)
		if said := a.says(); !strings.HasSuffix(said, "\nwhat was sent to the other server 203.0.113.77 did not arrive: ESP (IP protocol 50)") {
			t.Errorf("got %q, want ESP named", said)
		}
		if got := b.proven(); slices.Contains(got, "esp") || !slices.Contains(got, "ah") {
			t.Errorf("got %v proven, want all but ESP", got)
		}
		code := b.state.ConnString("203.0.113.77", 0).String()
		if code = code[strings.LastIndex(code, "/")+1:]; strings.Contains(a.says(), code) {
			t.Error("the secret was said")
		}
	})
}

// A firewall that is shut for ESP and lets answers in opens for ten minutes when the server itself asks: what the other server sends in then
// is no proof.
func TestPeersThroughStatefulFirewall(t *testing.T) {
	var asked time.Time
	stateful := func(p sock.FakePacket) []sock.FakePacket {
		if p.Proto != wire.IPProtoESP {
			return through(p)
		}
		if p.Src.Addr() == netip.MustParseAddr("198.51.100.10") {
			asked = time.Now()
			return through(p)
		}
		if time.Since(asked) < 10*time.Minute {
			return through(p)
		}
		return nil
	}
	sites(t, stateful, func(t *testing.T, ctx context.Context, a, b *site) {
		b.serve(t)
		a.test(ctx, b)
		b.test(ctx, a)
		time.Sleep(6 * time.Hour)
		if got := a.proven(); slices.Contains(got, "esp") || !slices.Contains(got, "ah") {
			t.Errorf("got %v proven, want all but ESP", got)
		}
	})
}

// To a server that could not be reached nothing was sent: what comes from there counts at once.
func TestPeerThatBeginsLater(t *testing.T) {
	sites(t, through, func(t *testing.T, ctx context.Context, a, b *site) {
		a.test(ctx, b)
		time.Sleep(10 * time.Second)
		b.serve(t)
		b.test(ctx, a)
		time.Sleep(20 * time.Second)
		if got := a.proven(); !slices.Equal(got, everyCarrier) {
			t.Errorf("got %v, want all proven", got)
		}
	})
}

// Other servers are tested one after the other.
func TestPeersTakeTurns(t *testing.T) {
	sites(t, through, func(t *testing.T, ctx context.Context, a, b *site) {
		b.serve(t)
		var mu sync.Mutex
		var calls []time.Time
		link := b.state.ConnString(b.addr.String(), 0)
		p := &peers{net: a.host, others: []wire.ConnString{link, link, link}, say: func(string) {}}
		p.sentTo = func(...netip.Addr) error {
			mu.Lock()
			calls = append(calls, time.Now())
			mu.Unlock()
			time.Sleep(10 * time.Second)
			return nil
		}
		go p.run(ctx)
		time.Sleep(2 * time.Minute)
		mu.Lock()
		defer mu.Unlock()
		if len(calls) != 6 {
			t.Fatalf("got %d calls, want two for each test", len(calls))
		}
		for i := range len(calls) - 1 {
			if d := calls[i+1].Sub(calls[i]); d < 10*time.Second {
				t.Errorf("a test began %v after another one had", d)
			}
		}
	})
}
