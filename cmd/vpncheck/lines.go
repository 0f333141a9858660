package main

import (
	"cmp"
	"fmt"
	"io"
	"strings"

	"vpncheck/report"
)

// lines writes text that fits a screen.
type lines struct {
	w      io.Writer
	width  int
	labels int // columns of a label, 17 if 0
	err    error
}

func (l *lines) print(text string) {
	if l.err == nil {
		_, l.err = io.WriteString(l.w, text)
	}
}

func (l *lines) para(text string) { l.wrap("", 0, text) }

func (l *lines) field(label, text string) {
	columns := cmp.Or(l.labels, 17)
	l.wrap(fmt.Sprintf("  %-*s", columns, label+":"), 2+columns, text)
}

// wrap breaks text between words; the lines after the first are indented.
func (l *lines) wrap(head string, indent int, text string) {
	width := l.width
	if width == 0 {
		width = 80
	}
	line := head
	for _, word := range strings.Fields(report.Clean(text, 2000)) {
		switch {
		case strings.TrimSpace(line) == "" || line == head && head != "":
			line += word
		case len(line)+1+len(word) > width:
			l.print(line + "\n")
			line = strings.Repeat(" ", indent) + word
		default:
			line += " " + word
		}
	}
	l.print(line + "\n")
}
