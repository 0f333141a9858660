package view

import (
	"regexp"
	"strings"
	"testing"

	"vpncheck/probe"
	"vpncheck/report"
)

// A report of an older version has no diagnosis, and none is made up for it.
func TestReportWithoutDiagnosis(t *testing.T) {
	for name, w := range everyWorld() {
		r := fixture(w)
		r.Diagnosis, r.NATs = nil, nil
		for i := range r.Protocols {
			r.Protocols[i].Diagnosis = nil
		}
		for _, o := range []Options{{}, {Verbose: true}} {
			text := render(t, r, o)
			if found := regexp.MustCompile(`Who( did it)?:|There (is|are) (probably )?(a|one|two) NAT`).FindString(text); found != "" {
				t.Errorf("%s has %q", name, found)
			}
		}
	}
}

// A diagnosis of a newer version, with words that this one does not know, is told as it stands.
func TestDiagnosisOfTomorrow(t *testing.T) {
	r := fixture(worlds["no-helper"])
	r.Diagnosis = &report.Diagnosis{Protocol: "pptp", Culprit: "neighbour", Confidence: "sworn", Reason: "tomorrow", Sentence: "Your neighbour did it."}
	r.Protocols[0].Diagnosis = &report.Diagnosis{Culprit: "neighbour", Confidence: "sworn", Reason: "tomorrow", Sentence: "Your neighbour did it."}
	text := render(t, r, Options{Verbose: true})
	if !strings.Contains(text, "Who did it: Your neighbour did it.\n") || !strings.Contains(text, "Who: Your neighbour did it. [neighbour, sworn]") {
		t.Errorf("got:\n%s", text)
	}
}

// The words of the file format are for those who ask for everything.
func TestWhoInPlainWords(t *testing.T) {
	r := fixture(worlds["no-helper"])
	r.Diagnosis = nil
	for verbose, want := range map[bool]bool{false: false, true: true} {
		if text := render(t, r, Options{Verbose: verbose}); strings.Contains(text, "[router, likely]") != want || !strings.Contains(text, "Who: Most likely your router stops PPTP") {
			t.Errorf("verbose %t: got:\n%s", verbose, text)
		}
	}
}

// The same kind of evidence against the same culprit is told at length once, and of each protocol when verbose; another kind is told too.
func TestWhoOnce(t *testing.T) {
	r := fixture(ipsecWorlds["seven"])
	r.Diagnosis = nil
	d := func(reason probe.Reason, says string) *report.Diagnosis {
		return &report.Diagnosis{Culprit: report.CulpritISP, Confidence: report.Likely, Reason: reason, Sentence: says}
	}
	for i, d := range []*report.Diagnosis{d("passed-the-router", "The first."), d("passed-the-router", "The second."), d("left-the-router", "The third.")} {
		x := &r.Protocols[i]
		x.Verdict, x.Reason, x.Diagnosis = probe.BlockedOut, probe.NoArrival, d
	}
	for verbose, want := range map[bool]string{false: "Who: your internet provider (likely), as for PPTP.", true: "Who: The second."} {
		text := render(t, r, Options{Verbose: verbose})
		for _, want := range []string{"Who: The first.", want, "Who: The third."} {
			if strings.Count(text, want) != 1 {
				t.Errorf("verbose %t: got %d times %q, want it once, in:\n%s", verbose, strings.Count(text, want), want, text)
			}
		}
	}
}

// A remark that holds for several protocols is told once.
func TestRemarkOnce(t *testing.T) {
	r := fixture(ipsecWorlds["seven"])
	long := strings.Repeat("Too early to trust. ", 8) + "End."
	for i := range r.Protocols {
		r.Protocols[i].Remarks = []string{long}
	}
	text := strings.Join(strings.Fields(render(t, r, Options{})), " ")
	if n, m := strings.Count(text, "trust. End."), strings.Count(text, "Note: The same note as for PPTP."); n != 1 || m != len(r.Protocols)-1 {
		t.Errorf("told %d times, and pointed to %d times:\n%s", n, m, text)
	}
}

// What the summary has said of a protocol is not said again with it, but who it was is.
func TestWhoIsToldOnce(t *testing.T) {
	r := fixture(ipsecWorlds["seven-no-helper"])
	text := strings.Join(strings.Fields(render(t, r, Options{})), " ")
	if n := strings.Count(text, "no device on the way translates PPTP's call numbers"); n != 2 { // above and below a long report
		t.Errorf("the sentence stands there %d times:\n%s", n, text)
	}
	if !strings.Contains(text, "Who: your router (likely).") {
		t.Errorf("PPTP does not say who:\n%s", text)
	}
	for _, p := range r.Protocols {
		if p.Verdict == probe.Altered && strings.Contains(text, p.Diagnosis.Sentence) {
			t.Errorf("nobody is to blame, and it is told:\n%s", text)
		}
	}
}
