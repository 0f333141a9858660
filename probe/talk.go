package probe

import (
	"context"
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

// talk asks round after round on one flow, one question outstanding, until the stage is decided, the flow has stopped, or eight seconds
// are over. The rounds are spread over the stage's span; while nothing answers they are half a second apart.
func (c *Conversation) talk(ctx context.Context, part string, stage Stage, flow int, ask func(ctx context.Context) Exchange) {
	ctx, cancel := context.WithTimeout(ctx, maxTime)
	defer cancel()
	law := scale{part: c.part(c.snapshot(), part), stage: stage}
	every := stage.Span/time.Duration(max(1, stage.Rounds-1)) + 2*time.Millisecond
	answered := 0
	for ctx.Err() == nil && !c.path.stopped() {
		began := time.Now()
		e := ask(ctx)
		if e.ID == "" {
			return // the budget is spent
		}
		pause := tryEvery
		if e.Returned.State == wire.Seen {
			answered++
			pause = every
			c.advance(float64(answered) / float64(law.rounds()))
		}
		if c.path.prove && answered > 0 {
			return
		}
		if c.decided(part, stage) || c.stoppedOn(part, stage, flow) {
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
