package testserver

import (
	"context"
	"errors"
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
	return &pptp{
		waiting: newLimiter(pptpTotal, pptpEach),
		calls:   make(map[uint16]*call),
		held:    make(map[*gate.Session]int),
	}
}

type pptp struct {
	h       *Host
	waiting *limiter

	mu    sync.Mutex
	calls map[uint16]*call      // by our Call ID
	held  map[*gate.Session]int // control connections
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
	p            *pptp
	conn         net.Conn
	client, own  netip.AddrPort
	buf          []byte
	session      *gate.Session // nil until a token was shown
	exchange     uint32        // the number from which those of later messages are counted
	calls        []*call       // newest last
	messagesLeft int
}

func (p *pptp) connection(conn net.Conn) {
	c := &pptpConn{
		p: p, conn: conn, client: addrPort(conn.RemoteAddr()), own: addrPort(conn.LocalAddr()), messagesLeft: pptpMessages,
	}
	p.h.Arrived(wire.Sighting{Src: c.client, Dst: c.own}, wire.CarrierPPTP)
	release := p.waiting.enter(c.client.Addr(), p.h.turnAway(conn))
	if release == nil {
		return
	}
	defer release()
	if c.open(); c.session == nil || !p.hold(c.session) {
		return
	}
	release()
	defer p.let(c.session)
	defer c.end()
	defer p.h.held.enter(c.client.Addr(), p.h.turnAway(conn))()
	if done := p.h.Ends(c.session); done != nil {
		defer context.AfterFunc(done, func() { conn.Close() })()
		for c.next() {
		}
	}
}

// hold counts a session's control connections.
func (p *pptp) hold(s *gate.Session) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.held[s] >= pptpSession {
		return false
	}
	p.held[s]++
	return true
}

func (p *pptp) let(s *gate.Session) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.held[s]--; p.held[s] == 0 {
		delete(p.held, s)
	}
}

// read waits for one whole message. What does not become one is handed over, if it came from a session's address.
func (c *pptpConn) read(wait time.Duration) (wire.PPTPMessage, wire.Sighting) {
	c.conn.SetReadDeadline(time.Now().Add(wait))
	for {
		if c.session == nil && c.p.h.randomStream(c.conn, c.client, c.own, c.buf) {
			return nil, wire.Sighting{}
		}
		m, n, err := wire.ParsePPTP(c.buf)
		if err == nil {
			s := c.sighting(c.client, c.own, c.buf[:n:n])
			c.buf = append([]byte(nil), c.buf[n:]...)
			return m, s
		}
		if errors.Is(err, wire.ErrShort) && len(c.buf) < pptpBuffer {
			b := make([]byte, pptpBuffer-len(c.buf))
			if n, _ := c.conn.Read(b); n > 0 {
				c.buf = append(c.buf, b[:n]...)
				continue
			}
		}
		if len(c.buf) > 0 {
			c.p.h.Stray(wire.CarrierPPTP, c.sighting(c.client, c.own, c.buf))
		}
		return nil, wire.Sighting{}
	}
}

func (c *pptpConn) sighting(src, dst netip.AddrPort, b []byte) wire.Sighting {
	return wire.Sighting{State: wire.Seen, At: c.p.h.now(), Where: "tcp", Src: src, Dst: dst, Bytes: b}
}

// write sends one message in one write, for a helper in a router does not join segments (F47).
func (c *pptpConn) write(s *gate.Session, b []byte) (wire.Sighting, string) {
	return c.p.h.writeTCP(s, c.conn, c.own, c.client, tcpHeader, b)
}

// open waits for a stranger's Start-Control-Connection-Request (RFC 2637, section 2.1) and answers it if it is a session's.
func (c *pptpConn) open() {
	m, arrived := c.read(pptpFirst)
	if m == nil {
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
	m, arrived := c.read(pptpIdle)
	if m == nil || c.messagesLeft == 0 {
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
