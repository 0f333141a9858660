package wire

import (
	"encoding/binary"
	"slices"
)

// Message Types of L2TP (RFC 2661, section 3.2): those of a tunnel and of a call that the client opens.
const (
	L2TPSCCRQ   = 1 // Start-Control-Connection-Request
	L2TPSCCRP   = 2 // Start-Control-Connection-Reply
	L2TPSCCCN   = 3 // Start-Control-Connection-Connected
	L2TPStopCCN = 4 // Stop-Control-Connection-Notification
	L2TPHello   = 6
	L2TPICRQ    = 10 // Incoming-Call-Request: the call is incoming at the LAC, which a VPN client is
	L2TPICRP    = 11 // Incoming-Call-Reply
	L2TPICCN    = 12 // Incoming-Call-Connected
	L2TPCDN     = 14 // Call-Disconnect-Notify
)

// Attribute Types (RFC 2661, section 4.4).
const (
	AVPMessageType         = 0
	AVPResultCode          = 1
	AVPProtocolVersion     = 2 // 0x0100: version 1, revision 0
	AVPFramingCapabilities = 3 // 1 synchronous, 2 asynchronous
	AVPBearerCapabilities  = 4 // 1 digital, 2 analog
	AVPTieBreaker          = 5
	AVPFirmwareRevision    = 6
	AVPHostName            = 7
	AVPVendorName          = 8
	AVPAssignedTunnelID    = 9
	AVPReceiveWindowSize   = 10
	AVPChallenge           = 11
	AVPQ931CauseCode       = 12
	AVPChallengeResponse   = 13
	AVPAssignedSessionID   = 14
	AVPCallSerialNumber    = 15
	AVPMinimumBPS          = 16
	AVPMaximumBPS          = 17
	AVPBearerType          = 18 // 1 digital, 2 analog
	AVPFramingType         = 19 // 1 synchronous, 2 asynchronous
	AVPCalledNumber        = 21
	AVPCallingNumber       = 22
	AVPSubAddress          = 23
	AVPTxConnectSpeed      = 24
	AVPPhysicalChannelID   = 25
	AVPRandomVector        = 36 // any octets: where our token travels
	AVPRxConnectSpeed      = 38
	AVPSequencingRequired  = 39
)

// avpOptional are the types above that are sent without the M bit (RFC 2661, section 4.4).
var avpOptional = []uint16{
	AVPTieBreaker, AVPFirmwareRevision, AVPVendorName, AVPPhysicalChannelID, AVPRxConnectSpeed,
}

const (
	maxAVPs      = 64
	avpHeaderLen = 6
	maxAVP       = 1023

	avpMandatory  = 0x8000
	avpHidden     = 0x4000
	avpReserved   = 0x3C00
	avpLengthMask = 0x03FF
)

// AVP is an attribute of a control message (RFC 2661, section 4.1):
//
//	 0                   1                   2                   3
//	 0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1
//	+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
//	|M|H| rsvd  |      Length       |           Vendor ID           |
//	+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
//	|         Attribute Type        |        Attribute Value...
//	+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
type AVP struct {
	Mandatory bool   // M
	Hidden    bool   // H: Value is encrypted (section 4.3)
	VendorID  uint16 // 0 is the IETF, whose are the types above
	Type      uint16
	Value     []byte // at most 1017 octets, Append cuts the rest; after parsing, a part of what was parsed
}

// NewAVP is an AVP of the IETF with the M bit that its type has.
func NewAVP(typ uint16, value []byte) AVP {
	return AVP{Mandatory: !slices.Contains(avpOptional, typ), Type: typ, Value: value}
}

// AVP16 is an AVP that holds a number of two octets: Message Type, Protocol Version, Firmware Revision, Receive Window Size and the
// assigned IDs.
func AVP16(typ, value uint16) AVP { return NewAVP(typ, binary.BigEndian.AppendUint16(nil, value)) }

// AVP32 is an AVP that holds a number of four octets: capabilities, types, speeds and Call Serial Number.
func AVP32(typ uint16, value uint32) AVP {
	return NewAVP(typ, binary.BigEndian.AppendUint32(nil, value))
}

// Uint16 reads what AVP16 wrote.
func (a AVP) Uint16() (uint16, bool) {
	if a.Hidden || len(a.Value) != 2 {
		return 0, false
	}
	return be16(a.Value), true
}

// Uint32 reads what AVP32 wrote.
func (a AVP) Uint32() (uint32, bool) {
	if a.Hidden || len(a.Value) != 4 {
		return 0, false
	}
	return be32(a.Value), true
}

// L2TPResult is the value of a Result Code (RFC 2661, section 4.4.2): why a StopCCN or a CDN was sent.
type L2TPResult struct {
	ResultCode   uint16 // StopCCN: 1 clear, 2 general error, 6 shutting down; CDN: 1 lost carrier, 2 general error, 3 administrative
	ErrorCode    uint16 // of a general error
	ErrorMessage string
}

// AVP is the AVP with an Error Code, as xl2tpd sends it even where there is no error.
func (r L2TPResult) AVP() AVP {
	b := binary.BigEndian.AppendUint16(nil, r.ResultCode)
	b = binary.BigEndian.AppendUint16(b, r.ErrorCode)
	return NewAVP(AVPResultCode, append(b, r.ErrorMessage...))
}

// Result reads a Result Code, whose Error Code may be absent. The message is what a stranger sent, any octets at all.
func (a AVP) Result() (L2TPResult, bool) {
	if !a.is(AVPResultCode) || len(a.Value) != 2 && len(a.Value) < 4 {
		return L2TPResult{}, false
	}
	r := L2TPResult{ResultCode: be16(a.Value)}
	if len(a.Value) > 2 {
		r.ErrorCode, r.ErrorMessage = be16(a.Value[2:]), string(a.Value[4:])
	}
	return r, true
}

// is reports whether an AVP in the clear has a type of the IETF.
func (a AVP) is(typ uint16) bool { return a.VendorID == 0 && a.Type == typ && !a.Hidden }

// AVPs is the body of a control message, in the order sent. At most 64: Append leaves out the rest.
type AVPs []AVP

// Append appends all AVPs.
func (as AVPs) Append(b []byte) []byte {
	for _, a := range as[:min(len(as), maxAVPs)] {
		value := cut(a.Value, maxAVP-avpHeaderLen)
		head := uint16(avpHeaderLen + len(value))
		if a.Mandatory {
			head |= avpMandatory
		}
		if a.Hidden {
			head |= avpHidden
		}
		b = binary.BigEndian.AppendUint16(b, head)
		b = binary.BigEndian.AppendUint16(b, a.VendorID)
		b = binary.BigEndian.AppendUint16(b, a.Type)
		b = append(b, value...)
	}
	return b
}

// Find returns the first AVP in the clear of a type of the IETF.
func (as AVPs) Find(typ uint16) (AVP, bool) {
	i := slices.IndexFunc(as, func(a AVP) bool { return a.is(typ) })
	if i < 0 {
		return AVP{}, false
	}
	return as[i], true
}

// ParseAVPs reads the body of a control message, all of b. The values are not copied. An AVP with a reserved bit set is refused: RFC
// 2661, section 4.1 has it treated as unrecognized, and nobody sends it.
func ParseAVPs(b []byte) (AVPs, error) {
	var as AVPs
	for len(b) > 0 {
		if len(as) == maxAVPs {
			return nil, bad("L2TP control message has more than %d AVPs", maxAVPs)
		}
		if err := need(b, avpHeaderLen, "AVP"); err != nil {
			return nil, err
		}
		head := be16(b)
		length := int(head & avpLengthMask)
		if length < avpHeaderLen || head&avpReserved != 0 {
			return nil, bad("AVP %d begins with %#04x", be16(b[4:]), head)
		}
		if err := need(b, length, "AVP"); err != nil {
			return nil, err
		}
		as = append(as, AVP{
			Mandatory: head&avpMandatory != 0, Hidden: head&avpHidden != 0,
			VendorID: be16(b[2:]), Type: be16(b[4:]), Value: some(b[avpHeaderLen:length]),
		})
		b = b[length:]
	}
	return as, nil
}
