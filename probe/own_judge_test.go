package probe

import (
	"net/netip"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"vpncheck/probe/wire"
)

var (
	ownHost   = netip.MustParseAddr("198.51.100.20")
	ownRouter = netip.MustParseAddr("192.168.1.1")
)

// opened is an opening of a kind, by steps: "answered", "silent", "reset", "icmp" (in the server's name), "router" (in the router's), "eperm",
// "closed", "began" (the server sent something by itself, and no answer).
func opened(id string, steps ...string) Opening {
	var o Opening
	for _, k := range ownKinds() {
		if k.id == id {
			o = Opening{ID: id, Title: k.title, Port: k.port, Over: k.over, Needs: k.needs}
		}
	}
	names := map[string][]string{
		OpeningIKEv2: {ownSAInit}, OpeningIKEv1: {ownMainSA, ownMainKeys}, OpeningPPTP: {stageConnect, stageStart, stageCall, stageGRE},
		OpeningL2TP: {ownTunnel}, OpeningOpenVPNUDP: {openVPNReset}, OpeningOpenVPNTCP: {stageConnect, openVPNReset},
		OpeningSSTP: {stageConnect, stageTLS, ownRequest},
	}[id]
	at := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	for i, how := range steps {
		e := Exchange{ID: "own/" + id + "/" + names[i], From: Client, Stage: names[i], Returned: wire.NotSeen(),
			Sent: wire.Sighting{State: wire.Seen, At: at, Dst: netip.AddrPortFrom(ownHost, o.Port)}}
		s := OpeningStage{ID: names[i], Title: names[i], Exchanges: []Exchange{e}}
		last := &s.Exchanges[0]
		switch how {
		case "answered":
			last.Returned = wire.Sighting{State: wire.Seen}
		case "silent":
			later := e
			later.Sent.At = at.Add(3 * time.Second)
			s.Exchanges = append(s.Exchanges, later)
		case "reset", "closed":
			last.Refused = how
		case "icmp":
			last.Refused, last.ICMPAtClient = "icmp 3/3 from 198.51.100.20", []wire.ICMPSighting{{From: ownHost, Type: 3, Code: 3}}
		case "router":
			last.Refused, last.ICMPAtClient = "icmp 3/13 from 192.168.1.1", []wire.ICMPSighting{{From: ownRouter, Type: 3, Code: 13}}
		case "eperm":
			last.Sent = wire.Sighting{State: wire.Absent}
			last.SendErr, last.SendReason = "operation not permitted", "laptop-firewall"
		case "began":
			s.Exchanges = append(s.Exchanges, Exchange{From: Server, Arrived: wire.Sighting{State: wire.Seen}, Returned: wire.CannotSee(ownBlind)})
		}
		o.Stages = append(o.Stages, s)
	}
	return o
}

func TestJudgeOpening(t *testing.T) {
	with := func(o Opening, change func(*Opening)) Opening { change(&o); return o }
	all := map[string]Verdict{"ike": Passed, "ike/" + ikeV1Stock: Passed, "pptp": Passed, "l2tp": Passed, "openvpn-udp": Passed, "openvpn-tcp": Passed, "sstp": Passed}
	but := func(protocol string, v Verdict) map[string]Verdict {
		out := map[string]Verdict{protocol: v}
		for p, w := range all {
			if _, ok := out[p]; !ok {
				out[p] = w
			}
		}
		return out
	}
	for _, tt := range []struct {
		name    string
		o       Opening
		carried map[string]Verdict
		v       Verdict
		r       Reason
		culprit string
		stage   string
	}{
		{"answered", opened(OpeningIKEv2, "answered"), nil, Passed, "", "", ""},
		{"answered-with-companion", opened(OpeningIKEv2, "answered"), all, Passed, "", "", ""},
		{"answered-all", opened(OpeningPPTP, "answered", "answered", "answered", "answered"), nil, Passed, "", "", ""},
		{"declined", with(opened(OpeningIKEv2, "answered"), func(o *Opening) { o.Declined = "NO_PROPOSAL_CHOSEN" }), nil, Passed, OwnDeclined, "", ""},

		{"silent-alone", opened(OpeningIKEv2, "silent"), nil, Inconclusive, OwnSilent, "", ownSAInit},
		{"silent-carried", opened(OpeningIKEv2, "silent"), all, Inconclusive, OwnSilentCarried, CulpritVPNServer, ownSAInit},
		{"silent-network", opened(OpeningIKEv2, "silent"), but("ike", BlockedOut), Inconclusive, OwnSilentNetwork, "", ownSAInit},
		{"silent-network-back", opened(OpeningIKEv2, "silent"), but("ike", BlockedBack), Inconclusive, OwnSilentNetwork, "", ownSAInit},
		{"silent-unsure", opened(OpeningIKEv2, "silent"), but("ike", Inconclusive), Inconclusive, OwnSilentUnsure, "", ownSAInit},
		{"silent-untested", opened(OpeningIKEv2, "silent"), but("ike", Untested), Inconclusive, OwnSilentUnsure, "", ownSAInit},
		{"silent-not-in-run", opened(OpeningIKEv2, "silent"), map[string]Verdict{"gre": Passed}, Inconclusive, OwnSilentUnsure, "", ownSAInit},
		{"silent-other-port", with(opened(OpeningIKEv2, "silent"), func(o *Opening) { o.Port = 501 }), all, Inconclusive, OwnSilentUnsure, "", ownSAInit},
		{"silent-part", opened(OpeningIKEv1, "silent"), but("ike/"+ikeV1Stock, BlockedOut), Inconclusive, OwnSilentNetwork, "", ownMainSA},
		{"silent-part-not-judged", opened(OpeningIKEv1, "silent"), map[string]Verdict{"ike": Passed}, Inconclusive, OwnSilentCarried, CulpritVPNServer, ownMainSA},
		{"silent-tcp", opened(OpeningSSTP, "silent"), all, Inconclusive, OwnSilentCarried, CulpritVPNServer, stageConnect},

		{"openvpn-silent", opened(OpeningOpenVPNUDP, "silent"), all, Inconclusive, OwnSilentByDesign, "", openVPNReset},
		{"openvpn-silent-alone", opened(OpeningOpenVPNUDP, "silent"), nil, Inconclusive, OwnSilentByDesign, "", openVPNReset},
		{"openvpn-network", opened(OpeningOpenVPNUDP, "silent"), but("openvpn-udp", BlockedOut), Inconclusive, OwnSilentNetwork, "", openVPNReset},
		{"openvpn-tcp-silent", opened(OpeningOpenVPNTCP, "answered", "silent"), all, Inconclusive, OwnSilentByDesign, "", openVPNReset},
		{"openvpn-tcp-closed", opened(OpeningOpenVPNTCP, "answered", "closed"), all, Inconclusive, OwnSilentByDesign, "", openVPNReset},
		{"openvpn-tcp-no-connection", opened(OpeningOpenVPNTCP, "silent"), all, Inconclusive, OwnSilentCarried, CulpritVPNServer, stageConnect},
		{"l2tp-silent", opened(OpeningL2TP, "silent"), all, Inconclusive, OwnSilentByDesign, "", ownTunnel},

		{"reset", opened(OpeningPPTP, "reset"), nil, BlockedOut, OwnRefused, "", stageConnect},
		{"reset-carried", opened(OpeningPPTP, "reset"), all, BlockedOut, OwnRefused, CulpritVPNServer, stageConnect},
		{"reset-network", opened(OpeningPPTP, "reset"), but("pptp", BlockedOut), BlockedOut, OwnRefused, "", stageConnect},
		{"icmp", opened(OpeningIKEv2, "icmp"), all, BlockedOut, OwnRefused, CulpritVPNServer, ownSAInit},
		{"icmp-router", opened(OpeningIKEv2, "router"), all, BlockedOut, OwnRefusedOnWay, "", ownSAInit},
		{"eperm", opened(OpeningIKEv2, "eperm"), all, BlockedOut, LaptopFirewall, "laptop", ownSAInit},

		{"stopped", opened(OpeningIKEv1, "answered", "silent"), nil, Inconclusive, OwnStopped, "", ownMainKeys},
		{"stopped-carried", opened(OpeningIKEv1, "answered", "silent"), all, Inconclusive, OwnStopped, CulpritVPNServer, ownMainKeys},
		{"closed", opened(OpeningPPTP, "answered", "closed"), all, Inconclusive, OwnStopped, CulpritVPNServer, stageStart},
		{"closed-alone", opened(OpeningPPTP, "answered", "reset"), nil, Inconclusive, OwnStopped, "", stageStart},

		{"gre-silent-alone", opened(OpeningPPTP, "answered", "answered", "answered", "silent"), nil, Inconclusive, OwnNoGRE, "", stageGRE},
		{"gre-silent-carried", opened(OpeningPPTP, "answered", "answered", "answered", "silent"), all, Inconclusive, OwnNoGRE, CulpritVPNServer, stageGRE},
		{"gre-silent-network", opened(OpeningPPTP, "answered", "answered", "answered", "silent"), but("pptp", BlockedBack), Inconclusive, OwnNoGRE, "", stageGRE},
		{"gre-refused", opened(OpeningPPTP, "answered", "answered", "answered", "icmp"), all, Inconclusive, OwnNoGRE, CulpritVPNServer, stageGRE},
		{"gre-one-way", opened(OpeningPPTP, "answered", "answered", "answered", "began"), nil, Inconclusive, OwnGREOneWay, "", stageGRE},
		{"gre-not-asked", with(opened(OpeningPPTP, "answered", "answered", "answered"), func(o *Opening) { o.ControlOnly = &Refusal{Reason: NoPrivilege} }), all,
			Inconclusive, OwnControlOnly, "", ""},
		{"gre-not-asked-and-silent", with(opened(OpeningPPTP, "silent"), func(o *Opening) { o.ControlOnly = &Refusal{Reason: NoPrivilege} }), all,
			Inconclusive, OwnSilentCarried, CulpritVPNServer, stageConnect},

		{"another", with(opened(OpeningSSTP, "answered", "answered", "silent"), func(o *Opening) { o.Another = "HTTP 404" }), all, Inconclusive, OwnAnother, "", ownRequest},
		{"not-asked", Opening{ID: OpeningPPTP, Refused: &Refusal{Reason: IPv4Only}}, all, Untested, IPv4Only, "", ""},
		{"nothing-sent", Opening{ID: OpeningPPTP}, all, Untested, CouldNotAsk, "", ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			a := JudgeOpening(tt.o, tt.carried)
			if a.ID != tt.o.ID || a.Verdict != tt.v || a.Reason != tt.r || a.Culprit != tt.culprit || a.Stage != tt.stage {
				t.Errorf("got %+v, want %s %s, culprit %q at %q", a, tt.v, tt.r, tt.culprit, tt.stage)
			}
		})
	}
}

func TestJudgeOpeningTells(t *testing.T) {
	refused := &Refusal{Reason: PortHeld, Why: "UDP 500 is held", Hint: "stop it"}
	for _, tt := range []struct {
		name    string
		change  func(*Opening)
		carried map[string]Verdict
		want    []Evidence
	}{
		{"nothing-more", func(*Opening) {}, nil, nil},
		{"server-nat", func(o *Opening) { o.ServerBehindNAT, o.ClientBehindNAT = new(true), new(true) }, nil, []Evidence{
			{Reason: EvOwnServerNAT, Args: map[string]any{"address": "198.51.100.20"}}, {Reason: EvOwnClientNAT, Args: map[string]any{"behind": true}}}},
		{"no-server-nat", func(o *Opening) { o.ServerBehindNAT, o.ClientBehindNAT = new(false), new(false) }, nil, []Evidence{
			{Reason: EvOwnClientNAT, Args: map[string]any{"behind": false}}}},
		{"stands-in", func(o *Opening) { o.StandIn = refused }, nil, []Evidence{
			{Reason: EvOwnStandsIn, Args: map[string]any{"reason": PortHeld, "why": "UDP 500 is held", "hint": "stop it"}}}},
		{"despite", func(*Opening) {}, map[string]Verdict{"ike": BlockedBack}, []Evidence{
			{Reason: EvOwnDespite, Args: map[string]any{"protocol": "ike", "verdict": BlockedBack}}}},
		{"strangers", func(o *Opening) { o.Strangers = make([]wire.Sighting, 3) }, nil, []Evidence{
			{Reason: EvOwnStranger, Args: map[string]any{"count": 3}}}},
	} {
		o := opened(OpeningIKEv2, "answered")
		tt.change(&o)
		want := append([]Evidence{{Reason: EvOwnAnswered, Args: map[string]any{"stage": ownSAInit, "title": ownSAInit}, Exchanges: []string{"own/ikev2/sa-init"}}}, tt.want...)
		if diff := cmp.Diff(want, JudgeOpening(o, tt.carried).Because); diff != "" {
			t.Errorf("%s (-want +got):\n%s", tt.name, diff)
		}
	}
	a := JudgeOpening(opened(OpeningIKEv2, "silent"), map[string]Verdict{"ike": BlockedOut})
	want := map[string]any{"protocol": "ike", "verdict": BlockedOut, "tries": 2, "seconds": 3, "port": uint16(500), "over": "udp"}
	if diff := cmp.Diff(want, a.Args); diff != "" || a.Because != nil {
		t.Errorf("args of silence (-want +got):\n%s%v", diff, a.Because)
	}
}

func TestCarried(t *testing.T) {
	got := Carried([]Finding{{Protocol: "ike", Verdict: Passed, Parts: []PartFinding{{Part: ikeV1Stock, Verdict: BlockedOut}}}, {Protocol: "gre", Verdict: Untested}})
	want := map[string]Verdict{"ike": Passed, "ike/" + ikeV1Stock: BlockedOut, "gre": Untested}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}
