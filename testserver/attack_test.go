package testserver

import (
	"context"
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"vpncheck/probe/sock"
	"vpncheck/probe/wire"
)

// crowd is a host with addresses of many households.
func (w *world) crowd(households int) (*sock.FakeHost, []netip.Addr) {
	var all []netip.Addr
	for i := range households {
		all = append(all, netip.MustParseAddr(fmt.Sprintf("2001:db8:f000:%x::1", i)))
	}
	return w.fake.Host(all...), all
}

// Strangers who connect and wait keep nobody out, however many addresses they have.
func TestWaitingStrangersMakeRoom(t *testing.T) {
	inWorld(t, nil, func(w *world) {
		crowd, households := w.crowd(doorTotal + 8)
		for _, port := range []uint16{443, 1723} {
			for i, a := range households {
				if i%100 == 0 {
					synctest.Wait() // the backlog has 128 places
				}
				if _, err := crowd.Dial(context.Background(), a, netip.AddrPortFrom(server6, port)); err != nil {
					t.Fatal(err)
				}
			}
			synctest.Wait()
		}
		c := w.open(w.laptop, wire.CarrierPPTP)
		c.call(w.laptop)
	})
}

// Nor does he who connects without end, from all the households of one site, make a client lose its place who needs a moment.
func TestCrowdOfOneSite(t *testing.T) {
	l, gone := newLimiter(16, 4), 0
	l.enter(otherAddr, func() { gone++ })
	l.enter(laptop6, func() { gone++ })
	for i := range 200 {
		l.enter(netip.MustParseAddr(fmt.Sprintf("2001:db8:f000:%x::1", i)), func() {})
	}
	if gone != 0 {
		t.Errorf("%d clients lost their places", gone)
	}
	if len(l.places) != 16 || len(l.from) != 16 || len(l.sites) != 3 {
		t.Errorf("%d places, %d households and %d sites are kept", len(l.places), len(l.from), len(l.sites))
	}
}

// Nor does a neighbour behind the same address.
func TestWaitingNeighbourMakesRoom(t *testing.T) {
	inWorld(t, nil, func(w *world) {
		for _, port := range []uint16{443, 1723} {
			for range max(doorEach, pptpEach) + 8 {
				if _, err := w.laptop.Dial(context.Background(), netip.Addr{}, netip.AddrPortFrom(serverAddr, port)); err != nil {
					t.Fatal(err)
				}
			}
			synctest.Wait()
		}
		c := w.open(w.laptop, wire.CarrierPPTP)
		c.call(w.laptop)
	})
}

// A name of 60,000 octets is not kept for a client who does not read the answers.
func TestLongNames(t *testing.T) {
	inWorld(t, nil, func(w *world) {
		c := w.open(w.laptop)
		long := strings.Repeat("x", 60_000)
		c.send(wire.Message{Declare: &wire.Declare{Conversation: long}})
		if m := c.recv(); m.Ready == nil || m.Ready.Refused != refusedProtocol || len(m.Ready.Conversation) > 2*maxName {
			t.Errorf("got a Ready with a name of %d octets", len(m.Ready.Conversation))
		}
		c.send(wire.Message{Finish: &wire.Finish{Conversation: long}})
		if m := c.recv(); m.Settled == nil || len(m.Settled.Conversation) > 2*maxName {
			t.Errorf("got a Settled with a name of %d octets", len(m.Settled.Conversation))
		}
	})
}

// Who sends rubbish in a client's name, from its address, does not use up the reports of what is surely the client's.
func TestForgedStrays(t *testing.T) {
	inWorld(t, nil, func(w *world) {
		c := w.open(w.laptop, wire.CarrierGRE)
		conn, to := w.raw(w.laptop, laptopAddr), netip.AddrPortFrom(serverAddr, 0)
		for range 2 * maxStrays {
			w.emit(conn, to, []byte{0, 0, 8, 0})
		}
		damaged := tunnelPacket(wire.GRE{}, wire.Tag{Token: c.token(wire.CarrierGRE)}, []byte("rest"))
		damaged[len(damaged)-1] ^= 1
		w.emit(conn, to, damaged)
		for range maxStrays {
			if s := c.stray(); len(s.Arrived.Bytes) != 4 {
				t.Fatalf("got %+v, want the rubbish first", s)
			}
		}
		if s := c.stray(); len(s.Arrived.Bytes) != len(damaged) {
			t.Errorf("got %+v, want the damaged packet", s)
		}
	})
}

// Nor does who forges SYNs to one port, or a run that tries there for long, use up what is told of another; nor all of it the session.
func TestForgedSYNs(t *testing.T) {
	change := func(_ *world, cfg *Config) {
		cfg.Responders = []Responder{PPTP(), SSTP(), OpenVPNTCP(), OpenVPNUDP(), GRE()}
	}
	inWorld(t, change, func(w *world) {
		tcp := []wire.Carrier{wire.CarrierPPTP, wire.CarrierSSTP, wire.CarrierOpenVPNTCP}
		c := w.open(w.laptop, append(tcp, wire.CarrierGRE, wire.CarrierOpenVPNUDP)...)
		from := netip.AddrPortFrom(laptopAddr, 7)
		flood := func(carriers ...wire.Carrier) {
			for _, carrier := range carriers {
				for range 2 * maxStrays {
					w.srv.host.Stray(carrier, wire.Sighting{State: wire.Seen, Src: from, Dst: netip.AddrPortFrom(serverAddr, 1), Bytes: make([]byte, maxStray)})
				}
			}
		}
		for _, carrier := range tcp {
			flood(carrier)
			for range maxStrays {
				if s := c.stray(); s.Carrier != carrier {
					t.Fatalf("got %s, want %s", s.Carrier, carrier)
				}
			}
		}
		c.quiet()
		d := w.open(w.laptop, append(tcp, wire.CarrierGRE, wire.CarrierOpenVPNUDP)...)
		flood(append(tcp, wire.CarrierGRE, wire.CarrierOpenVPNUDP)...)
		d.send(wire.Message{Ping: &wire.Ping{N: 7}})
		for m := d.recv(); m.Pong == nil; m = d.recv() {
			if m.Stray == nil {
				t.Fatalf("got %+v, want strays", m)
			}
		}
	})
}

// What the machine sends from one of its addresses to another proves nothing.
func TestProofFromOwnAddress(t *testing.T) {
	inWorld(t, nil, func(w *world) {
		w.emit(w.raw(w.server, serverOther), netip.AddrPortFrom(serverAddr, 0), []byte{1, 2, 3, 4})
		conn, err := w.server.Dial(context.Background(), serverOther, netip.AddrPortFrom(serverAddr, 1723))
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
		synctest.Wait()
		if p := w.state.Proofs(); len(p) != 0 {
			t.Errorf("got %+v, want no proof", p)
		}
	})
}

// What arrived last week proves nothing of today, nor does what arrived while the clock was wrong.
func TestOldProof(t *testing.T) {
	now := time.Now()
	s, err := OpenState(t.TempDir(), StateOptions{Now: func() time.Time { return now }})
	if err != nil {
		t.Fatal(err)
	}
	for age, want := range map[time.Duration]bool{
		time.Second: true, 23 * time.Hour: true, 24 * time.Hour: false, 1000 * time.Hour: false, -time.Hour: false, -time.Second: true,
	} {
		s.arrived(wire.CarrierGRE, otherAddr, now.Add(-age))
		if got := s.proof(wire.CarrierGRE, laptopAddr); (got != nil) != want {
			t.Errorf("%v ago: got %+v, want proof %v", age, got, want)
		}
	}
	s.arrived(wire.CarrierGRE, otherAddr, now.AddDate(10, 0, 0))
	s.arrived(wire.CarrierGRE, otherAddr, now)
	if s.proof(wire.CarrierGRE, laptopAddr) == nil {
		t.Error("an arrival is not taken down after one of a later date")
	}
}

// What arrives over IPv6 proves nothing of IPv4: a provider's firewall has rules for each.
func TestProofOfOtherFamily(t *testing.T) {
	inWorld(t, nil, func(w *world) {
		w.emit(w.raw(w.laptop, laptop6), netip.AddrPortFrom(server6, 0), []byte{1, 2, 3, 4})
		synctest.Wait()
		for _, s := range w.open(w.laptop).session.Carriers {
			if s.Proof != nil {
				t.Errorf("got %s proven by %+v", s.Carrier, s.Proof)
			}
		}
		if s := w.srv.Status().Carriers[3]; s.From != laptop6 {
			t.Errorf("got %+v, want the last arrival of either family", s)
		}
		if w.state.proof(wire.CarrierGRE, laptop6) == nil {
			t.Error("no proof over IPv6")
		}
	})
}

// Who overheard one packet and repeats it takes no sighting away from the session that it was of, nor the session itself.
func TestReplayedFlood(t *testing.T) {
	inWorld(t, func(_ *world, c *Config) { c.Limits.Packets = 100 }, func(w *world) {
		c := w.open(w.laptop, wire.CarrierGRE)
		conn, stranger := w.raw(w.laptop, laptopAddr), w.raw(w.other, otherAddr)
		to := netip.AddrPortFrom(serverAddr, 0)
		overheard := tunnelPacket(wire.GRE{}, wire.Tag{Token: c.token(wire.CarrierGRE)}, make([]byte, 1000))
		w.emit(conn, to, overheard)
		c.saw()
		for range 4 * linkQueue {
			w.emit(stranger, to, overheard)
		}
		synctest.Wait()
		w.emit(conn, to, tunnelPacket(wire.GRE{}, wire.Tag{Token: c.token(wire.CarrierGRE)}, nil))
		for s := c.saw(); s.Exchange != c.number; s = c.saw() {
			if s.Silent == "" {
				t.Fatalf("got %+v, want the replays and then the packet", s)
			}
		}
	})
}

// A damaged packet may hold a token that is good: it is not shown to another session at the same address.
func TestStrayOfAnotherSession(t *testing.T) {
	inWorld(t, nil, func(w *world) {
		carriers := []wire.Carrier{wire.CarrierGRE, wire.CarrierControl, wire.CarrierPPTP}
		c, other := w.open(w.laptop, carriers...), w.open(w.laptop, carriers...)
		damaged := tunnelPacket(wire.GRE{}, wire.Tag{Token: c.token(wire.CarrierGRE)}, []byte("rest"))
		damaged[len(damaged)-1] ^= 1
		w.emit(w.raw(w.laptop, laptopAddr), netip.AddrPortFrom(serverAddr, 0), damaged)
		c.stray()
		longer := append(wire.Tag{Token: c.token(wire.CarrierControl)}.Append(nil), 0)
		w.emit(w.udp(w.laptop, laptopAddr), netip.AddrPortFrom(serverAddr, 8443), longer)
		c.stray()
		conn := c.dialPPTP(w.laptop)
		c.stray()
		other.stray() // a SYN could be anybody's
		b := wire.StartControlConnectionRequest{HostName: c.token(wire.CarrierPPTP).String()}.Append(nil)
		b[0] ^= 1
		conn.Write(b)
		c.stray()
		other.quiet()
		w.emit(w.raw(w.laptop, laptopAddr), netip.AddrPortFrom(serverAddr, 0), []byte{0, 0, 8, 0})
		c.stray()
		other.stray()
	})
}

// The second address can be reached where the first one can.
func TestSecondAddress(t *testing.T) {
	for _, tt := range []struct{ own, others, want string }{
		{"198.51.100.10", "127.0.0.1 10.0.0.1 100.100.1.1 2001:db8::1 198.51.100.11", "198.51.100.11"},
		{"198.51.100.10", "100.100.1.1 169.254.1.1", ""},
		{"10.0.0.5", "198.51.100.10 10.0.0.6", "10.0.0.6"},
	} {
		var own []netip.Addr
		for _, a := range strings.Fields(tt.others) {
			own = append(own, netip.MustParseAddr(a))
		}
		s := &Server{cfg: Config{Addresses: own}}
		want, _ := netip.ParseAddr(tt.want)
		if got := s.second(netip.MustParseAddr(tt.own)); got != want {
			t.Errorf("%s: got %v, want %q", tt.own, got, tt.want)
		}
	}
}

// A state directory that is not only ours is no place to clean up, or to lock.
func TestForeignFiles(t *testing.T) {
	dir := t.TempDir()
	theirs := filepath.Join(dir, "letter.tmp")
	os.WriteFile(theirs, []byte("x"), 0o600)
	os.Chmod(dir, 0o755)
	for range 2 {
		if _, err := OpenState(dir, StateOptions{}); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := os.Stat(theirs); err != nil {
		t.Error(err)
	}
	if info, err := os.Stat(dir); err != nil || info.Mode().Perm() != 0o755 {
		t.Errorf("got %v, %v, want the directory as open as it was", info.Mode(), err)
	}
}

// Nor are long packets, though they are few.
func TestLongUnread(t *testing.T) {
	inWorld(t, nil, func(w *world) {
		c := w.open(w.laptop, wire.CarrierGRE)
		conn := w.raw(w.laptop, laptopAddr)
		for range linkQueue * 3 / 4 {
			w.emit(conn, netip.AddrPortFrom(serverAddr, 0),
				tunnelPacket(wire.GRE{}, wire.Tag{Token: c.token(wire.CarrierGRE)}, make([]byte, maxReported)))
		}
		synctest.Wait()
		if n := w.srv.Status().Sessions; n != 0 {
			t.Errorf("got %d sessions, want none", n)
		}
	})
}
