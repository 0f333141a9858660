package probe

import (
	"context"
	"slices"
	"sync"
	"time"

	"vpncheck/probe/wire"
)

// On TCP it is the same question with another doubt: a connection that opens, and on which nothing arrives, may be stopped for what is in it, or
// it opens and is no more than that. So opens what a transparent proxy accepts in the server's name (T14), or a firewall that knows of connections
// and nothing of their content. Random octets of the opening's size on connections of their own tell one from the other.
const (
	streamTries = 4 // connections of each kind
	streamEvery = 450 * time.Millisecond
	streamLimit = 6 * time.Second
	streamFew   = 2 // that crossed are no accident, and as many openings that did not
)

// streamers are the probes whose opening stands at the beginning of a TCP connection, right behind the stage of the connect.
type streamer interface {
	Probe
	// opens writes an opening on a connection, and waits for its answer.
	opens(ctx context.Context, c *Conversation, s *Stream)
}

func (p PPTP) opens(ctx context.Context, c *Conversation, s *Stream) { p.start(ctx, c, s) }

func (OpenVPNTCP) opens(ctx context.Context, c *Conversation, s *Stream) {
	t := &openVPNStream{c: c, stream: s, s: newOpenVPN(c.path, wire.CarrierOpenVPNTCP, s.flow, c.path.block(openVPNBlock))}
	t.ask(ctx, t.s.n, openVPNReset, func(wire.Tag) wire.OpenVPN { return t.s.reset() })
}

func (SSTP) opens(ctx context.Context, c *Conversation, s *Stream) {
	(&sstpTunnel{c: c, s: s, n: c.path.block(4)}).handshake(ctx)
}

// withStream is a probe's conversation in which its opening is asked beside random octets, each on connections of its own.
type withStream struct {
	streamer
	port   uint16
	octets int // of an opening
}

// Info implements Probe, as far as a Conversation needs it.
func (w withStream) Info() Info {
	info := w.streamer.Info()
	connect, first := info.Stages[0], info.Stages[1]
	return Info{
		ID:       info.ID,
		Stages:   []Stage{connect, first, {ID: randomFresh, Carrier: wire.CarrierRandomTCP}},
		Carriers: []wire.Carrier{wire.CarrierRandomTCP, first.Carrier},
	}
}

// ask holds it. It returns nothing if the server does not know of it, or its time is over before anything was told.
func (w withStream) ask(ctx context.Context, path *Path) []Exchange {
	ctx, cancel := context.WithTimeout(ctx, streamLimit)
	defer cancel()
	c, err := path.Conversation(ctx, w)
	if err != nil {
		return nil
	}
	var all sync.WaitGroup
	for flow := 1; flow < 2*streamTries; flow += 2 {
		all.Go(func() { w.connect(ctx, c, randomFresh, flow, func(s *Stream) { w.random(ctx, c, s) }) })
		all.Go(func() { w.connect(ctx, c, randomOpening, flow+1, func(s *Stream) { w.opens(ctx, c, s) }) })
		if !sleep(ctx, streamEvery) {
			break
		}
	}
	all.Wait()
	return c.Finish(ctx).Exchanges
}

// connect opens one connection, and has it used.
func (w withStream) connect(ctx context.Context, c *Conversation, part string, flow int, use func(*Stream)) {
	if !c.path.spend() {
		return
	}
	if s := c.attempt(ctx, part, w.Info().Stages[0], flow, w.port); s != nil {
		defer s.Close()
		use(s)
	}
}

// random writes random octets, and waits for as many that answer them.
func (w withStream) random(ctx context.Context, c *Conversation, s *Stream) {
	n := c.path.number()
	octets := c.randomOctets(wire.CarrierRandomTCP, w.octets, c.tag(wire.CarrierRandomTCP, n))
	for octets[0] == recordAlert || octets[0] == recordHandshake { // these would have a form, on the port of TLS
		octets = c.randomOctets(wire.CarrierRandomTCP, w.octets, c.tag(wire.CarrierRandomTCP, n))
	}
	s.AskTCP(ctx, n, randomFresh, octets, func(b []byte) (int, bool, error) {
		if len(b) < len(octets) {
			return 0, false, wire.ErrShort
		}
		tag, ok := c.readRandom(wire.CarrierRandomTCP, wire.Sighting{Bytes: b[:len(octets)]})
		return len(octets), ok && tag.Token.Exchange() == n && c.path.mint.Valid(wire.Answer, wire.CarrierRandomTCP, tag.Token), nil
	})
}

// The types of a record with which a connection of TLS begins (RFC 8446, section 5.1).
const (
	recordAlert     = 0x15
	recordHandshake = 0x16
)

// asksStream says whether a finding is of a TCP connection that opens and on which nothing of the protocol's crosses, so that random octets may
// tell more of it. They tell nothing of a conversation that began and then stopped, and need not be asked where the session itself has the port.
func asksStream(p Probe, o Observation, f Finding, c Circumstances) (withStream, bool) {
	of, ok := p.(streamer)
	if !ok || f.Stage != p.Info().Stages[1].ID || linkOn(o, c) {
		return withStream{}, false
	}
	if f.Reason != TCPContentDropped && f.Reason != NoReturn {
		return withStream{}, false
	}
	i := slices.IndexFunc(o.Exchanges, func(e Exchange) bool { return e.Stage == f.Stage && len(e.Sent.Bytes) > 0 })
	if i < 0 {
		return withStream{}, false
	}
	return withStream{of, o.Exchanges[i].Sent.Dst.Port(), len(o.Exchanges[i].Sent.Bytes)}, true
}

// linkOn says whether the session's own connection goes to the TCP port that a protocol was asked on: then that port carries more than connects.
func linkOn(o Observation, c Circumstances) bool {
	return c.Server.Link != 0 && connected(o) == c.Server.Link
}

// connected is the TCP port that was asked; 0 if none was.
func connected(o Observation) uint16 {
	for _, e := range o.Exchanges {
		if e.Stage == stageConnect {
			return e.Sent.Dst.Port()
		}
	}
	return 0
}

// streamed names a block inside a TCP connection by what random octets tell, and tells it; "" and nothing if they were not asked.
func streamed(x *Contrast, v Verdict) (Reason, []Evidence) {
	if x == nil || x.Fresh.Tries == 0 {
		return "", nil
	}
	content := x.Fresh.crossed(v) >= streamFew && x.Opening.Tries >= streamFew && x.Opening.crossed(v) == 0
	because := []Evidence{{Reason: EvRandom, Args: map[string]any{
		"port": int(x.Port), "over": "tcp", "asked": x.Fresh.Tries, "arrived": x.Fresh.Arrived, "returned": x.Fresh.Returned,
		"openings": x.Opening.Tries, "openings_arrived": x.Opening.Arrived, "openings_returned": x.Opening.Returned, "content": content,
	}}}
	switch {
	case content && v == BlockedBack:
		return TCPContentBackDropped, because
	case v == BlockedOut && x.Fresh.Tries > streamFew && x.Fresh.Arrived == 0 && x.Opening.Arrived == 0:
		return TCPConnectOnly, because
	}
	return "", because
}
