package wire

import "encoding/binary"

// Payload types of version 2 (RFC 7296, section 3.2). The Body of an Encrypted payload and of a fragment of one is what a cipher
// made; that of a Vendor ID (section 3.12) is any octets.
const (
	IKEv2SecurityAssociation = 33 // IKEv2SA
	IKEv2KeyExchange         = 34 // IKEv2KE
	IKEv2CertificateRequest  = 38 // a responder with certificates sends it in IKE_SA_INIT
	IKEv2Nonce               = 40 // ParseIKENonce
	IKEv2NotifyPayload       = 41 // IKENotify
	IKEv2VendorID            = 43
	IKEv2Encrypted           = 46 // SK
	IKEv2EncryptedFragment   = 53 // SKF (RFC 7383, section 2.5)
)

// Types of the first payload inside an Encrypted payload: what Inner says of IKE_AUTH, request and response, and of a deletion.
const (
	IKEv2IDInitiator = 35
	IKEv2IDResponder = 36
	IKEv2Delete      = 42
)

// Notify Message Types (RFC 7296, section 3.10.1; the later ones have their RFC behind them). Those below 16384 are errors.
const (
	NotifyNoProposalChosen          = 14
	NotifyInvalidKEPayload          = 17    // Data is the wanted group
	NotifyNATDetectionSourceIP      = 16388 // Data is NATDetection
	NotifyNATDetectionDestinationIP = 16389
	NotifyCookie                    = 16390 // Data is 1 to 64 octets
	NotifyMultipleAuthSupported     = 16404 // RFC 4739
	NotifyRedirectSupported         = 16406 // RFC 5685
	NotifyChildlessIKEv2Supported   = 16418 // RFC 6023
	NotifyFragmentationSupported    = 16430 // RFC 7383
	NotifySignatureHashAlgorithms   = 16431 // RFC 7427: a list of 16-bit numbers
)

const (
	ikeKELen          = 4
	ikeNotifyLen      = 4
	minIKEv1Nonce     = 8
	minIKEv2Nonce     = 16
	maxIKENonce       = 256
	maxIKENotifySPI   = 255
	maxIKEKeyExchange = maxIKEPayloadBody - ikeKELen
)

// IKEv2KE is the Body of a Key Exchange payload of version 2 (RFC 7296, section 3.4). That of version 1 has no group: ParseIKEv1KE.
//
//	 0                   1                   2                   3
//	 0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1
//	+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
//	|   Diffie-Hellman Group Num    |           RESERVED            |
//	+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
//	|                       Key Exchange Data                       ~
//	+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
type IKEv2KE struct {
	Group uint16
	Data  []byte // after parsing, a part of what was parsed
}

// Append appends the body.
func (k IKEv2KE) Append(b []byte) []byte {
	b = binary.BigEndian.AppendUint16(b, k.Group)
	b = append(b, 0, 0)
	return append(b, cut(k.Data, maxIKEKeyExchange)...)
}

// ParseIKEv2KE reads the body, all of b. The data of a group that IKEGroupLen knows has that length. RESERVED is ignored.
func ParseIKEv2KE(b []byte) (IKEv2KE, error) {
	if err := need(b, ikeKELen+1, "IKE Key Exchange"); err != nil {
		return IKEv2KE{}, err
	}
	k := IKEv2KE{Group: be16(b), Data: b[ikeKELen:]}
	if want := IKEGroupLen(k.Group); want != 0 {
		if err := exactly(k.Data, want, "IKE Key Exchange Data"); err != nil {
			return IKEv2KE{}, err
		}
	}
	return k, nil
}

// ParseIKENonce checks the Body of a Nonce payload, all of b: 16 to 256 octets in version 2 (RFC 7296, section 3.9), 8 to 256 in
// version 1 (RFC 2409, section 5).
func ParseIKENonce(b []byte, majorVersion uint8) ([]byte, error) {
	shortest := minIKEv2Nonce
	if majorVersion == 1 {
		shortest = minIKEv1Nonce
	}
	if err := need(b, shortest, "IKE nonce"); err != nil {
		return nil, err
	}
	if len(b) > maxIKENonce {
		return nil, bad("IKE nonce has %d octets, want %d or fewer", len(b), maxIKENonce)
	}
	return b, nil
}

// exactly returns nil if b has n octets: ErrShort if it has fewer, ErrFormat if it has more.
func exactly(b []byte, n int, what string) error {
	if len(b) > n {
		return bad("%s has %d octets, want %d", what, len(b), n)
	}
	return need(b, n, what)
}

// IKENotify is the Body of a Notify payload of version 2 (RFC 7296, section 3.10):
//
//	 0                   1                   2                   3
//	 0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1
//	+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
//	|  Protocol ID  |   SPI Size    |      Notify Message Type      |
//	+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
//	~                Security Parameter Index (SPI)                 ~
//	+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
//	~                       Notification Data                       ~
//	+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
type IKENotify struct {
	ProtocolID uint8 // 0 unless there is an SPI
	Type       uint16
	SPI        []byte // at most 255 octets, Append cuts the rest; after parsing, a part of what was parsed
	Data       []byte // the same
}

// Append appends the body.
func (n IKENotify) Append(b []byte) []byte {
	spi := cut(n.SPI, maxIKENotifySPI)
	b = append(b, n.ProtocolID, uint8(len(spi)))
	b = binary.BigEndian.AppendUint16(b, n.Type)
	b = append(b, spi...)
	return append(b, n.Data...)
}

// ParseIKENotify reads the body, all of b.
func ParseIKENotify(b []byte) (IKENotify, error) {
	if err := need(b, ikeNotifyLen, "IKE Notify"); err != nil {
		return IKENotify{}, err
	}
	size := int(b[1])
	if err := need(b, ikeNotifyLen+size, "IKE Notify with its SPI"); err != nil {
		return IKENotify{}, err
	}
	spi, data := b[ikeNotifyLen:ikeNotifyLen+size], b[ikeNotifyLen+size:]
	return IKENotify{ProtocolID: b[0], Type: be16(b[2:]), SPI: some(spi), Data: some(data)}, nil
}

// Notify returns the first notification of a type in a message of version 2.
func (m IKEMessage) Notify(typ uint16) (IKENotify, bool) {
	for _, p := range m.Payloads {
		if m.Header.MajorVersion != 2 || p.Type != IKEv2NotifyPayload {
			continue
		}
		if n, err := ParseIKENotify(p.Body); err == nil && n.Type == typ {
			return n, true
		}
	}
	return IKENotify{}, false
}
