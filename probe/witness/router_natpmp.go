package witness

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"time"
)

// NAT-PMP (RFC 6886): the router's outer address, section 3.2. There is no request for a mapping here, and none is ever sent.

const (
	natpmpPort     = 5351
	natpmpWait     = 250 * time.Millisecond // doubled with each try (section 3.1)
	natpmpTries    = 2
	natpmpExternal = 128 // opcode 0, as an answer
	natpmpLen      = 12
)

// external asks for the outer address. It is the zero Addr if the router does not say.
func (a *routerAsker) external(ctx context.Context) netip.Addr {
	conn, err := net.DialUDP("udp4", net.UDPAddrFromAddrPort(netip.AddrPortFrom(a.local, 0)), net.UDPAddrFromAddrPort(a.natpmp))
	if err != nil {
		return netip.Addr{}
	}
	defer conn.Close()
	defer context.AfterFunc(ctx, func() { conn.Close() })()
	buf := make([]byte, 64)
	wait := natpmpWait
	for range natpmpTries {
		conn.SetDeadline(time.Now().Add(wait))
		wait *= 2
		if _, err := conn.Write([]byte{0, 0}); err != nil { // version 0, opcode 0: the only message that is ever sent
			return netip.Addr{}
		}
		for { // until the deadline, whatever comes
			n, err := conn.Read(buf)
			var late net.Error
			if errors.As(err, &late) && late.Timeout() {
				break
			}
			if err != nil {
				return netip.Addr{} // nobody is at the port
			}
			if wan, err := parseExternal(buf[:n]); err == nil {
				return wan
			}
		}
	}
	return netip.Addr{}
}

var errNATPMP = errors.New("not an answer of NAT-PMP about the outer address")

// parseExternal reads the answer, 12 octets:
//
//	 0                   1                   2                   3
//	 0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1
//	+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
//	| Vers = 0      | OP = 128 + 0  | Result Code (net byte order)  |
//	+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
//	| Seconds Since Start of Epoch (in network byte order)          |
//	+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
//	| External IPv4 Address (a.b.c.d)                               |
//	+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
func parseExternal(b []byte) (netip.Addr, error) {
	if len(b) != natpmpLen || b[0] != 0 || b[1] != natpmpExternal {
		return netip.Addr{}, errNATPMP
	}
	if code := binary.BigEndian.Uint16(b[2:]); code != 0 {
		return netip.Addr{}, fmt.Errorf("%w: result code %d", errNATPMP, code)
	}
	wan := netip.AddrFrom4([4]byte(b[8:]))
	if !outer(wan) {
		return netip.Addr{}, fmt.Errorf("%w: there is none", errNATPMP)
	}
	return wan, nil
}

// outer says whether an address can be a router's outer one; 0.0.0.0 is what many say while they have none.
func outer(a netip.Addr) bool {
	return a.Is4() && !a.IsUnspecified() && !a.IsLoopback() && !a.IsMulticast() && a != netip.AddrFrom4([4]byte{255, 255, 255, 255})
}
