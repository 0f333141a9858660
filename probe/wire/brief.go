package wire

import (
	"crypto/hmac"
	"encoding/binary"
)

// A Brief is a token for where there are eight octets and no more: OpenVPN's session ID, and random octets that are as few as its opening.
//
// Eight octets cannot name a session (4), an exchange (4) and prove both (12), as a Token does. So they name no session: whoever reads one
// knows a few sessions that it may be of, by where it came from, and tries their keys. They name the exchange in two octets, which the 65,536
// exchanges of a session never outgrow, and prove it in six:
//
//	proof  = HMAC-SHA-256(key, "b", direction, exchange, carrier) cut to 6 octets
//	masked = exchange XOR HMAC-SHA-256(key, "m", direction, proof, carrier) cut to 2
//
// Masked, they look like the random number that the protocol has in that place, and no two of a session are alike. Whoever guesses hits one
// of k keys once in 2^48/k packets. What he gains is the answer to that one packet, at an address that has proved that it receives it: the
// reader makes a whole Token of it, and the gate's credit, budget and memory for exchanges hold as they do for any other.
type Brief [BriefSize]byte

// BriefSize is the length of a Brief in octets.
const BriefSize = 8

const briefProof = 6

// Brief returns the brief token of an exchange, of which only the low 16 bits are told.
func (m *Mint) Brief(d Direction, c Carrier, exchange uint32) Brief {
	var b Brief
	m.mu.Lock()
	defer m.mu.Unlock()
	m.brief(&b, d, c, uint16(exchange))
	return b
}

// ReadBrief returns the exchange that a brief token of this session's names, and false for any other.
func (m *Mint) ReadBrief(d Direction, c Carrier, b Brief) (exchange uint32, ok bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	n := binary.BigEndian.Uint16(b[briefProof:]) ^ m.mask(d, c, b)
	return uint32(n), hmac.Equal(m.proof(d, c, n), b[:briefProof]) // with the same proof the mask is the same
}

// brief makes one. The caller holds m.mu.
func (m *Mint) brief(b *Brief, d Direction, c Carrier, exchange uint16) {
	copy(b[:], m.proof(d, c, exchange))
	binary.BigEndian.PutUint16(b[briefProof:], exchange^m.mask(d, c, *b))
}

// proof is valid until the next HMAC.
func (m *Mint) proof(d Direction, c Carrier, exchange uint16) []byte {
	in := append(m.buf[:0], 'b', byte(d))
	in = binary.BigEndian.AppendUint16(in, exchange)
	return m.keyed(append(in, c...))[:briefProof]
}

func (m *Mint) mask(d Direction, c Carrier, b Brief) uint16 {
	in := append(m.buf[:0], 'm', byte(d))
	in = append(in, b[:briefProof]...)
	return binary.BigEndian.Uint16(m.keyed(append(in, c...)))
}

// keyed is the session's HMAC of some octets. A Token's begin with a direction, and a derived key's are fewer: none is ever the other.
func (m *Mint) keyed(b []byte) []byte {
	m.mac.Reset()
	m.mac.Write(b)
	return m.mac.Sum(m.sum[:0])
}
