package sock

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"testing"
	"time"

	"vpncheck/probe/wire"
)

// datagram is a UDP datagram between two addresses with a checksum of the test's own; right is the checksum that it should have.
func datagram(src, dst wire.Sighting, payload string, checksum func(right uint16) uint16) []byte {
	s := wire.Sighting{Src: src.Src, Dst: dst.Dst, Bytes: wire.Hex(payload)}
	u := wire.UDP{SrcPort: s.Src.Port(), DstPort: s.Dst.Port(), Length: uint16(8 + len(payload)), Checksum: checksum(UDPChecksum(s))}
	return append(u.Append(nil), payload...)
}

// TestDatagrams sends datagrams with every kind of checksum by a raw socket, which leaves it alone. A UDP socket gets those that are
// right, and over IPv4 those that have none; Datagrams shows them all.
func TestDatagrams(t *testing.T) {
	eachFamily(t, func(t *testing.T, e pairOf) {
		a, u, d := must(Kernel{}.Raw(17, e.client)), must(Kernel{}.UDP(to(e.server, 4500))), must(Kernel{}.Datagrams(4500, e.any))
		limit(t, u, d)
		if d.Local() != to(e.any, 4500) {
			t.Errorf("local is %v", d.Local())
		}
		src, dst := wire.Sighting{Src: to(e.client, 1701)}, wire.Sighting{Dst: to(e.server, 4500)}
		for _, row := range []struct {
			name     string
			checksum func(right uint16) uint16
			taken    bool // by the UDP socket
		}{
			{"right", func(right uint16) uint16 { return right }, true},
			{"none", func(uint16) uint16 { return 0 }, e.client.Is4()},
			{"wrong", func(right uint16) uint16 { return max(right^0x0100, 1) }, false},
			{"the-end", func(right uint16) uint16 { return right }, true},
		} {
			packet := datagram(src, dst, row.name, row.checksum)
			sent := must(a.Send(Out{Dst: to(e.server, 0), TTL: 9, DSCP: 46, DF: true, Payload: packet}))
			s := must(d.Recv())
			if s.Src != src.Src || s.Dst != dst.Dst || string(s.Bytes) != row.name || s.Proto != 17 || *s.TTL != 9 || *s.DSCP != 46 {
				t.Errorf("%s: saw %+v", row.name, s)
			}
			if want := row.checksum(UDPChecksum(s)); s.Checksum == nil || *s.Checksum != want {
				t.Errorf("%s: saw the checksum %v, want %#04x", row.name, s.Checksum, want)
			}
			if e.client.Is4() && (!*s.DF || *s.IPID != *sent.IPID) || e.client.Is6() && s.DF != nil {
				t.Errorf("%s: saw %+v", row.name, s)
			}
			if !row.taken {
				continue
			}
			if s := must(u.Recv()); string(s.Bytes) != row.name {
				t.Errorf("the UDP socket got %q, want %q", s.Bytes, row.name)
			}
		}
		other := datagram(src, wire.Sighting{Dst: to(e.server, 4501)}, "another port", func(right uint16) uint16 { return right })
		must(a.Send(Out{Dst: to(e.server, 0), Payload: other}))
		must(a.Send(Out{Dst: to(e.server, 0), Payload: []byte{0x11, 0x94, 0x11, 0x94, 0xFF, 0xFF, 0, 0}})) // its Length is a lie
		endsWell(t, d)
	})
}

// TestDatagramsNobodyHasThePort sees what a kernel refuses, and what is not finished because it never left the machine.
func TestDatagramsNobodyHasThePort(t *testing.T) {
	eachFamily(t, func(t *testing.T, e pairOf) {
		d, u := must(Kernel{}.Datagrams(4500, e.server)), must(Kernel{}.UDP(to(e.client, 0)))
		limit(t, d)
		for _, payload := range []string{"\xff", "", "a longer one"} {
			sent := must(u.Send(Out{Dst: to(e.server, 4500), Payload: []byte(payload)}))
			s := must(d.Recv())
			if s.Src != sent.Src || s.Dst != sent.Dst || string(s.Bytes) != payload || s.Checksum != nil {
				t.Errorf("saw %+v", s)
			}
		}
	})
}

// TestNoChecksum changes its mind with every datagram.
func TestNoChecksum(t *testing.T) {
	alone(t)
	a, b := must(Kernel{}.UDP(to(ends4.client, 0))), must(Kernel{}.UDP(to(ends4.server, 4500)))
	d := must(Kernel{}.Datagrams(4500, ends4.server))
	limit(t, b, d)
	for i, plain := range []bool{false, true, true, false, true} {
		sent := must(a.Send(Out{Dst: b.Local(), NoChecksum: plain, DF: i%2 == 0, Payload: fmt.Appendf(nil, "packet %d", i)}))
		s, got := must(d.Recv()), must(b.Recv())
		if zero := s.Checksum != nil && *s.Checksum == 0; zero != plain || *s.DF != (i%2 == 0) {
			t.Errorf("packet %d: arrived %+v", i, s)
		}
		if (sent.Checksum != nil) != plain || plain && *sent.Checksum != 0 || !bytes.Equal(got.Bytes, sent.Bytes) {
			t.Errorf("packet %d: sent %+v, arrived %+v", i, sent, got)
		}
	}
}

// TestUnsupported asks sockets for what they cannot do.
func TestUnsupported(t *testing.T) {
	eachFamily(t, func(t *testing.T, e pairOf) {
		r, u := must(Kernel{}.Raw(51, e.client)), must(Kernel{}.UDP(to(e.client, 0)))
		rows := map[string]func() (wire.Sighting, error){
			"raw-checksum": func() (wire.Sighting, error) { return r.Send(Out{Dst: to(e.server, 0), NoChecksum: true}) },
			"udp-id":       func() (wire.Sighting, error) { return u.Send(Out{Dst: to(e.server, 9), ID: 1}) },
		}
		if e.client.Is6() {
			rows["raw-id"] = func() (wire.Sighting, error) { return r.Send(Out{Dst: to(e.server, 0), ID: 1}) }
			rows["udp-checksum"] = func() (wire.Sighting, error) { return u.Send(Out{Dst: to(e.server, 9), NoChecksum: true}) }
		}
		for name, send := range rows {
			s, err := send()
			if reason, _, _, _ := Refusal(err); reason != OSRefuses || !errors.Is(err, errors.ErrUnsupported) {
				t.Errorf("%s: got %+v, %v", name, s, err)
			}
		}
	})
}

// TestAHAsSigned sends AH whose ICV covers the IP header, and verifies it by what arrived.
func TestAHAsSigned(t *testing.T) {
	alone(t)
	a, b := must(Kernel{}.Raw(wire.IPProtoAH, ends4.client)), must(Kernel{}.Raw(wire.IPProtoAH, ends4.server))
	limit(t, b)
	key, inner := []byte("0123456789abcdef0123456789abcdef"), []byte("an IP packet")
	verify := func(s wire.Sighting) bool {
		ah, payload, err := wire.ParseAH(s.Bytes)
		if err != nil {
			t.Fatal(err)
		}
		h := wire.IPv4{ID: *s.IPID, Src: s.Src.Addr(), Dst: s.Dst.Addr()}
		return bytes.Equal(wire.AHICV(key, h, ah, payload), ah.ICV)
	}
	for _, o := range []Out{{ID: 1}, {ID: 0x1234, DF: true, TTL: 3}, {ID: 0xFFFF, DSCP: 46}, {ID: 0x8000, DF: true}} {
		o.Dst = to(ends4.server, 0)
		ah := wire.AH{NextHeader: 4, SPI: 0xC0FFEE01, SequenceNumber: uint32(o.ID)}
		ah.ICV = wire.AHICV(key, wire.IPv4{ID: o.ID, Src: ends4.client, Dst: ends4.server}, ah, inner)
		o.Payload = append(ah.Append(nil), inner...)
		sent := must(a.Send(o))
		arrived := must(b.Recv())
		same(t, sent, arrived)
		if *arrived.IPID != o.ID || *arrived.DF != o.DF || *arrived.TTL != o.ttl() {
			t.Errorf("sent %+v, arrived %+v", o, arrived)
		}
		if !verify(arrived) {
			t.Errorf("IP-ID %#04x: the ICV does not fit what arrived", o.ID)
		}
		arrived.Src = to(ends4.second, 0) // as behind a NAT
		if verify(arrived) {
			t.Error("the ICV does not cover the source")
		}
	}
	b.SetReadDeadline(time.Now())
	if s, err := b.Recv(); !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Errorf("got %+v, %v, want nothing more", s, err)
	}
}
