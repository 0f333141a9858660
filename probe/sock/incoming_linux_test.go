package sock

import (
	"bytes"
	"encoding/binary"
	"net/netip"
	"testing"

	"golang.org/x/net/bpf"
	"golang.org/x/sys/unix"

	"vpncheck/probe/wire"
)

var everything = Wanted{Protocols: []uint8{47, 50, 51}, UDP: []uint16{500, 4500, 1701}, SYNs: []uint16{1723, 443}}

// ipPacket is a packet as it comes in, with options if there are any.
func ipPacket(proto uint8, options, payload []byte, change func(*wire.IPv4)) []byte {
	h := wire.IPv4{TTL: 57, Protocol: proto, ID: 7, DF: true, Src: netip.MustParseAddr("203.0.113.9"), Dst: netip.MustParseAddr("198.51.100.10"), Options: options}
	if change != nil {
		change(&h)
	}
	return h.AppendPacket(nil, payload)
}

func udpTo(port uint16) []byte {
	return append(wire.UDP{SrcPort: 999, DstPort: port, Length: 12, Checksum: 0x1234}.Append(nil), "data"...)
}

func tcpTo(port uint16, flags byte) []byte {
	b := make([]byte, 20)
	binary.BigEndian.PutUint16(b[0:], 999)
	binary.BigEndian.PutUint16(b[2:], port)
	b[12], b[13] = 5<<4, flags
	return b
}

// Each packet is put to the kernel's program and to our own reading of it: the one spares copies, the other decides.
func TestIncomingFilter(t *testing.T) {
	options := []byte{1, 1, 1, 1}
	esp := []byte{1, 2, 3, 4, 0, 0, 0, 1}
	for _, tt := range []struct {
		name   string
		packet []byte
		want   bool
	}{
		{"esp", ipPacket(50, nil, esp, nil), true},
		{"gre", ipPacket(47, nil, esp, nil), true},
		{"ah-with-options", ipPacket(51, options, esp, nil), false},
		{"icmp", ipPacket(1, nil, esp, nil), false},
		{"first-udp-port", ipPacket(17, nil, udpTo(500), nil), true},
		{"last-udp-port", ipPacket(17, nil, udpTo(1701), nil), true},
		{"other-udp-port", ipPacket(17, nil, udpTo(501), nil), false},
		{"syn", ipPacket(6, nil, tcpTo(1723, tcpSYN), nil), true},
		{"syn-for-another-port", ipPacket(6, nil, tcpTo(443, tcpSYN|0xC0), nil), true},
		{"syn-with-options", ipPacket(6, options, tcpTo(443, tcpSYN), nil), false},
		{"syn-ack", ipPacket(6, nil, tcpTo(1723, tcpSYN|tcpACK), nil), false},
		{"ack", ipPacket(6, nil, tcpTo(1723, tcpACK), nil), false},
		{"syn-elsewhere", ipPacket(6, nil, tcpTo(1724, tcpSYN), nil), false},
		{"tcp-to-a-udp-port", ipPacket(6, nil, tcpTo(500, tcpSYN), nil), false},
		{"more-fragments", ipPacket(50, nil, esp, func(h *wire.IPv4) { h.DF, h.MF = false, true }), false},
		{"later-fragment", ipPacket(17, nil, udpTo(500), func(h *wire.IPv4) { h.DF, h.FragOffset = false, 2 }), false},
		{"short", ipPacket(17, nil, udpTo(500), nil)[:21], false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			vm, err := bpf.NewVM(everything.filter())
			if err != nil {
				t.Fatal(err)
			}
			n, err := vm.Run(tt.packet)
			if err != nil || (n > 0) != tt.want {
				t.Errorf("the program lets %d octets through (%v), want %v", n, err, tt.want)
			}
			c := &incoming{wanted: everything}
			if _, ok := c.sighting(tt.packet); ok != tt.want {
				t.Errorf("got %v, want %v", ok, tt.want)
			}
		})
	}
}

// What the kernel itself would drop is not shown: no firewall did that.
func TestIncomingHeaders(t *testing.T) {
	c := &incoming{wanted: everything}
	good := ipPacket(17, nil, udpTo(4500), nil)
	s, ok := c.sighting(good)
	if !ok || s.Where != "nic" || s.Src != netip.MustParseAddrPort("203.0.113.9:999") || s.Dst.Port() != 4500 || *s.TTL != 57 ||
		*s.IPID != 7 || !*s.DF || *s.Checksum != 0x1234 || string(s.Bytes) != "data" {
		t.Errorf("got %+v", s)
	}
	bad := bytes.Clone(good)
	bad[8]++ // a TTL that the header's checksum does not cover
	if _, ok := c.sighting(bad); ok {
		t.Error("a header whose checksum is wrong is shown")
	}
	if _, ok := c.sighting(good[:len(good)-2]); ok {
		t.Error("a packet that is cut is shown")
	}
}

// A stranger's packet costs a copy by the kernel and nothing else.
func TestIncomingAllocations(t *testing.T) {
	c := &incoming{wanted: everything}
	for _, packet := range [][]byte{ipPacket(50, nil, udpTo(1), nil), ipPacket(17, nil, udpTo(500), nil), ipPacket(6, nil, tcpTo(1723, tcpSYN), nil)} {
		if n := testing.AllocsPerRun(100, func() { c.sighting(packet) }); n != 0 {
			t.Errorf("%v allocations, want none", n)
		}
	}
}

// A sighting that is kept does not change with the next packet.
func TestKeep(t *testing.T) {
	c := &incoming{wanted: everything}
	b := ipPacket(17, nil, udpTo(4500), nil)
	s, _ := c.sighting(b)
	kept := Keep(s)
	clear(b)
	c.sighting(ipPacket(50, nil, []byte("12345678"), func(h *wire.IPv4) { h.TTL, h.DF, h.ID = 9, false, 8 }))
	c.checksum = 0
	if *kept.TTL != 57 || !*kept.DF || *kept.IPID != 7 || *kept.Checksum != 0x1234 || string(kept.Bytes) != "data" {
		t.Errorf("got %+v", kept)
	}
}

func TestIntact(t *testing.T) {
	s := wire.Sighting{Src: netip.MustParseAddrPort("203.0.113.9:999"), Dst: netip.MustParseAddrPort("198.51.100.10:500"), Bytes: []byte("data")}
	for sum, want := range map[uint16]bool{0: true, UDPChecksum(s): true, unfinished(s): true, UDPChecksum(s) ^ 1: false} {
		s.Checksum = &sum
		if Intact(s) != want {
			t.Errorf("%#04x: got %v", sum, !want)
		}
	}
	if s.Checksum = nil; !Intact(s) {
		t.Error("one that nobody saw is wrong")
	}
}

func FuzzIncoming(f *testing.F) {
	f.Add(ipPacket(17, []byte{1, 1, 1, 1}, udpTo(500), nil))
	f.Add(ipPacket(6, nil, tcpTo(1723, tcpSYN), nil))
	f.Add(ipPacket(50, nil, nil, nil))
	c := &incoming{wanted: everything}
	f.Fuzz(func(t *testing.T, b []byte) {
		if s, ok := c.sighting(b); ok {
			Keep(s)
			Intact(s)
		}
	})
}

// On a real kernel: a packet for which there is no socket at all, and a datagram to one that there is.
func TestIncoming(t *testing.T) {
	alone(t)
	a, b := netip.MustParseAddr("127.0.0.1"), netip.MustParseAddr("127.0.0.2")
	in := must(Kernel{}.Incoming(everything))
	limit(t, in)
	raw, u := must(Kernel{}.Raw(50, a)), must(Kernel{}.UDP(to(a, 0)))
	for range 2 {
		sent := must(raw.Send(Out{Dst: to(b, 0), TTL: 9, Payload: []byte("12345678")}))
		s := must(in.Recv())
		if s.Proto != 50 || s.Src != to(a, 0) || s.Dst != to(b, 0) || *s.TTL != 9 || *s.IPID != *sent.IPID || string(s.Bytes) != "12345678" {
			t.Errorf("saw %+v", s)
		}
		must(u.Send(Out{Dst: to(b, 501), Payload: []byte("not wanted")}))
		must(u.Send(Out{Dst: to(b, 500), Payload: []byte("wanted")}))
		if s := must(in.Recv()); string(s.Bytes) != "wanted" || s.Src != u.Local() || s.Dst != to(b, 500) || !Intact(s) {
			t.Errorf("saw %+v", s)
		}
	}
}

// A packet with a source route is dropped by every kernel as it is set up (RFC 7126, section 4.3), and shows on the network card all the same:
// by it anybody who can forge the client's address could have a firewall blamed that drops nothing.
func TestIncomingSourceRoute(t *testing.T) {
	alone(t)
	a, b := netip.MustParseAddr("127.0.0.1"), netip.MustParseAddr("127.0.0.2")
	in, raw := must(Kernel{}.Incoming(everything)), must(Kernel{}.Raw(50, b))
	limit(t, in)
	limit(t, raw)
	fd := must(unix.Socket(unix.AF_INET, unix.SOCK_RAW|unix.SOCK_CLOEXEC, unix.IPPROTO_RAW))
	defer unix.Close(fd)
	for _, x := range []struct {
		options []byte
		payload string
	}{{[]byte{131, 7, 4, 127, 0, 0, 2, 0}, "routed.."}, {nil, "plain..."}} {
		h := wire.IPv4{TTL: 57, Protocol: 50, ID: 7, Src: a, Dst: b, Options: x.options}
		if err := unix.Sendto(fd, h.AppendPacket(nil, []byte(x.payload)), 0, &unix.SockaddrInet4{Addr: b.As4()}); err != nil {
			t.Fatal(err)
		}
	}
	for name, c := range map[string]Conn{"the socket": raw, "the network card": in} {
		if s := must(c.Recv()); string(s.Bytes) != "plain..." {
			t.Errorf("%s shows %q", name, s.Bytes)
		}
	}
}
