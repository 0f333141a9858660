package report

import (
	"net/netip"
	"strings"
	"testing"

	"vpncheck/probe"
)

// udpProbe is a probe of a UDP port that judges nothing itself.
func udpProbe(id, title string, port uint16) fake {
	return fake{info: probe.Info{ID: id, Title: title, Parts: []probe.Part{{ID: "stock", Title: "from its own port", Deciding: true}},
		Stages: []probe.Stage{{ID: "talk", Title: "the talk", Port: port}}}}
}

// said is the report of findings alone.
func said(c probe.Circumstances, fs ...probe.Finding) Report {
	var probes []probe.Probe
	for id, port := range map[string]uint16{"ike": 500, "natt": 4500, "l2tp": 1701, "esp": 0} {
		probes = append(probes, udpProbe(id, strings.ToUpper(id), port))
	}
	return New(probe.Result{Findings: fs, Circumstances: c}, probes, Tool{})
}

func portDropped(id string, r probe.Reason, port int) probe.Finding {
	return probe.Finding{Protocol: id, Verdict: probe.BlockedOut, Reason: r, Stage: "talk",
		Because: []probe.Evidence{{Reason: probe.EvPort, Args: map[string]any{"port": port}}}}
}

// The words of a port are told where the port is known, and are as well made as the catalogue.
func TestWordsOfPorts(t *testing.T) {
	for _, r := range []probe.Reason{probe.UDPPortDropped, probe.UDPPortBackDropped, probe.UDPRefused, probe.ZeroChecksum, probe.PortClash,
		probe.StateClash, probe.PayloadAltered, probe.UDPFiltered} {
		for port, want := range map[int]string{500: "UDP port 500", 4500: "UDP port 4500", 1701: "UDP port 1701", 4711: "UDP port 4711"} {
			x := said(probe.Circumstances{}, portDropped("ike", r, port)).Protocols[0]
			s := said(probe.Circumstances{}, portDropped("ike", r, port)).Summary
			well(t, string(r), x.Sentence, x.Next, s.Headline, s.Advice)
			if text := x.Sentence + s.Headline; strings.HasPrefix(string(r), "udp-port") && !strings.Contains(text, want) {
				t.Errorf("%s on %d: %q does not name the port", r, port, text)
			}
			if len("What to do: "+s.Advice) > 86 {
				t.Errorf("%s on %d: %q is not one line", r, port, s.Advice)
			}
		}
	}
}

// Plain ESP is missed by nobody whose NAT-T works.
func TestNATTBesideESP(t *testing.T) {
	esp := probe.Finding{Protocol: "esp", Verdict: probe.BlockedOut, Reason: probe.ESPOutDropped}
	ike := portDropped("ike", probe.UDPPortDropped, 500)
	natt := probe.Finding{Protocol: "natt", Verdict: probe.Passed}
	nat := probe.Circumstances{Laptop: probe.LaptopFacts{Local: netip.MustParseAddr("192.168.1.10")},
		Server: probe.ServerFacts{Client: netip.MustParseAddrPort("198.51.100.7:5000")}}
	for _, x := range []struct {
		name string
		c    probe.Circumstances
		fs   []probe.Finding
		want string
	}{
		{"esp-behind-nat", nat, []probe.Finding{esp, natt}, "does not miss plain ESP"},
		{"esp-without-nat", probe.Circumstances{}, []probe.Finding{esp, natt}, "force UDP encapsulation"},
		{"esp-without-natt", nat, []probe.Finding{esp, portDropped("natt", probe.UDPPortDropped, 4500)}, "NAT-T does not work here either"},
		{"ike", nat, []probe.Finding{ike, natt}, "a VPN client that can begin on that port works even so"},
	} {
		if got := said(x.c, x.fs...).Protocols[0].Next; !strings.Contains(got, x.want) {
			t.Errorf("%s: got %q, want %q in it", x.name, got, x.want)
		}
	}
	if got, want := said(nat, esp, natt).Summary.Advice, "Nothing, as a rule: NAT-T works, which IPsec uses behind a NAT."; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
}

// What would allow a thing is said once.
func TestHintIsToldOnce(t *testing.T) {
	const hint = "sudo setcap cap_net_raw,cap_net_bind_service+ep ./vpncheck"
	why := map[string]any{"why": "operation not permitted", "hint": hint, "part": "from another port"}
	refused := func(id string) probe.Finding {
		return probe.Finding{Protocol: id, Verdict: probe.Untested, Reason: probe.NoPrivilege, Because: []probe.Evidence{{Reason: probe.EvWhy, Args: why}}}
	}
	ike := probe.Finding{Protocol: "ike", Verdict: probe.Passed, Because: []probe.Evidence{{Reason: probe.EvStandsIn, Args: why}}}
	n := 0
	r := said(probe.Circumstances{}, ike, refused("esp"), refused("natt"))
	for _, x := range r.Protocols {
		n += strings.Count(x.Sentence+x.Next+strings.Join(x.Remarks, ""), hint)
	}
	if n != 1 || len(r.Protocols[0].Remarks) != 1 {
		t.Errorf("the hint is told %d times, want once, in the first remark %q", n, r.Protocols[0].Remarks)
	}
}
