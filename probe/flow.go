package probe

import (
	"context"
	"net/netip"
	"time"

	"vpncheck/probe/sock"
	"vpncheck/probe/wire"
)

// A Flow is a packet conversation under way: one socket towards the server.
type Flow struct {
	c       *Conversation
	conn    sock.Conn
	carrier wire.Carrier
	read    func(wire.Sighting) (wire.Tag, bool)
}

// Raw opens a flow of an IP protocol. read takes the tag out of a packet from the server, and says false of a packet that carries none and
// is none of our business. Close ends the flow.
func (c *Conversation) Raw(proto uint8, carrier wire.Carrier, read func(wire.Sighting) (wire.Tag, bool)) (*Flow, error) {
	conn, err := c.path.net.Raw(proto, c.path.Local)
	if err != nil {
		return nil, refusal(err)
	}
	f := &Flow{c: c, conn: conn, carrier: carrier, read: read}
	go f.listen()
	return f, nil
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
		if s.Src.Addr().Unmap() != f.c.path.Server {
			continue
		}
		tag, ok := f.read(s)
		switch {
		case !ok:
		case f.c.path.mint.Valid(wire.Answer, f.carrier, tag.Token):
			f.c.returned(tag.Token.Exchange(), s, tag.Nonce)
		default:
			f.c.stranger(s)
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
}

// Ask sends a question and waits for its answer as long as the path's round trip asks for. What comes later is still filed.
func (f *Flow) Ask(ctx context.Context, q Question) Exchange {
	n := f.c.path.number()
	if !f.c.path.clear(ctx) {
		return Exchange{}
	}
	tag := f.c.tag(f.carrier, n)
	done := f.c.begin(n, Exchange{Part: q.Part, Stage: q.Stage, Flow: q.Flow, Sent: wire.Sighting{At: time.Now()}})
	sent, err := f.send(q.Payload(tag), q.DF)
	f.c.edit(n, func(e *Exchange) {
		e.Sent = sent
		if err != nil {
			e.SendErr, e.SendReason = err.Error(), sock.SendRefusal(err)
		}
	})
	timer := time.NewTimer(f.c.path.Wait())
	defer timer.Stop()
	select {
	case <-done:
	case <-timer.C:
	case <-ctx.Done():
	}
	return f.c.exchange(n)
}

// send hands a packet to the kernel. What it refuses was not sent, and that is a sighting too.
func (f *Flow) send(payload []byte, df bool) (wire.Sighting, error) {
	s, err := f.conn.Send(sock.Out{Dst: netip.AddrPortFrom(f.c.path.Server, 0), Src: f.c.path.Local, DF: df, Payload: payload})
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
	if s, err := f.send(payload, true); err == nil {
		f.c.answered(n, stage, flow, arrived, s)
	}
}

// Close ends the flow.
func (f *Flow) Close() error { return f.conn.Close() }
