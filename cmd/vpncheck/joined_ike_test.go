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

// ike asks IKE alone.
func (j *joined) ike(from *sock.FakeHost) probe.Result {
	p := probe.Open(j.Context(), probe.Config{Net: from, Host: j.cs.Host, Access: j.cs.Access, Pin: j.cs.Pin, Build: "test"})
	return probe.Run(j.Context(), p, []probe.Probe{probe.IKE{}}, nil)
}

// leavesHome and comesHome find the laptop's packets to and from UDP port 500 of the server.
func leavesHome(p sock.FakePacket) bool {
	return p.Proto == wire.IPProtoUDP && p.Src.Addr() == atHome && p.Dst.Port() == wire.IKEPort
}

func comesHome(p sock.FakePacket) bool {
	return p.Proto == wire.IPProtoUDP && p.Dst.Addr() == public && p.Src.Port() == wire.IKEPort
}

// drops is a NAT that loses some packets.
func drops(which func(sock.FakePacket) bool) func(sock.FakePacket) []sock.FakePacket {
	return func(p sock.FakePacket) []sock.FakePacket {
		if which(p) {
			return nil
		}
		return nat(always)(p)
	}
}

// rewrites is a NAT that overwrites octets of some packets.
func rewrites(which func(sock.FakePacket) bool, at int) func(sock.FakePacket) []sock.FakePacket {
	return func(p sock.FakePacket) []sock.FakePacket {
		if which(p) && len(p.Payload) > at {
			copy(p.Payload[at:], "\xde\xad\xbe\xef")
		}
		return nat(always)(p)
	}
}

// usurps is a router that answers IKE itself, in the server's name.
func usurps(p sock.FakePacket) []sock.FakePacket {
	if !leavesHome(p) {
		return nat(always)(p)
	}
	h, err := wire.ParseIKEHeader(p.Payload)
	if err != nil {
		return nil
	}
	h.ResponderSPI, h.Flags, h.NextPayload, h.Length = 0x5a5a5a5a5a5a5a5a, wire.IKEv2FlagResponse, 0, 28
	p.Payload, p.Src, p.Dst = h.Append(nil), p.Dst, p.Src
	return []sock.FakePacket{p}
}

func encrypted(p sock.FakePacket) bool {
	h, err := wire.ParseIKEHeader(p.Payload)
	return leavesHome(p) && err == nil && h.MajorVersion == 2 && h.ExchangeType != wire.IKESAInit
}

func TestJoinedIKE(t *testing.T) {
	t.Parallel()
	fromStock := func(p sock.FakePacket) bool { return leavesHome(p) && p.Src.Port() == wire.IKEPort }
	for _, c := range []struct {
		name  string
		route func(sock.FakePacket) []sock.FakePacket
		want  string
		field string // that was changed
	}{
		{"passes", nat(always), "passed", ""},
		{"other-source-port", func(p sock.FakePacket) []sock.FakePacket {
			p = nat(always)(p)[0]
			switch {
			case p.Src == netip.AddrPortFrom(public, wire.IKEPort):
				p.Src = netip.AddrPortFrom(public, 20009)
			case p.Dst.Port() == 20009:
				p.Dst = netip.AddrPortFrom(atHome, wire.IKEPort)
			}
			return []sock.FakePacket{p}
		}, "passed", ""},
		{"spi-rewritten", rewrites(leavesHome, 4), "altered payload-altered", "initiator SPI"},
		{"spi-rewritten-back", rewrites(comesHome, 12), "altered payload-altered", "responder SPI"},
		{"proposals-rewritten", rewrites(leavesHome, 60), "altered payload-altered", "SA payload"},
		{"nonce-and-token-rewritten", rewrites(leavesHome, 280), "altered payload-altered", "nonce"},
		{"lost-out", drops(leavesHome), "blocked-out udp-port-dropped", ""},
		{"lost-back", drops(comesHome), "blocked-back udp-port-back-dropped", ""},
		{"stock-port-lost", drops(fromStock), "inconclusive port-clash", ""},
		{"usurped", usurps, "hijacked answered-by-another", ""},
		{"encrypted-lost-behind-a-nat", drops(encrypted), "passed", ""},
		{"encrypted-lost-without-a-nat", func(p sock.FakePacket) []sock.FakePacket {
			if encrypted(p) {
				return nil
			}
			return []sock.FakePacket{p}
		}, "blocked-out no-arrival", ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			join(t, c.route, func(j *joined) {
				j.ike(j.other)
				r := j.ike(j.laptop)
				j.want(r, map[string]string{"ike": c.want})
				if f := r.Findings[0]; c.field != "" && !slices.ContainsFunc(f.Because, func(e probe.Evidence) bool {
					return e.Reason == probe.EvChange && e.Args["field"] == c.field
				}) {
					t.Errorf("no change of the %s: %+v", c.field, f.Because)
				}
			})
		})
	}
}

// On the open path all three forms pass, in little more than the rounds' span, and NAT detection finds the laptop's NAT.
func TestJoinedIKEPasses(t *testing.T) {
	t.Parallel()
	join(t, nat(always), func(j *joined) {
		r := j.ike(j.laptop)
		f := r.Findings[0]
		for _, part := range []string{"v2-from-500", "v2-ephemeral", "v1-from-500"} {
			if !slices.Contains(f.Parts, probe.PartFinding{Part: part, Verdict: probe.Passed}) {
				t.Errorf("%s did not pass: %+v", part, f.Parts)
			}
		}
		if !slices.ContainsFunc(f.Because, func(e probe.Evidence) bool {
			return e.Reason == probe.EvNATFound && e.Args["client"] == true && e.Args["server"] == false
		}) {
			t.Errorf("NAT detection did not find the laptop's NAT, or found another: %+v", f.Because)
		}
		if took := r.Ended.Sub(r.Started); took > 1800*time.Millisecond {
			t.Errorf("the open path took %v of the bubble's time", took)
		}
		if n := len(r.Observations[0].Exchanges); n > 25 {
			t.Errorf("%d exchanges, want few", n)
		}
	})
}

// A laptop that may not have port 500 asks from another, and says so; without any port it asks nothing.
func TestJoinedIKEStandsIn(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		deny  string
		err   error
		route func(sock.FakePacket) []sock.FakePacket
		want  string
	}{
		{"udp/500", syscall.EACCES, nat(always), "passed"},
		{"udp/500", syscall.EADDRINUSE, nat(always), "passed"},
		{"udp/500", syscall.ENOBUFS, nat(always), "passed"},
		{"udp/500", syscall.EACCES, drops(leavesHome), "blocked-out udp-port-dropped"},
		{"udp", syscall.EACCES, nat(always), "untested no-privilege"},
	} {
		t.Run(c.deny+"-"+strings.ReplaceAll(c.err.Error(), " ", "-")+"-"+strings.Fields(c.want)[0], func(t *testing.T) {
			join(t, c.route, func(j *joined) {
				j.ike(j.other)
				j.laptop.Deny = map[string]error{c.deny: c.err}
				r := j.ike(j.laptop)
				j.want(r, map[string]string{"ike": c.want})
				f := r.Findings[0]
				stoodIn := slices.ContainsFunc(f.Because, func(e probe.Evidence) bool { return e.Reason == probe.EvStandsIn })
				if stoodIn != (c.deny == "udp/500") || len(f.Parts) > 1 {
					t.Errorf("got %+v, %+v", f.Parts, f.Because)
				}
			})
		})
	}
}
