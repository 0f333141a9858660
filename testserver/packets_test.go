package testserver

import (
	"context"
	"net"
	"net/netip"
	"time"

	"vpncheck/probe/sock"
	"vpncheck/probe/wire"
)

// pptpCall is a control connection with a call: both Call IDs.
type pptpCall struct {
	conn           net.Conn
	theirs, server uint16
	exchange       uint32 // of the Outgoing-Call-Request
}

func (c *client) ask(conn net.Conn, m wire.PPTPMessage) wire.PPTPMessage {
	c.t.Helper()
	if _, err := conn.Write(m.Append(nil)); err != nil {
		c.t.Fatal(err)
	}
	return c.hearPPTP(conn)
}

func (c *client) hearPPTP(conn net.Conn) wire.PPTPMessage {
	c.t.Helper()
	b := make([]byte, 512)
	n, err := conn.Read(b)
	if err != nil {
		c.t.Fatalf("reading an answer: %v", err)
	}
	m, size, err := wire.ParsePPTP(b[:n])
	if err != nil || size != n {
		c.t.Fatalf("got %d octets, one message of %d, %v: want one message in one write", n, size, err)
	}
	return m
}

func (c *client) dialPPTP(from *sock.FakeHost) net.Conn {
	c.t.Helper()
	conn, err := from.Dial(context.Background(), netip.Addr{}, netip.AddrPortFrom(serverAddr, 1723))
	if err != nil {
		c.t.Fatal(err)
	}
	conn.SetDeadline(time.Now().Add(time.Hour))
	return conn
}

// call goes through the control connection, and checks it on the way.
func (c *client) call(from *sock.FakeHost) *pptpCall {
	c.t.Helper()
	k := &pptpCall{conn: c.dialPPTP(from), theirs: 0x1234}
	if from == c.laptop {
		c.stray() // the SYN
	}
	request := wire.StartControlConnectionRequest{ProtocolVersion: wire.PPTPVersion, HostName: c.token(wire.CarrierPPTP).String()}
	reply, ok := c.ask(k.conn, request).(wire.StartControlConnectionReply)
	token, err := wire.ParseToken(reply.HostName)
	if !ok || err != nil || reply.ResultCode != wire.PPTPConnected {
		c.t.Fatalf("got %+v, %v, want a reply with a token", reply, err)
	}
	c.answered(wire.CarrierPPTP, token)
	if s := c.saw(); s.Exchange != c.number || s.Arrived.Where != "tcp" || s.Replied.State != wire.Seen || s.Silent != "" {
		c.t.Fatalf("got %+v, want the exchange of SCCRQ", s)
	}
	out := wire.OutgoingCallRequest{CallID: k.theirs, Subaddress: c.token(wire.CarrierPPTP).String()}
	k.exchange = c.number
	c.number += 3
	answer, ok := c.ask(k.conn, out).(wire.OutgoingCallReply)
	if !ok || answer.PeersCallID != k.theirs || answer.CallID == 0 || answer.CallID == k.theirs || answer.ResultCode != 1 {
		c.t.Fatalf("got %+v, want a call", answer)
	}
	k.server = answer.CallID
	if s := c.saw(); s.Exchange != k.exchange || s.Conversation != "talk" || s.Replied.State != wire.Seen {
		c.t.Fatalf("got %+v, want the exchange of OCRQ", s)
	}
	return k
}

// lcp is a GRE packet of a call with one LCP packet in it.
func lcp(callID uint16, seq uint32, l wire.LCP) []byte {
	frame := wire.PPP{Protocol: wire.ProtocolLCP, Information: l.Append(nil)}.Append(nil)
	return wire.EnhancedGRE{CallID: callID, HasSeq: true, Seq: seq, Payload: frame}.Append(nil)
}

func configureRequest(token wire.Token) wire.LCP {
	options := wire.LCPOptions{wire.MagicNumberOption(7), wire.EndpointDiscriminatorOption(wire.ClassLocal, token[:])}
	return wire.LCP{Code: wire.ConfigureRequest, Identifier: 1, Data: options.Append(nil)}
}

func (c *client) hearLCP(conn sock.Conn) (wire.EnhancedGRE, wire.LCP, wire.Sighting) {
	c.t.Helper()
	s := c.hear(conn)
	g, err := wire.ParseEnhancedGRE(s.Bytes)
	if err != nil {
		c.t.Fatal(err)
	}
	l, err := parseLCPFrame(g.Payload)
	if err != nil {
		c.t.Fatal(err)
	}
	return g, l, s
}

// tunnelPacket is a packet of plain GRE with a tag in it.
func tunnelPacket(g wire.GRE, tag wire.Tag, rest []byte) []byte {
	src, dst := netip.MustParseAddrPort("10.99.0.1:4000"), netip.MustParseAddrPort("10.99.0.2:7")
	datagram := wire.AppendUDP(nil, src, dst, append(tag.Append(nil), rest...))
	inner := wire.IPv4{TTL: 64, Protocol: wire.IPProtoUDP, Src: src.Addr(), Dst: dst.Addr()}
	g.ProtocolType, g.Payload = wire.ProtocolTypeIPv4, inner.AppendPacket(nil, datagram)
	return g.Append(nil)
}
