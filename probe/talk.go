package probe

import (
	"context"
	"slices"
	"time"

	"vpncheck/probe/wire"
)

// weigh weighs a stage as it stands, while the conversation is still under way: the same law that will judge it afterwards.
func (c *Conversation) weigh(part string, stage Stage) weight {
	o := c.snapshot()
	return scale{probe: c.probe, obs: o, part: c.part(o, part), stage: stage, c: c.path.Circumstances()}.weigh()
}

// part is one of the protocol's parts; the one that decides has all the rounds to play.
func (c *Conversation) part(o Observation, id string) Part {
	if d := decidingPart(c.info, o); d.ID == id {
		return d
	}
	for _, p := range c.info.Parts {
		if p.ID == id {
			return p
		}
	}
	return Part{}
}

// decided says whether more tries could change nothing.
func (c *Conversation) decided(part string, stage Stage) bool {
	w := c.weigh(part, stage)
	return w.verdict != Inconclusive || w.reason == ServerUnproven
}

// stoppedOn says whether a flow that had begun has stopped beyond what loss explains.
func (c *Conversation) stoppedOn(part string, stage Stage, flow int) bool {
	for _, e := range c.weigh(part, stage).because {
		if e.Reason == EvStopped && e.Args["flow"] == flow {
			return true
		}
	}
	return false
}

// decidedOn is decided by the tries of one flow alone: what came before it is no reason to go on with it.
func (c *Conversation) decidedOn(part string, stage Stage, flow int) bool {
	o := c.snapshot()
	o.Exchanges = slices.DeleteFunc(o.Exchanges, func(e Exchange) bool { return e.Stage == stage.ID && e.Flow != flow })
	w := scale{probe: c.probe, obs: o, part: c.part(o, part), stage: stage, c: c.path.Circumstances()}.weigh()
	return w.verdict != Inconclusive
}

// talk asks round after round on one flow, one question outstanding, until the stage is decided, the flow has stopped, or eight seconds
// are over; answers buy time for more. The rounds are spread over the stage's span; while nothing answers they are half a second apart.
func (c *Conversation) talk(ctx context.Context, part string, stage Stage, flow int, ask func(ctx context.Context) Exchange) {
	until := time.Now().Add(maxTime)
	last := until.Add(2 * maxTime)
	law := scale{part: c.part(c.snapshot(), part), stage: stage}
	every := stage.Span/time.Duration(max(1, stage.Rounds-1)) + 2*time.Millisecond
	answered := 0
	for ctx.Err() == nil && !c.path.stopped() && time.Now().Before(until) {
		began := time.Now()
		e := ask(ctx)
		if e.ID == "" {
			return // the budget is spent
		}
		pause := tryEvery
		if e.Returned.State == wire.Seen {
			answered++
			pause = every
			// A slow line is not a lossy one.
			if more := time.Now().Add(time.Duration(max(0, law.rounds()-answered)) * 2 * c.path.Wait()); more.After(until) && more.Before(last) {
				until = more
			}
			if stage.Span > 0 && law.part.Rounds == 0 { // of the deciding part's last stage
				c.advance(float64(answered) / float64(law.rounds()))
			}
		}
		if c.path.prove && answered > 0 {
			return
		}
		if c.decided(part, stage) || c.decidedOn(part, stage, flow) || c.stoppedOn(part, stage, flow) {
			return
		}
		if !sleep(ctx, pause-time.Since(began)) {
			return
		}
	}
}

// advance tells how much of the conversation is done, 0 to 1.
func (c *Conversation) advance(part float64) {
	if c.path.progress != nil {
		c.path.progress(c.info.ID, min(1, part))
	}
}
