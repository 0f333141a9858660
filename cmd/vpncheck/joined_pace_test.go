package main

import (
	"math/rand/v2"
	"sync"
	"testing"
	"time"

	"vpncheck/probe"
	"vpncheck/probe/sock"
)

// A run sends 60 packets a second at most, the control's among them and TCP's not, and 2,000 in all, whatever becomes of them.
func TestJoinedPace(t *testing.T) {
	t.Parallel()
	session := func(p sock.FakePacket) bool {
		return p.Proto == 6 && (p.Src.Port() == 443 || p.Dst.Port() == 443)
	}
	dice := rand.New(rand.NewPCG(6, 0))
	for _, c := range []struct {
		name string
		drop func(p sock.FakePacket) bool
		deep bool
	}{
		{"open", func(sock.FakePacket) bool { return false }, false},
		{"open-deep", func(sock.FakePacket) bool { return false }, true},
		{"dropped", func(p sock.FakePacket) bool { return !session(p) }, false},
		{"lossy-deep", func(p sock.FakePacket) bool { return !session(p) && dice.Float64() < 0.15 }, true},
	} {
		t.Run(c.name, func(t *testing.T) {
			var mu sync.Mutex
			var left []time.Time
			join(t, func(p sock.FakePacket) []sock.FakePacket {
				mu.Lock()
				defer mu.Unlock()
				if p.Src.Addr() == atHome && p.Proto != 6 {
					left = append(left, time.Now())
				}
				if crosses(p) && c.drop(p) {
					return nil
				}
				return nat(always)(p)
			}, func(j *joined) {
				j.prove()
				cfg := probe.Config{Net: j.laptop, Host: j.cs.Host, Access: j.cs.Access, Pin: j.cs.Pin, Build: "test", Deep: c.deep}
				r := probe.Run(j.Context(), probe.Open(j.Context(), cfg), allProbes(), nil)
				mu.Lock()
				defer mu.Unlock()
				most, from := 0, 0
				for i, at := range left {
					for !left[from].After(at.Add(-time.Second)) {
						from++
					}
					most = max(most, i-from+1)
				}
				t.Logf("%d packets in all, %d within a second, in %v", len(left), most, r.Ended.Sub(r.Started))
				if len(left) < 100 || len(left) > 2000 || most > 60 {
					t.Errorf("%d packets, %d within a second; want 2,000 and 60 at most", len(left), most)
				}
			})
		})
	}
}
