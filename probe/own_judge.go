package probe

// JudgeOpening says what an opening means. carried has the verdicts of the run's own conversations with the companion, by protocol; it is nil
// without one: then nothing is said of the network but what an answer proves.
func JudgeOpening(o Opening, carried map[string]Verdict) Answered {
	a := Answered{ID: o.ID}
	if o.Refused != nil {
		a.Verdict, a.Reason = Untested, o.Refused.Reason
		return a
	}
	for _, s := range o.Stages {
		if !s.Answered() {
			a.Verdict, a.Reason, a.Stage = Inconclusive, OwnSilent, s.ID
			return a
		}
	}
	a.Verdict = Passed
	return a
}
