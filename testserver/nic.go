package testserver

import (
	"encoding/binary"
	"net/netip"
	"slices"
	"sync"
	"time"

	"vpncheck/probe/sock"
	"vpncheck/probe/wire"
)

const (
	nicWait    = 200 * time.Millisecond // for a socket to deliver what the network card has shown
	nicWaiting = 32                     // packets of a session that wait for that
	nicKnown   = 256                    // packets of a session that need not be told, or not again
	nicOctets  = 2 << 10                // of a packet that waits
)

const protoTCP = 6

// A nicWatch is a kind of packets that is watched at the network card besides.
type nicWatch struct {
	proto   uint8
	port    uint16 // 0 for a protocol without ports
	carrier wire.Carrier
	token   func(s wire.Sighting) (wire.Token, bool) // nil: a SYN, which has none
}

// NIC has a carrier's packets watched at the network card as well, before the machine's own firewall and its reverse-path filter: what
// is seen there and comes to no socket was dropped by one of them (F01, F27, T16). token finds the token in what the responder would
// take for a question, and in nothing else: what it finds must come to Answer, or the firewall is blamed for what the responder did.
func (h *Host) NIC(proto uint8, port uint16, c wire.Carrier, token func(b []byte) (wire.Token, bool)) {
	if token == nil {
		h.NICFrom(proto, port, c, nil)
		return
	}
	h.NICFrom(proto, port, c, func(s wire.Sighting) (wire.Token, bool) { return token(s.Bytes) })
}

// NICFrom is NIC for a protocol whose token is known only with where it came from.
func (h *Host) NICFrom(proto uint8, port uint16, c wire.Carrier, token func(s wire.Sighting) (wire.Token, bool)) {
	h.watches = append(h.watches, nicWatch{proto, port, c, token})
}

// watchNIC opens the network card for all that the responders want watched. Nothing depends on it.
func (h *Host) watchNIC() {
	var w sock.Wanted
	for _, k := range h.watches {
		switch {
		case k.token == nil:
			w.SYNs = append(w.SYNs, k.port)
		case k.proto == wire.IPProtoUDP:
			w.UDP = append(w.UDP, k.port)
		default:
			w.Protocols = append(w.Protocols, k.proto)
		}
	}
	conn, err := h.net.Incoming(w)
	if err != nil {
		h.log.Debug("not watching the network card", "err", err)
		return
	}
	h.closeWith(conn.Close)
	h.nic.Store(true)
	h.readers.Go(func() { h.read(conn, h.incoming) })
}

// atNIC says whether a carrier is watched at the network card.
func (h *Host) atNIC(c wire.Carrier) bool {
	for _, k := range h.watches {
		if k.carrier == c {
			return h.nic.Load()
		}
	}
	return false
}

// incoming takes one packet at the network card. It is not answered, costs no credit and proves nothing of its carrier: the proof is that
// a packet gets to where a real server would get it. What has no valid token leaves no trace.
func (h *Host) incoming(s wire.Sighting) {
	s.Src, s.Dst = unmap(s.Src), unmap(s.Dst)
	for _, k := range h.watches {
		switch {
		case k.proto != s.Proto || k.port != s.Dst.Port():
		case k.token == nil:
			h.incomingSYN(k.carrier, s)
		default:
			if token, ok := k.token(s); ok {
				h.incomingToken(k.carrier, token, s)
			}
		}
	}
}

func (h *Host) incomingToken(c wire.Carrier, t wire.Token, s wire.Sighting) {
	session := h.gate.Knows(c, t)
	if session == nil {
		return
	}
	l := h.links.of(session)
	if l == nil {
		return
	}
	if ready, _ := h.carrier(c, s.Dst.Addr()); !ready || s.Proto == wire.IPProtoUDP && !sock.Intact(s) || !h.possible(s.Src.Addr()) {
		return // no socket would take it, whatever the firewall does
	}
	l.card.came(nicKey{c, uint64(t.Exchange())}, s, func(kept wire.Sighting) {
		h.state.dropped(c, h.now())
		l.saw(c, wire.Saw{Exchange: t.Exchange(), Arrived: kept, Replied: wire.NotSeen(), Silent: wire.SilentFirewall})
	})
}

// possible says whether a kernel takes a packet from an address at all (RFC 1812, section 5.3.7): not from one that nobody has, nor from its own.
func (h *Host) possible(from netip.Addr) bool {
	switch {
	case !from.IsValid() || from.IsLoopback() || from.IsMulticast() || slices.Contains(*h.own.Load(), from.WithZone("")):
		return false
	case from.Is4():
		b := from.As4()
		return b[0] != 0 && b != [4]byte{255, 255, 255, 255}
	}
	return !from.IsUnspecified()
}

// incomingSYN takes a SYN of TCP from a session's address. Only where sockets show SYNs as well is it known which of them are dropped.
func (h *Host) incomingSYN(c wire.Carrier, s wire.Sighting) {
	key, ok := synKey(c, s)
	if !ok {
		return
	}
	for _, session := range h.gate.SessionsFrom(s.Src.Addr()) {
		if l := h.links.of(session); l != nil && h.watched(c, s.Dst.Addr()) {
			l.syns.came(key, s, func(kept wire.Sighting) {
				if l.stray(c, false, kept) {
					h.state.dropped(c, h.now())
				}
			})
		}
	}
}

// delivered notes a packet that came to a socket.
func (h *Host) delivered(l *link, c wire.Carrier, exchange uint32) {
	if l != nil {
		l.card.delivered(nicKey{c, uint64(exchange)})
	}
}

func (h *Host) deliveredSYN(c wire.Carrier, s wire.Sighting) {
	if key, ok := synKey(c, s); ok {
		for _, session := range h.gate.SessionsFrom(s.Src.Addr()) {
			if l := h.links.of(session); l != nil {
				l.syns.delivered(key)
			}
		}
	}
}

// A nicKey is an exchange of a carrier; of a SYN, its port and Sequence Number, by which it is known when it comes again.
type nicKey struct {
	carrier wire.Carrier
	number  uint64
}

func synKey(c wire.Carrier, s wire.Sighting) (nicKey, bool) {
	if len(s.Bytes) < 8 {
		return nicKey{}, false
	}
	return nicKey{c, uint64(s.Src.Port())<<32 | uint64(binary.BigEndian.Uint32(s.Bytes[4:]))}, true
}

// A card is what a session's packets did at the network card, of late.
type card struct {
	mu      sync.Mutex
	waiting map[nicKey]bool // seen there, and not yet at a socket
	known   map[nicKey]bool // seen at a socket, or told
	order   []nicKey        // of known, oldest first
}

// came takes a packet that the network card has shown, and tells of it if no socket delivers it in time.
func (c *card) came(key nicKey, s wire.Sighting, tell func(wire.Sighting)) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.known[key] || c.waiting[key] || len(c.waiting) >= nicWaiting {
		return
	}
	if c.waiting == nil {
		c.waiting = make(map[nicKey]bool)
	}
	c.waiting[key] = true
	s.Bytes = s.Bytes[:min(len(s.Bytes), nicOctets)]
	kept := sock.Keep(s)
	time.AfterFunc(nicWait, func() {
		if c.missed(key) {
			tell(kept)
		}
	})
}

// missed says whether a packet still waits, and then knows it.
func (c *card) missed(key nicKey) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	if !c.waiting[key] {
		return false
	}
	c.know(key)
	return true
}

func (c *card) delivered(key nicKey) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.know(key)
}

func (c *card) know(key nicKey) {
	delete(c.waiting, key)
	if c.known[key] {
		return
	}
	if c.known == nil {
		c.known = make(map[nicKey]bool)
	}
	if len(c.order) >= nicKnown {
		delete(c.known, c.order[0])
		c.order = c.order[1:]
	}
	c.known[key] = true
	c.order = append(c.order, key)
}
