package wire

import (
	"crypto/md5"
	"testing"
)

func TestIKENames(t *testing.T) {
	aes := IKEv2Transform{Type: TransformEncryption, ID: EncryptionAESCBC, KeyLength: 256}
	strongSwan := md5.Sum([]byte("strongSwan"))
	for name, row := range map[string]struct{ got, want string }{
		"proposal": {
			IKEv2ProposalName(IKEv2Proposal{Transforms: []IKEv2Transform{aes, {Type: TransformIntegrity, ID: 2}, {Type: TransformPRF, ID: 5}, {Type: 4, ID: 14}}}),
			"AES-CBC-256, HMAC-SHA1-96, PRF-HMAC-SHA2-256, MODP-2048",
		},
		"unknown_transform": {IKEv2ProposalName(IKEv2Proposal{Transforms: []IKEv2Transform{{Type: 9, ID: 77}}}), "transform 77 of type 9"},
		"transform": {IKEv1TransformName(ikev1Row(IKEv1EncryptionAESCBC, 128, IKEv1HashSHA1, GroupECP256, IKEv1AuthPSK)),
			"AES-CBC-128, SHA1, ECP-256, pre-shared key"},
		"3des":              {IKEv1TransformName(ikev1Row(IKEv1Encryption3DES, 0, IKEv1HashMD5, GroupMODP1024, IKEv1AuthRSA)), "3DES, MD5, MODP-1024, certificate"},
		"unknown_attribute": {IKEv1TransformName(IKEv1Transform{Attributes: []IKEv1Attribute{{Type: AttributeAuth, Value: 9}}}), "attribute 3 = 9"},
		"nothing":           {IKEv1TransformName(IKEv1Transform{}), ""},
		"notify":            {IKENotifyName(NotifyNoProposalChosen), "NO_PROPOSAL_CHOSEN"},
		"notify_error":      {IKENotifyName(24), "AUTHENTICATION_FAILED"},
		"notify_unknown":    {IKENotifyName(9999), "notification 9999"},
		"v1_notify":         {IKEv1NotifyName(14), "NO-PROPOSAL-CHOSEN"},
		"v1_notify_unknown": {IKEv1NotifyName(9999), "notification 9999"},
		"vendor":            {VendorName([]byte(VendorNATT)), "NAT-T (RFC 3947)"},
		"vendor_version":    {VendorName([]byte(VendorFragmentation2)), "fragmentation"},
		"vendor_strongswan": {VendorName(strongSwan[:]), "strongSwan"},
		"vendor_windows":    {VendorName([]byte(VendorNT5)), "Windows (MS NT5 ISAKMPOAKLEY)"},
		"vendor_short":      {VendorName([]byte(VendorNATT)[:15]), ""},
		"vendor_empty":      {VendorName(nil), ""},
	} {
		if row.got != row.want {
			t.Errorf("%s: got %q, want %q", name, row.got, row.want)
		}
	}
}

func ikev1Row(cipher, bits, hash, group, auth uint16) IKEv1Transform {
	t := IKEv1Transform{Attributes: []IKEv1Attribute{{Type: AttributeEncryption, Value: cipher}, {Type: AttributeHash, Value: hash},
		{Type: AttributeGroup, Value: group}, {Type: AttributeAuth, Value: auth}}}
	if bits != 0 {
		t.Attributes = append(t.Attributes, IKEv1Attribute{Type: AttributeKeyLength, Value: bits})
	}
	return t
}

func TestIKEv1HashFunc(t *testing.T) {
	for id, size := range map[uint16]int{IKEv1HashMD5: 16, IKEv1HashSHA1: 20, IKEv1HashSHA256: 32, IKEv1HashSHA384: 48} {
		if got := IKEv1HashFunc(id)().Size(); got != size {
			t.Errorf("hash %d: got %d octets, want %d", id, got, size)
		}
	}
	if IKEv1HashFunc(0) != nil || IKEv1HashFunc(99) != nil {
		t.Error("of an unknown hash: want none")
	}
}
