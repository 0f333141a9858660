package probe

import (
	"context"
	"sync"
	"time"

	"vpncheck/probe/wire"
)

// L2TP plays an L2TP client (RFC 2661) on UDP port 1701 as xl2tpd does: a tunnel, a call in it, and PPP in data messages, LCP opened both
// ways and kept alive by echoes. This is L2TP in the clear, as some providers use it. In L2TP over IPsec no router sees port 1701 (F10).
//
// A stock client leaves from port 1701 too, and a router with an L2TP server of its own may take that (F16, F18). Where the server does not
// answer it, an ephemeral port is asked as well, which tells a port that is taken from one that is blocked.
type L2TP struct{}

// Parts and stages of L2TP.
const (
	l2tpStock = "from-1701"
	l2tpAny   = "ephemeral"

	l2tpTunnelStage  = "tunnel"
	l2tpSessionStage = "session"
	l2tpDataStage    = "data"

	// These are told, not judged: a bare acknowledgment answers them.
	l2tpConnectedStage = "connected"
	l2tpCallUpStage    = "call-up"
	l2tpHelloStage     = "hello"
	l2tpStopStage      = "stop"
)

// Info implements Probe.
func (L2TP) Info() Info {
	return Info{
		ID: "l2tp", Title: "L2TP without IPsec (UDP 1701)", RFC: "RFC 2661",
		Parts: []Part{
			{ID: l2tpStock, Title: "from port 1701", Deciding: true},
			{ID: l2tpAny, Title: "from another port", StandsIn: true, Rounds: 4},
		},
		Stages: []Stage{
			{ID: l2tpTunnelStage, Title: "the tunnel's opening on UDP port 1701", Carrier: wire.CarrierL2TP, Rounds: 1, Port: wire.L2TPPort},
			{ID: l2tpSessionStage, Title: "the call set-up on UDP port 1701", Carrier: wire.CarrierL2TP, Rounds: 1, Port: wire.L2TPPort},
			{ID: l2tpDataStage, Title: "data on UDP port 1701", Carrier: wire.CarrierL2TP, Rounds: 12, Span: 1500 * time.Millisecond,
				Port: wire.L2TPPort},
		},
		Carriers: []wire.Carrier{wire.CarrierL2TP},
		Weak:     "L2TP alone does not encrypt",
	}
}

func (l L2TP) stage(id string) Stage {
	for _, s := range l.Info().Stages {
		if s.ID == id {
			return s
		}
	}
	return Stage{}
}

// Observe implements Probe.
func (l L2TP) Observe(ctx context.Context, path *Path) (Observation, error) {
	c, err := path.Conversation(ctx, l)
	if err != nil {
		return Observation{}, err
	}
	var beside sync.WaitGroup
	var noOther error
	other := sync.OnceFunc(func() {
		beside.Go(func() { noOther = l.speak(ctx, c, l2tpAny, 0, func() {}) })
	})
	noStock := l.speak(ctx, c, l2tpStock, wire.L2TPPort, other)
	beside.Wait()
	o := c.Finish(ctx)
	if noStock != nil && noOther != nil {
		return Observation{}, noOther
	}
	return o, nil
}

// speak holds one form from a local port. doubt is called when the server does not answer it, or when it cannot be asked.
func (l L2TP) speak(ctx context.Context, c *Conversation, part string, port uint16, doubt func()) error {
	t := &l2tpTalk{c: c, part: part, doubt: doubt, tunnels: map[uint16]*l2tpTunnel{}}
	var err error
	if t.flow, err = c.UDP(port, wire.L2TPPort, wire.CarrierL2TP, t.read); err != nil {
		if c.refuse(part, err) != nil {
			c.refuse(part, &Refusal{Reason: CouldNotAsk, Why: err.Error()})
		}
		doubt()
		return err
	}
	defer t.flow.Close()
	t.hold(ctx)
	if !c.path.prove && c.weigh(part, l.stage(l2tpDataStage)).verdict != Passed {
		doubt()
	}
	return nil
}

// Trace implements Tracer: the openings of tunnels, or where those pass, what follows them, of a tunnel that the server does not know: it
// sees it, and keeps silent.
func (l L2TP) Trace(c *Conversation, _ Observation, failed Finding) (*Trace, error) {
	t := &l2tpTalk{c: c, part: l2tpStock, doubt: func() {}, tunnels: map[uint16]*l2tpTunnel{}}
	f, err := c.stockUDP(wire.L2TPPort, wire.CarrierL2TP, t.read)
	t.flow = f
	return &Trace{Flow: f, Next: func() Question {
		k := t.attempt()
		return Question{DF: true, Payload: func(tag wire.Tag) []byte {
			if failed.Stage == l2tpTunnelStage {
				return k.message(tag, 0, wire.L2TPSCCRQ, k.opening()...)
			}
			k.ns, k.peer, k.peerCall, k.lcp.opened = 1, randomID(0), randomID(0), true
			if failed.Stage == l2tpSessionStage {
				return k.message(tag, 0, wire.L2TPICRQ, k.calling()...)
			}
			return k.data(k.lcp.request(tag))
		}}
	}}, err
}

// Changes implements Probe: nothing in a message is a NAT's to change, and what is in a tunnel is the user's.
func (L2TP) Changes(_ Observation, e Exchange) []Change {
	out := Compare(e, 0)
	for i, ch := range out {
		switch ch.Field {
		case "payload":
			before := e.Sent.Bytes
			if (ch.Way == WayBack) == (e.From == Client) {
				before = e.Replied.Bytes
			}
			out[i].Field, out[i].Kills = l2tpFieldAt(before, ch.Offset), PayloadAltered
		case "length":
			out[i].Kills = PayloadAltered
		}
	}
	return out
}

// l2tpFieldAt names the field of a message's header that an octet is in, where it matters which: the IDs, by which the receiver knows a
// tunnel and a call (RFC 2661, section 3.1). They stand behind the Length, if there is one.
func l2tpFieldAt(message []byte, at int) string {
	ids := 2
	if len(message) > 0 && message[0]&0x40 != 0 {
		ids = 4
	}
	switch at - ids {
	case 0, 1:
		return "tunnel ID"
	case 2, 3:
		return "session ID"
	}
	return "payload"
}

// Reason implements Probe: the port's fate is all there is.
func (L2TP) Reason(Observation, Stage, Verdict, Circumstances) (Reason, []Evidence) { return "", nil }
