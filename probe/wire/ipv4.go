package wire

import (
	"encoding/binary"
	"net/netip"
)

// IPProtoUDP is the IP protocol number of UDP.
const IPProtoUDP = 17

const (
	ipv4HeaderLen  = 20
	ipv4MaxOptions = 40
	ipv4DF         = 0x4000
	ipv4MF         = 0x2000
	ipv4OffsetMask = 0x1FFF
	udpHeaderLen   = 8
	maxIPv4Packet  = 65535
)

// Checksum is the Internet checksum of RFC 1071: the complement of the one's complement sum of 16-bit words, an odd last octet
// padded with zero. Over octets that already hold a right checksum it is 0.
func Checksum(b []byte) uint16 {
	return ^fold(sum16(0, b))
}

// sum16 adds b to a sum of 16-bit words. It cannot overflow: 2^48 words fit.
func sum16(sum uint64, b []byte) uint64 {
	for ; len(b) >= 2; b = b[2:] {
		sum += uint64(be16(b))
	}
	if len(b) == 1 {
		sum += uint64(b[0]) << 8
	}
	return sum
}

func fold(sum uint64) uint16 {
	for sum > 0xFFFF {
		sum = sum>>16 + sum&0xFFFF
	}
	return uint16(sum)
}

// IPv4 is an IPv4 header (RFC 791, section 3.1):
//
//	 0                   1                   2                   3
//	 0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1
//	+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
//	|Version|  IHL  |Type of Service|          Total Length         |
//	+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
//	|         Identification        |Flags|      Fragment Offset    |
//	+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
//	|  Time to Live |    Protocol   |         Header Checksum       |
//	+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
//	|                       Source Address                          |
//	+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
//	|                    Destination Address                        |
//	+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
//	|                    Options                    |    Padding    |
//	+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
//
// Version, IHL and Header Checksum are computed.
type IPv4 struct {
	TOS         uint8  // Type of Service: DSCP in the upper six bits, ECN in the lower two
	TotalLength uint16 // header, options and payload; AppendPacket fills it in
	ID          uint16 // Identification
	DF          bool
	MF          bool
	FragOffset  uint16 // Fragment Offset in units of 8 octets, 13 bits
	TTL         uint8
	Protocol    uint8
	Src         netip.Addr // an address that is not IPv4 is sent as 0.0.0.0
	Dst         netip.Addr
	Options     []byte // with padding; Append pads to words and cuts after 40 octets. After parsing, a part of what was parsed
}

// DSCP is the upper six bits of the Type of Service (RFC 2474, section 3).
func (h IPv4) DSCP() uint8 { return h.TOS >> 2 }

// Append appends the header with its options and the checksum over them.
func (h IPv4) Append(b []byte) []byte {
	start := len(b)
	options := cut(h.Options, ipv4MaxOptions)
	words := (ipv4HeaderLen + len(options) + 3) / 4
	fragment := h.FragOffset & ipv4OffsetMask
	if h.DF {
		fragment |= ipv4DF
	}
	if h.MF {
		fragment |= ipv4MF
	}
	src, dst := octets(h.Src), octets(h.Dst)
	b = append(b, uint8(4<<4|words), h.TOS)
	b = binary.BigEndian.AppendUint16(b, h.TotalLength)
	b = binary.BigEndian.AppendUint16(b, h.ID)
	b = binary.BigEndian.AppendUint16(b, fragment)
	b = append(b, h.TTL, h.Protocol, 0, 0)
	b = append(b, src[:]...)
	b = append(b, dst[:]...)
	b = append(b, options...)
	for len(b)-start < 4*words {
		b = append(b, 0) // End of Option List
	}
	binary.BigEndian.PutUint16(b[start+10:], Checksum(b[start:]))
	return b
}

// AppendPacket appends the header with the Total Length of the whole packet, and the payload. A payload that does not fit into
// 65535 octets is cut.
func (h IPv4) AppendPacket(b, payload []byte) []byte {
	header := ipv4HeaderLen + (len(cut(h.Options, ipv4MaxOptions))+3)/4*4
	payload = cut(payload, maxIPv4Packet-header)
	h.TotalLength = uint16(header + len(payload))
	return append(h.Append(b), payload...)
}

// ParseIPv4 reads the packet at the start of b, and returns its header and payload, which is not copied. Octets behind Total
// Length are left out: an Ethernet frame pads a short packet.
func ParseIPv4(b []byte) (IPv4, []byte, error) {
	h, n, err := ParseIPv4Header(b)
	if err != nil {
		return IPv4{}, nil, err
	}
	if Checksum(b[:n]) != 0 {
		return IPv4{}, nil, bad("IPv4 Header Checksum %#04x does not match", be16(b[10:]))
	}
	if err := need(b, int(h.TotalLength), "IPv4 packet"); err != nil {
		return IPv4{}, nil, err
	}
	return h, some(b[n:h.TotalLength]), nil
}

// ParseIPv4Header reads the header at the start of b and returns it with its length. It is for a packet that ICMP quotes: most
// of the payload is missing, and routers have changed the header without mending its checksum, so neither is looked at.
func ParseIPv4Header(b []byte) (IPv4, int, error) {
	if len(b) > 0 && b[0]>>4 != 4 {
		return IPv4{}, 0, bad("IP version is %d, want 4", b[0]>>4)
	}
	if err := need(b, ipv4HeaderLen, "IPv4 header"); err != nil {
		return IPv4{}, 0, err
	}
	n := int(b[0]&0x0F) * 4
	if n < ipv4HeaderLen {
		return IPv4{}, 0, bad("IPv4 header is %d octets long, want %d or more", n, ipv4HeaderLen)
	}
	if err := need(b, n, "IPv4 header with options"); err != nil {
		return IPv4{}, 0, err
	}
	fragment := be16(b[6:])
	if fragment&0x8000 != 0 {
		return IPv4{}, 0, bad("IPv4 has its reserved flag set")
	}
	if int(be16(b[2:])) < n {
		return IPv4{}, 0, bad("IPv4 Total Length is %d, the header alone has %d", be16(b[2:]), n)
	}
	return IPv4{
		TOS:         b[1],
		TotalLength: be16(b[2:]),
		ID:          be16(b[4:]),
		DF:          fragment&ipv4DF != 0,
		MF:          fragment&ipv4MF != 0,
		FragOffset:  fragment & ipv4OffsetMask,
		TTL:         b[8],
		Protocol:    b[9],
		Src:         netip.AddrFrom4([4]byte(b[12:16])),
		Dst:         netip.AddrFrom4([4]byte(b[16:20])),
		Options:     some(b[20:n]),
	}, n, nil
}

// UDP is a UDP header (RFC 768).
type UDP struct {
	SrcPort  uint16
	DstPort  uint16
	Length   uint16 // header and payload
	Checksum uint16 // 0: the sender computed none
}

// Append appends the header as it is; AppendUDP computes Length and Checksum.
func (u UDP) Append(b []byte) []byte {
	b = binary.BigEndian.AppendUint16(b, u.SrcPort)
	b = binary.BigEndian.AppendUint16(b, u.DstPort)
	b = binary.BigEndian.AppendUint16(b, u.Length)
	return binary.BigEndian.AppendUint16(b, u.Checksum)
}

// AppendUDP appends a whole datagram with the checksum that it has between two IPv4 addresses. A payload that does not fit into
// an IPv4 packet is cut.
func AppendUDP(b []byte, src, dst netip.AddrPort, payload []byte) []byte {
	payload = cut(payload, maxIPv4Packet-ipv4HeaderLen-udpHeaderLen)
	start := len(b)
	b = UDP{SrcPort: src.Port(), DstPort: dst.Port(), Length: uint16(udpHeaderLen + len(payload))}.Append(b)
	b = append(b, payload...)
	binary.BigEndian.PutUint16(b[start+6:], UDPChecksum(src.Addr(), dst.Addr(), b[start:]))
	return b
}

// ParseUDP reads the datagram at the start of b and returns its header and payload, which is not copied. Octets behind Length are
// left out. The checksum needs the addresses: compare it with UDPChecksum.
func ParseUDP(b []byte) (UDP, []byte, error) {
	if err := need(b, udpHeaderLen, "UDP header"); err != nil {
		return UDP{}, nil, err
	}
	u := UDP{SrcPort: be16(b), DstPort: be16(b[2:]), Length: be16(b[4:]), Checksum: be16(b[6:])}
	length := int(u.Length)
	if length < udpHeaderLen {
		return UDP{}, nil, bad("UDP Length is %d, want %d or more", length, udpHeaderLen)
	}
	if err := need(b, length, "UDP datagram"); err != nil {
		return UDP{}, nil, err
	}
	return u, some(b[udpHeaderLen:length]), nil
}

// UDPChecksum is the checksum that a datagram has between two IPv4 addresses (RFC 768), whatever its Checksum field holds now. It
// is never 0, which says that there is none. A datagram without a whole header has none.
func UDPChecksum(src, dst netip.Addr, datagram []byte) uint16 {
	if len(datagram) < udpHeaderLen {
		return 0
	}
	s, d := octets(src), octets(dst)
	sum := sum16(sum16(0, s[:]), d[:])
	sum += IPProtoUDP + uint64(len(datagram))
	sum = sum16(sum16(sum, datagram[:6]), datagram[udpHeaderLen:])
	if c := ^fold(sum); c != 0 {
		return c
	}
	return 0xFFFF
}

// octets returns an IPv4 address, or 0.0.0.0 for any other: As4 panics on those.
func octets(a netip.Addr) [4]byte {
	if a = a.Unmap(); a.Is4() {
		return a.As4()
	}
	return [4]byte{}
}
