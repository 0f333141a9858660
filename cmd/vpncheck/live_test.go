package main

import (
	"encoding/json"
	"strings"
	"testing"
	"unicode"

	"vpncheck/probe"
	"vpncheck/report"
	"vpncheck/report/view"
)

// What happens after the verdicts is told, too.
func TestLiveWitness(t *testing.T) {
	for _, moving := range []bool{false, true} {
		var out strings.Builder
		l := newLive(&out, view.Options{Width: 80}, allProbes())
		l.moving = moving
		l.on(probe.Event{Kind: "witness"})
		if want := "looking for who stopped it"; !strings.HasPrefix(out.String(), want) {
			t.Errorf("got %q, want %q", out.String(), want)
		}
	}
}

// What no router can help is shown last and without the colours of a failure; if the report says something else in the end, that is told.
func TestLive(t *testing.T) {
	verdict := func(id string, v probe.Verdict, r probe.Reason) probe.Event {
		return probe.Event{Kind: "verdict", Protocol: id, Finding: &probe.Finding{Protocol: id, Verdict: v, Reason: r}}
	}
	show := func(early bool, final probe.Verdict) string {
		var out strings.Builder
		l := newLive(&out, view.Options{Color: true}, allProbes())
		l.on(verdict("ah", probe.Altered, probe.AHThroughNAT))
		l.on(verdict("gre", probe.Passed, ""))
		l.on(probe.Event{Kind: "done"})
		l.end(report.Report{Protocols: []report.Protocol{{ID: "gre", Verdict: final}}}, early)
		return out.String()
	}
	got := show(false, probe.Passed)
	gre, ah := strings.Index(got, "GRE"), strings.Index(got, "AH: ")
	if gre < 0 || ah < gre || strings.Contains(got[ah:], "\x1b") || !strings.Contains(got[:ah], "\x1b") || strings.Contains(got, "early") {
		t.Errorf("got %q, want GRE first, in colours, and AH last, without", got)
	}
	if got, want := show(true, probe.Inconclusive), "The run ended early: the report below counts, not these lines.\n"; !strings.HasSuffix(got, want) {
		t.Errorf("got %q, want %q at its end", got, want)
	}
	if got, want := show(false, probe.Inconclusive), "Afterwards a verdict changed: the report below counts, not these lines.\n"; !strings.HasSuffix(got, want) ||
		strings.Contains(got, "early") {
		t.Errorf("got %q, want %q at its end", got, want)
	}
}

// A run that comes only to prove has no verdicts to show.
func TestLiveProve(t *testing.T) {
	var out strings.Builder
	l := newLive(&out, view.Options{}, allProbes())
	l.silent = true
	l.on(probe.Event{Kind: "verdict", Protocol: "gre", Finding: &probe.Finding{Protocol: "gre", Verdict: probe.Inconclusive}})
	l.on(probe.Event{Kind: "done"})
	if out.Len() > 0 || l.said {
		t.Errorf("got %q, want nothing", out.String())
	}
}

// Events may go to a terminal, and hold what others sent.
func TestEventsPrintable(t *testing.T) {
	var out strings.Builder
	why := "\u009b31m\u202e\x1b[2J\n"
	ev := &events{w: &out, close: func() error { return nil }}
	for range 2 {
		ev.on(probe.Event{Kind: "verdict", Finding: &probe.Finding{Because: []probe.Evidence{{Reason: probe.EvWhy, Args: map[string]any{"why": why}}}}})
	}
	if err := ev.end(); err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(out.String()) {
		var e probe.Event
		if err := json.Unmarshal([]byte(line), &e); err != nil || e.Finding.Because[0].Args["why"] != why {
			t.Errorf("got %v, %v", e, err)
		}
		if line = strings.TrimSuffix(line, "\n"); strings.ContainsFunc(line, func(c rune) bool { return !unicode.IsPrint(c) }) {
			t.Errorf("%q does not print", line)
		}
	}
	if n := strings.Count(out.String(), "\n"); n != 2 {
		t.Errorf("%d lines, want 2", n)
	}
}

// What is under way fits the line, and no name is cut in two.
func TestFitting(t *testing.T) {
	names := []string{"SSTP", "IKE (UDP 500)", "PPTP"}
	for width, want := range map[int]string{80: "SSTP, IKE (UDP 500), PPTP", 25: "SSTP, IKE (UDP 500), PPTP", 24: "SSTP and 2 more", 3: "SSTP and 2 more"} {
		if got := fitting(names, width); got != want {
			t.Errorf("%d: got %q, want %q", width, got, want)
		}
	}
	if got := fitting(nil, 80); got != "" {
		t.Errorf("got %q of nothing", got)
	}
}
