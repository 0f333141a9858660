package probe

import (
	"context"
	"slices"
	"time"

	"vpncheck/probe/wire"
)

// weigh weighs a stage as it stands, while the conversation is still under way: the same law that will judge it afterwards.
func (c *Conversation) weigh(part string, stage Stage) weight { return c.scale(part, stage).weigh() }

// scale holds what is known of a stage so far.
func (c *Conversation) scale(part string, stage Stage) scale {
	o, known := c.snapshot(), c.path.Circumstances()
	return scale{probe: c.probe, obs: o, part: c.part(o, part), stage: stage, c: known, early: known.Control.loses()}
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

// decided says whether more tries could change nothing, by those of the flows from a number on: what came before them is no reason to go on
// with them, and none to give them up.
func (c *Conversation) decided(part string, stage Stage, from int) bool {
	return c.scale(part, stage).from(from).weigh().decided()
}

// from is a scale without what a stage's flows before a number came to.
func (s scale) from(flow int) scale {
	s.obs.Exchanges = slices.DeleteFunc(s.obs.Exchanges, func(e Exchange) bool { return e.Stage == s.stage.ID && e.Flow < flow })
	return s
}

func (w weight) decided() bool {
	return w.verdict != Inconclusive || w.reason == ServerUnproven || w.reason == ServerFirewall
}

// stopped says whether a flow that had begun has stopped beyond what loss explains.
func (w weight) stopped(flow int) bool {
	return slices.ContainsFunc(w.because, func(e Evidence) bool { return e.Reason == EvStopped && e.Args["flow"] == flow })
}

// stoppedOn says so of a flow as it stands.
func (c *Conversation) stoppedOn(part string, stage Stage, flow int) bool {
	return c.weigh(part, stage).stopped(flow)
}

// enough says whether a stage is decided, or a flow of it has stopped, and stays so once the control's last beats are in, where the line
// loses anything; and whether it has passed.
func (c *Conversation) enough(ctx context.Context, part string, stage Stage, flow int) (over, passed bool) {
	look := func() (over, passed bool) {
		s := c.scale(part, stage)
		w := s.weigh()
		over, passed = w.decided(), w.verdict == Passed
		if flow > 1 {
			over = s.from(flow).weigh().decided()
		}
		return over || w.stopped(flow), passed
	}
	if over, passed = look(); !over || passed || !c.path.heart.Control().loses() {
		return over, passed
	}
	sleep(ctx, c.path.heart.Control().late())
	return look()
}

// spent says whether a conversation has had its time, on a line that loses much: there are others to come. Where the line is good it has as much as
// its stages ask for.
func (c *Conversation) spent() bool {
	control, held := c.path.heart.Control(), time.Since(c.obs.Started)
	switch far := 2 * farTries * c.path.Wait(); {
	case control.hopeless():
		return held > max(hopelessTalk, far)
	case control.lossy():
		return held > max(lossyTalk, far)
	}
	return false
}

// talk asks round after round on one flow, one question outstanding, until the stage is decided, the flow has stopped, or eight seconds
// are over; answers buy time for more. The rounds are spread over the stage's span; while nothing answers they are half a second apart.
// What follows a flow that stopped is asked slowly.
func (c *Conversation) talk(ctx context.Context, part string, stage Stage, flow int, ask func(ctx context.Context) Exchange) {
	try, slow := tryEvery, c.slowed(part)
	if slow {
		try = slowEvery
	}
	if slow && stage.Span > 0 {
		c.talkSlowly(ctx, part, stage, flow, ask)
		return
	}
	began := time.Now()
	until := began.Add(maxTime)
	enough, last := until, until.Add(2*maxTime)
	law := scale{part: c.part(c.snapshot(), part), stage: stage}
	rounds := c.deep(law)
	every := stage.Span/time.Duration(max(1, stage.Rounds-1)) + 2*time.Millisecond
	answered := 0
	for ctx.Err() == nil && !c.path.stopped() {
		lossy := c.path.lossy() && law.part.Rounds == 0
		if far := began.Add(farTries * c.path.Wait()); far.After(until) {
			until = far // there must be time for enough tries that are all waited for
		}
		hopeless := lossy && c.path.heart.Control().hopeless()
		if c.spent() {
			return
		}
		if hopeless && answered == 0 && time.Since(began) > max(hopelessTime, farTries*c.path.Wait()) {
			return
		}
		if now := time.Now(); !now.Before(until) && (!lossy || !now.Before(began.Add(lossyTime)) || hopeless) {
			return
		}
		asked := time.Now()
		e := ask(ctx)
		if e.ID == "" {
			return // the budget is spent
		}
		pause := unsteady(try)
		switch {
		case slow:
			pause = max(pause, try) // never more than one a second
		case lossy:
			pause = unsteady(lossyEvery)
		}
		if e.Returned.State == wire.Seen {
			answered++
			pause = every
			// A slow line is not a lossy one.
			more := time.Now().Add(time.Duration(max(0, rounds-answered)) * 2 * c.path.Wait())
			if more = earliest(more, last); more.After(until) {
				until = more
			}
			if stage.Span > 0 && law.part.Rounds == 0 { // of the deciding part's last stage
				c.advance(float64(answered) / float64(rounds))
			}
		}
		if c.path.prove && answered > 0 {
			return
		}
		if over, passed := c.enough(ctx, part, stage, flow); over && (answered >= rounds || !passed) {
			return
		}
		if time.Now().After(enough) && c.lossyOn(part, stage, flow, maxChance) {
			return // more of the same would tell nothing more; a slower flow may
		}
		if !sleep(ctx, pause-time.Since(asked)) {
			return
		}
	}
}

func earliest(a, b time.Time) time.Time {
	if a.Before(b) {
		return a
	}
	return b
}

// advance tells how much of the conversation is done, 0 to 1.
func (c *Conversation) advance(part float64) {
	if c.path.progress != nil {
		c.path.progress(c.info.ID, min(1, part))
	}
}
