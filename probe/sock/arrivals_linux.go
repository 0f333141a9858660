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

// arrivals shows what comes in at the network cards, before this machine's own firewall.
type arrivals struct {
	file  *os.File
	rc    syscall.RawConn
	proto uint8
	from  netip.Addr
	buf   []byte
}

// openArrivals opens a packet socket. It sees IPv4 packets of one protocol from one address, without their link header.
func openArrivals(proto uint8, from netip.Addr) (Conn, error) {
	if !from.Is4() {
		return nil, fmt.Errorf("watching IPv6 packets at the network card: %w", errors.ErrUnsupported)
	}
	// Protocol 0 keeps it deaf until the filter is in place.
	fd, err := unix.Socket(unix.AF_PACKET, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK, 0)
	if err != nil {
		return nil, os.NewSyscallError("socket", err)
	}
	a := &arrivals{file: os.NewFile(uintptr(fd), "packet"), proto: proto, from: from, buf: make([]byte, maxPacket)}
	if err := a.start(fd); err != nil {
		a.file.Close()
		return nil, err
	}
	return a, nil
}

func (a *arrivals) start(fd int) error {
	addr := a.from.As4()
	filter, err := bpf.Assemble([]bpf.Instruction{
		bpf.LoadAbsolute{Off: 9, Size: 1},
		bpf.JumpIf{Cond: bpf.JumpEqual, Val: uint32(a.proto), SkipFalse: 3},
		bpf.LoadAbsolute{Off: 12, Size: 4},
		bpf.JumpIf{Cond: bpf.JumpEqual, Val: uint32(addr[0])<<24 | uint32(addr[1])<<16 | uint32(addr[2])<<8 | uint32(addr[3]), SkipFalse: 1},
		bpf.RetConstant{Val: maxPacket},
		bpf.RetConstant{Val: 0},
	})
	if err != nil {
		return fmt.Errorf("assembling the filter: %w", err)
	}
	if err := attach(fd, filter); err != nil {
		return os.NewSyscallError("setsockopt", err)
	}
	if err := unix.Bind(fd, &unix.SockaddrLinklayer{Protocol: networkOrder(unix.ETH_P_IP)}); err != nil {
		return os.NewSyscallError("bind", err)
	}
	a.rc, err = a.file.SyscallConn()
	return err
}

func (a *arrivals) Recv() (wire.Sighting, error) {
	for {
		var n int
		var from unix.Sockaddr
		var rerr error
		err := a.rc.Read(func(fd uintptr) bool {
			n, from, rerr = unix.Recvfrom(int(fd), a.buf, 0)
			return rerr != unix.EAGAIN
		})
		if errors.Is(err, os.ErrClosed) {
			return wire.Sighting{}, fmt.Errorf("receiving at the network card: %w", net.ErrClosed)
		}
		if err != nil {
			return wire.Sighting{}, err
		}
		if ll, ok := from.(*unix.SockaddrLinklayer); rerr != nil || !ok || ll.Pkttype == unix.PACKET_OUTGOING {
			continue
		}
		if s, ok := a.sighting(a.buf[:n]); ok {
			return s, nil
		}
	}
}

func (a *arrivals) sighting(b []byte) (wire.Sighting, bool) {
	h, payload, ok := received(b)
	if !ok || h.MF || h.FragOffset != 0 || h.Protocol != a.proto || h.Src != a.from {
		return wire.Sighting{}, false
	}
	f := &ipFields{ttl: h.TTL, dscp: h.DSCP(), df: h.DF, id: h.ID}
	s := wire.Sighting{
		State: wire.Seen, At: time.Now(), Where: whereNIC, Proto: h.Protocol,
		Src: netip.AddrPortFrom(h.Src, 0), Dst: netip.AddrPortFrom(h.Dst, 0),
		TTL: &f.ttl, DSCP: &f.dscp, DF: &f.df, IPID: &f.id, Bytes: append(wire.Hex(nil), payload...),
	}
	if a.proto == protoUDP {
		if u, _, err := wire.ParseUDP(s.Bytes); err != nil || !parseDatagram(&s, u.DstPort) {
			return wire.Sighting{}, false
		}
	}
	return s, true
}

func (a *arrivals) Send(Out) (wire.Sighting, error) {
	return wire.Sighting{}, fmt.Errorf("sending where others' packets are watched: %w", errors.ErrUnsupported)
}

func (a *arrivals) SetReadDeadline(t time.Time) error { return a.file.SetReadDeadline(t) }

func (a *arrivals) Local() netip.AddrPort { return netip.AddrPort{} }

func (a *arrivals) Close() error { return a.file.Close() }

// networkOrder is a number as it stands in a structure that the kernel reads in network order.
func networkOrder(n uint16) uint16 {
	return binary.NativeEndian.Uint16(binary.BigEndian.AppendUint16(nil, n))
}
