package sock

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"strconv"
	"syscall"
)

// Kernel is the network of the machine we run on.
//
// On Linux all of it works; Raw, SYNs and Datagrams need CAP_NET_RAW. On macOS and Windows Raw needs an administrator, the kernel
// writes the header, so that a sent packet's DF and IP-ID are not known, and SYNs and Datagrams are refused, and so are Out.ID and
// Out.NoChecksum. macOS has no raw sockets for ESP and AH, and Windows may keep ESP and AH to itself (DESIGN, law 3: such a question
// is untested).
type Kernel struct{}

var _ Net = Kernel{}

// receiveBuffer is asked of the kernel for every socket: a burst must not be lost because we were busy for some milliseconds.
const receiveBuffer = 1 << 20

// maxPacket is the largest IP packet.
const maxPacket = 1<<16 - 1

var errFamily = errors.New("no address, so no address family")

// Raw implements Net.
func (Kernel) Raw(proto uint8, local netip.Addr) (Conn, error) {
	local = local.Unmap()
	c, err := openRaw(proto, local)
	if err != nil {
		return nil, fmt.Errorf("opening a raw socket for IP protocol %d: %w", proto, err)
	}
	return c, nil
}

// UDP implements Net.
func (Kernel) UDP(local netip.AddrPort) (Conn, error) {
	local = unmap(local)
	c, err := openUDP(local)
	if err != nil {
		return nil, fmt.Errorf("opening UDP port %d: %w", local.Port(), err)
	}
	return c, nil
}

// Dial implements Net.
func (Kernel) Dial(ctx context.Context, local netip.Addr, remote netip.AddrPort) (net.Conn, error) {
	return dial(ctx, &net.Dialer{}, netip.AddrPortFrom(local, 0), remote)
}

// DialTTL implements Net, over IPv4.
func (Kernel) DialTTL(ctx context.Context, local, remote netip.AddrPort, ttl uint8) (net.Conn, error) {
	if !unmap(remote).Addr().Is4() {
		return nil, fmt.Errorf("connecting with a limited TTL over IPv6: %w", errors.ErrUnsupported)
	}
	return dial(ctx, &net.Dialer{Control: func(_, _ string, c syscall.RawConn) error {
		var err error
		if e := c.Control(func(fd uintptr) { err = setTTL(fd, int(ttl)) }); e != nil {
			return e
		}
		return os.NewSyscallError("setsockopt", err)
	}}, local, remote)
}

func dial(ctx context.Context, d *net.Dialer, local, remote netip.AddrPort) (net.Conn, error) {
	d.KeepAlive = -1
	d.SetMultipathTCP(false) // a router must see what a VPN client sends
	if local.IsValid() {
		d.LocalAddr = net.TCPAddrFromAddrPort(unmap(local))
	}
	c, err := d.DialContext(ctx, "tcp", unmap(remote).String())
	if err != nil {
		return nil, fmt.Errorf("connecting: %w", err)
	}
	return c, nil
}

// Listen implements Net.
func (Kernel) Listen(local netip.AddrPort) (net.Listener, error) {
	lc := net.ListenConfig{KeepAlive: -1}
	lc.SetMultipathTCP(false)
	network, address := "tcp", ":"+strconv.Itoa(int(local.Port()))
	if local = unmap(local); local.IsValid() {
		network, address = "tcp"+family(local.Addr()), local.String()
	}
	l, err := lc.Listen(context.Background(), network, address)
	if err != nil {
		return nil, fmt.Errorf("opening TCP port %d: %w", local.Port(), err)
	}
	return l, nil
}

// SYNs implements Net.
func (Kernel) SYNs(port uint16, local netip.Addr) (Conn, error) {
	c, err := openSYNs(port, local.Unmap())
	if err != nil {
		return nil, fmt.Errorf("watching for TCP connections to port %d: %w", port, err)
	}
	return c, nil
}

// Datagrams implements Net.
func (Kernel) Datagrams(port uint16, local netip.Addr) (Conn, error) {
	c, err := openDatagrams(port, local.Unmap())
	if err != nil {
		return nil, fmt.Errorf("watching for datagrams to UDP port %d: %w", port, err)
	}
	return c, nil
}

// Arrivals implements Net.
func (Kernel) Arrivals(proto uint8, from netip.Addr) (Conn, error) {
	c, err := openArrivals(proto, from.Unmap())
	if err != nil {
		return nil, fmt.Errorf("watching the network card for IP protocol %d: %w", proto, err)
	}
	return c, nil
}

// Incoming implements Net.
func (Kernel) Incoming(w Wanted) (Conn, error) {
	c, err := openIncoming(w)
	if err != nil {
		return nil, fmt.Errorf("watching the network card: %w", err)
	}
	return c, nil
}

// Source implements Net.
func (Kernel) Source(dst netip.Addr) (netip.Addr, error) {
	c, err := net.DialUDP("udp", nil, net.UDPAddrFromAddrPort(netip.AddrPortFrom(dst.Unmap(), 9)))
	if err != nil {
		return netip.Addr{}, fmt.Errorf("asking for the way to %v: %w", dst, err)
	}
	defer c.Close()
	return localAddr(c.LocalAddr()).Addr(), nil
}

// family is the suffix of a network's name for an address.
func family(a netip.Addr) string {
	if a.Is4() {
		return "4"
	}
	return "6"
}

func unmap(a netip.AddrPort) netip.AddrPort { return netip.AddrPortFrom(a.Addr().Unmap(), a.Port()) }

// localAddr reads the addresses of package net.
func localAddr(a net.Addr) netip.AddrPort {
	switch a := a.(type) {
	case *net.UDPAddr:
		return unmap(a.AddrPort())
	case *net.TCPAddr:
		return unmap(a.AddrPort())
	case *net.IPAddr:
		ip, _ := netip.AddrFromSlice(a.IP)
		return netip.AddrPortFrom(ip.Unmap().WithZone(a.Zone), 0)
	}
	return netip.AddrPort{}
}

// source returns the address that a packet of a socket bound to local leaves from.
func (o Out) source(local netip.Addr) (netip.Addr, error) {
	if o.Src.IsValid() {
		return o.Src.Unmap(), nil
	}
	if !local.IsUnspecified() {
		return local, nil
	}
	return Kernel{}.Source(o.Dst.Addr())
}

// ends reports whether an error of a receive call means that nothing more can be received for now: the deadline, Close, or an error
// that would come back for ever. All others are ICMP errors on their way up, which are none of this socket's business (T34).
func ends(err error) bool {
	if errors.Is(err, os.ErrDeadlineExceeded) || errors.Is(err, net.ErrClosed) {
		return true
	}
	for _, e := range passingErrors {
		if errors.Is(err, e) {
			return false
		}
	}
	return true
}

func truth(b bool) int {
	if b {
		return 1
	}
	return 0
}
