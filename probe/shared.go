package probe

import (
	"net"
	"net/netip"
	"sync"
	"time"

	"vpncheck/probe/sock"
	"vpncheck/probe/wire"
)

// sharedQueue is how many packets a flow on a shared port may leave unread.
const sharedQueue = 64

// A sharedPort is a socket on a local UDP port that several conversations use side by side: two IPsec VPNs both leave from ports 500 and 4500.
// Each gets all that comes, and knows its own by the tokens.
type sharedPort struct {
	path *Path
	conn sock.Conn

	sending sync.Mutex

	mu   sync.Mutex
	ends map[*sharedEnd]struct{}
}

// A sharedEnd is one conversation's end of it.
type sharedEnd struct {
	port   *sharedPort
	in     chan wire.Sighting
	closed chan struct{}
	once   sync.Once
}

// sharedUDP is UDP from a local port that other conversations may have as well, by the same means.
func (c *Conversation) sharedUDP(local, port uint16, carrier wire.Carrier, read func(wire.Sighting) (wire.Tag, bool)) (*Flow, error) {
	conn, err := c.path.sharedPort(local)
	if err != nil {
		return nil, refusal(err)
	}
	return c.flow(conn, wire.IPProtoUDP, netip.AddrPortFrom(c.path.Server, port), carrier, read), nil
}

func (p *Path) sharedPort(local uint16) (sock.Conn, error) {
	p.sharing.Lock()
	defer p.sharing.Unlock()
	s := p.shared[local]
	if s == nil {
		conn, err := p.net.UDP(netip.AddrPortFrom(p.Local, local))
		if err != nil {
			return nil, err
		}
		s = &sharedPort{path: p, conn: conn, ends: map[*sharedEnd]struct{}{}}
		if p.shared == nil {
			p.shared = map[uint16]*sharedPort{}
		}
		p.shared[local] = s
		go s.listen()
	}
	e := &sharedEnd{port: s, in: make(chan wire.Sighting, sharedQueue), closed: make(chan struct{})}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.ends[e] = struct{}{}
	return e, nil
}

func (s *sharedPort) listen() {
	for {
		got, err := s.conn.Recv()
		if err != nil {
			return
		}
		s.mu.Lock()
		for e := range s.ends {
			select {
			case e.in <- got:
			default: // as a socket's buffer: what nobody reads is lost
			}
		}
		s.mu.Unlock()
	}
}

// Send implements sock.Conn.
func (e *sharedEnd) Send(o sock.Out) (wire.Sighting, error) {
	e.port.sending.Lock()
	defer e.port.sending.Unlock()
	return e.port.conn.Send(o)
}

// Recv implements sock.Conn.
func (e *sharedEnd) Recv() (wire.Sighting, error) {
	select {
	case s := <-e.in:
		return s, nil
	case <-e.closed:
		return wire.Sighting{}, net.ErrClosed
	}
}

// SetReadDeadline implements sock.Conn. No flow has one.
func (e *sharedEnd) SetReadDeadline(time.Time) error { return nil }

// Local implements sock.Conn.
func (e *sharedEnd) Local() netip.AddrPort { return e.port.conn.Local() }

// Close implements sock.Conn. The socket is closed with its last end.
func (e *sharedEnd) Close() (err error) {
	e.once.Do(func() {
		close(e.closed)
		s := e.port
		s.path.sharing.Lock()
		defer s.path.sharing.Unlock()
		s.mu.Lock()
		delete(s.ends, e)
		left := len(s.ends)
		s.mu.Unlock()
		if left == 0 {
			delete(s.path.shared, s.conn.Local().Port())
			err = s.conn.Close()
		}
	})
	return err
}
