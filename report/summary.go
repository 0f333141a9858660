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
		k := kind(p.Verdict, p.Reason)
		sorted[k] = append(sorted[k], p)
		switch k {
		case works:
			s.Works = append(s.Works, p.ID)
		case fails:
			s.Fails = append(s.Fails, p.ID)
		case expected:
			s.Expected = append(s.Expected, p.ID)
		default:
			s.Undecided = append(s.Undecided, p.ID)
		}
	}
	switch w, stopped := stopWords(c); {
	case len(sorted[works])+len(sorted[fails])+len(sorted[expected]) == 0 && stopped:
		s.Headline = "No check was possible: " + w.Short + "."
		if slices.ContainsFunc(ps, func(p Protocol) bool { return p.Verdict == probe.Inconclusive }) {
			s.Headline = "Nothing could be decided: " + w.Short + "."
		}
		s.Advice = capital(w.Do) + "."
	case len(ps) == 0:
		s.Headline, s.Advice = "Nothing was checked.", "Name at least one protocol to check."
	default:
		s.Headline, s.Advice = headline(sorted, among(ps, c))
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
	case probe.Hairpin(c): // the router told it too late to stop
		r = probe.ServerHairpin
	default:
		return Words{}, false
	}
	return explain(probe.Untested, r, wholeRun(c)), true
}
