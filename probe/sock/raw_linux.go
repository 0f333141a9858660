package sock

import (
	"fmt"
	"net"
	"net/netip"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"vpncheck/probe/wire"
)

// raw4 is a raw IPv4 socket that writes its own headers. It allocates nothing but the sightings.
type raw4 struct {
	*net.IPConn
	proto uint8
	local netip.Addr

	rc  syscall.RawConn
	buf []byte
	n   int
	err error
	rd  func(fd uintptr) bool

	to   unix.SockaddrInet4
	out  []byte
	serr error
	wr   func(fd uintptr) bool
}

func newRaw4(c *net.IPConn, proto uint8, local netip.Addr) (*raw4, error) {
	rc, err := c.SyscallConn()
	if err != nil {
		c.Close()
		return nil, err
	}
	r := &raw4{IPConn: c, proto: proto, local: local, rc: rc, buf: make([]byte, maxPacket)}
	r.rd = func(fd uintptr) bool {
		r.n, r.err = unix.Read(int(fd), r.buf)
		return r.err != unix.EAGAIN
	}
	r.wr = func(fd uintptr) bool {
		r.serr = unix.Sendto(int(fd), r.out, 0, &r.to)
		return r.serr != unix.EAGAIN
	}
	return r, nil
}

func (r *raw4) Local() netip.AddrPort { return netip.AddrPortFrom(r.local, 0) }

// read receives one packet with its header; the payload is a part of r.buf.
func (r *raw4) read() (wire.IPv4, []byte, time.Time, error) {
	for {
		err := r.rc.Read(r.rd)
		if err == nil {
			err = r.err
		}
		at := time.Now()
		if err != nil {
			if ends(err) {
				return wire.IPv4{}, nil, at, fmt.Errorf("receiving IP protocol %d: %w", r.proto, err)
			}
			continue
		}
		if h, payload, ok := received(r.buf[:r.n]); ok && h.Protocol == r.proto {
			return h, payload, at, nil
		}
	}
}

// borrow is read as a sighting, whose Bytes are a part of r.buf.
func (r *raw4) borrow() (wire.Sighting, error) {
	h, payload, at, err := r.read()
	if err != nil {
		return wire.Sighting{}, err
	}
	s := header(at, &h)
	s.Bytes = payload
	return s, nil
}

func (r *raw4) Recv() (wire.Sighting, error) {
	s, err := r.borrow()
	s.Bytes = append(wire.Hex(nil), s.Bytes...)
	return s, err
}

func (r *raw4) Send(o Out) (wire.Sighting, error) {
	dst := o.Dst.Addr().Unmap()
	s, err := r.send(dst, o)
	if err != nil {
		return s, fmt.Errorf("sending IP protocol %d to %v: %w", r.proto, dst, err)
	}
	return s, nil
}

func (r *raw4) send(dst netip.Addr, o Out) (wire.Sighting, error) {
	if !dst.Is4() {
		return wire.Sighting{}, unix.EAFNOSUPPORT
	}
	if len(o.Payload) > maxPacket-headerLen {
		return wire.Sighting{}, unix.EMSGSIZE
	}
	if err := o.fits(true, false); err != nil {
		return wire.Sighting{}, err
	}
	src, err := o.source(r.local)
	if err != nil {
		return wire.Sighting{}, err
	}
	h := wire.IPv4{
		TOS: o.DSCP << 2, ID: o.id(), DF: o.DF, TTL: o.ttl(), Protocol: r.proto, Src: src, Dst: dst,
	}
	packet := h.AppendPacket(make([]byte, 0, headerLen+len(o.Payload)), o.Payload)
	r.to.Addr = dst.As4()
	at := time.Now()
	err = r.write(packet)
	if err == unix.EMSGSIZE && !o.DF {
		err = r.sendFragments(h, o.Payload)
	}
	if err != nil {
		return wire.Sighting{}, err
	}
	s := header(at, &h)
	s.Bytes = wire.Hex(packet[headerLen:])
	return s, nil
}

func (r *raw4) write(packet []byte) error {
	r.out = packet
	if err := r.rc.Write(r.wr); err != nil {
		return err
	}
	return r.serr
}

// sendFragments does what the kernel leaves undone when it does not write the header: a packet larger than the interface's MTU
// leaves in fragments, in order.
func (r *raw4) sendFragments(h wire.IPv4, payload []byte) error {
	mtu, err := interfaceMTU(h.Dst)
	if err != nil {
		return err
	}
	size := (mtu - headerLen) &^ 7
	if size <= 0 {
		return unix.EMSGSIZE
	}
	for at := 0; at < len(payload); at += size {
		end := min(at+size, len(payload))
		h.FragOffset, h.MF = uint16(at/8), end < len(payload)
		if err := r.write(h.AppendPacket(nil, payload[at:end])); err != nil {
			return err
		}
	}
	return nil
}

// interfaceMTU asks for the MTU on the way to dst, as far as the kernel knows it.
func interfaceMTU(dst netip.Addr) (int, error) {
	c, err := net.DialUDP("udp4", nil, net.UDPAddrFromAddrPort(netip.AddrPortFrom(dst, 9)))
	if err != nil {
		return 0, err
	}
	defer c.Close()
	rc, err := c.SyscallConn()
	if err != nil {
		return 0, err
	}
	var mtu int
	var serr error
	if err := rc.Control(func(fd uintptr) { mtu, serr = unix.GetsockoptInt(int(fd), unix.IPPROTO_IP, unix.IP_MTU) }); err != nil {
		return 0, err
	}
	return mtu, serr
}

// raw6 is a raw IPv6 socket: the kernel writes and keeps the header, and tells of it in control messages.
type raw6 struct {
	*net.IPConn
	proto uint8
	local netip.Addr
	buf   []byte
	oob   [oobSize]byte
	out   [oobSize]byte
	probe probeMTU
}

func (r *raw6) Local() netip.AddrPort { return netip.AddrPortFrom(r.local, 0) }

// read receives one packet without its header; its Bytes are a part of r.buf.
func (r *raw6) read() (wire.Sighting, error) {
	for {
		n, oobn, _, from, err := r.ReadMsgIP(r.buf, r.oob[:])
		at := time.Now()
		if err != nil {
			if ends(err) {
				return wire.Sighting{}, fmt.Errorf("receiving IP protocol %d: %w", r.proto, err)
			}
			continue
		}
		s := wire.Sighting{
			State: wire.Seen, At: at, Where: whereRaw, Proto: r.proto, Src: localAddr(from), Dst: r.Local(), Bytes: r.buf[:n],
		}
		parseControl(r.oob[:oobn], &s)
		return s, nil
	}
}

func (r *raw6) Recv() (wire.Sighting, error) {
	s, err := r.read()
	s.Bytes = append(wire.Hex(nil), s.Bytes...)
	return s, err
}

func (r *raw6) Send(o Out) (wire.Sighting, error) {
	s, err := r.send(o)
	if err != nil {
		return wire.Sighting{}, fmt.Errorf("sending IP protocol %d to %v: %w", r.proto, o.Dst.Addr(), err)
	}
	return s, nil
}

func (r *raw6) send(o Out) (wire.Sighting, error) {
	dst := o.Dst.Addr()
	if !dst.Is6() || dst.Is4In6() {
		return wire.Sighting{}, unix.EAFNOSUPPORT
	}
	if err := o.fits(false, false); err != nil {
		return wire.Sighting{}, err
	}
	src, err := o.source(r.local)
	if err != nil {
		return wire.Sighting{}, err
	}
	if err := r.probe.set(r.IPConn, unix.IPPROTO_IPV6, unix.IPV6_MTU_DISCOVER, o.DF); err != nil {
		return wire.Sighting{}, err
	}
	o.Dst = netip.AddrPortFrom(dst, 0)
	s := o.asked(time.Now(), whereRaw, r.proto, netip.AddrPortFrom(src, 0))
	s.Bytes = append(wire.Hex(nil), o.Payload...)
	_, _, err = r.WriteMsgIP(o.Payload, appendControl6(r.out[:0], o, src), &net.IPAddr{IP: dst.AsSlice(), Zone: dst.Zone()})
	return s, err
}
