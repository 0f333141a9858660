package witness

import (
	"context"
	"net/netip"
	"time"
)

// A Router is what the laptop's gateway says of itself, over UPnP (Internet Gateway Device 1 and 2) and NAT-PMP (RFC 6886). Everything in
// it is the gateway's own word, cleaned for a terminal and cut. It is only read: nothing is ever asked to be mapped.
// Address and Gateways are known also where the rest is not.
type Router struct {
	Look
	Address  netip.Addr `json:"address,omitzero"`  // the gateway that was asked
	Gateways int        `json:"gateways,omitzero"` // devices that answered as an internet gateway, this one included

	Maker    string `json:"maker,omitempty"`
	Model    string `json:"model,omitempty"`
	Number   string `json:"number,omitempty"` // of the model
	Firmware string `json:"firmware,omitempty"`
	Name     string `json:"name,omitempty"`

	// WAN is the router's outer address, and WANBy who said so: "upnp" or "nat-pmp".
	WAN   netip.Addr `json:"wan,omitzero"`
	WANBy string     `json:"wan_by,omitempty"`
	// Uptime is how long its connection has been up; zero if it does not say.
	Uptime time.Duration `json:"uptime_ns,omitempty"`

	// Forwards are its port mappings that touch a VPN's port, or all ports: what comes there goes to To instead (F32), the laptop itself
	// perhaps. Those for one far end only are left out, and at most 64 are read.
	Forwards    []Forward `json:"forwards,omitempty"`
	ForwardsWhy string    `json:"forwards_why,omitempty"` // why they are not known
	// Counts says that its packet counters can be read.
	Counts    bool   `json:"counts,omitempty"`
	CountsWhy string `json:"counts_why,omitempty"`
}

// A Forward is one port mapping of the router.
type Forward struct {
	Proto    string     `json:"proto"`              // "TCP" or "UDP"
	External uint16     `json:"external"`           // 0 is all ports
	Internal uint16     `json:"internal,omitempty"` // at To
	To       netip.Addr `json:"to"`
	Says     string     `json:"says,omitempty"` // its description
}

// Counters are the router's own, of packets on its outer side. They wrap at 2^32.
type Counters struct {
	At       time.Time `json:"at"`
	Sent     uint32    `json:"sent"`
	Received uint32    `json:"received"`
}

// A RouterAsker asks a gateway. Asking takes about two seconds, whoever answers.
type RouterAsker interface {
	Router(ctx context.Context) Router
	// Counters reads them once. It may be called only after Router, and fails if Router.Counts is false.
	Counters(ctx context.Context) (Counters, error)
}
