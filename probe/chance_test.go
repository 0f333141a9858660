package probe

import (
	"math"
	"testing"
)

func TestFisher(t *testing.T) {
	for _, c := range []struct {
		name              string
		tries, sent, lost int
		want              float64
	}{
		{"five-against-fifteen-clean", 5, 15, 0, 1.0 / 15504},
		{"five-against-ten-clean", 5, 10, 0, 1.0 / 3003},
		{"six-against-thirteen-clean", 6, 13, 0, 1.0 / 27132},
		// scipy.stats.fisher_exact([[5, 0], [5, 10]], "greater"): C(15,5)/C(20,10).
		{"five-against-a-third-lost", 5, 15, 5, 3003.0 / 184756},
		{"everything-lost", 5, 15, 15, 1},
		{"no-control", 5, 0, 0, 1},
		{"no-tries", 0, 15, 0, 1},
	} {
		t.Run(c.name, func(t *testing.T) {
			if got := fisher(c.tries, c.sent, c.lost); math.Abs(got-c.want) > 1e-9*c.want+1e-12 {
				t.Errorf("got %g, want %g", got, c.want)
			}
		})
	}
	// scipy.stats.fisher_exact([[lost, n-lost], [otherLost, sent-otherLost]], "greater").
	for _, c := range []struct {
		lost, n, otherLost, sent int
		want                     float64
	}{
		{5, 5, 0, 15, 1.0 / 15504},
		{5, 5, 5, 15, 3003.0 / 184756},
		{0, 5, 0, 15, 1},
		{1, 2, 0, 2, 0.5},
		{2, 4, 1, 4, 0.5},
		{3, 4, 1, 4, 17.0 / 70},
		{1, 2, 1, 1, 1},
		{3, 4, 0, 0, 1},
		{0, 0, 3, 4, 1},
	} {
		if got := fisherMore(c.lost, c.n, c.otherLost, c.sent); math.Abs(got-c.want) > 1e-9 {
			t.Errorf("%+v: got %g, want %g", c, got, c.want)
		}
	}
	if fisher(5, 15, 0) >= maxChance {
		t.Error("5 tries against 15 clean controls must suffice")
	}
	if fisher(4, 15, 0) < maxChance {
		t.Error("4 tries against 15 clean controls must not suffice")
	}
	// At 10 % loss each way a round trip of the control is lost in 19 %.
	if fisher(8, 30, 6) >= maxChance {
		t.Error("8 tries against 30 controls of which 6 were lost must suffice")
	}
}
