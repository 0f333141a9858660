package sock

import (
	"context"
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

func (r *raw4) Recv() (wire.Sighting, error) {
	h, payload, at, err := r.read()
	if err != nil {
		return wire.Sighting{}, err
	}
	s := header(at, &h)
	s.Bytes = append(wire.Hex(nil), payload...)
	return s, nil
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
	src, err := o.source(r.local)
	if err != nil {
		return wire.Sighting{}, err
	}
	h := wire.IPv4{
		TOS: o.DSCP << 2, ID: randomID(), DF: o.DF, TTL: o.ttl(), Protocol: r.proto, Src: src, Dst: dst,
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

// udp is a datagram socket of either family.
type udp struct {
	*net.UDPConn
	local netip.AddrPort
	buf   []byte
	oob   [oobSize]byte
	out   [oobSize]byte
	probe probeMTU
}

func openUDP(local netip.AddrPort) (Conn, error) {
	if !local.IsValid() {
		return nil, errFamily
	}
	prepare := enable6
	if local.Addr().Is4() {
		prepare = enable4
	}
	pc, err := listenPacket("udp"+family(local.Addr()), local.String(), prepare)
	if err != nil {
		return nil, err
	}
	c := pc.(*net.UDPConn)
	c.SetReadBuffer(receiveBuffer)
	return &udp{UDPConn: c, local: localAddr(c.LocalAddr()), buf: make([]byte, maxPacket)}, nil
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
		parseControl(u.oob[:oobn], &s)
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
	if o.Dst.Addr().Is4() != u.local.Addr().Is4() {
		return wire.Sighting{}, unix.EAFNOSUPPORT
	}
	src, err := o.source(u.local.Addr())
	if err != nil {
		return wire.Sighting{}, err
	}
	var oob []byte
	if src.Is4() {
		err = u.probe.set(u.UDPConn, unix.IPPROTO_IP, unix.IP_MTU_DISCOVER, o.DF)
		oob = appendControl4(u.out[:0], o, src)
	} else {
		err = u.probe.set(u.UDPConn, unix.IPPROTO_IPV6, unix.IPV6_MTU_DISCOVER, o.DF)
		oob = appendControl6(u.out[:0], o, src)
	}
	if err != nil {
		return wire.Sighting{}, err
	}
	s := o.asked(time.Now(), whereUDP, protoUDP, netip.AddrPortFrom(src, u.local.Port()))
	s.Bytes = append(wire.Hex(nil), o.Payload...)
	_, _, err = u.WriteMsgUDPAddrPort(o.Payload, oob, o.Dst)
	return s, err
}

// syns shows the SYNs that a raw TCP socket receives.
type syns struct {
	Conn
	port uint16
	read func() (wire.Sighting, error) // Bytes is borrowed
}

func openSYNs(port uint16, local netip.Addr) (Conn, error) {
	if !local.IsValid() {
		return nil, errFamily
	}
	filter, err := bpf.Assemble(synFilter(port, local.Is4()))
	if err != nil {
		return nil, fmt.Errorf("assembling the filter: %w", err)
	}
	c, err := listenIP(protoTCP, local, func(fd int) error {
		if local.Is6() {
			if err := enable6(fd); err != nil {
				return err
			}
		}
		return attach(fd, filter)
	})
	if err != nil {
		return nil, err
	}
	if local.Is6() {
		r := &raw6{IPConn: c, proto: protoTCP, local: local, buf: make([]byte, maxPacket)}
		return &syns{Conn: r, port: port, read: r.read}, nil
	}
	r, err := newRaw4(c, protoTCP, local)
	if err != nil {
		return nil, err
	}
	return &syns{Conn: r, port: port, read: func() (wire.Sighting, error) {
		h, payload, at, err := r.read()
		if err != nil {
			return wire.Sighting{}, err
		}
		s := header(at, &h)
		s.Bytes = payload
		return s, nil
	}}, nil
}

func (s *syns) Local() netip.AddrPort { return netip.AddrPortFrom(s.Conn.Local().Addr(), s.port) }

func (s *syns) Send(Out) (wire.Sighting, error) {
	return wire.Sighting{}, fmt.Errorf("sending a TCP segment: %w", errors.ErrUnsupported)
}

func (s *syns) Recv() (wire.Sighting, error) {
	for {
		seen, err := s.read()
		if err != nil {
			return wire.Sighting{}, err
		}
		// The filter has been at work since before bind, but not since socket: what slipped in between is dropped here.
		if syn, ok := parseSYN(seen.Bytes, s.port); ok {
			seen.Src = netip.AddrPortFrom(seen.Src.Addr(), syn.src)
			seen.Dst = netip.AddrPortFrom(seen.Dst.Addr(), s.port)
			seen.Bytes = append(wire.Hex(nil), seen.Bytes[:syn.length]...)
			return seen, nil
		}
	}
}

// synFilter passes SYNs without ACK for a port. A raw IPv4 socket counts from the IP header, an IPv6 one from the TCP header.
func synFilter(port uint16, v4 bool) []bpf.Instruction {
	load := func(off uint32, size int) bpf.Instruction {
		if v4 {
			return bpf.LoadIndirect{Off: off, Size: size}
		}
		return bpf.LoadAbsolute{Off: off, Size: size}
	}
	program := []bpf.Instruction{
		load(2, 2),
		bpf.JumpIf{Cond: bpf.JumpEqual, Val: uint32(port), SkipFalse: 4},
		load(13, 1),
		bpf.ALUOpConstant{Op: bpf.ALUOpAnd, Val: tcpSYN | tcpACK},
		bpf.JumpIf{Cond: bpf.JumpEqual, Val: tcpSYN, SkipFalse: 1},
		bpf.RetConstant{Val: maxPacket},
		bpf.RetConstant{Val: 0},
	}
	if v4 {
		program = append([]bpf.Instruction{bpf.LoadMemShift{Off: 0}}, program...)
	}
	return program
}

func attach(fd int, program []bpf.RawInstruction) error {
	filter := make([]unix.SockFilter, len(program))
	for i, in := range program {
		filter[i] = unix.SockFilter{Code: in.Op, Jt: in.Jt, Jf: in.Jf, K: in.K}
	}
	return unix.SetsockoptSockFprog(fd, unix.SOL_SOCKET, unix.SO_ATTACH_FILTER, &unix.SockFprog{
		Len: uint16(len(filter)), Filter: &filter[0],
	})
}

// oobSize holds all control messages that we ask for, with room to spare.
const oobSize = 256

// enable4 asks for TTL, TOS and destination of what an IPv4 socket receives.
func enable4(fd int) error {
	for _, opt := range []int{unix.IP_RECVTTL, unix.IP_RECVTOS, unix.IP_PKTINFO} {
		if err := unix.SetsockoptInt(fd, unix.IPPROTO_IP, opt, 1); err != nil {
			return err
		}
	}
	return unix.SetsockoptInt(fd, unix.IPPROTO_IP, unix.IP_MTU_DISCOVER, unix.IP_PMTUDISC_DONT)
}

// enable6 is enable4 for IPv6.
func enable6(fd int) error {
	for _, opt := range []int{unix.IPV6_RECVHOPLIMIT, unix.IPV6_RECVTCLASS, unix.IPV6_RECVPKTINFO} {
		if err := unix.SetsockoptInt(fd, unix.IPPROTO_IPV6, opt, 1); err != nil {
			return err
		}
	}
	return unix.SetsockoptInt(fd, unix.IPPROTO_IPV6, unix.IPV6_MTU_DISCOVER, unix.IPV6_PMTUDISC_DONT)
}

// probeMTU is a socket's path MTU discovery: on means DF and no regard to what the kernel learned of the path. There is no control
// message for it, so it is changed when a packet wants it changed.
type probeMTU bool

func (p *probeMTU) set(c syscall.Conn, level, opt int, on bool) error {
	if bool(*p) == on {
		return nil
	}
	rc, err := c.SyscallConn()
	if err != nil {
		return err
	}
	value := unix.IP_PMTUDISC_DONT // the same numbers in IPv6
	if on {
		value = unix.IP_PMTUDISC_PROBE
	}
	var serr error
	if err := rc.Control(func(fd uintptr) { serr = unix.SetsockoptInt(int(fd), level, opt, value) }); err != nil {
		return err
	}
	if serr == nil {
		*p = probeMTU(on)
	}
	return serr
}

// parseControl fills in what the kernel tells of a packet's header.
func parseControl(oob []byte, s *wire.Sighting) {
	f := &ipFields{}
	for len(oob) >= unix.SizeofCmsghdr {
		h, data, rest, err := unix.ParseOneSocketControlMessage(oob)
		if err != nil {
			return
		}
		oob = rest
		switch {
		case h.Level == unix.IPPROTO_IP && h.Type == unix.IP_TTL && len(data) >= 4,
			h.Level == unix.IPPROTO_IPV6 && h.Type == unix.IPV6_HOPLIMIT && len(data) >= 4:
			f.ttl = uint8(binary.NativeEndian.Uint32(data))
			s.TTL = &f.ttl
		case h.Level == unix.IPPROTO_IP && h.Type == unix.IP_TOS && len(data) >= 1:
			f.dscp = data[0] >> 2
			s.DSCP = &f.dscp
		case h.Level == unix.IPPROTO_IPV6 && h.Type == unix.IPV6_TCLASS && len(data) >= 4:
			f.dscp = uint8(binary.NativeEndian.Uint32(data)) >> 2
			s.DSCP = &f.dscp
		case h.Level == unix.IPPROTO_IP && h.Type == unix.IP_PKTINFO && len(data) >= unix.SizeofInet4Pktinfo:
			// struct in_pktinfo: interface, local address of the route, destination in the header
			s.Dst = netip.AddrPortFrom(netip.AddrFrom4([4]byte(data[8:12])), s.Dst.Port())
		case h.Level == unix.IPPROTO_IPV6 && h.Type == unix.IPV6_PKTINFO && len(data) >= unix.SizeofInet6Pktinfo:
			// struct in6_pktinfo: destination, interface
			dst := netip.AddrFrom16([16]byte(data[:16]))
			if dst.IsLinkLocalUnicast() {
				dst = dst.WithZone(s.Src.Addr().Zone())
			}
			s.Dst = netip.AddrPortFrom(dst, s.Dst.Port())
		}
	}
}

// appendControl4 appends what one IPv4 datagram is to leave with.
func appendControl4(b []byte, o Out, src netip.Addr) []byte {
	b = appendInt(b, unix.IPPROTO_IP, unix.IP_TTL, int(o.ttl()))
	b = appendInt(b, unix.IPPROTO_IP, unix.IP_TOS, int(o.DSCP<<2))
	return append(b, unix.PktInfo4(&unix.Inet4Pktinfo{Spec_dst: src.As4()})...)
}

// appendControl6 appends what one IPv6 packet is to leave with.
func appendControl6(b []byte, o Out, src netip.Addr) []byte {
	b = appendInt(b, unix.IPPROTO_IPV6, unix.IPV6_HOPLIMIT, int(o.ttl()))
	b = appendInt(b, unix.IPPROTO_IPV6, unix.IPV6_TCLASS, int(o.DSCP<<2))
	if o.DF {
		b = appendInt(b, unix.IPPROTO_IPV6, unix.IPV6_DONTFRAG, 1)
	}
	return append(b, unix.PktInfo6(&unix.Inet6Pktinfo{Addr: src.As16()})...)
}

// appendInt appends a control message that holds an int. Its length field is a word of the machine's size.
func appendInt(b []byte, level, kind, value int) []byte {
	start, length := len(b), unix.CmsgLen(4)
	if unix.SizeofPtr == 8 {
		b = binary.NativeEndian.AppendUint64(b, uint64(length))
	} else {
		b = binary.NativeEndian.AppendUint32(b, uint32(length))
	}
	b = binary.NativeEndian.AppendUint32(b, uint32(level))
	b = binary.NativeEndian.AppendUint32(b, uint32(kind))
	b = binary.NativeEndian.AppendUint32(b, uint32(value))
	for len(b) < start+unix.CmsgSpace(4) {
		b = append(b, 0)
	}
	return b
}
