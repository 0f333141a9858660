package probe

import (
	"context"
	"net/netip"
	"time"

	"vpncheck/probe/wire"
)

// ESP asks whether IP protocol 50 is carried (RFC 4303): what IPsec uses where it finds no NAT, or was told to (F38). It has no ports, so a
// NAT keeps one flow of it per pair of addresses, and some let it through only where IKE was spoken before (T27): the form that decides
// has had an IKE opening of its own, and comes after IKE's. The other goes, without one, to the server's second address: where it passes and
// the first dies, another laptop holds the flow (F11, T05). The two never run at once, and each keeps its SPIs (T28).
type ESP struct{}

const (
	espWarm = "after-ike"
	espCold = "cold"

	espOpening = "opening" // told, not judged
	espTalk    = "esp"

	espOpeningTries = 2
	espOpeningEvery = 300 * time.Millisecond
	espIKEWait      = 2 * time.Second // at most, for IKE's own opening to be over: four tries of it
	espColdTime     = 4 * time.Second // at most
)

// Info implements Probe.
func (ESP) Info() Info {
	return Info{
		ID: "esp", Title: "ESP", RFC: "RFC 4303",
		Parts: []Part{
			{ID: espWarm, Title: "ESP to the server's address, after IKE's opening was tried", Deciding: true},
			{ID: espCold, Title: "ESP to the server's second address, without IKE", Second: true, Rounds: 5},
		},
		Stages: []Stage{
			{ID: espTalk, Title: "packets of ESP", Carrier: wire.CarrierESP, Rounds: 12, Span: 1500 * time.Millisecond},
		},
		Carriers: []wire.Carrier{wire.CarrierESP},
	}
}

// Observe implements Probe.
func (p ESP) Observe(ctx context.Context, path *Path) (Observation, error) {
	c, err := path.Conversation(ctx, p)
	if err != nil {
		return Observation{}, err
	}
	f, err := c.Raw(wire.IPProtoESP, wire.CarrierESP, readESP)
	if err != nil {
		c.Finish(ctx)
		return Observation{}, err
	}
	path.awaitIKE(ctx, espIKEWait)
	p.introduce(ctx, c)
	for flow := 1; flow <= 2; flow++ { // one that stops is asked again, with new SPIs and slowly
		p.hold(ctx, c, f, espWarm, flow)
		if !c.again(espWarm, p.Info().Stages[0], flow) {
			break
		}
	}
	f.Close()
	if second, ok := path.second(); ok && p.worthCold(c) {
		if f, err := c.RawTo(wire.IPProtoESP, second, wire.CarrierESP, readESP); err == nil {
			ctx, cancel := context.WithTimeout(ctx, espColdTime)
			p.hold(ctx, c, f, espCold, 1)
			cancel()
			f.Close()
		}
	}
	return c.Finish(ctx), nil
}

// awaitIKE waits until IKE's opening is over, but not for ever.
func (p *Path) awaitIKE(ctx context.Context, most time.Duration) {
	timer := time.NewTimer(most)
	defer timer.Stop()
	select {
	case <-p.ikeOpened:
	case <-timer.C:
	case <-ctx.Done():
	}
}

// introduce opens IKE (RFC 7296, section 1.2), as every client does before ESP: the server learns where its peer is, and a router that
// waits for IKE that there is some. From an ephemeral port, because IKE itself has the other.
func (ESP) introduce(ctx context.Context, c *Conversation) {
	f, err := c.UDP(0, wire.IKEPort, wire.CarrierIKE, readIKE)
	if err != nil {
		return
	}
	defer f.Close()
	sa := newIKEv2(wire.GroupCurve25519, f.Local(), f.to)
	for range espOpeningTries {
		began := time.Now()
		e := f.Ask(ctx, Question{Part: espWarm, Stage: espOpening, Flow: 1, DF: true, Payload: sa.open})
		if e.Returned.State == wire.Seen || !sleep(ctx, espOpeningEvery-time.Since(began)) {
			return
		}
	}
}

// hold speaks ESP with fresh SPIs.
func (p ESP) hold(ctx context.Context, c *Conversation, f *Flow, part string, flow int) {
	tunnel := newESPTunnel(false)
	c.talk(ctx, part, p.Info().Stages[0], flow, func(ctx context.Context) Exchange {
		e := f.Ask(ctx, Question{Part: part, Stage: espTalk, Flow: flow, DF: true, Payload: tunnel.packet})
		if e.Returned.State == wire.Seen {
			tunnel.answered++
		}
		return e
	})
	c.fullSize(ctx, part, flow, func(ctx context.Context) Exchange {
		return f.Ask(ctx, Question{Part: part, Stage: stageFull, Flow: flow, DF: true, Payload: tunnel.full})
	})
}

// Trace implements Tracer.
func (ESP) Trace(c *Conversation, _ Observation, _ Finding) (*Trace, error) {
	f, err := c.Raw(wire.IPProtoESP, wire.CarrierESP, readESP)
	tunnel := newESPTunnel(false)
	return &Trace{Flow: f, Next: func() Question { return Question{DF: true, Payload: tunnel.packet} }}, err
}

// worthCold says whether the first address has left a question that the second can answer: whether ESP needs IKE, or whether a block is
// a clash.
func (p ESP) worthCold(c *Conversation) bool {
	switch w := c.weigh(espWarm, p.Info().Stages[0]); w.verdict {
	case Passed, BlockedOut, BlockedBack:
		return true
	default:
		return w.reason == ServerUnproven
	}
}

// Changes implements Probe. ESP is sealed. And a server answers to its IKE peer: ESP that comes from another address is lost to it.
func (ESP) Changes(o Observation, e Exchange) []Change {
	if e.Stage == espOpening {
		return sealed(e, ikeField)
	}
	out := sealed(e, espField)
	if e.Arrived.State != wire.Seen {
		return out
	}
	src, peer := e.Arrived.Src.Addr().Unmap(), ikePeerOf(o, e)
	if peer.IsValid() && src != peer {
		out = append(out, Change{
			Exchange: e.ID, Way: WayOut, Field: "source address (IKE, ESP)", Before: peer.String(), After: src.String(), Kills: AddressesDiffer,
		})
	}
	return out
}

// ikePeerOf is where the server saw IKE come from: by the opening, or by where it sends its ESP.
func ikePeerOf(o Observation, e Exchange) netip.Addr {
	for _, opening := range o.Exchanges {
		if opening.Stage == espOpening && opening.Arrived.State == wire.Seen {
			return opening.Arrived.Src.Addr().Unmap()
		}
	}
	if e.Replied.State == wire.Seen {
		return e.Replied.Dst.Addr().Unmap()
	}
	return netip.Addr{}
}

// Reason implements Probe. Where the form after IKE was answered, the one that fails is the other.
func (ESP) Reason(o Observation, _ Stage, v Verdict, _ Circumstances) (Reason, []Evidence) {
	if v != BlockedOut && v != BlockedBack {
		return "", nil
	}
	for _, e := range o.Exchanges {
		if e.Part == espWarm && e.Stage == espTalk && e.Returned.State == wire.Seen {
			return ESPAfterIKE, nil
		}
	}
	if v == BlockedBack {
		return ESPBackDropped, nil
	}
	return ESPOutDropped, nil
}
