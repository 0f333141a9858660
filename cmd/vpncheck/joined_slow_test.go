package main

import (
	"math/rand/v2"
	"sync"
	"testing"
	"time"

	"vpncheck/probe"
	"vpncheck/probe/sock"
)

// A far path: 600 ms there and back and up to 300 more, so that packets overtake each other, some twice, some seconds late. Answers are known
// by their tokens, whatever their order; the verdicts are those of a good line (F53).
type farPath struct {
	jitter  time.Duration // at most, one way
	doubled float64       // of packets
	late    float64       // of packets, by lateBy
}

const lateBy = 1700 * time.Millisecond

func (f farPath) join(t *testing.T, router middlebox, run func(j *joined)) {
	var mu sync.Mutex
	dice := rand.New(rand.NewPCG(600, 300))
	roll := func() float64 {
		mu.Lock()
		defer mu.Unlock()
		return dice.Float64()
	}
	route := router.route()
	join(t, func(p sock.FakePacket) []sock.FakePacket {
		out := route(p)
		if p.Proto != 6 && crosses(p) && roll() < f.doubled {
			out = append(out, out...)
		}
		return out
	}, func(j *joined) {
		j.prove()
		j.fake.SetDelay(300 * time.Millisecond)
		j.fake.SetLag(func(p sock.FakePacket) time.Duration {
			lag := time.Duration(roll() * float64(f.jitter))
			if p.Proto != 6 && crosses(p) && roll() < f.late {
				lag += lateBy
			}
			return lag
		})
		run(j)
	})
}

func TestJoinedFar(t *testing.T) {
	t.Parallel()
	open := blocks{}
	some := blocks{"pptp": probe.BlockedBack, "ike": probe.BlockedOut, "esp": probe.BlockedOut, "l2tp": probe.BlockedBack}
	for _, c := range []struct {
		name string
		path farPath
		most time.Duration // of a run: wide, it catches one that hangs
	}{
		{"steady", farPath{}, 2 * time.Minute},
		{"jitter", farPath{jitter: 150 * time.Millisecond}, 2 * time.Minute},
		{"reordered", farPath{jitter: 300 * time.Millisecond}, 2 * time.Minute},
		{"doubled", farPath{jitter: 150 * time.Millisecond, doubled: 0.3}, 2 * time.Minute},
		{"late", farPath{jitter: 150 * time.Millisecond, late: 0.05}, 2 * time.Minute},
	} {
		for name, b := range map[string]blocks{"open": open, "blocked": some} {
			t.Run(c.name+"/"+name, func(t *testing.T) {
				c.path.join(t, b.middlebox(), func(j *joined) {
					r := j.run(j.Context(), j.laptop)
					for _, f := range r.Findings {
						undecided := f.Verdict == probe.Inconclusive && c.path.late > 0
						if right := b.truth(f.Protocol); (f.Verdict != right || f.Reason == probe.RateLimit) && !undecided {
							t.Errorf("%s is %s (%s), want %s\n%+v", f.Protocol, f.Verdict, f.Reason, right, f.Because)
						}
					}
					copies := 0
					for _, o := range r.Observations {
						for _, e := range o.Exchanges {
							copies += e.Copies
						}
					}
					if copies == 0 && c.path.doubled > 0 {
						t.Error("no copies of answers were seen")
					}
					if took := r.Ended.Sub(r.Started); took > c.most {
						t.Errorf("it took %v", took)
					} else {
						t.Log(took)
					}
				})
			})
		}
	}
}
