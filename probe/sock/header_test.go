package sock

import (
	"bytes"
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
