package report

import (
	"bytes"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"vpncheck/probe"
)

// fares makes the report of protocols that fared so: "passed", or a verdict and a reason. A name with a slash is one form of a protocol.
func fares(nat bool, says map[string]string) Report {
	seen := netip.MustParseAddrPort("198.51.100.7:4000")
	if !nat {
		seen = netip.MustParseAddrPort("192.168.1.10:4000")
	}
	r := Report{Schema: Schema, Circumstances: probe.Circumstances{
		Laptop: probe.LaptopFacts{Local: netip.MustParseAddr("192.168.1.10")}, Server: probe.ServerFacts{Client: seen}}}
	for _, id := range []string{"pptp", "ike", "natt", "esp", "l2tp", "ikev2", "l2tp-ipsec", "openvpn-udp", "openvpn-tcp", "wireguard", "sstp"} {
		text, ok := says[id]
		if !ok {
			continue
		}
		p := Protocol{ID: id, Title: strings.ToUpper(id)}
		p.Verdict, p.Reason, p.Stage, p.Because = fared(text)
		if id == "ike" {
			part := Part{ID: ikeV1, Title: "IKEv1", Verdict: p.Verdict, Reason: p.Reason}
			if v1, ok := says["ike/v1"]; ok {
				part.Verdict, part.Reason, _, _ = fared(v1)
			}
			p.Parts = []Part{{ID: "v2-from-500", Deciding: true, Verdict: p.Verdict, Reason: p.Reason}, part}
		}
		r.Protocols = append(r.Protocols, p)
	}
	r.weighVPNs()
	return r
}

// fared reads "verdict reason @stage +evidence".
func fared(text string) (v probe.Verdict, r probe.Reason, stage string, because []Note) {
	for i, w := range strings.Fields(text) {
		switch {
		case i == 0:
			v = probe.Verdict(w)
		case w[0] == '@':
			stage = w[1:]
		case w[0] == '+':
			because = append(because, Note{Reason: probe.Reason(w[1:])})
		default:
			r = probe.Reason(w)
		}
	}
	return v, r, stage, because
}

var allPass = map[string]string{"pptp": "passed @gre", "ike": "passed", "natt": "passed", "esp": "passed", "l2tp": "passed"}

func but(changes ...string) map[string]string {
	out := make(map[string]string)
	for k, v := range allPass {
		out[k] = v
	}
	for i := 0; i < len(changes); i += 2 {
		out[changes[i]] = changes[i+1]
	}
	return out
}

func TestVPNs(t *testing.T) {
	for _, x := range []struct {
		name  string
		noNAT bool
		says  map[string]string
		want  map[string]string // "works reason", of those that are named
		best  string
	}{
		{name: "all", says: allPass, best: "ikev2", want: map[string]string{"pptp": "works-but insecure", "l2tp": "works-but no-encryption", "ikev2": "works",
			"l2tp-ipsec": "works", "ipsec-esp": "works-but nat-t-usual", "wireguard": "unknown not-asked", "sstp": "unknown not-asked"}},
		{name: "open", noNAT: true, says: allPass, best: "ikev2", want: map[string]string{"ipsec-esp": "works", "ikev2": "works"}},
		{name: "pptp", says: but("pptp", "blocked-back no-pptp-helper @gre"), best: "ikev2", want: map[string]string{"pptp": "no no-pptp-helper", "ikev2": "works"}},
		{name: "esp-behind-nat", says: but("esp", "blocked-out esp-out-dropped"), best: "ikev2",
			want: map[string]string{"ipsec-esp": "no esp-out-dropped", "ikev2": "works", "l2tp-ipsec": "works"}},
		{name: "esp-without-nat", noNAT: true, says: but("esp", "blocked-out esp-out-dropped"), best: "ikev2",
			want: map[string]string{"ipsec-esp": "no esp-out-dropped", "ikev2": "works-but force-udp", "l2tp-ipsec": "works-but force-udp"}},
		{name: "esp-and-natt-without-nat", noNAT: true, says: but("esp", "blocked-out esp-out-dropped", "natt", "blocked-out udp-port-dropped"),
			want: map[string]string{"ikev2": "no esp-out-dropped"}},
		{name: "natt", says: but("natt", "blocked-out udp-port-dropped"), want: map[string]string{"ikev2": "no udp-port-dropped", "l2tp-ipsec": "no udp-port-dropped", "ipsec-esp": "works-but nat-t-usual"}},
		{name: "natt-without-nat", noNAT: true, says: but("natt", "blocked-out udp-port-dropped"), best: "ikev2", want: map[string]string{"ikev2": "works"}},
		{name: "checksum", says: but("natt", "blocked-out udp-zero-checksum-dropped"), want: map[string]string{"ikev2": "no udp-zero-checksum-dropped"}},
		{name: "ike", says: but("ike", "blocked-out udp-port-dropped"), want: map[string]string{"ikev2": "no udp-port-dropped", "l2tp-ipsec": "no udp-port-dropped", "ipsec-esp": "no udp-port-dropped"}},
		{name: "v1-alone", says: but("ike/v1", "altered payload-altered"), best: "ikev2", want: map[string]string{"l2tp-ipsec": "no payload-altered", "ikev2": "works"}},
		{name: "v2-alone", says: but("ike", "altered payload-altered", "ike/v1", "passed"), best: "l2tp-ipsec", want: map[string]string{"l2tp-ipsec": "works", "ikev2": "no payload-altered"}},
		{name: "whole", says: but("ikev2", "stalled stopped-after-n"), best: "l2tp-ipsec", want: map[string]string{"ikev2": "no stopped-after-n", "l2tp-ipsec": "works"}},
		{name: "whole-passes", says: but("ikev2", "passed", "natt", "blocked-out udp-port-dropped"), best: "ikev2", want: map[string]string{"ikev2": "works"}},
		{name: "whole-not-tried", says: but("ikev2", "untested port-held"), best: "ikev2", want: map[string]string{"ikev2": "works"}},
		{name: "whole-undecided", says: but("ikev2", "inconclusive too-lossy"), best: "l2tp-ipsec", want: map[string]string{"ikev2": "unknown too-lossy"}},
		{name: "whole-undecided-part-fails", says: but("ikev2", "inconclusive too-lossy", "natt", "blocked-out udp-port-dropped"), want: map[string]string{"ikev2": "no udp-port-dropped"}},
		{name: "undecided", says: but("natt", "inconclusive port-clash"), want: map[string]string{"ikev2": "unknown port-clash"}},
		{name: "whole-esp-without-nat", noNAT: true, says: but("esp", "blocked-out esp-out-dropped", "ikev2", "blocked-out esp-out-dropped"), best: "ikev2",
			want: map[string]string{"ikev2": "works-but force-udp"}},
		{name: "whole-esp-and-natt-without-nat", noNAT: true, says: but("esp", "blocked-out esp-out-dropped", "ikev2", "blocked-out esp-out-dropped", "natt", "blocked-out udp-port-dropped"),
			want: map[string]string{"ikev2": "no esp-out-dropped"}},
		{name: "whole-without-nat", noNAT: true, says: but("ikev2", "passed"), best: "ikev2", want: map[string]string{"ikev2": "works"}},
		{name: "whole-esp-behind-nat", says: but("esp", "blocked-out esp-out-dropped", "ikev2", "passed"), best: "ikev2", want: map[string]string{"ikev2": "works"}},
		{name: "whole-and-full-size", says: but("natt", "stalled full-size-dropped", "ikev2", "passed", "l2tp-ipsec", "passed"),
			want: map[string]string{"ikev2": "no full-size-dropped", "l2tp-ipsec": "no full-size-dropped"}},
		{name: "whole-and-full-size-of-esp", says: but("esp", "stalled full-size-dropped", "ikev2", "passed"), best: "ikev2",
			want: map[string]string{"ikev2": "works", "ipsec-esp": "no full-size-dropped"}},
		{name: "clash-in-one-form", says: but("ike", "inconclusive port-clash", "ike/v1", "blocked-out no-arrival"),
			want: map[string]string{"ikev2": "unknown port-clash", "l2tp-ipsec": "unknown port-clash"}},
		{name: "slow", says: but("natt", "passed rate-limit"), best: "ikev2", want: map[string]string{"ikev2": "works-but rate-limit"}},
		{name: "slow-and-another", says: but("natt", "passed rate-limit", "sstp", "passed"), best: "sstp", want: map[string]string{"ikev2": "works-but rate-limit", "sstp": "works"}},
		{name: "stands-in", says: but("ike", "passed +stands-in"), best: "l2tp-ipsec", want: map[string]string{"ikev2": "works-but stands-in"}},
		{name: "too-early", says: but("natt", "passed rate-limit +too-early"), best: "ikev2", want: map[string]string{"ikev2": "works-but too-early"}},
		{name: "modern", says: but("ike", "blocked-out udp-port-dropped", "wireguard", "passed", "openvpn-udp", "passed", "openvpn-tcp", "passed", "sstp", "passed"), best: "wireguard",
			want: map[string]string{"wireguard": "works", "openvpn-udp": "works", "openvpn-tcp": "works", "sstp": "works"}},
		{name: "order", says: map[string]string{"openvpn-udp": "passed", "openvpn-tcp": "passed", "sstp": "passed"}, best: "openvpn-udp"},
		{name: "last", says: map[string]string{"openvpn-tcp": "passed", "sstp": "passed"}, best: "openvpn-tcp"},
		{name: "weak-alone", says: map[string]string{"pptp": "passed", "l2tp": "passed", "ike": "blocked-out udp-port-dropped"}},
		{name: "nothing", says: nil, want: map[string]string{"pptp": "unknown not-asked", "ikev2": "unknown not-asked"}},
	} {
		t.Run(x.name, func(t *testing.T) {
			r := fares(!x.noNAT, x.says)
			if len(r.VPNs) != 9 {
				t.Fatalf("got %d VPNs, want 9", len(r.VPNs))
			}
			for _, v := range r.VPNs {
				if want, ok := x.want[v.ID]; ok && strings.TrimSpace(string(v.Works)+" "+string(v.Reason)) != want {
					t.Errorf("%s: got %s %s, want %s", v.ID, v.Works, v.Reason, want)
				}
				well(t, v.ID, v.Sentence)
				for _, n := range v.Because {
					well(t, v.ID, n.Text)
				}
				if len(v.Sentence) > 78 || len(v.Sentence) > 58 && v.Works == WorksBut || v.Works == WorksBut && !strings.HasPrefix(v.Sentence, "yes, but ") || v.Works == WorksNo && !strings.HasPrefix(v.Sentence, "no") {
					t.Errorf("%s: %q does not say %s in one line", v.ID, v.Sentence, v.Works)
				}
			}
			best := ""
			if r.Recommendation != nil {
				best = r.Recommendation.VPN
				well(t, x.name, r.Recommendation.Text)
			}
			if best != x.best {
				t.Errorf("recommends %q, want %q", best, x.best)
			}
		})
	}
}

// Where no UDP gets through, no VPN over UDP does, asked or not.
func TestNoUDP(t *testing.T) {
	r := fares(true, map[string]string{"pptp": "passed"})
	for i := range 46 {
		at := time.Duration(i) * 200 * time.Millisecond
		r.Circumstances.Control.TLS = append(r.Circumstances.Control.TLS, probe.Beat{At: at, RTT: 20 * time.Millisecond})
		r.Circumstances.Control.UDP = append(r.Circumstances.Control.UDP, probe.Beat{At: at})
	}
	r.Circumstances.Control.Every = 200 * time.Millisecond
	if !r.Circumstances.Control.UDPFiltered() {
		t.Fatal("the control does not say so")
	}
	r.weighVPNs()
	for id, want := range map[string]Works{"wireguard": WorksNo, "ikev2": WorksNo, "openvpn-tcp": WorksUnknown, "sstp": WorksUnknown, "pptp": WorksBut} {
		if v, _ := r.VPN(id); v.Works != want {
			t.Errorf("%s: got %s, want %s", id, v.Works, want)
		}
	}
	if !strings.Contains(r.Recommendation.Text, "TCP port 443") {
		t.Errorf("%q does not say what to ask for", r.Recommendation.Text)
	}
}

// A report from before there was a table gets its own, and the data alone makes it.
func TestOldReportGetsTable(t *testing.T) {
	r := fares(true, allPass)
	want, best := r.VPNs, r.Recommendation
	r.VPNs, r.Recommendation = nil, nil
	var buf bytes.Buffer
	if err := r.WriteJSON(&buf); err != nil {
		t.Fatal(err)
	}
	old, err := Read(&buf)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(best, old.Recommendation); diff != "" {
		t.Error(diff)
	}
	if diff := cmp.Diff(want, old.VPNs); diff != "" {
		t.Error(diff)
	}
}

func TestRulesFit(t *testing.T) {
	want := []string{"pptp", "l2tp", "l2tp-ipsec", "ipsec-esp", "ikev2", "openvpn-udp", "openvpn-tcp", "wireguard", "sstp"}
	if diff := cmp.Diff(want, VPNs()); diff != "" {
		t.Error(diff)
	}
	for _, r := range vpnRules {
		if r.whole == "" && len(r.needs) == 0 || r.through == "" || r.title == "" {
			t.Errorf("%s: nothing decides it, or words are missing", r.id)
		}
	}
	for _, id := range preferred {
		if !slices.Contains(want, id) {
			t.Errorf("%s is recommended, and not in the table", id)
		}
	}
}

// Behind a NAT a block of ESP hardly matters, and the first lines say so.
func TestESPInProportion(t *testing.T) {
	r := fares(true, but("esp", "blocked-out esp-out-dropped"))
	if s := summarise(r.Protocols, r.Circumstances); !strings.Contains(s.Headline, "behind a NAT they use NAT-T") {
		t.Errorf("got %q", s.Headline)
	}
	if v, _ := r.VPN("ipsec-esp"); !strings.Contains(v.Sentence, "does not matter") {
		t.Errorf("got %q", v.Sentence)
	}
	r = fares(false, but("esp", "blocked-out esp-out-dropped"))
	if s := summarise(r.Protocols, r.Circumstances); strings.Contains(s.Headline, "behind a NAT") {
		t.Errorf("got %q", s.Headline)
	}
}

// Where it is not known whether there is a NAT, clients are taken to cross one: plain ESP decides nothing.
func TestUnknownNAT(t *testing.T) {
	r := fares(true, but("esp", "blocked-out esp-out-dropped"))
	r.Circumstances.Server.Client = netip.AddrPort{}
	r.weighVPNs()
	if v, _ := r.VPN("ikev2"); v.Works != WorksYes {
		t.Errorf("got %s %s, want works", v.Works, v.Reason)
	}
	r = fares(true, but("natt", "blocked-out udp-port-dropped"))
	r.Circumstances.Server.Client = netip.AddrPort{}
	r.weighVPNs()
	if v, _ := r.VPN("ikev2"); v.Works != WorksNo {
		t.Errorf("got %s, want no", v.Works)
	}
}

// Many that work are counted, not named.
func TestHeadlineCounts(t *testing.T) {
	says := map[string]string{"pptp": "blocked-back no-pptp-helper", "ike": "passed", "natt": "passed", "esp": "passed", "l2tp": "passed", "ikev2": "passed", "sstp": "passed"}
	for want, more := range map[string]string{"IKE, NATT, ESP, L2TP, IKEV2 and SSTP work. PPTP does not: ": "", "7 of 8 protocols work. PPTP does not: ": "wireguard"} {
		if more != "" {
			says[more] = "passed"
		}
		r := fares(true, says)
		if s := summarise(r.Protocols, r.Circumstances); !strings.HasPrefix(s.Headline, want) {
			t.Errorf("got %q, want %q", s.Headline, want)
		}
		delete(says, more)
	}
	delete(says, "pptp")
	says["wireguard"] = "passed"
	r := fares(true, says)
	if s := summarise(r.Protocols, r.Circumstances); s.Headline != "All 7 protocols work through this router and internet provider." {
		t.Errorf("got %q", s.Headline)
	}
}
