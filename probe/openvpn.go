package probe

import (
	"context"
	"time"

	"vpncheck/probe/wire"
)

// OpenVPNUDP plays an OpenVPN 2.6 client on UDP port 1194: its reset and the server's, the ClientHello and the flights of TLS in control packets
// that are acknowledged as it acknowledges them, then data packets of a ping's size. It has no TLS-auth and no TLS-crypt: those hide what is
// in control packets, and whoever looks for OpenVPN knows it by the first octet all the same.
//
// It looks like bait to whatever inspects packets (F12, F36), so it comes after the verdicts of all others.
type OpenVPNUDP struct{}

// OpenVPNTCP plays the same on TCP port 1194, each packet behind its length.
type OpenVPNTCP struct{}

// The one part, and the stages.
const (
	openVPNPart = "openvpn"

	openVPNReset = "reset"
	openVPNTLS   = "tls"
	openVPNKeys  = "keys"
	openVPNData  = "data"

	openVPNAcks = "acknowledgment" // told, not judged: nothing answers it

	openVPNBlock = 4    // exchanges of one opening: the reset, and as many acknowledgments as the server has packets
	openVPNFull  = 1492 // octets of an IP packet that OpenVPN fills (its mssfix)
	openVPNPing  = 84   // octets of the IP packet in the tunnel that ping sends
)

// openVPNStages are those of both; port is 0 on TCP.
func openVPNStages(over string, c wire.Carrier, port uint16) []Stage {
	return []Stage{
		{ID: openVPNReset, Title: "OpenVPN's opening on " + over, Carrier: c, Rounds: 1, Port: port},
		{ID: openVPNTLS, Title: "the TLS greeting on " + over, Carrier: c, Rounds: 1, Port: port},
		{ID: openVPNKeys, Title: "the exchange of keys on " + over, Carrier: c, Rounds: 1, Port: port},
		{ID: openVPNData, Title: "data on " + over, Carrier: c, Rounds: 12, Span: time.Second, Port: port},
	}
}

func openVPNParts() []Part {
	return []Part{{ID: openVPNPart, Title: "an opening, TLS and data", Deciding: true}}
}

// Info implements Probe.
func (OpenVPNUDP) Info() Info {
	return Info{
		ID: "openvpn-udp", Title: "OpenVPN over UDP (1194)",
		Parts:    openVPNParts(),
		Stages:   openVPNStages("UDP port 1194", wire.CarrierOpenVPNUDP, wire.OpenVPNPort),
		Carriers: []wire.Carrier{wire.CarrierOpenVPNUDP},
		Late:     true,
	}
}

// Observe implements Probe. A session that stops midway, or loses more than the line, is opened once more from another port, and asked slowly.
func (o OpenVPNUDP) Observe(ctx context.Context, path *Path) (Observation, error) {
	c, err := path.Conversation(ctx, o)
	if err != nil {
		return Observation{}, err
	}
	t := openVPNTalk{c: c, carrier: wire.CarrierOpenVPNUDP}
	for range 2 {
		if t.flow, err = c.UDP(0, wire.OpenVPNPort, t.carrier, t.read); err != nil {
			break
		}
		stopped := t.hold(ctx)
		t.flow.Close()
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

// An openVPNTalk is a client under way, on UDP.
type openVPNTalk struct {
	c        *Conversation
	carrier  wire.Carrier
	flow     *Flow
	attempts int
}

// hold opens a session and keeps it busy. It says whether it stopped midway.
func (t *openVPNTalk) hold(ctx context.Context) bool {
	s := t.open(ctx)
	if s == nil || !t.ask(ctx, s, openVPNTLS, s.hello) || !t.ask(ctx, s, openVPNKeys, s.keys) {
		return false
	}
	for _, newest := range []uint32{2, 3} { // the server's tickets, and its key method
		t.flow.Say(ctx, Question{Part: openVPNPart, Stage: openVPNAcks, Flow: s.number, Number: s.n + newest, DF: true, Payload: func(wire.Tag) []byte {
			return s.ack(newest).Append(nil)
		}})
	}
	data := stageOf(OpenVPNUDP{}, openVPNData)
	t.c.talk(ctx, openVPNPart, data, s.number, func(ctx context.Context) Exchange {
		return t.flow.Ask(ctx, t.question(s, openVPNData, func(tag wire.Tag) wire.OpenVPN { return s.data(tag, openVPNPing) }))
	})
	t.c.fullSize(ctx, openVPNPart, s.number, func(ctx context.Context) Exchange {
		return t.flow.Ask(ctx, t.question(s, stageFull, func(tag wire.Tag) wire.OpenVPN { return s.data(tag, s.full()) }))
	})
	return t.c.again(openVPNPart, data, s.number)
}

// open sends resets until one is answered or more could change nothing, each with a session ID of its own. It returns the newest that was
// answered, though it be late.
func (t *openVPNTalk) open(ctx context.Context) *openVPNSession {
	var asked []*openVPNSession
	t.c.talk(ctx, openVPNPart, stageOf(OpenVPNUDP{}, openVPNReset), t.attempts+1, func(ctx context.Context) Exchange {
		t.attempts++
		s := newOpenVPN(t.c.path, t.carrier, t.attempts, t.c.path.block(openVPNBlock))
		q := t.question(s, openVPNReset, func(wire.Tag) wire.OpenVPN { return s.reset() })
		q.Number = s.n
		e := t.flow.Ask(ctx, q)
		if e.ID != "" {
			asked = append(asked, s)
		}
		return e
	})
	for i := len(asked) - 1; i >= 0; i-- {
		if t.c.exchange(asked[i].n).Returned.State == wire.Seen {
			return asked[i]
		}
	}
	return nil
}

// ask sends a control packet until it is answered or more could change nothing, and says whether it was.
func (t *openVPNTalk) ask(ctx context.Context, s *openVPNSession, stage string, packet func(wire.Tag) wire.OpenVPN) (answered bool) {
	t.c.talk(ctx, openVPNPart, stageOf(OpenVPNUDP{}, stage), s.number, func(ctx context.Context) Exchange {
		e := t.flow.Ask(ctx, t.question(s, stage, packet))
		answered = answered || e.Returned.State == wire.Seen
		return e
	})
	return answered
}

func (t *openVPNTalk) question(s *openVPNSession, stage string, packet func(wire.Tag) wire.OpenVPN) Question {
	return Question{Part: openVPNPart, Stage: stage, Flow: s.number, DF: true, Payload: func(tag wire.Tag) []byte { return packet(tag).Append(nil) }}
}

// read takes the tag out of a packet of the server's.
func (t *openVPNTalk) read(s wire.Sighting) (wire.Tag, bool) {
	m, err := wire.ParseOpenVPN(s.Bytes)
	if err != nil {
		return wire.Tag{}, true // somebody's, or damaged
	}
	return openVPNTag(t.c.path, t.carrier, m)
}

// openVPNTag is the tag in a packet of the server's; one that its session ID stands for, where that is all there is. False: it has none.
func openVPNTag(p *Path, c wire.Carrier, m wire.OpenVPN) (wire.Tag, bool) {
	n, ours := p.mint.ReadBrief(wire.Answer, c, m.Session)
	switch m.Opcode {
	case wire.OpenVPNHardResetServer:
		if !ours || m.Remote != p.mint.Brief(wire.Question, c, n) {
			return wire.Tag{}, true
		}
		return wire.Tag{Token: p.mint.Make(wire.Answer, c, n)}, true
	case wire.OpenVPNControl:
		if ours && m.PacketID == 2 {
			return wire.Tag{}, false // the tickets: what comes behind them has the tag
		}
	case wire.OpenVPNAck:
		return wire.Tag{}, !ours
	case wire.OpenVPNHardResetClient:
		return wire.Tag{Token: mirrored(p, c, m.Session)}, true
	}
	tag, err := wire.ParseRandom(m.Payload)
	return tag, err == nil
}

// mirrored is the token of a reset of ours that came back; zero if it is none of ours.
func mirrored(p *Path, c wire.Carrier, b wire.Brief) wire.Token {
	n, ok := p.mint.ReadBrief(wire.Question, c, b)
	if !ok {
		return wire.Token{}
	}
	return p.mint.Make(wire.Question, c, n)
}

func stageOf(p Probe, id string) Stage {
	for _, s := range p.Info().Stages {
		if s.ID == id {
			return s
		}
	}
	return Stage{}
}

// Changes implements Probe: TLS and what is encrypted forgive no octet, and no header is a NAT's to change.
func (OpenVPNUDP) Changes(_ Observation, e Exchange) []Change { return exact(e) }

// Reason implements Probe: the port's fate is all there is.
func (OpenVPNUDP) Reason(Observation, Stage, Verdict, Circumstances) (Reason, []Evidence) {
	return "", nil
}

// Trace implements Tracer: resets, or what failed behind one, of a session that the server does not know: it sees it, and keeps silent, or
// answers data.
func (OpenVPNUDP) Trace(c *Conversation, _ Observation, failed Finding) (*Trace, error) {
	t := openVPNTalk{c: c, carrier: wire.CarrierOpenVPNUDP}
	f, err := c.UDP(0, wire.OpenVPNPort, t.carrier, t.read)
	return &Trace{Flow: f, Next: func() Question {
		s := newOpenVPN(c.path, t.carrier, 1, c.path.block(openVPNBlock))
		make := func(tag wire.Tag) wire.OpenVPN { return s.reset() }
		switch failed.Stage {
		case openVPNTLS:
			make = s.hello
		case openVPNKeys:
			make = s.keys
		case openVPNData, stageFull:
			make = func(tag wire.Tag) wire.OpenVPN { return s.data(tag, openVPNPing) }
		}
		if failed.Stage != openVPNReset {
			s.peer = s.own // none that was given
		}
		return Question{DF: true, Number: s.n, Payload: func(tag wire.Tag) []byte { return make(tag).Append(nil) }}
	}}, err
}
