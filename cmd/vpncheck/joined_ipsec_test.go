package main

import (
	"net/netip"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"vpncheck/probe"
	"vpncheck/probe/sock"
	"vpncheck/probe/wire"
)

// ipsec asks the two whole VPNs alone.
func (j *joined) ipsec(from *sock.FakeHost) probe.Result {
	p := probe.Open(j.Context(), probe.Config{Net: from, Host: j.cs.Host, Access: j.cs.Access, Pin: j.cs.Pin, Build: "test"})
	return probe.Run(j.Context(), p, []probe.Probe{probe.IKEv2(), probe.L2TPIPsec()}, nil)
}

// onPort says whether a packet goes to, or comes from, a UDP port of the server's.
func onPort(p sock.FakePacket, port uint16) bool {
	return p.Proto == wire.IPProtoUDP && (p.Dst == netip.AddrPortFrom(atServer, port) || p.Src == netip.AddrPortFrom(atServer, port))
}

func outwards(p sock.FakePacket) bool { return p.Dst.Addr() == atServer }

// markedIKE is the message of IKE in a packet on port 4500.
func markedIKE(p sock.FakePacket) (wire.IKEMessage, bool) {
	if !onPort(p, wire.NATTPort) {
		return wire.IKEMessage{}, false
	}
	b, err := wire.ParseNATTIKE(p.Payload)
	if err != nil {
		return wire.IKEMessage{}, false
	}
	m, err := wire.ParseIKE(b)
	return m, err == nil
}

func inUDP(p sock.FakePacket) bool {
	kind, err := wire.NATTKind(p.Payload)
	return onPort(p, wire.NATTPort) && err == nil && kind == wire.NATTESP
}

func large(p sock.FakePacket) bool { return p.Proto == wire.IPProtoUDP && len(p.Payload) > 1472 }

func plainESP(p sock.FakePacket) bool { return p.Proto == wire.IPProtoESP }

func TestJoinedWholeIPsec(t *testing.T) {
	t.Parallel()
	const dropped, shut, back = "blocked-out udp-port-dropped", "inconclusive port-clash", "blocked-back udp-port-back-dropped"
	for _, c := range []struct {
		name        string
		drop        func(p sock.FakePacket) bool
		ikev2, l2tp string
		stage       string
	}{
		{"500-out", func(p sock.FakePacket) bool { return outwards(p) && onPort(p, wire.IKEPort) }, dropped, dropped, "init"},
		{"500-back", func(p sock.FakePacket) bool { return !outwards(p) && onPort(p, wire.IKEPort) }, back, back, "init"},
		{"4500-out", func(p sock.FakePacket) bool { return outwards(p) && onPort(p, wire.NATTPort) }, dropped, dropped, "auth"},
		{"4500-back", func(p sock.FakePacket) bool { return !outwards(p) && onPort(p, wire.NATTPort) }, back, back, "auth"},
		{"500-taken", func(p sock.FakePacket) bool { return outwards(p) && p.Src.Port() == wire.IKEPort }, shut, shut, "init"},
		{"4500-taken", func(p sock.FakePacket) bool { return outwards(p) && p.Src.Port() == wire.NATTPort }, shut, shut, "auth"},
		{"data-out", func(p sock.FakePacket) bool { return outwards(p) && inUDP(p) }, "blocked-out no-arrival", "blocked-out no-arrival", "data"},
		{"data-back", func(p sock.FakePacket) bool { return !outwards(p) && inUDP(p) }, "blocked-back no-return", "blocked-back no-return", "data"},
		{"checksum0", func(p sock.FakePacket) bool { return p.Checksum == sock.ChecksumNone },
			"blocked-out udp-zero-checksum-dropped", "blocked-out udp-zero-checksum-dropped", "data"},
		{"main-mode", func(p sock.FakePacket) bool {
			h, err := wire.ParseIKEHeader(p.Payload)
			return outwards(p) && onPort(p, wire.IKEPort) && err == nil && h.MajorVersion == 1
		}, "passed", "blocked-out udp-content-dropped", "init"},
		{"plain-esp", plainESP, "passed", "passed", ""},
		{"certificates", func(p sock.FakePacket) bool {
			return outwards(p) && onPort(p, wire.NATTPort) && len(p.Payload) > 1000 && !large(p)
		},
			"stalled full-size-dropped", "passed", "auth"},
	} {
		t.Run(c.name, func(t *testing.T) {
			join(t, drops(c.drop), func(j *joined) {
				j.ipsecProof()
				r := j.ipsec(j.laptop)
				j.want(r, map[string]string{"ikev2": c.ikev2, "l2tp-ipsec": c.l2tp})
				for _, f := range r.Findings {
					if f.Verdict != probe.Passed && f.Stage != c.stage {
						t.Errorf("%s ended at %q, want %q", f.Protocol, f.Stage, c.stage)
					}
				}
			})
		})
	}
}

// What stops the whole alone, and neither IKE nor NAT-T on the same ports, is told by random octets of its size: what is in the packets, or how
// large they are (F08, F12).
func TestJoinedWholeAlone(t *testing.T) {
	t.Parallel()
	const content, back, full = "blocked-out udp-content-dropped", "blocked-back udp-content-back-dropped", "stalled full-size-dropped"
	fragment := func(p sock.FakePacket) bool {
		m, ok := markedIKE(p)
		return ok && len(m.Payloads) == 1 && m.Payloads[0].Type == wire.IKEv2EncryptedFragment
	}
	v1 := func(p sock.FakePacket) bool {
		m, ok := markedIKE(p)
		return ok && m.Header.MajorVersion == 1
	}
	over := func(p sock.FakePacket) bool { return onPort(p, wire.NATTPort) && len(p.Payload) > 1000 }
	for _, c := range []struct {
		name        string
		drop        func(p sock.FakePacket) bool
		ikev2, l2tp string
		stage       string
	}{
		{"open", func(sock.FakePacket) bool { return false }, "passed", "passed", ""},
		{"certificates", func(p sock.FakePacket) bool { return outwards(p) && fragment(p) }, content, "passed", "auth"},
		{"certificates-back", func(p sock.FakePacket) bool { return !outwards(p) && fragment(p) }, back, "passed", "auth"},
		{"their-size", func(p sock.FakePacket) bool { return outwards(p) && over(p) }, full, "passed", "auth"},
		{"their-size-back", func(p sock.FakePacket) bool { return !outwards(p) && over(p) }, full, "passed", "auth"},
		{"main-mode-4500", func(p sock.FakePacket) bool { return outwards(p) && v1(p) }, "passed", content, "auth"},
		{"main-mode-500", func(p sock.FakePacket) bool {
			h, err := wire.ParseIKEHeader(p.Payload)
			return outwards(p) && onPort(p, wire.IKEPort) && err == nil && h.MajorVersion == 1
		}, "passed", content, "init"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			join(t, drops(c.drop), func(j *joined) {
				j.ipsecProof()
				p := probe.Open(j.Context(), probe.Config{Net: j.laptop, Host: j.cs.Host, Access: j.cs.Access, Pin: j.cs.Pin, Build: "test"})
				r := probe.Run(j.Context(), p, []probe.Probe{probe.IKE{}, probe.NATT{}, probe.IKEv2(), probe.L2TPIPsec()}, nil)
				j.want(r, map[string]string{"ike": "passed", "natt": "passed", "ikev2": c.ikev2, "l2tp-ipsec": c.l2tp})
				for i, f := range r.Findings {
					if f.Verdict != probe.Passed && f.Stage != c.stage {
						t.Errorf("%s ended at %q, want %q", f.Protocol, f.Stage, c.stage)
					}
					if asked := r.Observations[i].Random != nil; asked != (f.Verdict != probe.Passed) {
						t.Errorf("%s: random octets were asked: %t", f.Protocol, asked)
					}
				}
			})
		})
	}
}

// ipsecProof lets a passer-by prove ports 500 and 4500, and ESP.
func (j *joined) ipsecProof() {
	j.Helper()
	p := probe.Open(j.Context(), probe.Config{Net: j.other, Host: j.cs.Host, Access: j.cs.Access, Pin: j.cs.Pin, Build: "test"})
	drop := j.fake.Between
	j.fake.Between = nil
	for _, f := range probe.Run(j.Context(), p, []probe.Probe{probe.NATT{}, probe.IKE{}, probe.ESP{}}, nil).Findings {
		if f.Verdict != probe.Passed {
			j.Fatalf("the passer-by's %s: %s (%s)", f.Protocol, f.Verdict, f.Reason)
		}
	}
	j.fake.Between = drop
}

// What IP cuts into fragments, and a router drops, is told and decides nothing.
func TestJoinedIPFragments(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name string
		drop func(p sock.FakePacket) bool
		want string
	}{
		{"pass", func(sock.FakePacket) bool { return false }, "passed "},
		{"out", func(p sock.FakePacket) bool { return outwards(p) && large(p) }, "blocked-out ike-fragments-dropped"},
		{"back", func(p sock.FakePacket) bool { return !outwards(p) && large(p) }, "blocked-back ike-fragments-dropped"},
	} {
		t.Run(c.name, func(t *testing.T) {
			join(t, drops(c.drop), func(j *joined) {
				r := j.ipsec(j.laptop)
				j.want(r, map[string]string{"ikev2": "passed", "l2tp-ipsec": "passed"})
				if got := part(r, "ikev2", "ip-fragments"); got != c.want {
					t.Errorf("got %q, want %q", got, c.want)
				}
			})
		})
	}
}

// Behind a NAT the conversation moves to port 4500 with the SPIs of its opening; without one it stays, and ESP is plain.
func TestJoinedIPsecMoves(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name  string
		route func(sock.FakePacket) []sock.FakePacket
		moves bool
	}{
		{"nat", nat(always), true},
		{"no-nat", func(p sock.FakePacket) []sock.FakePacket { return []sock.FakePacket{p} }, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			join(t, c.route, func(j *joined) {
				r := j.ipsec(j.laptop)
				j.want(r, map[string]string{"ikev2": "passed", "l2tp-ipsec": "passed"})
				answered := map[uint64]uint64{} // the responder's SPI by the initiator's
				udp, plain, fragments := 0, 0, map[uint16]bool{}
				for _, p := range slices.Concat(j.laptop.Sent(), j.server.Sent()) {
					m, marked := markedIKE(p)
					if h, err := wire.ParseIKEHeader(p.Payload); err == nil && onPort(p, wire.IKEPort) {
						if m, _ = wire.ParseIKE(p.Payload); h.ResponderSPI != 0 && p.Src.Addr() == atServer {
							answered[h.InitiatorSPI] = h.ResponderSPI
						}
					}
					switch {
					case inUDP(p):
						udp++
					case plainESP(p):
						plain++
					case marked && answered[m.Header.InitiatorSPI] == 0 && m.Header.InitiatorSPI == 0:
						t.Error("a message of no SA on port 4500")
					case m.Header.ExchangeType == wire.IKEAuth && len(m.Payloads) == 1 && m.Payloads[0].Type == wire.IKEv2EncryptedFragment:
						fragments[uint16(m.Payloads[0].Body[1])] = true
						if marked != c.moves {
							t.Errorf("IKE_AUTH on port %d", p.Dst.Port())
						}
					}
				}
				if (udp > 0) != c.moves || (plain > 0) == c.moves || len(fragments) != 3 || len(answered) != 2 {
					t.Errorf("%d packets of ESP in UDP, %d of plain ESP, fragments %v, %d SAs", udp, plain, fragments, len(answered))
				}
				for _, o := range r.Observations {
					sent, _ := wire.ParseIKEHeader(o.Exchanges[0].Returned.Bytes)
					for _, e := range o.Exchanges {
						if m, ok := markedIKE(sock.FakePacket{Proto: wire.IPProtoUDP, Dst: e.Sent.Dst, Payload: e.Sent.Bytes}); ok && (m.Header.InitiatorSPI != sent.InitiatorSPI ||
							m.Header.ResponderSPI != sent.ResponderSPI) {
							t.Errorf("%s has other SPIs than the opening", e.ID)
						}
						if e.Sent.State == wire.Seen && e.Replied.State == wire.Seen && len(e.Replied.Bytes) > len(e.Sent.Bytes) {
							t.Errorf("%s: the answer has %d octets, the question %d", e.ID, len(e.Replied.Bytes), len(e.Sent.Bytes))
						}
					}
				}
			})
		})
	}
}

// Without plain ESP, at either end, what is not behind a NAT is wrapped all the same; and a held port is not needed.
func TestJoinedIPsecStandsIn(t *testing.T) {
	t.Parallel()
	straight := func(p sock.FakePacket) []sock.FakePacket { return []sock.FakePacket{p} }
	for _, c := range []struct {
		name    string
		change  func(j *joined)
		standIn bool
	}{
		{"no-raw-sockets", func(j *joined) { j.laptop.Deny = map[string]error{"raw": syscall.EPERM} }, false},
		{"500-held", func(j *joined) { j.hold(wire.IKEPort) }, true},
		{"4500-held", func(j *joined) { j.hold(wire.NATTPort) }, true},
		{"unprivileged", func(j *joined) { j.laptop.Deny = map[string]error{"udp/500": syscall.EACCES, "raw": syscall.EPERM} }, true},
	} {
		t.Run(c.name, func(t *testing.T) {
			join(t, straight, func(j *joined) {
				c.change(j)
				r := j.ipsec(j.laptop)
				j.want(r, map[string]string{"ikev2": "passed", "l2tp-ipsec": "passed"})
				for _, id := range []string{"ikev2", "l2tp-ipsec"} {
					if told(r, id, probe.EvStandsIn) != c.standIn {
						t.Errorf("%s: says that another form stands in: %t, want %t", id, !c.standIn, c.standIn)
					}
				}
			})
		})
	}
}

// A router that rewrites what it reads breaks the VPN as a whole, and says where.
func TestJoinedIPsecAltered(t *testing.T) {
	t.Parallel()
	for name, which := range map[string]func(sock.FakePacket) bool{
		"init": func(p sock.FakePacket) bool { return outwards(p) && onPort(p, wire.IKEPort) },
		"data": func(p sock.FakePacket) bool { return outwards(p) && inUDP(p) },
	} {
		t.Run(name, func(t *testing.T) {
			join(t, rewrites(which, 4), func(j *joined) {
				r := j.ipsec(j.laptop)
				j.want(r, map[string]string{"ikev2": "altered payload-altered", "l2tp-ipsec": "altered payload-altered"})
				for _, f := range r.Findings {
					if f.Stage != name {
						t.Errorf("%s was altered at %s, want %s", f.Protocol, f.Stage, name)
					}
				}
			})
		})
	}
}

// On the open path both are done soon, side by side, and ask nothing that they need not.
func TestJoinedIPsecQuick(t *testing.T) {
	t.Parallel()
	join(t, nat(always), func(j *joined) {
		r := j.ipsec(j.laptop)
		if took := r.Ended.Sub(r.Started); took > 1600*time.Millisecond {
			t.Errorf("took %v of the bubble's time", took)
		}
		for _, o := range r.Observations {
			if n := len(o.Exchanges); n > 20 {
				t.Errorf("%s: %d exchanges, want few", o.Protocol, n)
			}
			for _, e := range o.Exchanges {
				if e.Part == "ephemeral" || strings.HasSuffix(e.Stage, "500") {
					t.Errorf("%s: asked %s of %s", o.Protocol, e.Stage, e.Part)
				}
			}
		}
	})
}

// The data of a whole VPN that is limited, or cut off, is told as anybody's is (F13, F52): the tunnel that follows is a new one, slowly.
func TestJoinedWholePaces(t *testing.T) {
	data := func(p sock.FakePacket, out bool) bool { return out && onNATT(p, out, wire.NATTESP) }
	both := func(p sock.FakePacket, out bool) bool { return out && onPort(p, wire.NATTPort) }
	tunnel := func(p sock.FakePacket, out bool) string {
		if data(p, out) {
			return string(p.Payload[:4])
		}
		return ""
	}
	flow := func(p sock.FakePacket, out bool) string {
		if both(p, out) {
			return p.Src.String()
		}
		return ""
	}
	for _, c := range []struct {
		name string
		box  middlebox
		want string
	}{
		{"one-a-second", limiting(1, 2, data), "passed rate-limit"},
		{"punishes", punishing(6, data), "passed rate-limit"},
		{"port-4500-one-a-second", limiting(1, 4, both), "passed rate-limit"},
		{"tunnel-cut-after-8", cutAfterN(8, tunnel), "stalled stopped-after-n"},
		{"flow-cut-after-9", cutAfterN(9, flow), "stalled stopped-after-n"},
		{"flow-cut-after-1", cutAfterN(1, flow), "stalled stopped-after-n"},
	} {
		for _, id := range []string{"ikev2", "l2tp-ipsec"} {
			t.Run(id+"/"+c.name, func(t *testing.T) {
				t.Parallel()
				join(t, c.box.route(), func(j *joined) {
					j.ipsecProof()
					f, o := j.only(id)
					j.found(f, c.want)
					if took := o.Ended.Sub(o.Started); took > 30*time.Second {
						t.Errorf("it took %v", took)
					} else {
						t.Log(took, f.Stage)
					}
				})
			})
		}
	}
}
