package testserver

import (
	"vpncheck/probe/sock"
	"vpncheck/probe/wire"
	"vpncheck/testserver/gate"
)

// NATT answers UDP port 4500: IKE behind the non-ESP marker, ESP in UDP (RFC 3948). The one-octet keepalive is never answered, but told.
func NATT() Responder { return &natt{tunnels: newESPTunnels()} }

type natt struct{ tunnels *espTunnels }

func (*natt) Carriers() []wire.Carrier { return []wire.Carrier{wire.CarrierNATT} }

func (n *natt) Listen(h *Host) {
	h.UDP(wire.NATTPort, func(c sock.Conn, s wire.Sighting) { n.datagram(h, c, s) }, wire.CarrierNATT, wire.CarrierRandom)
	h.NIC(wire.IPProtoUDP, wire.NATTPort, wire.CarrierNATT, nattToken)
}

func nattToken(b []byte) (wire.Token, bool) {
	switch kind, _ := wire.NATTKind(b); kind {
	case wire.NATTIKE:
		message, _ := wire.ParseNATTIKE(b)
		return ikeToken(message)
	case wire.NATTESP:
		return espToken(b)
	}
	return wire.Token{}, false
}

func (n *natt) datagram(h *Host, c sock.Conn, arrived wire.Sighting) {
	if h.random(c, arrived) {
		return
	}
	h.Arrived(arrived, wire.CarrierNATT)
	switch kind, _ := wire.NATTKind(arrived.Bytes); kind {
	case wire.NATTIKE:
		n.ike(h, c, arrived)
	case wire.NATTESP:
		n.esp(h, c, arrived)
	default: // a keepalive, or nothing that could be one
		h.Stray(wire.CarrierNATT, arrived)
	}
}

// esp answers ESP in UDP (RFC 3948, section 2.1) to where it came from, for that is how the peer's NAT is followed (section 5). The client
// chooses by its SPI, whether the answer has a checksum: an even one is answered without, as real servers do, over IPv4.
func (n *natt) esp(h *Host, c sock.Conn, arrived wire.Sighting) {
	q, err := parseESPQuestion(arrived.Bytes)
	if err != nil {
		h.Stray(wire.CarrierNATT, arrived)
		return
	}
	bare := q.esp.SPI%2 == 0 && arrived.Dst.Addr().Is4()
	h.Answer(Question{Carrier: wire.CarrierNATT, Tag: q.tag, Arrived: arrived, Message: arrived.Bytes}, Answerer{
		Build: func(s *gate.Session) ([]byte, string) {
			return q.answer(h, s, n.tunnels, wire.CarrierNATT, arrived.Src.Addr()), ""
		},
		Send: func(s *gate.Session, message []byte) (wire.Sighting, string) {
			return h.Send(s, c, sock.Out{Dst: arrived.Src, Src: arrived.Dst.Addr(), DF: true, NoChecksum: bare, Payload: message})
		},
	})
}

// ike answers IKE behind the marker (RFC 3948, section 2.2) as on port 500.
func (n *natt) ike(h *Host, c sock.Conn, arrived wire.Sighting) {
	message, _ := wire.ParseNATTIKE(arrived.Bytes)
	q, err := parseIKE(wire.CarrierNATT, arrived, message)
	if err != nil {
		h.Stray(wire.CarrierNATT, arrived)
		return
	}
	h.Answer(Question{Carrier: wire.CarrierNATT, Tag: q.tag, Arrived: arrived, Message: arrived.Bytes}, Answerer{
		Build: func(s *gate.Session) ([]byte, string) { return wire.AppendNATTIKE(nil, q.answer(s)), "" },
		Send: func(s *gate.Session, message []byte) (wire.Sighting, string) {
			h.setIKEPeer(s, arrived.Src)
			return backIKE(h, c, arrived)(s, message)
		},
	})
}
