package main

import (
	"fmt"
	"net/netip"
	"sync/atomic"
	"testing"
	"time"

	"vpncheck/probe"
	"vpncheck/probe/sock"
	"vpncheck/probe/wire"
)

// openVPNOut says whether a packet is the laptop's OpenVPN over UDP.
func openVPNOut(p sock.FakePacket) bool {
	return p.Proto == wire.IPProtoUDP && p.Src.Addr() == atHome && p.Dst.Port() == wire.OpenVPNPort
}

func openVPNBack(p sock.FakePacket) bool {
	return p.Proto == wire.IPProtoUDP && p.Src.Addr() == atServer && p.Src.Port() == wire.OpenVPNPort
}

// A conversation has the packets of OpenVPN 2.6, in their order and of their sizes.
func TestJoinedOpenVPNConversation(t *testing.T) {
	t.Parallel()
	join(t, nat(always), func(j *joined) {
		f, o := j.only("openvpn-udp")
		j.found(f, "passed")
		var got []string
		for _, p := range j.laptop.Sent() {
			if openVPNOut(p) {
				got = append(got, fmt.Sprintf("%d/%d", p.Payload[0]>>3, len(p.Payload)))
			}
		}
		want := "[7/14 4/303 4/973 5/30 5/34"
		for range 12 {
			want += " 9/108"
		}
		if fmt.Sprint(got) != want+"]" {
			j.Errorf("got %v, want %s]", got, want)
		}
		j.followed(o)
		f, o = j.only("openvpn-tcp")
		j.found(f, "passed")
		j.followed(o)
	})
}

// followed checks that every message was seen at both ends, and answered if anything answers it.
func (j *joined) followed(o probe.Observation) {
	j.Helper()
	for _, e := range o.Exchanges {
		acks := e.Stage == "acknowledgment"
		if e.Sent.State != wire.Seen || e.Arrived.State != wire.Seen && e.Stage != "connect" || !acks && e.Returned.State != wire.Seen {
			j.Errorf("%s (%s) was not followed from end to end: %+v", e.ID, e.Stage, e)
		}
	}
}

func TestJoinedOpenVPN(t *testing.T) {
	t.Parallel()
	opcode := func(code byte) func(sock.FakePacket) bool {
		return func(p sock.FakePacket) bool { return openVPNOut(p) && p.Payload[0]>>3 == code }
	}
	edit := func(is func(sock.FakePacket) bool, f func(b []byte)) func(sock.FakePacket) []sock.FakePacket {
		return func(p sock.FakePacket) []sock.FakePacket {
			if is(p) {
				f(p.Payload)
			}
			return nat(always)(p)
		}
	}
	last := func(b []byte) { b[len(b)-1] ^= 1 }
	for _, c := range []struct {
		name  string
		route func(sock.FakePacket) []sock.FakePacket
		want  string
		stage string
	}{
		{"no-nat", straight, "passed", "data"},
		{"out", without(openVPNOut, nat(always)), "blocked-out udp-port-dropped", "reset"},
		{"back", without(openVPNBack, nat(always)), "blocked-back udp-port-back-dropped", "reset"},
		{"reset-out", without(opcode(7), nat(always)), "blocked-out udp-content-dropped", "reset"},
		{"hello-out", without(opcode(4), nat(always)), "blocked-out no-arrival", "tls"},
		{"data-out", without(opcode(9), nat(always)), "blocked-out no-arrival", "data"},
		{"session-id", edit(opcode(7), func(b []byte) { b[3] ^= 1 }), "altered payload-altered", "reset"},
		{"hello-altered", edit(opcode(4), last), "altered payload-altered", "tls"},
		{"hello-changed", edit(opcode(4), func(b []byte) { b[40] ^= 1 }), "altered payload-altered", "tls"},
		{"data-altered", edit(opcode(9), last), "altered payload-altered", "data"},
		{"peer-id", edit(opcode(9), func(b []byte) { b[2] ^= 1 }), "altered payload-altered", "data"},
		{"answer-altered", edit(openVPNBack, last), "altered payload-altered", "reset"},
	} {
		t.Run(c.name, func(t *testing.T) {
			join(t, c.route, func(j *joined) {
				if c.name != "back" && c.name != "answer-altered" {
					j.prove()
				}
				f, _ := j.only("openvpn-udp")
				j.foundAt(f, c.want, c.stage)
			})
		})
	}
}

// stream changes what goes over the laptop's OpenVPN connections. Nil drops it.
func (j *joined) stream(change func(m wire.OpenVPN, b []byte, toServer bool) []byte) {
	j.fake.SetStream(func(b []byte, toServer bool) []byte {
		m, _, err := wire.ParseOpenVPNStream(b)
		if err != nil || len(b) > 2000 || b[0] > 7 || b[0] == 0x16 {
			return b
		}
		return change(m, b, toServer)
	})
}

func TestJoinedOpenVPNTCP(t *testing.T) {
	t.Parallel()
	port := func(p sock.FakePacket) bool {
		return p.Proto == 6 && p.Src.Addr() == atHome && p.Dst.Port() == wire.OpenVPNPort
	}
	drop := func(code uint8, out bool) func(wire.OpenVPN, []byte, bool) []byte {
		return func(m wire.OpenVPN, b []byte, toServer bool) []byte {
			if m.Opcode == code && toServer == out {
				return nil
			}
			return b
		}
	}
	for _, c := range []struct {
		name   string
		route  func(sock.FakePacket) []sock.FakePacket
		stream func(wire.OpenVPN, []byte, bool) []byte
		want   string
		stage  string
	}{
		{"port", without(port, nat(always)), nil, "blocked-out tcp-port-dropped", "connect"},
		{"reset-out", nat(always), drop(wire.OpenVPNHardResetClient, true), "blocked-out tcp-content-dropped", "reset"},
		{"reset-back", nat(always), drop(wire.OpenVPNHardResetServer, false), "blocked-back tcp-content-back-dropped", "reset"},
		{"tls-out", nat(always), drop(wire.OpenVPNControl, true), "blocked-out tcp-content-dropped", "tls"},
		{"data-out", nat(always), drop(wire.OpenVPNData, true), "blocked-out tcp-content-dropped", "data"},
		{"data-back", nat(always), drop(wire.OpenVPNData, false), "blocked-back no-return", "data"},
	} {
		t.Run(c.name, func(t *testing.T) {
			join(t, c.route, func(j *joined) {
				j.prove()
				if c.stream != nil {
					j.stream(c.stream)
				}
				f, o := j.only("openvpn-tcp")
				j.foundAt(f, c.want, c.stage)
				if asked := o.Random != nil; asked != (c.stage == "reset") { // of what began they tell nothing
					j.Errorf("random octets were asked: %v", asked)
				}
			})
		})
	}
}

// A session that stops midway is opened once more before that is a verdict.
func TestJoinedOpenVPNStalls(t *testing.T) {
	t.Parallel()
	seen := map[uint16]int{}
	join(t, func(p sock.FakePacket) []sock.FakePacket {
		if openVPNOut(p) {
			if seen[p.Src.Port()]++; seen[p.Src.Port()] > 10 {
				return nil
			}
		}
		return nat(always)(p)
	}, func(j *joined) {
		f, _ := j.only("openvpn-udp")
		j.found(f, "stalled stopped-after-n")
	})
}

// However the dice fall, a lossy line makes no verdict of its own (T19).
func TestJoinedOpenVPNLoss(t *testing.T) {
	t.Parallel()
	passesLossy(t, "openvpn-udp")
}

// A server of somebody else's is not ours, whatever it answers.
func TestJoinedOpenVPNHijacked(t *testing.T) {
	t.Parallel()
	join(t, func(p sock.FakePacket) []sock.FakePacket {
		if openVPNOut(p) {
			m, err := wire.ParseOpenVPN(p.Payload)
			if err != nil {
				return nil
			}
			p.Src, p.Dst = p.Dst, p.Src
			p.Payload = wire.OpenVPN{Opcode: wire.OpenVPNHardResetServer, Session: wire.Brief{1, 2, 3}, Acks: []uint32{0}, Remote: m.Session}.Append(nil)
			return []sock.FakePacket{p}
		}
		return nat(always)(p)
	}, func(j *joined) {
		j.prove()
		f, _ := j.only("openvpn-udp")
		j.found(f, "hijacked answered-by-another")
	})
}

// A provider's NAT that gives OpenVPN an address of its own is no block: what comes from there is told from a stranger's, and answered once it
// has sent enough.
func TestJoinedOpenVPNFromElsewhere(t *testing.T) {
	t.Parallel()
	elsewhere := netip.MustParseAddr("203.0.113.3")
	join(t, func(p sock.FakePacket) []sock.FakePacket {
		switch {
		case openVPNOut(p):
			p.Src = netip.AddrPortFrom(elsewhere, p.Src.Port())
		case p.Dst.Addr() == elsewhere:
			p.Dst = netip.AddrPortFrom(atHome, p.Dst.Port())
		default:
			return nat(always)(p)
		}
		return []sock.FakePacket{p}
	}, func(j *joined) {
		f, _ := j.only("openvpn-udp")
		j.found(f, "passed")
	})
}

// Bait comes last, and what it does to the line spoils no verdict that was in by then.
func TestJoinedOpenVPNLast(t *testing.T) {
	t.Parallel()
	for _, c := range []string{"the-line-dies", "the-session-dies"} {
		t.Run(c, func(t *testing.T) {
			var proving, dead atomic.Bool
			proving.Store(true)
			baited := func() {}
			route := func(p sock.FakePacket) []sock.FakePacket {
				if openVPNOut(p) && !proving.Load() && dead.CompareAndSwap(false, true) {
					baited()
				}
				if _, ours := ofHome(p); dead.Load() && ours {
					return nil
				}
				return nat(always)(p)
			}
			join(t, route, func(j *joined) {
				j.prove()
				if c == "the-session-dies" {
					baited = func() { go j.fake.Cut() }
				}
				proving.Store(false)
				j.fake.SetStream(func(b []byte, _ bool) []byte {
					if dead.Load() {
						return nil
					}
					return b
				})
				r := j.run(j.Context(), j.laptop)
				if !dead.Load() {
					t.Fatal("OpenVPN was not asked")
				}
				j.want(r, map[string]string{"ike": "passed", "natt": "passed", "l2tp": "passed", "esp": "passed", "pptp": "passed", "gre": "passed"})
				for _, f := range r.Findings {
					if late := f.Protocol == "openvpn-udp"; late && (f.Verdict != probe.Inconclusive || f.Reason != probe.LineCut) {
						t.Errorf("%s is %s (%s), want inconclusive (%s)", f.Protocol, f.Verdict, f.Reason, probe.LineCut)
					}
				}
				if took := r.Ended.Sub(r.Started); took > 20*time.Second {
					t.Errorf("it took %v", took)
				}
				j.judgedAgain(r)
			})
		})
	}
}

// Nothing of what looks like bait to a DPI leaves before all others have ended.
func TestJoinedLateOrder(t *testing.T) {
	t.Parallel()
	join(t, nat(always), func(j *joined) {
		r := j.run(j.Context(), j.laptop)
		late := map[string]bool{"openvpn-udp": true, "openvpn-tcp": true, "wireguard": true}
		var others time.Time
		for _, o := range r.Observations {
			if !late[o.Protocol] && o.Ended.After(others) {
				others = o.Ended
			}
		}
		for _, o := range r.Observations {
			if late[o.Protocol] {
				if o.Started.Before(others) {
					t.Errorf("%s began at %v, and the others ended at %v", o.Protocol, o.Started, others)
				}
			}
		}
	})
}
