package main

import (
	"context"
	"errors"
	"net/netip"
	"slices"
	"sync"
	"syscall"
	"testing"
	"time"

	"vpncheck/probe"
	"vpncheck/probe/sock"
	"vpncheck/probe/wire"
	"vpncheck/probe/witness"
)

// The way from the laptop: its router, the provider's, one of the internet's, the server.
var (
	hop1 = netip.MustParseAddr("192.168.1.1")
	hop2 = netip.MustParseAddr("203.0.113.254")
	hop3 = netip.MustParseAddr("192.0.2.33")
	hops = []netip.Addr{hop1, hop2, hop3}
)

// A way is a joined network with three routers, one of which drops some packets on the way out, and the counters of the first.
type way struct {
	dropsAt uint8 // the hop that drops; it answers all the same what expires there (T08)
	drops   func(sock.FakePacket) bool
	dropsIn func(sock.FakePacket) bool // answers dropped by the provider, beyond the router's counters
	home    func(sock.FakePacket) bool // those that the router brings home; nil brings all
	rush    int                        // packets a second of other traffic

	// As a witness.RouterAsker.
	answers time.Duration // how long it takes to tell of itself
	mute    bool          // it has no counters
	broken  bool          // they stand still

	mu             sync.Mutex
	began          time.Time
	sent, received uint32
}

func (w *way) dropped(at uint8, p sock.FakePacket) bool {
	return w.drops != nil && p.Src.Addr() == atHome && at >= w.dropsAt && w.drops(p)
}

func (w *way) expired(hop uint8, p sock.FakePacket) netip.Addr {
	if p.Src.Addr() != atHome || w.dropped(hop-1, p) {
		return netip.Addr{}
	}
	return hops[hop-1]
}

func (w *way) between(p sock.FakePacket) []sock.FakePacket {
	w.mu.Lock()
	defer w.mu.Unlock()
	switch {
	case w.dropped(1, p) && w.dropsAt == 1:
		return nil
	case p.Src.Addr() == atHome:
		w.sent++
		if w.dropped(3, p) {
			return nil
		}
	case p.Dst.Addr() == public && w.dropsIn != nil && w.dropsIn(p):
		return nil
	case p.Dst.Addr() == public:
		w.received++
	}
	home := w.home
	if home == nil {
		home = always
	}
	return nat(home)(p)
}

func (w *way) Router(ctx context.Context) witness.Router {
	r := witness.Router{Look: witness.Look{Looked: true}, Model: "fake", Counts: !w.mute, CountsWhy: "it has none"}
	select {
	case <-time.After(w.answers):
	case <-ctx.Done():
		return witness.Router{Look: witness.Look{Why: ctx.Err().Error()}}
	}
	return r
}

// Counters are those of the router's outer side. TLS, of which the fake shows no packets, is its idle traffic.
func (w *way) Counters(context.Context) (witness.Counters, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.mute {
		return witness.Counters{}, errors.New("it has none")
	}
	c := witness.Counters{At: time.Now()}
	if !w.broken {
		other := uint32(time.Since(w.began).Seconds() * float64(10+w.rush))
		c.Sent, c.Received = w.sent+other, w.received+other
	}
	return c, nil
}

// trace runs with the way's routers and counters.
func (w *way) trace(t *testing.T, proven bool, prepare func(j *joined, cfg *probe.Config), f func(j *joined, r probe.Result, witnesses int)) {
	t.Helper()
	join(t, w.between, func(j *joined) {
		j.fake.Hops, j.fake.Expired = 3, w.expired
		if proven {
			j.prove()
		}
		w.began = time.Now()
		before := len(j.laptop.Sent())
		cfg := probe.Config{Net: j.laptop, Host: j.cs.Host, Access: j.cs.Access, Pin: j.cs.Pin, Build: "test", Router: w}
		if prepare != nil {
			prepare(j, &cfg)
		}
		told, witnesses := map[string]probe.Finding{}, 0
		r := probe.Run(j.Context(), probe.Open(j.Context(), cfg), allProbes(), func(e probe.Event) {
			switch e.Kind {
			case "verdict":
				if witnesses > 0 {
					j.Errorf("the verdict of %s came after the witnesses", e.Protocol)
				}
				told[e.Protocol] = *e.Finding
			case "witness":
				witnesses++
			}
		})
		for _, f := range r.Findings {
			if t := told[f.Protocol]; t.Verdict != f.Verdict || t.Reason != f.Reason {
				j.Errorf("%s: told %s (%s), in the end %s (%s)", f.Protocol, t.Verdict, t.Reason, f.Verdict, f.Reason)
			}
		}
		if n := len(j.laptop.Sent()) - before; n >= 2000 {
			j.Errorf("the run sent %d packets", n)
		}
		if took := r.Ended.Sub(r.Started); took > 20*time.Second {
			j.Errorf("the run took %v", took)
		}
		f(j, r, witnesses)
	})
}

func observed(r probe.Result, id string) probe.Observation {
	i := slices.IndexFunc(r.Observations, func(o probe.Observation) bool { return o.Protocol == id })
	return r.Observations[i]
}

// answered are the hops that answered for a protocol, or for the control.
func answered(o probe.Observation, control bool) (out []int) {
	for _, h := range o.Hops {
		if h.Control == control && len(h.Answers) > 0 && h.Answers[0].From == hops[h.TTL-1] && h.Answers[0].Type == wire.ICMPTimeExceeded {
			out = append(out, h.TTL)
		}
	}
	return out
}

func ofProto(proto uint8) func(sock.FakePacket) bool {
	return func(p sock.FakePacket) bool { return p.Proto == proto }
}

func headedFor(proto uint8, port uint16) func(sock.FakePacket) bool {
	return func(p sock.FakePacket) bool { return p.Proto == proto && p.Dst.Port() == port }
}

// How far packets of a protocol come is told by the routers that answer for it, with as little as eight octets quoted.
func TestJoinedHops(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name     string
		protocol string
		drops    func(sock.FakePacket) bool
		at       uint8
		quote    int
		want     []int
	}{
		{"esp-at-the-router", "esp", ofProto(wire.IPProtoESP), 1, 0, []int{1}},
		{"esp-at-the-provider", "esp", ofProto(wire.IPProtoESP), 2, 8, []int{1, 2}},
		{"esp-far-away", "esp", ofProto(wire.IPProtoESP), 3, 8, []int{1, 2, 3}},
		{"ah-at-the-provider", "ah", ofProto(wire.IPProtoAH), 2, 8, []int{1, 2}},
		{"gre-at-the-provider", "gre", ofProto(wire.IPProtoGRE), 2, 8, []int{1, 2}},
		{"pptp-tunnel-at-the-provider", "pptp", ofProto(wire.IPProtoGRE), 2, 0, []int{1, 2}},
		{"ike-at-the-provider", "ike", headedFor(wire.IPProtoUDP, 500), 2, 0, []int{1, 2}},
		{"ike-at-the-router", "ike", headedFor(wire.IPProtoUDP, 500), 1, 8, []int{1}},
		{"natt-at-the-provider", "natt", headedFor(wire.IPProtoUDP, 4500), 2, 0, []int{1, 2}},
		{"natt-esp-at-the-provider", "natt", func(p sock.FakePacket) bool {
			return headedFor(wire.IPProtoUDP, 4500)(p) && p.Checksum == sock.ChecksumNone
		}, 2, 0, []int{1, 2}},
		{"l2tp-at-the-provider", "l2tp", headedFor(wire.IPProtoUDP, 1701), 2, 0, []int{1, 2}},
		{"pptp-at-the-provider", "pptp", headedFor(6, 1723), 2, 8, []int{1, 2}},
		{"pptp-at-the-router", "pptp", headedFor(6, 1723), 1, 8, []int{1}},
	} {
		t.Run(c.name, func(t *testing.T) {
			w := &way{drops: c.drops, dropsAt: c.at, mute: true}
			w.trace(t, true, func(j *joined, _ *probe.Config) { j.fake.Quote = c.quote }, func(j *joined, r probe.Result, witnesses int) {
				o := observed(r, c.protocol)
				if got := answered(o, false); !slices.Equal(got, c.want) || witnesses != 1 {
					j.Errorf("got answers from hops %v, want %v: %+v (%s)", got, c.want, o.Hops, o.HopsWhy)
				}
				if got := answered(o, true); !slices.Equal(got, []int{1, 2, 3}) {
					j.Errorf("the control: got answers from hops %v", got)
				}
				for _, h := range o.Hops {
					switch {
					case h.Asked > 3, h.Asked > 1 && len(h.Answers) > 0:
						j.Errorf("hop %d was asked %d times", h.TTL, h.Asked)
					case h.Control && h.TTL == 4 && h.Arrived != 1, !h.Control && h.Arrived != 0:
						j.Errorf("hop %d: %d arrived", h.TTL, h.Arrived)
					}
				}
				for _, other := range r.Observations {
					if len(other.Hops) > 0 && r.Findings[slices.IndexFunc(r.Findings, func(f probe.Finding) bool { return f.Protocol == other.Protocol })].Verdict == probe.Passed {
						j.Errorf("%s passed, and was asked for", other.Protocol)
					}
				}
			})
		})
	}
}

// Where ICMP cannot be heard, that is said, and nobody is asked.
func TestJoinedHopsUnheard(t *testing.T) {
	t.Parallel()
	w := &way{drops: ofProto(wire.IPProtoESP), dropsAt: 1, mute: true}
	w.trace(t, true, func(j *joined, _ *probe.Config) { j.laptop.Deny = map[string]error{"raw/1": syscall.EPERM} }, func(j *joined, r probe.Result, witnesses int) {
		o := observed(r, "esp")
		if len(o.Hops) > 0 || o.HopsWhy == "" || witnesses != 0 || o.Train == nil || o.Train.Why != "it has none" {
			j.Errorf("got %+v, %q, %+v and %d calls", o.Hops, o.HopsWhy, o.Train, witnesses)
		}
	})
}

// The router's counters tell whether it let a protocol out, and its answers in.
func TestJoinedTrain(t *testing.T) {
	t.Parallel()
	esp := ofProto(wire.IPProtoESP)
	for _, c := range []struct {
		name      string
		way       *way
		out, back int
		ok        bool
	}{
		{"the-router-drops", &way{drops: esp, dropsAt: 1}, 0, 0, true},
		{"the-provider-drops", &way{drops: esp, dropsAt: 2}, 48, 0, true},
		{"the-provider-drops-beside-traffic", &way{drops: esp, dropsAt: 2, rush: 15}, 48, 0, true},
		{"the-router-drops-beside-traffic", &way{drops: esp, dropsAt: 1, rush: 15}, 0, 0, true},
		{"the-router-drops-answers", &way{home: func(p sock.FakePacket) bool { return !esp(p) }}, 48, 48, true},
		{"the-provider-drops-answers", &way{dropsIn: esp}, 48, 0, true},
		{"too-much-traffic", &way{drops: esp, dropsAt: 2, rush: 2000}, 0, 0, false},
		{"counters-that-stand-still", &way{drops: esp, dropsAt: 2, broken: true}, 0, 0, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			c.way.answers = 2 * time.Second
			c.way.trace(t, true, nil, func(j *joined, r probe.Result, _ int) {
				train := observed(r, "esp").Train
				if train == nil || train.Sent != 48 {
					j.Fatalf("got %+v, want a train of 48", train)
				}
				// The fake shows no TLS: what tells of arrivals is not counted.
				told := train.Arrived
				train.Arrived = 0
				out, back, ok := train.Counted()
				if ok != c.ok || ok && (abs(out-c.out) > 4 || abs(back-c.back) > 4) {
					j.Errorf("got %d out and %d back (%v), want %d and %d (%v): %+v", out, back, ok, c.out, c.back, c.ok, train)
				}
				if blocked := c.way.drops != nil; blocked != (told == 0) {
					j.Errorf("%d arrived", told)
				}
			})
		})
	}
}

func abs(n int) int { return max(n, -n) }

// Of a run in which everything dies, the protocols that matter most have trains, and it is over in time.
func TestJoinedTrainEverythingDropped(t *testing.T) {
	t.Parallel()
	session := func(p sock.FakePacket) bool { return p.Proto == 6 && p.Dst.Port() == 443 }
	w := &way{drops: func(p sock.FakePacket) bool { return !session(p) }, dropsAt: 2, answers: 2 * time.Second}
	w.trace(t, true, nil, func(j *joined, r probe.Result, _ int) {
		trains := 0
		for _, o := range r.Observations {
			if o.Train != nil && o.Train.Sent > 0 {
				trains++
			}
			if got := answered(o, false); !slices.Equal(got, []int{1, 2}) && o.Protocol != "sstp" { // which has the session's port, and passes
				j.Errorf("%s: got answers from hops %v", o.Protocol, got)
			}
		}
		if natt, esp, ike := observed(r, "natt").Train, observed(r, "esp").Train, observed(r, "ike").Train; natt.Sent == 0 || esp.Sent == 0 || ike.Sent != 0 || ike.Why == "" {
			j.Errorf("%d trains, want those of NAT-T, for all of UDP, and of ESP: %+v, %+v, %+v", trains, natt, esp, ike)
		}
		if why := observed(r, "pptp").Train; why == nil || why.Why == "" {
			j.Errorf("PPTP's train: got %+v, want why there is none", why)
		}
		j.Logf("%d trains, %v", trains, r.Ended.Sub(r.Started))
	})
}

// An open run waits for no router, and asks no witness.
func TestJoinedOpenWithRouter(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		answers time.Duration
		looked  bool
	}{{2 * time.Second, true}, {time.Hour, false}} {
		w := &way{answers: c.answers}
		w.trace(t, false, nil, func(j *joined, r probe.Result, witnesses int) {
			if took := r.Ended.Sub(r.Started); took > 5*time.Second {
				j.Errorf("the open path took %v with a router that takes %v, at most 5 s", took, c.answers)
			}
			router := r.Circumstances.Router
			if router == nil || router.Looked != c.looked || !c.looked && router.Why == "" || witnesses != 0 {
				j.Errorf("got %+v, and %d calls for witnesses", router, witnesses)
			}
			for _, o := range r.Observations {
				if o.Train != nil || o.Hops != nil || o.HopsWhy != "" {
					j.Errorf("%s has a witness", o.Protocol)
				}
			}
		})
	}
}

// Who is interrupted while the witnesses are asked keeps the verdicts.
func TestJoinedWitnessInterrupted(t *testing.T) {
	t.Parallel()
	w := &way{drops: ofProto(wire.IPProtoESP), dropsAt: 1, mute: true}
	join(t, w.between, func(j *joined) {
		j.fake.Hops, j.fake.Expired = 3, w.expired
		j.prove()
		ctx, cancel := context.WithCancel(j.Context())
		defer cancel()
		cfg := probe.Config{Net: j.laptop, Host: j.cs.Host, Access: j.cs.Access, Pin: j.cs.Pin, Build: "test", Router: w}
		r := probe.Run(ctx, probe.Open(ctx, cfg), allProbes(), func(e probe.Event) {
			if e.Kind == "witness" {
				cancel()
			}
		})
		j.want(r, map[string]string{"esp": "blocked-out esp-out-dropped", "ike": "passed"})
	})
}
