// Package sock opens sockets: the only place with build tags and the only place that needs privileges. Kernel is this machine's
// network; Fake is a network in memory for the tests. Start with Net and Conn.
package sock

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"slices"
	"time"

	"vpncheck/probe/wire"
)

// Net opens sockets in one host's network. An error says that the question could not be asked; Refusal turns it into words.
type Net interface {
	// Raw opens a socket for an IP protocol number, for the family of local and bound to it; netip.IPv4Unspecified() or
	// IPv6Unspecified() receives on every address.
	Raw(proto uint8, local netip.Addr) (Conn, error)
	// UDP opens a datagram socket for the family of local and bound to it; port 0 lets the kernel choose.
	UDP(local netip.AddrPort) (Conn, error)
	// Towards opens a datagram socket towards one other end: what others send does not come to it. Its Recv returns an error that matches
	// ErrICMP when an ICMP error about what was sent came back, which needs no privilege; whose it was no system tells.
	Towards(local, remote netip.AddrPort) (Conn, error)
	// Dial opens a TCP connection from local (which may be the zero Addr). It sends no keepalives of the kernel's: an idle
	// connection is idle.
	Dial(ctx context.Context, local netip.Addr, remote netip.AddrPort) (net.Conn, error)
	// DialTTL is Dial from a chosen port, with packets that cross only so many routers. A router that answers ends it with
	// syscall.EHOSTUNREACH on some systems; others, and the silent ones, let it wait until ctx ends.
	DialTTL(ctx context.Context, local, remote netip.AddrPort, ttl uint8) (net.Conn, error)
	// Listen accepts TCP connections, on both families if local has the zero Addr. It sends no keepalives either.
	Listen(local netip.AddrPort) (net.Listener, error)
	// SYNs shows every TCP SYN without ACK that arrives for a port, before any handshake: what accept never tells. It only
	// receives; Bytes is the TCP header with its options.
	SYNs(port uint16, local netip.Addr) (Conn, error)
	// Datagrams shows every UDP datagram that arrives for a port, whether a socket has the port or not, with what a UDP socket hides:
	// DF, IP-ID and Checksum, and the datagrams whose checksum is wrong, which no UDP socket gets. It only receives; Bytes is the
	// payload. Checksum is the field as it arrived, to be compared with UDPChecksum, and 0 if the sender computed none. It is nil if it
	// is still to be computed, as that of a datagram that never left this machine (or its hypervisor) is.
	Datagrams(port uint16, local netip.Addr) (Conn, error)
	// Arrivals shows the IPv4 packets of a protocol that come from an address, as they come in at the network cards: before this
	// machine's own firewall, which a socket is behind (F21). It only receives; Bytes is what follows the IP header, or UDP's payload
	// with the ports in Src and Dst.
	Arrivals(proto uint8, from netip.Addr) (Conn, error)
	// Incoming is Arrivals for a server: whole IPv4 packets with a header that is right, whoever sends them, as far as w wants them; before
	// this machine's own firewall and its reverse-path filter, which a socket is behind (F01, F27, T16). It only receives. What Recv returns
	// holds good until the next Recv: Keep makes it last.
	Incoming(w Wanted) (Conn, error)
	// Source returns the local address from which the kernel would send to dst. Nothing is sent.
	Source(dst netip.Addr) (netip.Addr, error)
}

// Wanted are the packets that Incoming shows; all others are left in the kernel.
type Wanted struct {
	Protocols []uint8  // IP protocols without ports
	UDP       []uint16 // destination ports; Bytes is the payload, and Checksum the field as it arrived, right or wrong: see Intact
	SYNs      []uint16 // destination ports of TCP SYNs without ACK; Bytes is the TCP header with its options
}

// Keep is a sighting of Incoming that outlives the next one.
func Keep(s wire.Sighting) wire.Sighting {
	s.Bytes = slices.Clone(s.Bytes)
	if s.TTL != nil && s.DSCP != nil && s.DF != nil && s.IPID != nil {
		f := &ipFields{ttl: *s.TTL, dscp: *s.DSCP, df: *s.DF, id: *s.IPID}
		s.TTL, s.DSCP, s.DF, s.IPID = &f.ttl, &f.dscp, &f.df, &f.id
	}
	if s.Checksum != nil {
		s.Checksum = new(*s.Checksum)
	}
	return s
}

// A Conn sends and receives whole packets. It may be used by one sender and one receiver at once.
type Conn interface {
	// Send hands one packet to the kernel and returns it as it left; what the kernel filled in and does not tell is nil. The
	// error is the kernel's own, wrapped; SendRefusal turns it into a word.
	Send(Out) (wire.Sighting, error)
	// Recv waits for the next packet. Its Bytes are the caller's to keep. It returns an error that matches os.ErrDeadlineExceeded after
	// the deadline and net.ErrClosed after Close; ICMP errors that the kernel reports on the socket are not ends of it and are skipped.
	Recv() (wire.Sighting, error)
	SetReadDeadline(time.Time) error
	// Local is the bound address; the port is 0 for a raw socket.
	Local() netip.AddrPort
	Close() error
}

// Out is a packet to send. What a socket cannot do for it is an error that matches errors.ErrUnsupported: the question is not asked.
type Out struct {
	Dst netip.AddrPort
	// Src is the address to send from; the zero Addr leaves it to the kernel. An answer leaves from the address that was asked (F28).
	Src  netip.Addr
	TTL  uint8 // 0 means DefaultTTL
	DSCP uint8
	// DF forbids every router to fragment the packet, and the kernel to go by a path MTU that it learned. Without it a packet that
	// is larger than the interface's MTU leaves in fragments. IPv6 has no such flag: there it only binds the kernel.
	DF bool
	// ID is the IP-ID, which the ICV of AH covers; 0 leaves it to us. Only a raw IPv4 socket on Linux can choose it.
	ID uint16
	// NoChecksum sends a UDP datagram with 0 in its Checksum field, as ESP in UDP is sent (RFC 3948, section 2.1; F43). Only UDP over
	// IPv4 on Linux can; RFC 8200, section 8.1 forbids it over IPv6.
	NoChecksum bool
	Payload    []byte // what follows the IP header on a raw socket, the datagram's payload on UDP
}

// DefaultTTL is what the common systems but Windows send with.
const DefaultTTL = 64

// ttl is the TTL to send with.
func (o Out) ttl() uint8 {
	if o.TTL == 0 {
		return DefaultTTL
	}
	return o.TTL
}

// id is the IP-ID to send with, never 0: the kernel replaces that.
func (o Out) id() uint16 {
	if o.ID == 0 {
		return randomID()
	}
	return o.ID
}

// fits returns an error if o asks for what its socket cannot do.
func (o Out) fits(choosesID, omitsChecksum bool) error {
	switch {
	case o.ID != 0 && !choosesID:
		return fmt.Errorf("choosing the IP-ID: %w", errors.ErrUnsupported)
	case o.NoChecksum && !omitsChecksum:
		return fmt.Errorf("leaving out the checksum: %w", errors.ErrUnsupported)
	}
	return nil
}

// The kinds of socket, in Sighting.Where.
const (
	whereRaw = "raw"
	whereUDP = "udp"
	whereNIC = "nic"
)

const (
	protoTCP = 6
	protoUDP = wire.IPProtoUDP
)

// ipFields holds a sighting's header fields, so that they cost one allocation.
type ipFields struct {
	ttl, dscp uint8
	df        bool
	id        uint16
}

// header returns the sighting of a packet whose IPv4 header is known.
func header(at time.Time, h *wire.IPv4) wire.Sighting {
	f := &ipFields{ttl: h.TTL, dscp: h.DSCP(), df: h.DF, id: h.ID}
	return wire.Sighting{
		State: wire.Seen, At: at, Where: whereRaw, Proto: h.Protocol,
		Src: netip.AddrPortFrom(h.Src, 0), Dst: netip.AddrPortFrom(h.Dst, 0),
		TTL: &f.ttl, DSCP: &f.dscp, DF: &f.df, IPID: &f.id,
	}
}

// asked returns the sighting of a packet that leaves as o asks, from src, where the kernel writes the header.
func (o Out) asked(at time.Time, where string, proto uint8, src netip.AddrPort) wire.Sighting {
	f := &ipFields{ttl: o.ttl(), dscp: o.DSCP & 63, df: o.DF}
	s := wire.Sighting{
		State: wire.Seen, At: at, Where: where, Proto: proto, Src: src, Dst: o.Dst,
		TTL: &f.ttl, DSCP: &f.dscp,
	}
	if o.Dst.Addr().Is4() {
		s.DF = &f.df
	}
	if o.NoChecksum {
		s.Checksum = new(uint16)
	}
	return s
}
