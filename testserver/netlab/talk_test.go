//go:build linux

package netlab

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"os"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// silence is how long a test waits for what must not come. What must come is awaited for patience.
const (
	silence  = 150 * time.Millisecond
	patience = 5 * time.Second
)

func build(t testing.TB, name string) *Lab {
	t.Helper()
	r, ok := Find(name)
	if !ok {
		t.Fatalf("no router %q", name)
	}
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	l, err := Build(ctx, r)
	if errors.Is(err, ErrNoTUN) && os.Getenv("CI") != "true" {
		t.Skip(err)
	}
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := l.Close(); err != nil {
			t.Error(err)
		}
	})
	return l
}

func ap(a netip.Addr, port int) netip.AddrPort { return netip.AddrPortFrom(a, uint16(port)) }

// within opens something on a host.
func within[T io.Closer](t testing.TB, l *Lab, h Host, open func() (T, error)) T {
	t.Helper()
	var v T
	if err := l.Do(h, func() (err error) { v, err = open(); return err }); err != nil {
		t.Fatalf("%s: %v", h, err)
	}
	t.Cleanup(func() { v.Close() })
	return v
}

func raw(t testing.TB, l *Lab, h Host, proto int) *net.IPConn {
	return rawOn(t, l, h, netip.IPv4Unspecified(), proto)
}

func rawOn(t testing.TB, l *Lab, h Host, a netip.Addr, proto int) *net.IPConn {
	return within(t, l, h, func() (*net.IPConn, error) {
		return net.ListenIP(fmt.Sprintf("ip4:%d", proto), &net.IPAddr{IP: a.AsSlice()})
	})
}

func udpOn(t testing.TB, l *Lab, h Host, a netip.Addr, port int) *net.UDPConn {
	return within(t, l, h, func() (*net.UDPConn, error) { return net.ListenUDP("udp", net.UDPAddrFromAddrPort(ap(a, port))) })
}

func send(t testing.TB, c *net.IPConn, to netip.Addr, b []byte) {
	t.Helper()
	// A firewall on the sender's own machine refuses: the packet is as lost as any other.
	if _, err := c.WriteToIP(b, &net.IPAddr{IP: to.AsSlice()}); err != nil && !errors.Is(err, unix.EPERM) {
		t.Fatalf("sending a raw packet: %v", err)
	}
}

// next returns the next packet within d. What sequence number a packet has tells packets apart, and copies do not occur here.
func next(c *net.IPConn, d time.Duration) (b []byte, from netip.Addr, ok bool) {
	c.SetReadDeadline(time.Now().Add(d))
	buf := make([]byte, 2048)
	n, a, err := c.ReadFromIP(buf)
	if err != nil {
		return nil, netip.Addr{}, false
	}
	from, _ = netip.AddrFromSlice(a.IP)
	return buf[:n], from.Unmap(), true
}

func gre0() []byte {
	return append([]byte{0, 0, 0x08, 0x00}, make([]byte, 28)...)
}

func gre1(callID uint16) []byte {
	b := []byte{0x30, 0x01, 0x88, 0x0b, 0, 60, 0, 0, 0, 0, 0, 1}
	binary.BigEndian.PutUint16(b[6:], callID)
	return append(b, make([]byte, 60)...)
}

// PPTP control messages (RFC 2637), as much as the kernel's helper reads of them.
func control(length, kind int, fields map[int]uint16) []byte {
	b := make([]byte, length)
	put := func(at int, v uint16) { binary.BigEndian.PutUint16(b[at:], v) }
	put(0, uint16(length))
	put(2, 1)
	binary.BigEndian.PutUint32(b[4:], 0x1a2b3c4d)
	put(8, uint16(kind))
	for at, v := range fields {
		put(at, v)
	}
	return b
}

// A call is a PPTP control connection with its two Call-IDs as each end knows them.
type call struct {
	laptop, server net.Conn
	listener       net.Listener
	from           netip.Addr // what the server sees
	laptopID, seen uint16     // the laptop's own, and what arrived of it
	serverID       uint16     // the server's own
	told           uint16     // and what the laptop was told
}

func dial(l *Lab, to netip.Addr, port int) (c net.Conn, err error) {
	d := net.Dialer{Timeout: 2 * silence}
	err = l.Do(Laptop, func() (err error) { c, err = d.Dial("tcp", ap(to, port).String()); return err })
	return c, err
}

// pptp sets a call up, with Call-IDs made from id. An error is what the laptop met.
func pptp(t testing.TB, l *Lab, id uint16) (*call, error) {
	t.Helper()
	ln := within(t, l, Server, func() (*net.TCPListener, error) { return net.ListenTCP("tcp4", &net.TCPAddr{Port: 1723}) })
	c, err := dial(l, l.Addr(Server), 1723)
	if err != nil {
		return nil, err
	}
	t.Cleanup(func() { c.Close() })
	ln.SetDeadline(time.Now().Add(silence))
	s, err := ln.Accept()
	if err != nil {
		return &call{laptop: c}, errors.New("somebody else accepted")
	}
	t.Cleanup(func() { s.Close() })
	k := &call{laptop: c, server: s, listener: ln, laptopID: 1000 + id, serverID: 2000 + id}
	k.from = netip.MustParseAddrPort(s.RemoteAddr().String()).Addr()
	message := func(from, to net.Conn, b []byte) []byte {
		got := make([]byte, len(b))
		to.SetReadDeadline(time.Now().Add(patience))
		from.Write(b)
		if _, err := io.ReadFull(to, got); err != nil {
			t.Fatalf("PPTP control message %d: %v", b[9], err)
		}
		return got
	}
	message(c, s, control(156, 1, map[int]uint16{12: 0x100}))
	message(s, c, control(156, 2, map[int]uint16{12: 0x100, 14: 0x100}))
	k.seen = binary.BigEndian.Uint16(message(c, s, control(168, 7, map[int]uint16{12: k.laptopID}))[12:])
	k.told = binary.BigEndian.Uint16(message(s, c, control(32, 8, map[int]uint16{12: k.serverID, 14: k.seen, 16: 0x100}))[12:])
	return k, nil
}
