package main

import (
	"encoding/json"
	"fmt"
	"io"
	"os"
	"strings"

	"vpncheck/probe"
	"vpncheck/report"
	"vpncheck/report/view"
)

// live shows a run while it is under way: verdicts as they come, and below them, on a terminal, one line that changes.
type live struct {
	w        io.Writer
	opts     view.Options
	moving   bool // w is a terminal
	shown    int  // columns of the line that is there now
	percent  int
	underway []string // titles
	titles   map[string]string
	said     bool // any verdict
	verdicts map[string]probe.Verdict
	held     []probe.Event // what no router can help comes last
	silent   bool          // about verdicts
	vpn      string        // the one that was asked about: verdicts that it does not need can wait for the report
}

func newLive(w io.Writer, o view.Options, probes []probe.Probe) *live {
	_, moving := terminal(w)
	l := &live{w: w, opts: o, moving: moving, titles: make(map[string]string), verdicts: make(map[string]probe.Verdict)}
	for _, p := range probes {
		l.titles[p.Info().ID] = p.Info().Title
	}
	return l
}

// on takes the events of a run, one at a time.
func (l *live) on(e probe.Event) {
	switch e.Kind {
	case "started":
		l.underway = append(l.underway, l.title(e.Protocol))
	case "waiting":
		l.clear()
		fmt.Fprintf(l.w, "%s: another laptop behind this router is being tested; waiting, %.0f seconds at most\n", l.title(e.Protocol), e.AtMost.Seconds())
	case "percent":
		l.percent = e.Percent
	case "verdict":
		switch {
		case e.Finding == nil || l.silent || !report.MayNeed(l.vpn, e.Protocol):
		case report.Expected(e.Finding.Verdict, e.Finding.Reason):
			l.held = append(l.held, e)
		default:
			l.verdict(e, l.opts)
		}
	case "own":
		l.tell("asking your own VPN server too")
		return
	case "witness":
		l.tell("looking for who stopped it: five seconds more at most")
		return
	case "done":
		l.release()
		return
	}
	l.line(fmt.Sprintf("%3d %%  %s", l.percent, fitting(l.underway, max(l.opts.Width, 40)-1-len("100 %  "))))
}

// fitting lists as many names as there is room for, and counts the others.
func fitting(names []string, width int) string {
	text := strings.Join(names, ", ")
	for n := len(names) - 1; n > 0 && len(text) > width; n-- {
		text = fmt.Sprintf("%s and %d more", strings.Join(names[:n], ", "), len(names)-n)
	}
	return text
}

func (l *live) verdict(e probe.Event, o view.Options) {
	l.clear()
	view.Verdict(l.w, l.title(e.Protocol), *e.Finding, o)
	l.said, l.verdicts[e.Protocol] = true, e.Finding.Verdict
}

// release shows what was held back, without the colours of a failure.
func (l *live) release() {
	l.clear()
	plain := l.opts
	plain.Color = false
	for _, e := range l.held {
		l.verdict(e, plain)
	}
	l.held = nil
}

// end says that the report counts, if the run ended early or the report says something else than the lines did.
func (l *live) end(r report.Report, early bool) {
	l.release()
	changed := false
	for _, p := range r.Protocols {
		if v, ok := l.verdicts[p.ID]; ok && v != p.Verdict {
			changed = true
		}
	}
	switch {
	case early && l.said:
		fmt.Fprintln(l.w, "The run ended early: the report below counts, not these lines.")
	case changed:
		fmt.Fprintln(l.w, "Afterwards a verdict changed: the report below counts, not these lines.")
	}
}

func (l *live) title(id string) string {
	if t := l.titles[id]; t != "" {
		return t
	}
	return id
}

// tell says what takes its time, on the line that changes where there is one.
func (l *live) tell(text string) {
	if !l.moving {
		fmt.Fprintln(l.w, text)
	}
	l.line(text)
}

// line replaces the line that changes.
func (l *live) line(text string) {
	if !l.moving {
		return
	}
	if width := max(l.opts.Width, 40) - 1; len(text) > width {
		text = text[:width]
	}
	l.clear()
	fmt.Fprint(l.w, text)
	l.shown = len(text)
}

func (l *live) clear() {
	if l.shown > 0 {
		fmt.Fprint(l.w, "\r", strings.Repeat(" ", l.shown), "\r")
		l.shown = 0
	}
}

// events writes a run's events as JSON lines.
type events struct {
	w     io.Writer
	close func() error
	err   error // the first one
}

// openEvents opens what --events names; without a name there is nobody to tell.
func openEvents(name string, out io.Writer) (*events, error) {
	switch name {
	case "":
		return nil, nil
	case "-":
		return &events{w: out, close: func() error { return nil }}, nil
	}
	f, err := os.OpenFile(name, os.O_WRONLY|os.O_CREATE|os.O_TRUNC, 0o600)
	if err != nil {
		return nil, wrongUsage("choose a file that you may write, or - for standard output", "--events: %w", err)
	}
	giveBack(f)
	return &events{w: f, close: f.Close}, nil
}

func (e *events) on(ev probe.Event) {
	if e == nil || e.err != nil {
		return
	}
	line, err := json.Marshal(ev)
	if err == nil {
		_, err = e.w.Write(append(report.Printable(line), '\n')) // standard output may be a terminal
	}
	e.err = err
}

func (e *events) end() error {
	if e == nil {
		return nil
	}
	if err := e.close(); e.err == nil {
		e.err = err
	}
	if e.err != nil {
		return fmt.Errorf("writing the events: %w", e.err)
	}
	return nil
}
