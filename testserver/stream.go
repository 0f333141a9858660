package testserver

import (
	"errors"
	"net"
	"net/netip"
	"sync"
	"time"

	"vpncheck/probe/wire"
	"vpncheck/testserver/gate"
)

// A stream is a TCP connection that is cut into messages. Only its own goroutine uses it.
type stream[M any] struct {
	h           *Host
	carrier     wire.Carrier
	conn        net.Conn
	client, own netip.AddrPort
	parse       func([]byte) (m M, size int, err error)
	most        int // octets in which a message must be whole
	buf         []byte
	session     *gate.Session // nil until a token was shown
}

// read waits for one whole message. What does not become one is handed over, if it came from a session's address. A stranger's may have no
// form at all.
func (c *stream[M]) read(wait time.Duration) (m M, arrived wire.Sighting, ok bool) {
	c.conn.SetReadDeadline(time.Now().Add(wait))
	for {
		if c.session == nil && c.h.randomStream(c.conn, c.client, c.own, c.buf) {
			return m, wire.Sighting{}, false
		}
		whole, n, err := c.parse(c.buf)
		if err == nil {
			arrived = c.h.streamed(c.client, c.own, c.buf[:n:n])
			c.buf = append([]byte(nil), c.buf[n:]...)
			return whole, arrived, true
		}
		if errors.Is(err, wire.ErrShort) && len(c.buf) < c.most {
			b := make([]byte, c.most-len(c.buf))
			if n, _ := c.conn.Read(b); n > 0 {
				c.buf = append(c.buf, b[:n]...)
				continue
			}
		}
		if len(c.buf) > 0 {
			c.h.Stray(c.carrier, c.h.streamed(c.client, c.own, c.buf))
		}
		return m, wire.Sighting{}, false
	}
}

// held counts the connections of each session.
type held struct {
	mu sync.Mutex
	by map[*gate.Session]int
}

// enter says whether a session may hold one more.
func (h *held) enter(s *gate.Session, most int) bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.by[s] >= most {
		return false
	}
	if h.by == nil {
		h.by = make(map[*gate.Session]int)
	}
	h.by[s]++
	return true
}

func (h *held) leave(s *gate.Session) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.by[s]--; h.by[s] == 0 {
		delete(h.by, s)
	}
}
