package main

import (
	"fmt"
	"io"
	"slices"
	"strings"

	"vpncheck/probe"
	"vpncheck/report"
	"vpncheck/testserver/netlab"
)

// A tally counts how often what was said of which truth.
type tally struct {
	cells, right     int
	undecided        int // where something else was due
	gaveUp           int // of these: on a line that is so bad that it is right
	decidable, named int
	slanders         int
	verdicts, blames map[[2]string]int
	wrong, missed    map[string]int // lines, by router and protocol
	// vpns are rows of the table of VPNs, and recommendations.
	vpns, vpnsRight, vpnsGaveUp int
}

// note makes room for what is counted by name.
func (t *tally) note() {
	if t.verdicts == nil {
		t.verdicts, t.blames = make(map[[2]string]int), make(map[[2]string]int)
		t.wrong, t.missed = make(map[string]int), make(map[string]int)
	}
}

// cannotTell marks those culprits whom the evidence does not show.
const cannotTell = " *"

func (t *tally) add(r netlab.Router, c comparison) {
	t.note()
	t.cells++
	if c.right() {
		t.right++
	}
	if c.gaveUp {
		t.gaveUp++
	}
	expected, _, _ := strings.Cut(c.expected, " ")
	if c.gaveUp || c.verdict == probe.Inconclusive && expected != string(c.verdict) {
		t.undecided++
	}
	t.verdicts[[2]string{expected, string(c.verdict)}]++
	did := c.did
	if c.did != "" && !c.decidable() {
		did += cannotTell
	}
	t.blames[[2]string{did, c.blamed}]++
	if c.decidable() {
		t.decidable++
		if c.blamed == c.named {
			t.named++
		}
	}
	if c.slandered() {
		t.slanders++
	}
	for _, text := range c.mistakes() {
		t.wrong[fmt.Sprintf("%s: %s %s", r.Name, c.protocol, text)]++
	}
	if c.missed() {
		t.missed[fmt.Sprintf("%s: %s named %s, it was %s", r.Name, c.protocol, orDash(c.blamed), c.did)]++
	}
}

// print writes the two tables, and what was wrong.
func (t *tally) print(w io.Writer) {
	var verdicts []string
	for _, v := range probe.Verdicts {
		verdicts = append(verdicts, string(v))
	}
	fmt.Fprintf(w, "Verdicts: a line for each that was expected, a column for each that came\n\n")
	crossed(w, t.verdicts, verdicts, verdicts, func(v string) string { return short[probe.Verdict(v)] })
	var did, blamed []string
	for _, c := range culprits {
		did = append(did, string(c), string(c)+cannotTell)
		blamed = append(blamed, string(c))
	}
	fmt.Fprintf(w, "\nWho did it: a line for each who did, a column for each who was named\n\n")
	crossed(w, t.blames, append(did, ""), append(blamed, string(report.CulpritUnknown), ""), orDash)
	fmt.Fprintf(w, "\n*: the evidence cannot tell, and unknown is right; -: nothing was stopped, and nobody is named\n")
	listed(w, "Wrong", t.wrong)
	listed(w, "Not named, where the evidence tells", t.missed)
	fmt.Fprintln(w)
}

var culprits = []report.Culprit{report.CulpritLaptop, report.CulpritRouter, report.CulpritSecondNAT, report.CulpritISP, report.CulpritServer,
	report.CulpritNobody}

func orDash(culprit string) string {
	if culprit == "" {
		return "-"
	}
	return culprit
}

// crossed writes a table of counts, without the lines that have none.
func crossed(w io.Writer, counts map[[2]string]int, down, across []string, title func(string) string) {
	const label = 14
	cell := func(a string) int { return max(8, len(title(a))+2) }
	for pair := range counts { // nothing goes uncounted
		if !slices.Contains(down, pair[0]) {
			down = append(down, pair[0])
		}
		if !slices.Contains(across, pair[1]) {
			across = append(across, pair[1])
		}
	}
	line := fmt.Sprintf("%*s", label, "")
	for _, a := range across {
		line += fmt.Sprintf("%*s", cell(a), report.Clean(title(a), 20))
	}
	fmt.Fprintln(w, line)
	for _, d := range down {
		line, sum := fmt.Sprintf("%-*s", label, report.Clean(orDash(d), label)), 0
		for _, a := range across {
			n := counts[[2]string{d, a}]
			sum += n
			switch {
			case n > 0:
				line += fmt.Sprintf("%*d", cell(a), n)
			default:
				line += fmt.Sprintf("%*s", cell(a), ".")
			}
		}
		if sum > 0 {
			fmt.Fprintln(w, line)
		}
	}
}

func listed(w io.Writer, title string, lines map[string]int) {
	if len(lines) == 0 {
		return
	}
	fmt.Fprintf(w, "\n%s:\n", title)
	for _, text := range sortedKeys(lines) {
		fmt.Fprintf(w, "%4d  %s\n", lines[text], report.Clean(text, maxLine))
	}
}

func sortedKeys(m map[string]int) []string {
	var out []string
	for k := range m {
		out = append(out, k)
	}
	slices.Sort(out)
	return out
}

// sum says how much of it was right.
func (t *tally) sum(w io.Writer) {
	fmt.Fprintf(w, "%d of %d verdicts as expected", t.right, t.cells)
	if t.undecided > 0 {
		fmt.Fprintf(w, "; %d undecided (%.1f %%), on a very bad line %d", t.undecided, percent(t.undecided, t.cells), t.gaveUp)
	}
	fmt.Fprintln(w)
	if t.decidable > 0 {
		fmt.Fprintf(w, "%d of %d culprits named where the evidence tells (%.1f %%), %d wrongly blamed\n",
			t.named, t.decidable, percent(t.named, t.decidable), t.slanders)
	}
	if t.vpns > 0 {
		fmt.Fprintf(w, "%d of %d rows of the VPN tables as expected", t.vpnsRight, t.vpns)
		if t.vpnsGaveUp > 0 {
			fmt.Fprintf(w, "; %d of them undecided, on a very bad line", t.vpnsGaveUp)
		}
		fmt.Fprintln(w)
	}
}

func percent(n, of int) float64 { return 100 * float64(n) / float64(of) }
