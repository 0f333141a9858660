package testserver

import (
	"vpncheck/probe/sock"
	"vpncheck/probe/wire"
	"vpncheck/testserver/gate"
)

// control answers the control leg: UDP on a neutral port, a datagram that is a wire.Tag and nothing else.
type control struct{}

func (control) Carriers() []wire.Carrier { return []wire.Carrier{wire.CarrierControl} }

func (control) Listen(h *Host) {
	h.UDP(h.controlPort, func(c sock.Conn, s wire.Sighting) { controlPacket(h, c, s) }, wire.CarrierControl)
	h.NIC(wire.IPProtoUDP, h.controlPort, wire.CarrierControl, func(b []byte) (wire.Token, bool) {
		tag, ok := controlTag(b)
		return tag.Token, ok
	})
}

func controlTag(b []byte) (wire.Tag, bool) {
	tag, err := wire.ParseTag(b)
	return tag, err == nil && len(b) == wire.TagSize
}

func controlPacket(h *Host, c sock.Conn, arrived wire.Sighting) {
	h.Arrived(arrived, wire.CarrierControl)
	tag, ok := controlTag(arrived.Bytes)
	if !ok {
		h.Stray(wire.CarrierControl, arrived)
		return
	}
	h.Answer(Question{Carrier: wire.CarrierControl, Tag: tag, Arrived: arrived, Message: arrived.Bytes}, Answerer{
		Build: func(s *gate.Session) ([]byte, string) {
			return answerTag(s, wire.CarrierControl, tag, arrived).Append(nil), ""
		},
		Send: back(h, c, arrived),
	})
}

// answerTag is the tag of an answer to the source of what arrived.
func answerTag(s *gate.Session, c wire.Carrier, question wire.Tag, arrived wire.Sighting) wire.Tag {
	return wire.Tag{Token: s.Token(c, question.Token.Exchange()), Nonce: s.Nonce(arrived.Src.Addr())}
}

// back sends an answer to the source of what arrived, from the address that was asked (F28).
func back(h *Host, c sock.Conn, arrived wire.Sighting) func(*gate.Session, []byte) (wire.Sighting, string) {
	return func(s *gate.Session, message []byte) (wire.Sighting, string) {
		return h.Send(s, c, sock.Out{Dst: arrived.Src, Src: arrived.Dst.Addr(), DF: true, Payload: message})
	}
}
