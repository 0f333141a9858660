package probe

import (
	"strings"
	"testing"
	"time"
)

// lateToy looks like bait.
type lateToy struct{ toy }

func (lateToy) Info() Info {
	i := toy{}.Info()
	i.Late = true
	return i
}

// What comes late may spoil the line, and no verdict that was in by then: they rest on what the control said up to there, and a run that ends
// afterwards did not end them (F12).
func TestJudgeCalm(t *testing.T) {
	spoiled := proven()
	spoiled.Control = controlOf(clean[:25]+strings.Repeat("x", 20)+clean[45:], clean) // four seconds of silence, from the fifth on
	spoiled.Calm, spoiled.Over = runStart.Add(5*time.Second), runStart.Add(10*time.Second)
	stopped := proven()
	stopped.Calm, stopped.Over = spoiled.Calm, spoiled.Over
	stopped.Stop = &Stop{Reason: LineCut, At: runStart.Add(9 * time.Second)}
	for _, c := range []struct {
		name, tries string
		in          Circumstances
		want, late  string
	}{
		{"the-line-dies", "o,o,o,o,o,o", spoiled, "blocked-out no-arrival", "inconclusive not-enough-tries"},
		{"the-run-ends", "o,o", stopped, "inconclusive not-enough-tries", "inconclusive line-cut"},
		{"nothing-was-asked", "", stopped, "inconclusive not-enough-tries", "untested line-cut"},
	} {
		t.Run(c.name, func(t *testing.T) {
			if f := Judge(toy{}, drawn(c.tries), c.in); string(f.Verdict)+" "+string(f.Reason) != c.want {
				t.Errorf("got %s %s, want %s", f.Verdict, f.Reason, c.want)
			}
			if f := Judge(lateToy{}, drawn(c.tries), c.in); string(f.Verdict)+" "+string(f.Reason) != c.late {
				t.Errorf("late: got %s %s, want %s", f.Verdict, f.Reason, c.late)
			}
		})
	}
}
