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
	if err := o.fits(false, false); err != nil {
		return wire.Sighting{}, nil, err
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
