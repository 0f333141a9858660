package view

import (
	"slices"
	"strings"

	"github.com/fatih/color"

	"vpncheck/probe"
	"vpncheck/report"
)

// own is what the person's own VPN server said, in a few lines at the beginning: one for each opening.
func (p *page) own(r report.Report) {
	o := r.To
	if !alone(r) && (o.Why == nil || r.Aim == nil) {
		p.ownSummary(r)
		p.blank()
	}
	if len(o.Answers) == 0 {
		return
	}
	column := 0
	for _, a := range o.Answers {
		column = min(max(column, columns(report.Clean(a.Title, 24))+2), 26)
	}
	p.para(0, 0, "What your VPN's server answered", "", color.Bold)
	for _, a := range o.Answers {
		p.cells(2, column, a.Title, a.Short, paintAnswer(a))
	}
	p.blank()
}

func (p *page) ownSummary(r report.Report) {
	p.para(0, 0, r.To.Headline, "", color.Bold)
	if r.Aim == nil && r.To.Advice != "" {
		p.para(0, 0, "What to do:", r.To.Advice, color.Bold)
	}
	if r.Aim == nil {
		p.whoDidIt(r.To.Diagnosis, r.Protocols)
	}
}

func paintAnswer(a report.Answer) color.Attribute {
	switch a.Verdict {
	case probe.Passed:
		return color.FgGreen
	case probe.Inconclusive, probe.Untested:
		return color.FgYellow
	}
	return color.FgRed
}

// ownInFull tells what an opening's line at the beginning leaves open, and what the server told of itself. What it does not offer is told
// there, and not again.
func (p *page) ownInFull(r report.Report, o Options) {
	to := r.To
	if text := report.WhyNotAsked(to); text != "" {
		p.para(0, 2, "", text)
		return
	}
	p.para(0, 0, "Your VPN's server "+place(to), "", color.Bold)
	for i, a := range to.Answers {
		switch {
		case o.Verbose:
			p.ownOpening(a, to)
			p.ownBecause(a)
			p.ownExchanges(r, to.Opening(a.ID))
		case !worthTelling(r, a):
		case slices.ContainsFunc(to.Answers[:i], func(b report.Answer) bool { return worthTelling(r, b) && alikeAnswers(a, b) }):
			// told with the first of its kind
		case a.Answered() && a.Reason == "":
			p.para(2, 2, a.Title+":", strings.TrimSpace("answered. "+toldOf(to.Opening(a.ID))))
			p.ownRemarks(a)
		default:
			p.ownOpening(a, to)
			var same []string
			for _, b := range to.Answers[i+1:] {
				if worthTelling(r, b) && alikeAnswers(a, b) {
					same = append(same, b.Title)
				}
			}
			if len(same) > 0 {
				p.para(4, 2, "", "The same for "+strings.Join(same, ", ")+".")
			}
		}
	}
	for _, n := range to.Notes {
		p.para(2, 2, "-", n.Text)
	}
}

// worthTelling says whether an answer is told in full: where one VPN was asked about, those that it begins with; else what was answered, if
// anything was.
func worthTelling(r report.Report, a report.Answer) bool {
	switch {
	case r.Aim != nil && r.Aim.VPN != "":
		return report.Begins(r.Aim.VPN, a.ID)
	case slices.ContainsFunc(r.To.Answers, report.Answer.Began):
		return a.Began()
	}
	return true
}

// alikeAnswers says that the same is to be told of two answers.
func alikeAnswers(a, b report.Answer) bool {
	return !a.Began() && a.Verdict == b.Verdict && a.Reason == b.Reason && a.Reason != probe.OwnSilentByDesign && len(remarksOf(a)) == len(remarksOf(b))
}

func (p *page) ownOpening(a report.Answer, to *report.Own) {
	p.para(2, 2, "", a.Sentence)
	if told := toldOf(to.Opening(a.ID)); told != "" {
		p.para(4, 2, "", told)
	}
	p.ownRemarks(a)
	p.ownNext(a)
}

// place is the server's name and the address that was asked.
func place(o *report.Own) string {
	host := report.Clean(o.Host, 80)
	if a := o.Addr.Unmap(); a.IsValid() && a.String() != host {
		return host + " (" + a.String() + ")"
	}
	return host
}

// ownNext gives advice once where several answers share it.
func (p *page) ownNext(a report.Answer) {
	if a.Next == "" || a.Answered() && a.Reason == "" || strings.HasPrefix(a.Next, "Nothing") {
		return
	}
	if first, ok := p.remarked[a.Next]; ok {
		if first != a.Title && len(a.Next) > 60 {
			p.para(4, 2, "Next:", "The same as for "+first+".", color.Bold)
		}
		return
	}
	p.remarked[a.Next] = a.Title
	p.para(4, 2, "Next:", a.Next, color.Bold)
}

// remarksOf are to be read even where an opening was answered.
func remarksOf(a report.Answer) (out []string) {
	for _, n := range a.Because {
		switch n.Reason {
		case probe.EvOwnStandsIn, probe.EvOwnDespite, probe.EvOwnStranger:
			out = append(out, n.Text)
		}
	}
	return out
}

func (p *page) ownRemarks(a report.Answer) {
	for _, text := range remarksOf(a) {
		p.para(4, 2, "Note:", text, color.Bold)
	}
}

func (p *page) ownBecause(a report.Answer) {
	for _, n := range a.Because {
		p.para(4, 2, "-", n.Text+from(n.Exchanges))
	}
}

// toldWords are what a server told of itself, in the order of the report.
var toldWords = map[string]string{
	probe.ToldVendorID: "vendor ID", probe.ToldProposal: "it chose", probe.ToldNotify: "it says", probe.ToldVendor: "vendor", probe.ToldHost: "host name",
	probe.ToldFirmware: "firmware", probe.ToldCert: "certificate", probe.ToldServer: "web server", probe.ToldStatus: "status",
}

// toldOf is what a server told of itself, in a sentence; it is its own word.
func toldOf(x probe.Opening) string {
	var parts []string
	for i, t := range x.Told {
		if i == maxTold {
			parts = append(parts, "and more")
			break
		}
		word := toldWords[t.What]
		if word == "" {
			word = report.Clean(t.What, 20)
		}
		parts = append(parts, word+" "+report.Clean(t.Text, 80))
	}
	if len(parts) == 0 {
		return ""
	}
	return "It says of itself: " + strings.Join(parts, "; ") + "."
}

// maxTold is how much of what a server told of itself is shown.
const maxTold = 12

// ownExchanges prints every message of an opening, and when it was answered.
func (p *page) ownExchanges(r report.Report, x probe.Opening) {
	for _, s := range x.Stages {
		for _, e := range s.Exchanges {
			p.para(4, 2, e.ID, exchangeText(e), color.Bold)
			p.row(6, 10, "sent", sightingText(e.Sent, r.To.Started))
			p.row(6, 10, "returned", sightingText(e.Returned, r.To.Started))
		}
	}
	for _, s := range x.Strangers {
		p.para(4, 2, "stranger", sightingText(s, r.To.Started), color.Bold)
	}
}
