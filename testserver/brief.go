package testserver

import (
	"slices"

	"vpncheck/probe/wire"
	"vpncheck/testserver/gate"
)

// briefTried is how many sessions a brief token is tried against: a stranger's packet must not cost more than a moment.
const briefTried = 64

// brief returns the session and the exchange of a brief token (wire.Brief), or nil. It names no session, so it is tried with the keys of
// those that live at its source; and because a provider's NAT may send it from an address at which none does (T36), of those that wait for
// the carrier. Neither allows anything: the gate decides about the token that the session's own key then makes.
func (h *Host) brief(c wire.Carrier, arrived wire.Sighting, b wire.Brief) (*gate.Session, uint32) {
	sessions := h.gate.SessionsFrom(arrived.Src.Addr())
	sessions = slices.Concat(sessions, h.links.waiting(c, briefTried))
	for _, s := range sessions[:min(len(sessions), briefTried)] {
		if n, ok := s.ReadBrief(c, b); ok {
			return s, n
		}
	}
	return nil, 0
}
