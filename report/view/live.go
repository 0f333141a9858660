package view

import (
	"fmt"
	"io"
	"strings"

	"github.com/fatih/color"

	"vpncheck/probe"
	"vpncheck/report"
)

// Verdict writes a verdict as it comes: one paragraph, of one line as a rule.
func Verdict(w io.Writer, title string, f probe.Finding, o Options) error {
	p := newPage(w, o)
	text := ""
	if (f.Verdict != probe.Passed || f.Reason != "") && !report.Expected(f.Verdict, f.Reason) {
		text = report.Explain(title, f).Short
	}
	for _, e := range f.Because {
		if part, ok := e.Args["part"].(string); ok && e.Reason == probe.EvStandsIn {
			text = "tested only in the form \"" + part + "\""
		}
	}
	if strings.Contains(text, words(f.Verdict, f.Reason)) { // it would be said twice
		text = ""
	}
	p.para(0, 2, fmt.Sprintf("%s: %s [%s]", title, words(f.Verdict, f.Reason), f.Verdict), text, color.Bold, paint(f.Verdict, f.Reason))
	return p.err
}

// NoSession writes why the server could not be reached, what was tried, and what to do: all that there is to say at once, where nothing
// else could be checked. Text says the same and more.
func NoSession(w io.Writer, r report.Report, o Options) error {
	p := newPage(w, o)
	p.summary(r)
	p.tried(r.Circumstances.NoSession)
	return p.err
}

func (p *page) tried(n *probe.NoSessionFacts) {
	if n == nil || len(n.Tried) == 0 {
		return
	}
	p.para(0, 0, "Tried:", "")
	for _, a := range n.Tried {
		text := attemptWords[a.Result]
		if text == "" {
			text = a.Result
		}
		if a.Detail != "" {
			text += " (" + report.Plain(a.Detail) + ")"
		}
		p.para(2, 2, "-", fmt.Sprintf("%s: %s, after %.1f seconds", a.Address, text, a.Seconds))
	}
}

// attemptWords say what came of one try to reach the server.
var attemptWords = map[string]string{
	"refused":           "refused",
	"timeout":           "no answer",
	"silent":            "connected, then silence",
	"unreachable":       "no way there",
	"laptop-firewall":   "this laptop refused to connect",
	"not-tls":           "something answered that does not speak TLS",
	"other-certificate": "something answered with another certificate",
	"other-key":         "a vpncheck server answered, but with another key",
	"open":              "connected",
}
