package sock

import (
	"errors"
	"net/netip"
	"runtime"
	"syscall"
	"testing"
	"time"
)

// A connected socket hears one other end, and of the ICMP errors about what it sent.
func TestKernelTowards(t *testing.T) {
	for _, local := range []string{"127.0.0.1", "::1"} {
		t.Run(local, func(t *testing.T) {
			here := netip.AddrPortFrom(netip.MustParseAddr(local), 0)
			peer, err := Kernel{}.UDP(here)
			if err != nil {
				t.Skip(err)
			}
			defer peer.Close()
			c, err := Kernel{}.Towards(here, peer.Local())
			if err != nil {
				t.Fatal(err)
			}
			defer c.Close()
			c.SetReadDeadline(time.Now().Add(5 * time.Second))
			peer.SetReadDeadline(time.Now().Add(5 * time.Second))
			if s, err := c.Send(Out{Dst: peer.Local(), DF: true, Payload: []byte("question")}); err != nil || s.Src != c.Local() || s.Dst != peer.Local() {
				t.Fatalf("got %+v, %v", s, err)
			}
			if s, err := peer.Recv(); err != nil || string(s.Bytes) != "question" || s.Src != c.Local() {
				t.Fatalf("got %+v, %v", s, err)
			}
			other, err := Kernel{}.UDP(here)
			if err != nil {
				t.Fatal(err)
			}
			defer other.Close()
			for _, from := range []Conn{other, peer} {
				if _, err := from.Send(Out{Dst: c.Local(), Payload: []byte("answer")}); err != nil {
					t.Fatal(err)
				}
			}
			if s, err := c.Recv(); err != nil || string(s.Bytes) != "answer" || s.Src != peer.Local() {
				t.Fatalf("got %+v, %v, want the peer's alone", s, err)
			}
			if _, err := c.Send(Out{Dst: other.Local(), Payload: []byte("question")}); !errors.Is(err, errors.ErrUnsupported) {
				t.Errorf("to another: got %v", err)
			}
			peer.Close()
			if runtime.GOOS != "linux" {
				return // others tell, or not
			}
			for range 2 {
				if _, err := c.Send(Out{Dst: c.(*towards).remote, Payload: []byte("question")}); err != nil {
					t.Fatal(err)
				}
				if _, err := c.Recv(); !errors.Is(err, ErrICMP) || !errors.Is(err, syscall.ECONNREFUSED) {
					t.Fatalf("got %v, want an ICMP error, and that it was refused", err)
				}
			}
		})
	}
}
