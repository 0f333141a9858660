package view

import (
	"maps"
	"slices"
	"strings"

	"github.com/fatih/color"

	"vpncheck/probe"
	"vpncheck/report"
)

// vpns is the table that the report begins with: one line for each VPN, and the best of them.
func (p *page) vpns(r report.Report) {
	var asked []report.VPN
	var not []string
	column := 0
	for _, v := range r.VPNs {
		if len(v.Because) == 0 && v.Works == report.WorksUnknown {
			not = append(not, v.Title)
			continue
		}
		asked = append(asked, v)
		column = min(max(column, columns(report.Clean(v.Title, 24))+2), 26)
	}
	if len(asked) == 0 {
		return
	}
	p.para(0, 0, "Which VPN works here?", "", color.Bold)
	for _, v := range asked {
		p.cells(2, column, v.Title, v.Sentence, paintOf(v.Works))
	}
	if len(not) > 0 {
		p.para(2, 2, "", "Not asked: "+strings.Join(not, ", ")+".")
	}
	p.recommendation(r)
	p.blank()
}

func (p *page) recommendation(r report.Report) {
	x := r.Recommendation
	if r.To != nil && r.To.Recommendation != nil {
		x = r.To.Recommendation
	}
	switch {
	case x == nil:
	case x.VPN == "":
		p.para(0, 0, "No best VPN:", x.Text, color.Bold)
	default:
		p.para(0, 0, "Best VPN here:", x.Text, color.Bold)
	}
}

func paintOf(w report.Works) color.Attribute {
	switch w {
	case report.WorksYes:
		return color.FgGreen
	case report.WorksNo:
		return color.FgRed
	}
	return color.FgYellow
}

// aim answers what was asked: the first line is about that, and the advice is in three parts.
func (p *page) aim(r report.Report) {
	a := r.Aim
	p.para(0, 0, a.Headline, "", color.Bold)
	p.para(0, 2, "What you can do now:", a.Now, color.Bold)
	p.para(0, 2, "What to ask whoever runs this network:", a.Network, color.Bold)
	p.para(0, 2, "What to ask your IT:", a.IT, color.Bold)
	p.whoDidIt(a.Diagnosis, r.Protocols)
}

// beside tells in one grey line what the person's VPN does not need: no hints, and no explanation of words, for nothing depends on it.
func (p *page) beside(r report.Report) {
	names := make(map[string][]string)
	for _, x := range r.Protocols {
		if !r.Needed(x.ID) {
			names[fared(x)] = append(names[fared(x)], x.Name())
		}
	}
	var texts []string
	for _, f := range fates {
		switch n := names[f.one]; len(n) {
		case 0:
		case 1:
			texts = append(texts, n[0]+" "+f.one)
		default:
			texts = append(texts, strings.Join(n[:len(n)-1], ", ")+" and "+n[len(n)-1]+" "+f.many)
		}
	}
	if len(texts) == 0 {
		return
	}
	v, _ := r.VPN(r.Aim.VPN)
	before := maps.Clone(p.words)
	p.blank()
	p.para(0, 2, "Not needed for "+v.Title+": "+strings.Join(texts, "; ")+".", "", color.FgHiBlack)
	p.words = before
}

// fates are how a protocol can fare, in two or three words.
var fates = []struct{ one, many string }{
	{"works", "work"}, {"does not work", "do not work"}, {"is undecided", "are undecided"}, {"was not tried", "were not tried"},
	{"cannot work behind a NAT", "cannot work behind a NAT"},
}

// fared is one of the fates.
func fared(x report.Protocol) string {
	switch {
	case report.Expected(x.Verdict, x.Reason):
		return "cannot work behind a NAT"
	case x.Verdict == probe.Passed:
		return "works"
	case x.Verdict == probe.Untested:
		return "was not tried"
	case x.Verdict == probe.Inconclusive:
		return "is undecided"
	}
	return "does not work"
}

// shown are the protocols that are told in full.
func shown(r report.Report, o Options) []report.Protocol {
	if o.Verbose {
		return r.Protocols
	}
	return slices.DeleteFunc(slices.Clone(r.Protocols), func(x report.Protocol) bool { return !r.Needed(x.ID) })
}
