package probe

import (
	"context"
	"math/rand/v2"
	"net/netip"
	"sync"
	"sync/atomic"
	"time"

	"vpncheck/probe/sock"
	"vpncheck/probe/wire"
	"vpncheck/probe/witness"
)

// Path is all that a probe may touch: the addresses, the conversation with the server, the clock. A probe opens no socket of its own.
type Path struct {
	Server netip.Addr // one address for all probes (T37)
	Local  netip.Addr

	pin [20]byte // of the server's key
	web uint16   // the TCP port on which HTTPS is asked

	net   sock.Net
	link  *link
	mint  *wire.Mint
	heart *heart
	ear   icmpEar
	// wireGuard is the laptop's own: its key, and what it opened.
	wireGuard wireGuardPeer
	numbers   atomic.Uint32
	talks     atomic.Uint32
	budget    int
	deep      bool
	router    witness.RouterAsker // nil: nobody asks the gateway
	own       *OwnConfig          // nil: nobody asks the person's own VPN server
	prove     bool                // one answer of each is enough: come only to show that packets arrive
	progress  func(protocol string, part float64)
	waiting   func(protocol string, atMost time.Duration)
	partEnded func(name string)

	// ikeOpened is closed when IKE's opening has been answered or given up: warm ESP comes after it (T27).
	ikeOpened chan struct{}
	ikeOnce   sync.Once

	sharing sync.Mutex
	shared  map[uint16]*sharedPort // by local port

	mu    sync.Mutex
	facts Circumstances
	sent  int
	next  time.Time // when the next packet may leave
}

// pace is the least time between two packets of a run, TCP's not counted: 60 a second, less what a beat of the control may come in between.
const pace = time.Second / 57

// Circumstances is a copy of what is known so far.
func (p *Path) Circumstances() Circumstances {
	p.mu.Lock()
	c := p.facts
	p.mu.Unlock()
	if p.heart != nil {
		c.Control = p.heart.Control()
	}
	return c
}

// Wait is how long to wait for an answer: it follows the round trip that the control measures.
func (p *Path) Wait() time.Duration { return 250*time.Millisecond + 2*p.heart.Control().RTT() }

// lossy says whether the line loses much, as far as the control can tell by now.
func (p *Path) lossy() bool { return p.heart.Control().lossy() }

// ikeDone says that IKE's opening is over.
func (p *Path) ikeDone() { p.ikeOnce.Do(func() { close(p.ikeOpened) }) }

// number is a number that no other exchange of the session has.
func (p *Path) number() uint32 { return p.numbers.Add(1) }

// block is the first of k such numbers in a row.
func (p *Path) block(k uint32) uint32 { return p.numbers.Add(k) - k + 1 }

// stop ends the run with a reason; the first one stands.
func (p *Path) stop(r Reason, args map[string]any) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.facts.Stop == nil {
		p.facts.Stop = &Stop{Reason: r, Args: args, At: time.Now()}
	}
}

// calm notes that the last conversation has ended that is not late.
func (p *Path) calm() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.facts.Calm = time.Now()
}

// over notes that the last conversation has ended.
func (p *Path) over() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.facts.Over = time.Now()
}

// baiting says whether what is late is being asked.
func (p *Path) baiting() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return !p.facts.Calm.IsZero() && p.facts.Over.IsZero()
}

// cut says whether the line, alive when what is late began, has been dead for so long that it will not come back.
func (p *Path) cut() bool {
	c := p.Circumstances()
	last := c.Control.heard()
	most := cutTime
	if c.Control.until(c.Calm).loses() {
		most *= 2
	}
	return last.After(c.Calm.Add(-2*beatEvery-c.Control.late())) && time.Since(last) > most
}

// stopped says whether the run has ended before its time.
func (p *Path) stopped() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.facts.Stop != nil
}

// second is the server's other address. One that the server tells of is no use where it does not know its own (F39). Nor is one that is not
// of the same kind as the first: no server of ours tells of such, and this laptop would send its packets into its own network.
func (p *Path) second() (netip.Addr, bool) {
	s := p.Circumstances().Server
	a, b := s.Second, s.Address
	return a, a.IsGlobalUnicast() && s.Own == b && a.Is4() == b.Is4() && a.IsPrivate() == b.IsPrivate() && a.Zone() == "" && a != p.Local
}

// spend counts a packet, or says that the budget is spent. It is for TCP, which paces itself: each message waits for an answer.
func (p *Path) spend() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.sent >= p.budget {
		return false
	}
	p.sent++
	return true
}

// clear waits until the next packet may leave. It returns false if the budget is spent or the run ended.
func (p *Path) clear(ctx context.Context) bool {
	if !p.spend() {
		return false
	}
	p.mu.Lock()
	now := time.Now()
	at := now
	if p.next.After(now) {
		at = p.next
	}
	p.next = at.Add(pace)
	p.mu.Unlock()
	return sleep(ctx, at.Sub(now))
}

// beat counts a packet of the control, which waits for nobody: the next one of a conversation leaves so much later.
func (p *Path) beat() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.sent++
	if now := time.Now(); p.next.Before(now) {
		p.next = now
	}
	p.next = p.next.Add(pace)
}

// ended notes that a form of a protocol has nothing more to ask.
func (p *Path) ended(protocol, part string) {
	if p.partEnded != nil {
		p.partEnded(protocol + "/" + part)
	}
}

// waits notes that others behind the same address have the turn, and tells whoever looks on.
func (p *Path) waits(protocol string, t wire.Turn) {
	p.mu.Lock()
	o := wire.Others{Last: time.Now()}
	if p.facts.Server.Others != nil {
		o = *p.facts.Server.Others
	}
	o.Running = max(o.Running, t.Ahead, 1)
	p.facts.Server.Others = &o
	p.mu.Unlock()
	if p.waiting != nil {
		p.waiting(protocol, t.AtMost)
	}
}

// others takes the server's last word on who else is behind the same address. Who was there once is not forgotten.
func (p *Path) others(o *wire.Others) {
	if o == nil {
		return
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.facts.Server.Others = o
}

// carriers takes the server's last word on what arrives there.
func (p *Path) carriers(c []wire.CarrierState) {
	if len(c) == 0 {
		return
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.facts.Server.Carriers = c
}

// unsteady is a time that is a quarter longer or shorter, by chance. Questions asked at a steady beat may fall into step with a limiter, which
// then drops all of one sort and none of another (F52).
func unsteady(d time.Duration) time.Duration {
	return d - d/4 + time.Duration(rand.Int64N(int64(d/2)))
}

// sleep waits, and says whether ctx let it.
func sleep(ctx context.Context, d time.Duration) bool {
	if d <= 0 {
		return ctx.Err() == nil
	}
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return true
	case <-ctx.Done():
		return false
	}
}
