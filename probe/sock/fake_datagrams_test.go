package sock

import (
	"errors"
	"net/netip"
	"os"
	"slices"
	"syscall"
	"testing"
	"time"

	"vpncheck/probe/wire"
)

// TestFakeChecksum has one row per thing that a router does to a datagram that has no checksum (F43).
func TestFakeChecksum(t *testing.T) {
	set := func(c FakeChecksum) func(FakePacket) []FakePacket {
		return func(p FakePacket) []FakePacket {
			if p.Checksum == ChecksumNone {
				p.Checksum = c
			}
			return nat(p)
		}
	}
	for _, tt := range []struct {
		name    string
		between func(FakePacket) []FakePacket
		udp     bool   // the UDP socket gets it
		seen    string // what Datagrams shows, if anything
	}{
		{"passed", nat, true, "none"},
		{"computed", set(ChecksumRight), true, "right"},
		{"spoilt", set(ChecksumWrong), false, "wrong"},
		{"dropped", func(p FakePacket) []FakePacket {
			if p.Checksum == ChecksumNone {
				return nil
			}
			return nat(p)
		}, false, ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			f, laptop, server := fakePair()
			f.Between = tt.between
			a, u, d := must(laptop.UDP(to(inside, 4500))), must(server.UDP(to(outside, 4500))), must(server.Datagrams(4500, netip.IPv4Unspecified()))
			sent := must(a.Send(Out{Dst: to(outside, 4500), NoChecksum: true, DF: true, Payload: []byte("plain")}))
			if sent.Checksum == nil || *sent.Checksum != 0 || laptop.Sent()[0].Checksum != ChecksumNone {
				t.Errorf("sent %+v", sent)
			}
			must(a.Send(Out{Dst: to(outside, 4500), Payload: []byte("summed")}))
			var want []string
			if tt.udp {
				want = append(want, "plain")
			}
			if got := texts(t, u); !slices.Equal(got, append(want, "summed")) {
				t.Errorf("the UDP socket got %v", got)
			}
			if tt.seen != "" {
				s := must(d.Recv())
				if got := verdictOn(s); got != tt.seen || !*s.DF || s.IPID == nil || s.Where != whereRaw || s.Src != to(public, 4500) {
					t.Errorf("saw %s: %+v", got, s)
				}
			}
			if s := must(d.Recv()); string(s.Bytes) != "summed" || verdictOn(s) != "right" || *s.DF {
				t.Errorf("saw %s: %+v", verdictOn(s), s)
			}
		})
	}
}

// verdictOn is what a reader of a sighting of Datagrams says of its checksum.
func verdictOn(s wire.Sighting) string {
	switch {
	case s.Checksum == nil:
		return "unknown"
	case *s.Checksum == 0:
		return "none"
	case *s.Checksum == UDPChecksum(s):
		return "right"
	}
	return "wrong"
}

// texts returns what has arrived.
func texts(t *testing.T, c Conn) []string {
	t.Helper()
	var got []string
	c.SetReadDeadline(time.Now().Add(20 * time.Millisecond))
	for {
		s, err := c.Recv()
		if errors.Is(err, os.ErrDeadlineExceeded) {
			return got
		}
		if err != nil {
			t.Fatal(err)
		}
		got = append(got, string(s.Bytes))
	}
}

func TestFakeDatagramsOnly(t *testing.T) {
	_, laptop, server := fakePair()
	d, a := must(server.Datagrams(500, outside)), must(laptop.UDP(to(inside, 500)))
	if d.Local() != to(outside, 500) {
		t.Errorf("local is %v", d.Local())
	}
	must(a.Send(Out{Dst: to(outside, 501), Payload: []byte("another port")}))
	must(a.Send(Out{Dst: to(second, 500), Payload: []byte("another address")}))
	must(must(laptop.Raw(47, inside)).Send(Out{Dst: to(outside, 0), Payload: []byte("another protocol")}))
	must(a.Send(Out{Dst: to(outside, 500), Payload: []byte("ours")}))
	if s := must(d.Recv()); string(s.Bytes) != "ours" || s.Src != to(public, 500) || s.Dst != to(outside, 500) {
		t.Errorf("saw %+v", s)
	}
	if got := texts(t, d); got != nil {
		t.Errorf("saw %q too", got)
	}
	if _, err := d.Send(Out{Dst: to(inside, 1)}); !errors.Is(err, errors.ErrUnsupported) {
		t.Errorf("got %v", err)
	}
	server.Deny = map[string]error{"datagrams/4500": syscall.EPERM}
	if _, err := server.Datagrams(4500, outside); !errors.Is(err, syscall.EPERM) {
		t.Errorf("got %v", err)
	}
	must(server.Datagrams(4501, outside))
}

func TestFakeID(t *testing.T) {
	_, laptop, server := fakePair()
	a, b, u := must(laptop.Raw(51, inside)), must(server.Raw(51, outside)), must(laptop.UDP(to(inside, 0)))
	sent := must(a.Send(Out{Dst: to(outside, 0), ID: 0x1234, Payload: []byte("AH")}))
	if arrived := must(b.Recv()); *sent.IPID != 0x1234 || *arrived.IPID != 0x1234 {
		t.Errorf("sent %+v, arrived %+v", sent, arrived)
	}
	for name, send := range map[string]func() (wire.Sighting, error){
		"raw-checksum": func() (wire.Sighting, error) { return a.Send(Out{Dst: to(outside, 0), NoChecksum: true}) },
		"udp-id":       func() (wire.Sighting, error) { return u.Send(Out{Dst: to(outside, 1), ID: 1}) },
	} {
		if s, err := send(); !errors.Is(err, errors.ErrUnsupported) {
			t.Errorf("%s: got %+v, %v", name, s, err)
		}
	}
}

// TestFakeIPv6Checksum is RFC 8200, section 8.1: nobody sends or takes a datagram without a checksum.
func TestFakeIPv6Checksum(t *testing.T) {
	f := NewFake()
	one, two := netip.MustParseAddr("2001:db8::1"), netip.MustParseAddr("2001:db8::2")
	laptop, server := f.Host(one), f.Host(two)
	a, u, d := must(laptop.UDP(to(one, 0))), must(server.UDP(to(two, 4500))), must(server.Datagrams(4500, two))
	if s, err := a.Send(Out{Dst: to(two, 4500), NoChecksum: true}); !errors.Is(err, errors.ErrUnsupported) {
		t.Errorf("got %+v, %v", s, err)
	}
	f.Between = func(p FakePacket) []FakePacket { p.Checksum = ChecksumNone; return []FakePacket{p} }
	must(a.Send(Out{Dst: to(two, 4500), Payload: []byte("plain")}))
	if s := must(d.Recv()); verdictOn(s) != "none" || s.DF != nil {
		t.Errorf("saw %+v", s)
	}
	if got := texts(t, u); got != nil {
		t.Errorf("the UDP socket got %q", got)
	}
}
