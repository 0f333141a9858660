package main

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"net/netip"
	"syscall"
	"testing"

	"vpncheck/probe"
	"vpncheck/probe/sock"
	"vpncheck/probe/wire"
)

// only runs one protocol, and returns what came of it.
func (j *joined) only(id string) (probe.Finding, probe.Observation) {
	j.Helper()
	probes, _, err := choose([]string{id})
	if err != nil {
		j.Fatal(err)
	}
	p := probe.Open(j.Context(), probe.Config{Net: j.laptop, Host: j.cs.Host, Access: j.cs.Access, Pin: j.cs.Pin, Build: "test"})
	r := probe.Run(j.Context(), p, probes, nil)
	return r.Findings[0], r.Observations[0]
}

// found compares a finding with a verdict and a reason.
func (j *joined) found(f probe.Finding, want string) {
	j.Helper()
	if got := words(string(f.Verdict), string(f.Reason)); got != want {
		j.Errorf("%s: got %q, want %q\n%+v\n%+v", f.Protocol, got, want, f.Because, f.Parts)
	}
}

// foundAt is found, and compares the stage that decided it.
func (j *joined) foundAt(f probe.Finding, want, stage string) {
	j.Helper()
	if j.found(f, want); f.Stage != stage {
		j.Errorf("got stage %s, want %s", f.Stage, stage)
	}
}

// evidence is the first with a reason.
func evidence(f probe.Finding, r probe.Reason) (probe.Evidence, bool) {
	for _, e := range f.Because {
		if e.Reason == r {
			return e, true
		}
	}
	return probe.Evidence{}, false
}

// without drops the packets that it is told to, and hands the others on.
func without(drop func(sock.FakePacket) bool, route func(sock.FakePacket) []sock.FakePacket) func(sock.FakePacket) []sock.FakePacket {
	return func(p sock.FakePacket) []sock.FakePacket {
		if drop(p) {
			return nil
		}
		return route(p)
	}
}

// straight is the way without a NAT.
func straight(p sock.FakePacket) []sock.FakePacket { return []sock.FakePacket{p} }

// lossy loses one packet in ten.
func lossy(seed uint64, route func(sock.FakePacket) []sock.FakePacket) func(sock.FakePacket) []sock.FakePacket {
	dice := rand.New(rand.NewPCG(seed, 1701))
	return without(func(p sock.FakePacket) bool { return p.Proto != 6 && dice.Float64() < 0.10 }, route)
}

func isAH(p sock.FakePacket) bool { return p.Proto == wire.IPProtoAH }

// serverNAT gives the server another address outside, one to one.
func serverNAT(p sock.FakePacket) []sock.FakePacket {
	outside := netip.MustParseAddr("198.51.100.99")
	switch {
	case p.Dst.Addr() == outside:
		p.Dst = netip.AddrPortFrom(atServer, p.Dst.Port())
	case p.Src.Addr() == atServer:
		p.Src = netip.AddrPortFrom(outside, p.Src.Port())
	}
	return []sock.FakePacket{p}
}

func TestJoinedAH(t *testing.T) {
	t.Parallel()
	homeAH := func(p sock.FakePacket) bool { return isAH(p) && p.Src.Addr() == atHome }
	edit := func(f func(*sock.FakePacket)) func(sock.FakePacket) []sock.FakePacket {
		return func(p sock.FakePacket) []sock.FakePacket {
			if homeAH(p) {
				f(&p)
			}
			return straight(p)
		}
	}
	for _, c := range []struct {
		name  string
		route func(sock.FakePacket) []sock.FakePacket
		want  string
		icv   string
	}{
		{"no-nat", straight, "passed", "valid"},
		{"nat", nat(always), "altered ah-through-nat", "invalid"},
		{"out", without(homeAH, nat(always)), "blocked-out ah-out-dropped", ""},
		{"out-no-nat", without(homeAH, straight), "blocked-out ah-out-dropped", ""},
		{"back", without(func(p sock.FakePacket) bool { return isAH(p) && p.Dst.Addr() == atHome }, straight), "blocked-back ah-back-dropped", "valid"},
		{"clash", without(func(p sock.FakePacket) bool { return homeAH(p) && p.Dst.Addr() == atServer }, nat(always)), "inconclusive state-clash", "invalid"},
		{"clash-no-nat", without(func(p sock.FakePacket) bool { return homeAH(p) && p.Dst.Addr() == atServer }, straight), "inconclusive state-clash", "valid"},
		{"mutable", edit(func(p *sock.FakePacket) { p.DSCP, p.TTL, p.DF = 8, p.TTL-1, false }), "passed", "valid"},
		{"ip-id", edit(func(p *sock.FakePacket) { p.IPID ^= 1 }), "altered payload-altered", "invalid"},
		{"payload", edit(func(p *sock.FakePacket) { p.Payload[len(p.Payload)-1] ^= 1 }), "altered payload-altered", "invalid"},
		{"token", edit(func(p *sock.FakePacket) { p.Payload[wire.AHSize+8+6+4+8] ^= 1 }), "altered payload-altered", ""},
		{"cut", edit(func(p *sock.FakePacket) { p.Payload = p.Payload[:len(p.Payload)-1] }), "altered payload-altered", ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			join(t, c.route, func(j *joined) {
				j.prove()
				f, _ := j.only("ah")
				j.found(f, c.want)
				e, ok := evidence(f, probe.EvICV)
				if got := map[bool]string{true: "valid", false: "invalid"}[e.Args["valid"] == true]; ok != (c.icv != "") || ok && got != c.icv {
					j.Errorf("got evidence %+v, want of the ICV: %q", e, c.icv)
				}
			})
		})
	}
}

// A NAT in front of the server breaks AH as well as one in front of the laptop.
func TestJoinedAHServerNAT(t *testing.T) {
	t.Parallel()
	join(t, serverNAT, func(j *joined) {
		j.cs.Host = "198.51.100.99"
		f, o := j.only("ah")
		j.found(f, "altered ah-through-nat")
		if e := o.Exchanges[0]; e.Arrived.Dst.Addr() != atServer || e.Returned.State != wire.Seen {
			j.Errorf("got %+v, want a packet that arrived and was answered", e)
		}
	})
}

// What a system cannot send was not asked.
func TestJoinedAHUnasked(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name string
		harm func(*sock.FakeHost)
		want string
	}{
		{"no-privilege", func(h *sock.FakeHost) { h.Deny = map[string]error{"raw": syscall.EPERM} }, "untested no-privilege"},
		{"no-header-of-its-own", func(h *sock.FakeHost) {
			h.Route = func(p *sock.FakePacket) error {
				if isAH(*p) {
					return fmt.Errorf("choosing the IP-ID: %w", errors.ErrUnsupported)
				}
				return nil
			}
		}, "untested os-refuses"},
		{"firewall", func(h *sock.FakeHost) { h.Deny = map[string]error{"send/51": syscall.EPERM} }, "blocked-out laptop-firewall"},
	} {
		t.Run(c.name, func(t *testing.T) {
			join(t, straight, func(j *joined) {
				c.harm(j.laptop)
				f, _ := j.only("ah")
				j.found(f, c.want)
			})
		})
	}
}
