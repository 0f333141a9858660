package wire

import (
	"crypto/sha1"
	"encoding/binary"
	"hash"
	"net/netip"
)

// NATDetection is the Data of a NAT_DETECTION_SOURCE_IP or NAT_DETECTION_DESTINATION_IP notification: SHA-1 of the SPIs as they are in
// the header of that very message, the address, 4 or 16 octets, and the port (RFC 7296, section 2.23). Whose address that is, is for
// the caller to say: the destination is the one that the packet was sent to or came in at, which behind a one-to-one NAT the server's
// own interface does not have.
func NATDetection(initiatorSPI, responderSPI uint64, addr netip.AddrPort) []byte {
	return NATDetectionV1(sha1.New, initiatorSPI, responderSPI, addr)
}

// NATDetectionV1 is the Body of a NAT-D payload of version 1: the negotiated hash over the same (RFC 3947, section 3.2). The first
// NAT-D of a message is of the destination, those behind it are of the source.
func NATDetectionV1(newHash func() hash.Hash, initiatorCookie, responderCookie uint64, addr netip.AddrPort) []byte {
	b := make([]byte, 0, 8+8+16+2)
	b = binary.BigEndian.AppendUint64(b, initiatorCookie)
	b = binary.BigEndian.AppendUint64(b, responderCookie)
	b = append(b, addr.Addr().Unmap().AsSlice()...)
	b = binary.BigEndian.AppendUint16(b, addr.Port())
	h := newHash()
	h.Write(b)
	return h.Sum(nil)
}
