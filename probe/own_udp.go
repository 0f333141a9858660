package probe

import (
	"context"
	"errors"
	"net/netip"
	"sync"
	"syscall"
	"time"

	"vpncheck/probe/sock"
	"vpncheck/probe/wire"
)

// An ownSocket is a socket towards the server, and those who listen at it: IKE's two versions share port 500.
type ownSocket struct {
	conn    sock.Conn
	port    uint16 // that was wanted
	to      netip.AddrPort
	sending sync.Mutex
	standIn *Refusal // why it has not the port that was wanted

	mu   sync.Mutex
	ears []ownEar
}

type ownEar struct {
	from netip.AddrPort
	came chan wire.Sighting
}

// earshot is how many packets wait for a slow reader; a stranger who sends more is not heard.
const earshot = 32

// udp is a socket towards the server at the stock client's port, or where that cannot be had, at another. Who hears no ICMP has one that tells
// of it.
func (a *asker) udp(port uint16, to netip.AddrPort) (*ownSocket, error) {
	open := func(local netip.AddrPort) (sock.Conn, error) {
		if a.deaf {
			return a.net.Towards(local, to)
		}
		return a.net.UDP(local)
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	for _, s := range a.sockets {
		if s.port == port && port != 0 && (!a.deaf || s.to == to) {
			return s, nil
		}
	}
	s := &ownSocket{port: port, to: to}
	var err error
	if s.conn, err = open(netip.AddrPortFrom(a.local, port)); err != nil && port != 0 {
		s.standIn = &Refusal{Reason: CouldNotAsk, Why: err.Error()}
		if reason, why, hint, ok := sock.Refusal(err); ok {
			s.standIn = &Refusal{Reason: Reason(reason), Why: why, Hint: hint}
		}
		s.conn, err = open(netip.AddrPortFrom(a.local, 0))
	}
	if err != nil {
		return nil, err
	}
	a.sockets = append(a.sockets, s)
	go s.listen()
	return s, nil
}

// raw is a socket of an IP protocol without ports.
func (a *asker) raw(proto uint8) (*ownSocket, error) {
	conn, err := a.net.Raw(proto, a.local)
	if err != nil {
		return nil, err
	}
	s := &ownSocket{conn: conn}
	go s.listen()
	return s, nil
}

func (s *ownSocket) listen() {
	for {
		p, err := s.conn.Recv()
		switch {
		case errors.Is(err, sock.ErrICMP):
			p = wire.Sighting{State: wire.Absent, Src: s.to, Why: "by ICMP: unreachable"}
			if errors.Is(err, syscall.ECONNREFUSED) {
				p.Why = "by ICMP: port unreachable"
			}
		case err != nil:
			return
		}
		s.mu.Lock()
		for _, e := range s.ears {
			if unmapped(p.Src) == e.from {
				select {
				case e.came <- p:
				default:
				}
			}
		}
		s.mu.Unlock()
	}
}

// ear hears what comes from one port of the server's.
func (s *ownSocket) ear(from netip.AddrPort) <-chan wire.Sighting {
	s.mu.Lock()
	defer s.mu.Unlock()
	e := ownEar{from: from, came: make(chan wire.Sighting, earshot)}
	s.ears = append(s.ears, e)
	return e.came
}

// What a packet from the server is to the one who waits.
type ownSays int

const (
	notMine  ownSays = iota // it is for another, or says nothing
	theReply                // what was asked for
	strange                 // in the server's name, and no answer to anything
)

// open takes a socket at the stock client's port, and listens.
func (t *ownTalk) open(port uint16) (*ownSocket, <-chan wire.Sighting, bool) {
	s, err := t.a.udp(port, t.server())
	if err != nil {
		t.refuse(err)
		return nil, nil, false
	}
	t.edit(func(o *Opening) { o.StandIn = s.standIn })
	return s, s.ear(t.server()), true
}

// send sends a message of the newest step, once.
func (t *ownTalk) send(ctx context.Context, s *ownSocket, to netip.AddrPort, payload []byte) (edit func(func(*Exchange)), ok bool) {
	if !t.a.clear(ctx) {
		return nil, false
	}
	sent, err := s.send(sock.Out{Dst: to, Src: t.a.local, DF: true, Payload: payload})
	e := Exchange{Sent: sent}
	if err != nil {
		e.Sent = wire.Sighting{State: wire.Absent, Why: err.Error(), At: time.Now()}
		e.SendErr, e.SendReason = err.Error(), sendReason(err)
	}
	edit = t.begin(e)
	t.a.mu.Lock()
	unread := t.a.unread
	t.a.unread = nil
	t.a.mu.Unlock()
	for _, h := range unread {
		if time.Since(h.s.At) < unreadFor {
			t.a.hear(h)
		}
	}
	return edit, true
}

func (s *ownSocket) send(o sock.Out) (wire.Sighting, error) {
	s.sending.Lock()
	defer s.sending.Unlock()
	return s.conn.Send(o)
}

// say sends what is not waited for in the opening: it takes leave.
func (t *ownTalk) say(s *ownSocket, payload []byte) error {
	_, err := s.send(sock.Out{Dst: t.server(), Src: t.a.local, DF: true, Payload: payload})
	return err
}

// ask sends a message until it is answered, as a client does, and returns the answer. payload makes it anew each time: what it returns is as
// a rule the same. Two refusals are enough.
func (t *ownTalk) ask(ctx context.Context, s *ownSocket, ear <-chan wire.Sighting, to netip.AddrPort, payload func() []byte,
	read func(wire.Sighting) ownSays) (wire.Sighting, bool) {
	began := time.Now()
	for i := range ownSendings {
		edit, ok := t.send(ctx, s, to, payload())
		if !ok {
			break
		}
		until := began.Add(ownTime)
		switch {
		case i > 0 && t.refusals() > 0: // a second try is enough: its refusal may be held back, systems send few of them
			until = time.Now().Add(refusedAgain)
		case i+1 < len(ownSendings):
			until = began.Add(ownSendings[i+1])
		}
		answer, ok := t.wait(ctx, ear, until, read)
		if ok {
			edit(func(e *Exchange) { e.Returned, e.Refused = answer, "" })
			return answer, true
		}
		if i > 0 && t.refusals() > 0 {
			break
		}
	}
	return wire.Sighting{}, false
}

const refusedAgain = 500 * time.Millisecond

// refusals counts the messages of the newest step that were refused.
func (t *ownTalk) refusals() (n int) {
	t.edit(func(o *Opening) {
		for _, e := range o.Stages[len(o.Stages)-1].Exchanges {
			n += truth(e.Refused != "")
		}
	})
	return n
}

// refused notes that an ICMP error came back about the newest message; nobody knows whose.
func (t *ownTalk) refused(how string) {
	t.edit(func(o *Opening) {
		s := o.Stages[len(o.Stages)-1]
		if e := &s.Exchanges[len(s.Exchanges)-1]; e.Returned.State != wire.Seen {
			e.Refused = how
		}
	})
}

// wait waits for an answer until then. A second refusal ends it.
func (t *ownTalk) wait(ctx context.Context, ear <-chan wire.Sighting, until time.Time, read func(wire.Sighting) ownSays) (wire.Sighting, bool) {
	timer := time.NewTimer(time.Until(until))
	defer timer.Stop()
	for {
		select {
		case s := <-ear:
			if s.State == wire.Absent {
				if t.refused(s.Why); t.refusals() > 1 {
					return wire.Sighting{}, false
				}
				continue
			}
			switch read(s) {
			case theReply:
				return s, true
			case strange:
				t.stranger(s)
			}
		case <-t.woken:
			if t.refusals() > 1 {
				return wire.Sighting{}, false
			}
		case <-timer.C:
			return wire.Sighting{}, false
		case <-ctx.Done():
			return wire.Sighting{}, false
		}
	}
}
