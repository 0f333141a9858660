package testserver

import (
	"crypto/hmac"
	"crypto/md5"
	"crypto/rand"
	"crypto/sha1"
	"crypto/sha256"
	"crypto/sha512"
	"encoding/binary"
	"hash"

	"vpncheck/probe/wire"
	"vpncheck/testserver/gate"
)

// An ikeQuestion is a message of IKE that can be answered.
type ikeQuestion struct {
	carrier wire.Carrier
	arrived wire.Sighting
	m       wire.IKEMessage
	tag     wire.Tag
	reply   func(q ikeQuestion, h wire.IKEHeader, t wire.Tag) []wire.IKEPayload

	chosen  wire.IKEv2SA     // of IKE_SA_INIT
	chosen1 wire.IKEv1SA     // of Main Mode's first message
	group   uint16           // of the key exchange
	newHash func() hash.Hash // of version 1's NAT-D
}

// parseIKE reads a message, without the marker of port 4500. What is no request of an initiator, or has no room for a tag, is an error.
func parseIKE(c wire.Carrier, arrived wire.Sighting, message []byte) (ikeQuestion, error) {
	q := ikeQuestion{carrier: c, arrived: arrived}
	var err error
	if q.m, err = wire.ParseIKE(message); err != nil {
		return q, err
	}
	if q.tag, err = q.m.Tag(); err != nil {
		return q, err
	}
	h := q.m.Header
	switch {
	case h.MajorVersion == 2 && h.Flags&wire.IKEv2FlagResponse != 0:
		return q, wire.ErrFormat
	case h.MajorVersion == 2 && h.ExchangeType == wire.IKESAInit:
		return q, q.saInit()
	case h.MajorVersion == 2 && len(q.m.Payloads) == 1, h.MajorVersion == 1 && h.Flags&wire.IKEv1FlagEncryption != 0:
		q.reply = ikeQuestion.sealed
		return q, nil
	case h.MajorVersion == 1 && h.ExchangeType == wire.IKEIdentityProtection:
		return q, q.mainMode()
	}
	return q, wire.ErrFormat
}

// answer is the whole answer. Its length follows from the question's.
func (q ikeQuestion) answer(s *gate.Session) []byte {
	h := q.m.Header
	if h.ResponderSPI == 0 {
		h.ResponderSPI = ikeResponderSPI(s, h.InitiatorSPI)
	}
	switch {
	case h.MajorVersion == 2:
		h.Flags = wire.IKEv2FlagResponse // RFC 7296, section 3.1
	case h.ExchangeType == wire.IKEv1Informational: // each way is an exchange of its own (RFC 3706, section 5.3)
		var id [4]byte
		rand.Read(id[:])
		h.MessageID = max(binary.BigEndian.Uint32(id[:]), 1)
	}
	return wire.IKEMessage{Header: h, Payloads: q.reply(q, h, answerTag(s, q.carrier, q.tag, q.arrived))}.Append(nil)
}

// ikeResponderSPI is the responder's SPI, or cookie, of the SA that an initiator's SPI names. Each is as good as random; none need be
// remembered.
func ikeResponderSPI(s *gate.Session, initiator uint64) uint64 {
	mac := hmac.New(sha256.New, s.Derive("ike-spi"))
	mac.Write(binary.BigEndian.AppendUint64(nil, initiator))
	return max(binary.BigEndian.Uint64(mac.Sum(nil)), 1)
}

// ikeFragmentLen is the length of a fragment's number and of how many there are, in the clear (RFC 7383, section 2.5).
const ikeFragmentLen = 4

// sealed answers what a cipher made: of its size, with nothing in it but a tag. A fragment is answered by the same one of the response: that is
// as long, so that each fragment may be answered for itself, and nothing need be kept until all are there.
func (q ikeQuestion) sealed(_ wire.IKEHeader, t wire.Tag) []wire.IKEPayload {
	p := q.m.Payloads[0]
	body := p.Body
	p.Body = wire.IKESealed(t, len(body))
	if q.m.Header.MajorVersion == 2 && p.Type == wire.IKEv2EncryptedFragment {
		copy(p.Body, body[:ikeFragmentLen])
	}
	if p.Inner == wire.IKEv2IDInitiator {
		p.Inner = wire.IKEv2IDResponder // of IKE_AUTH
	}
	return []wire.IKEPayload{p}
}

// ikeHashes are what NAT-D may be made with, by their length: only message 1 names it (RFC 3947, section 3.2).
var ikeHashes = map[int]func() hash.Hash{
	md5.Size: md5.New, sha1.Size: sha1.New, sha256.Size: sha256.New, sha512.Size384: sha512.New384, sha512.Size: sha512.New,
}
