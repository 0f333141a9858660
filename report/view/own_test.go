package view

import (
	"net/netip"
	"strings"
	"testing"
	"time"

	"vpncheck/probe"
	"vpncheck/probe/wire"
	"vpncheck/report"
)

var vpnServer = netip.MustParseAddr("203.0.113.80")

// opening is one as it may have gone: the steps that were answered, and the one that was not, if any, with how it was refused.
func opening(id, over string, port uint16, need string, yes []string, no, refused string) probe.Opening {
	o := probe.Opening{ID: id, Title: report.OpeningName(id), Port: port, Over: over, Needs: []string{need}}
	from, to := netip.AddrPortFrom(laptop, port), netip.AddrPortFrom(vpnServer, port)
	at := start.Add(3 * time.Second)
	add := func(stage string, tries int, returned bool) {
		s := probe.OpeningStage{ID: stage, Title: titleOf[stage]}
		for i := range tries {
			e := probe.Exchange{ID: id + "/" + stage + "/" + string(rune('1'+i)), Stage: stage, Flow: 1, From: probe.Client, Refused: refused,
				Sent:    wire.Sighting{State: wire.Seen, At: at.Add([]time.Duration{0, time.Second, 3 * time.Second}[i]), Src: from, Dst: to, Bytes: []byte{1, 2, 3}},
				Arrived: wire.Sighting{State: wire.Blind, Why: "the VPN server is not ours"}, Replied: wire.Sighting{State: wire.Blind}, Returned: wire.NotSeen()}
			if returned {
				e.Refused, e.Returned = "", wire.Sighting{State: wire.Seen, At: at.Add(30 * time.Millisecond), Src: to, Dst: from, Bytes: []byte{4, 5}}
			}
			s.Exchanges = append(s.Exchanges, e)
		}
		o.Stages = append(o.Stages, s)
	}
	for _, stage := range yes {
		add(stage, 1, true)
	}
	if no != "" {
		tries := 3
		if over == "tcp" {
			tries = 1
		}
		add(no, tries, false)
	}
	return o
}

var titleOf = map[string]string{"init": "the first message", "key": "the key exchange", "connect": "the connection", "start": "the call", "gre": "the tunnel (GRE)"}

func ownOf(openings ...probe.Opening) probe.Own {
	return probe.Own{Host: "vpn.company.example", Addrs: []netip.Addr{vpnServer, netip.MustParseAddr("203.0.113.81")}, Addr: vpnServer, Local: laptop,
		Started: start.Add(3 * time.Second), Ended: start.Add(8 * time.Second), Openings: openings}
}

func isNATed(o probe.Opening, told ...probe.Told) probe.Opening {
	o.ServerBehindNAT, o.ClientBehindNAT = new(true), new(true)
	o.Told = told
	return o
}

// owns are servers as they may be met.
var owns = map[string]probe.Own{
	"office": ownOf(
		opening("ikev2", "udp", 500, "ike", nil, "init", ""),
		isNATed(opening("ikev1", "udp", 500, "ike/v1-from-500", []string{"init", "key"}, "", ""),
			probe.Told{What: probe.ToldVendorID, Text: "strongSwan"}, probe.Told{What: probe.ToldProposal, Text: "AES-CBC-256, HMAC-SHA1, MODP-1024"}),
		opening("pptp", "tcp", 1723, "pptp", []string{"connect", "start"}, "gre", ""),
		opening("l2tp", "udp", 1701, "l2tp", nil, "init", ""),
		opening("openvpn-udp", "udp", 1194, "openvpn-udp", nil, "init", "icmp 3/3 from 203.0.113.80"),
		opening("openvpn-tcp", "tcp", 1194, "openvpn-tcp", nil, "connect", "reset"),
		opening("sstp", "tcp", 443, "sstp", nil, "connect", "reset"),
	),
	"mute": ownOf(
		opening("ikev2", "udp", 500, "ike", nil, "init", ""),
		opening("ikev1", "udp", 500, "ike/v1-from-500", nil, "init", ""),
		opening("pptp", "tcp", 1723, "pptp", nil, "connect", ""),
		opening("l2tp", "udp", 1701, "l2tp", nil, "init", ""),
	),
	"no-name": {Host: "vpn.company.example", Why: &probe.Refusal{Reason: probe.UnknownHost, Why: "no such name"}, Openings: []probe.Opening{}},
}

func ownAlone(o probe.Own) report.Report {
	c := probe.Circumstances{Laptop: probe.LaptopFacts{OS: "linux", Local: laptop, Gateway: netip.MustParseAddr("192.168.1.1")}}
	return report.New(probe.Result{Started: o.Started, Ended: o.Ended, Circumstances: c}, nil, report.Tool{Name: "vpncheck", Version: "0.1.0"}).WithOwn(o)
}

func ownReports() map[string]report.Report {
	all := everyWorld()
	return map[string]report.Report{
		"own-alone":            ownAlone(owns["office"]),
		"own-alone-mute":       ownAlone(owns["mute"]),
		"own-alone-vpn":        ownAlone(owns["office"]).For("l2tp-ipsec", 809),
		"own-no-name":          ownAlone(owns["no-name"]).For("", 868),
		"own-beside":           fixture(all["seven"]).WithOwn(owns["office"]),
		"own-beside-mute":      fixture(all["seven"]).WithOwn(owns["mute"]),
		"own-beside-vpn":       fixture(all["seven"]).WithOwn(owns["mute"]).For("ikev2", 0),
		"own-beside-no-helper": fixture(all["seven-no-helper"]).WithOwn(owns["office"]).For("pptp", 721),
		"own-beside-portal":    fixture(all["portal"]).WithOwn(owns["mute"]),
	}
}

func TestOwn(t *testing.T) {
	for name, r := range ownReports() {
		t.Run(name, func(t *testing.T) {
			golden(t, name+".txt", render(t, r, Options{}))
			if name == "own-alone" {
				golden(t, name+"-verbose.txt", render(t, r, Options{Verbose: true}))
			}
		})
	}
}

// The person's own server is told first, in plain words, and the words of the file format are not among them.
func TestOwnIsFirst(t *testing.T) {
	for name, r := range ownReports() {
		text := strings.Join(strings.Fields(render(t, r, Options{})), " ")
		first := r.To.Headline
		if r.Aim != nil {
			first = r.Aim.Headline
		}
		if !strings.HasPrefix(text, strings.Join(strings.Fields(first), " ")) {
			t.Errorf("%s begins with %.100q, want %q", name, text, first)
		}
		for _, bad := range []string{"own-silent", "inconclusive]", "blind", "vpn-server"} {
			if strings.Contains(text, bad) && (bad != "inconclusive]" || name == "own-alone") {
				t.Errorf("%s says %q:\n%s", name, bad, text)
			}
		}
	}
}

// Without a test server no word is said of what this network lets through or stops, but what an answer proves.
func TestOwnAloneSaysNothingOfTheNetwork(t *testing.T) {
	text := render(t, ownAlone(owns["office"]), Options{})
	for _, bad := range []string{"Which VPN works here?", "Best VPN", "Nothing was checked", "This network carries"} {
		if strings.Contains(text, bad) {
			t.Errorf("it says %q:\n%s", bad, text)
		}
	}
}
