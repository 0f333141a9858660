package wire

import "slices"

// Payload types of version 1 (RFC 2408, section 3.1; RFC 3947, section 3.2). A Key Exchange, a Nonce, a Vendor ID and a NAT-D have
// nothing but their data for a Body.
const (
	IKEv1SecurityAssociation = 1  // IKEv1SA
	IKEv1KeyExchange         = 4  // ParseIKEv1KE
	IKEv1Identification      = 5  // the first inside Main Mode's encrypted messages
	IKEv1Hash                = 8  // the first inside Quick Mode's and later messages
	IKEv1Nonce               = 10 // ParseIKENonce
	IKEv1Notification        = 11
	IKEv1VendorID            = 13
	IKEv1NATD                = 20 // ParseIKEv1NATD
)

// Vendor IDs, the Body of a Vendor ID payload of either version (RFC 2408, section 3.16; RFC 7296, section 3.12).
const (
	VendorNATT           = "\x4a\x13\x1c\x81\x07\x03\x58\x45\x5c\x57\x28\xf2\x0e\x95\x45\x2f" // RFC 3947, section 3.1
	VendorNATTDraft02    = "\x90\xcb\x80\x91\x3e\xbb\x69\x6e\x08\x63\x81\xb5\xec\x42\x7b\x1f" // draft-ietf-ipsec-nat-t-ike-02\n
	VendorXAUTH          = "\x09\x00\x26\x89\xdf\xd6\xb7\x12"                                 // draft-beaulieu-ike-xauth
	VendorDPD            = "\xaf\xca\xd7\x13\x68\xa1\xf1\xc9\x6b\x86\x96\xfc\x77\x57\x01\x00" // RFC 3706, section 5.1
	VendorFragmentation  = "\x40\x48\xb7\xd5\x6e\xbc\xe8\x85\x25\xe7\xde\x7f\x00\xd6\xc2\xd3" // as Windows sends it
	VendorFragmentation2 = VendorFragmentation + "\x80\x00\x00\x00"                           // as strongSwan and Cisco send it
)

// Vendor IDs of Windows: the first four in both versions, the last in version 1.
const (
	VendorWindows        = "\x01\x52\x8b\xbb\xc0\x06\x96\x12\x18\x49\xab\x9a\x1c\x5b\x2a\x51\x00\x00\x00\x01" // has no published name; newer ones end in 2
	VendorNT5            = "\x1e\x2b\x51\x69\x05\x99\x1c\x7d\x7c\x96\xfc\xbf\xb5\x87\xe4\x61\x00\x00\x00\x09" // MS NT5 ISAKMPOAKLEY
	VendorNegotiation    = "\xfb\x1d\xe3\xcd\xf3\x41\xb7\xea\x16\xb7\xe5\xbe\x08\x55\xf1\x20"                 // MS-Negotiation Discovery Capable
	VendorInitialContact = "\x26\x24\x4d\x38\xed\xdb\x61\xb3\x17\x2a\x36\xe3\xd0\xcf\xb8\x19"                 // Vid-Initial-Contact
	VendorCGA            = "\xe3\xa5\x96\x6a\x76\x37\x9f\xe7\x07\x22\x82\x31\xe5\xce\x86\x52"                 // IKE CGA version 1
)

// HasVendor says whether a message of either version has a Vendor ID.
func (m IKEMessage) HasVendor(id string) bool {
	typ := uint8(IKEv1VendorID)
	if m.Header.MajorVersion == 2 {
		typ = IKEv2VendorID
	}
	return !m.Header.encrypted() && slices.ContainsFunc(m.Payloads, func(p IKEPayload) bool {
		return p.Type == typ && string(p.Body) == id
	})
}

// ParseIKEv1KE checks the Body of a Key Exchange payload of version 1, all of b, whose group the SA has said (RFC 2408, section 3.7;
// RFC 2409, section 5).
func ParseIKEv1KE(b []byte, group uint16) ([]byte, error) {
	want := IKEGroupLen(group)
	if want == 0 {
		return nil, bad("IKE group %d is not known", group)
	}
	if err := exactly(b, want, "IKE Key Exchange"); err != nil {
		return nil, err
	}
	return b, nil
}

// ParseIKEv1NATD checks the Body of a NAT-D payload, all of b: as long as the negotiated hash (RFC 3947, section 3.2).
func ParseIKEv1NATD(b []byte, hashLen int) ([]byte, error) {
	if err := exactly(b, hashLen, "IKE NAT-D"); err != nil {
		return nil, err
	}
	return b, nil
}
