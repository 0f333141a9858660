package probe

import (
	"math"
	"testing"
	"time"

	"vpncheck/probe/witness"
)

// A reading is of counters at some seconds.
type reading struct {
	at             float64
	sent, received uint32
}

func aTrain(sent, arrived, replied int, began, ended float64, rs ...reading) Train {
	start := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	at := func(seconds float64) time.Time { return start.Add(time.Duration(seconds * float64(time.Second))) }
	t := Train{Sent: sent, Arrived: arrived, Replied: replied, Began: at(began), Ended: at(ended)}
	for _, r := range rs {
		t.Readings = append(t.Readings, witness.Counters{At: at(r.at), Sent: r.sent, Received: r.received})
	}
	return t
}

func TestTrainCounted(t *testing.T) {
	const top = math.MaxUint32
	for _, c := range []struct {
		name      string
		train     Train
		out, back int
		ok        bool
	}{
		{"all-out", aTrain(48, 0, 0, .5, 1.5, reading{0, 100, 200}, reading{.5, 105, 205}, reading{1.5, 163, 215}, reading{2, 168, 220}), 48, 0, true},
		{"none-out", aTrain(48, 0, 0, .5, 1.5, reading{0, 100, 200}, reading{.5, 105, 205}, reading{1.5, 115, 215}, reading{2, 120, 220}), 0, 0, true},
		{"half-out", aTrain(48, 0, 0, .5, 1.5, reading{0, 100, 200}, reading{.5, 105, 205}, reading{1.5, 139, 215}, reading{2, 144, 220}), 24, 0, true},
		{"all-back-and-told", aTrain(48, 48, 48, .5, 1.5, reading{0, 100, 200}, reading{.5, 105, 205}, reading{1.5, 211, 311}, reading{2, 216, 316}), 48, 48, true},
		{"told-and-none-back", aTrain(48, 48, 48, .5, 1.5, reading{0, 100, 200}, reading{.5, 105, 205}, reading{1.5, 211, 263}, reading{2, 216, 268}), 48, 0, true},
		{"before-alone", aTrain(48, 0, 0, .5, 1.5, reading{0, 100, 200}, reading{.5, 105, 205}, reading{1.5, 163, 215}), 48, 0, true},
		{"after-alone", aTrain(48, 0, 0, .5, 1.5, reading{.5, 105, 205}, reading{1.5, 163, 215}, reading{2, 168, 220}), 48, 0, true},
		{"another-train-between", aTrain(48, 0, 0, 2, 3, reading{0, 100, 200}, reading{.5, 105, 205}, reading{2, 300, 300}, reading{3, 358, 310}, reading{4, 500, 400}, reading{4.5, 505, 405}), 48, 0, true},
		{"wraps", aTrain(48, 0, 0, .5, 1.5, reading{0, top - 9, top - 206}, reading{.5, top - 4, top - 201}, reading{1.5, 53, top - 191}, reading{2, 58, top - 186}), 48, 0, true},

		{"no-readings", aTrain(48, 0, 0, .5, 1.5), 0, 0, false},
		{"one-idle-reading", aTrain(48, 0, 0, .5, 1.5, reading{.5, 105, 205}, reading{1.5, 163, 215}), 0, 0, false},
		{"no-reading-after", aTrain(48, 0, 0, .5, 1.5, reading{-1, 95, 195}, reading{0, 100, 200}, reading{.5, 105, 205}), 0, 0, false},
		{"nothing-sent", aTrain(0, 0, 0, .5, 1.5, reading{0, 100, 200}, reading{.5, 105, 205}, reading{1.5, 163, 215}, reading{2, 168, 220}), 0, 0, false},
		{"constant", aTrain(48, 0, 0, .5, 1.5, reading{0, 100, 200}, reading{.5, 100, 200}, reading{1.5, 100, 200}, reading{2, 100, 200}), 0, 0, false},
		{"one-constant", aTrain(48, 0, 0, .5, 1.5, reading{0, 100, 200}, reading{.5, 105, 200}, reading{1.5, 163, 200}, reading{2, 168, 200}), 0, 0, false},
		{"told-late", aTrain(48, 0, 0, .5, 1.5, reading{0, 100, 200}, reading{.5, 105, 205}, reading{1.5, 105, 205}, reading{2, 168, 220}), 0, 0, false},
		{"backwards", aTrain(48, 0, 0, .5, 1.5, reading{0, 100, 200}, reading{.5, 105, 205}, reading{1.5, 103, 215}, reading{2, 168, 220}), 0, 0, false},
		{"not-in-order", aTrain(48, 0, 0, .5, 1.5, reading{.6, 100, 200}, reading{.5, 105, 205}, reading{1.5, 163, 215}, reading{2, 168, 220}), 0, 0, false},
		{"much-traffic", aTrain(48, 0, 0, .5, 1.5, reading{0, 100, 200}, reading{.5, 600, 700}, reading{1.5, 1648, 1700}, reading{2, 2148, 2200}), 0, 0, false},
		{"uneven-traffic", aTrain(48, 0, 0, .5, 1.5, reading{0, 100, 200}, reading{.5, 105, 205}, reading{1.5, 163, 215}, reading{2, 188, 220}), 0, 0, false},
		{"much-traffic-in", aTrain(48, 0, 0, .5, 1.5, reading{0, 100, 200}, reading{.5, 105, 700}, reading{1.5, 163, 1700}, reading{2, 168, 2200}), 0, 0, false},
		{"a-rush-out", aTrain(48, 0, 0, .5, 1.5, reading{0, 100, 200}, reading{.5, 105, 205}, reading{1.5, 1000, 215}, reading{2, 1005, 220}), 0, 0, false},
		{"a-rush-in", aTrain(48, 0, 0, .5, 1.5, reading{0, 100, 200}, reading{.5, 105, 205}, reading{1.5, 163, 300}, reading{2, 168, 305}), 0, 0, false},
		{"a-lull", aTrain(48, 0, 0, .5, 1.5, reading{0, 100, 200}, reading{.5, 112, 205}, reading{1.5, 113, 215}, reading{2, 125, 220}), 0, 0, false},
		{"a-lull-in", aTrain(48, 0, 0, .5, 1.5, reading{0, 100, 200}, reading{.5, 105, 212}, reading{1.5, 163, 213}, reading{2, 168, 225}), 0, 0, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			if out, back, ok := c.train.Counted(); out != c.out || back != c.back || ok != c.ok {
				t.Errorf("got %d out, %d back (%v), want %d, %d (%v)", out, back, ok, c.out, c.back, c.ok)
			}
		})
	}
}

// A train has the readings around it, and the idle ones.
func TestReadingsFor(t *testing.T) {
	all := make([]witness.Counters, 7)
	for i := range all {
		all[i].Sent = uint32(i)
	}
	for _, c := range []struct {
		before int
		rested bool
		want   []uint32
	}{
		{1, true, []uint32{0, 1, 2, 5, 6}},
		{3, true, []uint32{0, 1, 3, 4, 5, 6}},
		{5, false, []uint32{0, 1, 5, 6}},
		{3, false, []uint32{0, 1, 3, 4}},
	} {
		var got []uint32
		for _, r := range readingsFor(all, c.before, c.rested) {
			got = append(got, r.Sent)
		}
		if len(got) != len(c.want) {
			t.Fatalf("before %d: got %v, want %v", c.before, got, c.want)
		}
		for i := range got {
			if got[i] != c.want[i] {
				t.Errorf("before %d: got %v, want %v", c.before, got, c.want)
			}
		}
	}
}

// Whose culprit is known, or who has none, is not asked about.
func TestWorthAsking(t *testing.T) {
	for _, c := range []struct {
		v    Verdict
		r    Reason
		want bool
	}{
		{Passed, "", false}, {Altered, AHThroughNAT, false}, {Hijacked, AnsweredByAnother, false}, {Untested, NoPrivilege, false},
		{BlockedOut, ESPOutDropped, true}, {BlockedOut, UDPFiltered, true}, {BlockedBack, NoPPTPHelper, true}, {Stalled, StoppedAfterN, true},
		{BlockedOut, LaptopFirewall, false}, {BlockedBack, LaptopDropsAnswers, false},
		{Inconclusive, ServerUnproven, true}, {Inconclusive, NotEnoughTries, true}, {Inconclusive, TooLossy, true},
		{Inconclusive, StateClash, false}, {Inconclusive, PortClash, false}, {Inconclusive, NotAnswered, false}, {Inconclusive, Interrupted, false},
	} {
		if got := worthAsking(Finding{Verdict: c.v, Reason: c.r}); got != c.want {
			t.Errorf("%s (%s): got %v", c.v, c.r, got)
		}
	}
}
