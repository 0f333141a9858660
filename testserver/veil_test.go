package testserver

import (
	"bytes"
	"testing"

	"vpncheck/probe/wire"
)

// Of an answer that is told cut short, no part of its nonce is told: whoever forges an address and learns seven of its eight octets has the
// last one after 256 tries.
func TestVeilBeforeCut(t *testing.T) {
	inWorld(t, withOpenVPN, func(w *world) {
		c := w.open(w.laptop, wire.CarrierRandom)
		conn := c.udp(w.other, otherAddr) // an address that has not proved that it receives
		for size := maxReported + wire.TokenSize; size <= maxReported+wire.TagSize; size++ {
			c.emit(conn, openVPNServer, wire.AppendRandom(nil, size, wire.Tag{Token: c.token(wire.CarrierRandom)}))
			saw := c.saw()
			if saw.Silent != "" || len(saw.Replied.Bytes) != maxReported {
				t.Fatalf("got %q and %d octets, want a cut answer", saw.Silent, len(saw.Replied.Bytes))
			}
			nonce := c.hear(conn).Bytes[size-wire.TagSize:][:wire.NonceSize]
			told := saw.Replied.Bytes[min(size-wire.TagSize, maxReported):]
			if len(told) > 0 && !bytes.Equal(told, make([]byte, len(told))) {
				t.Errorf("%d octets: %x was told of the nonce %x", size, told, nonce)
			}
		}
	})
}
