package view

import (
	"fmt"
	"slices"
	"strings"

	"vpncheck/probe"
	"vpncheck/report"
)

// translation says what became of the packets: in a paragraph for each carrier, and when verbose, for each way.
func (p *page) translation(x report.Protocol, o Options) {
	if len(x.Translation) == 0 {
		return
	}
	if o.Verbose {
		p.para(2, 2, "How its packets were translated, as far as both ends can see:", "")
	}
	for rows := x.Translation; len(rows) > 0; {
		over, n := rows[0].Over, 0
		for n < len(rows) && rows[n].Over == over {
			n++
		}
		if o.Verbose {
			p.ways(over, rows[:n])
		} else {
			p.compact(over, rows[:n], x.Verdict == probe.Passed)
		}
		rows = rows[n:]
	}
}

// compact takes two lines where the protocol works: what any NAT does is told there in few words.
func (p *page) compact(over string, rows []report.Row, passed bool) {
	label, text := "Translated ("+over+"):", compact(rows, passed)
	if passed && columns(label+text) > 2*p.width-8 {
		text = strings.Replace(text, ", byte for byte.", ".", 1)
	}
	p.para(2, 2, label, text)
}

// ways tells everything, each way by itself.
func (p *page) ways(carrier string, rows []report.Row) {
	for _, w := range []struct{ way, nothing string }{
		{probe.WayOut, "nothing arrived that could be compared."},
		{probe.WayBack, "nothing came back that could be compared."},
	} {
		text := w.nothing
		if r := summarise(rows, w.way); r.packets > 0 {
			text = r.long()
		}
		p.para(4, 2, carrier+" "+w.way+":", text)
	}
}

// A route is what became of the packets of one carrier on one way.
type route struct {
	packets       int
	changed, kept []report.Row
	total         map[string]int // packets by field
	payload       string         // how it was kept; empty if it was not, or not by all packets
}

func summarise(rows []report.Row, way string) route {
	out := route{total: make(map[string]int)}
	for _, r := range rows {
		if r.Way == way {
			out.total[r.Field] += r.Count
			out.packets = max(out.packets, out.total[r.Field])
		}
	}
	for _, r := range rows {
		switch {
		case r.Way != way:
		case !r.Same:
			out.changed = append(out.changed, r)
		case out.total[r.Field] > r.Count: // told with the change
		case r.Field == "payload":
			out.payload = "the " + strings.Replace(r.Text, " kept", "", 1)
		default:
			out.kept = append(out.kept, r)
		}
	}
	return out
}

// text is a row in words; what not all packets suffered says so.
func (r route) text(row report.Row) string {
	if n := r.total[row.Field]; n > row.Count {
		return fmt.Sprintf("%s (in %d of %d)", row.Text, row.Count, n)
	}
	return row.Text
}

// long tells everything.
func (r route) long() string {
	text := fmt.Sprintf("%d packets compared.", r.packets)
	if r.packets == 1 {
		text = "1 packet compared."
	}
	var changed, kept []string
	for _, row := range r.changed {
		changed = append(changed, r.text(row))
	}
	for _, row := range r.kept {
		kept = append(kept, strings.Replace(row.Text, " kept", "", 1))
	}
	if len(changed) > 0 {
		text += " Changed: " + strings.Join(changed, "; ") + "."
	}
	if r.payload != "" {
		kept = append(kept, r.payload)
	}
	if len(kept) > 0 {
		text += " Kept: " + strings.Join(kept, ", ") + "."
	}
	return text
}

// compact tells both ways at once: a NAT undoes on the way back what it did on the way out.
func compact(rows []report.Row, passed bool) string {
	out, back := summarise(rows, probe.WayOut), summarise(rows, probe.WayBack)
	undone := map[int]bool{}
	var texts []string
	summed := false
	for _, row := range rows {
		switch {
		case row.Way != probe.WayOut:
		case passed && row.Field == "checksum" && (row.Same || ordinary(row)):
			undone[slices.IndexFunc(back.changed, func(b report.Row) bool { return undoes(row, b) })] = true
			summed = summed || !row.Same
		case row.Same && out.notable(row):
			texts = append(texts, row.Text)
		case !row.Same:
			i := slices.IndexFunc(back.changed, func(b report.Row) bool { return undoes(row, b) })
			undone[i] = true
			texts = append(texts, out.text(brief(row))+andBack(row, i >= 0, back))
		}
	}
	for i, row := range back.changed {
		if !undone[i] {
			texts = append(texts, back.text(brief(row))+" on the way back")
		}
	}
	if passed && len(texts) > 0 {
		texts[0] = strings.TrimPrefix(texts[0], "source address ")
	}
	text := sentences(texts, out, back)
	if summed {
		text = strings.Replace(strings.Replace(text, "All else was kept", "All else but the checksum was kept", 1),
			"Everything was kept", "Everything but the checksum was kept", 1)
	}
	return text
}

// ordinary says of a checksum that it was made anew for the new address, and neither added nor removed.
func ordinary(r report.Row) bool { return !r.Same && r.Before != "0x0000" && r.After != "0x0000" }

// andBack says of a change on the way out whether it was undone on the way back.
func andBack(r report.Row, undone bool, back route) string {
	switch {
	case back.packets == 0 || undone && r.Field == "checksum":
		return ""
	case !undone:
		return " on the way out"
	case r.Field == "ttl":
		return " each way"
	}
	return " and back"
}

func sentences(texts []string, out, back route) string {
	text, rest := "", "Everything was kept"
	if len(texts) > 0 {
		text, rest = strings.Join(texts, "; ")+". ", "All else was kept"
	}
	switch {
	case out.packets == 0 && back.packets == 0:
		return "nothing could be compared."
	case (out.packets == 0 || out.payload != "") && (back.packets == 0 || back.payload != ""):
		rest += ", byte for byte."
	default:
		rest += "."
	}
	switch {
	case back.packets == 0:
		rest += " Nothing came back that could be compared."
	case out.packets == 0:
		rest += " Nothing arrived that could be compared."
	}
	return text + rest
}

// notable says what is worth a word though it was kept: UDP's source port, on which servers and firewalls may insist, and that there is no
// checksum.
func (r route) notable(row report.Row) bool {
	return strings.HasPrefix(row.Over, "UDP ") &&
		(row.Field == "source port" && row.Count == r.total[row.Field] || row.Field == "checksum" && row.Before == "0x0000")
}

// brief is a row without its example, where the change is an ordinary one.
func brief(r report.Row) report.Row {
	if i := strings.Index(r.Text, " ("); i >= 0 && (r.Field == "ttl" || r.Field == "checksum") {
		r.Text = r.Text[:i]
	}
	return r
}

// undoes says whether a change on the way back is the reverse of one on the way out.
func undoes(out, back report.Row) bool {
	field := strings.NewReplacer("source", "destination", "destination", "source").Replace(out.Field)
	switch {
	case out.Field == "ttl":
		return back.Field == "ttl" && brief(out).Text == brief(back).Text
	case back.Field != field:
		return false
	case out.Field == "checksum":
		return brief(out).Text == brief(back).Text
	}
	return out.Varies && back.Varies || out.Before == back.After && out.After == back.Before
}
