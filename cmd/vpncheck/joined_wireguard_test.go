package main

import (
	"net/netip"
	"testing"
	"time"

	"vpncheck/probe"
	"vpncheck/probe/sock"
	"vpncheck/probe/wire"
)

// wireGuardIs says whether a packet is the laptop's WireGuard of a type; 0 is any.
func wireGuardIs(typ wire.WireGuardType) func(sock.FakePacket) bool {
	return func(p sock.FakePacket) bool {
		if p.Proto != wire.IPProtoUDP || p.Src.Addr() != atHome || p.Dst.Port() != wire.WireGuardPort {
			return false
		}
		kind, err := wire.WireGuardKind(p.Payload)
		return typ == 0 || err == nil && kind == typ
	}
}

func wireGuardBack(typ wire.WireGuardType) func(sock.FakePacket) bool {
	return func(p sock.FakePacket) bool {
		kind, err := wire.WireGuardKind(p.Payload)
		return p.Src == netip.AddrPortFrom(atServer, wire.WireGuardPort) && p.Dst.Addr() == public && (typ == 0 || err == nil && kind == typ)
	}
}

// An open path has one handshake and twelve packets of data, each followed from end to end.
func TestJoinedWireGuardConversation(t *testing.T) {
	t.Parallel()
	join(t, nat(always), func(j *joined) {
		began := time.Now()
		f, o := j.only("wireguard")
		j.found(f, "passed")
		if took := time.Since(began); took > 3*time.Second {
			j.Errorf("the open path took %v, at most 3 s", took)
		}
		sizes := map[int]int{}
		for _, p := range j.laptop.Sent() {
			if wireGuardIs(0)(p) {
				sizes[len(p.Payload)]++
			}
		}
		if len(sizes) != 2 || sizes[wire.WireGuardInitiationSize] != 1 || sizes[96+32] != 12 {
			j.Errorf("the laptop sent packets of the sizes %v, want one of 148 octets and twelve of 128", sizes)
		}
		for _, e := range o.Exchanges {
			if e.Sent.State != wire.Seen || e.Arrived.State != wire.Seen || e.Replied.State != wire.Seen || e.Returned.State != wire.Seen {
				j.Errorf("%s (%s) was not followed from end to end: %+v", e.ID, e.Stage, e)
			}
			if len(e.Replied.Bytes) > len(e.Sent.Bytes) {
				j.Errorf("%s (%s): %d octets for %d: an answer is not larger than its question", e.ID, e.Stage, len(e.Replied.Bytes), len(e.Sent.Bytes))
			}
		}
	})
}

func TestJoinedWireGuard(t *testing.T) {
	t.Parallel()
	edit := func(is func(sock.FakePacket) bool, at int) func(sock.FakePacket) []sock.FakePacket {
		return func(p sock.FakePacket) []sock.FakePacket {
			if is(p) {
				p.Payload[at] ^= 1
			}
			return nat(always)(p)
		}
	}
	after := func(n int) func(sock.FakePacket) []sock.FakePacket {
		had := map[netip.AddrPort]int{}
		return without(func(p sock.FakePacket) bool {
			if !wireGuardIs(wire.WireGuardData)(p) {
				return false
			}
			had[p.Src]++
			return had[p.Src] > n
		}, nat(always))
	}
	for _, c := range []struct {
		name  string
		route func(sock.FakePacket) []sock.FakePacket
		want  string
		stage string
	}{
		{"no-nat", straight, "passed", "data"},
		{"out", without(wireGuardIs(0), nat(always)), "blocked-out udp-port-dropped", "handshake"},
		{"back", without(wireGuardBack(wire.WireGuardResponse), nat(always)), "blocked-back udp-content-back-dropped", "handshake"},
		{"port-back", without(wireGuardBack(0), nat(always)), "blocked-back udp-port-back-dropped", "handshake"},
		{"dpi", without(wireGuardIs(wire.WireGuardInitiation), nat(always)), "blocked-out udp-content-dropped", "handshake"},
		{"data-out", without(wireGuardIs(wire.WireGuardData), nat(always)), "blocked-out no-arrival", "data"},
		{"data-back", without(wireGuardBack(wire.WireGuardData), nat(always)), "blocked-back no-return", "data"},
		{"after-8", after(8), "stalled stopped-after-n", "data"},
		{"opening-altered", edit(wireGuardIs(wire.WireGuardInitiation), 60), "altered payload-altered", "handshake"},
		{"index-altered", edit(wireGuardIs(wire.WireGuardInitiation), 5), "altered payload-altered", "handshake"},
		{"response-altered", edit(wireGuardBack(wire.WireGuardResponse), 50), "altered payload-altered", "handshake"},
		{"data-altered", edit(wireGuardIs(wire.WireGuardData), 40), "altered payload-altered", "data"},
		{"data-back-altered", edit(wireGuardBack(wire.WireGuardData), 40), "altered payload-altered", "data"},
	} {
		t.Run(c.name, func(t *testing.T) {
			join(t, c.route, func(j *joined) {
				j.prove()
				f, _ := j.only("wireguard")
				j.foundAt(f, c.want, c.stage)
			})
		})
	}
}

// What is late begins when all others have ended, and a control that dies under it takes nothing from their verdicts (law 5).
func TestJoinedWireGuardIsLate(t *testing.T) {
	t.Parallel()
	var seen bool
	dead := func(p sock.FakePacket) bool {
		seen = seen || wireGuardIs(0)(p)
		return seen
	}
	join(t, without(dead, nat(always)), func(j *joined) {
		r := j.run(j.Context(), j.laptop)
		for i, f := range r.Findings {
			switch {
			case f.Protocol == "wireguard":
				if f.Verdict == probe.Passed || f.Verdict == probe.BlockedOut {
					j.Errorf("wireguard: got %s %s on a dead line", f.Verdict, f.Reason)
				}
			case f.Protocol == "pptp" && (f.Verdict != probe.Passed || !r.Observations[i].Ended.Before(r.Circumstances.Calm.Add(time.Millisecond))):
				j.Errorf("pptp: got %s %s, ended %v, calm %v", f.Verdict, f.Reason, r.Observations[i].Ended, r.Circumstances.Calm)
			}
		}
	})
}
