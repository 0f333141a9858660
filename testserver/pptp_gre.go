package testserver

import (
	"net/netip"

	"vpncheck/probe/sock"
	"vpncheck/probe/wire"
	"vpncheck/testserver/gate"
)

// packet handles what arrives on IP protocol 47, of which only version 1 is PPTP's (RFC 2637, section 4.1).
func (p *pptp) packet(conn sock.Conn, arrived wire.Sighting) {
	p.h.Arrived(arrived, wire.CarrierGRE, wire.CarrierGREv1)
	if v, err := wire.GREVersion(arrived.Bytes); err != nil || v != 1 {
		return
	}
	g, lcp, err := parseEnhanced(arrived.Bytes)
	if err == nil && len(g.Payload) == 0 {
		return // a bare acknowledgement asks for nothing and proves nothing
	}
	if err != nil {
		p.h.Stray(wire.CarrierGREv1, arrived)
		return
	}
	e := &lcpExchange{p: p, conn: conn, arrived: arrived, gre: g, lcp: lcp, call: p.call(g.CallID)}
	if !e.handle() {
		p.h.Stray(wire.CarrierGREv1, arrived)
	}
}

// parseEnhanced reads enhanced GRE and the LCP in it; of a bare acknowledgement there is none.
func parseEnhanced(b []byte) (g wire.EnhancedGRE, lcp wire.LCP, err error) {
	if g, err = wire.ParseEnhancedGRE(b); err == nil && len(g.Payload) > 0 {
		lcp, err = parseLCPFrame(g.Payload)
	}
	return g, lcp, err
}

func pptpToken(b []byte) (wire.Token, bool) {
	if v, err := wire.GREVersion(b); err != nil || v != 1 {
		return wire.Token{}, false
	}
	g, lcp, err := parseEnhanced(b)
	if err != nil || len(g.Payload) == 0 {
		return wire.Token{}, false
	}
	tag, ok := lcpTag(lcp)
	return tag.Token, ok
}

func (p *pptp) call(own uint16) *call {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.calls[own]
}

// An lcpExchange is one LCP packet of the client's on its way to an answer.
type lcpExchange struct {
	p       *pptp
	conn    sock.Conn
	arrived wire.Sighting
	gre     wire.EnhancedGRE
	lcp     wire.LCP
	call    *call // with the packet's Call ID, whosever it is; nil if there is none
	tag     wire.Tag
}

// handle says whether the packet was one with room for a token; whether that token is good is the gate's to say.
func (e *lcpExchange) handle() bool {
	if e.lcp.Code == wire.ConfigureAck {
		return e.acknowledged()
	}
	var ok bool
	if e.tag, ok = lcpTag(e.lcp); !ok {
		return false
	}
	q := Question{Carrier: wire.CarrierGREv1, Tag: e.tag, Arrived: e.arrived, Message: e.gre.Payload}
	e.p.h.Answer(q, Answerer{
		Build: func(s *gate.Session) ([]byte, string) {
			if !e.ours(s) {
				return nil, silentCallID
			}
			tag := wire.Tag{Token: s.Token(wire.CarrierGREv1, e.tag.Token.Exchange()), Nonce: s.Nonce(e.call.peer)}
			return appendFrames(nil, e.call.lcp.answer(e.lcp, tag)...), ""
		},
		Send: e.send,
	})
	return true
}

func (e *lcpExchange) ours(s *gate.Session) bool { return e.call != nil && e.call.session == s }

// acknowledged reports the client's Configure-Ack to a Configure-Request of ours. It repeats our options, our token among them.
func (e *lcpExchange) acknowledged() bool {
	if e.call == nil {
		return false
	}
	a, ok := e.call.lcp.find(e.lcp)
	if !ok {
		return false
	}
	e.call.receive(e.gre)
	e.p.h.Saw(e.call.session, wire.CarrierGREv1, wire.Saw{Exchange: a.exchange, Began: true, Arrived: e.arrived, Replied: a.sent})
	return true
}

// send sends the frames of an answer, each in a GRE packet with a sequence number of its own, also when they are sent again. The last
// one is the one that proves something.
func (e *lcpExchange) send(s *gate.Session, frames []byte) (sent wire.Sighting, silent string) {
	if !e.ours(s) {
		return wire.NotSeen(), silentCallID
	}
	e.call.receive(e.gre)
	for len(frames) > 0 && silent == "" {
		var frame []byte
		frame, frames = nextFrame(frames)
		out := sock.Out{Dst: netip.AddrPortFrom(e.call.peer, 0), Src: e.call.local, DF: true, Payload: e.call.wrap(frame)}
		sent, silent = e.p.h.Send(s, e.conn, out)
		if silent == "" {
			e.call.lcp.left(frame, e.tag.Token.Exchange(), sent)
		}
	}
	return sent, silent
}
