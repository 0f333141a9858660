package probe

import (
	"context"
	"crypto/rand"
	"net/netip"
	"time"

	"vpncheck/probe/wire"
)

// GRE asks whether IP protocol 47 is carried at all: GRE version 0 (RFC 2784) with a genuine IP packet inside, answered by the same. It
// passes every NAT that forwards protocol 47, also one that PPTP dies in (T01): so it is a protocol of its own here, and it comes
// after PPTP, because a NAT keeps one mapping of it per pair of addresses.
type GRE struct{}

const (
	partPlain = "plain"
	partKeyed = "keyed"
	stageEcho = "echo"

	keyedRounds = 4
)

// Info implements Probe.
func (GRE) Info() Info {
	return Info{
		ID: "gre", Title: "GRE", RFC: "RFC 2784, RFC 2890",
		Parts: []Part{
			{ID: partPlain, Title: "without options", Deciding: true},
			{ID: partKeyed, Title: "with key and sequence number", Rounds: keyedRounds},
		},
		Stages: []Stage{
			{ID: stageEcho, Title: "packets of plain GRE", Carrier: wire.CarrierGRE, Rounds: 12, Span: 900 * time.Millisecond},
		},
		Carriers: []wire.Carrier{wire.CarrierGRE},
		After:    []string{"pptp/" + partPPTP},
	}
}

// Observe implements Probe. The keyed form is asked where the plain one was answered. Plain GRE has nothing that
// tells two flows apart: the second one is only slow.
func (g GRE) Observe(ctx context.Context, path *Path) (Observation, error) {
	c, err := path.Conversation(ctx, g)
	if err != nil {
		return Observation{}, err
	}
	f, err := c.Raw(wire.IPProtoGRE, wire.CarrierGRE, readGRE)
	if err != nil {
		c.Finish(ctx)
		return Observation{}, err
	}
	defer f.Close()
	key, seq, keyed := randomMagic(), uint32(0), 0
	ask := func(ctx context.Context, stage string, flow, size int, df bool) Exchange {
		return f.Ask(ctx, Question{Part: partPlain, Stage: stage, Flow: flow, DF: df, Payload: func(t wire.Tag) []byte {
			return wire.GRE{ProtocolType: wire.ProtocolTypeIPv4, Payload: inner(t, size)}.Append(nil)
		}})
	}
	plain := func(ctx context.Context, flow int) Exchange { return ask(ctx, stageEcho, flow, innerSize, false) }
	stage := g.Info().Stages[0]
	c.talk(ctx, partPlain, stage, 1, func(ctx context.Context) Exchange {
		e := plain(ctx, 1)
		if e.Returned.State == wire.Seen && keyed < keyedRounds {
			again := f.Ask(ctx, Question{Part: partKeyed, Stage: stageEcho, Flow: 1, Payload: func(t wire.Tag) []byte {
				g := wire.GRE{ProtocolType: wire.ProtocolTypeIPv4, HasKey: true, Key: key, HasSeq: true, SequenceNumber: seq, Payload: inner(t, innerSize)}
				seq++ // the first is 0 (RFC 2890, section 2.2)
				return g.Append(nil)
			}})
			if again.Returned.State == wire.Seen {
				keyed++
			}
		}
		return e
	})
	c.fullSize(ctx, partPlain, 1, func(ctx context.Context) Exchange { return ask(ctx, stageFull, 1, fullOctets-20-4-28, true) })
	if c.again(partPlain, stage, 1) {
		c.talk(ctx, partPlain, stage, 2, func(ctx context.Context) Exchange { return plain(ctx, 2) })
	}
	return c.Finish(ctx), nil
}

// Trace implements Tracer.
func (GRE) Trace(c *Conversation, _ Observation, _ Finding) (*Trace, error) {
	f, err := c.Raw(wire.IPProtoGRE, wire.CarrierGRE, readGRE)
	return &Trace{Flow: f, Next: func() Question {
		return Question{Payload: func(t wire.Tag) []byte {
			return wire.GRE{ProtocolType: wire.ProtocolTypeIPv4, Payload: inner(t, innerSize)}.Append(nil)
		}}
	}}, err
}

// The two ends of the tunnel's inside, as two sites would number it.
var (
	innerLaptop = netip.AddrPortFrom(netip.AddrFrom4([4]byte{10, 68, 0, 2}), 40068)
	innerServer = netip.AddrPortFrom(netip.AddrFrom4([4]byte{10, 68, 0, 1}), 40068)
)

// innerSize is the payload of the datagram inside, as a rule.
const innerSize = wire.TagSize + 36

// inner is the packet inside: IPv4 and UDP, valid in every field, because firewalls look into GRE (F48), with the tag in front of
// octets that nobody can read anything into.
func inner(t wire.Tag, size int) []byte {
	payload := append(t.Append(nil), make([]byte, size-wire.TagSize)...)
	rand.Read(payload[wire.TagSize:])
	udp := wire.AppendUDP(nil, innerLaptop, innerServer, payload)
	return wire.IPv4{TTL: 64, ID: randomID(0), Protocol: wire.IPProtoUDP, Src: innerLaptop.Addr(), Dst: innerServer.Addr()}.AppendPacket(nil, udp)
}

// readGRE takes the tag out of a packet of GRE version 0.
func readGRE(s wire.Sighting) (wire.Tag, bool) {
	if v, err := wire.GREVersion(s.Bytes); err != nil || v != 0 {
		return wire.Tag{}, false
	}
	g, err := wire.ParseGRE(s.Bytes)
	if err != nil || g.ProtocolType != wire.ProtocolTypeIPv4 {
		return wire.Tag{}, true
	}
	ip, rest, err := wire.ParseIPv4(g.Payload)
	if err != nil || ip.Protocol != wire.IPProtoUDP {
		return wire.Tag{}, true
	}
	_, payload, err := wire.ParseUDP(rest)
	if err != nil {
		return wire.Tag{}, true
	}
	t, _ := wire.ParseTag(payload)
	return t, true
}

// Changes implements Probe: everything that GRE carries must arrive as it was sent.
func (GRE) Changes(_ Observation, e Exchange) []Change { return exact(e) }

// Reason implements Probe.
func (GRE) Reason(_ Observation, _ Stage, v Verdict, _ Circumstances) (Reason, []Evidence) {
	switch v {
	case BlockedOut:
		return GREOutDropped, nil
	case BlockedBack:
		return GREBackDropped, nil
	}
	return "", nil
}
