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
func cutAfter(name func(p sock.FakePacket, out bool) string) middlebox { return cutAfterN(6, name) }

// cutAfterN is cutAfter with another number of packets.
func cutAfterN(n int, name func(p sock.FakePacket, out bool) string) middlebox {
	return func() func(sock.FakePacket, bool) []sock.FakePacket {
		seen := map[string]int{}
		return drop(func(p sock.FakePacket, out bool) bool {
			flow := name(p, out)
			seen[flow]++
			return flow != "" && seen[flow] > n
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

// A boxRow is a middlebox and the verdicts of ESP and NAT-T that must come out.
type boxRow struct {
	name      string
	box       middlebox
	esp, natt string
}

// tryBoxes runs each middlebox between the two ends.
func tryBoxes(t *testing.T, rows []boxRow) {
	for _, c := range rows {
		t.Run(c.name, func(t *testing.T) {
			join(t, c.box.route(), func(j *joined) {
				j.prove()
				r := j.run(j.Context(), j.laptop)
				j.want(r, map[string]string{"esp": c.esp, "natt": c.natt})
				for _, o := range r.Observations {
					most := 9 * time.Second
					if stops := "stalled stopped-after-n"; o.Protocol == "esp" && c.esp == stops || o.Protocol == "natt" && c.natt == stops {
						most = 20 * time.Second // asked once more, slowly
					}
					if took := o.Ended.Sub(o.Started); (o.Protocol == "esp" || o.Protocol == "natt") && took > most {
						t.Errorf("%s took %v, at most %v", o.Protocol, took, most)
					}
				}
			})
		})
	}
}

func TestJoinedESP(t *testing.T) {
	t.Parallel()
	tryBoxes(t, []boxRow{
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
		{"esp-damaged", rewriting(135, func(p sock.FakePacket, out bool) bool { return isESP(p) && out && len(p.Payload) >= 136 }),
			"altered payload-altered", "passed"},
		{"all-dropped", drop(func(p sock.FakePacket, out bool) bool {
			return out && (isESP(p) || p.Dst.Port() == 500 || p.Dst.Port() == 4500)
		}),
			"blocked-out esp-out-dropped", "blocked-out udp-port-dropped"},
	})
}

// A carrier's NAT gives what has no ports another address than the rest.
func TestJoinedESPAddressesDiffer(t *testing.T) {
	t.Parallel()
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
	t.Parallel()
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

// Without raw sockets ESP is not asked; port 4500 needs none.
func TestJoinedESPUnprivileged(t *testing.T) {
	t.Parallel()
	join(t, nat(always), func(j *joined) {
		j.laptop.Deny = map[string]error{"raw": errors.ErrUnsupported}
		j.want(j.run(j.Context(), j.laptop), map[string]string{"esp": "untested os-refuses", "natt": "passed"})
	})
}

// Over IPv6 every datagram has a checksum (RFC 8200, section 8.1).
func TestJoinedESPOverIPv6(t *testing.T) {
	t.Parallel()
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
