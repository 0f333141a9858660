package testserver

import (
	"vpncheck/probe/sock"
	"vpncheck/probe/wire"
	"vpncheck/testserver/gate"
)

// An l2tpData is a data message of the client's with LCP in it, on its way to an answer.
type l2tpData struct {
	p       *l2tp
	conn    sock.Conn
	arrived wire.Sighting
	lcp     wire.LCP
	tag     wire.Tag
	tunnel  *l2tpTunnel // with the message's IDs, whosever it is; nil if there is none
	call    *l2tpCall
}

// data answers a data message, in which LCP shows the tag.
func (p *l2tp) data(conn sock.Conn, arrived wire.Sighting, m wire.L2TP) {
	lcp, err := parseLCPFrame(m.Payload)
	if err != nil {
		p.h.Stray(wire.CarrierL2TP, arrived)
		return
	}
	e := &l2tpData{p: p, conn: conn, arrived: arrived, lcp: lcp}
	e.tunnel, e.call = p.find(m)
	if lcp.Code == wire.ConfigureAck {
		e.acknowledged()
		return
	}
	var ok bool
	if e.tag, ok = lcpTag(lcp); !ok {
		p.h.Stray(wire.CarrierL2TP, arrived)
		return
	}
	p.h.Answer(Question{Carrier: wire.CarrierL2TP, Tag: e.tag, Arrived: arrived, Message: arrived.Bytes}, Answerer{
		Build: func(s *gate.Session) ([]byte, string) {
			if !e.ours(s) {
				return nil, silentTunnelID
			}
			return appendFrames(nil, e.call.lcp.answer(lcp, answerTag(s, wire.CarrierL2TP, e.tag, arrived))...), ""
		},
		Send: e.send,
	})
}

// find is the tunnel and the call that a message is for.
func (p *l2tp) find(m wire.L2TP) (*l2tpTunnel, *l2tpCall) {
	p.mu.Lock()
	defer p.mu.Unlock()
	t := p.tunnels[m.TunnelID]
	if t == nil {
		return nil, nil
	}
	return t, t.call(m.SessionID)
}

func (e *l2tpData) ours(s *gate.Session) bool { return e.call != nil && e.tunnel.session == s }

// acknowledged reports the client's Configure-Ack to a Configure-Request of ours.
func (e *l2tpData) acknowledged() {
	if e.call != nil {
		if a, ok := e.call.lcp.find(e.lcp); ok {
			e.p.h.Saw(e.tunnel.session, wire.CarrierL2TP, wire.Saw{Exchange: a.exchange, Began: true, Arrived: e.arrived, Replied: a.sent})
			return
		}
	}
	e.p.h.Stray(wire.CarrierL2TP, e.arrived)
}

// send sends the frames of an answer, each in a data message of its own, as plain as the client's. The last one is the one that proves
// something.
func (e *l2tpData) send(s *gate.Session, frames []byte) (sent wire.Sighting, silent string) {
	if !e.ours(s) {
		return wire.NotSeen(), silentTunnelID
	}
	for len(frames) > 0 && silent == "" {
		var frame []byte
		frame, frames = nextFrame(frames)
		message := wire.L2TP{TunnelID: e.tunnel.theirs, SessionID: e.call.theirs, Payload: frame}.Append(nil)
		if sent, silent = back(e.p.h, e.conn, e.arrived)(s, message); silent == "" {
			e.call.lcp.left(frame, e.tag.Token.Exchange(), sent)
		}
	}
	return sent, silent
}
