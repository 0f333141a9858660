// Package view shows a report to people. A view decides nothing: what it says is in the report, and it needs nothing else.
//
// Start with Text.
package view

import (
	"fmt"
	"io"
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

// Text writes the report as text. Its first two paragraphs are the summary: what works and what does not, and what to do.
func Text(w io.Writer, r report.Report, o Options) error {
	p := newPage(w, o)
	p.summary(r)
	if r.Circumstances.NoSession != nil {
		p.tried(r.Circumstances.NoSession)
	}
	for _, group := range together(r) {
		p.blank()
		p.protocol(r, group, o)
	}
	p.notes(r)
	if o.Verbose {
		p.control(r)
	}
	p.foot(r)
	return p.err
}

func (p *page) summary(r report.Report) {
	p.para(0, 0, r.Summary.Headline, "", color.Bold)
	if r.Summary.Advice != "" {
		p.para(0, 0, "What to do:", r.Summary.Advice, color.Bold)
	}
}

// together puts untested protocols that have the same reason into one group: there is but one thing to say of them.
func together(r report.Report) [][]report.Protocol {
	var out [][]report.Protocol
	for _, x := range r.Protocols {
		if n := len(out); n > 0 {
			if y := out[n-1][0]; x.Verdict == probe.Untested && y.Verdict == x.Verdict && y.Reason == x.Reason && y.Next == x.Next {
				out[n-1] = append(out[n-1], x)
				continue
			}
		}
		out = append(out, []report.Protocol{x})
	}
	return out
}

func (p *page) protocol(r report.Report, group []report.Protocol, o Options) {
	x := group[0]
	var titles []string
	for _, y := range group {
		titles = append(titles, y.Title)
	}
	p.para(0, 2, fmt.Sprintf("%s: %s [%s]", strings.Join(titles, ", "), words(x.Verdict), x.Verdict), "", color.Bold, paint(x.Verdict))
	p.para(2, 0, "", x.Sentence)
	if x.Next != "" {
		p.para(2, 2, "Next:", x.Next, color.Bold)
	}
	for _, y := range group {
		if y.Weak != "" {
			p.para(2, 2, "Insecure:", y.Weak, color.Bold, color.FgYellow)
		}
		p.parts(y)
		p.translation(y)
		if o.Verbose {
			p.because(y)
			p.exchanges(r, y)
		}
	}
}

func (p *page) parts(x report.Protocol) {
	if len(x.Parts) == 0 {
		return
	}
	p.para(2, 2, "Its forms:", "")
	for _, part := range x.Parts {
		p.para(4, 2, part.Title+":", fmt.Sprintf("%s [%s]. %s", words(part.Verdict), part.Verdict, part.Sentence))
	}
}

func (p *page) notes(r report.Report) {
	if len(r.Notes) == 0 {
		return
	}
	p.blank()
	p.para(0, 0, "About this run", "", color.Bold)
	for _, n := range r.Notes {
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
		add("server %s (%s)", report.Clean(s.Host, 80), s.Address)
	case s.Host != "":
		add("server %s", report.Clean(s.Host, 80))
	case s.Address.IsValid():
		add("server %s", s.Address)
	}
	if l.Local.IsValid() {
		add("laptop %s", l.Local)
	}
	if l.Gateway.IsValid() {
		add("router %s", l.Gateway)
	}
	if !r.Started.IsZero() {
		add("%s", r.Started.UTC().Format("2 January 2006 15:04:05 UTC"))
		if d := r.Ended.Sub(r.Started); d > 0 {
			add("took %s", d.Round(100*time.Millisecond))
		}
	}
	add("%s %s", r.Tool.Name, r.Tool.Version)
	p.blank()
	p.para(0, 2, "", strings.Join(facts, ", ")+".")
}
