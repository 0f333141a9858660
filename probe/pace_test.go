package probe

import (
	"testing"
	"time"

	"vpncheck/probe/wire"
)

// Losses closer together than the control's bursts share one fate: a line that is silent for half a second now and then is no limiter.
func TestUnevenCountsBursts(t *testing.T) {
	start := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	c := Control{Started: start, Every: 50 * time.Millisecond}
	for i := range 120 {
		b := Beat{At: time.Duration(i) * c.Every, RTT: time.Millisecond}
		if i >= 20 && i < 30 {
			b.RTT = 0
		}
		c.UDP, c.TLS = append(c.UDP, b), append(c.TLS, Beat{At: b.At, RTT: time.Millisecond})
	}
	var flow []try
	for i := range 60 {
		lost := i >= 20 && i < 45
		at := start.Add(3*time.Second + time.Duration(i)*20*time.Millisecond)
		flow = append(flow, try{returned: !lost, arrived: !lost, replied: !lost, e: Exchange{Sent: wire.Sighting{At: at}}})
	}
	s := scale{c: Circumstances{Control: c}}
	if p, _ := s.uneven(flow); p < 0.1 {
		t.Errorf("got a chance of %.2g for one burst, want no limiter", p)
	}
	for i := range c.UDP {
		c.UDP[i].RTT = time.Millisecond
		if i%12 == 0 {
			c.UDP[i].RTT = 0 // as many losses, each for itself
		}
	}
	if p, _ := s.uneven(flow); p >= maxChance {
		t.Errorf("got a chance of %.2g where the line loses single packets, want it below %v", p, maxChance)
	}
}

// A flow that was slow itself by the time at which it stopped was not stopped for its pace, though a slow one after it goes on for longer.
func TestLimitedNotWhereItWasSlow(t *testing.T) {
	for _, c := range []struct {
		name string
		last time.Duration // between the last questions of the first flow
		want bool
	}{{"fast", 100 * time.Millisecond, true}, {"held", time.Second, false}} {
		t.Run(c.name, func(t *testing.T) {
			at := runStart
			var all []try
			ask := func(flow, n int, every time.Duration, good bool) {
				for range n {
					all = append(all, try{returned: good, arrived: good, replied: good, e: Exchange{Flow: flow, From: Client, Sent: wire.Sighting{State: wire.Seen, At: at}}})
					at = at.Add(every)
				}
			}
			ask(1, 10, 100*time.Millisecond, true)
			ask(1, 8, c.last, true)
			ask(1, 6, 500*time.Millisecond, false)
			ask(2, 30, time.Second, true)
			k := Control{Started: runStart, Every: 200 * time.Millisecond}
			for i := range 400 {
				b := Beat{At: time.Duration(i) * k.Every, RTT: time.Millisecond}
				k.UDP, k.TLS = append(k.UDP, b), append(k.TLS, b)
			}
			if _, got := (scale{c: Circumstances{Control: k}}).limited(all); got != c.want {
				t.Errorf("got %v, want %v", got, c.want)
			}
		})
	}
}
