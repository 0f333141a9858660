package testserver

import (
	"context"
	"encoding/binary"
	"net/netip"
	"testing"
	"testing/synctest"
	"time"

	"vpncheck/probe/sock"
	"vpncheck/probe/wire"
)

// behindFirewall runs a test with a server whose own firewall drops some packets.
func behindFirewall(t *testing.T, drop func(sock.FakePacket) bool, test func(*world)) {
	t.Helper()
	inWorld(t, nil, func(w *world) {
		w.server.Input = func(p sock.FakePacket) bool { return !drop(p) }
		test(w)
	})
}

func isGRE(p sock.FakePacket) bool { return p.Proto == wire.IPProtoGRE }

func (c *client) emitGRE() {
	c.t.Helper()
	c.emit(c.raw(c.laptop, laptopAddr), netip.AddrPortFrom(serverAddr, 0), tunnelPacket(wire.GRE{}, wire.Tag{Token: c.token(wire.CarrierGRE)}, nil))
}

func (c *client) cardOf() *card {
	l := c.srv.host.links.of(c.srv.gate.SessionsFrom(laptopAddr)[0])
	return &l.card
}

// count is how many packets wait for their delivery, and how many are known.
func (c *card) count() (waiting, known int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	return len(c.waiting), len(c.known)
}

// What the machine's own firewall drops is told, is not answered, proves nothing, costs nothing and is told once.
func TestServerFirewall(t *testing.T) {
	behindFirewall(t, isGRE, func(w *world) {
		c := w.open(w.laptop, wire.CarrierGRE)
		for _, s := range c.session.Carriers {
			if !s.NIC {
				t.Errorf("%s: got no watch at the network card", s.Carrier)
			}
		}
		before := len(w.left())
		b := tunnelPacket(wire.GRE{}, wire.Tag{Token: c.token(wire.CarrierGRE)}, []byte("rest"))
		conn := w.raw(w.laptop, laptopAddr)
		for range 3 {
			w.emit(conn, netip.AddrPortFrom(serverAddr, 0), b)
		}
		s := c.saw()
		if s.Silent != wire.SilentFirewall || s.Exchange != c.number || s.Conversation != "talk" || s.Arrived.State != wire.Seen ||
			s.Arrived.Where != "nic" || string(s.Arrived.Bytes) != string(b) || s.Replied.State != wire.Absent {
			t.Errorf("got %+v", s)
		}
		w.emit(conn, netip.AddrPortFrom(serverAddr, 0), b)
		time.Sleep(time.Second)
		c.quiet()
		if n := len(w.left()) - before; n != 0 {
			t.Errorf("%d packets left the server, want none", n)
		}
		if p := w.state.proof(wire.CarrierGRE, laptopAddr); p != nil {
			t.Errorf("got %+v, want no proof", p)
		}
		for _, s := range w.srv.Status().Carriers {
			if s.Dropped.IsZero() != (s.Carrier != wire.CarrierGRE) {
				t.Errorf("%s: dropped at %v", s.Carrier, s.Dropped)
			}
		}
	})
}

// A socket that is late takes its report back.
func TestSocketAfterNIC(t *testing.T) {
	inWorld(t, nil, func(w *world) {
		c := w.open(w.laptop, wire.CarrierGRE)
		for range 3 {
			c.emitGRE()
			if s := c.saw(); s.Silent != "" || s.Arrived.Where != "raw" {
				t.Errorf("got %+v, want the socket's", s)
			}
		}
		time.Sleep(time.Second)
		c.quiet()
	})
}

// Nor is the firewall blamed for what no socket would have taken: a wrong checksum, an address on which nobody listens, another's token.
func TestNICBlamesNoFirewall(t *testing.T) {
	only := func(_ *world, c *Config) { c.Addresses = []netip.Addr{serverAddr} }
	inWorld(t, only, func(w *world) {
		w.fake.Between = func(p sock.FakePacket) []sock.FakePacket {
			p.Checksum = sock.ChecksumWrong
			return []sock.FakePacket{p}
		}
		c := w.open(w.laptop, wire.CarrierGRE)
		tag := wire.Tag{Token: c.token(wire.CarrierControl)}
		w.emit(w.udp(w.laptop, laptopAddr), netip.AddrPortFrom(serverAddr, 8443), tag.Append(nil))
		w.emit(w.raw(w.laptop, laptopAddr), netip.AddrPortFrom(serverOther, 0), tunnelPacket(wire.GRE{}, wire.Tag{Token: c.token(wire.CarrierGRE)}, nil))
		forged := wire.NewMint(c.session.ID, make([]byte, 32)).Make(wire.Question, wire.CarrierControl, 9)
		w.emit(w.udp(w.laptop, laptopAddr), netip.AddrPortFrom(serverAddr, 8443), wire.Tag{Token: forged}.Append(nil))
		time.Sleep(time.Second)
		c.quiet()
	})
}

// Nor is it blamed for what no kernel takes from such a source: whoever overhears a token would forge one.
func TestNICImpossibleSource(t *testing.T) {
	behindFirewall(t, isGRE, func(w *world) {
		c := w.open(w.laptop, wire.CarrierGRE)
		for _, from := range []string{"127.0.0.1", "0.1.2.3", "224.0.0.5", "255.255.255.255", serverAddr.String(), "203.0.113.200"} {
			tag := wire.Tag{Token: c.token(wire.CarrierGRE)}
			w.srv.host.incoming(wire.Sighting{
				State: wire.Seen, Where: "nic", Proto: wire.IPProtoGRE, Src: netip.AddrPortFrom(netip.MustParseAddr(from), 0),
				Dst: netip.AddrPortFrom(serverAddr, 0), Bytes: tunnelPacket(wire.GRE{}, tag, nil),
			})
		}
		if s := c.saw(); s.Exchange != c.number || s.Silent != wire.SilentFirewall {
			t.Errorf("got %+v, want the last alone", s)
		}
		c.quiet()
	})
}

// SYNs need no token: whoever forges the client's address must not push out what is known of packets that have one.
func TestNICForgedSYNs(t *testing.T) {
	inWorld(t, nil, func(w *world) {
		c := w.open(w.laptop, wire.CarrierGRE, wire.CarrierPPTP)
		c.emitGRE()
		c.saw()
		_, known := c.cardOf().count()
		for n := range 2 * nicKnown {
			b := make([]byte, 20)
			binary.BigEndian.PutUint32(b[4:], uint32(n))
			syn := wire.Sighting{
				State: wire.Seen, Where: "raw", Proto: protoTCP, Src: netip.AddrPortFrom(laptopAddr, 7), Dst: netip.AddrPortFrom(serverAddr, 1723), Bytes: b,
			}
			w.srv.host.deliveredSYN(wire.CarrierPPTP, syn)
			w.srv.host.incoming(syn)
		}
		if waiting, now := c.cardOf().count(); now != known || waiting != 0 || known == 0 {
			t.Errorf("%d packets are known and %d wait, want %d and none", now, waiting, known)
		}
	})
}

// A SYN that the firewall drops is told as one that the network card saw.
func TestServerFirewallSYN(t *testing.T) {
	tcp := func(p sock.FakePacket) bool { return p.Proto == protoTCP && p.Dst.Port() == 1723 }
	behindFirewall(t, tcp, func(w *world) {
		c := w.open(w.laptop, wire.CarrierPPTP)
		ctx, cancel := context.WithTimeout(context.Background(), time.Second)
		defer cancel()
		if _, err := w.laptop.Dial(ctx, netip.Addr{}, netip.AddrPortFrom(serverAddr, 1723)); err == nil {
			t.Fatal("the firewall let it in")
		}
		if s := c.stray(); s.Carrier != wire.CarrierPPTP || s.Arrived.Where != "nic" || s.Arrived.Dst.Port() != 1723 {
			t.Errorf("got %+v", s)
		}
		c.quiet()
	})
	inWorld(t, nil, func(w *world) {
		c := w.open(w.laptop, wire.CarrierPPTP)
		c.dialPPTP(w.laptop)
		if s := c.stray(); s.Arrived.Where != "raw" {
			t.Errorf("got %+v, want the socket's", s)
		}
		time.Sleep(time.Second)
		c.quiet()
	})
}

// Without the privilege, or on another system, the server works as before and says so.
func TestWithoutNIC(t *testing.T) {
	inWorld(t, func(w *world, _ *Config) { w.server.Deny = map[string]error{"incoming": context.Canceled} }, func(w *world) {
		c := w.open(w.laptop, wire.CarrierGRE)
		for _, s := range c.session.Carriers {
			if s.NIC {
				t.Errorf("%s is watched", s.Carrier)
			}
		}
		c.emitGRE()
		if s := c.saw(); s.Silent != "" {
			t.Errorf("got %+v", s)
		}
	})
}

// Whoever floods the network card makes nothing grow: a stranger leaves no trace, and a session's own packets a bounded one.
func TestNICFlood(t *testing.T) {
	behindFirewall(t, func(p sock.FakePacket) bool { return isGRE(p) || p.Dst.Port() == 1723 }, func(w *world) {
		c := w.open(w.laptop, wire.CarrierGRE)
		stranger, own := w.raw(w.other, otherAddr), w.raw(w.laptop, laptopAddr)
		to := netip.AddrPortFrom(serverAddr, 0)
		for range 500 {
			w.emit(stranger, to, tunnelPacket(wire.GRE{}, wire.Tag{}, nil))
			w.emit(own, to, []byte{0, 0, 8, 0, 1, 2, 3, 4})
		}
		synctest.Wait()
		if waiting, known := c.cardOf().count(); waiting+known != 0 {
			t.Errorf("%d packets are kept of strangers", waiting+known)
		}
		for range 500 {
			w.emit(stranger, to, tunnelPacket(wire.GRE{}, wire.Tag{Token: c.token(wire.CarrierGRE)}, make([]byte, 8000)))
			if c.number%50 == 0 {
				synctest.Wait()
			}
		}
		synctest.Wait()
		if waiting, _ := c.cardOf().count(); waiting != nicWaiting {
			t.Errorf("%d packets wait, want %d", waiting, nicWaiting)
		}
		for range nicWaiting {
			if s := c.saw(); len(s.Arrived.Bytes) > nicOctets {
				t.Errorf("%d octets of a packet were kept", len(s.Arrived.Bytes))
			}
		}
		c.quiet()
		k := &card{}
		for n := range 2 * uint64(nicKnown) {
			k.delivered(nicKey{wire.CarrierGRE, n})
			k.delivered(nicKey{wire.CarrierGRE, n})
		}
		if len(k.known) != nicKnown || len(k.order) != nicKnown {
			t.Errorf("%d and %d packets are known, want %d", len(k.known), len(k.order), nicKnown)
		}
	})
}

// FuzzNIC gives any octets to all that look for tokens at the network card.
func FuzzNIC(f *testing.F) {
	c := &client{mint: wire.NewMint(5, make([]byte, 32)), session: wire.Session{ID: 5, Key: make([]byte, 32)}}
	gre, udp, tcp := strangersPackets(c)
	for _, packets := range [][][]byte{gre, udp, tcp, {nil, {0}, {0xFF}, make([]byte, 40)}} {
		for _, b := range packets {
			f.Add(b)
		}
	}
	w := &world{fake: sock.NewFake()}
	state, err := OpenState(f.TempDir(), StateOptions{})
	if err != nil {
		f.Fatal(err)
	}
	srv := New(Config{
		Net: w.fake.Host(serverAddr), Addresses: []netip.Addr{serverAddr}, State: state,
		Responders: []Responder{PPTP(), GRE(), IKE(), NATT(), ESP(), AH(), L2TP(), OpenVPNUDP(), OpenVPNTCP(), WireGuard(), SSTP()},
	})
	if err := srv.Start(f.Context()); err != nil {
		f.Fatal(err)
	}
	f.Cleanup(func() { srv.Close() })
	if _, err := srv.gate.Open(otherAddr); err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		for _, k := range srv.host.watches {
			srv.host.incoming(wire.Sighting{
				State: wire.Seen, Where: "nic", Proto: k.proto, Src: netip.AddrPortFrom(otherAddr, 9), Dst: netip.AddrPortFrom(serverAddr, k.port), Bytes: b,
			})
		}
	})
}
