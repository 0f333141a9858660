package sock

import (
	"bytes"
	"encoding/binary"
	"math/rand/v2"
	"net/netip"

	"vpncheck/probe/wire"
)

const (
	headerLen = 20 // an IPv4 header without options: all that we send
	tcpHeader = 20

	tcpSYN = 0x02
	tcpACK = 0x10
)

// randomID is an IP-ID that the kernel leaves alone: it replaces 0.
func randomID() uint16 { return uint16(1 + rand.N(1<<16-1)) }

// received reads a packet as a raw IPv4 socket delivers it. The kernel has checked and reassembled it, so that less is asked of it
// here than of a packet from anywhere else; what lies behind Total Length is cut off.
func received(b []byte) (wire.IPv4, []byte, bool) {
	h, n, err := wire.ParseIPv4Header(b)
	if err != nil {
		return wire.IPv4{}, nil, false
	}
	return h, b[n:min(int(h.TotalLength), len(b))], true
}

// syn is what parseSYN reads: the source port and the length of the header with its options.
type syn struct {
	src    uint16
	length int
}

// parseSYN reads a TCP header (RFC 9293, section 3.1) if it is a SYN without ACK for a port.
func parseSYN(b []byte, port uint16) (syn, bool) {
	if len(b) < tcpHeader || binary.BigEndian.Uint16(b[2:]) != port || b[13]&(tcpSYN|tcpACK) != tcpSYN {
		return syn{}, false
	}
	length := int(b[12]>>4) * 4
	if length < tcpHeader || length > len(b) {
		return syn{}, false
	}
	return syn{src: binary.BigEndian.Uint16(b), length: length}, true
}

// parseDatagram fills in a sighting whose Bytes are a UDP header and what follows it, if it is a datagram to a port. It leaves Bytes with
// the payload.
func parseDatagram(s *wire.Sighting, port uint16) bool {
	u, payload, err := wire.ParseUDP(s.Bytes)
	if err != nil || u.DstPort != port {
		return false
	}
	s.Src = netip.AddrPortFrom(s.Src.Addr(), u.SrcPort)
	s.Dst = netip.AddrPortFrom(s.Dst.Addr(), u.DstPort)
	s.Bytes = payload
	if u.Checksum == UDPChecksum(*s) || u.Checksum != unfinished(*s) {
		s.Checksum = &u.Checksum
	}
	return true
}

// UDPChecksum is the checksum that a datagram has by its addresses, ports and payload, whatever its Checksum holds (RFC 768; over IPv6
// RFC 8200, section 8.1). It is never 0. A NAT changes it, and must do so rightly.
func UDPChecksum(s wire.Sighting) uint16 {
	length := uint16(8 + len(s.Bytes))
	b := pseudoHeader(s)
	b = wire.UDP{SrcPort: s.Src.Port(), DstPort: s.Dst.Port(), Length: length}.Append(b)
	if sum := wire.Checksum(append(b, s.Bytes...)); sum != 0 {
		return sum
	}
	return 0xFFFF
}

// Intact says whether a kernel hands a datagram to a UDP socket: its checksum is right, absent, or was never to be computed, because the
// datagram has not left this machine (or its hypervisor). IPv4's may be absent.
func Intact(s wire.Sighting) bool {
	return s.Checksum == nil || *s.Checksum == 0 || *s.Checksum == UDPChecksum(s) || *s.Checksum == unfinished(s)
}

// unfinished is what a kernel leaves in the Checksum of a datagram for its network card to complete: the sum over the pseudo-header.
func unfinished(s wire.Sighting) uint16 { return ^wire.Checksum(pseudoHeader(s)) }

// pseudoHeader is that of UDP over either family: the two differ only in zeros, which a sum does not see.
func pseudoHeader(s wire.Sighting) []byte {
	b := bytes.Join([][]byte{s.Src.Addr().AsSlice(), s.Dst.Addr().AsSlice(), {0, protoUDP}}, nil)
	return binary.BigEndian.AppendUint16(b, uint16(8+len(s.Bytes)))
}
