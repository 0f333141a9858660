package sock

import (
	"fmt"
	"net"
	"net/netip"
	"time"

	"golang.org/x/sys/unix"

	"vpncheck/probe/wire"
)

// udp is a datagram socket of either family.
type udp struct {
	*net.UDPConn
	local netip.AddrPort
	buf   []byte
	oob   [oobSize]byte
	out   [oobSize]byte
	probe probeMTU
	plain noChecksum
}

func openUDP(local netip.AddrPort) (Conn, error) {
	if !local.IsValid() {
		return nil, errFamily
	}
	prepare := enable6
	if local.Addr().Is4() {
		prepare = enable4
	}
	pc, err := listenPacket("udp"+family(local.Addr()), local.String(), prepare)
	if err != nil {
		return nil, err
	}
	c := pc.(*net.UDPConn)
	c.SetReadBuffer(receiveBuffer)
	return &udp{UDPConn: c, local: localAddr(c.LocalAddr()), buf: make([]byte, maxPacket)}, nil
}

func (u *udp) Local() netip.AddrPort { return u.local }

func (u *udp) Recv() (wire.Sighting, error) {
	for {
		n, oobn, _, from, err := u.ReadMsgUDPAddrPort(u.buf, u.oob[:])
		at := time.Now()
		if err != nil {
			if ends(err) {
				return wire.Sighting{}, fmt.Errorf("receiving on UDP port %d: %w", u.local.Port(), err)
			}
			continue
		}
		s := wire.Sighting{
			State: wire.Seen, At: at, Where: whereUDP, Proto: protoUDP, Src: unmap(from), Dst: u.local,
			Bytes: append(wire.Hex(nil), u.buf[:n]...),
		}
		parseControl(u.oob[:oobn], &s)
		return s, nil
	}
}

func (u *udp) Send(o Out) (wire.Sighting, error) {
	s, err := u.send(o)
	if err != nil {
		return wire.Sighting{}, fmt.Errorf("sending UDP to %v: %w", o.Dst, err)
	}
	return s, nil
}

func (u *udp) send(o Out) (wire.Sighting, error) {
	o.Dst = unmap(o.Dst)
	if o.Dst.Addr().Is4() != u.local.Addr().Is4() {
		return wire.Sighting{}, unix.EAFNOSUPPORT
	}
	if err := o.fits(false, o.Dst.Addr().Is4()); err != nil {
		return wire.Sighting{}, err
	}
	src, err := o.source(u.local.Addr())
	if err != nil {
		return wire.Sighting{}, err
	}
	oob, err := u.prepare(o, src)
	if err != nil {
		return wire.Sighting{}, err
	}
	s := o.asked(time.Now(), whereUDP, protoUDP, netip.AddrPortFrom(src, u.local.Port()))
	s.Bytes = append(wire.Hex(nil), o.Payload...)
	_, _, err = u.WriteMsgUDPAddrPort(o.Payload, oob, o.Dst)
	return s, err
}

// prepare sets the socket's options for one packet and returns its control message.
func (u *udp) prepare(o Out, src netip.Addr) ([]byte, error) {
	if src.Is6() {
		return appendControl6(u.out[:0], o, src), u.probe.set(u.UDPConn, unix.IPPROTO_IPV6, unix.IPV6_MTU_DISCOVER, o.DF)
	}
	if err := u.plain.set(u.UDPConn, o.NoChecksum); err != nil {
		return nil, err
	}
	return appendControl4(u.out[:0], o, src), u.probe.set(u.UDPConn, unix.IPPROTO_IP, unix.IP_MTU_DISCOVER, o.DF)
}
