package gate

import (
	"crypto/sha256"
	"net/netip"
	"time"

	"vpncheck/probe/wire"
)

const (
	retransmissions = 5 // answered, of one message
	retransmitFor   = 30 * time.Second
	maxCarriers     = 32   // a session; there are not half as many
	maxAnswer       = 2048 // octets of an answer that is stored
)

// A flow is what a session has seen of one carrier. Exchanges arrive in any order, so all that were had are remembered: as many
// as the session's budget of packets.
type flow struct {
	carrier wire.Carrier
	seen    map[uint32]struct{}
	newest  message
}

// A message is the last one of a flow, kept as a digest because a hostile client chooses how long it is.
type message struct {
	exchange uint32
	digest   [sha256.Size]byte
	from     netip.Addr
	at       time.Time
	again    int // retransmissions answered
	answer   []byte
}

func (s *Session) flow(c wire.Carrier) *flow {
	for i := range s.flows {
		if s.flows[i].carrier == c {
			return &s.flows[i]
		}
	}
	return nil
}

// newFlow returns nil if the session has too many.
func (s *Session) newFlow(c wire.Carrier) *flow {
	if len(s.flows) >= maxCarriers {
		return nil
	}
	s.flows = append(s.flows, flow{carrier: c, seen: make(map[uint32]struct{})})
	return &s.flows[len(s.flows)-1]
}

func (f *flow) had(exchange uint32) bool {
	_, ok := f.seen[exchange]
	return ok
}

func (f *flow) note(exchange uint32, m message) {
	f.seen[exchange] = struct{}{}
	f.newest = m
}

func (m *message) is(exchange uint32, digest [sha256.Size]byte) bool {
	return m.exchange == exchange && m.digest == digest
}

// retransmitted returns the answer to send again, or nil. It must go to the address that had it first: it carries that address's
// nonce, and whoever else got hold of it could claim the address.
func (m *message) retransmitted(exchange uint32, digest [sha256.Size]byte, from netip.Addr, now time.Time) []byte {
	if !m.is(exchange, digest) || m.from != from || m.again >= retransmissions || now.Sub(m.at) > retransmitFor {
		return nil
	}
	return m.answer
}
