package view

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"vpncheck/probe"
	"vpncheck/report"
)

func works(id string) report.Protocol {
	return report.Protocol{ID: id, Title: strings.ToUpper(id), Verdict: probe.Passed, Parts: []report.Part{{Verdict: probe.Passed}, {Verdict: probe.Passed}}}
}

// What there is something to tell of is told in full.
func TestFold(t *testing.T) {
	change := func(f func(*report.Protocol)) report.Protocol { x := works("x"); f(&x); return x }
	others := []report.Protocol{works("a"), works("b"), works("c")}
	for name, tt := range map[string]struct {
		x      report.Protocol
		folded bool
	}{
		"works":     {works("x"), true},
		"ah":        {change(func(x *report.Protocol) { x.Verdict, x.Reason = probe.Altered, probe.AHThroughNAT }), true},
		"fails":     {change(func(x *report.Protocol) { x.Verdict, x.Reason = probe.BlockedOut, probe.NoArrival }), false},
		"slow":      {change(func(x *report.Protocol) { x.Reason = probe.RateLimit }), false},
		"remark":    {change(func(x *report.Protocol) { x.Remarks = []string{"A note."} }), false},
		"part":      {change(func(x *report.Protocol) { x.Parts[1].Verdict = probe.BlockedOut }), false},
		"part-slow": {change(func(x *report.Protocol) { x.Parts[1].Reason = probe.RateLimit }), false},
		"untested":  {change(func(x *report.Protocol) { x.Verdict = probe.Untested }), false},
	} {
		full, folded := fold(append(others, tt.x), Options{})
		if got := len(folded) == 4; got != tt.folded || len(full)+len(folded) != 4 {
			t.Errorf("%s: folded is %v, want %v: %d in full, %d folded", name, got, tt.folded, len(full), len(folded))
		}
	}
	if full, _ := fold(others, Options{Verbose: true}); len(full) != 3 {
		t.Errorf("--verbose folds: %d in full, want 3", len(full))
	}
	if full, _ := fold(others[:2], Options{}); len(full) != 2 {
		t.Errorf("two are folded: %d in full, want 2", len(full))
	}
}

// Nothing that one of them has of its own is lost where others say "the same".
func TestStories(t *testing.T) {
	fails := func(f func(*report.Protocol)) report.Protocol {
		x := report.Protocol{ID: "x", Verdict: probe.BlockedOut, Reason: probe.UDPFiltered, Sentence: "No UDP.", Diagnosis: &report.Diagnosis{Culprit: report.CulpritUnknown},
			Parts: []report.Part{{Verdict: probe.BlockedOut, Reason: probe.UDPFiltered}}}
		f(&x)
		return x
	}
	first := fails(func(x *report.Protocol) { x.Weak, x.Remarks = "Old.", []string{"A note."} })
	for name, tt := range map[string]struct {
		x    report.Protocol
		same bool
	}{
		"same":        {fails(func(*report.Protocol) {}), true},
		"other":       {fails(func(x *report.Protocol) { x.Reason, x.Parts = probe.NoArrival, nil }), false},
		"sentence":    {fails(func(x *report.Protocol) { x.Sentence = "No UDP at all." }), false},
		"verdict":     {fails(func(x *report.Protocol) { x.Verdict = probe.BlockedBack }), false},
		"named":       {fails(func(x *report.Protocol) { x.Diagnosis.Culprit = report.CulpritRouter }), false},
		"weak":        {fails(func(x *report.Protocol) { x.Weak = "Old." }), false},
		"remark":      {fails(func(x *report.Protocol) { x.Remarks = []string{"A note."} }), false},
		"translation": {fails(func(x *report.Protocol) { x.Translation = []report.Row{{Over: "UDP 500"}} }), false},
		"part":        {fails(func(x *report.Protocol) { x.Parts[0].Verdict = probe.Passed }), false},
	} {
		if got := len(stories([]report.Protocol{first, tt.x}, Options{})) == 1; got != tt.same {
			t.Errorf("%s: told together is %v, want %v", name, got, tt.same)
		}
		if n := len(stories([]report.Protocol{first, tt.x}, Options{Verbose: true})); n != 2 {
			t.Errorf("%s: --verbose has %d, want 2", name, n)
		}
	}
}

func TestTranslations(t *testing.T) {
	if got, want := carriers([]string{"UDP 500", "UDP 4500", "GRE", "TCP 443", "TCP 1194"}), "UDP 500, 4500, GRE, TCP 443, 1194"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
	var ts translations
	port := func(over, before, after string) report.Protocol {
		text := "source port " + before + " became " + after + " (harmless)"
		if before == after {
			text = "source port kept (" + before + ")"
		}
		return report.Protocol{Translation: []report.Row{{Over: over, Way: probe.WayOut, Field: "source port", Before: before, After: after, Same: before == after, Count: 1, Text: text}}}
	}
	for _, x := range []report.Protocol{port("UDP 500", "500", "500"), port("UDP 1194", "40112", "40112"), port("UDP 4500", "4500", "61007"), port("UDP 51820", "40113", "61008"),
		port("UDP 500", "500", "500")} {
		ts.add(x)
	}
	var got []string
	for _, x := range ts {
		got = append(got, carriers(x.overs)+": "+strings.SplitN(x.text, ".", 2)[0])
	}
	want := []string{"UDP 500, 1194: source port kept", "UDP 4500, 51820: source port rewritten (harmless)"}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}

// The data of PPTP and plain GRE are told apart: a NAT's helper changes the one and not the other.
func TestTwoKindsOfGRE(t *testing.T) {
	var ts translations
	for _, id := range []string{"pptp", "gre"} {
		ts.add(report.Protocol{ID: id, Translation: []report.Row{{Over: "GRE", Way: probe.WayOut, Field: "call-id", Before: "1", After: "2", Count: 1, Text: id}}})
	}
	if len(ts) != 2 || carriers(ts[0].overs) != "PPTP" || carriers(ts[1].overs) != "GRE" {
		t.Errorf("got %+v", ts)
	}
}

// Where nothing was tried, that is one paragraph, and nobody explains the words in it.
func TestNothingWasTried(t *testing.T) {
	r := fixture(worlds["portal"])
	for _, id := range []string{"IKE", "ESP", "SSTP"} {
		r.Protocols = append(r.Protocols, report.Protocol{ID: id, Title: id, Verdict: probe.Untested, Reason: probe.CaptivePortal})
	}
	text := render(t, r, Options{})
	if !strings.Contains(text, "\nNot tried [untested]: PPTP; GRE; IKE; ESP; SSTP.\n") || strings.Contains(text, "Words:") {
		t.Errorf("got:\n%s", text)
	}
}
