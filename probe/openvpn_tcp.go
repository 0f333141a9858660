package probe

import (
	"context"
	"errors"
	"slices"
	"time"

	"vpncheck/probe/wire"
)

// Info implements Probe.
func (OpenVPNTCP) Info() Info {
	connect := Stage{ID: stageConnect, Title: "the connection to TCP port 1194", Carrier: wire.CarrierOpenVPNTCP, Rounds: 1}
	return Info{
		ID: "openvpn-tcp", Title: "OpenVPN over TCP (1194)",
		Parts:    openVPNParts(),
		Stages:   slices.Concat([]Stage{connect}, openVPNStages("TCP port 1194", wire.CarrierOpenVPNTCP, 0)),
		Carriers: []wire.Carrier{wire.CarrierOpenVPNTCP},
		Late:     true,
	}
}

// Observe implements Probe. A connection that stops midway is followed by another.
func (o OpenVPNTCP) Observe(ctx context.Context, path *Path) (Observation, error) {
	c, err := path.Conversation(ctx, o)
	if err != nil {
		return Observation{}, err
	}
	first := 1
	for range 2 {
		t := o.dial(ctx, c, first)
		if t == nil {
			break
		}
		t.talk(ctx)
		t.stream.Close()
		if !c.again(openVPNPart, stageOf(o, openVPNData), t.s.number) {
			break
		}
		first = t.s.number + 1
	}
	return c.Finish(ctx), nil
}

// dial opens a session, with a new connection for each try.
func (o OpenVPNTCP) dial(ctx context.Context, c *Conversation, first int) *openVPNStream {
	connect, began := stageOf(o, stageConnect), time.Now()
	stream := c.Dial(ctx, openVPNPart, connect, first, wire.OpenVPNPort)
	if stream == nil {
		return nil
	}
	t, failed := o.open(ctx, c, stream)
	if failed == "" {
		return t
	}
	stream.Close()
	t, _, _ = persist(ctx, c, dialled{openVPNPart, connect, func(id string) Stage { return stageOf(o, id) }, wire.OpenVPNPort, first, stream.flow + 1, began}, failed,
		func(ctx context.Context, s *Stream) (*openVPNStream, string) { return o.open(ctx, c, s) })
	return t
}

// open opens a session on a connection, or says at which stage it failed.
func (OpenVPNTCP) open(ctx context.Context, c *Conversation, s *Stream) (*openVPNStream, string) {
	t := &openVPNStream{c: c, stream: s, s: newOpenVPN(c.path, wire.CarrierOpenVPNTCP, s.flow, c.path.block(openVPNBlock))}
	if failed := t.setUp(ctx); failed != "" {
		return nil, failed
	}
	return t, ""
}

// An openVPNStream is a client's connection.
type openVPNStream struct {
	c      *Conversation
	stream *Stream
	s      *openVPNSession
}

// setUp opens the session, or says at which stage it failed.
func (t *openVPNStream) setUp(ctx context.Context) (failed string) {
	if e := t.ask(ctx, t.s.n, openVPNReset, func(wire.Tag) wire.OpenVPN { return t.s.reset() }); e.Returned.State != wire.Seen {
		return openVPNReset
	}
	if e := t.ask(ctx, t.c.path.number(), openVPNTLS, t.s.hello); e.Returned.State != wire.Seen {
		return openVPNTLS
	}
	if e := t.ask(ctx, t.c.path.number(), openVPNKeys, t.s.keys); e.Returned.State != wire.Seen {
		return openVPNKeys
	}
	for _, newest := range []uint32{2, 3} {
		t.stream.TellTCP(ctx, t.s.n+newest, openVPNAcks, t.s.ack(newest).AppendStream(nil))
	}
	return ""
}

func (t *openVPNStream) talk(ctx context.Context) {
	t.c.talk(ctx, openVPNPart, stageOf(OpenVPNTCP{}, openVPNData), t.s.number, func(ctx context.Context) Exchange {
		return t.ask(ctx, t.c.path.number(), openVPNData, func(tag wire.Tag) wire.OpenVPN { return t.s.data(tag, openVPNPing) })
	})
}

// ask writes a packet, and waits for the server's with the token of the same exchange.
func (t *openVPNStream) ask(ctx context.Context, n uint32, stage string, packet func(wire.Tag) wire.OpenVPN) Exchange {
	message := packet(t.c.tag(wire.CarrierOpenVPNTCP, n)).AppendStream(nil)
	return t.stream.AskTCP(ctx, n, stage, message, func([]byte) (int, bool, error) { return t.read(n) })
}

// read cuts what answers an exchange off the stream: one packet, or where it has no tag, that and the next. The answer to an earlier exchange,
// which came late, is filed as such and passed over.
func (t *openVPNStream) read(n uint32) (size int, ours bool, err error) {
	for {
		m, k, err := wire.ParseOpenVPNStream(t.stream.buf[size:])
		if err != nil {
			return size, false, err
		}
		size += k
		tag, tagged := openVPNTag(t.c.path, wire.CarrierOpenVPNTCP, m)
		if !tagged {
			continue
		}
		if !t.c.path.mint.Valid(wire.Answer, wire.CarrierOpenVPNTCP, tag.Token) {
			return size, false, nil
		}
		if tag.Token.Exchange() == n {
			return size, true, nil
		}
		t.c.returned(tag.Token.Exchange(), t.stream.sighting(t.stream.buf[:size], true), tag.Nonce)
		t.stream.buf, size = t.stream.buf[size:], 0
	}
}

// Changes implements Probe.
func (OpenVPNTCP) Changes(_ Observation, e Exchange) []Change { return exact(e) }

// Reason implements Probe. A connection that opens, on which nothing of the client's arrives, is stopped for what is in it, or for its length:
// its port is open.
func (OpenVPNTCP) Reason(o Observation, stage Stage, v Verdict, _ Circumstances) (Reason, []Evidence) {
	port := []Evidence{{Reason: EvPort, Args: map[string]any{"port": wire.OpenVPNPort, "over": "tcp"}}}
	switch {
	case v == BlockedOut && stage.ID == stageConnect:
		return connectReason(o, TCPPortDropped), port
	case v == BlockedOut:
		return TCPContentDropped, port
	}
	return "", port
}

// Trace implements Tracer: attempts to connect.
func (OpenVPNTCP) Trace(_ *Conversation, _ Observation, failed Finding) (*Trace, error) {
	if failed.Stage != stageConnect {
		return nil, errors.New("what fails is inside a connection that opens, and no packet of it can be asked for alone")
	}
	return &Trace{Port: wire.OpenVPNPort}, nil
}
