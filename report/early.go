package report

import (
	"slices"
	"time"

	"vpncheck/probe"
)

// memory is how long routers remember what has no ports, on Linux: until then they may act by a setting that is no more (T26).
const memory = 600 * time.Second

// tooEarly says of a protocol that was tried that a setting of the router was changed so short a time ago that what the router remembers may
// have decided, for better or worse. A restart since then has made it forget. What begins on fresh ports each time, as PPTP's call does, is
// not touched; PPTP's tunnel is.
func tooEarly(info probe.Info, f probe.Finding, c probe.Circumstances) (probe.Evidence, bool) {
	r := gateway(c)
	restarted := r != nil && r.Uptime > 0 && r.Uptime < c.Changed
	if c.Changed <= 0 || c.Changed >= memory || restarted || f.Verdict == probe.Untested || !remembered(info, f) {
		return probe.Evidence{}, false
	}
	return probe.Evidence{Reason: probe.EvTooEarly, Args: map[string]any{"minutes": int(c.Changed/time.Minute) + 1}}, true
}

// remembered says whether a router can have remembered what decided: the stage that decided has fixed ports, or none.
func remembered(info probe.Info, f probe.Finding) bool {
	for _, stage := range info.Stages {
		if stage.ID == f.Stage {
			return !stage.Carrier.TCP()
		}
	}
	return false
}

// wait is the advice where anything was tried too early: whatever else there is to do, it is not known yet. What the laptop or the server did
// no router remembers.
func wait(ps []Protocol, did *Diagnosis, advice string) string {
	if did != nil && (did.Culprit == CulpritLaptop || did.Culprit == CulpritServer) {
		return advice
	}
	if !anyTooEarly(ps) {
		return advice
	}
	return "Restart the router or wait ten minutes, and run the check again: a setting was changed just now."
}

// tooSoon says in the headline's first sentence what wait says in the advice.
func tooSoon(ps []Protocol, did *Diagnosis, headline string) string {
	if did != nil && (did.Culprit == CulpritLaptop || did.Culprit == CulpritServer) || !anyTooEarly(ps) {
		return headline
	}
	return "Too early to trust, a setting of the router was changed just now: " + headline
}

func anyTooEarly(ps []Protocol) bool {
	return slices.ContainsFunc(ps, func(p Protocol) bool {
		return slices.ContainsFunc(p.Because, func(n Note) bool { return n.Reason == probe.EvTooEarly })
	})
}
