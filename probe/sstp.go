package probe

import (
	"context"
	"errors"
	"time"

	"vpncheck/probe/wire"
)

// SSTP plays an SSTP client (MS-SSTP) as Windows does: TLS on TCP port 443, an HTTP request with a verb of its own and a body without end, and
// in that body PPP, whose LCP is opened both ways and kept alive by echoes. That the port opens says little (T30): what stops SSTP reads HTTP,
// or opens TLS to do so, or ends connections that last (F35).
//
// The request names itself by the beginning of a token in the correlation identifier, which a client chooses at random. Inside TLS with the
// server's own key nobody else can answer, so what has no room for a token needs none.
type SSTP struct{}

// Stages of SSTP, after stageConnect and before stageTunnel, which decides. stageGet and stageVerb are asked of whoever opens TLS on the way.
const (
	stageTLS     = "tls"
	stageRequest = "request"
	stageAttach  = "attach"
	stageTunnel  = "tunnel"
	stageGet     = "intercepted-get"
	stageVerb    = "intercepted-request"

	partSSTP = "sstp"
	sstpPort = 443

	sstpHold  = 30 * time.Second // with --deep: proxies end what has no end
	sstpEvery = time.Second
	sstpTries = 4 // connections to somebody who opens TLS
)

// Info implements Probe.
func (SSTP) Info() Info {
	return Info{
		ID: "sstp", Title: "SSTP", RFC: "MS-SSTP",
		Parts: []Part{{ID: partSSTP, Title: "a connection and PPP inside it", Deciding: true}},
		Stages: []Stage{
			{ID: stageConnect, Title: "the connection to TCP port 443", Carrier: wire.CarrierSSTP, Rounds: 1},
			{ID: stageTLS, Title: "the opening of TLS", Carrier: wire.CarrierSSTP, Rounds: 1},
			{ID: stageRequest, Title: "the HTTP request", Carrier: wire.CarrierSSTP, Rounds: 1},
			{ID: stageAttach, Title: "the call set-up", Carrier: wire.CarrierSSTP, Rounds: 1},
			{ID: stageTunnel, Title: "the tunnel", Carrier: wire.CarrierSSTP, Rounds: 12, Span: 1500 * time.Millisecond},
		},
		Carriers: []wire.Carrier{wire.CarrierSSTP},
	}
}

func (p SSTP) stage(id string) Stage {
	for _, s := range p.Info().Stages {
		if s.ID == id {
			return s
		}
	}
	return Stage{}
}

// Observe implements Probe. A connection that stops midway is followed by another.
func (p SSTP) Observe(ctx context.Context, path *Path) (Observation, error) {
	c, err := path.Conversation(ctx, p)
	if err != nil {
		return Observation{}, err
	}
	first := 1
	for range 2 {
		t := p.dial(ctx, c, first)
		if t == nil {
			break
		}
		t.talk(ctx)
		t.hangUp(ctx)
		if !c.again(partSSTP, p.stage(stageTunnel), t.s.flow) {
			break
		}
		first = t.s.flow + 1
	}
	return c.Finish(ctx), nil
}

// dial opens a tunnel, with a new connection for each try.
func (p SSTP) dial(ctx context.Context, c *Conversation, first int) *sstpTunnel {
	flow, until, others := first, time.Now().Add(maxTime), 0
	for ctx.Err() == nil && time.Now().Before(until) {
		began := time.Now()
		s := c.Dial(ctx, partSSTP, p.stage(stageConnect), flow, c.path.web)
		if s == nil {
			return nil
		}
		// The messages without room for a token take the numbers after the request's.
		t := &sstpTunnel{c: c, s: s, n: c.path.block(4), lcp: lcpLink{magic: randomMagic()}}
		failed := t.setUp(ctx, others)
		if failed == "" {
			return t
		}
		s.Close()
		flow = s.flow + 1
		switch {
		case t.asked:
			others++
		case failed == stageTLS && !t.other:
			if t, flow = p.handshakes(ctx, c, first, flow); t == nil {
				return nil
			}
			if failed = t.carryOn(ctx); failed == "" {
				return t
			}
			t.s.Close()
		}
		decided := c.decided(partSSTP, p.stage(failed), first) && !t.asked // of somebody else more is asked
		if decided || others == sstpTries || !sleep(ctx, tryEvery-time.Since(began)) {
			return nil
		}
	}
	return nil
}

// handshakes opens TLS on more connections, and returns the first that it opens on, and the number of the next flow. Requests do not go side by side: to
// the server the newest is the one that counts.
func (p SSTP) handshakes(ctx context.Context, c *Conversation, first, from int) (*sstpTunnel, int) {
	t, next, _ := persist(ctx, c, dialled{partSSTP, p.stage(stageConnect), p.stage, c.path.web, first, from, time.Now()}, stageTLS,
		func(ctx context.Context, s *Stream) (*sstpTunnel, string) {
			t := &sstpTunnel{c: c, s: s, n: c.path.block(4), lcp: lcpLink{magic: randomMagic()}}
			if !t.handshake(ctx) || t.other {
				return nil, stageTLS
			}
			return t, ""
		})
	return t, next
}

// An sstpTunnel is a client's connection.
type sstpTunnel struct {
	c     *Conversation
	s     *Stream
	n     uint32 // the request's exchange
	lcp   lcpLink
	other bool // whoever is at the other end of TLS, it is not the server
	asked bool // he opened it, and was asked
}

// setUp opens the tunnel (MS-SSTP, section 3.2.4.1), or says at which stage it failed. others is how often somebody else was at the other end.
func (t *sstpTunnel) setUp(ctx context.Context, others int) (failed string) {
	open := t.handshake(ctx)
	if t.asked = t.other && open; t.asked {
		t.askOther(ctx, others == 0)
	}
	if t.other || !open {
		return stageTLS
	}
	return t.carryOn(ctx)
}

// carryOn is the same, once TLS is open.
func (t *sstpTunnel) carryOn(ctx context.Context) (failed string) {
	e := t.s.AskTCP(ctx, t.n, stageRequest, t.request(t.n, false), func(b []byte) (int, bool, error) {
		status, size, err := wire.ParseHTTPStatus(b)
		return size, err == nil && status.Accepts(), err
	})
	if e.Returned.State != wire.Seen {
		return stageRequest
	}
	e = t.s.AskTCP(ctx, t.n+2, stageAttach, wire.SSTPConnect().Append(nil), func(b []byte) (int, bool, error) {
		m, size, err := wire.ParseSSTP(b)
		nonce, ok := m.Nonce()
		token, _ := wire.TokenAt(nonce[:], 0)
		return size, ok && token.Exchange() == t.n+2 && t.c.path.mint.Valid(wire.Answer, wire.CarrierSSTP, token), err
	})
	if e.Returned.State != wire.Seen {
		return stageAttach
	}
	return ""
}

// request is the head of a request: SSTP's, or the one that any browser makes.
func (t *sstpTunnel) request(n uint32, get bool) []byte {
	return wire.SSTPRequest{
		Host: t.c.path.Circumstances().Server.Host, GET: get, Correlation: t.c.tag(wire.CarrierSSTP, n).Token.Prefix(),
	}.Append(nil)
}

// askOther asks who opens TLS on the way for the server's plain page, once, and from then on for SSTP's tunnel: whether either arrives tells
// whether it is the verb that he dislikes, or our certificate.
func (t *sstpTunnel) askOther(ctx context.Context, get bool) {
	n, stage := t.c.path.number(), stageVerb
	if get {
		stage = stageGet
	}
	t.s.AskTCP(ctx, n, stage, t.request(n, get), func(b []byte) (int, bool, error) {
		_, size, err := wire.ParseHTTPStatus(b)
		return size, true, err
	})
}

// talk opens LCP and keeps it alive; with --deep for so long that whoever ends long bodies has ended this one.
func (t *sstpTunnel) talk(ctx context.Context) {
	began := time.Now()
	stage := SSTP{}.stage(stageTunnel)
	t.c.talk(ctx, partSSTP, stage, t.s.flow, func(ctx context.Context) Exchange { return t.ask(ctx, stageTunnel, t.lcp.request) })
	t.c.fullSize(ctx, partSSTP, t.s.flow, func(ctx context.Context) Exchange {
		return t.ask(ctx, stageFull, func(tag wire.Tag) wire.LCP { return t.lcp.padded(tag, 20+16+8+40) })
	})
	if !t.c.path.deep {
		return
	}
	for time.Since(began) < sstpHold && !t.c.path.stopped() && !t.c.stoppedOn(partSSTP, stage, t.s.flow) && sleep(ctx, sstpEvery) {
		if e := t.ask(ctx, stageTunnel, t.lcp.request); e.ID == "" {
			return
		}
	}
}

// ask asks the server to configure the link, and once it has, for an echo.
func (t *sstpTunnel) ask(ctx context.Context, stage string, question func(wire.Tag) wire.LCP) Exchange {
	n := t.c.path.number()
	lcp := question(t.c.tag(wire.CarrierSSTP, n))
	e := t.s.AskTCP(ctx, n, stage, wire.SSTP{Data: lcpFrame(lcp)}.Append(nil), func([]byte) (int, bool, error) { return t.read(n) })
	answer, came := lastLCP(e.Returned.Bytes)
	if k, ack, ok := t.lcp.answered(answer, came); ok && t.c.path.spend() {
		frame := wire.SSTP{Data: lcpFrame(ack)}.Append(nil)
		if t.s.write(frame) == nil {
			t.c.answered(k, stage, t.s.flow, e.Returned, t.s.sighting(frame, false))
		}
	}
	return e
}

// read cuts what answers an exchange off the stream: the packet with its tag, and what stands before it. The answer to an earlier exchange, which
// came late, is filed as such and passed over.
func (t *sstpTunnel) read(n uint32) (size int, ours bool, err error) {
	for {
		p, k, err := wire.ParseSSTP(t.s.buf[size:])
		if err != nil {
			return size, false, err
		}
		size += k
		lcp, ok := lcpOf(p.Data)
		if p.Control || !ok {
			continue
		}
		tag, tagged := tagOf(lcp)
		switch {
		case !tagged:
			continue
		case !t.c.path.mint.Valid(wire.Answer, wire.CarrierSSTP, tag.Token):
			return size, false, nil
		case tag.Token.Exchange() == n:
			return size, true, nil
		}
		t.c.returned(tag.Token.Exchange(), t.s.sighting(t.s.buf[:size], true), tag.Nonce)
		t.s.buf, size = t.s.buf[size:], 0
	}
}

// lastLCP is the LCP in the last of some packets.
func lastLCP(b []byte) (lcp wire.LCP, ok bool) {
	for len(b) > 0 {
		p, n, err := wire.ParseSSTP(b)
		if err != nil {
			return wire.LCP{}, false
		}
		lcp, ok = lcpOf(p.Data)
		b = b[n:]
	}
	return lcp, ok
}

// hangUp ends the call as a client does (MS-SSTP, section 3.1.5.4), also after ctx was cancelled.
func (t *sstpTunnel) hangUp(ctx context.Context) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), time.Second)
	defer cancel()
	defer t.s.Close()
	t.s.AskTCP(ctx, t.n+3, stageClear, wire.SSTPDisconnect(false).Append(nil), func(b []byte) (size int, ours bool, err error) {
		for {
			p, n, err := wire.ParseSSTP(b[size:])
			if size += n; err != nil || p.Control {
				return size, p.Type == wire.SSTPCallDisconnectAck, err
			}
		}
	})
}

// Trace implements Tracer: attempts to connect.
func (SSTP) Trace(c *Conversation, _ Observation, failed Finding) (*Trace, error) {
	if failed.Stage != stageConnect {
		return nil, errors.New("what fails is inside a connection that opens, and no packet of it can be asked for alone")
	}
	return &Trace{Port: c.path.web}, nil
}
