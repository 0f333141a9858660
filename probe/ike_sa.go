package probe

import (
	"crypto/rand"
	"encoding/binary"
	"net/netip"
	"slices"

	"vpncheck/probe/wire"
)

// An ikeSA is one key exchange as its initiator plays it, with fresh SPIs (or cookies, as version 1 says).
type ikeSA interface {
	// open is the first message.
	open(t wire.Tag) []byte
	// opened learns the responder's SPI from the answer, and says whether it is one.
	opened(answer []byte) bool
	// next is the message that follows the last one that was answered.
	next(t wire.Tag) []byte
	// answered says that the last message was answered.
	answered()
}

// randomSPI is never zero: that is the responder's in the first message (RFC 7296, section 3.1).
func randomSPI() uint64 {
	var b [8]byte
	rand.Read(b[:])
	return max(binary.BigEndian.Uint64(b[:]), 1)
}

// responderSPI is the one in an answer, 0 if there is none.
func responderSPI(answer []byte) uint64 {
	h, err := wire.ParseIKEHeader(answer)
	if err != nil {
		return 0
	}
	return h.ResponderSPI
}

// Sizes of strongSwan's encrypted messages, their headers not counted.
const (
	ikeAuthBody = 256 // IKE_AUTH of 288 octets
	ikeInfoBody = 48  // INFORMATIONAL of 80 octets, as a check of liveness is
)

// An ikev2SA speaks version 2 (RFC 7296, section 1.2), as strongSwan does.
type ikev2SA struct {
	group         uint16         // of the key exchange
	local, remote netip.AddrPort // as this end knows them: what NAT detection hashes (section 2.23)
	initiator     uint64
	responder     uint64
	id            uint32 // Message ID of the next request
}

func newIKEv2(group uint16, local, remote netip.AddrPort) *ikev2SA {
	return &ikev2SA{group: group, local: local, remote: remote, initiator: randomSPI()}
}

// ikev2Offer is strongSwan's proposal, with a group at the head of the groups: that of the key exchange that comes with it.
func ikev2Offer(first uint16) wire.IKEv2SA {
	var offer []wire.IKEv2Transform
	add := func(kind uint8, ids ...uint16) {
		for _, id := range ids {
			offer = append(offer, wire.IKEv2Transform{Type: kind, ID: id})
		}
	}
	for _, bits := range []uint16{128, 192, 256} {
		offer = append(offer, wire.IKEv2Transform{Type: wire.TransformEncryption, ID: wire.EncryptionAESCBC, KeyLength: bits})
	}
	add(wire.TransformIntegrity, wire.IntegrityHMACSHA256, wire.IntegrityHMACSHA384, wire.IntegrityHMACSHA512,
		wire.IntegrityHMACSHA1, wire.IntegrityAESXCBC, wire.IntegrityAESCMAC)
	add(wire.TransformPRF, wire.PRFHMACSHA256, wire.PRFHMACSHA384, wire.PRFHMACSHA512, wire.PRFAES128XCBC, wire.PRFAES128CMAC, wire.PRFHMACSHA1)
	groups := []uint16{wire.GroupCurve25519, wire.GroupMODP3072, wire.GroupMODP4096, wire.GroupMODP6144, wire.GroupMODP8192, wire.GroupMODP2048}
	add(wire.TransformGroup, first)
	add(wire.TransformGroup, slices.DeleteFunc(groups, func(g uint16) bool { return g == first })...)
	return wire.IKEv2SA{{Num: 1, ProtocolID: wire.ProtocolIDIKE, Transforms: offer}}
}

// open is IKE_SA_INIT. Behind strongSwan's own payloads comes a Vendor ID, which is the token.
func (sa *ikev2SA) open(t wire.Tag) []byte {
	notify := func(typ uint16, data []byte) wire.IKEPayload {
		return wire.IKEPayload{Type: wire.IKEv2NotifyPayload, Body: wire.IKENotify{Type: typ, Data: data}.Append(nil)}
	}
	ke := wire.IKEv2KE{Group: sa.group, Data: wire.IKEPublic(sa.group)}
	return sa.message(wire.IKESAInit,
		wire.IKEPayload{Type: wire.IKEv2SecurityAssociation, Body: ikev2Offer(sa.group).Append(nil)},
		wire.IKEPayload{Type: wire.IKEv2KeyExchange, Body: ke.Append(nil)},
		wire.IKEPayload{Type: wire.IKEv2Nonce, Body: wire.IKENonce(t)},
		notify(wire.NotifyNATDetectionSourceIP, wire.NATDetection(sa.initiator, 0, sa.local)),
		notify(wire.NotifyNATDetectionDestinationIP, wire.NATDetection(sa.initiator, 0, sa.remote)),
		notify(wire.NotifyFragmentationSupported, nil),
		notify(wire.NotifySignatureHashAlgorithms, []byte{0, 2, 0, 3, 0, 4, 0, 5}), // SHA-2 of three lengths, and identity
		notify(wire.NotifyRedirectSupported, nil),
		wire.IKEPayload{Type: wire.IKEv2VendorID, Body: t.Token[:]})
}

func (sa *ikev2SA) opened(answer []byte) bool {
	sa.responder, sa.id = responderSPI(answer), 1
	return sa.responder != 0
}

// next is IKE_AUTH, and once that was answered, INFORMATIONAL. A request that was not answered is made anew with its Message ID: there is
// one outstanding (section 2.3).
func (sa *ikev2SA) next(t wire.Tag) []byte {
	if sa.id == 1 {
		return sa.message(wire.IKEAuth, wire.IKEPayload{Type: wire.IKEv2Encrypted, Inner: wire.IKEv2IDInitiator, Body: wire.IKESealed(t, ikeAuthBody)})
	}
	return sa.message(wire.IKEv2Informational, wire.IKEPayload{Type: wire.IKEv2Encrypted, Body: wire.IKESealed(t, ikeInfoBody)})
}

// full is an INFORMATIONAL of full size, as large as one fragment of a long IKE_AUTH (RFC 7383).
func (sa *ikev2SA) full(t wire.Tag) []byte {
	return sa.message(wire.IKEv2Informational, wire.IKEPayload{Type: wire.IKEv2Encrypted, Body: wire.IKESealed(t, fullOctets-60-20)})
}

func (sa *ikev2SA) answered() { sa.id++ }

func (sa *ikev2SA) message(exchange uint8, payloads ...wire.IKEPayload) []byte {
	return wire.IKEMessage{Payloads: payloads, Header: wire.IKEHeader{
		InitiatorSPI: sa.initiator, ResponderSPI: sa.responder, MajorVersion: 2, ExchangeType: exchange,
		Flags: wire.IKEv2FlagInitiator, MessageID: sa.id,
	}}.Append(nil)
}
