package wire

import (
	"bytes"
	"encoding/binary"
)

// PPTPMagic is the Magic Cookie of every PPTP control message (RFC 2637, section 1.4).
const PPTPMagic = 0x1A2B3C4D

// PPTPVersion is the Protocol Version of RFC 2637, section 2.1: version 1, revision 0.
const PPTPVersion = 0x0100

// PPTPConnected is the Result Code of a Start-Control-Connection-Reply (section 2.2), a Stop-Control-Connection-Reply (2.4),
// an Echo-Reply (2.6) and an Outgoing-Call-Reply (2.8) that say yes.
const PPTPConnected = 1

// Control Message Types (RFC 2637, section 1.4). Those of incoming calls (9 to 11) and WAN-Error-Notify (14) belong to dial-in
// hardware: no VPN client or server sends them, and ParsePPTP refuses them.
const (
	TypeStartControlConnectionRequest = 1
	TypeStartControlConnectionReply   = 2
	TypeStopControlConnectionRequest  = 3
	TypeStopControlConnectionReply    = 4
	TypeEchoRequest                   = 5
	TypeEchoReply                     = 6
	TypeOutgoingCallRequest           = 7
	TypeOutgoingCallReply             = 8
	TypeCallClearRequest              = 12
	TypeCallDisconnectNotify          = 13
	TypeSetLinkInfo                   = 15
)

// Where the Call IDs are in a control message, counted from its Length field: what a NAT rewrites, and may rewrite wrongly.
const (
	// PPTPCallIDOffset is the Call ID in an Outgoing-Call-Request, Outgoing-Call-Reply, Call-Clear-Request and
	// Call-Disconnect-Notify: the sender's own, except that the client's Call-Clear-Request repeats its own as well.
	PPTPCallIDOffset = 12
	// PPTPReplyPeerCallIDOffset is the Peer's Call ID in an Outgoing-Call-Reply.
	PPTPReplyPeerCallIDOffset = 14
	// PPTPLinkPeerCallIDOffset is the Peer's Call ID in a Set-Link-Info.
	PPTPLinkPeerCallIDOffset = 12
)

const (
	pptpHeaderLen    = 12 // Length to Reserved0
	pptpNameLen      = 64 // Host Name, Vendor Name, Phone Number, Subaddress
	pptpStatsLen     = 128
	pptpControlClass = 1 // PPTP Message Type: control message
)

// PPTPMessage is one control message of RFC 2637, section 2: one of the structs below, by value.
//
// All start with the same header (section 1.4):
//
//	 0                   1                   2                   3
//	 0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1
//	+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
//	|             Length            |       PPTP Message Type       |
//	+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
//	|                         Magic Cookie                          |
//	+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
//	|     Control Message Type      |           Reserved0           |
//	+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
//
// Reserved fields are sent as zero and not looked at: they are for a later version to use. A string field has a fixed size on
// the wire: Append cuts a longer string and pads a shorter one with NUL. Of names and numbers parsing returns what is before the
// first NUL, of Subaddress and Call Statistics all but the NULs at the end: Windows puts a GUID there. A parsed string is what a
// stranger sent, any octets at all.
type PPTPMessage interface {
	ControlMessageType() uint16
	Append(b []byte) []byte
}

// StartControlConnectionRequest opens the control connection (RFC 2637, section 2.1).
type StartControlConnectionRequest struct {
	ProtocolVersion     uint16
	FramingCapabilities uint32 // 1 asynchronous, 2 synchronous
	BearerCapabilities  uint32 // 1 analog, 2 digital
	MaximumChannels     uint16
	FirmwareRevision    uint16
	HostName            string // 64 octets
	VendorName          string // 64 octets
}

// StartControlConnectionReply answers a StartControlConnectionRequest (RFC 2637, section 2.2).
type StartControlConnectionReply struct {
	ProtocolVersion     uint16
	ResultCode          uint8
	ErrorCode           uint8
	FramingCapabilities uint32
	BearerCapabilities  uint32
	MaximumChannels     uint16
	FirmwareRevision    uint16
	HostName            string // 64 octets
	VendorName          string // 64 octets
}

// StopControlConnectionRequest closes the control connection and all its calls (RFC 2637, section 2.3).
type StopControlConnectionRequest struct {
	Reason uint8 // 1 general, 2 protocol version, 3 local shutdown
}

// StopControlConnectionReply answers a StopControlConnectionRequest (RFC 2637, section 2.4).
type StopControlConnectionReply struct {
	ResultCode uint8
	ErrorCode  uint8
}

// EchoRequest is the keepalive of the control connection, due after 60 seconds of silence (RFC 2637, section 2.5).
type EchoRequest struct {
	Identifier uint32
}

// EchoReply answers a EchoRequest (RFC 2637, section 2.6).
type EchoReply struct {
	Identifier uint32
	ResultCode uint8
	ErrorCode  uint8
}

// OutgoingCallRequest is the client's wish for a tunnel (RFC 2637, section 2.7). Its Call ID is the one that GRE packets towards the
// client carry.
type OutgoingCallRequest struct {
	CallID                uint16
	CallSerialNumber      uint16
	MinimumBPS            uint32
	MaximumBPS            uint32
	BearerType            uint32 // 1 analog, 2 digital, 3 any
	FramingType           uint32 // 1 asynchronous, 2 synchronous, 3 either
	PacketRecvWindowSize  uint16
	PacketProcessingDelay uint16 // tenths of a second
	PhoneNumber           string // 64 octets; Phone Number Length is its length
	Subaddress            string // 64 octets
}

// OutgoingCallReply answers an OutgoingCallRequest (RFC 2637, section 2.8). Its Call ID is the one that GRE packets towards the
// server carry.
type OutgoingCallReply struct {
	CallID                uint16
	PeersCallID           uint16
	ResultCode            uint8
	ErrorCode             uint8
	CauseCode             uint16
	ConnectSpeed          uint32
	PacketRecvWindowSize  uint16
	PacketProcessingDelay uint16
	PhysicalChannelID     uint32
}

// CallClearRequest is the client's wish to end a call (RFC 2637, section 2.12). Its Call ID is the client's own.
type CallClearRequest struct {
	CallID uint16
}

// CallDisconnectNotify says that a call has ended (RFC 2637, section 2.13). Its Call ID is the server's own.
type CallDisconnectNotify struct {
	CallID         uint16
	ResultCode     uint8 // 1 lost carrier, 2 general error, 3 admin shutdown, 4 request
	ErrorCode      uint8
	CauseCode      uint16
	CallStatistics string // 128 octets
}

// SetLinkInfo tells the negotiated PPP options (RFC 2637, section 2.15).
type SetLinkInfo struct {
	PeersCallID uint16
	SendACCM    uint32
	ReceiveACCM uint32
}

func (StartControlConnectionRequest) ControlMessageType() uint16 {
	return TypeStartControlConnectionRequest
}
func (StartControlConnectionReply) ControlMessageType() uint16 {
	return TypeStartControlConnectionReply
}
func (StopControlConnectionRequest) ControlMessageType() uint16 {
	return TypeStopControlConnectionRequest
}
func (StopControlConnectionReply) ControlMessageType() uint16 {
	return TypeStopControlConnectionReply
}
func (EchoRequest) ControlMessageType() uint16          { return TypeEchoRequest }
func (EchoReply) ControlMessageType() uint16            { return TypeEchoReply }
func (OutgoingCallRequest) ControlMessageType() uint16  { return TypeOutgoingCallRequest }
func (OutgoingCallReply) ControlMessageType() uint16    { return TypeOutgoingCallReply }
func (CallClearRequest) ControlMessageType() uint16     { return TypeCallClearRequest }
func (CallDisconnectNotify) ControlMessageType() uint16 { return TypeCallDisconnectNotify }
func (SetLinkInfo) ControlMessageType() uint16          { return TypeSetLinkInfo }

// pptpLengths is the Length of every message by its type; 0 is a type that we do not speak.
var pptpLengths = [...]int{
	TypeStartControlConnectionRequest: 156,
	TypeStartControlConnectionReply:   156,
	TypeStopControlConnectionRequest:  16,
	TypeStopControlConnectionReply:    16,
	TypeEchoRequest:                   16,
	TypeEchoReply:                     20,
	TypeOutgoingCallRequest:           168,
	TypeOutgoingCallReply:             32,
	TypeCallClearRequest:              16,
	TypeCallDisconnectNotify:          148,
	TypeSetLinkInfo:                   24,
}

// ParsePPTP reads the control message at the start of b, what a TCP stream brought so far, and returns it with its length.
// ErrShort asks for more of the stream, never more than one message. ErrFormat says that this is not PPTP, after 12 octets at
// the latest; a web client is refused by its fourth.
func ParsePPTP(b []byte) (PPTPMessage, int, error) {
	length, err := pptpHeader(b)
	if err != nil {
		return nil, 0, err
	}
	return parsePPTPBody(int(be16(b[8:])), b[:length]), length, nil
}

// pptpHeader returns the length of the whole message at the start of b.
func pptpHeader(b []byte) (int, error) {
	if len(b) >= 4 && be16(b[2:]) != pptpControlClass {
		return 0, bad("PPTP Message Type is %d, want %d", be16(b[2:]), pptpControlClass)
	}
	if len(b) >= 8 && be32(b[4:]) != PPTPMagic {
		return 0, bad("PPTP Magic Cookie is %#08x, want %#08x", be32(b[4:]), PPTPMagic)
	}
	if err := need(b, pptpHeaderLen, "PPTP header"); err != nil {
		return 0, err
	}
	length, typ := int(be16(b)), int(be16(b[8:]))
	if typ >= len(pptpLengths) || pptpLengths[typ] == 0 {
		return 0, bad("PPTP Control Message Type %d is not one of a VPN", typ)
	}
	if length != pptpLengths[typ] {
		return 0, bad("PPTP Length is %d, want %d for Control Message Type %d", length, pptpLengths[typ], typ)
	}
	return length, need(b, length, "PPTP message")
}

// parsePPTPBody reads a message of a known type; b has exactly the length of that type.
func parsePPTPBody(typ int, b []byte) PPTPMessage {
	switch typ {
	case TypeStartControlConnectionRequest:
		return StartControlConnectionRequest{
			ProtocolVersion:     be16(b[12:]),
			FramingCapabilities: be32(b[16:]),
			BearerCapabilities:  be32(b[20:]),
			MaximumChannels:     be16(b[24:]),
			FirmwareRevision:    be16(b[26:]),
			HostName:            untilNUL(b[28:92]),
			VendorName:          untilNUL(b[92:156]),
		}
	case TypeStartControlConnectionReply:
		return StartControlConnectionReply{
			ProtocolVersion:     be16(b[12:]),
			ResultCode:          b[14],
			ErrorCode:           b[15],
			FramingCapabilities: be32(b[16:]),
			BearerCapabilities:  be32(b[20:]),
			MaximumChannels:     be16(b[24:]),
			FirmwareRevision:    be16(b[26:]),
			HostName:            untilNUL(b[28:92]),
			VendorName:          untilNUL(b[92:156]),
		}
	case TypeStopControlConnectionRequest:
		return StopControlConnectionRequest{Reason: b[12]}
	case TypeStopControlConnectionReply:
		return StopControlConnectionReply{ResultCode: b[12], ErrorCode: b[13]}
	case TypeEchoRequest:
		return EchoRequest{Identifier: be32(b[12:])}
	case TypeEchoReply:
		return EchoReply{Identifier: be32(b[12:]), ResultCode: b[16], ErrorCode: b[17]}
	case TypeOutgoingCallRequest:
		return parseOutgoingCallRequest(b)
	case TypeOutgoingCallReply:
		return OutgoingCallReply{
			CallID:                be16(b[PPTPCallIDOffset:]),
			PeersCallID:           be16(b[PPTPReplyPeerCallIDOffset:]),
			ResultCode:            b[16],
			ErrorCode:             b[17],
			CauseCode:             be16(b[18:]),
			ConnectSpeed:          be32(b[20:]),
			PacketRecvWindowSize:  be16(b[24:]),
			PacketProcessingDelay: be16(b[26:]),
			PhysicalChannelID:     be32(b[28:]),
		}
	case TypeCallClearRequest:
		return CallClearRequest{CallID: be16(b[PPTPCallIDOffset:])}
	case TypeCallDisconnectNotify:
		return CallDisconnectNotify{
			CallID:         be16(b[PPTPCallIDOffset:]),
			ResultCode:     b[14],
			ErrorCode:      b[15],
			CauseCode:      be16(b[16:]),
			CallStatistics: untilPadding(b[20:148]),
		}
	default: // TypeSetLinkInfo
		return SetLinkInfo{
			PeersCallID: be16(b[PPTPLinkPeerCallIDOffset:]),
			SendACCM:    be32(b[16:]),
			ReceiveACCM: be32(b[20:]),
		}
	}
}

func parseOutgoingCallRequest(b []byte) OutgoingCallRequest {
	// Phone Number Length says how many of the 64 octets are digits, 0 if the client does not dial. A longer one is tolerated:
	// old pptp-linux wrote 64 in the wrong octet order.
	digits := min(int(be16(b[36:])), pptpNameLen)
	return OutgoingCallRequest{
		CallID:                be16(b[PPTPCallIDOffset:]),
		CallSerialNumber:      be16(b[14:]),
		MinimumBPS:            be32(b[16:]),
		MaximumBPS:            be32(b[20:]),
		BearerType:            be32(b[24:]),
		FramingType:           be32(b[28:]),
		PacketRecvWindowSize:  be16(b[32:]),
		PacketProcessingDelay: be16(b[34:]),
		PhoneNumber:           untilNUL(b[40 : 40+digits]),
		Subaddress:            untilPadding(b[104:168]),
	}
}

// Append appends the message as it goes into the TCP stream, in one write (a helper in a router does not join segments).
func (m StartControlConnectionRequest) Append(b []byte) []byte {
	b = appendPPTPHeader(b, m)
	b = binary.BigEndian.AppendUint16(b, m.ProtocolVersion)
	b = append(b, 0, 0) // Reserved1
	b = binary.BigEndian.AppendUint32(b, m.FramingCapabilities)
	b = binary.BigEndian.AppendUint32(b, m.BearerCapabilities)
	b = binary.BigEndian.AppendUint16(b, m.MaximumChannels)
	b = binary.BigEndian.AppendUint16(b, m.FirmwareRevision)
	b = appendPadded(b, m.HostName, pptpNameLen)
	return appendPadded(b, m.VendorName, pptpNameLen)
}

// Append appends the message as it goes into the TCP stream.
func (m StartControlConnectionReply) Append(b []byte) []byte {
	b = appendPPTPHeader(b, m)
	b = binary.BigEndian.AppendUint16(b, m.ProtocolVersion)
	b = append(b, m.ResultCode, m.ErrorCode)
	b = binary.BigEndian.AppendUint32(b, m.FramingCapabilities)
	b = binary.BigEndian.AppendUint32(b, m.BearerCapabilities)
	b = binary.BigEndian.AppendUint16(b, m.MaximumChannels)
	b = binary.BigEndian.AppendUint16(b, m.FirmwareRevision)
	b = appendPadded(b, m.HostName, pptpNameLen)
	return appendPadded(b, m.VendorName, pptpNameLen)
}

// Append appends the message as it goes into the TCP stream.
func (m StopControlConnectionRequest) Append(b []byte) []byte {
	return append(appendPPTPHeader(b, m), m.Reason, 0, 0, 0) // Reserved1, Reserved2
}

// Append appends the message as it goes into the TCP stream.
func (m StopControlConnectionReply) Append(b []byte) []byte {
	return append(appendPPTPHeader(b, m), m.ResultCode, m.ErrorCode, 0, 0) // Reserved1
}

// Append appends the message as it goes into the TCP stream.
func (m EchoRequest) Append(b []byte) []byte {
	return binary.BigEndian.AppendUint32(appendPPTPHeader(b, m), m.Identifier)
}

// Append appends the message as it goes into the TCP stream.
func (m EchoReply) Append(b []byte) []byte {
	b = binary.BigEndian.AppendUint32(appendPPTPHeader(b, m), m.Identifier)
	return append(b, m.ResultCode, m.ErrorCode, 0, 0) // Reserved1
}

// Append appends the message as it goes into the TCP stream, in one write: a helper in a router does not join segments.
func (m OutgoingCallRequest) Append(b []byte) []byte {
	b = appendPPTPHeader(b, m)
	b = binary.BigEndian.AppendUint16(b, m.CallID)
	b = binary.BigEndian.AppendUint16(b, m.CallSerialNumber)
	b = binary.BigEndian.AppendUint32(b, m.MinimumBPS)
	b = binary.BigEndian.AppendUint32(b, m.MaximumBPS)
	b = binary.BigEndian.AppendUint32(b, m.BearerType)
	b = binary.BigEndian.AppendUint32(b, m.FramingType)
	b = binary.BigEndian.AppendUint16(b, m.PacketRecvWindowSize)
	b = binary.BigEndian.AppendUint16(b, m.PacketProcessingDelay)
	b = binary.BigEndian.AppendUint16(b, uint16(min(len(m.PhoneNumber), pptpNameLen)))
	b = append(b, 0, 0) // Reserved1
	b = appendPadded(b, m.PhoneNumber, pptpNameLen)
	return appendPadded(b, m.Subaddress, pptpNameLen)
}

// Append appends the message as it goes into the TCP stream.
func (m OutgoingCallReply) Append(b []byte) []byte {
	b = appendPPTPHeader(b, m)
	b = binary.BigEndian.AppendUint16(b, m.CallID)
	b = binary.BigEndian.AppendUint16(b, m.PeersCallID)
	b = append(b, m.ResultCode, m.ErrorCode)
	b = binary.BigEndian.AppendUint16(b, m.CauseCode)
	b = binary.BigEndian.AppendUint32(b, m.ConnectSpeed)
	b = binary.BigEndian.AppendUint16(b, m.PacketRecvWindowSize)
	b = binary.BigEndian.AppendUint16(b, m.PacketProcessingDelay)
	return binary.BigEndian.AppendUint32(b, m.PhysicalChannelID)
}

// Append appends the message as it goes into the TCP stream.
func (m CallClearRequest) Append(b []byte) []byte {
	b = binary.BigEndian.AppendUint16(appendPPTPHeader(b, m), m.CallID)
	return append(b, 0, 0) // Reserved1
}

// Append appends the message as it goes into the TCP stream.
func (m CallDisconnectNotify) Append(b []byte) []byte {
	b = binary.BigEndian.AppendUint16(appendPPTPHeader(b, m), m.CallID)
	b = append(b, m.ResultCode, m.ErrorCode)
	b = binary.BigEndian.AppendUint16(b, m.CauseCode)
	b = append(b, 0, 0) // Reserved1
	return appendPadded(b, m.CallStatistics, pptpStatsLen)
}

// Append appends the message as it goes into the TCP stream.
func (m SetLinkInfo) Append(b []byte) []byte {
	b = binary.BigEndian.AppendUint16(appendPPTPHeader(b, m), m.PeersCallID)
	b = append(b, 0, 0) // Reserved1
	b = binary.BigEndian.AppendUint32(b, m.SendACCM)
	return binary.BigEndian.AppendUint32(b, m.ReceiveACCM)
}

func appendPPTPHeader(b []byte, m PPTPMessage) []byte {
	typ := m.ControlMessageType()
	b = binary.BigEndian.AppendUint16(b, uint16(pptpLengths[typ]))
	b = binary.BigEndian.AppendUint16(b, pptpControlClass)
	b = binary.BigEndian.AppendUint32(b, PPTPMagic)
	b = binary.BigEndian.AppendUint16(b, typ)
	return append(b, 0, 0) // Reserved0
}

// appendPadded appends exactly n octets: s, cut or followed by NUL.
func appendPadded(b []byte, s string, n int) []byte {
	s = s[:min(len(s), n)]
	b = append(b, s...)
	return append(b, make([]byte, n-len(s))...)
}

// untilNUL returns the text in a padded field.
func untilNUL(b []byte) string {
	s, _, _ := bytes.Cut(b, []byte{0})
	return string(s)
}

// untilPadding returns the octets in a padded field.
func untilPadding(b []byte) string { return string(bytes.TrimRight(b, "\x00")) }

func be16(b []byte) uint16 { return binary.BigEndian.Uint16(b) }
func be32(b []byte) uint32 { return binary.BigEndian.Uint32(b) }
