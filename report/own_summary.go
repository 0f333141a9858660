package report

import (
	"slices"

	"vpncheck/probe"
)

// summarise says what the server answered, and what to do first.
func (o *Own) summarise(r Report) (headline, advice string) {
	if o.Why != nil {
		w := o.explainWhy()
		return yourServer(o.host()) + " could not be asked: " + w.Short + ".", w.Next
	}
	if len(o.Answers) == 0 {
		return yourServer(o.host()) + " was not asked anything.", "Use a newer version of vpncheck."
	}
	groups := o.groups()
	text, answered := yourServer(o.host()), false
	if yes := groups[says{probe.Passed, ""}]; len(yes) > 0 {
		text += " answers " + list(yes) + "."
		answered = true
	}
	for i, g := range o.order() {
		names := groups[g]
		switch {
		case g == says{probe.Passed, ""}:
			continue
		case i == 0:
			text += " " + g.clause(names) + "."
		default:
			text += " It " + g.clause(names) + "."
		}
		answered = answered || g.verdict == probe.Passed
	}
	if silent := groups[says{probe.Inconclusive, probe.OwnSilent}]; answered && len(silent)+len(groups[says{probe.Inconclusive, probe.OwnSilentCarried}]) > 0 {
		text += " It need not offer them all."
	}
	switch {
	case answered && r.tested():
		return text, "If your VPN begins with one of those and still fails, the way there is not the matter. " + lookElsewhere
	case answered:
		return text, "If your VPN begins with one of those and still fails: " + lower(lookElsewhere) + " What follows the first messages was not tried: that takes a " +
			"test server (\"vpncheck serve\")."
	}
	if n := r.Circumstances.NoSession; n != nil && n.Reason == probe.CaptivePortal {
		return text, r.Summary.Advice // it stops this server's packets as well
	}
	x := o.first()
	if there := x.Culprit == CulpritVPNServer || kind(x.Verdict, x.Reason) == fails && x.Culprit == "" && x.Reason != probe.OwnRefusedOnWay; there && !x.Began() && len(o.Answers) > 1 {
		return text, "Check that this is your VPN's server. Ask whoever runs " + o.host() + " which VPN it offers, whether it is up, and whether every firewall before it lets " +
			"that in. With --vpn this says more."
	}
	return text, x.Next
}

// recommend names the best VPN that works on this network and that the server answers as well; nil if there is none.
func (o *Own) recommend(r Report) *Recommendation {
	for _, want := range []Works{WorksYes, WorksBut} {
		for _, id := range preferred {
			rule, _ := ruleOf(id)
			v, _ := r.VPN(id)
			if a, ok := o.of(rule); !ok || !a.Answered() || v.Works != want {
				continue
			}
			text := v.Title + " works here, and " + o.host() + " answers it."
			if v.Works == WorksBut {
				text = v.Title + " works here, but " + v.why() + ". " + yourServer(o.host()) + " answers it."
			}
			return &Recommendation{VPN: id, Text: text}
		}
	}
	return nil
}

// says is what several answers have in common.
type says struct {
	verdict probe.Verdict
	reason  probe.Reason
}

func (a Answer) says() says {
	if a.Verdict == probe.Untested {
		return says{a.Verdict, ""}
	}
	return says{a.Verdict, a.Reason}
}

func (o *Own) groups() map[says][]string {
	out := make(map[says][]string)
	for _, a := range o.Answers {
		out[a.says()] = append(out[a.says()], a.Title)
	}
	return out
}

// order is that in which a summary tells them: what was answered, what was refused, what was silent, what was not asked.
func (o *Own) order() (out []says) {
	for _, a := range o.Answers {
		if !slices.Contains(out, a.says()) {
			out = append(out, a.says())
		}
	}
	rank := func(s says) int {
		switch {
		case s.verdict == probe.Passed && s.reason == "":
			return 0
		case s.verdict == probe.Passed:
			return 1
		case half(s.reason):
			return 2
		case s.verdict == probe.Untested:
			return 9
		case s.verdict == probe.Inconclusive:
			return 4
		}
		return 3
	}
	slices.SortStableFunc(out, func(a, b says) int { return rank(a) - rank(b) })
	return out
}

// half says of a reason that the server answered, but not all.
func half(r probe.Reason) bool {
	return slices.Contains([]probe.Reason{probe.OwnNoGRE, probe.OwnGREOneWay, probe.OwnControlOnly, probe.OwnStopped}, r)
}

// clause completes "vpn.example.com ..." about some openings.
func (s says) clause(all []string) string {
	names, them, do := list(all), "it", "does"
	if len(all) > 1 {
		them, do = "them", "do"
	}
	switch s.reason {
	case probe.OwnDeclined:
		return "answers " + names + " with a no to what was proposed"
	case probe.OwnRefused:
		return "refuses " + names
	case probe.OwnRefusedOnWay:
		return "is not reached with " + names + ": somebody on the way refuses " + them
	case probe.OwnSilentCarried:
		return "does not answer " + names + ", though this network carries " + them
	case probe.OwnSilentNetwork:
		return "does not answer " + names + ", which " + do + " not get to the test server either"
	case probe.OwnSilentByDesign:
		return "does not answer " + names + ", as is the way of many servers with strangers"
	case probe.OwnStopped:
		return "answers " + names + " at first, and then no more"
	case probe.OwnNoGRE:
		return "takes PPTP's call, and its data (GRE) does not come back"
	case probe.OwnGREOneWay:
		return "takes PPTP's call and sends data (GRE), and gives ours no answer"
	case probe.OwnControlOnly:
		return "takes PPTP's call, whose data (GRE) could not be asked"
	case probe.OwnAnother:
		return "answers where " + names + " is asked for, but not as such a server"
	case probe.LaptopFirewall:
		return "was not asked about " + names + ": this laptop refused to send"
	}
	switch s.verdict {
	case probe.Passed:
		return "answers " + names
	case probe.Untested:
		return "was not asked about " + names
	case probe.BlockedOut:
		return "refuses " + names
	}
	return "does not answer " + names
}

// first is the answer that advice is about, where there is none: what names somebody before what does not.
func (o *Own) first() Answer {
	for _, want := range []func(Answer) bool{
		func(a Answer) bool { return a.Culprit != "" },
		func(a Answer) bool { return half(a.Reason) },
		func(a Answer) bool { return kind(a.Verdict, a.Reason) == fails },
		func(a Answer) bool { return a.Verdict == probe.Inconclusive && a.Reason != probe.OwnSilentByDesign },
	} {
		if i := slices.IndexFunc(o.Answers, want); i >= 0 {
			return o.Answers[i]
		}
	}
	return o.Answers[0]
}

// diagnose says who it is, where the server gave no answer at all and something tells. A server need not offer what it does not answer, so
// one answer is enough for none.
func (o *Own) diagnose(r Report) *Diagnosis {
	if o.Why != nil {
		return o.unnamed(r)
	}
	if len(o.Answers) == 0 || slices.ContainsFunc(o.Answers, Answer.Answered) {
		return nil
	}
	return o.blame(o.first())
}

// blame is the diagnosis of one answer; nil if nothing tells who it was.
func (o *Own) blame(a Answer) *Diagnosis {
	d := &Diagnosis{Protocol: a.ID, Culprit: a.Culprit, Confidence: Likely, Reason: a.Reason, Args: a.Args, Evidence: a.Because, Next: a.Next}
	title := name(a.Title)
	switch {
	case a.Culprit == "" || a.Verdict == probe.Passed:
		return nil
	case a.Culprit == CulpritLaptop:
		d.Confidence = Certain
		d.Sentence = "This laptop itself stops " + title + ": its system refused to send it to " + o.host() + "."
	case a.Culprit != CulpritVPNServer:
		return nil
	case a.Verdict == probe.BlockedOut:
		d.Sentence = "Most likely " + who(CulpritVPNServer, "") + ", or a firewall in its name: " + o.host() + " refuses " + title + "."
	case a.Reason == probe.OwnStopped:
		d.Sentence = "Most likely " + who(CulpritVPNServer, "") + ": this network carries " + title + ", and " + o.host() + " answered at first, and then no more."
	case a.Reason == probe.OwnGREOneWay:
		d.Sentence = "Most likely " + who(CulpritVPNServer, "") + ": this network carries PPTP's data packets (GRE), and " + o.host() + " does not answer them."
	case a.Reason == probe.OwnNoGRE:
		d.Sentence = "Most likely " + who(CulpritVPNServer, "") + ": this network carries PPTP's data packets (GRE), and " + o.host() + " takes the call and sends none."
	default:
		d.Sentence = "Most likely " + who(CulpritVPNServer, "") + ": this network carries " + title + ", and " + o.host() + " did not answer it."
	}
	return d
}

// unnamed says honestly what a name tells that was not found: nobody is named, for the name itself may be wrong (F58).
func (o *Own) unnamed(r Report) *Diagnosis {
	if o.Why.Reason != probe.UnknownHost {
		return nil
	}
	d := &Diagnosis{Culprit: CulpritUnknown, Confidence: Possible, Reason: o.Why.Reason, Args: map[string]any{"host": o.host(), "why": o.Why.Why}}
	d.Sentence = "Nobody can be named: the name " + o.host() + " may be wrong or known only inside your company, or the name servers that this network uses do not tell it."
	if r.namesWork() {
		d.Sentence = "Nobody can be named: the name " + o.host() + " may be wrong, or known only inside your company. The name servers that this network uses work, for they told " +
			"the test server's address."
	}
	return d
}

// namesWork says whether the test server's name was turned into an address in this run.
func (r Report) namesWork() bool {
	s := r.Circumstances.Server
	return s.Address.IsValid() && s.Host != "" && !isAddress(s.Host)
}
