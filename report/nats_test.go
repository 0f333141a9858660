package report

import (
	"net/netip"
	"strings"
	"testing"
	"time"

	"vpncheck/probe"
	"vpncheck/probe/witness"
)

func TestNATs(t *testing.T) {
	for _, x := range []struct {
		name   string
		local  string // of the laptop; empty is the usual one
		outer  string // the router's word; empty is silence
		hops   []string
		reason probe.Reason
		kind   string
		whose  Culprit
		sure   Confidence
		says   string
	}{
		{"none", thePublic, "", nil, "", kindNone, "", Certain, "Nothing translates addresses"},
		{"none-whatever-the-router-says", thePublic, "100.64.1.2", nil, "", kindNone, "", Certain, "no NAT"},
		{"one", "", thePublic, nil, "", kindOne, CulpritRouter, Certain, "There is one NAT, your router's: this laptop is 192.168.1.10 and the server sees 198.51.100.7."},
		{"one-whatever-the-hops-say", "", thePublic, []string{theGateway, "10.1.1.1"}, probe.SecondNATNoHelper, kindOne, CulpritRouter, Certain, "one NAT"},
		{"double", "", "192.168.178.20", nil, "", kindDouble, CulpritSecondNAT, Certain, "There are two NATs: your router's and a second one"},
		{"cgnat", "", "100.64.1.2", nil, "", kindCGNAT, CulpritSecondNAT, Certain, "which shares one public address among customers (CGNAT): this laptop is 192.168.1.10, your router is 100.64.1.2 outside and the server sees 198.51.100.7."},
		{"end-of-the-shared-space", "", "100.127.255.254", nil, "", kindCGNAT, CulpritSecondNAT, Certain, "CGNAT"},
		{"before-the-shared-space", "", "100.63.255.255", nil, "", kindUnknown, "", "", "There may be two NATs"},
		{"beyond-the-shared-space", "", "100.128.0.1", nil, "", kindUnknown, "", "", "There may be two NATs: your router says that its outer address is 100.128.0.1, and the server sees 198.51.100.7."},
		{"a-private-hop", "", "", []string{theGateway, "10.1.1.1"}, "", kindDouble, CulpritSecondNAT, Likely, "There are probably two NATs"},
		{"a-shared-hop", "", "", []string{theGateway, "", "100.64.0.1"}, "", kindCGNAT, CulpritSecondNAT, Likely, "probably two NATs"},
		{"the-first-hop-is-the-router", "", "", []string{theGateway}, "", kindUnknown, "", "", "whether there is more than one is not known"},
		{"the-router-twice", "", "", []string{"", theGateway}, "", kindUnknown, "", "", "not known"},
		{"a-public-hop", "", "", []string{theGateway, backbone}, "", kindOne, CulpritRouter, Likely, "probably one NAT"},
		{"pptp-tells", "", "", nil, probe.SecondNATNoHelper, kindDouble, CulpritSecondNAT, Likely, "probably two NATs"},
		{"nothing", "", "", nil, "", kindUnknown, "", "", "There is a NAT on the way"},
	} {
		c := around()
		if x.local != "" {
			c.Laptop.Local = netip.MustParseAddr(x.local)
		}
		if x.outer != "" {
			known(&c).WAN = netip.MustParseAddr(x.outer)
		}
		var o probe.Observation
		for i, from := range x.hops {
			hop(i+1, from, i == 0)(&o, nil)
		}
		n := findNATs(c, []probe.Observation{o}, x.reason)
		if n.Kind != x.kind || n.Whose != x.whose || n.Confidence != x.sure || !strings.Contains(n.Text, x.says) {
			t.Errorf("%s: got %s %s %s %q, want %s %s %s %q", x.name, n.Kind, n.Whose, n.Confidence, n.Text, x.kind, x.whose, x.sure, x.says)
		}
		well(t, x.name, n.Text)
	}
}

// Another device's outer address says nothing of the gateway's, and without a session there is no sheet.
func TestNATsOfOthers(t *testing.T) {
	c := around()
	known(&c).WAN = netip.MustParseAddr("100.64.1.2")
	c.Router.Address = netip.MustParseAddr("192.168.1.99")
	if n := findNATs(c, nil); n.Kind != kindUnknown || n.RouterWAN.IsValid() {
		t.Errorf("got %+v from another device", n)
	}
	c.Router.Address, c.Router.Looked = c.Laptop.Gateway, false
	if n := findNATs(c, nil); n.Kind != kindUnknown {
		t.Errorf("got %+v from nobody", n)
	}
	if r := New(probe.Result{Circumstances: probe.Circumstances{NoSession: &probe.NoSessionFacts{Reason: probe.NoAnswer}}}, nil, Tool{}); r.NATs != nil {
		t.Errorf("got %+v without a session", r.NATs)
	}
}

func TestRouterName(t *testing.T) {
	for _, x := range []struct{ maker, model, number, want string }{
		{"AVM Berlin", "FRITZ!Box 7590", "", "FRITZ!Box 7590"},
		{"TP-Link", "Archer C7", "", "Archer C7"},
		{"NETGEAR, Inc.", "R7000", "1.0", ""},
		{"NETGEAR", "R7000", "1.0", "NETGEAR R7000"},
		{"ASUSTek", "ASUSTek-AX", "", "ASUSTek-AX"},
		{"D-Link", "Modem", "DIR-825", "Modem DIR-825"},
		{"MiniUPnP", "MiniUPnPd", "1", ""},
		{"Linux", "Internet Gateway Device", "", ""},
		{"x", "Call 0800 12345; now", "", ""},
		{"x", "A\x1b[31m", "", ""},
		{"", "", "", ""},
	} {
		c := around()
		r := known(&c)
		r.Maker, r.Model, r.Number = x.maker, x.model, x.number
		if got := RouterName(c); got != x.want && !(x.want == "" && got == "R7000") {
			t.Errorf("%s %s: got %q, want %q", x.maker, x.model, got, x.want)
		}
	}
}

// A setting that was changed just now may not be in force yet, whatever was found (T26).
func TestTooEarly(t *testing.T) {
	passed := probe.Finding{Protocol: "esp", Verdict: probe.Passed, Stage: "talk"}
	pptp := probe.PPTP{}.Info()
	for _, x := range []struct {
		name    string
		info    probe.Info
		f       probe.Finding
		changed time.Duration
		router  *witness.Router
		want    bool
	}{
		{"just-now", theESP.info, passed, time.Minute, nil, true},
		{"blocked-counts-too", theESP.info, probe.Finding{Verdict: probe.BlockedOut, Stage: "talk"}, time.Minute, nil, true},
		{"fixed-port", theIKE.info, passed, 599 * time.Second, nil, true},
		{"no-change", theESP.info, passed, 0, nil, false},
		{"long-ago", theESP.info, passed, 600 * time.Second, nil, false},
		{"untested", theESP.info, probe.Finding{Verdict: probe.Untested}, time.Minute, nil, false},
		{"untested-at-its-stage", theESP.info, probe.Finding{Verdict: probe.Untested, Stage: "talk"}, time.Minute, nil, false},
		{"restarted-since", theESP.info, passed, 5 * time.Minute, &witness.Router{Look: witness.Look{Looked: true}, Uptime: 2 * time.Minute}, false},
		{"up-for-longer", theESP.info, passed, 5 * time.Minute, &witness.Router{Look: witness.Look{Looked: true}, Uptime: time.Hour}, true},
		{"uptime-not-known", theESP.info, passed, 5 * time.Minute, &witness.Router{Look: witness.Look{Looked: true}}, true},
		{"pptps-tunnel", pptp, probe.Finding{Verdict: probe.Passed, Stage: "gre"}, time.Minute, nil, true},
		{"pptps-call", pptp, probe.Finding{Verdict: probe.BlockedOut, Stage: "connect"}, time.Minute, nil, false},
	} {
		c := around()
		c.Changed, c.Router = x.changed, x.router
		if _, got := tooEarly(x.info, x.f, c); got != x.want {
			t.Errorf("%s: got %v, want %v", x.name, got, x.want)
		}
	}
	c := around()
	c.Changed = 3 * time.Minute
	o := probe.Observation{Protocol: "esp", Exchanges: sent(theESP, 6)}
	r := New(probe.Result{Circumstances: c, Observations: []probe.Observation{o}, Findings: []probe.Finding{passed}}, []probe.Probe{theESP}, Tool{})
	p := r.Protocols[0]
	if !strings.HasPrefix(r.Summary.Advice, "Restart the router or wait ten minutes") {
		t.Errorf("got advice %q", r.Summary.Advice)
	}
	if first, _, _ := strings.Cut(r.Summary.Headline, "."); !strings.HasPrefix(first, "Too early to trust, ") || !strings.Contains(first, "ESP works through this router") {
		t.Errorf("got headline %q", r.Summary.Headline)
	}
	if s := report1(theESP, sent(theESP, 6, unsent), c).Summary; !strings.Contains(s.Advice, "this laptop") || strings.Contains(s.Headline, "Too early") {
		t.Errorf("got %q and advice %q, and it was the laptop", s.Headline, s.Advice)
	}
	if len(p.Remarks) != 1 || !strings.Contains(p.Remarks[0], "less than 4 minutes ago") || !strings.Contains(p.Remarks[0], "ten minutes (600 seconds)") {
		t.Errorf("got remarks %q", p.Remarks)
	}
}
