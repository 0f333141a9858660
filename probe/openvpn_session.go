package probe

import (
	"encoding/binary"

	"vpncheck/probe/wire"
)

// An openVPNSession is one opening and what follows it, as packets: UDP and TCP carry the same.
type openVPNSession struct {
	number    int        // the flow
	n         uint32     // the reset's exchange; those behind it are the acknowledgments'
	own, peer wire.Brief // session IDs
	sent      uint32     // data packets
	outer     int        // octets of the headers around a packet
}

// newOpenVPN is a session that is still to be asked for. Both session IDs follow from the exchange: the server's is known before it is
// heard, and it is heard all the same.
func newOpenVPN(p *Path, c wire.Carrier, number int, n uint32) *openVPNSession {
	s := &openVPNSession{number: number, n: n, own: p.mint.Brief(wire.Question, c, n), peer: p.mint.Brief(wire.Answer, c, n), outer: 20 + 8}
	if p.Server.Is6() {
		s.outer = 40 + 8
	}
	return s
}

func (s *openVPNSession) reset() wire.OpenVPN {
	return wire.OpenVPN{Opcode: wire.OpenVPNHardResetClient, Session: s.own}
}

// hello is the first control packet, with the ClientHello in it.
func (s *openVPNSession) hello(t wire.Tag) wire.OpenVPN {
	return s.control(1, wire.AppendOpenVPNClientHello(nil, t))
}

// keys is the second one: the client's flight, and OpenVPN's own exchange of keys.
func (s *openVPNSession) keys(t wire.Tag) wire.OpenVPN {
	return s.control(2, wire.AppendOpenVPNClientFlight(nil, t))
}

func (s *openVPNSession) control(id uint32, tls []byte) wire.OpenVPN {
	return wire.OpenVPN{Opcode: wire.OpenVPNControl, Session: s.own, Acks: down(id - 1), Remote: s.peer, PacketID: id, Payload: tls}
}

// ack acknowledges the server's control packets up to the newest.
func (s *openVPNSession) ack(newest uint32) wire.OpenVPN {
	return wire.OpenVPN{Opcode: wire.OpenVPNAck, Session: s.own, Acks: down(newest), Remote: s.peer}
}

// down are the packet IDs from the newest down to 0: OpenVPN 2.6 repeats what it acknowledged before.
func down(newest uint32) (out []uint32) {
	for id := int(newest); id >= 0; id-- {
		out = append(out, uint32(id))
	}
	return out
}

// data is a data packet with an IP packet of so many octets in it. The peer ID, which a real server assigns inside TLS, follows from the
// server's session ID.
func (s *openVPNSession) data(t wire.Tag, octets int) wire.OpenVPN {
	s.sent++
	return wire.OpenVPN{
		Opcode: wire.OpenVPNData, PeerID: binary.BigEndian.Uint32(s.peer[:]) >> 8, PacketID: s.sent,
		Payload: wire.AppendRandom(nil, wire.OpenVPNDataTag+octets, t),
	}
}

// full is the IP packet in the tunnel with which a packet is as large as OpenVPN makes them.
func (s *openVPNSession) full() int {
	return openVPNFull - s.outer - wire.OpenVPNDataHeader - wire.OpenVPNDataTag
}
