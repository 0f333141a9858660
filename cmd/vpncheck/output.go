package main

import (
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"

	"github.com/spf13/cobra"
	"golang.org/x/term"

	"vpncheck/report/view"
)

// A shown is anything that can be shown to a person and to a program: a report, or what was found without a server.
type shown interface {
	writeText(w io.Writer, o view.Options) error
	writeJSON(w io.Writer) error
}

// outputFlags say where a report goes and in what form, each called as its flag.
type outputFlags struct {
	output  []string
	format  string
	verbose bool
}

func (f *outputFlags) add(cmd *cobra.Command) {
	fl := cmd.Flags()
	fl.StringArrayVarP(&f.output, "output", "o", nil, "also write the report to this `file`; .json or .txt decides its form (repeatable)")
	fl.StringVar(&f.format, "format", "text", "the form of the report on standard output, `text|json`")
	fl.BoolVarP(&f.verbose, "verbose", "v", false, "show everything that the report holds")
	cmd.RegisterFlagCompletionFunc("format", cobra.FixedCompletions([]string{"text", "json"}, cobra.ShellCompDirectiveNoFileComp))
}

// check finds out before anything is begun whether the report will find its place.
func (f *outputFlags) check() error {
	if f.format != "text" && f.format != "json" {
		return wrongUsage("the known ones are text, json", "--format: there is no form %.40q", f.format)
	}
	for _, name := range f.output {
		if form(name) == "" {
			return wrongUsage("the known endings are .json, .txt", "-o %.200s: its ending says nothing about its form", name)
		}
		if err := canWrite(name); err != nil {
			return wrongUsage("choose a place in which you may write", "-o %.200s cannot be written: %w", name, err)
		}
	}
	return nil
}

// form is "json" or "text" by the file's name, or "" if that does not tell.
func form(name string) string {
	switch strings.ToLower(filepath.Ext(name)) {
	case ".json":
		return "json"
	case ".txt":
		return "text"
	}
	return ""
}

// write writes the files of -o, then standard output.
func (f *outputFlags) write(out io.Writer, s shown) error {
	var unwritten error
	for _, name := range f.output {
		err := replaceFile(name, func(w io.Writer) error {
			if form(name) == "json" {
				return s.writeJSON(w)
			}
			return s.writeText(w, view.Options{Verbose: f.verbose})
		})
		if err != nil {
			unwritten = wrongUsage("the report is also on standard output", "%w", err)
		}
	}
	return errors.Join(f.show(out, s), unwritten)
}

func (f *outputFlags) show(out io.Writer, s shown) error {
	if f.format == "json" {
		return s.writeJSON(out)
	}
	return s.writeText(out, f.options(out))
}

func (f *outputFlags) options(w io.Writer) view.Options {
	o := looks(w)
	o.Verbose = f.verbose
	return o
}

// looks are how text looks on w.
func looks(w io.Writer) view.Options {
	var o view.Options
	if fd, ok := terminal(w); ok {
		o.Color = os.Getenv("NO_COLOR") == "" && os.Getenv("TERM") != "dumb"
		if width, _, err := term.GetSize(fd); err == nil && width >= 40 {
			o.Width = min(width, 120)
		}
	}
	return o
}

func terminal(w io.Writer) (int, bool) { return isTerminal(w) }

// terminalIn says the same of where input comes from.
func terminalIn(r io.Reader) (int, bool) { return isTerminal(r) }

func isTerminal(x any) (int, bool) {
	f, ok := x.(*os.File)
	if !ok || !term.IsTerminal(int(f.Fd())) {
		return 0, false
	}
	return int(f.Fd()), true
}
