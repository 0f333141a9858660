package view

import (
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"

	"github.com/fatih/color"

	"vpncheck/probe"
	"vpncheck/report"
)

// few is how many protocols that simply work are still told one by one.
const few = 2

// fold parts the protocols of which there is something to tell from those that simply work, and from what is not expected to: if there are many
// of these, nobody reads on to what matters.
func fold(ps []report.Protocol, o Options) (full, folded []report.Protocol) {
	for _, x := range ps {
		if plain(x) {
			folded = append(folded, x)
		} else {
			full = append(full, x)
		}
	}
	if o.Verbose || len(folded) <= few {
		return ps, nil
	}
	return full, folded
}

// plain says that a protocol works in all its forms, with no remark, or fails as it must.
func plain(x report.Protocol) bool {
	if report.Expected(x.Verdict, x.Reason) {
		return true
	}
	return x.Verdict == probe.Passed && x.Reason == "" && len(x.Remarks) == 0 && !slices.ContainsFunc(x.Parts, func(part report.Part) bool {
		return part.Verdict != probe.Passed || part.Reason != ""
	})
}

// A story is a protocol that is told in full, and those of which the same would be told word for word.
type story struct {
	report.Protocol
	same []report.Protocol
}

func stories(ps []report.Protocol, o Options) (out []story) {
next:
	for _, x := range ps {
		for i := range out {
			if !o.Verbose && out[i].tells(x) {
				out[i].same = append(out[i].same, x)
				continue next
			}
		}
		out = append(out, story{Protocol: x})
	}
	return out
}

// tells says that a protocol fared alike for the same reason, and has nothing of its own to be told.
func (s story) tells(x report.Protocol) bool {
	return x.Verdict == s.Verdict && x.Reason == s.Reason && sameReason(s.Protocol, x) && unnamed(s.Diagnosis) && unnamed(x.Diagnosis) &&
		x.Weak == "" && len(x.Remarks)+len(x.Translation) == 0 &&
		!slices.ContainsFunc(x.Parts, func(part report.Part) bool { return part.Verdict != x.Verdict || part.Reason != x.Reason })
}

// sameReason says that the reason of one protocol has been told with another.
func sameReason(told, x report.Protocol) bool {
	return report.EndsRun(x.Reason) || told.Verdict == x.Verdict && (told.Sentence == x.Sentence || x.Verdict == probe.Untested && len(x.Observation.Exchanges) == 0)
}

// unnamed says that a diagnosis names nobody.
func unnamed(d *report.Diagnosis) bool {
	return d == nil || d.Culprit == report.CulpritUnknown || d.Culprit == report.CulpritNobody
}

// likewise names those of which the same is true.
func (p *page) likewise(ps []report.Protocol) {
	if len(ps) > 0 {
		p.para(2, 2, "The same, for the same reason: "+titles(ps)+".", "", color.Bold)
	}
}

// folded tells in one paragraph what works, and in few lines how its packets were translated: any NAT does much the same to all of them.
func (p *page) folded(ps []report.Protocol) {
	var names []string
	var trs translations
	for _, x := range ps {
		if x.Verdict != probe.Passed {
			continue
		}
		name := titled(x)
		if x.Weak != "" {
			name += ", insecure"
		}
		names = append(names, name)
		trs.add(x)
	}
	if len(names) > 0 {
		p.para(0, 2, fmt.Sprintf("Works [%s]: %s.", probe.Passed, strings.Join(names, "; ")), "", color.FgHiBlack)
	}
	for _, t := range trs {
		p.para(2, 2, "Translated ("+carriers(t.overs)+"):", t.text)
	}
	for _, x := range ps {
		if x.Verdict != probe.Passed {
			p.verdict(x)
		}
	}
}

// allUntested names what was not tried, many in one paragraph. What their names mean is no matter then.
func (p *page) allUntested(ps []report.Protocol) {
	before := maps.Clone(p.words)
	if len(ps) > few {
		p.para(0, 2, fmt.Sprintf("Not tried [%s]: %s.", probe.Untested, titles(ps)), "", color.FgHiBlack)
	} else {
		for _, x := range ps {
			p.verdict(x)
		}
	}
	p.words = before
}

// titles are those of protocols, with their ports.
func titles(ps []report.Protocol) string {
	var names []string
	for _, x := range ps {
		names = append(names, titled(x))
	}
	return strings.Join(names, "; ")
}

// translations are those that read alike, each with what carried the packets.
type translations []struct {
	text  string
	overs []string
}

// alikeBut are the numbers in which lines may differ that say the same: which port it was, is for the verbose.
var alikeBut = []struct {
	number *regexp.Regexp
	text   string
}{
	{regexp.MustCompile(`source port kept \([0-9]+\)`), "source port kept"},
	{regexp.MustCompile(`source port [0-9]+ became [0-9]+ \(harmless\)`), "source port rewritten (harmless)"},
	{regexp.MustCompile(`source port rewritten \([0-9]+ became [0-9]+, for one; harmless\)`), "source port rewritten (harmless)"},
}

func (ts *translations) add(x report.Protocol) {
	for rows := x.Translation; len(rows) > 0; {
		over, n := rows[0].Over, 0
		for n < len(rows) && rows[n].Over == over {
			n++
		}
		text := compact(rows[:n], true)
		for _, a := range alikeBut {
			text = a.number.ReplaceAllString(text, a.text)
		}
		if over == "GRE" && x.ID == "pptp" {
			over = "PPTP" // its data; plain GRE is another protocol, and may have crossed otherwise
		}
		ts.note(over, text)
		rows = rows[n:]
	}
}

func (ts *translations) note(over, text string) {
	for i := range *ts {
		switch t := &(*ts)[i]; {
		case t.text != text:
			continue
		case !slices.Contains(t.overs, over):
			t.overs = append(t.overs, over)
		}
		return
	}
	*ts = append(*ts, struct {
		text  string
		overs []string
	}{text, []string{over}})
}

// carriers is "UDP 500, 4500, GRE" of "UDP 500", "UDP 4500" and "GRE".
func carriers(overs []string) string {
	text, last := "", ""
	for _, over := range overs {
		name, port, ok := strings.Cut(over, " ")
		switch {
		case text == "":
			text = over
		case ok && name == last:
			text += ", " + port
		default:
			text += ", " + over
		}
		last = name
	}
	return text
}
