package view

import (
	"fmt"
	"strings"

	"vpncheck/probe"
	"vpncheck/report"
)

// translation says what became of the packets, in a paragraph for each way.
func (p *page) translation(x report.Protocol, o Options) {
	if len(x.Translation) == 0 {
		return
	}
	p.para(2, 2, "How its packets were translated, as far as both ends can see:", "")
	for rows := x.Translation; len(rows) > 0; {
		over, n := rows[0].Over, 0
		for n < len(rows) && rows[n].Over == over {
			n++
		}
		p.over(over, rows[:n], o)
		rows = rows[n:]
	}
}

func (p *page) over(carrier string, rows []report.Row, o Options) {
	for _, w := range []struct{ way, nothing string }{
		{probe.WayOut, "nothing arrived that could be compared."},
		{probe.WayBack, "nothing came back that could be compared."},
	} {
		text := w.nothing
		if r := summarise(rows, w.way); r.packets > 0 {
			text = r.short()
			if o.Verbose {
				text = r.long()
			}
		}
		p.para(4, 2, carrier+" "+w.way+":", text)
	}
}

// A route is what became of the packets of one carrier on one way.
type route struct {
	packets       int
	changed, kept []string
	payload       string // how it was kept; empty if it was not, or not by all packets
}

func summarise(rows []report.Row, way string) route {
	var out route
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
		out.packets = max(out.packets, n)
		switch {
		case !r.Same && n > r.Count:
			out.changed = append(out.changed, fmt.Sprintf("%s (in %d of %d)", r.Text, r.Count, n))
		case !r.Same:
			out.changed = append(out.changed, r.Text)
		case n > r.Count: // told with the change
		case r.Field == "payload":
			out.payload = "the " + strings.Replace(r.Text, " kept", "", 1)
		default:
			out.kept = append(out.kept, strings.Replace(r.Text, " kept", "", 1))
		}
	}
	return out
}

// short tells what was changed.
func (r route) short() string {
	text, rest := "", "Everything"
	if len(r.changed) > 0 {
		text, rest = strings.Join(r.changed, "; ")+". ", "All else"
	}
	if r.payload == "" {
		return text + rest + " was kept."
	}
	return text + rest + " was kept, " + r.payload + "."
}

// long tells everything.
func (r route) long() string {
	text := fmt.Sprintf("%d packets compared.", r.packets)
	if r.packets == 1 {
		text = "1 packet compared."
	}
	if len(r.changed) > 0 {
		text += " Changed: " + strings.Join(r.changed, "; ") + "."
	}
	if r.payload != "" {
		r.kept = append(r.kept, r.payload)
	}
	if len(r.kept) > 0 {
		text += " Kept: " + strings.Join(r.kept, ", ") + "."
	}
	return text
}
