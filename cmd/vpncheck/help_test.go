package main

import (
	"bytes"
	"strings"
	"testing"
)

// Help fits a terminal of 80 columns, and its tables stay tables.
func TestHelpFits(t *testing.T) {
	for _, name := range []string{"", "run", "serve", "report", "demo"} {
		root := newRoot()
		var out bytes.Buffer
		root.SetOut(&out)
		root.SetArgs(append(strings.Fields(name), "--help"))
		if err := root.Execute(); err != nil {
			t.Fatal(err)
		}
		for _, line := range strings.Split(out.String(), "\n") {
			if len(line) > helpWidth {
				t.Errorf("%s --help: %d columns: %q", name, len(line), line)
			}
		}
		if exits := strings.Contains(out.String(), "exit by it"); exits != (name == "run") {
			t.Errorf("%s --help says that a VPN decides its exit status: %t", name, exits)
		}
		if name == "run" && !strings.Contains(out.String(), "\n  2    wrong usage, or a file that cannot be read or written\n") {
			t.Errorf("got:\n%s", out.String())
		}
	}
}

func TestBroken(t *testing.T) {
	long := strings.Repeat("word ", 20)
	for _, x := range []struct{ in, want string }{
		{"", ""},
		{"one\ntwo\n\nthree", "one two\n\nthree"},
		{long, strings.TrimSpace(strings.Repeat("word ", 16)) + "\nword word word word"},
		{"  run X   " + long, "  run X   " + strings.TrimSpace(strings.Repeat("word ", 14)) + "\n          word word word word word word"},
	} {
		if got := broken(x.in); got != x.want {
			t.Errorf("%q: got %q, want %q", x.in, got, x.want)
		}
	}
}
