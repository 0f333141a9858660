package report

import (
	"maps"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"vpncheck/probe"
	"vpncheck/probe/wire"
)

var sendsToRouter = regexp.MustCompile(`(?i)((in|of|on) (your|the) (router|FRITZ)|passthrough|your router's firmware|restart (your|the) router)`)

// Where somebody else did it, no advice sends people into the settings of their router, and no words accuse it.
func TestAdviceFitsTheCulprit(t *testing.T) {
	reasons := slices.Concat(slices.Collect(maps.Keys(networkWords)), slices.Collect(maps.Keys(ipsecWords)), slices.Collect(maps.Keys(udpWords)))
	for _, r := range append(reasons, probe.ServerUnproven, "", "a-reason-from-tomorrow") {
		if r == probe.SecondNATNoHelper || r == probe.StateClash || r == probe.PortClash || r == probe.RateLimit || r == probe.ESPAfterIKE {
			continue // these have one culprit, or none
		}
		for _, culprit := range []Culprit{CulpritLaptop, CulpritSecondNAT, CulpritISP, CulpritServer} {
			for _, port := range []float64{0, 500, 1701, 4500} {
				if r == probe.AnsweredByAnother && culprit != CulpritISP {
					continue
				}
				fa := newFacts("ESP")
				fa.at(port, "")
				fa.beside = map[string]outcome{"natt": works}
				fa.behindNAT = true
				fa.accuse(&Diagnosis{Culprit: culprit, Confidence: Likely}, r)
				w := explain(probe.BlockedOut, r, fa)
				if bad := sendsToRouter.FindString(w.Do + " " + w.Next); bad != "" {
					t.Errorf("%s, port %.0f, by the %s: %q has %q in it", r, port, culprit, w.Do+" | "+w.Next, bad)
				}
				if strings.Contains(w.Sentence, "our router or your internet provider") || strings.Contains(w.Short, "your router") {
					t.Errorf("%s, port %.0f, by the %s: %q, %q", r, port, culprit, w.Short, w.Sentence)
				}
				well(t, string(r), w.Short, w.Sentence, w.Do, w.Next)
				if len("What to do: "+w.Do+".") > 85 {
					t.Errorf("%s by the %s: %q is not one line", r, culprit, w.Do)
				}
			}
		}
	}
}

// report1 is a report of one protocol.
func report1(p fake, exchanges []probe.Exchange, c probe.Circumstances, ws ...world) Report {
	o := probe.Observation{Protocol: p.info.ID, Parts: p.info.Parts, Exchanges: exchanges, Card: true}
	for _, w := range ws {
		w(&o, &c)
	}
	return New(probe.Result{Started: began, Observations: []probe.Observation{o}, Findings: []probe.Finding{probe.Judge(p, o, c)}, Circumstances: c}, []probe.Probe{p}, Tool{})
}

// Where all UDP is filtered, or one port, what tells who did it to one protocol tells it of all; of another reason, port or way, or where two
// differ, it does not.
func TestSharedCulprit(t *testing.T) {
	d := func(title string, c Culprit, r probe.Reason) *Diagnosis {
		return &Diagnosis{Culprit: c, Confidence: Likely, Reason: r, Args: map[string]any{
			"title": title, "packets": title + " packets", "tries": 6, "arrived": 0, "verdict": "blocked-out", "from": "203.0.113.1", "hop": 2,
		}}
	}
	filtered := func(id string) probe.Finding {
		return probe.Finding{Protocol: id, Verdict: probe.BlockedOut, Reason: probe.UDPFiltered}
	}
	other := probe.Finding{Protocol: "esp", Verdict: probe.BlockedOut, Reason: probe.ESPOutDropped}
	on := func(id string, v probe.Verdict, r probe.Reason, port int) probe.Finding {
		return probe.Finding{Protocol: id, Verdict: v, Reason: r, Because: []probe.Evidence{{Reason: probe.EvPort, Args: map[string]any{"port": port}}}}
	}
	whole := on("ikev2", probe.BlockedOut, probe.UDPRefused, 500)
	told := []*Diagnosis{d("IKEv2", CulpritUnknown, unknownWho), d("IKE", CulpritRouter, passedRouter)}
	for _, x := range []struct {
		name string
		fs   []probe.Finding
		ds   []*Diagnosis
		want Culprit
	}{
		{"same-port", []probe.Finding{whole, on("ike", probe.BlockedOut, probe.UDPRefused, 500)}, told, CulpritRouter},
		{"another-port", []probe.Finding{whole, on("natt", probe.BlockedOut, probe.UDPRefused, 4500)}, told, CulpritUnknown},
		{"another-way", []probe.Finding{whole, on("ike", probe.BlockedBack, probe.UDPRefused, 500)}, told, CulpritUnknown},
		{"no-port", []probe.Finding{{Reason: probe.UDPRefused}, {Reason: probe.UDPRefused}}, told, CulpritUnknown},
		{"one-told", []probe.Finding{filtered("wireguard"), filtered("natt")}, []*Diagnosis{d("WireGuard", CulpritUnknown, unknownWho), d("NAT-T", CulpritISP, passedRouter)}, CulpritISP},
		{"nobody-told", []probe.Finding{filtered("wireguard"), filtered("natt")}, []*Diagnosis{d("WireGuard", CulpritUnknown, unknownWho), d("NAT-T", CulpritUnknown, unknownWho)}, CulpritUnknown},
		{"another-reason", []probe.Finding{filtered("wireguard"), other}, []*Diagnosis{d("WireGuard", CulpritUnknown, unknownWho), d("ESP", CulpritISP, passedRouter)}, CulpritUnknown},
		{"two-differ", []probe.Finding{filtered("wireguard"), filtered("natt"), filtered("ike")},
			[]*Diagnosis{d("WireGuard", CulpritUnknown, unknownWho), d("NAT-T", CulpritISP, passedRouter), d("IKE", CulpritRouter, refusedByRouter)}, CulpritUnknown},
		{"it-has-its-own", []probe.Finding{filtered("wireguard"), filtered("natt")}, []*Diagnosis{d("WireGuard", CulpritUnknown, passedRouterBeyond), d("NAT-T", CulpritISP, passedRouter)}, CulpritUnknown},
		{"none-at-all", []probe.Finding{filtered("wireguard"), filtered("natt")}, []*Diagnosis{d("WireGuard", CulpritUnknown, unknownWho), nil}, CulpritUnknown},
	} {
		x.ds = slices.Clone(x.ds)
		shareCulprit(x.fs, x.ds)
		got := x.ds[0]
		if got.Culprit != x.want {
			t.Errorf("%s: got %s, want %s", x.name, got.Culprit, x.want)
		}
		if x.want == CulpritRouter && !strings.HasPrefix(got.Sentence, "Most likely your router stops IKEv2: nor does IKE get through UDP port 500, and none of 6 IKE packets") {
			t.Errorf("%s: got %q", x.name, got.Sentence)
		}
		if x.want == CulpritISP && (got.Confidence != Likely || !strings.HasPrefix(got.Sentence, "Most likely your internet provider stops WireGuard: no UDP gets through, and none of 6 NAT-T packets")) {
			t.Errorf("%s: got %s %q", x.name, got.Confidence, got.Sentence)
		}
		if told := x.ds[1]; told != nil && told.Args["title"] == "WireGuard" {
			t.Errorf("%s: the one that tells was changed: %v", x.name, told.Args)
		}
	}
}

// The sentence, the advice and the diagnosis of one protocol say the same.
func TestOneStory(t *testing.T) {
	fritz := func(_ *probe.Observation, c *probe.Circumstances) {
		known(c).Maker, known(c).Model = "AVM Berlin", "FRITZ!Box 7590"
	}
	for _, x := range []struct {
		name                     string
		p                        fake
		changes                  []change
		worlds                   []world
		sentence, next, advice   string
		diagnosis                string
		notSentence, notInAdvice string
	}{
		{"router", theIKE, []change{lost, refused(theGateway, 64, 13)}, nil, "Your router drops it.", "If there is none, update its firmware", "IPsec passthrough",
			"Your router stops IKE: it refused 6 of 6 IKE packets (UDP port 500) by ICMP (prohibited).", "provider", "provider"},
		{"named", theIKE, []change{lost, refused(theGateway, 64, 13)}, []world{fritz}, "Your FRITZ!Box 7590 drops it.", "in your FRITZ!Box 7590", "in your FRITZ!Box 7590.",
			"Your FRITZ!Box 7590 stops IKE: ", "provider", "provider"},
		{"isp", theIKE, []change{lost}, []world{hop(2, backbone, false), fritz}, "Most likely your internet provider drops it.", "Read to your internet provider's help desk", "Tell your internet provider",
			"Most likely your internet provider stops IKE: none of 6 IKE packets (UDP port 500) reached the server, but they get out of your router: 192.0.2.33, router number 2 on the way, still saw them.", "our router", "FRITZ"},
		{"unknown", theIKE, []change{lost}, nil, "Your router or your internet provider drops it.", "If there is none, ask your internet provider whether it blocks UDP port 500.", "IPsec passthrough",
			"Whether your router or your internet provider stops IKE is not known: none of 6 IKE packets", "likely", "tell"},
		{"laptop", theGRE, []change{unreturned, atNIC}, nil, "drops them", "Let in IP protocol 47 (GRE)", "in this laptop's firewall", "This laptop itself stops GRE: 6 of 6 plain GRE packets", "provider", "provider"},
		{"server", theGRE, []change{firewalled}, nil, "server's own firewall", "Send this report", "server's own firewall", "The server's own side stops GRE: 6 of 6 plain GRE packets came to the server's network card", "Your router", "your router"},
		{"cloud", theGRE, []change{lost}, []world{unprovenFor(wire.CarrierGRE), cloud("Microsoft Azure", []wire.Carrier{wire.CarrierGRE}, nil)}, "neither has anyone else's", "another hosting provider",
			"Use a test server at another provider", "Most likely the server's own side stops GRE: none of 6 plain GRE packets reached the server, nor did anyone else's, and it stands at Microsoft Azure, whose network does not carry plain GRE.", "", "your router"},
		{"refused-though-unproven", theGRE, []change{lost, refused(theGateway, 64, 13)}, []world{unprovenFor(wire.CarrierGRE)}, "Your router stops it on its way out.", "your router", "your router", "Your router stops GRE", "fault", "server"},
		{"counter", theESP, []change{unreturned}, []world{counters(60, 60, 60, 61, 0)}, "Most likely your internet provider stops them.", "help desk", "Tell your internet provider",
			"Most likely your internet provider stops ESP: 6 of 6 ESP packets reached the server, and by the router's own counter none of the server's 60 answers reached your router's outside.", "our router", "router"},
	} {
		r := report1(x.p, sent(x.p, 6, x.changes...), around(), x.worlds...)
		p := r.Protocols[0]
		for _, y := range []struct{ got, want, not string }{
			{p.Sentence, x.sentence, x.notSentence}, {p.Next, x.next, ""}, {r.Summary.Advice, x.advice, x.notInAdvice}, {p.Diagnosis.Sentence, x.diagnosis, ""},
		} {
			if !strings.Contains(y.got, y.want) || y.not != "" && strings.Contains(y.got, y.not) {
				t.Errorf("%s: got %q, want %q in it and no %q", x.name, y.got, y.want, y.not)
			}
		}
		if r.Diagnosis == nil || r.Diagnosis.Sentence != p.Diagnosis.Sentence || r.Diagnosis.Protocol != p.ID {
			t.Errorf("%s: the run's diagnosis is %+v", x.name, r.Diagnosis)
		}
	}
}

// Words that accuse the router are not used where it is not the router.
func TestNoHelperOfAnother(t *testing.T) {
	fa := newFacts("PPTP")
	fa.accuse(&Diagnosis{Culprit: CulpritISP, Confidence: Likely}, probe.NoPPTPHelper)
	if w := explain(probe.BlockedBack, probe.NoPPTPHelper, fa); strings.Contains(w.Short+w.Sentence, "passthrough") {
		t.Errorf("got %q, %q", w.Short, w.Sentence)
	}
	fa.accuse(&Diagnosis{Culprit: CulpritRouter, Confidence: Likely}, probe.NoPPTPHelper)
	if w := explain(probe.BlockedBack, probe.NoPPTPHelper, fa); !strings.Contains(w.Short, "passthrough") {
		t.Errorf("got %q", w.Short)
	}
}

// The run's diagnosis is that of the failed protocol that matters most.
func TestDiagnoseRun(t *testing.T) {
	p := func(id string, v probe.Verdict, r probe.Reason) Protocol {
		d := &Diagnosis{Culprit: CulpritUnknown, Sentence: id}
		if v == probe.Passed {
			d = nil
		}
		return Protocol{ID: id, Verdict: v, Reason: r, Diagnosis: d}
	}
	ah := p("ah", probe.Altered, probe.AHThroughNAT)
	unproven := p("natt", probe.Inconclusive, probe.ServerUnproven)
	for _, x := range []struct {
		want string
		ps   []Protocol
	}{
		{"", nil},
		{"", []Protocol{p("ike", probe.Passed, "")}},
		{"ah", []Protocol{p("ike", probe.Passed, ""), ah}},
		{"pptp", []Protocol{ah, p("gre", probe.BlockedOut, ""), p("pptp", probe.BlockedOut, "")}},
		{"natt", []Protocol{p("ike", probe.BlockedOut, ""), p("natt", probe.BlockedOut, "")}},
		{"ike", []Protocol{p("esp", probe.BlockedOut, ""), p("ike", probe.Hijacked, "")}},
		{"gre", []Protocol{unproven, p("gre", probe.BlockedOut, "")}},
		{"ah", []Protocol{unproven, p("ah", probe.BlockedOut, "")}},
		{"natt", []Protocol{ah, unproven}},
		{"new", []Protocol{ah, p("new", probe.BlockedOut, "")}},
	} {
		got := ""
		if d := diagnoseRun(x.ps); d != nil {
			got = d.Protocol
		}
		if got != x.want {
			t.Errorf("got %q, want %q", got, x.want)
		}
	}
}

// A counter that counts one train and not another is to be believed.
func TestCounterConfirmed(t *testing.T) {
	c := around()
	esp := probe.Observation{Protocol: "esp", Parts: theESP.info.Parts, Exchanges: sent(theESP, 6, lost)}
	ike := probe.Observation{Protocol: "ike", Parts: theIKE.info.Parts, Exchanges: sent(theIKE, 6)}
	counters(60, 0, 0, 1, 1)(&esp, &c)
	for _, want := range []Confidence{Likely, Certain} {
		os := []probe.Observation{esp, ike}
		var fs []probe.Finding
		for i, p := range []fake{theESP, theIKE} {
			fs = append(fs, probe.Judge(p, os[i], c))
		}
		d := New(probe.Result{Observations: os, Findings: fs, Circumstances: c}, []probe.Probe{theESP, theIKE}, Tool{}).Protocols[0].Diagnosis
		if d.Culprit != CulpritRouter || d.Confidence != want {
			t.Errorf("got %s %s, want router %s", d.Culprit, d.Confidence, want)
		}
		supported(t, *d)
		counters(60, 60, 60, 61, 60)(&ike, &c)
	}
}

// What stands in a report from elsewhere is not believed to be a name.
func TestNamesFromElsewhere(t *testing.T) {
	d := Diagnosis{Culprit: CulpritRouter, Confidence: Certain, Reason: refusedByRouter, Args: map[string]any{"router": "\x1b[31mX; call 0800", "title": "\x1b[2J", "from": 7.0}}
	if s := d.sentence(); strings.ContainsAny(s, "\x1b;") || !strings.HasPrefix(s, "Your router stops") {
		t.Errorf("got %q", s)
	}
	for r := range accusations {
		d := Diagnosis{Culprit: accusations[r].culprit, Reason: r}
		well(t, string(r), d.sentence(), d.Who(), d.next())
	}
}

// Others behind the same address are told, and forwardings of VPN ports.
func TestNotesOfOthers(t *testing.T) {
	c := around()
	c.Server.Others = &wire.Others{Count: 2, Last: began.Add(-150 * time.Second)}
	forward("UDP", 500, "192.168.1.77")(nil, &c)
	forward("UDP", 4500, theLaptop)(nil, &c)
	var got []string
	for _, n := range notes(c, nil) {
		if n.Reason == probe.EvOthers || n.Reason == probe.EvForward {
			got = append(got, n.Text)
		}
	}
	if len(got) != 2 || !strings.Contains(got[0], "2 other runs") || !strings.Contains(got[0], "less than 3 minutes ago") || !strings.Contains(got[1], "port 500 (UDP) goes to 192.168.1.77") {
		t.Errorf("got %q", got)
	}
}

// Where it is known who did it, nobody is sent to a hotspot to find out; and who has L2TP/IPsec is told that port 1701 does not matter.
func TestNothingToFindOut(t *testing.T) {
	for _, x := range []struct {
		culprit Culprit
		want    bool
	}{{CulpritUnknown, true}, {CulpritRouter, false}} {
		fa := newFacts("GRE")
		fa.accuse(&Diagnosis{Culprit: x.culprit, Confidence: Certain}, probe.NoReturn)
		if w := explain(probe.BlockedBack, probe.NoReturn, fa); strings.Contains(w.Next, "hotspot") != x.want {
			t.Errorf("%s: %q", x.culprit, w.Next)
		}
	}
	fa := newFacts("L2TP")
	fa.at(1701, "")
	fa.accuse(&Diagnosis{Culprit: CulpritISP, Confidence: Likely}, probe.UDPPortDropped)
	if w := explain(probe.BlockedOut, probe.UDPPortDropped, fa); !strings.HasPrefix(w.Do, "nothing for L2TP/IPsec") || !strings.HasPrefix(w.Next, "Nothing, if yours is L2TP/IPsec") {
		t.Errorf("got %q, %q", w.Do, w.Next)
	}
}

// What to do fits the charge: a provider's NAT has no setting of one's own, and a forwarding is to be removed.
func TestAdviceFitsTheCharge(t *testing.T) {
	const cgnat, unlike = "100.64.1.2", "Ask your internet provider for a public IPv4 address of your own"
	answersRefused := []change{unreturned, refusedAnswer(thePublic, 64, 2)}
	for _, x := range []struct {
		name         string
		p            fake
		v            probe.Verdict
		changes      []change
		worlds       []world
		advice, next string
	}{
		{"a-forwarding", theIKE, probe.BlockedBack, []change{unreturned}, []world{forward("UDP", 500, "192.168.1.77")}, "Remove the forwarding in your router that takes UDP port 500.", "Remove the forwarding in your router"},
		{"several-forwardings", theIKE, probe.BlockedBack, []change{unreturned}, []world{forward("UDP", 500, "192.168.1.77"), forward("UDP", 4500, "192.168.1.77"),
			forward("UDP", 1701, "192.168.1.77"), forward("TCP", 1723, "192.168.1.77"), forward("UDP", 500, "192.168.1.78")},
			"Remove the forwarding in your router that takes UDP ports 500, 4500 and 1701 and TCP port 1723.", "Remove the forwarding in your router"},
		{"the-providers-nat", theIKE, probe.BlockedBack, answersRefused, []world{routerWAN(cgnat)}, unlike + ".", unlike + ": no setting"},
		{"a-second-router", theIKE, probe.BlockedBack, answersRefused, []world{routerWAN("10.1.1.1")},
			"Make a second router a plain modem, or ask for an IPv4 of your own.", "If there are two routers"},
		{"two-addresses", with(theESP, probe.Change{Field: "source address", Kills: probe.AddressesDiffer}), probe.Altered, nil, nil, unlike + ".",
			"Ask your internet provider whether you share"},
	} {
		t.Run(x.name, func(t *testing.T) {
			c := around()
			o := probe.Observation{Protocol: x.p.info.ID, Parts: x.p.info.Parts, Exchanges: sent(x.p, 6, x.changes...)}
			for _, w := range x.worlds {
				w(&o, &c)
			}
			f := probe.Judge(x.p, o, c)
			r := New(probe.Result{Observations: []probe.Observation{o}, Findings: []probe.Finding{f}, Circumstances: c}, []probe.Probe{x.p}, Tool{})
			if f.Verdict != x.v || r.Summary.Advice != x.advice || !strings.HasPrefix(r.Diagnosis.Next, x.next) {
				t.Errorf("got %s, %q and %q, want %s, %q and %q", f.Verdict, r.Summary.Advice, r.Diagnosis.Next, x.v, x.advice, x.next)
			}
		})
	}
}

// What is said of the packets is true of those that were counted.
func TestSceneSays(t *testing.T) {
	info := probe.Info{ID: "natt", Title: "NAT-T (UDP 4500)", Stages: []probe.Stage{{ID: "data", Title: "the data", Carrier: wire.CarrierNATT}}}
	for _, x := range []struct {
		reason probe.Reason
		tries  int
		want   string
		laptop bool // a suspect: its security software may be the proxy
	}{
		{probe.UDPPortDropped, 6, "none of 6 NAT-T packets (UDP port 4500) reached", false},
		{probe.ZeroChecksum, 6, "none of 6 NAT-T packets without a checksum (UDP port 4500) reached", false},
		{probe.UDPPortDropped, 1, "the only NAT-T packet (UDP port 4500) did not reach the server", false},
		{probe.HTTPRefused, 4, "none of 4", true},
	} {
		f := probe.Finding{Protocol: "natt", Verdict: probe.BlockedOut, Reason: x.reason, Stage: "data", Because: []probe.Evidence{
			{Reason: probe.EvTries, Args: map[string]any{"stage": "the data", "tries": x.tries, "arrived": 0, "replied": 0, "returned": 0}},
		}}
		d := Diagnose(info, f, probe.Observation{Protocol: "natt"}, onLinux())
		if !strings.Contains(d.Sentence, x.want) || slices.Contains(d.Suspects, CulpritLaptop) != x.laptop {
			t.Errorf("%s: got %q, suspects %v, want %q, the laptop: %t", x.reason, d.Sentence, d.Suspects, x.want, x.laptop)
		}
		well(t, string(x.reason), d.Sentence, d.Next)
	}
}
