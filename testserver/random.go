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
