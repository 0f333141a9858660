package wire

import "encoding/binary"

// IPProtoGRE is the IP protocol number of GRE.
const IPProtoGRE = 47

// EtherTypes in a GRE header's Protocol Type.
const (
	ProtocolTypeIPv4 = 0x0800
	ProtocolTypePPP  = 0x880B // RFC 2637, section 4.1
)

// GREVersion looks at the Version of a GRE header: 0 is for ParseGRE, 1 for ParseEnhancedGRE.
func GREVersion(b []byte) (int, error) {
	if err := need(b, 2, "GRE version"); err != nil {
		return 0, err
	}
	return int(b[1] & greVersionMask), nil
}

// Bits of the first two octets of a GRE header.
const (
	greChecksum    = 0x8000 // C
	greKey         = 0x2000 // K
	greSequence    = 0x1000 // S
	greUnused      = 0x4C00 // bits 1, 4 and 5: RFC 1701's routing and strict source route
	greAck         = 0x0080 // A, version 1 only
	greVersionMask = 0x0007
)

// GRE is a packet of GRE version 0 (RFC 2784, section 2, with the Key and Sequence Number of RFC 2890, section 2):
//
//	 0                   1                   2                   3
//	 0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1
//	+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
//	|C| |K|S| Reserved0       | Ver |         Protocol Type         |
//	+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
//	|      Checksum (optional)      |       Reserved1 (Optional)    |
//	+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
//	|                         Key (optional)                        |
//	+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
//	|                 Sequence Number (Optional)                    |
//	+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
//
// The header has no length: the payload ends where the IP packet ends. A Linux NAT drops GRE of less than 8 octets.
type GRE struct {
	HasChecksum    bool // Append computes it, ParseGRE verifies it
	HasKey         bool
	HasSeq         bool
	ProtocolType   uint16
	Key            uint32 // 0 unless HasKey
	SequenceNumber uint32 // 0 unless HasSeq
	Payload        []byte // after parsing, a part of what was parsed
}

// Append appends the packet: header and payload.
func (g GRE) Append(b []byte) []byte {
	start := len(b)
	var flags uint16
	if g.HasChecksum {
		flags |= greChecksum
	}
	if g.HasKey {
		flags |= greKey
	}
	if g.HasSeq {
		flags |= greSequence
	}
	b = binary.BigEndian.AppendUint16(b, flags)
	b = binary.BigEndian.AppendUint16(b, g.ProtocolType)
	if g.HasChecksum {
		b = append(b, 0, 0, 0, 0) // Checksum, filled in below, and Reserved1
	}
	if g.HasKey {
		b = binary.BigEndian.AppendUint32(b, g.Key)
	}
	if g.HasSeq {
		b = binary.BigEndian.AppendUint32(b, g.SequenceNumber)
	}
	b = append(b, g.Payload...)
	if g.HasChecksum {
		binary.BigEndian.PutUint16(b[start+4:], Checksum(b[start:]))
	}
	return b
}

// ParseGRE reads a packet of GRE version 0, all of b. Bits 1, 4 and 5 are refused and the rest of Reserved0 is ignored, as RFC 2784,
// section 2.3 demands; Reserved1 is ignored too.
func ParseGRE(b []byte) (GRE, error) {
	if err := need(b, 4, "GRE header"); err != nil {
		return GRE{}, err
	}
	flags := be16(b)
	if flags&greVersionMask != 0 {
		return GRE{}, bad("GRE version is %d, want 0", flags&greVersionMask)
	}
	if flags&greUnused != 0 {
		return GRE{}, bad("GRE flags %#04x have bits that RFC 2784 forbids", flags)
	}
	g := GRE{
		HasChecksum:  flags&greChecksum != 0,
		HasKey:       flags&greKey != 0,
		HasSeq:       flags&greSequence != 0,
		ProtocolType: be16(b[2:]),
	}
	n := 4
	for _, present := range []bool{g.HasChecksum, g.HasKey, g.HasSeq} {
		if present {
			n += 4
		}
	}
	if err := need(b, n, "GRE header with its optional fields"); err != nil {
		return GRE{}, err
	}
	rest := b[4:]
	if g.HasChecksum {
		if Checksum(b) != 0 {
			return GRE{}, bad("GRE checksum %#04x does not match", be16(rest))
		}
		rest = rest[4:]
	}
	if g.HasKey {
		g.Key, rest = be32(rest), rest[4:]
	}
	if g.HasSeq {
		g.SequenceNumber, rest = be32(rest), rest[4:]
	}
	g.Payload = some(rest)
	return g, nil
}

// EnhancedGREOverhead is the most that an EnhancedGRE adds to its payload.
const EnhancedGREOverhead = 16

// EnhancedGRECallIDOffset is the Call ID in an EnhancedGRE: what a NAT rewrites on the way to its own client.
const EnhancedGRECallIDOffset = 6

// EnhancedGRE is a packet of GRE version 1, as PPTP uses it (RFC 2637, section 4.1):
//
//	 0                   1                   2                   3
//	 0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1
//	+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
//	|C|R|K|S|s|Recur|A| Flags | Ver |         Protocol Type         |
//	+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
//	|    Key (HW) Payload Length    |       Key (LW) Call ID        |
//	+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
//	|                  Sequence Number (Optional)                   |
//	+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
//	|               Acknowledgment Number (Optional)                |
//	+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
//
// K is always set, Protocol Type is always PPP, and C, R, s, Recur and Flags are always zero. A packet with a payload has a
// Sequence Number; one with neither is a bare acknowledgment.
type EnhancedGRE struct {
	CallID  uint16 // the receiver's
	HasSeq  bool
	HasAck  bool
	Seq     uint32 // Sequence Number, 0 unless HasSeq
	Ack     uint32 // Acknowledgment Number, 0 unless HasAck
	Payload []byte // at most 65535 octets, Append cuts the rest; after parsing, a part of what was parsed
}

// Append appends the packet: header and payload.
func (g EnhancedGRE) Append(b []byte) []byte {
	flags := uint16(greKey | 1)
	if g.HasSeq {
		flags |= greSequence
	}
	if g.HasAck {
		flags |= greAck
	}
	payload := cut(g.Payload, 65535)
	b = binary.BigEndian.AppendUint16(b, flags)
	b = binary.BigEndian.AppendUint16(b, ProtocolTypePPP)
	b = binary.BigEndian.AppendUint16(b, uint16(len(payload)))
	b = binary.BigEndian.AppendUint16(b, g.CallID)
	if g.HasSeq {
		b = binary.BigEndian.AppendUint32(b, g.Seq)
	}
	if g.HasAck {
		b = binary.BigEndian.AppendUint32(b, g.Ack)
	}
	return append(b, payload...)
}

// ParseEnhancedGRE reads a packet of GRE version 1, all of b. The payload is not copied.
func ParseEnhancedGRE(b []byte) (EnhancedGRE, error) {
	if err := need(b, 8, "enhanced GRE header"); err != nil {
		return EnhancedGRE{}, err
	}
	flags := be16(b)
	if flags&^(greSequence|greAck) != greKey|1 {
		return EnhancedGRE{}, bad("enhanced GRE flags and version are %#04x, want 0x2001 with or without S and A", flags)
	}
	if be16(b[2:]) != ProtocolTypePPP {
		return EnhancedGRE{}, bad("enhanced GRE Protocol Type is %#04x, want %#04x", be16(b[2:]), ProtocolTypePPP)
	}
	g := EnhancedGRE{
		CallID: be16(b[EnhancedGRECallIDOffset:]),
		HasSeq: flags&greSequence != 0,
		HasAck: flags&greAck != 0,
	}
	length, n := int(be16(b[4:])), 8
	if length > 0 && !g.HasSeq {
		return EnhancedGRE{}, bad("enhanced GRE has %d octets of payload and no Sequence Number", length)
	}
	if g.HasSeq {
		n += 4
	}
	if g.HasAck {
		n += 4
	}
	if err := need(b, n+length, "enhanced GRE packet"); err != nil {
		return EnhancedGRE{}, err
	}
	if len(b) > n+length {
		return EnhancedGRE{}, bad("enhanced GRE Payload Length is %d, the packet has %d", length, len(b)-n)
	}
	rest := b[8:]
	if g.HasSeq {
		g.Seq, rest = be32(rest), rest[4:]
	}
	if g.HasAck {
		g.Ack, rest = be32(rest), rest[4:]
	}
	g.Payload = some(rest)
	return g, nil
}
