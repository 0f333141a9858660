package main

import (
	"fmt"
	"io"
	"strings"

	"vpncheck/report"
)

// lines writes text that fits a screen.
type lines struct {
	w     io.Writer
	width int
	err   error
}

func (l *lines) print(text string) {
	if l.err == nil {
		_, l.err = io.WriteString(l.w, text)
	}
}

func (l *lines) para(text string) { l.wrap("", 0, text) }

func (l *lines) field(label, text string) { l.wrap(fmt.Sprintf("  %-17s", label+":"), 19, text) }

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
