package testserver

import (
	"crypto/sha256"
	"net/netip"
	"slices"
	"sync"
	"time"

	"vpncheck/probe/wire"
)

const (
	runsFor   = 10 * time.Minute // how long a NAT keeps what a run has left in it (F11)
	maxRuns   = 1024             // laptops remembered; sessions are fewer, so that one of them has always ended
	maxRunsAt = 32               // of them with one access token behind one address
)

// A roof is where runs stand in each other's way: behind one public address. Those of another access token are not told of, nor waited for.
type roof struct {
	access [sha256.Size]byte
	from   netip.Addr
}

// A laptop is what a client says of its own machine: wire.Open.Laptop. The zero laptop says nothing, and is like no other.
type laptop [8]byte

func laptopOf(b []byte) laptop {
	var l laptop
	if len(b) == len(l) {
		l = laptop(b)
	}
	return l
}

// clashes says whether carriers have one without ports, of which a NAT has one mapping for a pair of addresses (F11, T05).
func clashes(carriers []wire.Carrier) bool {
	return slices.ContainsFunc(carriers, func(c wire.Carrier) bool {
		return c == wire.CarrierGRE || c == wire.CarrierESP || c == wire.CarrierAH
	})
}

// runs remember for ten minutes who used carriers without ports, and where. It is in memory only.
type runs struct {
	mu sync.Mutex
	of []*ran
}

// A ran is one laptop's runs under one roof.
type ran struct {
	at      roof
	laptop  laptop
	running int // sessions
	last    time.Time
}

// begin notes that a laptop is about to use such carriers, in one more session. It returns nil for one that is not to be remembered.
func (r *runs) begin(at roof, who laptop, now time.Time) *ran {
	if who == (laptop{}) {
		return nil
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.of = slices.DeleteFunc(r.of, func(x *ran) bool { return x.running == 0 && now.Sub(x.last) >= runsFor })
	same := func(x *ran) bool { return x.at == at && x.laptop == who }
	i := slices.IndexFunc(r.of, same)
	if i < 0 {
		r.makeRoom(at)
		r.of = append(r.of, &ran{at: at, laptop: who})
		i = len(r.of) - 1
	}
	r.of[i].running++
	r.of[i].last = now
	return r.of[i]
}

// makeRoom forgets who ended longest ago: of this roof if that has all that it may have, else of all.
func (r *runs) makeRoom(at roof) {
	here := func(x *ran) bool { return x.at == at }
	count := 0
	for _, x := range r.of {
		if here(x) {
			count++
		}
	}
	if count < maxRunsAt {
		if len(r.of) < maxRuns {
			return
		}
		here = func(*ran) bool { return true }
	}
	oldest := -1
	for i, x := range r.of {
		if here(x) && x.running == 0 && (oldest < 0 || x.last.Before(r.of[oldest].last)) {
			oldest = i
		}
	}
	if oldest >= 0 {
		r.of = slices.Delete(r.of, oldest, oldest+1)
	}
}

// end notes that a session that had begun has ended, or else that it is still at it.
func (r *runs) end(x *ran, now time.Time) {
	if x == nil {
		return
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	x.running--
	x.last = now
}

// others is what a laptop is told of the others under its roof; nil if there are none.
func (r *runs) others(at roof, who laptop, now time.Time) *wire.Others {
	if who == (laptop{}) {
		return nil
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	var o wire.Others
	for _, x := range r.of {
		switch {
		case x.at != at || x.laptop == who:
			continue
		case x.running > 0:
			o.Running++
			o.Last = now
			continue
		case now.Sub(x.last) >= runsFor:
			continue
		}
		o.Count++
		if x.last.After(o.Last) {
			o.Last = x.last
		}
	}
	if o.Count+o.Running == 0 {
		return nil
	}
	o.Last = o.Last.UTC()
	return &o
}
