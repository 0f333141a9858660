package report

import "vpncheck/probe"

// countedBy is how many packets of a train the router's counters counted, beyond what it sends anyway.
func countedBy(t probe.Train) (out, back int, ok bool) {
	r := t.Readings
	if len(r) < 2 {
		return 0, 0, false
	}
	return int(r[len(r)-1].Sent - r[0].Sent), int(r[len(r)-1].Received - r[0].Received), true
}
