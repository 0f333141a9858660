//go:build linux

package netlab

import (
	"net"
	"net/netip"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// TestRefusals reads the ICMP errors that a laptop hears, and who sent them.
func TestRefusals(t *testing.T) {
	needLab(t)
	for _, w := range []struct {
		router string
		ask    func(t *testing.T, l *Lab)
		code   byte
		from   func(l *Lab) netip.Addr
	}{
		{"esp-refused", rawly(esp, security()), 2, home},
		{"gre-refused", rawly(gre, gre0()), 13, home},
		{"natt-refused", func(t *testing.T, l *Lab) { udpPair(t, l, 4500, 4500, l.Addr(Server)).c.Write([]byte("?")) }, 13, home},
		{"pptp-refused", func(_ *testing.T, l *Lab) { dial(l, l.Addr(Server), 1723) }, 3, home},
		{"refused", func(t *testing.T, l *Lab) { udpPair(t, l, 500, 500, l.Addr(Server)).c.Write([]byte("?")) }, 3, (*Lab).server},
	} {
		t.Run(w.router, func(t *testing.T) {
			t.Parallel()
			l := build(t, w.router)
			errors := raw(t, l, Laptop, icmp)
			w.ask(t, l)
			b, from, ok := next(errors, patience)
			if !ok || len(b) < 2 || b[0] != 3 || b[1] != w.code || from != w.from(l) {
				t.Errorf("got %x from %v, want 3/%d from %v", b, from, w.code, w.from(l))
			}
		})
	}
}

func home(l *Lab) netip.Addr      { return l.Addr(Home) }
func (l *Lab) server() netip.Addr { return l.Addr(Server) }
func rawly(proto int, pkt []byte) func(*testing.T, *Lab) {
	return func(t *testing.T, l *Lab) { send(t, raw(t, l, Laptop, proto), l.Addr(Server), pkt) }
}

// TestNoMapping reads what the server hears about answers that fit no flow of the NAT.
func TestNoMapping(t *testing.T) {
	needLab(t)
	for name, answers := range map[string]bool{"linux-answers": true, "nat2-answers": true, "linux": false, "double-nat": false} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			l := build(t, name)
			errors := raw(t, l, Server, icmp)
			k, err := pptp(t, l, 0)
			if err != nil {
				t.Fatal(err)
			}
			send(t, raw(t, l, Server, gre), k.from, gre1(k.seen))
			b, from, ok := next(errors, silence)
			if ok != answers || ok && (b[0] != 3 || b[1] != 2 || from != k.from) {
				t.Errorf("got %x from %v, want an answer: %v", b, from, answers)
			}
		})
	}
}

// TestHops sends what can cross one router only, and finds who lets it so far (T08).
func TestHops(t *testing.T) {
	needLab(t)
	for name, beyond := range map[string]bool{"isp-esp": true, "isp-esp-ingress": false, "esp-out": false, "nat2-esp": true, "linux": true} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			l := build(t, name)
			errors, c := raw(t, l, Laptop, icmp), raw(t, l, Laptop, esp)
			setTTL(t, c, 2)
			send(t, c, l.Addr(Server), security())
			b, from, ok := next(errors, silence)
			if ok != beyond || ok && (b[0] != 11 || from == l.Addr(Home)) {
				t.Errorf("got %x from %v, want an answer from the second router: %v", b, from, beyond)
			}
		})
	}
}

func setTTL(t *testing.T, c *net.IPConn, ttl int) {
	t.Helper()
	rc, err := c.SyscallConn()
	if err != nil {
		t.Fatal(err)
	}
	rc.Control(func(fd uintptr) { err = unix.SetsockoptInt(int(fd), unix.IPPROTO_IP, unix.IP_TTL, ttl) })
	if err != nil {
		t.Fatal(err)
	}
}

// TestStaleState forbids new flows and leaves the old ones alone.
func TestStaleState(t *testing.T) {
	needLab(t)
	t.Parallel()
	l := build(t, "stale-state")
	for from, want := range map[int]string{500: "both", 40500: "none"} {
		p := udpPair(t, l, from, 500, l.Addr(Server))
		if got := p.talk(t); got != want {
			t.Errorf("from port %d: got %q, want %q", from, got, want)
		}
		p.c.Close()
		p.s.Close()
	}
	for to, want := range map[netip.Addr]string{l.Addr(Server): "both", l.Second(): "none"} {
		if got, _ := echo(t, raw(t, l, Laptop, esp), rawOn(t, l, Server, l.Inside(to), esp), to, security()); got != want {
			t.Errorf("ESP to %v: got %q, want %q", to, got, want)
		}
	}
}

// TestOpenings sends what reads as IKE, and what does not.
func TestOpenings(t *testing.T) {
	needLab(t)
	t.Parallel()
	l := build(t, "dpi-ike")
	ike := func(before int, version, exchange byte) []byte {
		b := make([]byte, before+28)
		b[before+17], b[before+18] = version, exchange
		return b
	}
	for _, w := range []struct {
		port int
		b    []byte
		want bool
	}{
		{500, ike(0, 0x20, 34), false}, {500, ike(0, 0x10, 2), false}, {500, ike(0, 0x20, 35), true}, {500, ike(4, 0x20, 34), true},
		{4500, ike(4, 0x20, 34), false}, {4500, ike(0, 0x20, 34), true}, {9, ike(0, 0x20, 34), true}, {500, []byte("short"), true},
	} {
		p := udpPair(t, l, 0, w.port, l.Addr(Server))
		p.c.Write(w.b)
		p.s.SetReadDeadline(time.Now().Add(silence))
		if _, _, err := p.s.ReadFrom(make([]byte, 64)); (err == nil) != w.want {
			t.Errorf("%x to port %d: arrived: %v, want %v", w.b, w.port, err == nil, w.want)
		}
		p.c.Close()
		p.s.Close()
	}
}

// TestInitiation sends what reads as the opening of WireGuard, and what does not.
func TestInitiation(t *testing.T) {
	needLab(t)
	t.Parallel()
	l := build(t, "dpi-wireguard")
	message := func(octets int, begins ...byte) []byte { return append(begins, make([]byte, octets-len(begins))...) }
	for _, w := range []struct {
		port int
		b    []byte
		want bool
	}{
		{51820, message(148, 1), false}, {9, message(148, 1), false}, {51820, message(147, 1), true}, {51820, message(149, 1), true},
		{51820, message(148, 2), true}, {51820, message(148, 1, 0, 1), true}, {51820, []byte("short"), true},
	} {
		p := udpPair(t, l, 0, w.port, l.Addr(Server))
		p.c.Write(w.b)
		p.s.SetReadDeadline(time.Now().Add(silence))
		if _, _, err := p.s.ReadFrom(make([]byte, 256)); (err == nil) != w.want {
			t.Errorf("%d octets, %x... to port %d: arrived: %v, want %v", len(w.b), w.b[:4], w.port, err == nil, w.want)
		}
		p.c.Close()
		p.s.Close()
	}
}

// TestAfterEight counts how many packets of a flow to WireGuard's port are answered, and of one to another.
func TestAfterEight(t *testing.T) {
	needLab(t)
	t.Parallel()
	l := build(t, "after-8-packets")
	for port, want := range map[int]int{51820: 8, 9: 12} {
		p := udpPair(t, l, 0, port, l.Addr(Server))
		got := 0
		for range 12 {
			p.c.Write([]byte("packet"))
			p.s.SetReadDeadline(time.Now().Add(silence))
			b := make([]byte, 64)
			n, from, err := p.s.ReadFrom(b)
			if err != nil {
				continue
			}
			p.s.WriteTo(b[:n], from)
			p.c.SetReadDeadline(time.Now().Add(silence))
			if _, err := p.c.Read(b); err == nil {
				got++
			}
		}
		if got != want {
			t.Errorf("port %d: %d packets were answered, want %d", port, got, want)
		}
		p.c.Close()
		p.s.Close()
	}
}

// TestLimiter sends twenty packets at once, and then one a second.
func TestLimiter(t *testing.T) {
	needLab(t)
	t.Parallel()
	l := build(t, "limiter")
	c, s := raw(t, l, Laptop, esp), raw(t, l, Server, esp)
	for range 20 {
		send(t, c, l.Addr(Server), security())
	}
	got := 0
	for {
		if _, _, ok := next(s, silence); !ok {
			break
		}
		got++
	}
	if got < 2 || got > 5 {
		t.Errorf("of twenty at once got %d, want three or so", got)
	}
	for i := range 3 {
		time.Sleep(1100 * time.Millisecond)
		if got, _ := echo(t, c, s, l.Addr(Server), security()); got != "both" {
			t.Errorf("packet %d, a second after the other: got %q, want both ways", i, got)
		}
	}
}

// TestNarrow sends packets of all sizes, with their IP header.
func TestNarrow(t *testing.T) {
	needLab(t)
	t.Parallel()
	l := build(t, "narrow")
	c, s := raw(t, l, Laptop, esp), raw(t, l, Server, esp)
	for size, want := range map[int]bool{100: true, 1300: true, 1301: false, 1500: false} {
		send(t, c, l.Addr(Server), make([]byte, size-20))
		if _, _, ok := next(s, silence); ok != want {
			t.Errorf("%d octets: arrived: %v, want %v", size, ok, want)
		}
	}
}

// What IP cuts crosses a good router whole, and is dropped where the router says so, that way alone (F07).
func TestFragments(t *testing.T) {
	needLab(t)
	t.Parallel()
	for name, want := range map[string][2]bool{"linux": {true, true}, "fragments-out": {false, true}, "fragments-back": {true, false}} {
		l := build(t, name)
		p := udpPair(t, l, 4500, 4500, l.Addr(Server))
		arrives := func(to *net.UDPConn, size int, want bool) (from netip.AddrPort) {
			to.SetReadDeadline(time.Now().Add(silence))
			n, from, err := to.ReadFromUDPAddrPort(make([]byte, 4000))
			if got := err == nil && n == size; got != want {
				t.Errorf("%s: %d octets at %v: arrived: %t, want %t", name, size, to.LocalAddr(), got, want)
			}
			return from
		}
		p.c.Write(make([]byte, 100))
		client := arrives(p.s, 100, true)
		p.c.Write(make([]byte, 2000))
		arrives(p.s, 2000, want[0])
		for size, want := range map[int]bool{100: true, 2000: want[1]} {
			p.s.WriteToUDPAddrPort(make([]byte, size), client)
			arrives(p.c, size, want)
		}
	}
}
