package testserver

import (
	"slices"

	"vpncheck/probe/sock"
	"vpncheck/probe/wire"
	"vpncheck/testserver/gate"
)

// openVPNLastID is the packet ID of the server's last control packet, and how many exchanges after its reset an acknowledgment may stand.
const openVPNLastID = 3

// silentSessionID says that the token is good, and a session ID in the packet is not one that was given for it.
const silentSessionID = "session-id"

// OpenVPNUDP answers OpenVPN on UDP port 1194, as a server without TLS-auth and TLS-crypt would: the reset, TLS's records in control packets,
// data packets.
//
// The client's reset has room for eight octets, its session ID, so that is a brief token (wire.Brief); the server's own session ID is the
// brief token of its answer. Both stand in every control packet from then on, and say which session and which reset it belongs to: nothing is
// kept. What carries TLS, and data, ends with a whole tag. An acknowledgment (P_ACK_V1) has no room for one: the session ID vouches, and it
// is exchange m+k if m is that of the reset and k the newest packet ID that it acknowledges.
//
// A real server answers 14 octets with 26, and so does this one, once the address has shown that it receives; another one is answered when it
// has sent as much, which is at its second try.
func OpenVPNUDP() Responder { return &openVPNUDP{} }

type openVPNUDP struct{ h *Host }

func (*openVPNUDP) Carriers() []wire.Carrier { return []wire.Carrier{wire.CarrierOpenVPNUDP} }

func (p *openVPNUDP) Listen(h *Host) {
	p.h = h
	h.UDP(wire.OpenVPNPort, p.datagram, wire.CarrierOpenVPNUDP, wire.CarrierRandom)
	h.NICFrom(wire.IPProtoUDP, wire.OpenVPNPort, wire.CarrierOpenVPNUDP, func(s wire.Sighting) (wire.Token, bool) {
		m, err := wire.ParseOpenVPN(s.Bytes)
		if err != nil {
			return wire.Token{}, false
		}
		q, ok := h.openVPN(wire.CarrierOpenVPNUDP, s, m)
		return q.tag.Token, ok
	})
}

func (p *openVPNUDP) datagram(conn sock.Conn, arrived wire.Sighting) {
	if p.h.random(conn, arrived) {
		return
	}
	p.h.Arrived(arrived, wire.CarrierOpenVPNUDP)
	m, err := wire.ParseOpenVPN(arrived.Bytes)
	q, ok := p.h.openVPN(wire.CarrierOpenVPNUDP, arrived, m)
	if err != nil || !ok {
		p.h.Stray(wire.CarrierOpenVPNUDP, arrived)
		return
	}
	p.h.Answer(Question{Carrier: wire.CarrierOpenVPNUDP, Tag: q.tag, Arrived: arrived, Message: arrived.Bytes}, Answerer{
		Build: q.answer,
		Send: func(s *gate.Session, packets []byte) (sent wire.Sighting, silent string) {
			for len(packets) > 0 && silent == "" { // each in a datagram of its own
				_, n, err := wire.ParseOpenVPNStream(packets)
				if err != nil {
					return sent, silentSend
				}
				sent, silent = back(p.h, conn, arrived)(s, packets[wire.OpenVPNPrefix:n])
				packets = packets[n:]
			}
			return sent, silent
		},
	})
}

// An openVPNQuestion is a packet of a client's, on its way to an answer.
type openVPNQuestion struct {
	carrier wire.Carrier
	m       wire.OpenVPN
	tag     wire.Tag
	arrived wire.Sighting
}

// openVPN finds the tag that a packet bears, or that is made for it because its session ID vouches.
func (h *Host) openVPN(c wire.Carrier, arrived wire.Sighting, m wire.OpenVPN) (q openVPNQuestion, ok bool) {
	q = openVPNQuestion{carrier: c, m: m, arrived: arrived}
	switch m.Opcode {
	case wire.OpenVPNHardResetClient, wire.OpenVPNAck:
		s, n := h.brief(c, arrived, m.Session)
		if s == nil {
			return q, false
		}
		if m.Opcode == wire.OpenVPNAck {
			newest := slices.Max(m.Acks)
			if newest > openVPNLastID || m.Remote != s.Brief(c, n) {
				return q, false
			}
			n += newest
		}
		q.tag.Token = s.Question(c, n)
		return q, true
	case wire.OpenVPNControl, wire.OpenVPNData:
		tag, err := wire.ParseRandom(m.Payload)
		q.tag = tag
		return q, err == nil
	}
	return q, false
}

// answer is what a packet is answered with, packets as they stand on TCP one behind the other, or why it is not.
func (q openVPNQuestion) answer(s *gate.Session) ([]byte, string) {
	tag := answerTag(s, q.carrier, q.tag, q.arrived)
	switch q.m.Opcode {
	case wire.OpenVPNHardResetClient:
		return wire.OpenVPN{
			Opcode: wire.OpenVPNHardResetServer, KeyID: q.m.KeyID, Session: s.Brief(q.carrier, q.tag.Token.Exchange()),
			Acks: []uint32{q.m.PacketID}, Remote: q.m.Session,
		}.AppendStream(nil), ""
	case wire.OpenVPNControl:
		return q.control(s, tag)
	case wire.OpenVPNData:
		size := len(q.m.Payload)
		return wire.OpenVPN{
			Opcode: wire.OpenVPNData, KeyID: q.m.KeyID, PeerID: q.m.PeerID, PacketID: q.m.PacketID, Payload: wire.AppendRandom(nil, size, tag),
		}.AppendStream(nil), ""
	}
	return nil, silentMessage
}

// control answers TLS with TLS: the ClientHello with the server's flight, and the client's with what comes last.
func (q openVPNQuestion) control(s *gate.Session, tag wire.Tag) ([]byte, string) {
	n, ok := s.ReadBrief(q.carrier, q.m.Session)
	if !ok || q.m.Remote != s.Brief(q.carrier, n) {
		return nil, silentSessionID
	}
	packet := func(b []byte, id uint32, tls []byte) []byte {
		m := wire.OpenVPN{Opcode: wire.OpenVPNControl, KeyID: q.m.KeyID, Session: q.m.Remote, Remote: q.m.Session, PacketID: id, Payload: tls}
		for ack := int(q.m.PacketID); ack >= 0; ack-- {
			m.Acks = append(m.Acks, uint32(ack))
		}
		return m.AppendStream(b)
	}
	switch q.m.PacketID {
	case 1:
		most := wire.OpenVPNServerFlightMost
		if !s.Proved(q.arrived.Src.Addr()) { // its credit is what it has sent
			most = len(q.m.Payload) - 2*4 // the answer acknowledges one packet more
		}
		return packet(nil, 1, wire.AppendOpenVPNServerFlight(nil, most, tag)), ""
	case 2:
		tickets := packet(nil, 2, wire.AppendOpenVPNTickets(nil))
		return packet(tickets, 3, wire.AppendOpenVPNKeyMethod(nil, tag)), ""
	}
	return nil, silentMessage
}
