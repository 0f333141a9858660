package view

import (
	"fmt"
	"strings"

	"vpncheck/probe"
	"vpncheck/report"
)

// translation says in a paragraph for each stage and way what became of the packets.
func (p *page) translation(x report.Protocol) {
	if len(x.Translation) == 0 {
		return
	}
	p.para(2, 2, "How its packets were translated:", "")
	for rows := x.Translation; len(rows) > 0; {
		stage, n := rows[0].Stage, 0
		for n < len(rows) && rows[n].Stage == stage {
			n++
		}
		p.stage(x, stage, rows[:n])
		rows = rows[n:]
	}
}

func (p *page) stage(x report.Protocol, id string, rows []report.Row) {
	title := x.Stages[id]
	if title == "" {
		title = id
	}
	p.para(4, 2, "", title)
	for _, w := range []struct{ way, nothing string }{
		{probe.WayOut, "nothing arrived that could be compared"},
		{probe.WayBack, "nothing came back that could be compared"},
	} {
		text := wayText(rows, w.way)
		if text == "" {
			text = w.nothing + "."
		}
		p.para(6, 2, w.way+":", text)
	}
}

// wayText tells the changes first, then what was kept.
func wayText(rows []report.Row, way string) string {
	var changed, kept []string
	packets := 0
	for _, r := range rows {
		if r.Way != way {
			continue
		}
		n := r.Count
		for _, other := range rows {
			if other.Way == way && other.Field == r.Field && other.Same != r.Same {
				n += other.Count
			}
		}
		packets = max(packets, n)
		some := ""
		if n > r.Count {
			some = fmt.Sprintf(" (in %d of %d)", r.Count, n)
		}
		switch {
		case !r.Same:
			changed = append(changed, r.Text+some)
		case some == "":
			kept = append(kept, strings.Replace(r.Text, " kept", "", 1))
		}
	}
	if packets == 0 {
		return ""
	}
	text := fmt.Sprintf("%d packets compared.", packets)
	if packets == 1 {
		text = "1 packet compared."
	}
	if len(changed) > 0 {
		text += " Changed: " + strings.Join(changed, "; ") + "."
	}
	if len(kept) > 0 {
		text += " Kept: " + strings.Join(kept, ", ") + "."
	}
	return text
}
