// Package sock opens sockets: the only place with build tags and the only place that needs privileges. Kernel is this machine's
// network; Fake is a network in memory for the tests. Start with Net and Conn.
package sock

import (
	"context"
	"net"
	"net/netip"
	"time"

	"vpncheck/probe/wire"
)

// Net opens sockets in one host's network.
type Net interface {
	// Raw opens a socket for an IP protocol number, for the family of local and bound to it; netip.IPv4Unspecified() or
	// IPv6Unspecified() receives on every address.
	Raw(proto uint8, local netip.Addr) (Conn, error)
	// UDP opens a datagram socket bound to local; port 0 lets the kernel choose.
	UDP(local netip.AddrPort) (Conn, error)
	// Dial opens a TCP connection from local (which may be the zero Addr).
	Dial(ctx context.Context, local netip.Addr, remote netip.AddrPort) (net.Conn, error)
	// Listen accepts TCP connections.
	Listen(local netip.AddrPort) (net.Listener, error)
	// SYNs shows every TCP SYN without ACK that arrives for a port, before any handshake: what accept never tells. It only receives.
	SYNs(port uint16, local netip.Addr) (Conn, error)
	// Source returns the local address from which the kernel would send to dst.
	Source(dst netip.Addr) (netip.Addr, error)
}

// A Conn sends and receives whole packets. It may be used by one sender and one receiver at once.
type Conn interface {
	// Send hands one packet to the kernel and returns it as it left. The error is the kernel's own, wrapped.
	Send(Out) (wire.Sighting, error)
	// Recv waits for the next packet. Its Bytes are the caller's to keep. It returns an error that matches os.ErrDeadlineExceeded after
	// the deadline and net.ErrClosed after Close; ICMP errors that the kernel reports on the socket are not ends of it and are skipped.
	Recv() (wire.Sighting, error)
	SetReadDeadline(time.Time) error
	// Local is the bound address; the port is 0 for a raw socket.
	Local() netip.AddrPort
	Close() error
}

// Out is a packet to send.
type Out struct {
	Dst netip.AddrPort
	// Src is the address to send from; the zero Addr leaves it to the kernel. An answer leaves from the address that was asked (F28).
	Src     netip.Addr
	TTL     uint8 // 0 means DefaultTTL
	DSCP    uint8
	DF      bool
	Payload []byte // what follows the IP header on a raw socket, the datagram's payload on UDP
}

// DefaultTTL is what the common systems but Windows send with.
const DefaultTTL = 64
