package probe

import (
	"encoding/json"
	"fmt"
	"math"
	"slices"
	"time"
)

// Control is the run's control in both its legs (DESIGN, law 4): UDP on a neutral port of the server, and a ping on the TLS channel. No
// silence means anything unless the control was answered at the same time.
type Control struct {
	Started time.Time     `json:"started,omitzero"`
	Every   time.Duration `json:"every_ns,omitempty"`
	UDP     []Beat        `json:"udp,omitempty"`
	TLS     []Beat        `json:"tls,omitempty"`
}

// A Beat is one round trip of the control: when it was asked, counted from Control.Started, and how long the answer took; an RTT of
// zero means that none came. In JSON it is a pair of microseconds, [asked, took], with null for an answer that did not come.
type Beat struct {
	At  time.Duration
	RTT time.Duration
}

// MarshalJSON writes the pair.
func (b Beat) MarshalJSON() ([]byte, error) {
	if b.RTT == 0 {
		return fmt.Appendf(nil, "[%d,null]", b.At.Microseconds()), nil
	}
	return fmt.Appendf(nil, "[%d,%d]", b.At.Microseconds(), max(1, b.RTT.Microseconds())), nil
}

// UnmarshalJSON reads the pair.
func (b *Beat) UnmarshalJSON(text []byte) error {
	var pair [2]*int64
	if err := json.Unmarshal(text, &pair); err != nil {
		return fmt.Errorf("reading a control beat: %w", err)
	}
	*b = Beat{}
	if pair[0] != nil {
		b.At = time.Duration(*pair[0]) * time.Microsecond
	}
	if pair[1] != nil {
		b.RTT = time.Duration(*pair[1]) * time.Microsecond
	}
	return nil
}

// An Outage is a time in which neither leg of the control was answered: whatever was asked in it is void.
type Outage struct {
	From, To time.Time
}

// RTT is the median round trip of the leg that answers; zero if none does.
func (c Control) RTT() time.Duration {
	for _, leg := range [][]Beat{c.UDP, c.TLS} {
		var rtts []time.Duration
		for _, b := range leg {
			if b.RTT > 0 {
				rtts = append(rtts, b.RTT)
			}
		}
		if len(rtts) > 0 {
			slices.Sort(rtts)
			return rtts[len(rtts)/2]
		}
	}
	return 0
}

// late is how long an answer may take before its beat counts as silence. TLS repeats what is lost, so that loss shows there as delay.
func (c Control) late() time.Duration { return 250*time.Millisecond + 3*c.RTT() }

// lost returns what says of a beat whether it counts as silence.
func (c Control) lost() func(Beat) bool {
	late := c.late()
	return func(b Beat) bool { return b.RTT == 0 || b.RTT > late }
}

// Outages returns the times in which both legs were silent for two beats or more, or more than chance makes of a line that loses much. Where UDP is filtered as a whole only TLS tells.
func (c Control) Outages() []Outage {
	silent := c.silences(c.TLS, 2)
	if !c.UDPFiltered() && len(c.UDP) > 0 {
		silent = intersect(silent, c.silences(c.UDP, c.inARow()))
	}
	return silent
}

// inARow is how many beats of UDP in a row are not lost by chance alone: two, and more where the line loses much, which is no outage. Loss is
// reckoned by how often one begins, so that an outage hardly counts: of beats each lost with chance q, q times as many begin to be lost as
// are answered.
func (c Control) inARow() int {
	var begun, answered int
	lost := c.lost()
	for i, b := range c.UDP {
		switch {
		case !lost(b):
			answered++
		case i == 0 || !lost(c.UDP[i-1]):
			begun++
		}
	}
	if begun == 0 || answered <= begun {
		return 2
	}
	return max(2, int(math.Ceil(math.Log(chanceRun)/math.Log(float64(begun)/float64(answered)))))
}

// silences returns the runs of so many or more lost beats of a leg, each from the last answered beat before it to the first after it.
func (c Control) silences(leg []Beat, least int) []Outage {
	var out []Outage
	lost := c.lost()
	for i := 0; i < len(leg); {
		if !lost(leg[i]) {
			i++
			continue
		}
		j := i
		for j < len(leg) && lost(leg[j]) {
			j++
		}
		if j-i >= least {
			o := Outage{From: c.Started.Add(leg[i].At - c.Every), To: c.Started.Add(leg[j-1].At + c.Every)}
			if j < len(leg) {
				o.To = c.Started.Add(leg[j].At)
			}
			out = append(out, o)
		}
		i = j
	}
	return out
}

func intersect(a, b []Outage) []Outage {
	var out []Outage
	for _, x := range a {
		for _, y := range b {
			o := Outage{From: x.From, To: x.To}
			if y.From.After(o.From) {
				o.From = y.From
			}
			if y.To.Before(o.To) {
				o.To = y.To
			}
			if o.To.After(o.From) {
				out = append(out, o)
			}
		}
	}
	return out
}

// UDPFiltered says that UDP as a whole does not reach the server or does not come back, while TLS does: loss alone would hardly ever
// explain it.
func (c Control) UDPFiltered() bool {
	asked, answered := count(c.UDP)
	if answered > 0 || asked < minTries || c.UDP[asked-1].At-c.UDP[0].At < minSpan {
		return false
	}
	return fisher(asked, len(c.TLS), countBeats(c.TLS, c.lost())) < maxChance
}

func countBeats(leg []Beat, such func(Beat) bool) (n int) {
	for _, b := range leg {
		if such(b) {
			n++
		}
	}
	return n
}

func count(leg []Beat) (asked, answered int) {
	for _, b := range leg {
		if b.RTT > 0 {
			answered++
		}
	}
	return len(leg), answered
}

// Round trips of the leg that a silence is held against: UDP as a rule, TLS where UDP is filtered.
func (c Control) leg() []Beat {
	if _, answered := count(c.UDP); answered == 0 {
		return c.TLS
	}
	return c.UDP
}

// tally counts a leg's beats and the lost ones between two times (zero means open), leaving out what fell into an outage's inside.
func (c Control) tally(leg []Beat, from, to time.Time) (sent, lost int) {
	silent := c.lost()
	for _, b := range c.alive(leg) {
		at := c.Started.Add(b.At)
		if !from.IsZero() && at.Before(from) || !to.IsZero() && at.After(to) {
			continue
		}
		sent++
		if silent(b) {
			lost++
		}
	}
	return sent, lost
}

// alive are a leg's beats outside of outages: tries that fell into one are void, and so are these.
func (c Control) alive(leg []Beat) []Beat {
	outages := c.Outages()
	if len(outages) == 0 {
		return leg
	}
	return slices.DeleteFunc(slices.Clone(leg), func(b Beat) bool {
		at := c.Started.Add(b.At)
		return slices.ContainsFunc(outages, func(o Outage) bool { return at.After(o.From) && at.Before(o.To) })
	})
}

// heard is when the last answer came, of either leg; the beginning if none did.
func (c Control) heard() time.Time {
	last := time.Duration(0)
	for _, leg := range [][]Beat{c.UDP, c.TLS} {
		for _, b := range leg {
			if b.RTT > 0 {
				last = max(last, b.At+b.RTT)
			}
		}
	}
	return c.Started.Add(last)
}

// loses says that a beat was lost, outside of outages.
func (c Control) loses() bool {
	_, lost := c.tally(c.leg(), time.Time{}, time.Time{})
	return lost > 0
}

// lossy says that the line loses so much that a conversation needs patience: two beats or more, and more than one in twenty.
func (c Control) lossy() bool {
	sent, lost := c.tally(c.leg(), time.Time{}, time.Time{})
	return lost >= 2 && lost*20 > sent
}

// hopeless says that more than a third of the round trips are lost: asking for longer would help some, and take everybody's time.
func (c Control) hopeless() bool {
	sent, lost := c.tally(c.leg(), time.Time{}, time.Time{})
	return lost*3 > sent
}

// burst is how long the leg stays silent once it loses a beat, on average, if its losses come in bursts: in runs half as long again as
// chance alone would make them. Zero means that each loss stands for itself. Tries closer together than a burst share one fate.
func (c Control) burst(leg []Beat) time.Duration {
	var runs, lost int
	leg = c.alive(leg)
	silent := c.lost()
	for i, b := range leg {
		if !silent(b) {
			continue
		}
		if lost++; i == 0 || !silent(leg[i-1]) {
			runs++
		}
	}
	if runs == 0 || lost == len(leg) {
		return 0
	}
	mean := float64(lost) / float64(runs)
	byChance := 1 / (1 - float64(lost)/float64(len(leg)))
	if mean < 1.5*byChance {
		return 0
	}
	return time.Duration(mean * float64(c.Every))
}

// until is the control as it stood at a time: what was then still to be answered is left out.
func (c Control) until(t time.Time) Control {
	late := c.late()
	stood := func(leg []Beat) (out []Beat) {
		for _, b := range leg {
			at := c.Started.Add(b.At)
			answered := b.RTT > 0 && !at.Add(b.RTT).After(t)
			if answered || at.Add(late).Before(t) {
				out = append(out, b)
			}
		}
		return out
	}
	c.UDP, c.TLS = stood(c.UDP), stood(c.TLS)
	return c
}
