package probe

import (
	"fmt"
	"net/netip"
	"slices"
	"sync"
	"time"

	"vpncheck/probe/wire"
)

const (
	// tooBig is the code of "fragmentation needed" (RFC 1191), which refuses nothing.
	tooBig = 4
	// maxICMP are the ICMP errors that are kept of one exchange, and maxQuote the octets of the packet that each quotes (RFC 4884 pads a
	// quote to that).
	maxICMP  = 8
	maxQuote = 128
	// maxUnread are the ICMP errors kept that fit no packet yet: a router at hand answers before this end has filed what it sent.
	maxUnread = 32
	unreadFor = time.Second
)

// An icmpEar hears the ICMP errors about this run's packets, where the system lets us hear any.
type icmpEar struct {
	mu     sync.Mutex
	deaf   string // why nothing is heard
	unread []heardICMP
}

// A heardICMP is an ICMP error, and who sent it.
type heardICMP struct {
	m wire.ICMPError
	s wire.Sighting
}

// sighting is what a report keeps of it.
func (h heardICMP) sighting() wire.ICMPSighting {
	out := wire.ICMPSighting{At: h.s.At, From: h.s.Src.Addr().Unmap(), Type: h.m.Type, Code: h.m.Code}
	if h.s.TTL != nil {
		out.TTL = *h.s.TTL
	}
	quote := h.s.Bytes[min(len(h.s.Bytes), 8):]
	out.Quote = slices.Clone(quote[:min(len(quote), maxQuote)])
	return out
}

// why says why no ICMP is heard; "" if it is.
func (e *icmpEar) why() string {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.deaf
}

func (e *icmpEar) close(why string) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.deaf = why
}

// listenICMP files what ICMP says of this run's packets. Sockets hardly tell (T34): an error surfaces late, on another call, and without
// its sender, on whom everything depends (T17). It returns at once, and hears until stop is closed.
func (p *Path) listenICMP(stop <-chan struct{}) {
	if !p.Local.Is4() {
		p.ear.close("vpncheck listens to ICMP over IPv4 only")
		return
	}
	conn, err := p.net.Raw(wire.IPProtoICMP, p.Local)
	if err != nil {
		p.ear.close(err.Error())
		return
	}
	go func() {
		<-stop
		conn.Close()
	}()
	go func() {
		for {
			s, err := conn.Recv()
			if err != nil {
				return
			}
			m, err := wire.ParseICMPError(s.Bytes)
			if err == nil && (m.Type == wire.ICMPUnreachable || m.Type == wire.ICMPTimeExceeded) {
				p.hear(heardICMP{m, s})
			}
		}
	}()
}

// hear files an ICMP error under the exchange whose question it quotes.
func (p *Path) hear(h heardICMP) {
	if p.fileICMP(h) {
		return
	}
	p.ear.mu.Lock()
	defer p.ear.mu.Unlock()
	if len(p.ear.unread) < maxUnread {
		p.ear.unread = append(p.ear.unread, h)
	}
}

// rehear offers once more what fitted nothing when it came, a moment ago.
func (p *Path) rehear() {
	p.ear.mu.Lock()
	unread := p.ear.unread
	p.ear.unread = nil
	p.ear.mu.Unlock()
	for _, h := range unread {
		if time.Since(h.s.At) < unreadFor {
			p.hear(h)
		}
	}
}

func (p *Path) fileICMP(h heardICMP) bool {
	public := p.Circumstances().Server.Client.Addr()
	best := p.link.best(func(e *Exchange) int {
		if e.From != Client {
			return 0
		}
		return max(quotes(h.m, e.Sent), quotes(h.m, from(e.Sent, public))) // not every NAT translates the quote back
	})
	if best.c == nil {
		return false
	}
	best.c.editAt(best.at, func(e *Exchange) {
		if h.m.Type == wire.ICMPTimeExceeded && best.unsure {
			return // it was asked of several hops, and nobody can say which of them answered
		}
		if len(e.ICMPAtClient) < maxICMP {
			e.ICMPAtClient = append(slices.Clip(e.ICMPAtClient), h.sighting())
		}
		// It is evidence of a refusal in the server's name, no more: routers forge the sender.
		if h.m.Type == wire.ICMPUnreachable && h.m.Code != tooBig && e.Returned.State != wire.Seen && h.s.At.Sub(e.Sent.At) <= refusedWithin {
			e.Refused = fmt.Sprintf("icmp %d/%d from %s", h.m.Type, h.m.Code, h.s.Src.Addr().Unmap())
		}
	})
	return true
}

// refusedWithin is how late a refusal may come and still be one of that try.
const refusedWithin = 3 * time.Second

func from(s wire.Sighting, a netip.Addr) wire.Sighting {
	s.Src = netip.AddrPortFrom(a, s.Src.Port())
	return s
}

// came files an ICMP error that reached the server under the exchange whose answer it quotes, and where the quote cannot be read, under the newest
// answer of that carrier. One that quotes another packet is about none of ours: anybody who forges the client's address can send it.
func (l *link) came(m wire.Came) {
	i := m.ICMP
	i.Quote = i.Quote[:min(len(i.Quote), maxQuote)]
	i.From = i.From.WithZone("")
	best := fit{}
	if q, err := wire.ParseICMPQuote(i.Quote); err == nil {
		best = l.best(func(e *Exchange) int { return quotes(q, e.answer()) })
	} else if c := l.talk(m.Conversation); c != nil {
		best = c.best(func(e *Exchange) int { return truth(c.carrier(*e) == m.Carrier && e.answer().State == wire.Seen) })
	}
	if best.c == nil {
		return
	}
	best.c.editAt(best.at, func(e *Exchange) {
		if len(e.ICMPAtServer) < maxICMP {
			e.ICMPAtServer = append(slices.Clip(e.ICMPAtServer), i)
		}
	})
}

// answer is what the server sent in an exchange.
func (e *Exchange) answer() wire.Sighting {
	if e.From == Server {
		return e.Sent
	}
	return e.Replied
}

// A fit is the exchange that something is most likely about: c is nil if it is about none.
type fit struct {
	c      *Conversation
	at     int // in its observation's exchanges
	score  int
	sent   time.Time
	ttl    uint8
	unsure bool // it fits another one as well, that was sent with another TTL
}

// better is the better of two fits, the later one if they are equal.
func (f fit) better(g fit) fit {
	switch {
	case g.score > f.score:
		return g
	case g.score < f.score || g.score == 0:
		return f
	}
	if f.sent.After(g.sent) {
		f, g = g, f
	}
	g.unsure = f.unsure || g.unsure || f.ttl != g.ttl
	return g
}

// best is the best fit among all conversations, those included that have ended.
func (l *link) best(score func(*Exchange) int) (out fit) {
	for _, c := range l.all() {
		out = out.better(c.best(score))
	}
	return out
}

func (c *Conversation) best(score func(*Exchange) int) (out fit) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for i := range c.obs.Exchanges {
		e := &c.obs.Exchanges[i]
		f := fit{c: c, at: i, score: score(e), sent: e.Sent.At}
		if e.Sent.TTL != nil {
			f.ttl = *e.Sent.TTL
		}
		out = out.better(f)
	}
	return out
}

func (c *Conversation) editAt(i int, f func(*Exchange)) {
	c.mu.Lock()
	defer c.mu.Unlock()
	f(&c.obs.Exchanges[i])
}

// lateICMP brings an observation's ICMP errors up to date: some come after the conversation has ended.
func (l *link) lateICMP(o *Observation) {
	at := map[string]int{}
	for i, e := range o.Exchanges {
		at[e.ID] = i
	}
	for _, c := range l.all() {
		for _, e := range c.snapshot().Exchanges {
			if i, ok := at[e.ID]; ok {
				o.Exchanges[i].ICMPAtClient, o.Exchanges[i].ICMPAtServer = e.ICMPAtClient, e.ICMPAtServer
			}
		}
	}
}
