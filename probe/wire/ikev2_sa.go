package wire

import "encoding/binary"

// Transform Types of version 2 (RFC 7296, section 3.3.2).
const (
	TransformEncryption = 1 // ENCR
	TransformPRF        = 2
	TransformIntegrity  = 3 // INTEG
	TransformGroup      = 4 // D-H, the groups above
)

// Transform IDs of version 2 (RFC 7296, section 3.3.2, and the IANA registry).
const (
	Encryption3DES      = 3
	EncryptionAESCBC    = 12 // with a KeyLength
	EncryptionAESGCM16  = 20 // with a KeyLength; needs no integrity
	EncryptionChaCha20  = 28 // ChaCha20-Poly1305
	PRFHMACSHA1         = 2
	PRFAES128XCBC       = 4
	PRFHMACSHA256       = 5
	PRFHMACSHA384       = 6
	PRFHMACSHA512       = 7
	PRFAES128CMAC       = 8
	IntegrityHMACSHA1   = 2 // AUTH_HMAC_SHA1_96
	IntegrityAESXCBC    = 5 // AUTH_AES_XCBC_96
	IntegrityAESCMAC    = 8 // AUTH_AES_CMAC_96
	IntegrityHMACSHA256 = 12
	IntegrityHMACSHA384 = 13
	IntegrityHMACSHA512 = 14
)

// Protocol IDs of a proposal (RFC 7296, section 3.3.1; RFC 2407, section 4.4.1, which says ISAKMP for IKE).
const (
	ProtocolIDIKE = 1
	ProtocolIDAH  = 2
	ProtocolIDESP = 3
)

const (
	ikeLast           = 0 // Last Substruc, Next Payload
	ikeMoreProposals  = 2
	ikeMoreTransforms = 3
	ikeProposalLen    = 8
	ikeTransformLen   = 8
	ikeAttributeLen   = 4
	ikeAttributeTV    = 0x8000 // AF: the value is in the place of its length
	ikeKeyLength      = 14
	maxIKEProposals   = 32
	maxIKETransforms  = 64
	maxIKEProposalSPI = 8 // of an IKE SA; ESP's has 4
)

// IKEv2SA is the Body of a Security Association payload of version 2 (RFC 7296, section 3.3): what the initiator offers, best first,
// or what the responder chose of it. At most 32 proposals: Append leaves out the rest.
type IKEv2SA []IKEv2Proposal

// IKEv2Proposal is one proposal (RFC 7296, section 3.3.1):
//
//	 0                   1                   2                   3
//	 0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1
//	+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
//	| Last Substruc |   RESERVED    |         Proposal Length       |
//	+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
//	| Proposal Num  |  Protocol ID  |    SPI Size   |Num  Transforms|
//	+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
//	~                        SPI (variable)                         ~
//	+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
//	~                        <Transforms>                           ~
//	+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
//
// One transform of every type is chosen.
type IKEv2Proposal struct {
	Num        uint8 // from 1
	ProtocolID uint8
	SPI        []byte           // none in IKE_SA_INIT; at most 8 octets, Append cuts the rest; after parsing, a part of what was parsed
	Transforms []IKEv2Transform // at most 64, Append leaves out the rest
}

// IKEv2Transform is one transform (RFC 7296, section 3.3.2):
//
//	 0                   1                   2                   3
//	 0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1
//	+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
//	| Last Substruc |   RESERVED    |        Transform Length       |
//	+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
//	|Transform Type |   RESERVED    |          Transform ID         |
//	+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
//	~                      Transform Attributes                     ~
//	+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
//
// The only attribute there is, is Key Length (section 3.3.5).
type IKEv2Transform struct {
	Type      uint8
	ID        uint16
	KeyLength uint16 // in bits; 0: no attribute
}

// Append appends the body.
func (s IKEv2SA) Append(b []byte) []byte {
	s = s[:min(len(s), maxIKEProposals)]
	for i, p := range s {
		b = p.append(b, lastOr(i == len(s)-1, ikeMoreProposals))
	}
	return b
}

// lastOr is a Last Substruc of version 2, or a Next Payload of version 1.
func lastOr(last bool, more uint8) uint8 {
	if last {
		return ikeLast
	}
	return more
}

func (p IKEv2Proposal) append(b []byte, substruc uint8) []byte {
	start := len(b)
	spi := cut(p.SPI, maxIKEProposalSPI)
	transforms := p.Transforms[:min(len(p.Transforms), maxIKETransforms)]
	b = append(b, substruc, 0, 0, 0, p.Num, p.ProtocolID, uint8(len(spi)), uint8(len(transforms)))
	b = append(b, spi...)
	for i, t := range transforms {
		b = t.append(b, lastOr(i == len(transforms)-1, ikeMoreTransforms))
	}
	binary.BigEndian.PutUint16(b[start+2:], uint16(len(b)-start))
	return b
}

func (t IKEv2Transform) append(b []byte, substruc uint8) []byte {
	length := uint16(ikeTransformLen)
	if t.KeyLength != 0 {
		length += ikeAttributeLen
	}
	b = append(b, substruc, 0)
	b = binary.BigEndian.AppendUint16(b, length)
	b = append(b, t.Type, 0)
	b = binary.BigEndian.AppendUint16(b, t.ID)
	if t.KeyLength != 0 {
		b = binary.BigEndian.AppendUint16(b, ikeAttributeTV|ikeKeyLength)
		b = binary.BigEndian.AppendUint16(b, t.KeyLength)
	}
	return b
}

// ParseIKEv2SA reads the body, all of b: one proposal or more. RESERVED is ignored.
func ParseIKEv2SA(b []byte) (IKEv2SA, error) {
	var sa IKEv2SA
	for more := true; more; {
		if len(sa) == maxIKEProposals {
			return nil, bad("IKE SA has more than %d proposals", maxIKEProposals)
		}
		proposal, n, err := ikeSubstructure(b, ikeProposalLen, ikeMoreProposals, "IKE proposal")
		if err != nil {
			return nil, err
		}
		p, err := parseIKEv2Proposal(proposal)
		if err != nil {
			return nil, err
		}
		sa = append(sa, p)
		more, b = proposal[0] != ikeLast, b[n:]
	}
	if len(b) > 0 {
		return nil, bad("IKE SA has %d octets behind its last proposal", len(b))
	}
	return sa, nil
}

// ikeSubstructure returns the proposal or transform at the start of b, with its length: both start with whether there is another,
// RESERVED, and their own length.
func ikeSubstructure(b []byte, shortest int, more uint8, what string) ([]byte, int, error) {
	if err := need(b, shortest, what); err != nil {
		return nil, 0, err
	}
	if b[0] != ikeLast && b[0] != more {
		return nil, 0, bad("%s is followed by %d, want %d or %d", what, b[0], ikeLast, more)
	}
	length := int(be16(b[2:]))
	if length < shortest {
		return nil, 0, bad("%s has length %d, want %d or more", what, length, shortest)
	}
	if err := need(b, length, what); err != nil {
		return nil, 0, err
	}
	return b[:length], length, nil
}

// parseIKEv2Proposal reads a proposal, all of b.
func parseIKEv2Proposal(b []byte) (IKEv2Proposal, error) {
	spi, count := int(b[6]), int(b[7])
	if spi > maxIKEProposalSPI || count == 0 || count > maxIKETransforms {
		return IKEv2Proposal{}, bad("IKE proposal has an SPI of %d octets and %d transforms", spi, count)
	}
	if err := need(b, ikeProposalLen+spi, "IKE proposal with its SPI"); err != nil {
		return IKEv2Proposal{}, err
	}
	p := IKEv2Proposal{Num: b[4], ProtocolID: b[5], SPI: some(b[ikeProposalLen : ikeProposalLen+spi])}
	b = b[ikeProposalLen+spi:]
	for i := range count {
		transform, n, err := ikeSubstructure(b, ikeTransformLen, ikeMoreTransforms, "IKE transform")
		if err != nil {
			return IKEv2Proposal{}, err
		}
		if (transform[0] == ikeLast) != (i == count-1) {
			return IKEv2Proposal{}, bad("IKE transform %d of %d is followed by %d", i+1, count, transform[0])
		}
		t, err := parseIKEv2Transform(transform)
		if err != nil {
			return IKEv2Proposal{}, err
		}
		p.Transforms = append(p.Transforms, t)
		b = b[n:]
	}
	if len(b) > 0 {
		return IKEv2Proposal{}, bad("IKE proposal has %d octets behind its last transform", len(b))
	}
	return p, nil
}

// parseIKEv2Transform reads a transform, all of b.
func parseIKEv2Transform(b []byte) (IKEv2Transform, error) {
	t := IKEv2Transform{Type: b[4], ID: be16(b[6:])}
	attributes := b[ikeTransformLen:]
	if len(attributes) == 0 {
		return t, nil
	}
	if err := exactly(attributes, ikeAttributeLen, "IKE transform attribute"); err != nil {
		return IKEv2Transform{}, err
	}
	t.KeyLength = be16(attributes[2:])
	if be16(attributes) != ikeAttributeTV|ikeKeyLength || t.KeyLength == 0 {
		return IKEv2Transform{}, bad("IKE transform attribute is %#08x, want a Key Length", be32(attributes))
	}
	return t, nil
}
