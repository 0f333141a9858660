package sock

import (
	"context"
	"fmt"
	"net"
	"net/netip"
	"os"
	"syscall"

	"golang.org/x/sys/unix"
)

// passingErrors are the kernel's words for ICMP errors (Linux, icmp_err_convert and icmpv6_err_convert), and an interface that is
// down for now.
var passingErrors = []error{
	unix.ECONNREFUSED, unix.EHOSTUNREACH, unix.ENETUNREACH, unix.ENOPROTOOPT, unix.EMSGSIZE, unix.EOPNOTSUPP, unix.EHOSTDOWN,
	unix.ENONET, unix.EACCES, unix.EPROTO, unix.ENETDOWN, unix.EINTR,
}

// openRaw opens a raw socket of either family.
func openRaw(proto uint8, local netip.Addr) (Conn, error) {
	switch {
	case local.Is4():
		c, err := listenIP(proto, local, func(fd int) error {
			return unix.SetsockoptInt(fd, unix.IPPROTO_IP, unix.IP_HDRINCL, 1)
		})
		if err != nil {
			return nil, err
		}
		return newRaw4(c, proto, local)
	case local.Is6():
		c, err := listenIP(proto, local, enable6)
		if err != nil {
			return nil, err
		}
		return &raw6{IPConn: c, proto: proto, local: local, buf: make([]byte, maxPacket)}, nil
	}
	return nil, errFamily
}

// listenIP opens a raw socket and prepares it before it is bound.
func listenIP(proto uint8, local netip.Addr, prepare func(fd int) error) (*net.IPConn, error) {
	network := fmt.Sprintf("ip%s:%d", family(local), proto) // a number, because a name needs /etc/protocols
	pc, err := listenPacket(network, local.String(), prepare)
	if err != nil {
		return nil, err
	}
	c := pc.(*net.IPConn)
	c.SetReadBuffer(receiveBuffer) // as much of it as the kernel allows
	return c, nil
}

func listenPacket(network, address string, prepare func(fd int) error) (net.PacketConn, error) {
	lc := net.ListenConfig{Control: func(_, _ string, rc syscall.RawConn) error {
		var err error
		if e := rc.Control(func(fd uintptr) { err = prepare(int(fd)) }); e != nil {
			return e
		}
		return os.NewSyscallError("setsockopt", err)
	}}
	return lc.ListenPacket(context.Background(), network, address)
}

// A toggle is an option of a socket for which there is no control message, so that it is changed when a packet wants it changed. It is
// off at first.
type toggle bool

func (t *toggle) set(c syscall.Conn, on bool, level, opt, value int) error {
	if bool(*t) == on {
		return nil
	}
	rc, err := c.SyscallConn()
	if err != nil {
		return err
	}
	var serr error
	if err := rc.Control(func(fd uintptr) { serr = unix.SetsockoptInt(int(fd), level, opt, value) }); err != nil {
		return err
	}
	if serr == nil {
		*t = toggle(on)
	}
	return serr
}

// probeMTU is a socket's path MTU discovery: on means DF and no regard to what the kernel learned of the path.
type probeMTU struct{ toggle }

func (p *probeMTU) set(c syscall.Conn, level, opt int, on bool) error {
	value := unix.IP_PMTUDISC_DONT // the same numbers in IPv6
	if on {
		value = unix.IP_PMTUDISC_PROBE
	}
	return p.toggle.set(c, on, level, opt, value)
}

// noChecksum is whether a UDP socket over IPv4 leaves out the checksum.
type noChecksum struct{ toggle }

func (n *noChecksum) set(c syscall.Conn, on bool) error {
	return n.toggle.set(c, on, unix.SOL_SOCKET, unix.SO_NO_CHECK, truth(on))
}
