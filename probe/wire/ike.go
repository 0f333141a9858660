package wire

import "encoding/binary"

// IKEPort is the UDP port on which IKE begins (RFC 7296, section 2). Behind a NAT it moves to NATTPort.
const IKEPort = 500

// Exchange Types of version 2 (RFC 7296, section 3.1) and of version 1 (RFC 2408, section 3.1; RFC 2409, appendix A).
const (
	IKESAInit          = 34 // IKE_SA_INIT
	IKEAuth            = 35 // IKE_AUTH
	IKECreateChildSA   = 36 // CREATE_CHILD_SA
	IKEv2Informational = 37

	IKEIdentityProtection = 2 // Main Mode
	IKEAggressive         = 4
	IKEv1Informational    = 5
	IKETransaction        = 6  // Config Mode
	IKEQuickMode          = 32 // its Message ID is not 0
)

// Flags of version 2 (RFC 7296, section 3.1) and version 1 (RFC 2408, section 3.1).
const (
	IKEv2FlagInitiator  = 0x08 // from the original initiator of the IKE SA
	IKEv2FlagResponse   = 0x20
	IKEv1FlagEncryption = 0x01 // all behind the header is encrypted
)

const (
	ikeHeaderLen  = 28
	maxIKEMessage = 65535 // what a datagram could hold, were there no headers
)

// IKEHeader starts every message of both versions (RFC 7296, section 3.1; RFC 2408, section 3.1, which says cookie for SPI):
//
//	 0                   1                   2                   3
//	 0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1
//	+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
//	|                       IKE SA Initiator's SPI                  |
//	|                                                               |
//	+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
//	|                       IKE SA Responder's SPI                  |
//	|                                                               |
//	+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
//	|  Next Payload | MjVer | MnVer | Exchange Type |     Flags     |
//	+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
//	|                          Message ID                           |
//	+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
//	|                            Length                             |
//	+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
type IKEHeader struct {
	InitiatorSPI uint64
	ResponderSPI uint64 // 0 in the first message
	NextPayload  uint8  // type of the first payload; IKEMessage fills it in
	MajorVersion uint8  // 1 or 2; four bits
	MinorVersion uint8  // four bits
	ExchangeType uint8
	Flags        uint8
	MessageID    uint32
	Length       uint32 // header and payloads; IKEMessage fills it in
}

// Append appends the header as it is.
func (h IKEHeader) Append(b []byte) []byte {
	b = binary.BigEndian.AppendUint64(b, h.InitiatorSPI)
	b = binary.BigEndian.AppendUint64(b, h.ResponderSPI)
	b = append(b, h.NextPayload, h.MajorVersion<<4|h.MinorVersion&0x0F, h.ExchangeType, h.Flags)
	b = binary.BigEndian.AppendUint32(b, h.MessageID)
	return binary.BigEndian.AppendUint32(b, h.Length)
}

// ParseIKEHeader reads the header at the start of b. On port 4500 the marker is taken off first. A minor version and flags that we
// do not know are read, as RFC 7296, section 3.1 demands.
func ParseIKEHeader(b []byte) (IKEHeader, error) {
	if err := need(b, ikeHeaderLen, "IKE header"); err != nil {
		return IKEHeader{}, err
	}
	h := IKEHeader{
		InitiatorSPI: binary.BigEndian.Uint64(b),
		ResponderSPI: binary.BigEndian.Uint64(b[8:]),
		NextPayload:  b[16],
		MajorVersion: b[17] >> 4,
		MinorVersion: b[17] & 0x0F,
		ExchangeType: b[18],
		Flags:        b[19],
		MessageID:    be32(b[20:]),
		Length:       be32(b[24:]),
	}
	if h.MajorVersion != 1 && h.MajorVersion != 2 {
		return IKEHeader{}, bad("IKE major version is %d, want 1 or 2", h.MajorVersion)
	}
	if h.Length < ikeHeaderLen || h.Length > maxIKEMessage {
		return IKEHeader{}, bad("IKE Length is %d, want %d to %d", h.Length, ikeHeaderLen, maxIKEMessage)
	}
	return h, nil
}

// encrypted says whether all behind the header is encrypted, as in version 1.
func (h IKEHeader) encrypted() bool {
	return h.MajorVersion == 1 && h.Flags&IKEv1FlagEncryption != 0
}
