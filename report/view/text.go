// Package view shows a report to people. A view decides nothing: what it says is in the report, and it needs nothing else.
//
// Start with Text.
package view

import (
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"github.com/fatih/color"

	"vpncheck/probe"
	"vpncheck/report"
)

// Options say how a text is to look.
type Options struct {
	Color   bool
	Width   int // columns; 0 means 80
	Verbose bool
}

// Text writes the report as text. It begins with the table of VPNs and the best of them, or with the answer about the one that was asked
// about; then comes the summary: what works and what does not, and what to do.
func Text(w io.Writer, r report.Report, o Options) error {
	p := newPage(w, o)
	if r.Aim != nil {
		p.aim(r)
		p.blank()
	}
	if r.To != nil {
		p.own(r)
	}
	if !nothing(r) {
		p.vpns(r)
	}
	if !alone(r) && !untested(r) {
		p.summary(r)
	}
	if nothing(r) {
		p.notTried(r)
	} else {
		full, folded := fold(shown(r, o), o)
		for i, s := range stories(full, o) {
			x := s.Protocol
			if i > 0 || !alone(r) {
				p.blank()
			}
			p.protocol(x, r, o)
			p.likewise(s.same)
			if o.Verbose {
				p.because(x)
				p.evidence(x)
				p.exchanges(r, x)
			}
		}
		if len(folded) > 0 {
			if len(full) > 0 || !alone(r) {
				p.blank()
			}
			p.folded(folded)
		}
		if !o.Verbose {
			p.beside(r)
		}
		p.notes(sheet(r.NATs, slices.DeleteFunc(slices.Clone(r.Notes), func(n report.Note) bool {
			return report.EndsRun(n.Reason) && slices.ContainsFunc(p.explained, func(x report.Protocol) bool { return x.Reason == n.Reason })
		})))
	}
	if r.To != nil {
		if !untested(r) {
			p.blank()
		}
		p.ownInFull(r, o)
	}
	if o.Verbose {
		p.way(r.NATs)
		p.control(r)
	}
	if !o.Verbose {
		p.glossary()
	}
	p.foot(r)
	if p.lines > onePage && !o.Verbose {
		p.blank()
		p.last(r)
	}
	return p.err
}

// onePage is how many lines may stand below the summary before it is repeated at the end, where a terminal stops.
const onePage = 40

// alone says that the answer about one VPN stands for the summary of all.
func alone(r report.Report) bool { return r.Aim != nil && r.Aim.VPN != "" && !nothing(r) }

// last repeats the answer where a terminal stops.
func (p *page) last(r report.Report) {
	if r.Aim != nil {
		p.para(0, 0, r.Aim.Headline, "", color.Bold)
		p.para(0, 2, "What you can do now:", r.Aim.Now, color.Bold)
		return
	}
	if r.To != nil {
		p.ownSummary(r)
	}
	if !untested(r) {
		p.summary(r)
	}
	p.recommendation(r)
}

// untested says that there was no test server to be: the report is of the person's own VPN server alone.
func untested(r report.Report) bool {
	return r.To != nil && len(r.Protocols) == 0 && r.Circumstances.NoSession == nil
}

func (p *page) summary(r report.Report) {
	p.para(0, 0, r.Summary.Headline, "", color.Bold)
	if r.Summary.Advice != "" {
		p.para(0, 0, "What to do:", r.Summary.Advice, color.Bold)
	}
	p.whoDidIt(r.Diagnosis, r.Protocols)
}

// nothing says that one reason kept the whole run from trying anything: then there is but one thing to say.
func nothing(r report.Report) bool {
	for _, x := range r.Protocols {
		if x.Verdict != probe.Untested || len(x.Observation.Exchanges) > 0 {
			return false
		}
	}
	return r.Circumstances.NoSession != nil || r.Circumstances.Stop != nil
}

// notTried tells that reason, which is the first note, once for all protocols.
func (p *page) notTried(r report.Report) {
	if len(r.Notes) > 0 {
		p.blank()
		p.para(0, 0, "", r.Notes[0].Text)
	}
	if len(r.Protocols) > 0 && r.Protocols[0].Next != "" {
		p.para(0, 2, "Next:", r.Protocols[0].Next, color.Bold)
	}
	p.tried(r.Circumstances.NoSession)
	p.blank()
	p.allUntested(r.Protocols)
	if len(r.Notes) > 1 {
		p.notes(sheet(r.NATs, r.Notes[1:]))
	}
}

// protocol tells in full what does not work. What works takes few lines.
func (p *page) protocol(x report.Protocol, r report.Report, o Options) {
	p.verdict(x)
	if x.Verdict != probe.Passed || x.Reason != "" || o.Verbose {
		p.why(x, o)
	}
	p.who(x, r, o)
	p.remarks(x, o)
	p.weak(x)
	p.parts(x, o)
	p.translation(x, o)
}

// why tells the reason and what to do, but nothing twice: it points to the protocol that has the text.
func (p *page) why(x report.Protocol, o Options) {
	for _, e := range p.explained {
		switch {
		case e.Reason != x.Reason || o.Verbose:
			continue
		case report.EndsRun(x.Reason) && x.Verdict == probe.Untested:
			p.para(2, 2, "", "It was not tried any more, for the same reason as "+e.Name()+".")
			return
		case sameReason(e, x):
			p.para(2, 2, "", "For the same reason as "+e.Name()+".")
			return
		}
	}
	p.para(2, 0, "", x.Sentence)
	next := x.Next
	for _, e := range p.explained {
		if short := "The same as for " + e.Name() + "."; e.Next == x.Next && len(short) < len(next) && !o.Verbose {
			next = short
		}
	}
	if next != "" {
		p.para(2, 2, "Next:", next, color.Bold)
	}
	if next == x.Next {
		p.explained = append(p.explained, x)
	}
}

// titled is a protocol's title with its port.
func titled(x report.Protocol) string {
	if x.Port != 0 && !strings.Contains(x.Title, "(") {
		return x.Title + fmt.Sprintf(" (UDP %d)", x.Port)
	}
	return x.Title
}

func (p *page) verdict(x report.Protocol) {
	p.para(0, 2, fmt.Sprintf("%s: %s [%s]", titled(x), words(x.Verdict, x.Reason), x.Verdict), "", color.Bold, paint(x.Verdict, x.Reason))
}

func (p *page) weak(x report.Protocol) {
	if x.Weak != "" {
		p.para(2, 2, "Insecure:", x.Weak, color.Bold, color.FgYellow)
	}
}

func (p *page) parts(x report.Protocol, o Options) {
	if len(x.Parts) == 0 {
		return
	}
	var titles []string
	alike := true
	for _, part := range x.Parts {
		titles = append(titles, part.Title)
		alike = alike && part.Verdict == x.Verdict && part.Reason == x.Reason
	}
	if all := strings.Join(titles, "; ") + "."; alike && x.Verdict == probe.Passed && !o.Verbose && columns(all) > 2*p.width-40 {
		p.para(2, 2, fmt.Sprintf("The same for all its %d forms.", len(titles)), "")
		return
	}
	if alike {
		p.para(2, 2, "The same for all its forms:", strings.Join(titles, "; ")+".")
		return
	}
	p.para(2, 2, "Its forms:", "")
	for _, part := range x.Parts {
		text := fmt.Sprintf("%s [%s].", words(part.Verdict, part.Reason), part.Verdict)
		if (part.Verdict != probe.Passed || x.Reason == probe.FullSizeDropped) && part.Reason != x.Reason && !report.Expected(part.Verdict, part.Reason) {
			text += " " + part.Sentence
		}
		p.para(4, 2, part.Title+":", text)
	}
}

func (p *page) notes(notes []report.Note) {
	if len(notes) == 0 {
		return
	}
	p.blank()
	p.para(0, 0, "About this run", "", color.Bold)
	for _, n := range notes {
		p.para(2, 2, "-", n.Text)
	}
}

// foot says who, where and when, for the one who gets the report.
func (p *page) foot(r report.Report) {
	var facts []string
	add := func(format string, args ...any) { facts = append(facts, fmt.Sprintf(format, args...)) }
	s, l := r.Circumstances.Server, r.Circumstances.Laptop
	switch {
	case s.Host != "" && s.Address.IsValid() && s.Host != s.Address.String():
		add("Server %s (%s)", report.Clean(s.Host, 80), s.Address)
	case s.Host != "":
		add("Server %s", report.Clean(s.Host, 80))
	case s.Address.IsValid():
		add("Server %s", s.Address)
	}
	if r.To != nil {
		whose := "your"
		if len(facts) == 0 {
			whose = "Your"
		}
		add("%s VPN's server %s", whose, place(r.To))
	}
	if l.Local.IsValid() {
		add("laptop %s", l.Local)
	}
	switch router := report.RouterName(r.Circumstances); {
	case l.Gateway.IsValid() && router != "":
		add("router %s (%s)", l.Gateway, router)
	case l.Gateway.IsValid():
		add("router %s", l.Gateway)
	}
	if !r.Started.IsZero() {
		add("%s", r.Started.UTC().Format("2 January 2006 15:04:05 UTC"))
		if d := r.Ended.Sub(r.Started).Round(100 * time.Millisecond); d > 0 {
			add("took %s", d)
		}
	}
	add("%s %s", r.Tool.Name, r.Tool.Version)
	p.blank()
	p.para(0, 2, "", strings.Join(facts, ", ")+".")
}
