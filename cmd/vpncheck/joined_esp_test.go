package main

import (
	"errors"
	"net/netip"
	"testing"
	"time"

	"vpncheck/probe"
	"vpncheck/probe/sock"
	"vpncheck/probe/wire"
)

// A middlebox is what a router does besides NAT: it returns what passes of a packet that the laptop sent (out) or the server did, and is
// made anew for each run. The passer-by has no router.
type middlebox func() func(p sock.FakePacket, out bool) []sock.FakePacket

func (m middlebox) route() func(sock.FakePacket) []sock.FakePacket {
	box, nat := m(), nat(always)
	return func(p sock.FakePacket) []sock.FakePacket {
		out := p.Src.Addr() == atHome
		if !out && p.Dst.Addr() != public {
			return nat(p)
		}
		var passed []sock.FakePacket
		for _, q := range box(p, out) {
			passed = append(passed, nat(q)...)
		}
		return passed
	}
}

// drop makes a middlebox of what it does not let through.
func drop(bad func(p sock.FakePacket, out bool) bool) middlebox {
	return func() func(sock.FakePacket, bool) []sock.FakePacket {
		return func(p sock.FakePacket, out bool) []sock.FakePacket {
			if bad(p, out) {
				return nil
			}
			return []sock.FakePacket{p}
		}
	}
}

func isESP(p sock.FakePacket) bool { return p.Proto == wire.IPProtoESP }

// toPort says whether a datagram belongs to one of the server's ports.
func toPort(p sock.FakePacket, out bool, port uint16) bool {
	return p.Proto == wire.IPProtoUDP && (out && p.Dst.Port() == port || !out && p.Src.Port() == port)
}

// onNATT says whether a datagram is of that kind, on port 4500.
func onNATT(p sock.FakePacket, out bool, kind wire.NATT) bool {
	k, err := wire.NATTKind(p.Payload)
	return toPort(p, out, wire.NATTPort) && err == nil && k == kind
}

// cutAfter drops a flow from its seventh packet on. name tells the flows apart, and is empty for what is let through.
func cutAfter(name func(p sock.FakePacket, out bool) string) middlebox {
	return func() func(sock.FakePacket, bool) []sock.FakePacket {
		seen := map[string]int{}
		return drop(func(p sock.FakePacket, out bool) bool {
			flow := name(p, out)
			seen[flow]++
			return flow != "" && seen[flow] > 6
		})()
	}
}

// ikeFirst lets ESP through where UDP port 500 was answered before (T27).
func ikeFirst() func(sock.FakePacket, bool) []sock.FakePacket {
	answered := map[netip.Addr]bool{}
	return drop(func(p sock.FakePacket, out bool) bool {
		far := p.Dst.Addr()
		if !out {
			far = p.Src.Addr()
			answered[far] = answered[far] || toPort(p, out, wire.IKEPort)
		}
		return isESP(p) && !answered[far]
	})()
}

// hijacker answers what goes to UDP port 4500 in the server's name.
func hijacker() func(sock.FakePacket, bool) []sock.FakePacket {
	return func(p sock.FakePacket, out bool) []sock.FakePacket {
		if !out || p.Dst.Port() != wire.NATTPort || len(p.Payload) < 40 {
			return []sock.FakePacket{p}
		}
		p.Src, p.Dst = p.Dst, netip.AddrPortFrom(public, p.Src.Port()) // on its way back in
		for i := 4; i < len(p.Payload); i++ {
			p.Payload[i] = 0x5a
		}
		return []sock.FakePacket{p}
	}
}

// rewriting changes an octet of each packet that it is shown.
func rewriting(at int, of func(p sock.FakePacket, out bool) bool) middlebox {
	return func() func(sock.FakePacket, bool) []sock.FakePacket {
		return func(p sock.FakePacket, out bool) []sock.FakePacket {
			if of(p, out) {
				p.Payload[at] ^= 0x10
			}
			return []sock.FakePacket{p}
		}
	}
}

func TestJoinedESP(t *testing.T) {
	for _, c := range []struct {
		name      string
		box       middlebox
		esp, natt string
	}{
		{"open", drop(func(sock.FakePacket, bool) bool { return false }), "passed", "passed"},
		{"doubled", func() func(sock.FakePacket, bool) []sock.FakePacket {
			return func(p sock.FakePacket, _ bool) []sock.FakePacket {
				if p.Proto == 6 {
					return []sock.FakePacket{p}
				}
				return []sock.FakePacket{p, p}
			}
		}, "passed", "passed"},
		{"esp-out", drop(func(p sock.FakePacket, out bool) bool { return isESP(p) && out }), "blocked-out esp-out-dropped", "passed"},
		{"esp-back", drop(func(p sock.FakePacket, out bool) bool { return isESP(p) && !out }), "blocked-back esp-back-dropped", "passed"},
		{"second-laptop", drop(func(p sock.FakePacket, out bool) bool { return isESP(p) && out && p.Dst.Addr() == atServer }),
			"inconclusive state-clash", "passed"},
		{"needs-ike", ikeFirst, "passed", "passed"},
		{"no-ike", drop(func(p sock.FakePacket, out bool) bool { return toPort(p, out, wire.IKEPort) }), "passed", "passed"},
		{"esp-cut", cutAfter(func(p sock.FakePacket, out bool) string {
			if isESP(p) && out {
				return string(p.Payload[:4])
			}
			return ""
		}), "stalled stopped-after-n", "passed"},
		{"spi-rewritten", rewriting(1, func(p sock.FakePacket, out bool) bool { return isESP(p) && !out }), "altered payload-altered", "passed"},
		{"esp-damaged", rewriting(-1+8+16+96+16, func(p sock.FakePacket, out bool) bool { return isESP(p) && out && len(p.Payload) >= 136 }),
			"altered payload-altered", "passed"},
		{"natt-out", drop(func(p sock.FakePacket, out bool) bool { return out && toPort(p, out, wire.NATTPort) }),
			"passed", "blocked-out udp-port-dropped"},
		{"natt-back", drop(func(p sock.FakePacket, out bool) bool { return !out && toPort(p, out, wire.NATTPort) }),
			"passed", "blocked-back udp-port-back-dropped"},
		{"esp-in-udp-out", drop(func(p sock.FakePacket, out bool) bool { return out && onNATT(p, out, wire.NATTESP) }),
			"passed", "blocked-out no-arrival"},
		{"esp-in-udp-back", drop(func(p sock.FakePacket, out bool) bool { return !out && onNATT(p, out, wire.NATTESP) }),
			"passed", "blocked-back no-return"},
		{"checksum0-out", drop(func(p sock.FakePacket, out bool) bool { return out && p.Checksum == sock.ChecksumNone }),
			"passed", "blocked-out udp-zero-checksum-dropped"},
		{"checksum0-back", drop(func(p sock.FakePacket, out bool) bool { return !out && p.Checksum == sock.ChecksumNone }),
			"passed", "blocked-back udp-zero-checksum-dropped"},
		{"checksum0-broken", func() func(sock.FakePacket, bool) []sock.FakePacket {
			return func(p sock.FakePacket, _ bool) []sock.FakePacket {
				if p.Checksum == sock.ChecksumNone {
					p.Checksum = sock.ChecksumWrong
				}
				return []sock.FakePacket{p}
			}
		}, "passed", "blocked-out udp-zero-checksum-dropped"},
		{"port-taken", drop(func(p sock.FakePacket, out bool) bool {
			return out && toPort(p, out, wire.NATTPort) && p.Src.Port() == wire.NATTPort
		}),
			"passed", "inconclusive port-clash"},
		{"natt-cut", cutAfter(func(p sock.FakePacket, out bool) string {
			if out && onNATT(p, out, wire.NATTESP) {
				return p.Src.String()
			}
			return ""
		}), "passed", "stalled stopped-after-n"},
		{"natt-spi-rewritten", rewriting(2, func(p sock.FakePacket, out bool) bool { return out && onNATT(p, out, wire.NATTESP) }),
			"passed", "altered payload-altered"},
		{"natt-ike-rewritten", rewriting(5, func(p sock.FakePacket, out bool) bool { return out && onNATT(p, out, wire.NATTIKE) }),
			"passed", "altered payload-altered"},
		{"hijack", hijacker, "passed", "hijacked answered-by-another"},
		{"all-dropped", drop(func(p sock.FakePacket, out bool) bool {
			return out && (isESP(p) || p.Dst.Port() == 500 || p.Dst.Port() == 4500)
		}),
			"blocked-out esp-out-dropped", "blocked-out udp-port-dropped"},
	} {
		t.Run(c.name, func(t *testing.T) {
			join(t, c.box.route(), func(j *joined) {
				j.prove()
				r := j.run(j.Context(), j.laptop)
				j.want(r, map[string]string{"esp": c.esp, "natt": c.natt})
				for _, o := range r.Observations {
					if took := o.Ended.Sub(o.Started); (o.Protocol == "esp" || o.Protocol == "natt") && took > 10*time.Second {
						t.Errorf("%s took %v, at most 10 s", o.Protocol, took)
					}
				}
			})
		})
	}
}

// A carrier's NAT gives what has no ports another address than the rest.
func TestJoinedESPAddressesDiffer(t *testing.T) {
	other := netip.MustParseAddr("203.0.113.3")
	route := func(p sock.FakePacket) []sock.FakePacket {
		switch {
		case isESP(p) && p.Src.Addr() == atHome:
			p.Src = netip.AddrPortFrom(other, 0)
		case isESP(p) && p.Dst.Addr() == other:
			p.Dst = netip.AddrPortFrom(atHome, 0)
		case isESP(p) && p.Dst.Addr() == public:
			return nil // nobody asked from there
		default:
			return nat(always)(p)
		}
		return []sock.FakePacket{p}
	}
	join(t, route, func(j *joined) {
		j.prove()
		j.want(j.run(j.Context(), j.laptop), map[string]string{"esp": "altered addresses-differ", "natt": "passed"})
	})
}

// part is the verdict and reason of one form.
func part(r probe.Result, protocol, id string) string {
	for _, f := range r.Findings {
		for _, p := range f.Parts {
			if f.Protocol == protocol && p.Part == id {
				return string(p.Verdict) + " " + string(p.Reason)
			}
		}
	}
	return ""
}

func TestJoinedESPParts(t *testing.T) {
	for _, c := range []struct {
		name string
		box  middlebox
		want map[[2]string]string
	}{
		{"open", drop(func(sock.FakePacket, bool) bool { return false }), map[[2]string]string{
			{"esp", "after-ike"}: "passed ", {"esp", "cold"}: "passed ",
			{"natt", "esp-zero"}: "passed ", {"natt", "esp-sum"}: "passed ", {"natt", "ephemeral"}: "passed "}},
		{"needs-ike", ikeFirst, map[[2]string]string{{"esp", "cold"}: "blocked-out esp-after-ike"}},
		{"altered", rewriting(1, func(p sock.FakePacket, _ bool) bool { return isESP(p) }), map[[2]string]string{{"esp", "cold"}: ""}},
		{"checksum0", drop(func(p sock.FakePacket, _ bool) bool { return p.Checksum == sock.ChecksumNone }), map[[2]string]string{
			{"natt", "esp-sum"}: "passed ", {"natt", "ephemeral"}: "blocked-out udp-zero-checksum-dropped"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			join(t, c.box.route(), func(j *joined) {
				j.prove()
				r := j.run(j.Context(), j.laptop)
				for p, want := range c.want {
					if got := part(r, p[0], p[1]); got != want {
						t.Errorf("%v: got %q, want %q", p, got, want)
					}
				}
			})
		})
	}
}

// A laptop that cannot ask as a real client would asks in the next best form, and says so.
func TestJoinedNATTStandsIn(t *testing.T) {
	unsupported := func(p *sock.FakePacket) error {
		if p.Checksum == sock.ChecksumNone {
			return errors.ErrUnsupported
		}
		return nil
	}
	for _, c := range []struct {
		name   string
		change func(j *joined)
		want   map[string]string
	}{
		{"port-held", func(j *joined) { j.hold(wire.NATTPort) }, map[string]string{
			"esp-zero": "", "esp-sum": "", "ephemeral": "passed "}},
		{"no-bare-checksum", func(j *joined) { j.laptop.Route = unsupported }, map[string]string{
			"esp-zero": "untested os-refuses", "esp-sum": "passed ", "ephemeral": "passed "}},
		{"neither", func(j *joined) { j.hold(wire.NATTPort); j.laptop.Route = unsupported }, map[string]string{
			"esp-zero": "", "esp-sum": "", "ephemeral": "passed "}},
	} {
		t.Run(c.name, func(t *testing.T) {
			join(t, nat(always), func(j *joined) {
				c.change(j)
				r := j.run(j.Context(), j.laptop)
				j.want(r, map[string]string{"natt": "passed"})
				for id, want := range c.want {
					if got := part(r, "natt", id); got != want {
						t.Errorf("%s: got %q, want %q", id, got, want)
					}
				}
				if !told(r, "natt", probe.EvStandsIn) {
					t.Error("nothing says that another form stands in")
				}
			})
		})
	}
}

// hold takes one of the laptop's UDP ports, as another IPsec program does.
func (j *joined) hold(port uint16) {
	c, err := j.laptop.UDP(netip.AddrPortFrom(atHome, port))
	if err != nil {
		j.Fatal(err)
	}
	j.Cleanup(func() { c.Close() })
}

func told(r probe.Result, protocol string, reason probe.Reason) bool {
	for _, f := range r.Findings {
		for _, e := range f.Because {
			if f.Protocol == protocol && e.Reason == reason {
				return true
			}
		}
	}
	return false
}

// Without raw sockets ESP is not asked; port 4500 needs none.
func TestJoinedESPUnprivileged(t *testing.T) {
	join(t, nat(always), func(j *joined) {
		j.laptop.Deny = map[string]error{"raw": errors.ErrUnsupported}
		j.want(j.run(j.Context(), j.laptop), map[string]string{"esp": "untested os-refuses", "natt": "passed"})
	})
}

// What left the laptop on port 4500 is what a real client sends.
func TestJoinedNATTForms(t *testing.T) {
	join(t, nat(always), func(j *joined) {
		r := j.run(j.Context(), j.laptop)
		ports := map[bool]int{}
		for _, p := range j.laptop.Sent() {
			if p.Proto != wire.IPProtoUDP || p.Dst.Port() != wire.NATTPort {
				continue
			}
			kind, err := wire.NATTKind(p.Payload)
			bare := p.Checksum == sock.ChecksumNone
			switch {
			case err != nil:
				t.Error(err)
			case kind == wire.NATTIKE && bare:
				t.Error("IKE left without a checksum")
			case kind == wire.NATTESP && bare != (p.Payload[3]%2 == 0):
				t.Errorf("SPI %x with checksum %v: the answer's form follows the SPI", p.Payload[:4], p.Checksum)
			case kind == wire.NATTESP:
				ports[bare]++
			}
		}
		if ports[true] < 16 || ports[false] != 4 {
			t.Errorf("got %v packets of ESP without and with a checksum", ports)
		}
		for _, o := range r.Observations {
			for _, e := range o.Exchanges {
				if e.Stage == "keepalive" && (e.Arrived.State != wire.Seen || e.Replied.State == wire.Seen) {
					t.Errorf("a keepalive is %s at the server, its answer %s; want seen, and none", e.Arrived.State, e.Replied.State)
				}
			}
		}
	})
}

// Over IPv6 every datagram has a checksum (RFC 8200, section 8.1).
func TestJoinedESPOverIPv6(t *testing.T) {
	join(t, nat(always), func(j *joined) {
		j.cs.Host = atServer6.String()
		r := j.run(j.Context(), j.laptop)
		j.want(r, map[string]string{"esp": "passed", "natt": "passed"})
		for _, p := range append(j.laptop.Sent(), j.server.Sent()...) {
			if p.Checksum == sock.ChecksumNone {
				t.Fatal("a datagram without a checksum over IPv6")
			}
		}
	})
}
