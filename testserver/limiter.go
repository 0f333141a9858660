package testserver

import (
	"net/netip"
	"sync"
)

// A limiter bounds how many strangers' connections wait at once, in all and for one address (one /64 in IPv6).
type limiter struct {
	total, each int

	mu   sync.Mutex
	n    int
	from map[netip.Prefix]int
}

func newLimiter(total, each int) *limiter {
	return &limiter{total: total, each: each, from: make(map[netip.Prefix]int)}
}

// enter takes a place for an address; release gives it back and may be called again. It returns nil if there is none.
func (l *limiter) enter(a netip.Addr) (release func()) {
	bits := 64
	if a.Is4() {
		bits = 32
	}
	p, err := a.Prefix(bits)
	if err != nil {
		return nil
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.n >= l.total || l.from[p] >= l.each {
		return nil
	}
	l.n++
	l.from[p]++
	return sync.OnceFunc(func() {
		l.mu.Lock()
		defer l.mu.Unlock()
		l.n--
		if l.from[p]--; l.from[p] == 0 {
			delete(l.from, p)
		}
	})
}
