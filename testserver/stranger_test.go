package testserver

import (
	"io"
	"net"
	"net/netip"
	"testing"
	"testing/synctest"
	"time"

	"vpncheck/probe/sock"
	"vpncheck/probe/wire"
)

// strangersPackets are genuine packets of every kind without a valid token.
func strangersPackets(c *client) (gre, udp, tcp [][]byte) {
	tokens := []wire.Token{
		{},
		c.mint.Make(wire.Answer, wire.CarrierGRE, 1),       // of the wrong direction
		c.mint.Make(wire.Question, wire.Carrier("esp"), 1), // of another carrier
		wire.NewMint(c.session.ID, make([]byte, 32)).Make(wire.Question, wire.CarrierGRE, 1),
		wire.NewMint(c.session.ID+1, c.session.Key).Make(wire.Question, wire.CarrierGRE, 1),
	}
	for _, token := range tokens {
		tag := wire.Tag{Token: token}
		echo := wire.LCPEcho{Data: tag.Append(nil)}
		gre = append(gre,
			tunnelPacket(wire.GRE{}, tag, nil),
			tunnelPacket(wire.GRE{HasKey: true, HasSeq: true}, tag, make([]byte, 100)),
			lcp(1, 0, configureRequest(token)),
			lcp(1, 0, wire.LCP{Code: wire.LCPEchoRequest, Data: echo.Append(nil)}),
			lcp(1, 0, wire.LCP{Code: wire.TerminateRequest, Data: tag.Append(nil)}),
			lcp(1, 0, wire.LCP{Code: wire.ConfigureAck, Data: configureRequest(token).Data}),
			wire.EnhancedGRE{CallID: 1, HasAck: true}.Append(nil))
		udp = append(udp, tag.Append(nil), tag.Append(nil)[:27], append(tag.Append(nil), 1))
		tcp = append(tcp,
			wire.StartControlConnectionRequest{ProtocolVersion: wire.PPTPVersion, HostName: token.String()}.Append(nil),
			wire.OutgoingCallRequest{CallID: 7, Subaddress: token.String()}.Append(nil))
	}
	tcp = append(tcp,
		wire.StartControlConnectionRequest{ProtocolVersion: wire.PPTPVersion, HostName: "local"}.Append(nil),
		wire.EchoRequest{Identifier: 1}.Append(nil), wire.StopControlConnectionRequest{}.Append(nil), []byte("GET / HTTP/1.1\r\n\r\n"))
	return gre, udp, tcp
}

// To a stranger the server is silent, and a session does not hear of him.
func TestStrangers(t *testing.T) {
	inWorld(t, nil, func(w *world) {
		c := w.open(w.laptop, wire.CarrierGRE, wire.CarrierGREv1, wire.CarrierPPTP)
		k := c.call(w.laptop)
		before := len(w.left())
		gre, udp, tcp := strangersPackets(c)
		gre = append(gre, lcp(k.server, 0, configureRequest(wire.Token{})))
		raw, datagrams := w.raw(w.other, otherAddr), w.udp(w.other, otherAddr)
		for _, b := range gre {
			w.emit(raw, netip.AddrPortFrom(serverAddr, 0), b)
		}
		for _, b := range udp {
			w.emit(datagrams, netip.AddrPortFrom(serverAddr, 8443), b)
		}
		for _, b := range tcp {
			w.noBytes(b)
		}
		synctest.Wait()
		if n := len(w.left()) - before; n != 0 {
			t.Errorf("%d packets left the server for strangers, want none", n)
		}
		c.quiet()
	})
}

// noBytes checks that a TCP stranger is told nothing.
func (w *world) noBytes(b []byte) {
	w.t.Helper()
	conn, err := w.other.Dial(w.t.Context(), netip.Addr{}, netip.AddrPortFrom(serverAddr, 1723))
	if err != nil {
		w.t.Fatal(err)
	}
	defer conn.Close()
	conn.Write(b)
	conn.SetReadDeadline(time.Now().Add(time.Minute))
	if got, _ := io.ReadAll(conn); len(got) != 0 {
		w.t.Errorf("a stranger who sent %x was answered %x", b, got)
	}
}

// One session's packets are not the other's business, whatever addresses they share.
func TestOtherSessions(t *testing.T) {
	inWorld(t, nil, func(w *world) {
		c, other := w.open(w.laptop, wire.CarrierGRE), w.open(w.laptop, wire.CarrierGRE)
		w.emit(w.raw(w.laptop, laptopAddr), netip.AddrPortFrom(serverAddr, 0),
			tunnelPacket(wire.GRE{}, wire.Tag{Token: c.token(wire.CarrierGRE)}, nil))
		c.saw()
		other.quiet()
	})
}

// A token of a session that has ended is worth nothing.
func TestEndedSession(t *testing.T) {
	inWorld(t, nil, func(w *world) {
		c := w.open(w.laptop, wire.CarrierGRE)
		c.conn.Close()
		synctest.Wait()
		w.emit(w.raw(w.laptop, laptopAddr), netip.AddrPortFrom(serverAddr, 0),
			tunnelPacket(wire.GRE{}, wire.Tag{Token: c.token(wire.CarrierGRE)}, nil))
		synctest.Wait()
		if n := len(w.left()); n != 0 {
			t.Errorf("%d packets left the server, want none", n)
		}
	})
}

// FuzzStranger gives any octets to every handler: nothing may leave, nothing may panic.
func FuzzStranger(f *testing.F) {
	c := &client{mint: wire.NewMint(5, make([]byte, 32)), session: wire.Session{ID: 5, Key: make([]byte, 32)}}
	gre, udp, tcp := strangersPackets(c)
	for _, packets := range [][][]byte{gre, udp, tcp, {nil, {0}, {0x30, 0x81, 0x88, 0x0b}}} {
		for _, b := range packets {
			f.Add(b)
		}
	}
	w := &world{fake: sock.NewFake()}
	w.server, w.other = w.fake.Host(serverAddr), w.fake.Host(otherAddr)
	state, err := OpenState(f.TempDir(), StateOptions{})
	if err != nil {
		f.Fatal(err)
	}
	p := PPTP().(*pptp)
	srv := New(Config{Net: w.server, Addresses: []netip.Addr{serverAddr}, Responders: []Responder{p, GRE()}, State: state})
	if err := srv.Start(f.Context()); err != nil {
		f.Fatal(err)
	}
	f.Cleanup(func() { srv.Close() })
	conn, err := w.server.Raw(wire.IPProtoGRE, serverAddr)
	if err != nil {
		f.Fatal(err)
	}
	session, err := srv.gate.Open(otherAddr) // so that strays go all their way
	if err != nil {
		f.Fatal(err)
	}
	k := p.newConn(nil, netip.AddrPortFrom(otherAddr, 1), netip.AddrPortFrom(serverAddr, 1723))
	k.session = session
	call := k.begin(7, 1)
	f.Fuzz(func(t *testing.T, b []byte) {
		if len(b) >= 8 && b[6] == 0xFF { // some reach the live call
			b[6], b[7] = byte(call.own>>8), byte(call.own)
		}
		arrived := wire.Sighting{
			State: wire.Seen, Src: netip.AddrPortFrom(otherAddr, 9), Dst: netip.AddrPortFrom(serverAddr, 8443), Bytes: b,
		}
		p.packet(conn, arrived)
		grePacket(srv.host, conn, arrived)
		controlPacket(srv.host, conn, arrived)
		near, far := net.Pipe()
		go func() { far.Write(b); far.Close() }()
		c := p.newConn(near, arrived.Src, arrived.Dst)
		c.open()
		near.Close()
		if c.session != nil || len(w.server.Sent()) != 0 {
			t.Errorf("a stranger was answered: %x", b)
		}
	})
}
