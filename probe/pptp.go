package probe

import (
	"context"
	"crypto/rand"
	"encoding/binary"
	"errors"
	"net/netip"
	"sync"
	"time"

	"vpncheck/probe/wire"
)

// PPTP plays a PPTP client (RFC 2637) as pptp-linux does: the control connection on TCP 1723 with a call set up on it, then PPP inside
// enhanced GRE with the Call-IDs that the call negotiated, LCP opened both ways and kept alive by echoes. Only a router that reads the
// control connection can bring the answers home (F04), so nothing less than this tells whether it does (T01, T03). Both Call-IDs are
// non-zero and differ: zero crosses any Linux NAT (T02).
type PPTP struct{}

// Stages of PPTP.
const (
	stageConnect = "connect"
	stageStart   = "start"
	stageCall    = "call"
	stageGRE     = "gre"

	partPPTP = "pptp"
	pptpPort = 1723 // the only one that a PPTP helper looks at (F47)
)

// Info implements Probe.
func (PPTP) Info() Info {
	return Info{
		ID: "pptp", Title: "PPTP", RFC: "RFC 2637",
		Parts: []Part{{ID: partPPTP, Title: "a call and PPP inside it", Deciding: true}},
		Stages: []Stage{
			{ID: stageConnect, Title: "the connection to TCP 1723", Carrier: wire.CarrierPPTP, Rounds: 1},
			{ID: stageStart, Title: "the greeting on TCP 1723", Carrier: wire.CarrierPPTP, Rounds: 1},
			{ID: stageCall, Title: "the call set-up on TCP 1723", Carrier: wire.CarrierPPTP, Rounds: 1},
			{ID: stageGRE, Title: "the tunnel (GRE)", Carrier: wire.CarrierGREv1, Rounds: 16, Span: 1200 * time.Millisecond},
		},
		Carriers: []wire.Carrier{wire.CarrierPPTP, wire.CarrierGREv1},
		With:     []string{"gre"},
		Weak:     "PPTP's encryption was broken years ago",
	}
}

func (p PPTP) stage(id string) Stage {
	for _, s := range p.Info().Stages {
		if s.ID == id {
			return s
		}
	}
	return Stage{}
}

// Observe implements Probe. A flow that stops midway, or loses more than the line, is asked once more by a second call, with Call-IDs of its
// own and slowly.
func (p PPTP) Observe(ctx context.Context, path *Path) (Observation, error) {
	if !path.Server.Is4() {
		return Observation{}, &Refusal{Reason: IPv4Only}
	}
	c, err := path.Conversation(ctx, p)
	if err != nil {
		return Observation{}, err
	}
	first := 1
	for range 2 {
		call := p.dial(ctx, c, first)
		if call == nil {
			break
		}
		err = call.talk(ctx)
		call.hangUp(ctx)
		if err != nil || !c.again(partPPTP, p.stage(stageGRE), call.flow) {
			break
		}
		first = call.flow + 1
	}
	path.ended("pptp", partPPTP) // its calls are over: plain GRE may have the place in a NAT
	o := c.Finish(ctx)
	// Without raw sockets the control connection still tells what it tells; the tunnel stays unasked.
	var refused *Refusal
	if errors.As(err, &refused) {
		o.Refused, err = refused, nil
	}
	return o, err
}

// dial sets up a call, with a new connection for each try.
func (p PPTP) dial(ctx context.Context, c *Conversation, first int) *pptpCall {
	began := time.Now()
	s := c.Dial(ctx, partPPTP, p.stage(stageConnect), first, pptpPort)
	if s == nil {
		return nil
	}
	call, failed := p.setUp(ctx, c, s)
	if call != nil {
		return call
	}
	s.Close()
	call, _, _ = persist(ctx, c, dialled{partPPTP, p.stage(stageConnect), p.stage, pptpPort, first, s.flow + 1, began}, failed,
		func(ctx context.Context, s *Stream) (*pptpCall, string) { return p.setUp(ctx, c, s) })
	return call
}

// setUp exchanges the messages that set up a call (RFC 2637, section 3.1), or says at which stage it failed.
func (p PPTP) setUp(ctx context.Context, c *Conversation, s *Stream) (*pptpCall, string) {
	if e := p.start(ctx, c, s); e.Returned.State != wire.Seen {
		return nil, stageStart
	}
	// The messages without room for a token take the numbers after the call's.
	n := c.path.block(4)
	call := &pptpCall{c: c, s: s, flow: s.flow, n: n, own: randomID(0), lcp: lcpLink{magic: randomMagic()}}
	ask := wire.OutgoingCallRequest{
		CallID: call.own, CallSerialNumber: 0, MinimumBPS: 2400, MaximumBPS: 10_000_000, BearerType: 3, FramingType: 3,
		PacketRecvWindowSize: 3, Subaddress: c.tag(wire.CarrierPPTP, n).Token.String(),
	}
	e := s.AskTCP(ctx, n, stageCall, ask.Append(nil), func(b []byte) (int, bool, error) {
		m, size, err := wire.ParsePPTP(b)
		reply, ok := m.(wire.OutgoingCallReply)
		if ok {
			call.peer = reply.CallID
		}
		// The connection vouches for it: it answered the greeting with a token.
		return size, ok && reply.ResultCode == wire.PPTPConnected, err
	})
	if e.Returned.State != wire.Seen {
		return nil, stageCall
	}
	// Section 2.15. Some routers rewrite the Call-ID in here and get it wrong (F47).
	s.TellTCP(ctx, n+1, stageLink, wire.SetLinkInfo{PeersCallID: call.peer, SendACCM: 0xFFFFFFFF, ReceiveACCM: 0xFFFFFFFF}.Append(nil))
	return call, ""
}

// start greets the server.
func (PPTP) start(ctx context.Context, c *Conversation, s *Stream) Exchange {
	n := c.path.number()
	start := wire.StartControlConnectionRequest{
		ProtocolVersion: wire.PPTPVersion, FramingCapabilities: 3, BearerCapabilities: 3,
		MaximumChannels: 65535, FirmwareRevision: 1,
		HostName: c.tag(wire.CarrierPPTP, n).Token.String(), VendorName: "vpncheck",
	}
	return s.AskTCP(ctx, n, stageStart, start.Append(nil), func(b []byte) (int, bool, error) {
		m, size, err := wire.ParsePPTP(b)
		reply, ok := m.(wire.StartControlConnectionReply)
		if err != nil || !ok {
			return size, false, err
		}
		t, err := wire.ParseToken(reply.HostName)
		ours := err == nil && t.Exchange() == n && c.path.mint.Valid(wire.Answer, wire.CarrierPPTP, t)
		return size, ours && reply.ResultCode == wire.PPTPConnected, nil
	})
}

// Stages that are told, not judged: nothing answers to them.
const (
	stageLink  = "link-info"
	stageClear = "clear"
)

// A pptpCall is a call that is up.
type pptpCall struct {
	c    *Conversation
	s    *Stream
	flow int
	n    uint32 // the call's exchange; those after it are its further messages
	own  uint16 // our Call-ID: on packets towards us
	peer uint16 // the server's: on packets towards it
	lcp  lcpLink

	mu      sync.Mutex
	seq     uint32 // of the last packet sent; the first is 1, as pptp-linux counts
	heard   uint32 // highest sequence number received
	hearing bool
	acked   uint32 // last acknowledgment sent
}

// talk opens LCP and keeps it alive.
func (call *pptpCall) talk(ctx context.Context) error {
	f, err := call.c.Raw(wire.IPProtoGRE, wire.CarrierGREv1, call.read)
	if err != nil {
		return err
	}
	defer f.Close()
	call.c.talk(ctx, partPPTP, PPTP{}.stage(stageGRE), call.flow, func(ctx context.Context) Exchange { return call.ask(ctx, f) })
	call.c.fullSize(ctx, partPPTP, call.flow, func(ctx context.Context) Exchange {
		return f.Ask(ctx, Question{Part: partPPTP, Stage: stageFull, Flow: call.flow, DF: true, Payload: func(t wire.Tag) []byte {
			return call.packet(call.lcp.padded(t, 20+16+8))
		}})
	})
	return nil
}

// ask asks the server to configure the link, and once it has, for an echo.
func (call *pptpCall) ask(ctx context.Context, f *Flow) Exchange {
	e := f.Ask(ctx, Question{Part: partPPTP, Stage: stageGRE, Flow: call.flow, DF: true, Payload: func(t wire.Tag) []byte {
		return call.packet(call.lcp.request(t))
	}})
	if n, ack, ok := call.lcp.answered(lcpIn(e.Returned.Bytes)); ok {
		f.Tell(ctx, n, stageGRE, call.flow, e.Returned, call.packet(ack))
	}
	return e
}

// packet wraps LCP into PPP and enhanced GRE (RFC 2637, section 4.1), with the acknowledgment that is due.
func (call *pptpCall) packet(lcp wire.LCP) []byte {
	call.mu.Lock()
	defer call.mu.Unlock()
	call.seq++
	g := wire.EnhancedGRE{CallID: call.peer, HasSeq: true, Seq: call.seq}
	if call.hearing && (call.acked != call.heard || call.acked == 0) {
		g.HasAck, g.Ack, call.acked = true, call.heard, call.heard
	}
	g.Payload = lcpFrame(lcp)
	return g.Append(nil)
}

// read takes the tag out of a packet of GRE version 1, and notes its sequence number.
func (call *pptpCall) read(s wire.Sighting) (wire.Tag, bool) {
	if v, err := wire.GREVersion(s.Bytes); err != nil || v != 1 {
		return wire.Tag{}, false
	}
	g, err := wire.ParseEnhancedGRE(s.Bytes)
	if err != nil {
		return wire.Tag{}, true // version 1 and broken: somebody's, or damaged
	}
	if g.HasSeq {
		call.mu.Lock()
		call.heard, call.hearing = max(call.heard, g.Seq), true
		call.mu.Unlock()
	}
	lcp, ok := lcpIn(s.Bytes)
	if !ok {
		return wire.Tag{}, false
	}
	return tagOf(lcp)
}

// lcpIn is the LCP in a packet of enhanced GRE.
func lcpIn(packet []byte) (wire.LCP, bool) {
	g, err := wire.ParseEnhancedGRE(packet)
	if err != nil || len(g.Payload) == 0 {
		return wire.LCP{}, false
	}
	return lcpOf(g.Payload)
}

// hangUp ends the call as a client does (RFC 2637, sections 2.12 and 2.3), also after ctx was cancelled.
func (call *pptpCall) hangUp(ctx context.Context) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), time.Second)
	defer cancel()
	defer call.s.Close()
	any := func(b []byte) (int, bool, error) {
		_, size, err := wire.ParsePPTP(b)
		return size, err == nil, err
	}
	call.s.AskTCP(ctx, call.n+2, stageClear, wire.CallClearRequest{CallID: call.own}.Append(nil), any)
	call.s.AskTCP(ctx, call.n+3, stageClear, wire.StopControlConnectionRequest{Reason: 1}.Append(nil), any)
}

// Trace implements Tracer: attempts to connect, or where a call was set up, the packets that its tunnel would carry on. That call has been hung
// up: the server sees them, and keeps silent.
func (p PPTP) Trace(c *Conversation, o Observation, failed Finding) (*Trace, error) {
	switch failed.Stage {
	case stageConnect:
		return &Trace{Port: pptpPort}, nil
	case stageGRE:
	default:
		return nil, errors.New("what fails is inside a connection that opens, and no packet of it can be asked for alone")
	}
	call := &pptpCall{c: c, peer: randomID(0), lcp: lcpLink{magic: randomMagic(), opened: true}}
	for _, e := range o.Exchanges {
		if e.Stage != stageGRE || e.From != Client {
			continue
		}
		if g, err := wire.ParseEnhancedGRE(e.Sent.Bytes); err == nil {
			call.peer, call.seq = g.CallID, max(call.seq, g.Seq)
		}
	}
	f, err := c.Raw(wire.IPProtoGRE, wire.CarrierGREv1, call.read)
	return &Trace{Flow: f, Next: func() Question {
		return Question{DF: true, Payload: func(t wire.Tag) []byte { return call.packet(call.lcp.request(t)) }}
	}}, err
}

// randomID is a Call-ID: never zero, and not the given one.
func randomID(not uint16) uint16 {
	for {
		var b [2]byte
		rand.Read(b[:])
		if id := binary.BigEndian.Uint16(b[:]); id != 0 && id != not {
			return id
		}
	}
}

func randomMagic() uint32 {
	var b [4]byte
	rand.Read(b[:])
	return binary.BigEndian.Uint32(b[:])
}

// controlSource is where the server saw the control connection of a flow come from.
func controlSource(o Observation, flow int) netip.Addr {
	for _, e := range o.Exchanges {
		if e.Flow == flow && e.Stage == stageStart && e.Arrived.State == wire.Seen {
			return e.Arrived.Src.Addr().Unmap()
		}
	}
	return netip.Addr{}
}
