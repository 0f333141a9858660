package probe

import (
	"context"
	"time"
)

// An opening is a connection that a protocol is opened on, one of several tries.
type opening[T any] struct {
	t      T
	s      *Stream
	flow   int
	failed string // the stage at which it failed; "" if it did not
}

// persist opens a protocol on connection after connection, each a try of its own (DESIGN, law 4), from flow number on, until one is open or what
// failed is decided; next is the number of the flow that comes after all of these. The first try was made before, and failed. These do not wait for each other: what is lost on one is not heard of before
// TCP has repeated it, and five in a row, or the eight that a bad line asks for, would take too long.
func persist[T any](ctx context.Context, c *Conversation, d dialled, failed string, open func(context.Context, *Stream) (T, string)) (t T, next int, ok bool) {
	own, cancel := context.WithCancel(ctx)
	defer cancel()
	done, pending := make(chan opening[T]), map[int]bool{}
	take := func(o opening[T]) {
		delete(pending, o.flow)
		switch {
		case o.failed != "":
			failed = o.failed
		case !ok:
			t, ok = o.t, true
		default:
			o.s.Close()
		}
	}
	wait := func(most time.Duration) {
		timer := time.NewTimer(most)
		defer timer.Stop()
		for !ok {
			select {
			case o := <-done:
				take(o)
			case <-timer.C:
				return
			}
		}
	}
	for next = d.from; !ok && own.Err() == nil && !c.path.stopped(); next++ {
		if c.decided(d.part, d.stage(failed), d.first) { // by what is under way too: that has its chance, and what the control tells of it
			for len(pending) > 0 && !ok {
				take(<-done)
			}
			if c.path.heart.Control().loses() {
				wait(c.path.heart.Control().late())
			}
		}
		lossy, most := c.path.lossy(), maxTime
		switch {
		case lossy && c.path.heart.Control().hopeless():
			most = hopelessTime
		case lossy:
			most = lossyTime
		}
		if ok || time.Since(d.began) > most || c.decided(d.part, d.stage(failed), d.first) || !c.path.spend() {
			break
		}
		flow := next
		pending[flow] = true
		go func() { done <- openOn(own, c, d, flow, open) }()
		every := tryEvery
		if lossy {
			every = lossyEvery
		}
		wait(unsteady(every))
	}
	for len(pending) > 0 && !ok {
		take(<-done) // the last ones have their chance, too
	}
	cancel()
	for flow := range pending {
		c.callOff(flow)
	}
	for range len(pending) {
		take(<-done)
	}
	return t, next, ok
}

// dialled says what is opened, and where.
type dialled struct {
	part        string
	connect     Stage
	stage       func(id string) Stage
	port        uint16
	first, from int // the flow that the protocol was tried on first, and the next
	began       time.Time
}

func openOn[T any](ctx context.Context, c *Conversation, d dialled, flow int, open func(context.Context, *Stream) (T, string)) opening[T] {
	o := opening[T]{flow: flow, failed: d.connect.ID}
	s := c.attempt(ctx, d.part, d.connect, flow, d.port)
	if s == nil {
		return o
	}
	o.s = s
	if o.t, o.failed = open(ctx, s); o.failed != "" {
		s.Close()
	}
	return o
}

// callOff marks what is under way on a flow as no try: another one has succeeded, and nobody waits for it.
func (c *Conversation) callOff(flow int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for i, e := range c.obs.Exchanges {
		if e.Flow == flow && e.Returned.State == "" {
			c.obs.Exchanges[i].Stage = stageCalledOff
		}
	}
}
