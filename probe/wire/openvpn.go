package wire

import "encoding/binary"

// OpenVPNPort is the port of OpenVPN, on UDP and on TCP (IANA). A client's own port is any.
const OpenVPNPort = 1194

// Opcodes of OpenVPN's packets: those of the key exchange as OpenVPN 2.6 plays it, and data as it carries it.
const (
	OpenVPNControl         = 4 // P_CONTROL_V1
	OpenVPNAck             = 5 // P_ACK_V1
	OpenVPNHardResetClient = 7 // P_CONTROL_HARD_RESET_CLIENT_V2
	OpenVPNHardResetServer = 8 // P_CONTROL_HARD_RESET_SERVER_V2
	OpenVPNData            = 9 // P_DATA_V2
	openVPNKeyBits         = 3
	openVPNMaxAcks         = 255
	openVPNMaxPeerID       = 1<<24 - 1
	openVPNHeader          = 1 + BriefSize + 1 // opcode, session ID, length of the array of acknowledgments
	openVPNMaxPacket       = 65535
	OpenVPNPrefix          = 2 // octets of length in front of each packet on TCP
	OpenVPNDataHeader      = 8 // octets of P_DATA_V2 before what is encrypted and its authentication tag
	OpenVPNDataTag         = 16
)

// OpenVPN is one packet of OpenVPN without TLS-auth and TLS-crypt, as "OpenVPN Wire Protocol" (draft-openvpn-wire) and its source, ssl_pkt.h,
// describe it. The first octet is the opcode and, in three bits, the key ID. A control packet is
//
//	 0                   1                   2                   3
//	 0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1
//	+-+-+-+-+-+-+-+-+
//	| Opcode  | Key |
//	+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
//	|                  Session ID of who sends it                   |
//	|                                                               |
//	+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
//	| Number of acks|  Packet IDs that are acknowledged, 4 octets each
//	+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
//	|     Session ID of who receives it, if there are any acks      |
//	|                                                               |
//	+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
//	|                Packet ID, in all but P_ACK_V1                 |
//	+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
//
// with octets of TLS behind it. A data packet (P_DATA_V2) has a peer ID of 24 bits behind the first octet, a packet ID, the authentication tag
// of 16 octets and what is encrypted (AEAD); the last two are Payload here.
type OpenVPN struct {
	Opcode   uint8
	KeyID    uint8    // three bits
	Session  Brief    // of control packets
	Acks     []uint32 // newest first, as OpenVPN 2.6 writes them, which repeats some that it sent before
	Remote   Brief    // zero unless there are Acks
	PacketID uint32   // 0 in P_ACK_V1
	PeerID   uint32   // of data packets, 24 bits
	Payload  []byte   // after parsing, a part of what was parsed
}

// Append appends the packet. Acknowledgments beyond 255 are left out.
func (p OpenVPN) Append(b []byte) []byte {
	first := p.Opcode<<openVPNKeyBits | p.KeyID&(1<<openVPNKeyBits-1)
	if p.Opcode == OpenVPNData {
		b = binary.BigEndian.AppendUint32(b, uint32(first)<<24|p.PeerID&openVPNMaxPeerID)
		b = binary.BigEndian.AppendUint32(b, p.PacketID)
		return append(b, p.Payload...)
	}
	acks := p.Acks[:min(len(p.Acks), openVPNMaxAcks)]
	b = append(append(b, first), p.Session[:]...)
	b = append(b, uint8(len(acks)))
	for _, id := range acks {
		b = binary.BigEndian.AppendUint32(b, id)
	}
	if len(acks) > 0 {
		b = append(b, p.Remote[:]...)
	}
	if p.Opcode == OpenVPNAck {
		return b
	}
	return append(binary.BigEndian.AppendUint32(b, p.PacketID), p.Payload...)
}

// ParseOpenVPN reads one packet, all of b. It refuses opcodes that are none of the constants here, octets behind a P_ACK_V1, and one that
// acknowledges nothing.
func ParseOpenVPN(b []byte) (OpenVPN, error) {
	if err := need(b, 1, "an OpenVPN packet"); err != nil {
		return OpenVPN{}, err
	}
	p := OpenVPN{Opcode: b[0] >> openVPNKeyBits, KeyID: b[0] & (1<<openVPNKeyBits - 1)}
	switch p.Opcode {
	case OpenVPNData:
		if err := need(b, OpenVPNDataHeader+OpenVPNDataTag, "P_DATA_V2"); err != nil {
			return OpenVPN{}, err
		}
		p.PeerID = binary.BigEndian.Uint32(b) & openVPNMaxPeerID
		p.PacketID = binary.BigEndian.Uint32(b[4:])
		p.Payload = b[OpenVPNDataHeader:]
		return p, nil
	case OpenVPNControl, OpenVPNAck, OpenVPNHardResetClient, OpenVPNHardResetServer:
		return p.parseControl(b)
	}
	return OpenVPN{}, bad("opcode %d of OpenVPN", p.Opcode)
}

func (p OpenVPN) parseControl(b []byte) (OpenVPN, error) {
	if err := need(b, openVPNHeader, "an OpenVPN control packet"); err != nil {
		return OpenVPN{}, err
	}
	p.Session = Brief(b[1:])
	acks := int(b[openVPNHeader-1])
	rest := b[openVPNHeader:]
	if acks > 0 {
		if err := need(rest, 4*acks+BriefSize, "an array of acknowledgments"); err != nil {
			return OpenVPN{}, err
		}
		for range acks {
			p.Acks = append(p.Acks, binary.BigEndian.Uint32(rest))
			rest = rest[4:]
		}
		p.Remote, rest = Brief(rest), rest[BriefSize:]
	}
	if p.Opcode == OpenVPNAck {
		if acks == 0 || len(rest) > 0 {
			return OpenVPN{}, bad("P_ACK_V1 with %d acknowledgments and %d octets behind them", acks, len(rest))
		}
		return p, nil
	}
	if err := need(rest, 4, "the packet ID of an OpenVPN control packet"); err != nil {
		return OpenVPN{}, err
	}
	p.PacketID, p.Payload = binary.BigEndian.Uint32(rest), some(rest[4:])
	return p, nil
}

// AppendStream appends the packet as it stands on TCP: behind its length in two octets. What does not fit is cut.
func (p OpenVPN) AppendStream(b []byte) []byte {
	at := len(b)
	b = p.Append(append(b, 0, 0))
	b = cut(b, at+OpenVPNPrefix+openVPNMaxPacket)
	binary.BigEndian.PutUint16(b[at:], uint16(len(b)-at-OpenVPNPrefix))
	return b
}

// ParseOpenVPNStream reads the first packet of a TCP stream, and returns the octets that it took up there. ErrShort says that more of the
// stream is needed, and nothing else: what is whole and cannot be read wraps ErrFormat.
func ParseOpenVPNStream(b []byte) (p OpenVPN, n int, err error) {
	if err := need(b, OpenVPNPrefix, "the length of an OpenVPN packet"); err != nil {
		return OpenVPN{}, 0, err
	}
	n = OpenVPNPrefix + int(binary.BigEndian.Uint16(b))
	if err := need(b, n, "an OpenVPN packet on TCP"); err != nil {
		return OpenVPN{}, 0, err
	}
	if p, err = ParseOpenVPN(b[OpenVPNPrefix:n]); err != nil {
		return OpenVPN{}, 0, bad("%v", err)
	}
	return p, n, nil
}
