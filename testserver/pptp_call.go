package testserver

import (
	"math/rand/v2"
	"net/netip"
	"sync"

	"vpncheck/probe/wire"
	"vpncheck/testserver/gate"
)

// A call is a PPTP call: what its GRE packets need.
type call struct {
	session     *gate.Session
	peer, local netip.Addr // the ends of the control connection, between which GRE goes as real servers send it
	own, theirs uint16     // Call IDs
	exchange    uint32     // of its Outgoing-Call-Request
	lcp         lcpLink

	mu       sync.Mutex
	next     uint32 // Sequence Number to send
	received bool
	highest  uint32 // Sequence Number received
}

// begin makes a call with a Call ID that is no other live call's, nor the client's: were they equal, a NAT that does not
// know PPTP could pass it by chance (T02).
func (c *pptpConn) begin(theirs uint16, exchange uint32) *call {
	if len(c.calls) >= pptpCalls {
		return nil
	}
	k := &call{
		session: c.session, peer: c.client.Addr(), local: c.own.Addr(), theirs: theirs, exchange: exchange, lcp: lcpLink{magic: rand.Uint32()},
	}
	c.p.mu.Lock()
	defer c.p.mu.Unlock()
	for range 1000 {
		own := uint16(rand.Uint32())
		if own != 0 && own != theirs && c.p.calls[own] == nil {
			k.own = own
			c.p.calls[own] = k
			c.calls, c.exchange = append(c.calls, k), exchange
			return k
		}
	}
	return nil
}

// clear ends the call with the client's Call ID, or the newest if a NAT has changed it.
func (c *pptpConn) clear(theirs uint16) *call {
	if len(c.calls) == 0 {
		return nil
	}
	at := len(c.calls) - 1
	for i, k := range c.calls {
		if k.theirs == theirs {
			at = i
		}
	}
	k := c.calls[at]
	c.calls = append(c.calls[:at], c.calls[at+1:]...)
	c.p.mu.Lock()
	defer c.p.mu.Unlock()
	delete(c.p.calls, k.own)
	return k
}

// end ends all calls of a connection.
func (c *pptpConn) end() {
	for len(c.calls) > 0 {
		c.clear(c.calls[0].theirs)
	}
}

// receive notes the Sequence Number of a packet that is surely the client's.
func (k *call) receive(g wire.EnhancedGRE) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if g.HasSeq && (!k.received || int32(g.Seq-k.highest) > 0) {
		k.received, k.highest = true, g.Seq
	}
}

// wrap puts a frame into the call's next GRE packet, which acknowledges what was received.
func (k *call) wrap(frame []byte) []byte {
	k.mu.Lock()
	defer k.mu.Unlock()
	g := wire.EnhancedGRE{CallID: k.theirs, HasSeq: true, Seq: k.next, HasAck: k.received, Ack: k.highest, Payload: frame}
	k.next++
	return g.Append(nil)
}
