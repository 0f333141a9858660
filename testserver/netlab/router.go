package netlab

import (
	"cmp"
	"errors"
	"maps"
	"net/netip"
	"time"
)

// ErrNoTUN is what Build's error is when a router needs a TUN device and this system gives none.
var ErrNoTUN = errors.New("no usable TUN device")

// A Host is one of the lab's machines.
type Host string

const (
	Laptop    Host = "laptop"
	Other     Host = "other" // a second laptop behind the home router
	Home      Host = "home"  // the home router
	ISP       Host = "isp"
	Server    Host = "server"
	Neighbour Host = "neighbour" // a host outside the home NAT
)

// Expect is what vpncheck must find for one protocol. Reason is empty when the verdict is passed.
type Expect struct{ Verdict, Reason string }

// A Router is one way between the laptop and the server. It is data: Build makes a lab of it.
type Router struct {
	Name      string
	Says      string // one sentence for people
	Home, ISP Box
	Laptop    Firewall          // the laptop's own
	Server    Firewall          // that of the server's machine
	Bump      func() Edit       // makes the bump in the wire of one lab; nil: there is none
	Earlier   []Flow            // what a second laptop said to the server; the home router still has the state of it
	Before    []Flow            // what the laptop itself said, before the home router got its rules for new flows
	Impostor  Impostor          // who answers what is redirected to the home router
	Neighbour bool              // a neighbour outside proves the server first
	Expect    map[string]Expect // by protocol
	Parts     map[string]Expect // of forms that decide nothing, as "ikev2/ip-fragments": what must be said of them
	Deep      map[string]Expect // what more rounds and packets of full size find instead
	// VPNs is what vpncheck's table must say of each kind of VPN: "works", "works-but", "no" or "unknown"; and at Best, which it must
	// recommend. DeepVPNs is what it says instead after more rounds and packets of full size.
	VPNs     map[string]string
	DeepVPNs map[string]string
	NeedsTUN bool // it has a bump
	// Lossy says that the line is so bad that an honest "inconclusive", for want of evidence, is no mistake.
	Lossy bool
	// Did is who really stops what does not pass: "laptop", "router", "second-nat", "isp", "server", or "nobody".
	// What cannot work by its own design is nobody's doing, whatever stands here.
	Did string
	// Named is who vpncheck must name, by protocol, where it is not Did: "unknown" where the evidence cannot tell. "all" is every protocol that
	// is not named here.
	Named map[string]string
}

// A Box is what one of the two boxes on the way does with packets. A home box that does not masquerade is no firewall either.
type Box struct {
	Masquerade   bool
	FullyRandom  bool           // the outside port is chosen at random for each flow: a symmetric NAT
	ServerNAT    bool           // at the isp: the server has private addresses, each translated from and to a public one
	PPTPHelper   bool           // reads TCP 1723 and translates the Call-IDs
	Answers      bool           // it answers with ICMP what comes to it and fits no flow, instead of dropping it
	PortlessFrom netip.Addr     // what has no ports (GRE, ESP, AH) leaves from this address, all else from the box's own
	Static       netip.AddrPort // UDP from this port leaves from this address and the same port, or not at all
	Rules        []Rule
	IGD          *IGD // at home: it says who it is when it is asked; nil: it does not
}

// An IGD is what a home router tells the laptop of itself, by UPnP (Internet Gateway Device) and NAT-PMP: this, its outer address, and the
// counters of its outer side, which are the kernel's own.
type IGD struct {
	Version      int // of the device and its services, 1 or 2; 0 is 1
	Maker, Model string
	Forwards     []Forward // that it says it has; whether it has them is for the rules to say
	NoCounters   bool      // it has none
	Constant     bool      // its counters stand still
	NoNATPMP     bool
}

// A Forward is one entry of a router's table of port mappings.
type Forward struct {
	Proto    string // "UDP" or "TCP"
	External uint16 // 0 is all
	To       netip.Addr
	Says     string
}

// A Firewall is that of a host. Of its rules only what they match counts: they drop, or refuse by ICMP.
type Firewall struct {
	Stateful bool   // it lets in only answers to what the host sent, as it knows them: ufw as it comes
	Out      []Rule // what may not be sent
	In       []Rule // what no program gets
	// Elsewhere is an address whose packets it takes for forged, as its own route to there leads out at another interface (RFC 3704, section
	// 2.2: strict reverse path forwarding).
	Elsewhere netip.Addr
}

// A Flow is a packet to the server's first address, and its answer.
type Flow struct {
	Proto uint8
	Port  uint16 // of both ends; 0 where there are none
}

// A Rule says what happens to packets on their way through a box. Rules stand before the firewall's own.
type Rule struct {
	Do      Action
	Way     Way
	Proto   uint8    // 0 is any
	Ports   []uint16 // destination ports; empty is any
	From    []uint16 // source ports, which must not be given together with Ports; empty is any
	Other   []uint16 // every destination port but these
	OneIn   uint32   // only one packet in OneIn, at random; 0 is every packet
	Bare    bool     // only UDP without a checksum
	New     bool     // only packets of a flow that connection tracking has not seen before
	IKE     bool     // only UDP on port 500 or 4500 of the server's that reads as the opening of IKE (RFC 7296, RFC 2408)
	OpenVPN bool     // only what opens OpenVPN to port 1194 of the server's, over UDP or TCP: a first octet of 0x38
	// WireGuard says only UDP of any port that reads as the first message of WireGuard: 148 octets, of which the first four are 1, 0, 0, 0.
	WireGuard bool
	Fragment  bool   // only fragments of IP packets, as they come: they must be dropped early
	Above     uint16 // only IP packets longer than this, in octets
	After     uint64 // only packets of a flow that has had more than After packets, both directions counted; 0 is every packet
	Over      Pace   // only what comes faster than this; the zero Pace is every packet
	// All says that it holds for all who speak with the server, the neighbour too: only at the isp.
	All bool
}

// A Pace is so many packets a second, after as many at once as Burst says.
type Pace struct {
	PerSecond uint64
	Burst     uint32
}

// Way is the direction of a packet.
type Way int

const (
	Both Way = iota
	Out      // from the laptop's side
	In       // from the server's side
)

// Action is what a Rule does.
type Action int

const (
	Drop       Action = iota
	DropEarly         // before connection tracking sees the packet
	Reset             // answers TCP with RST in the name of the server
	NoProtocol        // refuses by ICMP from the box's own address: protocol unreachable (3/2, RFC 792)
	NoPort            // port unreachable (3/3)
	Prohibited        // communication administratively prohibited (3/13, RFC 1812, section 5.2.7.1)
	Redirect          // to the box itself, same port
	Damage            // inverts one byte of the payload of GRE version 1
	Rewrite           // overwrites octets 4 to 7 of UDP's payload, and mends the checksum
)

// An Edit is a bump in the wire: it gets each IP packet and returns what passes instead. It is never called twice at once, may keep state,
// and may change pkt, but not keep it.
type Edit func(pkt []byte, toLaptop bool, now time.Time) []Passed

// Passed is a packet that an Edit lets pass, and how much later.
type Passed struct {
	Packet []byte
	Late   time.Duration
}

// An Impostor is a program on the home router that answers in the server's name.
type Impostor string

const (
	NoImpostor    Impostor = ""
	PPTPImpostor  Impostor = "pptp"   // a PPTP server of the router's own
	IPsecImpostor Impostor = "ipsec"  // answers IKE, ESP in UDP and L2TP
	Portal        Impostor = "portal" // a hotel's sign-in page
	TLSProxy      Impostor = "tls"    // opens TLS on port 443 with a certificate of its own, and accepts no certificate but those of known authorities
	SilentProxy   Impostor = "silent" // accepts PPTP's and OpenVPN's connections, and passes nothing on
	HTTPProxy     Impostor = "https"  // the same, and it accepts the server's: it passes on what it knows of HTTP
)

// Best is the key in Router.VPNs of the kind that is to be recommended; empty there says none.
const Best = "best"

// Deeper is the router as one who asks for longer must find it.
func (r Router) Deeper() Router {
	expect := maps.Clone(r.Expect)
	maps.Copy(expect, r.Deep)
	r.Expect = expect
	vpns := maps.Clone(r.VPNs)
	maps.Copy(vpns, r.DeepVPNs)
	r.VPNs = vpns
	return r
}

// Culprit says who stops a protocol in this router's lab, and who vpncheck must name: "unknown" where the evidence cannot tell, and nobody
// at all, both empty, where nothing is stopped or vpncheck does not blame.
func (r Router) Culprit(protocol string) (did, named string) {
	e := r.Expect[protocol]
	switch {
	case e.Verdict == "passed", e.Verdict == "untested", e.Verdict == "":
		return "", ""
	case e.Verdict == "inconclusive" && e.Reason != "server-firewall" && e.Reason != "server-unproven":
		return "", ""
	case e.Reason == "ah-through-nat":
		return "nobody", "nobody"
	}
	return r.Did, cmp.Or(r.Named[protocol], r.Named["all"], r.Did)
}

// Routers returns all routers, simplest first.
func Routers() []Router { return routers() }

// Find returns the router with that name.
func Find(name string) (Router, bool) {
	for _, r := range routers() {
		if r.Name == name {
			return r, true
		}
	}
	return Router{}, false
}
