package wire

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/binary"
	"net/netip"
)

// IPProtoAH is the IP protocol number of AH.
const IPProtoAH = 51

// The length of the header with its ICV.
const (
	AHSize     = ahFixedLen + icvLen // over IPv4
	AHSizeIPv6 = AHSize + ahPadding  // over IPv6
)

const (
	ahFixedLen = 12
	ahPadding  = 4
)

// AH is an Authentication Header with what follows it (RFC 4302, section 2):
//
//	 0                   1                   2                   3
//	 0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1
//	+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
//	| Next Header   |  Payload Len  |          RESERVED             |
//	+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
//	|                 Security Parameters Index (SPI)               |
//	+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
//	|                    Sequence Number Field                      |
//	+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
//	|                                                               |
//	+                Integrity Check Value-ICV (variable)           |
//	|                                                               |
//	+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
//
// Payload Len is the length of the header in words, less 2. RESERVED is zero, and the ICV covers it.
//
// The ICV is that of HMAC-SHA-256-128: 16 octets over IPv4; over IPv6, where the header is a multiple of 8, 16 and 4 of padding
// (section 3.3.3.2.1). AHICV and AHICV6 compute it: it covers both addresses, so that no NAT can pass AH on (F37).
type AH struct {
	NextHeader     uint8
	SPI            uint32 // the receiver's
	SequenceNumber uint32 // of the first packet 1 (section 3.3.2)
	ICV            []byte // 16 or 20 octets: Append pads with zero and cuts; after parsing, a part of what was parsed
}

// size is the length of the header with an ICV as Append writes it.
func (a AH) size() int {
	if len(a.ICV) > icvLen {
		return AHSizeIPv6
	}
	return AHSize
}

// Append appends the header.
func (a AH) Append(b []byte) []byte {
	size := a.size()
	b = append(b, a.NextHeader, uint8(size/4-2), 0, 0)
	b = binary.BigEndian.AppendUint32(b, a.SPI)
	b = binary.BigEndian.AppendUint32(b, a.SequenceNumber)
	icv := cut(a.ICV, size-ahFixedLen)
	b = append(b, icv...)
	return append(b, make([]byte, size-ahFixedLen-len(icv))...)
}

// ParseAH reads the header at the start of b and returns it with the payload behind it, which is not copied. It takes the ICV that
// Append writes and no other; whether it is right, the addresses must tell.
func ParseAH(b []byte) (AH, []byte, error) {
	if len(b) >= 2 && b[1] != AHSize/4-2 && b[1] != AHSizeIPv6/4-2 {
		return AH{}, nil, bad("AH Payload Len is %d, want %d or %d", b[1], AHSize/4-2, AHSizeIPv6/4-2)
	}
	if len(b) >= 4 && be16(b[2:]) != 0 {
		return AH{}, nil, bad("AH RESERVED is %#04x, want 0", be16(b[2:]))
	}
	if len(b) >= 8 && be32(b[4:]) < MinSPI {
		return AH{}, nil, bad("AH SPI %d is reserved", be32(b[4:]))
	}
	if err := need(b, ahFixedLen, "AH header"); err != nil {
		return AH{}, nil, err
	}
	size := (int(b[1]) + 2) * 4
	if err := need(b, size, "AH header with its ICV"); err != nil {
		return AH{}, nil, err
	}
	return AH{NextHeader: b[0], SPI: be32(b[4:]), SequenceNumber: be32(b[8:]), ICV: b[ahFixedLen:size]}, some(b[size:]), nil
}

// AHICV returns the ICV of a packet over IPv4, 16 octets, whatever the header's ICV holds now. Of the IP header it covers all but what
// a router may change (RFC 4302, section 3.3.3.1.1.1): DSCP and ECN, the flags, Fragment Offset, TTL and Header Checksum count as zero.
// A Total Length of 0 stands for the real one, as AppendPacket computes it. Protocol is IPProtoAH whatever h says. Options count as they
// are, although routers write into some (section 3.3.3.1.1.2): we send none.
func AHICV(key []byte, h IPv4, a AH, payload []byte) []byte {
	covered := IPv4{TotalLength: h.TotalLength, ID: h.ID, Protocol: IPProtoAH, Src: h.Src, Dst: h.Dst, Options: h.Options}
	if h.TotalLength == 0 {
		header := ipv4HeaderLen + (len(cut(h.Options, ipv4MaxOptions))+3)/4*4
		covered.TotalLength = uint16(header + AHSize + len(payload))
	}
	b := covered.Append(nil)
	b[10], b[11] = 0, 0 // Header Checksum
	a.ICV = nil
	return icv(key, a.Append(b), payload)
}

// AHICV6 is AHICV over IPv6 without extension headers: 16 octets and 4 of padding. Traffic class, Flow Label and Hop Limit count as
// zero (RFC 4302, section 3.3.3.1.2.1).
func AHICV6(key []byte, src, dst netip.Addr, a AH, payload []byte) []byte {
	from, to := src.As16(), dst.As16()
	b := []byte{6 << 4, 0, 0, 0}
	b = binary.BigEndian.AppendUint16(b, uint16(AHSizeIPv6+len(payload)))
	b = append(b, IPProtoAH, 0)
	b = append(b, from[:]...)
	b = append(b, to[:]...)
	a.ICV = make([]byte, icvLen+ahPadding)
	return append(icv(key, a.Append(b), payload), make([]byte, ahPadding)...)
}

// icv is HMAC-SHA-256-128 over both.
func icv(key, headers, payload []byte) []byte {
	mac := hmac.New(sha256.New, key)
	mac.Write(headers)
	mac.Write(payload)
	return mac.Sum(nil)[:icvLen:icvLen]
}
