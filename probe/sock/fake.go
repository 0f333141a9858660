package sock

import (
	"fmt"
	"net/netip"
	"slices"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"vpncheck/probe/wire"
)

// Fake is a network in memory: hosts, and whatever Between makes of the way between them. It needs no privilege, and runs in a
// bubble of testing/synctest.
//
// A NAT is a closure:
//
//	f := sock.NewFake()
//	laptop, server := f.Host(inside), f.Host(outside)
//	f.Between = func(p sock.FakePacket) []sock.FakePacket {
//		switch {
//		case p.Src.Addr() == inside:
//			p.Src = netip.AddrPortFrom(public, p.Src.Port())
//		case p.Dst.Addr() == public:
//			p.Dst = netip.AddrPortFrom(inside, p.Dst.Port())
//		default:
//			return nil // nobody answers at a private address
//		}
//		return []sock.FakePacket{p}
//	}
//
// The fields are set before the first packet.
type Fake struct {
	// Between is called for every packet that leaves one host for another (a TCP connect is one packet, its SYN) and returns
	// what arrives: nothing, the packet, a changed one, several. A packet goes to the host that has its Dst, so that a router may
	// answer to the sender. Calls come one at a time; the payload is Between's own. It must not send or close anything itself.
	Between func(FakePacket) []FakePacket
	// Stream, if set, edits each write on a TCP connection between two hosts, as an ALG does: calls come one at a time, nil swallows
	// the octets, and b is Stream's own.
	Stream func(b []byte, toServer bool) []byte
	// Delay is the time one way; SetDelay changes it while packets are under way.
	Delay time.Duration
	// Hops is how much TTL a packet loses; one that has no more is dropped.
	Hops uint8
	// Expired, if set, is called for a packet, as it left, whose TTL ends at a router on the way, the first being hop 1. It returns the
	// router's address, and that answers with ICMP time exceeded, which Between does not see; or none, and the packet is dropped. A
	// router that drops the packet only afterwards answers all the same (T08), one behind it does not.
	Expired func(hop uint8, p FakePacket) netip.Addr
	// Quote is how many octets an answer of Expired's quotes behind the IP header; 0 means all.
	Quote int

	wire   sync.Mutex // one packet at a time
	stream sync.Mutex
	slower atomic.Int64 // SetDelay's, if it was called
	late   atomic.Pointer[func(FakePacket) time.Duration]

	mu    sync.Mutex // what follows, and all hosts
	hosts map[netip.Addr]*FakeHost
	flows map[*fakeTCP]bool
}

// A FakePacket is a packet between two hosts of a Fake.
type FakePacket struct {
	Proto    uint8
	Src, Dst netip.AddrPort // the ports are 0 for a raw socket's packet
	TTL      uint8
	DSCP     uint8
	DF       bool
	IPID     uint16
	Checksum FakeChecksum // of a UDP datagram
	Payload  []byte       // after the IP header of a raw socket's packet, a datagram's payload, the header of a SYN
	// Reset, of a TCP connect that Between returns, makes it fail with syscall.ECONNREFUSED; any other packet it makes vanish.
	Reset bool
}

// A FakeChecksum is what is in a datagram's Checksum field. A router that changes addresses or payload need not mend it: it is right until
// Between says that it is not.
type FakeChecksum uint8

const (
	ChecksumRight FakeChecksum = iota
	ChecksumNone               // 0: the sender computed none
	ChecksumWrong              // no UDP socket receives the datagram
)

// NewFake returns a network without hosts, in which packets lose two hops.
func NewFake() *Fake {
	return &Fake{Hops: 2, hosts: map[netip.Addr]*FakeHost{}, flows: map[*fakeTCP]bool{}}
}

// Host adds a host with these addresses. The first of a family is the one it sends from when nobody asks for another.
func (f *Fake) Host(addrs ...netip.Addr) *FakeHost {
	f.mu.Lock()
	defer f.mu.Unlock()
	h := &FakeHost{net: f, addrs: slices.Clone(addrs), port: 40000}
	for _, a := range addrs {
		if f.hosts[a] != nil {
			panic(fmt.Sprintf("two hosts have the address %v", a))
		}
		f.hosts[a] = h
	}
	return h
}

// Cut resets every TCP connection that is open: both ends see syscall.ECONNRESET.
func (f *Fake) Cut() {
	f.mu.Lock()
	defer f.mu.Unlock()
	for c := range f.flows {
		c.in.fail(syscall.ECONNRESET)
		c.out.fail(syscall.ECONNRESET)
	}
	clear(f.flows)
}

// A FakeHost is the network of one host of a Fake.
type FakeHost struct {
	// Deny makes calls fail, as the kernel does for want of privilege or by a firewall: "raw", "udp", "dial", "listen", "syns",
	// "datagrams", "arrivals", "incoming", "source" and "send", or one of their numbers only: "raw/50", "udp/500", "listen/1723", "dial/1723", "syns/1723",
	// "datagrams/4500", "send/47" (an IP protocol).
	Deny map[string]error
	// Route, if set, sees every packet of this host before it leaves, those to itself too. Its error is the send's; it may change the
	// packet, and with it what Send returns.
	Route func(*FakePacket) error
	// Input, if set, is this host's own firewall: what it refuses reaches no socket but those of Arrivals and Incoming.
	Input func(FakePacket) bool

	net   *Fake
	addrs []netip.Addr

	// Below net.mu.
	port           uint16
	socks          []*fakeConn
	listeners      []*fakeListener
	sent, received []FakePacket
}

var _ Net = (*FakeHost)(nil)

// Sent returns the packets that left this host, as they left, before Between.
func (h *FakeHost) Sent() []FakePacket {
	h.net.mu.Lock()
	defer h.net.mu.Unlock()
	return slices.Clone(h.sent)
}

// Received returns the packets that arrived at this host, whether a socket wanted them or not.
func (h *FakeHost) Received() []FakePacket {
	h.net.mu.Lock()
	defer h.net.mu.Unlock()
	return slices.Clone(h.received)
}

// denied returns what Deny says.
func (h *FakeHost) denied(what string, number int) error {
	if err := h.Deny[fmt.Sprintf("%s/%d", what, number)]; err != nil {
		return err
	}
	return h.Deny[what]
}

// fakeBacklog is how many packets wait for a slow receiver before more are dropped.
const fakeBacklog = 1024

// Raw implements Net.
func (h *FakeHost) Raw(proto uint8, local netip.Addr) (Conn, error) {
	c, err := h.open("raw", proto, netip.AddrPortFrom(local.Unmap(), 0))
	if err != nil {
		return nil, fmt.Errorf("opening a raw socket for IP protocol %d: %w", proto, err)
	}
	return c, nil
}

// UDP implements Net.
func (h *FakeHost) UDP(local netip.AddrPort) (Conn, error) {
	c, err := h.open("udp", protoUDP, unmap(local))
	if err != nil {
		return nil, fmt.Errorf("opening UDP port %d: %w", local.Port(), err)
	}
	return c, nil
}

// Towards implements Net. ICMP errors come to it as to a kernel's.
func (h *FakeHost) Towards(local, remote netip.AddrPort) (Conn, error) {
	c, err := h.open("udp", protoUDP, unmap(local))
	if err != nil {
		return nil, fmt.Errorf("opening UDP port %d: %w", local.Port(), err)
	}
	h.net.mu.Lock()
	defer h.net.mu.Unlock()
	c.(*fakeConn).remote = unmap(remote)
	return c, nil
}

// SYNs implements Net.
func (h *FakeHost) SYNs(port uint16, local netip.Addr) (Conn, error) {
	c, err := h.open("syns", protoTCP, netip.AddrPortFrom(local.Unmap(), port))
	if err != nil {
		return nil, fmt.Errorf("watching for TCP connections to port %d: %w", port, err)
	}
	return c, nil
}

// Datagrams implements Net.
func (h *FakeHost) Datagrams(port uint16, local netip.Addr) (Conn, error) {
	c, err := h.open("datagrams", protoUDP, netip.AddrPortFrom(local.Unmap(), port))
	if err != nil {
		return nil, fmt.Errorf("watching for datagrams to UDP port %d: %w", port, err)
	}
	return c, nil
}

// Arrivals implements Net.
func (h *FakeHost) Arrivals(proto uint8, from netip.Addr) (Conn, error) {
	if err := h.denied("arrivals", int(proto)); err != nil {
		return nil, fmt.Errorf("watching the network card for IP protocol %d: %w", proto, err)
	}
	h.net.mu.Lock()
	defer h.net.mu.Unlock()
	c := &fakeConn{host: h, kind: "arrivals", proto: proto, from: from.Unmap(), queue: newPackets()}
	h.socks = append(h.socks, c)
	return c, nil
}

// Incoming implements Net.
func (h *FakeHost) Incoming(w Wanted) (Conn, error) {
	if err := h.denied("incoming", 0); err != nil {
		return nil, fmt.Errorf("watching the network card: %w", err)
	}
	h.net.mu.Lock()
	defer h.net.mu.Unlock()
	c := &fakeConn{host: h, kind: "incoming", wanted: w, queue: newPackets()}
	h.socks = append(h.socks, c)
	return c, nil
}

// Source implements Net.
func (h *FakeHost) Source(dst netip.Addr) (netip.Addr, error) {
	err := h.denied("source", 0)
	if err == nil {
		for _, a := range h.addrs {
			if a.Is4() == dst.Unmap().Is4() {
				return a, nil
			}
		}
		err = syscall.ENETUNREACH
	}
	return netip.Addr{}, fmt.Errorf("asking for the way to %v: %w", dst, err)
}

// from returns the address to send to dst from, if the caller wants a certain one.
func (h *FakeHost) from(want, dst netip.Addr) (netip.Addr, error) {
	if !want.IsValid() || want.IsUnspecified() {
		return h.Source(dst)
	}
	if !slices.Contains(h.addrs, want) {
		return netip.Addr{}, syscall.EADDRNOTAVAIL
	}
	return want, nil
}

// transmit sends a packet and calls deliver for each that arrives, with nil for the host of one that is reset. It updates p to how
// it left.
func (h *FakeHost) transmit(p *FakePacket, deliver func(*FakeHost, FakePacket)) error {
	if err := h.denied("send", int(p.Proto)); err != nil {
		return err
	}
	if h.Route != nil {
		if err := h.Route(p); err != nil {
			return err
		}
	}
	f := h.net
	f.wire.Lock()
	defer f.wire.Unlock()

	f.mu.Lock()
	h.sent = append(h.sent, p.clone())
	self := slices.Contains(h.addrs, p.Dst.Addr())
	f.mu.Unlock()

	arriving := []FakePacket{p.clone()}
	hops := f.Hops
	switch {
	case self:
		hops = 0
	case f.Expired != nil && p.TTL <= hops:
		if router := f.Expired(p.TTL, p.clone()); router.IsValid() {
			deliver(h, p.timeExceeded(router, f.Quote))
		}
		return nil
	case f.Between != nil:
		arriving = f.Between(arriving[0])
	}
	for _, q := range arriving {
		if q.Reset {
			deliver(nil, q)
			continue
		}
		f.mu.Lock()
		to := f.hosts[q.Dst.Addr()]
		lost := to == nil || q.TTL <= hops
		q.TTL -= hops
		if !lost {
			q = q.clone()
			to.received = append(to.received, q)
		}
		f.mu.Unlock()
		if !lost {
			deliver(to, q)
		}
	}
	return nil
}

// timeExceeded is a router's answer to a packet whose TTL has ended there.
func (p FakePacket) timeExceeded(router netip.Addr, octets int) FakePacket {
	quoted := p.Payload
	if p.Proto == protoUDP {
		u := wire.UDP{SrcPort: p.Src.Port(), DstPort: p.Dst.Port(), Length: uint16(8 + len(p.Payload))}
		u.Checksum = p.Checksum.field(wire.Sighting{Src: p.Src, Dst: p.Dst, Bytes: p.Payload})
		quoted = append(u.Append(nil), quoted...)
	}
	m := wire.ICMPError{Type: wire.ICMPTimeExceeded, Quoted: quoted, Header: wire.IPv4{
		TotalLength: uint16(headerLen + len(quoted)), ID: p.IPID, DF: p.DF, TTL: 1, Protocol: p.Proto, Src: p.Src.Addr(), Dst: p.Dst.Addr(),
	}}
	if octets > 0 {
		m.Quoted = quoted[:min(octets, len(quoted))]
	}
	return FakePacket{
		Proto: wire.IPProtoICMP, Src: netip.AddrPortFrom(router, 0), Dst: netip.AddrPortFrom(p.Src.Addr(), 0),
		TTL: DefaultTTL + 1 - p.TTL, IPID: randomID(), Payload: m.Append(nil),
	}
}

// SetStream is for a Stream that is set while connections are under way.
func (f *Fake) SetStream(edit func(b []byte, toServer bool) []byte) {
	f.stream.Lock()
	defer f.stream.Unlock()
	f.Stream = edit
}

// edit is what Stream makes of a write.
func (f *Fake) edit(b []byte, toServer bool) []byte {
	f.stream.Lock()
	defer f.stream.Unlock()
	if f.Stream == nil {
		return b
	}
	return f.Stream(b, toServer)
}

// SetDelay makes the time one way another one from now on.
func (f *Fake) SetDelay(d time.Duration) { f.slower.Store(int64(d)) }

func (f *Fake) delay() time.Duration {
	if d := f.slower.Load(); d != 0 {
		return time.Duration(d)
	}
	return f.Delay
}

// SetLag sets the further time that a packet takes which arrives, or a write on a TCP connection (its Payload then is what was written):
// packets may overtake each other, octets of a connection do not. Calls of lag may come at once. It may be set while packets are under way.
func (f *Fake) SetLag(lag func(FakePacket) time.Duration) { f.late.Store(&lag) }

func (f *Fake) lag(p FakePacket) time.Duration {
	if lag := f.late.Load(); lag != nil {
		return (*lag)(p)
	}
	return 0
}

func (p FakePacket) clone() FakePacket {
	p.Payload = slices.Clone(p.Payload)
	return p
}
