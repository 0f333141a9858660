package probe

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"time"

	"vpncheck/probe/wire"
)

// hangUpTime is for taking leave, after an opening's own time if need be.
const hangUpTime = 400 * time.Millisecond

// askPPTP greets, sets up a call, and asks for LCP in its tunnel (RFC 2637). No name is told: that would come after LCP. It hangs up as a client
// does.
func (t *ownTalk) askPPTP(ctx context.Context) {
	if !t.a.addr.Is4() {
		t.edit(func(o *Opening) { o.Refused = &Refusal{Reason: IPv4Only} })
		return
	}
	s := t.connect(ctx, fmt.Sprintf("the connection to TCP port %d", t.o.Port))
	if s == nil {
		return
	}
	defer s.conn.Close()
	t.stage(stageStart, "the greeting")
	greeting := wire.StartControlConnectionRequest{
		ProtocolVersion: wire.PPTPVersion, FramingCapabilities: 3, BearerCapabilities: 3, MaximumChannels: 65535, FirmwareRevision: 1,
		HostName: "vpncheck", VendorName: "vpncheck",
	}
	m, ok := s.askPPTP(ctx, greeting, wire.TypeStartControlConnectionReply)
	if reply, is := m.(wire.StartControlConnectionReply); !ok || !is || !t.greeted(reply) {
		return
	}
	t.stage(stageCall, "the call set-up")
	call := &ownCall{t: t, own: randomID(0), lcp: lcpLink{magic: randomMagic()}}
	defer call.listen()()
	m, ok = s.askPPTP(ctx, wire.OutgoingCallRequest{
		CallID: call.own, MinimumBPS: 2400, MaximumBPS: 10_000_000, BearerType: 3, FramingType: 3, PacketRecvWindowSize: 3,
	}, wire.TypeOutgoingCallReply)
	reply, is := m.(wire.OutgoingCallReply)
	if ok && is && reply.ResultCode == wire.PPTPConnected {
		call.peer = reply.CallID
		s.tell(ctx, wire.SetLinkInfo{PeersCallID: call.peer, SendACCM: 0xFFFFFFFF, ReceiveACCM: 0xFFFFFFFF}.Append(nil))
		call.talk(ctx)
	} else if ok && is {
		t.edit(func(o *Opening) {
			o.Declined = fmt.Sprintf("Outgoing-Call-Reply with result %d, error %d", reply.ResultCode, reply.ErrorCode)
		})
	}
	s.hangUpPPTP(ctx, call.own, ok)
}

// greeted notes what the server says of itself, and says whether it wants to be called.
func (t *ownTalk) greeted(reply wire.StartControlConnectionReply) bool {
	t.told(ToldHost, reply.HostName)
	t.told(ToldVendor, reply.VendorName)
	if reply.FirmwareRevision != 0 {
		t.told(ToldFirmware, fmt.Sprint(reply.FirmwareRevision))
	}
	if reply.ResultCode != wire.PPTPConnected {
		t.edit(func(o *Opening) {
			o.Declined = fmt.Sprintf("Start-Control-Connection-Reply with result %d, error %d", reply.ResultCode, reply.ErrorCode)
		})
		return false
	}
	return true
}

// askPPTP asks with one message for another of a type. Echoes in between are passed over.
func (s *ownStream) askPPTP(ctx context.Context, m wire.PPTPMessage, wants uint16) (wire.PPTPMessage, bool) {
	b, ok := s.ask(ctx, m.Append(nil), func(b []byte) (int, ownSays, error) {
		m, size, err := wire.ParsePPTP(b)
		switch {
		case errors.Is(err, wire.ErrShort):
			return 0, notMine, err
		case err != nil:
			s.t.edit(func(o *Opening) { o.Another = "not PPTP" })
			return 0, strange, err
		case m.ControlMessageType() == wants:
			return size, theReply, nil
		}
		return size, notMine, nil
	})
	if !ok {
		return nil, false
	}
	reply, _, err := wire.ParsePPTP(b)
	return reply, err == nil
}

// hangUpPPTP ends the call and the connection (RFC 2637, sections 2.12 and 2.3), also where time is up.
func (s *ownStream) hangUpPPTP(ctx context.Context, call uint16, called bool) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), hangUpTime)
	defer cancel()
	s.conn.SetDeadline(time.Now().Add(hangUpTime))
	until := func(typ uint16) {
		for {
			m, size, err := wire.ParsePPTP(s.buf)
			if err == nil {
				if s.buf = s.buf[size:]; m.ControlMessageType() == typ {
					return
				}
				continue
			}
			chunk := make([]byte, 512)
			n, readErr := s.conn.Read(chunk)
			if s.buf = append(s.buf, chunk[:n]...); readErr != nil || !errors.Is(err, wire.ErrShort) {
				return
			}
		}
	}
	if called {
		s.tell(ctx, wire.CallClearRequest{CallID: call}.Append(nil))
		until(wire.TypeCallDisconnectNotify)
	}
	s.tell(ctx, wire.StopControlConnectionRequest{Reason: 1}.Append(nil))
	until(wire.TypeStopControlConnectionReply)
}

// An ownCall is the tunnel of a call that is up.
type ownCall struct {
	t         *ownTalk
	own, peer uint16 // Call-IDs
	lcp       lcpLink
	seq       uint32
	heard     *uint32 // the newest sequence number of the server's
	socket    *ownSocket
	ear       <-chan wire.Sighting
}

// listen opens the tunnel's end before the call is set up, and returns what closes it. A server begins at once, and were nobody there, this
// machine would refuse its packets: pptpd gives up then.
func (c *ownCall) listen() (end func()) {
	s, err := c.t.a.raw(wire.IPProtoGRE)
	if err != nil {
		why := &Refusal{Reason: CouldNotAsk, Why: err.Error()}
		errors.As(refusal(err), &why)
		c.t.edit(func(o *Opening) { o.ControlOnly = why })
		return func() {}
	}
	c.socket, c.ear = s, s.ear(netip.AddrPortFrom(c.t.a.addr, 0))
	return func() { s.conn.Close() }
}

// talk asks for LCP in enhanced GRE until something answers it: its own word, or an acknowledgment of the packet. What the server sends without
// being asked proves the way back alone.
func (c *ownCall) talk(ctx context.Context) {
	if c.socket == nil {
		return
	}
	c.t.stage(stageGRE, "the tunnel (GRE)")
	c.t.ask(ctx, c.socket, c.ear, netip.AddrPortFrom(c.t.a.addr, 0), c.request, c.read)
}

// request asks to configure the link.
func (c *ownCall) request() []byte {
	c.lcp.id++
	c.seq++
	g := wire.EnhancedGRE{CallID: c.peer, HasSeq: true, Seq: c.seq, Payload: lcpFrame(wire.LCP{
		Code: wire.ConfigureRequest, Identifier: c.lcp.id,
		Data: wire.LCPOptions{wire.MRUOption(1400), wire.AsyncMapOption(0), wire.MagicNumberOption(c.lcp.magic)}.Append(nil),
	})}
	if c.heard != nil {
		g.HasAck, g.Ack = true, *c.heard
	}
	return g.Append(nil)
}

// read recognises the call by our Call-ID. pptpd begins by itself, and its packets acknowledge ours.
func (c *ownCall) read(p wire.Sighting) ownSays {
	g, err := wire.ParseEnhancedGRE(p.Bytes)
	switch {
	case err != nil:
		return notMine
	case g.CallID != c.own:
		return strange
	}
	if g.HasSeq {
		c.heard = new(g.Seq)
	}
	lcp, _ := lcpIn(p.Bytes)
	switch {
	case g.HasAck && g.Ack >= 1 && g.Ack <= c.seq:
		return theReply
	case lcp.Code == wire.ConfigureAck, lcp.Code == wire.ConfigureNak, lcp.Code == wire.ConfigureReject:
		return theReply
	}
	c.began(p)
	return notMine
}

// began files a packet that the server sent without being asked: the first of them.
func (c *ownCall) began(p wire.Sighting) {
	first := true
	c.t.edit(func(o *Opening) {
		for _, e := range o.Stages[len(o.Stages)-1].Exchanges {
			first = first && e.From != Server
		}
	})
	if first {
		c.t.begin(Exchange{From: Server, Sent: wire.CannotSee(ownBlind), Arrived: p, Replied: wire.NotSeen(), Returned: wire.CannotSee(ownBlind)})
	}
}
