package probe

import (
	"cmp"
	"context"
	"slices"
	"time"

	"vpncheck/probe/wire"
)

const (
	maxHop    = 4 // the router, a second one, the provider's: who did it is nobody behind those
	hopRounds = 3
	hopEvery  = time.Second // no hop is asked more often by one protocol; Linux answers six at once, and then one a second
)

// hopsOf is what came of packets with a limited TTL, in order of it.
func hopsOf(o Observation, control bool) []Hop {
	var hops []Hop
	for _, e := range o.Exchanges {
		if e.Stage != StageHop || e.Sent.State != wire.Seen || e.Sent.TTL == nil {
			continue
		}
		ttl := int(*e.Sent.TTL)
		i := slices.IndexFunc(hops, func(h Hop) bool { return h.TTL == ttl })
		if i < 0 {
			i = len(hops)
			hops = append(hops, Hop{TTL: ttl, Control: control})
		}
		h := &hops[i]
		h.Asked++
		if e.Arrived.State == wire.Seen || e.Returned.State == wire.Seen {
			h.Arrived++
		}
		for _, m := range e.ICMPAtClient {
			if m.Type == wire.ICMPTimeExceeded && m.Code == 0 {
				h.Answers = append(h.Answers, m)
			}
		}
	}
	slices.SortFunc(hops, func(a, b Hop) int { return cmp.Compare(a.TTL, b.TTL) })
	return hops
}

// hopRound asks every hop that has not answered yet, the control's packets and the protocols' taking turns. What lies behind the server
// need not be asked.
func (w *witnesses) hopRound(ctx context.Context) {
	w.rounds++
	w.lastRound, w.fresh = time.Now(), false
	for ttl := 1; ttl <= maxHop; ttl++ {
		for _, t := range w.tracings() {
			if wantsHop(hopsOf(t.c.snapshot(), t.control), ttl) && w.inTime(0) {
				t.say(ctx, StageHop, uint8(ttl))
			}
		}
	}
}

// wantsHop says whether a hop is still to be asked.
func wantsHop(hops []Hop, ttl int) bool {
	for _, h := range hops {
		if h.Arrived > 0 && h.TTL <= ttl || h.TTL == ttl && len(h.Answers) > 0 {
			return false
		}
	}
	return true
}

// moreHops says whether another round could tell more.
func (w *witnesses) moreHops() bool {
	if w.deaf != "" || w.rounds >= hopRounds {
		return false
	}
	for _, t := range w.tracings() {
		hops := hopsOf(t.c.snapshot(), t.control)
		for ttl := 1; ttl <= maxHop; ttl++ {
			if wantsHop(hops, ttl) {
				return true
			}
		}
	}
	return false
}
