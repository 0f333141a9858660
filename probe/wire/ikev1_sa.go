package wire

import "encoding/binary"

// Attributes of a transform of phase 1 (RFC 2409, appendix A).
const (
	AttributeEncryption   = 1 // Encryption Algorithm
	AttributeHash         = 2 // Hash Algorithm
	AttributeAuth         = 3 // Authentication Method
	AttributeGroup        = 4 // Group Description, the groups of version 2
	AttributeLifeType     = 11
	AttributeLifeDuration = 12
	AttributeKeyLength    = 14
)

// Values of these attributes (RFC 2409, appendix A, and the IANA registry).
const (
	IKEv1Encryption3DES   = 5
	IKEv1EncryptionAESCBC = 7 // with a Key Length
	IKEv1HashMD5          = 1
	IKEv1HashSHA1         = 2
	IKEv1HashSHA256       = 4
	IKEv1HashSHA384       = 5
	IKEv1AuthPSK          = 1 // pre-shared key
	IKEv1AuthRSA          = 3 // RSA signatures
	IKEv1LifeSeconds      = 1
)

// IKEv1KeyIKE is the Transform ID of phase 1 (RFC 2407, section 4.4.2).
const IKEv1KeyIKE = 1

const (
	ikeDOI              = 1 // IPsec (RFC 2407, section 4.2)
	ikeSituation        = 1 // SIT_IDENTITY_ONLY (RFC 2407, section 4.2.1)
	ikeSituationLen     = 8 // DOI and Situation
	maxIKEv1Transforms  = 64
	maxIKEv1SPI         = 16
	maxIKEv1Attributes  = 16
	maxIKEv1Attribute   = 64
	maxIKEAttributeType = 0x7FFF
)

// IKEv1SA is the Body of a Security Association payload of version 1 (RFC 2408, section 3.4; RFC 2407, section 4.6.1), with the DOI of
// IPsec and the situation "identity only". At most 32 proposals, Append leaves out the rest; phase 1 has one (RFC 2409, section 5).
type IKEv1SA []IKEv1Proposal

// IKEv1Proposal is one Proposal payload (RFC 2408, section 3.5). It is laid out like an IKEv2Proposal; of its transforms one is chosen,
// whole.
type IKEv1Proposal struct {
	Num        uint8 // strongSwan counts from 1, others from 0
	ProtocolID uint8
	SPI        []byte           // none in phase 1; at most 16 octets, Append cuts the rest; after parsing, a part of what was parsed
	Transforms []IKEv1Transform // at most 64, Append leaves out the rest
}

// IKEv1Transform is one Transform payload (RFC 2408, section 3.6):
//
//	 0                   1                   2                   3
//	 0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1
//	+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
//	! Next Payload  !   RESERVED    !         Payload Length        !
//	+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
//	!  Transform #  !  Transform-Id !           RESERVED2           !
//	+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
//	~                        SA Attributes                          ~
//	+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
type IKEv1Transform struct {
	Num        uint8
	ID         uint8
	Attributes []IKEv1Attribute // at most 16, Append leaves out the rest
}

// IKEv1Attribute is one attribute (RFC 2408, section 3.3): two octets of value in the place of its length, or a length and a value.
type IKEv1Attribute struct {
	Type  uint16 // 15 bits
	Value uint16 // of the short form, 0 in the long one
	Long  []byte // of the long form, at most 64 octets, Append cuts the rest; after parsing, a part of what was parsed
}

// Append appends the body.
func (s IKEv1SA) Append(b []byte) []byte {
	b = binary.BigEndian.AppendUint32(b, ikeDOI)
	b = binary.BigEndian.AppendUint32(b, ikeSituation)
	s = s[:min(len(s), maxIKEProposals)]
	for i, p := range s {
		b = p.append(b, lastOr(i == len(s)-1, ikeMoreProposals))
	}
	return b
}

func (p IKEv1Proposal) append(b []byte, next uint8) []byte {
	start := len(b)
	spi := cut(p.SPI, maxIKEv1SPI)
	transforms := p.Transforms[:min(len(p.Transforms), maxIKEv1Transforms)]
	b = append(b, next, 0, 0, 0, p.Num, p.ProtocolID, uint8(len(spi)), uint8(len(transforms)))
	b = append(b, spi...)
	for i, t := range transforms {
		b = t.append(b, lastOr(i == len(transforms)-1, ikeMoreTransforms))
	}
	binary.BigEndian.PutUint16(b[start+2:], uint16(len(b)-start))
	return b
}

func (t IKEv1Transform) append(b []byte, next uint8) []byte {
	start := len(b)
	b = append(b, next, 0, 0, 0, t.Num, t.ID, 0, 0)
	for _, a := range t.Attributes[:min(len(t.Attributes), maxIKEv1Attributes)] {
		if len(a.Long) == 0 {
			b = binary.BigEndian.AppendUint16(b, ikeAttributeTV|a.Type)
			b = binary.BigEndian.AppendUint16(b, a.Value)
			continue
		}
		long := cut(a.Long, maxIKEv1Attribute)
		b = binary.BigEndian.AppendUint16(b, a.Type&maxIKEAttributeType)
		b = binary.BigEndian.AppendUint16(b, uint16(len(long)))
		b = append(b, long...)
	}
	binary.BigEndian.PutUint16(b[start+2:], uint16(len(b)-start))
	return b
}

// ParseIKEv1SA reads the body, all of b: one proposal or more. Another DOI or situation is refused, and so is RESERVED that is not zero
// (RFC 2408, section 5.3).
func ParseIKEv1SA(b []byte) (IKEv1SA, error) {
	if err := need(b, ikeSituationLen, "IKE SA"); err != nil {
		return nil, err
	}
	if be32(b) != ikeDOI || be32(b[4:]) != ikeSituation {
		return nil, bad("IKE SA has DOI %d and situation %d, want %d and %d", be32(b), be32(b[4:]), ikeDOI, ikeSituation)
	}
	var sa IKEv1SA
	for more, rest := true, b[ikeSituationLen:]; more || len(rest) > 0; {
		if !more || len(sa) == maxIKEProposals {
			return nil, bad("IKE SA has %d octets behind proposal %d", len(rest), len(sa))
		}
		proposal, n, err := ikev1Substructure(rest, ikeProposalLen, ikeMoreProposals, "IKE proposal")
		if err != nil {
			return nil, err
		}
		p, err := parseIKEv1Proposal(proposal)
		if err != nil {
			return nil, err
		}
		sa = append(sa, p)
		more, rest = proposal[0] != ikeLast, rest[n:]
	}
	return sa, nil
}

// ikev1Substructure is ikeSubstructure where RESERVED is zero.
func ikev1Substructure(b []byte, shortest int, more uint8, what string) ([]byte, int, error) {
	s, n, err := ikeSubstructure(b, shortest, more, what)
	if err == nil && s[1] != 0 {
		err = bad("%s has RESERVED %#02x", what, s[1])
	}
	return s, n, err
}

// parseIKEv1Proposal reads a proposal, all of b.
func parseIKEv1Proposal(b []byte) (IKEv1Proposal, error) {
	spi, count := int(b[6]), int(b[7])
	if spi > maxIKEv1SPI || count == 0 || count > maxIKEv1Transforms {
		return IKEv1Proposal{}, bad("IKE proposal has an SPI of %d octets and %d transforms", spi, count)
	}
	if err := need(b, ikeProposalLen+spi, "IKE proposal with its SPI"); err != nil {
		return IKEv1Proposal{}, err
	}
	p := IKEv1Proposal{Num: b[4], ProtocolID: b[5], SPI: some(b[ikeProposalLen : ikeProposalLen+spi])}
	b = b[ikeProposalLen+spi:]
	for i := range count {
		transform, n, err := ikev1Substructure(b, ikeTransformLen, ikeMoreTransforms, "IKE transform")
		if err != nil {
			return IKEv1Proposal{}, err
		}
		if (transform[0] == ikeLast) != (i == count-1) || be16(transform[6:]) != 0 {
			return IKEv1Proposal{}, bad("IKE transform %d of %d is followed by %d, RESERVED2 is %#04x", i+1, count, transform[0], be16(transform[6:]))
		}
		attributes, err := parseIKEv1Attributes(transform[ikeTransformLen:])
		if err != nil {
			return IKEv1Proposal{}, err
		}
		p.Transforms = append(p.Transforms, IKEv1Transform{Num: transform[4], ID: transform[5], Attributes: attributes})
		b = b[n:]
	}
	if len(b) > 0 {
		return IKEv1Proposal{}, bad("IKE proposal has %d octets behind its last transform", len(b))
	}
	return p, nil
}

// parseIKEv1Attributes reads the attributes of a transform, all of b.
func parseIKEv1Attributes(b []byte) ([]IKEv1Attribute, error) {
	var attributes []IKEv1Attribute
	for len(b) > 0 {
		if len(attributes) == maxIKEv1Attributes {
			return nil, bad("IKE transform has more than %d attributes", maxIKEv1Attributes)
		}
		if err := need(b, ikeAttributeLen, "IKE attribute"); err != nil {
			return nil, err
		}
		a, n := IKEv1Attribute{Type: be16(b) & maxIKEAttributeType}, ikeAttributeLen
		if be16(b)&ikeAttributeTV != 0 {
			a.Value = be16(b[2:])
		} else {
			length := int(be16(b[2:]))
			if length == 0 || length > maxIKEv1Attribute {
				return nil, bad("IKE attribute %d has length %d, want 1 to %d", a.Type, length, maxIKEv1Attribute)
			}
			n += length
			if err := need(b, n, "IKE attribute"); err != nil {
				return nil, err
			}
			a.Long = b[ikeAttributeLen:n]
		}
		attributes = append(attributes, a)
		b = b[n:]
	}
	return attributes, nil
}

// Find returns the first attribute of a type.
func (t IKEv1Transform) Find(typ uint16) (IKEv1Attribute, bool) {
	for _, a := range t.Attributes {
		if a.Type == typ {
			return a, true
		}
	}
	return IKEv1Attribute{}, false
}
