package wire

import (
	"bytes"
	"errors"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// octetsOf joins the fields of a packet.
func octetsOf(fields ...[]byte) []byte { return slices.Concat(fields...) }

// field is a fixed string field: s and NUL up to n octets.
func field(s string, n int) []byte { return append([]byte(s), make([]byte, n-len(s))...) }

// pptpRows are the control messages of a pptp-linux client and a pptpd server, and those that Windows adds.
var pptpRows = []struct {
	name string
	b    []byte
	m    PPTPMessage
}{
	{
		name: "start_request",
		b: octetsOf(
			[]byte{0x00, 0x9C},             // Length
			[]byte{0x00, 0x01},             // PPTP Message Type
			[]byte{0x1A, 0x2B, 0x3C, 0x4D}, // Magic Cookie
			[]byte{0x00, 0x01},             // Control Message Type
			[]byte{0x00, 0x00},             // Reserved0
			[]byte{0x01, 0x00},             // Protocol Version
			[]byte{0x00, 0x00},             // Reserved1
			[]byte{0x00, 0x00, 0x00, 0x03}, // Framing Capabilities
			[]byte{0x00, 0x00, 0x00, 0x02}, // Bearer Capabilities
			[]byte{0xFF, 0xFF},             // Maximum Channels
			[]byte{0x00, 0x01},             // Firmware Revision
			field("local", 64),             // Host Name
			field("cananian", 64),          // Vendor Name
		),
		m: StartControlConnectionRequest{
			ProtocolVersion: PPTPVersion, FramingCapabilities: 3, BearerCapabilities: 2, MaximumChannels: 65535,
			FirmwareRevision: 1, HostName: "local", VendorName: "cananian",
		},
	},
	{
		name: "start_reply_full_names",
		b: octetsOf(
			[]byte{0x00, 0x9C},             // Length
			[]byte{0x00, 0x01},             // PPTP Message Type
			[]byte{0x1A, 0x2B, 0x3C, 0x4D}, // Magic Cookie
			[]byte{0x00, 0x02},             // Control Message Type
			[]byte{0x00, 0x00},             // Reserved0
			[]byte{0x01, 0x00},             // Protocol Version
			[]byte{0x01},                   // Result Code
			[]byte{0x02},                   // Error Code
			[]byte{0x00, 0x00, 0x00, 0x01}, // Framing Capabilities
			[]byte{0x00, 0x00, 0x00, 0x02}, // Bearer Capabilities
			[]byte{0x00, 0x01},             // Maximum Channels
			[]byte{0x00, 0x04},             // Firmware Revision
			bytes.Repeat([]byte("h"), 64),  // Host Name
			bytes.Repeat([]byte("v"), 64),  // Vendor Name
		),
		m: StartControlConnectionReply{
			ProtocolVersion: PPTPVersion, ResultCode: PPTPConnected, ErrorCode: 2, FramingCapabilities: 1,
			BearerCapabilities: 2, MaximumChannels: 1, FirmwareRevision: 4,
			HostName: strings.Repeat("h", 64), VendorName: strings.Repeat("v", 64),
		},
	},
	{
		name: "stop_request",
		b: octetsOf(
			[]byte{0x00, 0x10},             // Length
			[]byte{0x00, 0x01},             // PPTP Message Type
			[]byte{0x1A, 0x2B, 0x3C, 0x4D}, // Magic Cookie
			[]byte{0x00, 0x03},             // Control Message Type
			[]byte{0x00, 0x00},             // Reserved0
			[]byte{0x03},                   // Reason
			[]byte{0x00},                   // Reserved1
			[]byte{0x00, 0x00},             // Reserved2
		),
		m: StopControlConnectionRequest{Reason: 3},
	},
	{
		name: "stop_reply",
		b: octetsOf(
			[]byte{0x00, 0x10},             // Length
			[]byte{0x00, 0x01},             // PPTP Message Type
			[]byte{0x1A, 0x2B, 0x3C, 0x4D}, // Magic Cookie
			[]byte{0x00, 0x04},             // Control Message Type
			[]byte{0x00, 0x00},             // Reserved0
			[]byte{0x01},                   // Result Code
			[]byte{0x02},                   // Error Code
			[]byte{0x00, 0x00},             // Reserved1
		),
		m: StopControlConnectionReply{ResultCode: 1, ErrorCode: 2},
	},
	{
		name: "echo_request",
		b: octetsOf(
			[]byte{0x00, 0x10},             // Length
			[]byte{0x00, 0x01},             // PPTP Message Type
			[]byte{0x1A, 0x2B, 0x3C, 0x4D}, // Magic Cookie
			[]byte{0x00, 0x05},             // Control Message Type
			[]byte{0x00, 0x00},             // Reserved0
			[]byte{0x01, 0x02, 0x03, 0x04}, // Identifier
		),
		m: EchoRequest{Identifier: 0x01020304},
	},
	{
		name: "echo_reply",
		b: octetsOf(
			[]byte{0x00, 0x14},             // Length
			[]byte{0x00, 0x01},             // PPTP Message Type
			[]byte{0x1A, 0x2B, 0x3C, 0x4D}, // Magic Cookie
			[]byte{0x00, 0x06},             // Control Message Type
			[]byte{0x00, 0x00},             // Reserved0
			[]byte{0x01, 0x02, 0x03, 0x04}, // Identifier
			[]byte{0x01},                   // Result Code
			[]byte{0x05},                   // Error Code
			[]byte{0x00, 0x00},             // Reserved1
		),
		m: EchoReply{Identifier: 0x01020304, ResultCode: 1, ErrorCode: 5},
	},
	{
		name: "call_request",
		b: octetsOf(
			[]byte{0x00, 0xA8},             // Length
			[]byte{0x00, 0x01},             // PPTP Message Type
			[]byte{0x1A, 0x2B, 0x3C, 0x4D}, // Magic Cookie
			[]byte{0x00, 0x07},             // Control Message Type
			[]byte{0x00, 0x00},             // Reserved0
			[]byte{0x1B, 0xC6},             // Call ID
			[]byte{0x00, 0x09},             // Call Serial Number
			[]byte{0x00, 0x00, 0x09, 0x60}, // Minimum BPS
			[]byte{0x00, 0x98, 0x96, 0x80}, // Maximum BPS
			[]byte{0x00, 0x00, 0x00, 0x03}, // Bearer Type
			[]byte{0x00, 0x00, 0x00, 0x02}, // Framing Type
			[]byte{0x00, 0x40},             // Packet Recv. Window Size
			[]byte{0x00, 0x05},             // Packet Processing Delay
			[]byte{0x00, 0x06},             // Phone Number Length
			[]byte{0x00, 0x00},             // Reserved1
			field("555123", 64),            // Phone Number
			field("sub", 64),               // Subaddress
		),
		m: OutgoingCallRequest{
			CallID: 0x1BC6, CallSerialNumber: 9, MinimumBPS: 2400, MaximumBPS: 10000000, BearerType: 3, FramingType: 2,
			PacketRecvWindowSize: 64, PacketProcessingDelay: 5, PhoneNumber: "555123", Subaddress: "sub",
		},
	},
	{
		name: "call_request_windows", // MS-PTPT, section 4
		b: octetsOf(
			[]byte{0x00, 0xA8},             // Length
			[]byte{0x00, 0x01},             // PPTP Message Type
			[]byte{0x1A, 0x2B, 0x3C, 0x4D}, // Magic Cookie
			[]byte{0x00, 0x07},             // Control Message Type
			[]byte{0x00, 0x00},             // Reserved0
			[]byte{0xFA, 0xEA},             // Call ID
			[]byte{0x00, 0x01},             // Call Serial Number
			[]byte{0x00, 0x00, 0x01, 0x2C}, // Minimum BPS
			[]byte{0x05, 0xF5, 0xE1, 0x00}, // Maximum BPS
			[]byte{0x00, 0x00, 0x00, 0x03}, // Bearer Type
			[]byte{0x00, 0x00, 0x00, 0x03}, // Framing Type
			[]byte{0x00, 0x40},             // Packet Recv. Window Size
			[]byte{0x00, 0x00},             // Packet Processing Delay
			[]byte{0x00, 0x00},             // Phone Number Length
			[]byte{0x00, 0x00},             // Reserved1
			field("", 64),                  // Phone Number
			field("\xE3\x57\x2A\x57\xE0\xA2\xBD\x41\xB8\x26\xF1\x45\x41\x06\xF2\x61", 64), // Subaddress
		),
		m: OutgoingCallRequest{
			CallID: 64234, CallSerialNumber: 1, MinimumBPS: 300, MaximumBPS: 100000000, BearerType: 3, FramingType: 3,
			PacketRecvWindowSize: 64, Subaddress: "\xE3\x57\x2A\x57\xE0\xA2\xBD\x41\xB8\x26\xF1\x45\x41\x06\xF2\x61",
		},
	},
	{
		name: "call_reply",
		b: octetsOf(
			[]byte{0x00, 0x20},             // Length
			[]byte{0x00, 0x01},             // PPTP Message Type
			[]byte{0x1A, 0x2B, 0x3C, 0x4D}, // Magic Cookie
			[]byte{0x00, 0x08},             // Control Message Type
			[]byte{0x00, 0x00},             // Reserved0
			[]byte{0x12, 0x34},             // Call ID
			[]byte{0x1B, 0xC6},             // Peer's Call ID
			[]byte{0x01},                   // Result Code
			[]byte{0x02},                   // Error Code
			[]byte{0x00, 0x03},             // Cause Code
			[]byte{0x00, 0x98, 0x96, 0x80}, // Connect Speed
			[]byte{0x00, 0x40},             // Packet Recv. Window Size
			[]byte{0x00, 0x05},             // Packet Processing Delay
			[]byte{0x00, 0x00, 0x00, 0x06}, // Physical Channel ID
		),
		m: OutgoingCallReply{
			CallID: 0x1234, PeersCallID: 0x1BC6, ResultCode: 1, ErrorCode: 2, CauseCode: 3, ConnectSpeed: 10000000,
			PacketRecvWindowSize: 64, PacketProcessingDelay: 5, PhysicalChannelID: 6,
		},
	},
	{
		name: "call_clear",
		b: octetsOf(
			[]byte{0x00, 0x10},             // Length
			[]byte{0x00, 0x01},             // PPTP Message Type
			[]byte{0x1A, 0x2B, 0x3C, 0x4D}, // Magic Cookie
			[]byte{0x00, 0x0C},             // Control Message Type
			[]byte{0x00, 0x00},             // Reserved0
			[]byte{0x1B, 0xC6},             // Call ID
			[]byte{0x00, 0x00},             // Reserved1
		),
		m: CallClearRequest{CallID: 0x1BC6},
	},
	{
		name: "call_disconnect",
		b: octetsOf(
			[]byte{0x00, 0x94},             // Length
			[]byte{0x00, 0x01},             // PPTP Message Type
			[]byte{0x1A, 0x2B, 0x3C, 0x4D}, // Magic Cookie
			[]byte{0x00, 0x0D},             // Control Message Type
			[]byte{0x00, 0x00},             // Reserved0
			[]byte{0x12, 0x34},             // Call ID
			[]byte{0x04},                   // Result Code
			[]byte{0x01},                   // Error Code
			[]byte{0x00, 0x02},             // Cause Code
			[]byte{0x00, 0x00},             // Reserved1
			field("bytes in 12", 128),      // Call Statistics
		),
		m: CallDisconnectNotify{CallID: 0x1234, ResultCode: 4, ErrorCode: 1, CauseCode: 2, CallStatistics: "bytes in 12"},
	},
	{
		name: "set_link_info",
		b: octetsOf(
			[]byte{0x00, 0x18},             // Length
			[]byte{0x00, 0x01},             // PPTP Message Type
			[]byte{0x1A, 0x2B, 0x3C, 0x4D}, // Magic Cookie
			[]byte{0x00, 0x0F},             // Control Message Type
			[]byte{0x00, 0x00},             // Reserved0
			[]byte{0x12, 0x34},             // Peer's Call ID
			[]byte{0x00, 0x00},             // Reserved1
			[]byte{0x00, 0x00, 0x00, 0x01}, // Send ACCM
			[]byte{0xFF, 0xFF, 0xFF, 0xFF}, // Receive ACCM
		),
		m: SetLinkInfo{PeersCallID: 0x1234, SendACCM: 1, ReceiveACCM: 0xFFFFFFFF},
	},
}

func TestPPTP(t *testing.T) {
	for _, row := range pptpRows {
		t.Run(row.name, func(t *testing.T) {
			if diff := cmp.Diff(row.b, row.m.Append(nil)); diff != "" {
				t.Errorf("Append differs (-want +got):\n%s", diff)
			}
			m, n, err := ParsePPTP(append(bytes.Clone(row.b), "next message"...))
			if err != nil {
				t.Fatal(err)
			}
			if n != len(row.b) {
				t.Errorf("got length %d, want %d", n, len(row.b))
			}
			if diff := cmp.Diff(row.m, m); diff != "" {
				t.Errorf("ParsePPTP differs (-want +got):\n%s", diff)
			}
			for i := range row.b {
				if _, n, err := ParsePPTP(row.b[:i]); !errors.Is(err, ErrShort) || n != 0 {
					t.Errorf("of %d octets: got %d, %v, want 0, %v", i, n, err, ErrShort)
				}
			}
		})
	}
}

func TestParsePPTPReservedIsIgnored(t *testing.T) {
	for _, row := range pptpRows {
		b := bytes.Clone(row.b)
		b[10], b[11] = 0xAA, 0x55 // Reserved0
		m, _, err := ParsePPTP(b)
		if diff := cmp.Diff(row.m, m); err != nil || diff != "" {
			t.Errorf("%s: %v, differs (-want +got):\n%s", row.name, err, diff)
		}
	}
}

func TestParsePPTPRefuses(t *testing.T) {
	edit := func(at int, with ...byte) []byte {
		b := bytes.Clone(pptpRows[6].b) // call_request
		copy(b[at:], with)
		return b
	}
	for name, b := range map[string][]byte{
		"web":                 []byte("GET / HTTP/1.1\r\n"),
		"web_so_far":          []byte("GET "),
		"length_of_another":   edit(0, 0, 156),
		"length_zero":         edit(0, 0, 0),
		"length_huge":         edit(0, 0xFF, 0xFF),
		"management_message":  edit(2, 0, 2),
		"magic_little_endian": edit(4, 0x4D, 0x3C, 0x2B, 0x1A),
		"type_0":              edit(8, 0, 0),
		"type_incoming_call":  edit(8, 0, 9),
		"type_16":             edit(8, 0, 16),
		"type_65535":          edit(8, 0xFF, 0xFF),
	} {
		t.Run(name, func(t *testing.T) {
			if m, n, err := ParsePPTP(b); !errors.Is(err, ErrFormat) || n != 0 || m != nil {
				t.Errorf("got %v, %d, %v, want nil, 0, %v", m, n, err, ErrFormat)
			}
		})
	}
}

func TestPPTPStrings(t *testing.T) {
	long := strings.Repeat("0123456789", 20)
	m := OutgoingCallRequest{PhoneNumber: long, Subaddress: long}
	b := m.Append(nil)
	if len(b) != 168 {
		t.Errorf("got %d octets, want 168", len(b))
	}
	got, _, err := ParsePPTP(b)
	want := OutgoingCallRequest{PhoneNumber: long[:64], Subaddress: long[:64]}
	if diff := cmp.Diff(PPTPMessage(want), got); err != nil || diff != "" {
		t.Errorf("%v, differs (-want +got):\n%s", err, diff)
	}
}

func TestPPTPStringsWithNUL(t *testing.T) {
	const b = "a\x00b\x00\x00"
	for _, row := range []struct{ sent, want PPTPMessage }{
		{StartControlConnectionRequest{HostName: b, VendorName: b}, StartControlConnectionRequest{HostName: "a", VendorName: "a"}},
		{StartControlConnectionReply{HostName: b, VendorName: b}, StartControlConnectionReply{HostName: "a", VendorName: "a"}},
		{OutgoingCallRequest{PhoneNumber: b, Subaddress: b}, OutgoingCallRequest{PhoneNumber: "a", Subaddress: "a\x00b"}},
		{CallDisconnectNotify{CallStatistics: b}, CallDisconnectNotify{CallStatistics: "a\x00b"}},
	} {
		got, _, err := ParsePPTP(row.sent.Append(nil))
		if diff := cmp.Diff(row.want, got); err != nil || diff != "" {
			t.Errorf("%v, differs (-want +got):\n%s", err, diff)
		}
	}
}

// What old pptp-linux sent on a little-endian machine for a phone number of any length.
func TestParsePPTPPhoneNumberLength(t *testing.T) {
	b := OutgoingCallRequest{PhoneNumber: "5551234"}.Append(nil)
	b[36], b[37] = 64, 0
	m, _, err := ParsePPTP(b)
	if diff := cmp.Diff(PPTPMessage(OutgoingCallRequest{PhoneNumber: "5551234"}), m); err != nil || diff != "" {
		t.Errorf("%v, differs (-want +got):\n%s", err, diff)
	}
}

// The places that a NAT rewrites are where the constants say.
func TestPPTPCallIDOffsets(t *testing.T) {
	for _, row := range []struct {
		m    PPTPMessage
		at   int
		want uint16
	}{
		{OutgoingCallRequest{CallID: 0xABCD}, PPTPCallIDOffset, 0xABCD},
		{OutgoingCallReply{CallID: 0xABCD}, PPTPCallIDOffset, 0xABCD},
		{OutgoingCallReply{PeersCallID: 0xABCD}, PPTPReplyPeerCallIDOffset, 0xABCD},
		{CallClearRequest{CallID: 0xABCD}, PPTPCallIDOffset, 0xABCD},
		{CallDisconnectNotify{CallID: 0xABCD}, PPTPCallIDOffset, 0xABCD},
		{SetLinkInfo{PeersCallID: 0xABCD}, PPTPLinkPeerCallIDOffset, 0xABCD},
	} {
		if got := be16(row.m.Append(nil)[row.at:]); got != row.want {
			t.Errorf("%T at %d: got %#x, want %#x", row.m, row.at, got, row.want)
		}
	}
}
