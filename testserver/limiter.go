package testserver

import (
	"net/netip"
	"slices"
	"sync"
)

// A limiter bounds how many connections there are of a kind at once, strangers' above all, in all and for one address (one /64 in IPv6). Where
// there is no place left, whoever has waited longest must go: a client is through after a few round trips, and who waits longer may be there
// only to keep the others out.
type limiter struct {
	total, each int

	mu     sync.Mutex
	places []*place // who has waited longest is first
	from   map[netip.Prefix]int
	sites  map[netip.Prefix]int // of IPv6 by /48, of which each has 65,536 /64s
}

// A place is one waiting connection's.
type place struct {
	from, site netip.Prefix
	leave      func()
}

func newLimiter(total, each int) *limiter {
	return &limiter{total: total, each: each, from: make(map[netip.Prefix]int), sites: make(map[netip.Prefix]int)}
}

// enter takes a place for an address; release gives it back and may be called again. leave is called, once at most, if another
// takes the place before. There is no place, and release is nil, for what is no address.
func (l *limiter) enter(a netip.Addr, leave func()) (release func()) {
	household, wide := 64, 48
	if a.Is4() {
		household, wide = 32, 32
	}
	from, err := a.Prefix(household)
	if err != nil || !a.IsValid() {
		return nil
	}
	site, _ := a.Prefix(wide)
	p := &place{from, site, leave}
	l.mu.Lock()
	gone := l.makeRoom(from)
	l.places = append(l.places, p)
	l.from[from]++
	l.sites[site]++
	l.mu.Unlock()
	if gone != nil {
		gone.leave()
	}
	return func() {
		l.mu.Lock()
		defer l.mu.Unlock()
		l.remove(p)
	}
}

// makeRoom takes a place away if there is none left: one of the same address if that has all that it may have, else one of the
// address, or the site, that has the most. It returns whose it was.
func (l *limiter) makeRoom(from netip.Prefix) *place {
	crowd := func(p *place) bool { return p.from == from }
	switch {
	case l.from[from] >= l.each:
	case len(l.places) >= l.total:
		most := 0
		for _, n := range l.sites {
			most = max(most, n)
		}
		crowd = func(p *place) bool { return l.sites[p.site] == most }
	default:
		return nil
	}
	gone := l.places[slices.IndexFunc(l.places, crowd)]
	l.remove(gone)
	return gone
}

func (l *limiter) remove(p *place) {
	at := slices.Index(l.places, p)
	if at < 0 {
		return
	}
	l.places = slices.Delete(l.places, at, at+1)
	if l.from[p.from]--; l.from[p.from] == 0 {
		delete(l.from, p.from)
	}
	if l.sites[p.site]--; l.sites[p.site] == 0 {
		delete(l.sites, p.site)
	}
}
