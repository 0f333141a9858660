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
