package witness

import (
	"errors"
	"io/fs"
	"net/netip"
)

// Gateways are the default routes of both families.
type Gateways struct {
	V4 Default `json:"v4"`
	V6 Default `json:"v6"`
}

// A Default is where packets go for which there is no better route. Without one Interface is empty; a default route straight onto a
// wire, as a PPP line has it, has no Address.
type Default struct {
	Look
	Address   netip.Addr `json:"address,omitzero"`
	Interface string     `json:"interface,omitempty"`
}

// Gateway says where the default routes lead.
func Gateway() Gateways { return here().gateways() }

func (p place) gateways() Gateways {
	if p.os != "linux" {
		d := Default{Look: blind("vpncheck reads the routing table on Linux only")}
		return Gateways{d, d}
	}
	return Gateways{p.gateway(false), p.gateway(true)}
}

func (p place) gateway(v6 bool) Default {
	routes, err := p.routes(v6)
	if v6 && errors.Is(err, fs.ErrNotExist) {
		return Default{Look: looked} // the kernel has no IPv6
	}
	if err != nil {
		return Default{Look: blind("reading the routing table: %v", err)}
	}
	var best *Route
	for i, r := range routes {
		if r.Dst.Bits() == 0 && (best == nil || r.Metric < best.Metric) {
			best = &routes[i]
		}
	}
	if best == nil {
		return Default{Look: looked}
	}
	d := Default{Look: looked, Interface: best.Interface}
	if !best.Via.IsUnspecified() {
		d.Address = best.Via
	}
	return d
}
