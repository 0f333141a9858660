package report

import (
	"cmp"
	"maps"
	"slices"
	"strings"

	"vpncheck/probe"
)

// A Culprit is who stopped a protocol.
type Culprit string

const (
	CulpritLaptop    Culprit = "laptop"
	CulpritRouter    Culprit = "router"     // the first NAT, as a rule the home router
	CulpritSecondNAT Culprit = "second-nat" // a NAT beyond it: the provider's, or a second router
	CulpritISP       Culprit = "isp"        // anyone between the outermost NAT and the server
	CulpritServer    Culprit = "server"     // its machine, or its provider's firewall
	CulpritNobody    Culprit = "nobody"     // it cannot work, and nothing is wrong: AH behind a NAT
	CulpritUnknown   Culprit = "unknown"
	// CulpritVPNServer is the person's own VPN server (--to), with its firewall, its cloud's rules and its NAT.
	CulpritVPNServer Culprit = probe.CulpritVPNServer
)

// Confidence is how sure a diagnosis is of its culprit.
type Confidence string

const (
	Certain  Confidence = "certain"  // it was seen
	Likely   Confidence = "likely"   // nothing else that was seen explains it
	Possible Confidence = "possible" // one of the Suspects
)

// A Diagnosis says who stopped a protocol, or the run. Reason and Args are data, Sentence is made of them in the catalogue; it is one that
// a person can repeat to a help desk.
type Diagnosis struct {
	Protocol   string         `json:"protocol,omitempty"` // in the run's diagnosis: whose it is
	Culprit    Culprit        `json:"culprit"`
	Confidence Confidence     `json:"confidence"`
	Suspects   []Culprit      `json:"suspects,omitempty"` // where the culprit is unknown
	Reason     probe.Reason   `json:"reason"`
	Args       map[string]any `json:"args,omitempty"`
	Sentence   string         `json:"sentence"`
	Evidence   []Note         `json:"evidence,omitempty"` // in order of weight
	Next       string         `json:"next,omitempty"`
}

// Diagnose says who stopped a protocol, as far as the evidence goes; nil where nothing was stopped, or nothing decided. It is a pure function:
// the rules of diagnosis_rules.go in their order, and the first that finds what it needs decides.
func Diagnose(info probe.Info, f probe.Finding, o probe.Observation, c probe.Circumstances) *Diagnosis {
	if !diagnosed(f) {
		return nil
	}
	s := sceneOf(info, f, o, c)
	for _, rule := range rules {
		if ch, ok := rule.finds(s); ok {
			return s.diagnosis(s.inside(ch))
		}
	}
	return nil
}

// diagnosed says of a finding that somebody did something: a protocol that fails, or one whose server stands in the way.
func diagnosed(f probe.Finding) bool {
	k := kind(f.Verdict, f.Reason)
	return k == fails || k == expected || f.Verdict == probe.Inconclusive && (f.Reason == probe.ServerUnproven || f.Reason == probe.ServerFirewall)
}

// diagnosis puts a charge into words.
func (s scene) diagnosis(ch charge) *Diagnosis {
	a := s.about()
	for k, v := range ch.args {
		a[k] = v
	}
	d := &Diagnosis{
		Culprit: accusations[ch.reason].culprit, Confidence: ch.confidence, Suspects: ch.suspects, Reason: ch.reason, Args: a,
	}
	if d.Culprit == CulpritUnknown {
		d.Confidence = Possible
	}
	d.Sentence, d.Next = d.sentence(), d.next()
	fa := newFacts(name(s.info.Title))
	fa.server = s.c.Server.Address.Unmap()
	for _, e := range append(ch.evidence, s.tally...) {
		d.Evidence = append(d.Evidence, Note{e.Reason, e.Args, evidence(e.Reason, e.Args, fa), e.Exchanges})
	}
	return d
}

// follow gives a diagnosis the protocol's own next step, which is more to the point than what is to be done about its culprit in general. What
// is to be left as it is is no step.
func (d *Diagnosis) follow(next string) {
	if d == nil || next == "" || strings.HasPrefix(next, "Nothing") {
		return
	}
	if d.Culprit == CulpritRouter || d.Culprit == CulpritISP || d.Culprit == CulpritServer {
		d.Next = next
	}
}

// portReasons are those of a UDP port as a whole, or of what is looked for there.
var portReasons = []probe.Reason{probe.UDPPortDropped, probe.UDPPortBackDropped, probe.UDPRefused, probe.UDPContentDropped, probe.UDPContentBackDropped}

// A filter is what stops several protocols as one: it takes all UDP, or a port of it. The zero filter is none.
type filter struct {
	reason  probe.Reason
	verdict probe.Verdict
	port    float64 // 0 is all UDP
}

func filterOf(f probe.Finding) filter {
	switch {
	case f.Reason == probe.UDPFiltered:
		return filter{reason: f.Reason}
	case slices.Contains(portReasons, f.Reason):
		for _, e := range f.Because {
			if port := args(e.Args).count("port"); e.Reason == probe.EvPort && port > 0 {
				return filter{f.Reason, f.Verdict, port}
			}
		}
	}
	return filter{}
}

// shareCulprit names the culprit of a protocol of which nothing else tells it, where one filter stops it and another: what was seen of one
// protocol's packets is true of the others'. Where those do not agree, nobody is named.
func shareCulprit(fs []probe.Finding, ds []*Diagnosis) {
	told, differ := map[filter]*Diagnosis{}, map[filter]bool{}
	for i, d := range ds {
		f := filterOf(fs[i])
		switch first := told[f]; {
		case d == nil || d.Culprit == CulpritUnknown:
		case first == nil:
			told[f] = d
		case d.Culprit != first.Culprit:
			differ[f] = true
		}
	}
	for i, d := range ds {
		f := filterOf(fs[i])
		if first := told[f]; f != (filter{}) && first != nil && !differ[f] && d != nil && d.Reason == unknownWho {
			ds[i] = d.shares(first, f)
		}
	}
}

// shares is a diagnosis with what was seen of another protocol.
func (d *Diagnosis) shares(first *Diagnosis, f filter) *Diagnosis {
	a := maps.Clone(first.Args)
	a["title"], a["all_udp"] = d.Args["title"], true
	if f.port > 0 {
		a["all_udp"], a["same_port"], a["beside"] = false, f.port, first.Args["title"]
	}
	out := &Diagnosis{Culprit: first.Culprit, Confidence: Likely, Reason: first.Reason, Args: a, Evidence: slices.Concat(first.Evidence, d.Evidence)}
	out.Sentence, out.Next = out.sentence(), out.next()
	return out
}

// diagnoseRun is the diagnosis of the failed protocol that matters most, in the order of importance (headline.go): what fails comes before what
// is undecided, and what cannot work anywhere comes last.
func diagnoseRun(ps []Protocol) *Diagnosis {
	var with []Protocol
	for _, p := range ps {
		if p.Diagnosis != nil {
			with = append(with, p)
		}
	}
	if len(with) == 0 {
		return nil
	}
	weight := map[outcome]int{fails: 0, undecided: 1, expected: 2}
	first := slices.MinFunc(with, func(a, b Protocol) int {
		return cmp.Or(cmp.Compare(weight[kind(a.Verdict, a.Reason)], weight[kind(b.Verdict, b.Reason)]), cmp.Compare(rank(a), rank(b)))
	})
	d := *first.Diagnosis
	d.Protocol = first.ID
	return &d
}

// counts says whether the router's own counter counted any train of the run: then it does count.
func counts(os []probe.Observation) bool {
	return slices.ContainsFunc(os, func(o probe.Observation) bool { return trainOf(o).left() == all })
}

// confirm makes certain what such a counter says of a train that did not leave the router.
func (d *Diagnosis) confirm(counts bool) *Diagnosis {
	if d != nil && d.Reason == notCountedOut && counts {
		d.Confidence = Certain
		d.Sentence = d.sentence()
	}
	return d
}
