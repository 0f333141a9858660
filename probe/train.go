package probe

import (
	"context"
	"math"
	"time"

	"vpncheck/probe/wire"
	"vpncheck/probe/witness"
)

const (
	trainLength = 48 // at 60 a second: more than a home's idle line carries in that time
	maxTrains   = 5
	idleFor     = 500 * time.Millisecond // between two readings: the control beats twice in both its legs
	readingWait = time.Second            // for the router to tell its counters
)

// Counted says how many of the train's packets the router counted on their way out of it, and how many of their answers on the way back,
// beyond what it counts while nothing is sent on purpose. What the server told of them over the session came in with the answers, and was
// acknowledged: at most one packet for each that arrived. Neither number is more than there was to count.
//
// It says nothing (ok is false) where the counters are not to be trusted, or the train does not stand out (PAM 2012, section 5.3): too few
// readings, a counter that went backwards or did not move though the control beat all the while, as those of 3 % of routers do, or so much
// other traffic that it explains what was counted, or what was not.
func (t Train) Counted() (out, back int, ok bool) {
	idle, before, after, ok := t.intervals()
	if !ok || t.Sent == 0 {
		return 0, 0, false
	}
	seconds := after.At.Sub(before.At).Seconds()
	sent, okOut := beyond(idle, func(c witness.Counters) uint32 { return c.Sent }, before, after, seconds, t.Sent)
	came, okBack := beyond(idle, func(c witness.Counters) uint32 { return c.Received }, before, after, seconds, t.Sent)
	told := float64(t.Arrived)
	slack := float64(t.Sent) / 4
	if !okOut || !okBack || sent < -slack || sent > float64(t.Sent)+told+slack || came < -slack || came > float64(t.Replied)+told+slack {
		return 0, 0, false
	}
	return within(sent, t.Sent), within(came-told, t.Replied), true
}

func within(n float64, most int) int { return min(max(int(math.Round(n)), 0), most) }

// An idle is a time in which nothing was sent on purpose.
type idle struct{ from, to witness.Counters }

func (i idle) seconds() float64 { return i.to.At.Sub(i.from.At).Seconds() }

// intervals are the idle times, and the readings around the train. All readings must be in order of time, and each counter must move from one to
// the next.
func (t Train) intervals() (idles []idle, before, after witness.Counters, ok bool) {
	r := t.Readings
	if len(r) < 3 {
		return nil, before, after, false
	}
	for i := range r[1:] {
		if !moved(r[i], r[i+1]) {
			return nil, before, after, false
		}
	}
	around := 0
	for i := range r[1:] {
		if first, last := i == 0, i == len(r)-2; first && !r[i+1].At.After(t.Began) || last && !r[i].At.Before(t.Ended) {
			idles = append(idles, idle{r[i], r[i+1]})
		}
		if !r[i].At.After(t.Began) && !r[i+1].At.Before(t.Ended) {
			before, after = r[i], r[i+1]
			around++
		}
	}
	return idles, before, after, len(idles) > 0 && around == 1
}

// moved says whether both counters went on from one reading to the next. A session beats five times a second both ways: what does not count
// that counts nothing, or tells it late.
func moved(from, to witness.Counters) bool {
	least := int64(0)
	if to.At.Sub(from.At) >= 2*beatEvery {
		least = 1
	}
	return to.At.After(from.At) && steps(from.Sent, to.Sent) >= least && steps(from.Received, to.Received) >= least
}

// steps is how far a counter moved from one reading to the next. One that wrapped at 2^32 moved on; one that is lower went back.
func steps(from, to uint32) int64 {
	if d := to - from; d <= math.MaxInt32 {
		return int64(d)
	}
	return -1
}

// beyond is how much more a counter moved around the train than the idle rate explains. It is not ok if the other traffic might hide two fifths
// of the train.
func beyond(idles []idle, of func(witness.Counters) uint32, before, after witness.Counters, seconds float64, train int) (float64, bool) {
	moved, span, lowest, highest := 0.0, 0.0, math.Inf(1), 0.0
	for _, i := range idles {
		n := float64(steps(of(i.from), of(i.to)))
		moved, span = moved+n, span+i.seconds()
		lowest, highest = min(lowest, n/i.seconds()), max(highest, n/i.seconds())
	}
	expected := moved / span * seconds
	doubt := max((highest-lowest)*seconds, 3*math.Sqrt(expected))
	return float64(steps(of(before), of(after))) - expected, doubt <= 0.4*float64(train)
}

// counts is what came of a train's packets.
func (t *Train) counts(o Observation) {
	for _, e := range o.Exchanges {
		if e.Stage != StageTrain {
			continue
		}
		t.Sent += truth(e.Sent.State == wire.Seen)
		t.Arrived += truth(e.Arrived.State == wire.Seen)
		t.Replied += truth(e.Replied.State == wire.Seen)
		t.Returned += truth(e.Returned.State == wire.Seen)
	}
}

// read takes a reading of the router's counters, and says whether there is one.
func (w *witnesses) read(ctx context.Context) bool {
	ctx, cancel := context.WithTimeout(ctx, readingWait)
	defer cancel()
	c, err := w.path.router.Counters(ctx)
	if err != nil {
		w.noTrain = "reading the router's packet counters: " + err.Error()
		return false
	}
	w.readings, w.fresh = append(w.readings, c), true
	return true
}

// rest reads the counters twice, with nothing sent on purpose between. The newest reading is the first if nothing was sent since.
func (w *witnesses) rest(ctx context.Context) bool {
	return (w.fresh || w.read(ctx)) && sleep(ctx, idleFor) && w.read(ctx)
}

// trainTakes is how long a train and the reading after it take, as a rule.
func (w *witnesses) trainTakes() time.Duration {
	const beats = trainLength*pace/beatEvery + 1 // of the control, in between
	return (trainLength+beats)*pace + w.settling() + 50*time.Millisecond
}

// settling is how long the last packet's answer, and the server's word of it, are on their way.
func (w *witnesses) settling() time.Duration {
	return min(w.path.heart.Control().RTT()+150*time.Millisecond, time.Second)
}

// train sends one protocol's train, and reads the counters when all of it has come home.
func (w *witnesses) train(ctx context.Context, s *suspect) bool {
	s.train, w.fresh = &Train{Began: time.Now()}, false
	for range trainLength {
		s.say(ctx, StageTrain, 0)
	}
	if !sleep(ctx, w.settling()) {
		return false
	}
	s.train.Ended = time.Now()
	s.before = len(w.readings) - 1
	return w.read(ctx)
}
