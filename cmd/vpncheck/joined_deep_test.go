package main

import (
	"testing"
	"time"

	"vpncheck/probe"
	"vpncheck/probe/sock"
	"vpncheck/probe/wire"
)

// deep holds a run of one protocol with more rounds.
func (j *joined) deep(id string) (probe.Finding, probe.Observation) {
	j.Helper()
	probes, _, err := choose([]string{id})
	if err != nil {
		j.Fatal(err)
	}
	p := probe.Open(j.Context(), probe.Config{Net: j.laptop, Host: j.cs.Host, Access: j.cs.Access, Pin: j.cs.Pin, Build: "test", Deep: true})
	r := probe.Run(j.Context(), p, probes, nil)
	for i, f := range r.Findings {
		if f.Protocol == id {
			return f, r.Observations[i]
		}
	}
	j.Fatalf("no finding of %s", id)
	return probe.Finding{}, probe.Observation{}
}

// octets is the size of an IP packet.
func octets(p sock.FakePacket) int {
	n := 20 + len(p.Payload)
	if p.Proto == wire.IPProtoUDP {
		n += 8
	}
	return n
}

// blackHole drops what is larger than 1,300 octets, one way, and says nothing.
func blackHole(way bool) middlebox {
	return drop(func(p sock.FakePacket, out bool) bool { return p.Proto != 6 && out == way && octets(p) > 1300 })
}

// With --deep thirty small rounds are held, and three of full size, which something may drop (F07, F08).
func TestJoinedDeep(t *testing.T) {
	t.Parallel()
	open := drop(func(sock.FakePacket, bool) bool { return false })
	lossy := func() func(sock.FakePacket, bool) []sock.FakePacket {
		n := 0
		return drop(func(p sock.FakePacket, out bool) bool { // two of three large packets are lost, and small ones too
			n++
			return p.Proto != 6 && n%3 != 0
		})()
	}
	for _, id := range protocolIDs() {
		if id == "openvpn-tcp" || id == "sstp" {
			continue // TCP's segments are as large as it makes them
		}
		for _, c := range []struct {
			name string
			box  middlebox
			want string
			way  string
		}{
			{"open", open, "passed", ""},
			{"out", blackHole(true), "stalled full-size-dropped", "out"},
			{"back", blackHole(false), "stalled full-size-dropped", "back"},
		} {
			t.Run(id+"/"+c.name, func(t *testing.T) {
				join(t, c.box.withoutNAT(), func(j *joined) {
					j.prove()
					f, o := j.deep(id)
					j.found(f, c.want)
					small, full, most := 0, 0, 0
					for _, e := range o.Exchanges {
						switch {
						case e.Part != deciding(o) || e.From != probe.Client:
						case e.Stage == "full-size":
							full++
							most = max(most, len(e.Sent.Bytes))
						case e.Returned.State == wire.Seen:
							small++
						}
					}
					if small < 30 || full < 3 || c.want == "passed" && full != 3 || most < 1350 || most > 1464 {
						t.Errorf("%d small rounds and %d of full size, up to %d octets of payload", small, full, most)
					}
					if e, ok := evidence(f, probe.EvFullSize); ok != (c.way != "") || ok && (e.Args["way"] != c.way || e.Args["octets"].(int) < 1400 || e.Args["octets"].(int) > 1500) {
						t.Errorf("got %v, want full size dropped on the way %q", f.Because, c.way)
					}
				})
			})
		}
	}
	// Loss alone is no black hole.
	join(t, middlebox(lossy).withoutNAT(), func(j *joined) {
		j.prove()
		if f, _ := j.deep("esp"); f.Verdict == probe.Stalled {
			t.Errorf("got %s (%s): %+v", f.Verdict, f.Reason, f.Because)
		}
	})
	// A flow that is cut off late is found only so.
	late := cutAfterN(20, func(p sock.FakePacket, out bool) string {
		if out && isESP(p) {
			return string(p.Payload[:4])
		}
		return ""
	})
	join(t, late.withoutNAT(), func(j *joined) {
		j.prove()
		f, _ := j.only("esp")
		j.found(f, "passed")
		f, o := j.deep("esp")
		j.found(f, "stalled stopped-after-n")
		if took := o.Ended.Sub(o.Started); took > 40*time.Second {
			t.Errorf("it took %v", took)
		}
	})
}

// deciding is the deciding part of an observation.
func deciding(o probe.Observation) string {
	for _, p := range o.Parts {
		if p.Deciding {
			return p.ID
		}
	}
	return ""
}
