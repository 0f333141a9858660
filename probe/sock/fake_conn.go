package sock

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"slices"
	"syscall"
	"time"

	"vpncheck/probe/wire"
)

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
	c := &fakeConn{host: h, kind: kind, proto: proto, local: local, queue: newPackets()}
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

// newPackets is what a socket has received and not yet handed out.
func newPackets() *queue[wire.Sighting] {
	q := newQueue[wire.Sighting](fakeBacklog)
	q.sorted = true
	return q
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

// deliver hands an arrived packet to every socket that takes it.
func (h *FakeHost) deliver(p FakePacket) {
	due := time.Now().Add(h.net.delay() + h.net.lag(p))
	h.net.mu.Lock()
	defer h.net.mu.Unlock()
	let := h.lets(p)
	for _, c := range h.socks {
		if c.kind == "arrivals" {
			if c.proto == p.Proto && c.from == p.Src.Addr() {
				c.queue.offer(p.sighting(due, whereNIC), 1, due)
			}
			continue
		}
		if c.kind == "incoming" {
			if c.wanted.has(p) {
				c.queue.offer(p.sighting(due, whereNIC), 1, due)
			}
			continue
		}
		if c.remote.IsValid() && let && c.refusedBy(p) {
			c.queue.offer(wire.Sighting{State: wire.Absent}, 1, due)
			continue
		}
		if c.remote.IsValid() && c.remote != p.Src {
			continue
		}
		if !let || c.proto != p.Proto || !takes(c.local.Addr(), p.Dst.Addr()) || c.local.Port() != p.Dst.Port() {
			continue
		}
		if c.kind != "udp" {
			c.queue.offer(p.sighting(due, whereRaw), 1, due)
		} else if p.reachesUDP() {
			c.queue.offer(p.sighting(due, whereUDP), 1, due)
		}
	}
}

// refusedBy says whether a packet is an ICMP error about what a connected socket sent.
func (c *fakeConn) refusedBy(p FakePacket) bool {
	if p.Proto != wire.IPProtoICMP {
		return false
	}
	m, err := wire.ParseICMPError(p.Payload)
	if err != nil || m.Type != wire.ICMPUnreachable || m.Header.Protocol != protoUDP {
		return false
	}
	src, dst := m.QuotedPorts()
	return m.Header.Dst == c.remote.Addr() && dst == c.remote.Port() && src == c.local.Port()
}

// has says whether Incoming shows a packet.
func (w Wanted) has(p FakePacket) bool {
	switch {
	case !p.Dst.Addr().Is4():
		return false
	case p.Proto == protoUDP:
		return slices.Contains(w.UDP, p.Dst.Port())
	case p.Proto == protoTCP:
		return slices.Contains(w.SYNs, p.Dst.Port()) // of TCP a Fake has but SYNs
	}
	return slices.Contains(w.Protocols, p.Proto)
}

// reachesUDP reports whether a kernel hands a datagram to a UDP socket: its checksum is right, or absent, which only IPv4 allows.
func (p FakePacket) reachesUDP() bool {
	return p.Checksum == ChecksumRight || p.Checksum == ChecksumNone && p.Dst.Addr().Is4()
}

// sighting is the packet as a kernel shows it to that kind of socket.
func (p FakePacket) sighting(at time.Time, where string) wire.Sighting {
	f := &ipFields{ttl: p.TTL, dscp: p.DSCP, df: p.DF, id: p.IPID}
	s := wire.Sighting{
		State: wire.Seen, At: at, Where: where, Proto: p.Proto, Src: p.Src, Dst: p.Dst,
		TTL: &f.ttl, DSCP: &f.dscp, Bytes: append(wire.Hex(nil), p.Payload...),
	}
	if where != whereUDP && p.Dst.Addr().Is4() {
		s.DF, s.IPID = &f.df, &f.id
	}
	if where != whereUDP && p.Proto == protoUDP && p.Dst.Port() != 0 {
		s.Checksum = new(p.Checksum.field(s))
	}
	return s
}

// field is what the Checksum field of a datagram holds.
func (c FakeChecksum) field(s wire.Sighting) uint16 {
	switch right := UDPChecksum(s); c {
	case ChecksumNone:
		return 0
	case ChecksumWrong:
		return max(right^0x5555, 1) // 0 would be none
	default:
		return right
	}
}

// fakeConn is a socket of a FakeHost.
type fakeConn struct {
	host   *FakeHost
	kind   string // as in FakeHost.Deny
	proto  uint8
	local  netip.AddrPort
	from   netip.Addr     // of arrivals
	remote netip.AddrPort // of a socket of Towards
	wanted Wanted         // of incoming
	queue  *queue[wire.Sighting]
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
	if s.State == wire.Absent {
		return wire.Sighting{}, fmt.Errorf("%w: %w", ErrICMP, syscall.ECONNREFUSED)
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
	if c.kind == "syns" || c.kind == "datagrams" || c.kind == "arrivals" || c.kind == "incoming" {
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
	v4 := o.Dst.Addr().Is4()
	if err := o.fits(c.kind == "raw" && v4, c.kind == "udp" && v4); err != nil {
		return wire.Sighting{}, err
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
		IPID: o.id(), Payload: slices.Clone(o.Payload),
	}
	if o.NoChecksum {
		p.Checksum = ChecksumNone
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
	if o.NoChecksum {
		s.Checksum = new(uint16)
	}
	return s, nil
}
