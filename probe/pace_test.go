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
