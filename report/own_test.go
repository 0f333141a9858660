package report

import (
	"bytes"
	"encoding/json"
	"maps"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"vpncheck/probe"
	"vpncheck/probe/wire"
)

const vpnHost = "vpn.company.example"

var vpnAddr = netip.MustParseAddr("203.0.113.80")

// An ask is one opening as it may have gone: what was answered, step by step, and how the last one was refused.
type ask struct {
	id      string
	yes     []string // steps that were answered
	no      string   // the step that was not
	refused string
	from    string // of an ICMP error, if not the server itself
	change  func(*probe.Opening)
}

// needsOf are those that probe gives.
var needsOf = map[string]struct {
	need, over string
	port       uint16
}{
	probe.OpeningIKEv2: {"ike", "udp", 500}, probe.OpeningIKEv1: {"ike/v1-from-500", "udp", 500}, probe.OpeningPPTP: {"pptp", "tcp", 1723},
	probe.OpeningL2TP: {"l2tp", "udp", 1701}, probe.OpeningOpenVPNUDP: {"openvpn-udp", "udp", 1194},
	probe.OpeningOpenVPNTCP: {"openvpn-tcp", "tcp", 1194}, probe.OpeningSSTP: {"sstp", "tcp", 443},
}

func (a ask) opening() probe.Opening {
	at := time.Date(2025, 6, 3, 9, 30, 0, 0, time.UTC)
	n := needsOf[a.id]
	o := probe.Opening{ID: a.id, Title: OpeningName(a.id), Port: n.port, Over: n.over, Needs: []string{n.need}}
	dst := netip.AddrPortFrom(vpnAddr, n.port)
	sent := func(i int) wire.Sighting {
		return wire.Sighting{State: wire.Seen, At: at.Add(time.Duration(i) * time.Second), Dst: dst, Bytes: []byte{1}}
	}
	for _, id := range a.yes {
		e := probe.Exchange{ID: a.id + "/" + id, Stage: id, From: probe.Client, Sent: sent(0), Returned: wire.Sighting{State: wire.Seen, At: at, Src: dst}}
		o.Stages = append(o.Stages, probe.OpeningStage{ID: id, Title: "the step " + id, Exchanges: []probe.Exchange{e}})
	}
	if a.no != "" {
		s := probe.OpeningStage{ID: a.no, Title: "the step " + a.no}
		for i := range 3 {
			e := probe.Exchange{ID: a.id + "/" + a.no, Stage: a.no, From: probe.Client, Sent: sent(i), Returned: wire.NotSeen(), Refused: a.refused}
			if a.from != "" {
				e.ICMPAtClient = []wire.ICMPSighting{{From: netip.MustParseAddr(a.from), Type: 3, Code: 13}}
			}
			s.Exchanges = append(s.Exchanges, e)
		}
		o.Stages = append(o.Stages, s)
	}
	if a.change != nil {
		a.change(&o)
	}
	return o
}

func ownOf(asks ...ask) probe.Own {
	o := probe.Own{Host: vpnHost, Addrs: []netip.Addr{vpnAddr}, Addr: vpnAddr, Openings: []probe.Opening{}}
	for _, a := range asks {
		o.Openings = append(o.Openings, a.opening())
	}
	return o
}

// mute and heeds are openings to which nothing, and all, was answered.
func mute(id string) ask { return ask{id: id, no: "first"} }

func heeds(id string) ask { return ask{id: id, yes: []string{"first", "last"}} }

func given(a ask, change func(*probe.Opening)) ask { a.change = change; return a }

func itsNAT(is bool) func(*probe.Opening) {
	return func(o *probe.Opening) { o.ServerBehindNAT = &is }
}

// ownAlone is the report of a run without a test server.
func ownAlone(o probe.Own) Report {
	return New(probe.Result{}, nil, Tool{Name: "vpncheck"}).WithOwn(o)
}

// ownCases have an opening for each reason that probe may give, by what is beside it.
var ownCases = []struct {
	name    string
	beside  map[string]string // nil: no test server
	ask     ask
	reason  probe.Reason
	says    string // in the headline
	culprit Culprit
	code    int // of the exit status
}{
	{"answered", nil, heeds("ikev2"), "", "answers IKEv2.", "", 0},
	{"declined", nil, given(heeds("ikev2"), func(o *probe.Opening) { o.Declined = "NO_PROPOSAL_CHOSEN" }), probe.OwnDeclined, "with a no to what was proposed", "", 0},
	{"reset", nil, ask{id: "pptp", no: "connect", refused: "reset"}, probe.OwnRefused, "refuses PPTP", "", 3},
	{"reset-carried", allPass, ask{id: "pptp", no: "connect", refused: "reset"}, probe.OwnRefused, "refuses PPTP", CulpritVPNServer, 3},
	{"refused-on-way", nil, ask{id: "ikev2", no: "first", refused: "icmp 3/13 from 192.168.1.1", from: "192.168.1.1"}, probe.OwnRefusedOnWay, "somebody on the way refuses it", "", 3},
	{"silent", nil, mute("ikev2"), probe.OwnSilent, "does not answer IKEv2.", "", 4},
	{"carried", allPass, mute("ikev2"), probe.OwnSilentCarried, "does not answer IKEv2, though this network carries it", CulpritVPNServer, 4},
	{"network", but("ike", "blocked-out udp-port-dropped"), mute("ikev2"), probe.OwnSilentNetwork, "which does not get to the test server either", "", 3},
	{"unsure", but("ike", "inconclusive too-lossy"), mute("ikev2"), probe.OwnSilentUnsure, "does not answer IKEv2.", "", 4},
	{"by-design", nil, mute("openvpn-udp"), probe.OwnSilentByDesign, "as is the way of many servers with strangers", "", 4},
	{"l2tp", allPass, mute("l2tp"), probe.OwnSilentByDesign, "as is the way of many servers with strangers", "", 4},
	{"stopped", nil, ask{id: "ikev1", yes: []string{"first"}, no: "second"}, probe.OwnStopped, "at first, and then no more", "", 4},
	{"stopped-carried", allPass, ask{id: "ikev1", yes: []string{"first"}, no: "second"}, probe.OwnStopped, "at first, and then no more", CulpritVPNServer, 4},
	{"no-gre", nil, ask{id: "pptp", yes: []string{"start"}, no: "gre"}, probe.OwnNoGRE, "takes PPTP's call", "", 4},
	{"no-gre-carried", allPass, ask{id: "pptp", yes: []string{"start"}, no: "gre"}, probe.OwnNoGRE, "takes PPTP's call", CulpritVPNServer, 4},
	{"one-way", nil, given(ask{id: "pptp", yes: []string{"start"}, no: "gre"}, func(o *probe.Opening) {
		s := &o.Stages[len(o.Stages)-1]
		s.Exchanges = append(s.Exchanges, probe.Exchange{ID: "pptp/s", Stage: "gre", From: probe.Server})
	}), probe.OwnGREOneWay, "gives ours no answer", "", 4},
	{"control-only", nil, given(heeds("pptp"), func(o *probe.Opening) {
		o.ControlOnly = &probe.Refusal{Reason: probe.NoPrivilege, Why: "operation not permitted", Hint: "use sudo"}
	}), probe.OwnControlOnly, "could not be asked", "", 4},
	{"another", nil, given(ask{id: "sstp", no: "request"}, func(o *probe.Opening) { o.Another = "HTTP 404 Not Found" }), probe.OwnAnother, "but not as such a server", "", 4},
	{"laptop", nil, given(mute("ikev2"), func(o *probe.Opening) {
		for i := range o.Stages[0].Exchanges {
			o.Stages[0].Exchanges[i].SendReason = "laptop-firewall"
		}
	}), probe.LaptopFirewall, "this laptop refused to send", CulpritLaptop, 3},
	{"not-asked", nil, given(ask{id: "pptp"}, func(o *probe.Opening) {
		o.Refused = &probe.Refusal{Reason: probe.IPv4Only, Why: "IPv6"}
	}), probe.IPv4Only, "was not asked about PPTP", "", 4},
}

func TestOwnAnswers(t *testing.T) {
	seen := make(map[probe.Reason]bool)
	for _, x := range ownCases {
		t.Run(x.name, func(t *testing.T) {
			r := New(probe.Result{}, nil, Tool{})
			if x.beside != nil {
				r = fares(true, x.beside)
			}
			r = r.WithOwn(ownOf(x.ask))
			a := r.To.Answers[0]
			seen[a.Reason] = true
			if a.Reason != x.reason || a.Culprit != x.culprit {
				t.Errorf("got %s %q by %q, want %q by %q", a.Verdict, a.Reason, a.Culprit, x.reason, x.culprit)
			}
			if !strings.Contains(r.To.Headline, x.says) || !strings.HasPrefix(r.To.Headline, "Your VPN's server "+vpnHost+" ") {
				t.Errorf("headline %q has no %q", r.To.Headline, x.says)
			}
			if got := r.ExitCode(); got != x.code {
				t.Errorf("exit code %d, want %d", got, x.code)
			}
			if d := r.To.Diagnosis; (d == nil) != (x.culprit == "") || d != nil && (d.Culprit != x.culprit || d.Sentence == "") {
				t.Errorf("diagnosis %+v, want %q", d, x.culprit)
			}
			texts := []string{r.To.Headline, r.To.Advice, a.Sentence, a.Short}
			if a.Next != "" {
				texts = append(texts, a.Next)
			}
			for _, n := range slices.Concat(a.Because, r.To.Notes) {
				texts = append(texts, n.Text)
			}
			well(t, x.name, texts...)
			if strings.Contains(strings.Join(texts, " "), "test server in this run") && x.beside == nil {
				t.Errorf("there was no test server: %q", texts)
			}
		})
	}
	for name, r := range reasons(t) {
		if strings.HasPrefix(name, "Own") && !seen[r] {
			t.Errorf("%s (%s) has no case here", name, r)
		}
	}
}

// An answer proves that both ways are open, so nobody is blamed, and what is silent or refused beside it is no fault: a server need not offer all.
func TestOneAnswerIsEnough(t *testing.T) {
	r := fares(true, allPass).WithOwn(ownOf(mute("ikev2"), heeds("ikev1"), ask{id: "pptp", no: "connect", refused: "reset"}))
	if r.To.Diagnosis != nil || r.ExitCode() != 0 || !strings.Contains(r.To.Headline, "answers IKEv1 (L2TP/IPsec). ") || !strings.Contains(r.To.Headline, "need not offer") {
		t.Errorf("got exit %d, %+v: %q", r.ExitCode(), r.To.Diagnosis, r.To.Headline)
	}
}

// Where nothing is answered and nobody said which VPN it is, the advice is not about the first that was asked.
func TestOwnAdvice(t *testing.T) {
	reset := ask{id: "pptp", no: "connect", refused: "reset"}
	for _, x := range []struct {
		name   string
		beside map[string]string
		own    probe.Own
		want   string
	}{
		{"refused", nil, ownOf(mute("ikev2"), reset), "which VPN it offers"},
		{"carried", allPass, ownOf(mute("ikev2"), mute("ikev1")), "which VPN it offers"},
		{"one", nil, ownOf(reset), "whether it offers PPTP"},
		{"silent", nil, ownOf(mute("ikev2"), mute("ikev1")), "another network"},
		{"network", but("ike", "blocked-out udp-port-dropped"), ownOf(mute("ikev2"), mute("ikev1")), "Mend first"},
		{"half", allPass, ownOf(ask{id: "pptp", yes: []string{"start"}, no: "gre"}, mute("l2tp")), "PPTP passthrough"},
		{"by-design", nil, ownOf(mute("l2tp"), mute("openvpn-udp")), "only your VPN's own client"},
	} {
		r := New(probe.Result{}, nil, Tool{})
		if x.beside != nil {
			r = fares(true, x.beside)
		}
		if got := r.WithOwn(x.own).To.Advice; !strings.Contains(got, x.want) {
			t.Errorf("%s: got %q, want %q", x.name, got, x.want)
		}
	}
}

// Without a test server nothing is said of the network's VPNs, and the summary is the server's.
func TestOwnAlone(t *testing.T) {
	r := ownAlone(ownOf(mute("ikev2"), mute("pptp")))
	for _, v := range r.VPNs {
		if v.Works != WorksUnknown || len(v.Because) > 0 {
			t.Errorf("%s: %s %+v", v.ID, v.Works, v.Because)
		}
	}
	if r.Recommendation != nil || r.Diagnosis != nil || r.Summary.Headline != r.To.Headline || r.Summary.Advice == "" {
		t.Errorf("got %+v %+v %+v", r.Recommendation, r.Diagnosis, r.Summary)
	}
}

// Where nobody answered, the worst of the network and of the server counts.
func TestOwnExitCode(t *testing.T) {
	fails := but("pptp", "blocked-back no-pptp-helper @gre")
	for _, x := range []struct {
		name   string
		beside map[string]string
		own    probe.Own
		vpn    string
		want   int
	}{
		{"all-well", allPass, ownOf(heeds("ikev2")), "", 0},
		{"network-fails", fails, ownOf(heeds("ikev2")), "", 3},
		{"server-silent", allPass, ownOf(mute("ikev2")), "", 4},
		{"all-refused", allPass, ownOf(ask{id: "pptp", no: "connect", refused: "reset"}), "", 3},
		{"refused-and-silent", allPass, ownOf(mute("ikev2"), ask{id: "pptp", no: "connect", refused: "reset"}), "", 4},
		{"vpn-well", fails, ownOf(heeds("ikev2"), mute("pptp")), "ikev2", 0},
		{"vpn-silent", allPass, ownOf(mute("ikev2"), heeds("pptp")), "ikev2", 4},
		{"vpn-refused", allPass, ownOf(heeds("ikev2"), ask{id: "pptp", no: "connect", refused: "reset"}), "pptp", 3},
		{"vpn-network", fails, ownOf(heeds("ikev2"), mute("pptp")), "pptp", 3},
		{"vpn-despite", fails, ownOf(heeds("pptp")), "pptp", 4},
		{"l2tp-ipsec-by-ikev1", allPass, ownOf(mute("ikev2"), heeds("ikev1"), mute("l2tp")), "l2tp-ipsec", 0},
		{"ipsec-by-either", allPass, ownOf(mute("ikev2"), heeds("ikev1")), "ipsec-esp", 0},
		{"wireguard-cannot", allPass, ownOf(heeds("ikev2")), "wireguard", 4},
		{"wireguard-carried", but("wireguard", "passed"), ownOf(mute("ikev2")), "wireguard", 0},
		{"alone", nil, ownOf(heeds("ikev2"), mute("pptp")), "ikev2", 0},
		{"alone-silent", nil, ownOf(heeds("ikev2"), mute("pptp")), "pptp", 4},
		{"alone-wireguard", nil, ownOf(heeds("ikev2")), "wireguard", 4},
		{"no-name", nil, probe.Own{Host: vpnHost, Why: &probe.Refusal{Reason: probe.UnknownHost}}, "", 4},
		{"no-name-vpn", allPass, probe.Own{Host: vpnHost, Why: &probe.Refusal{Reason: probe.UnknownHost}}, "ikev2", 4},
	} {
		r := New(probe.Result{}, nil, Tool{})
		if x.beside != nil {
			r = fares(true, x.beside)
		}
		r = r.WithOwn(x.own).For(x.vpn, 0)
		if got := r.ExitCode(); got != x.want {
			t.Errorf("%s: exit code %d, want %d", x.name, got, x.want)
		}
	}
}

// With --vpn the first line and the advice are about what that VPN begins with, and about nothing else.
func TestForOwn(t *testing.T) {
	reset := func(id string) ask { return ask{id: id, no: "connect", refused: "reset"} }
	for _, x := range []struct {
		name, vpn                  string
		beside                     map[string]string
		own                        probe.Own
		headline, now, network, it string
		culprit                    Culprit
	}{
		{name: "both", vpn: "ikev2", beside: allPass, own: ownOf(heeds("ikev2"), mute("pptp")), headline: "IKEv2 works on this network, and " + vpnHost + " answers it.",
			now: "user name", network: "Nothing", it: "account"},
		{name: "carried", vpn: "ikev2", beside: allPass, own: ownOf(mute("ikev2"), heeds("pptp")), headline: "This network carries IKEv2, but your VPN's server " + vpnHost + " does not answer it.",
			now: "Ask whoever runs " + vpnHost, network: "Nothing: this network carries IKEv2.", it: "is up", culprit: CulpritVPNServer},
		{name: "refused", vpn: "pptp", beside: allPass, own: ownOf(reset("pptp"), heeds("ikev2")), headline: "This network carries PPTP, but your VPN's server " + vpnHost + " refuses it.",
			network: "Nothing", culprit: CulpritVPNServer},
		{name: "network", vpn: "ikev2", beside: but("ike", "blocked-out udp-port-dropped"), own: ownOf(mute("ikev2")), headline: "IKEv2 does not work on this network: ",
			network: "let UDP ports 500 and 4500", now: "hotspot"},
		{name: "despite", vpn: "ikev2", beside: but("ike", "blocked-out udp-port-dropped"), own: ownOf(heeds("ikev2")), headline: "answers IKEv2, though it does not get through to the test server",
			now: "Try your VPN"},
		{name: "declined", vpn: "ikev2", beside: allPass, own: ownOf(given(heeds("ikev2"), func(o *probe.Opening) { o.Declined = "NO_PROPOSAL_CHOSEN" })),
			headline: "IKEv2 works on this network, and " + vpnHost + " answers it with a no", now: "Compare your VPN's settings", it: "settings"},
		{name: "alone", vpn: "l2tp-ipsec", own: ownOf(heeds("ikev1")), headline: "answers L2TP/IPsec: this network lets its first messages through, there and back.", now: "test server", network: "Nothing yet"},
		{name: "alone-silent", vpn: "l2tp-ipsec", own: ownOf(mute("ikev1")), headline: "does not answer L2TP/IPsec; whether this network stops it is not known.", now: "another network"},
		{name: "alone-nat", vpn: "l2tp-ipsec", own: ownOf(given(heeds("ikev1"), itsNAT(true))), headline: "answers L2TP/IPsec", now: "AssumeUDPEncapsulationContextOnSendRule"},
		{name: "wireguard", vpn: "wireguard", beside: but("wireguard", "passed"), own: ownOf(heeds("ikev2")), headline: "WireGuard works on this network. Your VPN's server " + vpnHost + " cannot be asked about WireGuard"},
		{name: "alone-wireguard", vpn: "wireguard", own: ownOf(heeds("ikev2")), headline: "cannot be asked about WireGuard", now: "test server"},
		{name: "by-design", vpn: "openvpn-udp", beside: but("openvpn-udp", "passed"), own: ownOf(mute("openvpn-udp")), headline: "This network carries OpenVPN over UDP, but your VPN's server",
			network: "Nothing: this network carries"},
		{name: "no-name", vpn: "ikev2", own: probe.Own{Host: vpnHost, Why: &probe.Refusal{Reason: probe.UnknownHost, Why: "no such name"}}, headline: "the name " + vpnHost + " was not found",
			now: "slip", network: "DNS", culprit: CulpritUnknown},
	} {
		t.Run(x.name, func(t *testing.T) {
			r := New(probe.Result{}, nil, Tool{})
			if x.beside != nil {
				r = fares(true, x.beside)
			}
			a := r.WithOwn(x.own).For(x.vpn, 0).Aim
			for _, y := range [][2]string{{a.Headline, x.headline}, {a.Now, x.now}, {a.Network, x.network}, {a.IT, x.it}} {
				well(t, x.name, y[0])
				if y[0] == "" || !strings.Contains(y[0], y[1]) {
					t.Errorf("%q has no %q", y[0], y[1])
				}
			}
			got := Culprit("")
			if a.Diagnosis != nil {
				got = a.Diagnosis.Culprit
			}
			if got != x.culprit {
				t.Errorf("culprit %q, want %q", got, x.culprit)
			}
		})
	}
}

// What Windows said is held against what the server itself showed. A NAT before it is named only where its own NAT detection says so (F03).
func TestErrorAndOwn(t *testing.T) {
	const registry = "AssumeUDPEncapsulationContextOnSendRule"
	none := probe.Own{Host: vpnHost, Why: &probe.Refusal{Reason: probe.UnknownHost, Why: "no such name"}}
	for _, x := range []struct {
		name, vpn string
		code      int
		beside    map[string]string
		own       probe.Own
		want      Weighed
		says      string
		registry  bool
	}{
		{"809-nat", "l2tp-ipsec", 809, nil, ownOf(given(heeds("ikev1"), itsNAT(true))), Explained, "stands behind a NAT", true},
		{"809-nat-carried", "", 809, allPass, ownOf(given(heeds("ikev1"), itsNAT(true))), Explained, "stands behind a NAT", true},
		{"789-nat", "l2tp-ipsec", 789, allPass, ownOf(given(heeds("ikev1"), itsNAT(true))), Explained, "stands behind a NAT", true},
		{"809-no-nat", "l2tp-ipsec", 809, nil, ownOf(given(heeds("ikev1"), itsNAT(false))), AllPass, "answers L2TP/IPsec", false},
		{"809-not-told", "l2tp-ipsec", 809, allPass, ownOf(heeds("ikev1")), AllPass, "answers L2TP/IPsec", false},
		{"809-nat-of-ikev2", "ikev2", 809, allPass, ownOf(given(heeds("ikev2"), itsNAT(true))), AllPass, "answers IKEv2", true},
		{"809-nat-and-silent-ikev2", "ikev2", 809, nil, ownOf(mute("ikev2"), given(heeds("ikev1"), itsNAT(true))), Explained, "does not answer IKEv2", false},
		{"809-silent", "l2tp-ipsec", 809, nil, ownOf(mute("ikev1")), Explained, "does not answer IKEv1", false},
		{"809-carried", "l2tp-ipsec", 809, allPass, ownOf(mute("ikev1")), Explained, "though this network carries it", false},
		{"809-one-of-two", "", 809, allPass, ownOf(mute("ikev2"), heeds("ikev1")), AllPass, "answers L2TP/IPsec", false},
		{"721-no-gre", "pptp", 721, nil, ownOf(ask{id: "pptp", yes: []string{"start"}, no: "gre"}), Explained, "takes PPTP's call", false},
		{"800-refused", "pptp", 800, allPass, ownOf(ask{id: "pptp", no: "connect", refused: "reset"}), Explained, "refuses PPTP", false},
		{"868-no-name", "", 868, nil, none, Explained, "was not found here either", false},
		{"868-found", "", 868, nil, ownOf(mute("ikev2")), AllPass, "was found here, at 203.0.113.80", false},
		{"868-found-carried", "", 868, but("natt", "inconclusive too-lossy"), ownOf(mute("ikev2")), AllPass, "was found here, at 203.0.113.80", false},
		{"809-two-minds", "", 809, allPass, ownOf(given(heeds("ikev1"), itsNAT(true)), given(heeds("ikev2"), itsNAT(false))), AllPass, "not the matter", false},
		{"809-two-minds-again", "", 809, allPass, ownOf(given(heeds("ikev1"), itsNAT(false)), given(heeds("ikev2"), itsNAT(true))), AllPass, "not the matter", false},
		{"691", "ikev2", 691, nil, ownOf(heeds("ikev2")), AllPass, "not the matter: " + vpnHost + " answers IKEv2", false},
		{"691-silent", "ikev2", 691, nil, ownOf(mute("ikev2")), Unclear, "could not be decided", false},
		{"misplaced", "pptp", 809, nil, ownOf(heeds("pptp")), Misplaced, "none of PPTP", false},
	} {
		t.Run(x.name, func(t *testing.T) {
			r := New(probe.Result{}, nil, Tool{})
			if x.beside != nil {
				r = fares(true, x.beside)
			}
			a := r.WithOwn(x.own).For(x.vpn, x.code).Aim
			all := strings.Join([]string{a.Headline, a.Now, a.Network, a.IT}, " ")
			if a.Weighed != x.want || !strings.Contains(a.Headline, x.says) {
				t.Errorf("got %s %q, want %s %q", a.Weighed, a.Headline, x.want, x.says)
			}
			if strings.Contains(all, registry) != x.registry {
				t.Errorf("registry %t, want %t: %s", !x.registry, x.registry, all)
			}
			for _, s := range []string{a.Headline, a.Now, a.Network, a.IT} {
				if well(t, x.name, s); s == "" {
					t.Errorf("something is missing: %+v", a)
				}
			}
		})
	}
}

// atAddress is a server that was asked by its address.
func atAddress(o probe.Own) probe.Own { o.Host = o.Addr.String(); return o }

// What speaks against this network as the cause of an error is no more than what was tried: the first messages, or a VPN without its name.
func TestErrorHalfTried(t *testing.T) {
	for _, x := range []struct {
		name    string
		code    int
		r       Report
		half    bool
		network string
	}{
		{"first-messages", 809, New(probe.Result{}, nil, Tool{}).WithOwn(ownOf(heeds("ikev1"))), true, "Nothing yet"},
		{"first-messages-account", 691, New(probe.Result{}, nil, Tool{}).WithOwn(ownOf(heeds("ikev1"))), false, "Nothing: "},
		{"carried", 809, fares(true, allPass).WithOwn(ownOf(heeds("ikev1"))), false, "Nothing: "},
		{"no-name-asked", 868, fares(true, allPass), true, "name servers (DNS)"},
		{"address-asked", 868, fares(true, allPass).WithOwn(atAddress(ownOf(heeds("ikev1")))), true, "name servers (DNS)"},
		{"name-found", 868, fares(true, allPass).WithOwn(ownOf(heeds("ikev1"))), false, "Nothing: "},
	} {
		a := x.r.For("l2tp-ipsec", x.code).Aim
		if a.Weighed != AllPass || strings.Contains(a.Headline, "As far as it was tried, this network") != x.half || !strings.Contains(a.Network, x.network) {
			t.Errorf("%s: got %s %q %q, want half tried %t, %q", x.name, a.Weighed, a.Headline, a.Network, x.half, x.network)
		}
		if or := strings.Contains(a.Now, "or this network"); or != (x.name == "first-messages") {
			t.Errorf("%s: suspects this network: %t: %s", x.name, or, a.Now)
		}
		well(t, x.name, a.Headline)
		well(t, x.name, a.Network)
	}
}

// Behind a NAT IPsec's data goes in UDP: nobody is asked to let plain ESP through.
func TestThroughNAT(t *testing.T) {
	for _, nat := range []bool{true, false} {
		a := fares(nat, but("ikev2", "blocked-out udp-port-dropped", "ike", "blocked-out udp-port-dropped", "ike/v1", "blocked-out udp-port-dropped")).For("l2tp-ipsec", 0).Aim
		if strings.Contains(a.Network, "ESP") == nat || !strings.Contains(a.Network, "UDP ports 500 and 4500") {
			t.Errorf("NAT %t: %s", nat, a.Network)
		}
	}
}

// A server of IKE goes silent to those who open many conversations: before it is blamed, who asked it again and again is told to wait.
func TestSilentToTheBusy(t *testing.T) {
	for id, want := range map[string]bool{"ikev1": true, "ikev2": true, "pptp": false} {
		a := fares(true, allPass).WithOwn(ownOf(mute(id))).To.Answers[0]
		if a.Reason != probe.OwnSilentCarried || strings.Contains(a.Next, "wait a minute first") != want {
			t.Errorf("%s: got %s %q, want to wait: %t", id, a.Reason, a.Next, want)
		}
	}
}

// Where plain ESP is not missed, nobody is sent to another VPN.
func TestESPNotMissed(t *testing.T) {
	for natt, missed := range map[string]bool{"passed": false, "blocked-out udp-port-dropped": true} {
		a := fares(true, but("esp", "blocked-out esp-out-dropped", "natt", natt)).For("ipsec-esp", 0).Aim
		if strings.Contains(a.Headline, "network: ") != missed || strings.HasPrefix(a.Now, "Nothing, as a rule") == missed {
			t.Errorf("NAT-T %s: got %q %q", natt, a.Headline, a.Now)
		}
		well(t, natt, a.Headline)
		well(t, natt, a.Now)
	}
}

// A name that was not found blames nobody, and says whether other names were (F58).
func TestUnknownName(t *testing.T) {
	none := probe.Own{Host: vpnHost, Why: &probe.Refusal{Reason: probe.UnknownHost, Why: "no such name"}}
	r := fares(true, allPass)
	r.Circumstances.Server.Host, r.Circumstances.Server.Address = "test.example", netip.MustParseAddr("203.0.113.2")
	for _, x := range []struct {
		r    Report
		want string
	}{{New(probe.Result{}, nil, Tool{}), "do not tell it"}, {r, "work, for they told the test server's address"}} {
		d := x.r.WithOwn(none).To.Diagnosis
		if d == nil || d.Culprit != CulpritUnknown || !strings.Contains(d.Sentence, x.want) {
			t.Errorf("got %+v, want %q", d, x.want)
		}
	}
}

// What is recommended is what this network carries and that server answers.
func TestOwnRecommendation(t *testing.T) {
	for _, x := range []struct {
		name   string
		beside map[string]string
		own    probe.Own
		want   string
	}{
		{"both", allPass, ownOf(heeds("ikev2"), heeds("ikev1")), "ikev2"},
		{"answered", allPass, ownOf(mute("ikev2"), heeds("ikev1")), "l2tp-ipsec"},
		{"not-carried", but("ike", "altered payload-altered", "ike/v1", "passed"), ownOf(heeds("ikev2"), mute("ikev1")), ""},
		{"but", but("natt", "passed rate-limit"), ownOf(heeds("ikev2")), "ikev2"},
		{"weak", allPass, ownOf(heeds("pptp")), ""},
		{"alone", nil, ownOf(heeds("ikev2")), ""},
	} {
		r := New(probe.Result{}, nil, Tool{})
		if x.beside != nil {
			r = fares(true, x.beside)
		}
		got := ""
		if rec := r.WithOwn(x.own).To.Recommendation; rec != nil {
			well(t, x.name, rec.Text)
			got = rec.VPN
		}
		if got != x.want {
			t.Errorf("%s: got %q, want %q", x.name, got, x.want)
		}
	}
}

func TestOwnNotes(t *testing.T) {
	o := ownOf(given(heeds("ikev1"), itsNAT(true)))
	o.Addrs = append(o.Addrs, netip.MustParseAddr("203.0.113.81"), netip.MustParseAddr("2001:db8::80"))
	o.OnLink = true
	text := ""
	for _, n := range ownAlone(o).To.Notes {
		text += n.Text + "\n"
	}
	for _, want := range []string{"203.0.113.80 was asked; not asked: 203.0.113.81 and 2001:db8::80.", "own network", "NAT detection", "WireGuard"} {
		if !strings.Contains(text, want) {
			t.Errorf("no %q in:\n%s", want, text)
		}
	}
	if text := ownAlone(ownOf(heeds("ikev1"))).To.Notes; len(text) != 1 {
		t.Errorf("got %+v, want the one about what cannot be asked", text)
	}
}

// What was seen and what was made of it survive the file, and the answer is the same when it is asked of the file.
func TestOwnSurvives(t *testing.T) {
	before := fares(true, allPass).WithOwn(ownOf(given(heeds("ikev1"), itsNAT(true)), mute("ikev2"), mute("l2tp")))
	before.Schema = Schema
	var buf bytes.Buffer
	if err := before.WriteJSON(&buf); err != nil {
		t.Fatal(err)
	}
	text := buf.String()
	for _, key := range []string{`"to": {`, `"host": "vpn.company.example"`, `"openings": [`, `"answers": [`, `"server_behind_nat": true`} {
		if !strings.Contains(text, key) {
			t.Errorf("no %s in the file", key)
		}
	}
	after, err := Read(&buf)
	if err != nil {
		t.Fatal(err)
	}
	a, _ := json.Marshal(before.For("l2tp-ipsec", 809))
	b, _ := json.Marshal(after.For("l2tp-ipsec", 809))
	if !bytes.Equal(a, b) {
		t.Errorf("before %s\nafter %s", a, b)
	}
	again, _ := json.Marshal(after.WithOwn(after.To.Own).To)
	if was, _ := json.Marshal(before.To); !bytes.Equal(was, again) {
		t.Errorf("judged again it is %s, was %s", again, was)
	}
}

// Every opening of probe has a name, and every VPN of the table knows how its clients begin, or that it cannot be asked.
func TestEveryOpeningHasItsVPN(t *testing.T) {
	var begun []string
	for _, r := range vpnRules {
		if ids := vpnOpens[r.id]; len(ids) == 0 && r.id != "wireguard" {
			t.Errorf("%s begins with nothing", r.id)
		} else {
			begun = append(begun, ids...)
		}
	}
	for _, id := range probe.OpeningIDs {
		if openingNames[id] == "" || !slices.Contains(begun, id) {
			t.Errorf("%s has no name, or no VPN begins with it", id)
		}
	}
	for id := range maps.Keys(openingNames) {
		if !slices.Contains(probe.OpeningIDs, id) {
			t.Errorf("%s is asked by nobody", id)
		}
	}
}

// What a stranger's server says of itself reaches no sentence raw.
func TestHostileOwn(t *testing.T) {
	evil := "\x1b[31m{title}\u202e" + strings.Repeat("x", 3000)
	o := ownOf(given(heeds("ikev2"), func(o *probe.Opening) { o.Declined = evil }), given(ask{id: "sstp", no: "request"}, func(o *probe.Opening) { o.Another = evil }),
		ask{id: "pptp", no: "connect", refused: evil})
	o.Host = evil
	r := ownAlone(o).For("ikev2", 809)
	for _, s := range []string{r.To.Headline, r.To.Advice, r.Aim.Headline, r.Aim.Now, r.To.Answers[0].Sentence, r.To.Answers[1].Sentence, r.To.Answers[2].Sentence} {
		if strings.ContainsAny(s, "\x1b\u202e") || len(s) > 3000 {
			t.Errorf("%q", s)
		}
	}
}

// ownArgsOf are the args that own_reason.go promises, for each reason of evidence.
var ownArgsOf = map[probe.Reason]map[string]any{
	probe.EvOwnAnswered:  {"stage": "init", "title": "the first message"},
	probe.EvOwnServerNAT: {"address": "203.0.113.80"},
	probe.EvOwnClientNAT: {"behind": true},
	probe.EvOwnStandsIn:  {"reason": "no-privilege", "why": "permission denied", "hint": "use sudo"},
	probe.EvOwnDespite:   {"protocol": "ike/v1-from-500", "verdict": "blocked-out"},
	probe.EvOwnStranger:  {"count": 2},
}
