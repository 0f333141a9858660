package testserver

import (
	"net/netip"
	"testing"
	"testing/synctest"
	"time"

	"vpncheck/probe/sock"
	"vpncheck/probe/wire"
	"vpncheck/testserver/gate"
)

// about is an ICMP error about a packet that the server sent.
func about(typ, code uint8, p sock.FakePacket) []byte {
	quoted := p.Payload
	if p.Proto == wire.IPProtoUDP {
		quoted = append(wire.UDP{SrcPort: p.Src.Port(), DstPort: p.Dst.Port(), Length: uint16(8 + len(p.Payload))}.Append(nil), quoted...)
	}
	header := wire.IPv4{TotalLength: uint16(20 + len(quoted)), TTL: 60, Protocol: p.Proto, Src: p.Src.Addr(), Dst: p.Dst.Addr()}
	return wire.ICMPError{Type: typ, Code: code, Header: header, Quoted: quoted}.Append(nil)
}

func (w *world) icmp(from *sock.FakeHost, src netip.Addr) sock.Conn {
	w.t.Helper()
	c, err := from.Raw(wire.IPProtoICMP, src)
	if err != nil {
		w.t.Fatal(err)
	}
	w.t.Cleanup(func() { c.Close() })
	return c
}

// lastSent is the newest packet of a protocol that the server sent.
func (w *world) lastSent(proto uint8) sock.FakePacket {
	w.t.Helper()
	all := w.left()
	for i := len(all) - 1; i >= 0; i-- {
		if all[i].Proto == proto {
			return all[i]
		}
	}
	w.t.Fatal("the server sent no such packet")
	return sock.FakePacket{}
}

// What stands in the client's name on the way back says that it has no mapping: the session hears of it, with its sender and TTL.
func TestCame(t *testing.T) {
	inWorld(t, nil, func(w *world) {
		c := w.open(w.laptop, wire.CarrierGRE)
		w.emit(w.raw(w.laptop, laptopAddr), netip.AddrPortFrom(serverAddr, 0),
			tunnelPacket(wire.GRE{}, wire.Tag{Token: c.token(wire.CarrierGRE)}, make([]byte, 400)))
		c.saw()
		udp := w.udp(w.laptop, laptopAddr)
		w.emit(udp, netip.AddrPortFrom(serverAddr, 8443), wire.Tag{Token: c.token(wire.CarrierControl)}.Append(nil))
		c.saw()
		conn, to := w.icmp(w.other, otherAddr), netip.AddrPortFrom(serverAddr, 0)
		for carrier, sent := range map[wire.Carrier]sock.FakePacket{
			wire.CarrierGRE: w.lastSent(wire.IPProtoGRE), wire.CarrierControl: w.lastSent(wire.IPProtoUDP),
		} {
			b := about(wire.ICMPUnreachable, 3, sent)
			w.emit(conn, to, b)
			m := c.recv().Came
			if m == nil || m.Carrier != carrier || m.ICMP.From != otherAddr || m.ICMP.TTL != 62 || m.ICMP.Type != 3 || m.ICMP.Code != 3 ||
				string(m.ICMP.Quote) != string(b[8:min(len(b), 8+maxQuote)]) {
				t.Errorf("%s: got %+v", carrier, m)
			}
		}
		if m := w.lastSent(wire.IPProtoUDP); m.Dst.Port() != udp.Local().Port() {
			t.Errorf("got %+v, want no answer to ICMP", m)
		}
	})
}

// What is not about a packet that this session was sent is none of its business: another address, port, protocol or call.
func TestCameOfNobody(t *testing.T) {
	inWorld(t, nil, func(w *world) {
		c := w.open(w.laptop, wire.CarrierGRE, wire.CarrierGREv1)
		conn, to := w.icmp(w.other, otherAddr), netip.AddrPortFrom(serverAddr, 0)
		w.emit(w.udp(w.laptop, laptopAddr), netip.AddrPortFrom(serverAddr, 8443), wire.Tag{Token: c.token(wire.CarrierControl)}.Append(nil))
		c.saw()
		p := w.lastSent(wire.IPProtoUDP)
		other := func(change func(*sock.FakePacket)) []byte {
			q := p
			change(&q)
			return about(wire.ICMPUnreachable, 3, q)
		}
		broken := about(wire.ICMPUnreachable, 3, p)
		broken[len(broken)-1] ^= 1
		for _, b := range [][]byte{
			nil, {8, 0, 0, 0}, broken, broken[:20],
			other(func(q *sock.FakePacket) { q.Dst = netip.AddrPortFrom(otherAddr, q.Dst.Port()) }),
			other(func(q *sock.FakePacket) { q.Dst = netip.AddrPortFrom(laptopAddr, q.Dst.Port()+1) }),
			other(func(q *sock.FakePacket) { q.Src = netip.AddrPortFrom(serverAddr, 53) }),
			other(func(q *sock.FakePacket) { q.Proto = wire.IPProtoESP }),
			other(func(q *sock.FakePacket) { q.Proto, q.Payload = wire.IPProtoGRE, []byte{0, 0, 8, 0, 0, 0, 0, 0} }), // it was sent none
			about(5, 1, p), // a redirect
		} {
			w.emit(conn, to, b)
		}
		synctest.Wait()
		c.quiet()
	})
}

// Of two sessions behind one address, an error that quotes a token is its own session's; its UDP ports tell as much.
func TestCameOfAnotherSession(t *testing.T) {
	inWorld(t, nil, func(w *world) {
		c, other := w.open(w.laptop, wire.CarrierGRE), w.open(w.laptop, wire.CarrierGRE)
		other.emitGRE()
		other.saw()
		c.emitGRE()
		c.saw()
		conn, to := w.icmp(w.laptop, laptopAddr), netip.AddrPortFrom(serverAddr, 0)
		w.emit(conn, to, about(wire.ICMPUnreachable, 2, w.lastSent(wire.IPProtoGRE)))
		if m := c.recv(); m.Came == nil {
			t.Fatalf("got %+v", m)
		}
		w.emit(w.udp(w.laptop, laptopAddr), netip.AddrPortFrom(serverAddr, 8443), wire.Tag{Token: c.token(wire.CarrierControl)}.Append(nil))
		c.saw()
		w.emit(conn, to, about(wire.ICMPUnreachable, 3, w.lastSent(wire.IPProtoUDP)))
		if m := c.recv(); m.Came == nil || m.Came.Conversation != controlConversation {
			t.Fatalf("got %+v", m)
		}
		other.quiet()
	})
}

// Enhanced GRE is PPTP's, and so are refused answers to its SYNs.
func TestCamePPTP(t *testing.T) {
	inWorld(t, nil, func(w *world) {
		c := w.open(w.laptop, wire.CarrierPPTP, wire.CarrierGREv1)
		k := c.call(w.laptop)
		w.emit(w.raw(w.laptop, laptopAddr), netip.AddrPortFrom(serverAddr, 0), lcp(k.server, 0, configureRequest(c.token(wire.CarrierGREv1))))
		synctest.Wait()
		conn, to := w.icmp(w.laptop, laptopAddr), netip.AddrPortFrom(serverAddr, 0)
		w.emit(conn, to, about(wire.ICMPUnreachable, 2, w.lastSent(wire.IPProtoGRE)))
		syn := sock.FakePacket{Proto: protoTCP, Src: netip.AddrPortFrom(serverAddr, 1723), Payload: make([]byte, 20)}
		l := w.srv.host.links.all()[0]
		syn.Dst = l.flows.of[0].to
		syn.Payload[0], syn.Payload[1] = 1723>>8, 1723&0xFF
		syn.Payload[2], syn.Payload[3] = byte(syn.Dst.Port()>>8), byte(syn.Dst.Port())
		w.emit(conn, to, about(wire.ICMPUnreachable, 1, syn))
		w.emit(conn, to, about(wire.ICMPTimeExceeded, 0, syn))
		var got []wire.Carrier
		for len(got) < 3 {
			if m := c.recv(); m.Came != nil {
				got = append(got, m.Came.Carrier)
			}
		}
		if got[0] != wire.CarrierGREv1 || got[1] != wire.CarrierPPTP || got[2] != wire.CarrierPPTP {
			t.Errorf("got %v", got)
		}
	})
}

// The kernel answers a SYN by itself: what refuses that answer is heard before there is a connection.
func TestCameSYN(t *testing.T) {
	inWorld(t, nil, func(w *world) {
		c := w.open(w.laptop, wire.CarrierPPTP)
		conn := c.dialPPTP(w.laptop)
		c.stray()
		syn := sock.FakePacket{Proto: protoTCP, Src: netip.AddrPortFrom(serverAddr, 1723), Dst: addrPort(conn.LocalAddr()), Payload: make([]byte, 20)}
		syn.Payload[0], syn.Payload[1] = 1723>>8, 1723&0xFF
		syn.Payload[2], syn.Payload[3] = byte(syn.Dst.Port()>>8), byte(syn.Dst.Port()&0xFF)
		w.emit(w.icmp(w.other, otherAddr), netip.AddrPortFrom(serverAddr, 0), about(wire.ICMPUnreachable, 1, syn))
		if m := c.recv(); m.Came == nil || m.Came.Carrier != wire.CarrierPPTP {
			t.Errorf("got %+v", m)
		}
	})
}

// A flood of forged errors, from whoever knows a client's address, is told a few times and makes nothing grow.
func TestCameFlood(t *testing.T) {
	inWorld(t, nil, func(w *world) {
		c := w.open(w.laptop, wire.CarrierGRE)
		for range 3 * maxFlows { // an answer to each of many ports
			w.emit(w.udp(w.laptop, laptopAddr), netip.AddrPortFrom(serverAddr, 8443), wire.Tag{Token: c.token(wire.CarrierControl)}.Append(nil))
			c.saw()
		}
		c.emitGRE()
		c.saw()
		l := w.srv.host.links.all()[0]
		if n := len(l.flows.of); n != maxFlows {
			t.Errorf("%d flows are remembered, want %d", n, maxFlows)
		}
		conn, to := w.icmp(w.other, otherAddr), netip.AddrPortFrom(serverAddr, 0)
		for _, proto := range []uint8{wire.IPProtoGRE, wire.IPProtoUDP} {
			b := about(wire.ICMPUnreachable, 3, w.lastSent(proto))
			for range 10 * maxCame {
				w.emit(conn, to, b)
			}
			synctest.Wait()
		}
		for range 2 * maxCameCarrier {
			if m := c.recv(); m.Came == nil || len(m.Came.ICMP.Quote) > maxQuote {
				t.Fatalf("got %+v", m)
			}
		}
		time.Sleep(time.Second)
		c.quiet()
		d := &desk{open: []wire.Declare{{Conversation: "all", Carriers: []wire.Carrier{"1", "2", "3", "4", "5", "6", "7"}}}}
		told := 0
		for range 100 {
			for _, carrier := range d.open[0].Carriers {
				if _, report := d.came(carrier); report {
					told++
				}
			}
		}
		if told != maxCame {
			t.Errorf("%d are told, want %d", told, maxCame)
		}
	})
}

// FuzzCame gives any octets to the reader of ICMP.
func FuzzCame(f *testing.F) {
	p := sock.FakePacket{Proto: wire.IPProtoGRE, Src: netip.AddrPortFrom(serverAddr, 0), Dst: netip.AddrPortFrom(otherAddr, 0), Payload: make([]byte, 40)}
	f.Add(about(3, 3, p))
	p.Proto = wire.IPProtoUDP
	f.Add(about(11, 0, p))
	f.Add(about(3, 3, p)[:30])
	h := &Host{gate: gate.New(gate.Limits{}, time.Now), links: &links{}, now: time.Now}
	h.watches = []nicWatch{{proto: wire.IPProtoGRE, carrier: wire.CarrierGRE}, {proto: wire.IPProtoUDP, carrier: wire.CarrierControl}}
	if _, err := h.gate.Open(otherAddr); err != nil {
		f.Fatal(err)
	}
	ttl := uint8(9)
	f.Fuzz(func(t *testing.T, b []byte) {
		h.icmp(wire.Sighting{State: wire.Seen, Src: netip.AddrPortFrom(otherAddr, 0), TTL: &ttl, Bytes: b})
	})
}
