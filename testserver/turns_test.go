package testserver

import (
	"fmt"
	"net/netip"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"vpncheck/probe/wire"
)

// declare announces a conversation and returns the next message.
func (c *client) declare(name string, carriers ...wire.Carrier) wire.Message {
	c.t.Helper()
	c.send(wire.Message{Declare: &wire.Declare{Conversation: name, Protocol: "test", Carriers: carriers}})
	return c.recv()
}

func (c *client) finish(name string) wire.Settled {
	c.t.Helper()
	c.send(wire.Message{Finish: &wire.Finish{Conversation: name}})
	m := c.recv()
	if m.Settled == nil {
		c.t.Fatalf("got %+v, want Settled", m)
	}
	return *m.Settled
}

// ready waits for a conversation's turn, and says how long that took.
func (c *client) ready(name string) time.Duration {
	c.t.Helper()
	from := time.Now()
	if m := c.recv(); m.Ready == nil || m.Ready.Conversation != name || m.Ready.Refused != "" {
		c.t.Fatalf("got %+v, want %s ready", m, name)
	}
	return time.Since(from)
}

// Two laptops behind one address take turns on what has no ports, and on nothing else.
func TestTurns(t *testing.T) {
	inWorld(t, nil, func(w *world) {
		a, b := w.open(w.laptop, wire.CarrierGRE), w.openAs("laptop-2", w.laptop)
		if o := b.session.Others; o == nil || o.Running != 1 || o.Count != 0 {
			t.Errorf("got %+v, want one that runs", o)
		}
		m := b.declare("b", wire.CarrierGRE)
		if m.Turn == nil || m.Turn.Conversation != "b" || m.Turn.Ahead != 1 || m.Turn.AtMost != turnWait {
			t.Fatalf("got %+v, want to wait", m)
		}
		if m := b.declare("udp", wire.CarrierControl, wire.CarrierGREv1); m.Ready == nil || m.Ready.Refused != "" {
			t.Errorf("got %+v, want Ready for what has ports", m)
		}
		third := w.openAs("laptop-3", w.laptop)
		if m := third.declare("c", wire.CarrierGRE); m.Turn == nil || m.Turn.Ahead != 2 {
			t.Errorf("got %+v, want two ahead", m)
		}
		time.Sleep(3 * time.Second)
		if s := a.finish("talk"); s.Others != nil {
			t.Errorf("got %+v, want nobody else at work yet", s.Others)
		}
		if d := b.ready("b"); d > time.Second {
			t.Errorf("it took %v", d)
		}
		third.quiet()
		b.conn.Close() // who leaves makes room
		synctest.Wait()
		third.ready("c")
		if s := third.finish("c"); s.Others == nil || s.Others.Count != 1 || s.Others.Running != 1 { // the first one's session lives on
			t.Errorf("got %+v", s.Others)
		}
	})
}

// A session does not wait for itself, nor for its own laptop's other session.
func TestNoTurnForOneself(t *testing.T) {
	inWorld(t, nil, func(w *world) {
		a, again := w.open(w.laptop, wire.CarrierGRE), w.open(w.laptop)
		for i, c := range []*client{a, again, a} {
			if m := c.declare(fmt.Sprint(i), wire.CarrierGRE, wire.CarrierPPTP); m.Ready == nil || m.Ready.Refused != "" {
				t.Errorf("%d: got %+v, want Ready", i, m)
			}
		}
		if again.session.Others != nil {
			t.Errorf("got %+v, want no others", again.session.Others)
		}
		// While others wait, who has the turn may begin one more conversation.
		other := w.openAs("laptop-2", w.laptop)
		if m := other.declare("b", wire.CarrierGRE); m.Turn == nil {
			t.Errorf("got %+v, want to wait", m)
		}
		if m := a.declare("more", wire.CarrierGRE); m.Ready == nil {
			t.Errorf("got %+v, want Ready", m)
		}
	})
}

// Nobody holds a turn for ever, and nobody waits for longer than twenty seconds in all, however many conversations he has.
func TestTurnsAreBounded(t *testing.T) {
	inWorld(t, nil, func(w *world) {
		var holders []*client
		for i := range 8 {
			h := w.openAs(fmt.Sprintf("holder-%d", i)[:8], w.laptop)
			h.declare("h", wire.CarrierGRE)
			holders = append(holders, h)
		}
		b := w.openAs("laptop-2", w.laptop)
		if m := b.declare("first", wire.CarrierGRE); m.Turn == nil {
			t.Fatalf("got %+v, want to wait", m)
		}
		stop := make(chan struct{})
		for _, h := range append(holders, b) { // they live, and let nobody in
			go func() {
				for n := uint32(0); ; n++ {
					select {
					case <-stop:
						return
					case <-time.After(5 * time.Second):
					}
					wire.WriteMessage(h.conn, wire.Message{Ping: &wire.Ping{N: n}})
				}
			}()
		}
		from := time.Now()
		for m := b.recv(); m.Ready == nil; m = b.recv() {
		}
		if d := time.Since(from); d > turnWait+time.Second {
			t.Errorf("it took %v", d)
		}
		b.send(wire.Message{Finish: &wire.Finish{Conversation: "first"}})
		for m := b.recv(); m.Settled == nil; m = b.recv() {
		}
		from = time.Now()
		b.send(wire.Message{Declare: &wire.Declare{Conversation: "second", Carriers: []wire.Carrier{wire.CarrierGRE}}})
		for m := b.recv(); m.Ready == nil; m = b.recv() {
			if m.Turn != nil {
				t.Error("it has to wait again")
			}
		}
		if d := time.Since(from); d > time.Second {
			t.Errorf("it took %v", d)
		}
		close(stop)
	})
}

// Whoever waits for a turn and gives up, or leaves, is out of the queue, and nothing is kept of it.
func TestTurnsForget(t *testing.T) {
	inWorld(t, nil, func(w *world) {
		a, b, c := w.open(w.laptop, wire.CarrierGRE), w.openAs("laptop-2", w.laptop), w.openAs("laptop-3", w.laptop)
		b.declare("b", wire.CarrierGRE)
		c.declare("c", wire.CarrierGRE)
		b.finish("b")
		c.conn.Close()
		synctest.Wait()
		a.finish("talk")
		b.quiet()
		turns := &w.srv.host.turns
		turns.mu.Lock()
		defer turns.mu.Unlock()
		if n := len(turns.at); n != 0 {
			t.Errorf("%d queues are kept", n)
		}
	})
}

// Behind other addresses, and with other access tokens, nobody waits and nobody hears of anybody.
func TestOthersElsewhere(t *testing.T) {
	inWorld(t, nil, func(w *world) {
		w.open(w.laptop, wire.CarrierGRE)
		elsewhere := w.openAs("laptop-2", w.other)
		if m := elsewhere.declare("b", wire.CarrierGRE); elsewhere.session.Others != nil || m.Ready == nil {
			t.Errorf("got %+v and %+v", elsewhere.session.Others, m)
		}
		if err := w.state.NewAccess(); err != nil {
			t.Fatal(err)
		}
		other := w.openAs("laptop-3", w.laptop)
		if m := other.declare("c", wire.CarrierGRE); other.session.Others != nil || m.Ready == nil {
			t.Errorf("of another token: got %+v and %+v", other.session.Others, m)
		}
		// Who does not say what laptop he is, is told nothing.
		unknown := w.openAs("", w.laptop)
		if unknown.session.Others != nil {
			t.Errorf("got %+v", unknown.session.Others)
		}
	})
}

// A run is told of for ten minutes after its end.
func TestOthersOfLate(t *testing.T) {
	inWorld(t, nil, func(w *world) {
		idle := w.openAs("laptop-0", w.laptop, wire.CarrierControl) // it uses nothing that clashes
		idle.conn.Close()
		a := w.open(w.laptop, wire.CarrierGRE)
		a.conn.Close()
		synctest.Wait()
		ended := time.Now()
		for _, wait := range []time.Duration{time.Minute, runsFor - 2*time.Minute, 2 * time.Minute} {
			time.Sleep(wait)
			b := w.openAs("laptop-2", w.laptop)
			o := b.session.Others
			if want := time.Since(ended) < runsFor; (o != nil) != want {
				t.Errorf("after %v: got %+v", time.Since(ended), o)
			} else if want && (o.Count != 1 || o.Running != 0 || o.Last.Sub(ended).Abs() > time.Second) {
				t.Errorf("got %+v, want one that ended at %v", o, ended)
			}
			b.conn.Close()
		}
	})
}

// What is remembered of runs is bounded, in all and behind one address, and no running one is forgotten.
func TestRunsAreBounded(t *testing.T) {
	var r runs
	now := time.Now()
	at := func(n int) roof {
		return roof{from: netip.AddrFrom4([4]byte{10, 0, byte(n >> 8), byte(n)})}
	}
	who := func(n int) laptop { return laptop{1, byte(n >> 8), byte(n)} }
	running := r.begin(at(0), who(0), now)
	for n := 1; n < 10*maxRunsAt; n++ {
		r.end(r.begin(at(0), who(n), now.Add(time.Duration(n)*time.Millisecond)), now.Add(time.Duration(n)*time.Millisecond))
	}
	if o := r.others(at(0), who(9999), now.Add(time.Second)); o.Count != maxRunsAt-1 || o.Running != 1 {
		t.Errorf("got %+v, want %d", o, maxRunsAt)
	}
	for n := range 3 * maxRuns {
		r.end(r.begin(at(n+1), who(n), now), now)
	}
	if len(r.of) > maxRuns {
		t.Errorf("%d are remembered, want %d", len(r.of), maxRuns)
	}
	if r.end(running, now); running.running != 0 || r.others(at(0), who(9999), now) == nil {
		t.Error("one that ran was forgotten")
	}
	r.begin(at(0), who(1), now.Add(runsFor+time.Minute))
	if len(r.of) != 1 {
		t.Errorf("%d are remembered after ten minutes, want one", len(r.of))
	}
	for _, b := range [][]byte{nil, {1}, make([]byte, 8), []byte(strings.Repeat("x", 1000))} {
		if got := laptopOf(b); got != (laptop{}) {
			t.Errorf("%d octets: got %x", len(b), got)
		}
	}
}
