package main

import (
	"bytes"
	"sync"
	"testing"
	"time"

	"vpncheck/probe"
	"vpncheck/probe/sock"
	"vpncheck/probe/wire"
)

// opens is the TCP port of the protocol with whose opening a connection's octets begin, 0 if they have no such form.
func opens(b []byte) uint16 {
	if m, n, err := wire.ParseOpenVPNStream(b); err == nil && n == len(b) && m.Opcode >= wire.OpenVPNHardResetClient && n < 40 {
		return wire.OpenVPNPort
	}
	if m, n, err := wire.ParsePPTP(b); err == nil && n == len(b) && m != nil {
		return 1723
	}
	return 0
}

// Same port, same size, no form: what then passes was dropped for what is in it, and where nothing passes the port opens and is no more than that.
func TestJoinedStream(t *testing.T) {
	t.Parallel()
	const content, back, only, port = "blocked-out tcp-content-dropped", "blocked-back tcp-content-back-dropped", "blocked-out tcp-connect-only", "blocked-out tcp-port-dropped"
	noRoute := nat(always)
	for _, c := range []struct {
		name   string
		route  func(sock.FakePacket) []sock.FakePacket
		stream func(b []byte, toServer bool) bool // false drops it
		want   map[string]string
		noted  string // the port that random octets are told to pass on, or not
	}{
		{"openvpn", noRoute, func(b []byte, out bool) bool { return !out || opens(b) != wire.OpenVPNPort }, map[string]string{"openvpn-tcp": content}, "content"},
		{"openvpn-back", noRoute, func(b []byte, out bool) bool { return out || opens(b) != wire.OpenVPNPort }, map[string]string{"openvpn-tcp": back}, "content"},
		{"pptp", noRoute, func(b []byte, out bool) bool { return !out || opens(b) != 1723 }, map[string]string{"pptp": content}, "content"},
		{"connect-only", noRoute, func(b []byte, out bool) bool { return !out || len(b) != 16 && opens(b) != wire.OpenVPNPort }, map[string]string{"openvpn-tcp": only}, "other"},
		{"connect-only-back", noRoute, func(b []byte, out bool) bool { return out || len(b) != 16 && len(b) != 28 }, map[string]string{"openvpn-tcp": "blocked-back no-return"}, "other"},
		{"port", without(func(p sock.FakePacket) bool {
			return p.Proto == 6 && p.Src.Addr() == atHome && p.Dst.Port() == wire.OpenVPNPort
		}, noRoute), nil,
			map[string]string{"openvpn-tcp": port}, ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			join(t, c.route, func(j *joined) {
				j.prove()
				j.fake.SetStream(func(b []byte, toServer bool) []byte {
					if c.stream != nil && !c.stream(b, toServer) {
						return nil
					}
					return b
				})
				id := "openvpn-tcp"
				if c.name == "pptp" {
					id = "pptp"
				}
				f, o := j.only(id)
				j.found(f, c.want[id])
				e, told := evidence(f, probe.EvRandom)
				if (o.Random != nil) != (c.noted != "") || told != (c.noted != "") {
					j.Fatalf("random octets were asked: %v, told: %v", o.Random != nil, told)
				}
				if told && (e.Args["content"] != (c.noted == "content") || e.Args["over"] != "tcp" || e.Args["asked"] != 4 || e.Args["openings"] != 4) {
					j.Errorf("got %+v", e)
				}
				for _, e := range o.Random {
					if e.Stage == "random-fresh" && bytes.Equal(e.Sent.Bytes, e.Replied.Bytes) {
						j.Errorf("%s is a mirror's", e.ID)
					}
				}
			})
		})
	}
}

// What is dropped on the port that the session itself has is dropped for what it is, and random octets have nothing to add.
func TestJoinedSSTPBesideLink(t *testing.T) {
	t.Parallel()
	join(t, nat(always), func(j *joined) {
		j.prove()
		j.fake.SetStream(func(b []byte, toServer bool) []byte {
			if toServer && len(b) > 5 && b[0] == 0x16 && b[5] == 1 && !bytes.Contains(b, []byte(wire.LinkProtocol)) {
				return nil
			}
			return b
		})
		f, o := j.only("sstp")
		j.found(f, "blocked-out tcp-content-dropped")
		if e, ok := evidence(f, probe.EvLinkPort); !ok || e.Args["port"] != 443 || o.Random != nil {
			j.Errorf("got %+v, and %d random", e, len(o.Random))
		}
	})
}

// Where the session had to go to another port, it is asked whether anything but TLS passes on 443.
func TestJoinedSSTPElsewhere(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name, want string
		drops      func(b []byte, p sock.FakePacket) bool
	}{
		{"tls", "blocked-out tcp-content-dropped", func(b []byte, p sock.FakePacket) bool { return b[0] == 0x16 }},
		{"all", "blocked-out tcp-connect-only", func([]byte, sock.FakePacket) bool { return true }},
	} {
		t.Run(c.name, func(t *testing.T) {
			join(t, nat(always), func(j *joined) {
				j.prove()
				j.fake.SetLag(func(p sock.FakePacket) time.Duration {
					if p.Src.Addr() == atHome && p.Dst.Port() == 443 && len(p.Payload) > 0 && c.drops(p.Payload, p) {
						return time.Hour // as good as never
					}
					return 0
				})
				f, o := j.only("sstp")
				j.found(f, c.want)
				if e, ok := evidence(f, probe.EvRandom); !ok || e.Args["port"] != 443 || e.Args["content"] != (c.name == "tls") {
					j.Errorf("got %+v of %d", e, len(o.Random))
				}
			})
		})
	}
}

// One connection that comes to nothing is not the end: the next are tried side by side, the first that opens is used, and the others are hung up and
// count for nothing.
func TestJoinedPersist(t *testing.T) {
	for _, c := range []struct {
		id, stage string
		lost      int
		begins    func(b []byte) bool
	}{
		{"openvpn-tcp", "reset", 1, begins["openvpn-tcp"]},
		{"openvpn-tcp", "reset", 3, begins["openvpn-tcp"]},
		{"pptp", "start", 1, func(b []byte) bool { return opens(b) == 1723 && len(b) == 156 }},
		{"sstp", "tls", 1, begins["sstp"]},
		{"sstp", "tls", 3, begins["sstp"]},
	} {
		t.Run(c.id, func(t *testing.T) {
			join(t, nat(always), func(j *joined) {
				lost := 0
				var mu sync.Mutex
				j.fake.SetStream(func(b []byte, toServer bool) []byte {
					mu.Lock()
					defer mu.Unlock()
					if toServer && c.begins(b) && lost < c.lost {
						lost++
						return nil
					}
					return b
				})
				f, o := j.only(c.id)
				j.found(f, "passed")
				tries, flows := 0, map[int]bool{}
				for _, e := range o.Exchanges {
					if e.Stage == c.stage {
						tries++
					}
					if flows[e.Flow] = true; e.Stage == "called-off" && e.Returned.State == wire.Seen {
						j.Errorf("%s was answered, and is no try: %+v", e.ID, e)
					}
				}
				mu.Lock()
				defer mu.Unlock()
				if lost != c.lost || tries != 2 || len(flows) != c.lost+1 { // the first, and the one that opened
					j.Errorf("%d were lost, and there were %d tries in %d flows", lost, tries, len(flows))
				}
				if took := o.Ended.Sub(o.Started); took > 8*time.Second {
					j.Errorf("it took %v", took)
				}
			})
		})
	}
}
