package testserver

import (
	"bytes"
	"net/netip"
	"slices"
	"sync"

	"vpncheck/probe/wire"
)

const (
	maxCame        = 32  // ICMP errors that are told, a session
	maxCameCarrier = 6   // of one carrier: the control, which asks all the while, must not use them up
	maxQuote       = 128 // octets of the packet that an error is about
	maxFlows       = 32  // that a session's answers went on, of late
)

// listenICMP hears ICMP errors about what the server sent: a NAT that has no mapping for an answer may say so, and so may the laptop.
// Nothing depends on it, and nothing of it is answered.
func (h *Host) listenICMP() {
	for _, a := range h.addresses {
		if !a.Is4() {
			continue
		}
		conn, err := h.net.Raw(wire.IPProtoICMP, a)
		if err != nil {
			h.log.Debug("not listening for ICMP", "err", err)
			continue
		}
		h.closeWith(conn.Close)
		h.readers.Go(func() { h.read(conn, h.icmp) })
	}
}

// icmp takes one message of ICMP. Anybody can forge it: it is told to a session only if it quotes what that session was sent lately, to an
// address that has proved itself, and its sender goes along.
func (h *Host) icmp(s wire.Sighting) {
	if len(s.Bytes) == 0 || s.TTL == nil || s.Bytes[0] != wire.ICMPUnreachable && s.Bytes[0] != wire.ICMPTimeExceeded {
		return // pings, for the most part
	}
	m, err := wire.ParseICMPError(s.Bytes)
	if err != nil {
		return
	}
	carrier, ok := h.quoted(m)
	if !ok {
		return
	}
	sessions, _ := named(h.gate.SessionsFrom(m.Header.Dst), m.Quoted)
	for _, session := range sessions {
		if l := h.links.of(session); l != nil && l.flows.has(flowOf(m)) {
			quote := s.Bytes[8:] // as ParseICMPError has it: IP header and all
			l.came(carrier, wire.ICMPSighting{
				At: h.now(), From: s.Src.Addr().Unmap(), TTL: *s.TTL, Type: m.Type, Code: m.Code,
				Quote: bytes.Clone(quote[:min(len(quote), maxQuote)]),
			})
		}
	}
}

// quoted is the carrier of the packet that an error is about, if it is one that we send.
func (h *Host) quoted(m wire.ICMPError) (wire.Carrier, bool) {
	f := flowOf(m)
	for _, k := range h.watches {
		if k.proto != f.proto || k.port != f.own {
			continue
		}
		if v, err := wire.GREVersion(m.Quoted); k.proto == wire.IPProtoGRE && (err != nil || (v == 1) != (k.carrier == wire.CarrierGREv1)) {
			continue
		}
		return k.carrier, true
	}
	return "", false
}

// came reports an ICMP error, a few of a carrier.
func (l *link) came(c wire.Carrier, m wire.ICMPSighting) {
	if conversation, report := l.desk.came(c); report {
		l.queue(wire.Message{Came: &wire.Came{Conversation: conversation, Carrier: c, ICMP: m}})
	}
}

// came says whether an ICMP error is to be reported, and of which conversation.
func (d *desk) came(c wire.Carrier) (conversation string, report bool) {
	d.mu.Lock()
	defer d.mu.Unlock()
	conversation, declared := d.conversation(c)
	if !declared || d.errors[c] >= maxCameCarrier || d.errorsAll >= maxCame {
		return "", false
	}
	if d.errors == nil {
		d.errors = make(map[wire.Carrier]int)
	}
	d.errors[c]++ // the carriers are the responders' own
	d.errorsAll++
	return conversation, true
}

// A flow is where a session's answers go: an IP protocol, our port and the client's end. The ports are 0 where there are none.
type flow struct {
	proto uint8
	own   uint16
	to    netip.AddrPort
}

// flowOf is the flow of the packet that an error quotes.
func flowOf(m wire.ICMPError) flow {
	f := flow{proto: m.Header.Protocol, to: netip.AddrPortFrom(m.Header.Dst, 0)}
	if f.proto == wire.IPProtoUDP || f.proto == protoTCP {
		own, theirs := m.QuotedPorts()
		f.own, f.to = own, netip.AddrPortFrom(m.Header.Dst, theirs)
	}
	return f
}

// flows are those that a session's answers went on, of late.
type flows struct {
	mu sync.Mutex
	of []flow // oldest first
}

func (f *flows) note(proto uint8, own uint16, to netip.AddrPort) {
	x := flow{proto, own, unmap(to)}
	f.mu.Lock()
	defer f.mu.Unlock()
	if slices.Contains(f.of, x) {
		return
	}
	if f.of = append(f.of, x); len(f.of) > maxFlows {
		f.of = slices.Delete(f.of, 0, 1)
	}
}

func (f *flows) has(x flow) bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	return slices.Contains(f.of, x)
}
