package testserver

import (
	"bytes"
	"net/netip"
	"testing"
	"time"

	"vpncheck/probe/wire"
)

func TestControl(t *testing.T) {
	inWorld(t, nil, func(w *world) {
		c := w.open(w.laptop)
		conn := w.udp(w.laptop, laptopAddr)
		to := netip.AddrPortFrom(serverOther, 8443)
		question := wire.Tag{Token: c.token(wire.CarrierControl)}.Append(nil)
		for range 2 { // the second is a retransmission
			w.emit(conn, to, question)
			s := w.hear(conn)
			tag, err := wire.ParseTag(s.Bytes)
			if err != nil || len(s.Bytes) != wire.TagSize || s.Src != to {
				t.Fatalf("got %v from %v, %v, want a tag from %v", s.Bytes, s.Src, err, to)
			}
			c.answered(wire.CarrierControl, tag.Token)
			if saw := c.saw(); saw.Conversation != "control" || saw.Exchange != c.number || !bytes.Equal(saw.Replied.Bytes, s.Bytes) {
				t.Errorf("got %+v, want the control's exchange", saw)
			}
		}
		w.emit(conn, to, append(wire.Tag{Token: c.token(wire.CarrierControl)}.Append(nil), 0))
		c.stray()
		time.Sleep(31 * time.Second / 2)
		c.quiet()
		time.Sleep(31 * time.Second / 2)
		w.emit(conn, to, question)
		if s := c.saw(); s.Silent != "replay" || s.Replied.State != wire.Absent {
			t.Errorf("got %+v, want a replay", s)
		}
	})
}

func TestGRE(t *testing.T) {
	forms := []wire.GRE{{}, {HasKey: true, Key: 99}, {HasKey: true, HasSeq: true, HasChecksum: true, Key: 1, SequenceNumber: 41}}
	for _, family := range []struct {
		name                  string
		laptop, server, other netip.Addr
	}{{"IPv4", laptopAddr, serverOther, serverAddr}, {"IPv6", laptop6, server6, server6}} {
		t.Run(family.name, func(t *testing.T) {
			inWorld(t, nil, func(w *world) {
				c := w.open(w.laptop, wire.CarrierGRE)
				conn := w.raw(w.laptop, family.laptop)
				for _, form := range forms {
					question := tunnelPacket(form, wire.Tag{Token: c.token(wire.CarrierGRE)}, []byte("and the rest"))
					w.emit(conn, netip.AddrPortFrom(family.server, 0), question)
					s := w.hear(conn)
					got, err := parseTunnelled(s.Bytes)
					if err != nil || len(s.Bytes) != len(question) || s.Src.Addr() != family.server {
						t.Fatalf("got %x from %v, %v", s.Bytes, s.Src, err)
					}
					c.answered(wire.CarrierGRE, got.tag.Token)
					sent, _ := parseTunnelled(question)
					if got.gre.Key != form.Key || got.gre.HasSeq != form.HasSeq || got.gre.HasChecksum != form.HasChecksum ||
						got.inner.Src != sent.inner.Dst || got.udp.DstPort != sent.udp.SrcPort || string(got.rest) != "and the rest" {
						t.Errorf("got %+v, want %+v turned round", got, sent)
					}
					saw := c.saw()
					if saw.Exchange != c.number || saw.Conversation != "talk" || saw.Silent != "" {
						t.Errorf("got %+v", saw)
					}
				}
			})
		})
	}
}

// A damaged packet from the session's address is handed over, and an answer to an address that has proved nothing keeps its nonce.
func TestDamagedGRE(t *testing.T) {
	inWorld(t, nil, func(w *world) {
		c := w.open(w.laptop, wire.CarrierGRE)
		deaf := w.open(w.laptop, wire.CarrierPPTP) // of the same address, and waits for something else
		conn := w.raw(w.laptop, laptopAddr)
		to := netip.AddrPortFrom(serverAddr, 0)
		b := tunnelPacket(wire.GRE{}, wire.Tag{Token: c.token(wire.CarrierGRE)}, bytes.Repeat([]byte{1}, maxStray))
		b[40] ^= 0x80
		before := len(w.left())
		w.emit(conn, to, b)
		s := c.stray()
		if s.Carrier != wire.CarrierGRE || !bytes.Equal(s.Arrived.Bytes, b[:maxStray]) {
			t.Errorf("got %+v, want the damaged packet, cut", s)
		}
		if len(w.left()) != before {
			t.Error("a damaged packet was answered")
		}
		deaf.quiet()
		for range 2 * maxStrays {
			w.emit(conn, to, b)
		}
		for range maxStrays - 1 {
			c.stray()
		}
		c.quiet()

		away := w.raw(w.other, otherAddr)
		w.emit(away, to, tunnelPacket(wire.GRE{}, wire.Tag{Token: c.token(wire.CarrierGRE)}, nil))
		answer, err := parseTunnelled(w.hear(away).Bytes)
		if err != nil {
			t.Fatal(err)
		}
		saw := c.saw()
		if bytes.Contains(saw.Replied.Bytes, answer.tag.Nonce[:]) || saw.Replied.State != wire.Seen {
			t.Errorf("the link told the nonce of an address that has proved nothing: %+v", saw)
		}
	})
}

func TestUndeclaredIsAnswered(t *testing.T) {
	inWorld(t, nil, func(w *world) {
		c := w.open(w.laptop, wire.CarrierGRE)
		c.send(wire.Message{Finish: &wire.Finish{Conversation: "talk"}})
		began := time.Now()
		if m := c.recv(); m.Settled == nil || m.Settled.Conversation != "talk" || len(m.Settled.Carriers) != 4 {
			t.Errorf("got %+v, want Settled", m)
		}
		if d := time.Since(began); d > 50*time.Millisecond {
			t.Errorf("settling took %v", d)
		}
		conn := w.raw(w.laptop, laptopAddr)
		w.emit(conn, netip.AddrPortFrom(serverAddr, 0), tunnelPacket(wire.GRE{}, wire.Tag{Token: c.token(wire.CarrierGRE)}, nil))
		if s := c.saw(); s.Conversation != "" || s.Exchange != c.number {
			t.Errorf("got %+v, want no conversation", s)
		}
		w.emit(conn, netip.AddrPortFrom(serverAddr, 0), tunnelPacket(wire.GRE{}, wire.Tag{}, nil))
		c.quiet() // nobody waits for it, so it is nobody's stray
	})
}

// With a socket for each address, answers leave from the one that was asked, and a session learns of the other.
func TestBoundAddresses(t *testing.T) {
	bind := func(_ *world, c *Config) { c.Addresses = []netip.Addr{serverAddr, serverOther} }
	inWorld(t, bind, func(w *world) {
		c := w.open(w.laptop, wire.CarrierGRE)
		if c.session.Second != serverOther {
			t.Errorf("got second address %v, want %v", c.session.Second, serverOther)
		}
		raw, udp := w.raw(w.laptop, laptopAddr), w.udp(w.laptop, laptopAddr)
		for _, a := range []netip.Addr{serverAddr, serverOther} {
			w.emit(raw, netip.AddrPortFrom(a, 0), tunnelPacket(wire.GRE{}, wire.Tag{Token: c.token(wire.CarrierGRE)}, nil))
			if s := w.hear(raw); s.Src.Addr() != a {
				t.Errorf("got GRE from %v, want %v", s.Src, a)
			}
			c.saw()
			w.emit(udp, netip.AddrPortFrom(a, 8443), wire.Tag{Token: c.token(wire.CarrierControl)}.Append(nil))
			if s := w.hear(udp); s.Src.Addr() != a {
				t.Errorf("got UDP from %v, want %v", s.Src, a)
			}
			c.saw()
		}
	})
}

func TestSecond(t *testing.T) {
	for _, test := range []struct {
		name, own, want string
		machine         []string
	}{
		{"public", "198.51.100.10", "198.51.100.11", []string{"127.0.0.1", "172.17.0.1", "169.254.1.1", "198.51.100.10", "198.51.100.11"}},
		{"private", "10.0.0.1", "10.0.0.2", []string{"10.0.0.1", "198.51.100.11", "10.0.0.2"}},
		{"none", "198.51.100.10", "", []string{"198.51.100.10", "10.0.0.1", "2001:db8::1"}},
		{"IPv6", "2001:db8::1", "2001:db8::2", []string{"fe80::1", "fd00::1", "::1", "2001:db8::1", "2001:db8::2", "198.51.100.10"}},
	} {
		t.Run(test.name, func(t *testing.T) {
			s := &Server{cfg: Config{Addresses: []netip.Addr{netip.IPv4Unspecified()}}}
			for _, a := range test.machine {
				s.cfg.Own = append(s.cfg.Own, netip.MustParseAddr(a))
			}
			want, _ := netip.ParseAddr(test.want)
			if got := s.second(netip.MustParseAddr(test.own)); got != want {
				t.Errorf("got %v, want %v", got, want)
			}
		})
	}
}
