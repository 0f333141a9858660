package probe

import (
	"context"
	"errors"
	"net/netip"
	"sync"
	"time"

	"vpncheck/probe/sock"
	"vpncheck/probe/wire"
)

// A Flow is a packet conversation under way: one socket towards the server. Several parts of a protocol may ask on it side by side.
type Flow struct {
	sending sync.Mutex // a socket has one sender at a time

	c       *Conversation
	conn    sock.Conn
	to      netip.AddrPort
	carrier wire.Carrier
	read    func(wire.Sighting) (wire.Tag, bool)
	nic     sock.Conn // the same packets before the laptop's firewall (F21); nil if the system does not show them
}

// Local is the flow's own address; the port is 0 for an IP protocol without ports.
func (f *Flow) Local() netip.AddrPort {
	return netip.AddrPortFrom(f.c.path.Local, f.conn.Local().Port())
}

// UDP opens a flow from a local port, 0 for one that the kernel chooses, to a port of the server. It is else like Raw.
func (c *Conversation) UDP(local, port uint16, carrier wire.Carrier, read func(wire.Sighting) (wire.Tag, bool)) (*Flow, error) {
	conn, err := c.path.net.UDP(netip.AddrPortFrom(c.path.Local, local))
	if err != nil {
		return nil, refusal(err)
	}
	return c.flow(conn, wire.IPProtoUDP, netip.AddrPortFrom(c.path.Server, port), carrier, read), nil
}

// RawTo is Raw to another address of the server.
func (c *Conversation) RawTo(proto uint8, to netip.Addr, carrier wire.Carrier, read func(wire.Sighting) (wire.Tag, bool)) (*Flow, error) {
	conn, err := c.path.net.Raw(proto, c.path.Local)
	if err != nil {
		return nil, refusal(err)
	}
	return c.flow(conn, proto, netip.AddrPortFrom(to, 0), carrier, read), nil
}

func (c *Conversation) flow(conn sock.Conn, proto uint8, to netip.AddrPort, carrier wire.Carrier, read func(wire.Sighting) (wire.Tag, bool)) *Flow {
	f := &Flow{c: c, conn: conn, to: to, carrier: carrier, read: read}
	go f.listen()
	// Where the system shows no network card, the laptop's firewall cannot be told from the network's.
	if nic, err := c.path.net.Arrivals(proto, to.Addr()); err == nil {
		f.nic = nic
		c.watched()
		go f.watchNIC()
	}
	return f
}

// Raw opens a flow of an IP protocol. read takes the tag out of a packet from the server, and says false of a packet that carries none and
// is none of our business. Close ends the flow.
func (c *Conversation) Raw(proto uint8, carrier wire.Carrier, read func(wire.Sighting) (wire.Tag, bool)) (*Flow, error) {
	return c.RawTo(proto, c.path.Server, carrier, read)
}

// refusal turns an error of opening a socket into a *Refusal, where its reason is known.
func refusal(err error) error {
	if reason, why, hint, ok := sock.Refusal(err); ok {
		return &Refusal{Reason: Reason(reason), Why: why, Hint: hint}
	}
	return err
}

// listen files every packet from the server: by its token, whatever its position.
func (f *Flow) listen() {
	for {
		s, err := f.conn.Recv()
		if err != nil {
			return
		}
		if unmapped(s.Src) != f.to {
			continue
		}
		tag, ok := f.read(s)
		switch {
		case !ok:
		case f.c.path.mint.Valid(wire.Answer, f.carrier, tag.Token):
			f.c.returned(tag.Token.Exchange(), s, tag.Nonce)
		case f.c.path.mint.Valid(wire.Question, f.carrier, tag.Token):
			// Our own question come back: a mirror is not a server, and no impostor either.
		default:
			f.c.stranger(s)
		}
	}
}

// watchNIC files the answers that reach the network card, whether or not they reach the socket.
func (f *Flow) watchNIC() {
	for {
		s, err := f.nic.Recv()
		if err != nil {
			return
		}
		if unmapped(s.Src) != f.to || s.Dst.Port() != f.conn.Local().Port() {
			continue
		}
		if tag, ok := f.read(s); ok && f.c.path.mint.Valid(wire.Answer, f.carrier, tag.Token) {
			f.c.atNIC(tag.Token.Exchange(), s)
		}
	}
}

// A Question is one message to send and wait for.
type Question struct {
	Part, Stage string
	Flow        int
	// Payload makes the packet from the tag that proves it ours.
	Payload func(tag wire.Tag) []byte
	DF      bool
	// ID is the IP ID to send with, 0 for a random one; NoChecksum leaves a UDP checksum out.
	ID         uint16
	NoChecksum bool
	// Number is the exchange's number, 0 for the next.
	Number uint32
	// TTL is how many routers the packet may cross, less one; 0 is as usual.
	TTL uint8
}

func (q Question) out(tag wire.Tag) sock.Out {
	return sock.Out{DF: q.DF, TTL: q.TTL, ID: q.ID, NoChecksum: q.NoChecksum, Payload: q.Payload(tag)}
}

// Ask sends a question and waits for its answer as long as the path's round trip asks for. What comes later is still filed.
func (f *Flow) Ask(ctx context.Context, q Question) Exchange {
	n, done := f.put(ctx, q)
	if done == nil {
		return Exchange{}
	}
	timer := time.NewTimer(f.c.path.Wait())
	defer timer.Stop()
	select {
	case <-done:
	case <-timer.C:
	case <-ctx.Done():
	}
	return f.c.exchange(n)
}

// Say sends a message that has no answer.
func (f *Flow) Say(ctx context.Context, q Question) { f.put(ctx, q) }

// put files a question and sends it. It returns nil if nothing more may be sent.
func (f *Flow) put(ctx context.Context, q Question) (uint32, <-chan struct{}) {
	if !f.c.path.clear(ctx) {
		return 0, nil
	}
	n := q.Number
	if n == 0 {
		n = f.c.path.number()
	}
	done := f.c.begin(n, Exchange{Part: q.Part, Stage: q.Stage, Flow: q.Flow, Sent: wire.Sighting{At: time.Now()}})
	sent, err := f.send(q.out(f.c.tag(f.carrier, n)))
	f.c.edit(n, func(e *Exchange) {
		e.Sent = sent
		if err != nil {
			e.SendErr, e.SendReason = err.Error(), sendReason(err)
		}
	})
	f.c.path.rehear()
	return n, done
}

// sendReason is the word for why a packet was not sent. One that the system cannot send was not asked.
func sendReason(err error) string {
	if errors.Is(err, errors.ErrUnsupported) {
		return string(OSRefuses)
	}
	return sock.SendRefusal(err)
}

// send hands a packet to the kernel. What it refuses was not sent, and that is a sighting too.
func (f *Flow) send(o sock.Out) (wire.Sighting, error) {
	o.Dst, o.Src = f.to, f.c.path.Local
	f.sending.Lock()
	s, err := f.conn.Send(o)
	f.sending.Unlock()
	if err != nil {
		return wire.Sighting{State: wire.Absent, Why: err.Error(), At: time.Now()}, err
	}
	return s, nil
}

// Tell answers a message that the server began. Nothing is waited for.
func (f *Flow) Tell(ctx context.Context, n uint32, stage string, flow int, arrived wire.Sighting, payload []byte) {
	if !f.c.path.clear(ctx) {
		return
	}
	if s, err := f.send(sock.Out{DF: true, Payload: payload}); err == nil {
		f.c.answered(n, stage, flow, arrived, s)
	}
}

// Close ends the flow.
func (f *Flow) Close() error {
	if f.nic != nil {
		f.nic.Close()
	}
	return f.conn.Close()
}
