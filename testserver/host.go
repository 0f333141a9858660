package testserver

import (
	"context"
	"errors"
	"log/slog"
	"net"
	"net/netip"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"vpncheck/probe/sock"
	"vpncheck/probe/wire"
	"vpncheck/testserver/gate"
)

// A Responder answers one protocol. There is one file of this package for each, and one line in cmd's table.
type Responder interface {
	// Carriers are what the responder's packets travel in.
	Carriers() []wire.Carrier
	// Listen tells the host what to listen for. The host opens it, hands over what arrives and closes it. What cannot be opened is
	// no error: it is told to whoever asks for that carrier.
	Listen(h *Host)
}

// Host is all that a responder may touch: the sockets it asked for, the gate, and the way to the sessions.
type Host struct {
	net         sock.Net
	addresses   []netip.Addr // to bind
	gate        *gate.Gate
	state       *State
	log         *slog.Logger
	now         func() time.Time
	links       *links
	held        *limiter // connections of sessions, but for their links
	ikePeers    ikePeers
	wireGuard   *wireGuard // nil if nobody answers it
	runs        runs
	turns       turns
	count       counters
	watches     []nicWatch // set while the responders are told to listen
	nic         atomic.Bool
	owners      atomic.Pointer[map[wire.Carrier][]string]
	controlPort uint16
	pptpPort    uint16
	webPort     uint16                       // the link port on which SSTP is asked
	visitors    atomic.Pointer[func(*visit)] // who answers HTTP on link ports; nil: nobody
	own         atomic.Pointer[[]netip.Addr] // the machine's addresses, of late
	ctx         context.Context              // done when the server stops

	mu      sync.Mutex
	opened  []listener
	closers []func() error
	readers sync.WaitGroup
}

// listener is one attempt to open a socket for some carriers.
type listener struct {
	what     string // "TCP 1723", "IP protocol 47"
	local    netip.AddrPort
	carriers []wire.Carrier
	err      error
	link     bool
	page     bool
	syns     wire.Carrier // watched for SYNs
}

// Raw listens for an IP protocol on every address. handle is called for one packet of a socket after the other.
func (h *Host) Raw(proto uint8, handle func(sock.Conn, wire.Sighting), carriers ...wire.Carrier) {
	for _, a := range h.addresses {
		c, err := h.net.Raw(proto, a)
		h.receive(listener{what: protocolName(proto), local: netip.AddrPortFrom(a, 0), carriers: carriers, err: err}, c, handle)
	}
}

// UDP listens on a port of every address.
func (h *Host) UDP(port uint16, handle func(sock.Conn, wire.Sighting), carriers ...wire.Carrier) {
	for _, a := range h.addresses {
		local := netip.AddrPortFrom(a, port)
		c, err := h.net.UDP(local)
		h.receive(listener{what: portName("UDP", port), local: local, carriers: carriers, err: err}, c, handle)
	}
}

// SYNs watches for the first packets of TCP connections, if the system lets it: the carrier does not depend on it, but without it a
// connection attempt that never came cannot be told from one that nobody could see.
func (h *Host) SYNs(port uint16, handle func(wire.Sighting), carrier wire.Carrier) {
	for _, a := range h.addresses {
		c, err := h.net.SYNs(port, a)
		if err != nil {
			h.log.Debug("not watching for SYNs", "port", port, "err", err)
			continue
		}
		h.receive(listener{what: portName("SYNs to", port), local: netip.AddrPortFrom(a, port), syns: carrier}, c, func(_ sock.Conn, s wire.Sighting) { handle(s) })
	}
}

// How many connections all sessions may hold, and those of one address (one /64 in IPv6): a connection string in the wrong hands must leave file
// descriptors and memory for the links of others. A run holds one or two at a time.
const (
	heldTotal = 512
	heldEach  = 64
)

// turnAway closes the connection of somebody whose place another takes.
func (h *Host) turnAway(c net.Conn) func() {
	return func() {
		h.count.refused.Add(1)
		c.Close()
	}
}

// TCP accepts connections on a port of every address. handle is called for each in a goroutine of its own; the connection is closed
// when it returns, or when the server stops. How many strangers may hold one is for handle to bound.
func (h *Host) TCP(port uint16, handle func(net.Conn), carriers ...wire.Carrier) {
	h.listen(port, func(c net.Conn) {
		defer c.Close()
		defer context.AfterFunc(h.ctx, func() { c.Close() })()
		handle(c)
	}, carriers...)
}

// listen is TCP for whoever closes his connections himself; without carriers it is a link port.
func (h *Host) listen(port uint16, handle func(net.Conn), carriers ...wire.Carrier) {
	for _, a := range h.addresses {
		local := netip.AddrPortFrom(a, port)
		ln, err := h.net.Listen(local)
		l := listener{what: portName("TCP", port), local: local, carriers: carriers, err: err, link: len(carriers) == 0}
		if !h.note(l) {
			continue
		}
		h.closeWith(ln.Close)
		h.readers.Go(func() { h.accept(ln, handle) })
	}
}

func (h *Host) accept(l net.Listener, handle func(net.Conn)) {
	for {
		c, err := l.Accept()
		switch {
		case errors.Is(err, net.ErrClosed):
			return
		case err != nil: // out of file descriptors, say: it passes
			if !h.rest() {
				return
			}
		default:
			h.readers.Go(func() { handle(c) })
		}
	}
}

// receive reads one socket until it is closed.
func (h *Host) receive(l listener, c sock.Conn, handle func(sock.Conn, wire.Sighting)) {
	if !h.note(l) {
		return
	}
	h.closeWith(c.Close)
	h.readers.Go(func() {
		h.read(c, func(s wire.Sighting) {
			s.Src, s.Dst = unmap(s.Src), unmap(s.Dst)
			h.count.packets.Add(1)
			handle(c, s)
		})
	})
}

// read hands over what a socket receives until it is closed.
func (h *Host) read(c sock.Conn, handle func(wire.Sighting)) {
	for {
		s, err := c.Recv()
		switch {
		case errors.Is(err, net.ErrClosed):
			return
		case err != nil:
			if !h.rest() {
				return
			}
		default:
			handle(s)
		}
	}
}

// note remembers an attempt to listen, and says whether it went well.
func (h *Host) note(l listener) bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.opened = append(h.opened, l)
	return l.err == nil
}

// rest keeps a socket that fails again and again from using up the processor. It says whether the server is still to run.
func (h *Host) rest() bool {
	select {
	case <-time.After(50 * time.Millisecond):
		return true
	case <-h.ctx.Done():
		return false
	}
}

func (h *Host) closeWith(f func() error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.closers = append(h.closers, f)
}

// close closes every listening socket.
func (h *Host) close() {
	h.mu.Lock()
	closers := h.closers
	h.closers = nil
	h.mu.Unlock()
	for _, f := range closers {
		f()
	}
}

// Arrived is the proof that a carrier gets here (DESIGN, law 7). What a machine sends to itself proves nothing (F01).
func (h *Host) Arrived(at wire.Sighting, carriers ...wire.Carrier) {
	from := at.Src.Addr()
	if !from.IsValid() || from.IsLoopback() || from == at.Dst.Addr() || slices.Contains(*h.own.Load(), from.WithZone("")) {
		return
	}
	for _, c := range carriers {
		if !h.state.provesNothing(c, from) {
			h.state.arrived(c, from, h.now())
		}
	}
}

// Stray hands a packet without a valid token over to the sessions that live at its source and wait for its carrier. Nobody answers
// it.
func (h *Host) Stray(c wire.Carrier, arrived wire.Sighting) {
	sessions, certain := named(h.gate.SessionsFrom(arrived.Src.Addr()), arrived.Bytes)
	for _, s := range sessions {
		if l := h.links.of(s); l != nil && l.stray(c, certain, arrived) {
			h.count.strays.Add(1)
		}
	}
}

// Saw reports an exchange to its session, and to no other.
func (h *Host) Saw(s *gate.Session, c wire.Carrier, saw wire.Saw) {
	if l := h.links.of(s); l != nil {
		l.saw(c, saw)
	}
}

// Ends is done when a session's link has ended; nil if it has already.
func (h *Host) Ends(s *gate.Session) context.Context {
	if l := h.links.of(s); l != nil {
		return l.ctx
	}
	return nil
}

// carrier says whether what arrives for own on a carrier is heard, or what stands in the way; a zero own asks for any address.
func (h *Host) carrier(c wire.Carrier, own netip.Addr) (ready bool, failed error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	for _, l := range h.opened {
		if !slices.Contains(l.carriers, c) || !covers(l.local.Addr(), own) {
			continue
		}
		if l.err == nil {
			return true, nil
		}
		if failed == nil {
			failed = l.err
		}
	}
	return false, failed
}

// watched says whether SYNs of a carrier for own are seen; a zero own asks for any address.
func (h *Host) watched(c wire.Carrier, own netip.Addr) bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	return slices.ContainsFunc(h.opened, func(l listener) bool {
		return l.syns == c && l.err == nil && covers(l.local.Addr(), own)
	})
}

// covers says whether a socket bound to local hears packets for own.
func covers(local, own netip.Addr) bool {
	return !own.IsValid() || local == own || local.IsUnspecified() && local.Is4() == own.Is4()
}
