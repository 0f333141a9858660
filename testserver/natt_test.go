package testserver

import (
	"net/netip"
	"testing"
	"testing/synctest"

	"vpncheck/probe/sock"
	"vpncheck/probe/wire"
)

// markedInit is IKE_SA_INIT behind the non-ESP marker.
func markedInit(tag wire.Tag) []byte {
	sa := wire.IKEv2SA{{Num: 1, ProtocolID: wire.ProtocolIDIKE, Transforms: []wire.IKEv2Transform{
		{Type: wire.TransformEncryption, ID: wire.EncryptionAESCBC, KeyLength: 256}, {Type: wire.TransformPRF, ID: wire.PRFHMACSHA256},
		{Type: wire.TransformIntegrity, ID: wire.IntegrityHMACSHA256}, {Type: wire.TransformGroup, ID: wire.GroupCurve25519},
	}}}
	public := wire.IKEPublic(wire.GroupCurve25519)
	return wire.AppendNATTIKE(nil, wire.IKEMessage{
		Header: wire.IKEHeader{InitiatorSPI: 7, MajorVersion: 2, ExchangeType: wire.IKESAInit, Flags: wire.IKEv2FlagInitiator},
		Payloads: []wire.IKEPayload{
			{Type: wire.IKEv2SecurityAssociation, Body: sa.Append(nil)},
			{Type: wire.IKEv2KeyExchange, Body: wire.IKEv2KE{Group: wire.GroupCurve25519, Data: public}.Append(nil)},
			{Type: wire.IKEv2Nonce, Body: wire.IKENonce(tag)},
			{Type: wire.IKEv2VendorID, Body: make([]byte, 200)}, // so that the answer is no larger
		},
	}.Append(nil))
}

func TestNATTIKE(t *testing.T) {
	inWorld(t, withIPsec(newIPsec()), func(w *world) {
		c := w.open(w.laptop, wire.CarrierNATT)
		conn := w.udp(w.laptop, laptopAddr)
		w.emit(conn, netip.AddrPortFrom(serverAddr, 4500), markedInit(wire.Tag{Token: c.token(wire.CarrierNATT)}))
		s := w.hear(conn)
		b, err := wire.ParseNATTIKE(s.Bytes)
		if err != nil {
			t.Fatal(err)
		}
		m, err := wire.ParseIKE(b)
		if err != nil {
			t.Fatal(err)
		}
		tag, err := m.Tag()
		if err != nil || m.Header.ResponderSPI == 0 || m.Header.Flags != wire.IKEv2FlagResponse {
			t.Errorf("got %+v, %v, want a response with a tag", m.Header, err)
		}
		c.answered(wire.CarrierNATT, tag.Token)
		if saw := c.saw(); saw.Silent != "" || saw.Replied.State != wire.Seen {
			t.Errorf("got %+v", saw)
		}
	})
}

// The answer has a checksum where the question's SPI is odd, and over IPv6.
func TestNATTESP(t *testing.T) {
	for _, row := range []struct {
		name        string
		from, asked netip.Addr
		spi         uint32
		want        sock.FakeChecksum
	}{
		{"even", laptopAddr, serverAddr, 0x1000, sock.ChecksumNone},
		{"odd", laptopAddr, serverAddr, 0x1001, sock.ChecksumRight},
		{"second-address", laptopAddr, serverOther, 0x1000, sock.ChecksumNone},
		{"ipv6", laptop6, server6, 0x1000, sock.ChecksumRight},
	} {
		t.Run(row.name, func(t *testing.T) {
			inWorld(t, withIPsec(newIPsec()), func(w *world) {
				c := w.open(w.laptop, wire.CarrierNATT)
				conn := w.udp(w.laptop, row.from)
				for seq := range uint32(3) {
					b := espPacket(row.spi, seq+1, 84, wire.Tag{Token: c.token(wire.CarrierNATT)})
					w.emit(conn, netip.AddrPortFrom(row.asked, 4500), b)
					p, _, s := c.hearESP(conn, wire.CarrierNATT, len(b))
					if p.SequenceNumber != seq+1 || s.Src != netip.AddrPortFrom(row.asked, 4500) {
						t.Errorf("got number %d from %v, want %d from %v", p.SequenceNumber, s.Src, seq+1, row.asked)
					}
					left := w.left()
					if got := left[len(left)-1].Checksum; got != row.want {
						t.Errorf("the answer's checksum is %v, want %v", got, row.want)
					}
					if saw := c.saw(); saw.Silent != "" {
						t.Errorf("got %+v", saw)
					}
				}
			})
		})
	}
}

// A keepalive is told, and never answered (RFC 3948, section 2.3).
func TestNATTKeepalive(t *testing.T) {
	inWorld(t, withIPsec(newIPsec()), func(w *world) {
		c := w.open(w.laptop, wire.CarrierNATT)
		before := len(w.left())
		w.emit(w.udp(w.laptop, laptopAddr), netip.AddrPortFrom(serverAddr, 4500), []byte{wire.NATKeepalive})
		if s := c.stray(); s.Carrier != wire.CarrierNATT || len(s.Arrived.Bytes) != 1 {
			t.Errorf("got %+v, want the keepalive", s)
		}
		synctest.Wait()
		if n := len(w.left()) - before; n != 0 {
			t.Errorf("%d packets left the server, want none", n)
		}
	})
}

// ipsecStrangers are genuine packets without a valid token, and what only looks like them.
func ipsecStrangers(c *client) (all [][]byte) {
	for _, token := range []wire.Token{
		{},
		c.mint.Make(wire.Answer, wire.CarrierESP, 1),
		c.mint.Make(wire.Answer, wire.CarrierNATT, 1),
		c.mint.Make(wire.Question, wire.CarrierGRE, 1),
		wire.NewMint(c.session.ID, make([]byte, 32)).Make(wire.Question, wire.CarrierESP, 1),
		wire.NewMint(c.session.ID+1, c.session.Key).Make(wire.Question, wire.CarrierNATT, 1),
	} {
		tag := wire.Tag{Token: token}
		all = append(all, espPacket(0x1000, 1, 84, tag), espPacket(0x1001, 1, 0, tag), markedInit(tag), markedInit(tag)[4:])
	}
	return append(all, nil, []byte{0xFF}, []byte{0}, make([]byte, 4), make([]byte, 32), make([]byte, 300))
}

func TestIPsecStrangers(t *testing.T) {
	inWorld(t, withIPsec(newIPsec()), func(w *world) {
		c := w.open(w.laptop, wire.CarrierESP, wire.CarrierNATT)
		raw, datagrams := w.rawESP(w.other, otherAddr), w.udp(w.other, otherAddr)
		before := len(w.left())
		for _, b := range ipsecStrangers(c) {
			w.emit(raw, netip.AddrPortFrom(serverAddr, 0), b)
			w.emit(datagrams, netip.AddrPortFrom(serverAddr, 4500), b)
		}
		synctest.Wait()
		if n := len(w.left()) - before; n != 0 {
			t.Errorf("%d packets left the server for strangers, want none", n)
		}
		c.quiet()
	})
}

// FuzzIPsecStranger gives any octets to the handlers of ESP and port 4500: nothing may leave, nothing may panic.
func FuzzIPsecStranger(f *testing.F) {
	for _, b := range ipsecStrangers(&client{mint: wire.NewMint(5, make([]byte, 32)), session: wire.Session{ID: 5, Key: make([]byte, 32)}}) {
		f.Add(b)
	}
	fake := sock.NewFake()
	server := fake.Host(serverAddr)
	state, err := OpenState(f.TempDir(), StateOptions{})
	if err != nil {
		f.Fatal(err)
	}
	e, n := newIPsec()
	srv := New(Config{Net: server, Addresses: []netip.Addr{serverAddr}, Responders: []Responder{e, n}, State: state})
	if err := srv.Start(f.Context()); err != nil {
		f.Fatal(err)
	}
	f.Cleanup(func() { srv.Close() })
	conn, err := server.Raw(wire.IPProtoESP, serverAddr)
	if err != nil {
		f.Fatal(err)
	}
	if _, err := srv.gate.Open(otherAddr); err != nil { // so that strays go all their way
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		arrived := wire.Sighting{State: wire.Seen, Src: netip.AddrPortFrom(otherAddr, 9), Dst: netip.AddrPortFrom(serverAddr, 4500), Bytes: b}
		e.packet(srv.host, conn, arrived)
		n.datagram(srv.host, conn, arrived)
		if len(server.Sent()) != 0 {
			t.Errorf("a stranger was answered: %x", b)
		}
	})
}
