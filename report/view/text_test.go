package view

import (
	"bytes"
	"flag"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"unicode"

	"github.com/google/go-cmp/cmp"

	"vpncheck/probe"
	"vpncheck/report"
)

var update = flag.Bool("update", false, "make the reports of testdata anew, judged by today's law, and rewrite their texts")

// variants are the texts of one report, by the end of the file's name; all reports have the first.
var variants = map[string]Options{
	"":         {},
	"-verbose": {Verbose: true},
	"-color":   {Color: true},
}

func TestText(t *testing.T) {
	if *update {
		for name, w := range everyWorld() {
			var buf bytes.Buffer
			if err := fixture(w).WriteJSON(&buf); err != nil {
				t.Fatal(err)
			}
			write(t, name+".json", buf.Bytes())
		}
	}
	for _, name := range slices.Sorted(maps.Keys(everyWorld())) {
		t.Run(name, func(t *testing.T) {
			text, err := os.ReadFile(filepath.Join("testdata", name+".json"))
			if err != nil {
				t.Fatal(err)
			}
			r, err := report.Read(bytes.NewReader(text))
			if err != nil {
				t.Fatal(err)
			}
			var again bytes.Buffer
			if err := r.WriteJSON(&again); err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(string(text), again.String()); diff != "" {
				t.Errorf("the report, read and written, differs (-want +got):\n%s", diff)
			}
			for end, o := range variants {
				if end == "" || name == "no-helper" || name == "payload-altered" && o.Verbose {
					golden(t, name+end+".txt", render(t, r, o))
				}
			}
		})
	}
}

func everyWorld() map[string]world {
	all := maps.Clone(worlds)
	maps.Copy(all, ipsecWorlds)
	maps.Copy(all, thirteenWorlds)
	return all
}

func render(t *testing.T, r report.Report, o Options) string {
	t.Helper()
	var buf strings.Builder
	if err := Text(&buf, r, o); err != nil {
		t.Fatal(err)
	}
	return buf.String()
}

func golden(t *testing.T, name, got string) {
	t.Helper()
	if *update {
		write(t, name, []byte(got))
	}
	want, err := os.ReadFile(filepath.Join("testdata", name))
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(want), got); diff != "" {
		t.Errorf("%s (-want +got):\n%s", name, diff)
	}
}

func write(t *testing.T, name string, text []byte) {
	t.Helper()
	if err := os.WriteFile(filepath.Join("testdata", name), text, 0o644); err != nil {
		t.Fatal(err)
	}
}

// evil is text that a hostile server or router would send.
const evil = "\x1b[2J\x1b]0;owned\x07 \u009b31m \u202egnp \u200b \x00 {title} %s " + "日本語日本語日本語日本語日本語日本語日本語日本語日本語日本語日本語日本語日本語日本語 z\u0301\u0301 \xff \U000e0041 "

// spoil puts evil text into every string of a report.
func spoil(t *testing.T, r report.Report) report.Report {
	t.Helper()
	var buf bytes.Buffer
	if err := r.WriteJSON(&buf); err != nil {
		t.Fatal(err)
	}
	out, err := report.Read(&buf)
	if err != nil {
		t.Fatal(err)
	}
	long := evil + strings.Repeat("w", 300)
	out.Summary.Headline, out.Summary.Advice, out.Tool.Name, out.Tool.Version = long, long, long, long
	out.Circumstances.Server.Host, out.Circumstances.Laptop.VPN = long, long
	for i := range out.VPNs {
		v := &out.VPNs[i]
		v.ID, v.Title, v.Sentence, v.Because = long, long, long, []report.Note{{Text: long}}
	}
	out.Recommendation = &report.Recommendation{Text: long}
	out.Aim = &report.Aim{VPN: long, Headline: long, Now: long, Network: long, IT: long}
	for i := range out.Notes {
		out.Notes[i].Text = long
	}
	if to := out.To; to != nil {
		to.Host, to.Headline, to.Advice, to.Notes = long, long, long, []report.Note{{Text: long}}
		to.Diagnosis = &report.Diagnosis{Sentence: long}
		for i := range to.Answers {
			a := &to.Answers[i]
			a.Title, a.Short, a.Sentence, a.Next, a.Because = long, long, long, long, []report.Note{{Reason: probe.EvOwnStandsIn, Text: long}}
		}
		for i := range to.Openings {
			to.Openings[i].Told = []probe.Told{{What: long, Text: long}}
			for j := range to.Openings[i].Stages {
				for k := range to.Openings[i].Stages[j].Exchanges {
					e := &to.Openings[i].Stages[j].Exchanges[k]
					e.ID, e.Stage, e.Refused, e.Sent.Why = long, long, long, long
				}
			}
		}
	}
	for i := range out.Protocols {
		x := &out.Protocols[i]
		x.ID, x.Title, x.Sentence, x.Next, x.Weak, x.Stage = long, long, long, long, long, long
		for j := range x.Because {
			x.Because[j].Text, x.Because[j].Exchanges = long, []string{long}
		}
		for j := range x.Translation {
			x.Translation[j].Text, x.Translation[j].Over = long, long
		}
		for j := range x.Parts {
			x.Parts[j].Title, x.Parts[j].Sentence, x.Parts[j].Verdict = long, long, "new"
		}
		for j := range x.Observation.Exchanges {
			e := &x.Observation.Exchanges[j]
			e.ID, e.Stage, e.SendErr, e.Silent, e.Sent.Why, e.Arrived.Why = long, long, long, long, long, long
		}
	}
	if n := out.Circumstances.NoSession; n != nil {
		for i := range n.Tried {
			n.Tried[i].Result, n.Tried[i].Detail = long, long
		}
	}
	return out
}

func TestWidthAndSafety(t *testing.T) {
	some := maps.Clone(worlds)
	for _, name := range []string{"seven-no-privilege", "seven-state-clash", "thirteen-only-443"} {
		some[name] = everyWorld()[name]
	}
	reports := ownReports()
	for name, w := range some {
		reports[name] = fixture(w)
	}
	for name, r := range reports {
		for _, r := range []report.Report{r, spoil(t, r)} {
			for _, width := range []int{40, 53, 132} {
				plain := render(t, r, Options{Width: width, Verbose: true})
				for _, line := range strings.Split(plain+render(t, r, Options{Width: width}), "\n") {
					if n := columns(line); n > width {
						t.Fatalf("%s: %d columns, want at most %d: %q", name, n, width, line)
					}
					for _, c := range line {
						if !unicode.IsPrint(c) {
							t.Fatalf("%s: %U in %q", name, c, line)
						}
					}
					if strings.TrimRight(line, " ") != line {
						t.Errorf("%s: %q ends in a space", name, line)
					}
				}
				if got := escapes.ReplaceAllString(render(t, r, Options{Width: width, Verbose: true, Color: true}), ""); got != plain {
					t.Errorf("%s: colour changes more than colour (-plain +colour):\n%s", name, cmp.Diff(plain, got))
				}
			}
		}
	}
}

var escapes = regexp.MustCompile("\x1b\\[[0-9;]*m")

// Each line switches its colour off again, so that a pager may show any of them alone.
func TestColorEndsOnItsLine(t *testing.T) {
	for _, line := range strings.Split(render(t, fixture(worlds["no-helper"]), Options{Color: true}), "\n") {
		if all := escapes.FindAllString(line, -1); len(all)%2 != 0 {
			t.Errorf("%q: got %d escapes, want pairs", line, len(all))
		}
	}
}

// The answer is never cut, and stands where a terminal stops.
func TestSummaryIsWholeAndLast(t *testing.T) {
	r := fixture(ipsecWorlds["seven-no-privilege"])
	r.Summary.Headline = strings.Repeat("A does not work. ", 40) + "This is its end."
	text := render(t, r, Options{})
	if n := strings.Count(text, "end.\nWhat to do:"); n != 2 || strings.Contains(text, "...") {
		t.Errorf("the whole summary stands there %d times, want twice:\n%s", n, text)
	}
	if text := render(t, fixture(worlds["portal"]), Options{}); strings.Count(text, "What to do:") != 1 {
		t.Errorf("a short report repeats its summary:\n%s", text)
	}
}

// What ended the run is told once, and the others point to the one that tells it.
func TestEndOfRunIsToldOnce(t *testing.T) {
	c := worlds["all-passed"].circumstances()
	c.Stop = &probe.Stop{Reason: probe.SessionLost, Args: map[string]any{"why": "EOF"}}
	fs := []probe.Finding{{Protocol: "pptp", Verdict: probe.Inconclusive, Reason: probe.SessionLost}, {Protocol: "gre", Verdict: probe.Untested, Reason: probe.SessionLost},
		{Protocol: "x", Verdict: probe.Untested, Reason: probe.SessionLost}}
	o := fixture(worlds["all-passed"]).Protocols[0].Observation
	text := render(t, report.New(probe.Result{Findings: fs, Circumstances: c, Observations: []probe.Observation{o}}, []probe.Probe{probe.PPTP{}, probe.GRE{}}, report.Tool{}), Options{})
	for want, n := range map[string]int{"Either the server": 1, "EOF": 0, "same reason as PPTP": 1, "The same, for the same reason: X.": 1, "same reason as GRE": 0} {
		if got := strings.Count(strings.Join(strings.Fields(text), " "), want); got != n {
			t.Errorf("%q stands there %d times, want %d:\n%s", want, got, n, text)
		}
	}
}

func TestVerdict(t *testing.T) {
	var buf strings.Builder
	for _, f := range []probe.Finding{
		{Verdict: probe.Passed},
		{Verdict: probe.BlockedBack, Reason: probe.NoPPTPHelper},
		{Verdict: probe.Hijacked, Reason: probe.AnsweredByAnother},
		{Verdict: probe.Passed, Because: []probe.Evidence{{Reason: probe.EvStandsIn, Args: map[string]any{"part": "from another port"}}}},
		{Verdict: probe.Passed, Reason: probe.RateLimit},
		{Verdict: "new", Reason: "newer"},
	} {
		if err := Verdict(&buf, "PPTP", f, Options{Width: 100}); err != nil {
			t.Fatal(err)
		}
	}
	want := `PPTP: works [passed]
PPTP: answers do not come back [blocked-back] your router's PPTP passthrough is off or missing
PPTP: something else answers [hijacked]
PPTP: works [passed] tested only in the form "from another port"
PPTP: works, but only slowly [passed] there is a rate limit on the way
PPTP: new [new] this report uses a word that this version does not know
`
	if diff := cmp.Diff(want, buf.String()); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
}

func TestWrap(t *testing.T) {
	for _, x := range []struct {
		text        string
		first, rest int
		want        []string
	}{
		{"", 10, 8, []string{""}},
		{"one two three", 7, 5, []string{"one two", "three"}},
		{"abcdefghijkl", 5, 4, []string{"abcde", "fghi", "jkl"}},
		{"a bcdefghijkl m", 5, 4, []string{"a", "bcde", "fghi", "jkl", "m"}},
		{"日本語", 4, 4, []string{"日本", "語"}},
	} {
		if diff := cmp.Diff(x.want, wrap(x.text, x.first, x.rest)); diff != "" {
			t.Errorf("%q -want +got:\n%s", x.text, diff)
		}
	}
}

// A report from anybody must neither stop the program nor reach the terminal raw.
func FuzzText(f *testing.F) {
	for _, w := range []string{"no-helper", "portal", "no-privilege"} {
		var buf bytes.Buffer
		if err := fixture(worlds[w]).WriteJSON(&buf); err != nil {
			f.Fatal(err)
		}
		f.Add(buf.Bytes())
	}
	for _, own := range []string{"own-alone", "own-no-name", "own-beside-vpn"} {
		var buf bytes.Buffer
		if err := ownReports()[own].WriteJSON(&buf); err != nil {
			f.Fatal(err)
		}
		f.Add(buf.Bytes())
	}
	f.Add([]byte(`{"schema":"vpncheck-report/1","to":{"answers":[{"id":"x","title":"\u001b"},{}],"openings":[{"told":[{}]}]}}`))
	f.Add([]byte(`{"schema":"vpncheck-report/1","protocols":[{"observation":{"exchanges":[{"sent":{"state":"seen","bytes":"00"}}]}}]}`))
	f.Fuzz(func(t *testing.T, b []byte) {
		r, err := report.Read(bytes.NewReader(b))
		if err != nil {
			return
		}
		for _, r := range []report.Report{r, r.For("ikev2", 809)} {
			for _, c := range render(t, r, Options{Verbose: true}) + render(t, r, Options{}) {
				if c != '\n' && !unicode.IsPrint(c) {
					t.Fatalf("%U reached the terminal", c)
				}
			}
		}
	})
}
