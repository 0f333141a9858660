package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
	"sync"
	"time"

	"vpncheck/probe"
	"vpncheck/report"
	"vpncheck/testserver/netlab"
)

// sideBySide is how many labs are up at once: they mostly wait. With more, two cores under the race detector are late with what they see.
const sideBySide = 6

// A row is what became of one router.
type row struct {
	router netlab.Router
	rep    report.Report
	err    error
	took   time.Duration
	cut    bool // the user ended the demo before it was done
}

// matrix tries all routers that were chosen.
func (f *demoFlags) matrix(ctx context.Context, routers []netlab.Router, out, errs io.Writer) error {
	_, along, err := choose(f.only)
	if err != nil {
		return err
	}
	began := time.Now()
	show := newLive(errs, f.options(errs), nil)
	var plays []netlab.Router
	for range max(1, f.repeat) {
		plays = append(plays, routers...)
	}
	rows := f.playAll(ctx, plays, func(done, all int) { show.line(fmt.Sprintf("%d of %d routers", done, all)) })
	show.clear()
	m := matrix{along: along, counts: f.repeat > 0}
	for _, r := range rows {
		if !r.cut {
			m.add(r)
		}
	}
	if !interrupted(ctx) || m.plays > 0 {
		m.print(out, time.Since(began))
	}
	if interrupted(ctx) {
		fmt.Fprintf(errs, "vpncheck: interrupted after %d of %d routers\n", m.plays, len(rows))
		return exit(exitInterrupted)
	}
	return exit(m.code(os.Getenv("CI") == "true"))
}

func (f *demoFlags) playAll(ctx context.Context, routers []netlab.Router, tell func(done, all int)) []row {
	rows := make([]row, len(routers))
	room := make(chan struct{}, sideBySide)
	var all sync.WaitGroup
	var mu sync.Mutex
	done := 0
	for i, r := range slices.Backward(routers) { // the slow lines stand last in the table: nobody shall wait for them alone
		room <- struct{}{}
		all.Go(func() {
			defer func() { <-room }()
			rows[i] = f.playOne(ctx, r)
			mu.Lock()
			defer mu.Unlock()
			done++
			tell(done, len(routers))
		})
	}
	all.Wait()
	return rows
}

func (f *demoFlags) playOne(ctx context.Context, r netlab.Router) row {
	began := time.Now()
	p, err := stage(ctx, r, "4", func(*netlab.Lab) {})
	if err != nil {
		return row{router: r, err: err, cut: interrupted(ctx)}
	}
	defer p.close()
	rep, err := p.laptop(ctx, f.runFlags, func(probe.Event) {})
	return row{r, rep, err, time.Since(began), interrupted(ctx)}
}

// A matrix is what was said of all routers, ready to be printed.
type matrix struct {
	along           []string
	counts          bool   // it ends in the tables of how often what was said, instead of a line for each router
	lines           []line // the first has the titles
	apart           []string
	plays           int
	skipped, failed int
	tally           tally
}

// A line is one router: a cell for each protocol, and below it what has no room in a cell.
type line struct{ cells, below []string }

// short are the verdicts as cells.
var short = map[probe.Verdict]string{
	probe.Passed: "passed", probe.Altered: "altered", probe.BlockedOut: "out", probe.BlockedBack: "back", probe.Stalled: "stall",
	probe.Hijacked: "hijack", probe.Inconclusive: "?", probe.Untested: "-",
}

const legend = `alter: altered
out, back: blocked on that way; stall: stalled; hijack: hijacked; ?: inconclusive; -: untested
!: not as expected, or the wrong one blamed. What no router can help, ah-through-nat, is left out.
`

func (m *matrix) add(r row) {
	m.plays++
	switch {
	case errors.Is(r.err, netlab.ErrNoTUN):
		m.skipped++
		m.apart = append(m.apart, fmt.Sprintf("not built: %s: %v", r.router.Name, r.err))
		return
	case r.err != nil:
		m.failed++
		m.apart = append(m.apart, fmt.Sprintf("could not run: %s: %v", r.router.Name, r.err))
		return
	}
	head, l := line{cells: []string{"router"}}, line{cells: []string{r.router.Name}}
	var reasons reasons
	for _, p := range r.rep.Protocols {
		if slices.Contains(m.along, p.ID) {
			continue
		}
		c := compared(r.router, p)
		m.tally.add(r.router, c)
		head.cells = append(head.cells, column(p))
		l.cells = append(l.cells, strings.Replace(c.short(), "altered", "alter", 1)) // there are many columns
		for _, text := range c.mistakes() {
			l.below = append(l.below, p.Name()+" "+text)
		}
		switch {
		case !c.right():
		case !slices.Contains(r.rep.Summary.Expected, p.ID):
			reasons.add(p)
		}
	}
	if askedAll(r.rep) {
		rows := vpnRows(r.router, r.rep)
		m.tally.addVPNs(r.router, rows)
		for _, v := range rows {
			if text := v.mistake(); text != "" {
				l.below = append(l.below, text)
			}
		}
	}
	if len(m.lines) == 0 {
		head.cells = append(head.cells, "seconds")
		m.lines = append(m.lines, head)
	}
	l.cells = append(l.cells, fmt.Sprintf("%.1f", r.took.Seconds()))
	l.below = append(reasons.lines(), l.below...)
	m.lines = append(m.lines, l)
}

// column is a protocol's title at the top of its column, of which there are many.
func column(p report.Protocol) string {
	if short, ok := columns[p.ID]; ok {
		return short
	}
	return p.Name()
}

var columns = map[string]string{"l2tp": "L2TP", "l2tp-ipsec": "l2tp+", "openvpn-udp": "ov-udp", "openvpn-tcp": "ov-tcp"}

// reasons are those of one router, each with the protocols that share it.
type reasons []struct {
	reason probe.Reason
	titles []string
}

func (rs *reasons) add(p report.Protocol) {
	if p.Reason == "" {
		return
	}
	for i := range *rs {
		if r := &(*rs)[i]; r.reason == p.Reason {
			r.titles = append(r.titles, p.Name())
			return
		}
	}
	*rs = append(*rs, struct {
		reason probe.Reason
		titles []string
	}{p.Reason, []string{p.Name()}})
}

// lines has one line as a rule, more if the reasons are many.
func (rs reasons) lines() (out []string) {
	for _, r := range rs {
		text := fmt.Sprintf("%s: %s", strings.Join(r.titles, ", "), r.reason)
		if n := len(out); n > 0 && len(out[n-1])+len(text) < matrixWidth-len(indent)-len("; ") {
			out[n-1] += "; " + text
			continue
		}
		out = append(out, text)
	}
	return out
}

const (
	matrixWidth = 100
	indent      = "    "
)

func (m *matrix) print(w io.Writer, took time.Duration) {
	if m.counts {
		m.tally.print(w)
	} else {
		m.table(w)
	}
	for _, text := range m.apart {
		fmt.Fprintln(w, report.Clean(text, maxLine))
	}
	m.tally.sum(w)
	if m.skipped+m.failed > 0 {
		fmt.Fprintf(w, "%d routers not built, %d could not run\n", m.skipped, m.failed)
	}
	fmt.Fprintf(w, "in %.1f seconds\n", took.Seconds())
}

// table has a line for each router.
func (m *matrix) table(w io.Writer) {
	var widths []int
	for _, l := range m.lines {
		for i, cell := range l.cells {
			if i == len(widths) {
				widths = append(widths, 0)
			}
			widths[i] = max(widths[i], len(cell))
		}
	}
	for _, l := range m.lines {
		var text strings.Builder
		for i, cell := range l.cells {
			fmt.Fprintf(&text, "%-*s  ", widths[i], cell)
		}
		fmt.Fprintln(w, strings.TrimRight(text.String(), " "))
		for _, text := range l.below {
			fmt.Fprintf(w, "%s%s\n", indent, report.Clean(text, maxLine))
		}
	}
	if len(m.lines) > 0 {
		fmt.Fprintf(w, "\n%s\n", legend)
	}
}

// code is the exit status. Where nobody reads what was skipped, as in CI, skipping is failing.
func (m *matrix) code(ci bool) int {
	switch {
	case len(m.tally.wrong) > 0:
		return exitNotAll
	case m.failed > 0, m.skipped > 0 && ci:
		return exitFailed
	}
	return 0
}
