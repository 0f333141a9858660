package wire

import "fmt"

// IPProtoICMP is the IP protocol number of ICMP.
const IPProtoICMP = 1

// Types of ICMP errors (RFC 792).
const (
	ICMPUnreachable  = 3
	ICMPTimeExceeded = 11 // code 0: a router was to forward a packet whose TTL had run out
)

// An ICMPError is an ICMP message about a packet that could not be delivered (RFC 792, RFC 1812 section 4.3.2.3):
//
//	 0                   1                   2                   3
//	 0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1
//	+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
//	|     Type      |     Code      |          Checksum             |
//	+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
//	|             unused, or parameters of the type                 |
//	+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
//	|      Internet Header + 64 bits or more of the original        |
//	+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
type ICMPError struct {
	Type, Code uint8
	Rest       [4]byte
	Header     IPv4   // of the packet that the error is about, as it stood where the error was made
	Quoted     []byte // what followed that header, eight octets at least; after parsing, a part of what was parsed
}

// icmpQuotes are the types that quote a packet: unreachable, source quench, redirect, time exceeded, parameter problem.
func icmpQuotes(typ uint8) bool {
	return typ == 3 || typ == 4 || typ == 5 || typ == 11 || typ == 12
}

// ParseICMPError reads an ICMP error, all of b. The checksum is verified.
func ParseICMPError(b []byte) (ICMPError, error) {
	if err := need(b, 8, "ICMP header"); err != nil {
		return ICMPError{}, err
	}
	if !icmpQuotes(b[0]) {
		return ICMPError{}, bad("ICMP type %d quotes no packet", b[0])
	}
	m, err := ParseICMPQuote(b[8:])
	if err != nil {
		return ICMPError{}, err
	}
	if Checksum(b) != 0 {
		return ICMPError{}, bad("ICMP checksum is wrong")
	}
	m.Type, m.Code, m.Rest = b[0], b[1], [4]byte(b[4:8])
	return m, nil
}

// ParseICMPQuote reads what an ICMP error quotes: Header and Quoted.
func ParseICMPQuote(b []byte) (ICMPError, error) {
	header, n, err := ParseIPv4Header(b)
	if err != nil {
		return ICMPError{}, fmt.Errorf("reading the packet that an ICMP error quotes: %w", err)
	}
	quoted := b[n:]
	if err := need(quoted, 8, "octets of the packet that an ICMP error quotes"); err != nil {
		return ICMPError{}, err
	}
	return ICMPError{Header: header, Quoted: quoted}, nil
}

// Append appends the message with its checksum.
func (m ICMPError) Append(b []byte) []byte {
	at := len(b)
	b = append(b, m.Type, m.Code, 0, 0)
	b = append(b, m.Rest[:]...)
	b = append(m.Header.Append(b), m.Quoted...)
	sum := Checksum(b[at:])
	b[at+2], b[at+3] = byte(sum>>8), byte(sum)
	return b
}

// QuotedPorts are the ports of a quoted UDP or TCP packet.
func (m ICMPError) QuotedPorts() (src, dst uint16) { return be16(m.Quoted), be16(m.Quoted[2:]) }
