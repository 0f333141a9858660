package testserver

import (
	"fmt"
	"net/netip"
	"time"

	"vpncheck/probe/sock"
	"vpncheck/probe/wire"
)

// Status is what an administrator is shown.
type Status struct {
	Links    []netip.AddrPort // where clients can connect
	Control  uint16           // the UDP port of the control
	Carriers []CarrierStatus
	Cloud    *wire.Cloud // where the machine stands; nil if that is not known
	Failures []Failure
	Page     PageStatus
	Sessions int // now
	Counters Counters
}

// CarrierStatus is the state of a carrier on any address, and where its last arrival came from.
type CarrierStatus struct {
	wire.CarrierState
	Hint string // the line that would make it ready
	From netip.Addr
	// Dropped is when one last came as far as the network card and to no socket: this machine's own firewall stopped it. Zero if none did
	// since the start.
	Dropped time.Time
}

// Failure is a socket that could not be opened.
type Failure struct {
	What  string // "TCP 1723"
	Local netip.AddrPort
	Why   string
	Hint  string
}

// Counters count since the start.
type Counters struct {
	Sessions uint64 // opened
	Packets  uint64 // received on the responders' sockets, strangers' included
	Answers  uint64 // sent
	Strays   uint64 // handed over
	Refused  uint64 // connections turned away: too many, or a wrong access token
}

// Status says how the server is.
func (s *Server) Status() Status {
	h := s.host
	st := Status{
		Control:  s.cfg.ControlPort,
		Cloud:    s.cfg.Cloud,
		Sessions: len(h.links.all()),
		Counters: Counters{
			Sessions: h.count.sessions.Load(),
			Packets:  h.count.packets.Load(),
			Answers:  h.count.answers.Load(),
			Strays:   h.count.strays.Load(),
			Refused:  h.count.refused.Load(),
		},
	}
	for _, c := range s.carriers(netip.Addr{}) {
		cs := CarrierStatus{CarrierState: c, Dropped: s.cfg.State.lastDropped(c.Carrier)}
		for _, family := range []netip.Addr{netip.IPv4Unspecified(), netip.IPv6Unspecified()} {
			if p, ok := s.cfg.State.recent(c.Carrier, family); ok && (cs.Proof == nil || p.At.After(cs.Proof.At)) {
				cs.Proof, cs.From = &wire.Proof{At: p.At}, p.From
			}
		}
		if _, err := h.carrier(c.Carrier, netip.Addr{}); err != nil {
			_, cs.Hint = refusal(err)
		}
		st.Carriers = append(st.Carriers, cs)
	}
	st.Links, st.Failures = h.listening()
	st.Page = h.pageStatus()
	return st
}

// listening lists the link ports that are open and the sockets that are not. A host without IPv6 lacks nothing.
func (h *Host) listening() (links []netip.AddrPort, failures []Failure) {
	h.mu.Lock()
	defer h.mu.Unlock()
	open := make(map[string]bool)
	for _, l := range h.opened {
		if l.err == nil {
			open[l.what] = true
		}
		if l.err == nil && l.link {
			links = append(links, l.local)
		}
	}
	for _, l := range h.opened {
		if l.err == nil || l.page || open[l.what] && l.local.Addr() == netip.IPv6Unspecified() {
			continue
		}
		why, hint := refusal(l.err)
		failures = append(failures, Failure{What: l.what, Local: l.local, Why: why, Hint: hint})
	}
	return links, failures
}

func (h *Host) pageStatus() (st PageStatus) {
	h.mu.Lock()
	defer h.mu.Unlock()
	for _, l := range h.opened {
		if !l.page {
			continue
		}
		st.Asked = true
		if l.err == nil {
			st.Ready = true
		} else if st.Why == "" {
			st.Why, _ = refusal(l.err)
		}
	}
	if st.Ready {
		st.Why = ""
	}
	return st
}

// carriers says of every carrier whether it is heard on own, or for the zero Addr, on any address.
func (s *Server) carriers(own netip.Addr) []wire.CarrierState {
	var states []wire.CarrierState
	for _, r := range s.cfg.Responders {
		for _, c := range r.Carriers() {
			states = append(states, s.carrier(c, own))
		}
	}
	return states
}

func (s *Server) carrier(c wire.Carrier, own netip.Addr) wire.CarrierState {
	state := s.listensFor(c, own)
	state.Owners = s.host.ownersOf(c)
	return state
}

func (s *Server) listensFor(c wire.Carrier, own netip.Addr) wire.CarrierState {
	ready, err := s.host.carrier(c, own)
	switch {
	case ready:
		return wire.CarrierState{Carrier: c, Ready: true, SYNs: s.host.watched(c, own), NIC: !own.Is6() && s.host.atNIC(c)}
	case err != nil:
		why, _ := refusal(err)
		return wire.CarrierState{Carrier: c, Why: why}
	}
	return wire.CarrierState{Carrier: c, Why: fmt.Sprintf("this server does not listen for %.40q", string(c))}
}

// refusal is an error of opening a socket in words, and what to do about it.
func refusal(err error) (why, hint string) {
	if _, why, hint, ok := sock.Refusal(err); ok {
		return why, hint
	}
	return err.Error(), ""
}
