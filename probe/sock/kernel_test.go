package sock

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"runtime"
	"strings"
	"syscall"
	"testing"
	"time"
)

var loopbacks = []netip.Addr{netip.MustParseAddr("127.0.0.1"), netip.IPv6Loopback()}

// eachLoopback runs a test for both families, where the machine has them.
func eachLoopback(t *testing.T, test func(t *testing.T, lo netip.Addr)) {
	for _, lo := range loopbacks {
		t.Run("ipv"+family(lo), func(t *testing.T) {
			if l, err := (Kernel{}).Listen(netip.AddrPortFrom(lo, 0)); err != nil {
				t.Skip(err)
			} else {
				l.Close()
			}
			test(t, lo)
		})
	}
}

func TestKernelUDP(t *testing.T) {
	eachLoopback(t, func(t *testing.T, lo netip.Addr) {
		a, err := Kernel{}.UDP(to(lo, 0))
		if err != nil {
			t.Fatal(err)
		}
		defer a.Close()
		b := must(Kernel{}.UDP(to(lo, 0)))
		defer b.Close()
		limit(t, a, b)
		for i, o := range []Out{{TTL: 9, DSCP: 46, DF: true}, {DSCP: 10}, {DF: true, Src: lo}} {
			o.Dst, o.Payload = b.Local(), fmt.Appendf(nil, "packet %d", i)
			sent := must(a.Send(o))
			arrived := must(b.Recv())
			if sent.Src != a.Local() || sent.Dst != b.Local() || *sent.TTL != o.ttl() || *sent.DSCP != o.DSCP || sent.IPID != nil {
				t.Errorf("sent %+v", sent)
			}
			if arrived.Src != a.Local() || arrived.Dst != b.Local() || string(arrived.Bytes) != string(o.Payload) || arrived.Proto != 17 {
				t.Errorf("arrived %+v", arrived)
			}
			if runtime.GOOS == "linux" && (*arrived.TTL != o.ttl() || *arrived.DSCP != o.DSCP) {
				t.Errorf("arrived with TTL %d and DSCP %d, want %d and %d", *arrived.TTL, *arrived.DSCP, o.ttl(), o.DSCP)
			}
			if lo.Is4() && (sent.DF == nil || *sent.DF != o.DF) || lo.Is6() && sent.DF != nil {
				t.Errorf("sent with DF %v", sent.DF)
			}
			if arrived.At.Before(sent.At) {
				t.Errorf("sent at %v, arrived at %v", sent.At, arrived.At)
			}
		}
	})
}

// limit keeps a lost packet from hanging the tests.
func limit(t *testing.T, conns ...Conn) {
	for _, c := range conns {
		if err := c.SetReadDeadline(time.Now().Add(5 * time.Second)); err != nil {
			t.Fatal(err)
		}
	}
}

func TestKernelDeadlineAndClose(t *testing.T) {
	eachLoopback(t, func(t *testing.T, lo netip.Addr) {
		endsWell(t, must(Kernel{}.UDP(to(lo, 0))))
	})
}

// endsWell tests how Recv ends.
func endsWell(t *testing.T, c Conn) {
	t.Helper()
	c.SetReadDeadline(time.Now().Add(20 * time.Millisecond))
	if _, err := c.Recv(); !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Errorf("got %v, want the deadline", err)
	}
	c.SetReadDeadline(time.Time{})
	got := make(chan error)
	go func() { _, err := c.Recv(); got <- err }()
	time.Sleep(10 * time.Millisecond) // so that Recv most likely waits; it must end in either order
	c.Close()
	if err := <-got; !errors.Is(err, net.ErrClosed) {
		t.Errorf("got %v, want net.ErrClosed", err)
	}
	if _, err := c.Send(Out{Dst: to(c.Local().Addr(), 1)}); !errors.Is(err, net.ErrClosed) && !errors.Is(err, errors.ErrUnsupported) {
		t.Errorf("sending: got %v, want net.ErrClosed", err)
	}
}

// TestKernelICMPError sends to a port that nobody has: what the kernel hears of it must not end Recv.
func TestKernelICMPError(t *testing.T) {
	eachLoopback(t, func(t *testing.T, lo netip.Addr) {
		a, gone, b := must(Kernel{}.UDP(to(lo, 0))), must(Kernel{}.UDP(to(lo, 0))), must(Kernel{}.UDP(to(lo, 0)))
		defer a.Close()
		defer b.Close()
		gone.Close()
		limit(t, a)
		must(a.Send(Out{Dst: gone.Local(), Payload: []byte("x")}))
		must(b.Send(Out{Dst: a.Local(), Payload: []byte("y")}))
		if s := must(a.Recv()); string(s.Bytes) != "y" {
			t.Errorf("got %q", s.Bytes)
		}
	})
}

func TestKernelTCP(t *testing.T) {
	eachLoopback(t, func(t *testing.T, lo netip.Addr) {
		l := must(Kernel{}.Listen(to(lo, 0)))
		defer l.Close()
		at := localAddr(l.Addr())
		c, err := Kernel{}.Dial(t.Context(), lo, at)
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		s := must(l.Accept())
		defer s.Close()
		if localAddr(s.RemoteAddr()) != localAddr(c.LocalAddr()) || localAddr(c.RemoteAddr()) != at {
			t.Errorf("got %v -> %v", s.RemoteAddr(), c.RemoteAddr())
		}
		_, err = Kernel{}.Listen(at)
		reason, why, _, ok := Refusal(err)
		if reason != PortHeld || !ok || !strings.Contains(why, fmt.Sprintf("TCP %d is held by", at.Port())) {
			t.Errorf("got %q, %q of %v", reason, why, err)
		}
		l.Close()
		if _, err := (Kernel{}).Dial(t.Context(), netip.Addr{}, at); !isAny(err, []error{syscall.ECONNREFUSED}) && runtime.GOOS != "windows" {
			t.Errorf("got %v", err)
		}
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		if _, err := (Kernel{}).Dial(ctx, netip.Addr{}, at); !errors.Is(err, context.Canceled) {
			t.Errorf("got %v", err)
		}
	})
}

func TestKernelListenBoth(t *testing.T) {
	l := must(Kernel{}.Listen(netip.AddrPort{}))
	defer l.Close()
	port := localAddr(l.Addr()).Port()
	eachLoopback(t, func(t *testing.T, lo netip.Addr) {
		must(Kernel{}.Dial(t.Context(), netip.Addr{}, to(lo, port))).Close()
	})
}

func TestKernelSource(t *testing.T) {
	eachLoopback(t, func(t *testing.T, lo netip.Addr) {
		if got, err := (Kernel{}).Source(lo); got != lo || err != nil {
			t.Errorf("got %v, %v", got, err)
		}
	})
}

func TestKernelNoAddress(t *testing.T) {
	if _, err := (Kernel{}).UDP(netip.AddrPort{}); !errors.Is(err, errFamily) {
		t.Error(err)
	}
	if _, err := (Kernel{}).Raw(47, netip.Addr{}); !errors.Is(err, errFamily) {
		t.Error(err)
	}
	if _, err := (Kernel{}).SYNs(47, netip.Addr{}); err == nil {
		t.Error("no error")
	}
}

func TestRefusal(t *testing.T) {
	for _, tt := range []struct {
		err    error
		reason string
		hint   string
	}{
		{fmt.Errorf("opening a raw socket: %w", os.ErrPermission), NoPrivilege, privilegeHint(runtime.GOOS, program())},
		{os.NewSyscallError("socket", syscall.EPERM), NoPrivilege, privilegeHint(runtime.GOOS, program())},
		{os.NewSyscallError("bind", syscall.EACCES), NoPrivilege, privilegeHint(runtime.GOOS, program())},
		{fmt.Errorf("opening: %w", syscall.EADDRINUSE), PortHeld, ""},
		{fmt.Errorf("opening: %w", errors.ErrUnsupported), OSRefuses, ""},
		{os.NewSyscallError("socket", syscall.EPROTONOSUPPORT), OSRefuses, ""},
		{os.NewSyscallError("socket", syscall.EOPNOTSUPP), OSRefuses, ""},
		{errors.New("out of coffee"), "", ""},
		{nil, "", ""},
	} {
		if runtime.GOOS == "windows" && (errors.Is(tt.err, syscall.EPROTONOSUPPORT) || errors.Is(tt.err, syscall.EOPNOTSUPP)) {
			continue // numbers of package syscall that Windows never says
		}
		reason, why, hint, ok := Refusal(tt.err)
		if reason != tt.reason || hint != tt.hint || ok != (tt.reason != "") || ok != (why != "") {
			t.Errorf("%v: got %q, %q, %q, %v", tt.err, reason, why, hint, ok)
		}
	}
	for system, want := range map[string]string{
		"linux":   "run with sudo, or: sudo setcap cap_net_raw,cap_net_bind_service+ep ./vpncheck",
		"darwin":  "run with sudo",
		"windows": "run as Administrator",
	} {
		if got := privilegeHint(system, "./vpncheck"); got != want {
			t.Errorf("%s: got %q, want %q", system, got, want)
		}
	}
}

func TestSendRefusal(t *testing.T) {
	for err, want := range map[error]string{
		syscall.EPERM: LaptopFirewall, syscall.EACCES: LaptopFirewall, syscall.ENETUNREACH: NoRoute, syscall.EHOSTUNREACH: NoRoute,
		syscall.EMSGSIZE: TooBig, syscall.ECONNREFUSED: "", nil: "",
	} {
		if err != nil {
			err = fmt.Errorf("sending: %w", os.NewSyscallError("sendto", err))
		}
		if got := SendRefusal(err); got != want {
			t.Errorf("%v: got %q, want %q", err, got, want)
		}
	}
}

func TestEnds(t *testing.T) {
	for _, err := range []error{os.ErrDeadlineExceeded, net.ErrClosed, syscall.EBADF, errors.New("anything")} {
		if !ends(fmt.Errorf("receiving: %w", err)) {
			t.Errorf("%v must end Recv", err)
		}
	}
	for _, err := range passingErrors {
		if ends(fmt.Errorf("receiving: %w", os.NewSyscallError("recvmsg", err))) {
			t.Errorf("%v must not end Recv", err)
		}
	}
}
