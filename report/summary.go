package report

import (
	"slices"

	"vpncheck/probe"
)

// summarise says what works, what does not and why, and what to do.
func summarise(ps []Protocol, c probe.Circumstances) Summary {
	s := Summary{Works: []string{}, Fails: []string{}, Undecided: []string{}}
	sorted := make(map[outcome][]Protocol)
	for _, p := range ps {
		k := kind(p.Verdict)
		sorted[k] = append(sorted[k], p)
		switch k {
		case works:
			s.Works = append(s.Works, p.ID)
		case fails:
			s.Fails = append(s.Fails, p.ID)
		default:
			s.Undecided = append(s.Undecided, p.ID)
		}
	}
	switch w, stopped := stopWords(c); {
	case len(sorted[works])+len(sorted[fails]) == 0 && stopped:
		s.Headline = "No check was possible: " + w.Short + "."
		if slices.ContainsFunc(ps, func(p Protocol) bool { return p.Verdict == probe.Inconclusive }) {
			s.Headline = "Nothing could be decided: " + w.Short + "."
		}
		s.Advice = capital(w.Do) + "."
	case len(ps) == 0:
		s.Headline, s.Advice = "Nothing was checked.", "Name at least one protocol to check."
	default:
		s.Headline = headline(sorted, c)
		s.Advice = advice(sorted, c)
	}
	return s
}

// stopWords are the words for what stood in the way of the whole run, if anything did.
func stopWords(c probe.Circumstances) (Words, bool) {
	r := probe.Reason("")
	switch {
	case c.NoSession != nil:
		r = c.NoSession.Reason
	case c.Stop != nil:
		r = c.Stop.Reason
	default:
		return Words{}, false
	}
	return explain(probe.Untested, r, wholeRun(c)), true
}

// headline has a sentence for what works and one for each reason why something does not.
func headline(sorted map[outcome][]Protocol, c probe.Circumstances) string {
	text, does := "", " does not work: "
	if ok := titles(sorted[works]); len(ok) > 0 {
		text = verb(ok, " works.", " work.")
		does = " does not: "
		if len(sorted[fails])+len(sorted[undecided]) == 0 {
			return verb(ok, " works", " work") + " through this router and internet provider."
		}
	}
	for _, g := range groups(sorted[fails], c) {
		text = join(text, verb(titles(g.members), does, plurals[does])+g.words.Short+".")
		does = " does not work: "
	}
	for _, g := range groups(sorted[undecided], c) {
		says := " is undecided: "
		if g.members[0].Verdict == probe.Untested {
			says = " was not tried: "
		}
		text = join(text, verb(titles(g.members), says, plurals[says])+g.words.Short+".")
	}
	return text
}

var plurals = map[string]string{
	" does not work: ": " do not work: ",
	" does not: ":      " do not: ",
	" is undecided: ":  " are undecided: ",
	" was not tried: ": " were not tried: ",
}

// advice is the first thing to do: about what fails, else about what is undecided.
func advice(sorted map[outcome][]Protocol, c probe.Circumstances) string {
	for _, k := range []outcome{fails, undecided} {
		for _, g := range groups(sorted[k], c) {
			if g.words.Do != "" {
				return capital(g.words.Do) + "."
			}
		}
	}
	return "If your VPN still fails, look at its server, password and settings."
}

// A group is protocols that share a verdict's reason and are told in one sentence.
type group struct {
	members []Protocol
	words   Words
}

func groups(ps []Protocol, c probe.Circumstances) []group {
	var out []group
next:
	for _, p := range ps {
		w := explain(p.Verdict, p.Reason, p.facts(c))
		for i, g := range out {
			if g.members[0].Verdict == p.Verdict && g.words.Short == w.Short {
				out[i].members = append(g.members, p)
				continue next
			}
		}
		out = append(out, group{[]Protocol{p}, w})
	}
	return out
}

// facts are those of a protocol that is part of a report already.
func (p Protocol) facts(c probe.Circumstances) facts {
	f := probe.Finding{Protocol: p.ID, Verdict: p.Verdict, Reason: p.Reason, Stage: p.Stage}
	for _, n := range p.Because {
		f.Because = append(f.Because, probe.Evidence{Reason: n.Reason, Args: n.Args, Exchanges: n.Exchanges})
	}
	info := probe.Info{ID: p.ID, Title: p.Title}
	for id, title := range p.Stages {
		info.Stages = append(info.Stages, probe.Stage{ID: id, Title: title})
	}
	return gather(info, f, p.Observation, c)
}

func titles(ps []Protocol) []string {
	var out []string
	for _, p := range ps {
		out = append(out, p.Title)
	}
	return out
}

func verb(names []string, one, more string) string {
	if len(names) == 1 {
		return names[0] + one
	}
	return list(names) + more
}

func join(a, b string) string {
	if a == "" {
		return b
	}
	return a + " " + b
}
