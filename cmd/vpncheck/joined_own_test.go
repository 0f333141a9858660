package main

import (
	"context"
	"net/netip"
	"testing"
	"time"

	"vpncheck/probe"
	"vpncheck/probe/sock"
	"vpncheck/probe/wire"
)

// atOwn is the person's own VPN server: it answers nothing but OpenVPN over UDP.
var atOwn = netip.MustParseAddr("198.51.100.99")

// withOwn runs everything, and asks the own server beside it.
func (j *joined) withOwn(ctx context.Context, on func(probe.Event)) probe.Result {
	own := j.fake.Host(atOwn)
	c, err := own.UDP(netip.AddrPortFrom(atOwn, wire.OpenVPNPort))
	if err != nil {
		j.Fatal(err)
	}
	j.Cleanup(func() { c.Close() })
	go func() {
		for {
			p, err := c.Recv()
			if err != nil {
				return
			}
			if m, err := wire.ParseOpenVPN(p.Bytes); err == nil {
				reset := wire.OpenVPN{Opcode: wire.OpenVPNHardResetServer, Session: wire.Brief{1}, Acks: []uint32{m.PacketID}, Remote: m.Session}
				c.Send(sock.Out{Dst: p.Src, Payload: reset.Append(nil)})
			}
		}
	}()
	path := probe.Open(ctx, probe.Config{Net: j.laptop, Host: j.cs.Host, Access: j.cs.Access, Pin: j.cs.Pin, Build: "test", Own: &probe.OwnConfig{Host: atOwn.String()}})
	return probe.Run(ctx, path, allProbes(), on)
}

// silentOwn drops the TCP of the own server, which a machine in memory would refuse.
func silentOwn(route func(sock.FakePacket) []sock.FakePacket) func(sock.FakePacket) []sock.FakePacket {
	return func(p sock.FakePacket) []sock.FakePacket {
		if p.Proto == protoTCP && p.Dst.Addr() == atOwn {
			return nil
		}
		return route(p)
	}
}

// A run asks the person's own server once the verdicts are in that it could harm, and no verdict is another for it.
func TestJoinedOwn(t *testing.T) {
	join(t, silentOwn(nat(always)), func(j *joined) {
		j.prove()
		began := time.Now()
		var asked time.Time
		told := map[string]bool{}
		r := j.withOwn(j.Context(), func(e probe.Event) {
			switch e.Kind {
			case "own":
				asked = e.At
			case "verdict":
				told[e.Protocol] = asked.IsZero()
			}
		})
		j.want(r, map[string]string{"pptp": "passed", "gre": "passed", "esp": "passed", "ike": "passed", "natt": "passed", "l2tp": "passed",
			"openvpn-udp": "passed", "openvpn-tcp": "passed", "wireguard": "passed", "sstp": "passed", "ikev2": "passed", "l2tp-ipsec": "passed"})
		for id, before := range told {
			if late := id == "openvpn-udp" || id == "openvpn-tcp" || id == "wireguard"; before == late {
				j.Errorf("%s: its verdict came before the own server was asked: %v", id, before)
			}
		}
		if r.Own == nil || r.Own.Why != nil || len(r.Own.Openings) != len(probe.OpeningIDs) {
			j.Fatalf("got %+v", r.Own)
		}
		for _, a := range r.Own.Judge(probe.Carried(r.Findings)) {
			want, culprit := probe.OwnSilentCarried, probe.CulpritVPNServer
			switch a.ID {
			case probe.OpeningOpenVPNUDP:
				want, culprit = "", ""
			case probe.OpeningL2TP:
				want, culprit = probe.OwnSilentByDesign, ""
			}
			if a.Reason != want || a.Culprit != culprit {
				j.Errorf("%s: got %s %s, culprit %q, want %s", a.ID, a.Verdict, a.Reason, a.Culprit, want)
			}
		}
		for _, o := range r.Own.Openings {
			if o.StandIn != nil {
				j.Errorf("%s: the run still holds its port: %v", o.ID, o.StandIn)
			}
		}
		if d := r.Ended.Sub(began); d > 12*time.Second {
			j.Errorf("it took %v", d)
		}
	})
}

// Where there is no session the own server is asked all the same.
func TestJoinedOwnWithoutSession(t *testing.T) {
	route := silentOwn(nat(always))
	join(t, func(p sock.FakePacket) []sock.FakePacket {
		if p.Dst.Addr() == atServer {
			return nil
		}
		return route(p)
	}, func(j *joined) {
		r := j.withOwn(j.Context(), nil)
		if r.Circumstances.NoSession == nil || r.Own == nil {
			j.Fatalf("got %+v and %+v, want no session and the own server", r.Circumstances.NoSession, r.Own)
		}
		want := map[string]probe.Reason{probe.OpeningOpenVPNUDP: "", probe.OpeningL2TP: probe.OwnSilentByDesign}
		for _, a := range r.Own.Judge(probe.Carried(r.Findings)) {
			reason, ok := want[a.ID]
			if !ok {
				reason = probe.OwnSilentUnsure
			}
			if a.Reason != reason || a.Culprit != "" {
				j.Errorf("%s: got %s %s, culprit %q, want %q", a.ID, a.Verdict, a.Reason, a.Culprit, reason)
			}
		}
	})
}

// Called off in the middle, the run ends, and says what was not asked.
func TestJoinedOwnCalledOff(t *testing.T) {
	join(t, silentOwn(nat(always)), func(j *joined) {
		ctx, cancel := context.WithCancel(j.Context())
		defer cancel()
		r := j.withOwn(ctx, func(e probe.Event) {
			if e.Kind == "own" {
				time.AfterFunc(500*time.Millisecond, cancel)
			}
		})
		for _, a := range r.Own.Judge(nil) {
			if a.ID != probe.OpeningOpenVPNUDP && (a.Verdict != probe.Untested || a.Reason != probe.Interrupted) {
				j.Errorf("%s: got %s %s", a.ID, a.Verdict, a.Reason)
			}
		}
	})
}
