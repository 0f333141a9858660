package wire

import (
	"bytes"
	"crypto/sha256"
	"net/netip"
	"testing"
)

// Messages as strongSwan and Windows send them, built by the codec.

const (
	ikeInitiator = 0x0102030405060708
	ikeResponder = 0x1112131415161718
)

var (
	ikeLaptop = netip.MustParseAddrPort("192.168.1.11:500")
	ikeServer = netip.MustParseAddrPort("198.51.100.10:500")
)

// The sizes with a source were seen there; the others follow from the payloads and vendor IDs that logs of servers list.
func TestIKEPeersSizes(t *testing.T) {
	for name, row := range map[string]struct {
		m    IKEMessage
		want int
	}{
		"strongswan_sa_init_x25519": {saInit(strongSwanProposal, GroupCurve25519), 384}, // testdata
		"windows_sa_init_modp1024":  {windowsSAInit(GroupMODP1024), 624},                // 616 before Windows 10 announced fragmentation
		"windows_sa_init_modp2048":  {windowsSAInit(GroupMODP2048), 632},                // docs.strongswan.org, interop/windowsMachineServerStatus
		"strongswan_main_mode_1":    {mainMode1(), 180},                                 // testdata
		"strongswan_main_mode_3":    {mainMode3(GroupCurve25519, 32), 172},
		"windows_main_mode_1":       {windowsMainMode1(), 408},
		"windows_main_mode_3":       {windowsMainMode3(), 228},
	} {
		t.Run(name, func(t *testing.T) {
			b := row.m.Append(nil)
			if len(b) != row.want {
				t.Errorf("got %d octets, want %d", len(b), row.want)
			}
			if m, err := ParseIKE(b); err != nil || !bytes.Equal(m.Append(nil), b) {
				t.Errorf("got %+v, %v", m, err)
			}
		})
	}
}

var strongSwanProposal = IKEv2SA{{Num: 1, ProtocolID: ProtocolIDIKE, Transforms: []IKEv2Transform{
	{TransformEncryption, EncryptionAESCBC, 128}, {TransformEncryption, EncryptionAESCBC, 192}, {TransformEncryption, EncryptionAESCBC, 256},
	{TransformIntegrity, IntegrityHMACSHA256, 0}, {TransformIntegrity, IntegrityHMACSHA384, 0}, {TransformIntegrity, IntegrityHMACSHA512, 0},
	{TransformIntegrity, IntegrityHMACSHA1, 0}, {TransformIntegrity, IntegrityAESXCBC, 0}, {TransformIntegrity, IntegrityAESCMAC, 0},
	{TransformPRF, PRFHMACSHA256, 0}, {TransformPRF, PRFHMACSHA384, 0}, {TransformPRF, PRFHMACSHA512, 0},
	{TransformPRF, PRFAES128XCBC, 0}, {TransformPRF, PRFAES128CMAC, 0}, {TransformPRF, PRFHMACSHA1, 0},
	{TransformGroup, GroupCurve25519, 0}, {TransformGroup, GroupMODP3072, 0}, {TransformGroup, GroupMODP4096, 0},
	{TransformGroup, GroupMODP6144, 0}, {TransformGroup, GroupMODP8192, 0}, {TransformGroup, GroupMODP2048, 0},
}}}

func saInit(sa IKEv2SA, group uint16) IKEMessage {
	return IKEMessage{
		Header: IKEHeader{InitiatorSPI: ikeInitiator, MajorVersion: 2, ExchangeType: IKESAInit, Flags: IKEv2FlagInitiator},
		Payloads: append(ikeOpening(sa, group, 32),
			notifyPayload(NotifyNATDetectionSourceIP, NATDetection(ikeInitiator, 0, ikeLaptop)),
			notifyPayload(NotifyNATDetectionDestinationIP, NATDetection(ikeInitiator, 0, ikeServer)),
			notifyPayload(NotifyFragmentationSupported, nil),
			notifyPayload(NotifySignatureHashAlgorithms, []byte{0, 2, 0, 3, 0, 4, 0, 5}),
			notifyPayload(NotifyRedirectSupported, nil),
		),
	}
}

func ikeOpening(sa IKEv2SA, group uint16, nonce int) []IKEPayload {
	return []IKEPayload{
		{Type: IKEv2SecurityAssociation, Body: sa.Append(nil)},
		{Type: IKEv2KeyExchange, Body: IKEv2KE{Group: group, Data: counting(0x80, IKEGroupLen(group))}.Append(nil)},
		{Type: IKEv2Nonce, Body: counting(1, nonce)},
	}
}

func notifyPayload(typ uint16, data []byte) IKEPayload {
	return IKEPayload{Type: IKEv2NotifyPayload, Body: IKENotify{Type: typ, Data: data}.Append(nil)}
}

// windowsSAInit has three hashes with 3DES and AES-256, or AES-256 alone if the registry enforces group 14.
func windowsSAInit(group uint16) IKEMessage {
	ciphers := []IKEv2Transform{{TransformEncryption, Encryption3DES, 0}, {TransformEncryption, EncryptionAESCBC, 256}}
	if group == GroupMODP2048 {
		ciphers = ciphers[1:]
	}
	var sa IKEv2SA
	for _, cipher := range ciphers {
		for _, hash := range [][2]uint16{
			{IntegrityHMACSHA1, PRFHMACSHA1}, {IntegrityHMACSHA256, PRFHMACSHA256}, {IntegrityHMACSHA384, PRFHMACSHA384},
		} {
			sa = append(sa, IKEv2Proposal{Num: uint8(len(sa) + 1), ProtocolID: ProtocolIDIKE, Transforms: []IKEv2Transform{
				cipher, {TransformIntegrity, hash[0], 0}, {TransformPRF, hash[1], 0}, {TransformGroup, group, 0},
			}})
		}
	}
	payloads := append(ikeOpening(sa, group, 48),
		notifyPayload(NotifyFragmentationSupported, nil),
		notifyPayload(NotifyNATDetectionSourceIP, NATDetection(ikeInitiator, 0, ikeLaptop)),
		notifyPayload(NotifyNATDetectionDestinationIP, NATDetection(ikeInitiator, 0, ikeServer)),
	)
	for _, id := range []string{VendorNT5, VendorNegotiation, VendorInitialContact, VendorWindows} {
		payloads = append(payloads, IKEPayload{Type: IKEv2VendorID, Body: []byte(id)})
	}
	return IKEMessage{
		Header:   IKEHeader{InitiatorSPI: ikeInitiator, MajorVersion: 2, ExchangeType: IKESAInit, Flags: IKEv2FlagInitiator},
		Payloads: payloads,
	}
}

func mainMode(responder uint64, payloads ...IKEPayload) IKEMessage {
	return IKEMessage{
		Header:   IKEHeader{InitiatorSPI: ikeInitiator, ResponderSPI: responder, MajorVersion: 1, ExchangeType: IKEIdentityProtection},
		Payloads: payloads,
	}
}

func vendors(ids ...string) []IKEPayload {
	var payloads []IKEPayload
	for _, id := range ids {
		payloads = append(payloads, IKEPayload{Type: IKEv1VendorID, Body: []byte(id)})
	}
	return payloads
}

var strongSwanV1SA = IKEv1SA{{Num: 1, ProtocolID: ProtocolIDIKE, Transforms: []IKEv1Transform{{Num: 1, ID: IKEv1KeyIKE, Attributes: []IKEv1Attribute{
	{Type: AttributeEncryption, Value: IKEv1EncryptionAESCBC}, {Type: AttributeKeyLength, Value: 128},
	{Type: AttributeHash, Value: IKEv1HashSHA256}, {Type: AttributeGroup, Value: GroupCurve25519},
	{Type: AttributeAuth, Value: IKEv1AuthPSK}, {Type: AttributeLifeType, Value: IKEv1LifeSeconds},
	{Type: AttributeLifeDuration, Value: 15840},
}}}}}

func mainMode1() IKEMessage {
	return mainMode(0, append([]IKEPayload{{Type: IKEv1SecurityAssociation, Body: strongSwanV1SA.Append(nil)}},
		vendors(VendorXAUTH, VendorDPD, VendorFragmentation2, VendorNATT, VendorNATTDraft02)...)...)
}

func mainMode2() IKEMessage {
	return mainMode(ikeResponder, append([]IKEPayload{{Type: IKEv1SecurityAssociation, Body: strongSwanV1SA.Append(nil)}},
		vendors(VendorXAUTH, VendorDPD, VendorFragmentation2, VendorNATT)...)...)
}

func mainMode3(group uint16, nonce int) IKEMessage {
	return mainMode(ikeResponder,
		IKEPayload{Type: IKEv1KeyExchange, Body: counting(0x40, IKEGroupLen(group))},
		IKEPayload{Type: IKEv1Nonce, Body: counting(1, nonce)},
		IKEPayload{Type: IKEv1NATD, Body: NATDetectionV1(sha256.New, ikeInitiator, ikeResponder, ikeServer)},
		IKEPayload{Type: IKEv1NATD, Body: NATDetectionV1(sha256.New, ikeInitiator, ikeResponder, ikeLaptop)},
	)
}

// windowsMainMode1 is the opening of L2TP over IPsec: what a router sees of most of such clients.
func windowsMainMode1() IKEMessage {
	var p IKEv1Proposal
	for _, suite := range []struct{ cipher, bits, group uint16 }{
		{IKEv1EncryptionAESCBC, 256, GroupECP384}, {IKEv1EncryptionAESCBC, 128, GroupECP256},
		{IKEv1EncryptionAESCBC, 256, GroupMODP2048}, {IKEv1Encryption3DES, 0, GroupMODP2048}, {IKEv1Encryption3DES, 0, GroupMODP1024},
	} {
		attributes := []IKEv1Attribute{{Type: AttributeEncryption, Value: suite.cipher}}
		if suite.bits != 0 {
			attributes = append(attributes, IKEv1Attribute{Type: AttributeKeyLength, Value: suite.bits})
		}
		p.Transforms = append(p.Transforms, IKEv1Transform{Num: uint8(len(p.Transforms) + 1), ID: IKEv1KeyIKE, Attributes: append(attributes,
			IKEv1Attribute{Type: AttributeHash, Value: IKEv1HashSHA1}, IKEv1Attribute{Type: AttributeGroup, Value: suite.group},
			IKEv1Attribute{Type: AttributeAuth, Value: IKEv1AuthPSK}, IKEv1Attribute{Type: AttributeLifeType, Value: IKEv1LifeSeconds},
			IKEv1Attribute{Type: AttributeLifeDuration, Long: []byte{0, 0, 0x70, 0x80}}, // 28800
		)})
	}
	p.Num, p.ProtocolID = 1, ProtocolIDIKE
	return mainMode(0, append([]IKEPayload{{Type: IKEv1SecurityAssociation, Body: IKEv1SA{p}.Append(nil)}},
		vendors(VendorWindows, VendorNT5, VendorNATT, VendorNATTDraft02, VendorFragmentation, VendorNegotiation, VendorInitialContact,
			VendorCGA)...)...)
}

func windowsMainMode3() IKEMessage {
	return mainMode(ikeResponder,
		IKEPayload{Type: IKEv1KeyExchange, Body: counting(0x40, IKEGroupLen(GroupECP384))},
		IKEPayload{Type: IKEv1Nonce, Body: counting(1, 48)},
		IKEPayload{Type: IKEv1NATD, Body: NATDetection(ikeInitiator, ikeResponder, ikeServer)}, // its hash is SHA-1
		IKEPayload{Type: IKEv1NATD, Body: NATDetection(ikeInitiator, ikeResponder, ikeLaptop)},
	)
}
