// Package report makes a report of a run: the JSON that goes onto a support ticket, with a sentence for every fact in it.
//
// Start with Report, the schema; New fills it, from facts alone. All text is made here, from {reason, args}: words.go and the words_*.go
// beside it are the catalogue.
package report

import (
	"cmp"
	"maps"
	"slices"
	"strings"
	"time"

	"vpncheck/probe"
	"vpncheck/probe/wire"
)

// Schema names the form of a report. Its number changes only if an older reader would misunderstand a newer report.
const Schema = "vpncheck-report/1"

// Report is the JSON of one run. Its law: a field is never removed and never changes its meaning; new ones may be added, and a reader
// ignores those that it does not know. What is text in it can be made again from the reasons and args beside it.
type Report struct {
	Schema  string    `json:"schema"`
	Tool    Tool      `json:"tool"`
	Started time.Time `json:"started,omitzero"`
	Ended   time.Time `json:"ended,omitzero"`
	Summary Summary   `json:"summary"`
	// VPNs says of each kind of VPN whether it would work here, and Recommendation names the best; nil if nothing is known.
	VPNs           []VPN           `json:"vpns"`
	Recommendation *Recommendation `json:"recommendation,omitempty"`
	// Aim is what the person asked about: nil if it was any VPN.
	Aim *Aim `json:"aim,omitempty"`
	// To is what the person's own VPN server said (--to); nil if it was not asked.
	To        *Own       `json:"to,omitempty"`
	Protocols []Protocol `json:"protocols"`
	Notes     []Note     `json:"notes,omitempty"`
	// Diagnosis is that of the failed protocol that matters most; nil if none failed.
	Diagnosis     *Diagnosis          `json:"diagnosis,omitempty"`
	NATs          *NATs               `json:"nats,omitempty"`
	Circumstances probe.Circumstances `json:"circumstances"`
}

// Tool is the program that made the report.
type Tool struct {
	Name    string `json:"name"`
	Version string `json:"version"`
}

// Summary sorts the protocols by what a person wants to know, and says it in two sentences.
type Summary struct {
	Works     []string `json:"works"`
	Fails     []string `json:"fails"`
	Undecided []string `json:"undecided"` // asked without a clear answer, or not asked
	// Expected fail, and nothing is wrong: AH behind a NAT.
	Expected []string `json:"expected,omitempty"`
	Headline string   `json:"headline"`
	Advice   string   `json:"advice"`
}

// Protocol is the verdict on one protocol, what it rests on and what to do about it.
type Protocol struct {
	ID       string        `json:"id"`
	Title    string        `json:"title"`
	Port     uint16        `json:"port,omitempty"` // of UDP, at the server
	Verdict  probe.Verdict `json:"verdict"`
	Reason   probe.Reason  `json:"reason,omitempty"`
	Sentence string        `json:"sentence"`
	Stage    string        `json:"stage,omitempty"` // the stage that decided
	Because  []Note        `json:"because,omitempty"`
	// Translation says how the packets were changed on the way, both ways, as far as both ends could see.
	Translation []Row             `json:"translation,omitempty"`
	Stages      map[string]string `json:"stages,omitempty"` // titles of the stages, by id
	Parts       []Part            `json:"parts,omitempty"`
	// Remarks are to be read even where the protocol works: that another form stood in for the usual one, say.
	Remarks []string `json:"remarks,omitempty"`
	Next    string   `json:"next,omitempty"`
	// Weak says why nobody should use the protocol any more, and what to use instead; it holds also where the protocol works.
	Weak        string            `json:"weak,omitempty"`
	Observation probe.Observation `json:"observation"`
	// Diagnosis says who stopped it; nil where nothing was stopped.
	Diagnosis *Diagnosis `json:"diagnosis,omitempty"`
}

// Part is the verdict on one form of a protocol's opening.
type Part struct {
	ID       string        `json:"id"`
	Title    string        `json:"title"`
	Deciding bool          `json:"deciding,omitempty"`
	Verdict  probe.Verdict `json:"verdict"`
	Reason   probe.Reason  `json:"reason,omitempty"`
	Sentence string        `json:"sentence"`
}

// Note is a fact with its sentence: Reason and Args are data, Text is made of them.
type Note struct {
	Reason    probe.Reason   `json:"reason"`
	Args      map[string]any `json:"args,omitempty"`
	Text      string         `json:"text"`
	Exchanges []string       `json:"exchanges,omitempty"` // what it was counted from
}

// New makes the report of a run. It looks at nothing but its arguments.
func New(r probe.Result, probes []probe.Probe, tool Tool) Report {
	known := make(map[string]probe.Probe)
	for _, p := range probes {
		known[p.Info().ID] = p
	}
	out := Report{
		Schema: Schema, Tool: tool, Started: r.Started, Ended: r.Ended,
		Protocols:     make([]Protocol, 0, len(r.Findings)),
		Circumstances: r.Circumstances,
	}
	s := settingOf(r.Circumstances, r.Findings, r.Observations)
	s.counts = counts(r.Observations)
	ds := diagnoses(r, known, s)
	for i, f := range r.Findings {
		o := observation(r, f.Protocol)
		out.Protocols = append(out.Protocols, protocol(known[f.Protocol], f, o, s, ds[i]))
		s.tell(f, o)
	}
	out.Diagnosis = diagnoseRun(out.Protocols)
	if n := findNATs(r.Circumstances, r.Observations, reasonsOf(r.Findings)...); n.Kind != "" {
		out.NATs = &n
	}
	out.Notes = notes(r.Circumstances, r.Observations, out.Protocols...)
	out.Summary = summarise(out.Protocols, r.Circumstances)
	out.Summary.Headline = tooSoon(out.Protocols, out.Diagnosis, out.Summary.Headline)
	out.Summary.Advice = wait(out.Protocols, out.Diagnosis, out.Summary.Advice)
	out.weighVPNs()
	return out
}

func reasonsOf(fs []probe.Finding) (out []probe.Reason) {
	for _, f := range fs {
		out = append(out, f.Reason)
	}
	return out
}

func observation(r probe.Result, id string) probe.Observation {
	for _, o := range r.Observations {
		if o.Protocol == id {
			return o
		}
	}
	return probe.Observation{Protocol: id}
}

// infoOf is what a probe says of its protocol; p is nil if this version does not know it.
func infoOf(p probe.Probe, f probe.Finding) probe.Info {
	if p == nil {
		return probe.Info{ID: f.Protocol, Title: strings.ToUpper(f.Protocol)}
	}
	return p.Info()
}

// diagnoses are those of the findings, one each.
func diagnoses(r probe.Result, known map[string]probe.Probe, s setting) (ds []*Diagnosis) {
	for _, f := range r.Findings {
		ds = append(ds, Diagnose(infoOf(known[f.Protocol], f), f, observation(r, f.Protocol), s.circumstances).confirm(s.counts))
	}
	shareCulprit(r.Findings, ds)
	return ds
}

// protocol makes a protocol's part of the report; p is nil if this version does not know the protocol.
func protocol(p probe.Probe, f probe.Finding, o probe.Observation, s setting, d *Diagnosis) Protocol {
	info := infoOf(p, f)
	fa := gather(info, f, o, s)
	fa.accuse(d, f.Reason)
	w := explain(f.Verdict, f.Reason, fa)
	if stop, ok := stopWords(s.circumstances); ok && f.Reason == probe.NoSession {
		w.Next = stop.Next
	}
	d.follow(w.Next)
	out := Protocol{
		ID: f.Protocol, Title: info.Title, Verdict: f.Verdict, Reason: f.Reason, Sentence: w.Sentence, Stage: f.Stage,
		Parts: parts(f, o, fa), Next: w.Next, Weak: weak(info, s), Observation: o, Diagnosis: d,
	}
	for _, e := range f.Because {
		out.Because = append(out.Because, Note{e.Reason, e.Args, evidence(e.Reason, fa.visible(e.Args, e.Exchanges), fa), e.Exchanges})
	}
	if e, ok := tooEarly(info, f, s.circumstances); ok {
		out.Because = append(out.Because, Note{e.Reason, e.Args, evidence(e.Reason, e.Args, fa), e.Exchanges})
	}
	out.Remarks = remarks(f.Reason, out.Because)
	if len(info.Stages) > 0 {
		out.Stages = make(map[string]string)
	}
	for _, stage := range info.Stages {
		out.Stages[stage.ID] = stage.Title
		out.Port = cmp.Or(out.Port, stage.Port)
	}
	out.Translation = translation(p, o, f.Verdict)
	return out
}

// parts leaves out a protocol that has but one.
func parts(f probe.Finding, o probe.Observation, fa facts) []Part {
	if len(f.Parts) < 2 {
		return nil
	}
	var out []Part
	for _, pf := range f.Parts {
		part := Part{ID: pf.Part, Title: pf.Part, Verdict: pf.Verdict, Reason: pf.Reason}
		for _, known := range o.Parts {
			if known.ID == pf.Part {
				part.Title, part.Deciding = known.Title, known.Deciding
			}
		}
		if clash(f.Reason) && kind(pf.Verdict, pf.Reason) == fails {
			pf.Reason = "" // what looks like a block is none
		}
		part.Sentence = capital(explain(pf.Verdict, pf.Reason, fa.only(part.Title)).Short) + "."
		if pf.Verdict == probe.BlockedOut && arrivedAtFirst(o, pf.Part) {
			part.Sentence = "Its beginning reaches the server, and what follows does not."
		}
		if f.Reason == probe.FullSizeDropped && kind(pf.Verdict, pf.Reason) == works {
			part.Sentence = "Tried with small packets only." // large ones are sent in the deciding form alone
		}
		out = append(out, part)
	}
	return out
}

// arrivedAtFirst says that one stage of a form reached the server, and another one did not.
func arrivedAtFirst(o probe.Observation, part string) bool {
	stages := make(map[string]bool)
	for _, e := range o.Exchanges {
		if e.Part == part && e.From == probe.Client {
			stages[e.Stage] = stages[e.Stage] || e.Arrived.State == wire.Seen
		}
	}
	all := slices.Collect(maps.Values(stages))
	return slices.Contains(all, true) && slices.Contains(all, false)
}

func weak(info probe.Info, s setting) string {
	if info.Weak == "" {
		return ""
	}
	why := strings.TrimRight(Clean(info.Weak, 300), ". ")
	return capital(why) + ". Use " + s.news() + " instead."
}

// ExitCode is the exit status of a run: 0 what was asked works, 3 something does not work, 4 something could not be decided or no
// session came about. What cannot work anywhere, as AH behind a NAT, does not count. If one VPN was asked about, it is about that alone.
func (r Report) ExitCode() int {
	if r.Aim != nil && r.Aim.VPN != "" {
		v, _ := r.VPN(r.Aim.VPN)
		if r.To != nil {
			return r.exitFor(v)
		}
		return v.exitCode()
	}
	if r.To != nil {
		own := r.To.exitCode()
		if !r.tested() {
			return own
		}
		r.To = nil
		return worse(r.ExitCode(), own)
	}
	open := len(r.Protocols) == 0
	for _, p := range r.Protocols {
		switch kind(p.Verdict, p.Reason) {
		case fails:
			return 3
		case undecided:
			open = true
		}
	}
	if open {
		return 4
	}
	return 0
}
