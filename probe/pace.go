package probe

import (
	"context"
	"math"
	"slices"
	"time"

	"vpncheck/probe/wire"
)

// A limiter lets a protocol through up to a rate, and drops what is faster (F52, T35). To a conversation at the usual pace it looks like a
// block or like a bad line. So a flow that stops, or that loses more than the line does, is followed by a fresh one at one question a
// second: what gets through there, and did not before, is limited and not blocked.
const (
	slowEvery = 1050 * time.Millisecond // between two questions
	slowLeast = 900 * time.Millisecond  // what counts as slow, afterwards
	slowRatio = 1.5                     // as much slower than the flow before
	slowFew   = 5                       // answers that it takes at least
	slowLost  = 3                       // losses that are enough to call a slow flow lossy
	slowTime  = 16 * time.Second        // of questions, unless answers or losses ask for more

	// mayBeLuck is the chance above which two flows are held to lose alike.
	mayBeLuck = 0.01
)

// limited says whether a limiter is recognised: an earlier flow stopped or lost more than the control, and a slow one went well.
func (s scale) limited(tries []try) (weight, bool) {
	usual, slow := s.paces(tries)
	if s.c.Control.hopeless() { // there, what goes better for a while does so by luck often enough
		return weight{}, false
	}
	if len(slow) == 0 || countGood(slow) < slowFew || countKills(slow) > 0 {
		return weight{}, false
	}
	if p, _ := s.uneven(slow); p < mayBeLuck {
		return weight{}, false
	}
	pace := Evidence{Reason: EvPace, Exchanges: ids(slow), Args: map[string]any{"asked": len(slow), "returned": countGood(slow)}}
	if stop, ok := s.stop(usual, usual[0].e.Flow); ok && countGood(usual) > 0 {
		if alive := usual[:len(usual)-len(afterLastGood(usual))]; len(alive) > slowFew && tempo(alive[len(alive)-slowFew-1:]) >= slowLeast {
			return weight{}, false // it was slow enough itself when it was stopped, as a tunnel is that is held
		}
		// It got further than a count of packets, or of octets, would have let it, had that been what stopped the other.
		if countGood(slow) <= len(usual)-len(afterLastGood(usual))+s.margin(usual) {
			return weight{}, false
		}
		return weight{verdict: Passed, reason: RateLimit, because: append(stop, pace)}, true
	}
	p, more := s.uneven(usual)
	if p >= maxChance || fisherMore(countLost(usual), len(usual), countLost(slow), len(slow)) >= mayBeLuck {
		return weight{}, false
	}
	return weight{verdict: Passed, reason: RateLimit, because: []Evidence{more, pace}}, true
}

// paces are the stage's first flow, and the last one that was asked slowly.
func (s scale) paces(tries []try) (usual, slow []try) {
	for _, flow := range flows(tries) {
		flow = filter(flow, func(t try) bool { return !t.ours() })
		switch {
		case len(flow) == 0:
		case usual == nil:
			usual = flow
		case tempo(flow) >= slowLeast && float64(tempo(flow)) >= slowRatio*float64(tempo(usual)):
			slow = flow
		}
	}
	return usual, slow
}

// tempo is the median time from a question that was answered to the next: those that are not take as long as the wait for an answer does.
func tempo(flow []try) time.Duration {
	var gaps []time.Duration
	for i, t := range flow[1:] {
		if flow[i].good() {
			gaps = append(gaps, t.e.Sent.At.Sub(flow[i].e.Sent.At))
		}
	}
	if len(gaps) == 0 {
		return 0
	}
	slices.Sort(gaps)
	return gaps[len(gaps)/2]
}

// margin is how many of a flow's last questions may have been lost by the line before the flow was stopped: none, where it loses nothing.
func (s scale) margin(flow []try) int {
	sent, lost := s.window(flow)
	if lost == 0 {
		return 0
	}
	return int(math.Ceil(math.Log(maxChance) / math.Log(float64(lost)/float64(sent+1))))
}

// uneven is the chance that a flow loses as much as it does on a line that loses as much as the control does, in the same window. Losses
// closer together than the control's bursts count as one where that makes it likelier.
func (s scale) uneven(flow []try) (float64, Evidence) {
	flow = filter(flow, func(t try) bool { return !t.ours() })
	sent, lost := s.window(flow)
	gone := filter(flow, func(t try) bool { return !t.good() })
	apart := spread(gone, s.c.Control.burst(s.c.Control.leg()))
	p := max(fisherMore(len(gone), len(flow), lost, sent), fisherMore(apart, len(flow)-len(gone)+apart, lost, sent))
	return p, Evidence{Reason: EvUneven, Exchanges: ids(gone), Args: map[string]any{
		"p": p, "lost": len(gone), "tries": len(flow), "control_lost": lost, "control": sent,
	}}
}

// window counts the control's round trips, and the lost ones, around some tries.
func (s scale) window(tries []try) (sent, lost int) {
	if len(tries) == 0 {
		return 0, 0
	}
	first, last := tries[0].e.Sent.At, tries[len(tries)-1].e.Sent.At
	return s.c.Control.tally(s.c.Control.leg(), first.Add(-minSpan), last.Add(s.c.Control.late()))
}

// ours says that it arrived and our own server chose to be silent: the network had no part in that.
func (t try) ours() bool { return t.arrived && !t.replied && !t.returned && t.e.Silent != "" }

func countLost(tries []try) int { return len(tries) - countGood(tries) }

func ids(tries []try) []string {
	out := make([]string, len(tries))
	for i, t := range tries {
		out[i] = t.e.ID
	}
	return out
}

// again says whether a flow calls for a fresh one: it stopped, or loses more than the line does. From then on the part is asked slowly. It
// is for the part that decides: others would take from a limiter what is left for that one.
func (c *Conversation) again(part string, stage Stage, flow int) bool {
	if c.scale(part, stage).part.Rounds > 0 || c.path.heart.Control().hopeless() {
		return false
	}
	if !c.stoppedOn(part, stage, flow) && !c.lossyOn(part, stage, flow, maxChance) {
		return false
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.slow[part] = true
	return true
}

// slowed says whether a part is asked slowly by now.
func (c *Conversation) slowed(part string) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.slow[part]
}

// lossyOn says whether the flow of a part that decides loses more than the control does, by a chance below p.
func (c *Conversation) lossyOn(part string, stage Stage, flow int, p float64) bool {
	s := c.scale(part, stage)
	if s.part.Rounds > 0 || c.path.prove {
		return false
	}
	tries, _ := s.tries()
	tries = filter(tries, func(t try) bool { return t.e.Flow == flow })
	if countGood(tries) == 0 || countKills(tries) > 0 {
		return false
	}
	chance, _ := s.uneven(tries)
	return chance < p
}

// talkSlowly is talk at one question a second. It ends when a limiter is recognised, or when there can be none.
func (c *Conversation) talkSlowly(ctx context.Context, part string, stage Stage, flow int, ask func(ctx context.Context) Exchange) {
	until := time.Now().Add(max(slowTime, c.toOutrun(part, stage)))
	last := until.Add(maxTime)
	next := time.Now().Add(slowEvery) // what was asked before counts with a limiter, too
	for sleep(ctx, time.Until(next)) && !c.path.stopped() && next.Before(until) {
		next = time.Now().Add(slowEvery)
		e := ask(ctx)
		if e.ID == "" {
			return
		}
		if c.weigh(part, stage).reason == RateLimit || c.stoppedOn(part, stage, flow) || c.stillLossy(part, stage, flow) {
			return
		}
		if e.Returned.State != wire.Seen && until.Before(last) {
			until = until.Add(slowEvery)
		}
	}
}

// toOutrun is the time that a slow flow needs to get further than the first one did, and to be seen to stop.
func (c *Conversation) toOutrun(part string, stage Stage) time.Duration {
	s := c.scale(part, stage)
	tries, _ := s.tries()
	usual, _ := s.paces(tries)
	return time.Duration(countGood(usual)+minTries) * slowEvery
}

// stillLossy says that a slow flow is no better than one that had lost much: it has lost enough itself.
func (c *Conversation) stillLossy(part string, stage Stage, flow int) bool {
	s := c.scale(part, stage)
	tries, _ := s.tries()
	usual, _ := s.paces(tries)
	if _, stopped := s.stop(usual, 0); stopped {
		return false // the question is whether this one stops, too
	}
	slow := filter(tries, func(t try) bool { return t.e.Flow == flow })
	return countLost(slow) >= slowLost
}
