//go:build linux

package netlab

import (
	"encoding/binary"
	"testing"
	"time"
)

func TestOutage(t *testing.T) {
	edit, now := outage(), time.Now()
	pkt := append(append([]byte{0x45, 9: gre}, make([]byte, 10)...), gre1(7)...)
	for i := 1; i <= 4; i++ {
		if len(edit(pkt, false, now)) != 1 {
			t.Errorf("packet %d is lost", i)
		}
	}
	for _, after := range []time.Duration{0, 999 * time.Millisecond} {
		if len(edit(pkt, false, now.Add(after))) != 0 || len(edit([]byte{0x60}, true, now.Add(after))) != 0 {
			t.Errorf("the line is not dead after %v", after)
		}
	}
	if len(edit(pkt, true, now.Add(time.Second))) != 1 {
		t.Error("the line is still dead after a second")
	}
}

func TestSPITracking(t *testing.T) {
	needLab(t)
	t.Parallel()
	l := build(t, "esp-spi")
	c, s := raw(t, l, Laptop, esp), raw(t, l, Server, esp)
	for _, step := range []struct {
		out, in uint32 // out is 0: the laptop says nothing
		passes  bool
	}{
		{0, 1, false}, {10, 1, true}, {10, 1, true}, {10, 2, false}, {0, 1, true},
		{11, 2, true}, {11, 1, false}, {10, 1, true}, {11, 1, true}, {11, 2, false}, // two flows at once: who comes first wins
	} {
		packet := func(spi uint32) []byte { return binary.BigEndian.AppendUint32(nil, spi) }
		if step.out != 0 {
			send(t, c, l.Addr(Server), append(packet(step.out), make([]byte, 32)...))
			if _, _, ok := next(s, patience); !ok {
				t.Fatalf("%+v: nothing arrived", step)
			}
		}
		send(t, s, l.WAN(), append(packet(step.in), make([]byte, 32)...))
		if _, _, ok := next(c, silence); ok != step.passes {
			t.Errorf("%+v: the answer came: %v", step, ok)
		}
	}
}

func TestIKEFirst(t *testing.T) {
	needLab(t)
	t.Parallel()
	l := build(t, "esp-needs-ike")
	ask := func() string {
		got, _ := echo(t, raw(t, l, Laptop, esp), raw(t, l, Server, esp), l.Addr(Server), security())
		return got
	}
	if got := ask(); got != "none" {
		t.Errorf("before IKE: got %q, want none", got)
	}
	ike := udpPair(t, l, 500, 500, l.Addr(Server))
	if _, err := ike.c.Write([]byte("a question")); err != nil {
		t.Fatal(err)
	}
	if got := ask(); got != "none" {
		t.Errorf("before IKE's answer: got %q, want none", got)
	}
	ike.s.SetReadDeadline(time.Now().Add(patience))
	if _, _, err := ike.s.ReadFrom(make([]byte, 64)); err != nil {
		t.Fatal(err)
	}
	if got := ike.talk(t); got != "both" {
		t.Fatalf("IKE: got %q, want both ways", got)
	}
	if got := ask(); got != "both" {
		t.Errorf("after IKE: got %q, want both ways", got)
	}
	if got, _ := echo(t, raw(t, l, Laptop, esp), rawOn(t, l, Server, l.Inside(l.Second()), esp), l.Second(), security()); got != "none" {
		t.Errorf("to the second address: got %q, want none", got)
	}
}

// TestLine watches lines for a simulated while.
func TestLine(t *testing.T) {
	began := time.Now()
	// watch sends a packet each millisecond for so long, and returns how many came, how late they were, and how many overtook another.
	watch := func(l line, lasts time.Duration) (came, sent, overtook int, least, most time.Duration) {
		edit, last := l.edit(), time.Time{}
		least = time.Hour
		for at := began; at.Before(began.Add(lasts)); at = at.Add(time.Millisecond) {
			sent++
			for _, p := range edit([]byte{0x45}, sent%2 == 0, at) {
				came++
				least, most = min(least, p.Late), max(most, p.Late)
				if arrives := at.Add(p.Late); arrives.Before(last) {
					overtook++
				} else {
					last = arrives
				}
			}
		}
		return came, sent, overtook, least, most
	}
	ms := time.Millisecond
	if came, sent, overtook, least, most := watch(line{takes: 150 * ms, jitter: 50 * ms}, 10*time.Second); came != sent ||
		least < 150*ms || most > 200*ms || most < 190*ms || overtook > sent/2 { // the two ways do not wait for each other
		t.Errorf("slow: %d of %d came, after %v to %v, and %d overtook another", came, sent, least, most, overtook)
	}
	if came, sent, overtook, _, _ := watch(line{holds: 0.25}, 10*time.Second); came != sent || overtook < sent/2 {
		t.Errorf("reorders: %d of %d came, %d overtook another", came, sent, overtook)
	}
	if came, sent, _, _, _ := watch(line{doubles: 0.5}, 10*time.Second); came < sent*14/10 || came > sent*16/10 {
		t.Errorf("doubles: %d of %d came", came, sent)
	}
	if came, sent, _, _, _ := watch(line{loses: 0.25}, 10*time.Second); came < sent*7/10 || came > sent*8/10 {
		t.Errorf("loses: %d of %d came", came, sent)
	}
	if came, sent, _, _, _ := watch(line{dead: time.Second, alive: 9 * time.Second}, time.Hour); came < sent*87/100 || came > sent*93/100 {
		t.Errorf("bursts: %d of %d came, want nine tenths", came, sent)
	}
}

func TestBurst(t *testing.T) {
	edit, at := line{dead: time.Second, alive: time.Millisecond}.edit(), time.Now()
	for len(edit([]byte{0x45}, false, at)) == 1 {
		at = at.Add(time.Microsecond)
	}
	if len(edit([]byte{0x45}, true, at.Add(990*time.Millisecond))) != 0 {
		t.Error("the line is alive again within a second, in the other direction")
	}
}

// TestQueue holds packets back in a real lab.
func TestQueue(t *testing.T) {
	needLab(t)
	t.Parallel()
	l := build(t, "slow")
	p := udpPair(t, l, 0, 9, l.Addr(Server))
	began := time.Now()
	for i := range byte(20) {
		p.c.Write([]byte{i})
	}
	b := make([]byte, 9)
	p.s.SetReadDeadline(time.Now().Add(patience))
	for i := range byte(20) {
		if _, _, err := p.s.ReadFrom(b); err != nil || b[0] != i {
			t.Fatalf("got packet %d (%v), want %d", b[0], err, i)
		}
	}
	if took := time.Since(began); took < 150*time.Millisecond || took > 2*time.Second {
		t.Errorf("they took %v, want 150 to 200 ms", took)
	}
}
