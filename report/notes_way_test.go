package report

import (
	"net/netip"
	"strings"
	"testing"

	"vpncheck/probe"
	"vpncheck/probe/wire"
	"vpncheck/probe/witness"
)

// note is the text of a run's note, "" if there is none.
func note(c probe.Circumstances, os []probe.Observation, r probe.Reason) string {
	for _, n := range notes(c, os) {
		if n.Reason == r {
			return n.Text
		}
	}
	return ""
}

// cameFrom is a packet of a protocol as the server saw it.
func cameFrom(protocol, from string) probe.Observation {
	seen := wire.Sighting{State: wire.Seen, Src: netip.MustParseAddrPort(from)}
	return probe.Observation{Protocol: protocol, Exchanges: []probe.Exchange{
		{From: probe.Client, Arrived: seen}, {From: probe.Client, Arrived: wire.NotSeen()},
		{From: probe.Server, Arrived: wire.Sighting{State: wire.Seen, Src: netip.MustParseAddrPort("203.0.113.99:1")}},
	}}
}

// Which public addresses the server saw is told where they differ (T36).
func TestNoteSources(t *testing.T) {
	c := onLinux()
	client := c.Server.Client.Addr().String()
	same := []probe.Observation{cameFrom("ike", client+":500"), cameFrom("gre", client+":0")}
	if got := note(c, same, probe.EvSources); got != "" {
		t.Errorf("got %q, want nothing: the addresses are the same", got)
	}
	if got := called("natt", []Protocol{{ID: "natt", Title: "NAT-T (UDP 4500)"}}); got != "NAT-T" {
		t.Errorf("got %q, want the title", got)
	}
	got := note(c, append(same, cameFrom("esp", "203.0.113.77:0")), probe.EvSources)
	for _, want := range []string{client + ": the session (TLS), IKE, GRE; 203.0.113.77: ESP"} {
		if !strings.Contains(got, want) {
			t.Errorf("got %q, want %q in it", got, want)
		}
	}
}

// Which family was asked is told where the other could have been (T37); and a network that only translates IPv4 (F41).
func TestNoteFamilies(t *testing.T) {
	c := onLinux()
	if got := note(c, nil, probe.EvFamily) + note(c, nil, probe.EvSixToFour); got != "" {
		t.Errorf("got %q, want nothing", got)
	}
	c.Server.Other = netip.MustParseAddr("2001:db8::10")
	if got := note(c, nil, probe.EvFamily); !strings.Contains(got, "over IPv4") || !strings.Contains(got, "--family 6") {
		t.Errorf("got %q", got)
	}
	c.Laptop.Local = netip.MustParseAddr("192.0.0.1")
	if got := note(c, nil, probe.EvSixToFour); !strings.Contains(got, "192.0.0.1") {
		t.Errorf("got %q", got)
	}
	c.Laptop.Local, c.Server.Address = netip.MustParseAddr("2001:db8:1::5"), netip.MustParseAddr("64:ff9b::c633:640a")
	if got := note(c, nil, probe.EvSixToFour); !strings.Contains(got, "64:ff9b::") {
		t.Errorf("got %q", got)
	}
}

// A host's NAT before the router is told (F24), a machine that is in the network itself is not.
func TestNoteInside(t *testing.T) {
	c := onLinux()
	c.Laptop.Inside = &witness.Machine{Hints: []witness.Hint{{Kind: "wsl", Sign: "x"}}}
	if got := note(c, nil, probe.EvInside); got != "" {
		t.Errorf("got %q, want nothing", got)
	}
	c.Laptop.Inside.NAT = "the NAT of WSL"
	if got := note(c, nil, probe.EvInside); !strings.Contains(got, "runs in WSL, behind the NAT of WSL") {
		t.Errorf("got %q", got)
	}
}

// A router that says only after the run that its address is the server's ends no run, but is told (F57).
func TestNoteHairpin(t *testing.T) {
	c := onLinux()
	if got := note(c, nil, probe.ServerHairpin); got != "" {
		t.Errorf("got %q, want nothing", got)
	}
	c.Router = &witness.Router{WAN: c.Server.Address}
	if got := note(c, nil, probe.ServerHairpin); !strings.Contains(got, "behind the same router") {
		t.Errorf("got %q", got)
	}
}

// Where packets are dropped for what is in them no port setting is advised, and who may look into them is named.
func TestContentWords(t *testing.T) {
	for _, r := range []probe.Reason{probe.UDPContentDropped, probe.UDPContentBackDropped} {
		for id, port := range map[string]int{"ike": 500, "natt": 4500, "l2tp": 1701} {
			f := probe.Finding{Protocol: id, Verdict: probe.BlockedOut, Reason: r, Because: []probe.Evidence{
				{Reason: probe.EvPort, Args: map[string]any{"port": port}}}}
			p := said(onLinux(), f).Protocols[0]
			well(t, id, p.Sentence, p.Next)
			if !strings.Contains(p.Sentence, "deep packet inspection") || strings.Contains(p.Next, "passthrough") || !strings.Contains(p.Next, "TCP port 443") {
				t.Errorf("%s: got %q and %q", id, p.Sentence, p.Next)
			}
			if nothing := strings.HasPrefix(p.Next, "Nothing, if yours is L2TP/IPsec"); nothing != (port == 1701) {
				t.Errorf("%s: got %q", id, p.Next)
			}
		}
	}
}

// A flow is stopped by a count or by the clock, and two of them tell by which.
func TestStoppedAfter(t *testing.T) {
	for _, c := range []struct {
		stops [][2]float64
		want  string
	}{
		{[][2]float64{{6, 0}}, " after 6 answers"},
		{[][2]float64{{1, 0.2}, {1, 0.2}}, " after 1 answer"},
		{[][2]float64{{8, 1.1}, {8, 8.4}}, " after 8 answers"},
		{[][2]float64{{35, 9.3}, {9, 9.2}}, " after 9 seconds"},
		{[][2]float64{{35, 9.3}}, " after 35 answers"},
		{[][2]float64{{12, 1.5}, {2, 2.1}}, " after 2 answers"},
	} {
		if got := after(c.stops); got != c.want {
			t.Errorf("%v: got %q, want %q", c.stops, got, c.want)
		}
	}
}

// What is dropped inside a TCP connection is told as certainly as it is known, and nobody is sent from SSTP to SSTP, or to the port it has.
func TestStreamWords(t *testing.T) {
	random := func(content bool) probe.Evidence {
		return probe.Evidence{Reason: probe.EvRandom, Args: map[string]any{"port": 1194, "over": "tcp", "asked": 4, "arrived": 4, "returned": 4, "content": content}}
	}
	for _, c := range []struct {
		id    string
		port  int
		r     probe.Reason
		more  []probe.Evidence
		says  string
		advis string
	}{
		{"openvpn-tcp", 1194, probe.TCPContentDropped, nil, "most likely it looks for", "such as SSTP"},
		{"openvpn-tcp", 1194, probe.TCPContentDropped, []probe.Evidence{random(false)}, "most likely it looks for", "such as SSTP"},
		{"openvpn-tcp", 1194, probe.TCPContentDropped, []probe.Evidence{random(true)}, "Random data of the same size on the same port gets through, so", "such as SSTP"},
		{"openvpn-tcp", 1194, probe.TCPContentBackDropped, []probe.Evidence{random(true)}, "its answers do not come back", "such as SSTP"},
		{"openvpn-tcp", 1194, probe.TCPConnectOnly, []probe.Evidence{random(false)}, "nor random data", "TCP port 443"},
		{"pptp", 1723, probe.TCPContentDropped, []probe.Evidence{random(true)}, "the connection to TCP port 1723 opens", "such as SSTP"},
		{"sstp", 443, probe.TCPContentDropped, nil, "the connection to TCP port 443 opens", "such as "},
		{"sstp", 443, probe.TCPContentDropped, []probe.Evidence{{Reason: probe.EvLinkPort, Args: map[string]any{"port": 443}}}, "This check's own connection to the same port works all the while, so", "another internet connection"},
		{"sstp", 443, probe.TCPContentBackDropped, nil, "its answers do not come back", "another internet connection"},
		{"sstp", 443, probe.TCPConnectOnly, nil, "neither SSTP nor random data", "without a proxy"},
		{"sstp", 443, probe.TCPReset, nil, "the SSTP connection was refused at once", "blocks connections to TCP port 443"},
		{"sstp", 443, probe.TCPRefused, nil, "the SSTP connection was refused by an ICMP message", "blocks connections to TCP port 443"},
		{"sstp", 443, probe.TCPPortDropped, nil, "TCP port 443", "TCP port 443"},
	} {
		f := probe.Finding{Protocol: c.id, Verdict: probe.BlockedOut, Reason: c.r, Because: append([]probe.Evidence{
			{Reason: probe.EvPort, Args: map[string]any{"port": c.port, "over": "tcp"}}}, c.more...)}
		p := said(onLinux(), f).Protocols[0]
		well(t, c.id, p.Sentence, p.Next)
		if !strings.Contains(p.Sentence, c.says) || !strings.Contains(p.Next, c.advis) {
			t.Errorf("%s, %s: got %q and %q", c.id, c.r, p.Sentence, p.Next)
		}
		if strings.Contains(p.Next, "OpenVPN over TCP port 443") && c.port == 1194 && c.r != probe.TCPConnectOnly {
			t.Errorf("%s: got %q", c.r, p.Next)
		}
		if c.id == "sstp" && (strings.Contains(p.Next, "such as SSTP") || strings.Contains(p.Next, "se a VPN on TCP port 443") || strings.Contains(p.Next, "Use a VPN that looks like")) {
			t.Errorf("%s: got %q", c.r, p.Next)
		}
	}
}

// A clash that follows from another laptop's run is not told as one that the second address showed.
func TestOthersWords(t *testing.T) {
	clash := probe.Finding{Protocol: "esp", Verdict: probe.Inconclusive, Reason: probe.StateClash}
	if p := said(onLinux(), clash).Protocols[0]; !strings.Contains(p.Sentence, "second address") {
		t.Errorf("got %q", p.Sentence)
	}
	clash.Because = []probe.Evidence{{Reason: probe.EvOthers, Args: map[string]any{"count": 1, "minutes": 3}}}
	p := said(onLinux(), clash).Protocols[0]
	if strings.Contains(p.Sentence, "second address") || !strings.Contains(p.Sentence, "another device behind the same public address") || p.Diagnosis != nil {
		t.Errorf("got %q, %+v", p.Sentence, p.Diagnosis)
	}
	well(t, "others", p.Sentence, p.Next)
}
