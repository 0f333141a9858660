package main

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"syscall"
	"testing"
	"time"

	"vpncheck/probe"
	"vpncheck/probe/sock"
	"vpncheck/probe/wire"
)

// l2tpFrom says whether a packet is the laptop's L2TP from a local port; 0 is any.
func l2tpFrom(p sock.FakePacket, port uint16) bool {
	return p.Proto == wire.IPProtoUDP && p.Src.Addr() == atHome && p.Dst.Port() == wire.L2TPPort && (port == 0 || p.Src.Port() == port)
}

func l2tpBack(p sock.FakePacket) bool { return p.Src == netip.AddrPortFrom(atServer, wire.L2TPPort) }

// l2tpSent are the messages of L2TP that the laptop sent.
func (j *joined) l2tpSent() (out []wire.L2TP) {
	j.Helper()
	for _, p := range j.laptop.Sent() {
		if !l2tpFrom(p, 0) {
			continue
		}
		m, err := wire.ParseL2TP(p.Payload)
		if err != nil {
			j.Errorf("the laptop sent %x: %v", p.Payload, err)
		}
		out = append(out, m)
	}
	return out
}

// A conversation has the messages of a stock client, in their order, with the numbers that a server expects.
func TestJoinedL2TPConversation(t *testing.T) {
	t.Parallel()
	join(t, nat(always), func(j *joined) {
		began := time.Now()
		f, o := j.only("l2tp")
		j.found(f, "passed")
		if took := time.Since(began); took > 3*time.Second {
			j.Errorf("the open path took %v, at most 3 s", took)
		}
		var got []string
		data := 0
		for _, m := range j.l2tpSent() {
			typ, control := m.MessageType()
			if !control {
				data++
				continue
			}
			got = append(got, fmt.Sprintf("%d %d/%d", typ, m.Ns, m.Nr))
		}
		want := "[1 0/0 3 1/1 10 2/1 12 3/2 6 4/2 4 5/2]"
		if fmt.Sprint(got) != want || data != 12+1 { // 12 rounds and a Configure-Ack
			j.Errorf("got %v and %d data messages, want %s and 13", got, data, want)
		}
		for _, e := range o.Exchanges {
			if e.Sent.State != wire.Seen || e.Arrived.State != wire.Seen || e.Replied.State != wire.Seen && e.From == probe.Client {
				j.Errorf("%s (%s) was not followed from end to end: %+v", e.ID, e.Stage, e)
			}
			if len(e.Replied.Bytes) > len(e.Sent.Bytes) && e.Stage != "data" {
				j.Errorf("%s (%s): %d octets for %d: an answer is not larger than its question", e.ID, e.Stage, len(e.Replied.Bytes), len(e.Sent.Bytes))
			}
			if e.Returned.State != wire.Seen && e.From == probe.Client || e.Part != "from-1701" {
				j.Errorf("%s (%s, %s) was not answered: %+v", e.ID, e.Stage, e.Part, e)
			}
		}
	})
}

func TestJoinedL2TP(t *testing.T) {
	t.Parallel()

	edit := func(is func(sock.FakePacket) bool, f func(b []byte)) func(sock.FakePacket) []sock.FakePacket {
		return func(p sock.FakePacket) []sock.FakePacket {
			if is(p) {
				f(p.Payload)
			}
			return nat(always)(p)
		}
	}
	any1701 := func(p sock.FakePacket) bool { return l2tpFrom(p, 0) }
	isData := func(p sock.FakePacket) bool { return l2tpFrom(p, 0) && p.Payload[0]&0x80 == 0 }
	for _, c := range []struct {
		name  string
		route func(sock.FakePacket) []sock.FakePacket
		want  string
		stage string
	}{
		{"no-nat", straight, "passed", "data"},
		{"out", without(any1701, nat(always)), "blocked-out udp-port-dropped", "tunnel"},
		{"back", without(l2tpBack, nat(always)), "blocked-back udp-port-back-dropped", "tunnel"},
		{"port-clash", without(func(p sock.FakePacket) bool { return l2tpFrom(p, wire.L2TPPort) }, nat(always)), "inconclusive port-clash", "tunnel"},
		{"data-out", without(isData, nat(always)), "blocked-out no-arrival", "data"},
		{"data-altered", edit(isData, func(b []byte) { b[len(b)-1] ^= 1 }), "altered payload-altered", "data"},
		{"tunnel-id", edit(any1701, func(b []byte) { b[len(b)-9] ^= 1 }), "altered payload-altered", "tunnel"},
		{"token", edit(any1701, func(b []byte) { b[12+8+6+10] ^= 1 }), "altered payload-altered", "tunnel"},
		{"answer-altered", edit(l2tpBack, func(b []byte) { b[len(b)-1] ^= 1 }), "altered payload-altered", "tunnel"},
	} {
		t.Run(c.name, func(t *testing.T) {
			join(t, c.route, func(j *joined) {
				if c.name != "back" && c.name != "answer-altered" {
					j.prove()
				}
				f, _ := j.only("l2tp")
				j.foundAt(f, c.want, c.stage)
			})
		})
	}
}

// A change in the header says which ID it hit.
func TestJoinedL2TPField(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		at    int
		field string
	}{{2, "tunnel ID"}, {5, "session ID"}, {8, "payload"}} {
		join(t, func(p sock.FakePacket) []sock.FakePacket {
			if l2tpBack(p) && p.Payload[0]&0x80 == 0 {
				p.Payload[c.at] ^= 1
			}
			return nat(always)(p)
		}, func(j *joined) {
			f, _ := j.only("l2tp")
			j.found(f, "altered payload-altered")
			if e, ok := evidence(f, probe.EvChange); !ok || e.Args["field"] != c.field {
				j.Errorf("got %+v, want a change of the %s", e, c.field)
			}
		})
	}
}

// A server of the router's own is not ours, whatever it answers (F18).
func TestJoinedL2TPHijacked(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name   string
		answer []byte
	}{
		{"sccrp", wire.L2TPControl(7, 0, 0, 1, wire.AVP16(wire.AVPMessageType, wire.L2TPSCCRP), wire.AVP16(wire.AVPAssignedTunnelID, 9)).Append(nil)},
		{"stopccn", wire.L2TPControl(7, 0, 0, 1, wire.AVP16(wire.AVPMessageType, wire.L2TPStopCCN), wire.L2TPResult{ResultCode: 2}.AVP()).Append(nil)},
		{"acknowledgment", wire.L2TPControl(7, 0, 0, 1).Append(nil)},
	} {
		t.Run(c.name, func(t *testing.T) {
			join(t, func(p sock.FakePacket) []sock.FakePacket {
				if l2tpFrom(p, 0) {
					p.Src, p.Dst, p.Payload = p.Dst, p.Src, c.answer
					return []sock.FakePacket{p}
				}
				return nat(always)(p)
			}, func(j *joined) {
				j.prove()
				f, _ := j.only("l2tp")
				j.found(f, "hijacked answered-by-another")
			})
		})
	}
}

// Without the stock port the ephemeral one decides, and says so; without either nothing was asked.
func TestJoinedL2TPUnasked(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name string
		deny map[string]error
		want string
	}{
		{"stock-port-held", map[string]error{"udp/1701": syscall.EADDRINUSE}, "passed"},
		{"stock-port-privileged", map[string]error{"udp/1701": syscall.EACCES}, "passed"},
		{"firewall", map[string]error{"send/17": syscall.EPERM}, "blocked-out laptop-firewall"},
	} {
		t.Run(c.name, func(t *testing.T) {
			join(t, nat(always), func(j *joined) {
				j.laptop.Deny = c.deny
				f, o := j.only("l2tp")
				j.found(f, c.want)
				_, said := evidence(f, probe.EvStandsIn)
				if refused := c.want == "passed"; said != refused || (o.Parts[0].Refused != nil) != refused {
					j.Errorf("got %+v and parts %+v", f.Because, o.Parts)
				}
			})
		})
	}
	join(t, nat(always), func(j *joined) {
		j.laptop.Deny = map[string]error{"udp": errors.ErrUnsupported}
		f, _ := j.only("l2tp")
		j.found(f, "untested os-refuses")
	})
}

// Whoever interrupts a run leaves no tunnel behind.
func TestJoinedL2TPInterrupted(t *testing.T) {
	t.Parallel()
	join(t, nat(always), func(j *joined) {
		ctx, cancel := context.WithCancel(j.Context())
		defer cancel()
		time.AfterFunc(700*time.Millisecond, cancel)
		p := probe.Open(ctx, probe.Config{Net: j.laptop, Host: j.cs.Host, Access: j.cs.Access, Pin: j.cs.Pin, Build: "test"})
		r := probe.Run(ctx, p, []probe.Probe{probe.L2TP{}}, nil)
		j.found(r.Findings[0], "inconclusive interrupted")
		sent := j.l2tpSent()
		if typ, _ := sent[len(sent)-1].MessageType(); typ != wire.L2TPStopCCN {
			j.Errorf("got message type %d at the end, want StopCCN", typ)
		}
	})
}

// A tunnel that stops midway is tried once more before that is a verdict.
func TestJoinedL2TPStalls(t *testing.T) {
	t.Parallel()
	seen := map[uint16]int{}
	join(t, func(p sock.FakePacket) []sock.FakePacket {
		if l2tpFrom(p, 0) && p.Payload[0]&0x80 == 0 {
			m, _ := wire.ParseL2TP(p.Payload)
			if seen[m.TunnelID]++; seen[m.TunnelID] > 6 {
				return nil
			}
		}
		return nat(always)(p)
	}, func(j *joined) {
		f, _ := j.only("l2tp")
		j.found(f, "stalled stopped-after-n")
	})
}

// However the dice fall, a lossy line makes no verdict of its own (T19).
func TestJoinedL2TPLoss(t *testing.T) {
	t.Parallel()
	passesLossy(t, "l2tp")
}
