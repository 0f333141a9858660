package sock

import (
	"bytes"
	"encoding/binary"
	"net/netip"
	"testing"

	"vpncheck/probe/wire"
)

func FuzzParseHeader(f *testing.F) {
	packet := wire.IPv4{TTL: 64, Protocol: 6, Src: inside, Dst: outside}.AppendPacket(nil, append(withPorts(FakePacket{
		Src: to(inside, 1000), Dst: to(outside, 1723), Payload: fakeSYN(),
	}), "and data"...))
	f.Add(packet)
	f.Add(packet[:30])
	f.Add(append(bytes.Clone(packet), "behind the packet"...))
	f.Add([]byte{0x4f, 0, 0, 60})
	f.Fuzz(func(t *testing.T, b []byte) {
		_, payload, ok := received(b)
		if !ok {
			return
		}
		if len(payload) > len(b)-headerLen {
			t.Fatalf("%d octets hold a payload of %d", len(b), len(payload))
		}
		if s, ok := parseSYN(payload, 1723); ok && (s.length < tcpHeader || s.length > len(payload)) {
			t.Fatalf("a TCP header of %d octets in %d", s.length, len(payload))
		}
	})
}

func TestReceivedCuts(t *testing.T) {
	packet := wire.IPv4{TTL: 64, Protocol: 47, Src: inside, Dst: outside, Options: make([]byte, 8)}.AppendPacket(nil, []byte("payload"))
	_, payload, ok := received(append(packet, "padding"...))
	if string(payload) != "payload" || !ok {
		t.Errorf("got %q, %v", payload, ok)
	}
	if _, payload, ok = received(packet[:len(packet)-3]); string(payload) != "payl" || !ok {
		t.Errorf("got %q, %v of a packet that was cut", payload, ok)
	}
	for n := range headerLen {
		if _, _, ok := received(packet[:n]); ok {
			t.Errorf("%d octets are a packet", n)
		}
	}
}

// TestUDPChecksum reads datagrams whose checksum is right, absent, wrong, and not finished.
func TestUDPChecksum(t *testing.T) {
	six := netip.MustParseAddr("2001:db8::1")
	for _, s := range []wire.Sighting{
		{Src: to(inside, 4500), Dst: to(outside, 4500), Bytes: wire.Hex("payload")},
		{Src: to(inside, 4500), Dst: to(outside, 4500)},
		{Src: to(six, 4500), Dst: to(netip.MustParseAddr("2001:db8::2"), 4500), Bytes: wire.Hex("payload!")},
	} {
		right := UDPChecksum(s)
		if s.Src.Addr().Is4() {
			if want := wire.AppendUDP(nil, s.Src, s.Dst, s.Bytes); binary.BigEndian.Uint16(want[6:]) != right {
				t.Errorf("got %#04x of %x", right, want)
			}
		}
		for name, row := range map[string]struct {
			field uint16
			known bool
		}{
			"right": {right, true}, "none": {0, true}, "wrong": {right - 1, true}, "unfinished": {unfinished(s), false},
		} {
			u := wire.UDP{SrcPort: 4500, DstPort: 4500, Length: uint16(8 + len(s.Bytes)), Checksum: row.field}
			got := wire.Sighting{Src: to(s.Src.Addr(), 0), Dst: to(s.Dst.Addr(), 0), Bytes: append(append(u.Append(nil), s.Bytes...), "behind"...)}
			if !parseDatagram(&got, 4500) || got.Src != s.Src || got.Dst != s.Dst || !bytes.Equal(got.Bytes, s.Bytes) {
				t.Errorf("%s: got %+v", name, got)
			}
			if known := got.Checksum != nil; known != row.known || known && *got.Checksum != row.field {
				t.Errorf("%s: got the checksum %v, want %#04x", name, got.Checksum, row.field)
			}
		}
	}
	// One whose sum is zero has 0xFFFF (RFC 768): 0 would say that there is none.
	s := wire.Sighting{Src: to(inside, 4500), Dst: to(outside, 4500), Bytes: make(wire.Hex, 2)}
	binary.BigEndian.PutUint16(s.Bytes, UDPChecksum(s))
	if got := UDPChecksum(s); got != 0xFFFF {
		t.Errorf("got %#04x, want 0xffff", got)
	}
}

func FuzzParseDatagram(f *testing.F) {
	f.Add(wire.AppendUDP(nil, to(inside, 4500), to(outside, 4500), []byte("payload")))
	f.Add([]byte{0x11, 0x94, 0x11, 0x94, 0, 8, 0, 0})
	f.Add([]byte{0x11, 0x94, 0x11, 0x94, 0xFF, 0xFF, 0, 0})
	f.Fuzz(func(t *testing.T, b []byte) {
		s := wire.Sighting{Src: to(inside, 0), Dst: to(outside, 0), Bytes: b}
		if !parseDatagram(&s, 4500) {
			return
		}
		if s.Dst.Port() != 4500 || len(s.Bytes) > len(b)-8 {
			t.Fatalf("read %+v of %x", s, b)
		}
		if s.Checksum != nil && *s.Checksum != binary.BigEndian.Uint16(b[6:]) {
			t.Fatalf("read the checksum %#04x of %x", *s.Checksum, b)
		}
	})
}
