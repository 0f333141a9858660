package testserver

import (
	"context"
	"net"
	"net/netip"
	"time"

	"vpncheck/probe/wire"
	"vpncheck/testserver/gate"
)

const (
	openVPNFirst   = 10 * time.Second // for the first packet of a stranger
	openVPNIdle    = 60 * time.Second
	openVPNTotal   = 256 // connections that have shown no token
	openVPNEach    = 32  // of one address
	openVPNSession = 32  // connections of one session
	openVPNPackets = 512 // packets of one connection
	openVPNBuffer  = 4 << 10
)

// OpenVPNTCP answers OpenVPN on TCP port 1194: the same packets as on UDP, each behind its length.
func OpenVPNTCP() Responder {
	return &openVPNTCP{waiting: newLimiter(openVPNTotal, openVPNEach)}
}

type openVPNTCP struct {
	h       *Host
	waiting *limiter
	held    held
}

func (*openVPNTCP) Carriers() []wire.Carrier { return []wire.Carrier{wire.CarrierOpenVPNTCP} }

func (p *openVPNTCP) Listen(h *Host) {
	p.h = h
	h.TCP(wire.OpenVPNPort, p.connection, wire.CarrierOpenVPNTCP, wire.CarrierRandomTCP)
	h.SYNs(wire.OpenVPNPort, func(s wire.Sighting) {
		h.Arrived(s, wire.CarrierOpenVPNTCP)
		h.deliveredSYN(wire.CarrierOpenVPNTCP, s)
		h.Stray(wire.CarrierOpenVPNTCP, s)
	}, wire.CarrierOpenVPNTCP)
	h.NIC(protoTCP, wire.OpenVPNPort, wire.CarrierOpenVPNTCP, nil)
}

// openVPNConn is one connection. Only its own goroutine uses it.
type openVPNConn struct {
	stream[wire.OpenVPN]
	p *openVPNTCP
}

func (p *openVPNTCP) newConn(conn net.Conn, client, own netip.AddrPort) *openVPNConn {
	return &openVPNConn{p: p, stream: stream[wire.OpenVPN]{
		h: p.h, carrier: wire.CarrierOpenVPNTCP, conn: conn, client: client, own: own, parse: wire.ParseOpenVPNStream, most: openVPNBuffer,
	}}
}

func (p *openVPNTCP) connection(conn net.Conn) {
	c := p.newConn(conn, addrPort(conn.RemoteAddr()), addrPort(conn.LocalAddr()))
	p.h.Arrived(wire.Sighting{Src: c.client, Dst: c.own}, wire.CarrierOpenVPNTCP)
	release := p.waiting.enter(c.client.Addr(), p.h.turnAway(conn))
	if release == nil {
		return
	}
	defer release()
	if c.next(openVPNFirst); c.session == nil || !p.held.enter(c.session, openVPNSession) {
		return
	}
	release()
	defer p.held.leave(c.session)
	defer p.h.held.enter(c.client.Addr(), p.h.turnAway(conn))()
	done := p.h.Ends(c.session)
	if done == nil {
		return
	}
	defer context.AfterFunc(done, func() { conn.Close() })()
	for range openVPNPackets {
		if !c.next(openVPNIdle) {
			return
		}
	}
}

// next handles one packet, and says whether there may be another. The first must be a reset of a session's; whoever has shown one has proved
// that the address receives, by TCP's handshake. A packet of another session has no place here.
func (c *openVPNConn) next(wait time.Duration) bool {
	m, arrived, ok := c.read(wait)
	if !ok {
		return false
	}
	q, ok := c.p.h.openVPN(wire.CarrierOpenVPNTCP, arrived, m)
	first := c.session == nil
	if !ok || first && m.Opcode != wire.OpenVPNHardResetClient {
		c.p.h.Stray(wire.CarrierOpenVPNTCP, arrived)
		return !first
	}
	c.p.h.Answer(Question{Carrier: wire.CarrierOpenVPNTCP, Tag: q.tag, Arrived: arrived, Message: arrived.Bytes}, Answerer{
		Build: func(s *gate.Session) ([]byte, string) {
			if !first && s != c.session {
				return nil, gate.SilentToken
			}
			if first {
				s.Prove(c.client.Addr())
			}
			return q.answer(s)
		},
		Send: func(s *gate.Session, packets []byte) (wire.Sighting, string) {
			sent, silent := c.write(s, packets)
			if silent == "" && first {
				c.session = s
			}
			return sent, silent
		},
	})
	return true
}

func (c *openVPNConn) write(s *gate.Session, b []byte) (wire.Sighting, string) {
	return c.p.h.writeTCP(s, c.conn, c.own, c.client, tcpHeader, b)
}
