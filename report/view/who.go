package view

import (
	"fmt"
	"slices"

	"github.com/fatih/color"

	"vpncheck/probe"
	"vpncheck/report"
)

// whoDidIt says it for the run, in the sentence for the help desk. Where nobody did anything there is nothing to say.
func (p *page) whoDidIt(d *report.Diagnosis, ps []report.Protocol) {
	if d == nil || d.Culprit == report.CulpritNobody || d.Sentence == "" {
		return
	}
	text := d.Sentence
	if d.Culprit == report.CulpritUnknown {
		text += " " + d.Next
	}
	p.para(0, 0, "Who did it:", text, color.Bold)
	for _, x := range ps {
		if x.ID == d.Protocol {
			p.blamed[blame(d)] = x.Name()
		}
	}
}

// who says it for one protocol. What the summary has said is not said again, but who it was; nor is the same kind of evidence told at length
// of each protocol: all of it is there when verbose.
func (p *page) who(x report.Protocol, r report.Report, o Options) {
	d := x.Diagnosis
	if d == nil || d.Culprit == report.CulpritNobody {
		return
	}
	said := r.Diagnosis != nil && r.Diagnosis.Protocol == x.ID
	if d.Culprit == report.CulpritUnknown || said && !o.Verbose {
		p.para(2, 2, "Who:", d.Who()+".", color.Bold)
		return
	}
	if first, ok := p.blamed[blame(d)]; ok && !o.Verbose {
		text := d.Who()
		if first != x.Name() {
			text += ", as for " + first
		}
		p.para(2, 2, "Who:", text+".", color.Bold)
		return
	}
	p.blamed[blame(d)] = x.Name()
	text := d.Sentence
	if o.Verbose {
		text += " " + tag(d)
	}
	p.para(2, 2, "Who:", text, color.Bold)
}

// blame is who it was, how sure that is, and by what kind of evidence.
func blame(d *report.Diagnosis) string { return fmt.Sprint(d.Culprit, d.Confidence, d.Reason) }

func tag(d *report.Diagnosis) string { return fmt.Sprintf("[%s, %s]", d.Culprit, d.Confidence) }

// evidence is what a diagnosis rests on, the weightiest first, without what stands there already.
func (p *page) evidence(x report.Protocol) {
	d := x.Diagnosis
	if d == nil {
		return
	}
	new := slices.DeleteFunc(slices.Clone(d.Evidence), func(n report.Note) bool {
		return slices.ContainsFunc(x.Because, func(b report.Note) bool { return b.Text == n.Text })
	})
	if len(new) == 0 {
		return
	}
	p.para(2, 2, fmt.Sprintf("Who it was rests on, besides (%s, %s):", d.Culprit, d.Confidence), "")
	for _, n := range new {
		p.para(4, 2, "-", n.Text+from(n.Exchanges))
	}
}

// remarks tells each remark in full once: what is true of several protocols is not told seven times.
func (p *page) remarks(x report.Protocol, o Options) {
	for _, text := range x.Remarks {
		if first, ok := p.remarked[text]; ok && !o.Verbose && len(text) > 80 {
			p.para(2, 2, "Note:", "The same note as for "+first+".", color.Bold)
			continue
		}
		p.remarked[text] = x.Name()
		p.para(2, 2, "Note:", text, color.Bold)
	}
}

// sheet puts the NAT sheet in the place of the plain note about NAT.
func sheet(n *report.NATs, notes []report.Note) []report.Note {
	out := slices.Clone(notes)
	for i := range out {
		if n != nil && n.Text != "" && (out[i].Reason == probe.BehindNAT || out[i].Reason == probe.NoNAT) {
			out[i].Text = n.Text
		}
	}
	return out
}

// way lists the routers on the way, as far as they answered.
func (p *page) way(n *report.NATs) {
	if n == nil || len(n.Hops) == 0 {
		return
	}
	p.blank()
	p.para(0, 0, "The way to the server", "", color.Bold)
	for i, a := range n.Hops {
		text := "no answer"
		if a.IsValid() {
			text = a.String()
		}
		p.para(2, 2, fmt.Sprintf("%d", i+1), text)
	}
}
