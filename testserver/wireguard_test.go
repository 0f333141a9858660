package testserver

import (
	"bytes"
	"crypto/ecdh"
	"encoding/binary"
	"net/netip"
	"testing"
	"time"

	"vpncheck/probe/sock"
	"vpncheck/probe/wire"
	"vpncheck/testserver/gate"
)

// A wgClient is a client that has declared WireGuard.
type wgClient struct {
	*client
	key    *ecdh.PrivateKey
	server []byte
	conn   sock.Conn
	to     netip.AddrPort
}

func withWireGuard(_ *world, cfg *Config) { cfg.Responders = append(cfg.Responders, WireGuard()) }

func (w *world) wireGuard() *wgClient {
	w.t.Helper()
	c := &wgClient{client: w.open(w.laptop), key: wire.NewWireGuardKey(), to: netip.AddrPortFrom(serverAddr, wire.WireGuardPort)}
	ready := c.declare("talk", c.key.PublicKey().Bytes())
	if ready.Refused != "" || len(ready.Key) != wire.WireGuardKeySize {
		w.t.Fatalf("got %+v, want the server's key", ready)
	}
	c.server, c.conn = ready.Key, w.udp(w.laptop, laptopAddr)
	return c
}

func (c *wgClient) declare(name string, key []byte) wire.Ready {
	c.t.Helper()
	c.send(wire.Message{Declare: &wire.Declare{Conversation: name, Protocol: "wireguard", Carriers: []wire.Carrier{wire.CarrierWireGuard}, Key: key}})
	m := c.recv()
	if m.Ready == nil {
		c.t.Fatalf("got %+v, want Ready", m)
	}
	return *m.Ready
}

// opening is an initiation for the next exchange.
func (c *wgClient) opening(key *ecdh.PrivateKey, server []byte, at time.Time) *wire.WireGuardOpening {
	c.t.Helper()
	c.number++
	o, err := wire.OpenWireGuard(key, server, c.number^binary.BigEndian.Uint32(c.mint.Derive(wire.WireGuardIndexLabel)), at)
	if err != nil {
		c.t.Fatal(err)
	}
	return o
}

// tunnel holds a handshake.
func (c *wgClient) tunnel() *wire.WireGuardTunnel {
	c.t.Helper()
	o := c.opening(c.key, c.server, time.Now())
	c.emit(c.conn, c.to, o.Message)
	s := c.hear(c.conn)
	t, err := o.Answered(s.Bytes)
	if err != nil {
		c.t.Fatal(err)
	}
	if saw := c.saw(); saw.Exchange != c.number || saw.Silent != "" || !bytes.Equal(saw.Replied.Bytes, s.Bytes) {
		c.t.Errorf("got %+v, want exchange %d answered", saw, c.number)
	}
	return t
}

func wgInner(t wire.Token) []byte {
	src, dst := netip.MustParseAddrPort("10.68.0.2:9"), netip.MustParseAddrPort("10.68.0.1:9")
	udp := wire.AppendUDP(nil, src, dst, append(wire.Tag{Token: t}.Append(nil), "and the rest"...))
	return wire.IPv4{TTL: 64, Protocol: wire.IPProtoUDP, Src: src.Addr(), Dst: dst.Addr()}.AppendPacket(nil, udp)
}

func TestWireGuard(t *testing.T) {
	inWorld(t, withWireGuard, func(w *world) {
		c := w.wireGuard()
		tunnel := c.tunnel()
		for counter := range uint64(3) {
			question := tunnel.Seal(counter, wgInner(c.token(wire.CarrierWireGuard)))
			c.emit(c.conn, c.to, question)
			s := c.hear(c.conn)
			packet, err := tunnel.Open(s.Bytes)
			if err != nil || len(s.Bytes) != len(question) {
				t.Fatalf("got %d octets for %d, %v", len(s.Bytes), len(question), err)
			}
			in, err := parseInner(packet)
			if err != nil || in.inner.Dst != netip.MustParseAddr("10.68.0.2") || string(in.rest) != "and the rest" {
				t.Fatalf("got %+v, %v, want it turned round", in, err)
			}
			c.answered(wire.CarrierWireGuard, in.tag.Token)
			if in.tag.Nonce != ([wire.NonceSize]byte{}) {
				t.Error("an answer has a nonce, which the client could read in what the side channel tells of it")
			}
			if saw := c.saw(); saw.Exchange != c.number || saw.Silent != "" {
				t.Errorf("got %+v", saw)
			}
		}
	})
}

// Who is no peer gets no answer: with a key of his own, without the server's, after the end, or with another's token.
func TestWireGuardStrangers(t *testing.T) {
	inWorld(t, withWireGuard, func(w *world) {
		c := w.wireGuard()
		tunnel := c.tunnel()
		other := w.open(w.laptop, wire.CarrierGRE)
		silent := func(what string, b []byte) {
			t.Helper()
			before := len(w.left())
			c.emit(c.conn, c.to, b)
			c.stray()
			if len(w.left()) != before {
				t.Errorf("%s was answered", what)
			}
		}
		silent("a stranger's key", c.opening(wire.NewWireGuardKey(), c.server, time.Now()).Message)
		silent("an initiation to another server", c.opening(c.key, wire.NewWireGuardKey().PublicKey().Bytes(), time.Now()).Message)
		silent("another session's token", tunnel.Seal(0, wgInner(other.token(wire.CarrierWireGuard))))
		damaged := c.opening(c.key, c.server, time.Now()).Message
		damaged[100] ^= 1
		silent("a damaged initiation", damaged)

		genuine := tunnel.Seal(1, wgInner(c.token(wire.CarrierWireGuard)))
		c.send(wire.Message{Finish: &wire.Finish{Conversation: "talk"}})
		if m := c.recv(); m.Settled == nil {
			t.Fatalf("got %+v, want Settled", m)
		}
		before := len(w.left())
		c.emit(c.conn, c.to, genuine)
		c.emit(c.conn, c.to, c.opening(c.key, c.server, time.Now()).Message)
		c.quiet()
		time.Sleep(time.Second)
		if len(w.left()) != before {
			t.Error("a finished conversation's peer was answered")
		}
	})
}

// Two initiations with one timestamp are a replay, and so is one with another's index; octets repeated are answered with the same.
func TestWireGuardReplay(t *testing.T) {
	inWorld(t, withWireGuard, func(w *world) {
		c := w.wireGuard()
		at := time.Now()
		first, second := c.opening(c.key, c.server, at), c.opening(c.key, c.server, at)
		c.number--
		c.emit(c.conn, c.to, first.Message)
		answer := c.hear(c.conn)
		c.saw()
		c.emit(c.conn, c.to, first.Message)
		if again := c.hear(c.conn); !bytes.Equal(again.Bytes, answer.Bytes) {
			t.Error("a retransmission got another answer")
		}
		c.saw()
		c.emit(c.conn, c.to, second.Message)
		if s := c.saw(); s.Silent != gate.SilentReplay || s.Replied.State != wire.Absent {
			t.Errorf("got %+v, want a replay", s)
		}
	})
}

// A key is one session's, and has 32 octets.
func TestWireGuardKeys(t *testing.T) {
	inWorld(t, withWireGuard, func(w *world) {
		c := w.wireGuard()
		d := &wgClient{client: w.open(w.laptop)}
		for name, key := range map[string][]byte{"taken": c.key.PublicKey().Bytes(), "short": make([]byte, 31), "none": nil} {
			if r := d.declare(name, key); r.Refused != refusedProtocol || r.Key != nil {
				t.Errorf("%s: got %+v, want a refusal", name, r)
			}
		}
		if r := d.declare("own", wire.NewWireGuardKey().PublicKey().Bytes()); r.Refused != "" {
			t.Errorf("got %+v", r)
		}
	})
}

// What a session may make the server keep is bounded, and so are the key exchanges of those who know its key.
func TestWireGuardBounds(t *testing.T) {
	g := newWireGuard(wire.NewWireGuardKey())
	s, own := &gate.Session{}, wire.NewWireGuardKey()
	g.enrol(s, own.PublicKey().Bytes())
	p := g.peers[[32]byte(own.PublicKey().Bytes())]
	read, began := 0, time.Now()
	for i := range 3 * linkBurst {
		o, err := wire.OpenWireGuard(own, g.public, uint32(i), time.Unix(1e9+int64(i), 0))
		if err != nil {
			t.Fatal(err)
		}
		if in := g.read(o.Message, nil); in != nil {
			read++
			g.open(s, p, in)
		}
	}
	if most := linkBurst + 1 + int(linkRate*time.Since(began).Seconds()); read < linkBurst || read > most {
		t.Errorf("%d initiations were read of %d at once, want %d at most", read, 3*linkBurst, most)
	}
	if len(g.tunnels) != wireGuardTunnels || len(p.made) != wireGuardTunnels {
		t.Errorf("%d tunnels are kept, %d are known, want %d", len(g.tunnels), len(p.made), wireGuardTunnels)
	}
	if g.dismiss(s); len(g.tunnels)+len(g.peers)+len(g.of) != 0 {
		t.Errorf("%d tunnels and %d peers are left", len(g.tunnels), len(g.peers))
	}
}

// An initiation that was read before its peer was dismissed, and is answered after, leaves nothing behind.
func TestWireGuardDismissedMeanwhile(t *testing.T) {
	g := newWireGuard(wire.NewWireGuardKey())
	s, own := &gate.Session{}, wire.NewWireGuardKey()
	g.enrol(s, own.PublicKey().Bytes())
	p := g.of[s]
	o, err := wire.OpenWireGuard(own, g.public, 1, time.Now())
	if err != nil {
		t.Fatal(err)
	}
	in := g.read(o.Message, nil)
	g.dismiss(s)
	for _, again := range []bool{false, true} {
		if again {
			g.enrol(s, own.PublicKey().Bytes())
		}
		if _, silent := g.open(s, p, in); silent != gate.SilentToken || len(g.tunnels) != 0 {
			t.Errorf("got %q, and %d tunnels that nobody will take away", silent, len(g.tunnels))
		}
	}
}

// Who knows the server's key and sends initiations without end, from wherever, keeps no peer out.
func TestWireGuardFlood(t *testing.T) {
	inWorld(t, withWireGuard, func(w *world) {
		c := w.wireGuard()
		flood := w.udp(w.other, otherAddr)
		for range 3 * linkBurst {
			c.emit(flood, c.to, c.opening(wire.NewWireGuardKey(), c.server, time.Now()).Message)
		}
		c.tunnel()
	})
}

// A key of 20,000 octets is not kept for as long as its conversation is open, whatever that is about.
func TestWireGuardLongKey(t *testing.T) {
	inWorld(t, withWireGuard, func(w *world) {
		c := w.open(w.laptop)
		c.send(wire.Message{Declare: &wire.Declare{Conversation: "talk", Carriers: []wire.Carrier{wire.CarrierGRE}, Key: make([]byte, 20_000)}})
		if m := c.recv(); m.Ready == nil || m.Ready.Refused != "" {
			t.Fatalf("got %+v, want Ready", m)
		}
		for _, o := range w.srv.host.links.all()[0].desk.open {
			if len(o.Key) > 0 {
				t.Errorf("%d octets of a key are kept", len(o.Key))
			}
		}
	})
}
