package main

import (
	"context"
	"slices"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"vpncheck/probe"
	"vpncheck/probe/sock"
	"vpncheck/probe/wire"
)

// ofHome says whether a packet is the laptop's, and on its way out; nobody inspects the passer-by's.
func ofHome(p sock.FakePacket) (out, ours bool) {
	return p.Src.Addr() == atHome, p.Src.Addr() == atHome || p.Dst.Addr() == public
}

// looksLike is the port of the protocol whose genuine message is in a datagram, 0 if it has no such form.
func looksLike(p sock.FakePacket) uint16 {
	if p.Proto != wire.IPProtoUDP {
		return 0
	}
	if _, err := wire.ParseIKE(p.Payload); err == nil {
		return wire.IKEPort
	}
	if b, err := wire.ParseNATTIKE(p.Payload); err == nil {
		if _, err := wire.ParseIKE(b); err == nil {
			return wire.NATTPort
		}
	}
	if m, err := wire.ParseL2TP(p.Payload); err == nil && m.Control && len(m.AVPs) > 0 {
		return wire.L2TPPort
	}
	return 0
}

// inspects drops the laptop's packets that look like the protocols of these ports.
func inspects(out bool, ports ...uint16) func(sock.FakePacket) []sock.FakePacket {
	return drops(func(p sock.FakePacket) bool {
		leaving, ours := ofHome(p)
		return ours && leaving == out && slices.Contains(ports, looksLike(p))
	})
}

// remembers drops a flow for good once it has shown its form.
func remembers(port uint16) func(sock.FakePacket) []sock.FakePacket {
	caught := map[string]bool{}
	return drops(func(p sock.FakePacket) bool {
		flow := p.Src.String() + p.Dst.String()
		leaving, _ := ofHome(p)
		if leaving && looksLike(p) == port {
			caught[flow] = true
		}
		return caught[flow]
	})
}

// shutsPort drops everything to a port of the server, until a time.
func shutsPort(port uint16, open func() bool) func(sock.FakePacket) []sock.FakePacket {
	return drops(func(p sock.FakePacket) bool {
		leaving, _ := ofHome(p)
		return leaving && p.Proto == wire.IPProtoUDP && p.Dst.Port() == port && !open()
	})
}

func never() bool { return false }

// noisy says whether a packet is random octets to a port: UDP that has no form and is neither ESP's nor the control's.
func noisy(p sock.FakePacket) bool {
	leaving, _ := ofHome(p)
	return leaving && p.Proto == wire.IPProtoUDP && p.Dst.Port() == wire.IKEPort && looksLike(p) == 0
}

// Same port, same size, no form: what then passes was dropped for what is in it (F12), what then dies was dropped for its port (F20).
func TestJoinedRandom(t *testing.T) {
	t.Parallel()
	const content, port = "blocked-out udp-content-dropped", "blocked-out udp-port-dropped"
	for _, c := range []struct {
		name  string
		route func(sock.FakePacket) []sock.FakePacket
		want  map[string]string
		noted []string // the protocols that random octets were asked for
	}{
		{"open", nat(always), map[string]string{"ike": "passed", "natt": "passed", "l2tp": "passed"}, nil},
		{"dpi-ike", inspects(true, wire.IKEPort), map[string]string{"ike": content, "natt": "passed", "l2tp": "passed"}, []string{"ike"}},
		{"dpi-all", inspects(true, wire.IKEPort, wire.NATTPort, wire.L2TPPort), map[string]string{"ike": content, "natt": content, "l2tp": content},
			[]string{"ike", "natt", "l2tp"}},
		{"dpi-back", inspects(false, wire.IKEPort, wire.L2TPPort), map[string]string{"ike": "blocked-back udp-content-back-dropped", "natt": "passed",
			"l2tp": "blocked-back udp-content-back-dropped"}, []string{"ike", "l2tp"}},
		{"dpi-remembers-the-flow", remembers(wire.IKEPort), map[string]string{"ike": content}, []string{"ike"}},
		{"port", shutsPort(wire.NATTPort, never), map[string]string{"natt": port, "ike": "passed"}, []string{"natt"}},
		{"all-three-ports", drops(func(p sock.FakePacket) bool {
			leaving, _ := ofHome(p)
			return leaving && slices.Contains([]uint16{wire.IKEPort, wire.NATTPort, wire.L2TPPort}, p.Dst.Port())
		}), map[string]string{"ike": port, "natt": port, "l2tp": port}, []string{"ike", "natt", "l2tp"}},
		{"udp-filtered", drops(func(p sock.FakePacket) bool {
			leaving, _ := ofHome(p)
			return leaving && p.Proto == wire.IPProtoUDP
		}), map[string]string{"ike": "blocked-out udp-filtered"}, nil},
	} {
		t.Run(c.name, func(t *testing.T) {
			join(t, c.route, func(j *joined) {
				j.prove()
				r := j.run(j.Context(), j.laptop)
				j.want(r, c.want)
				whole := ""
				for _, id := range []string{"natt", "ike"} {
					if c.want[id] != "passed" && c.want[id] != "" {
						whole = c.want[id] // the first step that fails
					}
				}
				if whole != "" {
					j.want(r, map[string]string{"ikev2": whole, "l2tp-ipsec": whole})
				}
				for _, o := range r.Observations {
					noted := slices.Contains(c.noted, o.Protocol)
					borrows := (o.Protocol == "ikev2" || o.Protocol == "l2tp-ipsec") && (slices.Contains(c.noted, "ike") || slices.Contains(c.noted, "natt"))
					if (o.Random != nil) != noted || told(r, o.Protocol, probe.EvRandom) != (noted || borrows) {
						t.Errorf("%s: random octets were asked: %v, want %v, or were not told", o.Protocol, o.Random != nil, noted)
					}
				}
				if got := part(r, "ike", "v2-ephemeral"); c.want["ike"] != "passed" && c.want["ike"] != "" && got != c.want["ike"] {
					t.Errorf("from another port: got %q, want %q", got, c.want["ike"])
				}
				if took := r.Ended.Sub(r.Started); took > 20*time.Second {
					t.Errorf("it took %v", took)
				} else {
					t.Logf("it took %v", took)
				}
			})
		})
	}
}

// A block that is over when random octets are asked spares what has no form no more than the rest.
func TestJoinedRandomLate(t *testing.T) {
	t.Parallel()
	var opens atomic.Bool
	join(t, shutsPort(wire.IKEPort, opens.Load), func(j *joined) {
		j.prove()
		go func() {
			time.Sleep(6500 * time.Millisecond) // of the bubble's time
			opens.Store(true)
		}()
		r := j.run(j.Context(), j.laptop)
		j.want(r, map[string]string{"ike": "blocked-out udp-port-dropped"})
		if !told(r, "ike", probe.EvRandom) {
			t.Error("nothing is told of the random octets")
		}
	})
}

// A laptop that may not have port 500 finds out from another.
func TestJoinedRandomUnprivileged(t *testing.T) {
	t.Parallel()
	join(t, inspects(true, wire.IKEPort), func(j *joined) {
		j.prove()
		j.laptop.Deny = map[string]error{"udp/500": syscall.EACCES}
		j.want(j.run(j.Context(), j.laptop), map[string]string{"ike": "blocked-out udp-content-dropped"})
	})
}

// What befalls the run once random octets are asked, and perhaps because of them, spoils no verdict that was in by then.
func TestJoinedRandomOutage(t *testing.T) {
	t.Parallel()
	blocked := shutsPort(wire.IKEPort, never)
	for _, c := range []struct {
		name string
		act  func(j *joined, cancel context.CancelFunc)
	}{
		{"the-line-dies", func(*joined, context.CancelFunc) {}},
		{"the-session-dies", func(j *joined, _ context.CancelFunc) { j.fake.Cut() }},
		{"interrupted", func(_ *joined, cancel context.CancelFunc) { cancel() }},
	} {
		t.Run(c.name, func(t *testing.T) {
			var baited atomic.Pointer[func()] // set in the bubble, once the server is proved
			var dead atomic.Bool
			route := func(p sock.FakePacket) []sock.FakePacket {
				if tell := baited.Load(); noisy(p) && tell != nil {
					dead.Store(true)
					(*tell)()
				}
				if _, ours := ofHome(p); dead.Load() && ours {
					return nil
				}
				return blocked(p)
			}
			join(t, route, func(j *joined) {
				j.prove()
				bait := make(chan struct{})
				tell := sync.OnceFunc(func() { close(bait) })
				baited.Store(&tell)
				j.fake.SetStream(func(b []byte, _ bool) []byte {
					if dead.Load() {
						return nil
					}
					return b
				})
				ctx, cancel := context.WithCancel(j.Context())
				defer cancel()
				go func() {
					select {
					case <-bait:
						c.act(j, cancel)
					case <-ctx.Done():
					}
				}()
				r := j.run(ctx, j.laptop)
				if !dead.Load() {
					t.Fatal("nothing random was asked")
				}
				j.want(r, map[string]string{"ike": "blocked-out udp-port-dropped", "natt": "passed", "l2tp": "passed", "esp": "passed",
					"pptp": "passed", "gre": "passed"})
				if took := r.Ended.Sub(r.Started); took > 20*time.Second { // the line is dead for good, and nobody can know
					t.Errorf("it took %v", took)
				}
				j.judgedAgain(r)
			})
		})
	}
}
