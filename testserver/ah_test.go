package testserver

import (
	"bytes"
	"net/netip"
	"testing"
	"time"

	"vpncheck/probe/sock"
	"vpncheck/probe/wire"
)

func withAH(_ *world, cfg *Config) { cfg.Responders = []Responder{AH()} }

// ahQuestion is a packet from one address to another under a key, with an LCP Echo-Request in it.
func ahQuestion(key []byte, id uint16, from, to netip.Addr, seq uint32, tag wire.Tag, rest []byte) []byte {
	echo := wire.LCPEcho{MagicNumber: 7, Data: append(tag.Append(nil), rest...)}
	l := wire.LCP{Code: wire.LCPEchoRequest, Identifier: 1, Data: echo.Append(nil)}
	frame := wire.PPP{Protocol: wire.ProtocolLCP, Information: l.Append(nil)}.Append(nil)
	data := wire.L2TP{TunnelID: 11, SessionID: 12, Payload: frame}.Append(nil)
	datagram := wire.AppendUDP(nil, netip.AddrPortFrom(from, 1701), netip.AddrPortFrom(to, 1701), data)
	header := wire.AH{NextHeader: wire.IPProtoUDP, SPI: 0x1234, SequenceNumber: seq}
	header.ICV = wire.AHICV(key, wire.IPv4{ID: id, Src: from, Dst: to}, header, datagram)
	return append(header.Append(nil), datagram...)
}

func (w *world) rawAH(from *sock.FakeHost, local netip.Addr) sock.Conn {
	w.t.Helper()
	c, err := from.Raw(wire.IPProtoAH, local)
	if err != nil {
		w.t.Fatal(err)
	}
	w.t.Cleanup(func() { c.Close() })
	c.SetReadDeadline(time.Now().Add(time.Hour))
	return c
}

// Each packet is answered, from the address that was asked, with an ICV that is right for the header it leaves with; and what the server
// found of the question's is told.
func TestAH(t *testing.T) {
	for _, signed := range []struct {
		name string
		from netip.Addr
		icv  string
	}{{"valid", laptopAddr, "valid"}, {"through_nat", netip.MustParseAddr("192.168.1.11"), "invalid"}} {
		t.Run(signed.name, func(t *testing.T) {
			inWorld(t, withAH, func(w *world) {
				c := w.open(w.laptop, wire.CarrierAH)
				key := c.mint.Derive("ah")
				conn := w.rawAH(w.laptop, laptopAddr)
				var spi uint32
				for seq := range uint32(3) {
					id := uint16(100 + seq)
					question := ahQuestion(key, id, signed.from, serverOther, 1+seq, wire.Tag{Token: c.token(wire.CarrierAH)}, []byte("and the rest"))
					if _, err := conn.Send(sock.Out{Dst: netip.AddrPortFrom(serverOther, 0), ID: id, Payload: question}); err != nil {
						t.Fatal(err)
					}
					s := w.hear(conn)
					q, err := parseAH(s.Bytes)
					if err == nil || len(s.Bytes) != len(question) || s.Src.Addr() != serverOther {
						t.Fatalf("got %x from %v, %v: want an Echo-Reply of the question's length", s.Bytes, s.Src, err)
					}
					c.answered(wire.CarrierAH, wire.Token(q.lcp.Data[4:]))
					if !bytes.HasSuffix(q.lcp.Data, []byte("and the rest")) || q.lcp.Code != wire.LCPEchoReply {
						t.Errorf("got %+v", q.lcp)
					}
					if got := q.check(key, s); got != "valid" || q.ah.SequenceNumber != 1+seq {
						t.Errorf("got an ICV that is %s and sequence number %d", got, q.ah.SequenceNumber)
					}
					if spi != 0 && q.ah.SPI != spi || q.ah.SPI == 0x1234 {
						t.Errorf("got SPI %#x, before %#x", q.ah.SPI, spi)
					}
					spi = q.ah.SPI
					if saw := c.saw(); saw.ICV != signed.icv || saw.Exchange != c.number || *saw.Replied.IPID != *s.IPID {
						t.Errorf("got %+v, want an ICV that is %s", saw, signed.icv)
					}
				}
			})
		})
	}
}

// A packet that is damaged is handed over, to the session alone that its address has.
func TestDamagedAH(t *testing.T) {
	inWorld(t, withAH, func(w *world) {
		c := w.open(w.laptop, wire.CarrierAH)
		conn := w.rawAH(w.laptop, laptopAddr)
		good := ahQuestion(c.mint.Derive("ah"), 1, laptopAddr, serverAddr, 1, wire.Tag{Token: c.token(wire.CarrierAH)}, nil)
		for _, n := range []int{0, 11, 27, 40, len(good) - 1} {
			w.emit(conn, netip.AddrPortFrom(serverAddr, 0), good[:n])
			c.stray()
		}
		bad := bytes.Clone(good)
		bad[len(bad)-wire.TagSize] ^= 1
		w.emit(conn, netip.AddrPortFrom(serverAddr, 0), bad)
		c.stray()
		if n := len(w.left()); n != 0 {
			t.Errorf("%d packets left the server, want none", n)
		}
	})
}

func FuzzAHStranger(f *testing.F) {
	good := ahQuestion(make([]byte, 32), 1, otherAddr, serverAddr, 1, wire.Tag{}, make([]byte, 36))
	f.Add(good)
	f.Add(good[:len(good)-40])
	w, srv := fuzzWorld(f, AH())
	conn, err := w.server.Raw(wire.IPProtoAH, serverAddr)
	if err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		id := uint16(len(b))
		ahPacket(srv.host, conn, wire.Sighting{
			State: wire.Seen, Src: netip.AddrPortFrom(otherAddr, 0), Dst: netip.AddrPortFrom(serverAddr, 0), IPID: &id, Bytes: b,
		})
		if len(w.server.Sent()) != 0 {
			t.Errorf("a stranger was answered: %x", b)
		}
	})
}

// fuzzWorld is a server with a session of otherAddr's, so that strays go all their way.
func fuzzWorld(f *testing.F, responders ...Responder) (*world, *Server) {
	w := &world{fake: sock.NewFake()}
	w.server, w.other = w.fake.Host(serverAddr), w.fake.Host(otherAddr)
	state, err := OpenState(f.TempDir(), StateOptions{})
	if err != nil {
		f.Fatal(err)
	}
	srv := New(Config{Net: w.server, Addresses: []netip.Addr{serverAddr}, Responders: responders, State: state})
	if err := srv.Start(f.Context()); err != nil {
		f.Fatal(err)
	}
	f.Cleanup(func() { srv.Close() })
	if _, err := srv.gate.Open(otherAddr); err != nil {
		f.Fatal(err)
	}
	return w, srv
}
