package report

import (
	"strings"
	"testing"

	"vpncheck/probe"
)

func TestExitCode(t *testing.T) {
	for _, x := range []struct {
		want     int
		verdicts []probe.Verdict
	}{
		{4, nil},
		{0, []probe.Verdict{probe.Passed}},
		{0, []probe.Verdict{probe.Passed, probe.Passed}},
		{3, []probe.Verdict{probe.Passed, probe.Altered}},
		{3, []probe.Verdict{probe.BlockedOut}},
		{3, []probe.Verdict{probe.BlockedBack}},
		{3, []probe.Verdict{probe.Stalled}},
		{3, []probe.Verdict{probe.Hijacked}},
		{4, []probe.Verdict{probe.Inconclusive}},
		{4, []probe.Verdict{probe.Untested, probe.Passed}},
		{3, []probe.Verdict{probe.Inconclusive, probe.BlockedBack, probe.Untested}},
		{4, []probe.Verdict{"a word from tomorrow"}},
	} {
		var r Report
		for _, v := range x.verdicts {
			r.Protocols = append(r.Protocols, Protocol{Verdict: v})
		}
		if got := r.ExitCode(); got != x.want {
			t.Errorf("%v: got %d, want %d", x.verdicts, got, x.want)
		}
		if len(x.verdicts) == 0 {
			continue
		}
		r.Protocols = append(r.Protocols, Protocol{Verdict: probe.Altered, Reason: probe.AHThroughNAT})
		if got := r.ExitCode(); got != x.want {
			t.Errorf("%v and AH through a NAT: got %d, want %d", x.verdicts, got, x.want)
		}
	}
}

func TestHeadline(t *testing.T) {
	p := func(title string, v probe.Verdict, r probe.Reason) Protocol {
		return Protocol{ID: strings.ToLower(strings.ReplaceAll(title, "-", "")), Title: title, Verdict: v, Reason: r}
	}
	at := func(port int, p Protocol) Protocol {
		p.Because = []Note{{Reason: probe.EvPort, Args: map[string]any{"port": port}}}
		return p
	}
	ah := p("AH", probe.Altered, probe.AHThroughNAT)
	for _, x := range []struct {
		want string
		ps   []Protocol
	}{
		{"A works through this router and internet provider.", []Protocol{p("A", probe.Passed, "")}},
		{"A and B work. C does not: this laptop itself refuses to send.",
			[]Protocol{p("A", probe.Passed, ""), p("B", probe.Passed, ""), p("C", probe.BlockedOut, probe.LaptopFirewall)}},
		{"A and B do not work: GRE packets do not reach the server.",
			[]Protocol{p("A", probe.BlockedOut, probe.GREOutDropped), p("B", probe.BlockedOut, probe.GREOutDropped)}},
		{"A does not work: GRE packets do not reach the server. B is undecided: the fault may be at the server. C was not tried: another program holds the port.",
			[]Protocol{p("A", probe.BlockedOut, probe.GREOutDropped), p("B", probe.Inconclusive, probe.ServerUnproven), p("C", probe.Untested, probe.PortHeld)}},
		{"A works. B works, but only slowly: there is a rate limit on the way.", []Protocol{p("A", probe.Passed, ""), p("B", probe.Passed, probe.RateLimit)}},
		{"B and D work, but only slowly: there is a rate limit on the way. C does not work: this laptop itself refuses to send.",
			[]Protocol{p("B", probe.Passed, probe.RateLimit), p("C", probe.BlockedOut, probe.LaptopFirewall), p("D", probe.Passed, probe.RateLimit)}},
		{"Nothing was checked.", nil},
		{"A works. B and C are undecided: the connection to the test server was lost.",
			[]Protocol{p("A", probe.Passed, ""), p("B", probe.Untested, probe.SessionLost), p("C", probe.Inconclusive, probe.SessionLost)}},
		{"IKE and ESP work through this router and internet provider. AH cannot work behind a NAT, and hardly any VPN needs it.",
			[]Protocol{p("IKE", probe.Passed, ""), p("ESP", probe.Passed, ""), ah}},
		{"AH cannot work behind a NAT, and hardly any VPN needs it.", []Protocol{ah}},
		{"NAT-T works. IKE does not: UDP port 500 is blocked on the way. ESP and AH do not work: the packets do not reach the server.",
			[]Protocol{p("ESP", probe.BlockedOut, probe.ESPOutDropped), p("AH", probe.BlockedOut, probe.AHOutDropped),
				at(500, p("IKE", probe.BlockedOut, probe.UDPPortDropped)), p("NAT-T", probe.Passed, "")}},
		{"NAT-T does not work: UDP port 4500 is blocked on the way. IKE does not work: UDP port 500 is blocked on the way. " +
			"L2TP does not work: UDP port 1701 is blocked on the way. PPTP does not work either. GRE is not known. L2TP/IPsec and IKEv2 VPNs fail here.",
			[]Protocol{p("PPTP", probe.BlockedBack, probe.NoPPTPHelper), p("GRE", probe.Untested, probe.OSRefuses),
				at(500, p("IKE", probe.BlockedOut, probe.UDPPortDropped)), at(1701, p("L2TP", probe.BlockedOut, probe.UDPPortDropped)),
				at(4500, p("NAT-T", probe.BlockedOut, probe.UDPPortDropped))}},
	} {
		if got := summarise(x.ps, probe.Circumstances{}).Headline; got != x.want {
			t.Errorf("got  %q\nwant %q", got, x.want)
		}
	}
}
