package testserver

import (
	"net"
	"net/netip"
	"time"

	"vpncheck/probe/wire"
	"vpncheck/testserver/gate"
)

// randomStream answers octets without a form at the beginning of a TCP connection in kind, and says whether b is such: what has a valid token
// of its own at its end, and whatever its first octets look like, is none of the protocol's (F12). The connection has then served its purpose.
// They proved that the address receives, by TCP's handshake.
func (h *Host) randomStream(conn net.Conn, client, own netip.AddrPort, b []byte) bool {
	arrived := h.streamed(client, own, b)
	token, build := h.randomIn(arrived)
	if build == nil {
		return false
	}
	h.Answer(Question{Carrier: wire.CarrierRandomTCP, Tag: wire.Tag{Token: token}, Arrived: arrived, Message: b}, Answerer{
		Build: func(s *gate.Session) ([]byte, string) {
			s.Prove(client.Addr())
			return build(s), ""
		},
		Send: func(s *gate.Session, message []byte) (wire.Sighting, string) {
			return h.writeTCP(s, conn, own, client, tcpHeader, message)
		},
	})
	return true
}

// randomIn is the token in random octets, a whole one or a brief one, and what makes as many that answer them; nil if it is none of a session's.
func (h *Host) randomIn(arrived wire.Sighting) (token wire.Token, answer func(*gate.Session) []byte) {
	size := len(arrived.Bytes)
	if b, err := wire.ParseBriefRandom(arrived.Bytes); err == nil {
		s, n := h.brief(wire.CarrierRandomTCP, arrived, b)
		if s == nil {
			return token, nil
		}
		return s.Question(wire.CarrierRandomTCP, n), func(s *gate.Session) []byte {
			return wire.AppendBriefRandom(nil, size, s.Brief(wire.CarrierRandomTCP, n))
		}
	}
	tag, err := wire.ParseRandom(arrived.Bytes)
	if err != nil || h.gate.Knows(wire.CarrierRandomTCP, tag.Token) == nil {
		return token, nil
	}
	return tag.Token, func(s *gate.Session) []byte {
		return wire.AppendRandom(nil, size, wire.Tag{Token: s.Token(wire.CarrierRandomTCP, tag.Token.Exchange())})
	}
}

// writeTCP writes one message of an answer in one write, if the session's credit allows it, and says why if it does not leave. around is how
// many octets stand around it in the IP packet.
func (h *Host) writeTCP(s *gate.Session, conn net.Conn, own, client netip.AddrPort, around int, b []byte) (wire.Sighting, string) {
	if silent := s.Spend(client.Addr(), ipHeaderSize(client.Addr())+around+len(b)); silent != "" {
		return wire.NotSeen(), silent
	}
	conn.SetWriteDeadline(time.Now().Add(pptpWrite))
	sent := h.streamed(own, client, b)
	if _, err := conn.Write(b); err != nil {
		return wire.Sighting{State: wire.Absent, Why: err.Error()}, silentSend
	}
	h.count.answers.Add(1)
	if l := h.links.of(s); l != nil {
		l.flows.note(protoTCP, own.Port(), client)
	}
	return sent, ""
}
