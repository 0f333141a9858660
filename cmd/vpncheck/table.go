package main

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"vpncheck/report"
	"vpncheck/testserver/netlab"
)

// A vpnRow is what the report's table says of one kind of VPN, or which it recommends, against what is true of the router.
type vpnRow struct {
	label          string
	said, expected string
	reason         string // of what was said
	gaveUp         bool   // it could not decide, on a line on which that is no mistake
}

// askedAll says that the whole table was asked: with --only much of it is "not asked", and there is nothing to compare.
func askedAll(rep report.Report) bool {
	for _, id := range protocolIDs() {
		if !slices.ContainsFunc(rep.Protocols, func(p report.Protocol) bool { return p.ID == id }) {
			return false
		}
	}
	return true
}

// vpnRows compares the whole table, and at last the recommendation. A kind of VPN that the router's own table does not name is wrong:
// nothing goes unchecked.
func vpnRows(r netlab.Router, rep report.Report) []vpnRow {
	var out []vpnRow
	open := make(map[string]bool) // by id: for want of evidence
	for _, v := range rep.VPNs {
		row := vpnRow{label: v.Title, said: string(v.Works), expected: cmp.Or(r.VPNs[v.ID], "nothing: not in its table"), reason: string(v.Reason)}
		open[v.ID] = v.Works == report.WorksUnknown && slices.Contains(givesUp, v.Reason)
		row.gaveUp = r.Lossy && row.said != row.expected && open[v.ID]
		out = append(out, row)
	}
	best := vpnRow{label: "Best VPN", said: "none", expected: cmp.Or(r.VPNs[netlab.Best], "none")}
	if rep.Recommendation != nil {
		best.said = cmp.Or(rep.Recommendation.VPN, "none")
	}
	best.gaveUp = r.Lossy && best.said != best.expected && open[best.expected]
	return append(out, best)
}

func (v vpnRow) right() bool { return v.said == v.expected || v.gaveUp }

// mistake is empty where there is none.
func (v vpnRow) mistake() string {
	if v.right() {
		return ""
	}
	return fmt.Sprintf("the table's %s WRONG: said %s, expected %s", v.label, words(v.said, v.reason), v.expected)
}

// sentence is the line of the demo of one router.
func (v vpnRow) sentence() string {
	text := "expected " + v.expected + "; said "
	switch {
	case v.gaveUp:
		return text + words(v.said, v.reason) + ", which is no mistake on this line"
	case v.right():
		return text + "the same"
	}
	return text + words(v.said, v.reason) + ": WRONG"
}

// compareVPNs shows the table against what is true, and says whether all of it was right.
func compareVPNs(l *lines, r netlab.Router, rep report.Report) bool {
	right := true
	var said remarks
	for _, v := range vpnRows(r, rep) {
		said.add(v.label, v.sentence())
		right = right && v.right()
	}
	l.print("\nThe table of VPNs:\n")
	said.print(l)
	return right
}

// remarks are sentences, each with those of whom it is said.
type remarks []struct {
	text string
	of   []string
}

func (s *remarks) add(of, text string) {
	for i := range *s {
		if x := &(*s)[i]; x.text == text {
			x.of = append(x.of, of)
			return
		}
	}
	*s = append(*s, struct {
		text string
		of   []string
	}{text, []string{of}})
}

func (s remarks) print(l *lines) {
	for _, x := range s {
		l.wrap("  ", 4, strings.Join(x.of, ", ")+": "+x.text)
	}
}

// addVPNs counts the rows of one router's table, and the recommendation as one.
func (t *tally) addVPNs(r netlab.Router, rows []vpnRow) {
	for _, v := range rows {
		t.vpns++
		if v.right() {
			t.vpnsRight++
		}
		if v.gaveUp {
			t.vpnsGaveUp++
		}
		if text := v.mistake(); text != "" {
			t.note()
			t.wrong[r.Name+": "+text]++
		}
	}
}
