package sock

import (
	"encoding/binary"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"syscall"
	"time"

	"golang.org/x/net/bpf"
	"golang.org/x/sys/unix"

	"vpncheck/probe/wire"
)

// A card is a packet socket: it sees IPv4 packets without their link header, as they come in at the network cards.
type card struct {
	file *os.File
	rc   syscall.RawConn
	buf  []byte

	n    int
	from unix.Sockaddr
	err  error
	rd   func(fd uintptr) bool
}

// openCard opens a packet socket behind a filter, which counts from the IP header.
func openCard(pass []bpf.Instruction) (*card, error) {
	filter, err := bpf.Assemble(pass)
	if err != nil {
		return nil, fmt.Errorf("assembling the filter: %w", err)
	}
	// Protocol 0 keeps it deaf until the filter is in place.
	fd, err := unix.Socket(unix.AF_PACKET, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK, 0)
	if err != nil {
		return nil, os.NewSyscallError("socket", err)
	}
	c := &card{file: os.NewFile(uintptr(fd), "packet"), buf: make([]byte, maxPacket)}
	c.rd = func(fd uintptr) bool {
		c.n, c.from, c.err = unix.Recvfrom(int(fd), c.buf, 0)
		return c.err != unix.EAGAIN
	}
	if err := c.start(fd, filter); err != nil {
		c.file.Close()
		return nil, err
	}
	return c, nil
}

func (c *card) start(fd int, filter []bpf.RawInstruction) error {
	if err := attach(fd, filter); err != nil {
		return os.NewSyscallError("setsockopt", err)
	}
	if err := unix.Bind(fd, &unix.SockaddrLinklayer{Protocol: networkOrder(unix.ETH_P_IP)}); err != nil {
		return os.NewSyscallError("bind", err)
	}
	var err error
	c.rc, err = c.file.SyscallConn()
	return err
}

// read waits for the next packet that came in for this machine. It is a part of c.buf.
func (c *card) read() ([]byte, error) {
	for {
		err := c.rc.Read(c.rd)
		if errors.Is(err, os.ErrClosed) {
			return nil, fmt.Errorf("receiving at the network card: %w", net.ErrClosed)
		}
		if err != nil {
			return nil, err
		}
		if ll, ok := c.from.(*unix.SockaddrLinklayer); c.err == nil && ok && ll.Pkttype != unix.PACKET_OUTGOING && ll.Pkttype != unix.PACKET_OTHERHOST {
			return c.buf[:c.n], nil
		}
	}
}

func (c *card) Send(Out) (wire.Sighting, error) {
	return wire.Sighting{}, fmt.Errorf("sending where others' packets are watched: %w", errors.ErrUnsupported)
}

func (c *card) SetReadDeadline(t time.Time) error { return c.file.SetReadDeadline(t) }

func (c *card) Local() netip.AddrPort { return netip.AddrPort{} }

func (c *card) Close() error { return c.file.Close() }

// networkOrder is a number as it stands in a structure that the kernel reads in network order.
func networkOrder(n uint16) uint16 {
	return binary.NativeEndian.Uint16(binary.BigEndian.AppendUint16(nil, n))
}
