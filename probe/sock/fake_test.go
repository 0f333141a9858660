package sock

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net"
	"net/netip"
	"os"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"vpncheck/probe/wire"
)

var (
	inside  = netip.MustParseAddr("192.168.1.10")
	public  = netip.MustParseAddr("203.0.113.7")
	outside = netip.MustParseAddr("198.51.100.1")
	second  = netip.MustParseAddr("198.51.100.2")
)

// nat is the router of Fake's documentation.
func nat(p FakePacket) []FakePacket {
	switch {
	case p.Src.Addr() == inside:
		p.Src = netip.AddrPortFrom(public, p.Src.Port())
	case p.Dst.Addr() == public:
		p.Dst = netip.AddrPortFrom(inside, p.Dst.Port())
	default:
		return nil
	}
	return []FakePacket{p}
}

func fakePair() (f *Fake, laptop, server *FakeHost) {
	f = NewFake()
	f.Between = nat
	return f, f.Host(inside), f.Host(outside, second)
}

func must[T any](v T, err error) T {
	if err != nil {
		panic(err)
	}
	return v
}

func to(a netip.Addr, port uint16) netip.AddrPort { return netip.AddrPortFrom(a, port) }

// echo answers n packets from the address that was asked.
func echo(c Conn, n int) error {
	for range n {
		s, err := c.Recv()
		if err != nil {
			return err
		}
		if _, err := c.Send(Out{Dst: s.Src, Src: s.Dst.Addr(), DSCP: *s.DSCP, DF: true, Payload: s.Bytes}); err != nil {
			return err
		}
	}
	return nil
}

func TestFakePackets(t *testing.T) {
	for _, kind := range []string{"raw", "udp"} {
		t.Run(kind, func(t *testing.T) {
			_, laptop, server := fakePair()
			var a, b Conn
			if kind == "raw" {
				a, b = must(laptop.Raw(47, netip.IPv4Unspecified())), must(server.Raw(47, netip.IPv4Unspecified()))
			} else {
				a, b = must(laptop.UDP(to(inside, 0))), must(server.UDP(to(netip.IPv4Unspecified(), 500)))
			}
			sent := must(a.Send(Out{Dst: to(second, 500), TTL: 10, DSCP: 46, DF: true, Payload: []byte("hello")}))
			arrived := must(b.Recv())
			if *sent.TTL != 10 || *arrived.TTL != 8 || *arrived.DSCP != 46 || string(arrived.Bytes) != "hello" || !*sent.DF {
				t.Errorf("sent %+v, arrived %+v", sent, arrived)
			}
			if sent.Src.Addr() != inside || arrived.Src.Addr() != public || arrived.Dst.Addr() != second {
				t.Errorf("got %v -> %v and %v -> %v", sent.Src, sent.Dst, arrived.Src, arrived.Dst)
			}
			if kind == "raw" && (*arrived.IPID != *sent.IPID || *sent.IPID == 0 || !*arrived.DF || arrived.Src.Port() != 0) {
				t.Errorf("sent %+v, arrived %+v", sent, arrived)
			}
			if kind == "udp" && (arrived.IPID != nil || arrived.DF != nil || arrived.Src.Port() != a.Local().Port()) {
				t.Errorf("arrived %+v", arrived)
			}
			must(b.Send(Out{Dst: arrived.Src, Src: arrived.Dst.Addr(), Payload: []byte("back")}))
			if s := must(a.Recv()); s.Src.Addr() != second || s.Dst.Addr() != inside || string(s.Bytes) != "back" || *s.TTL != 62 {
				t.Errorf("got back %+v", s)
			}
			if n := [4]int{len(laptop.Sent()), len(laptop.Received()), len(server.Sent()), len(server.Received())}; n != [4]int{1, 1, 1, 1} {
				t.Errorf("counted %v", n)
			}
		})
	}
}

// TestFakeBetween has one row per thing that a router can do to a packet.
func TestFakeBetween(t *testing.T) {
	pass := func(p FakePacket) []FakePacket { return []FakePacket{p} }
	for _, tt := range []struct {
		name    string
		between func(FakePacket) []FakePacket
		ttl     uint8
		want    []string // what the server gets
		back    string   // what the laptop gets
	}{
		{"nothing-between", nil, 0, []string{"abc"}, ""},
		{"passed", pass, 0, []string{"abc"}, ""},
		{"dropped", func(FakePacket) []FakePacket { return nil }, 0, nil, ""},
		{"doubled", func(p FakePacket) []FakePacket { return []FakePacket{p, p} }, 0, []string{"abc", "abc"}, ""},
		{"changed", func(p FakePacket) []FakePacket { p.Payload[0] = 'X'; return []FakePacket{p} }, 0, []string{"Xbc"}, ""},
		{"reset", func(p FakePacket) []FakePacket { p.Reset = true; return []FakePacket{p} }, 0, nil, ""},
		{"reflected", func(p FakePacket) []FakePacket { p.Src, p.Dst = p.Dst, p.Src; return []FakePacket{p} }, 0, nil, "abc"},
		{"nobody-there", func(p FakePacket) []FakePacket { p.Dst = to(public, 0); return []FakePacket{p} }, 0, nil, ""},
		{"ttl-spent", pass, 2, nil, ""},
		{"ttl-enough", pass, 3, []string{"abc"}, ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			f, laptop, server := fakePair()
			f.Between = tt.between
			a, b := must(laptop.Raw(50, inside)), must(server.Raw(50, outside))
			other, copied := must(server.Raw(51, outside)), must(server.Raw(50, netip.IPv4Unspecified()))
			payload := []byte("abc")
			sent := must(a.Send(Out{Dst: to(outside, 0), TTL: tt.ttl, Payload: payload}))
			if string(sent.Bytes) != "abc" || string(payload) != "abc" || string(laptop.Sent()[0].Payload) != "abc" {
				t.Errorf("a router changed what was sent: %s, %s", sent.Bytes, payload)
			}
			for _, c := range []Conn{b, copied} {
				for _, want := range tt.want {
					if s := must(c.Recv()); string(s.Bytes) != want {
						t.Errorf("arrived %q, want %q", s.Bytes, want)
					}
				}
			}
			if tt.back != "" {
				if s := must(a.Recv()); string(s.Bytes) != tt.back {
					t.Errorf("came back %q, want %q", s.Bytes, tt.back)
				}
			}
			for _, c := range []Conn{a, b, other, copied} {
				c.SetReadDeadline(time.Now())
				if s, err := c.Recv(); !errors.Is(err, os.ErrDeadlineExceeded) {
					t.Errorf("got %+v, %v, want nothing more", s, err)
				}
			}
		})
	}
}

func TestFakeSelf(t *testing.T) {
	f, _, server := fakePair()
	f.Between = func(p FakePacket) []FakePacket { t.Error("a packet to itself left the host"); return nil }
	a, b := must(server.UDP(to(outside, 1))), must(server.UDP(to(second, 2)))
	must(a.Send(Out{Dst: b.Local(), Payload: []byte("x")}))
	if s := must(b.Recv()); *s.TTL != 64 || s.Src != a.Local() {
		t.Errorf("got %+v", s)
	}
}

func TestFakeErrors(t *testing.T) {
	_, laptop, server := fakePair()
	laptop.Deny = map[string]error{
		"raw/50": os.ErrPermission, "udp/500": syscall.EADDRINUSE, "syns": errors.ErrUnsupported, "send/47": syscall.EPERM,
		"dial/22": syscall.EHOSTUNREACH, "listen/1723": syscall.EACCES,
	}
	server.Route = func(p *FakePacket) error {
		if p.Dst.Port() == 9 {
			return syscall.EMSGSIZE
		}
		p.DSCP = 7
		return nil
	}
	gre, u := must(laptop.Raw(47, inside)), must(server.UDP(to(outside, 4500)))
	if s := must(u.Send(Out{Dst: to(public, 1)})); *s.DSCP != 7 {
		t.Errorf("got DSCP %d, want what Route made of it", *s.DSCP)
	}
	for _, tt := range []struct {
		name string
		err  func() error
		want error
	}{
		{"raw-denied", func() error { _, err := laptop.Raw(50, inside); return err }, os.ErrPermission},
		{"raw-foreign-address", func() error { _, err := laptop.Raw(47, outside); return err }, syscall.EADDRNOTAVAIL},
		{"raw-no-address", func() error { _, err := laptop.Raw(47, netip.Addr{}); return err }, errFamily},
		{"udp-denied", func() error { _, err := laptop.UDP(to(inside, 500)); return err }, syscall.EADDRINUSE},
		{"udp-held", func() error { _, err := server.UDP(to(netip.IPv4Unspecified(), 4500)); return err }, syscall.EADDRINUSE},
		{"syns-denied", func() error { _, err := laptop.SYNs(1, inside); return err }, errors.ErrUnsupported},
		{"dial-denied", func() error { _, err := laptop.Dial(t.Context(), inside, to(outside, 22)); return err }, syscall.EHOSTUNREACH},
		{"listen-denied", func() error { _, err := laptop.Listen(to(inside, 1723)); return err }, syscall.EACCES},
		{"send-denied", func() error { _, err := gre.Send(Out{Dst: to(outside, 0)}); return err }, syscall.EPERM},
		{"send-by-route", func() error { _, err := u.Send(Out{Dst: to(public, 9)}); return err }, syscall.EMSGSIZE},
		{"send-too-big", func() error { _, err := u.Send(Out{Dst: to(public, 1), Payload: make([]byte, 65535)}); return err }, syscall.EMSGSIZE},
		{"send-foreign-source", func() error { _, err := u.Send(Out{Dst: to(public, 1), Src: inside}); return err }, syscall.EADDRNOTAVAIL},
		{"send-other-family", func() error { _, err := u.Send(Out{Dst: to(netip.IPv6Loopback(), 1)}); return err }, syscall.EAFNOSUPPORT},
		{"no-route", func() error { _, err := laptop.Source(netip.IPv6Loopback()); return err }, syscall.ENETUNREACH},
	} {
		if err := tt.err(); !errors.Is(err, tt.want) {
			t.Errorf("%s: got %v, want %v", tt.name, err, tt.want)
		}
	}
}

func TestFakeClose(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		_, laptop, server := fakePair()
		c := must(laptop.UDP(to(inside, 0)))
		got := make(chan error)
		go func() { _, err := c.Recv(); got <- err }()
		synctest.Wait()
		c.Close()
		if err := <-got; !errors.Is(err, net.ErrClosed) {
			t.Errorf("got %v, want net.ErrClosed", err)
		}
		if _, err := c.Send(Out{Dst: to(outside, 1)}); !errors.Is(err, net.ErrClosed) {
			t.Errorf("got %v, want net.ErrClosed", err)
		}
		must(laptop.UDP(c.Local())).Close()

		l := must(server.Listen(to(outside, 0)))
		go func() { _, err := l.Accept(); got <- err }()
		synctest.Wait()
		l.Close()
		if err := <-got; !errors.Is(err, net.ErrClosed) {
			t.Errorf("got %v, want net.ErrClosed", err)
		}
	})
}

func TestFakeDelayAndDeadline(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f, laptop, server := fakePair()
		f.Delay = 50 * time.Millisecond
		a, b := must(laptop.Raw(47, inside)), must(server.Raw(47, outside))
		start := time.Now()
		must(a.Send(Out{Dst: to(outside, 0), Payload: []byte("x")}))
		b.SetReadDeadline(start.Add(20 * time.Millisecond))
		if _, err := b.Recv(); !errors.Is(err, os.ErrDeadlineExceeded) || time.Since(start) != 20*time.Millisecond {
			t.Errorf("got %v after %v", err, time.Since(start))
		}
		b.SetReadDeadline(time.Time{})
		if s := must(b.Recv()); s.At.Sub(start) != f.Delay || time.Since(start) != f.Delay {
			t.Errorf("arrived after %v, said %v", time.Since(start), s.At.Sub(start))
		}
		// A deadline that is set while someone waits counts.
		got := make(chan error)
		go func() { _, err := b.Recv(); got <- err }()
		synctest.Wait()
		b.SetReadDeadline(time.Now().Add(time.Second))
		if err := <-got; !errors.Is(err, os.ErrDeadlineExceeded) {
			t.Errorf("got %v", err)
		}
	})
}

func TestFakeFull(t *testing.T) {
	_, laptop, server := fakePair()
	a, b := must(laptop.Raw(47, inside)), must(server.Raw(47, outside))
	for range fakeBacklog + 10 {
		must(a.Send(Out{Dst: to(outside, 0)}))
	}
	b.SetReadDeadline(time.Now().Add(time.Second))
	for n := 0; ; n++ {
		if n == fakeBacklog {
			b.SetReadDeadline(time.Now())
		}
		if _, err := b.Recv(); err != nil {
			if n != fakeBacklog {
				t.Errorf("kept %d packets, want %d: %v", n, fakeBacklog, err)
			}
			return
		}
	}
}

func TestFakeTCP(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f, laptop, server := fakePair()
		f.Delay = 10 * time.Millisecond
		f.Stream = func(b []byte, toServer bool) []byte {
			if toServer {
				return bytes.ToUpper(b)
			}
			return b
		}
		syns := must(server.SYNs(1723, netip.IPv4Unspecified()))
		l := must(server.Listen(to(netip.IPv4Unspecified(), 1723)))
		go func() {
			c := must(l.Accept())
			io.Copy(c, c)
			c.Close()
		}()
		start := time.Now()
		c := must(laptop.Dial(t.Context(), netip.Addr{}, to(second, 1723)))
		if d := time.Since(start); d != 2*f.Delay {
			t.Errorf("connected after %v", d)
		}
		syn := must(syns.Recv())
		here := localAddr(c.LocalAddr())
		if here.Addr() != inside || c.RemoteAddr().String() != "198.51.100.2:1723" {
			t.Errorf("client has %v -> %v", c.LocalAddr(), c.RemoteAddr())
		}
		if got, ok := parseSYN(syn.Bytes, 1723); !ok || got.src != here.Port() || syn.Src != to(public, here.Port()) || *syn.TTL != 62 {
			t.Errorf("the SYN was %+v", syn)
		}
		must(c.Write([]byte("hello")))
		b := make([]byte, 3)
		must(io.ReadFull(c, b))
		if string(b) != "HEL" || time.Since(start) != 4*f.Delay {
			t.Errorf("got %q after %v", b, time.Since(start))
		}
		c.(interface{ CloseWrite() error }).CloseWrite()
		if rest := must(io.ReadAll(c)); string(rest) != "LO" {
			t.Errorf("got %q, then the end", rest)
		}
		if _, err := c.Write([]byte("x")); !errors.Is(err, net.ErrClosed) {
			t.Errorf("got %v", err)
		}
	})
}

func TestFakeTCPEnds(t *testing.T) {
	pair := func(t *testing.T) (f *Fake, a, b net.Conn) {
		f, laptop, server := fakePair()
		l := must(server.Listen(to(netip.Addr{}, 1723)))
		a = must(laptop.Dial(t.Context(), inside, to(outside, 1723)))
		return f, a, must(l.Accept())
	}
	for _, tt := range []struct {
		name string
		do   func(f *Fake, a, b net.Conn) error
		want error
	}{
		{"read-deadline", func(f *Fake, a, b net.Conn) error {
			a.SetDeadline(time.Now().Add(time.Second))
			_, err := a.Read(make([]byte, 1))
			return err
		}, os.ErrDeadlineExceeded},
		{"write-deadline", func(f *Fake, a, b net.Conn) error {
			a.SetWriteDeadline(time.Now().Add(time.Second))
			for {
				if _, err := a.Write(make([]byte, 1000)); err != nil {
					return err
				}
			}
		}, os.ErrDeadlineExceeded},
		{"peer-closed", func(f *Fake, a, b net.Conn) error {
			b.Close()
			_, err := a.Read(make([]byte, 1))
			return err
		}, io.EOF},
		{"write-to-closed-peer", func(f *Fake, a, b net.Conn) error {
			b.Close()
			_, err := a.Write([]byte("x"))
			return err
		}, syscall.EPIPE},
		{"own-close", func(f *Fake, a, b net.Conn) error {
			go func() { time.Sleep(time.Second); a.Close() }()
			_, err := a.Read(make([]byte, 1))
			return err
		}, net.ErrClosed},
		{"cut", func(f *Fake, a, b net.Conn) error {
			must(b.Write([]byte("lost")))
			f.Cut()
			if _, err := b.Write([]byte("x")); !errors.Is(err, syscall.ECONNRESET) {
				return err
			}
			_, err := a.Read(make([]byte, 1))
			return err
		}, syscall.ECONNRESET},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				f, a, b := pair(t)
				if err := tt.do(f, a, b); !errors.Is(err, tt.want) {
					t.Errorf("got %v, want %v", err, tt.want)
				}
				a.Close()
				b.Close()
			})
		})
	}
}

func TestFakeConnects(t *testing.T) {
	for _, tt := range []struct {
		name    string
		between func(FakePacket) []FakePacket
		port    uint16
		want    error
		after   time.Duration
	}{
		{"nobody-listens", nil, 22, syscall.ECONNREFUSED, 0},
		{"reset", func(p FakePacket) []FakePacket { p.Reset = true; return []FakePacket{p} }, 1723, syscall.ECONNREFUSED, 0},
		{"reset-first", func(p FakePacket) []FakePacket { q := p; q.Reset = true; return []FakePacket{q, p} }, 1723, syscall.ECONNREFUSED, 0},
		{"dropped", func(FakePacket) []FakePacket { return nil }, 1723, context.DeadlineExceeded, 3 * time.Second},
		{"doubled", func(p FakePacket) []FakePacket { return []FakePacket{p, p} }, 1723, nil, 0},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				f, laptop, server := fakePair()
				f.Between = tt.between
				must(server.Listen(to(outside, 1723)))
				ctx, cancel := context.WithTimeout(t.Context(), 3*time.Second)
				defer cancel()
				start := time.Now()
				_, err := laptop.Dial(ctx, netip.Addr{}, to(outside, tt.port))
				if !errors.Is(err, tt.want) || time.Since(start) != tt.after {
					t.Errorf("got %v after %v, want %v after %v", err, time.Since(start), tt.want, tt.after)
				}
				var n net.Error
				if tt.after > 0 && (!errors.As(err, &n) || !n.Timeout()) {
					t.Errorf("%v is no timeout", err)
				}
			})
		})
	}
}

// TestFakeExpired: a router on the way answers for a packet whose TTL ends there, or keeps silent, and quotes what left.
func TestFakeExpired(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f, laptop, server := fakePair()
		hops := []netip.Addr{netip.MustParseAddr("192.168.1.1"), {}, netip.MustParseAddr("192.0.2.3")}
		f.Hops, f.Expired = 3, func(hop uint8, _ FakePacket) netip.Addr { return hops[hop-1] }
		ears, raw, udp := must(laptop.Raw(1, inside)), must(laptop.Raw(50, inside)), must(laptop.UDP(to(inside, 500)))
		must(server.Listen(to(outside, 1723)))
		heard := func() (from netip.Addr, ttl uint8, m wire.ICMPError) {
			ears.SetReadDeadline(time.Now().Add(time.Second))
			s, err := ears.Recv()
			if err != nil {
				return
			}
			return s.Src.Addr(), *s.TTL, must(wire.ParseICMPError(s.Bytes))
		}
		for i, want := range hops {
			for _, c := range []Conn{raw, udp} {
				f.Quote = 8 * i // 0 is all
				sent := must(c.Send(Out{Dst: to(outside, 500), TTL: uint8(i + 1), Payload: []byte("12345678901234567890")}))
				from, ttl, m := heard()
				if from != want {
					t.Errorf("hop %d: got an answer from %v, want %v", i+1, from, want)
				}
				if !want.IsValid() {
					continue
				}
				n := 20 + 8*truth(c == udp)
				if i > 0 {
					n = f.Quote
				}
				if m.Type != wire.ICMPTimeExceeded || m.Header.Src != inside || m.Header.Protocol != sent.Proto || len(m.Quoted) != n || ttl != uint8(64-i) {
					t.Errorf("hop %d: got %+v with TTL %d", i+1, m, ttl)
				}
				if c == udp && (m.Quoted[1] != 0xF4 || uint16(m.Quoted[6])<<8|uint16(m.Quoted[7]) != UDPChecksum(sent)) {
					t.Errorf("hop %d: got %x", i+1, m.Quoted)
				}
			}
			began := time.Now()
			ctx, cancel := context.WithTimeout(t.Context(), time.Second)
			_, err := laptop.DialTTL(ctx, to(inside, 50123), to(outside, 1723), uint8(i+1))
			cancel()
			if want.IsValid() != errors.Is(err, syscall.EHOSTUNREACH) || want.IsValid() == (time.Since(began) >= time.Second) {
				t.Errorf("hop %d: got %v", i+1, err)
			}
			if want.IsValid() {
				if _, _, m := heard(); m.Header.Protocol != 6 || uint16(m.Quoted[0])<<8|uint16(m.Quoted[1]) != 50123 {
					t.Errorf("hop %d: got %+v", i+1, m)
				}
			}
		}
		must(laptop.DialTTL(t.Context(), to(inside, 0), to(outside, 1723), 4)).Close()
	})
}

// TestFakeManyAtOnce is for the race detector.
func TestFakeManyAtOnce(t *testing.T) {
	_, laptop, server := fakePair()
	s := must(server.UDP(to(netip.IPv4Unspecified(), 7)))
	const clients, rounds = 8, 50
	go echo(s, clients*rounds)
	done := make(chan error)
	for range clients {
		go func() {
			c := must(laptop.UDP(to(inside, 0)))
			for i := range rounds {
				must(c.Send(Out{Dst: to(outside, 7), Payload: []byte{byte(i)}}))
				if s := must(c.Recv()); s.Bytes[0] != byte(i) || s.State != wire.Seen {
					done <- errors.New("somebody else's packet")
					return
				}
			}
			done <- nil
		}()
	}
	for range clients {
		if err := <-done; err != nil {
			t.Error(err)
		}
	}
	if n := len(server.Received()); n != clients*rounds {
		t.Errorf("the server received %d packets", n)
	}
}
