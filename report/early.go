package report

import (
	"time"

	"vpncheck/probe"
	"vpncheck/probe/wire"
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
			return stage.Carrier != wire.CarrierPPTP
		}
	}
	return false
}
