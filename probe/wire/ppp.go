package wire

import (
	"encoding/binary"
	"slices"
)

// ProtocolLCP is the PPP Protocol of the Link Control Protocol (RFC 1661, section 2).
const ProtocolLCP = 0xC021

const (
	pppAddress = 0xFF // RFC 1662, section 3.1: All-Stations
	pppControl = 0x03 // Unnumbered Information
)

// PPP is a PPP frame as PPTP and L2TP carry it: without flags, escapes and check sequence (RFC 2637, section 4).
//
//	+----------+----------+-------------+-------------+
//	| Address  | Control  |   Protocol  | Information |
//	| 11111111 | 00000011 |  16 bits    |      *      |
//	+----------+----------+-------------+-------------+
type PPP struct {
	Protocol    uint16
	Information []byte // after parsing, a part of what was parsed
}

// Append appends the frame with Address and Control, which LCP never leaves out (RFC 1661, section 6.6).
func (p PPP) Append(b []byte) []byte {
	b = append(b, pppAddress, pppControl)
	b = binary.BigEndian.AppendUint16(b, p.Protocol)
	return append(b, p.Information...)
}

// ParsePPP reads a frame, all of b. Address and Control may be absent: once a link has negotiated so, only LCP still carries them
// (RFC 1661, section 6.6), and it costs nothing to read LCP without them too. A Protocol of one octet, which LCP never has either
// (section 6.5), is refused.
func ParsePPP(b []byte) (PPP, error) {
	if err := need(b, 1, "PPP frame"); err != nil {
		return PPP{}, err
	}
	if b[0] == pppAddress { // no Protocol begins so: its first octet is even (RFC 1661, section 2)
		if err := need(b, 4, "PPP frame"); err != nil {
			return PPP{}, err
		}
		if b[1] != pppControl {
			return PPP{}, bad("PPP Control is %#02x, want %#02x", b[1], pppControl)
		}
		b = b[2:]
	}
	if err := need(b, 2, "PPP Protocol"); err != nil {
		return PPP{}, err
	}
	p := PPP{Protocol: be16(b), Information: some(b[2:])}
	if p.Protocol&0x0101 != 0x0001 {
		return PPP{}, bad("PPP Protocol %#04x has an odd first octet or an even second one", p.Protocol)
	}
	return p, nil
}

// LCP Codes (RFC 1661, section 5).
const (
	ConfigureRequest = 1
	ConfigureAck     = 2
	ConfigureNak     = 3
	ConfigureReject  = 4
	TerminateRequest = 5
	TerminateAck     = 6
	CodeReject       = 7
	ProtocolReject   = 8
	LCPEchoRequest   = 9
	LCPEchoReply     = 10
	DiscardRequest   = 11
)

// maxLCP is the length of the longest LCP packet: the MRU of a link on which nothing is negotiated (RFC 1661, section 6.1).
const maxLCP = 1500

// LCP is a packet of the Link Control Protocol (RFC 1661, section 5):
//
//	 0                   1                   2                   3
//	 0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1
//	+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
//	|     Code      |  Identifier   |            Length             |
//	+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
//	|    Data ...
//	+-+-+-+-+
//
// Data is LCPOptions in the four Configure packets, an LCPEcho in Echo-Request, Echo-Reply and Discard-Request, and free text
// in Terminate-Request and Terminate-Ack.
type LCP struct {
	Code       uint8
	Identifier uint8
	Data       []byte // at most 1496 octets, Append cuts the rest; after parsing, a part of what was parsed
}

// Append appends the packet.
func (l LCP) Append(b []byte) []byte {
	data := cut(l.Data, maxLCP-4)
	b = append(b, l.Code, l.Identifier)
	b = binary.BigEndian.AppendUint16(b, uint16(4+len(data)))
	return append(b, data...)
}

// ParseLCP reads the packet at the start of b. Octets behind it are padding (RFC 1661, section 5). Codes that RFC 1661 does not
// know are read as well: Windows sends an Identification (12, RFC 1570).
func ParseLCP(b []byte) (LCP, error) {
	if err := need(b, 4, "LCP header"); err != nil {
		return LCP{}, err
	}
	length := int(be16(b[2:]))
	if length < 4 || length > maxLCP {
		return LCP{}, bad("LCP Length is %d, want 4 to %d", length, maxLCP)
	}
	if err := need(b, length, "LCP packet"); err != nil {
		return LCP{}, err
	}
	return LCP{Code: b[0], Identifier: b[1], Data: some(b[4:length])}, nil
}

// LCP option types (RFC 1661, section 6; RFC 1662, section 7.1; RFC 1990, section 5.1.3).
const (
	OptionMRU                   = 1
	OptionAsyncMap              = 2 // Async-Control-Character-Map
	OptionMagicNumber           = 5
	OptionPFC                   = 7 // Protocol-Field-Compression, no data
	OptionACFC                  = 8 // Address-and-Control-Field-Compression, no data
	OptionEndpointDiscriminator = 19
)

const (
	maxLCPOptions    = 32
	maxLCPOptionData = 255 - 2
	maxEndpointAddr  = 20
)

// LCPOption is one option of a Configure packet (RFC 1661, section 6): Type, Length, Data.
type LCPOption struct {
	Type uint8
	Data []byte // at most 253 octets, Append cuts the rest; after parsing, a part of what was parsed
}

// LCPOptions is the Data of a Configure packet, in the order sent, which a Configure-Ack repeats. At most 32 options: Append
// leaves out the rest.
type LCPOptions []LCPOption

// Append appends all options.
func (o LCPOptions) Append(b []byte) []byte {
	for _, option := range o[:min(len(o), maxLCPOptions)] {
		data := cut(option.Data, maxLCPOptionData)
		b = append(b, option.Type, uint8(2+len(data)))
		b = append(b, data...)
	}
	return b
}

// Find returns the first option of a type.
func (o LCPOptions) Find(typ uint8) (LCPOption, bool) {
	i := slices.IndexFunc(o, func(option LCPOption) bool { return option.Type == typ })
	if i < 0 {
		return LCPOption{}, false
	}
	return o[i], true
}

// ParseLCPOptions reads the Data of a Configure packet, all of b. The Data of the options is not copied.
func ParseLCPOptions(b []byte) (LCPOptions, error) {
	var options LCPOptions
	for len(b) > 0 {
		if len(options) == maxLCPOptions {
			return nil, bad("LCP packet has more than %d options", maxLCPOptions)
		}
		if err := need(b, 2, "LCP option"); err != nil {
			return nil, err
		}
		length := int(b[1])
		if length < 2 {
			return nil, bad("LCP option %d has Length %d", b[0], length)
		}
		if err := need(b, length, "LCP option"); err != nil {
			return nil, err
		}
		options = append(options, LCPOption{Type: b[0], Data: some(b[2:length])})
		b = b[length:]
	}
	return options, nil
}

// MRUOption is the Maximum-Receive-Unit (RFC 1661, section 6.1).
func MRUOption(mru uint16) LCPOption {
	return LCPOption{OptionMRU, binary.BigEndian.AppendUint16(nil, mru)}
}

// MRU reads an option of type MRU.
func (o LCPOption) MRU() (uint16, bool) {
	if o.Type != OptionMRU || len(o.Data) != 2 {
		return 0, false
	}
	return be16(o.Data), true
}

// AsyncMapOption is the Async-Control-Character-Map (RFC 1662, section 7.1).
func AsyncMapOption(accm uint32) LCPOption {
	return LCPOption{OptionAsyncMap, binary.BigEndian.AppendUint32(nil, accm)}
}

// AsyncMap reads an option of type Async-Control-Character-Map.
func (o LCPOption) AsyncMap() (uint32, bool) {
	if o.Type != OptionAsyncMap || len(o.Data) != 4 {
		return 0, false
	}
	return be32(o.Data), true
}

// MagicNumberOption is the Magic-Number (RFC 1661, section 6.4).
func MagicNumberOption(magic uint32) LCPOption {
	return LCPOption{OptionMagicNumber, binary.BigEndian.AppendUint32(nil, magic)}
}

// MagicNumber reads an option of type Magic-Number.
func (o LCPOption) MagicNumber() (uint32, bool) {
	if o.Type != OptionMagicNumber || len(o.Data) != 4 {
		return 0, false
	}
	return be32(o.Data), true
}

// ClassLocal is the class of an Endpoint Discriminator that is a locally assigned address, any 20 octets (RFC 1990, section
// 5.1.3).
const ClassLocal = 1

// EndpointDiscriminatorOption is the Endpoint Discriminator (RFC 1990, section 5.1.3). An address of more than 20 octets is cut.
func EndpointDiscriminatorOption(class uint8, address []byte) LCPOption {
	return LCPOption{OptionEndpointDiscriminator, append([]byte{class}, cut(address, maxEndpointAddr)...)}
}

// EndpointDiscriminator reads an option of type Endpoint Discriminator.
func (o LCPOption) EndpointDiscriminator() (class uint8, address []byte, ok bool) {
	if o.Type != OptionEndpointDiscriminator || len(o.Data) < 1 || len(o.Data) > 1+maxEndpointAddr {
		return 0, nil, false
	}
	return o.Data[0], some(o.Data[1:]), true
}

// LCPEcho is the Data of an Echo-Request, Echo-Reply or Discard-Request (RFC 1661, sections 5.8 and 5.9).
type LCPEcho struct {
	MagicNumber uint32 // the sender's; 0 before one is negotiated
	Data        []byte // after parsing, a part of what was parsed
}

// Append appends the data of an echo.
func (e LCPEcho) Append(b []byte) []byte {
	b = binary.BigEndian.AppendUint32(b, e.MagicNumber)
	return append(b, e.Data...)
}

// ParseLCPEcho reads the Data of an echo, all of b.
func ParseLCPEcho(b []byte) (LCPEcho, error) {
	if err := need(b, 4, "LCP echo"); err != nil {
		return LCPEcho{}, err
	}
	return LCPEcho{MagicNumber: be32(b), Data: some(b[4:])}, nil
}
