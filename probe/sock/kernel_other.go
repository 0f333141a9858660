//go:build !linux

package sock

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"syscall"
	"time"

	"vpncheck/probe/wire"
)

// openRaw opens a raw socket where the system has one for the protocol. The kernel writes the header.
func openRaw(proto uint8, local netip.Addr) (Conn, error) {
	if !local.IsValid() {
		return nil, errFamily
	}
	network := fmt.Sprintf("ip%s:%d", family(local), proto)
	c, err := net.ListenIP(network, &net.IPAddr{IP: local.AsSlice(), Zone: local.Zone()})
	if err != nil {
		return nil, err
	}
	c.SetReadBuffer(receiveBuffer)
	return &raw{IPConn: c, proto: proto, local: local, opts: newOptions(c, local), buf: make([]byte, maxPacket)}, nil
}

// openUDP opens a datagram socket.
func openUDP(local netip.AddrPort) (Conn, error) {
	if !local.IsValid() {
		return nil, errFamily
	}
	c, err := net.ListenUDP("udp"+family(local.Addr()), net.UDPAddrFromAddrPort(local))
	if err != nil {
		return nil, err
	}
	c.SetReadBuffer(receiveBuffer)
	local = localAddr(c.LocalAddr())
	return &udp{UDPConn: c, local: local, opts: newOptions(c, local.Addr()), buf: make([]byte, maxPacket)}, nil
}

func openSYNs(uint16, netip.Addr) (Conn, error) {
	return nil, fmt.Errorf("this system shows no TCP to a raw socket: %w", errors.ErrUnsupported)
}

func openDatagrams(uint16, netip.Addr) (Conn, error) {
	return nil, fmt.Errorf("this system shows no UDP to a raw socket: %w", errors.ErrUnsupported)
}

func openArrivals(uint8, netip.Addr) (Conn, error) {
	return nil, fmt.Errorf("this system shows no packets before its firewall: %w", errors.ErrUnsupported)
}

func openIncoming(Wanted) (Conn, error) {
	return nil, fmt.Errorf("this system shows no packets before its firewall: %w", errors.ErrUnsupported)
}

// raw is a raw socket whose headers the kernel writes.
type raw struct {
	*net.IPConn
	proto uint8
	local netip.Addr
	opts  *options
	buf   []byte
	oob   [oobSize]byte
}

func (r *raw) Local() netip.AddrPort { return netip.AddrPortFrom(r.local, 0) }

func (r *raw) Recv() (wire.Sighting, error) {
	for {
		n, oobn, _, from, err := r.ReadMsgIP(r.buf, r.oob[:])
		at := time.Now()
		if err != nil {
			if ends(err) {
				return wire.Sighting{}, fmt.Errorf("receiving IP protocol %d: %w", r.proto, err)
			}
			continue
		}
		if r.local.Is4() {
			asOnTheWire(r.buf[:n])
			h, payload, ok := received(r.buf[:n])
			if !ok || h.Protocol != r.proto {
				continue
			}
			s := header(at, &h)
			s.Bytes = append(wire.Hex(nil), payload...)
			return s, nil
		}
		s := wire.Sighting{
			State: wire.Seen, At: at, Where: whereRaw, Proto: r.proto, Src: localAddr(from), Dst: r.Local(),
			Bytes: append(wire.Hex(nil), r.buf[:n]...),
		}
		r.opts.parse(r.oob[:oobn], &s)
		return s, nil
	}
}

func (r *raw) Send(o Out) (wire.Sighting, error) {
	s, err := r.send(o)
	if err != nil {
		return wire.Sighting{}, fmt.Errorf("sending IP protocol %d to %v: %w", r.proto, o.Dst.Addr(), err)
	}
	return s, nil
}

func (r *raw) send(o Out) (wire.Sighting, error) {
	o.Dst = netip.AddrPortFrom(o.Dst.Addr().Unmap(), 0)
	s, oob, err := r.opts.prepare(o, whereRaw, r.proto, r.Local())
	if err != nil {
		return s, err
	}
	dst := o.Dst.Addr()
	_, _, err = r.WriteMsgIP(o.Payload, oob, &net.IPAddr{IP: dst.AsSlice(), Zone: dst.Zone()})
	return s, err
}

// udp is a datagram socket.
type udp struct {
	*net.UDPConn
	local netip.AddrPort
	opts  *options
	buf   []byte
	oob   [oobSize]byte
}

func (u *udp) Local() netip.AddrPort { return u.local }

func (u *udp) Recv() (wire.Sighting, error) {
	for {
		n, oobn, _, from, err := u.ReadMsgUDPAddrPort(u.buf, u.oob[:])
		at := time.Now()
		if err != nil {
			if ends(err) {
				return wire.Sighting{}, fmt.Errorf("receiving on UDP port %d: %w", u.local.Port(), err)
			}
			continue
		}
		s := wire.Sighting{
			State: wire.Seen, At: at, Where: whereUDP, Proto: protoUDP, Src: unmap(from), Dst: u.local,
			Bytes: append(wire.Hex(nil), u.buf[:n]...),
		}
		u.opts.parse(u.oob[:oobn], &s)
		return s, nil
	}
}

func (u *udp) Send(o Out) (wire.Sighting, error) {
	s, err := u.send(o)
	if err != nil {
		return wire.Sighting{}, fmt.Errorf("sending UDP to %v: %w", o.Dst, err)
	}
	return s, nil
}

func (u *udp) send(o Out) (wire.Sighting, error) {
	o.Dst = unmap(o.Dst)
	s, oob, err := u.opts.prepare(o, whereUDP, protoUDP, u.local)
	if err != nil {
		return s, err
	}
	_, _, err = u.WriteMsgUDPAddrPort(o.Payload, oob, o.Dst)
	return s, err
}

// control runs f on a socket's handle.
func control(c syscall.Conn, f func(fd uintptr) error) error {
	rc, err := c.SyscallConn()
	if err != nil {
		return err
	}
	var ferr error
	if err := rc.Control(func(fd uintptr) { ferr = f(fd) }); err != nil {
		return err
	}
	return ferr
}
