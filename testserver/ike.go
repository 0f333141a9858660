package testserver

import (
	"context"
	"net/netip"
	"sync"

	"vpncheck/probe/sock"
	"vpncheck/probe/wire"
	"vpncheck/testserver/gate"
)

// IKE answers IPsec's key exchange on UDP port 500, as a responder does that agrees to all it understands: IKE_SA_INIT of version 2 (RFC
// 7296) and messages 1 and 3 of version 1's Main Mode (RFC 2409) with their counterparts, whatever is encrypted with a message of its size.
func IKE() Responder { return ike{} }

type ike struct{}

func (ike) Carriers() []wire.Carrier { return []wire.Carrier{wire.CarrierIKE} }

func (ike) Listen(h *Host) {
	h.UDP(wire.IKEPort, func(c sock.Conn, s wire.Sighting) { ikePacket(h, c, s) }, wire.CarrierIKE, wire.CarrierRandom)
	h.NIC(wire.IPProtoUDP, wire.IKEPort, wire.CarrierIKE, ikeToken)
}

func ikeToken(b []byte) (wire.Token, bool) {
	q, err := parseIKE(wire.CarrierIKE, wire.Sighting{}, b)
	return q.tag.Token, err == nil
}

func ikePacket(h *Host, c sock.Conn, arrived wire.Sighting) {
	if h.random(c, arrived) {
		return
	}
	h.Arrived(arrived, wire.CarrierIKE)
	q, err := parseIKE(wire.CarrierIKE, arrived, arrived.Bytes)
	if err != nil {
		h.Stray(wire.CarrierIKE, arrived)
		return
	}
	h.Answer(Question{Carrier: wire.CarrierIKE, Tag: q.tag, Arrived: arrived, Message: arrived.Bytes}, Answerer{
		Build: func(s *gate.Session) ([]byte, string) { return q.answer(s), "" },
		Send: func(s *gate.Session, message []byte) (wire.Sighting, string) {
			h.setIKEPeer(s, arrived.Src)
			return backIKE(h, c, arrived)(s, message)
		},
	})
}

// ikeWhole is how long a message may be that leaves as one packet. A longer one came in fragments of IP's, and goes so (F07).
const ikeWhole = 1400

// backIKE sends an answer to where its question came from.
func backIKE(h *Host, c sock.Conn, arrived wire.Sighting) func(*gate.Session, []byte) (wire.Sighting, string) {
	return func(s *gate.Session, message []byte) (wire.Sighting, string) {
		return h.Send(s, c, sock.Out{Dst: arrived.Src, Src: arrived.Dst.Addr(), DF: len(message) <= ikeWhole, Payload: message})
	}
}

// ikePeers are where each session's newest answered message of IKE came from.
type ikePeers struct {
	mu sync.Mutex
	by map[*gate.Session]netip.AddrPort
}

// setIKEPeer keeps an address until its session ends.
func (h *Host) setIKEPeer(s *gate.Session, from netip.AddrPort) {
	ended := h.Ends(s)
	if ended == nil {
		return
	}
	p := &h.ikePeers
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.by == nil {
		p.by = make(map[*gate.Session]netip.AddrPort)
	}
	if _, known := p.by[s]; !known {
		context.AfterFunc(ended, func() {
			p.mu.Lock()
			defer p.mu.Unlock()
			delete(p.by, s)
		})
	}
	p.by[s] = from
}

// ikePeer is where to send a session's ESP, as a real server does: to the peer of its IKE, if there was any.
func (h *Host) ikePeer(s *gate.Session) (netip.AddrPort, bool) {
	h.ikePeers.mu.Lock()
	defer h.ikePeers.mu.Unlock()
	from, ok := h.ikePeers.by[s]
	return from, ok
}
