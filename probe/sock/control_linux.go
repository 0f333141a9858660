package sock

import (
	"encoding/binary"
	"net/netip"

	"golang.org/x/sys/unix"

	"vpncheck/probe/wire"
)

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
