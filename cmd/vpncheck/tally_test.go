package main

import (
	"strings"
	"testing"
	"time"

	"vpncheck/probe"
	"vpncheck/report"
	"vpncheck/testserver/netlab"
)

// TestCompared is the table of what counts as right.
func TestCompared(t *testing.T) {
	blocked := netlab.Expect{Verdict: "blocked-out", Reason: "esp-out-dropped"}
	row := func(e netlab.Expect, named string) netlab.Router {
		r := netlab.Router{Name: "x", Did: "isp", Expect: map[string]netlab.Expect{"esp": e}}
		if named != "" {
			r.Named = map[string]string{"esp": named}
		}
		return r
	}
	lossy := row(blocked, "")
	lossy.Lossy = true
	tests := []struct {
		name                     string
		router                   netlab.Router
		verdict                  probe.Verdict
		reason                   probe.Reason
		culprit                  report.Culprit // "": no diagnosis
		right, slandered, missed bool
	}{
		{"named", row(blocked, ""), probe.BlockedOut, probe.ESPOutDropped, "isp", true, false, false},
		{"unknown-where-it-shows", row(blocked, ""), probe.BlockedOut, probe.ESPOutDropped, "unknown", true, false, true},
		{"no-diagnosis", row(blocked, ""), probe.BlockedOut, probe.ESPOutDropped, "", true, false, true},
		{"slandered", row(blocked, ""), probe.BlockedOut, probe.ESPOutDropped, "router", true, true, false},
		{"honest", row(blocked, "unknown"), probe.BlockedOut, probe.ESPOutDropped, "unknown", true, false, false},
		{"slandered-without-evidence", row(blocked, "unknown"), probe.BlockedOut, probe.ESPOutDropped, "router", true, true, false},
		{"cleverer", row(blocked, "unknown"), probe.BlockedOut, probe.ESPOutDropped, "isp", true, false, false},
		{"other-reason", row(blocked, ""), probe.BlockedOut, probe.NoArrival, "isp", false, false, false},
		{"false-block", row(netlab.Expect{Verdict: "passed"}, ""), probe.BlockedOut, probe.ESPOutDropped, "unknown", false, true, false},
		{"nothing-to-blame", row(netlab.Expect{Verdict: "passed"}, ""), probe.Passed, "", "", true, false, false},
		{"blamed-for-nothing", row(netlab.Expect{Verdict: "passed"}, ""), probe.Passed, "", "isp", true, true, false},
		{"gave-up", lossy, probe.Inconclusive, probe.TooLossy, "", true, false, false},
		{"no-session", lossy, probe.Untested, probe.NoSession, "", true, false, false},
		{"no-session-on-a-good-line", row(blocked, ""), probe.Untested, probe.NoSession, "", false, false, true},
		{"session-lost", lossy, probe.Untested, probe.SessionLost, "", true, false, false},
		{"unasked-on-a-bad-line", lossy, probe.Untested, probe.NoPrivilege, "", false, false, true},
		{"gave-up-on-a-good-line", row(blocked, ""), probe.Inconclusive, probe.TooLossy, "", false, false, true},
		{"gave-up-for-another-reason", lossy, probe.Inconclusive, probe.ServerUnproven, "", false, false, true},
		{"wrong-on-a-bad-line", lossy, probe.Passed, "", "", false, false, true},
		{"clash", row(netlab.Expect{Verdict: "inconclusive", Reason: "state-clash"}, ""), probe.Inconclusive, probe.StateClash, "", true, false, false},
		{"clash-blamed", row(netlab.Expect{Verdict: "inconclusive", Reason: "state-clash"}, ""), probe.Inconclusive, probe.StateClash, "isp", true, true, false},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			p := report.Protocol{ID: "esp", Title: "ESP", Verdict: tt.verdict, Reason: tt.reason}
			if tt.culprit != "" {
				p.Diagnosis = &report.Diagnosis{Culprit: tt.culprit}
			}
			c := compared(tt.router, p)
			if c.right() != tt.right || c.slandered() != tt.slandered || c.missed() != tt.missed {
				t.Errorf("got right %v, slandered %v, missed %v: %s", c.right(), c.slandered(), c.missed(), c.sentence())
			}
			if wrong := len(c.mistakes()) > 0; wrong != c.wrong() || wrong != strings.Contains(c.sentence(), "WRONG") {
				t.Errorf("wrong is %v, but the words are %q and %q", c.wrong(), c.mistakes(), c.sentence())
			}
		})
	}
}

// TestTally reads the two tables of many plays.
func TestTally(t *testing.T) {
	blocked := map[string]netlab.Expect{"esp": {Verdict: "blocked-out", Reason: "esp-out-dropped"}, "ike": {Verdict: "passed"}}
	isp := netlab.Router{Name: "isp-esp", Did: "isp", Expect: blocked}
	ingress := netlab.Router{Name: "isp-esp-ingress", Did: "isp", Named: map[string]string{"all": "unknown"}, Expect: blocked}
	m := matrix{counts: true}
	play := func(r netlab.Router, times int, v probe.Verdict, reason probe.Reason, who report.Culprit) {
		esp := report.Protocol{ID: "esp", Title: "ESP", Verdict: v, Reason: reason}
		if who != "" {
			esp.Diagnosis = &report.Diagnosis{Culprit: who}
		}
		for range times {
			m.add(row{router: r, rep: report.Report{Protocols: []report.Protocol{esp, {ID: "ike", Title: "IKE", Verdict: probe.Passed}}}})
		}
	}
	play(isp, 17, probe.BlockedOut, probe.ESPOutDropped, report.CulpritISP)
	play(isp, 1, probe.BlockedOut, probe.ESPOutDropped, report.CulpritUnknown)
	play(isp, 1, probe.BlockedOut, probe.ESPOutDropped, report.CulpritRouter)
	play(isp, 1, probe.Inconclusive, probe.TooLossy, "")
	play(ingress, 20, probe.BlockedOut, probe.ESPOutDropped, report.CulpritUnknown)
	var out strings.Builder
	m.print(&out, time.Minute)
	const want = `Verdicts: a line for each that was expected, a column for each that came

                passed  altered   stall    back     out  hijack       ?       -
passed              40        .       .       .       .       .       .       .
blocked-out          .        .       .       .      39       .       1       .

Who did it: a line for each who did, a column for each who was named

                laptop  router  second-nat     isp  server  nobody  unknown       -
isp                  .       1           .      17       .       .        1       1
isp *                .       .           .       .       .       .       20       .
-                    .       .           .       .       .       .        .      40

*: the evidence cannot tell, and unknown is right; -: nothing was stopped, and nobody is named

Wrong:
   1  isp-esp: ESP WRONG: blamed router, it was isp
   1  isp-esp: ESP WRONG: said inconclusive too-lossy, expected blocked-out esp-out-dropped

Not named, where the evidence tells:
   1  isp-esp: ESP named -, it was isp
   1  isp-esp: ESP named unknown, it was isp

79 of 80 verdicts as expected; 1 undecided (1.2 %), on a very bad line 0
17 of 20 culprits named where the evidence tells (85.0 %), 1 wrongly blamed
in 60.0 seconds
`
	if out.String() != want {
		t.Errorf("got\n%s\nwant\n%s", out.String(), want)
	}
	if m.code(false) != exitNotAll {
		t.Errorf("got status %d, want %d", m.code(false), exitNotAll)
	}
}
