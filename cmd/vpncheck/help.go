package main

import (
	"regexp"
	"strings"

	"github.com/spf13/cobra"
)

// helpWidth is how many columns help takes: those that every terminal has.
const helpWidth = 80

// narrow breaks the help of a command and of those below it into lines that fit a terminal.
func narrow(cmd *cobra.Command) {
	cmd.Long = broken(cmd.Long)
	for _, c := range cmd.Commands() {
		narrow(c)
	}
}

// inColumns is a line of a table: what it is about, and, after two spaces or more, the text.
var inColumns = regexp.MustCompile(`^  \S+(?: \S+)* {2,}`)

// broken breaks text into lines. Lines that begin with a space are a table's, and stay lines of their own.
func broken(text string) string {
	var out, words []string
	flush := func() {
		out, words = append(out, fill("", words)...), nil
	}
	for _, line := range strings.Split(text, "\n") {
		switch {
		case line == "":
			flush()
			out = append(out, "")
		case strings.HasPrefix(line, " "):
			flush()
			first := inColumns.FindString(line)
			out = append(out, fill(first, strings.Fields(line[len(first):]))...)
		default:
			words = append(words, strings.Fields(line)...)
		}
	}
	flush()
	return strings.Join(out, "\n")
}

// fill sets words in lines behind first, and the lines that follow below the text's beginning.
func fill(first string, words []string) (out []string) {
	line, empty := first, true
	for _, w := range words {
		if !empty && len(line)+1+len(w) > helpWidth {
			out = append(out, line)
			line, empty = strings.Repeat(" ", len(first)), true
		}
		if !empty {
			line += " "
		}
		line, empty = line+w, false
	}
	if !empty {
		out = append(out, line)
	}
	return out
}
