package wire

import (
	"bytes"
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"strings"
)

// What every SSTP connection begins with, inside TLS (MS-SSTP, section 3.2.4.1): a verb and a length that HTTP does not know.
const (
	SSTPMethod = "SSTP_DUPLEX_POST"
	SSTPPath   = "/sra_{BA195980-CD49-458b-9E23-C84EE0ADCD75}/"
	SSTPLength = "18446744073709551615" // of a body that does not end: 2^64-1

	sstpCorrelation = "SSTPCORRELATIONID"
	maxHTTPHead     = 4 << 10
)

// An SSTPCorrelation is the identifier that a client gives its connection, for the logs at both ends: 16 octets that each client chooses at
// random. It has room for the first 16 octets of a Token: session, exchange and 8 octets of the proof.
type SSTPCorrelation [16]byte

// String is the identifier as Windows writes it: {XXXXXXXX-XXXX-XXXX-XXXX-XXXXXXXXXXXX}.
func (c SSTPCorrelation) String() string {
	return fmt.Sprintf("{%X-%X-%X-%X-%X}", c[0:4], c[4:6], c[6:8], c[8:10], c[10:16])
}

// ParseSSTPCorrelation reads what String wrote, in either case, with or without braces.
func ParseSSTPCorrelation(s string) (c SSTPCorrelation, err error) {
	if len(s) == 38 && s[0] == '{' && s[37] == '}' {
		s = s[1:37]
	}
	if len(s) != 36 || s[8] != '-' || s[13] != '-' || s[18] != '-' || s[23] != '-' {
		return c, bad("SSTPCORRELATIONID is no GUID")
	}
	if _, err := hex.Decode(c[:], []byte(strings.ReplaceAll(s, "-", ""))); err != nil {
		return SSTPCorrelation{}, bad("SSTPCORRELATIONID is no GUID")
	}
	return c, nil
}

// Prefix is what a correlation identifier carries of a token.
func (t Token) Prefix() SSTPCorrelation { return SSTPCorrelation(t[:16]) }

// SSTPRequest is the head that opens a connection, as Windows sends it. GET asks for the root of the site instead, as a browser would: the
// question whose answer tells a proxy that dislikes the verb from one that dislikes the server.
type SSTPRequest struct {
	Host        string
	Correlation SSTPCorrelation
	GET         bool
}

// Append appends the head.
func (r SSTPRequest) Append(b []byte) []byte {
	if r.GET {
		return fmt.Appendf(b, "GET / HTTP/1.1\r\nHost: %s\r\n%s: %s\r\n\r\n", r.Host, sstpCorrelation, r.Correlation)
	}
	return fmt.Appendf(b, "%s %s HTTP/1.1\r\nHost: %s\r\nContent-Length: %s\r\n%s: %s\r\n\r\n",
		SSTPMethod, SSTPPath, r.Host, SSTPLength, sstpCorrelation, r.Correlation)
}

// ParseSSTPRequest reads the head at the start of b, and how long it is. ErrShort means that there is more to come. A head that is neither
// of the two that Append writes, whatever further fields it has, is refused.
func ParseSSTPRequest(b []byte) (r SSTPRequest, n int, err error) {
	h, err := parseHTTP(b)
	if err != nil {
		return r, 0, err
	}
	method, rest, _ := strings.Cut(h.line, " ")
	path, version, _ := strings.Cut(rest, " ")
	r.Host = h.field("Host")
	switch {
	case !strings.HasPrefix(version, "HTTP/1."):
		return r, 0, bad("HTTP request line without a version")
	case method == "GET" && path == "/":
		r.GET = true
	case method != SSTPMethod || !strings.EqualFold(path, SSTPPath):
		return r, 0, bad("HTTP request is not SSTP's")
	case h.field("Content-Length") != SSTPLength:
		return r, 0, bad("Content-Length is not SSTP's")
	}
	if r.Correlation, err = ParseSSTPCorrelation(h.field(sstpCorrelation)); err != nil {
		return SSTPRequest{}, 0, err
	}
	return r, h.size, nil
}

// AppendSSTPAccept appends the answer that opens the tunnel (MS-SSTP, section 3.3.5.1).
func AppendSSTPAccept(b []byte) []byte {
	return fmt.Appendf(b, "HTTP/1.1 200 OK\r\nContent-Length: %s\r\nServer: Microsoft-HTTPAPI/2.0\r\n\r\n", SSTPLength)
}

// HTTPStatus is the beginning of an HTTP answer.
type HTTPStatus struct {
	Code   int    // 100 to 999
	Text   string // what stands behind it
	Server string // the field of that name
	Length string // Content-Length
}

// Accepts says that the tunnel is open.
func (s HTTPStatus) Accepts() bool { return s.Code == 200 && s.Length == SSTPLength }

// ParseHTTPStatus reads the head of an answer at the start of b, and how long it is. ErrShort means that there is more to come.
func ParseHTTPStatus(b []byte) (s HTTPStatus, n int, err error) {
	h, err := parseHTTP(b)
	if err != nil {
		return s, 0, err
	}
	version, rest, _ := strings.Cut(h.line, " ")
	code, text, _ := strings.Cut(rest, " ")
	if !strings.HasPrefix(version, "HTTP/1.") || len(code) != 3 || code[0] < '1' || code[0] > '9' || strings.Trim(code, "0123456789") != "" {
		return s, 0, bad("HTTP status line")
	}
	for _, d := range code {
		s.Code = 10*s.Code + int(d-'0')
	}
	s.Text, s.Server, s.Length = text, h.field("Server"), h.field("Content-Length")
	return s, h.size, nil
}

type httpHead struct {
	line   string
	fields []string
	size   int
}

// parseHTTP cuts a head of HTTP/1 off its body (RFC 9112, section 2.1).
func parseHTTP(b []byte) (h httpHead, err error) {
	text, _, whole := bytes.Cut(b[:min(len(b), maxHTTPHead)], []byte("\r\n\r\n"))
	switch {
	case !whole && len(b) >= maxHTTPHead:
		return h, bad("HTTP head has more than %d octets", maxHTTPHead)
	case !whole:
		return h, fmt.Errorf("reading an HTTP head: %w", ErrShort)
	}
	lines := strings.Split(string(text), "\r\n")
	return httpHead{line: lines[0], fields: lines[1:], size: len(text) + 4}, nil
}

// field is the value of a field, empty if there is none.
func (h httpHead) field(name string) string {
	for _, f := range h.fields {
		if key, value, ok := strings.Cut(f, ":"); ok && strings.EqualFold(key, name) {
			return strings.Trim(value, " \t")
		}
	}
	return ""
}

// SSTP message types (MS-SSTP, section 2.2.2).
const (
	SSTPCallConnectRequest = 1
	SSTPCallConnectAck     = 2
	SSTPCallConnectNak     = 3
	SSTPCallConnected      = 4
	SSTPCallAbort          = 5
	SSTPCallDisconnect     = 6
	SSTPCallDisconnectAck  = 7
	SSTPEchoRequest        = 8
	SSTPEchoResponse       = 9
)

// SSTP attribute IDs (MS-SSTP, section 2.2.4).
const (
	SSTPEncapsulatedProtocol = 1
	SSTPStatusInfo           = 2
	SSTPCryptoBinding        = 3
	SSTPCryptoBindingRequest = 4
)

const (
	sstpVersion   = 0x10
	sstpHeader    = 4
	maxSSTP       = 1<<12 - 1
	maxAttributes = 8
)

// SSTP is a packet of the tunnel (MS-SSTP, section 2.2.1):
//
//	+---------------+-------------+-+-------+-----------------------+
//	| Version 0x10  |  Reserved   |C|   R   |    LengthPacket       |
//	+---------------+-------------+-+-------+-----------------------+
//	| Data: a PPP frame, or if C is set a message                   |
//
// A message (section 2.2.2) is its type and the number of its attributes, two octets each, and the attributes.
type SSTP struct {
	Control    bool
	Type       uint16          // of a message
	Attributes []SSTPAttribute // of a message, at most 8
	Data       []byte          // a PPP frame; at most 4091 octets, Append cuts the rest; after parsing, a part of what was parsed
}

// SSTPAttribute is one attribute of a message (MS-SSTP, section 2.2.4): Reserved, ID, R and LengthPacket, Value.
type SSTPAttribute struct {
	ID    uint8
	Value []byte
}

// Append appends the packet.
func (p SSTP) Append(b []byte) []byte {
	at := len(b)
	if !p.Control {
		b = append(b, sstpVersion, 0, 0, 0)
		b = append(b, cut(p.Data, maxSSTP-sstpHeader)...)
	} else {
		attributes := p.Attributes[:min(len(p.Attributes), maxAttributes)]
		b = append(b, sstpVersion, 1, 0, 0)
		b = binary.BigEndian.AppendUint16(b, p.Type)
		b = binary.BigEndian.AppendUint16(b, uint16(len(attributes)))
		for _, a := range attributes {
			value := cut(a.Value, 255)
			b = append(b, 0, a.ID)
			b = binary.BigEndian.AppendUint16(b, uint16(sstpHeader+len(value)))
			b = append(b, value...)
		}
	}
	binary.BigEndian.PutUint16(b[at+2:], uint16(len(b)-at))
	return b
}

// ParseSSTP reads the packet at the start of b, and how long it is. ErrShort means that there is more to come.
func ParseSSTP(b []byte) (p SSTP, n int, err error) {
	if err := need(b, sstpHeader, "SSTP header"); err != nil {
		return p, 0, err
	}
	n = int(be16(b[2:]) & 0x0FFF)
	if b[0] != sstpVersion || n < sstpHeader {
		return p, 0, bad("SSTP header % x", b[:sstpHeader])
	}
	if err := need(b, n, "SSTP packet"); err != nil {
		return p, 0, err
	}
	data := b[sstpHeader:n]
	if b[1]&1 == 0 {
		return SSTP{Data: some(data)}, n, nil
	}
	p, err = parseSSTPMessage(data)
	return p, n, err
}

func parseSSTPMessage(b []byte) (SSTP, error) {
	if len(b) < 4 {
		return SSTP{}, bad("SSTP message of %d octets", len(b))
	}
	p := SSTP{Control: true, Type: be16(b)}
	count := int(be16(b[2:]))
	if count > maxAttributes {
		return SSTP{}, bad("SSTP message has %d attributes", count)
	}
	b = b[4:]
	for range count {
		if len(b) < sstpHeader {
			return SSTP{}, bad("SSTP message ends inside an attribute")
		}
		n := int(be16(b[2:]) & 0x0FFF)
		if n < sstpHeader || n > len(b) {
			return SSTP{}, bad("SSTP attribute %d has length %d of %d", b[1], n, len(b))
		}
		p.Attributes = append(p.Attributes, SSTPAttribute{ID: b[1], Value: some(b[sstpHeader:n])})
		b = b[n:]
	}
	if len(b) > 0 {
		return SSTP{}, bad("SSTP message has %d octets behind its attributes", len(b))
	}
	return p, nil
}

// SSTPConnect is the Call Connect Request for PPP, the one protocol there is (MS-SSTP, sections 2.2.9 and 2.2.5).
func SSTPConnect() SSTP {
	return SSTP{Control: true, Type: SSTPCallConnectRequest, Attributes: []SSTPAttribute{{SSTPEncapsulatedProtocol, []byte{0, 1}}}}
}

// Connects says whether it is a Call Connect Request for PPP.
func (p SSTP) Connects() bool {
	return p.Control && p.Type == SSTPCallConnectRequest && len(p.Attributes) == 1 &&
		p.Attributes[0].ID == SSTPEncapsulatedProtocol && bytes.Equal(p.Attributes[0].Value, []byte{0, 1})
}

// SSTPConnectAck is the Call Connect Acknowledge with its Crypto Binding Request (MS-SSTP, sections 2.2.10 and 2.2.6): a bit for each hash
// that may be used (SHA-1 and SHA-256), and a nonce that the client will have to hash with the certificate it saw.
func SSTPConnectAck(nonce [32]byte) SSTP {
	value := append([]byte{0, 0, 0, 3}, nonce[:]...)
	return SSTP{Control: true, Type: SSTPCallConnectAck, Attributes: []SSTPAttribute{{SSTPCryptoBindingRequest, value}}}
}

// Nonce is that of a Crypto Binding Request.
func (p SSTP) Nonce() (nonce [32]byte, ok bool) {
	if !p.Control || p.Type != SSTPCallConnectAck || len(p.Attributes) != 1 {
		return nonce, false
	}
	a := p.Attributes[0]
	if a.ID != SSTPCryptoBindingRequest || len(a.Value) != 4+len(nonce) {
		return nonce, false
	}
	return [32]byte(a.Value[4:]), true
}

// SSTPDisconnect ends a call (MS-SSTP, section 2.2.14), and its answer, which has the same form, acknowledges that.
func SSTPDisconnect(ack bool) SSTP {
	if ack {
		return SSTP{Control: true, Type: SSTPCallDisconnectAck}
	}
	return SSTP{Control: true, Type: SSTPCallDisconnect}
}
