package wire

import (
	"crypto/md5"
	"crypto/sha1"
	"crypto/sha256"
	"crypto/sha512"
	"fmt"
	"hash"
	"strings"
)

// NotifyStatus is the first Notify Message Type of version 2 that is no error (RFC 7296, section 3.10.1).
const NotifyStatus = 16384

// ikeErrorNames are the errors that a server may answer an opening with.
var ikeErrorNames = map[uint16]string{
	1:  "UNSUPPORTED_CRITICAL_PAYLOAD",
	4:  "INVALID_IKE_SPI",
	5:  "INVALID_MAJOR_VERSION",
	7:  "INVALID_SYNTAX",
	9:  "INVALID_MESSAGE_ID",
	24: "AUTHENTICATION_FAILED",
	43: "TEMPORARY_FAILURE",
}

// IKENotifyName is the name of a Notify Message Type of version 2, or its number.
func IKENotifyName(typ uint16) string {
	if name, ok := ikeNotifyNames[typ]; ok {
		return name
	}
	if name, ok := ikeErrorNames[typ]; ok {
		return name
	}
	return fmt.Sprintf("notification %d", typ)
}

// ikev1NotifyNames are the errors of version 1 (RFC 2408, section 3.14.1).
var ikev1NotifyNames = map[uint16]string{
	1: "INVALID-PAYLOAD-TYPE", 2: "DOI-NOT-SUPPORTED", 3: "SITUATION-NOT-SUPPORTED", 4: "INVALID-COOKIE", 5: "INVALID-MAJOR-VERSION",
	6: "INVALID-MINOR-VERSION", 7: "INVALID-EXCHANGE-TYPE", 8: "INVALID-FLAGS", 9: "INVALID-MESSAGE-ID", 10: "INVALID-PROTOCOL-ID",
	11: "INVALID-SPI", 12: "INVALID-TRANSFORM-ID", 13: "ATTRIBUTES-NOT-SUPPORTED", 14: "NO-PROPOSAL-CHOSEN", 15: "BAD-PROPOSAL-SYNTAX",
	16: "PAYLOAD-MALFORMED", 17: "INVALID-KEY-INFORMATION", 18: "INVALID-ID-INFORMATION", 19: "INVALID-CERT-ENCODING",
	20: "INVALID-CERTIFICATE", 24: "AUTHENTICATION-FAILED", 29: "UNSUPPORTED-EXCHANGE-TYPE", 30: "UNEQUAL-PAYLOAD-LENGTHS",
}

// IKEv1NotifyName is the name of a Notify Message Type of version 1, or its number.
func IKEv1NotifyName(typ uint16) string {
	if name, ok := ikev1NotifyNames[typ]; ok {
		return name
	}
	return fmt.Sprintf("notification %d", typ)
}

const ikev1NotifyLen = 8

// IKEv1Notify is the Body of a Notification payload of version 1 (RFC 2408, section 3.14):
//
//	 0                   1                   2                   3
//	 0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1
//	+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
//	!              Domain of Interpretation  (DOI)                  !
//	+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
//	!  Protocol-ID  !   SPI Size    !      Notify Message Type      !
//	+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
//	!                Security Parameter Index (SPI)                 !
//	+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
//	!                       Notification Data                       !
//	+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
type IKEv1Notify struct {
	DOI        uint32
	ProtocolID uint8
	Type       uint16
	SPI        []byte // after parsing, a part of what was parsed
	Data       []byte // the same
}

// Append appends the body.
func (n IKEv1Notify) Append(b []byte) []byte {
	spi := cut(n.SPI, maxIKENotifySPI)
	b = append(b, byte(n.DOI>>24), byte(n.DOI>>16), byte(n.DOI>>8), byte(n.DOI))
	b = append(b, n.ProtocolID, uint8(len(spi)), byte(n.Type>>8), byte(n.Type))
	return append(append(b, spi...), n.Data...)
}

// ParseIKEv1Notify reads the body, all of b.
func ParseIKEv1Notify(b []byte) (IKEv1Notify, error) {
	if err := need(b, ikev1NotifyLen, "IKE Notification"); err != nil {
		return IKEv1Notify{}, err
	}
	size := int(b[5])
	if err := need(b, ikev1NotifyLen+size, "IKE Notification with its SPI"); err != nil {
		return IKEv1Notify{}, err
	}
	rest := b[ikev1NotifyLen:]
	return IKEv1Notify{DOI: be32(b), ProtocolID: b[4], Type: be16(b[6:]), SPI: some(rest[:size]), Data: some(rest[size:])}, nil
}

// IKEv1HashFunc is the Hash Algorithm of a transform of phase 1 (RFC 2409, appendix A, and the IANA registry), nil for one that we do not know.
func IKEv1HashFunc(id uint16) func() hash.Hash {
	switch id {
	case IKEv1HashMD5:
		return md5.New
	case IKEv1HashSHA1:
		return sha1.New
	case IKEv1HashSHA256:
		return sha256.New
	case IKEv1HashSHA384:
		return sha512.New384
	}
	return nil
}

var ikeGroupNames = map[uint16]string{
	1: "MODP-768", GroupMODP1024: "MODP-1024", 5: "MODP-1536", GroupMODP2048: "MODP-2048", GroupMODP3072: "MODP-3072", GroupMODP4096: "MODP-4096",
	GroupMODP6144: "MODP-6144", GroupMODP8192: "MODP-8192", GroupECP256: "ECP-256", GroupECP384: "ECP-384", 21: "ECP-521", GroupCurve25519: "Curve25519",
}

// ikeTransformNames are transforms of version 2 by Transform Type.
var ikeTransformNames = map[uint8]map[uint16]string{
	TransformEncryption: {Encryption3DES: "3DES", EncryptionAESCBC: "AES-CBC", EncryptionAESGCM16: "AES-GCM", EncryptionChaCha20: "ChaCha20-Poly1305"},
	TransformPRF: {PRFHMACSHA1: "PRF-HMAC-SHA1", PRFHMACSHA256: "PRF-HMAC-SHA2-256", PRFHMACSHA384: "PRF-HMAC-SHA2-384",
		PRFHMACSHA512: "PRF-HMAC-SHA2-512"},
	TransformIntegrity: {IntegrityHMACSHA1: "HMAC-SHA1-96", IntegrityHMACSHA256: "HMAC-SHA2-256", IntegrityHMACSHA384: "HMAC-SHA2-384",
		IntegrityHMACSHA512: "HMAC-SHA2-512"},
	TransformGroup: ikeGroupNames,
}

// IKEv2ProposalName says in words what a proposal holds: "AES-CBC-256, HMAC-SHA2-256, PRF-HMAC-SHA2-256, MODP-2048".
func IKEv2ProposalName(p IKEv2Proposal) string {
	var names []string
	for _, t := range p.Transforms {
		name, ok := ikeTransformNames[t.Type][t.ID]
		if !ok {
			name = fmt.Sprintf("transform %d of type %d", t.ID, t.Type)
		}
		if t.KeyLength != 0 {
			name = fmt.Sprintf("%s-%d", name, t.KeyLength)
		}
		names = append(names, name)
	}
	return strings.Join(names, ", ")
}

// IKEv1TransformName says in words what a transform of phase 1 is: "AES-CBC-256, SHA1, MODP-2048, pre-shared key".
func IKEv1TransformName(t IKEv1Transform) string {
	tables := []struct {
		typ   uint16
		names map[uint16]string
	}{
		{AttributeEncryption, map[uint16]string{1: "DES", IKEv1Encryption3DES: "3DES", IKEv1EncryptionAESCBC: "AES-CBC"}},
		{AttributeHash, map[uint16]string{IKEv1HashMD5: "MD5", IKEv1HashSHA1: "SHA1", IKEv1HashSHA256: "SHA2-256", IKEv1HashSHA384: "SHA2-384", 6: "SHA2-512"}},
		{AttributeGroup, ikeGroupNames},
		{AttributeAuth, map[uint16]string{IKEv1AuthPSK: "pre-shared key", IKEv1AuthRSA: "certificate", 65001: "XAUTH with pre-shared key"}},
	}
	var names []string
	for _, table := range tables {
		a, ok := t.Find(table.typ)
		if !ok {
			continue
		}
		name, ok := table.names[a.Value]
		if !ok {
			name = fmt.Sprintf("attribute %d = %d", table.typ, a.Value)
		}
		if bits, ok := t.Find(AttributeKeyLength); ok && table.typ == AttributeEncryption {
			name = fmt.Sprintf("%s-%d", name, bits.Value)
		}
		names = append(names, name)
	}
	return strings.Join(names, ", ")
}

// vendorNames are Vendor IDs by what they say; one that ends in a version is known by its beginning.
var vendorNames = []struct{ id, name string }{
	{VendorNATT, "NAT-T (RFC 3947)"},
	{VendorNATTDraft02, "NAT-T (draft 02)"},
	{"\xcd\x60\x46\x43\x35\xdf\x21\xf8\x7c\xfd\xb2\xfc\x68\xb6\xa4\x48", "NAT-T (draft 02)"},
	{"\x7d\x94\x19\xa6\x53\x10\xca\x6f\x2c\x17\x9d\x92\x15\x52\x9d\x56", "NAT-T (draft 03)"},
	{VendorXAUTH, "XAUTH"},
	{VendorDPD, "DPD (RFC 3706)"},
	{VendorFragmentation, "fragmentation"},
	{VendorNT5[:16], "Windows (MS NT5 ISAKMPOAKLEY)"},
	{VendorWindows[:16], "Windows"},
	{VendorNegotiation, "Windows (MS-Negotiation Discovery Capable)"},
	{VendorInitialContact, "Windows (Vid-Initial-Contact)"},
	{VendorCGA, "Windows (IKE CGA version 1)"},
	{"\x88\x2f\xe5\x6d\x6f\xd2\x0d\xbc\x22\x51\x61\x3b\x2e\xbe\x5b\xeb", "strongSwan"},
	{"\x12\xf5\xf2\x8c\x45\x71\x68\xa9\x70\x2d\x9f\xe2\x74\xcc", "Cisco Unity"},
	{"\x40\x4b\xf4\x39\x52\x2c\xa3\xf6", "SonicWall"},
	{"\xf4\xed\x19\xe0\xc1\x14\xeb\x51\x6f\xaa\xac\x0e\xe3\x7d\xaf\x28\x07\xb4\x38\x1f", "Check Point"},
}

// VendorName is what a Vendor ID of either version is known to say, "" for one that is not known.
func VendorName(id []byte) string {
	for _, v := range vendorNames {
		if strings.HasPrefix(string(id), v.id) {
			return v.name
		}
	}
	return ""
}
