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

// sideBySide is how many labs are up at once: they mostly wait.
const sideBySide = 6

// A row is what became of one router.
type row struct {
	router netlab.Router
	rep    report.Report
	err    error
	took   time.Duration
}

// matrix tries all routers.
func (f *demoFlags) matrix(ctx context.Context, out, errs io.Writer) error {
	_, along, err := choose(f.only)
	if err != nil {
		return err
	}
	began := time.Now()
	show := newLive(errs, f.options(errs), nil)
	rows := f.playAll(ctx, func(done, all int) { show.line(fmt.Sprintf("%d of %d routers", done, all)) })
	show.clear()
	if interrupted(ctx) {
		return exit(exitInterrupted)
	}
	m := matrix{along: along}
	for _, r := range rows {
		m.add(r)
	}
	m.print(out, time.Since(began))
	return exit(m.code(os.Getenv("CI") == "true"))
}

func (f *demoFlags) playAll(ctx context.Context, tell func(done, all int)) []row {
	routers := netlab.Routers()
	rows := make([]row, len(routers))
	room := make(chan struct{}, sideBySide)
	var all sync.WaitGroup
	var mu sync.Mutex
	done := 0
	for i, r := range routers {
		all.Go(func() {
			room <- struct{}{}
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
		return row{router: r, err: err}
	}
	defer p.close()
	rep, err := p.laptop(ctx, f.runFlags, func(probe.Event) {})
	return row{r, rep, err, time.Since(began)}
}

// A matrix is what was said of all routers, ready to be printed.
type matrix struct {
	along          []string
	lines          [][]string // the first has the titles
	apart          []string
	wrong, skipped int
	failed, cells  int
}

func (m *matrix) add(r row) {
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
	head, line := []string{"router"}, []string{r.router.Name}
	for _, p := range r.rep.Protocols {
		if slices.Contains(m.along, p.ID) {
			continue
		}
		c := compared(r.router, p)
		m.cells++
		if !c.right {
			m.wrong++
		}
		head, line = append(head, p.Title), append(line, c.String())
	}
	if len(m.lines) == 0 {
		m.lines = append(m.lines, append(head, "seconds"))
	}
	m.lines = append(m.lines, append(line, fmt.Sprintf("%.1f", r.took.Seconds())))
}

func (m *matrix) print(w io.Writer, took time.Duration) {
	var widths []int
	for _, line := range m.lines {
		for i, cell := range line {
			if i == len(widths) {
				widths = append(widths, 0)
			}
			widths[i] = max(widths[i], len(cell))
		}
	}
	for _, line := range m.lines {
		var text strings.Builder
		for i, cell := range line {
			fmt.Fprintf(&text, "%-*s  ", widths[i], cell)
		}
		fmt.Fprintln(w, strings.TrimRight(text.String(), " "))
	}
	for _, text := range m.apart {
		fmt.Fprintln(w, report.Clean(text, maxLine))
	}
	fmt.Fprintf(w, "\n%d of %d verdicts as expected", m.cells-m.wrong, m.cells)
	if m.skipped+m.failed > 0 {
		fmt.Fprintf(w, ", %d routers not built, %d could not run", m.skipped, m.failed)
	}
	fmt.Fprintf(w, ", in %.1f seconds\n", took.Seconds())
}

// code is the exit status. Where nobody reads what was skipped, as in CI, skipping is failing.
func (m *matrix) code(ci bool) int {
	switch {
	case m.wrong > 0:
		return exitNotAll
	case m.failed > 0, m.skipped > 0 && ci:
		return exitFailed
	}
	return 0
}
