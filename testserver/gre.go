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
	gre   wire.GRE
	inner wire.IPv4
	udp   wire.UDP
	tag   wire.Tag
	rest  []byte // of the payload, behind the tag
}

func parseTunnelled(b []byte) (tunnelled, error) {
	var t tunnelled
	var err error
	if t.gre, err = wire.ParseGRE(b); err != nil {
		return t, err
	}
	if t.gre.ProtocolType != wire.ProtocolTypeIPv4 {
		return t, wire.ErrFormat
	}
	var datagram, payload []byte
	if t.inner, datagram, err = wire.ParseIPv4(t.gre.Payload); err != nil {
		return t, err
	}
	if t.inner.Protocol != wire.IPProtoUDP || t.inner.MF || t.inner.FragOffset != 0 {
		return t, wire.ErrFormat
	}
	if t.udp, payload, err = wire.ParseUDP(datagram); err != nil {
		return t, err
	}
	if t.udp.Checksum != 0 && t.udp.Checksum != wire.UDPChecksum(t.inner.Src, t.inner.Dst, datagram[:t.udp.Length]) {
		return t, wire.ErrFormat
	}
	if t.tag, err = wire.ParseTag(payload); err != nil {
		return t, err
	}
	t.rest = payload[wire.TagSize:]
	return t, nil
}

// answer is the packet turned round, of the same form and length. The sequence number is its question's: nothing is kept about a
// tunnel, and a retransmission is answered with the same octets.
func (t tunnelled) answer(tag wire.Tag) []byte {
	src, dst := netip.AddrPortFrom(t.inner.Dst, t.udp.DstPort), netip.AddrPortFrom(t.inner.Src, t.udp.SrcPort)
	datagram := wire.AppendUDP(nil, src, dst, append(tag.Append(nil), t.rest...))
	if t.udp.Checksum == 0 { // the question had none
		datagram[6], datagram[7] = 0, 0
	}
	inner := wire.IPv4{
		TOS: t.inner.TOS, ID: t.inner.ID, DF: t.inner.DF, TTL: sock.DefaultTTL, Protocol: wire.IPProtoUDP,
		Src: t.inner.Dst, Dst: t.inner.Src, Options: t.inner.Options,
	}
	g := t.gre
	g.Payload = inner.AppendPacket(nil, datagram)
	return g.Append(nil)
}
