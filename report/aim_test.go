package report

import (
	"maps"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"vpncheck/probe"
)

func TestFor(t *testing.T) {
	for _, x := range []struct {
		name, vpn    string
		noNAT        bool
		says         map[string]string
		headline     string
		needs        []string
		now, net, it string // parts of them
		code         int
	}{
		{name: "works", vpn: "l2tp-ipsec", says: but("pptp", "blocked-back no-pptp-helper @gre"), headline: "L2TP/IPsec works on this network.",
			needs: []string{"ike", "natt"}, now: "IPv4 and IPv6", net: "Nothing", it: "server is up"},
		{name: "without-nat", vpn: "ikev2", noNAT: true, says: allPass, headline: "IKEv2 works on this network.", needs: []string{"ike", "esp"}},
		{name: "insecure", vpn: "pptp", says: allPass, headline: "but it is insecure", needs: []string{"pptp"}, it: "ask for another VPN"},
		{name: "no", vpn: "pptp", says: but("pptp", "blocked-back no-pptp-helper @gre"), code: 3, headline: "PPTP does not work on this network: ", needs: []string{"pptp"},
			now: "Use IKEv2, which works here", net: "IP protocol 47 (GRE)", it: "IKEv2 works here"},
		{name: "no-other", vpn: "ikev2", says: map[string]string{"ike": "blocked-out udp-port-dropped"}, code: 3, headline: "IKEv2 does not work", needs: []string{"ike"},
			now: "hotspot", net: "UDP ports 500 and 4500", it: "TCP port 443"},
		{name: "undecided", vpn: "ikev2", says: but("natt", "inconclusive too-lossy"), code: 4, headline: "is not known: ", needs: []string{"ike", "natt"}, net: "Nothing yet"},
		{name: "not-asked", vpn: "wireguard", says: allPass, code: 4, headline: "it was not asked", now: "without --only"},
		{name: "whole", vpn: "ikev2", says: but("ikev2", "blocked-out no-arrival"), code: 3, headline: "IKEv2 does not work", needs: []string{"ikev2", "ike", "natt"}},
	} {
		t.Run(x.name, func(t *testing.T) {
			r := fares(!x.noNAT, x.says).For(x.vpn, 0)
			a := r.Aim
			if diff := cmp.Diff(x.needs, a.Needs); diff != "" && len(a.Needs)+len(x.needs) > 0 {
				t.Errorf("needs: %s", diff)
			}
			for _, y := range [][2]string{{a.Headline, x.headline}, {a.Now, x.now}, {a.Network, x.net}, {a.IT, x.it}} {
				well(t, x.name, y[0])
				if y[0] == "" || !strings.Contains(y[0], y[1]) {
					t.Errorf("%q has no %q", y[0], y[1])
				}
			}
			if got := r.ExitCode(); got != x.code {
				t.Errorf("exit code %d, want %d", got, x.code)
			}
		})
	}
}

func TestForNobody(t *testing.T) {
	if r := fares(true, allPass).For("", 0); r.Aim != nil {
		t.Errorf("got %+v", r.Aim)
	}
	if r := fares(true, allPass).For("any", 12345); r.Aim != nil {
		t.Errorf("got %+v", r.Aim)
	}
}

// Who did it decides whom to ask.
func TestAdviceByCulprit(t *testing.T) {
	for c, want := range map[Culprit]string{CulpritLaptop: "this laptop", CulpritServer: "test server", CulpritRouter: "let TCP port 1723", CulpritISP: "let TCP port 1723"} {
		r := fares(true, but("pptp", "blocked-out laptop-firewall @gre"))
		r.Protocols[0].Diagnosis = &Diagnosis{Culprit: c, Next: "Do that."}
		a := r.For("pptp", 0).Aim
		if !strings.Contains(a.Network, want) || (c != CulpritISP) != (a.Now == "Do that.") {
			t.Errorf("%s: network %q, now %q", c, a.Network, a.Now)
		}
	}
}

// matching are the failures that each error is about.
var matching = map[int]map[string]string{
	619: but("pptp", "blocked-back no-pptp-helper @gre"), 628: but("pptp", "blocked-back no-pptp-helper @gre"),
	721: but("pptp", "blocked-out gre-out-dropped @gre"), 806: but("pptp", "blocked-back gre-back-dropped @gre"),
	789: but("ike", "blocked-out udp-port-dropped"), 800: but("pptp", "blocked-out tcp-1723-dropped @connect"),
	807: but("natt", "stalled stopped-after-n"), 809: but("natt", "blocked-out udp-port-dropped"),
	868: nil,
	// No network makes these: where one fails, they do not fit.
	691: but("pptp", "blocked-out tcp-1723-dropped @connect"), 720: but("natt", "blocked-out udp-port-dropped"),
	812: but("natt", "blocked-out udp-port-dropped"), 13801: but("natt", "blocked-out udp-port-dropped"),
}

func TestEveryWindowsError(t *testing.T) {
	for _, code := range WindowsErrors() {
		says, ok := matching[code]
		if !ok {
			t.Errorf("%d has no matching failure here", code)
		}
		bad := fares(true, says)
		if code == 868 {
			bad.Circumstances.NoSession = &probe.NoSessionFacts{Reason: probe.UnknownHost}
		}
		want := Explained
		if windowsErrors[code].shows == nil {
			want = Otherwise
		}
		for w, r := range map[Weighed]Report{AllPass: fares(true, allPass), want: bad} {
			a := r.For("", code).Aim
			if a.Weighed != w {
				t.Errorf("%d: got %s, want %s", code, a.Weighed, w)
			}
			for _, s := range []string{a.Headline, a.Now, a.Network, a.IT} {
				well(t, string(w), s)
				if s == "" || !strings.HasSuffix(strings.TrimRight(s, "?"), ".") && !strings.HasSuffix(s, "?") {
					t.Errorf("%d %s: %q is not a sentence", code, w, s)
				}
			}
			if w == AllPass && !strings.Contains(a.Headline, "network is not the matter") {
				t.Errorf("%d: %q does not say where not to look", code, a.Headline)
			}
		}
	}
	for _, code := range []int{619, 628, 691, 720, 721, 789, 800, 806, 807, 809, 868} {
		if _, ok := windowsErrors[code]; !ok {
			t.Errorf("%d is not known", code)
		}
	}
}

func TestErrorAgainstVPN(t *testing.T) {
	for _, x := range []struct {
		vpn  string
		code int
		says map[string]string
		want Weighed
		text string
	}{
		{"pptp", 809, allPass, Misplaced, "belongs to L2TP/IPsec and IKEv2"},
		{"ikev2", 809, but("ike/v1", "altered payload-altered"), AllPass, "UDP ports 500 and 4500"},
		{"l2tp-ipsec", 809, but("ike/v1", "altered payload-altered"), Explained, "fits what was seen"},
		{"l2tp-ipsec", 809, but("ike", "altered payload-altered", "ike/v1", "passed"), AllPass, "not the matter"},
		{"ikev2", 800, but("pptp", "blocked-out tcp-1723-dropped @connect"), AllPass, "not the matter"},
		{"pptp", 721, but("pptp", "blocked-out tcp-1723-dropped @connect"), Otherwise, "does not fit"},
		{"pptp", 691, but("pptp", "blocked-back no-pptp-helper @gre"), Otherwise, "only once the network has carried"},
		{"ikev2", 809, but("natt", "inconclusive too-lossy"), Unclear, "could not be decided"},
		{"sstp", 800, allPass, Unclear, "could not be decided"},
		{"ikev2", 809, but("natt", "passed +stands-in"), Unclear, "could not be decided"},
		{"ikev2", 809, but("esp", "blocked-out esp-out-dropped"), AllPass, "not the matter"},
	} {
		a := fares(true, x.says).For(x.vpn, x.code).Aim
		if a.Weighed != x.want || !strings.Contains(a.Headline, x.text) {
			t.Errorf("%s %d: got %s %q, want %s %q", x.vpn, x.code, a.Weighed, a.Headline, x.want, x.text)
		}
		if a.Now == "" || a.Network == "" || a.IT == "" {
			t.Errorf("%s %d: advice is missing: %+v", x.vpn, x.code, a)
		}
	}
	if a := fares(true, allPass).For("", 809).Aim; !strings.Contains(a.Now, "AssumeUDPEncapsulationContextOnSendRule") {
		t.Errorf("809 with all open: %q does not name the registry", a.Now)
	}
}

// Advice fits the kind of VPN and the reason: a port is no matter where packets are told by what is in them.
func TestAdviceByVPN(t *testing.T) {
	all := map[string]string{"ikev2": "passed", "wireguard": "passed", "openvpn-udp": "passed", "openvpn-tcp": "passed", "sstp": "passed"}
	with := func(id, text string) map[string]string { m := maps.Clone(all); m[id] = text; return m }
	for _, x := range []struct {
		vpn      string
		says     map[string]string
		now, net string
		it       string
	}{
		{"wireguard", all, "the keys and the server's port", "lets WireGuard through", "server is up"},
		{"openvpn-udp", all, "profile is the newest", "lets OpenVPN over UDP through", "server is up"},
		{"openvpn-tcp", all, "profile is the newest", "lets OpenVPN over TCP through", "server is up"},
		{"sstp", all, "trusts the server's certificate", "lets SSTP through", "server is up"},
		{"ikev2", all, "the password and the certificate", "lets IKEv2 through", "server is up"},
		{"l2tp-ipsec", with("l2tp-ipsec", "passed"), "pre-shared key", "lets L2TP/IPsec through", "server is up"},
		{"wireguard", with("wireguard", "blocked-out udp-port-dropped"), "Use IKEv2, which works here", "let UDP port 51820 through", "another UDP port, such as 443; or whether"},
		{"wireguard", with("wireguard", "blocked-out udp-content-dropped"), "Use IKEv2, which works here", "drops what is WireGuard", "Ask whether you can use another VPN: IKEv2"},
		{"wireguard", with("wireguard", "blocked-out udp-filtered"), "Use IKEv2", "let UDP through to the VPN server, as WireGuard needs it: UDP port 51820.", "Ask whether you can use another VPN"},
		{"openvpn-udp", with("openvpn-udp", "blocked-out udp-port-dropped"), "Use OpenVPN over TCP, which works here", "UDP port 1194", "takes TCP as well"},
		{"openvpn-tcp", with("openvpn-tcp", "blocked-out tcp-port-dropped"), "Use OpenVPN over UDP, which works here", "TCP port 1194", "TCP port 443 as well"},
		{"openvpn-tcp", with("openvpn-tcp", "blocked-out tcp-content-dropped"), "Use OpenVPN over UDP", "drops what is OpenVPN over TCP", "tls-crypt"},
		{"sstp", with("sstp", "blocked-out http-refused"), "Use IKEv2", "without inspection", "IKEv2 works here"},
		{"ikev2", with("ikev2", "blocked-out udp-zero-checksum-dropped"), "Use WireGuard", "RFC 3948", "WireGuard works here"},
		{"ikev2", with("ikev2", "stalled full-size-dropped"), "Use WireGuard", "path MTU", "WireGuard works here"},
		{"ikev2", with("ikev2", "hijacked answered-by-another"), "Use WireGuard", "in the place of your VPN's server", "WireGuard works here"},
		{"sstp", map[string]string{"sstp": "blocked-out tcp-port-dropped"}, "Use another network, a phone's hotspot", "let TCP port 443", "another VPN: one of another kind"},
	} {
		a := fares(true, x.says).For(x.vpn, 0).Aim
		for _, y := range [][2]string{{a.Now, x.now}, {a.Network, x.net}, {a.IT, x.it}} {
			well(t, x.vpn, y[0])
			if !strings.Contains(y[0], y[1]) {
				t.Errorf("%s %s: %q has no %q", x.vpn, x.says[x.vpn], y[0], y[1])
			}
		}
	}
	for _, id := range VPNs() {
		if vpnAdvice[id].check == "" {
			t.Errorf("%s: nothing to check", id)
		}
	}
}
