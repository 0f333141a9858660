package wire

import "fmt"

// Names of fields that IKEFieldAt returns, besides those of payloads.
const (
	ikeFieldEncrypted = "encrypted body"
	ikeFieldUnknown   = "octets behind the last payload"
)

// ikeHeaderFields are the fields of the header and where each ends.
var ikeHeaderFields = []struct {
	end  int
	name string
}{
	{8, "initiator SPI"},
	{16, "responder SPI"},
	{17, "next payload"},
	{18, "version"},
	{19, "exchange type"},
	{20, "flags"},
	{24, "message id"},
	{ikeHeaderLen, "length"},
}

var ikev1PayloadNames = map[uint8]string{
	IKEv1SecurityAssociation: "SA payload",
	IKEv1KeyExchange:         "KE payload",
	IKEv1Identification:      "ID payload",
	IKEv1Hash:                "hash payload",
	IKEv1Nonce:               "nonce",
	IKEv1Notification:        "notify",
	IKEv1VendorID:            "vendor id",
	IKEv1NATD:                "NAT-D",
}

var ikev2PayloadNames = map[uint8]string{
	IKEv2SecurityAssociation: "SA payload",
	IKEv2KeyExchange:         "KE payload",
	IKEv2CertificateRequest:  "certificate request",
	IKEv2Nonce:               "nonce",
	IKEv2NotifyPayload:       "notify",
	IKEv2Delete:              "delete payload",
	IKEv2VendorID:            "vendor id",
	IKEv2Encrypted:           ikeFieldEncrypted,
	IKEv2EncryptedFragment:   ikeFieldEncrypted,
}

var ikeNotifyNames = map[uint16]string{
	NotifyNoProposalChosen:          "NO_PROPOSAL_CHOSEN",
	NotifyInvalidKEPayload:          "INVALID_KE_PAYLOAD",
	NotifyNATDetectionSourceIP:      "NAT_DETECTION_SOURCE_IP",
	NotifyNATDetectionDestinationIP: "NAT_DETECTION_DESTINATION_IP",
	NotifyCookie:                    "COOKIE",
	NotifyMultipleAuthSupported:     "MULTIPLE_AUTH_SUPPORTED",
	NotifyRedirectSupported:         "REDIRECT_SUPPORTED",
	NotifyChildlessIKEv2Supported:   "CHILDLESS_IKEV2_SUPPORTED",
	NotifyFragmentationSupported:    "IKEV2_FRAGMENTATION_SUPPORTED",
	NotifySignatureHashAlgorithms:   "SIGNATURE_HASH_ALGORITHMS",
}

// IKEFieldAt names the field of an IKE message that an octet is in, so that a report can say what a router rewrote: "initiator SPI",
// "SA payload", "notify NAT_DETECTION_SOURCE_IP". b is the message as it was sent: what arrived may have another chain of payloads. A
// payload's generic header, with the type of the next one, belongs to the payload. It reads as far as b can be read, and says of an
// octet behind that only that it is there.
func IKEFieldAt(b []byte, offset int) string {
	if offset < 0 || offset >= len(b) {
		return "outside the message"
	}
	for _, field := range ikeHeaderFields {
		if offset < field.end {
			return field.name
		}
	}
	major, typ := b[17]>>4, b[16]
	if (IKEHeader{MajorVersion: major, Flags: b[19]}).encrypted() {
		return ikeFieldEncrypted
	}
	at := ikeHeaderLen
	for range maxIKEPayloads {
		if typ == 0 || len(b)-at < ikePayloadLen {
			break
		}
		length := int(be16(b[at+2:]))
		if length < ikePayloadLen {
			break
		}
		end := min(at+length, len(b))
		if offset < end {
			return ikePayloadName(major, typ, b[at+ikePayloadLen:end])
		}
		if ikeOpaque(major, typ) {
			break
		}
		typ, at = b[at], end
	}
	return ikeFieldUnknown
}

// ikePayloadName names a payload of which body may be only the beginning.
func ikePayloadName(major, typ uint8, body []byte) string {
	names := ikev2PayloadNames
	if major == 1 {
		names = ikev1PayloadNames
	}
	name, ok := names[typ]
	if !ok {
		return fmt.Sprintf("payload %d", typ)
	}
	if major != 2 || typ != IKEv2NotifyPayload || len(body) < ikeNotifyLen {
		return name
	}
	notify := be16(body[2:])
	if known, ok := ikeNotifyNames[notify]; ok {
		return name + " " + known
	}
	return fmt.Sprintf("%s %d", name, notify)
}
