package probe

import (
	"crypto/rand"
	"fmt"

	"vpncheck/probe/wire"
)

// An espTunnel is our sending half of a tunnel: one SPI, sequence numbers from 1 (RFC 4303, section 3.3.3). What a router can read is
// genuine; what it cannot is random, with the tag where the ICV is.
type espTunnel struct {
	spi, seq uint32
	answered int // the next packet's size follows from it: what is lost is sent again, in its size
	sizes    []int
}

// inside are the sizes of the IP packets that the tunnel seems to carry: pings, a bare acknowledgment of TCP, one of the size that every
// path must carry. Larger ones are another question.
var inside = [...]int{84, 84, 52, 84, 576}

// insideL2TP are those of transport mode with L2TP inside, its UDP header included: what opens xl2tpd's tunnel and call, an acknowledgment, what
// opens PPP, a ping, and one of the size that every path must carry.
var insideL2TP = [...]int{107, 28, 56, 58, 20, 28, 102, 102, 594, 102}

// espFull is the size of the IP packet inside one of full size.
const espFull = fullOctets - 80

// newESPTunnel has a fresh SPI, which is even if the answers are to come without a UDP checksum, as they do on UDP port 4500.
func newESPTunnel(bare bool) *espTunnel {
	t := &espTunnel{spi: max(randomMagic(), wire.MinSPI) | 1, sizes: inside[:]}
	if bare {
		t.spi &^= 1
	}
	return t
}

// packet is the tunnel's next packet.
func (t *espTunnel) packet(tag wire.Tag) []byte {
	return t.sized(tag, t.sizes[t.answered%len(t.sizes)])
}

// full is a packet of full size.
func (t *espTunnel) full(tag wire.Tag) []byte { return t.sized(tag, espFull) }

// sized is a packet with an IP packet of that size inside.
func (t *espTunnel) sized(tag wire.Tag, inner int) []byte {
	t.seq++
	p := wire.ESP{SPI: t.spi, SequenceNumber: t.seq, Payload: make([]byte, wire.ESPPayload(inner))}
	rand.Read(p.Payload)
	return p.WithTag(tag).Append(nil)
}

// readESP takes the tag out of a packet of ESP. Whatever else comes in the server's name is somebody's.
func readESP(s wire.Sighting) (wire.Tag, bool) {
	p, err := wire.ParseESP(s.Bytes)
	if err != nil {
		return wire.Tag{}, true
	}
	t, _ := p.Tag()
	return t, true
}

// espField names the octet at an offset of an ESP packet (RFC 4303, section 2), with where its field begins and ends.
func espField(_ []byte, offset int) (name string, from, to int) {
	switch {
	case offset < 4:
		return "SPI", 0, 4
	case offset < 8:
		return "sequence number", 4, 8
	}
	return "payload", 0, 0
}

// ikeField is espField for a message of IKE.
func ikeField(b []byte, offset int) (name string, from, to int) {
	return wire.IKEFieldAt(b, offset), 0, 0
}

// sealed is exact for what an integrity check covers, all of it. field names the place of a change.
func sealed(e Exchange, field func(b []byte, offset int) (name string, from, to int)) []Change {
	out := exact(e)
	for i := range out {
		ch := &out[i]
		if ch.Field != "payload" {
			continue
		}
		before, after := e.Sent.Bytes, e.Arrived.Bytes
		if ch.Way == WayBack {
			before, after = e.Replied.Bytes, e.Returned.Bytes
		}
		name, from, to := field(before, ch.Offset)
		if ch.Field = name; from < to && to <= min(len(before), len(after)) {
			ch.Before, ch.After = fmt.Sprintf("%x", []byte(before[from:to])), fmt.Sprintf("%x", []byte(after[from:to]))
		}
	}
	return out
}
