package probe

import (
	"context"
	"crypto/rand"
	"net/netip"
	"sync"
	"time"

	"vpncheck/probe/wire"
)

// AH asks whether IPsec's Authentication Header (RFC 4302) gets through: UDP in transport mode, with a genuine ICV. The ICV covers both
// addresses, so behind any NAT AH is dead, even where the NAT forwards every packet of it both ways (F37, T09): the server checks the ICV as a
// real one would, tells what it found, and answers all the same, so that a block can be told from a NAT.
//
// A NAT keeps one mapping of AH per pair of addresses: where nothing comes back, the server's second address is asked too (F11).
//
// It is asked over IPv4 alone. The ICV covers the header as it was sent, and over IPv6 the kernel writes the header of a raw packet itself.
type AH struct{}

const (
	partAH     = "ah"
	partSecond = "second"
	stageAH    = "ah"

	ahLabel   = "ah" // of the key that both ends derive from the session's
	ahFull    = fullOctets - 120
	ahRandom  = 36 // octets in the payload behind the tag
	ahInDoubt = 3  // questions without any answer, before the second address is asked too
)

// Info implements Probe.
func (AH) Info() Info {
	return Info{
		ID: "ah", Title: "AH", RFC: "RFC 4302",
		Parts: []Part{
			{ID: partAH, Title: "transport mode", Deciding: true},
			{ID: partSecond, Title: "to the server's second address", Second: true, InDoubt: true, Rounds: 3},
		},
		Stages: []Stage{
			{ID: stageAH, Title: "packets of AH", Carrier: wire.CarrierAH, Rounds: 12, Span: 1500 * time.Millisecond},
		},
		Carriers: []wire.Carrier{wire.CarrierAH},
	}
}

// Observe implements Probe.
func (a AH) Observe(ctx context.Context, path *Path) (Observation, error) {
	if !path.Server.Is4() {
		return Observation{}, &Refusal{Reason: IPv4Only}
	}
	c, err := path.Conversation(ctx, a)
	if err != nil {
		return Observation{}, err
	}
	var beside sync.WaitGroup
	second := sync.OnceFunc(func() {
		if to, ok := path.second(); ok && to.Is4() {
			beside.Go(func() { a.speak(ctx, c, partSecond, to, func() {}) })
		}
	})
	err = a.speak(ctx, c, partAH, path.Server, second)
	beside.Wait()
	return c.Finish(ctx), err
}

// speak asks one of the server's addresses, and once more and slowly, by another association, if that stops. doubt is called when it does
// not answer.
func (a AH) speak(ctx context.Context, c *Conversation, part string, to netip.Addr, doubt func()) error {
	f, err := c.RawTo(wire.IPProtoAH, to, wire.CarrierAH, readAH)
	if err != nil {
		return err
	}
	defer f.Close()
	silent, answered := 0, false
	ask := func(ctx context.Context, q Question) Exchange {
		e := f.Ask(ctx, q)
		switch {
		case e.SendReason == string(OSRefuses): // this system writes the header itself
			c.refuse(part, &Refusal{Reason: OSRefuses, Why: e.SendErr})
			return Exchange{}
		case e.Returned.State == wire.Seen:
			answered = true
		default:
			if silent++; silent == ahInDoubt && !answered {
				doubt()
			}
		}
		return e
	}
	stage := a.Info().Stages[0]
	for flow := 1; flow <= 2; flow++ {
		sa := newAHAssociation(c, to)
		c.talk(ctx, part, stage, flow, func(ctx context.Context) Exchange { return ask(ctx, sa.question(part, stageAH, flow, ahRandom)) })
		c.fullSize(ctx, part, flow, func(ctx context.Context) Exchange { return ask(ctx, sa.question(part, stageFull, flow, ahFull)) })
		if !c.again(part, stage, flow) {
			break
		}
	}
	return nil
}

// Trace implements Tracer. Each packet has an SPI of its own: some routers quote no more of it.
func (a AH) Trace(c *Conversation, _ Observation, _ Finding) (*Trace, error) {
	f, err := c.Raw(wire.IPProtoAH, wire.CarrierAH, readAH)
	return &Trace{Flow: f, Next: func() Question { return newAHAssociation(c, c.path.Server).question(partAH, stageAH, 1, ahRandom) }}, err
}

// An ahAssociation is a security association towards the server, and what it carries: LCP echoes in L2TP, as IPsec of that mode carried it
// first.
type ahAssociation struct {
	key      []byte
	from, to netip.Addr
	spi, seq uint32
	tunnel   uint16
	session  uint16
	lcp      lcpLink
}

func newAHAssociation(c *Conversation, to netip.Addr) *ahAssociation {
	return &ahAssociation{
		key: c.path.mint.Derive(ahLabel), from: c.path.Local, to: to,
		spi: max(wire.MinSPI, randomMagic()), tunnel: randomID(0), session: randomID(0),
		lcp: lcpLink{magic: randomMagic(), opened: true},
	}
}

// question is the next packet. The ICV covers its IP-ID, so that is chosen here (RFC 4302, section 3.3.3.1.1.1).
func (sa *ahAssociation) question(part, stage string, flow, random int) Question {
	id := randomID(0)
	return Question{Part: part, Stage: stage, Flow: flow, DF: true, ID: id, Payload: func(t wire.Tag) []byte {
		echo := sa.lcp.request(t)
		echo.Data = append(echo.Data, make([]byte, random)...)
		rand.Read(echo.Data[len(echo.Data)-random:])
		data := wire.L2TP{TunnelID: sa.tunnel, SessionID: sa.session, Payload: lcpFrame(echo)}.Append(nil)
		datagram := wire.AppendUDP(nil, netip.AddrPortFrom(sa.from, wire.L2TPPort), netip.AddrPortFrom(sa.to, wire.L2TPPort), data)
		sa.seq++
		ah := wire.AH{NextHeader: wire.IPProtoUDP, SPI: sa.spi, SequenceNumber: sa.seq}
		ah.ICV = wire.AHICV(sa.key, wire.IPv4{ID: id, Src: sa.from, Dst: sa.to}, ah, datagram)
		return append(ah.Append(nil), datagram...)
	}}
}

// readAH takes the tag out of a packet. The ICV of an answer tells nothing that the two ends' sightings do not.
func readAH(s wire.Sighting) (wire.Tag, bool) {
	ah, datagram, err := wire.ParseAH(s.Bytes)
	if err != nil || ah.NextHeader != wire.IPProtoUDP {
		return wire.Tag{}, true
	}
	_, payload, err := wire.ParseUDP(datagram)
	if err != nil {
		return wire.Tag{}, true
	}
	m, err := wire.ParseL2TP(payload)
	if err != nil || m.Control {
		return wire.Tag{}, true
	}
	lcp, _ := lcpOf(m.Payload)
	tag, _ := tagOf(lcp)
	return tag, true
}
