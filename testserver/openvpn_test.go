package testserver

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"io"
	"net"
	"net/netip"
	"testing"
	"testing/synctest"
	"time"

	"vpncheck/probe/sock"
	"vpncheck/probe/wire"
	"vpncheck/testserver/gate"
)

func withOpenVPN(_ *world, cfg *Config) { cfg.Responders = []Responder{OpenVPNUDP(), OpenVPNTCP()} }

var openVPNServer = netip.AddrPortFrom(serverOther, wire.OpenVPNPort)

// reset is the client's, with the session ID of its next exchange.
func (c *client) reset(carrier wire.Carrier) wire.OpenVPN {
	c.number++
	return wire.OpenVPN{Opcode: wire.OpenVPNHardResetClient, Session: c.mint.Brief(wire.Question, carrier, c.number)}
}

// next is a packet that follows a reset.
func next(reset wire.OpenVPN, peer wire.Brief, id uint32, tls []byte) wire.OpenVPN {
	acks := []uint32{1, 0}[2-id:]
	return wire.OpenVPN{Opcode: wire.OpenVPNControl, Session: reset.Session, Acks: acks, Remote: peer, PacketID: id, Payload: tls}
}

func TestOpenVPNUDP(t *testing.T) {
	inWorld(t, withOpenVPN, func(w *world) {
		const carrier = wire.CarrierOpenVPNUDP
		c := w.open(w.laptop, carrier)
		conn := c.udp(w.laptop, laptopAddr)
		ask := func(m wire.OpenVPN) (wire.OpenVPN, wire.Saw) {
			t.Helper()
			c.emit(conn, openVPNServer, m.Append(nil))
			saw := c.saw()
			if saw.Silent != "" {
				return wire.OpenVPN{}, saw
			}
			s := c.hear(conn)
			answer, err := wire.ParseOpenVPN(s.Bytes)
			if err != nil || s.Src != openVPNServer {
				t.Fatalf("got %x from %v, %v", s.Bytes, s.Src, err)
			}
			return answer, saw
		}
		tagged := func(m wire.OpenVPN) {
			t.Helper()
			tag, err := wire.ParseRandom(m.Payload)
			if err != nil {
				t.Fatal(err)
			}
			c.answered(carrier, tag.Token)
		}
		reset := c.reset(carrier)
		first := c.number
		server, saw := ask(reset)
		if server.Opcode != wire.OpenVPNHardResetServer || server.Remote != reset.Session || saw.Exchange != first || len(saw.Replied.Bytes) != 26 ||
			server.Session != c.mint.Brief(wire.Answer, carrier, first) {
			t.Fatalf("got %+v, told %+v", server, saw)
		}
		flight, _ := ask(next(reset, server.Session, 1, wire.AppendOpenVPNClientHello(nil, wire.Tag{Token: c.token(carrier)})))
		tagged(flight)
		if n := len(flight.Append(nil)); n != 836 {
			t.Errorf("the server's flight has %d octets, want 836", n)
		}
		tickets, saw := ask(next(reset, server.Session, 2, wire.AppendOpenVPNClientFlight(nil, wire.Tag{Token: c.token(carrier)})))
		method, err := wire.ParseOpenVPN(c.hear(conn).Bytes)
		tagged(method)
		if err != nil || tickets.PacketID != 2 || method.PacketID != 3 || !bytes.Equal(saw.Replied.Bytes, method.Append(nil)) {
			t.Errorf("got %+v and %+v, told %+v, %v", tickets, method, saw, err)
		}
		if _, saw := ask(wire.OpenVPN{Opcode: wire.OpenVPNAck, Session: reset.Session, Acks: []uint32{3, 2, 1, 0}, Remote: server.Session}); saw.Exchange != first+3 || saw.Silent != silentMessage {
			t.Errorf("the acknowledgment was told as %+v", saw)
		}
		c.number += 3
		data, _ := ask(wire.OpenVPN{Opcode: wire.OpenVPNData, PeerID: 9, PacketID: 1, Payload: wire.AppendRandom(nil, 100, wire.Tag{Token: c.token(carrier)})})
		tagged(data)
		if data.PeerID != 9 || len(data.Payload) != 100 {
			t.Errorf("got %+v", data)
		}
		// A good token in a session that nobody opened is told, and not answered.
		if _, saw := ask(next(reset, reset.Session, 1, wire.AppendOpenVPNClientHello(nil, wire.Tag{Token: c.token(carrier)}))); saw.Silent != silentSessionID {
			t.Errorf("got %+v, want silence", saw)
		}
	})
}

// A stranger is silent to: one who guesses, one who knows another session's key, one who plays back what he overheard.
func TestOpenVPNStranger(t *testing.T) {
	inWorld(t, withOpenVPN, func(w *world) {
		const carrier = wire.CarrierOpenVPNUDP
		c := w.open(w.laptop, carrier)
		overheard := c.reset(carrier)
		conn, other := c.udp(w.laptop, laptopAddr), c.udp(w.other, otherAddr)
		guess := wire.OpenVPN{Opcode: wire.OpenVPNHardResetClient, Session: wire.Brief{1, 2, 3, 4, 5, 6, 7, 8}}
		alien := wire.NewMint(c.session.ID, make([]byte, 32))
		before := len(w.left())
		for _, m := range []wire.OpenVPN{
			guess,
			{Opcode: wire.OpenVPNHardResetClient, Session: alien.Brief(wire.Question, carrier, 1)},
			{Opcode: wire.OpenVPNHardResetClient, Session: c.mint.Brief(wire.Answer, carrier, 1)},
			{Opcode: wire.OpenVPNHardResetClient, Session: c.mint.Brief(wire.Question, wire.CarrierOpenVPNTCP, 1)},
			{Opcode: wire.OpenVPNAck, Session: guess.Session, Acks: []uint32{0}, Remote: guess.Session},
			{Opcode: wire.OpenVPNAck, Session: overheard.Session, Acks: []uint32{0}, Remote: guess.Session},
			next(guess, guess.Session, 1, wire.AppendOpenVPNClientHello(nil, wire.Tag{})),
			{Opcode: wire.OpenVPNData, Payload: wire.AppendRandom(nil, 100, wire.Tag{})},
		} {
			w.emit(other, openVPNServer, m.Append(nil))
			w.emit(conn, openVPNServer, m.Append(nil))
		}
		synctest.Wait()
		if n := len(w.left()) - before; n != 0 {
			t.Errorf("%d packets answered strangers", n)
		}
		for range 7 {
			c.stray()
		}
		c.stray()
		w.emit(conn, openVPNServer, overheard.Append(nil))
		if s := c.saw(); s.Silent != "" {
			t.Fatalf("got %+v", s)
		}
		before = len(w.left())
		for range 3 {
			w.emit(other, openVPNServer, overheard.Append(nil))
			if s := c.saw(); s.Silent != gate.SilentReplay {
				t.Errorf("got %+v, want a replay", s)
			}
		}
		if n := len(w.left()) - before; n != 0 {
			t.Errorf("%d packets answered a replay", n)
		}
	})
}

// To an address that has not proved that it receives, never more leaves than came from it, whatever a real server does: 26 octets for 14 are
// due at the second try, and of the flight no more than there was of the question.
func TestOpenVPNUnproved(t *testing.T) {
	inWorld(t, withOpenVPN, func(w *world) {
		const carrier = wire.CarrierOpenVPNUDP
		c := w.open(w.laptop, carrier)
		conn := c.udp(w.other, otherAddr) // a forged source, or a provider's NAT with several addresses
		in, out := 0, func() (n int) {
			for _, p := range w.left() {
				if p.Dst.Addr() == otherAddr {
					n += 28 + len(p.Payload)
				}
			}
			return n
		}
		ask := func(m wire.OpenVPN) wire.Saw {
			t.Helper()
			c.emit(conn, openVPNServer, m.Append(nil))
			in += 28 + len(m.Append(nil))
			saw := c.saw()
			if out() > in {
				t.Errorf("%d octets left for %d", out(), in)
			}
			return saw
		}
		if saw := ask(c.reset(carrier)); saw.Silent != gate.SilentUnproved {
			t.Errorf("the first reset: got %+v, want silence", saw)
		}
		reset := c.reset(carrier)
		if saw := ask(reset); saw.Silent != "" {
			t.Fatalf("the second reset: got %+v, want an answer", saw)
		}
		server, _ := wire.ParseOpenVPN(c.hear(conn).Bytes)
		if saw := ask(next(reset, server.Session, 1, wire.AppendOpenVPNClientHello(nil, wire.Tag{Token: c.token(carrier)}))); saw.Silent != "" {
			t.Fatalf("the ClientHello: got %+v, want an answer", saw)
		}
		flight, _ := wire.ParseOpenVPN(c.hear(conn).Bytes)
		tag, err := wire.ParseRandom(flight.Payload)
		if err != nil {
			t.Fatal(err)
		}
		tag.Token = c.token(carrier) // with the nonce that only the answer had
		if saw := ask(next(reset, server.Session, 2, wire.AppendOpenVPNClientFlight(nil, tag))); saw.Silent != "" {
			t.Errorf("got %+v, want an answer", saw)
		}
	})
}

// Random octets as few as the reset are answered with as many.
func TestOpenVPNBriefRandom(t *testing.T) {
	inWorld(t, withOpenVPN, func(w *world) {
		c := w.open(w.laptop, wire.CarrierRandom)
		conn := c.udp(w.laptop, laptopAddr)
		c.number++
		c.emit(conn, openVPNServer, wire.AppendBriefRandom(nil, 14, c.mint.Brief(wire.Question, wire.CarrierRandom, c.number)))
		s := c.hear(conn)
		b, err := wire.ParseBriefRandom(s.Bytes)
		if n, ok := c.mint.ReadBrief(wire.Answer, wire.CarrierRandom, b); err != nil || !ok || n != c.number || len(s.Bytes) != 14 {
			t.Errorf("got %x: exchange %d, %v, %v", s.Bytes, n, ok, err)
		}
		if saw := c.saw(); saw.Exchange != c.number || saw.Silent != "" {
			t.Errorf("told %+v", saw)
		}
	})
}

func TestOpenVPNTCP(t *testing.T) {
	inWorld(t, withOpenVPN, func(w *world) {
		const carrier = wire.CarrierOpenVPNTCP
		c := w.open(w.laptop, carrier)
		dial := func(from *sock.FakeHost) net.Conn {
			t.Helper()
			conn, err := from.Dial(context.Background(), netip.Addr{}, openVPNServer)
			if err != nil {
				t.Fatal(err)
			}
			conn.SetDeadline(time.Now().Add(time.Hour))
			return conn
		}
		conn := dial(w.laptop)
		defer conn.Close()
		c.stray() // its SYN
		hear := func() wire.OpenVPN {
			t.Helper()
			head := make([]byte, 2)
			if _, err := io.ReadFull(conn, head); err != nil {
				t.Fatal(err)
			}
			b := make([]byte, binary.BigEndian.Uint16(head))
			if _, err := io.ReadFull(conn, b); err != nil {
				t.Fatal(err)
			}
			m, err := wire.ParseOpenVPN(b)
			if err != nil {
				t.Fatal(err)
			}
			return m
		}
		reset := c.reset(carrier)
		conn.Write(reset.AppendStream(nil))
		server := hear()
		if saw := c.saw(); server.Remote != reset.Session || saw.Exchange != c.number || saw.Silent != "" || len(saw.Replied.Bytes) != 28 {
			t.Errorf("got %+v, told %+v", server, saw)
		}
		whole := next(reset, server.Session, 1, wire.AppendOpenVPNClientHello(nil, wire.Tag{Token: c.token(carrier)})).AppendStream(nil)
		conn.Write(whole[:100]) // in two segments
		synctest.Wait()
		conn.Write(whole[100:])
		tag, err := wire.ParseRandom(hear().Payload)
		if err != nil {
			t.Fatal(err)
		}
		c.answered(carrier, tag.Token)
		c.saw()

		// Without a reset of a session's there is nothing for anybody.
		for _, b := range [][]byte{
			wire.OpenVPN{Opcode: wire.OpenVPNHardResetClient}.AppendStream(nil),
			wire.OpenVPN{Opcode: wire.OpenVPNData, Payload: wire.AppendRandom(nil, 100, wire.Tag{Token: c.token(carrier)})}.AppendStream(nil),
			{0, 1, 0xff},
		} {
			stranger := dial(w.other)
			stranger.Write(b)
			if n, err := stranger.Read(make([]byte, 100)); n != 0 || !errors.Is(err, io.EOF) {
				t.Errorf("%x: got %d octets, %v, want the end", b[:3], n, err)
			}
			stranger.Close()
		}
	})
}
