package testserver

import (
	"context"
	"net"
	"net/netip"
	"testing"
	"time"

	"vpncheck/probe/sock"
	"vpncheck/probe/wire"
	"vpncheck/testserver/gate"
)

// late are the responders of what comes last in a run, with a session that waits for all of them.
type late struct {
	*world
	srv     *Server
	session *gate.Session
	mint    *wire.Mint
	udp     *openVPNUDP
	tcp     *openVPNTCP
	wg      *wireGuard
}

func newLate(f *testing.F) *late {
	l := &late{udp: OpenVPNUDP().(*openVPNUDP), tcp: OpenVPNTCP().(*openVPNTCP), wg: newWireGuard(wire.NewWireGuardKey())}
	l.world, l.srv = fuzzWorld(f, l.udp, l.tcp, l.wg)
	l.session = l.srv.gate.SessionsFrom(otherAddr)[0]
	l.mint = wire.NewMint(l.session.ID(), l.session.Key())
	k := &link{server: l.srv, session: l.session, out: make(chan wire.Message, linkQueue)}
	k.ctx, k.cancel = context.WithCancel(context.Background())
	f.Cleanup(k.cancel)
	go func() {
		for {
			select {
			case m := <-k.out:
				k.unread.Add(-octets(m))
			case <-k.ctx.Done():
				return
			}
		}
	}()
	k.desk.declare(wire.Declare{Conversation: "all", Carriers: []wire.Carrier{
		wire.CarrierOpenVPNUDP, wire.CarrierOpenVPNTCP, wire.CarrierWireGuard, wire.CarrierRandom,
	}})
	l.srv.host.links.add(k)
	return l
}

// FuzzLateStranger gives any octets to OpenVPN and WireGuard: nothing may leave, nothing may panic.
func FuzzLateStranger(f *testing.F) {
	l := newLate(f)
	conn, err := l.server.UDP(netip.AddrPortFrom(serverAddr, 999))
	if err != nil {
		f.Fatal(err)
	}
	alien := wire.NewMint(l.session.ID(), make([]byte, 32))
	reset := wire.OpenVPN{Opcode: wire.OpenVPNHardResetClient, Session: alien.Brief(wire.Question, wire.CarrierOpenVPNUDP, 1)}
	o, err := wire.OpenWireGuard(wire.NewWireGuardKey(), l.wg.public, 7, time.Now())
	if err != nil {
		f.Fatal(err)
	}
	for _, b := range [][]byte{
		nil, {0}, reset.Append(nil), reset.AppendStream(nil), next(reset, reset.Session, 1, make([]byte, 300)).Append(nil), o.Message,
		wire.OpenVPN{Opcode: wire.OpenVPNAck, Session: reset.Session, Acks: []uint32{3, 2}}.Append(nil), append([]byte{4, 0, 0, 0}, make([]byte, 40)...),
		wire.AppendRandom(nil, 40, wire.Tag{Token: alien.Make(wire.Question, wire.CarrierRandom, 1)}),
	} {
		f.Add(b)
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		arrived := wire.Sighting{State: wire.Seen, Src: netip.AddrPortFrom(otherAddr, 9), Dst: netip.AddrPortFrom(serverAddr, 1194), Bytes: b}
		l.udp.datagram(conn, arrived)
		l.wg.datagram(conn, arrived)
		near, far := net.Pipe()
		go func() { far.Write(b); far.Close() }()
		c := l.tcp.newConn(near, arrived.Src, arrived.Dst)
		c.next(time.Second)
		near.Close()
		if c.session != nil || len(l.server.Sent()) != 0 {
			t.Errorf("a stranger was answered: %x", b)
		}
	})
}

// FuzzLateMember gives a session's own token with anything around it: nothing may panic, and to an address that has not proved that it
// receives no more may leave than came.
func FuzzLateMember(f *testing.F) {
	l := newLate(f)
	conn, err := l.server.UDP(netip.AddrPortFrom(serverAddr, 999))
	if err != nil {
		f.Fatal(err)
	}
	reset := wire.OpenVPN{Opcode: wire.OpenVPNHardResetClient}
	for _, b := range [][]byte{
		reset.Append(nil), next(reset, wire.Brief{}, 1, make([]byte, 300)).Append(nil), next(reset, wire.Brief{}, 2, make([]byte, 300)).Append(nil),
		wire.OpenVPN{Opcode: wire.OpenVPNAck, Acks: []uint32{3, 2}}.Append(nil), wire.OpenVPN{Opcode: wire.OpenVPNData, Payload: make([]byte, 60)}.Append(nil),
		make([]byte, 12), make([]byte, 31), make([]byte, 100), wgInner(wire.Token{}),
	} {
		f.Add(b, uint32(1))
	}
	f.Fuzz(func(t *testing.T, b []byte, n uint32) {
		session, err := l.srv.gate.Open(laptopAddr)
		if err != nil {
			t.Skip()
		}
		defer session.Close()
		k := &link{server: l.srv, session: session, out: make(chan wire.Message, linkQueue)}
		k.ctx, k.cancel = context.WithCancel(context.Background())
		defer k.cancel()
		l.srv.host.links.add(k)
		defer l.srv.host.links.remove(k)
		k.desk.declare(wire.Declare{Conversation: "all", Carriers: []wire.Carrier{wire.CarrierOpenVPNUDP, wire.CarrierWireGuard, wire.CarrierRandom}})
		mint := wire.NewMint(session.ID(), session.Key())
		in, before := 0, len(l.server.Sent())
		from := netip.MustParseAddr("203.0.113.99") // which nobody proves
		say := func(handle func(sock.Conn, wire.Sighting), b []byte) {
			in += 28 + len(b)
			handle(conn, wire.Sighting{State: wire.Seen, Src: netip.AddrPortFrom(from, 9), Dst: netip.AddrPortFrom(serverAddr, 999), Bytes: b})
		}
		own, peer := mint.Brief(wire.Question, wire.CarrierOpenVPNUDP, n), mint.Brief(wire.Answer, wire.CarrierOpenVPNUDP, n)
		if m, err := wire.ParseOpenVPN(b); err == nil {
			m.Session, m.Remote = own, peer
			packet := m.Append(nil)
			say(l.udp.datagram, packet)
			tag := wire.Tag{Token: mint.Make(wire.Question, wire.CarrierOpenVPNUDP, n+7)}
			m.Payload = append(m.Payload, wire.AppendRandom(nil, wire.RandomSize, tag)...)
			say(l.udp.datagram, m.Append(nil))
		}
		if len(b) >= wire.RandomSize {
			tag := wire.Tag{Token: mint.Make(wire.Question, wire.CarrierRandom, n)}
			say(l.udp.datagram, wire.AppendRandom(nil, len(b), tag))
		} else if len(b) >= wire.BriefRandomSize {
			say(l.wg.datagram, wire.AppendBriefRandom(nil, len(b), mint.Brief(wire.Question, wire.CarrierRandom, n)))
		}
		key := wire.NewWireGuardKey()
		if _, why := l.wg.enrol(session, key.PublicKey().Bytes()); why != "" {
			t.Fatal(why)
		}
		defer l.wg.dismiss(session)
		l.wg.load = bucket{tokens: linkBurst}
		o, err := wire.OpenWireGuard(key, l.wg.public, n, time.Now())
		if err != nil {
			t.Fatal(err)
		}
		say(l.wg.datagram, o.Message)
		for _, p := range l.server.Sent()[before:] {
			tunnel, err := o.Answered(p.Payload)
			if err != nil {
				continue
			}
			packet := append([]byte(nil), b...)
			if token := mint.Make(wire.Question, wire.CarrierWireGuard, n+9); len(packet) >= 28+wire.TagSize {
				copy(packet[28:], token[:])
			}
			say(l.wg.datagram, tunnel.Seal(0, packet))
			break
		}
		out := 0
		for _, p := range l.server.Sent()[before:] {
			out += 28 + len(p.Payload)
			if p.Dst.Addr() != from {
				t.Errorf("a packet left for %v", p.Dst)
			}
		}
		if out > in {
			t.Errorf("%d octets left for %d", out, in)
		}
	})
}
