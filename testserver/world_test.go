package testserver

import (
	"context"
	"crypto/tls"
	"net/netip"
	"testing"
	"testing/synctest"
	"time"

	"vpncheck/probe/sock"
	"vpncheck/probe/wire"
)

var (
	serverAddr  = netip.MustParseAddr("198.51.100.10")
	serverOther = netip.MustParseAddr("198.51.100.11")
	server6     = netip.MustParseAddr("2001:db8:1::10")
	laptopAddr  = netip.MustParseAddr("203.0.113.2")
	laptop6     = netip.MustParseAddr("2001:db8:2::2")
	otherAddr   = netip.MustParseAddr("203.0.113.77")
)

// world is a server with two addresses, a laptop and somebody else.
type world struct {
	t             *testing.T
	fake          *sock.Fake
	server        *sock.FakeHost
	laptop, other *sock.FakeHost
	state         *State
	srv           *Server
}

// inWorld runs a test in a bubble with a running server in it, and fails if anything of the server is left running.
func inWorld(t *testing.T, change func(*world, *Config), test func(*world)) {
	t.Helper()
	dir := t.TempDir()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, dir, change)
		if err := w.srv.Start(t.Context()); err != nil {
			t.Fatal(err)
		}
		defer w.srv.Close()
		test(w)
	})
}

func newWorld(t *testing.T, dir string, change func(*world, *Config)) *world {
	t.Helper()
	w := &world{t: t, fake: sock.NewFake()}
	w.server = w.fake.Host(serverAddr, serverOther, server6)
	w.laptop = w.fake.Host(laptopAddr, laptop6)
	w.other = w.fake.Host(otherAddr)
	cfg := Config{
		Net: w.server, Own: []netip.Addr{serverAddr, serverOther, server6}, Responders: []Responder{PPTP(), GRE()}, Build: "test",
	}
	if change != nil {
		change(w, &cfg)
	}
	if cfg.State == nil {
		state, err := OpenState(dir, StateOptions{})
		if err != nil {
			t.Fatal(err)
		}
		cfg.State = state
	}
	w.state = cfg.State
	w.srv = New(cfg)
	return w
}

// client is the laptop's end of a link.
type client struct {
	*world
	conn    *tls.Conn
	session wire.Session
	mint    *wire.Mint
	number  uint32
}

// connect makes a TLS connection from a host of the world.
func (w *world) connect(from *sock.FakeHost, to netip.AddrPort, protocols ...string) *tls.Conn {
	w.t.Helper()
	raw, err := from.Dial(context.Background(), netip.Addr{}, to)
	if err != nil {
		w.t.Fatal(err)
	}
	conn := tls.Client(raw, &tls.Config{
		InsecureSkipVerify: true,
		NextProtos:         protocols,
		VerifyConnection: func(cs tls.ConnectionState) error {
			if wire.PinOf(cs.PeerCertificates[0].RawSubjectPublicKeyInfo) != w.state.ConnString("h", 0).Pin {
				w.t.Error("the certificate does not have the pinned key")
			}
			return nil
		},
	})
	conn.SetDeadline(time.Now().Add(time.Hour))
	if err := conn.Handshake(); err != nil {
		w.t.Fatal(err)
	}
	return conn
}

func (w *world) dialLink(from *sock.FakeHost) *client {
	w.t.Helper()
	return &client{world: w, conn: w.connect(from, netip.AddrPortFrom(serverAddr, 443), wire.LinkProtocol)}
}

// open is a client with a session, which has declared what it is going to ask.
func (w *world) open(from *sock.FakeHost, carriers ...wire.Carrier) *client {
	w.t.Helper()
	return w.openAs("laptop-1", from, carriers...)
}

// openAs is open for one of several laptops behind an address.
func (w *world) openAs(who string, from *sock.FakeHost, carriers ...wire.Carrier) *client {
	w.t.Helper()
	c := w.dialLink(from)
	c.send(wire.Message{Hello: &wire.Hello{Versions: []int{wire.LinkVersion}}})
	c.send(wire.Message{Open: &wire.Open{Access: w.state.ConnString("h", 0).Access, Laptop: wire.Hex(who)}})
	if m := c.recv(); m.Hello == nil {
		w.t.Fatalf("got %+v, want Hello", m)
	}
	m := c.recv()
	if m.Session == nil {
		w.t.Fatalf("got %+v, want Session", m)
	}
	c.session = *m.Session
	c.mint = wire.NewMint(c.session.ID, c.session.Key)
	if len(carriers) > 0 {
		c.send(wire.Message{Declare: &wire.Declare{Conversation: "talk", Protocol: "test", Carriers: carriers}})
		if m := c.recv(); m.Ready == nil || m.Ready.Refused != "" {
			w.t.Fatalf("got %+v, want Ready", m.Ready)
		}
	}
	return c
}

func (c *client) send(m wire.Message) {
	c.t.Helper()
	if err := wire.WriteMessage(c.conn, m); err != nil {
		c.t.Fatal(err)
	}
}

func (c *client) recv() wire.Message {
	c.t.Helper()
	m, err := wire.ReadMessage(c.conn)
	if err != nil {
		c.t.Fatalf("reading the link: %v", err)
	}
	return m
}

// saw is the next message, which must be a Saw.
func (c *client) saw() wire.Saw {
	c.t.Helper()
	m := c.recv()
	if m.Saw == nil {
		c.t.Fatalf("got %+v, want a Saw", m)
	}
	return *m.Saw
}

func (c *client) stray() wire.Stray {
	c.t.Helper()
	m := c.recv()
	if m.Stray == nil {
		c.t.Fatalf("got %+v, want a Stray", m)
	}
	return *m.Stray
}

// quiet checks that nothing is waiting for the client.
func (c *client) quiet() {
	c.t.Helper()
	c.send(wire.Message{Ping: &wire.Ping{N: 7}})
	if m := c.recv(); m.Pong == nil || m.Pong.N != 7 {
		c.t.Fatalf("got %+v, want nothing but the Pong", m)
	}
}

// token is the question's token of the next exchange.
func (c *client) token(carrier wire.Carrier) wire.Token {
	c.number++
	return c.mint.Make(wire.Question, carrier, c.number)
}

// answered checks that a token is the answer's to the newest exchange.
func (c *client) answered(carrier wire.Carrier, t wire.Token) {
	c.t.Helper()
	if !c.mint.Valid(wire.Answer, carrier, t) || t.Exchange() != c.number {
		c.t.Errorf("the answer's token %x is not valid for exchange %d", t, c.number)
	}
}

func (w *world) raw(from *sock.FakeHost, local netip.Addr) sock.Conn {
	w.t.Helper()
	c, err := from.Raw(wire.IPProtoGRE, local)
	if err != nil {
		w.t.Fatal(err)
	}
	w.t.Cleanup(func() { c.Close() })
	c.SetReadDeadline(time.Now().Add(time.Hour))
	return c
}

func (w *world) udp(from *sock.FakeHost, local netip.Addr) sock.Conn {
	w.t.Helper()
	c, err := from.UDP(netip.AddrPortFrom(local, 0))
	if err != nil {
		w.t.Fatal(err)
	}
	w.t.Cleanup(func() { c.Close() })
	c.SetReadDeadline(time.Now().Add(time.Hour))
	return c
}

func (w *world) emit(c sock.Conn, dst netip.AddrPort, payload []byte) {
	w.t.Helper()
	if _, err := c.Send(sock.Out{Dst: dst, Payload: payload}); err != nil {
		w.t.Fatal(err)
	}
}

func (w *world) hear(c sock.Conn) wire.Sighting {
	w.t.Helper()
	s, err := c.Recv()
	if err != nil {
		w.t.Fatal(err)
	}
	return s
}

// left are the packets that left the server, but for TCP, whose packets the fake does not count.
func (w *world) left() []sock.FakePacket { return w.server.Sent() }
