package main

import (
	"io"
	"strings"
	"testing"

	"vpncheck/probe"
	"vpncheck/report"
)

func TestAskVPN(t *testing.T) {
	for in, want := range map[string]string{
		"": anyVPN, "\n": anyVPN, "any\n": anyVPN, "3\n": report.VPNs()[2], " IKEv2 \n": "ikev2", "nonsense\nwireguard\n": "wireguard",
		"0\n99\nx\nikev2\n": anyVPN, strings.Repeat("z", 9000): anyVPN,
	} {
		if got := askVPN(strings.NewReader(in), io.Discard); got != want {
			t.Errorf("%.20q: got %s, want %s", in, got, want)
		}
	}
	var out strings.Builder
	askVPN(strings.NewReader("\n"), &out)
	if !strings.Contains(out.String(), "  3  l2tp-ipsec   L2TP/IPsec\n") {
		t.Errorf("got no name that people know:\n%s", out.String())
	}
	for line := range strings.Lines(out.String()) {
		if len(line) > helpWidth {
			t.Errorf("%d columns: %q", len(line), line)
		}
	}
}

// Nobody is asked who is no terminal, or who has said it.
func TestAskOnlyOnTerminal(t *testing.T) {
	f := aimFlags{}
	var out strings.Builder
	if f.ask(strings.NewReader("ikev2\n"), &out); f.vpn != "" || out.String() != "" {
		t.Errorf("got %q, and said %q", f.vpn, out.String())
	}
}

// While a run is under way, only what the VPN may need is told.
func TestLiveTellsWhatIsNeeded(t *testing.T) {
	for vpn, want := range map[string]string{"": "GRE IKE", anyVPN: "GRE IKE", "ikev2": "IKE"} {
		var out strings.Builder
		l := newLive(&out, f0.options(&out), []probe.Probe{probe.GRE{}, probe.IKE{}})
		l.vpn = vpn
		for _, id := range []string{"gre", "ike"} {
			l.on(probe.Event{Kind: "verdict", Protocol: id, Finding: &probe.Finding{Verdict: probe.Untested, Reason: probe.NoPrivilege}})
		}
		for _, name := range []string{"GRE", "IKE"} {
			if got := strings.Contains(out.String(), name); got != strings.Contains(want, name) {
				t.Errorf("%s: %s told: %t\n%s", vpn, name, got, out.String())
			}
		}
	}
}

var f0 outputFlags
