package view

import (
	"github.com/fatih/color"

	"vpncheck/probe"
	"vpncheck/report"
)

// verdicts are the eight words as a person would say them, after "PPTP: ".
var verdicts = map[probe.Verdict]struct {
	words string
	paint color.Attribute
}{
	probe.Passed:       {"works", color.FgGreen},
	probe.Altered:      {"changed on the way, and fails", color.FgRed},
	probe.BlockedOut:   {"does not get out", color.FgRed},
	probe.BlockedBack:  {"answers do not come back", color.FgRed},
	probe.Stalled:      {"begins and then stops", color.FgRed},
	probe.Hijacked:     {"something else answers", color.FgRed},
	probe.Inconclusive: {"undecided", color.FgYellow},
	probe.Untested:     {"not tried", color.FgYellow},
}

// words says a verdict; one from a newer version speaks for itself.
func words(v probe.Verdict, r probe.Reason) string {
	if report.Expected(v, r) {
		return "cannot work behind a NAT, as is to be expected"
	}
	if report.Slowly(v, r) {
		return "works, but only slowly"
	}
	if x, ok := verdicts[v]; ok {
		return x.words
	}
	return report.Clean(string(v), 40)
}

func paint(v probe.Verdict, r probe.Reason) color.Attribute {
	if x, ok := verdicts[v]; ok && !report.Expected(v, r) && !report.Slowly(v, r) {
		return x.paint
	}
	return color.FgYellow
}
