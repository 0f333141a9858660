package netlab

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"strings"
	"time"
	"unsafe"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"
)

// setUp makes a fresh namespace ready for wires. It runs on the machine's thread, as /proc/sys/net shows the reader's own namespace.
func setUp(router bool) error {
	forward := "0"
	if router {
		forward = "1"
	}
	for _, s := range [][2]string{
		{"net/ipv4/ip_forward", forward},
		{"net/ipv6/conf/all/forwarding", forward},
		{"net/ipv6/conf/all/disable_ipv6", "0"},
		{"net/ipv6/conf/default/accept_dad", "0"}, // addresses are usable at once
		{"net/ipv6/conf/default/accept_ra", "0"},
		{"net/ipv4/conf/all/rp_filter", "0"}, // the strictest of all and the interface's counts, and a host may have set it
		{"net/ipv4/conf/default/rp_filter", "0"},
		{"net/netfilter/nf_conntrack_acct", "1"}, // packets are counted, for rules that begin after some
	} {
		err := os.WriteFile("/proc/sys/"+s[0], []byte(s[1]), 0)
		if err != nil && !(errors.Is(err, os.ErrNotExist) && !strings.HasPrefix(s[0], "net/ipv4/")) {
			return err // without IPv6 or conntrack there is nothing to set
		}
	}
	lo, err := netlink.LinkByName("lo")
	if err != nil {
		return fmt.Errorf("finding the loopback interface: %w", err)
	}
	if err := netlink.LinkSetUp(lo); err != nil {
		return fmt.Errorf("setting the loopback interface up: %w", err)
	}
	return nil
}

// wire lays all wires, and returns when every one carries packets.
func (l *Lab) wire(ctx context.Context, r Router) error {
	for _, w := range l.plan.links {
		if w.bump {
			b, err := newBump(l.machines[w.a.host], l.machines[w.b.host], w.a.name, w.b.name, r.Bump())
			if err != nil {
				return err
			}
			l.keep(b)
		} else if err := l.machines[w.a.host].run(func() error { return veth(w, l.machines[w.b.host].ns) }); err != nil {
			return fmt.Errorf("the wire between %s and %s: %w", w.a.host, w.b.host, err)
		}
		for _, e := range []end{w.a, w.b} {
			if err := l.machines[e.host].run(e.configure); err != nil {
				return fmt.Errorf("%s of %s: %w", e.name, e.host, err)
			}
		}
	}
	for _, w := range l.plan.links {
		for _, e := range []end{w.a, w.b} {
			if err := l.machines[e.host].run(func() error { return e.carries(ctx) }); err != nil {
				return fmt.Errorf("%s of %s: %w", e.name, e.host, err)
			}
		}
	}
	return nil
}

func veth(w link, peer int) error {
	attrs := netlink.NewLinkAttrs()
	attrs.Name = w.a.name
	return netlink.LinkAdd(&netlink.Veth{LinkAttrs: attrs, PeerName: w.b.name, PeerNamespace: netlink.NsFd(peer)})
}

// configure gives an interface its addresses and routes, and sets it up.
func (e end) configure() error {
	if err := offloadOff(e.name); err != nil {
		return err
	}
	dev, err := netlink.LinkByName(e.name)
	if err != nil {
		return err
	}
	v6 := exists("/proc/sys/net/ipv6")
	for _, a := range e.addrs {
		if a.Addr().Is6() && !v6 {
			continue
		}
		addr := &netlink.Addr{IPNet: ipNet(a)}
		if a.Addr().Is6() {
			addr.Flags = unix.IFA_F_NODAD
		}
		if err := netlink.AddrAdd(dev, addr); err != nil {
			return fmt.Errorf("address %v: %w", a, err)
		}
	}
	if err := netlink.LinkSetUp(dev); err != nil {
		return fmt.Errorf("setting it up: %w", err)
	}
	routes := e.to
	for _, g := range e.via {
		everywhere := netip.PrefixFrom(netip.IPv4Unspecified(), 0)
		if g.Is6() {
			everywhere = netip.PrefixFrom(netip.IPv6Unspecified(), 0)
		}
		routes = append(routes, route{everywhere, g})
	}
	for _, r := range routes {
		if r.via.Is6() && !v6 {
			continue
		}
		add := &netlink.Route{LinkIndex: dev.Attrs().Index, Dst: ipNet(r.dst), Gw: r.via.AsSlice()}
		if !r.via.IsValid() {
			add.Scope = netlink.SCOPE_LINK
		}
		err := netlink.RouteAdd(add)
		if err != nil {
			return fmt.Errorf("route to %v by %v: %w", r.dst, r.via, err)
		}
	}
	return nil
}

// elsewhere makes a host take packets from an address for forged: its own route to there leads out at another interface, and it is strict
// about that.
func elsewhere(a netip.Addr) error {
	if !a.IsValid() {
		return nil
	}
	lo, err := netlink.LinkByName("lo")
	if err != nil {
		return err
	}
	if err := netlink.RouteAdd(&netlink.Route{LinkIndex: lo.Attrs().Index, Dst: ipNet(netip.PrefixFrom(a, 32)), Scope: netlink.SCOPE_LINK}); err != nil {
		return fmt.Errorf("route to %v: %w", a, err)
	}
	return os.WriteFile("/proc/sys/net/ipv4/conf/eth0/rp_filter", []byte("1"), 0)
}

func ipNet(p netip.Prefix) *net.IPNet {
	return &net.IPNet{IP: p.Addr().AsSlice(), Mask: net.CIDRMask(p.Bits(), p.Addr().BitLen())}
}

func exists(path string) bool {
	_, err := os.Stat(path)
	return err == nil
}

// carries waits until the kernel has noticed that the wire's other end is up: until then an interface swallows what is sent.
func (e end) carries(ctx context.Context) error {
	for {
		dev, err := netlink.LinkByName(e.name)
		if err != nil {
			return err
		}
		if s := dev.Attrs().OperState; s == netlink.OperUp || s == netlink.OperUnknown && dev.Type() == "tuntap" {
			return nil
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("the wire did not come up: %w", ctx.Err())
		case <-time.After(200 * time.Microsecond):
		}
	}
}

// offloadOff makes the kernel finish each packet before it enters the wire: a checksum that a driver was to fill in would arrive unfilled.
func offloadOff(name string) error {
	const stxcsum, stso, sgso = 0x17, 0x1f, 0x24 // ETHTOOL_STXCSUM, _STSO, _SGSO
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return os.NewSyscallError("socket", err)
	}
	defer unix.Close(fd)
	for _, cmd := range []uint32{stxcsum, stso, sgso} {
		value := struct{ cmd, data uint32 }{cmd, 0}
		req := struct {
			name [unix.IFNAMSIZ]byte
			data unsafe.Pointer
			_    [16]byte // struct ifreq is longer than what is used of it
		}{data: unsafe.Pointer(&value)}
		copy(req.name[:unix.IFNAMSIZ-1], name)
		_, _, errno := unix.Syscall(unix.SYS_IOCTL, uintptr(fd), unix.SIOCETHTOOL, uintptr(unsafe.Pointer(&req)))
		if errno != 0 && errno != unix.EOPNOTSUPP { // a TUN has nothing to switch off
			return fmt.Errorf("switching checksum offload off: %w", errno)
		}
	}
	return nil
}
