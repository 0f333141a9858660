package probe

import (
	"encoding/binary"

	"vpncheck/probe/sock"
	"vpncheck/probe/wire"
)

// sameID is what the same IP-ID adds to a likeness: more than all octets that a quote has.
const sameID = 1 << 16

// quotes says how well the packet that an ICMP error quotes fits one that was sighted when it left: by the octets that the two share, and by
// far more if they have the same IP-ID as well. Zero means that it is another packet: the protocol, the addresses, the ports of UDP and TCP and
// three quarters of what is quoted must be the same. A quote has eight octets behind its IP header at least: the ports and the length of UDP,
// the SPI and the sequence number of ESP, the Call-ID of enhanced GRE.
func quotes(m wire.ICMPError, s wire.Sighting) int {
	h := m.Header
	if s.State != wire.Seen || h.Protocol != s.Proto || h.Src != s.Src.Addr().Unmap() || h.Dst != s.Dst.Addr().Unmap() {
		return 0
	}
	share := share(m.Quoted, s)
	if share == 0 {
		return 0
	}
	if s.IPID != nil && *s.IPID == h.ID {
		share += sameID
	}
	return share
}

// share counts the octets that a quote has in common with a packet, 0 if they are not enough.
func share(quoted []byte, s wire.Sighting) int {
	if s.Proto != wire.IPProtoUDP && s.Proto != protoTCP {
		return alike(quoted[:min(len(quoted), len(s.Bytes))], s.Bytes[:min(len(quoted), len(s.Bytes))])
	}
	if len(quoted) < 8 {
		return 0
	}
	src, dst := binary.BigEndian.Uint16(quoted), binary.BigEndian.Uint16(quoted[2:])
	// While a TCP connection is being opened, nobody knows which port it is opened from.
	if dst != s.Dst.Port() || src != s.Src.Port() && (s.Proto == wire.IPProtoUDP || s.Src.Port() != 0) {
		return 0
	}
	if s.Proto == protoTCP {
		return 2 + 2*truth(src == s.Src.Port()) // Bytes is of the stream
	}
	return shareUDP(quoted, s)
}

// shareUDP is share for UDP, whose ports fit. Many a NAT does not translate a quote's checksum back: one that fits is welcome, and one that
// does not is no difference.
func shareUDP(quoted []byte, s wire.Sighting) int {
	length := binary.BigEndian.AppendUint16(nil, uint16(8+len(s.Bytes)))
	n := min(len(quoted)-8, len(s.Bytes))
	a := append(quoted[4:6:6], quoted[8:8+n]...)
	b := append(length, s.Bytes[:n]...)
	same := alike(a, b)
	if same == 0 {
		return 0
	}
	sum := sock.UDPChecksum(s)
	if s.Checksum != nil {
		sum = *s.Checksum
	}
	return 4 + same + 2*truth(sum == binary.BigEndian.Uint16(quoted[6:]))
}

func truth(b bool) int {
	if b {
		return 1
	}
	return 0
}
