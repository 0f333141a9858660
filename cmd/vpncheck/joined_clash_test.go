package main

import (
	"context"
	"fmt"
	"net/netip"
	"testing"
	"time"

	"vpncheck/probe"
	"vpncheck/probe/sock"
)

// oneEach is a NAT that keeps what has no ports by its addresses, for the first laptop (F11), and lets the other send nothing to them. The other's
// ports are moved out of the first one's way.
func oneEach() func(sock.FakePacket) []sock.FakePacket {
	const apart = 20000
	holder := map[string]netip.Addr{}
	return func(p sock.FakePacket) []sock.FakePacket {
		portless := p.Src.Port() == 0 && p.Dst.Port() == 0
		switch {
		case portless && p.Dst.Addr() == public:
			p.Dst = netip.AddrPortFrom(holder[fmt.Sprint(p.Proto)+p.Src.Addr().String()], 0)
		case portless && (p.Src.Addr() == atHome || p.Src.Addr() == atHome2):
			place := fmt.Sprint(p.Proto) + p.Dst.Addr().String()
			if first, taken := holder[place]; taken && first != p.Src.Addr() {
				return nil
			}
			holder[place] = p.Src.Addr()
			p.Src = netip.AddrPortFrom(public, 0)
		case p.Dst.Addr() == public && p.Dst.Port() >= 40000+apart, p.Dst.Addr() == public && p.Dst.Port() > apart && p.Dst.Port() < 40000:
			p.Dst = netip.AddrPortFrom(atHome2, p.Dst.Port()-apart)
		case p.Dst.Addr() == public:
			p.Dst = netip.AddrPortFrom(atHome, p.Dst.Port())
		case p.Src.Addr() == atHome2:
			p.Src = netip.AddrPortFrom(public, p.Src.Port()+apart)
		case p.Src.Addr() == atHome:
			p.Src = netip.AddrPortFrom(public, p.Src.Port())
		}
		return []sock.FakePacket{p}
	}
}

// What another laptop's run has left in the router is no block: neither of what it used at the server's second address too (ESP), nor of what
// it used at the first one alone.
func TestJoinedOthersClash(t *testing.T) {
	t.Parallel()
	join(t, oneEach(), func(j *joined) {
		j.prove()
		j.want(j.run(j.Context(), j.laptop), map[string]string{"gre": "passed", "esp": "passed", "ah": "altered ah-through-nat"})
		time.Sleep(3 * time.Minute)
		second := j.fake.Host(atHome2)
		r := j.run(j.Context(), second)
		j.want(r, map[string]string{"gre": "inconclusive state-clash", "esp": "inconclusive state-clash", "ah": "inconclusive state-clash",
			"ike": "passed", "natt": "passed", "l2tp": "passed"})
		if !told(r, "esp", probe.EvOthers) || !told(r, "gre", probe.EvOthers) {
			t.Error("nothing is told of the other laptop")
		}
		// Ten minutes later nobody tells of another, and a fake that forgets nothing looks like a block.
		time.Sleep(11 * time.Minute)
		j.prove()
		j.want(j.run(j.Context(), second), map[string]string{"gre": "blocked-out gre-out-dropped", "esp": "blocked-out esp-out-dropped"})
	})
}

// A server that sees the laptop come from the laptop's own gateway stands behind the same router (F57): nothing is asked.
func TestJoinedHairpin(t *testing.T) {
	t.Parallel()
	gateway := netip.MustParseAddr("192.168.1.1")
	join(t, func(p sock.FakePacket) []sock.FakePacket {
		switch {
		case p.Src.Addr() == atHome:
			p.Src = netip.AddrPortFrom(gateway, p.Src.Port())
		case p.Dst.Addr() == gateway:
			p.Dst = netip.AddrPortFrom(atHome, p.Dst.Port())
		}
		return []sock.FakePacket{p}
	}, func(j *joined) {
		look := func(netip.Addr) probe.LaptopFacts { return probe.LaptopFacts{Gateway: gateway} }
		cfg := probe.Config{Net: j.laptop, Host: j.cs.Host, Access: j.cs.Access, Pin: j.cs.Pin, Build: "test", Look: look}
		r := probe.Run(j.Context(), probe.Open(j.Context(), cfg), allProbes(), nil)
		for _, f := range r.Findings {
			if f.Verdict != probe.Untested || f.Reason != probe.ServerHairpin {
				t.Errorf("%s: %s (%s), want untested (%s)", f.Protocol, f.Verdict, f.Reason, probe.ServerHairpin)
			}
		}
		for _, p := range j.laptop.Sent() {
			if p.Proto != 6 || p.Dst.Port() == 1723 {
				t.Errorf("%+v was sent", p)
			}
		}
	})
}

// Where the laptop could have asked an address of the other family, too, that is told (T37).
func TestJoinedFamilies(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name   string
		found  []netip.Addr
		family int
		laptop []netip.Addr
		other  netip.Addr
	}{
		{"both", []netip.Addr{atServer6, atServer}, 0, []netip.Addr{atHome, atHome6}, atServer6},
		{"both-asked-for-six", []netip.Addr{atServer, atServer6}, 6, []netip.Addr{atHome, atHome6}, atServer},
		{"the-laptop-has-one", []netip.Addr{atServer, atServer6}, 0, []netip.Addr{atHome2}, netip.Addr{}},
		{"the-server-has-one", []netip.Addr{atServer}, 0, []netip.Addr{atHome, atHome6}, netip.Addr{}},
	} {
		t.Run(c.name, func(t *testing.T) {
			join(t, nat(always), func(j *joined) {
				from := j.laptop
				if c.laptop[0] == atHome2 {
					from = j.fake.Host(atHome2)
				}
				cfg := probe.Config{Net: from, Host: "vpn.example", Access: j.cs.Access, Pin: j.cs.Pin, Build: "test", Family: c.family,
					Resolve: func(context.Context, string, string) ([]netip.Addr, error) { return c.found, nil }}
				p := probe.Open(j.Context(), cfg)
				if got := p.Circumstances().Server.Other; got != c.other {
					t.Errorf("got %v, want %v", got, c.other)
				}
				probe.Run(j.Context(), p, nil, nil)
			})
		})
	}
}
