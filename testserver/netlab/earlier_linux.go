package netlab

import (
	"context"
	"fmt"
	"net"
	"net/netip"
	"os"
	"time"
)

// remember has a laptop hold its conversations, each a packet and its answer, and makes the home router keep the state of UDP for
// as long as that of what has no ports: a run would outlast the kernel's 30 seconds.
func (l *Lab) remember(ctx context.Context, who Host, flows []Flow) error {
	if len(flows) == 0 {
		return nil
	}
	err := l.machines[Home].run(func() error {
		return os.WriteFile("/proc/sys/net/netfilter/nf_conntrack_udp_timeout", []byte("600"), 0)
	})
	if err != nil {
		return err
	}
	for _, f := range flows {
		if err := l.hold(ctx, who, f); err != nil {
			return fmt.Errorf("what %s said earlier, by IP protocol %d: %w", who, f.Proto, err)
		}
	}
	return nil
}

func (l *Lab) hold(ctx context.Context, who Host, f Flow) error {
	server, err := l.packets(ctx, Server, f)
	if err != nil {
		return err
	}
	defer server.Close()
	other, err := l.packets(ctx, who, f)
	if err != nil {
		return err
	}
	defer other.Close()
	b := make([]byte, 64)
	if _, err := other.WriteTo(b, f.at(l.Addr(Server))); err != nil {
		return err
	}
	_, from, err := server.ReadFrom(b)
	if err != nil {
		return err
	}
	if _, err := server.WriteTo(b, from); err != nil {
		return err
	}
	_, _, err = other.ReadFrom(b)
	return err
}

// packets opens a socket for one end of a flow, for as long as ctx or the patience with a wire of this lab lasts.
func (l *Lab) packets(ctx context.Context, h Host, f Flow) (c net.PacketConn, err error) {
	err = l.Do(h, func() (err error) {
		if f.Proto == udp {
			c, err = net.ListenUDP("udp4", net.UDPAddrFromAddrPort(netip.AddrPortFrom(netip.IPv4Unspecified(), f.Port)))
		} else {
			c, err = net.ListenIP(fmt.Sprintf("ip4:%d", f.Proto), nil)
		}
		return err
	})
	if err != nil {
		return nil, err
	}
	end := time.Now().Add(5 * time.Second)
	if d, ok := ctx.Deadline(); ok && d.Before(end) {
		end = d
	}
	return c, c.SetDeadline(end)
}

func (f Flow) at(a netip.Addr) net.Addr {
	if f.Proto == udp {
		return net.UDPAddrFromAddrPort(netip.AddrPortFrom(a, f.Port))
	}
	return &net.IPAddr{IP: a.AsSlice()}
}
