package testserver

import (
	"context"
	"crypto/rand"
	"encoding/binary"
	"slices"
	"sync"

	"vpncheck/probe/wire"
	"vpncheck/testserver/gate"
)

// maxTunnels is how many SPIs of its client's a session's tunnels are remembered for. A run has half a dozen.
const maxTunnels = 16

// espTunnels are the tunnels under way. Routers that follow SPIs want one for each direction for as long as a tunnel lives (T28), and
// sequence numbers that count (RFC 4303, section 3.3.3). They are forgotten with their session.
type espTunnels struct {
	mu sync.Mutex
	by map[*gate.Session][]*espTunnel // oldest first
}

// An espTunnel is a pair of SPIs.
type espTunnel struct {
	theirs, own uint32
	seq         uint32 // of the last packet sent
}

func newESPTunnels() *espTunnels { return &espTunnels{by: make(map[*gate.Session][]*espTunnel)} }

// next is our SPI and the next sequence number of the tunnel whose packets arrive with an SPI.
func (t *espTunnels) next(h *Host, s *gate.Session, theirs uint32) (spi, seq uint32) {
	ended := h.Ends(s)
	t.mu.Lock()
	defer t.mu.Unlock()
	all := t.by[s]
	at := slices.IndexFunc(all, func(k *espTunnel) bool { return k.theirs == theirs })
	if at < 0 {
		k := &espTunnel{theirs: theirs, own: randomSPI()}
		if ended == nil {
			return k.own, 1 // the session is over
		}
		if len(all) == 0 {
			context.AfterFunc(ended, func() { t.forget(s) })
		}
		all = append(all, k)
		all = all[max(0, len(all)-maxTunnels):]
		t.by[s], at = all, len(all)-1
	}
	all[at].seq++
	return all[at].own, all[at].seq
}

func (t *espTunnels) forget(s *gate.Session) {
	t.mu.Lock()
	defer t.mu.Unlock()
	delete(t.by, s)
}

// randomSPI is an SPI that is not reserved (RFC 4303, section 2.1).
func randomSPI() uint32 {
	var b [4]byte
	rand.Read(b[:])
	return max(binary.BigEndian.Uint32(b[:]), wire.MinSPI)
}
