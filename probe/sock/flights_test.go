package sock

import (
	"bytes"
	"io"
	"net"
	"sync"
	"testing"
)

// The first flight of each end is kept at both, and no second one, nor more than there is room for.
func TestFlights(t *testing.T) {
	long := bytes.Repeat([]byte("x"), maxFlight)
	for _, c := range []struct {
		name          string
		said          []string // by turns
		first, second string
	}{
		{"none", nil, "", ""},
		{"unanswered", []string{"hello"}, "hello", ""},
		{"answered", []string{"hello", "greeting"}, "hello", "greeting"},
		{"more", []string{"hello", "greeting", "finished", "data"}, "hello", "greeting"},
		{"long", []string{"hello" + string(long), "greeting" + string(long)}, "hello" + string(long[5:]), "greeting" + string(long[8:])},
	} {
		t.Run(c.name, func(t *testing.T) {
			a, b := net.Pipe()
			defer a.Close()
			defer b.Close()
			from, to := &Flights{Conn: a}, &Flights{Conn: b}
			begins, other := from, to
			for _, said := range c.said {
				var writes sync.WaitGroup
				writes.Go(func() { // two: a flight has as many as it likes
					io.WriteString(from, said[:2])
					io.WriteString(from, said[2:])
				})
				if _, err := io.ReadFull(to, make([]byte, len(said))); err != nil {
					t.Fatal(err)
				}
				writes.Wait()
				from, to = to, from
			}
			for _, f := range []*Flights{begins, other} {
				if first, answered := f.Kept(); string(first) != c.first || answered != (c.second != "") {
					t.Errorf("so far: got %.20q, %v", first, answered)
				}
				if first, second := f.Stop(); string(first) != c.first || string(second) != c.second {
					t.Errorf("got %.20q and %.20q, want %.20q and %.20q", first, second, c.first, c.second)
				}
				if first, second := f.Stop(); len(first)+len(second) > 0 {
					t.Errorf("kept %.20q and %.20q after the end", first, second)
				}
			}
		})
	}
}

// What could not leave was to be said, and is no answer.
func TestFlightsUnsent(t *testing.T) {
	for _, hello := range []string{"", "hello"} { // the other end's
		a, b := net.Pipe()
		f := &Flights{Conn: a}
		if hello != "" {
			go io.WriteString(b, hello)
			if _, err := io.ReadFull(f, make([]byte, len(hello))); err != nil {
				t.Fatal(err)
			}
		}
		b.Close()
		if _, err := io.WriteString(f, "unsent"); err == nil {
			t.Fatal("it was sent")
		}
		if _, answered := f.Kept(); answered {
			t.Error("it counts as an answer")
		}
		if first, second := f.Stop(); string(first)+string(second) != hello+"unsent" {
			t.Errorf("got %q and %q", first, second)
		}
		a.Close()
	}
}
