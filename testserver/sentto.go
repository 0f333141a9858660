package testserver

import (
	"net/netip"
	"slices"
	"sync"
	"time"

	"vpncheck/probe/wire"
)

// askedFor is how long what comes from an address that this machine has itself sent packets to proves nothing, on the carriers without ports:
// it may be an answer, and a firewall that lets answers in lets everything in from there. Linux remembers such a flow for 600 seconds.
const askedFor = 15 * time.Minute

// portless are the carriers on which a firewall cannot tell a question from an answer.
var portless = []wire.Carrier{wire.CarrierGRE, wire.CarrierGREv1, wire.CarrierESP, wire.CarrierAH}

// sentTo remembers which addresses this machine has lately sent packets to, of its own accord. They are few: the other servers that it tests.
type sentTo struct {
	mu   sync.Mutex
	last map[netip.Addr]time.Time
}

// Asked says that this machine sends, or has just sent, packets of its own accord to these addresses.
func (s *Server) Asked(addrs ...netip.Addr) {
	a, now := &s.host.sentTo, s.host.now()
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.last == nil {
		a.last = make(map[netip.Addr]time.Time)
	}
	for addr, at := range a.last {
		if now.Sub(at) >= askedFor {
			delete(a.last, addr)
		}
	}
	for _, addr := range addrs {
		if addr.IsValid() {
			a.last[addr.Unmap().WithZone("")] = now
		}
	}
}

// provesNothing says whether a packet of a carrier may have come only because this machine has sent one there.
func (h *Host) provesNothing(c wire.Carrier, from netip.Addr) bool {
	if !slices.Contains(portless, c) {
		return false
	}
	h.sentTo.mu.Lock()
	defer h.sentTo.mu.Unlock()
	at, ok := h.sentTo.last[from.Unmap().WithZone("")]
	return ok && h.now().Sub(at) < askedFor
}
