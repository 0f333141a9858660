package testserver

import (
	"bytes"
	"net/netip"
	"testing"
	"testing/synctest"
	"time"

	"vpncheck/probe/sock"
	"vpncheck/probe/wire"
	"vpncheck/testserver/gate"
)

// withIPsec is a change of a world: a server that answers ESP and port 4500.
func withIPsec(e *esp, n *natt) func(*world, *Config) {
	return func(_ *world, cfg *Config) { cfg.Responders = []Responder{e, n} }
}

func newIPsec() (*esp, *natt) { return ESP().(*esp), NATT().(*natt) }

func (w *world) rawESP(from *sock.FakeHost, local netip.Addr) sock.Conn {
	w.t.Helper()
	c, err := from.Raw(wire.IPProtoESP, local)
	if err != nil {
		w.t.Fatal(err)
	}
	w.t.Cleanup(func() { c.Close() })
	c.SetReadDeadline(time.Now().Add(time.Hour))
	return c
}

// espPacket is a packet of ESP with a tag in it.
func espPacket(spi, seq uint32, inner int, tag wire.Tag) []byte {
	return wire.ESP{SPI: spi, SequenceNumber: seq, Payload: make([]byte, wire.ESPPayload(inner))}.WithTag(tag).Append(nil)
}

// hearESP reads an answer, which must be as long as its question and carry the answer's token.
func (c *client) hearESP(conn sock.Conn, carrier wire.Carrier, size int) (wire.ESP, wire.Tag, wire.Sighting) {
	c.t.Helper()
	s := c.hear(conn)
	p, err := wire.ParseESP(s.Bytes)
	if err != nil {
		c.t.Fatal(err)
	}
	tag, err := p.Tag()
	if err != nil || len(s.Bytes) != size {
		c.t.Fatalf("got %d octets, %v, want %d with a tag", len(s.Bytes), err, size)
	}
	c.answered(carrier, tag.Token)
	return p, tag, s
}

func TestESP(t *testing.T) {
	for _, row := range []struct {
		name        string
		from, asked netip.Addr
	}{
		{"ipv4", laptopAddr, serverAddr}, {"second-address", laptopAddr, serverOther}, {"ipv6", laptop6, server6},
	} {
		t.Run(row.name, func(t *testing.T) {
			inWorld(t, withIPsec(newIPsec()), func(w *world) {
				c := w.open(w.laptop, wire.CarrierESP)
				conn := w.rawESP(w.laptop, row.from)
				var spis []uint32
				for i, q := range []struct {
					spi, seq uint32
					inner    int
				}{{0x1000, 1, 84}, {0x1000, 2, 576}, {0x2001, 1, 52}, {0x1000, 3, 84}} {
					b := espPacket(q.spi, q.seq, q.inner, wire.Tag{Token: c.token(wire.CarrierESP)})
					w.emit(conn, netip.AddrPortFrom(row.asked, 0), b)
					p, tag, s := c.hearESP(conn, wire.CarrierESP, len(b))
					if s.Src.Addr() != row.asked || p.SequenceNumber != []uint32{1, 2, 1, 3}[i] {
						t.Errorf("packet %d: got number %d from %v, want one that counts, from %v", i, p.SequenceNumber, s.Src, row.asked)
					}
					if tag.Nonce == ([wire.NonceSize]byte{}) {
						t.Error("no nonce")
					}
					if saw := c.saw(); saw.Silent != "" || saw.Replied.State != wire.Seen || !bytes.Equal(saw.Arrived.Bytes, b) {
						t.Errorf("got %+v, want the exchange", saw)
					}
					spis = append(spis, p.SPI)
				}
				if spis[0] != spis[1] || spis[0] != spis[3] || spis[0] == spis[2] || min(spis[0], spis[2]) < wire.MinSPI {
					t.Errorf("got SPIs %x, want one for each of the client's", spis)
				}
			})
		})
	}
}

// A real server sends ESP to its IKE peer (RFC 4301, section 4.4.2), wherever ESP comes from, and so does this one.
func TestESPGoesToIKEPeer(t *testing.T) {
	inWorld(t, withIPsec(newIPsec()), func(w *world) {
		c := w.open(w.laptop, wire.CarrierESP, wire.CarrierNATT)
		datagrams := w.udp(w.laptop, laptopAddr)
		w.emit(datagrams, netip.AddrPortFrom(serverAddr, 4500), markedInit(wire.Tag{Token: c.token(wire.CarrierNATT)}))
		w.hear(datagrams)
		c.saw()

		home, elsewhere := w.rawESP(w.laptop, laptopAddr), w.rawESP(w.other, otherAddr)
		b := espPacket(0x1000, 1, 84, wire.Tag{Token: c.token(wire.CarrierESP)})
		w.emit(elsewhere, netip.AddrPortFrom(serverAddr, 0), b)
		_, tag, _ := c.hearESP(home, wire.CarrierESP, len(b))
		if saw := c.saw(); saw.Replied.Dst.Addr() != laptopAddr {
			t.Errorf("answered to %v, want %v", saw.Replied.Dst, laptopAddr)
		}

		// The peer moves. The stored answer carries the nonce of where it was: it stays.
		moved := w.udp(w.other, otherAddr)
		w.emit(moved, netip.AddrPortFrom(serverAddr, 4500), markedInit(wire.Tag{Token: c.token(wire.CarrierNATT)}))
		w.hear(moved)
		c.saw()
		before := len(w.left())
		w.emit(elsewhere, netip.AddrPortFrom(serverAddr, 0), b)
		if saw := c.saw(); saw.Silent != gate.SilentReplay || len(w.left()) != before {
			t.Errorf("got %+v, want silence: the nonce %x is another address's", saw, tag.Nonce)
		}
	})
}

// A retransmission gets the answer that it had.
func TestESPRetransmitted(t *testing.T) {
	inWorld(t, withIPsec(newIPsec()), func(w *world) {
		c := w.open(w.laptop, wire.CarrierESP)
		conn := w.rawESP(w.laptop, laptopAddr)
		b := espPacket(0x1000, 1, 84, wire.Tag{Token: c.token(wire.CarrierESP)})
		var answers [2]wire.Sighting
		for i := range answers {
			w.emit(conn, netip.AddrPortFrom(serverAddr, 0), b)
			_, _, answers[i] = c.hearESP(conn, wire.CarrierESP, len(b))
		}
		if !bytes.Equal(answers[0].Bytes, answers[1].Bytes) {
			t.Errorf("got %x, want %x again", answers[1].Bytes, answers[0].Bytes)
		}
	})
}

// Nothing of a session is kept when it has ended, and not much while it lasts.
func TestESPTunnelsAreForgotten(t *testing.T) {
	e, n := newIPsec()
	inWorld(t, withIPsec(e, n), func(w *world) {
		c := w.open(w.laptop, wire.CarrierESP)
		conn := w.rawESP(w.laptop, laptopAddr)
		for i := range uint32(3 * maxTunnels) {
			w.emit(conn, netip.AddrPortFrom(serverAddr, 0), espPacket(0x1000+i, 1, 52, wire.Tag{Token: c.token(wire.CarrierESP)}))
			w.hear(conn)
			c.saw()
		}
		for _, all := range e.tunnels.by {
			if len(all) != maxTunnels {
				t.Errorf("got %d tunnels, want %d", len(all), maxTunnels)
			}
		}
		c.conn.Close()
		synctest.Wait()
		if len(e.tunnels.by) != 0 {
			t.Errorf("got %d sessions, want none", len(e.tunnels.by))
		}
	})
}
