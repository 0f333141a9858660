package testserver

import (
	"context"
	"crypto/tls"
	"fmt"
	"net"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"vpncheck/probe/wire"
	"vpncheck/testserver/gate"
)

// Reasons of a Bye.
const (
	byeVersion       = "version"
	byeAccessWrong   = "access-wrong"
	byeAccessExpired = "access-expired"
	byeBusy          = "busy"
	byeTime          = "time"
	byeStopping      = "stopping"
	byeProtocol      = "protocol"

	byeStoppingWhy = "the server is being stopped"
)

// Reasons of a Ready that refuses; byeBusy is another.
const (
	refusedNotListening = "server-not-listening"
	refusedProtocol     = "protocol"
)

const (
	linkIdle    = 30 * time.Second // a client pings five times a second
	linkWrite   = 10 * time.Second
	linkGoodbye = time.Second // to read what is queued when a session ends
	linkQueue   = 256         // messages that a client may leave unread
	linkOctets  = 512 << 10   // octets of packets in them
	linkBuffer  = 128 << 10   // octets that the kernel keeps besides
	linkRate    = 50          // messages a second
	linkBurst   = 200
	settleWait  = 20 * time.Millisecond // for packets that the kernel has and no reader has yet
)

// A link is one session's side channel. One goroutine reads it and one writes; whoever sees a packet only queues.
type link struct {
	server      *Server
	conn        *tls.Conn
	session     *gate.Session
	client, own netip.AddrPort
	desk        desk
	card, syns  card // syns: of SYNs, which anybody can forge who knows the client's address
	flows       flows
	roof        roof
	laptop      laptop
	waitsUntil  time.Time // for other sessions; set at the first wait, under turns.mu
	out         chan wire.Message
	unread      atomic.Int64    // octets of packets in out
	ctx         context.Context // done when the session ends
	cancel      context.CancelFunc

	mu  sync.Mutex
	bye *wire.Bye
	ran *ran // once it has used a carrier without ports
}

// serve holds the link until either side ends it.
func (l *link) serve(hello wire.Message) {
	if c, ok := l.conn.NetConn().(*net.TCPConn); ok {
		c.SetWriteBuffer(linkBuffer)
	}
	l.server.host.links.add(l)
	if l.server.ctx.Err() != nil { // Close has not seen this session
		l.end(&wire.Bye{Reason: byeStopping, Why: byeStoppingWhy})
	}
	l.server.host.count.sessions.Add(1)
	l.server.cfg.Log.Info("session begins", "session", l.session.ID(), "from", l.client.Addr())
	l.queue(hello)
	written := make(chan struct{})
	go func() { defer close(written); l.write() }()
	lifetime := time.AfterFunc(l.session.Expires().Sub(l.server.cfg.Now()), func() {
		l.end(&wire.Bye{Reason: byeTime, Why: "the session has reached its longest time"})
	})
	l.end(l.read())
	lifetime.Stop()
	l.session.Close()
	l.server.host.links.remove(l)
	l.leave()
	<-written
	if l.bye != nil {
		linger(l.conn)
	}
	l.conn.Close()
	l.server.cfg.Log.Info("session ends", "session", l.session.ID())
}

// end ends the session, in the client's eyes for the first reason given.
func (l *link) end(bye *wire.Bye) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.ctx.Err() != nil {
		return
	}
	l.bye = bye
	l.cancel()
}

// queue hands a message to the writer. A client that does not read loses its session, not the server its memory.
func (l *link) queue(m wire.Message) {
	if l.ctx.Err() != nil {
		return
	}
	full := l.unread.Add(octets(m)) > linkOctets
	if !full {
		select {
		case l.out <- m:
		default:
			full = true
		}
	}
	if full {
		l.end(nil)
		l.conn.NetConn().Close() // not the TLS one, which would try to say goodbye
	}
}

// octets counts those of the packets in a message.
func octets(m wire.Message) int64 {
	n := 0
	if m.Saw != nil {
		n += len(m.Saw.Arrived.Bytes) + len(m.Saw.Replied.Bytes)
	}
	if m.Stray != nil {
		n += len(m.Stray.Arrived.Bytes)
	}
	return int64(n)
}

// write is the only writer of the connection. In the end it wakes the reader.
func (l *link) write() {
	defer func() { l.conn.SetReadDeadline(time.Now()) }()
	for {
		select {
		case m := <-l.out:
			l.unread.Add(-octets(m))
			if l.send(m, linkWrite) != nil {
				l.end(nil)
				return
			}
		case <-l.ctx.Done():
			l.farewell()
			return
		}
	}
}

// farewell sends what is queued, and the reason why the link ends.
func (l *link) farewell() {
	until := time.Now().Add(linkGoodbye)
	for len(l.out) > 0 {
		if l.send(<-l.out, time.Until(until)) != nil {
			return
		}
	}
	if l.bye != nil {
		l.send(wire.Message{Bye: l.bye}, time.Until(until))
	}
}

func (l *link) send(m wire.Message, within time.Duration) error {
	l.conn.SetWriteDeadline(time.Now().Add(within))
	return wire.WriteMessage(l.conn, m)
}

// read handles the client's messages until there are no more, and returns the Bye to answer with: nil if the client ended it.
func (l *link) read() *wire.Bye {
	rate := bucket{tokens: linkBurst, at: time.Now()}
	for {
		l.conn.SetReadDeadline(time.Now().Add(linkIdle))
		if l.ctx.Err() != nil { // the writer may have woken us before
			return nil
		}
		m, err := wire.ReadMessage(l.conn)
		switch {
		case err != nil:
			return byeFor(err)
		case !rate.take(time.Now()):
			return &wire.Bye{Reason: byeProtocol, Why: "too many messages"}
		case m.Bye != nil:
			return nil
		}
		l.handle(m)
	}
}

// handle does what a message asks. One that is unknown or does not belong here is ignored: a newer client may have sent it.
func (l *link) handle(m wire.Message) {
	switch {
	case m.Ping != nil:
		l.queue(wire.Message{Pong: m.Ping})
	case m.Declare != nil:
		l.declare(*m.Declare)
	case m.Finish != nil:
		l.finish(*m.Finish)
	}
}

// declare opens a conversation, and says so, at once or when it is its turn.
func (l *link) declare(d wire.Declare) {
	ready := l.admit(d)
	if ready.Refused != "" || !clashes(d.Carriers) {
		l.queue(wire.Message{Ready: ready})
		return
	}
	if l.server.host.turns.ask(l, d.Conversation) {
		l.granted(d.Conversation)
	}
}

// granted says that a conversation has its turn. What it leaves in a NAT is remembered from now on.
func (l *link) granted(conversation string) {
	l.mu.Lock()
	if l.ran == nil && l.ctx.Err() == nil {
		l.ran = l.server.host.runs.begin(l.roof, l.laptop, l.server.cfg.Now())
	}
	l.mu.Unlock()
	l.queue(wire.Message{Ready: &wire.Ready{Conversation: conversation}})
}

// leave gives back what a session has that has ended.
func (l *link) leave() {
	l.server.host.turns.leave(l)
	if w := l.server.host.wireGuard; w != nil {
		w.dismiss(l.session)
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.server.host.runs.end(l.ran, l.server.cfg.Now())
	l.ran = nil
}

// admit says whether a conversation can be held.
func (l *link) admit(d wire.Declare) *wire.Ready {
	ready := &wire.Ready{Conversation: cutName(d.Conversation)}
	for _, c := range d.Carriers[:min(len(d.Carriers), maxCarriers)] {
		if s := l.server.carrier(c, l.own.Addr()); !s.Ready {
			ready.Refused, ready.Why = refusedNotListening, s.Why
			return ready
		}
	}
	if ready.Refused, ready.Why = l.desk.declare(d); ready.Refused == "" {
		l.enrol(d, ready)
	}
	return ready
}

// enrol makes the client a peer of the server's WireGuard, where that is declared.
func (l *link) enrol(d wire.Declare, ready *wire.Ready) {
	w := l.server.host.wireGuard
	if w == nil || !slices.Contains(d.Carriers, wire.CarrierWireGuard) {
		return
	}
	own, why := w.enrol(l.session, d.Key)
	if ready.Key = own; why != "" {
		l.desk.finish(d.Conversation)
		ready.Refused, ready.Why = refusedProtocol, why
	}
}

// dismiss ends that when no open conversation needs it.
func (l *link) dismiss() {
	if w := l.server.host.wireGuard; w != nil && !l.desk.expects(wire.CarrierWireGuard) {
		w.dismiss(l.session)
	}
}

// finish settles a conversation a moment later, when what has arrived is read, and does not keep a Ping waiting for that.
func (l *link) finish(f wire.Finish) {
	time.AfterFunc(settleWait, func() {
		l.desk.finish(f.Conversation)
		l.dismiss()
		l.queue(wire.Message{Settled: &wire.Settled{
			Conversation: cutName(f.Conversation), Carriers: l.carriers(), Others: l.others(), // before another has the turn
		}})
		l.server.host.turns.release(l, f.Conversation)
	})
}

// cutName keeps what is far too long for a conversation's name out of the queue.
func cutName(name string) string { return strings.Clone(name[:min(len(name), 2*maxName)]) }

// carriers is what this client may know of the carriers.
func (l *link) carriers() []wire.CarrierState {
	states := l.server.carriers(l.own.Addr())
	for i := range states {
		states[i].Proof = l.server.cfg.State.proof(states[i].Carrier, l.client.Addr())
	}
	return states
}

// others is what this client may know of those behind the same address.
func (l *link) others() *wire.Others {
	return l.server.host.runs.others(l.roof, l.laptop, l.server.cfg.Now())
}

// hello is the Session message.
func (l *link) hello(budget gate.Limits) wire.Message {
	return wire.Message{Session: &wire.Session{
		ID:       l.session.ID(),
		Key:      l.session.Key(),
		Client:   l.client,
		Server:   l.own,
		Control:  l.server.cfg.ControlPort,
		Second:   l.server.second(l.own.Addr()),
		Carriers: l.carriers(),
		Others:   l.others(),
		Cloud:    l.server.cfg.Cloud,
		Packets:  budget.Packets,
		Bytes:    budget.Bytes,
	}}
}

// saw reports an exchange. An address that has not proved itself must learn its nonce from the answer alone.
//
// What was not answered, and an acknowledgement, can be repeated by whoever overheard it, as often as he likes. He must not push out
// of the link what the client has to know.
func (l *link) saw(c wire.Carrier, s wire.Saw) {
	echo := s.Silent != "" || s.Began
	if echo && l.crowded() {
		return
	}
	conversation, report := l.desk.saw(c, echo, 2*l.server.limits.Packets)
	if !report {
		return
	}
	s.Conversation = conversation
	if s.Replied.State == wire.Seen && !s.Began { // while it is whole: a part of a nonce that is left over is not known for one
		s.Replied.Bytes = l.session.Veil(s.Replied.Dst.Addr(), s.Replied.Bytes)
	}
	s.Arrived, s.Replied = cutBytes(s.Arrived, maxReported), cutBytes(s.Replied, maxReported)
	l.queue(wire.Message{Saw: &s})
}

// crowded says that the client has left so much unread that what may be anybody's must wait.
func (l *link) crowded() bool { return len(l.out) > linkQueue/2 || l.unread.Load() > linkOctets/2 }

// stray reports a packet whose token failed, and says whether it did.
func (l *link) stray(c wire.Carrier, certain bool, arrived wire.Sighting) bool {
	if !certain && l.crowded() || !l.desk.stray(c, certain) {
		return false
	}
	if arrived.Proto == protoTCP { // the kernel has answered it
		l.flows.note(protoTCP, arrived.Dst.Port(), arrived.Src)
	}
	l.queue(wire.Message{Stray: &wire.Stray{Carrier: c, Arrived: cutBytes(arrived, maxStray)}})
	return true
}

// byeFor is what a client is told whose message could not be read.
func byeFor(err error) *wire.Bye {
	if isEnd(err) {
		return nil
	}
	return &wire.Bye{Reason: byeProtocol, Why: fmt.Sprintf("this is not a message: %.200v", err)}
}

// A bucket bounds a rate: linkRate a second, linkBurst at once, or others.
type bucket struct {
	tokens float64
	at     time.Time
}

func (b *bucket) take(now time.Time) bool { return b.takeOf(now, linkRate, linkBurst) }

func (b *bucket) takeOf(now time.Time, rate, burst float64) bool {
	b.tokens = min(burst, b.tokens+rate*now.Sub(b.at).Seconds())
	b.at = now
	if b.tokens < 1 {
		return false
	}
	b.tokens--
	return true
}
