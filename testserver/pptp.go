package testserver

import (
	"context"
	"net"
	"net/netip"
	"sync"
	"time"

	"vpncheck/probe/wire"
	"vpncheck/testserver/gate"
)

const (
	pptpFirst    = 10 * time.Second // for the first message of a stranger
	pptpIdle     = 75 * time.Second // a client's Echo-Request is due after 60 (RFC 2637, section 2.5)
	pptpWrite    = 5 * time.Second
	pptpTotal    = 256 // connections that have shown no token
	pptpEach     = 32  // of one address
	pptpSession  = 32  // connections of one session
	pptpCalls    = 8   // calls of one connection
	pptpMessages = 256 // messages of one connection
	pptpBuffer   = 512
	tcpHeader    = 20

	pptpNoAnswer = "the protocol has no answer to it"
)

// PPTP answers PPTP (RFC 2637): the control connection on TCP 1723, here, and the calls' enhanced GRE, in pptp_gre.go.
//
// A Start-Control-Connection-Request shows its token in Host Name, an Outgoing-Call-Request in Subaddress. The messages that have no
// room for one belong to the newest call of their connection: Set-Link-Info is exchange m+1, Call-Clear-Request m+2 and
// Stop-Control-Connection-Request m+3 if m is that of its Outgoing-Call-Request; an Echo-Request's Identifier is its exchange.
func PPTP() Responder {
	return &pptp{waiting: newLimiter(pptpTotal, pptpEach), calls: make(map[uint16]*call)}
}

type pptp struct {
	h       *Host
	waiting *limiter
	held    held // control connections

	mu    sync.Mutex
	calls map[uint16]*call // by our Call ID
}

func (p *pptp) Carriers() []wire.Carrier { return []wire.Carrier{wire.CarrierPPTP, wire.CarrierGREv1} }

func (p *pptp) Listen(h *Host) {
	p.h = h
	h.TCP(h.pptpPort, p.connection, wire.CarrierPPTP, wire.CarrierRandomTCP)
	h.SYNs(h.pptpPort, func(s wire.Sighting) {
		h.Arrived(s, wire.CarrierPPTP)
		h.deliveredSYN(wire.CarrierPPTP, s)
		h.Stray(wire.CarrierPPTP, s)
	}, wire.CarrierPPTP)
	h.NIC(protoTCP, h.pptpPort, wire.CarrierPPTP, nil)
	h.Raw(wire.IPProtoGRE, p.packet, wire.CarrierGREv1)
	h.NIC(wire.IPProtoGRE, 0, wire.CarrierGREv1, pptpToken)
}

// pptpConn is one control connection. Only its own goroutine uses it.
type pptpConn struct {
	stream[wire.PPTPMessage]
	p            *pptp
	exchange     uint32  // the number from which those of later messages are counted
	calls        []*call // newest last
	messagesLeft int
}

func (p *pptp) newConn(conn net.Conn, client, own netip.AddrPort) *pptpConn {
	return &pptpConn{p: p, messagesLeft: pptpMessages, stream: stream[wire.PPTPMessage]{
		h: p.h, carrier: wire.CarrierPPTP, conn: conn, client: client, own: own, parse: wire.ParsePPTP, most: pptpBuffer,
	}}
}

func (p *pptp) connection(conn net.Conn) {
	c := p.newConn(conn, addrPort(conn.RemoteAddr()), addrPort(conn.LocalAddr()))
	p.h.Arrived(wire.Sighting{Src: c.client, Dst: c.own}, wire.CarrierPPTP)
	release := p.waiting.enter(c.client.Addr(), p.h.turnAway(conn))
	if release == nil {
		return
	}
	defer release()
	if c.open(); c.session == nil || !p.held.enter(c.session, pptpSession) {
		return
	}
	release()
	defer p.held.leave(c.session)
	defer c.end()
	defer p.h.held.enter(c.client.Addr(), p.h.turnAway(conn))()
	if done := p.h.Ends(c.session); done != nil {
		defer context.AfterFunc(done, func() { conn.Close() })()
		for c.next() {
		}
	}
}

// write sends one message in one write, for a helper in a router does not join segments (F47).
func (c *pptpConn) write(s *gate.Session, b []byte) (wire.Sighting, string) {
	return c.p.h.writeTCP(s, c.conn, c.own, c.client, tcpHeader, b)
}

// open waits for a stranger's Start-Control-Connection-Request (RFC 2637, section 2.1) and answers it if it is a session's.
func (c *pptpConn) open() {
	m, arrived, ok := c.read(pptpFirst)
	if !ok {
		return
	}
	request, _ := m.(wire.StartControlConnectionRequest)
	token, err := wire.ParseToken(request.HostName)
	if err != nil {
		c.p.h.Stray(wire.CarrierPPTP, arrived)
		return
	}
	q := Question{Carrier: wire.CarrierPPTP, Tag: wire.Tag{Token: token}, Arrived: arrived, Message: arrived.Bytes}
	c.p.h.Answer(q, Answerer{
		Build: func(s *gate.Session) ([]byte, string) {
			return wire.StartControlConnectionReply{ // section 2.2; the numbers are pptpd's
				ProtocolVersion:  wire.PPTPVersion,
				ResultCode:       wire.PPTPConnected,
				MaximumChannels:  1,
				FirmwareRevision: 1,
				HostName:         s.Token(wire.CarrierPPTP, token.Exchange()).String(),
				VendorName:       "vpncheck",
			}.Append(nil), ""
		},
		Send: func(s *gate.Session, message []byte) (wire.Sighting, string) {
			s.Prove(c.client.Addr()) // TCP's handshake, and the token just shown
			sent, silent := c.write(s, message)
			if silent == "" {
				c.session, c.exchange = s, token.Exchange()
			}
			return sent, silent
		},
	})
}

// next handles one more message, and says whether there may be another.
func (c *pptpConn) next() bool {
	m, arrived, ok := c.read(pptpIdle)
	if !ok || c.messagesLeft == 0 {
		return false
	}
	c.messagesLeft--
	switch m := m.(type) {
	case wire.OutgoingCallRequest:
		c.outgoingCall(m, arrived)
	case wire.SetLinkInfo:
		c.saw(c.exchange+1, arrived, wire.Sighting{State: wire.Absent, Why: pptpNoAnswer}, "")
	case wire.EchoRequest:
		c.reply(m.Identifier, arrived, wire.EchoReply{Identifier: m.Identifier, ResultCode: wire.PPTPConnected})
	case wire.CallClearRequest:
		if k := c.clear(m.CallID); k != nil {
			c.reply(k.exchange+2, arrived, wire.CallDisconnectNotify{CallID: k.own, ResultCode: 4}) // 4: on request, section 2.13
		}
	case wire.StopControlConnectionRequest:
		c.reply(c.exchange+3, arrived, wire.StopControlConnectionReply{ResultCode: wire.PPTPConnected})
		return false
	default:
		c.p.h.Stray(wire.CarrierPPTP, arrived)
	}
	return true
}

// reply answers a message for which the connection vouches.
func (c *pptpConn) reply(exchange uint32, arrived wire.Sighting, m wire.PPTPMessage) {
	sent, silent := c.write(c.session, m.Append(nil))
	c.saw(exchange, arrived, sent, silent)
}

func (c *pptpConn) saw(exchange uint32, arrived, replied wire.Sighting, silent string) {
	c.p.h.Saw(c.session, wire.CarrierPPTP, wire.Saw{Exchange: exchange, Arrived: arrived, Replied: replied, Silent: silent})
}

// outgoingCall answers an Outgoing-Call-Request (RFC 2637, section 2.7) and begins its call.
func (c *pptpConn) outgoingCall(m wire.OutgoingCallRequest, arrived wire.Sighting) {
	token, err := wire.ParseToken(m.Subaddress)
	if err != nil {
		c.p.h.Stray(wire.CarrierPPTP, arrived)
		return
	}
	q := Question{Carrier: wire.CarrierPPTP, Tag: wire.Tag{Token: token}, Arrived: arrived, Message: arrived.Bytes}
	c.p.h.Answer(q, Answerer{
		Build: func(s *gate.Session) ([]byte, string) {
			if s != c.session {
				return nil, gate.SilentToken
			}
			k := c.begin(m.CallID, token.Exchange())
			if k == nil {
				return nil, gate.SilentBudget
			}
			return wire.OutgoingCallReply{ // section 2.8; the numbers are pptpd's
				CallID:               k.own,
				PeersCallID:          m.CallID,
				ResultCode:           wire.PPTPConnected,
				ConnectSpeed:         10_000_000,
				PacketRecvWindowSize: 3,
			}.Append(nil), ""
		},
		Send: c.write,
	})
}
