package probe

import (
	"context"
	"slices"
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
	randomSmall   = "random-small" // besides, where the opening is large: it may be the size
	randomOpening = "opening"

	randomTries = 5
	randomEvery = 550 * time.Millisecond // five of them take more than two seconds
	randomLimit = 4 * time.Second        // for all of it

	smallOctets = 548 // in an IP packet of 576 octets, which every host takes (RFC 791)
)

// openers are the probes whose opening is a datagram. opening makes one, which no earlier one was, for a flow of its own.
type opener interface {
	Probe
	opening(c *Conversation, f *Flow) func(wire.Tag) []byte
	read(c *Conversation) func(wire.Sighting) (wire.Tag, bool)
}

// A stepper is one that opens in more than one step: that of another stage stands for its opening where it got no further. A step is told of by
// what others asked of the same port as well, which are named in lenders.
type stepper interface {
	opener
	step(stage string) (of opener, ok bool)
	lenders() []string
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
	stage Stage // the opening's
}

// Info implements Probe, as far as a Conversation needs it.
func (w withRandom) Info() Info {
	return Info{
		ID:       w.opener.Info().ID,
		Stages:   []Stage{{ID: randomOpening, Carrier: w.stage.Carrier}, {ID: randomStock, Carrier: wire.CarrierRandom}},
		Carriers: []wire.Carrier{wire.CarrierRandom, w.stage.Carrier},
	}
}

// borrows says whether another's random octets, to the same port, tell what these would.
func (w withRandom) borrows(other withRandom) bool {
	s, ok := w.opener.(stepper)
	return ok && other.stage.Port == w.stage.Port && slices.Contains(s.lenders(), other.Info().ID)
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
	size := make(chan int, 3) // of a real opening
	random := func(local uint16, part string) func() {
		f, err := c.UDP(local, w.stage.Port, wire.CarrierRandom, func(s wire.Sighting) (wire.Tag, bool) { return c.readRandom(wire.CarrierRandom, s) })
		return func() {
			n := <-size
			if err != nil {
				return // the stock port is another's: the fresh one will do
			}
			defer f.Close()
			if part == randomSmall {
				if n <= smallOctets {
					return
				}
				n = smallOctets
			}
			w.say(ctx, f, part, randomStock, func() func(wire.Tag) []byte {
				return func(t wire.Tag) []byte { return c.randomOctets(wire.CarrierRandom, n, t) }
			})
		}
	}
	var all sync.WaitGroup
	all.Go(random(w.stage.Port, randomStock))
	all.Go(random(0, randomFresh))
	all.Go(random(0, randomSmall))
	all.Go(func() {
		f, err := c.UDP(0, w.stage.Port, w.stage.Carrier, w.read(c))
		if err != nil {
			close(size)
			return
		}
		defer f.Close()
		n := len(w.opening(c, f)(wire.Tag{}))
		for range cap(size) {
			size <- n
		}
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
func (c *Conversation) randomOctets(carrier wire.Carrier, n int, t wire.Tag) []byte {
	if n < wire.RandomSize {
		return wire.AppendBriefRandom(nil, n, c.path.mint.Brief(wire.Question, carrier, t.Token.Exchange()))
	}
	return wire.AppendRandom(nil, n, t)
}

// readRandom takes the tag out of what came back.
func (c *Conversation) readRandom(carrier wire.Carrier, s wire.Sighting) (wire.Tag, bool) {
	if b, err := wire.ParseBriefRandom(s.Bytes); err == nil {
		n, ok := c.path.mint.ReadBrief(wire.Answer, carrier, b)
		return wire.Tag{Token: c.path.mint.Make(wire.Answer, carrier, n)}, ok
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
	stages, at := p.Info().Stages, 0
	if s, ok := p.(stepper); ok {
		at = slices.IndexFunc(stages, func(s Stage) bool { return s.ID == f.Stage })
		if of, ok = s.step(f.Stage); !ok || at < 0 {
			return withRandom{}, false
		}
	}
	w := withRandom{of, stages[at]}
	switch {
	case w.stage.Port == 0, portOf(p.Info(), f.Stage) != w.stage.Port:
		return withRandom{}, false // its opening went through, on another port
	case f.Reason == UDPPortDropped, f.Reason == UDPPortBackDropped:
		return w, true
	}
	_, ok = p.(stepper)
	return w, ok && (f.Reason == NoArrival || f.Reason == NoReturn) // what others sent to the port did pass
}

// byRandom is what random octets tell of a finding, and whether they are asked of such a one at all: a reason if they name one, and what was seen.
func byRandom(p Probe, o Observation, f Finding, c Circumstances, afterwards Control) (Reason, []Evidence, bool) {
	if w, ok := asksRandom(p, f); ok {
		reason, because := inspected(w.contrast(o, c, afterwards), f.Verdict)
		return reason, because, true
	}
	if _, ok := asksStream(p, o, f, c); ok {
		reason, because := streamed(contrastOf(o, afterwards), f.Verdict)
		return reason, because, true
	}
	return "", nil, false
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
	c.Beside = r.beside(c)
	r.mu.Unlock()
	var all sync.WaitGroup
	var asked []withRandom
	for i, p := range r.probes {
		if r.path.prove || ctx.Err() != nil {
			break
		}
		f := Judge(p, *r.obs[i], c)
		var ask func(context.Context, *Path) []Exchange
		if w, ok := asksRandom(p, f); ok && !slices.ContainsFunc(asked, w.borrows) {
			asked, ask = append(asked, w), w.ask
		} else if w, ok := asksStream(p, *r.obs[i], f, c); ok {
			ask = w.ask
		}
		if ask == nil {
			continue
		}
		all.Go(func() {
			exchanges := ask(ctx, r.path)
			r.mu.Lock()
			defer r.mu.Unlock()
			r.obs[i].Random = exchanges
		})
	}
	all.Wait()
}

// A Contrast is how random octets and real openings fared, at the same time, with the same port of the server's.
type Contrast struct {
	Port    uint16 `json:"port"`
	Stock   Tally  `json:"stock,omitzero"` // random octets from the port that real clients use
	Fresh   Tally  `json:"fresh,omitzero"` // and from another
	Small   Tally  `json:"small,omitzero"` // and fewer of them, where an opening is large
	Opening Tally  `json:"opening,omitzero"`
	Octets  int    `json:"octets"` // of an opening
}

// contrastOf counts what did not fall into an outage. What the server could not tell of is left out. It is nil if nothing is left.
func contrastOf(o Observation, c Control) *Contrast {
	var out Contrast
	outages, late := c.Outages(), c.late()
	for _, e := range o.Random {
		returned := e.Returned.State == wire.Seen
		if e.Stage == stageConnect || e.Sent.State != wire.Seen || !returned && (e.Arrived.State == wire.Blind || fellInto(e.Sent.At, late, outages)) {
			continue
		}
		t := map[string]*Tally{randomStock: &out.Stock, randomFresh: &out.Fresh, randomSmall: &out.Small, randomOpening: &out.Opening}[e.Part]
		if t == nil {
			continue
		}
		out.Port, out.Octets = e.Sent.Dst.Port(), max(out.Octets, packetOctets(e.Sent))
		t.Tries++
		if e.Arrived.State == wire.Seen || returned {
			t.Arrived++
		}
		if returned {
			t.Returned++
		}
	}
	if out.Port == 0 {
		return nil
	}
	return &out
}

// contrast is that of a protocol's own random octets, or of those that it borrows.
func (w withRandom) contrast(o Observation, c Circumstances, afterwards Control) *Contrast {
	own := contrastOf(o, afterwards)
	if s, ok := w.opener.(stepper); ok && own == nil {
		for _, id := range s.lenders() {
			if x := c.Beside[id].Random; x != nil && x.Port == w.stage.Port {
				return x
			}
		}
	}
	return own
}

// crossed counts what did, that way.
func (n Tally) crossed(v Verdict) int {
	if v == BlockedBack {
		return n.Returned
	}
	return n.Arrived
}

// content says that what is in the packets decides: most random octets of a flow crossed, that way, while no opening did (F12).
func (x Contrast) content(v Verdict) bool {
	passes := func(t Tally) bool { return t.crossed(v) > randomTries/2 }
	return (passes(x.Stock) || passes(x.Fresh)) && x.Opening.Tries >= 3 && x.Opening.crossed(v) == 0
}

// size says that it is the opening's size, and not what is in it: small packets without a form crossed, and not one of that size, with it or
// without (F08).
func (x Contrast) size(v Verdict) bool {
	dies := func(t Tally) bool { return t.crossed(v) == 0 }
	return x.Small.crossed(v) > randomTries/2 && x.Fresh.Tries >= 3 && x.Opening.Tries >= 3 && dies(x.Stock) && dies(x.Fresh) && dies(x.Opening)
}

// inspected names a block of a port by what random octets tell, and tells it; "" and nothing if they were not asked.
func inspected(x *Contrast, v Verdict) (Reason, []Evidence) {
	if x == nil {
		return "", nil
	}
	best := x.Stock
	if x.Fresh.Arrived+x.Fresh.Returned > best.Arrived+best.Returned || best.Tries == 0 {
		best = x.Fresh
	}
	if best.Tries == 0 {
		return "", nil
	}
	content := x.content(v)
	because := []Evidence{{Reason: EvRandom, Args: map[string]any{
		"port": int(x.Port), "asked": best.Tries, "arrived": best.Arrived, "returned": best.Returned, "openings": x.Opening.Tries,
		"openings_arrived": x.Opening.Arrived, "openings_returned": x.Opening.Returned, "content": content,
	}}}
	switch {
	case content && v == BlockedOut:
		return UDPContentDropped, because
	case content && v == BlockedBack:
		return UDPContentBackDropped, because
	case x.size(v):
		way := map[Verdict]string{BlockedOut: WayOut, BlockedBack: WayBack}[v]
		return FullSizeDropped, append(because, Evidence{Reason: EvFullSize, Args: map[string]any{
			"octets": x.Octets, "way": way, "tries": x.Opening.Tries, "opening": true,
		}})
	}
	return "", because
}
