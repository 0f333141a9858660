package testserver

import (
	"net/netip"

	"vpncheck/probe/sock"
	"vpncheck/probe/wire"
	"vpncheck/testserver/gate"
)

// GRE answers plain GRE, version 0 (RFC 2784, RFC 2890), over IPv4 and IPv6: a tunnelled IPv4 packet with UDP in it, whose payload
// starts with a tag, comes back turned round in a tunnel packet of the same form.
func GRE() Responder { return gre{} }

type gre struct{}

func (gre) Carriers() []wire.Carrier { return []wire.Carrier{wire.CarrierGRE} }

func (gre) Listen(h *Host) {
	h.Raw(wire.IPProtoGRE, func(c sock.Conn, s wire.Sighting) { grePacket(h, c, s) }, wire.CarrierGRE)
	h.NIC(wire.IPProtoGRE, 0, wire.CarrierGRE, func(b []byte) (wire.Token, bool) {
		v, err := wire.GREVersion(b)
		if err != nil || v != 0 {
			return wire.Token{}, false
		}
		q, err := parseTunnelled(b)
		return q.tag.Token, err == nil
	})
}

func grePacket(h *Host, c sock.Conn, arrived wire.Sighting) {
	h.Arrived(arrived, wire.CarrierGRE, wire.CarrierGREv1) // whatever carries protocol 47 carries both
	if v, err := wire.GREVersion(arrived.Bytes); err != nil || v != 0 {
		return
	}
	q, err := parseTunnelled(arrived.Bytes)
	if err != nil {
		h.Stray(wire.CarrierGRE, arrived)
		return
	}
	h.Answer(Question{Carrier: wire.CarrierGRE, Tag: q.tag, Arrived: arrived, Message: arrived.Bytes}, Answerer{
		Build: func(s *gate.Session) ([]byte, string) {
			return q.answer(answerTag(s, wire.CarrierGRE, q.tag, arrived)), ""
		},
		Send: back(h, c, arrived),
	})
}

// tunnelled is a GRE packet and what is in it.
type tunnelled struct {
	gre wire.GRE
	innerPacket
}

func parseTunnelled(b []byte) (t tunnelled, err error) {
	if t.gre, err = wire.ParseGRE(b); err != nil {
		return t, err
	}
	if t.gre.ProtocolType != wire.ProtocolTypeIPv4 {
		return t, wire.ErrFormat
	}
	t.innerPacket, err = parseInner(t.gre.Payload)
	return t, err
}

// answer is the packet turned round, of the same form and length. The sequence number is its question's: nothing is kept about a
// tunnel, and a retransmission is answered with the same octets.
func (t tunnelled) answer(tag wire.Tag) []byte {
	g := t.gre
	g.Payload = t.innerPacket.answer(tag)
	return g.Append(nil)
}

// An innerPacket is an IPv4 packet in a tunnel, with UDP in it, whose payload starts with a tag.
type innerPacket struct {
	inner wire.IPv4
	udp   wire.UDP
	tag   wire.Tag
	rest  []byte // of the payload, behind the tag
}

func parseInner(b []byte) (in innerPacket, err error) {
	var datagram, payload []byte
	if in.inner, datagram, err = wire.ParseIPv4(b); err != nil {
		return in, err
	}
	if in.inner.Protocol != wire.IPProtoUDP || in.inner.MF || in.inner.FragOffset != 0 {
		return in, wire.ErrFormat
	}
	if in.udp, payload, err = wire.ParseUDP(datagram); err != nil {
		return in, err
	}
	if in.udp.Checksum != 0 && in.udp.Checksum != wire.UDPChecksum(in.inner.Src, in.inner.Dst, datagram[:in.udp.Length]) {
		return in, wire.ErrFormat
	}
	if in.tag, err = wire.ParseTag(payload); err != nil {
		return in, err
	}
	in.rest = payload[wire.TagSize:]
	return in, nil
}

// answer is the packet turned round, of the same length.
func (in innerPacket) answer(tag wire.Tag) []byte {
	src, dst := netip.AddrPortFrom(in.inner.Dst, in.udp.DstPort), netip.AddrPortFrom(in.inner.Src, in.udp.SrcPort)
	datagram := wire.AppendUDP(nil, src, dst, append(tag.Append(nil), in.rest...))
	if in.udp.Checksum == 0 { // the question had none
		datagram[6], datagram[7] = 0, 0
	}
	return wire.IPv4{
		TOS: in.inner.TOS, ID: in.inner.ID, DF: in.inner.DF, TTL: sock.DefaultTTL, Protocol: wire.IPProtoUDP,
		Src: in.inner.Dst, Dst: in.inner.Src, Options: in.inner.Options,
	}.AppendPacket(nil, datagram)
}
