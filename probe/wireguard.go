package probe

import (
	"context"
	"time"

	"vpncheck/probe/wire"
)

// WireGuard plays a WireGuard client on UDP port 51820: the genuine handshake, and IP packets in the tunnel that it makes. Noise itself proves
// both ends. A real client whose handshake is not answered tries again after five seconds; this one sooner, and each time with a new
// initiation, as that one does.
//
// Its first packet is known by its first four octets and its length to whoever looks for it (F12), so it comes after the verdicts of others.
type WireGuard struct{}

// The part and the stages.
const (
	wireGuardPart      = "wireguard"
	wireGuardHandshake = "handshake"
	wireGuardData      = "data"
)

// Info implements Probe.
func (WireGuard) Info() Info {
	return Info{
		ID: "wireguard", Title: "WireGuard (UDP 51820)",
		Parts: []Part{{ID: wireGuardPart, Title: "a handshake and data", Deciding: true}},
		Stages: []Stage{
			{ID: wireGuardHandshake, Title: "WireGuard's handshake on UDP port 51820", Carrier: wire.CarrierWireGuard, Rounds: 1, Port: wire.WireGuardPort},
			{ID: wireGuardData, Title: "data on UDP port 51820", Carrier: wire.CarrierWireGuard, Rounds: 12, Span: time.Second,
				Port: wire.WireGuardPort},
		},
		Carriers: []wire.Carrier{wire.CarrierWireGuard},
		Late:     true,
	}
}

// Observe implements Probe. A tunnel that stops midway is made once more from another port, and asked slowly.
func (w WireGuard) Observe(ctx context.Context, path *Path) (Observation, error) {
	c, err := path.Conversation(ctx, w)
	if err != nil {
		return Observation{}, err
	}
	for number := 1; number <= 2; number++ {
		var f *Flow
		if f, err = c.UDP(0, wire.WireGuardPort, wire.CarrierWireGuard, path.wireGuard.read); err != nil {
			break
		}
		stopped := w.hold(ctx, c, f, number)
		f.Close()
		if !stopped {
			break
		}
	}
	seen := c.Finish(ctx)
	if err != nil && len(seen.Exchanges) == 0 {
		return Observation{}, err
	}
	return seen, nil
}

// hold makes a tunnel and keeps it busy. It says whether it stopped midway.
func (w WireGuard) hold(ctx context.Context, c *Conversation, f *Flow, number int) bool {
	stages := w.Info().Stages
	c.talk(ctx, wireGuardPart, stages[0], number, func(ctx context.Context) Exchange {
		return f.Ask(ctx, Question{Part: wireGuardPart, Stage: wireGuardHandshake, Flow: number, DF: true, Payload: c.path.wireGuard.opening})
	})
	t := c.tunnelOf(number)
	if t == nil {
		return false
	}
	c.talk(ctx, wireGuardPart, stages[1], number, func(ctx context.Context) Exchange {
		return f.Ask(ctx, Question{Part: wireGuardPart, Stage: wireGuardData, Flow: number, DF: true, Payload: func(tag wire.Tag) []byte {
			return t.packet(tag, innerSize)
		}})
	})
	c.fullSize(ctx, wireGuardPart, number, func(ctx context.Context) Exchange {
		return f.Ask(ctx, Question{Part: wireGuardPart, Stage: stageFull, Flow: number, DF: true, Payload: func(tag wire.Tag) []byte {
			return t.packet(tag, wire.WireGuardMTU-20-8)
		}})
	})
	return c.again(wireGuardPart, stages[1], number)
}

// tunnelOf is the newest tunnel that a flow's handshakes have made, though the answer came late; nil if there is none.
func (c *Conversation) tunnelOf(flow int) *wireGuardTunnel {
	exchanges := c.snapshot().Exchanges
	for i := len(exchanges) - 1; i >= 0; i-- {
		e := exchanges[i]
		if e.Flow == flow && e.Stage == wireGuardHandshake && e.Returned.State == wire.Seen {
			if t := c.path.wireGuard.tunnel(wire.WireGuardReceiver(e.Returned.Bytes)); t != nil {
				return t
			}
		}
	}
	return nil
}

// Changes implements Probe: every octet is sealed, or proved by one that is.
func (WireGuard) Changes(_ Observation, e Exchange) []Change { return exact(e) }

// Reason implements Probe: the port's fate is all there is.
func (WireGuard) Reason(Observation, Stage, Verdict, Circumstances) (Reason, []Evidence) {
	return "", nil
}

// Trace implements Tracer: initiations, or where those pass, data of a tunnel that the server has forgotten: it sees it, and keeps silent.
func (WireGuard) Trace(c *Conversation, _ Observation, failed Finding) (*Trace, error) {
	p := &c.path.wireGuard
	f, err := c.UDP(0, wire.WireGuardPort, wire.CarrierWireGuard, p.read)
	return &Trace{Flow: f, Next: func() Question {
		if t := p.last(); t != nil && failed.Stage != wireGuardHandshake {
			return Question{DF: true, Payload: func(tag wire.Tag) []byte { return t.packet(tag, innerSize) }}
		}
		return Question{DF: true, Payload: p.opening}
	}}, err
}
