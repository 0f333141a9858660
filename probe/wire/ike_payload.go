package wire

import (
	"encoding/binary"
	"slices"
)

const (
	ikePayloadLen     = 4 // the generic payload header
	maxIKEPayloads    = 32
	maxIKEPayloadBody = 65535 - ikePayloadLen
	ikeCritical       = 0x80
)

// IKEPayload is one payload of a message behind its generic header (RFC 7296, section 3.2; RFC 2408, section 3.2):
//
//	 0                   1                   2                   3
//	 0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1
//	+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
//	| Next Payload  |C|  RESERVED   |         Payload Length        |
//	+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
//
// Next Payload and Payload Length are computed. Two kinds are opaque, and nothing follows them: the Encrypted payload of version 2
// (RFC 7296, section 3.14; a fragment of it, RFC 7383, section 2.5), and the body of an encrypted message of version 1, which has no
// generic header that could be read: its Type is that of the first payload inside.
type IKEPayload struct {
	Type     uint8
	Critical bool   // version 2 only
	Inner    uint8  // Type of the first payload inside an Encrypted payload of version 2, else 0
	Body     []byte // at most 65531 octets, Append cuts the rest; after parsing, a part of what was parsed
}

// IKEMessage is a whole message of either version: at most 32 payloads, Append leaves out the rest. Type 0 ends a chain: Append leaves
// out such a payload and all behind it.
type IKEMessage struct {
	Header   IKEHeader
	Payloads []IKEPayload
}

// Append appends the message, with its Length and Next Payload computed.
func (m IKEMessage) Append(b []byte) []byte {
	start := len(b)
	payloads := ikeChain(m.Payloads[:min(len(m.Payloads), maxIKEPayloads)], m.Header)
	h := m.Header
	h.NextPayload = 0
	if len(payloads) > 0 {
		h.NextPayload = payloads[0].Type
	}
	b = h.Append(b)
	for i, p := range payloads {
		if h.encrypted() {
			b = append(b, p.Body...)
			break
		}
		var next uint8
		switch {
		case ikeOpaque(h.MajorVersion, p.Type):
			next = p.Inner
		case i+1 < len(payloads):
			next = payloads[i+1].Type
		}
		b = p.append(b, next, h.MajorVersion)
	}
	binary.BigEndian.PutUint32(b[start+24:], uint32(len(b)-start))
	return b
}

// ikeChain returns the payloads that can be read again: up to an opaque one, or one without a type.
func ikeChain(payloads []IKEPayload, h IKEHeader) []IKEPayload {
	for i, p := range payloads {
		switch {
		case p.Type == 0:
			return payloads[:i]
		case h.encrypted() || ikeOpaque(h.MajorVersion, p.Type):
			return payloads[:i+1]
		}
	}
	return payloads
}

// ikeOpaque says whether a payload's Next Payload is the type of what it encrypts, which makes it the last one.
func ikeOpaque(major, typ uint8) bool {
	return major == 2 && (typ == IKEv2Encrypted || typ == IKEv2EncryptedFragment)
}

func (p IKEPayload) append(b []byte, next, major uint8) []byte {
	var flags uint8
	if p.Critical && major == 2 {
		flags = ikeCritical
	}
	body := cut(p.Body, maxIKEPayloadBody)
	b = append(b, next, flags)
	b = binary.BigEndian.AppendUint16(b, uint16(ikePayloadLen+len(body)))
	return append(b, body...)
}

// ParseIKE reads a message, all of b. The bodies of its payloads are not copied. RESERVED bits are ignored in version 2 (RFC 7296,
// section 3.2) and refused in version 1 (RFC 2408, section 5.3).
func ParseIKE(b []byte) (IKEMessage, error) {
	h, err := ParseIKEHeader(b)
	if err != nil {
		return IKEMessage{}, err
	}
	if err := need(b, int(h.Length), "IKE message"); err != nil {
		return IKEMessage{}, err
	}
	if int(h.Length) < len(b) {
		return IKEMessage{}, bad("IKE Length is %d, the datagram has %d", h.Length, len(b))
	}
	m := IKEMessage{Header: h}
	rest := b[ikeHeaderLen:]
	if h.encrypted() && h.NextPayload != 0 {
		if len(rest) == 0 {
			return IKEMessage{}, bad("IKE message is encrypted and empty")
		}
		m.Payloads = []IKEPayload{{Type: h.NextPayload, Body: rest}}
		return m, nil
	}
	m.Payloads, rest, err = parseIKEPayloads(rest, h)
	if err == nil && len(rest) > 0 {
		err = bad("IKE message has %d octets behind its last payload", len(rest))
	}
	if err != nil {
		return IKEMessage{}, err
	}
	return m, nil
}

// parseIKEPayloads reads the chain of a message and returns what is behind it. The message is whole: a payload that reaches over its
// end has a wrong length.
func parseIKEPayloads(b []byte, h IKEHeader) (payloads []IKEPayload, rest []byte, err error) {
	for typ := h.NextPayload; typ != 0; {
		if len(payloads) == maxIKEPayloads {
			return nil, nil, bad("IKE message has more than %d payloads", maxIKEPayloads)
		}
		if len(b) < ikePayloadLen {
			return nil, nil, bad("IKE payload %d has %d octets, want %d or more", typ, len(b), ikePayloadLen)
		}
		next, length := b[0], int(be16(b[2:]))
		if length < ikePayloadLen || length > len(b) {
			return nil, nil, bad("IKE payload %d has Payload Length %d, want %d to %d", typ, length, ikePayloadLen, len(b))
		}
		if h.MajorVersion == 1 && b[1] != 0 {
			return nil, nil, bad("IKE payload %d has RESERVED %#02x", typ, b[1])
		}
		p := IKEPayload{Type: typ, Critical: b[1]&ikeCritical != 0, Body: some(b[ikePayloadLen:length])}
		b = b[length:]
		if ikeOpaque(h.MajorVersion, typ) {
			p.Inner = next
			return append(payloads, p), b, nil
		}
		payloads = append(payloads, p)
		typ = next
	}
	return payloads, b, nil
}

// Find returns the first payload of a type.
func (m IKEMessage) Find(typ uint8) (IKEPayload, bool) {
	i := slices.IndexFunc(m.Payloads, func(p IKEPayload) bool { return p.Type == typ })
	if i < 0 {
		return IKEPayload{}, false
	}
	return m.Payloads[i], true
}
