package wire

import (
	"crypto/rand"
	"encoding/hex"
	"slices"
	"strings"
)

// What OpenVPN's control packets carry is TLS 1.3, of which whoever listens can read the two Hellos (RFC 8446, section 4.1). Those here are
// OpenVPN 2.6's with OpenSSL 3, octet for octet but for what is random in them; the rest are records of its sizes that look encrypted, and
// are random octets. The last 28 octets of every one are a tag, as in random octets: in the ClientHello, which ends with a key share, those
// are in the place of a public key, of which any 32 octets are one (RFC 7748, section 5).

// openVPNHello is the ClientHello between its Session ID and its key share: cipher suites, compression, extensions.
var openVPNHello = unhex("0032130213031301c02cc030009fcca9cca8ccaac02bc02f009ec024c028006bc023c0270067c00ac0140039c009c013003300ff" +
	"01000091000b000403000102000a00160014001d0017001e00190018010001010102010301040016000000170000000d002a0028040305030603080708080809080a" +
	"080b080408050806040105010601030303010302040205020602002b00050403040303002d00020101003300260024001d0020")

var (
	openVPNClientHello = unhex("16030101100100010c0303") // the record's head, the message's, and the version
	openVPNServerHello = unhex("160303007a020000760303")
	// openVPNChosen stands between the ServerHello's Session ID and its key share.
	openVPNChosen = unhex("130200002e002b0002030400330024001d0020")
	tlsChange     = unhex("140303000101") // ChangeCipherSpec
)

const (
	tlsRecord = 5
	tlsRandom = 32 // octets of a Hello's random, of its Session ID and of its key share
	tlsData   = 23 // application_data, as which TLS 1.3 hides all else
)

// OpenVPNServerFlightMost are the octets of TLS in a server's first control packet.
const OpenVPNServerFlightMost = 810

// The sizes of the records, by who sends them.
var (
	openVPNServerFlight = []int{23, 62, 398, 96, 69} // EncryptedExtensions, CertificateRequest, Certificate, CertificateVerify, Finished
	openVPNClientFlight = []int{400, 95, 69, 353}    // Certificate, CertificateVerify, Finished, and OpenVPN's key method
	openVPNTickets      = []int{74, 74}
	openVPNKeyMethod    = []int{305}
)

// AppendOpenVPNClientHello appends what the first control packet of a client carries behind its reset: 277 octets.
func AppendOpenVPNClientHello(b []byte, t Tag) []byte {
	b = appendNoise(append(b, openVPNClientHello...), tlsRandom)
	b = appendNoise(append(b, tlsRandom), tlsRandom)
	return AppendRandom(append(b, openVPNHello...), tlsRandom, t)
}

// AppendOpenVPNServerFlight appends what a server answers to a ClientHello: 810 octets, or as many whole records as fit into most, if that is
// less. The ServerHello at least, of 127, is always there.
func AppendOpenVPNServerFlight(b []byte, most int, t Tag) []byte {
	start := len(b)
	b = appendNoise(append(b, openVPNServerHello...), tlsRandom)
	b = appendNoise(append(b, tlsRandom), tlsRandom)
	b = append(b, openVPNChosen...)
	sizes, room := openVPNServerFlight, most-(len(b)-start)-tlsRandom-len(tlsChange)
	for len(sizes) > 0 && (recordOctets(sizes) > room || sizes[len(sizes)-1] < RandomSize) {
		sizes = sizes[:len(sizes)-1]
	}
	if len(sizes) == 0 {
		return AppendRandom(b, tlsRandom, t)
	}
	return appendRecords(append(appendNoise(b, tlsRandom), tlsChange...), sizes, t)
}

// AppendOpenVPNClientFlight appends what the client's second control packet carries: 943 octets.
func AppendOpenVPNClientFlight(b []byte, t Tag) []byte {
	return appendRecords(append(b, tlsChange...), openVPNClientFlight, t)
}

// AppendOpenVPNTickets appends what the server's second control packet carries: 158 octets, and no tag. What its third one carries does.
func AppendOpenVPNTickets(b []byte) []byte {
	for _, size := range openVPNTickets {
		b = appendNoise(appendRecord(b, size), size)
	}
	return b
}

// AppendOpenVPNKeyMethod appends what the server's third control packet carries: 310 octets.
func AppendOpenVPNKeyMethod(b []byte, t Tag) []byte { return appendRecords(b, openVPNKeyMethod, t) }

// appendRecords appends records that look encrypted, with a tag at the end of the last.
func appendRecords(b []byte, sizes []int, t Tag) []byte {
	last := len(sizes) - 1
	for _, size := range sizes[:last] {
		b = appendNoise(appendRecord(b, size), size)
	}
	return AppendRandom(appendRecord(b, sizes[last]), sizes[last], t)
}

func appendRecord(b []byte, size int) []byte {
	return append(b, tlsData, 3, 3, byte(size>>8), byte(size))
}

func recordOctets(sizes []int) (n int) {
	for _, size := range sizes {
		n += tlsRecord + size
	}
	return n
}

func appendNoise(b []byte, n int) []byte {
	b = slices.Grow(b, n)
	rand.Read(b[len(b) : len(b)+n]) // never fails
	return b[:len(b)+n]
}

func unhex(s string) []byte {
	b, err := hex.DecodeString(strings.ReplaceAll(s, " ", ""))
	if err != nil {
		panic(err) // a constant of ours
	}
	return b
}
