package testserver

import (
	"crypto/rand"
	"net/netip"

	"vpncheck/probe/sock"
	"vpncheck/probe/wire"
	"vpncheck/testserver/gate"
)

// ESP answers ESP as IP protocol 50 (RFC 4303), over IPv4 and IPv6. As a real server does it answers to the address of the IKE peer, not
// to where ESP happens to come from; without IKE there is no other. It leaves from the address that was asked.
func ESP() Responder { return &esp{tunnels: newESPTunnels()} }

type esp struct{ tunnels *espTunnels }

func (*esp) Carriers() []wire.Carrier { return []wire.Carrier{wire.CarrierESP} }

func (e *esp) Listen(h *Host) {
	h.Raw(wire.IPProtoESP, func(c sock.Conn, s wire.Sighting) { e.packet(h, c, s) }, wire.CarrierESP)
	h.NIC(wire.IPProtoESP, 0, wire.CarrierESP, espToken)
}

func (e *esp) packet(h *Host, c sock.Conn, arrived wire.Sighting) {
	h.Arrived(arrived, wire.CarrierESP)
	q, err := parseESPQuestion(arrived.Bytes)
	if err != nil {
		h.Stray(wire.CarrierESP, arrived)
		return
	}
	to := func(s *gate.Session) netip.Addr {
		if peer, ok := h.ikePeer(s); ok && peer.Addr().Is4() == arrived.Dst.Addr().Is4() {
			return peer.Addr()
		}
		return arrived.Src.Addr()
	}
	h.Answer(Question{Carrier: wire.CarrierESP, Tag: q.tag, Arrived: arrived, Message: arrived.Bytes}, Answerer{
		Build: func(s *gate.Session) ([]byte, string) { return q.answer(h, s, e.tunnels, wire.CarrierESP, to(s)), "" },
		Send: func(s *gate.Session, message []byte) (wire.Sighting, string) {
			if !addressed(s, message, to(s)) {
				return wire.NotSeen(), gate.SilentReplay
			}
			return h.Send(s, c, sock.Out{Dst: netip.AddrPortFrom(to(s), 0), Src: arrived.Dst.Addr(), DF: true, Payload: message})
		},
	})
}

// addressed says whether an answer carries the nonce of the address that it is about to be sent to. The IKE peer may have moved since the
// answer was made, and whoever got another address's nonce could claim that address.
func addressed(s *gate.Session, message []byte, to netip.Addr) bool {
	p, err := wire.ParseESP(message)
	if err != nil {
		return false
	}
	tag, err := p.Tag()
	return err == nil && tag.Nonce == s.Nonce(to)
}

// An espQuestion is a packet of ESP with a tag in it.
type espQuestion struct {
	esp wire.ESP
	tag wire.Tag
}

func parseESPQuestion(b []byte) (q espQuestion, err error) {
	if q.esp, err = wire.ParseESP(b); err == nil {
		q.tag, err = q.esp.Tag()
	}
	return q, err
}

func espToken(b []byte) (wire.Token, bool) {
	q, err := parseESPQuestion(b)
	return q.tag.Token, err == nil
}

// answer is a packet of the same length in the tunnel's other direction.
func (q espQuestion) answer(h *Host, s *gate.Session, tunnels *espTunnels, c wire.Carrier, to netip.Addr) []byte {
	p := wire.ESP{Payload: make([]byte, len(q.esp.Payload))}
	rand.Read(p.Payload)
	p.SPI, p.SequenceNumber = tunnels.next(h, s, q.esp.SPI)
	return p.WithTag(wire.Tag{Token: s.Token(c, q.tag.Token.Exchange()), Nonce: s.Nonce(to)}).Append(nil)
}
