package testserver

import (
	"fmt"
	"net"
	"net/netip"
	"slices"

	"vpncheck/probe/wire"
)

// Reasons of our own silence that the gate does not know.
const (
	silentCallID = "call-id"     // the token is good, the Call ID is not that of a live call
	silentKey    = "key"         // a peer's key with which no secret can be shared
	silentSend   = "send-failed" // our own kernel refused it
)

const (
	ipv4HeaderSize = 20
	ipv6HeaderSize = 40
	udpHeaderSize  = 8

	maxReported = 4 << 10 // octets of a packet that are reported: a link message has room for two, a queue for many
	maxStray    = 2 << 10 // a whole packet: cut, it would look unlike what the client sent
)

func ipHeaderSize(a netip.Addr) int {
	if a.Unmap().Is4() {
		return ipv4HeaderSize
	}
	return ipv6HeaderSize
}

// packetSize is the size of a packet with its headers.
func packetSize(s wire.Sighting) int {
	size := ipHeaderSize(s.Src.Addr()) + len(s.Bytes)
	if s.Src.Port() != 0 {
		size += udpHeaderSize
	}
	return size
}

// cutBytes returns s with at most n octets, and does not keep the others alive.
func cutBytes(s wire.Sighting, n int) wire.Sighting {
	if len(s.Bytes) > n {
		s.Bytes = slices.Clone(s.Bytes[:n])
	}
	return s
}

func unmap(a netip.AddrPort) netip.AddrPort { return netip.AddrPortFrom(a.Addr().Unmap(), a.Port()) }

// addrPort is an end of a TCP connection; the zero AddrPort if it has none.
func addrPort(a net.Addr) netip.AddrPort {
	if t, ok := a.(*net.TCPAddr); ok {
		return unmap(t.AddrPort())
	}
	if a == nil {
		return netip.AddrPort{}
	}
	p, err := netip.ParseAddrPort(a.String())
	if err != nil {
		return netip.AddrPort{}
	}
	return unmap(p)
}

func portName(kind string, port uint16) string { return fmt.Sprintf("%s %d", kind, port) }

func protocolName(proto uint8) string { return fmt.Sprintf("IP protocol %d", proto) }
