//go:build !linux

package sock

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"syscall"
	"time"

	"golang.org/x/net/ipv4"
	"golang.org/x/net/ipv6"

	"vpncheck/probe/wire"
)

// openRaw opens a raw socket where the system has one for the protocol. The kernel writes the header.
func openRaw(proto uint8, local netip.Addr) (Conn, error) {
	if !local.IsValid() {
		return nil, errFamily
	}
	network := fmt.Sprintf("ip%s:%d", family(local), proto)
	c, err := net.ListenIP(network, &net.IPAddr{IP: local.AsSlice(), Zone: local.Zone()})
	if err != nil {
		return nil, err
	}
	c.SetReadBuffer(receiveBuffer)
	return &raw{IPConn: c, proto: proto, local: local, opts: newOptions(c, local), buf: make([]byte, maxPacket)}, nil
}

// openUDP opens a datagram socket.
func openUDP(local netip.AddrPort) (Conn, error) {
	if !local.IsValid() {
		return nil, errFamily
	}
	c, err := net.ListenUDP("udp"+family(local.Addr()), net.UDPAddrFromAddrPort(local))
	if err != nil {
		return nil, err
	}
	c.SetReadBuffer(receiveBuffer)
	local = localAddr(c.LocalAddr())
	return &udp{UDPConn: c, local: local, opts: newOptions(c, local.Addr()), buf: make([]byte, maxPacket)}, nil
}

func openSYNs(uint16, netip.Addr) (Conn, error) {
	return nil, fmt.Errorf("this system shows no TCP to a raw socket: %w", errors.ErrUnsupported)
}

// raw is a raw socket whose headers the kernel writes.
type raw struct {
	*net.IPConn
	proto uint8
	local netip.Addr
	opts  *options
	buf   []byte
	oob   [oobSize]byte
}

func (r *raw) Local() netip.AddrPort { return netip.AddrPortFrom(r.local, 0) }

func (r *raw) Recv() (wire.Sighting, error) {
	for {
		n, oobn, _, from, err := r.ReadMsgIP(r.buf, r.oob[:])
		at := time.Now()
		if err != nil {
			if ends(err) {
				return wire.Sighting{}, fmt.Errorf("receiving IP protocol %d: %w", r.proto, err)
			}
			continue
		}
		if r.local.Is4() {
			asOnTheWire(r.buf[:n])
			h, payload, ok := received(r.buf[:n])
			if !ok || h.Protocol != r.proto {
				continue
			}
			s := header(at, &h)
			s.Bytes = append(wire.Hex(nil), payload...)
			return s, nil
		}
		s := wire.Sighting{
			State: wire.Seen, At: at, Where: whereRaw, Proto: r.proto, Src: localAddr(from), Dst: r.Local(),
			Bytes: append(wire.Hex(nil), r.buf[:n]...),
		}
		r.opts.parse(r.oob[:oobn], &s)
		return s, nil
	}
}

func (r *raw) Send(o Out) (wire.Sighting, error) {
	s, err := r.send(o)
	if err != nil {
		return wire.Sighting{}, fmt.Errorf("sending IP protocol %d to %v: %w", r.proto, o.Dst.Addr(), err)
	}
	return s, nil
}

func (r *raw) send(o Out) (wire.Sighting, error) {
	o.Dst = netip.AddrPortFrom(o.Dst.Addr().Unmap(), 0)
	s, oob, err := r.opts.prepare(o, whereRaw, r.proto, r.Local())
	if err != nil {
		return s, err
	}
	dst := o.Dst.Addr()
	_, _, err = r.WriteMsgIP(o.Payload, oob, &net.IPAddr{IP: dst.AsSlice(), Zone: dst.Zone()})
	return s, err
}

// udp is a datagram socket.
type udp struct {
	*net.UDPConn
	local netip.AddrPort
	opts  *options
	buf   []byte
	oob   [oobSize]byte
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
		u.opts.parse(u.oob[:oobn], &s)
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
	s, oob, err := u.opts.prepare(o, whereUDP, protoUDP, u.local)
	if err != nil {
		return s, err
	}
	_, _, err = u.WriteMsgUDPAddrPort(o.Payload, oob, o.Dst)
	return s, err
}

const oobSize = 256

// options are the header fields of a socket, set when a packet wants them changed. What the system refuses to set is not known of
// a sent packet.
type options struct {
	conn syscall.Conn
	v4   *ipv4.PacketConn // nil on an IPv6 socket
	v6   *ipv6.PacketConn
	src  bool // the system lets a packet choose its source

	set               bool
	ttl, dscp         uint8
	df                bool
	ttlOK, dscpOK, ok bool
}

func newOptions(c interface {
	net.PacketConn
	syscall.Conn
}, local netip.Addr) *options {
	p := &options{conn: c}
	if local.Is4() {
		p.v4 = ipv4.NewPacketConn(c)
		p.v4.SetControlMessage(ipv4.FlagTTL, true) // refused on Windows, where the fields then stay unknown
		p.src = p.v4.SetControlMessage(ipv4.FlagDst, true) == nil
	} else {
		p.v6 = ipv6.NewPacketConn(c)
		p.v6.SetControlMessage(ipv6.FlagHopLimit|ipv6.FlagTrafficClass, true)
		p.src = p.v6.SetControlMessage(ipv6.FlagDst, true) == nil
	}
	return p
}

// prepare sets the options for one packet and returns its sighting and its control message.
func (p *options) prepare(o Out, where string, proto uint8, local netip.AddrPort) (wire.Sighting, []byte, error) {
	if !o.Dst.Addr().IsValid() || o.Dst.Addr().Is4() != (p.v4 != nil) {
		return wire.Sighting{}, nil, errors.New("the address is of the wrong family")
	}
	src, err := o.source(local.Addr())
	if err != nil {
		return wire.Sighting{}, nil, err
	}
	var oob []byte
	if o.Src.IsValid() && src != local.Addr() {
		if !p.src {
			return wire.Sighting{}, nil, fmt.Errorf("sending from %v with a socket of %v: %w", src, local.Addr(), errors.ErrUnsupported)
		}
		if p.v4 != nil {
			oob = (&ipv4.ControlMessage{Src: src.AsSlice()}).Marshal()
		} else {
			oob = (&ipv6.ControlMessage{Src: src.AsSlice()}).Marshal()
		}
	}
	p.change(o)
	s := o.asked(time.Now(), where, proto, netip.AddrPortFrom(src, local.Port()))
	s.Bytes = append(wire.Hex(nil), o.Payload...)
	if !p.ttlOK {
		s.TTL = nil
	}
	if !p.dscpOK {
		s.DSCP = nil
	}
	if !p.ok {
		s.DF = nil
	}
	return s, oob, nil
}

func (p *options) change(o Out) {
	if !p.set || p.ttl != o.ttl() {
		if p.v4 != nil {
			p.ttlOK = p.v4.SetTTL(int(o.ttl())) == nil
		} else {
			p.ttlOK = p.v6.SetHopLimit(int(o.ttl())) == nil
		}
	}
	if !p.set || p.dscp != o.DSCP {
		if p.v4 != nil {
			p.dscpOK = p.v4.SetTOS(int(o.DSCP<<2)) == nil
		} else {
			p.dscpOK = p.v6.SetTrafficClass(int(o.DSCP<<2)) == nil
		}
	}
	if !p.set || p.df != o.DF {
		p.ok = setDF(p.conn, p.v4 != nil, o.DF) == nil
	}
	p.set, p.ttl, p.dscp, p.df = true, o.ttl(), o.DSCP, o.DF
}

// parse fills in what the system tells of a packet's header.
func (p *options) parse(oob []byte, s *wire.Sighting) {
	f := &ipFields{}
	var dst net.IP
	if p.v4 != nil {
		var m ipv4.ControlMessage
		if len(oob) == 0 || m.Parse(oob) != nil {
			return
		}
		if f.ttl, dst = uint8(m.TTL), m.Dst; m.TTL > 0 {
			s.TTL = &f.ttl
		}
	} else {
		var m ipv6.ControlMessage
		if len(oob) == 0 || m.Parse(oob) != nil {
			return
		}
		f.ttl, f.dscp, dst = uint8(m.HopLimit), uint8(m.TrafficClass)>>2, m.Dst
		if m.HopLimit > 0 {
			s.TTL, s.DSCP = &f.ttl, &f.dscp
		}
	}
	if a, ok := netip.AddrFromSlice(dst); ok {
		s.Dst = netip.AddrPortFrom(a.Unmap(), s.Dst.Port())
	}
}

// control runs f on a socket's handle.
func control(c syscall.Conn, f func(fd uintptr) error) error {
	rc, err := c.SyscallConn()
	if err != nil {
		return err
	}
	var ferr error
	if err := rc.Control(func(fd uintptr) { ferr = f(fd) }); err != nil {
		return err
	}
	return ferr
}

func truth(b bool) int {
	if b {
		return 1
	}
	return 0
}
