package testserver

import (
	"context"
	"math/rand/v2"
	"slices"
	"sync"

	"vpncheck/probe/sock"
	"vpncheck/probe/wire"
	"vpncheck/testserver/gate"
)

const (
	l2tpTunnels = 8 // of one session; a ninth takes the place of the oldest
	l2tpCalls   = 4 // of one tunnel

	// The token is good, but its tunnel or call is none of the session's.
	silentTunnelID = "tunnel-id"
	// The protocol has no answer to such a message.
	silentMessage = "message"
)

// L2TP answers L2TP (RFC 2661) on UDP port 1701, as an LNS that takes every tunnel and every call: control messages here, and PPP's LCP in
// data messages, in l2tp_data.go.
//
// A control message shows its tag in a Random Vector. What has no answer of its own is acknowledged by a Zero-Length Body, which has no room
// for a token; one from the client asks for nothing and proves nothing. A message that comes again with an Ns that was had before, and a token
// that was not, is answered again.
func L2TP() Responder {
	return &l2tp{tunnels: make(map[uint16]*l2tpTunnel), held: make(map[*gate.Session][]*l2tpTunnel)}
}

type l2tp struct {
	h *Host

	mu      sync.Mutex
	tunnels map[uint16]*l2tpTunnel          // by our Tunnel ID
	held    map[*gate.Session][]*l2tpTunnel // oldest first
}

func (p *l2tp) Carriers() []wire.Carrier { return []wire.Carrier{wire.CarrierL2TP} }

func (p *l2tp) Listen(h *Host) {
	p.h = h
	h.UDP(wire.L2TPPort, p.datagram, wire.CarrierL2TP, wire.CarrierRandom)
	h.NIC(wire.IPProtoUDP, wire.L2TPPort, wire.CarrierL2TP, l2tpToken)
}

func l2tpToken(b []byte) (wire.Token, bool) {
	m, err := wire.ParseL2TP(b)
	switch {
	case err != nil:
		return wire.Token{}, false
	case m.Control:
		tag, err := l2tpTag(m)
		return tag.Token, err == nil
	}
	lcp, err := parseLCPFrame(m.Payload)
	if err != nil {
		return wire.Token{}, false
	}
	tag, ok := lcpTag(lcp)
	return tag.Token, ok
}

// l2tpTag is the tag of a control message.
func l2tpTag(m wire.L2TP) (wire.Tag, error) {
	vector, _ := m.AVPs.Find(wire.AVPRandomVector)
	return wire.ParseTag(vector.Value)
}

func (p *l2tp) datagram(conn sock.Conn, arrived wire.Sighting) {
	if p.h.random(conn, arrived) {
		return
	}
	p.h.Arrived(arrived, wire.CarrierL2TP)
	m, err := wire.ParseL2TP(arrived.Bytes)
	switch {
	case err != nil:
		p.h.Stray(wire.CarrierL2TP, arrived)
	case !m.Control:
		p.data(conn, arrived, m)
	case len(m.AVPs) > 0:
		p.control(conn, arrived, m)
	}
}

// control answers a control message whose Random Vector is a tag.
func (p *l2tp) control(conn sock.Conn, arrived wire.Sighting, m wire.L2TP) {
	tag, err := l2tpTag(m)
	if err != nil {
		p.h.Stray(wire.CarrierL2TP, arrived)
		return
	}
	p.h.Answer(Question{Carrier: wire.CarrierL2TP, Tag: tag, Arrived: arrived, Message: arrived.Bytes}, Answerer{
		Build: func(s *gate.Session) ([]byte, string) {
			answer, silent := p.answer(s, m, answerTag(s, wire.CarrierL2TP, tag, arrived))
			return answer.Append(nil), silent
		},
		Send: back(p.h, conn, arrived),
	})
}

// answer is what a control message is answered with, or why it is not.
func (p *l2tp) answer(s *gate.Session, m wire.L2TP, tag wire.Tag) (wire.L2TP, string) {
	ended := p.h.Ends(s)
	p.mu.Lock()
	defer p.mu.Unlock()
	typ, _ := m.MessageType()
	t := p.tunnels[m.TunnelID]
	if typ == wire.L2TPSCCRQ {
		if t = p.open(s, m, ended); t == nil {
			return wire.L2TP{}, silentMessage
		}
	}
	if t == nil || t.session != s {
		return wire.L2TP{}, silentTunnelID
	}
	if int16(m.Ns+1-t.nr) > 0 {
		t.nr = m.Ns + 1
	}
	switch typ {
	case wire.L2TPSCCRQ:
		return t.sccrp(tag), ""
	case wire.L2TPICRQ:
		return t.icrp(m, tag)
	case wire.L2TPStopCCN:
		p.forget(t)
	case wire.L2TPSCCCN, wire.L2TPICCN, wire.L2TPHello:
	default:
		return wire.L2TP{}, silentMessage
	}
	return t.acknowledge(m.SessionID), ""
}

// open begins the tunnel that a Start-Control-Connection-Request asks for (section 6.1), and forgets the oldest if there are too many. It
// returns nil if the request assigns no Tunnel ID, or the session has ended.
func (p *l2tp) open(s *gate.Session, m wire.L2TP, ended context.Context) *l2tpTunnel {
	id, _ := m.AVPs.Find(wire.AVPAssignedTunnelID)
	theirs, _ := id.Uint16()
	if theirs == 0 || m.TunnelID != 0 || ended == nil {
		return nil
	}
	held, known := p.held[s]
	if !known {
		context.AfterFunc(ended, func() { p.drop(s) })
	}
	if len(held) >= l2tpTunnels {
		p.forget(held[0])
	}
	t := &l2tpTunnel{session: s, theirs: theirs}
	for t.own == 0 || t.own == theirs || p.tunnels[t.own] != nil {
		t.own = uint16(rand.Uint32())
	}
	p.tunnels[t.own] = t
	p.held[s] = append(p.held[s], t)
	return t
}

// forget takes a tunnel down. That its session has been here stays known.
func (p *l2tp) forget(t *l2tpTunnel) {
	delete(p.tunnels, t.own)
	p.held[t.session] = slices.DeleteFunc(p.held[t.session], func(o *l2tpTunnel) bool { return o == t })
}

// drop forgets a session that has ended.
func (p *l2tp) drop(s *gate.Session) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, t := range p.held[s] {
		delete(p.tunnels, t.own)
	}
	delete(p.held, s)
}
