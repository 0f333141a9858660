package main

import (
	"testing"
	"time"

	"vpncheck/probe"
	"vpncheck/probe/sock"
	"vpncheck/probe/wire"
)

// limiting lets through what a leaky bucket has room for: so many packets at once, and so many a second afterwards.
func limiting(rate, burst float64, of func(p sock.FakePacket, out bool) bool) middlebox {
	return func() func(sock.FakePacket, bool) []sock.FakePacket {
		room, last := burst, time.Time{} // the bubble's time has not begun yet
		return drop(func(p sock.FakePacket, out bool) bool {
			if !of(p, out) {
				return false
			}
			room = min(burst, room+rate*min(time.Since(last).Seconds(), 3600))
			last = time.Now()
			if room < 1 {
				return true
			}
			room--
			return false
		})()
	}
}

// punishing stops everything, from the first packet too many within a second until nothing has come for half a second.
func punishing(most int, of func(p sock.FakePacket, out bool) bool) middlebox {
	return func() func(sock.FakePacket, bool) []sock.FakePacket {
		var seen []time.Time
		var last time.Time
		shut := false
		return drop(func(p sock.FakePacket, out bool) bool {
			if !of(p, out) {
				return false
			}
			now := time.Now()
			if now.Sub(last) > 700*time.Millisecond {
				shut = false
			}
			last, seen = now, append(seen, now)
			recent := 0
			for _, at := range seen {
				if now.Sub(at) < time.Second {
					recent++
				}
			}
			shut = shut || recent > most
			return shut
		})()
	}
}

// What each protocol's data is, on the way out.
var dataOut = map[string]func(p sock.FakePacket, out bool) bool{
	"pptp": func(p sock.FakePacket, out bool) bool { return out && isGRE(p, 1) },
	"gre":  func(p sock.FakePacket, out bool) bool { return out && isGRE(p, 0) },
	"ike": func(p sock.FakePacket, out bool) bool {
		return out && toPort(p, out, wire.IKEPort) && p.Src.Port() == wire.IKEPort && p.Payload[17] == 0x20 // version 2
	},
	"natt": func(p sock.FakePacket, out bool) bool { return out && onNATT(p, out, wire.NATTESP) },
	"esp":  func(p sock.FakePacket, out bool) bool { return out && isESP(p) },
	"ah":   func(p sock.FakePacket, out bool) bool { return out && p.Proto == wire.IPProtoAH },
	"l2tp": func(p sock.FakePacket, out bool) bool { return l2tpFrom(p, 0) && p.Payload[0]&0x80 == 0 },
}

// withoutNAT puts a middlebox into a network that translates nothing.
func (m middlebox) withoutNAT() func(sock.FakePacket) []sock.FakePacket {
	box := m()
	return func(p sock.FakePacket) []sock.FakePacket {
		if p.Src.Addr() != atHome && p.Dst.Addr() != atHome {
			return []sock.FakePacket{p}
		}
		return box(p, p.Src.Addr() == atHome)
	}
}

// A limiter is told from a block and from a bad line, whatever it limits (F52, T35).
func TestJoinedLimiter(t *testing.T) {
	t.Parallel()
	for id, is := range dataOut {
		for name, box := range map[string]middlebox{
			"one-a-second":      limiting(1, 2, is),
			"punishes":          punishing(6, is),
			"punishes-at-third": punishing(2, is),
		} {
			t.Run(id+"/"+name, func(t *testing.T) {
				join(t, box.withoutNAT(), func(j *joined) {
					j.prove()
					f, o := j.only(id)
					j.found(f, "passed rate-limit")
					// Where the limit is one a second, another form of the protocol may take a place.
					if e, ok := evidence(f, probe.EvPace); !ok || e.Args["asked"].(int)-e.Args["returned"].(int) > 1 {
						t.Errorf("got %+v, want how it fared at one a second", f.Because)
					}
					if took := o.Ended.Sub(o.Started); took > 21*time.Second {
						t.Errorf("it took %v, at most 21 s", took)
					} else {
						t.Log(took)
					}
				})
			})
		}
	}
}

// What is cut off after a number of packets is not limited, however slowly it is asked (F13).
func TestJoinedNoLimiter(t *testing.T) {
	t.Parallel()
	flowOf := func(p sock.FakePacket, out bool) string {
		if out && isESP(p) {
			return string(p.Payload[:4])
		}
		return ""
	}
	every := func(n int, is func(sock.FakePacket, bool) bool) middlebox {
		return func() func(sock.FakePacket, bool) []sock.FakePacket {
			seen := 0
			return drop(func(p sock.FakePacket, out bool) bool {
				if is(p, out) {
					seen++
					return seen%n == 0
				}
				return false
			})()
		}
	}
	for _, c := range []struct {
		name   string
		box    middlebox
		want   string
		uneven bool
		most   time.Duration
	}{
		{"cut-after-1", cutAfterN(1, flowOf), "stalled stopped-after-n", false, 14 * time.Second},
		{"cut-after-11", cutAfterN(11, flowOf), "stalled stopped-after-n", false, 24 * time.Second},
		{"every-second-lost", every(2, dataOut["esp"]), "passed", true, 16 * time.Second},
		{"one-in-ten-lost", every(10, dataOut["esp"]), "passed", false, 6 * time.Second},
	} {
		t.Run(c.name, func(t *testing.T) {
			join(t, c.box.route(), func(j *joined) {
				j.prove()
				f, o := j.only("esp")
				j.found(f, c.want)
				if _, ok := evidence(f, probe.EvUneven); ok != c.uneven {
					t.Errorf("got %v, want uneven loss told: %v", f.Because, c.uneven)
				}
				if took := o.Ended.Sub(o.Started); took > c.most {
					t.Errorf("it took %v, at most %v", took, c.most)
				}
			})
		})
	}
}

// A limiter on all UDP makes the control lose as well: nothing false is said of any protocol (F52).
func TestJoinedUDPLimiter(t *testing.T) {
	t.Parallel()
	for _, rate := range []float64{3, 6, 10, 20} {
		box := limiting(rate, 5, func(p sock.FakePacket, out bool) bool { return out && p.Proto == wire.IPProtoUDP })
		join(t, box.route(), func(j *joined) {
			j.prove()
			r := j.run(j.Context(), j.laptop)
			for _, f := range r.Findings {
				right := f.Verdict == probe.Passed || f.Verdict == probe.Inconclusive || f.Reason == probe.AHThroughNAT
				if !right || f.Protocol == "pptp" && f.Verdict != probe.Passed {
					t.Errorf("%v a second: %s is %s (%s)\n%+v", rate, f.Protocol, f.Verdict, f.Reason, f.Because)
				}
			}
			if took := r.Ended.Sub(r.Started); took > 60*time.Second {
				t.Errorf("%v a second: it took %v", rate, took)
			} else {
				t.Log(rate, took, r.Findings[2].Verdict, r.Findings[3].Verdict, r.Findings[3].Reason, r.Findings[6].Verdict, r.Findings[6].Reason)
			}
		})
	}
}
