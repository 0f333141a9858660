package testserver

import (
	"vpncheck/probe/sock"
	"vpncheck/probe/wire"
	"vpncheck/testserver/gate"
)

// random answers octets without a form on the port of a protocol in kind, and says whether arrived is such a datagram: what has a valid token
// of its own at its end, and whatever its first octets look like, is none of the protocol's (F12). It proves nothing of the protocol either.
// A keepalive of one octet has no room for a token.
func (h *Host) random(c sock.Conn, arrived wire.Sighting) bool {
	if b, err := wire.ParseBriefRandom(arrived.Bytes); err == nil {
		return h.briefRandom(c, arrived, b)
	}
	tag, err := wire.ParseRandom(arrived.Bytes)
	if err != nil || h.gate.Knows(wire.CarrierRandom, tag.Token) == nil {
		return false
	}
	h.Answer(Question{Carrier: wire.CarrierRandom, Tag: tag, Arrived: arrived, Message: arrived.Bytes}, Answerer{
		Build: func(s *gate.Session) ([]byte, string) {
			return wire.AppendRandom(nil, len(arrived.Bytes), answerTag(s, wire.CarrierRandom, tag, arrived)), ""
		},
		Send: back(h, c, arrived),
	})
	return true
}

// briefRandom does it for those that are too few for a whole token.
func (h *Host) briefRandom(c sock.Conn, arrived wire.Sighting, b wire.Brief) bool {
	s, n := h.brief(wire.CarrierRandom, arrived, b)
	if s == nil {
		return false
	}
	q := Question{Carrier: wire.CarrierRandom, Tag: wire.Tag{Token: s.Question(wire.CarrierRandom, n)}, Arrived: arrived, Message: arrived.Bytes}
	h.Answer(q, Answerer{
		Build: func(s *gate.Session) ([]byte, string) {
			return wire.AppendBriefRandom(nil, len(arrived.Bytes), s.Brief(wire.CarrierRandom, n)), ""
		},
		Send: back(h, c, arrived),
	})
	return true
}
