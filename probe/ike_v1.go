package probe

import (
	"crypto/sha256"
	"net/netip"

	"vpncheck/probe/wire"
)

// Sizes of strongSwan's encrypted messages of version 1, their headers not counted.
const (
	ikev1IDBody  = 80 // message 5 of Main Mode, of 108 octets
	ikev1DPDBody = 64 // R-U-THERE, of 92 octets (RFC 3706, section 5.3)
)

// An ikev1SA speaks version 1: Main Mode (RFC 2409, section 5; RFC 3947, section 4), and then a check of liveness again and again.
type ikev1SA struct {
	local, remote netip.AddrPort // as this end knows them: what NAT-D hashes (RFC 3947, section 3.2)
	initiator     uint64         // cookies
	responder     uint64
	step          int    // messages 3 and 5 of Main Mode that were answered, and all behind them
	quick         uint32 // Message ID of Quick Mode
}

func newIKEv1(local, remote netip.AddrPort) *ikev1SA {
	return &ikev1SA{local: local, remote: remote, initiator: randomSPI()}
}

// ikev1Offer is what strongSwan offers first; it is one proposal of one transform, so the choice is the same.
var ikev1Offer = wire.IKEv1SA{{Num: 1, ProtocolID: wire.ProtocolIDIKE, Transforms: []wire.IKEv1Transform{{
	Num: 1, ID: wire.IKEv1KeyIKE, Attributes: []wire.IKEv1Attribute{
		{Type: wire.AttributeEncryption, Value: wire.IKEv1EncryptionAESCBC}, {Type: wire.AttributeKeyLength, Value: 128},
		{Type: wire.AttributeHash, Value: wire.IKEv1HashSHA256}, {Type: wire.AttributeGroup, Value: wire.GroupCurve25519},
		{Type: wire.AttributeAuth, Value: wire.IKEv1AuthPSK}, {Type: wire.AttributeLifeType, Value: wire.IKEv1LifeSeconds},
		{Type: wire.AttributeLifeDuration, Value: 15840},
	}}},
}}

// open is message 1, which has no nonce: the last Vendor ID is the token.
func (sa *ikev1SA) open(t wire.Tag) []byte {
	payloads := []wire.IKEPayload{{Type: wire.IKEv1SecurityAssociation, Body: ikev1Offer.Append(nil)}}
	vendors := []string{wire.VendorXAUTH, wire.VendorDPD, wire.VendorFragmentation2, wire.VendorNATT, wire.VendorNATTDraft02, string(t.Token[:])}
	for _, id := range vendors {
		payloads = append(payloads, wire.IKEPayload{Type: wire.IKEv1VendorID, Body: []byte(id)})
	}
	return sa.message(wire.IKEHeader{ExchangeType: wire.IKEIdentityProtection}, payloads...)
}

func (sa *ikev1SA) opened(answer []byte) bool {
	sa.responder = responderSPI(answer)
	return sa.responder != 0
}

// next is message 3, then message 5, and then R-U-THERE.
func (sa *ikev1SA) next(t wire.Tag) []byte {
	secret := wire.IKEHeader{ExchangeType: wire.IKEIdentityProtection, Flags: wire.IKEv1FlagEncryption}
	switch sa.step {
	case 0:
		return sa.message(wire.IKEHeader{ExchangeType: wire.IKEIdentityProtection},
			wire.IKEPayload{Type: wire.IKEv1KeyExchange, Body: wire.IKEPublic(wire.GroupCurve25519)},
			wire.IKEPayload{Type: wire.IKEv1Nonce, Body: wire.IKENonce(t)},
			sa.natD(sa.remote), sa.natD(sa.local))
	case 1:
		return sa.message(secret, wire.IKEPayload{Type: wire.IKEv1Identification, Body: wire.IKESealed(t, ikev1IDBody)})
	}
	secret.ExchangeType, secret.MessageID = wire.IKEv1Informational, randomMagic()
	return sa.message(secret, wire.IKEPayload{Type: wire.IKEv1Hash, Body: wire.IKESealed(t, ikev1DPDBody)})
}

func (sa *ikev1SA) answered() { sa.step++ }

func (sa *ikev1SA) natD(a netip.AddrPort) wire.IKEPayload {
	return wire.IKEPayload{Type: wire.IKEv1NATD, Body: wire.NATDetectionV1(sha256.New, sa.initiator, sa.responder, a)}
}

func (sa *ikev1SA) message(h wire.IKEHeader, payloads ...wire.IKEPayload) []byte {
	h.InitiatorSPI, h.ResponderSPI, h.MajorVersion = sa.initiator, sa.responder, 1
	return wire.IKEMessage{Header: h, Payloads: payloads}.Append(nil)
}
