package testserver

import (
	"context"
	"fmt"
	"net/netip"
	"strings"
	"testing"
	"testing/synctest"

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
