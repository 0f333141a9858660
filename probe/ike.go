package probe

import (
	"context"
	"sync"
	"time"

	"vpncheck/probe/wire"
)

// IKE plays the key exchange of IPsec on UDP port 500, as strongSwan does: IKE_SA_INIT with a genuine key exchange and NAT detection (RFC
// 7296), and Main Mode of version 1 (RFC 2409), which L2TP over IPsec opens with. Then come encrypted messages on the same SPIs, IKE_AUTH
// first. Nobody on the way can read those, and no more do we: they are random octets with our token inside.
//
// A real client leaves from port 500, the only port that routers' IPsec helpers look at (F14, F15), and behind a NAT moves to port 4500
// after the opening. That another form leaves from an ephemeral port tells a port that is taken from one that is blocked.
type IKE struct{}

// Parts and stages of IKE.
const (
	ikeV2Stock = "v2-from-500"
	ikeV2Any   = "v2-ephemeral"
	ikeV1Stock = "v1-from-500"

	ikeOpening = "opening"
	ikeRounds  = "rounds"

	ikeFewRounds = 3 // of a part that does not decide
)

// Info implements Probe.
func (IKE) Info() Info {
	return Info{
		ID: "ike", Title: "IKE (UDP 500)", RFC: "RFC 7296, RFC 2409",
		Parts: []Part{
			{ID: ikeV2Stock, Title: "IKEv2 from port 500", Deciding: true},
			{ID: ikeV2Any, Title: "IKEv2 from another port", StandsIn: true, Rounds: ikeFewRounds},
			{ID: ikeV1Stock, Title: "IKEv1 main mode from port 500", Rounds: ikeFewRounds},
		},
		Stages: []Stage{
			{ID: ikeOpening, Title: "the first messages on UDP port 500", Carrier: wire.CarrierIKE, Rounds: 1, Port: wire.IKEPort},
			{ID: ikeRounds, Title: "encrypted messages on UDP port 500", Carrier: wire.CarrierIKE, Rounds: 12, Span: 1200 * time.Millisecond,
				Port: wire.IKEPort, Note: true},
		},
		Carriers: []wire.Carrier{wire.CarrierIKE},
	}
}

// stages are the two, in order.
func (p IKE) stages() (opening, rounds Stage) {
	s := p.Info().Stages
	return s[0], s[1]
}

// Observe implements Probe. The parts are held side by side, and the deciding one asks first: were it the other way round, a NAT that has
// room for one IKE client could give the place away to another form of ours.
func (p IKE) Observe(ctx context.Context, path *Path) (Observation, error) {
	defer path.ikeDone()
	c, err := path.Conversation(ctx, p)
	if err != nil {
		return Observation{}, err
	}
	talks, err := p.talks(c)
	if err != nil {
		c.Finish(ctx)
		return Observation{}, err
	}
	asked := make(chan struct{})
	talks[0].asked, talks[0].opened = sync.OnceFunc(func() { close(asked) }), path.ikeDone
	var all sync.WaitGroup
	for i, t := range talks {
		defer t.flow.Close()
		all.Go(func() {
			if i > 0 {
				<-asked
			}
			t.hold(ctx)
		})
	}
	all.Wait()
	return c.Finish(ctx), nil
}

// talks opens the sockets and returns the parts that can be asked, the deciding one first. It returns an error if there are none.
func (IKE) talks(c *Conversation) ([]*ikeTalk, error) {
	stock, noStock := c.sharedUDP(wire.IKEPort, wire.IKEPort, wire.CarrierIKE, readIKE)
	other, noOther := c.UDP(0, wire.IKEPort, wire.CarrierIKE, readIKE)
	var talks []*ikeTalk
	for _, t := range []struct {
		part  string
		flow  *Flow
		err   error
		begin func(f *Flow) ikeSA
	}{
		{ikeV2Stock, stock, noStock, func(f *Flow) ikeSA { return newIKEv2(wire.GroupCurve25519, f.Local(), f.to) }},
		{ikeV2Any, other, noOther, func(f *Flow) ikeSA { return newIKEv2(wire.GroupMODP2048, f.Local(), f.to) }},
		{ikeV1Stock, stock, noStock, func(f *Flow) ikeSA { return newIKEv1(f.Local(), f.to) }},
	} {
		if t.err == nil {
			nothing := func() {}
			talks = append(talks, &ikeTalk{c: c, part: t.part, flow: t.flow, begin: t.begin, asked: nothing, opened: nothing})
		} else if c.refuse(t.part, t.err) != nil {
			c.refuse(t.part, &Refusal{Reason: CouldNotAsk, Why: t.err.Error()})
		}
	}
	if len(talks) == 0 {
		return nil, noStock
	}
	return talks, nil
}

// Trace implements Tracer: an opening is whole in itself.
func (IKE) Trace(c *Conversation, _ Observation, _ Finding) (*Trace, error) {
	f, err := c.stockUDP(wire.IKEPort, wire.CarrierIKE, readIKE)
	return &Trace{Flow: f, Next: func() Question {
		return Question{DF: true, Payload: newIKEv2(wire.GroupCurve25519, f.Local(), f.to).open}
	}}, err
}

// readIKE takes the tag out of a message. One that cannot be read is somebody's, or damaged.
func readIKE(s wire.Sighting) (wire.Tag, bool) {
	m, err := wire.ParseIKE(s.Bytes)
	if err != nil {
		return wire.Tag{}, true
	}
	t, _ := m.Tag()
	return t, true
}

// An ikeTalk is one part under way.
type ikeTalk struct {
	c     *Conversation
	part  string
	flow  *Flow
	begin func(*Flow) ikeSA

	asked  func() // called when the first question was answered, or not in time
	opened func() // called when the opening was answered, or given up

	tries []ikeTry
}

// An ikeTry is one opening. Each has SPIs of its own, and therefore is a flow of its own; the ports stay.
type ikeTry struct {
	exchange uint32
	sa       ikeSA
}

// hold opens an SA and keeps it busy. One that stops midway is opened once more, and asked slowly.
func (t *ikeTalk) hold(ctx context.Context) {
	_, rounds := IKE{}.stages()
	for range 2 {
		sa, flow := t.open(ctx)
		t.asked()
		t.opened()
		if sa == nil {
			return
		}
		t.c.talk(ctx, t.part, rounds, flow, func(ctx context.Context) Exchange {
			e := t.flow.Ask(ctx, Question{Part: t.part, Stage: ikeRounds, Flow: flow, DF: true, Payload: sa.next})
			if e.Returned.State == wire.Seen {
				sa.answered()
			}
			return e
		})
		if v2, ok := sa.(*ikev2SA); ok && !behindNAT(t.c.path.Circumstances()) { // behind one a client's large messages go to port 4500
			t.c.fullSize(ctx, t.part, flow, func(ctx context.Context) Exchange {
				e := t.flow.Ask(ctx, Question{Part: t.part, Stage: stageFull, Flow: flow, DF: true, Payload: v2.full})
				if e.Returned.State == wire.Seen {
					sa.answered()
				}
				return e
			})
		}
		if !t.c.again(t.part, rounds, flow) {
			return
		}
	}
}

// open asks for an SA until one is had or more tries could change nothing. It returns the newest that was answered, though it be late, and
// its flow.
func (t *ikeTalk) open(ctx context.Context) (ikeSA, int) {
	opening, _ := IKE{}.stages()
	earlier := len(t.tries)
	t.c.talk(ctx, t.part, opening, earlier+1, func(ctx context.Context) Exchange {
		n, sa := t.c.path.number(), t.begin(t.flow)
		e := t.flow.Ask(ctx, Question{Part: t.part, Stage: ikeOpening, Flow: len(t.tries) + 1, DF: true, Number: n, Payload: sa.open})
		t.asked()
		if e.ID != "" {
			t.tries = append(t.tries, ikeTry{n, sa})
		}
		return e
	})
	for i := len(t.tries) - 1; i >= earlier; i-- {
		answer := t.c.exchange(t.tries[i].exchange).Returned
		if sa := t.tries[i].sa; answer.State == wire.Seen && sa.opened(answer.Bytes) {
			return sa, i + 1
		}
	}
	return nil, 0
}
