package netlab

import "net/netip"

// plan is who has which address in one lab. The drawing in doc.go is its picture.
type plan struct {
	links     []link
	wan       netip.Addr
	serverNAT bool
}

// A link is a wire between two hosts.
type link struct {
	a, b end
	bump bool
}

// An end is one host's interface. Its first address is the host's, the others are further ones.
type end struct {
	host  Host
	name  string
	addrs []netip.Prefix
	via   []netip.Addr // default gateways
	to    []route
}

type route struct {
	dst netip.Prefix
	via netip.Addr // none: it is on the wire
}

const (
	homeWAN     = "203.0.113.2"
	cgnPortless = "198.51.100.2"
)

// serverAddrs are the server's addresses, each with what it is instead on the server itself in a router with ServerNAT.
var serverAddrs = [2]struct{ public, private netip.Addr }{
	{netip.MustParseAddr("198.51.100.10"), netip.MustParseAddr("10.0.0.10")},
	{netip.MustParseAddr("198.51.100.11"), netip.MustParseAddr("10.0.0.11")},
}

func serverAddr(i int, private bool) netip.Addr {
	if private {
		return serverAddrs[i].private
	}
	return serverAddrs[i].public
}

func addressesOf(r Router) plan {
	lan, laptop, gw := "192.168.1.1/24", "192.168.1.11/24", "192.168.1.1"
	wan, isp := homeWAN+"/26", "203.0.113.1/26"
	if !r.Home.Masquerade {
		lan, laptop, gw = "192.0.2.65/27", "192.0.2.66/27", "192.0.2.65"
	}
	if r.ISP.Masquerade {
		wan, isp = "100.64.0.2/24", "100.64.0.1/24"
	}
	home0 := at(ISP, "home0", isp, "2001:db8:2::1/64")
	home0.to = []route{{netip.MustParsePrefix("2001:db8:1::/64"), netip.MustParseAddr("2001:db8:2::2")}}
	if !r.Home.Masquerade {
		home0.to = append(home0.to, route{netip.MustParsePrefix("192.0.2.64/27"), netip.MustParsePrefix(wan).Addr()})
	}
	p := plan{serverNAT: r.ISP.ServerNAT, wan: netip.MustParsePrefix(wan).Addr(), links: []link{
		{at(Laptop, "eth0", laptop, "2001:db8:1::11/64").by(gw, "2001:db8:1::1"), at(Home, "lan0", lan, "2001:db8:1::1/64"), r.Bump != nil},
		{at(Home, "wan0", wan, "2001:db8:2::2/64").by(home0.addrs[0].Addr().String(), "2001:db8:2::1"), home0, false},
		serverWire(r.ISP),
	}}
	if r.Neighbour {
		p.links = append(p.links, link{at(ISP, "nbr0", "203.0.113.65/26", "2001:db8:3::1/64"),
			at(Neighbour, "eth0", "203.0.113.77/26", "2001:db8:3::77/64").by("203.0.113.65", "2001:db8:3::1"), false})
	}
	if len(r.Earlier) > 0 {
		const other = "192.168.1.12"
		lan1 := end{host: Home, name: "lan1", to: []route{{dst: netip.MustParsePrefix(other + "/32")}}}
		p.links = append(p.links, link{at(Other, "eth0", other+"/24").by(gw), lan1, false})
	}
	return p
}

func serverWire(isp Box) link {
	gw := "198.51.100.1"
	if isp.ServerNAT {
		gw = "10.0.0.1"
	}
	srv0, server := at(ISP, "srv0", gw+"/24", "2001:db8:5::1/64"), at(Server, "eth0", "2001:db8:5::10/64").by(gw, "2001:db8:5::1")
	for i := range serverAddrs {
		server.addrs = append(server.addrs, netip.PrefixFrom(serverAddr(i, isp.ServerNAT), 24))
	}
	if isp.PortlessFrom.IsValid() {
		srv0.addrs = append(srv0.addrs, netip.PrefixFrom(isp.PortlessFrom, 24))
	}
	return link{a: srv0, b: server}
}

func at(h Host, name string, addrs ...string) end {
	e := end{host: h, name: name}
	for _, a := range addrs {
		e.addrs = append(e.addrs, netip.MustParsePrefix(a))
	}
	return e
}

func (e end) by(gateways ...string) end {
	for _, g := range gateways {
		e.via = append(e.via, netip.MustParseAddr(g))
	}
	return e
}

// addr returns a host's own address: the first of that family on its first wire, counted from the laptop.
func (p plan) addr(h Host, v6 bool) netip.Addr {
	for _, l := range p.links {
		for _, e := range []end{l.a, l.b} {
			for _, a := range e.addrs {
				if e.host == h && a.Addr().Is6() == v6 {
					return a.Addr()
				}
			}
		}
	}
	return netip.Addr{}
}
