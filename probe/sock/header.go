package sock

import (
	"encoding/binary"
	"math/rand/v2"

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
