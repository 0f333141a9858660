package sock

import (
	"bytes"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"runtime"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"

	"vpncheck/probe/wire"
)

// The tests of this file need to be root, and hold their conversations in a network namespace of their own:
//
//	client 127.0.0.1, fd00::1  --- lo ---  server 127.0.0.2, 127.0.0.3, fd00::2, fd00::3
type pairOf struct{ client, server, second, any netip.Addr }

var ends4 = pairOf{
	netip.MustParseAddr("127.0.0.1"), netip.MustParseAddr("127.0.0.2"), netip.MustParseAddr("127.0.0.3"), netip.IPv4Unspecified(),
}

var ends6 = pairOf{
	netip.MustParseAddr("fd00::1"), netip.MustParseAddr("fd00::2"), netip.MustParseAddr("fd00::3"), netip.IPv6Unspecified(),
}

// alone moves the rest of the test into a namespace of its own. Its thread is never unlocked, so that it ends with the test.
// Sockets must be opened by the test's own goroutine.
func alone(t *testing.T) {
	t.Helper()
	runtime.LockOSThread()
	if err := unix.Unshare(unix.CLONE_NEWNET); err != nil {
		if os.Getenv("CI") == "true" {
			t.Fatalf("making a network namespace: %v", err)
		}
		t.Skipf("making a network namespace: %v", err)
	}
	lo, err := netlink.LinkByName("lo")
	if err != nil {
		t.Fatal(err)
	}
	if err := netlink.LinkSetUp(lo); err != nil {
		t.Fatal(err)
	}
	for _, a := range []netip.Addr{ends4.server, ends4.second, ends6.client, ends6.server, ends6.second} {
		ip := &net.IPNet{IP: a.AsSlice(), Mask: net.CIDRMask(a.BitLen(), a.BitLen())}
		if err := netlink.AddrAdd(lo, &netlink.Addr{IPNet: ip, Flags: unix.IFA_F_NODAD}); err != nil {
			t.Fatalf("adding %v: %v", a, err)
		}
	}
	for _, a := range []netip.Addr{ends6.client, ends6.server, ends6.second} {
		waitLocal(t, a)
	}
}

// waitLocal waits until the kernel, which makes an IPv6 address in the background, delivers to it.
func waitLocal(t *testing.T, a netip.Addr) {
	t.Helper()
	for end := time.Now().Add(5 * time.Second); time.Now().Before(end); runtime.Gosched() {
		routes, err := netlink.RouteGet(a.AsSlice())
		if err == nil && len(routes) > 0 && routes[0].Type == unix.RTN_LOCAL {
			return
		}
	}
	t.Fatalf("%v does not become local", a)
}

// eachFamily runs a test in a namespace for both families.
func eachFamily(t *testing.T, test func(t *testing.T, e pairOf)) {
	for _, e := range []pairOf{ends4, ends6} {
		t.Run("ipv"+family(e.client), func(t *testing.T) {
			alone(t)
			test(t, e)
		})
	}
}

// TestRawAsSent compares what one end says it sent with what the other received, field by field.
func TestRawAsSent(t *testing.T) {
	eachFamily(t, func(t *testing.T, e pairOf) {
		a, b, other := must(Kernel{}.Raw(47, e.client)), must(Kernel{}.Raw(47, e.server)), must(Kernel{}.Raw(50, e.any))
		limit(t, a, b)
		ids := map[uint16]bool{}
		for i, o := range []Out{{TTL: 5, DSCP: 46, DF: true}, {DSCP: 63}, {Src: e.second}, {TTL: 255, DF: true}} {
			o.Dst, o.Payload = to(e.server, 0), fmt.Appendf(nil, "\x20\x01\x88\x0bpacket %d", i)
			sent := must(a.Send(o))
			arrived := must(b.Recv())
			if want := o.ttl(); *sent.TTL != want {
				t.Errorf("sent with TTL %d, want %d", *sent.TTL, want)
			}
			same(t, sent, arrived)
			if e.client.Is4() {
				if *sent.DF != o.DF || *sent.IPID == 0 {
					t.Errorf("sent with DF %v and IP-ID %d", *sent.DF, *sent.IPID)
				}
				ids[*sent.IPID] = true
			}
			if o.Src.IsValid() && arrived.Src.Addr() != o.Src {
				t.Errorf("arrived from %v, want %v", arrived.Src, o.Src)
			}
		}
		if e.client.Is4() && len(ids) < 3 {
			t.Errorf("four packets had %d IP-IDs", len(ids))
		}
		other.SetReadDeadline(time.Now())
		if s, err := other.Recv(); !errors.Is(err, os.ErrDeadlineExceeded) {
			t.Errorf("a socket of another protocol got %+v, %v", s, err)
		}
		endsWell(t, b)
	})
}

// same fails unless a packet arrived as it was sent.
func same(t *testing.T, sent, arrived wire.Sighting) {
	t.Helper()
	sentAt, arrivedAt := sent.At, arrived.At
	sent.At, arrived.At = time.Time{}, time.Time{}
	text := func(s wire.Sighting) string {
		field := func(p any) string {
			switch p := p.(type) {
			case *uint8:
				return fmt.Sprint(*p)
			case *uint16:
				if p != nil {
					return fmt.Sprint(*p)
				}
			case *bool:
				if p != nil {
					return fmt.Sprint(*p)
				}
			}
			return "unknown"
		}
		return fmt.Sprintf("%v %v %v>%v %d ttl %s dscp %s df %s id %s %x", s.State, s.Where, s.Src, s.Dst, s.Proto,
			field(s.TTL), field(s.DSCP), field(s.DF), field(s.IPID), []byte(s.Bytes))
	}
	if a, b := text(sent), text(arrived); a != b {
		t.Errorf("sent\n\t%s\narrived\n\t%s", a, b)
	}
	if arrivedAt.Before(sentAt) {
		t.Errorf("sent at %v, arrived at %v", sentAt, arrivedAt)
	}
}

// TestAskedAddress is F28: a server on every address answers from the one that was asked.
func TestAskedAddress(t *testing.T) {
	open := map[string]func(local netip.Addr, port uint16) Conn{
		"raw": func(local netip.Addr, _ uint16) Conn { return must(Kernel{}.Raw(47, local)) },
		"udp": func(local netip.Addr, port uint16) Conn { return must(Kernel{}.UDP(to(local, port))) },
	}
	for kind, open := range open {
		t.Run(kind, func(t *testing.T) {
			eachFamily(t, func(t *testing.T, e pairOf) {
				client := open(e.client, 0)
				server := open(e.any, 500)
				limit(t, client, server)
				for _, asked := range []netip.Addr{e.second, e.server} {
					must(client.Send(Out{Dst: to(asked, 500), Payload: []byte("question")}))
					if kind == "raw" {
						// A wildcard raw socket on lo hears its own answers too.
						s := must(server.Recv())
						if s.Dst.Addr() != asked {
							t.Fatalf("asked %v, arrived at %v", asked, s.Dst)
						}
						answer := must(server.Send(Out{Dst: s.Src, Src: s.Dst.Addr(), Payload: []byte("answer")}))
						same(t, answer, must(client.Recv()))
						must(server.Recv())
						continue
					}
					if err := echo(server, 1); err != nil {
						t.Fatal(err)
					}
					if s := must(client.Recv()); s.Src != to(asked, 500) || s.Dst.Addr() != e.client {
						t.Errorf("asked %v, %v answered %v", asked, s.Src, s.Dst)
					}
				}
				// Nobody names a source: what the kernel chooses is what Send says.
				sent := must(server.Send(Out{Dst: client.Local(), Payload: []byte("kernel's choice")}))
				if s := must(client.Recv()); s.Src != sent.Src {
					t.Errorf("sent from %v, arrived from %v", sent.Src, s.Src)
				}
			})
		})
	}
}

// TestRawFragments sends more than an interface takes in one packet.
func TestRawFragments(t *testing.T) {
	eachFamily(t, func(t *testing.T, e pairOf) {
		lo := must(netlink.LinkByName("lo"))
		if err := netlink.LinkSetMTU(lo, 1400); err != nil {
			t.Fatal(err)
		}
		a, b := must(Kernel{}.Raw(47, e.client)), must(Kernel{}.Raw(47, e.server))
		limit(t, a, b)
		payload := bytes.Repeat([]byte("0123456789abcdef"), 250)
		sent := must(a.Send(Out{Dst: to(e.server, 0), Payload: payload}))
		same(t, sent, must(b.Recv()))
		_, err := a.Send(Out{Dst: to(e.server, 0), Payload: payload, DF: true})
		if SendRefusal(err) != TooBig {
			t.Errorf("with DF: got %v", err)
		}
		u := must(Kernel{}.UDP(to(e.client, 0)))
		if _, err := u.Send(Out{Dst: to(e.server, 9), Payload: payload, DF: true}); SendRefusal(err) != TooBig {
			t.Errorf("UDP with DF: got %v", err)
		}
		if _, err := u.Send(Out{Dst: to(e.server, 9), Payload: payload}); err != nil {
			t.Errorf("UDP without DF: got %v", err)
		}
	})
}

func TestSYNs(t *testing.T) {
	eachFamily(t, func(t *testing.T, e pairOf) {
		syns := must(Kernel{}.SYNs(1723, e.any))
		limit(t, syns)
		if syns.Local() != to(e.any, 1723) {
			t.Errorf("local is %v", syns.Local())
		}
		other := must(Kernel{}.Listen(to(e.server, 1724)))
		l := must(Kernel{}.Listen(to(e.server, 1723)))
		must(Kernel{}.Dial(t.Context(), e.client, localAddr(other.Addr()))).Close()
		for range 2 {
			c := must(Kernel{}.Dial(t.Context(), e.client, localAddr(l.Addr())))
			must(c.Write([]byte("data")))
			s := must(syns.Recv())
			if s.Src != localAddr(c.LocalAddr()) || s.Dst != localAddr(l.Addr()) || s.Proto != 6 || *s.TTL != 64 {
				t.Errorf("saw %+v", s)
			}
			if syn, ok := parseSYN(s.Bytes, 1723); !ok || syn.length != len(s.Bytes) {
				t.Errorf("saw %x", []byte(s.Bytes))
			}
			c.Close()
		}
		if e.client.Is4() {
			c := must(Kernel{}.DialTTL(t.Context(), to(e.client, 50123), localAddr(l.Addr()), 3))
			if s := must(syns.Recv()); s.Src != to(e.client, 50123) || *s.TTL != 3 {
				t.Errorf("saw %+v, want TTL 3 from the port that was chosen", s)
			}
			c.Close()
		} else if _, err := (Kernel{}).DialTTL(t.Context(), to(e.client, 0), localAddr(l.Addr()), 3); !errors.Is(err, errors.ErrUnsupported) {
			t.Errorf("DialTTL: got %v", err)
		}
		// A port that refuses has SYNs too.
		l.Close()
		_, err := Kernel{}.Dial(t.Context(), e.client, to(e.server, 1723))
		if !errors.Is(err, syscall.ECONNREFUSED) {
			t.Errorf("got %v", err)
		}
		must(syns.Recv())
		syns.SetReadDeadline(time.Now().Add(20 * time.Millisecond))
		if s, err := syns.Recv(); err == nil {
			t.Errorf("saw %+v, want nothing more", s)
		}
		endsWell(t, syns)
	})
}

// TestICMPErrorOnRaw sends a protocol that nobody has at the other end. The kernel answers protocol unreachable, which must not end
// Recv.
func TestICMPErrorOnRaw(t *testing.T) {
	eachFamily(t, func(t *testing.T, e pairOf) {
		a := must(Kernel{}.Raw(99, e.client))
		limit(t, a)
		must(a.Send(Out{Dst: to(e.server, 0), Payload: []byte("x")}))
		must(a.Send(Out{Dst: to(e.client, 0), Payload: []byte("to myself")}))
		if s := must(a.Recv()); string(s.Bytes) != "to myself" {
			t.Errorf("got %q", s.Bytes)
		}
	})
}

func TestNoRoute(t *testing.T) {
	alone(t)
	far := netip.MustParseAddr("192.0.2.1")
	if _, err := (Kernel{}).Source(far); SendRefusal(err) != NoRoute {
		t.Errorf("got %v", err)
	}
	c := must(Kernel{}.Raw(47, ends4.client))
	if _, err := c.Send(Out{Dst: to(far, 0), Payload: []byte("x")}); SendRefusal(err) != NoRoute {
		t.Errorf("got %v", err)
	}
	u := must(Kernel{}.UDP(to(ends4.client, 0)))
	if _, err := u.Send(Out{Dst: to(far, 1), Payload: []byte("x")}); SendRefusal(err) != NoRoute {
		t.Errorf("got %v", err)
	}
}

// TestWithoutPrivilege drops what this thread may do.
func TestWithoutPrivilege(t *testing.T) {
	alone(t)
	var caps [2]unix.CapUserData
	head := unix.CapUserHeader{Version: unix.LINUX_CAPABILITY_VERSION_3}
	if err := unix.Capset(&head, &caps[0]); err != nil {
		t.Fatal(err)
	}
	for name, open := range map[string]func() error{
		"raw":  func() error { _, err := Kernel{}.Raw(47, ends4.any); return err },
		"raw6": func() error { _, err := Kernel{}.Raw(47, ends6.any); return err },
		"syns": func() error { _, err := Kernel{}.SYNs(1723, ends4.any); return err },
		"udp":  func() error { _, err := Kernel{}.UDP(to(ends4.any, 500)); return err },
		"tcp":  func() error { _, err := Kernel{}.Listen(to(ends4.any, 500)); return err },
	} {
		err := open()
		reason, why, hint, ok := Refusal(err)
		if reason != NoPrivilege || !ok || !strings.HasPrefix(hint, "run with sudo, or: sudo setcap ") || !strings.HasSuffix(why, " is not allowed for this user") {
			t.Errorf("%s: got %q, %q, %q of %v", name, reason, why, hint, err)
		}
	}
}

func TestHolder(t *testing.T) {
	name := printable(strings.TrimSuffix(string(must(os.ReadFile("/proc/self/comm"))), "\n"))
	want := fmt.Sprintf("%s (pid %d)", name, os.Getpid())
	for _, lo := range loopbacks {
		u, err := Kernel{}.UDP(to(lo, 0))
		if err != nil {
			t.Log(err)
			continue
		}
		l := must(Kernel{}.Listen(to(lo, 0)))
		for proto, port := range map[string]uint16{"udp": u.Local().Port(), "tcp": localAddr(l.Addr()).Port()} {
			if got, ok := Holder(proto, port); got != want || !ok {
				t.Errorf("%s %d: got %q, %v, want %q", proto, port, got, ok, want)
			}
		}
		_, err = Kernel{}.UDP(u.Local())
		if _, why, hint, _ := Refusal(err); why != fmt.Sprintf("UDP %d is held by %s", u.Local().Port(), want) || hint != "" {
			t.Errorf("got %q, %q of %v", why, hint, err)
		}
		u.Close()
		l.Close()
		if got, ok := Holder("udp", u.Local().Port()); ok {
			t.Errorf("a free port is held by %s", got)
		}
	}
	if got := printable("a\x1b[31m\u202eb"); got != "a?[31m?b" {
		t.Errorf("got %q", got)
	}
}

// TestOthersHold: where another program holds a port of one address and this one that of another, the other program is named.
func TestOthersHold(t *testing.T) {
	l, err := net.Listen("tcp4", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	port := localAddr(l.Addr()).Port()
	f := must(l.(*net.TCPListener).File())
	other := exec.Command("sleep", "60")
	other.ExtraFiles = []*os.File{f}
	if err := errors.Join(other.Start(), f.Close(), l.Close()); err != nil {
		t.Fatal(err)
	}
	defer func() { other.Process.Kill(); other.Wait() }()
	own, err := net.Listen("tcp4", fmt.Sprintf("127.0.0.2:%d", port))
	if err != nil {
		t.Fatal(err)
	}
	defer own.Close()
	if got, _ := Holder("tcp", port); got != fmt.Sprintf("sleep (pid %d)", other.Process.Pid) {
		t.Errorf("got %q, want the other program", got)
	}
}

// BenchmarkRawEcho is a round trip of GRE between two sockets of one thread.
func BenchmarkRawEcho(b *testing.B) {
	runtime.LockOSThread()
	if err := unix.Unshare(unix.CLONE_NEWNET); err != nil {
		b.Skip(err)
	}
	if err := netlink.LinkSetUp(must(netlink.LinkByName("lo"))); err != nil {
		b.Fatal(err)
	}
	client, server := must(Kernel{}.Raw(47, ends4.client)), must(Kernel{}.Raw(47, ends4.server))
	payload := make([]byte, 64)
	b.ReportAllocs()
	for b.Loop() {
		must(client.Send(Out{Dst: to(ends4.server, 0), Payload: payload}))
		s := must(server.Recv())
		must(server.Send(Out{Dst: s.Src, Src: s.Dst.Addr(), Payload: s.Bytes}))
		must(client.Recv())
	}
}
