package sock

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"time"

	"vpncheck/probe/wire"
)

// ErrICMP is what Recv of a socket of Towards returns when an ICMP error came back: errors.Is tells which, as far as the system does. It is no
// end of the socket.
var ErrICMP = errors.New("an ICMP error came back")

// towards is a datagram socket that is connected.
type towards struct {
	*net.UDPConn
	local, remote netip.AddrPort
	buf           []byte
}

// Towards implements Net.
func (Kernel) Towards(local, remote netip.AddrPort) (Conn, error) {
	local, remote = unmap(local), unmap(remote)
	c, err := net.DialUDP("udp"+family(remote.Addr()), net.UDPAddrFromAddrPort(local), net.UDPAddrFromAddrPort(remote))
	if err != nil {
		return nil, fmt.Errorf("opening UDP port %d: %w", local.Port(), err)
	}
	return &towards{UDPConn: c, local: localAddr(c.LocalAddr()), remote: remote, buf: make([]byte, maxPacket)}, nil
}

func (t *towards) Local() netip.AddrPort { return t.local }

// Send sends what needs no option of the socket's. An ICMP error that nobody has fetched yet is not about this packet.
func (t *towards) Send(o Out) (wire.Sighting, error) {
	if unmap(o.Dst) != t.remote || o.TTL != 0 || o.DSCP != 0 || o.ID != 0 || o.NoChecksum {
		return wire.Sighting{}, fmt.Errorf("sending UDP to %v: %w", o.Dst, errors.ErrUnsupported)
	}
	s := o.asked(time.Now(), whereUDP, protoUDP, t.local)
	s.TTL, s.DSCP, s.DF = nil, nil, nil // the system's own
	s.Bytes = append(wire.Hex(nil), o.Payload...)
	_, err := t.Write(o.Payload)
	if err != nil && isAny(err, passingErrors) {
		_, err = t.Write(o.Payload)
	}
	if err != nil {
		return wire.Sighting{}, fmt.Errorf("sending UDP to %v: %w", o.Dst, err)
	}
	return s, nil
}

func (t *towards) Recv() (wire.Sighting, error) {
	n, err := t.Read(t.buf)
	switch {
	case err != nil && ends(err):
		return wire.Sighting{}, fmt.Errorf("receiving on UDP port %d: %w", t.local.Port(), err)
	case err != nil:
		return wire.Sighting{}, fmt.Errorf("%w: %w", ErrICMP, err)
	}
	return wire.Sighting{
		State: wire.Seen, At: time.Now(), Where: whereUDP, Proto: protoUDP, Src: t.remote, Dst: t.local, Bytes: append(wire.Hex(nil), t.buf[:n]...),
	}, nil
}
