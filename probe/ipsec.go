package probe

import (
	"context"
	"sync"
	"time"

	"vpncheck/probe/wire"
)

// A wholeIPsec plays an IPsec VPN from its first message to its data, as one client: the key exchange on UDP port 500, then, where NAT
// detection finds a NAT, on port 4500 to the server's port 4500 with the same SPIs (RFC 7296, section 2.23; RFC 3947, section 4), then ESP in
// UDP. Where it finds none everything stays on port 500, and ESP is plain.
//
// A router may let each step through by itself and yet not the whole of it: the move from one port to the other, or what is as large as
// certificates are.
type wholeIPsec struct {
	v1 bool
	at string // the stage whose message its opening is, where random octets go beside it; the first, if empty
}

// IKEv2 is IKEv2 with certificates: IKE_SA_INIT, IKE_AUTH in fragments of IKE's own (RFC 7383), ESP in tunnel mode. That a large IKE_AUTH
// is left to IP to cut is asked besides, and decides nothing (F07): clients that cannot do better are old.
func IKEv2() Probe { return wholeIPsec{} }

// L2TPIPsec is L2TP/IPsec as Windows and phones have it (RFC 3193): Main Mode, Quick Mode, and L2TP in ESP in transport mode.
func L2TPIPsec() Probe { return wholeIPsec{v1: true} }

// Parts and stages of a whole IPsec VPN.
const (
	wholeStock     = "stock"
	wholeEphemeral = "ephemeral"
	wholeFragments = "ip-fragments"

	wholeInit    = "init"
	wholeAuth    = "auth"
	wholeData    = "data"
	wholeAuthIKE = "auth-500" // without a NAT
	wholeDataESP = "data-esp"
	wholeBig     = "fragments"
	wholeBigIKE  = "fragments-500"
	wholeSummed  = "summed" // told, not judged: whether ESP with a checksum passes where ESP without one does not
	wholeCommit  = "commit" // told, not judged: a client's last message of Quick Mode has no answer

	wholeFew    = 4 // rounds of what does not decide
	wholeDoubts = 2 // questions that were not answered in time: then another source port is tried as well
)

// Info implements Probe. Data has fewer seconds than NAT-T's own: what is new here is how it came to be.
func (p wholeIPsec) Info() Info {
	ike := func(id, title, instead string, rounds int) Stage {
		return Stage{ID: id, Title: title, Carrier: wire.CarrierIKE, Port: wire.IKEPort, Rounds: rounds, Instead: instead}
	}
	natt := func(id, title string, rounds int) Stage {
		return Stage{ID: id, Title: title, Carrier: wire.CarrierNATT, Port: wire.NATTPort, Rounds: rounds}
	}
	const span = time.Second
	data, plain := natt(wholeData, "data in UDP on port 4500", 12), Stage{ID: wholeDataESP, Title: "data in plain ESP", Carrier: wire.CarrierESP, Rounds: 12, Instead: wholeData}
	data.Span, plain.Span = span, span
	data.Full, plain.Full = true, true
	info := Info{
		Parts: []Part{
			{ID: wholeStock, Title: "from ports 500 and 4500, as clients send it", Deciding: true},
			{ID: wholeEphemeral, Title: "from other ports", StandsIn: true, InDoubt: true, Rounds: wholeFew},
		},
		Carriers: []wire.Carrier{wire.CarrierIKE, wire.CarrierNATT},
		After:    []string{"ike", "natt/" + nattZero}, // which have the source ports, and places in a NAT, to themselves
		Hurries:  true,
	}
	if p.v1 {
		info.ID, info.Title, info.RFC = "l2tp-ipsec", "L2TP/IPsec (UDP 500 and 4500)", "RFC 3193, RFC 2409, RFC 3947"
		info.Stages = []Stage{
			ike(wholeInit, "the first messages on UDP port 500", "", 2),
			natt(wholeAuth, "who is who, and Quick Mode, on UDP port 4500", 2), data,
			ike(wholeAuthIKE, "who is who, and Quick Mode, on UDP port 500", wholeAuth, 2), plain,
		}
		return info
	}
	info.ID, info.Title, info.RFC = "ikev2", "IKEv2 (UDP 500 and 4500)", "RFC 7296, RFC 7383"
	info.Parts = append(info.Parts, Part{ID: wholeFragments, Title: "a large IKE_AUTH that IP cuts into fragments", Rounds: 2})
	whole, cut := []string{wholeStock, wholeEphemeral}, []string{wholeFragments}
	info.Stages = []Stage{
		ike(wholeInit, "the first messages on UDP port 500", "", 1),
		natt(wholeAuth, "IKE_AUTH with certificates on UDP port 4500", 3), data,
		ike(wholeAuthIKE, "IKE_AUTH with certificates on UDP port 500", wholeAuth, 3), plain,
	}
	for i := range info.Stages {
		info.Stages[i].Parts = whole
	}
	big, bigIKE := natt(wholeBig, "a large IKE_AUTH on UDP port 4500", 2), ike(wholeBigIKE, "a large IKE_AUTH on UDP port 500", wholeBig, 2)
	big.Parts, bigIKE.Parts = cut, cut
	info.Stages = append(info.Stages, big, bigIKE)
	return info
}

func (p wholeIPsec) stage(id string) Stage {
	for _, s := range p.Info().Stages {
		if s.ID == id {
			return s
		}
	}
	return Stage{}
}

// Observe implements Probe. The form from other ports is asked only where the stock one seems to die, and beside it.
func (p wholeIPsec) Observe(ctx context.Context, path *Path) (Observation, error) {
	c, err := path.Conversation(ctx, p)
	if err != nil {
		return Observation{}, err
	}
	doubted, done := make(chan struct{}), make(chan struct{})
	doubt := sync.OnceFunc(func() { close(doubted) })
	if path.prove {
		doubt = func() {} // one answer is enough, and has no sequel
	}
	var all sync.WaitGroup
	all.Go(func() {
		defer close(done)
		if err := p.hold(ctx, c, wholeStock, doubt); err != nil {
			c.mustRefuse(wholeStock, err)
			doubt()
		}
	})
	all.Go(func() {
		select {
		case <-done:
		case <-doubted:
		case <-ctx.Done():
		}
		select {
		case <-doubted:
			if err := p.hold(ctx, c, wholeEphemeral, func() {}); err != nil {
				c.mustRefuse(wholeEphemeral, err)
			}
		default:
		}
	})
	all.Wait()
	return c.Finish(ctx), nil
}

// hold holds one form's conversation. If it stops midway a second, slow one follows, from ports that the router has not seen yet. The error
// is that of opening the first.
func (p wholeIPsec) hold(ctx context.Context, c *Conversation, part string, doubt func()) error {
	for flow := 1; flow <= 2; flow++ {
		t := &wholeTalk{wholeIPsec: p, c: c, part: part, flow: flow, doubt: doubt, bare: c.path.Server.Is4()}
		if err := t.sockets(part == wholeStock && flow == 1); err != nil {
			if flow == 1 {
				return err
			}
			return nil
		}
		last := t.hold(ctx)
		t.close()
		if !c.again(part, last, flow) {
			return nil
		}
	}
	return nil
}

// A wholeTalk is one client's conversation.
type wholeTalk struct {
	wholeIPsec
	c             *Conversation
	part          string
	flow          int
	ike, natt, ip *Flow // ports 500 and 4500, and plain ESP if there is no NAT
	sa            wholeSA
	answer        []byte // the last one that NAT detection reads
	authed        int    // messages of IKE_AUTH, or of version 1's, that were answered
	missed        int    // questions of the stage that were not answered in time
	bare          bool   // ESP in UDP leaves without a checksum
	esp           *espTunnel
	doubt         func() // called when the opening is not answered, or what follows
}

// sockets opens them, from the stock ports or from any.
func (t *wholeTalk) sockets(stock bool) (err error) {
	open := func(local, port uint16, carrier wire.Carrier, read func(wire.Sighting) (wire.Tag, bool)) (*Flow, error) {
		if stock {
			return t.c.sharedUDP(local, port, carrier, read)
		}
		return t.c.UDP(0, port, carrier, read)
	}
	if t.ike, err = open(wire.IKEPort, wire.IKEPort, wire.CarrierIKE, readIKE); err != nil {
		return err
	}
	if t.natt, err = open(wire.NATTPort, wire.NATTPort, wire.CarrierNATT, readNATT); err != nil {
		t.ike.Close()
		return err
	}
	t.sa = t.begin(t.ike)
	return nil
}

func (t *wholeTalk) close() {
	for _, f := range []*Flow{t.ike, t.natt, t.ip} {
		if f != nil {
			f.Close()
		}
	}
}

// hold goes from stage to stage, and returns the one that it ended in.
func (t *wholeTalk) hold(ctx context.Context) Stage {
	if s := t.stage(wholeInit); !t.through(ctx, s, t.open) || !t.learn() {
		t.doubt()
		return s
	}
	t.missed = 0
	auth, data, big := t.stage(wholeAuth), t.stage(wholeData), t.stage(wholeBig)
	if !t.move() {
		auth, data, big = t.stage(wholeAuthIKE), t.stage(wholeDataESP), t.stage(wholeBigIKE)
	}
	if !t.through(ctx, auth, func(ctx context.Context) Exchange { return t.auth(ctx, auth.ID) }) {
		t.doubt()
		return auth
	}
	var beside sync.WaitGroup
	defer beside.Wait()
	switch {
	case t.v1:
		t.mover().Say(ctx, t.sealed(wholeCommit, t.sa.commit))
	case t.part == wholeStock && t.flow == 1:
		beside.Go(func() { t.fragments(ctx, big) })
	}
	t.tunnel()
	t.c.talk(ctx, t.part, data, t.flow, func(ctx context.Context) Exchange { return t.say(ctx, data.ID, t.esp.packet) })
	t.c.fullSize(ctx, t.part, t.flow, func(ctx context.Context) Exchange { return t.say(ctx, stageFull, t.esp.full) })
	switch t.c.weigh(t.part, data).verdict {
	case BlockedOut, BlockedBack:
		if t.ip == nil && t.bare && t.part == wholeStock {
			t.summed(ctx, data)
		}
	}
	return data
}

// through asks a stage and says whether it passed.
func (t *wholeTalk) through(ctx context.Context, s Stage, ask func(context.Context) Exchange) bool {
	t.c.talk(ctx, t.part, s, t.flow, ask)
	return t.c.weigh(t.part, s).verdict == Passed
}

// open asks for an SA; in version 1 that takes two messages.
func (t *wholeTalk) open(ctx context.Context) Exchange {
	payload := t.sa.open
	second := t.v1 && t.learn()
	if second {
		payload = t.sa.next
	}
	e := t.ike.Ask(ctx, Question{Part: t.part, Stage: wholeInit, Flow: t.flow, DF: true, Payload: payload})
	switch {
	case e.Returned.State != wire.Seen:
		if t.missed++; t.missed >= wholeDoubts {
			t.doubt()
		}
	case second:
		t.answer = e.Returned.Bytes
	}
	return e
}

// learn takes the responder's SPI from the answer to the opening, though that came late.
func (t *wholeTalk) learn() bool {
	if t.sa.known() {
		return true
	}
	for _, e := range t.c.snapshot().Exchanges {
		if e.Part == t.part && e.Stage == wholeInit && e.Flow == t.flow && e.Returned.State == wire.Seen && t.sa.opened(e.Returned.Bytes) {
			t.answer = e.Returned.Bytes
			return true
		}
	}
	return false
}

// move says whether the conversation goes on on port 4500: behind a NAT, and where this program, or the server's, may not have plain ESP. Then a
// real client is told to wrap it as well.
func (t *wholeTalk) move() bool {
	if t.sa.natted(t.answer) || !t.c.path.Circumstances().Server.Carrier(wire.CarrierESP).Ready {
		return true
	}
	f, err := t.c.Raw(wire.IPProtoESP, wire.CarrierESP, readESP)
	if err != nil {
		return true
	}
	t.ip = f
	return false
}

// mover is the flow that the conversation is on after its opening.
func (t *wholeTalk) mover() *Flow {
	if t.ip != nil {
		return t.ike
	}
	return t.natt
}

// sealed is a question of IKE behind the opening, with the marker where it is on port 4500 (RFC 3948, section 2.2).
func (t *wholeTalk) sealed(stage string, message func(wire.Tag) []byte) Question {
	return Question{Part: t.part, Stage: stage, Flow: t.flow, DF: true, Payload: func(tag wire.Tag) []byte {
		if t.ip != nil {
			return message(tag)
		}
		return wire.AppendNATTIKE(nil, message(tag))
	}}
}

// auth sends the next message of those without which there is no tunnel.
func (t *wholeTalk) auth(ctx context.Context, stage string) Exchange {
	e := t.mover().Ask(ctx, t.sealed(stage, func(tag wire.Tag) []byte { return t.sa.auth(t.authed, tag) }))
	if e.Returned.State == wire.Seen {
		t.authed++
	} else if t.missed++; t.missed >= wholeDoubts && t.authed == 0 {
		t.doubt()
	}
	return e
}

// fragments sends IKE_AUTH as one message that is larger than any packet: the system cuts it, and a router may drop what comes of it. It leaves from
// a port of its own: whoever counts a flow's packets must not count these (F13).
func (t *wholeTalk) fragments(ctx context.Context, s Stage) {
	read := readNATT
	if s.Carrier == wire.CarrierIKE {
		read = readIKE
	}
	f, err := t.c.UDP(0, s.Port, s.Carrier, read)
	if err != nil {
		t.c.mustRefuse(wholeFragments, err)
		return
	}
	defer f.Close()
	q := t.sealed(s.ID, t.sa.large)
	q.Part, q.Flow, q.DF = wholeFragments, 1, false
	t.c.talk(ctx, wholeFragments, s, 1, func(ctx context.Context) Exchange { return f.Ask(ctx, q) })
}

// tunnel begins ESP.
func (t *wholeTalk) tunnel() {
	t.esp = newESPTunnel(t.bare && t.ip == nil)
	if t.v1 {
		t.esp.sizes = insideL2TP[:]
	}
}

// say sends the tunnel's next packet. A system that cannot leave the checksum out sends it with one: NAT-T's own conversation tells of that.
func (t *wholeTalk) say(ctx context.Context, stage string, packet func(wire.Tag) []byte) Exchange {
	f, bare := t.natt, t.bare
	if t.ip != nil {
		f, bare = t.ip, false
	}
	e := f.Ask(ctx, Question{Part: t.part, Stage: stage, Flow: t.flow, DF: true, NoChecksum: bare, Payload: packet})
	if e.SendReason == string(OSRefuses) && bare {
		t.bare = false
		t.tunnel()
		return t.say(ctx, stage, t.esp.packet)
	}
	if e.Returned.State == wire.Seen {
		t.esp.answered++
	}
	return e
}

// summed asks whether it is the missing checksum that the data died of.
func (t *wholeTalk) summed(ctx context.Context, like Stage) {
	like.ID, like.Rounds, like.Span = wholeSummed, wholeFew, 0
	t.bare = false
	t.tunnel()
	t.c.talk(ctx, t.part, like, t.flow, func(ctx context.Context) Exchange { return t.say(ctx, wholeSummed, t.esp.packet) })
}

// step implements stepper: who is who, on whichever port, is a step as well.
func (p wholeIPsec) step(stage string) (opener, bool) {
	p.at = stage
	return p, stage == wholeInit || stage == wholeAuth || stage == wholeAuthIKE
}

// lenders implements stepper: IKE's own conversation opens on port 500, and NAT-T's on port 4500. What these ask is not asked again.
func (p wholeIPsec) lenders() []string {
	if p.at == wholeAuth {
		return []string{"natt"}
	}
	return []string{"ike", IKEv2().Info().ID, L2TPIPsec().Info().ID}
}

// opening implements opener. An SA that nobody has opened will do: the server remembers none.
func (p wholeIPsec) opening(_ *Conversation, f *Flow) func(wire.Tag) []byte {
	sa := p.begin(f)
	switch p.at {
	case wholeAuth:
		sa.forget()
		return func(t wire.Tag) []byte { return wire.AppendNATTIKE(nil, sa.auth(0, t)) }
	case wholeAuthIKE:
		sa.forget()
		return func(t wire.Tag) []byte { return sa.auth(0, t) }
	}
	return sa.open
}

func (p wholeIPsec) read(*Conversation) func(wire.Sighting) (wire.Tag, bool) {
	if p.at == wholeAuth {
		return readNATT
	}
	return readIKE
}

// Trace implements Tracer: packets of the stage that failed, of an SA that the server need not know.
func (p wholeIPsec) Trace(c *Conversation, _ Observation, failed Finding) (*Trace, error) {
	t := &wholeTalk{wholeIPsec: p, c: c, bare: c.path.Server.Is4()}
	var err error
	switch failed.Stage {
	case wholeData, wholeAuth:
		t.natt, err = c.stockUDP(wire.NATTPort, wire.CarrierNATT, readNATT)
	case wholeDataESP:
		t.ip, err = c.Raw(wire.IPProtoESP, wire.CarrierESP, readESP)
	default:
		t.ike, err = c.stockUDP(wire.IKEPort, wire.CarrierIKE, readIKE)
	}
	if err != nil {
		return nil, err
	}
	t.tunnel()
	switch failed.Stage {
	case wholeDataESP:
		return &Trace{Flow: t.ip, Next: func() Question { return Question{DF: true, Payload: t.esp.packet} }}, nil
	case wholeData:
		return &Trace{Flow: t.natt, Next: func() Question { return Question{DF: true, NoChecksum: t.bare, Payload: t.esp.packet} }}, nil
	case wholeAuth:
		t.sa = p.begin(t.natt)
		t.sa.forget()
		return &Trace{Flow: t.natt, Next: func() Question {
			return t.sealed("", func(tag wire.Tag) []byte { return t.sa.auth(0, tag) })
		}}, nil
	}
	return &Trace{Flow: t.ike, Next: func() Question { return Question{DF: true, Payload: p.begin(t.ike).open} }}, nil
}
