package probe

import (
	"cmp"
	"context"
	"slices"
	"sync"
	"time"

	"vpncheck/probe/witness"
)

// After the conversations, where something that was asked did not pass, the witnesses are asked who stopped it. The verdicts are in by then,
// and nothing found here changes one: the circumstances that they rest on are kept as they were.

const (
	witnessTime = 5 * time.Second // for all of them
	// A router takes about two seconds to tell of itself, in which an open run is not over. Where it is, it is not waited for.
	routerGrace = 300 * time.Millisecond
	routerWait  = 2500 * time.Millisecond // where something did not pass
	readyWait   = 1500 * time.Millisecond
)

// askRouter asks the gateway about itself, aside: it must not hold up a run in which all is well.
func (r *run) askRouter(ctx context.Context) <-chan witness.Router {
	if r.path.router == nil || r.path.prove {
		return nil
	}
	answer := make(chan witness.Router, 1)
	go func() { answer <- r.path.router.Router(ctx) }()
	return answer
}

// settle keeps the circumstances that the verdicts rest on, with what the router says of itself, and returns what did not pass.
func (r *run) settle(ctx context.Context, router <-chan witness.Router) []*suspect {
	if ctx.Err() != nil || r.path.stopped() {
		return nil
	}
	c := r.path.Circumstances()
	r.mu.Lock()
	c.Beside = r.beside(c)
	r.mu.Unlock()
	r.settled = &c
	suspects := r.suspects(c)
	if router == nil {
		return suspects
	}
	wait := routerGrace
	if len(suspects) > 0 {
		wait = routerWait
	}
	timer := time.NewTimer(wait)
	defer timer.Stop()
	select {
	case says := <-router:
		c.Router = &says
	case <-timer.C:
		c.Router = &witness.Router{Look: witness.Look{Why: "it had not answered by the end of the run"}}
	case <-ctx.Done():
	}
	return suspects
}

// A suspect is a protocol that did not pass.
type suspect struct {
	tracing
	probe   Tracer
	obs     *Observation
	finding Finding
	train   *Train
	before  int // the place of the reading before the train
	noTrain string
}

// suspectsFirst is the order in which they are asked, while there is time: the protocols that most VPNs need come first.
var suspectsFirst = []string{"natt", "ike", "esp", "l2tp", "sstp", "pptp", "ikev2", "l2tp-ipsec", "openvpn-udp", "openvpn-tcp", "wireguard", "gre", "ah"}

// suspects are those whose culprit may be found out.
func (r *run) suspects(c Circumstances) []*suspect {
	var out []*suspect
	for i, p := range r.probes {
		t, ok := p.(Tracer)
		if !ok || r.obs[i] == nil || r.path.prove {
			continue
		}
		if f := Judge(p, *r.obs[i], c); worthAsking(f) {
			out = append(out, &suspect{probe: t, obs: r.obs[i], finding: f})
		}
	}
	place := func(s *suspect) int {
		i := slices.Index(suspectsFirst, s.finding.Protocol)
		return cmp.Or(i+1, len(suspectsFirst)+1)
	}
	slices.SortStableFunc(out, func(a, b *suspect) int { return cmp.Compare(place(a), place(b)) })
	return out
}

// worthAsking says whether somebody on the way may have stopped it. Whom the evidence names already need not be looked for.
func worthAsking(f Finding) bool {
	switch f.Verdict {
	case BlockedOut, BlockedBack, Stalled:
		return f.Reason != LaptopFirewall && f.Reason != LaptopDropsAnswers && f.Reason != OSRefuses && f.Reason != NoRoute
	case Inconclusive:
		return slices.Contains([]Reason{ServerUnproven, ServerBlind, NotEnoughTries, TooLossy, StoppedMidway, StoppedOnce}, f.Reason)
	}
	return false
}

// witnesses are asked together: hops whose answers tell how far packets came, and the router's counters.
type witnesses struct {
	path     *Path
	control  *tracing // nil if it cannot be asked
	suspects []*suspect
	until    time.Time

	deaf      string // why no hop is heard
	rounds    int
	lastRound time.Time

	noTrain  string // why there are no trains; "" if nobody knows of a router to ask
	readings []witness.Counters
	fresh    bool // nothing was sent on purpose since the last one
	rested   bool // the last two were taken with nothing on purpose between
}

// ask asks them, for five seconds at most.
func (r *run) ask(ctx context.Context, suspects []*suspect) {
	if len(suspects) == 0 || ctx.Err() != nil || r.path.stopped() || r.path.heart.Control().hopeless() {
		return // where half of everything is lost it has taken long already
	}
	w := &witnesses{path: r.path, suspects: suspects, until: time.Now().Add(witnessTime - r.path.Wait()), deaf: r.path.ear.why()}
	defer w.close(ctx)
	counts := w.counts(r.settled.Router)
	if w.deaf != "" && !counts {
		return
	}
	r.event(Event{Kind: "witness"})
	ctx, cancel := context.WithTimeout(ctx, witnessTime)
	defer cancel()
	w.open(ctx)
	if w.deaf == "" {
		w.hopRound(ctx)
	}
	counts = counts && w.rest(ctx)
	for _, s := range w.suspects {
		if counts && w.mayTrain(s) {
			counts = w.train(ctx, s)
			w.hopsWhenDue(ctx, 0)
		}
	}
	for w.moreHops() && w.inTime(hopEvery) && ctx.Err() == nil {
		w.hopsWhenDue(ctx, hopEvery)
	}
	w.rested = counts && w.rest(ctx)
	sleep(ctx, min(w.settling(), time.Until(w.until)))
}

// mayTrain says whether a suspect is to have a train, and notes why it is not.
func (w *witnesses) mayTrain(s *suspect) bool {
	udp := func(s *suspect) bool { return s.finding.Reason == UDPFiltered }
	trains, udps := 0, 0
	for _, other := range w.suspects {
		if other.train != nil {
			trains, udps = trains+1, udps+truth(udp(other))
		}
	}
	switch {
	case s.Trace == nil:
		s.noTrain = s.why
	case s.Flow == nil:
		s.noTrain = "a train of attempts to connect is nothing that a test should send"
	case udp(s) && udps > 0:
		s.noTrain = "UDP as a whole does not get through: another protocol's train tells of it"
	case trains >= maxTrains || !w.inTime(w.trainTakes()+idleFor):
		s.noTrain = "there was no time for it"
	}
	return s.noTrain == ""
}

// inTime says whether something that takes so long may still be begun.
func (w *witnesses) inTime(takes time.Duration) bool { return !time.Now().Add(takes).After(w.until) }

// hopsWhenDue asks another round of hops, if it is due within so long.
func (w *witnesses) hopsWhenDue(ctx context.Context, wait time.Duration) {
	due := hopEvery - time.Since(w.lastRound)
	if w.moreHops() && due <= wait && sleep(ctx, due) {
		w.hopRound(ctx)
	}
}

// counts says whether the router's counters can be read.
func (w *witnesses) counts(says *witness.Router) bool {
	switch {
	case says == nil:
		return false
	case !says.Looked:
		w.noTrain = cmp.Or(says.Why, "no router told of itself")
	case !says.Counts:
		w.noTrain = cmp.Or(says.CountsWhy, "the router has no packet counters to read")
	}
	return says.Looked && says.Counts
}

// tracings are the control's, if there is one, and the suspects'.
func (w *witnesses) tracings() []*tracing {
	var out []*tracing
	if w.control != nil {
		out = append(out, w.control)
	}
	for _, s := range w.suspects {
		if s.Trace != nil {
			out = append(out, &s.tracing)
		}
	}
	return out
}

// open declares a conversation for each, side by side.
func (w *witnesses) open(ctx context.Context) {
	ctx, cancel := context.WithTimeout(ctx, readyWait)
	defer cancel()
	var all sync.WaitGroup
	begin := func(t *tracing, p Tracer, o Observation, f Finding) {
		c, err := w.path.Conversation(ctx, p)
		if err != nil {
			t.why = err.Error()
			return
		}
		trace, err := p.Trace(c, o, f)
		if err != nil {
			t.why = err.Error()
			c.Finish(ctx)
			return
		}
		t.c, t.Trace = c, trace
	}
	control := &tracing{control: true}
	if w.path.facts.Server.Control != 0 {
		all.Go(func() { begin(control, pulse{}, Observation{}, Finding{}) })
	}
	for _, s := range w.suspects {
		all.Go(func() { begin(&s.tracing, s.probe, *s.obs, s.finding) })
	}
	all.Wait()
	if control.Trace != nil {
		w.control = control
	}
}

// close ends the conversations, and puts what was found into the observations.
func (w *witnesses) close(ctx context.Context) {
	all := w.tracings()
	seen := make([]Observation, len(all))
	var done sync.WaitGroup
	for i, t := range all {
		done.Go(func() { seen[i] = t.close(ctx) })
	}
	done.Wait()
	var control []Hop
	if w.control != nil {
		control, seen = hopsOf(seen[0], true), seen[1:]
	}
	for _, s := range w.suspects {
		var own Observation
		if s.Trace != nil {
			own, seen = seen[0], seen[1:]
		}
		if hops := hopsOf(own, false); len(hops) > 0 {
			s.obs.Hops = append(hops, control...)
		} else {
			s.obs.HopsWhy = cmp.Or(w.deaf, s.why, "no packet with a limited TTL could be sent")
		}
		s.obs.Train = w.trainOf(s, own)
	}
}

// trainOf is what is known of a suspect's train: nil if nobody knows of a router to ask.
func (w *witnesses) trainOf(s *suspect, own Observation) *Train {
	t := s.train
	switch {
	case t != nil && !t.Ended.IsZero():
		t.counts(own)
		t.Readings = readingsFor(w.readings, s.before, w.rested)
	case w.noTrain != "":
		t = &Train{Why: w.noTrain}
	case s.noTrain != "":
		t = &Train{Why: s.noTrain}
	}
	return t
}

// readingsFor are the readings that a train needs: the idle ones at both ends, and those around it.
func readingsFor(all []witness.Counters, before int, rested bool) []witness.Counters {
	var out []witness.Counters
	for i, r := range all {
		if i < 2 || i == before || i == before+1 || rested && i >= len(all)-2 {
			out = append(out, r)
		}
	}
	return out
}
