package probe

import (
	"context"
	"net/netip"
	"sync"
	"time"

	"vpncheck/probe/sock"
	"vpncheck/probe/wire"
)

// beatEvery is the pause between two round trips of a leg of the control: five a second, as the studies of outages used.
const beatEvery = 200 * time.Millisecond

// A heart runs the control in both its legs for as long as the session lives.
type heart struct {
	mint   *wire.Mint
	number func() uint32
	sends  func()         // called for each packet of the UDP leg
	server netip.AddrPort // UDP

	mu    sync.Mutex
	facts Control
	tls   map[uint32]int // ping number -> index of its beat
	udp   map[uint32]int // exchange number -> index of its beat
	nonce [wire.NonceSize]byte
	known *Control      // what Control returned last; nil once something has changed
	fresh time.Duration // until when it is right, since the start
}

func newHeart(mint *wire.Mint, number func() uint32, sends func(), server netip.AddrPort) *heart {
	return &heart{
		mint: mint, number: number, sends: sends, server: server,
		facts: Control{Started: time.Now(), Every: beatEvery},
		tls:   map[uint32]int{}, udp: map[uint32]int{},
	}
}

// run beats until ctx ends. conn is the UDP leg's socket, nil if there is none.
func (h *heart) run(ctx context.Context, l *link, conn sock.Conn) {
	if conn != nil {
		go h.listen(conn)
		defer conn.Close()
	}
	for next := time.Now(); ; {
		h.ping(l)
		if conn != nil {
			h.ask(conn)
		}
		next = next.Add(unsteady(beatEvery))
		tick := time.NewTimer(time.Until(next))
		select {
		case <-tick.C:
		case <-l.done:
			tick.Stop()
			return
		case <-ctx.Done():
			tick.Stop()
			return
		}
	}
}

func (h *heart) ping(l *link) {
	h.mu.Lock()
	n := h.number()
	h.tls[n] = len(h.facts.TLS)
	h.known = nil
	h.facts.TLS = append(h.facts.TLS, Beat{At: time.Since(h.facts.Started)})
	h.mu.Unlock()
	l.write(wire.Message{Ping: &wire.Ping{N: n}})
}

func (h *heart) pong(p wire.Ping) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if i, ok := h.tls[p.N]; ok {
		h.answered(h.facts.TLS, i)
	}
}

func (h *heart) ask(conn sock.Conn) {
	h.sends()
	h.mu.Lock()
	n := h.number()
	h.udp[n] = len(h.facts.UDP)
	h.known = nil
	h.facts.UDP = append(h.facts.UDP, Beat{At: time.Since(h.facts.Started)})
	tag := wire.Tag{Token: h.mint.Make(wire.Question, wire.CarrierControl, n), Nonce: h.nonce}
	h.mu.Unlock()
	// A send that fails is a beat without an answer, like any other.
	conn.Send(sock.Out{Dst: h.server, Payload: tag.Append(nil)})
}

func (h *heart) listen(conn sock.Conn) {
	for {
		s, err := conn.Recv()
		if err != nil {
			return
		}
		tag, err := wire.ParseTag(s.Bytes)
		if err != nil || !h.mint.Valid(wire.Answer, wire.CarrierControl, tag.Token) {
			continue
		}
		h.mu.Lock()
		h.nonce = tag.Nonce
		if i, ok := h.udp[tag.Token.Exchange()]; ok {
			h.answered(h.facts.UDP, i)
		}
		h.mu.Unlock()
	}
}

// answered notes the round trip of a beat; a doubled answer changes nothing.
func (h *heart) answered(leg []Beat, i int) {
	if leg[i].RTT == 0 {
		h.known = nil
		leg[i].RTT = max(time.Microsecond, time.Since(h.facts.Started)-leg[i].At)
	}
}

// Control is what the heart has seen so far. Beats that may still be answered are left out. Nobody changes what it returns.
func (h *heart) Control() Control {
	h.mu.Lock()
	defer h.mu.Unlock()
	now := time.Since(h.facts.Started)
	if h.known != nil && now <= h.fresh {
		return *h.known
	}
	c, wait := h.facts, h.facts.late()
	h.fresh = 1<<63 - 1
	old := func(leg []Beat) (out []Beat) {
		for _, b := range leg {
			if b.RTT > 0 || b.At < now-wait {
				out = append(out, b)
			} else {
				h.fresh = min(h.fresh, b.At+wait)
			}
		}
		return out
	}
	c.UDP, c.TLS = old(h.facts.UDP), old(h.facts.TLS)
	h.known = &c
	return c
}
