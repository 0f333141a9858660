package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"vpncheck/probe"
	"vpncheck/probe/sock"
	"vpncheck/probe/wire"
	"vpncheck/testserver"
)

// The two ends joined in memory: no privileges, no real time. A router is one function.

var (
	atHome   = netip.MustParseAddr("192.168.1.11")
	atHome2  = netip.MustParseAddr("192.168.1.12") // another laptop there
	public   = netip.MustParseAddr("203.0.113.2")
	atServer = netip.MustParseAddr("198.51.100.10")
	atSecond = netip.MustParseAddr("198.51.100.11") // the server's other address
	passerby = netip.MustParseAddr("203.0.113.77")

	atHome6   = netip.MustParseAddr("2001:db8:1::11")
	atServer6 = netip.MustParseAddr("2001:db8:5::10")
)

// A joined is a laptop and a server in a bubble.
type joined struct {
	*testing.T
	fake   *sock.Fake
	laptop *sock.FakeHost
	server *sock.FakeHost
	other  *sock.FakeHost
	srv    *testserver.Server
	state  *testserver.State
	cs     wire.ConnString
	moved  atomic.Bool // the laptop has another address by now
}

// wanderer is a laptop that may get another address in mid-run.
type wanderer struct {
	*sock.FakeHost
	moved *atomic.Bool
}

func (w wanderer) Source(dst netip.Addr) (netip.Addr, error) {
	if w.moved.Load() {
		return netip.MustParseAddr("192.168.7.7"), nil
	}
	return w.FakeHost.Source(dst)
}

// join runs f in a bubble with a running server. The route is set before the first packet.
func join(t *testing.T, route func(sock.FakePacket) []sock.FakePacket, f func(j *joined)) {
	t.Helper()
	dir := t.TempDir()
	synctest.Test(t, func(t *testing.T) {
		j := &joined{T: t, fake: sock.NewFake()}
		j.fake.Between, j.fake.Delay = route, 5*time.Millisecond
		j.laptop, j.server, j.other = j.fake.Host(atHome, atHome6), j.fake.Host(atServer, atSecond, atServer6), j.fake.Host(passerby)
		state, err := testserver.OpenState(dir, testserver.StateOptions{})
		if err != nil {
			t.Fatal(err)
		}
		j.srv = testserver.New(testserver.Config{Net: j.server, Own: []netip.Addr{atServer, atSecond, atServer6}, State: state, Responders: responders(), Build: "test"})
		if err := j.srv.Start(t.Context()); err != nil {
			t.Fatal(err)
		}
		defer j.srv.Close()
		j.state, j.cs = state, state.ConnString(atServer.String(), 0)
		f(j)
	})
}

// prove lets a passer-by prove the server, as the lab's neighbour does: one answer of each protocol is enough.
func (j *joined) prove() {
	j.Helper()
	p := probe.Open(j.Context(), probe.Config{Net: j.other, Host: j.cs.Host, Access: j.cs.Access, Pin: j.cs.Pin, Build: "test", Prove: true})
	for _, o := range probe.Run(j.Context(), p, allProbes(), nil).Observations {
		if !slices.ContainsFunc(o.Exchanges, func(e probe.Exchange) bool { return e.Returned.State == wire.Seen }) {
			j.Fatalf("the passer-by's %s was not answered", o.Protocol)
		}
	}
}

func (j *joined) run(ctx context.Context, from *sock.FakeHost) (r probe.Result) {
	defer func() { // whatever else happens, nobody blames a firewall that there is none of
		for _, o := range r.Observations {
			for _, e := range o.Exchanges {
				if e.Silent == wire.SilentFirewall && j.server.Input == nil {
					j.Errorf("%s: the server's firewall is blamed, and there is none", e.ID)
				}
			}
		}
	}()
	p := probe.Open(ctx, probe.Config{Net: wanderer{from, &j.moved}, Host: j.cs.Host, Access: j.cs.Access, Pin: j.cs.Pin, Build: "test"})
	return probe.Run(ctx, p, allProbes(), nil)
}

func allProbes() (out []probe.Probe) {
	for _, p := range protocols {
		out = append(out, p.probe)
	}
	return out
}

func (j *joined) want(r probe.Result, want map[string]string) {
	j.Helper()
	for _, f := range r.Findings {
		got := string(f.Verdict)
		if f.Reason != "" {
			got += " " + string(f.Reason)
		}
		if w, ok := want[f.Protocol]; ok && got != w {
			text, _ := json.MarshalIndent(f.Because, "", " ")
			j.Errorf("%s: got %q, want %q\n%s", f.Protocol, got, w, text)
		}
	}
}

// judgedAgain judges a run by its report alone: it says the same.
func (j *joined) judgedAgain(r probe.Result) {
	j.Helper()
	text, err := json.Marshal(r)
	var again probe.Result
	if err == nil {
		err = json.Unmarshal(text, &again)
	}
	if err != nil {
		j.Fatal(err)
	}
	for i, p := range allProbes() {
		f := probe.Judge(p, again.Observations[i], again.Circumstances)
		if f.Verdict != r.Findings[i].Verdict || f.Reason != r.Findings[i].Reason {
			j.Errorf("%s: judged again it is %s (%s)", f.Protocol, f.Verdict, f.Reason)
		}
	}
}

// nat translates the laptop's address and nothing else: ports and Call-IDs stay. Linux loses enhanced GRE on the way back unless a helper
// has read the call: home says which answers come home.
func nat(home func(sock.FakePacket) bool) func(sock.FakePacket) []sock.FakePacket {
	return func(p sock.FakePacket) []sock.FakePacket {
		switch {
		case p.Src.Addr() == atHome:
			p.Src = netip.AddrPortFrom(public, p.Src.Port())
		case p.Dst.Addr() == public && home(p):
			p.Dst = netip.AddrPortFrom(atHome, p.Dst.Port())
		case p.Dst.Addr() == public:
			return nil
		}
		return []sock.FakePacket{p}
	}
}

func always(sock.FakePacket) bool { return true }

func isGRE(p sock.FakePacket, version int) bool {
	v, err := wire.GREVersion(p.Payload)
	return p.Proto == wire.IPProtoGRE && err == nil && v == version
}

func TestJoinedPasses(t *testing.T) {
	t.Parallel()
	join(t, nat(always), func(j *joined) {
		r := j.run(j.Context(), j.laptop)
		j.want(r, map[string]string{"pptp": "passed", "gre": "passed", "ike": "passed", "natt": "passed", "esp": "passed",
			"ah": "altered ah-through-nat", "l2tp": "passed", "openvpn-udp": "passed", "openvpn-tcp": "passed",
			"wireguard": "passed", "sstp": "passed", "ikev2": "passed", "l2tp-ipsec": "passed"})
		if took := r.Ended.Sub(r.Started); took > 5*time.Second {
			t.Errorf("the open path took %v of the bubble's time, at most 5 s", took)
		}
	})
}

func TestJoinedRouters(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name  string
		route func(sock.FakePacket) []sock.FakePacket
		want  map[string]string
	}{
		{"no-helper", nat(func(p sock.FakePacket) bool { return !isGRE(p, 1) }), map[string]string{"pptp": "blocked-back no-pptp-helper", "gre": "passed"}},
		{"no-gre-back", nat(func(p sock.FakePacket) bool { return p.Proto != wire.IPProtoGRE }), map[string]string{"pptp": "blocked-back gre-back-dropped", "gre": "blocked-back gre-back-dropped"}},
		{"no-gre-out", func(p sock.FakePacket) []sock.FakePacket {
			if p.Proto == wire.IPProtoGRE && p.Src.Addr() == atHome {
				return nil
			}
			return nat(always)(p)
		}, map[string]string{"pptp": "blocked-out gre-out-dropped", "gre": "blocked-out gre-out-dropped"}},
		{"doubled", func(p sock.FakePacket) []sock.FakePacket {
			out := nat(always)(p)
			if p.Proto == 6 {
				return out
			}
			return append(out, out...)
		}, map[string]string{"pptp": "passed", "gre": "passed"}},
		{"dscp-and-ttl-changed", func(p sock.FakePacket) []sock.FakePacket {
			p.DSCP, p.TTL = 8, p.TTL-1
			return nat(always)(p)
		}, map[string]string{"pptp": "passed", "gre": "passed"}},
		{"cut-short", func(p sock.FakePacket) []sock.FakePacket {
			if p.Proto == wire.IPProtoGRE && p.Src.Addr() == atHome {
				p.Payload = p.Payload[:len(p.Payload)-4]
			}
			return nat(always)(p)
		}, map[string]string{"pptp": "altered payload-altered", "gre": "altered payload-altered"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			join(t, c.route, func(j *joined) {
				j.prove()
				j.want(j.run(j.Context(), j.laptop), c.want)
			})
		})
	}
}

// However the dice fall, loss alone never makes a verdict (T19).
func TestJoinedLoss(t *testing.T) {
	t.Parallel()
	counts := map[string]int{}
	for seed := range uint64(40) {
		dice := map[uint16]*rand.Rand{} // each protocol has its own, whatever else is asked beside it
		blocked := seed%2 == 1
		route := func(p sock.FakePacket) []sock.FakePacket {
			own := uint16(p.Proto) + min(p.Src.Port(), p.Dst.Port())
			if dice[own] == nil {
				dice[own] = rand.New(rand.NewPCG(seed, uint64(own)))
			}
			if p.Proto != 6 && dice[own].Float64() < 0.10 {
				return nil
			}
			return nat(func(p sock.FakePacket) bool { return !blocked || !isGRE(p, 1) })(p)
		}
		join(t, route, func(j *joined) {
			for _, f := range j.run(j.Context(), j.laptop).Findings {
				got := fmt.Sprintf("%s %s", f.Protocol, f.Verdict)
				counts[got]++
				right := probe.Passed
				switch {
				case blocked && f.Protocol == "pptp":
					right = probe.BlockedBack
				case f.Protocol == "ah":
					right = probe.Altered // behind a NAT
				}
				if f.Verdict != right && f.Verdict != probe.Inconclusive {
					t.Errorf("seed %d: %s is %s (%s), want %s", seed, f.Protocol, f.Verdict, f.Reason, right)
				}
			}
		})
	}
	if undecided := counts["pptp inconclusive"] + counts["gre inconclusive"]; undecided > 4 {
		t.Errorf("%d of 80 undecided: %v", undecided, counts)
	}
}

// passesLossy asks a protocol on twenty lossy lines: it passes, and hardly ever is that left open.
func passesLossy(t *testing.T, id string) {
	t.Helper()
	undecided := 0
	for seed := range uint64(20) {
		join(t, lossy(seed, nat(always)), func(j *joined) {
			f, _ := j.only(id)
			if f.Verdict == probe.Inconclusive {
				undecided++
			} else if f.Verdict != probe.Passed {
				j.Errorf("seed %d: %s (%s), want passed", seed, f.Verdict, f.Reason)
			}
		})
	}
	if undecided > 1 {
		t.Errorf("%d of 20 undecided", undecided)
	}
}

// The ground moves under a run: nothing that was under way becomes a verdict.
func TestJoinedEndsEarly(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name string
		act  func(j *joined, cancel context.CancelFunc)
		want string
	}{
		{"server-killed", func(j *joined, _ context.CancelFunc) { j.fake.Cut(); j.srv.Close() }, "session-lost"},
		{"interrupted", func(_ *joined, cancel context.CancelFunc) { cancel() }, "interrupted"},
		{"address-changed", func(j *joined, _ context.CancelFunc) { j.moved.Store(true) }, "address-changed"},
	} {
		t.Run(c.name, func(t *testing.T) {
			join(t, nat(always), func(j *joined) {
				ctx, cancel := context.WithCancel(j.Context())
				defer cancel()
				go func() {
					time.Sleep(700 * time.Millisecond) // the bubble's time: in the middle of the call
					c.act(j, cancel)
				}()
				r := j.run(ctx, j.laptop)
				for _, f := range r.Findings {
					if f.Reason == probe.AHThroughNAT {
						continue // three packets were enough for that
					}
					if f.Verdict != probe.Inconclusive && f.Verdict != probe.Untested || string(f.Reason) != c.want {
						t.Errorf("%s: %s (%s), want inconclusive or untested (%s)", f.Protocol, f.Verdict, f.Reason, c.want)
					}
				}
			})
		})
	}
}

// A laptop without privileges asks what it may, and says what would add the rest.
func TestJoinedUnprivileged(t *testing.T) {
	t.Parallel()
	join(t, nat(always), func(j *joined) {
		j.laptop.Deny = map[string]error{"raw": syscall.EPERM}
		r := j.run(j.Context(), j.laptop)
		j.want(r, map[string]string{"pptp": "untested no-privilege", "gre": "untested no-privilege"})
		for i, o := range r.Observations {
			if r.Findings[i].Verdict == probe.Untested && (o.Refused == nil || !strings.Contains(o.Refused.Hint, "sudo")) {
				t.Errorf("%s: no hint: %+v", o.Protocol, o.Refused)
			}
		}
	})
}

// No secret leaves with a report.
func TestJoinedSecrets(t *testing.T) {
	t.Parallel()
	join(t, nat(always), func(j *joined) {
		r := j.run(j.Context(), j.laptop)
		text, err := json.Marshal(r)
		if err != nil {
			t.Fatal(err)
		}
		code := j.cs.String()
		for _, secret := range []string{code[strings.LastIndex(code, "/")+1:], fmt.Sprintf("%x", j.cs.Access)} {
			if bytes.Contains(text, []byte(secret)) {
				t.Error("the result holds the access code")
			}
		}
	})
}

// A slow line is not a lossy one, and a line by satellite is slow.
func TestJoinedSlow(t *testing.T) {
	t.Parallel()
	join(t, nat(always), func(j *joined) {
		j.fake.SetDelay(300 * time.Millisecond) // a round trip of 600 ms
		j.want(j.run(j.Context(), j.laptop), map[string]string{"pptp": "passed", "gre": "passed"})
	})
}

// What neither client nor server acts on may be changed on the way: PPTP lives.
func TestJoinedHarmlessChange(t *testing.T) {
	t.Parallel()
	join(t, nat(always), func(j *joined) {
		j.fake.SetStream(func(b []byte, toServer bool) []byte {
			if m, n, err := wire.ParsePPTP(b); err == nil && n == len(b) && !toServer {
				if reply, ok := m.(wire.StartControlConnectionReply); ok {
					reply.MaximumChannels++
					return reply.Append(nil)
				}
			}
			return b
		})
		j.want(j.run(j.Context(), j.laptop), map[string]string{"pptp": "passed"})
	})
}

// A call that is cut off again and again is tried a few times, not as fast as it can be: a test is no flood.
func TestJoinedManners(t *testing.T) {
	t.Parallel()
	join(t, nat(always), func(j *joined) {
		j.fake.SetStream(func(b []byte, toServer bool) []byte {
			if m, _, err := wire.ParsePPTP(b); err == nil && m.ControlMessageType() == wire.TypeOutgoingCallReply {
				return nil
			}
			return b
		})
		j.want(j.run(j.Context(), j.laptop), map[string]string{"pptp": "blocked-back no-return"})
		n := 0
		for _, p := range j.laptop.Sent() {
			if p.Proto == 6 && p.Dst.Port() == 1723 {
				n++
			}
		}
		if n > 12 {
			t.Errorf("connected %d times", n)
		}
	})
}

// Where only the session gets through, the run ends soon, and says nothing false: nobody proved this server.
func TestJoinedEverythingDropped(t *testing.T) {
	t.Parallel()
	for _, proof := range []bool{false, true} {
		t.Run(fmt.Sprintf("proven-%v", proof), func(t *testing.T) {
			route := func(p sock.FakePacket) []sock.FakePacket {
				session := p.Proto == 6 && (p.Src.Port() == 443 || p.Dst.Port() == 443)
				if !session && (p.Src.Addr() == atHome || p.Dst.Addr() == public) {
					return nil
				}
				return nat(always)(p)
			}
			join(t, route, func(j *joined) {
				want := "inconclusive server-unproven"
				if proof {
					j.prove()
					want = "blocked-out"
				}
				r := j.run(j.Context(), j.laptop)
				for _, f := range r.Findings {
					want := want
					if f.Protocol == "sstp" {
						want = "passed" // it has the session's port
					}
					if got := string(f.Verdict) + " " + string(f.Reason); !strings.HasPrefix(got, want) {
						t.Errorf("%s: got %q, want %q", f.Protocol, got, want)
					}
				}
				if took := r.Ended.Sub(r.Started); took > 20*time.Second {
					t.Errorf("it took %v, at most 20 s", took)
				} else {
					t.Logf("it took %v", took)
				}
			})
		})
	}
}

// Our own questions thrown back are neither answers nor an impostor's.
func TestJoinedMirror(t *testing.T) {
	t.Parallel()
	route := func(p sock.FakePacket) []sock.FakePacket {
		if p.Proto == wire.IPProtoGRE && p.Src.Addr() == atHome {
			p.Src, p.Dst = p.Dst, p.Src
			return []sock.FakePacket{p}
		}
		return nat(always)(p)
	}
	join(t, route, func(j *joined) {
		j.prove()
		j.want(j.run(j.Context(), j.laptop), map[string]string{"pptp": "blocked-out gre-out-dropped", "gre": "blocked-out gre-out-dropped"})
	})
}

// An ICMP error that asks for smaller packets refuses nothing; one that says "prohibited" does.
func TestJoinedICMP(t *testing.T) {
	t.Parallel()
	for code, want := range map[uint8]string{4: "blocked-out udp-port-dropped", 13: "blocked-out udp-refused"} {
		route := func(p sock.FakePacket) []sock.FakePacket {
			if p.Proto != wire.IPProtoUDP || p.Dst.Port() != wire.IKEPort || p.Src.Addr() != atHome {
				return nat(always)(p)
			}
			quoted := wire.UDP{SrcPort: p.Src.Port(), DstPort: p.Dst.Port(), Length: uint16(8 + len(p.Payload))}.Append(nil)
			m := wire.ICMPError{Type: wire.ICMPUnreachable, Code: code, Quoted: quoted, Header: wire.IPv4{
				TotalLength: uint16(28 + len(p.Payload)), TTL: 63, Protocol: wire.IPProtoUDP, Src: atHome, Dst: atServer,
			}}
			return []sock.FakePacket{{
				Proto: wire.IPProtoICMP, TTL: 64, Payload: m.Append(nil),
				Src: netip.AddrPortFrom(netip.MustParseAddr("192.168.1.1"), 0), Dst: netip.AddrPortFrom(atHome, 0),
			}}
		}
		join(t, route, func(j *joined) {
			j.prove()
			r := j.run(j.Context(), j.laptop)
			j.want(r, map[string]string{"ike": want, "natt": "passed"})
			for _, o := range r.Observations {
				for _, e := range o.Exchanges {
					ike := e.Sent.Dst.Port() == wire.IKEPort
					if len(e.ICMPAtClient) != 0 != ike || ike && e.ICMPAtClient[0].From.String() != "192.168.1.1" {
						j.Errorf("%s: got %+v, want the gateway's word on each question to port 500, and on no other", e.ID, e.ICMPAtClient)
					}
				}
			}
		})
	}
}

// What the server's own firewall drops is the server's doing, on every carrier, and a network that carries it is not blamed (F01, T15).
func TestJoinedServerFirewall(t *testing.T) {
	t.Parallel()
	join(t, nat(always), func(j *joined) {
		j.server.Input = func(p sock.FakePacket) bool {
			return p.Proto == 6 && p.Dst.Port() != 1723 && p.Dst.Port() != 1194 || p.Proto == wire.IPProtoUDP && p.Dst.Port() == 8443
		}
		const theirs = "inconclusive server-firewall"
		j.want(j.run(j.Context(), j.laptop), map[string]string{
			"pptp": theirs, "gre": theirs, "ike": theirs, "natt": theirs, "esp": theirs, "ah": "altered ah-through-nat", "l2tp": theirs,
			"openvpn-udp": theirs, "openvpn-tcp": theirs,
		})
	})
}

// Two laptops behind one router, whose one mapping for GRE is that of whoever spoke last: they take turns, and both pass.
func TestJoinedTurns(t *testing.T) {
	t.Parallel()
	const apart = 10000 // between the ports of the two
	latest := atHome
	route := func(p sock.FakePacket) []sock.FakePacket {
		switch port := p.Src.Port(); {
		case p.Dst.Addr() == public && p.Dst.Port() >= 40000+apart:
			p.Dst = netip.AddrPortFrom(atHome2, p.Dst.Port()-apart)
		case p.Dst.Addr() == public && p.Dst.Port() > 0:
			p.Dst = netip.AddrPortFrom(atHome, p.Dst.Port())
		case p.Dst.Addr() == public:
			p.Dst = netip.AddrPortFrom(latest, 0)
		case p.Src.Addr() == atHome2 && port > 0:
			p.Src = netip.AddrPortFrom(public, port+apart)
		default:
			if port == 0 {
				latest = p.Src.Addr()
			}
			p.Src = netip.AddrPortFrom(public, port)
		}
		return []sock.FakePacket{p}
	}
	join(t, route, func(j *joined) {
		plain := slices.DeleteFunc(allProbes(), func(p probe.Probe) bool { return p.Info().ID != "gre" })
		run := func(from *sock.FakeHost, on func(probe.Event)) probe.Result {
			cfg := probe.Config{Net: from, Host: j.cs.Host, Access: j.cs.Access, Pin: j.cs.Pin, Build: "test"}
			return probe.Run(j.Context(), probe.Open(j.Context(), cfg), plain, on)
		}
		second := j.fake.Host(atHome2)
		var results [2]probe.Result
		var waited []string
		var both sync.WaitGroup
		both.Go(func() { results[0] = run(j.laptop, nil) })
		both.Go(func() {
			time.Sleep(300 * time.Millisecond)
			results[1] = run(second, func(e probe.Event) {
				if e.Kind == "waiting" && e.AtMost > 0 {
					waited = append(waited, e.Protocol)
				}
			})
		})
		both.Wait()
		for i, r := range results {
			j.want(r, map[string]string{"gre": "passed"})
			if o := r.Circumstances.Server.Others; (o != nil) != (i == 1) {
				t.Errorf("laptop %d is told of %+v", i+1, o)
			}
		}
		if len(waited) != 1 || waited[0] != "gre" {
			t.Errorf("got %q, want gre to wait", waited)
		}
		// The same laptop again is no other.
		if o := run(second, nil).Circumstances.Server.Others; o == nil || o.Count != 1 || o.Running != 0 {
			t.Errorf("got %+v, want the other laptop", o)
		}
	})
}

// What the laptop's own firewall drops is nobody else's doing (F21): the network card tells.
func TestJoinedLaptopFirewall(t *testing.T) {
	t.Parallel()
	join(t, nat(always), func(j *joined) {
		j.laptop.Input = func(p sock.FakePacket) bool { return !isGRE(p, 1) }
		j.want(j.run(j.Context(), j.laptop), map[string]string{"pptp": "blocked-back laptop-drops-answers", "gre": "passed"})
	})
	// Where no network card can be watched, nobody is named whom the evidence does not name.
	join(t, nat(always), func(j *joined) {
		j.laptop.Input = func(p sock.FakePacket) bool { return p.Proto != wire.IPProtoGRE }
		j.laptop.Deny = map[string]error{"arrivals": syscall.EPERM}
		j.want(j.run(j.Context(), j.laptop), map[string]string{"pptp": "blocked-back gre-back-dropped", "gre": "blocked-back gre-back-dropped"})
	})
}
