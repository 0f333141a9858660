package main

import (
	"errors"
	"net/netip"
	"testing"

	"vpncheck/probe"
	"vpncheck/probe/sock"
	"vpncheck/probe/wire"
)

// hijacker answers what goes to UDP port 4500 in the server's name.
func hijacker() func(sock.FakePacket, bool) []sock.FakePacket {
	return func(p sock.FakePacket, out bool) []sock.FakePacket {
		if !out || p.Dst.Port() != wire.NATTPort || len(p.Payload) < 40 {
			return []sock.FakePacket{p}
		}
		p.Src, p.Dst = p.Dst, netip.AddrPortFrom(public, p.Src.Port()) // on its way back in
		for i := 4; i < len(p.Payload); i++ {
			p.Payload[i] = 0x5a
		}
		return []sock.FakePacket{p}
	}
}

func TestJoinedNATT(t *testing.T) {
	t.Parallel()
	tryBoxes(t, []boxRow{
		{"natt-out", drop(func(p sock.FakePacket, out bool) bool { return out && toPort(p, out, wire.NATTPort) }),
			"passed", "blocked-out udp-port-dropped"},
		{"natt-back", drop(func(p sock.FakePacket, out bool) bool { return !out && toPort(p, out, wire.NATTPort) }),
			"passed", "blocked-back udp-port-back-dropped"},
		{"esp-in-udp-out", drop(func(p sock.FakePacket, out bool) bool { return out && onNATT(p, out, wire.NATTESP) }),
			"passed", "blocked-out no-arrival"},
		{"esp-in-udp-back", drop(func(p sock.FakePacket, out bool) bool { return !out && onNATT(p, out, wire.NATTESP) }),
			"passed", "blocked-back no-return"},
		{"checksum0-out", drop(func(p sock.FakePacket, out bool) bool { return out && p.Checksum == sock.ChecksumNone }),
			"passed", "blocked-out udp-zero-checksum-dropped"},
		{"checksum0-back", drop(func(p sock.FakePacket, out bool) bool { return !out && p.Checksum == sock.ChecksumNone }),
			"passed", "blocked-back udp-zero-checksum-dropped"},
		{"checksum0-broken", func() func(sock.FakePacket, bool) []sock.FakePacket {
			return func(p sock.FakePacket, _ bool) []sock.FakePacket {
				if p.Checksum == sock.ChecksumNone {
					p.Checksum = sock.ChecksumWrong
				}
				return []sock.FakePacket{p}
			}
		}, "passed", "blocked-out udp-zero-checksum-dropped"},
		{"port-taken", drop(func(p sock.FakePacket, out bool) bool {
			return out && toPort(p, out, wire.NATTPort) && p.Src.Port() == wire.NATTPort
		}),
			"passed", "inconclusive port-clash"},
		{"natt-cut", cutAfter(func(p sock.FakePacket, out bool) string {
			if out && onNATT(p, out, wire.NATTESP) {
				return p.Src.String()
			}
			return ""
		}), "passed", "stalled stopped-after-n"},
		{"natt-spi-rewritten", rewriting(2, func(p sock.FakePacket, out bool) bool { return out && onNATT(p, out, wire.NATTESP) }),
			"passed", "altered payload-altered"},
		{"natt-ike-rewritten", rewriting(5, func(p sock.FakePacket, out bool) bool { return out && onNATT(p, out, wire.NATTIKE) }),
			"passed", "altered payload-altered"},
		{"hijack", hijacker, "passed", "hijacked answered-by-another"},
	})
}

// A laptop that cannot ask as a real client would asks in the next best form, and says so.
func TestJoinedNATTStandsIn(t *testing.T) {
	t.Parallel()
	unsupported := func(p *sock.FakePacket) error {
		if p.Checksum == sock.ChecksumNone {
			return errors.ErrUnsupported
		}
		return nil
	}
	for _, c := range []struct {
		name   string
		change func(j *joined)
		want   map[string]string
	}{
		{"port-held", func(j *joined) { j.hold(wire.NATTPort) }, map[string]string{
			"esp-zero": "", "esp-sum": "", "ephemeral": "passed "}},
		{"no-bare-checksum", func(j *joined) { j.laptop.Route = unsupported }, map[string]string{
			"esp-zero": "untested os-refuses", "esp-sum": "passed ", "ephemeral": "passed "}},
		{"neither", func(j *joined) { j.hold(wire.NATTPort); j.laptop.Route = unsupported }, map[string]string{
			"esp-zero": "", "esp-sum": "", "ephemeral": "passed "}},
	} {
		t.Run(c.name, func(t *testing.T) {
			join(t, nat(always), func(j *joined) {
				c.change(j)
				r := j.run(j.Context(), j.laptop)
				j.want(r, map[string]string{"natt": "passed"})
				for id, want := range c.want {
					if got := part(r, "natt", id); got != want {
						t.Errorf("%s: got %q, want %q", id, got, want)
					}
				}
				if !told(r, "natt", probe.EvStandsIn) {
					t.Error("nothing says that another form stands in")
				}
			})
		})
	}
}

// hold takes one of the laptop's UDP ports, as another IPsec program does.
func (j *joined) hold(port uint16) {
	c, err := j.laptop.UDP(netip.AddrPortFrom(atHome, port))
	if err != nil {
		j.Fatal(err)
	}
	j.Cleanup(func() { c.Close() })
}

func told(r probe.Result, protocol string, reason probe.Reason) bool {
	for _, f := range r.Findings {
		for _, e := range f.Because {
			if f.Protocol == protocol && e.Reason == reason {
				return true
			}
		}
	}
	return false
}

// What left the laptop on port 4500 is what a real client sends.
func TestJoinedNATTForms(t *testing.T) {
	t.Parallel()
	join(t, nat(always), func(j *joined) {
		r := j.run(j.Context(), j.laptop)
		ports := map[bool]int{}
		for _, p := range j.laptop.Sent() {
			if p.Proto != wire.IPProtoUDP || p.Dst.Port() != wire.NATTPort {
				continue
			}
			kind, err := wire.NATTKind(p.Payload)
			bare := p.Checksum == sock.ChecksumNone
			switch {
			case err != nil:
				t.Error(err)
			case kind == wire.NATTIKE && bare:
				t.Error("IKE left without a checksum")
			case kind == wire.NATTESP && bare != (p.Payload[3]%2 == 0):
				t.Errorf("SPI %x with checksum %v: the answer's form follows the SPI", p.Payload[:4], p.Checksum)
			case kind == wire.NATTESP:
				ports[bare]++
			}
		}
		if ports[true] < 16 || ports[false] != 4 {
			t.Errorf("got %v packets of ESP without and with a checksum", ports)
		}
		for _, o := range r.Observations {
			for _, e := range o.Exchanges {
				if e.Stage == "keepalive" && (e.Arrived.State != wire.Seen || e.Replied.State == wire.Seen) {
					t.Errorf("a keepalive is %s at the server, its answer %s; want seen, and none", e.Arrived.State, e.Replied.State)
				}
			}
		}
	})
}
