package probe

import (
	"context"
	"sync"
	"time"

	"vpncheck/probe/wire"
)

// NATT plays IPsec as it is spoken through a NAT: IKE behind the non-ESP marker and ESP in UDP, both on port 4500 (RFC 3947, RFC 3948). IKE
// begins right there (F40), so that a router which drops port 500 does not matter. Real ESP in UDP has no UDP checksum (RFC 3948, section
// 2.1), which some translators drop or break (F43, T10): that form decides.
type NATT struct{}

const (
	nattZero      = "esp-zero"
	nattEphemeral = "ephemeral"
	nattSum       = "esp-sum"

	nattOpening   = "opening"
	nattAuth      = "auth"
	nattESP       = "esp"
	nattKeepalive = "keepalive" // told, not judged: nothing answers to it

	nattRounds = 4 // of the forms that do not decide
)

// Info implements Probe. Where the system cannot leave a checksum out the form with one stands in for the stock one, and where another
// program has port 4500, the one from another port does.
func (NATT) Info() Info {
	return Info{
		ID: "natt", Title: "NAT-T (UDP 4500)", RFC: "RFC 3947, RFC 3948",
		Parts: []Part{
			{ID: nattZero, Title: "ESP in UDP from port 4500, checksum zero as real clients send it", Deciding: true},
			{ID: nattSum, Title: "ESP in UDP from port 4500, with a checksum", StandsIn: true, Stock: true, Rounds: nattRounds},
			{ID: nattEphemeral, Title: "ESP in UDP from another port", StandsIn: true, Rounds: nattRounds},
		},
		Stages: []Stage{
			{ID: nattOpening, Title: "IKE's opening on UDP 4500", Carrier: wire.CarrierNATT, Port: wire.NATTPort, Rounds: 1},
			{ID: nattAuth, Title: "IKE_AUTH on UDP 4500", Carrier: wire.CarrierNATT, Port: wire.NATTPort, Rounds: 1},
			{ID: nattESP, Title: "ESP in UDP on port 4500", Carrier: wire.CarrierNATT, Port: wire.NATTPort, Rounds: 12, Span: 1200 * time.Millisecond},
		},
		Carriers: []wire.Carrier{wire.CarrierNATT},
	}
}

// Observe implements Probe. The forms from the stock port come one after the other, the one from another port besides them.
func (n NATT) Observe(ctx context.Context, path *Path) (Observation, error) {
	c, err := path.Conversation(ctx, n)
	if err != nil {
		return Observation{}, err
	}
	var both sync.WaitGroup
	done := make(chan struct{})
	opened := sync.OnceFunc(func() { close(done) })
	if stock, err := c.sharedUDP(wire.NATTPort, wire.NATTPort, wire.CarrierNATT, readNATT); err == nil {
		defer stock.Close()
		both.Go(func() {
			defer opened()
			n.fromStock(ctx, c, stock, opened)
		})
	} else {
		opened()
		c.mustRefuse(nattZero, err)
		c.mustRefuse(nattSum, err)
	}
	both.Go(func() {
		<-done // a NAT that has room for one client only must not give the place to this form
		if err := n.hold(ctx, c, nattEphemeral, nil, func() {}); err != nil {
			c.mustRefuse(nattEphemeral, err)
		}
	})
	both.Wait()
	o := c.Finish(ctx)
	if path.Server.Is6() {
		// A datagram without a checksum is none over IPv6 (RFC 8200, section 8.1).
		o.Parts[0].Title = "ESP in UDP from port 4500, with the checksum that IPv6 demands"
	}
	return o, nil
}

// mustRefuse is refuse for any error.
func (c *Conversation) mustRefuse(part string, err error) {
	if c.refuse(part, err) != nil {
		c.refuse(part, &Refusal{Reason: CouldNotAsk, Why: err.Error()})
	}
}

// fromStock asks the forms from port 4500. The second tells nothing where not even IKE is answered, where the first was cut short or
// is limited, or where that has a checksum too.
func (n NATT) fromStock(ctx context.Context, c *Conversation, f *Flow, opened func()) {
	n.hold(ctx, c, nattZero, f, opened)
	c.path.ended("natt", nattZero)
	stages := n.Info().Stages
	if c.path.Server.Is6() || c.slowed(nattZero) || c.weigh(nattZero, stages[0]).verdict != Passed || c.weigh(nattZero, stages[1]).verdict != Passed {
		return
	}
	switch c.weigh(nattZero, stages[2]).verdict {
	case Passed, BlockedOut, BlockedBack, Untested:
		n.hold(ctx, c, nattSum, f, opened)
	}
}

// hold holds one form's conversation, on a given flow or one of its own. If it stops midway a second, slow one follows, from a port that
// the router has not seen yet. The error is that of opening the first.
func (n NATT) hold(ctx context.Context, c *Conversation, part string, f *Flow, opened func()) error {
	for flow := 1; flow <= 2; flow++ {
		if f == nil {
			var err error
			if f, err = c.UDP(0, wire.NATTPort, wire.CarrierNATT, readNATT); err != nil {
				return err
			}
			defer f.Close()
		}
		t := &nattTalk{c: c, f: f, part: part, flow: flow, bare: part != nattSum && c.path.Server.Is4(), opened: opened}
		t.ike = newIKEv2(wire.GroupCurve25519, f.Local(), f.to)
		t.hold(ctx)
		if !c.again(part, n.Info().Stages[2], flow) {
			return nil
		}
		f = nil
	}
	return nil
}

// A nattTalk is one client's conversation: an IKE SA, and ESP beside it.
type nattTalk struct {
	c    *Conversation
	f    *Flow
	part string
	flow int
	ike  *ikev2SA
	esp  *espTunnel
	bare bool // ESP leaves without a checksum

	asked int // openings

	opened func() // called when the opening was answered, or given up
}

func (t *nattTalk) hold(ctx context.Context) {
	stages := NATT{}.Info().Stages
	t.c.talk(ctx, t.part, stages[0], t.flow, t.open)
	t.opened()
	if t.c.weigh(t.part, stages[0]).verdict != Passed || !t.learn() {
		return
	}
	t.c.talk(ctx, t.part, stages[1], t.flow, t.auth)
	if t.c.weigh(t.part, stages[1]).verdict != Passed {
		return
	}
	t.esp = newESPTunnel(t.bare)
	t.c.talk(ctx, t.part, stages[2], t.flow, t.say)
	t.c.fullSize(ctx, t.part, t.flow, func(ctx context.Context) Exchange {
		return t.f.Ask(ctx, Question{Part: t.part, Stage: stageFull, Flow: t.flow, DF: true, NoChecksum: t.bare, Payload: t.esp.full})
	})
	if t.f.Local().Port() == wire.NATTPort {
		// RFC 3948, section 2.3: without a checksum either.
		t.f.Say(ctx, Question{Part: t.part, Stage: nattKeepalive, Flow: t.flow, NoChecksum: t.bare,
			Payload: func(wire.Tag) []byte { return []byte{wire.NATKeepalive} }})
	}
}

// open sends IKE_SA_INIT behind the non-ESP marker (RFC 3948, section 2.2). IKE has a checksum always.
func (t *nattTalk) open(ctx context.Context) Exchange {
	e := t.f.Ask(ctx, Question{Part: t.part, Stage: nattOpening, Flow: t.flow, DF: true, Payload: func(tag wire.Tag) []byte {
		return wire.AppendNATTIKE(nil, t.ike.open(tag))
	}})
	if t.asked++; t.asked >= minTries {
		t.opened() // whatever place there is in a NAT, it is taken by now
	}
	return e
}

// learn takes the responder's SPI from the answer to the opening, though that came late.
func (t *nattTalk) learn() bool {
	for _, e := range t.c.snapshot().Exchanges {
		if e.Part == t.part && e.Stage == nattOpening && e.Flow == t.flow && e.Returned.State == wire.Seen {
			if m, err := wire.ParseNATTIKE(e.Returned.Bytes); err == nil && t.ike.opened(m) {
				return true
			}
		}
	}
	return false
}

// auth sends IKE_AUTH, the message with which every client comes to this port, and the first one without which it has no tunnel.
func (t *nattTalk) auth(ctx context.Context) Exchange {
	return t.f.Ask(ctx, Question{Part: t.part, Stage: nattAuth, Flow: t.flow, DF: true, Payload: func(tag wire.Tag) []byte {
		return wire.AppendNATTIKE(nil, t.ike.next(tag))
	}})
}

// say sends the tunnel's next packet. A system that cannot leave the checksum out cannot ask for the stock form; the one from another port
// then has a checksum.
func (t *nattTalk) say(ctx context.Context) Exchange {
	e := t.f.Ask(ctx, Question{Part: t.part, Stage: nattESP, Flow: t.flow, DF: true, NoChecksum: t.bare, Payload: t.esp.packet})
	if e.Returned.State == wire.Seen {
		t.esp.answered++
	}
	if e.SendReason != string(OSRefuses) || !t.bare {
		return e
	}
	if t.part == nattEphemeral {
		t.bare, t.esp = false, newESPTunnel(false)
		return t.say(ctx)
	}
	t.bare = false
	t.c.refuse(t.part, &Refusal{Reason: OSRefuses, Why: e.SendErr})
	return Exchange{}
}

// Trace implements Tracer: openings of IKE, or where those pass, IKE_AUTH or ESP, of an SA that the server need not know.
func (n NATT) Trace(c *Conversation, _ Observation, failed Finding) (*Trace, error) {
	f, err := c.stockUDP(wire.NATTPort, wire.CarrierNATT, readNATT)
	tunnel := newESPTunnel(c.path.Server.Is4())
	return &Trace{Flow: f, Next: func() Question {
		ike := newIKEv2(wire.GroupCurve25519, f.Local(), f.to)
		switch failed.Stage {
		case nattESP:
			return Question{DF: true, NoChecksum: c.path.Server.Is4(), Payload: tunnel.packet}
		case nattAuth:
			ike.responder, ike.id = randomSPI(), 1
			return Question{DF: true, Payload: func(t wire.Tag) []byte { return wire.AppendNATTIKE(nil, ike.next(t)) }}
		}
		return Question{DF: true, Payload: func(t wire.Tag) []byte { return wire.AppendNATTIKE(nil, ike.open(t)) }}
	}}, err
}

// readNATT takes the tag out of what came from port 4500.
func readNATT(s wire.Sighting) (wire.Tag, bool) {
	switch kind, _ := wire.NATTKind(s.Bytes); kind {
	case wire.NATTKeepalive:
		return wire.Tag{}, false
	case wire.NATTIKE:
		s.Bytes, _ = wire.ParseNATTIKE(s.Bytes)
		return readIKE(s)
	default:
		return readESP(s)
	}
}

// Changes implements Probe. ESP and IKE are sealed; of IKE's opening the nonces and the NAT detection are, once IKE_AUTH has signed it
// (RFC 7296, section 2.15).
func (NATT) Changes(_ Observation, e Exchange) []Change {
	switch e.Stage {
	case nattOpening, nattAuth:
		return sealed(e, markedField)
	case nattESP, stageFull:
		return sealed(e, espField)
	}
	return exact(e)
}

// markedField names the octet at an offset of an IKE message behind its marker.
func markedField(b []byte, offset int) (name string, from, to int) {
	const marker = 4
	if offset < marker {
		return "marker", 0, marker
	}
	return ikeField(b[min(len(b), marker):], offset-marker)
}

// Reason implements Probe. That port 4500 is open is known once IKE was answered there: then it is the missing checksum, if ESP that has
// one passes, and else ESP.
func (NATT) Reason(o Observation, stage Stage, v Verdict, _ Circumstances) (Reason, []Evidence) {
	if stage.ID == nattOpening || v != BlockedOut && v != BlockedBack {
		return "", nil
	}
	summed := 0
	for _, e := range o.Exchanges {
		if e.Part == nattSum && e.Stage == nattESP && e.Returned.State == wire.Seen {
			summed++
		}
	}
	switch {
	case stage.ID == nattESP && summed >= nattRounds:
		return ZeroChecksum, []Evidence{{Reason: EvOtherPart, Args: map[string]any{"part": (NATT{}).Info().Parts[1].Title}}}
	case v == BlockedBack:
		return NoReturn, nil
	}
	return NoArrival, nil
}
