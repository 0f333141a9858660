package probe

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"maps"
	"net"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"time"

	"vpncheck/probe/wire"
)

// maxUnclaimed is how many strays that fit nothing are kept.
const maxUnclaimed = 64

// A link is the client's end of the side channel, once a session is open. One goroutine reads; anyone may write.
type link struct {
	conn net.Conn

	writing sync.Mutex

	mu    sync.Mutex
	talks map[string]*Conversation
	ready map[string]awaited
	turns time.Time // until when the server may have others go first; zero before the first time
	pongs func(wire.Ping)
	err   error // why the link ended
	done  chan struct{}

	unclaimed []wire.Stray // the reader's own
}

func newLink(conn net.Conn, pongs func(wire.Ping)) *link {
	l := &link{conn: conn, talks: map[string]*Conversation{}, ready: map[string]awaited{}, pongs: pongs, done: make(chan struct{})}
	go l.read()
	return l
}

// errServerBye is the end of a link by the server's own word.
var errServerBye = errors.New("the server ended the session")

func (l *link) read() {
	err := l.readAll()
	l.mu.Lock()
	l.err = err
	l.mu.Unlock()
	close(l.done)
}

func (l *link) readAll() error {
	for {
		m, err := wire.ReadMessage(l.conn)
		if err != nil {
			return err
		}
		switch {
		case m.Pong != nil:
			l.pongs(*m.Pong)
		case m.Ready != nil:
			l.mu.Lock()
			a, ok := l.ready[m.Ready.Conversation]
			delete(l.ready, m.Ready.Conversation)
			l.mu.Unlock()
			if ok {
				a.ready <- *m.Ready
			}
		case m.Turn != nil:
			l.mu.Lock()
			a, ok := l.ready[m.Turn.Conversation]
			l.mu.Unlock()
			if ok {
				select {
				case a.turn <- *m.Turn:
				default: // one is enough
				}
			}
		case m.Saw != nil:
			l.saw(sane(*m.Saw))
		case m.Stray != nil:
			m.Stray.Arrived = saneSighting(m.Stray.Arrived)
			l.stray(*m.Stray)
		case m.Came != nil:
			l.came(*m.Came)
		case m.Settled != nil:
			if c := l.talk(m.Settled.Conversation); c != nil {
				l.claim(c)
				c.settle(*m.Settled)
			}
		case m.Bye != nil:
			return fmt.Errorf("%w: %s", errServerBye, m.Bye.Why)
		}
	}
}

const (
	maxSaid = 200     // octets of a text that the server adds to what it saw
	maxSeen = 8 << 10 // octets of a packet: a server of ours tells 4 KiB
)

// sane cuts a report of the server's. There may be thousands, each as long as a message may be, and all go into the report.
func sane(s wire.Saw) wire.Saw {
	s.Arrived, s.Replied = saneSighting(s.Arrived), saneSighting(s.Replied)
	s.Silent, s.ICV, s.Conversation = said(s.Silent), said(s.ICV), said(s.Conversation)
	return s
}

func saneSighting(s wire.Sighting) wire.Sighting {
	s.Why, s.Where, s.State = said(s.Why), said(s.Where), wire.State(said(string(s.State)))
	s.Src, s.Dst = unzoned(s.Src), unzoned(s.Dst)
	s.Bytes = bytes.Clone(s.Bytes[:min(len(s.Bytes), maxSeen)])
	return s
}

// unzoned is an address without a zone, which is a text of any length and says nothing on this machine.
func unzoned(a netip.AddrPort) netip.AddrPort {
	return netip.AddrPortFrom(a.Addr().WithZone(""), a.Port())
}

// said cuts a text, and does not keep the rest alive.
func said(text string) string {
	return strings.Clone(strings.ToValidUTF8(text[:min(len(text), maxSaid)], ""))
}

func (l *link) talk(id string) *Conversation {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.talks[id]
}

// saw hands a report to the conversation whose exchange it is of. The server goes by the carrier, and two conversations may share one: ESP
// has an IKE opening of its own.
func (l *link) saw(s wire.Saw) {
	for _, c := range l.all() {
		if c.saw(s) {
			return
		}
	}
}

// stray hands a damaged packet to the conversations that speak on its carrier; each pairs it, or leaves it.
func (l *link) stray(s wire.Stray) {
	for _, c := range l.all() {
		if c.stray(s) {
			return
		}
	}
	if len(l.unclaimed) < maxUnclaimed && s.Arrived.Proto != protoTCP { // a SYN too many is a retransmission
		l.unclaimed = append(l.unclaimed, s)
	}
}

// claim offers a conversation the strays that nobody has claimed: on a fast line one comes back before this end has filed what it sent.
func (l *link) claim(c *Conversation) {
	l.unclaimed = slices.DeleteFunc(l.unclaimed, c.stray)
}

// all are the conversations declared so far.
func (l *link) all() []*Conversation {
	l.mu.Lock()
	defer l.mu.Unlock()
	return slices.Collect(maps.Values(l.talks))
}

// write sends one message. A link that does not take it within two seconds is dead.
func (l *link) write(m wire.Message) error {
	l.writing.Lock()
	defer l.writing.Unlock()
	l.conn.SetWriteDeadline(time.Now().Add(2 * time.Second))
	return wire.WriteMessage(l.conn, m)
}

// An awaited is a conversation that the server has not said yet that it is ready for.
type awaited struct {
	ready chan wire.Ready
	turn  chan wire.Turn
}

const (
	declareWait = 8 * time.Second  // TLS repeats what is lost: waiting is cheap, giving up is not
	maxTurn     = 30 * time.Second // for others, all waiting together
)

// declare announces a conversation and waits for the server to be ready for it; for longer, once, if others have the turn, of which waits is told.
func (l *link) declare(ctx context.Context, c *Conversation, d wire.Declare, waits func(wire.Turn)) (wire.Ready, error) {
	a := awaited{ready: make(chan wire.Ready, 1), turn: make(chan wire.Turn, 1)}
	l.mu.Lock()
	l.talks[d.Conversation] = c
	l.ready[d.Conversation] = a
	l.mu.Unlock()
	if err := l.write(wire.Message{Declare: &d}); err != nil {
		return wire.Ready{}, err
	}
	limit := time.NewTimer(declareWait)
	defer limit.Stop()
	turn := a.turn
	for {
		select {
		case r := <-a.ready:
			return r, nil
		case t := <-turn:
			turn = nil
			t.AtMost = min(max(t.AtMost, 0), l.turnsLeft())
			limit.Reset(t.AtMost + declareWait)
			waits(t)
		case <-limit.C:
			return wire.Ready{}, context.DeadlineExceeded
		case <-l.done:
			return wire.Ready{}, l.ended()
		case <-ctx.Done():
			return wire.Ready{}, ctx.Err()
		}
	}
}

// turnsLeft is how much longer others may go first. All conversations share it: a server that made each of them wait would never come to an end.
func (l *link) turnsLeft() time.Duration {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.turns.IsZero() {
		l.turns = time.Now().Add(maxTurn)
	}
	return max(time.Until(l.turns), 0)
}

// ended is why the link ended, or nil while it lives.
func (l *link) ended() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.err
}

func (l *link) close() {
	l.write(wire.Message{Bye: &wire.Bye{}})
	l.conn.Close()
	<-l.done
}
