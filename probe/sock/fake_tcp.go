package sock

import (
	"bytes"
	"context"
	"encoding/binary"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/netip"
	"slices"
	"sync"
	"syscall"
	"time"

	"vpncheck/probe/wire"
)

const (
	fakeWindow     = 64 << 10    // octets on the way before Write waits
	fakeRetransmit = time.Second // Linux: the first retransmission of a SYN
	fakeSYNs       = 6           // Linux: retransmissions, 127 s in all
)

// Dial implements Net. A connect that gets no answer ends with ctx, or after two minutes, as it does in a kernel, and its SYN
// is repeated as there.
func (h *FakeHost) Dial(ctx context.Context, local netip.Addr, remote netip.AddrPort) (net.Conn, error) {
	return h.dialed(ctx, netip.AddrPortFrom(local, 0), remote, DefaultTTL)
}

// DialTTL implements Net. An answer of Expired's ends it.
func (h *FakeHost) DialTTL(ctx context.Context, local, remote netip.AddrPort, ttl uint8) (net.Conn, error) {
	return h.dialed(ctx, local, remote, ttl)
}

func (h *FakeHost) dialed(ctx context.Context, local, remote netip.AddrPort, ttl uint8) (net.Conn, error) {
	remote = unmap(remote)
	c, err := h.dial(ctx, unmap(local), remote, ttl)
	if err != nil {
		return nil, fmt.Errorf("connecting: %w", &net.OpError{Op: "dial", Net: "tcp", Addr: net.TCPAddrFromAddrPort(remote), Err: err})
	}
	return c, nil
}

func (h *FakeHost) dial(ctx context.Context, local, remote netip.AddrPort, ttl uint8) (net.Conn, error) {
	if err := h.denied("dial", int(remote.Port())); err != nil {
		return nil, err
	}
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	src, err := h.from(local.Addr(), remote.Addr())
	if err != nil {
		return nil, err
	}
	port := local.Port()
	if port == 0 {
		h.net.mu.Lock()
		port = h.freePort()
		h.net.mu.Unlock()
	}
	p := FakePacket{
		Proto: protoTCP, Src: netip.AddrPortFrom(src, port), Dst: remote, TTL: ttl, DF: true, IPID: randomID(),
		Payload: fakeSYN(),
	}
	p.Payload = withPorts(p)
	var client *fakeTCP
	var answer error // the first one counts
	connect := func(to *FakeHost, q FakePacket) {
		switch {
		case to == nil && q.Proto == protoTCP:
			answer = or(answer, syscall.ECONNREFUSED)
		case to == h && q.Proto == wire.IPProtoICMP:
			to.deliver(q)
			answer = or(answer, syscall.EHOSTUNREACH)
		case to != nil && q.Proto == protoTCP && q.Dst.Port() != 0:
			q.Payload = withPorts(q)
			to.deliver(q)
			if client == nil && answer == nil && to.lets(q) {
				client, answer = to.accept(p, q)
			}
		case to != nil:
			to.deliver(q)
		}
	}
	// The answer takes a round trip. What does not come is asked for again after a second, then after two, and so on (RFC 6298, section 2),
	// until the kernel gives up.
	for again := fakeRetransmit; ; again *= 2 {
		if err := h.transmit(&p, connect); err != nil {
			return nil, err
		}
		after := 2 * h.net.delay()
		if client == nil && answer == nil {
			after = again
		}
		t := time.NewTimer(after)
		select {
		case <-t.C:
		case <-ctx.Done():
			t.Stop()
			answer = ctx.Err()
		}
		if client != nil || answer != nil {
			break
		}
		if again >= fakeRetransmit<<fakeSYNs {
			answer = syscall.ETIMEDOUT
			break
		}
	}
	if answer != nil {
		if client != nil {
			client.Close()
		}
		return nil, answer
	}
	return client, nil
}

// lets says whether a host's own firewall lets a packet in.
func (h *FakeHost) lets(p FakePacket) bool { return h.Input == nil || h.Input(p) }

// accept answers a SYN that left as p and arrived as q. Neither a connection nor an error is silence.
func (h *FakeHost) accept(p, q FakePacket) (*fakeTCP, error) {
	f := h.net
	f.mu.Lock()
	defer f.mu.Unlock()
	i := slices.IndexFunc(h.listeners, func(l *fakeListener) bool {
		return l.local.Port() == q.Dst.Port() && takes(l.local.Addr(), q.Dst.Addr())
	})
	if i < 0 {
		return nil, syscall.ECONNREFUSED
	}
	up, down := newQueue[[]byte](fakeWindow), newQueue[[]byte](fakeWindow)
	self := p.Src.Addr() == q.Dst.Addr() || slices.Contains(h.addrs, p.Src.Addr())
	client := &fakeTCP{net: f, in: down, out: up, local: p.Src, remote: p.Dst, toServer: true, self: self}
	server := &fakeTCP{net: f, in: up, out: down, local: q.Dst, remote: q.Src, self: self}
	if !h.listeners[i].queue.offer(server, 1, time.Now().Add(f.delay())) {
		return nil, nil
	}
	f.flows[client], f.flows[server] = true, true
	return client, nil
}

// fakeSYN is a TCP header (RFC 9293, section 3.1) whose ports are still to be filled in.
func fakeSYN() []byte {
	b := make([]byte, tcpHeader)
	binary.BigEndian.PutUint32(b[4:], rand.Uint32())
	b[12], b[13] = tcpHeader/4<<4, tcpSYN
	binary.BigEndian.PutUint16(b[14:], 64240)
	return b
}

// withPorts returns a SYN's header with the ports of its packet, which a NAT may have changed.
func withPorts(p FakePacket) []byte {
	b := slices.Clone(p.Payload)
	if len(b) >= 4 {
		binary.BigEndian.PutUint16(b[0:], p.Src.Port())
		binary.BigEndian.PutUint16(b[2:], p.Dst.Port())
	}
	return b
}

// fakeListener is a listening socket of a FakeHost.
type fakeListener struct {
	host  *FakeHost
	local netip.AddrPort
	queue *queue[*fakeTCP]
}

// Listen implements Net.
func (h *FakeHost) Listen(local netip.AddrPort) (net.Listener, error) {
	l, err := h.listen(unmap(local))
	if err != nil {
		return nil, fmt.Errorf("opening TCP port %d: %w", local.Port(), err)
	}
	return l, nil
}

func (h *FakeHost) listen(local netip.AddrPort) (net.Listener, error) {
	if err := h.denied("listen", int(local.Port())); err != nil {
		return nil, err
	}
	h.net.mu.Lock()
	defer h.net.mu.Unlock()
	if local.Addr().IsValid() {
		if err := h.owns(local.Addr()); err != nil {
			return nil, err
		}
	}
	if local.Port() == 0 {
		local = netip.AddrPortFrom(local.Addr(), h.freePort())
	}
	if slices.ContainsFunc(h.listeners, func(l *fakeListener) bool { return overlap(l.local, local) }) {
		return nil, syscall.EADDRINUSE
	}
	l := &fakeListener{host: h, local: local, queue: newQueue[*fakeTCP](128)}
	h.listeners = append(h.listeners, l)
	return l, nil
}

func (l *fakeListener) Accept() (net.Conn, error) {
	c, err := l.queue.pop()
	if err != nil {
		return nil, &net.OpError{Op: "accept", Net: "tcp", Source: l.Addr(), Err: err}
	}
	return c, nil
}

func (l *fakeListener) Addr() net.Addr {
	local := l.local
	if !local.Addr().IsValid() {
		local = netip.AddrPortFrom(netip.IPv6Unspecified(), local.Port())
	}
	return net.TCPAddrFromAddrPort(local)
}

func (l *fakeListener) Close() error {
	h := l.host
	h.net.mu.Lock()
	defer h.net.mu.Unlock()
	h.listeners = slices.DeleteFunc(h.listeners, func(other *fakeListener) bool { return other == l })
	var waiting []queued[*fakeTCP]
	l.queue.update(func() {
		waiting = l.queue.items
		l.queue.items, l.queue.readErr, l.queue.writeErr = nil, net.ErrClosed, net.ErrClosed
	})
	for _, c := range waiting {
		c.item.in.fail(syscall.ECONNRESET)
		c.item.out.fail(syscall.ECONNRESET)
		delete(h.net.flows, c.item)
	}
	return nil
}

// fakeTCP is one end of a TCP connection.
type fakeTCP struct {
	net           *Fake
	in, out       *queue[[]byte]
	local, remote netip.AddrPort
	toServer      bool
	self          bool // within one host

	mu   sync.Mutex // one reader at a time
	left []byte     // of what was popped
}

func (c *fakeTCP) LocalAddr() net.Addr  { return net.TCPAddrFromAddrPort(c.local) }
func (c *fakeTCP) RemoteAddr() net.Addr { return net.TCPAddrFromAddrPort(c.remote) }

func (c *fakeTCP) failed(op string, err error) error {
	return &net.OpError{Op: op, Net: "tcp", Source: c.LocalAddr(), Addr: c.RemoteAddr(), Err: err}
}

func (c *fakeTCP) Read(b []byte) (int, error) {
	if len(b) == 0 {
		return 0, nil
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	for len(c.left) == 0 {
		next, err := c.in.pop()
		if err == io.EOF {
			return 0, io.EOF
		}
		if err != nil {
			return 0, c.failed("read", err)
		}
		c.left = next
	}
	n := copy(b, c.left)
	c.left = c.left[n:]
	return n, nil
}

func (c *fakeTCP) Write(b []byte) (int, error) {
	edited := bytes.Clone(b)
	if !c.self {
		edited = c.net.edit(edited, c.toServer)
	}
	lag := time.Duration(0)
	if !c.self {
		lag = c.net.lag(FakePacket{Proto: protoTCP, Src: c.local, Dst: c.remote, Payload: edited})
	}
	if err := c.out.put(edited, len(edited), c.net.delay()+lag); err != nil {
		return 0, c.failed("write", err)
	}
	return len(b), nil
}

// CloseWrite ends one direction, as that of *net.TCPConn does.
func (c *fakeTCP) CloseWrite() error {
	c.out.closeWrite()
	return nil
}

func (c *fakeTCP) Close() error {
	c.out.closeWrite()
	c.in.closeRead() // this lets go of a reader, and of its lock
	c.mu.Lock()
	c.left = nil
	c.mu.Unlock()
	c.net.mu.Lock()
	defer c.net.mu.Unlock()
	delete(c.net.flows, c)
	return nil
}

func (c *fakeTCP) SetDeadline(t time.Time) error {
	c.SetReadDeadline(t)
	return c.SetWriteDeadline(t)
}

func (c *fakeTCP) SetReadDeadline(t time.Time) error {
	c.in.update(func() { c.in.readBy = t })
	return nil
}

func (c *fakeTCP) SetWriteDeadline(t time.Time) error {
	c.out.update(func() { c.out.writeBy = t })
	return nil
}
