package sock

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"slices"
	"sync"
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
	// Delay is the time one way.
	Delay time.Duration
	// Hops is how much TTL a packet loses; one that has no more is dropped.
	Hops uint8

	wire   sync.Mutex // one packet at a time
	stream sync.Mutex

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
	Payload  []byte // after the IP header of a raw socket's packet, a datagram's payload, the header of a SYN
	// Reset, of a TCP connect that Between returns, makes it fail with syscall.ECONNREFUSED; any other packet it makes vanish.
	Reset bool
}

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
	// "source" and "send", or one of their numbers only: "raw/50", "udp/500", "listen/1723", "dial/1723", "syns/1723", "send/47" (an IP
	// protocol).
	Deny map[string]error
	// Route, if set, sees every packet of this host before it leaves, those to itself too. Its error is the send's; it may change the
	// packet, and with it what Send returns.
	Route func(*FakePacket) error

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

// SYNs implements Net.
func (h *FakeHost) SYNs(port uint16, local netip.Addr) (Conn, error) {
	c, err := h.open("syns", protoTCP, netip.AddrPortFrom(local.Unmap(), port))
	if err != nil {
		return nil, fmt.Errorf("watching for TCP connections to port %d: %w", port, err)
	}
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

// open opens a socket of a kind of Deny.
func (h *FakeHost) open(kind string, proto uint8, local netip.AddrPort) (Conn, error) {
	number := int(local.Port())
	if kind == "raw" {
		number = int(proto)
	}
	if err := h.denied(kind, number); err != nil {
		return nil, err
	}
	if !local.Addr().IsValid() {
		return nil, errFamily
	}
	h.net.mu.Lock()
	defer h.net.mu.Unlock()
	if err := h.owns(local.Addr()); err != nil {
		return nil, err
	}
	c := &fakeConn{host: h, kind: kind, proto: proto, local: local, queue: newQueue[wire.Sighting](fakeBacklog)}
	if kind == "udp" {
		if local.Port() == 0 {
			c.local = netip.AddrPortFrom(local.Addr(), h.freePort())
		}
		for _, other := range h.socks {
			if other.kind == "udp" && overlap(other.local, c.local) {
				return nil, syscall.EADDRINUSE
			}
		}
	}
	h.socks = append(h.socks, c)
	return c, nil
}

// owns says whether a socket can be bound to an address.
func (h *FakeHost) owns(a netip.Addr) error {
	if a.IsUnspecified() || slices.Contains(h.addrs, a) {
		return nil
	}
	return syscall.EADDRNOTAVAIL
}

// freePort returns a port that no socket has. net.mu is held.
func (h *FakeHost) freePort() uint16 {
	for {
		h.port = max(h.port+1, 40000) // it wraps
		taken := slices.ContainsFunc(h.socks, func(c *fakeConn) bool { return c.local.Port() == h.port }) ||
			slices.ContainsFunc(h.listeners, func(l *fakeListener) bool { return l.local.Port() == h.port })
		if !taken {
			return h.port
		}
	}
}

// overlap reports whether two sockets want the same packets. A zero Addr is of both families.
func overlap(a, b netip.AddrPort) bool {
	if a.Port() != b.Port() {
		return false
	}
	if !a.Addr().IsValid() || !b.Addr().IsValid() || a.Addr() == b.Addr() {
		return true
	}
	return a.Addr().Is4() == b.Addr().Is4() && (a.Addr().IsUnspecified() || b.Addr().IsUnspecified())
}

// takes reports whether a socket bound to local receives what is addressed to dst.
func takes(local, dst netip.Addr) bool {
	return !local.IsValid() || local == dst || local.IsUnspecified() && local.Is4() == dst.Is4()
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
	if self {
		hops = 0
	} else if f.Between != nil {
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

func (p FakePacket) clone() FakePacket {
	p.Payload = slices.Clone(p.Payload)
	return p
}

// deliver hands an arrived packet to every socket that takes it.
func (h *FakeHost) deliver(p FakePacket) {
	due := time.Now().Add(h.net.Delay)
	h.net.mu.Lock()
	defer h.net.mu.Unlock()
	for _, c := range h.socks {
		if c.proto != p.Proto || !takes(c.local.Addr(), p.Dst.Addr()) || c.local.Port() != p.Dst.Port() {
			continue
		}
		where := whereRaw
		if c.kind == "udp" {
			where = whereUDP
		}
		c.queue.offer(p.sighting(due, where), 1, due)
	}
}

// sighting is the packet as a kernel shows it to that kind of socket.
func (p FakePacket) sighting(at time.Time, where string) wire.Sighting {
	f := &ipFields{ttl: p.TTL, dscp: p.DSCP, df: p.DF, id: p.IPID}
	s := wire.Sighting{
		State: wire.Seen, At: at, Where: where, Proto: p.Proto, Src: p.Src, Dst: p.Dst,
		TTL: &f.ttl, DSCP: &f.dscp, Bytes: append(wire.Hex(nil), p.Payload...),
	}
	if where == whereRaw && p.Dst.Addr().Is4() {
		s.DF, s.IPID = &f.df, &f.id
	}
	return s
}

// fakeConn is a socket of a FakeHost.
type fakeConn struct {
	host  *FakeHost
	kind  string // as in FakeHost.Deny
	proto uint8
	local netip.AddrPort
	queue *queue[wire.Sighting]
}

func (c *fakeConn) Local() netip.AddrPort { return c.local }

func (c *fakeConn) SetReadDeadline(t time.Time) error {
	c.queue.update(func() { c.queue.readBy = t })
	return nil
}

func (c *fakeConn) Close() error {
	h := c.host
	h.net.mu.Lock()
	h.socks = slices.DeleteFunc(h.socks, func(other *fakeConn) bool { return other == c })
	h.net.mu.Unlock()
	c.queue.closeRead()
	return nil
}

func (c *fakeConn) Recv() (wire.Sighting, error) {
	s, err := c.queue.pop()
	if err != nil {
		return wire.Sighting{}, fmt.Errorf("receiving IP protocol %d on %v: %w", c.proto, c.local, err)
	}
	return s, nil
}

func (c *fakeConn) Send(o Out) (wire.Sighting, error) {
	s, err := c.send(o)
	if err != nil {
		return wire.Sighting{}, fmt.Errorf("sending IP protocol %d to %v: %w", c.proto, o.Dst, err)
	}
	return s, nil
}

func (c *fakeConn) send(o Out) (wire.Sighting, error) {
	if c.kind == "syns" {
		return wire.Sighting{}, errors.ErrUnsupported
	}
	if c.queue.closed() {
		return wire.Sighting{}, net.ErrClosed
	}
	o.Dst = unmap(o.Dst)
	if o.Dst.Addr().Is4() != c.local.Addr().Is4() {
		return wire.Sighting{}, syscall.EAFNOSUPPORT
	}
	if len(o.Payload) > maxPacket-headerLen {
		return wire.Sighting{}, syscall.EMSGSIZE
	}
	want := c.local.Addr()
	if o.Src.IsValid() {
		want = o.Src.Unmap()
	}
	src, err := c.host.from(want, o.Dst.Addr())
	if err != nil {
		return wire.Sighting{}, err
	}
	p := FakePacket{
		Proto: c.proto, Src: netip.AddrPortFrom(src, c.local.Port()), Dst: o.Dst, TTL: o.ttl(), DSCP: o.DSCP & 63, DF: o.DF,
		IPID: randomID(), Payload: slices.Clone(o.Payload),
	}
	where := whereUDP
	if c.kind == "raw" {
		where = whereRaw
		p.Dst = netip.AddrPortFrom(p.Dst.Addr(), 0)
	}
	at := time.Now()
	err = c.host.transmit(&p, func(to *FakeHost, q FakePacket) {
		if to != nil {
			to.deliver(q)
		}
	})
	if err != nil {
		return wire.Sighting{}, err
	}
	s := p.sighting(at, where)
	if where == whereUDP && o.Dst.Addr().Is4() {
		s.DF = &o.DF
	}
	return s, nil
}
