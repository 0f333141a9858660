package probe

import (
	"context"
	"net"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"vpncheck/probe/wire"
)

// A client waits for its turn as long as it is told to, within reason, and for a silent server no longer than for any answer.
func TestDeclare(t *testing.T) {
	for _, c := range []struct {
		name          string
		turn          time.Duration // what the server says; negative: it says nothing of a turn
		ready         time.Duration // when it is ready
		want          bool
		after, before time.Duration
	}{
		{"at-once", -1, 0, true, 0, time.Second},
		{"never", -1, time.Hour, false, declareWait, declareWait + time.Second},
		{"a-turn", 20 * time.Second, 20 * time.Second, true, 20 * time.Second, 21 * time.Second},
		{"a-turn-that-never-comes", 20 * time.Second, time.Hour, false, 20*time.Second + declareWait, 21*time.Second + declareWait},
		{"a-turn-of-a-year", 365 * 24 * time.Hour, 2 * time.Hour, false, maxTurn, maxTurn + declareWait + time.Second},
		{"a-turn-in-the-past", -time.Hour, 2 * time.Hour, false, declareWait, declareWait + time.Second},
	} {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				near, far := net.Pipe()
				l := newLink(near, func(wire.Ping) {})
				go func() {
					if _, err := wire.ReadMessage(far); err != nil {
						return
					}
					for range 2 { // once is enough
						if c.turn != -1 {
							wire.WriteMessage(far, wire.Message{Turn: &wire.Turn{Conversation: "a", Ahead: 1, AtMost: c.turn}})
						}
					}
					time.Sleep(c.ready)
					wire.WriteMessage(far, wire.Message{Ready: &wire.Ready{Conversation: "a"}})
				}()
				told, from := 0, time.Now()
				_, err := l.declare(t.Context(), &Conversation{}, wire.Declare{Conversation: "a"}, func(wire.Turn) { told++ })
				if took := time.Since(from); (err == nil) != c.want || took < c.after || took > c.before {
					t.Errorf("got %v after %v", err, took)
				}
				if told != truth(c.turn != -1) {
					t.Errorf("told %d times to wait", told)
				}
				far.Close()
				near.Close()
				time.Sleep(3 * time.Hour) // the server has had its say
			})
		})
	}
}

// Whatever a server says that it saw, a session of two thousand exchanges keeps little of it.
func TestSawsAreBounded(t *testing.T) {
	near, far := net.Pipe()
	l := newLink(near, func(wire.Ping) {})
	c := &Conversation{index: map[uint32]int{7: 0}, obs: Observation{Exchanges: []Exchange{{ID: "x/7", From: Client}}}}
	l.talks["x"] = c
	long := strings.Repeat("y", 9<<10)
	zoned := netip.AddrPortFrom(netip.MustParseAddr("fe80::1%"+long[:1000]), 5)
	s := wire.Sighting{State: wire.Seen, Why: long, Where: long, Src: zoned, Bytes: make([]byte, 9<<10)}
	wire.WriteMessage(far, wire.Message{Saw: &wire.Saw{Exchange: 7, Conversation: long, Arrived: s, Silent: long}})
	wire.WriteMessage(far, wire.Message{Stray: &wire.Stray{Arrived: s}})
	far.Close()
	<-l.done
	for what, got := range map[string]wire.Sighting{"an exchange": c.obs.Exchanges[0].Arrived, "a stray": l.unclaimed[0].Arrived} {
		if len(got.Why) > maxSaid || len(got.Where) > maxSaid || len(got.Bytes) != maxSeen || cap(got.Bytes) > 2*maxSeen || got.Src.Addr().Zone() != "" || got.State != wire.Seen {
			t.Errorf("%s keeps %d, %d and %d octets, %v", what, len(got.Why), len(got.Where), len(got.Bytes), got.Src)
		}
	}
	if e := c.obs.Exchanges[0]; len(e.Silent) > maxSaid {
		t.Errorf("a reason of %d octets is kept", len(e.Silent))
	}
}

// A server that makes every conversation wait keeps nobody for longer than one wait.
func TestTurnsTogether(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		near, far := net.Pipe()
		l := newLink(near, func(wire.Ping) {})
		go func() {
			for {
				m, err := wire.ReadMessage(far)
				if err != nil {
					return
				}
				wire.WriteMessage(far, wire.Message{Turn: &wire.Turn{Conversation: m.Declare.Conversation, Ahead: 1, AtMost: time.Hour}})
			}
		}()
		from := time.Now()
		for _, name := range []string{"a", "b", "c", "d"} {
			told := time.Hour
			l.declare(t.Context(), &Conversation{}, wire.Declare{Conversation: name}, func(w wire.Turn) { told = w.AtMost })
			if told > maxTurn {
				t.Errorf("%s: told to wait for %v", name, told)
			}
		}
		if took := time.Since(from); took > maxTurn+4*declareWait+time.Second {
			t.Errorf("four conversations waited for %v", took)
		}
		near.Close()
		far.Close()
	})
}

// Who calls the run off does not wait for a turn.
func TestDeclareCancelled(t *testing.T) {
	near, far := net.Pipe()
	defer far.Close()
	defer near.Close()
	l := newLink(near, func(wire.Ping) {})
	go wire.ReadMessage(far)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := l.declare(ctx, &Conversation{}, wire.Declare{Conversation: "a"}, nil); err == nil {
		t.Error("it waited")
	}
}

// What the server's network card saw gives way to what a socket got, and not the other way round (T16).
func TestSawAtCard(t *testing.T) {
	card := wire.Saw{Exchange: 7, Arrived: wire.Sighting{State: wire.Seen, Where: "nic"}, Replied: wire.NotSeen(), Silent: wire.SilentFirewall}
	socket := wire.Saw{Exchange: 7, Arrived: wire.Sighting{State: wire.Seen, Where: "raw"}, Replied: wire.NotSeen(), Silent: "budget"}
	for _, order := range [][]wire.Saw{{card, socket}, {socket, card}, {card, card, socket, card}} {
		c := &Conversation{index: map[uint32]int{7: 0}, obs: Observation{Exchanges: []Exchange{{ID: "x/7", From: Client}}}}
		for _, s := range order {
			if !c.saw(s) {
				t.Error("a report is not taken")
			}
		}
		if e := c.obs.Exchanges[0]; e.Arrived.Where != "raw" || e.Silent != "budget" {
			t.Errorf("got %+v", e)
		}
	}
	syn := func(where string, port uint16) wire.Sighting {
		return wire.Sighting{State: wire.Seen, Where: where, Src: netip.AddrPortFrom(abroad, port)}
	}
	c := &Conversation{obs: Observation{Exchanges: []Exchange{{Stage: stageConnect}, {Stage: stageConnect}}}}
	c.syn(syn("nic", 1))
	c.syn(syn("nic", 1)) // it came again
	c.syn(syn("nic", 2))
	c.syn(syn("raw", 1))
	first, second := c.obs.Exchanges[0], c.obs.Exchanges[1]
	if first.Arrived.Src.Port() != 2 || first.Silent != wire.SilentFirewall || second.Arrived.Where != "raw" || second.Silent != "" {
		t.Errorf("got %+v and %+v", first, second)
	}
}

// The mark is the same for one laptop and one access token, and another for another address, machine or token.
func TestLaptopMark(t *testing.T) {
	mark := laptopMark([]byte("token"), home, "name\x00id")
	if len(mark) != 8 || !slices.Equal(mark, laptopMark([]byte("token"), home, "name\x00id")) {
		t.Errorf("got %x", mark)
	}
	for _, other := range []wire.Hex{
		laptopMark([]byte("another"), home, "name\x00id"), laptopMark([]byte("token"), gateway, "name\x00id"), laptopMark([]byte("token"), home, "name\x00other"),
	} {
		if slices.Equal(mark, other) {
			t.Errorf("got %x twice", mark)
		}
	}
}

// A server may have another address, but not one of this laptop's own network, nor one that is no host's.
func TestSecond(t *testing.T) {
	server := netip.MustParseAddr("198.51.100.10")
	for text, want := range map[string]bool{
		"198.51.100.11": true, "192.168.1.1": false, "127.0.0.1": false, "224.0.0.1": false, "255.255.255.255": false, "0.0.0.0": false,
		"169.254.169.254": false, "2001:db8::1": false, "::ffff:198.51.100.11": false, "203.0.113.2": false,
	} {
		p := &Path{Local: netip.MustParseAddr("203.0.113.2")}
		p.facts.Server = ServerFacts{Address: server, Own: server, Second: netip.MustParseAddr(text)}
		if _, ok := p.second(); ok != want {
			t.Errorf("%s: got %v", text, ok)
		}
	}
}
