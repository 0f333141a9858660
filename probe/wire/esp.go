package wire

import "encoding/binary"

// IPProtoESP is the IP protocol number of ESP.
const IPProtoESP = 50

// MinSPI is the smallest SPI of ESP and AH that is not reserved (RFC 4303, section 2.1; RFC 4302, section 2.4).
const MinSPI = 256

const (
	espHeaderLen = 8
	icvLen       = 16 // HMAC-SHA-256-128 (RFC 4868, section 2.3), and AES-GCM too (RFC 4106, section 6)
	aesBlock     = 16
	espTrailer   = 2 // Pad Length and Next Header
)

// ESP is a packet of the Encapsulating Security Payload (RFC 4303, section 2), on its own as IP protocol 50 or in UDP:
//
//	 0                   1                   2                   3
//	 0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1
//	+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
//	|               Security Parameters Index (SPI)                 |
//	+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
//	|                      Sequence Number                          |
//	+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
//	|                    Payload Data* (variable)                   |
//	~                                                               ~
//	|               +     Padding (0-255 bytes)                     |
//	+               +               +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
//	|               |               |  Pad Length   | Next Header   |
//	+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
//	|         Integrity Check Value-ICV   (variable)                |
//	+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
//
// Nobody between the two ends can read what is behind the Sequence Number, and neither do we: Payload is all of it up to the ICV,
// the cipher's IV first. Only the ends know how long the ICV is; here it is 16 octets, as common ciphers have it.
type ESP struct {
	SPI            uint32 // the receiver's
	SequenceNumber uint32 // of the first packet 1 (section 3.3.3)
	Payload        []byte // IV, ciphertext, trailer: Append pads to words with zero; after parsing, a part of what was parsed
	ICV            []byte // 16 octets: Append cuts more and pads less with zero; after parsing, a part of what was parsed
}

// Append appends the packet.
func (e ESP) Append(b []byte) []byte {
	b = binary.BigEndian.AppendUint32(b, e.SPI)
	b = binary.BigEndian.AppendUint32(b, e.SequenceNumber)
	b = append(b, e.Payload...)
	for n := len(e.Payload); n%4 != 0; n++ {
		b = append(b, 0)
	}
	b = append(b, cut(e.ICV, icvLen)...)
	for n := len(e.ICV); n < icvLen; n++ {
		b = append(b, 0)
	}
	return b
}

// ParseESP reads a packet, all of b, which ends where the IP packet or the datagram ends. A reserved SPI is refused, and a length
// that no packet has: the ICV begins on a word (RFC 4303, section 2.4), and before it is a trailer at least.
func ParseESP(b []byte) (ESP, error) {
	if len(b) >= 4 && be32(b) < MinSPI {
		return ESP{}, bad("ESP SPI %d is reserved", be32(b))
	}
	if err := need(b, espHeaderLen+4+icvLen, "ESP packet"); err != nil {
		return ESP{}, err
	}
	if len(b)%4 != 0 {
		return ESP{}, bad("ESP has %d octets, want a multiple of 4", len(b))
	}
	icv := len(b) - icvLen
	return ESP{SPI: be32(b), SequenceNumber: be32(b[4:]), Payload: b[espHeaderLen:icv], ICV: b[icv:]}, nil
}

// WithToken returns the packet with a token as its last 20 octets: the ICV, and the 4 octets before it, which it replaces in a copy
// of Payload. Both are as good as random to anyone without the keys, and so is a token but for its session and exchange.
func (e ESP) WithToken(t Token) ESP {
	const before = TokenSize - icvLen
	keep := max(len(e.Payload)-before, 0) &^ 3
	e.Payload = append(append(make([]byte, 0, keep+before), e.Payload[:keep]...), t[:before]...)
	e.ICV = append([]byte(nil), t[before:]...)
	return e
}

// Token returns what WithToken put in, or octets that no mint accepts.
func (e ESP) Token() (Token, error) {
	const before = TokenSize - icvLen
	if len(e.Payload) < before || len(e.ICV) != icvLen {
		return Token{}, bad("ESP with %d octets of payload and %d of ICV has no token", len(e.Payload), len(e.ICV))
	}
	var t Token
	copy(t[:], e.Payload[len(e.Payload)-before:])
	copy(t[before:], e.ICV)
	return t, nil
}

// ESPSize is the length of the ESP packet that carries inner octets (an IP packet in tunnel mode, its payload in transport mode) by
// AES-128-CBC and HMAC-SHA-256-128, what strongSwan and most others agree on: a header of 8 octets, an IV of 16, the inner octets
// and a trailer of 2 padded to the cipher's blocks (RFC 3602, section 2.4), an ICV of 16.
func ESPSize(inner int) int {
	blocks := (inner + espTrailer + aesBlock - 1) / aesBlock
	return espHeaderLen + aesBlock + blocks*aesBlock + icvLen
}
