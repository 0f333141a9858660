package view

import (
	"net/netip"
	"slices"
	"time"

	"vpncheck/probe"
	"vpncheck/probe/wire"
	"vpncheck/report"
)

// A world is a network in one struct: what becomes of each packet in it. The zero world lets everything through and translates nothing.
type world struct {
	nat, helper     bool
	greOut, greBack bool   // dropped
	v1Back          bool   // only the answers of PPTP's GRE are dropped
	callID          uint16 // a wrong one in the answers
	damage          bool   // a byte of outgoing GRE v1
	stopAfter       int    // packets of each flow
	reset           bool   // of TCP 1723
	unproven        bool
	noRaw           bool
	udpFiltered     bool
	lose            int // one control packet in this many is lost
	outage          bool
	stop            *probe.Stop
	noSession       *probe.NoSessionFacts
	ipsec           *ipsec // nil: only PPTP and GRE are asked
}

var (
	start  = time.Date(2025, 6, 3, 9, 30, 0, 0, time.UTC)
	laptop = netip.MustParseAddr("192.168.1.10")
	public = netip.MustParseAddr("198.51.100.7")
	server = netip.MustParseAddr("203.0.113.2")
)

// fixture is the report of a run in the world.
func fixture(w world) report.Report {
	c := w.circumstances()
	r := probe.Result{Started: start, Ended: start.Add(9300 * time.Millisecond), Circumstances: c}
	pptp, gre := w.pptp(), w.gre()
	if w.noSession != nil || w.stop != nil && w.stop.Reason != probe.Interrupted {
		pptp, gre = probe.Observation{Protocol: "pptp"}, probe.Observation{Protocol: "gre"}
	}
	r.Circumstances.Beside = map[string]probe.Tally{"pptp": probe.Beside(probe.PPTP{}, pptp), "gre": probe.Beside(probe.GRE{}, gre)}
	r.Observations = []probe.Observation{pptp, gre}
	probes := []probe.Probe{probe.PPTP{}, probe.GRE{}}
	if w.ipsec != nil {
		all := toys
		if w.ipsec.modern {
			all = slices.Concat(toys, modern)
		}
		for _, t := range all {
			probes, r.Observations = append(probes, t), append(r.Observations, w.observe(t))
		}
	}
	for i, p := range probes {
		r.Observations[i].Card = len(r.Observations[i].Exchanges) > 0
		r.Findings = append(r.Findings, probe.Judge(p, r.Observations[i], r.Circumstances))
	}
	return report.New(r, probes, report.Tool{Name: "vpncheck", Version: "0.1.0"})
}

func (w world) circumstances() probe.Circumstances {
	c := probe.Circumstances{
		Server: probe.ServerFacts{Host: "vpn-test.example.net", Address: server, Link: 443, Control: 8443, Build: "0.1.0", Own: server,
			Client: netip.AddrPortFrom(w.source(), 51344)},
		Laptop: probe.LaptopFacts{OS: "linux", Local: laptop, Interface: "wlan0", Gateway: netip.MustParseAddr("192.168.1.1")},
		Stop:   w.stop, NoSession: w.noSession,
	}
	carriers := []wire.Carrier{wire.CarrierPPTP, wire.CarrierGRE, wire.CarrierGREv1}
	if w.ipsec != nil {
		carriers = append(carriers, wire.CarrierIKE, wire.CarrierNATT, wire.CarrierESP, wire.CarrierAH, wire.CarrierL2TP,
			wire.CarrierSSTP, wire.CarrierOpenVPNUDP, wire.CarrierOpenVPNTCP, wire.CarrierWireGuard)
	}
	for _, id := range carriers {
		s := wire.CarrierState{Carrier: id, Ready: true, SYNs: id == wire.CarrierPPTP}
		if !w.unproven || id == wire.CarrierPPTP {
			s.Proof = &wire.Proof{At: start.Add(-2 * time.Hour)}
		}
		c.Server.Carriers = append(c.Server.Carriers, s)
	}
	if w.noSession != nil {
		c.Server.Client, c.Server.Own, c.Server.Carriers = netip.AddrPort{}, netip.Addr{}, nil
		return c
	}
	c.Control = probe.Control{Started: start, Every: 200 * time.Millisecond}
	for i := range 46 {
		at, rtt := time.Duration(i)*200*time.Millisecond, 21*time.Millisecond+time.Duration(i%7)*300*time.Microsecond
		udp, tls := probe.Beat{At: at, RTT: rtt}, probe.Beat{At: at, RTT: rtt + time.Millisecond}
		if w.udpFiltered || w.lose > 0 && i%w.lose == 3 {
			udp.RTT = 0
		}
		if w.outage && i > 40 && i < 45 {
			udp.RTT, tls.RTT = 0, 0
		}
		c.Control.UDP, c.Control.TLS = append(c.Control.UDP, udp), append(c.Control.TLS, tls)
	}
	return c
}

func (w world) source() netip.Addr {
	if w.nat {
		return public
	}
	return laptop
}

// tcp makes an exchange on TCP 1723.
func (w world) tcp(id, stage string, at time.Duration, ask, seen, answer, got []byte) probe.Exchange {
	in, far := netip.AddrPortFrom(laptop, 40412), netip.AddrPortFrom(w.source(), 40412)
	to := netip.AddrPortFrom(server, 1723)
	s := func(at time.Duration, src, dst netip.AddrPort, b []byte) wire.Sighting {
		return wire.Sighting{State: wire.Seen, At: start.Add(at), Where: "tcp", Proto: 6, Src: src, Dst: dst, Bytes: b}
	}
	return probe.Exchange{ID: id, Part: "pptp", Stage: stage, Flow: 1, From: probe.Client,
		Sent: s(at, in, to, ask), Arrived: s(at+10*time.Millisecond, far, to, seen),
		Replied: s(at+11*time.Millisecond, to, far, answer), Returned: s(at+21*time.Millisecond, to, in, got)}
}

// raw makes an exchange of GRE.
func (w world) raw(id, part, stage string, flow int, at time.Duration, ask, seen, answer, got []byte) probe.Exchange {
	s := func(at time.Duration, src, dst netip.Addr, ttl uint8, b []byte) wire.Sighting {
		df, dscp := true, uint8(0)
		return wire.Sighting{State: wire.Seen, At: start.Add(at), Where: "raw", Proto: 47, Src: netip.AddrPortFrom(src, 0),
			Dst: netip.AddrPortFrom(dst, 0), TTL: &ttl, DF: &df, DSCP: &dscp, Bytes: b}
	}
	e := probe.Exchange{ID: id, Part: part, Stage: stage, Flow: flow, From: probe.Client,
		Sent: s(at, laptop, server, 64, ask), Arrived: s(at+10*time.Millisecond, w.source(), server, 62, seen),
		Replied: s(at+11*time.Millisecond, server, w.source(), 64, answer), Returned: s(at+21*time.Millisecond, server, laptop, 62, got)}
	if seen == nil {
		e.Arrived, e.Replied = wire.NotSeen(), wire.NotSeen()
	}
	if got == nil {
		e.Returned = wire.NotSeen()
	}
	return e
}

const own, peer, mapped = 21, 3344, 40412

func (w world) pptp() probe.Observation {
	o := probe.Observation{Protocol: "pptp", Parts: probe.PPTP{}.Info().Parts, Started: start, Ended: start.Add(6 * time.Second)}
	if w.reset {
		for i := range 5 {
			e := w.tcp(id("pptp", i), "connect", time.Duration(i)*600*time.Millisecond, nil, nil, nil, nil)
			e.Flow, e.Refused = i+1, "reset"
			e.Arrived, e.Replied, e.Returned = wire.NotSeen(), wire.CannotSee("the server's kernel answers a connection attempt itself"), wire.NotSeen()
			o.Exchanges = append(o.Exchanges, e)
		}
		return o
	}
	seen := uint16(own)
	if w.nat && w.helper {
		seen = mapped
	}
	connect := w.tcp("pptp/1", "connect", 0, nil, nil, nil, nil)
	connect.Arrived = wire.CannotSee("the attempt itself was not watched; the connection was used")
	connect.Replied = wire.CannotSee("the server's kernel answers a connection attempt itself")
	hello := wire.StartControlConnectionRequest{ProtocolVersion: 256, HostName: "tokenoftheclient", VendorName: "vpncheck"}.Append(nil)
	answer := wire.StartControlConnectionReply{ProtocolVersion: 256, ResultCode: 1, HostName: "tokenoftheserver"}.Append(nil)
	ask := func(id uint16) []byte { return wire.OutgoingCallRequest{CallID: id, Subaddress: "token"}.Append(nil) }
	reply := func(p uint16) []byte {
		return wire.OutgoingCallReply{CallID: peer, PeersCallID: p, ResultCode: 1}.Append(nil)
	}
	o.Exchanges = append(o.Exchanges, connect, w.tcp("pptp/2", "start", 25*time.Millisecond, hello, hello, answer, answer),
		w.tcp("pptp/3", "call", 50*time.Millisecond, ask(own), ask(seen), reply(seen), reply(own)))
	if w.noRaw {
		o.Refused = &probe.Refusal{Reason: probe.NoPrivilege, Why: "opening a raw socket for IP protocol 47: operation not permitted",
			Hint: w.hint()}
		return o
	}
	flows := 1
	if w.stopAfter > 0 {
		flows = 2
	}
	for flow := 1; flow <= flows; flow++ {
		o.Exchanges = append(o.Exchanges, w.tunnel(flow, seen)...)
	}
	return o
}

// tunnel is PPTP's GRE; it ends early in a run that was interrupted.
func (w world) tunnel(flow int, seen uint16) (out []probe.Exchange) {
	rounds, every := passes(probe.PPTP{}), 150*time.Millisecond
	if w.greOut || w.greBack || w.v1Back || w.stopAfter > 0 || w.damage || w.callID > 0 {
		rounds, every = 9, 500*time.Millisecond
	}
	if w.stop != nil {
		rounds = 2
	}
	at := time.Duration(flow-1)*5*time.Second + 100*time.Millisecond
	for i := range rounds + w.stopAfter {
		packet := func(id uint16, data byte) []byte {
			return wire.EnhancedGRE{CallID: id, HasSeq: true, Seq: uint32(i + 1), Payload: []byte{0xff, 3, 0xc0, 0x21, 9, byte(i), 0, 8, 1, 2, 3, data}}.Append(nil)
		}
		ask, arrived, answer, got := packet(peer, 4), packet(peer, 4), packet(seen, 5), packet(own, 5)
		if w.damage {
			arrived[len(arrived)-1] = 0x7f
			answer, got = packet(seen, 4), nil
		}
		if w.callID > 0 {
			got = packet(w.callID, 5)
		}
		if w.greOut || w.stopAfter > 0 && i >= w.stopAfter {
			arrived, answer, got = nil, nil, nil
		}
		if w.greBack || w.v1Back {
			got = nil
		}
		e := w.raw(id("pptp", flow*100+i), "pptp", "gre", flow, at+time.Duration(i)*every, ask, arrived, answer, got)
		if w.damage {
			e.Replied, e.Silent = wire.NotSeen(), "token"
		}
		out = append(out, e)
	}
	return out
}

func (w world) hint() string {
	if w.ipsec != nil {
		return refusal("").Hint
	}
	return "sudo setcap cap_net_raw+ep ./vpncheck"
}

func (w world) gre() probe.Observation {
	o := probe.Observation{Protocol: "gre", Parts: probe.GRE{}.Info().Parts, Started: start.Add(6 * time.Second), Ended: start.Add(9 * time.Second)}
	if w.noRaw {
		o.Refused = &probe.Refusal{Reason: probe.NoPrivilege, Why: "opening a raw socket for IP protocol 47: operation not permitted",
			Hint: w.hint()}
		return o
	}
	if w.stop != nil {
		return o
	}
	rounds, every := passes(probe.GRE{}), 100*time.Millisecond
	if w.greOut || w.greBack {
		rounds, every = 7, 500*time.Millisecond
	}
	for i := range rounds {
		at := 6*time.Second + time.Duration(i)*every
		for n, part := range []string{"plain", "keyed"} {
			packet := wire.GRE{ProtocolType: wire.ProtocolTypeIPv4, HasKey: n == 1, Payload: []byte{0x45, 0, 0, byte(i)}}.Append(nil)
			arrived, answer, got := packet, packet, packet
			if w.greOut {
				arrived, answer, got = nil, nil, nil
			}
			if w.greBack {
				got = nil
			}
			o.Exchanges = append(o.Exchanges, w.raw(id("gre", 2*i+n), part, "echo", 1, at, packet, arrived, answer, got))
			if got == nil {
				break // the keyed form is asked where the plain one was answered
			}
		}
	}
	return o
}

// passes is as many rounds as the last stage of a protocol asks for, and one more.
func passes(p probe.Probe) int {
	stages := p.Info().Stages
	return stages[len(stages)-1].Rounds + 1
}

func id(protocol string, n int) string {
	return protocol + "/" + string(rune('0'+n/100)) + string(rune('0'+n/10%10)) + string(rune('0'+n%10))
}

// worlds are the golden files, by name.
var worlds = map[string]world{
	"all-passed":      {nat: true, helper: true},
	"no-nat":          {},
	"no-helper":       {nat: true, v1Back: true},
	"double-nat":      {nat: true, helper: true, v1Back: true, lose: 20},
	"gre-out":         {nat: true, helper: true, greOut: true},
	"gre-back":        {nat: true, helper: true, greBack: true},
	"pptp-reset":      {nat: true, reset: true},
	"payload-altered": {nat: true, helper: true, damage: true},
	"call-id-wrong":   {nat: true, helper: true, callID: 22},
	"stalled":         {nat: true, helper: true, stopAfter: 6},
	"server-unproven": {nat: true, helper: true, greOut: true, unproven: true},
	"udp-filtered":    {nat: true, helper: true, udpFiltered: true},
	"outage":          {nat: true, helper: true, outage: true},
	"no-privilege":    {nat: true, helper: true, noRaw: true},
	"interrupted":     {nat: true, helper: true, stop: &probe.Stop{Reason: probe.Interrupted, At: start.Add(time.Second)}},
	"active-vpn":      {nat: true, stop: &probe.Stop{Reason: probe.ActiveVPN, Args: map[string]any{"interface": "wg0"}, At: start}},
	"wrong-pin": {noSession: &probe.NoSessionFacts{Reason: probe.WrongPin,
		Args:  map[string]any{"host": "vpn-test.example.net", "why": `the certificate is not the server's: issued to "vpncheck" by "vpncheck"`},
		Tried: []probe.Attempt{{Address: netip.AddrPortFrom(server, 443), Result: "other-key", Detail: `the certificate is not the server's: issued to "vpncheck" by "vpncheck"`, Seconds: 0.1}}}},
	"no-answer": {noSession: &probe.NoSessionFacts{Reason: probe.NoAnswer, Args: map[string]any{"host": "vpn-test.example.net", "address": "203.0.113.2"},
		Tried: []probe.Attempt{
			{Address: netip.AddrPortFrom(server, 443), Result: "timeout", Detail: "i/o timeout", Seconds: 6},
			{Address: netip.AddrPortFrom(server, 8443), Result: "refused", Detail: "connection refused", Seconds: 0.8}}}},
	"portal": {noSession: &probe.NoSessionFacts{Reason: probe.CaptivePortal,
		Args:  map[string]any{"host": "vpn-test.example.net", "sign_in": "http://wifi.hotel.example/login?from=10.0.0.7"},
		Tried: []probe.Attempt{{Address: netip.AddrPortFrom(server, 443), Result: "not-tls", Detail: "tls: first record does not look like a TLS handshake", Seconds: 0.2}}}},
}
