package wire

import "bytes"

// NATTPort is the UDP port on which IKE and ESP share one flow through a NAT (RFC 3948, section 2; RFC 3947, section 4).
const NATTPort = 4500

// NATKeepalive is the payload of a keepalive, all of it (RFC 3948, section 2.3). It is never answered.
const NATKeepalive = 0xFF

// nonESPMarker is where ESP has its SPI, which is never zero (RFC 3948, section 2.2).
var nonESPMarker = []byte{0, 0, 0, 0}

// NATT is what a datagram on port 4500 holds.
type NATT string

// What a datagram on port 4500 can hold (RFC 3948, section 2).
const (
	NATTKeepalive NATT = "keepalive" // section 2.3
	NATTIKE       NATT = "ike"       // section 2.2: behind the Non-ESP Marker
	NATTESP       NATT = "esp"       // section 2.1: for ParseESP
)

// NATTKind looks at the payload of a datagram on port 4500:
//
//	keepalive   FF
//	IKE         00 00 00 00, IKE header
//	ESP         SPI, Sequence Number
//
// It looks no further: ESP may still have a reserved SPI.
func NATTKind(b []byte) (NATT, error) {
	if len(b) == 1 && b[0] == NATKeepalive {
		return NATTKeepalive, nil
	}
	if err := need(b, len(nonESPMarker), "SPI or Non-ESP Marker"); err != nil {
		return "", err
	}
	if bytes.HasPrefix(b, nonESPMarker) {
		return NATTIKE, nil
	}
	return NATTESP, nil
}

// AppendNATTIKE appends an IKE message behind the Non-ESP Marker, as it goes over port 4500 (RFC 3948, section 2.2). On port 500 it
// has none.
func AppendNATTIKE(b, message []byte) []byte {
	return append(append(b, nonESPMarker...), message...)
}

// ParseNATTIKE returns the IKE message behind the Non-ESP Marker, which is not copied.
func ParseNATTIKE(b []byte) ([]byte, error) {
	if err := need(b, len(nonESPMarker), "Non-ESP Marker"); err != nil {
		return nil, err
	}
	if !bytes.HasPrefix(b, nonESPMarker) {
		return nil, bad("Non-ESP Marker is %#08x, want 0", be32(b))
	}
	return some(b[len(nonESPMarker):]), nil
}
