package probe

import (
	"cmp"
	"slices"
)

// Judge is the law, written once: a pure function of plain data, so that an old report can be judged again. It never says blocked
// unless the server looked and saw nothing, or answered and nothing came; docs/design.md has the law in words.
func Judge(p Probe, o Observation, c Circumstances) Finding {
	info := p.Info()
	f := Finding{Protocol: info.ID, Because: []Evidence{}}
	if reason, evidence, ok := untested(o, c); ok {
		f.Verdict, f.Reason, f.Because = Untested, reason, evidence
		return f
	}
	for _, part := range info.Parts {
		if !part.Deciding && !asked(o, part) {
			continue
		}
		stage, w := judgePart(p, o, part, c)
		f.Parts = append(f.Parts, PartFinding{Part: part.ID, Verdict: w.verdict, Reason: w.reason})
		if part.Deciding {
			f.Verdict, f.Reason, f.Stage, f.Because = w.verdict, w.reason, stage.ID, w.because
		}
	}
	return f
}

// asked says whether any question of a part left the laptop.
func asked(o Observation, part Part) bool {
	return slices.ContainsFunc(o.Exchanges, func(e Exchange) bool { return e.Part == part.ID })
}

// untested says why the question was not asked, if it was not.
func untested(o Observation, c Circumstances) (Reason, []Evidence, bool) {
	switch {
	case o.Refused != nil && len(o.Exchanges) == 0:
		return o.Refused.Reason, []Evidence{{Reason: EvWhy, Args: map[string]any{"why": o.Refused.Why, "hint": o.Refused.Hint}}}, true
	case c.NoSession != nil && c.NoSession.Reason == CaptivePortal:
		return CaptivePortal, []Evidence{{Reason: CaptivePortal, Args: c.NoSession.Args}}, true
	case c.NoSession != nil:
		return NoSession, []Evidence{{Reason: c.NoSession.Reason, Args: c.NoSession.Args}}, true
	case c.Stop != nil && len(o.Exchanges) == 0:
		return c.Stop.Reason, []Evidence{{Reason: c.Stop.Reason, Args: c.Stop.Args}}, true
	}
	return "", nil, false
}

// judgePart weighs the stages in order: the first that fails decides.
func judgePart(p Probe, o Observation, part Part, c Circumstances) (Stage, weight) {
	var because []Evidence
	var last Stage
	var w weight
	for _, stage := range p.Info().Stages {
		last = stage
		w = scale{p, o, part, stage, c}.weigh()
		because = append(because, w.because...)
		if w.verdict != Passed {
			reason, facts := p.Reason(o, stage, w.verdict, c)
			w.reason = cmp.Or(reason, w.reason)
			because = append(because, facts...)
			break
		}
	}
	w.because = because
	return last, w
}

// Beside counts how far a protocol's questions came: what another protocol's reason may need to know.
func Beside(p Probe, o Observation) Tally {
	var n Tally
	for _, part := range p.Info().Parts {
		for _, stage := range p.Info().Stages {
			if !part.Deciding {
				continue
			}
			tries, _ := scale{probe: p, obs: o, part: part, stage: stage}.tries()
			t := sum(tries)
			n.Tries += t.Tries
			n.Arrived += t.Arrived
			n.Replied += t.Replied
			n.Returned += t.Returned
		}
	}
	return n
}
