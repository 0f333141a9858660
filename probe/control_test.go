package probe

import (
	"encoding/json"
	"slices"
	"testing"
	"time"
)

// beats makes a leg of the control out of a drawing: '.' is answered, 'x' is not, 'l' is answered late.
func beats(drawing string) []Beat {
	var out []Beat
	for i, c := range drawing {
		b := Beat{At: time.Duration(i) * beatEvery}
		switch c {
		case '.':
			b.RTT = 20 * time.Millisecond
		case 'l':
			b.RTT = 2 * time.Second
		}
		out = append(out, b)
	}
	return out
}

func controlOf(udp, tls string) Control {
	return Control{Started: runStart, Every: beatEvery, UDP: beats(udp), TLS: beats(tls)}
}

var runStart = time.Date(2026, 11, 22, 12, 0, 0, 0, time.UTC)

func TestOutages(t *testing.T) {
	for _, c := range []struct{ name, udp, tls, want string }{
		{"clean", "..........", "..........", ""},
		{"one-beat-lost-is-loss", "...x......", "...x......", ""},
		{"both-legs-silent", "...xxxxx..", "...lllll..", "400ms-1.6s"},
		{"udp-alone-is-no-outage", "...xxxxx..", "..........", ""},
		{"tls-alone-is-no-outage", "..........", "...lllll..", ""},
		{"the-common-part-counts", "..xxxx....", "....llll..", "600ms-1.2s"},
		{"losses-in-a-row-are-no-outage-where-many-are-lost", "..x.xx..x..xxx..x..x.xx.x..xxxxxx...", "..l.ll..l..lll..l..l.ll.l..llllll...", "5.2s-6.6s"},
		{"udp-filtered-leaves-it-to-tls", "xxxxxxxxxxxxxxx", ".....llll......", "800ms-1.8s"},
	} {
		t.Run(c.name, func(t *testing.T) {
			got := ""
			for _, o := range controlOf(c.udp, c.tls).Outages() {
				got += o.From.Sub(runStart).String() + "-" + o.To.Sub(runStart).String()
			}
			if got != c.want {
				t.Errorf("got %q, want %q", got, c.want)
			}
		})
	}
}

func TestUDPFiltered(t *testing.T) {
	for _, c := range []struct {
		name, udp, tls string
		want           bool
	}{
		{"both-answer", "...............", "...............", false},
		{"udp-silent-tls-answers", "xxxxxxxxxxxxxxx", "...............", true},
		{"too-few", "xxxx", "....", false},
		{"both-silent", "xxxxxxxxxxxxxxx", "xxxxxxxxxxxxxxx", false},
		{"one-answer-is-enough", "xxxxxxxxxxxxxx.", "...............", false},
		{"no-udp-leg", "", "...............", false},
	} {
		t.Run(c.name, func(t *testing.T) {
			if got := controlOf(c.udp, c.tls).UDPFiltered(); got != c.want {
				t.Errorf("got %v, want %v", got, c.want)
			}
		})
	}
}

func TestBurst(t *testing.T) {
	for _, c := range []struct {
		name, leg string
		want      time.Duration
	}{
		{"clean", "................", 0},
		{"each-loss-for-itself", "..x....x......x.", 0},
		{"two-in-a-row-by-chance", "..x...xx..x..x...x.x..x...x..x..", 0},
		{"bursts", "...xxxx......xxxx......................", 800 * time.Millisecond},
		{"one-long-silence", ".............xxxxx......................", time.Second},
		{"all-lost", "xxxxxxxx", 0},
	} {
		t.Run(c.name, func(t *testing.T) {
			ctl := controlOf(c.leg, "................")
			if got := ctl.burst(ctl.UDP); got != c.want {
				t.Errorf("got %v, want %v", got, c.want)
			}
		})
	}
}

func TestBeatJSON(t *testing.T) {
	in := []Beat{{At: 1500 * time.Microsecond, RTT: 20 * time.Millisecond}, {At: time.Second}}
	text, err := json.Marshal(in)
	if err != nil {
		t.Fatal(err)
	}
	if want := `[[1500,20000],[1000000,null]]`; string(text) != want {
		t.Errorf("got %s, want %s", text, want)
	}
	var out []Beat
	if err := json.Unmarshal(text, &out); err != nil || !slices.Equal(in, out) {
		t.Errorf("got %v, %v, want %v", out, err, in)
	}
	for _, bad := range []string{`{}`, `"x"`, `[1,"x"]`} {
		if err := new(Beat).UnmarshalJSON([]byte(bad)); err == nil {
			t.Errorf("%s was read", bad)
		}
	}
}
