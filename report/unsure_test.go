package report

import (
	"regexp"
	"strings"
	"testing"
	"time"

	"vpncheck/probe"
	"vpncheck/probe/wire"
)

// ordersRouter is an order to set something in a router.
var ordersRouter = regexp.MustCompile(`(?i)(switch (on|off)|allow|let in|update|remove) [^.;]*(passthrough|router|ALG|UDP port|limits)`)

// Where nothing tells whose doing it is, nobody is told to set his router: he is told to look, and how to find out.
func TestAdviceOfTheUnsure(t *testing.T) {
	for _, r := range []probe.Reason{probe.TCPReset, probe.TCPRefused, probe.TCP1723Dropped, probe.GREOutDropped, probe.GREBackDropped, probe.NoArrival,
		probe.NoReturn, probe.ESPOutDropped, probe.ESPBackDropped, probe.AnsweredByAnother, probe.UDPPortDropped, probe.UDPPortBackDropped} {
		for _, port := range []float64{0, 500, 1701, 4500, 4711} {
			for _, natt := range []outcome{works, fails} {
				for _, suspects := range [][]Culprit{{CulpritRouter, CulpritISP}, {CulpritLaptop, CulpritRouter, CulpritISP}} {
					fa := newFacts("ESP")
					fa.at(port, "")
					fa.beside, fa.behindNAT = map[string]outcome{"natt": natt}, true
					fa.accuse(&Diagnosis{Culprit: CulpritUnknown, Confidence: Possible, Suspects: suspects}, r)
					w := explain(probe.BlockedOut, r, fa)
					if bad := ordersRouter.FindString(w.Do + " | " + w.Next); bad != "" {
						t.Errorf("%s, port %.0f: %q orders %q", r, port, w.Do+" | "+w.Next, bad)
					}
					well(t, string(r), w.Short, w.Sentence, w.Do, w.Next)
					if len("What to do: "+w.Do+".") > 85 {
						t.Errorf("%s: %q is not one line", r, w.Do)
					}
					if laptop := len(suspects) > 2 && r == probe.TCP1723Dropped; laptop != strings.Contains(w.Next, "this laptop's own firewall") ||
						laptop != strings.Contains(w.Do, "this laptop") {
						t.Errorf("%s, suspects %v: got %q and %q", r, suspects, w.Do, w.Next)
					}
				}
			}
		}
	}
}

// A TCP connection that is met with silence names the laptop too, unless a router answered one of its packets (F21).
func TestSilenceOverTCP(t *testing.T) {
	for name, x := range map[string]struct {
		worlds []world
		who    string
	}{
		"silence":             {nil, "this laptop itself, your router or your internet provider"},
		"a-router-saw-it":     {[]world{hop(1, theGateway, false)}, "your router or your internet provider"},
		"a-router-was-silent": {[]world{hop(1, "", false)}, "this laptop itself, your router or your internet provider"},
		"the-controls-router": {[]world{hop(1, theGateway, true)}, "this laptop itself, your router or your internet provider"},
	} {
		p, c := probe.PPTP{}, around()
		o := probe.Observation{Protocol: "pptp", Parts: p.Info().Parts, Card: true}
		for _, e := range sent(talker("pptp", "PPTP", wire.CarrierPPTP, 1723), 6, lost) {
			e.Stage = "connect"
			o.Exchanges = append(o.Exchanges, e)
		}
		for _, w := range x.worlds {
			w(&o, &c)
		}
		f := probe.Judge(p, o, c)
		r := New(probe.Result{Observations: []probe.Observation{o}, Findings: []probe.Finding{f}, Circumstances: c}, []probe.Probe{p}, Tool{}).Protocols[0]
		if r.Reason != probe.TCP1723Dropped || r.Diagnosis.Culprit != CulpritUnknown || !strings.Contains(r.Sentence, capital(x.who)+" drops it.") ||
			!strings.HasPrefix(r.Diagnosis.Who(), x.who) || !strings.HasPrefix(r.Diagnosis.Sentence, "Whether "+x.who+" stops PPTP is not known") {
			t.Errorf("%s: got %s, %q, %q and %q", name, r.Reason, r.Sentence, r.Diagnosis.Who(), r.Diagnosis.Sentence)
		}
	}
}

// What is to be done about a limit accuses nobody.
func TestAdviceOnLimits(t *testing.T) {
	r := said(onLinux(), probe.Finding{Protocol: "ike", Verdict: probe.Passed, Reason: probe.RateLimit})
	for _, text := range []string{r.Summary.Advice, r.Protocols[0].Next} {
		if !strings.Contains(text, "a limit in your router or at your provider") || strings.Contains(text, "witch") {
			t.Errorf("got %q", text)
		}
	}
}

// The two forms of ESP differ in two things, and the words blame neither, nor the router.
func TestWordsOfESPAfterIKE(t *testing.T) {
	w, _ := catalogue(probe.ESPAfterIKE)
	if text := w.Short + w.Sentence; !strings.Contains(text, "second address") || strings.Contains(text, "the router lets") || strings.Contains(text, "only after IKE") {
		t.Errorf("got %q", text)
	}
}

// A limit on UDP is named beside a bad line where the control lost much, and what is no UDP lost nothing.
func TestNoteUDPLimit(t *testing.T) {
	other := func(protocol, stage string, n int, changes ...change) probe.Observation {
		o := probe.Observation{Protocol: protocol}
		for range n {
			o.Exchanges = append(o.Exchanges, sent(theESP, 1, append(changes, func(e *probe.Exchange) { e.Stage = stage })...)...)
		}
		return o
	}
	loses := func(n int) probe.Circumstances {
		c := onLinux()
		c.Control = line(n, 0)
		return c
	}
	for _, x := range []struct {
		name string
		lost int
		os   []probe.Observation
		want string
	}{
		{"none-lost", 25, []probe.Observation{other("gre", "gre", 25), other("esp", "esp", 15)}, "Of 40 packets of PPTP, GRE and ESP in the same time none was lost"},
		{"one-lost", 25, []probe.Observation{other("gre", "gre", 45), other("esp", "esp", 1, lost)}, ""},
		{"one-answer-lost", 25, []probe.Observation{other("gre", "gre", 45), other("esp", "esp", 1, unreturned)}, ""},
		{"what-has-no-answer", 25, []probe.Observation{other("gre", "gre", 45), other("pptp", "link-info", 1, unreturned, func(e *probe.Exchange) { e.Replied = wire.NotSeen() })}, "Of 46"},
		{"not-known-whether-it-arrived", 25, []probe.Observation{other("gre", "gre", 45), other("pptp", "gre", 1, lost, func(e *probe.Exchange) { e.Arrived = wire.CannotSee("") })}, "Of 45"},
		{"too-few", 25, []probe.Observation{other("gre", "gre", 39)}, ""},
		{"few-for-the-loss", 10, []probe.Observation{other("gre", "gre", 99)}, ""},
		{"enough-for-the-loss", 10, []probe.Observation{other("gre", "gre", 100)}, "Of 100 packets"},
		{"hardly-any-loss", 5, []probe.Observation{other("gre", "gre", 500)}, ""},
		{"udp-does-not-count", 25, []probe.Observation{other("natt", "talk", 99)}, ""},
		{"ike-in-esp-does-not-count", 25, []probe.Observation{other("esp", "opening", 99, lost), other("esp", "esp", 40)}, "Of 40 packets"},
		{"limited-ttl-does-not-count", 25, []probe.Observation{other("gre", probe.StageHop, 9, lost), other("gre", probe.StageTrain, 9, lost), other("gre", "gre", 40)}, "Of 40 packets"},
	} {
		got := note(loses(x.lost), x.os, probe.LossSeen)
		if x.want == "" && strings.Contains(got, "flood") || !strings.Contains(got, x.want) || x.want != "" && !strings.Contains(got, "limit on UDP") {
			t.Errorf("%s: got %q, want %q in it", x.name, got, x.want)
		}
	}
	if got, more := lostNoneBeside([]probe.Observation{other("gre", "gre", 19)}, 100, 80), lostNoneBeside([]probe.Observation{other("gre", "gre", 20)}, 100, 80); got != 0 || more != 20 {
		t.Errorf("got %d and %d: fewer than %d tell nothing", got, more, leastOther)
	}
}

// What a piece of evidence was counted from is told with it; and the TTL of ICMP errors, where they agree.
func TestEvidenceNamesItsExchanges(t *testing.T) {
	limited := func(o *probe.Observation, _ *probe.Circumstances) {
		for i, stage := range []string{probe.StageHop, probe.StageHop, probe.StageTrain} {
			ttl := uint8(2 + i)
			s := wire.Sighting{State: wire.Seen, At: began.Add(9 * time.Second), TTL: &ttl}
			o.Exchanges = append(o.Exchanges, probe.Exchange{ID: stage + "/" + string(rune('2'+i)), Stage: stage, From: probe.Client, Sent: s,
				Arrived: wire.NotSeen(), Replied: wire.NotSeen(), Returned: wire.NotSeen()})
		}
	}
	all := "esp/1 esp/2 esp/3 esp/4 esp/5 esp/6"
	for _, x := range []struct {
		name    string
		changes []change
		worlds  []world
		reason  probe.Reason
		want    string
		ttl     any
	}{
		{"icmp", []change{lost, refused(theGateway, 64, 13)}, nil, probe.EvICMP, all, 64},
		{"icmp-twice", []change{lost, once(refused(theGateway, 64, 13)), fourth(refused(theGateway, 63, 13))}, nil, probe.EvICMP, "esp/1 esp/4", nil},
		{"icmp-at-the-server", []change{unreturned, refusedAnswer(thePublic, 63, 2)}, nil, probe.EvICMP, all, 63},
		{"at-nic", []change{unreturned, atNIC}, nil, probe.EvAtNIC, all, nil},
		{"silent", []change{firewalled}, nil, probe.EvSilent, all, nil},
		{"hop", []change{lost}, []world{hop(2, backbone, false), limited}, probe.EvHop, "hop/2", nil},
		{"train", []change{lost}, []world{counters(60, 0, 0, 62, 3), limited}, probe.EvTrain, "train/4", nil},
	} {
		d := report1(theESP, sent(theESP, 6, x.changes...), around(), x.worlds...).Protocols[0].Diagnosis
		found := false
		for _, n := range d.Evidence {
			if n.Reason == x.reason {
				found = true
				if got := strings.Join(n.Exchanges, " "); got != x.want || n.Args["ttl"] != x.ttl && x.reason == probe.EvICMP {
					t.Errorf("%s: got %q and %v, want %q and TTL %v", x.name, got, n.Args, x.want, x.ttl)
				}
			}
		}
		if !found {
			t.Errorf("%s: got %+v, want %s", x.name, d, x.reason)
		}
	}
}

// A diagnosis that names somebody repeats the protocol's own next step; one that names nobody keeps the test that tells who it is.
func TestDiagnosisNext(t *testing.T) {
	for name, x := range map[string]struct {
		p       fake
		changes []change
		worlds  []world
		same    bool
	}{
		"router":  {theIKE, []change{lost, refused(theGateway, 64, 13)}, nil, true},
		"isp":     {theIKE, []change{lost}, []world{hop(2, backbone, false)}, true},
		"server":  {theIKE, []change{firewalled}, nil, true},
		"unknown": {theIKE, []change{lost}, nil, false},
		"laptop":  {theIKE, []change{unsent}, nil, false},
	} {
		p := report1(x.p, sent(x.p, 6, x.changes...), around(), x.worlds...).Protocols[0]
		if (p.Next == p.Diagnosis.Next) != x.same || p.Diagnosis.Next == "" {
			t.Errorf("%s: got %q, and %q of the diagnosis", name, p.Next, p.Diagnosis.Next)
		}
	}
	d := Diagnosis{Culprit: CulpritISP, Next: "Ask."}
	if d.follow("Nothing: NAT-T gets through."); d.Next != "Ask." {
		t.Errorf("got %q", d.Next)
	}
}
