package testserver

import (
	"crypto/hmac"
	"encoding/binary"
	"math/rand/v2"
	"net/netip"
	"slices"

	"vpncheck/probe/sock"
	"vpncheck/probe/wire"
	"vpncheck/testserver/gate"
)

const (
	ahLabel = "ah" // of the key that both ends derive from the session's

	ahValid   = "valid"
	ahInvalid = "invalid"
)

// AH answers AH (RFC 4302) over IPv4, in transport mode: UDP with L2TP in it, and in that an LCP Echo-Request whose data starts with a tag. A
// real receiver drops what its ICV does not vouch for. This one says what it found, and answers in any case: that a NAT breaks AH is not
// to look like a block.
//
// Nothing is kept about an association. Our SPI follows from the client's, and our sequence number is its question's.
func AH() Responder { return ah{} }

type ah struct{}

func (ah) Carriers() []wire.Carrier { return []wire.Carrier{wire.CarrierAH} }

func (ah) Listen(h *Host) {
	h.Raw(wire.IPProtoAH, func(c sock.Conn, s wire.Sighting) { ahPacket(h, c, s) }, wire.CarrierAH)
	h.NIC(wire.IPProtoAH, 0, wire.CarrierAH, func(b []byte) (wire.Token, bool) {
		q, err := parseAH(b)
		return q.tag.Token, err == nil
	})
}

func ahPacket(h *Host, c sock.Conn, arrived wire.Sighting) {
	h.Arrived(arrived, wire.CarrierAH)
	q, err := parseAH(arrived.Bytes)
	if err != nil || !arrived.Src.Addr().Is4() || arrived.IPID == nil {
		h.Stray(wire.CarrierAH, arrived)
		return
	}
	h.Answer(Question{
		Carrier: wire.CarrierAH, Tag: q.tag, Arrived: arrived, Message: arrived.Bytes,
		Check: func(s *gate.Session) string { return q.check(s.Derive(ahLabel), arrived) },
	}, Answerer{
		Build: func(s *gate.Session) ([]byte, string) {
			return q.answer(s, answerTag(s, wire.CarrierAH, q.tag, arrived), arrived), ""
		},
		Send: func(s *gate.Session, message []byte) (wire.Sighting, string) {
			out := sock.Out{Dst: arrived.Src, Src: arrived.Dst.Addr(), DF: true, ID: uint16(1 + rand.IntN(0xFFFF))}
			out.Payload = seal(s.Derive(ahLabel), out, message)
			return h.Send(s, c, out)
		},
	})
}

// A sheltered is a packet of AH and what is in it.
type sheltered struct {
	ah       wire.AH
	datagram []byte // as the ICV covers it
	udp      wire.UDP
	l2tp     wire.L2TP
	lcp      wire.LCP
	tag      wire.Tag
}

func parseAH(b []byte) (q sheltered, err error) {
	if q.ah, q.datagram, err = wire.ParseAH(b); err != nil {
		return q, err
	}
	if q.ah.NextHeader != wire.IPProtoUDP || len(b)-len(q.datagram) != wire.AHSize {
		return q, wire.ErrFormat
	}
	var payload []byte
	if q.udp, payload, err = wire.ParseUDP(q.datagram); err != nil {
		return q, err
	}
	if q.l2tp, err = wire.ParseL2TP(payload); err != nil {
		return q, err
	}
	if q.l2tp.Control {
		return q, wire.ErrFormat
	}
	if q.lcp, err = parseLCPFrame(q.l2tp.Payload); err != nil {
		return q, err
	}
	var ok bool
	if q.tag, ok = lcpTag(q.lcp); !ok || q.lcp.Code != wire.LCPEchoRequest {
		return q, wire.ErrFormat
	}
	return q, nil
}

// check computes the ICV over the header as it arrived (RFC 4302, section 3.4.4).
func (q sheltered) check(key []byte, arrived wire.Sighting) string {
	h := wire.IPv4{ID: *arrived.IPID, Src: arrived.Src.Addr(), Dst: arrived.Dst.Addr()}
	if hmac.Equal(q.ah.ICV, wire.AHICV(key, h, q.ah, q.datagram)) {
		return ahValid
	}
	return ahInvalid
}

// answer is a packet of the same form and length, whose ICV is still to be computed.
func (q sheltered) answer(s *gate.Session, tag wire.Tag, arrived wire.Sighting) []byte {
	mirror := lcpLink{magic: ^binary.BigEndian.Uint32(q.lcp.Data)} // never the client's own: that would be a loop (RFC 1661, section 6.4)
	data := q.l2tp
	data.Payload = wire.PPP{Protocol: wire.ProtocolLCP, Information: mirror.answer(q.lcp, tag)[0].Append(nil)}.Append(nil)
	from := netip.AddrPortFrom(arrived.Dst.Addr(), q.udp.DstPort)
	to := netip.AddrPortFrom(arrived.Src.Addr(), q.udp.SrcPort)
	datagram := wire.AppendUDP(nil, from, to, data.Append(nil))
	header := wire.AH{NextHeader: wire.IPProtoUDP, SPI: ahSPI(s, q.ah.SPI), SequenceNumber: q.ah.SequenceNumber}
	return append(header.Append(nil), datagram...)
}

// ahSPI is the SPI of the other direction of an association.
func ahSPI(s *gate.Session, theirs uint32) uint32 {
	label := binary.BigEndian.AppendUint32([]byte(ahLabel), theirs)
	return max(wire.MinSPI, binary.BigEndian.Uint32(s.Derive(string(label))))
}

// seal puts the ICV over the header that out leaves with into a packet.
func seal(key []byte, out sock.Out, packet []byte) []byte {
	header, datagram, err := wire.ParseAH(packet)
	if err != nil {
		return packet
	}
	header.ICV = wire.AHICV(key, wire.IPv4{ID: out.ID, Src: out.Src, Dst: out.Dst.Addr()}, header, datagram)
	return slices.Concat(header.Append(nil), datagram)
}
