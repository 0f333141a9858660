package probe

import (
	"context"
	"sync"
	"time"

	"vpncheck/probe/wire"
)

// Random octets to a port whose protocol is blocked tell a block of the port from one of what is in the packets (F12, F20): same port, same
// size, no form. They look like bait to whatever inspects packets, so they come after every conversation of the run, and beside them go more
// openings, so that a block that has ended by then is not taken for one that spares what has no form.
//
// Inspection may go on dropping a flow that it has once caught, so the three kinds share no flow: random octets from the stock port, which
// has seen the real opening; random octets from a fresh port; real openings from another fresh port.
const (
	randomStock   = "random-stock"
	randomFresh   = "random-fresh"
	randomOpening = "opening"

	randomTries = 5
	randomEvery = 550 * time.Millisecond // five of them take more than two seconds
	randomLimit = 4 * time.Second        // for all of it
)

// openers are the probes whose opening is a datagram. opening makes one, which no earlier one was, for a flow of its own.
type opener interface {
	Probe
	opening(c *Conversation, f *Flow) func(wire.Tag) []byte
	read(c *Conversation) func(wire.Sighting) (wire.Tag, bool)
}

func (IKE) opening(_ *Conversation, f *Flow) func(wire.Tag) []byte {
	return newIKEv2(wire.GroupCurve25519, f.Local(), f.to).open
}

func (IKE) read(*Conversation) func(wire.Sighting) (wire.Tag, bool) { return readIKE }

func (NATT) opening(_ *Conversation, f *Flow) func(wire.Tag) []byte {
	sa := newIKEv2(wire.GroupCurve25519, f.Local(), f.to)
	return func(t wire.Tag) []byte { return wire.AppendNATTIKE(nil, sa.open(t)) }
}

func (NATT) read(*Conversation) func(wire.Sighting) (wire.Tag, bool) { return readNATT }

func (L2TP) opening(c *Conversation, f *Flow) func(wire.Tag) []byte {
	k := (&l2tpTalk{c: c, flow: f, tunnels: map[uint16]*l2tpTunnel{}}).attempt()
	return func(t wire.Tag) []byte { return k.message(t, 0, wire.L2TPSCCRQ, k.opening()...) }
}

func (L2TP) read(*Conversation) func(wire.Sighting) (wire.Tag, bool) {
	return (&l2tpTalk{tunnels: map[uint16]*l2tpTunnel{}}).read
}

func (OpenVPNUDP) opening(c *Conversation, _ *Flow) func(wire.Tag) []byte {
	return func(t wire.Tag) []byte {
		return newOpenVPN(c.path, wire.CarrierOpenVPNUDP, 1, t.Token.Exchange()).reset().Append(nil)
	}
}

func (OpenVPNUDP) read(c *Conversation) func(wire.Sighting) (wire.Tag, bool) {
	return (&openVPNTalk{c: c, carrier: wire.CarrierOpenVPNUDP}).read
}

func (WireGuard) opening(c *Conversation, _ *Flow) func(wire.Tag) []byte {
	return c.path.wireGuard.opening
}

func (WireGuard) read(c *Conversation) func(wire.Sighting) (wire.Tag, bool) {
	return c.path.wireGuard.read
}

// withRandom is a probe's conversation in which its opening is asked beside random octets.
type withRandom struct {
	opener
	port uint16
}

// Info implements Probe, as far as a Conversation needs it.
func (w withRandom) Info() Info {
	first := w.opener.Info().Stages[0]
	return Info{
		ID:       w.opener.Info().ID,
		Stages:   []Stage{{ID: randomOpening, Carrier: first.Carrier}, {ID: randomStock, Carrier: wire.CarrierRandom}},
		Carriers: []wire.Carrier{wire.CarrierRandom, first.Carrier},
	}
}

// ask holds it, from the stock port if that may be had. It returns nothing if the server does not know of it, or its time is over before
// anything was told.
func (w withRandom) ask(ctx context.Context, path *Path) []Exchange {
	ctx, cancel := context.WithTimeout(ctx, randomLimit)
	defer cancel()
	c, err := path.Conversation(ctx, w)
	if err != nil {
		return nil
	}
	size := make(chan int, 2) // of a real opening
	random := func(local uint16, part string) func() {
		f, err := c.UDP(local, w.port, wire.CarrierRandom, c.readRandom)
		return func() {
			n := <-size
			if err != nil {
				return // the stock port is another's: the fresh one will do
			}
			defer f.Close()
			w.say(ctx, f, part, randomStock, func() func(wire.Tag) []byte {
				return func(t wire.Tag) []byte { return c.randomOctets(n, t) }
			})
		}
	}
	var all sync.WaitGroup
	all.Go(random(w.port, randomStock))
	all.Go(random(0, randomFresh))
	all.Go(func() {
		f, err := c.UDP(0, w.port, w.Info().Stages[0].Carrier, w.read(c))
		if err != nil {
			close(size)
			return
		}
		defer f.Close()
		n := len(w.opening(c, f)(wire.Tag{}))
		size <- n
		size <- n
		w.say(ctx, f, randomOpening, randomOpening, func() func(wire.Tag) []byte { return w.opening(c, f) })
	})
	all.Wait()
	return c.Finish(ctx).Exchanges
}

// say sends a flow's questions at an even pace, whatever becomes of them: on a slow line the wait for each answer would take too long. Those of
// the last are waited for.
func (withRandom) say(ctx context.Context, f *Flow, part, stage string, payload func() func(wire.Tag) []byte) {
	for i := range randomTries {
		f.Say(ctx, Question{Part: part, Stage: stage, Flow: 1, DF: true, Payload: payload()})
		pause := randomEvery
		if i == randomTries-1 {
			pause = f.c.path.Wait()
		}
		if !sleep(ctx, pause) {
			return
		}
	}
}

// randomOctets are as many as an opening has; too few for a tag, they have a brief token.
func (c *Conversation) randomOctets(n int, t wire.Tag) []byte {
	if n < wire.RandomSize {
		return wire.AppendBriefRandom(nil, n, c.path.mint.Brief(wire.Question, wire.CarrierRandom, t.Token.Exchange()))
	}
	return wire.AppendRandom(nil, n, t)
}

// readRandom takes the tag out of what came back.
func (c *Conversation) readRandom(s wire.Sighting) (wire.Tag, bool) {
	if b, err := wire.ParseBriefRandom(s.Bytes); err == nil {
		n, ok := c.path.mint.ReadBrief(wire.Answer, wire.CarrierRandom, b)
		return wire.Tag{Token: c.path.mint.Make(wire.Answer, wire.CarrierRandom, n)}, ok
	}
	tag, err := wire.ParseRandom(s.Bytes)
	return tag, err == nil
}

// asksRandom says whether a finding is a block of a UDP port that random octets may tell more of, and of which port. Of a conversation that
// began and then stopped they tell nothing: they would have to be as many as it had packets.
func asksRandom(p Probe, f Finding) (withRandom, bool) {
	of, ok := p.(opener)
	if !ok {
		return withRandom{}, false
	}
	first := p.Info().Stages[0]
	port := first.Port
	switch {
	case portOf(p.Info(), f.Stage) != port:
		return withRandom{}, false // its opening went through, on another port
	case f.Reason == UDPPortDropped, f.Reason == UDPPortBackDropped:
		return withRandom{of, port}, port != 0
	}
	return withRandom{}, false
}

// portOf is the port of one of a protocol's stages.
func portOf(info Info, stage string) uint16 {
	for _, s := range info.Stages {
		if s.ID == stage {
			return s.Port
		}
	}
	return 0
}

// random asks all that there is to ask of this kind, side by side.
func (r *run) random(ctx context.Context) {
	c := r.path.Circumstances()
	r.mu.Lock()
	c.Beside = r.beside()
	r.mu.Unlock()
	var all sync.WaitGroup
	for i, p := range r.probes {
		w, ok := asksRandom(p, Judge(p, *r.obs[i], c))
		if !ok || r.path.prove || ctx.Err() != nil {
			continue
		}
		all.Go(func() {
			exchanges := w.ask(ctx, r.path)
			r.mu.Lock()
			defer r.mu.Unlock()
			r.obs[i].Random = exchanges
		})
	}
	all.Wait()
}

// A contrast is how random octets and real openings fared, at the same time, with the same port.
type contrast struct {
	stock, fresh, opening Tally
	port                  uint16
}

// contrastOf counts what did not fall into an outage. What the server could not tell of is left out.
func contrastOf(o Observation, c Control) (out contrast) {
	outages, late := c.Outages(), c.late()
	for _, e := range o.Random {
		returned := e.Returned.State == wire.Seen
		if e.Sent.State != wire.Seen || !returned && (e.Arrived.State == wire.Blind || fellInto(e.Sent.At, late, outages)) {
			continue
		}
		t := map[string]*Tally{randomStock: &out.stock, randomFresh: &out.fresh, randomOpening: &out.opening}[e.Part]
		if t == nil {
			continue
		}
		out.port = e.Sent.Dst.Port()
		t.Tries++
		if e.Arrived.State == wire.Seen || returned {
			t.Arrived++
		}
		if returned {
			t.Returned++
		}
	}
	return out
}

// content says that what is in the packets decides: most random octets of a flow crossed, that way, while no opening did (F12).
func (x contrast) content(v Verdict) bool {
	crossed := func(t Tally) int {
		if v == BlockedBack {
			return t.Returned
		}
		return t.Arrived
	}
	passes := func(t Tally) bool { return crossed(t) > randomTries/2 }
	return (passes(x.stock) || passes(x.fresh)) && x.opening.Tries >= 3 && crossed(x.opening) == 0
}

// inspected names a block of a port by what random octets tell, and tells it; "" and nothing if they were not asked.
func inspected(o Observation, v Verdict, c Control) (Reason, []Evidence) {
	x := contrastOf(o, c)
	best := x.stock
	if x.fresh.Arrived+x.fresh.Returned > best.Arrived+best.Returned || best.Tries == 0 {
		best = x.fresh
	}
	if best.Tries == 0 {
		return "", nil
	}
	content := x.content(v)
	because := []Evidence{{Reason: EvRandom, Args: map[string]any{
		"port": int(x.port), "asked": best.Tries, "arrived": best.Arrived, "returned": best.Returned, "openings": x.opening.Tries,
		"openings_arrived": x.opening.Arrived, "openings_returned": x.opening.Returned, "content": content,
	}}}
	switch {
	case content && v == BlockedOut:
		return UDPContentDropped, because
	case content && v == BlockedBack:
		return UDPContentBackDropped, because
	}
	return "", because
}
