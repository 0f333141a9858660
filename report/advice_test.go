package report

import (
	"net/netip"
	"strings"
	"testing"
	"time"

	"vpncheck/probe"
)

// onLinux is a laptop behind a NAT, in a session with 203.0.113.2.
func onLinux() probe.Circumstances {
	return probe.Circumstances{
		Laptop: probe.LaptopFacts{OS: "linux", Local: netip.MustParseAddr("192.168.1.10")},
		Server: probe.ServerFacts{Host: "vpn.example", Address: netip.MustParseAddr("203.0.113.2"), Client: netip.MustParseAddrPort("198.51.100.7:5000")},
	}
}

// line is a control of so many packets, of which some are lost, spread evenly, or all of a time.
func line(lost int, dead time.Duration) probe.Control {
	c := probe.Control{Started: began, Every: 200 * time.Millisecond}
	for i := range 100 {
		at := time.Duration(i) * c.Every
		udp, tls := probe.Beat{At: at, RTT: time.Millisecond}, probe.Beat{At: at, RTT: time.Millisecond}
		if lost > 0 && i%(100/lost) == 3 {
			udp.RTT = 0
		}
		if at > 10*time.Second && at < 10*time.Second+dead {
			udp.RTT, tls.RTT = 0, 0
		}
		c.UDP, c.TLS = append(c.UDP, udp), append(c.TLS, tls)
	}
	return c
}

// What people are told to do fits what was found.
func TestAdvice(t *testing.T) {
	passed := func(id string, because ...probe.Evidence) probe.Finding {
		return probe.Finding{Protocol: id, Verdict: probe.Passed, Because: because}
	}
	stands := probe.Evidence{Reason: probe.EvStandsIn, Args: map[string]any{"part": "IKEv2 from another port", "why": "permission denied"}}
	lossy, broken := onLinux(), onLinux()
	lossy.Control, broken.Control = line(10, 0), line(0, 2*time.Second)
	for _, x := range []struct {
		name, headline, advice string
		c                      probe.Circumstances
		fs                     []probe.Finding
	}{
		{"stands-in", "IKE works from another port; port 500 itself, which VPN clients use, was not tried.", "Run vpncheck as administrator", onLinux(),
			[]probe.Finding{passed("ike", stands)}},
		{"lossy", "IKE works through this router and internet provider.", "The line loses 10 % of the packets", lossy, []probe.Finding{passed("ike")}},
		{"dead", "IKE works through this router and internet provider.", "The line was dead once, for 2", broken, []probe.Finding{passed("ike")}},
		{"ah", "AH cannot work behind a NAT", "Nothing: hardly any VPN uses AH", onLinux(),
			[]probe.Finding{{Protocol: "ah", Verdict: probe.Altered, Reason: probe.AHThroughNAT}}},
		{"l2tp", "L2TP/IPsec and IKEv2 VPNs fail here, though L2TP without IPsec works.", "Look for IPsec settings", onLinux(),
			[]probe.Finding{passed("l2tp"), passed("ike"), portDropped("natt", probe.UDPPortDropped, 4500)}},
	} {
		s := said(x.c, x.fs...).Summary
		if !strings.Contains(s.Headline, x.headline) || !strings.HasPrefix(s.Advice, x.advice) {
			t.Errorf("%s: got %q and %q, want %q and %q", x.name, s.Headline, s.Advice, x.headline, x.advice)
		}
		well(t, x.name, s.Headline, s.Advice)
	}
}

// No VPN is recommended that the same report says is blocked.
func TestOtherVPNs(t *testing.T) {
	ike := portDropped("ike", probe.UDPPortDropped, 500)
	filtered := onLinux()
	filtered.Control = line(0, 0)
	for i := range filtered.Control.UDP {
		filtered.Control.UDP[i].RTT = 0
	}
	passes := func(ids ...string) (fs []probe.Finding) {
		for _, id := range ids {
			fs = append(fs, probe.Finding{Protocol: id, Verdict: probe.Passed})
		}
		return fs
	}
	fails := func(id string) probe.Finding {
		return probe.Finding{Protocol: id, Verdict: probe.BlockedOut, Reason: probe.NoArrival}
	}
	for _, x := range []struct {
		name, want, not string
		c               probe.Circumstances
		fs              []probe.Finding
	}{
		{"nothing-else", "GRE: IKEv2, WireGuard or OpenVPN (not tested here)", "TCP", onLinux(), nil},
		{"ike-passed", "IKEv2, WireGuard or OpenVPN (not tested here)", "TCP", onLinux(), passes("ike")},
		{"ike-and-natt-passed", "GRE: IKEv2 (it works here)", "not tested", onLinux(), passes("ike", "natt")},
		{"ikev2-failed-as-a-whole", "WireGuard, OpenVPN or SSTP (not tested here)", "IKEv2", onLinux(), append(passes("ike", "natt"), portDropped("ikev2", probe.UDPPortDropped, 500))},
		{"ikev2-undecided-as-a-whole", "GRE: WireGuard, OpenVPN or SSTP (not tested here)", "IKEv2", onLinux(), append(passes("ike", "natt"), probe.Finding{Protocol: "ikev2", Verdict: probe.Inconclusive})},
		{"ikev2-not-tried-as-a-whole", "GRE: IKEv2 (it works here)", "not tested", onLinux(), append(passes("ike", "natt"), probe.Finding{Protocol: "ikev2", Verdict: probe.Untested})},
		{"openvpn-once", "GRE: OpenVPN or SSTP (they work here)", "over TCP", onLinux(), append(passes("openvpn-udp", "openvpn-tcp", "sstp"), ike)},
		{"ike-blocked", "GRE: WireGuard, OpenVPN or SSTP (not tested here)", "IKEv2", onLinux(), []probe.Finding{ike}},
		{"ike-hijacked", "OpenVPN", "IKEv2", onLinux(), []probe.Finding{{Protocol: "ike", Verdict: probe.Hijacked, Reason: probe.AnsweredByAnother}}},
		{"natt-blocked", "OpenVPN", "IKEv2", onLinux(), []probe.Finding{portDropped("natt", probe.UDPPortDropped, 4500)}},
		{"all-pass", "GRE: IKEv2, WireGuard or OpenVPN (they work here)", "not tested", onLinux(), passes("ikev2", "wireguard", "openvpn-udp", "openvpn-tcp", "sstp")},
		{"over-tcp-alone", "GRE: OpenVPN over TCP (it works here)", "SSTP", onLinux(), append(passes("openvpn-tcp"), ike, portDropped("openvpn-udp", probe.UDPPortDropped, 1194))},
		{"nothing-works", "GRE: OpenVPN over TCP port 443 (not tested here)", "SSTP", onLinux(), []probe.Finding{fails("ikev2"), fails("wireguard"), fails("openvpn-udp"),
			fails("openvpn-tcp"), fails("sstp")}},
		{"undecided-is-not-named", "GRE: SSTP (it works here)", "WireGuard", onLinux(), append(passes("sstp"), probe.Finding{Protocol: "wireguard", Verdict: probe.Inconclusive})},
		{"no-udp", "GRE: OpenVPN over TCP or SSTP (not tested here)", "WireGuard", filtered, nil},
		{"no-udp-sstp", "GRE: SSTP (it works here)", "OpenVPN", filtered, passes("sstp")},
	} {
		gre := probe.Finding{Protocol: "gre", Verdict: probe.BlockedBack, Reason: probe.GREBackDropped}
		got := said(x.c, append(x.fs, gre)...).Protocols[len(x.fs)].Next
		if !strings.Contains(got, x.want) || strings.Contains(got, x.not) {
			t.Errorf("%s: got %q, want %q in it and no %q", x.name, got, x.want, x.not)
		}
	}
}

// The line "What to do" names what the table of VPNs names as the best, and no other VPN where none works.
func TestDoFitsTheTable(t *testing.T) {
	passes := func(id string) probe.Finding { return probe.Finding{Protocol: id, Verdict: probe.Passed} }
	stalls := func(id string) probe.Finding {
		return probe.Finding{Protocol: id, Verdict: probe.Stalled, Reason: probe.StoppedAfterN}
	}
	for _, x := range []struct {
		name string
		fs   []probe.Finding
		want string
	}{
		{"inspected", []probe.Finding{portDropped("wireguard", probe.UDPContentDropped, 51820), passes("ikev2"), passes("sstp")}, "Use IKEv2 or SSTP, or ask those"},
		{"inspected-tcp", []probe.Finding{portDropped("openvpn-tcp", probe.TCPContentDropped, 1194), passes("ikev2")}, "Use IKEv2, or"},
		{"inspected-alone", []probe.Finding{portDropped("wireguard", probe.UDPContentDropped, 51820), passes("sstp")}, "Use SSTP, or ask those"},
		{"stopped", []probe.Finding{stalls("wireguard"), passes("ikev2")}, "Try another internet connection, or use IKEv2."},
		{"stopped-unasked", []probe.Finding{stalls("natt")}, "Try another internet connection, or another VPN."},
		{"stopped-all", []probe.Finding{stalls("ikev2"), stalls("wireguard"), stalls("openvpn-udp"), stalls("openvpn-tcp"), stalls("sstp")}, "Try another internet connection, a phone's"},
	} {
		r := said(onLinux(), x.fs...)
		if !strings.Contains(r.Summary.Advice, x.want) {
			t.Errorf("%s: got %q, want %q in it", x.name, r.Summary.Advice, x.want)
		}
		if rec := r.Recommendation; rec != nil && rec.VPN != "" && !strings.Contains(r.Summary.Advice, title(rec.VPN)) {
			t.Errorf("%s: %q, but %q", x.name, r.Summary.Advice, rec.Text)
		}
		well(t, x.name, r.Summary.Advice)
	}
}

// Where UDP is filtered, or packets are looked into, what helps is what this run found to work.
func TestWaysRound(t *testing.T) {
	sstp := func(v probe.Verdict, r probe.Reason) probe.Finding {
		return probe.Finding{Protocol: "sstp", Verdict: v, Reason: r}
	}
	for _, x := range []struct {
		name   string
		f      probe.Finding
		beside []probe.Finding
		want   string
	}{
		{"udp-filtered", portDropped("ike", probe.UDPFiltered, 500), nil, "needs no UDP, best one on TCP port 443, such as OpenVPN over TCP or SSTP (not tested here), or"},
		{"udp-filtered-sstp", portDropped("ike", probe.UDPFiltered, 500), []probe.Finding{sstp(probe.Passed, "")}, "such as SSTP (it works here)"},
		{"dpi", portDropped("ike", probe.UDPContentDropped, 500), nil, "such as SSTP or OpenVPN over TCP port 443, or ask"},
		{"dpi-sstp", portDropped("ike", probe.UDPContentDropped, 500), []probe.Finding{sstp(probe.Passed, "")}, "such as SSTP (it works here), or ask"},
		{"dpi-no-sstp", portDropped("ike", probe.UDPContentDropped, 500), []probe.Finding{sstp(probe.BlockedOut, probe.HTTPRefused)}, "such as OpenVPN with tls-crypt"},
		{"dpi-others", portDropped("openvpn-udp", probe.UDPContentDropped, 1194), []probe.Finding{{Protocol: "wireguard", Verdict: probe.Passed}, sstp(probe.Passed, "")},
			"Use another VPN, such as WireGuard or SSTP (they work here), or ask"},
		{"dpi-openvpn", portDropped("openvpn-udp", probe.UDPContentDropped, 1194), nil, "such as SSTP, or ask"},
		{"dpi-openvpn-sstp", portDropped("openvpn-udp", probe.UDPContentDropped, 1194), []probe.Finding{sstp(probe.Passed, "")}, "such as SSTP (it works here), or ask"},
	} {
		p := said(onLinux(), append(x.beside, x.f)...).Protocols[len(x.beside)]
		if !strings.Contains(p.Next, x.want) {
			t.Errorf("%s: got %q, want %q in it", x.name, p.Next, x.want)
		}
		well(t, x.name, p.Next)
	}
}

// What a firewall must let in is named.
func TestFirewallAdvice(t *testing.T) {
	for _, x := range []struct{ id, want string }{
		{"gre", `Let in IP protocol 47 (GRE) from vpn.example`},
		{"gre", `sudo ufw allow proto gre from 203.0.113.2`},
		{"esp", `protocol value="esp" accept`},
		{"ike", `sudo ufw allow proto udp from 203.0.113.2 port 500`},
	} {
		f := probe.Finding{Protocol: x.id, Verdict: probe.BlockedBack, Reason: probe.LaptopDropsAnswers}
		if x.id == "ike" {
			f.Because = []probe.Evidence{{Reason: probe.EvPort, Args: map[string]any{"port": 500}}}
		}
		p := said(onLinux(), f).Protocols[0]
		if !strings.Contains(p.Next, x.want) {
			t.Errorf("%s: got %q, want %q in it", x.id, p.Next, x.want)
		}
		well(t, x.id, p.Sentence, p.Next)
	}
}

// A firewall is to let in what all its victims need, and in the right direction.
func TestFirewallAdviceForAll(t *testing.T) {
	dropped := func(v probe.Verdict, r probe.Reason) (fs []probe.Finding) {
		for _, id := range []string{"ike", "natt", "l2tp"} {
			f := probe.Finding{Protocol: id, Verdict: v, Reason: r}
			if r != probe.LaptopFirewall {
				f = portDropped(id, r, map[string]int{"ike": 500, "natt": 4500, "l2tp": 1701}[id])
				f.Verdict = v
			}
			fs = append(fs, f)
		}
		return fs
	}
	for _, x := range []struct {
		fs           []probe.Finding
		advice, next string
	}{
		{dropped(probe.BlockedBack, probe.LaptopDropsAnswers), "Let in UDP from ports 500, 4500 and 1701 in this laptop's firewall.", "Let in UDP from port 500 from"},
		{dropped(probe.BlockedOut, probe.LaptopFirewall), "Allow IKE, NATT and L2TP in this laptop's firewall or security software.", "Let UDP port 500 to"},
		{dropped(probe.Inconclusive, probe.ServerFirewall), "Tell the one who runs it to open the server's own firewall for this.", "must let in UDP port 500."},
	} {
		r := said(onLinux(), x.fs...)
		if r.Summary.Advice != x.advice {
			t.Errorf("got %q, want %q", r.Summary.Advice, x.advice)
		}
		if got := r.Protocols[0].Next; !strings.Contains(got, x.next) {
			t.Errorf("got %q, want %q in it", got, x.next)
		}
	}
	one := said(onLinux(), dropped(probe.BlockedBack, probe.LaptopDropsAnswers)[:1]...).Summary.Advice
	if want := "Let in UDP from port 500 in this laptop's firewall."; one != want {
		t.Errorf("got %q, want %q", one, want)
	}
}

// NAT-T is no comfort where it is NAT-T that is refused.
func TestRefusedNATT(t *testing.T) {
	natt := probe.Finding{Protocol: "natt", Verdict: probe.BlockedOut, Reason: probe.UDPRefused,
		Because: []probe.Evidence{{Reason: probe.EvPort, Args: map[string]any{"port": 4500}}}}
	ike := portDropped("ike", probe.UDPRefused, 500)
	probes := []probe.Probe{udpProbe("ike", "IKE", 500), udpProbe("natt", "NAT-T", 4500)}
	ps := New(probe.Result{Findings: []probe.Finding{ike, natt}, Circumstances: onLinux()}, probes, Tool{}).Protocols
	if !strings.Contains(ps[0].Next, "UDP port 4500 (NAT-T) does not work here either.") || strings.Contains(ps[1].Next, "either") {
		t.Errorf("got %q and %q", ps[0].Next, ps[1].Next)
	}
}

// Large packets are sent in the deciding form alone: what is said of the others says so.
func TestFormsOfFullSize(t *testing.T) {
	f := probe.Finding{Protocol: "natt", Verdict: probe.Stalled, Reason: probe.FullSizeDropped, Parts: []probe.PartFinding{
		{Part: "stock", Verdict: probe.Stalled, Reason: probe.FullSizeDropped}, {Part: "other", Verdict: probe.Passed}}}
	p := said(onLinux(), f).Protocols[0]
	if got, want := p.Parts[1].Sentence, "Tried with small packets only."; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
	if got, want := p.Diagnosis.Sentence, "small packets get through, and large ones vanish."; !strings.HasSuffix(got, want) {
		t.Errorf("got %q, want %q in it", got, want)
	}
}

func TestPlain(t *testing.T) {
	for _, x := range []struct{ in, want string }{
		{"EOF", "the connection was closed"},
		{"reading: unexpected EOF", "the connection was closed"},
		{"read tcp 192.0.2.1:5->192.0.2.2:443: connection reset by peer", "connection reset by peer"},
		{"read tcp 192.0.2.1:5->192.0.2.2:443: i/o timeout", "no answer came in time"},
		{"dial tcp 192.0.2.2:8443: operation was canceled", "it was no longer waited for"},
		{"context canceled", "it was no longer waited for"},
		{"opening UDP port 500: permission denied", "opening UDP port 500: permission denied"},
		{"", ""},
	} {
		if got := Plain(x.in); got != x.want {
			t.Errorf("%q: got %q, want %q", x.in, got, x.want)
		}
	}
}

// A session that ends is told without the error, and what had not begun is not said to have been tried.
func TestSessionLost(t *testing.T) {
	c := onLinux()
	c.Stop = &probe.Stop{Reason: probe.SessionLost, Args: map[string]any{"why": "EOF"}}
	r := said(c, probe.Finding{Protocol: "ike", Verdict: probe.Inconclusive, Reason: probe.SessionLost},
		probe.Finding{Protocol: "esp", Verdict: probe.Untested, Reason: probe.SessionLost})
	for i, want := range []string{"ended while IKE was being tried", "ended before ESP was tried"} {
		if got := r.Protocols[i].Sentence; !strings.Contains(got, want) || strings.Contains(got, "EOF") {
			t.Errorf("got %q, want %q in it", got, want)
		}
	}
}

func TestAddressOfTheOtherKind(t *testing.T) {
	c := probe.Circumstances{Server: probe.ServerFacts{Host: "203.0.113.2"}, NoSession: &probe.NoSessionFacts{Reason: probe.NoAddress}}
	s := said(c, probe.Finding{Protocol: "ike", Verdict: probe.Untested, Reason: probe.NoSession}).Summary
	if want := "No check was possible: 203.0.113.2 is an IPv4 address."; s.Headline != want {
		t.Errorf("got %q, want %q", s.Headline, want)
	}
}
