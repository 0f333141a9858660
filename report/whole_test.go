package report

import (
	"strings"
	"testing"

	"vpncheck/probe"
)

// wholes are the IPsec VPNs as wholes, beside what they are made of.
func wholes(fs ...probe.Finding) Report {
	probes := []probe.Probe{udpProbe("ike", "IKE (UDP 500)", 500), udpProbe("natt", "NAT-T (UDP 4500)", 4500), udpProbe("ikev2", "IKEv2", 4500),
		udpProbe("l2tp-ipsec", "L2TP/IPsec", 4500), udpProbe("l2tp", "L2TP without IPsec (UDP 1701)", 1701), udpProbe("esp", "ESP", 0), udpProbe("gre", "GRE", 0)}
	return New(probe.Result{Findings: fs, Circumstances: onLinux()}, probes, Tool{})
}

// What a VPN as a whole said of itself beats what its parts let one expect of it.
func TestWholeBeatsItsParts(t *testing.T) {
	passed := func(id string) probe.Finding { return probe.Finding{Protocol: id, Verdict: probe.Passed} }
	gre := probe.Finding{Protocol: "gre", Verdict: probe.BlockedBack, Reason: probe.GREBackDropped}
	large := portDropped("ikev2", probe.FullSizeDropped, 4500)
	large.Verdict = probe.Stalled
	large.Because = append(large.Because, probe.Evidence{Reason: probe.EvFullSize, Args: map[string]any{"octets": 1268, "way": "out", "tries": 5, "opening": true}})
	unsure := probe.Finding{Protocol: "l2tp-ipsec", Verdict: probe.Inconclusive, Reason: probe.TooLossy}
	for _, x := range []struct {
		name     string
		fs       []probe.Finding
		headline string // what is in it
		not      string // and what is not
		advises  bool   // IKEv2, in the place of GRE
	}{
		{"content", []probe.Finding{passed("ike"), passed("natt"), portDropped("ikev2", probe.UDPContentDropped, 4500), passed("l2tp-ipsec"), passed("l2tp"), gre},
			"IKEv2 does not: packets to UDP port 4500 are inspected and dropped.", "fail here", false},
		{"size", []probe.Finding{passed("ike"), passed("natt"), large, passed("l2tp-ipsec"), passed("l2tp"), gre},
			"IKEv2 does not: large packets (those with certificates) are dropped on the way.", "fail here", false},
		{"main-mode", []probe.Finding{passed("ike"), passed("natt"), passed("ikev2"), portDropped("l2tp-ipsec", probe.UDPContentDropped, 4500), passed("l2tp"), gre},
			"L2TP/IPsec does not: packets to UDP port 4500 are inspected and dropped.", "fail here", true},
		{"whole-passes", []probe.Finding{passed("ike"), portDropped("natt", probe.UDPPortDropped, 4500), passed("ikev2"), passed("l2tp-ipsec"), passed("l2tp"), gre},
			"IKEv2, L2TP/IPsec and L2TP without IPsec work.", "fail here", true},
		{"whole-undecided", []probe.Finding{passed("ike"), portDropped("natt", probe.UDPPortDropped, 4500), passed("ikev2"), unsure, passed("l2tp"), gre},
			"to tell. L2TP/IPsec VPNs fail here, though L2TP without IPsec works.", "either", true},
		{"all", []probe.Finding{portDropped("ike", probe.UDPPortDropped, 500), portDropped("natt", probe.UDPPortDropped, 4500), portDropped("ikev2", probe.UDPPortDropped, 500),
			portDropped("l2tp-ipsec", probe.UDPPortDropped, 500), passed("l2tp"), gre},
			"NAT-T does not: UDP port 4500 is blocked on the way. IKE, IKEv2 and L2TP/IPsec do not work: UDP port 500 is blocked on the way.", "fail here", false},
	} {
		t.Run(x.name, func(t *testing.T) {
			r := wholes(x.fs...)
			if got := r.Summary.Headline; !strings.Contains(got, x.headline) || strings.Contains(got, x.not) {
				t.Errorf("got %q, want %q in it, and no %q", got, x.headline, x.not)
			}
			if got := r.Protocols[len(x.fs)-1].Next; strings.Contains(got, "IKEv2") != x.advises {
				t.Errorf("GRE's advice: %q; it names IKEv2: want %t", got, x.advises)
			}
			for _, p := range r.Protocols {
				well(t, x.name, p.Sentence, p.Next, r.Summary.Headline, r.Summary.Advice)
				for _, n := range p.Because {
					well(t, x.name, n.Text)
				}
			}
		})
	}
}

// A whole that fails by itself is told before what fewer VPNs need, and diagnosed.
func TestWholeIsImportant(t *testing.T) {
	esp := probe.Finding{Protocol: "esp", Verdict: probe.BlockedOut, Reason: probe.ESPOutDropped}
	for _, id := range []string{"ikev2", "l2tp-ipsec"} {
		r := wholes(esp, portDropped(id, probe.UDPContentDropped, 4500))
		title := r.Protocols[1].Name()
		if got := r.Summary.Headline; strings.Index(got, title) > strings.Index(got, "ESP") {
			t.Errorf("%s comes late: %q", title, got)
		}
		if r.Diagnosis == nil || r.Diagnosis.Protocol != id {
			t.Errorf("diagnosed: %+v, want %s", r.Diagnosis, id)
		}
	}
}

// The words of a loss of large packets at the opening are as well made as the catalogue.
func TestWordsOfLargeOpening(t *testing.T) {
	if n := len(largeOpening.Short); n > 62 {
		t.Errorf("%q has %d octets", largeOpening.Short, n)
	}
	if n := len("What to do: " + largeOpening.Do + "."); n > 85 {
		t.Errorf("%q has %d octets", largeOpening.Do, n)
	}
}
