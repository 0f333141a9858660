package witness

import (
	"net/netip"
	"strings"

	"vpncheck/probe/sock"
)

// A Way is how packets to an address leave this machine. If VPN, that is through a VPN: then everything passes inside it, and no router
// is ever asked.
type Way struct {
	Look
	Source    netip.Addr `json:"source,omitzero"`
	Interface string     `json:"interface,omitempty"`
	VPN       bool       `json:"vpn"`
}

// VPN looks at the interface that packets to dst leave by.
func VPN(n sock.Net, dst netip.Addr) Way { return here().vpn(n, dst) }

func (p place) vpn(n sock.Net, dst netip.Addr) Way {
	src, err := n.Source(dst)
	if err != nil {
		return Way{Look: blind("%v", err)}
	}
	all, err := p.interfaces()
	if err != nil {
		return Way{Look: blind("%v", err)}
	}
	for _, i := range all {
		if i.has(src) {
			return Way{looked, src, printable(i.Name, 64), p.isTunnel(i, all)}
		}
	}
	return Way{Look: blind("the local address %s is on no interface", src), Source: src}
}

// isTunnel goes by the name that VPN programs give, by what the kernel says of the device, and for a device that could be anything by
// the pair of routes with which VPNs push the default route aside.
func (p place) isTunnel(i Interface, all []Interface) bool {
	name := strings.ToLower(i.Name)
	if p.os == "windows" && i.PointToPoint {
		return hasUnderlay(i, all) // its own VPNs bear the name that the user gave them
	}
	if strings.HasPrefix(name, "ppp") {
		return p.ppp(all) && p.hasWayBeside(i, all)
	}
	if p.os == "linux" && p.inside().NAT != "" && p.gateway(false).Interface == i.Name {
		return false // a container's, without privileges: its host hands on what comes by this device
	}
	for _, known := range tunnelNames {
		if strings.HasPrefix(name, known) {
			return true
		}
	}
	return p.os == "linux" && (p.isWireGuard(i.Name) || p.isTUN(i.Name) && p.takesDefault(i.Name))
}

// tunnelNames are how the names of tunnel interfaces begin, in lower case.
var tunnelNames = []string{
	"tun", "tap", "wg", "utun", "ipsec", "vti", "xfrm", "l2tp", "tailscale", "zt", "zerotier", "nordlynx", "nordtun", "proton", "pvpn",
	"openvpn", "wireguard", "mullvad", "cloudflarewarp", "warp", "vpn", "gpd", "cscotun",
}

// ppp says whether there are more PPP interfaces than DSL lines.
func (p place) ppp(all []Interface) bool {
	n := 0
	for _, i := range all {
		if strings.HasPrefix(i.Name, "ppp") {
			n++
		}
	}
	table, err := p.read("proc/net/pppoe") // a header, then one line for each session
	return err != nil || n > strings.Count(table, "\n")-1
}

// hasUnderlay says whether there is anything beside i for a tunnel to run over. PPP is also how a modem or a DSL line is dialled.
func hasUnderlay(i Interface, all []Interface) bool {
	for _, other := range all {
		if other.Name != i.Name && !other.Loopback && other.routable() {
			return true
		}
	}
	return false
}

// hasWayBeside says whether a tunnel has a way to its own far end: a route to a gateway by another interface. A modem's line has none, though
// there be bridges for virtual machines beside it. Where the routes cannot be read, any other interface will do.
func (p place) hasWayBeside(i Interface, all []Interface) bool {
	four, err4 := p.routes(false)
	six, err6 := p.routes(true)
	if p.os != "linux" || err4 != nil && err6 != nil {
		return hasUnderlay(i, all)
	}
	for _, r := range append(four, six...) {
		if r.Interface != i.Name && !r.Via.IsUnspecified() {
			return true
		}
	}
	return false
}

func (p place) isWireGuard(name string) bool {
	s, err := p.read("sys/class/net/" + name + "/uevent")
	return err == nil && strings.Contains(s, "DEVTYPE=wireguard\n")
}

// isTUN says whether the device hands its packets to a program: a VPN's, but also that of a virtual machine's network.
func (p place) isTUN(name string) bool { return p.exists("sys/class/net/" + name + "/tun_flags") }

// takesDefault says whether the device has both halves of the address space, as OpenVPN's redirect-gateway makes it.
func (p place) takesDefault(name string) bool {
	routes, err := p.routes(false)
	if err != nil {
		return false
	}
	var low, high bool
	for _, r := range routes {
		if r.Interface != name || r.Dst.Bits() != 1 {
			continue
		}
		if r.Dst.Addr().As4()[0] == 0 {
			low = true
		} else {
			high = true
		}
	}
	return low && high
}

// A Nearness says whether an address is in one of the laptop's own networks, or its own: no router stands between.
type Nearness struct {
	Look
	OnLink    bool   `json:"on_link"`
	Own       bool   `json:"own,omitempty"`
	Interface string `json:"interface,omitempty"`
}

// OnLink compares dst with the addresses and prefixes of the laptop's interfaces.
func OnLink(dst netip.Addr) Nearness { return here().onLink(dst) }

func (p place) onLink(dst netip.Addr) Nearness {
	all, err := p.interfaces()
	if err != nil {
		return Nearness{Look: blind("%v", err)}
	}
	dst = dst.Unmap()
	near := Nearness{Look: looked}
	for _, i := range all {
		if i.has(dst) {
			return Nearness{looked, true, true, printable(i.Name, 64)}
		}
		for _, own := range i.Prefixes {
			if own.Bits() > 0 && own.Contains(dst) && !near.OnLink {
				near = Nearness{looked, true, false, printable(i.Name, 64)}
			}
		}
	}
	return near
}
