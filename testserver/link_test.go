package testserver

import (
	"context"
	"encoding/binary"
	"errors"
	"io"
	"net"
	"net/netip"
	"strings"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"vpncheck/probe/wire"
	"vpncheck/testserver/gate"
)

func TestSession(t *testing.T) {
	inWorld(t, nil, func(w *world) {
		c := w.open(w.laptop)
		s := c.session
		if s.Client.Addr() != laptopAddr || s.Server != netip.AddrPortFrom(serverAddr, 443) || s.Second != serverOther ||
			s.Control != 8443 || s.Packets != gate.Default.Packets || s.Bytes != gate.Default.Bytes || len(s.Key) != 32 {
			t.Errorf("got %+v", s)
		}
		want := []wire.Carrier{wire.CarrierControl, wire.CarrierPPTP, wire.CarrierGREv1, wire.CarrierGRE}
		for i, c := range s.Carriers {
			if c.Carrier != want[i] || !c.Ready || c.Proof != nil {
				t.Errorf("got %+v, want %s ready and unproven", c, want[i])
			}
		}
		c.send(wire.Message{Bye: &wire.Bye{}})
		if _, err := wire.ReadMessage(c.conn); err != io.EOF {
			t.Errorf("got %v, want the end", err)
		}
		synctest.Wait()
		if st := w.srv.Status(); st.Sessions != 0 || st.Counters.Sessions != 1 {
			t.Errorf("got %+v, want no session", st)
		}
	})
}

// bye is the next message, which must be a Bye, and then the link ends.
func (c *client) bye(reason string) {
	c.t.Helper()
	m := c.recv()
	for m.Hello != nil {
		m = c.recv()
	}
	if m.Bye == nil || m.Bye.Reason != reason {
		c.t.Fatalf("got %+v, want Bye %q", m, reason)
	}
	if m.Bye.Why == "" || strings.Contains(m.Bye.Why, "\n") {
		c.t.Errorf("got %q, want one sentence", m.Bye.Why)
	}
	if _, err := wire.ReadMessage(c.conn); err != io.EOF {
		c.t.Errorf("got %v after Bye, want the end", err)
	}
}

func TestTurnedAway(t *testing.T) {
	hello := wire.Message{Hello: &wire.Hello{Versions: []int{1, 2}}}
	for _, test := range []struct {
		name, reason string
		messages     []wire.Message
	}{
		{"version", "version", []wire.Message{{Hello: &wire.Hello{Versions: []int{2, 3}}}, {Open: &wire.Open{}}}},
		{"no_hello", "protocol", []wire.Message{{Ping: &wire.Ping{}}}},
		{"no_open", "protocol", []wire.Message{hello, {Ping: &wire.Ping{}}}},
		{"wrong_access", "access-wrong", []wire.Message{hello, {Open: &wire.Open{Access: make([]byte, 16)}}}},
		{"no_access", "access-wrong", []wire.Message{hello, {Open: &wire.Open{}}}},
	} {
		t.Run(test.name, func(t *testing.T) {
			inWorld(t, nil, func(w *world) {
				c := w.dialLink(w.laptop)
				for _, m := range test.messages {
					c.send(m)
				}
				c.bye(test.reason)
			})
		})
	}
}

func TestExpired(t *testing.T) {
	inWorld(t, nil, func(w *world) {
		old := w.state.ConnString("h", 0).Access
		if err := w.state.NewAccess(); err != nil {
			t.Fatal(err)
		}
		c := w.dialLink(w.laptop)
		c.send(wire.Message{Hello: &wire.Hello{Versions: []int{1}}})
		c.send(wire.Message{Open: &wire.Open{Access: old}})
		c.bye("access-expired")
		w.open(w.laptop)
	})
}

func TestBusy(t *testing.T) {
	inWorld(t, func(_ *world, c *Config) { c.Limits.SessionsPerAddress = 1 }, func(w *world) {
		w.open(w.laptop)
		c := w.dialLink(w.laptop)
		c.send(wire.Message{Hello: &wire.Hello{Versions: []int{1}}})
		c.send(wire.Message{Open: &wire.Open{Access: w.state.ConnString("h", 0).Access}})
		c.bye("busy")
		w.open(w.other)
	})
}

func TestLifetimeAndStopping(t *testing.T) {
	inWorld(t, func(_ *world, c *Config) { c.Limits.Lifetime = 20 * time.Second }, func(w *world) {
		c := w.open(w.laptop)
		time.Sleep(19 * time.Second)
		c.quiet()
		c.bye("time")
		c = w.open(w.laptop)
		go w.srv.Close()
		c.bye("stopping")
	})
}

func TestBadMessages(t *testing.T) {
	inWorld(t, nil, func(w *world) {
		c := w.open(w.laptop)
		c.conn.Write(binary.BigEndian.AppendUint32(nil, wire.MaxMessage+1))
		c.bye("protocol")
		c = w.open(w.laptop)
		c.conn.Write([]byte("\x00\x00\x00\x04[[[["))
		c.bye("protocol")
		c = w.open(w.laptop)
		for range linkBurst + 1 {
			wire.WriteMessage(c.conn, wire.Message{Bye: nil})
		}
		c.bye("protocol")
	})
}

func TestSilentClients(t *testing.T) {
	inWorld(t, nil, func(w *world) {
		began := time.Now()
		if _, err := w.dialLink(w.laptop).conn.Read(make([]byte, 1)); err == nil {
			t.Error("a link without Hello was answered")
		}
		if d := time.Since(began); d > 11*time.Second {
			t.Errorf("a silent client was kept for %v", d)
		}
		began = time.Now()
		c := w.open(w.laptop)
		if _, err := wire.ReadMessage(c.conn); err == nil || time.Since(began) > 31*time.Second {
			t.Errorf("a session without pings lasted %v, %v", time.Since(began), err)
		}
	})
}

// A client that does not read loses its session; nobody else waits for it.
func TestSlowClient(t *testing.T) {
	inWorld(t, nil, func(w *world) {
		w.open(w.laptop, wire.CarrierGRE)
		slow := w.open(w.other, wire.CarrierGRE)
		conn := w.raw(w.other, otherAddr)
		for range linkQueue + 200 {
			w.emit(conn, netip.AddrPortFrom(serverAddr, 0),
				tunnelPacket(wire.GRE{}, wire.Tag{Token: slow.token(wire.CarrierGRE)}, make([]byte, 800)))
			synctest.Wait()
		}
		time.Sleep(linkWrite + time.Second)
		if n := w.srv.Status().Sessions; n != 1 {
			t.Errorf("got %d sessions, want the slow one gone", n)
		}
	})
}

func TestDeclare(t *testing.T) {
	held := func(w *world, _ *Config) { w.server.Deny = map[string]error{"listen/1723": syscall.EADDRINUSE} }
	inWorld(t, held, func(w *world) {
		c := w.open(w.laptop)
		declare := func(name string, carriers ...wire.Carrier) wire.Ready {
			c.send(wire.Message{Declare: &wire.Declare{Conversation: name, Carriers: carriers}})
			m := c.recv()
			if m.Ready == nil || m.Ready.Conversation != name {
				t.Fatalf("got %+v, want Ready for %q", m, name)
			}
			return *m.Ready
		}
		for _, test := range []struct {
			name    string
			carrier wire.Carrier
			refused string
		}{
			{"pptp", wire.CarrierPPTP, "server-not-listening"},
			{"esp", "esp", "server-not-listening"},
			{"control", wire.CarrierGRE, "protocol"},
			{"", wire.CarrierGRE, "protocol"},
			{strings.Repeat("x", 65), wire.CarrierGRE, "protocol"},
			{"gre", wire.CarrierGRE, ""},
			{"gre", wire.CarrierGRE, "protocol"},
		} {
			if r := declare(test.name, test.carrier); r.Refused != test.refused || (r.Why == "") != (r.Refused == "") {
				t.Errorf("%q: got %+v, want %q", test.name, r, test.refused)
			}
		}
		for i := range maxConversations - 1 {
			declare(strings.Repeat("c", i+1), wire.CarrierGRE)
		}
		if r := declare("more", wire.CarrierGRE); r.Refused != "busy" {
			t.Errorf("got %+v, want busy", r)
		}
	})
}

func TestNotListening(t *testing.T) {
	deny := func(w *world, _ *Config) {
		w.server.Deny = map[string]error{"listen/443": syscall.EACCES, "raw": syscall.EPERM, "syns": syscall.EPERM}
	}
	inWorld(t, deny, func(w *world) {
		st := w.srv.Status()
		if len(st.Links) != 2 || st.Links[0].Port() != 8443 {
			t.Errorf("got links %v, want 8443 of both families", st.Links)
		}
		for _, c := range st.Carriers {
			raw := c.Carrier == wire.CarrierGRE || c.Carrier == wire.CarrierGREv1
			if c.Ready == raw || raw && (c.Why == "" || !strings.Contains(c.Hint, "setcap")) {
				t.Errorf("got %+v", c)
			}
		}
		if len(st.Failures) != 6 { // TCP 443, and protocol 47 for two responders, in two families
			t.Errorf("got %d failures, want 6: %+v", len(st.Failures), st.Failures)
		}
	})
}

func TestNoLinkPort(t *testing.T) {
	dir := t.TempDir()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, dir, func(w *world, _ *Config) { w.server.Deny = map[string]error{"listen": syscall.EADDRINUSE} })
		if err := w.srv.Start(t.Context()); !errors.Is(err, syscall.EADDRINUSE) {
			t.Errorf("got %v, want the reason", err)
		}
	})
}

func TestProofs(t *testing.T) {
	inWorld(t, nil, func(w *world) {
		conn := w.raw(w.other, otherAddr)
		w.emit(conn, netip.AddrPortFrom(serverAddr, 0), []byte{1, 2, 3, 4})
		synctest.Wait()
		own := w.open(w.other)
		for _, c := range w.open(w.laptop).session.Carriers {
			gre := c.Carrier == wire.CarrierGRE || c.Carrier == wire.CarrierGREv1
			if (c.Proof != nil) != gre || gre && (c.Proof.Own || time.Since(c.Proof.At) > time.Second) {
				t.Errorf("got %s with %+v", c.Carrier, c.Proof)
			}
		}
		if p := own.session.Carriers[3].Proof; p == nil || !p.Own {
			t.Errorf("got %+v, want one's own", p)
		}
		if s := w.srv.Status().Carriers[3]; s.From != otherAddr {
			t.Errorf("got %+v, want where it came from", s)
		}
	})
}

func TestHTTP(t *testing.T) {
	inWorld(t, nil, func(w *world) {
		for _, protocols := range [][]string{nil, {"h2", "http/1.1"}, {"h2"}, {"http/1.1"}} {
			conn := w.connect(w.laptop, netip.AddrPortFrom(serverAddr, 443), protocols...)
			io.WriteString(conn, "GET / HTTP/1.1\r\nHost: x\r\n\r\n")
			b, err := io.ReadAll(conn)
			if err != nil || !strings.HasPrefix(string(b), "HTTP/1.1 404 ") {
				t.Errorf("%v: got %q, %v, want a plain 404", protocols, b, err)
			}
		}
	})
}

// Half-open connections are bounded, for an address and in all, and time out.
func TestHalfOpen(t *testing.T) {
	inWorld(t, nil, func(w *world) {
		began := time.Now()
		var conns []net.Conn
		for range doorEach + 1 {
			conn, err := w.laptop.Dial(context.Background(), netip.Addr{}, netip.AddrPortFrom(serverAddr, 443))
			if err != nil {
				t.Fatal(err)
			}
			conns = append(conns, conn)
			synctest.Wait()
		}
		for i, wait := range []time.Duration{0, doorWait} { // the first makes room for the last
			if n, err := conns[i*doorEach].Read(make([]byte, 1)); n != 0 || err == nil || time.Since(began) != wait {
				t.Errorf("connection %d ended with %v after %v, want %v", i*doorEach, err, time.Since(began), wait)
			}
		}
		w.open(w.laptop)
	})
}
