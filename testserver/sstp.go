package testserver

import (
	"context"
	"crypto/rand"
	mathrand "math/rand/v2"
	"sync"
	"time"

	"vpncheck/probe/wire"
	"vpncheck/testserver/gate"
)

const (
	sstpIdle    = 75 * time.Second // a client's Echo Request is due after 60 (MS-SSTP, section 3.1.2)
	sstpPackets = 512              // packets of one connection
	sstpBuffer  = 8 << 10
	sstpTLS     = 40 // octets of TLS and TCP around a record, at most
)

// SSTP answers SSTP (MS-SSTP) on the link port that real clients ask, 443: whoever speaks HTTP there instead of the link, with SSTP's verb and a
// session's token in the correlation identifier. All others get what any web server without pages would tell them.
//
// If m is the exchange of the request, m+1 is that of TLS's opening, m+2 that of the Call Connect Request and m+3 that of the Call Disconnect,
// which have no room for a token. What the tunnel carries has a tag in LCP.
func SSTP() Responder { return &sstp{held: make(map[*gate.Session]*sstpConn)} }

type sstp struct {
	h *Host

	mu   sync.Mutex
	held map[*gate.Session]*sstpConn // one a session: the newest
}

func (*sstp) Carriers() []wire.Carrier { return []wire.Carrier{wire.CarrierSSTP} }

func (p *sstp) Listen(h *Host) {
	p.h = h
	h.HTTP(p.visit, wire.CarrierSSTP, wire.CarrierRandomTCP)
	h.SYNs(h.webPort, func(s wire.Sighting) {
		h.Arrived(s, wire.CarrierSSTP)
		h.deliveredSYN(wire.CarrierSSTP, s)
		h.Stray(wire.CarrierSSTP, s)
	}, wire.CarrierSSTP)
	h.NIC(protoTCP, h.webPort, wire.CarrierSSTP, nil)
}

// sstpConn is one connection. Only its own goroutine uses it, but for close.
type sstpConn struct {
	*visit
	p        *sstp
	session  *gate.Session
	exchange uint32 // of the request
	lcp      lcpLink
	packets  stream[wire.SSTP]
}

// visit reads one request, and holds the tunnel that it opens.
func (p *sstp) visit(v *visit) {
	head, request, ok := v.head()
	token, known := p.h.gate.Complete(wire.CarrierSSTP, request.Correlation)
	if !ok || !known {
		v.notFound()
		return
	}
	c := &sstpConn{visit: v, p: p, exchange: token.Exchange(), lcp: lcpLink{magic: mathrand.Uint32()}}
	c.answer(head, token, request.GET)
	switch {
	case c.session == nil:
		v.notFound() // the gate knows why
	case request.GET:
		linger(v.conn)
	default:
		v.release()
		c.hold()
	}
}

// answer answers a request that has a session's token.
func (c *sstpConn) answer(head []byte, token wire.Token, get bool) {
	h, arrived := c.p.h, c.p.h.streamed(c.client, c.own, head)
	h.Answer(Question{Carrier: wire.CarrierSSTP, Tag: wire.Tag{Token: token}, Arrived: arrived, Message: head}, Answerer{
		Build: func(*gate.Session) ([]byte, string) {
			if get {
				return []byte(httpNotFound), ""
			}
			return wire.AppendSSTPAccept(nil), ""
		},
		Send: func(s *gate.Session, message []byte) (wire.Sighting, string) {
			s.Prove(c.client.Addr()) // TCP's handshake, and the token just shown
			sent, silent := c.write(s, message)
			if silent == "" {
				c.session = s
			}
			return sent, silent
		},
	})
	if c.session != nil && !get {
		c.saw(token.Exchange()+1, h.streamed(c.client, c.own, c.hello), h.streamed(c.own, c.client, c.greeting), "")
	}
}

// hold answers the tunnel's packets until it ends. A session's earlier connection gives way: its end may have been lost.
func (c *sstpConn) hold() {
	done := c.p.h.Ends(c.session)
	if done == nil {
		return
	}
	p := c.p
	defer p.h.held.enter(c.client.Addr(), p.h.turnAway(c.conn.NetConn()))()
	p.mu.Lock()
	earlier := p.held[c.session]
	p.held[c.session] = c
	p.mu.Unlock()
	if earlier != nil {
		earlier.conn.NetConn().Close()
	}
	defer func() {
		p.mu.Lock()
		defer p.mu.Unlock()
		if p.held[c.session] == c {
			delete(p.held, c.session)
		}
	}()
	defer context.AfterFunc(done, func() { c.conn.NetConn().Close() })()
	c.packets = stream[wire.SSTP]{
		h: p.h, carrier: wire.CarrierSSTP, conn: c.conn, client: c.client, own: c.own, parse: wire.ParseSSTP, most: sstpBuffer, session: c.session,
	}
	for range sstpPackets {
		if !c.next() {
			return
		}
	}
}

// next handles one packet, and says whether there may be another.
func (c *sstpConn) next() bool {
	p, arrived, ok := c.packets.read(sstpIdle)
	switch {
	case !ok:
		return false
	case !p.Control:
		c.frame(p, arrived)
	case p.Connects():
		c.reply(c.exchange+2, arrived, wire.SSTPConnectAck(c.nonce()))
	case p.Type == wire.SSTPCallDisconnect:
		c.reply(c.exchange+3, arrived, wire.SSTPDisconnect(true))
		return false
	case p.Type == wire.SSTPEchoRequest: // section 3.1.5.2.2; a real client's keepalive, which tells nothing
		c.write(c.session, wire.SSTP{Control: true, Type: wire.SSTPEchoResponse}.Append(nil))
	default:
		c.p.h.Stray(wire.CarrierSSTP, arrived)
	}
	return true
}

// nonce is that of the Crypto Binding Request: the answer's token, and twelve octets by chance.
func (c *sstpConn) nonce() (nonce [32]byte) {
	rand.Read(nonce[:]) // never fails
	token := c.session.Token(wire.CarrierSSTP, c.exchange+2)
	copy(nonce[:], token[:])
	return nonce
}

// reply answers a message for which the connection vouches.
func (c *sstpConn) reply(exchange uint32, arrived wire.Sighting, m wire.SSTP) {
	sent, silent := c.write(c.session, m.Append(nil))
	c.saw(exchange, arrived, sent, silent)
}

func (c *sstpConn) saw(exchange uint32, arrived, replied wire.Sighting, silent string) {
	c.p.h.Saw(c.session, wire.CarrierSSTP, wire.Saw{Exchange: exchange, Arrived: arrived, Replied: replied, Silent: silent})
}

// frame answers the LCP in a PPP frame.
func (c *sstpConn) frame(p wire.SSTP, arrived wire.Sighting) {
	lcp, err := parseLCPFrame(p.Data)
	if err == nil && lcp.Code == wire.ConfigureAck {
		if a, ok := c.lcp.find(lcp); ok {
			c.p.h.Saw(c.session, wire.CarrierSSTP, wire.Saw{Exchange: a.exchange, Began: true, Arrived: arrived, Replied: a.sent})
			return
		}
	}
	tag, ok := lcpTag(lcp)
	if err != nil || !ok {
		c.p.h.Stray(wire.CarrierSSTP, arrived)
		return
	}
	c.p.h.Answer(Question{Carrier: wire.CarrierSSTP, Tag: tag, Arrived: arrived, Message: arrived.Bytes}, Answerer{
		Build: func(s *gate.Session) ([]byte, string) {
			if s != c.session {
				return nil, gate.SilentToken
			}
			own := wire.Tag{Token: s.Token(wire.CarrierSSTP, tag.Token.Exchange()), Nonce: s.Nonce(c.client.Addr())}
			return appendFrames(nil, c.lcp.answer(lcp, own)...), ""
		},
		Send: func(s *gate.Session, frames []byte) (wire.Sighting, string) {
			return c.send(s, tag.Token.Exchange(), frames)
		},
	})
}

// send sends the frames of an answer, each in a packet, in one write.
func (c *sstpConn) send(s *gate.Session, exchange uint32, frames []byte) (wire.Sighting, string) {
	var packets []byte
	var all [][]byte
	for len(frames) > 0 {
		var frame []byte
		frame, frames = nextFrame(frames)
		all = append(all, frame)
		packets = wire.SSTP{Data: frame}.Append(packets)
	}
	sent, silent := c.write(s, packets)
	if silent == "" {
		for _, frame := range all {
			c.lcp.left(frame, exchange, sent)
		}
	}
	return sent, silent
}

func (c *sstpConn) write(s *gate.Session, b []byte) (wire.Sighting, string) {
	return c.p.h.writeTCP(s, c.conn, c.own, c.client, sstpTLS, b)
}
