package main

import (
	"encoding/json"
	"fmt"
	"io"
	"os"
	"strings"

	"vpncheck/probe"
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
}

func newLive(w io.Writer, o view.Options, probes []probe.Probe) *live {
	_, moving := terminal(w)
	l := &live{w: w, opts: o, moving: moving, titles: make(map[string]string)}
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
	case "percent":
		l.percent = e.Percent
	case "verdict":
		l.clear()
		if e.Finding != nil {
			view.Verdict(l.w, l.title(e.Protocol), *e.Finding, l.opts)
		}
	case "done":
		l.clear()
		return
	}
	l.line(fmt.Sprintf("%3d %%  %s", l.percent, strings.Join(l.underway, ", ")))
}

func (l *live) title(id string) string {
	if t := l.titles[id]; t != "" {
		return t
	}
	return id
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
	enc   *json.Encoder
	close func() error
	err   error // the first one
}

// openEvents opens what --events names; without a name there is nobody to tell.
func openEvents(name string, out io.Writer) (*events, error) {
	switch name {
	case "":
		return nil, nil
	case "-":
		return &events{enc: json.NewEncoder(out), close: func() error { return nil }}, nil
	}
	f, err := os.OpenFile(name, os.O_WRONLY|os.O_CREATE|os.O_TRUNC, 0o600)
	if err != nil {
		return nil, wrongUsage("choose a file that you may write, or - for standard output", "--events: %w", err)
	}
	giveBack(f)
	return &events{enc: json.NewEncoder(f), close: f.Close}, nil
}

func (e *events) on(ev probe.Event) {
	if e == nil || e.err != nil {
		return
	}
	e.err = e.enc.Encode(ev)
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
