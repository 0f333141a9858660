package netlab

import (
	"maps"
	"net/netip"
	"slices"
	"time"
)

const (
	icmp = 1
	tcp  = 6
	udp  = 17
	gre  = 47
	esp  = 50
	ah   = 51
)

// routers is the table. F and T numbers are those of the project's list of failures and of traps for naive tools.
func routers() []Router {
	return slices.Concat(homeRouters(), refusingRouters(), talkingRouters(), laptops(), providers(), servers(), lines())
}

type (
	expect = map[string]Expect
	vpns   = map[string]string
)

var (
	passed      = Expect{Verdict: "passed"}
	portDropped = Expect{"blocked-out", "udp-port-dropped"}
	hijacked    = Expect{"hijacked", "answered-by-another"}
	noUDP       = Expect{"blocked-out", "udp-filtered"}
	noGRE       = Expect{"blocked-out", "gre-out-dropped"}
	noESP       = Expect{"blocked-out", "esp-out-dropped"}
	unasked     = Expect{"untested", "captive-portal"}
	stops       = Expect{"stalled", "stopped-after-n"}
	lineCut     = Expect{"inconclusive", "line-cut"}

	nat    = Box{Masquerade: true}
	helper = Box{Masquerade: true, PPTPHelper: true}
	// good: behind a NAT all is well but AH, which vouches for the addresses. A row names what is otherwise.
	good = expect{"pptp": passed, "gre": passed, "esp": passed, "ah": {"altered", "ah-through-nat"},
		"ike": passed, "natt": passed, "l2tp": passed, "openvpn-udp": passed, "openvpn-tcp": passed, "wireguard": passed, "sstp": passed, "ikev2": passed, "l2tp-ipsec": passed}
)

func but(other expect) expect {
	e := maps.Clone(good)
	maps.Copy(e, other)
	return e
}

// What the table of VPNs says. Where plain ESP passes through a NAT there is the catch that no client uses it there.
var (
	goodVPNs = vpns{"pptp": "works-but", "l2tp": "works-but", "l2tp-ipsec": "works", "ipsec-esp": "works-but", "ikev2": "works",
		"openvpn-udp": "works", "openvpn-tcp": "works", "wireguard": "works", "sstp": "works", Best: "ikev2"}
	// noIPsec is where IKE does not get through.
	noIPsec = butVPNs(vpns{"l2tp-ipsec": "no", "ipsec-esp": "no", "ikev2": "no", Best: "wireguard"})
	// noNATT is where IKE gets through, and IPsec over UDP port 4500 does not.
	noNATT = butVPNs(vpns{"l2tp-ipsec": "no", "ikev2": "no", Best: "wireguard"})
	// neitherL2TP is where nothing does that has L2TP or IPsec in it.
	neitherL2TP = butVPNs(vpns{"l2tp": "no", "l2tp-ipsec": "no", "ipsec-esp": "no", "ikev2": "no", Best: "wireguard"})
	noUDPVPNs   = butVPNs(vpns{"l2tp": "no", "l2tp-ipsec": "no", "ipsec-esp": "no", "ikev2": "no", "openvpn-udp": "no", "wireguard": "no",
		Best: "openvpn-tcp"})
	unknownIPsec = butVPNs(vpns{"l2tp-ipsec": "unknown", "ipsec-esp": "unknown", "ikev2": "unknown", Best: "wireguard"})
)

// butVPNs is good but for these; Best must be named where it is not IKEv2.
func butVPNs(other vpns) vpns {
	v := maps.Clone(goodVPNs)
	maps.Copy(v, other)
	return v
}

func with(b Box, rules ...Rule) Box {
	b.Rules = rules
	return b
}

// unnamed is for rows whose evidence cannot tell who did it: silence blames nobody.
func unnamed() map[string]string { return map[string]string{"all": "unknown"} }

func homeRouters() []Router {
	return []Router{
		{Name: "open", Says: "No NAT and no firewall: the laptop has a public address.",
			Did: "nobody", Neighbour: true, Expect: but(expect{"ah": passed}),
			VPNs: butVPNs(vpns{"ipsec-esp": "works"})},

		{Name: "open-esp-out", Says: "No NAT: the laptop has a public address. The router drops ESP on its way out.", // F38
			Home: with(Box{}, Rule{Do: Drop, Way: Out, Proto: esp}),
			Did:  "router", Named: unnamed(), Neighbour: true, Expect: but(expect{"ah": passed, "esp": noESP, "ikev2": noESP, "l2tp-ipsec": noESP}),
			VPNs: butVPNs(vpns{"ipsec-esp": "no", "ikev2": "works-but", "l2tp-ipsec": "works-but", Best: "wireguard"})},

		{Name: "linux", Says: "A Linux home router as it comes: NAT without the PPTP helper.", // F04, T01
			Home: nat,
			Did:  "router", Neighbour: true, Expect: but(expect{"pptp": {"blocked-back", "no-pptp-helper"}}),
			VPNs: butVPNs(vpns{"pptp": "no"})},

		{Name: "linux-pptp", Says: "A Linux home router with the PPTP helper on.",
			Home: helper,
			Did:  "nobody", Neighbour: true, Expect: good,
			VPNs: goodVPNs},

		{Name: "igd", Says: "A good router that says who it is, and counts what it sends and receives.",
			Home: Box{Masquerade: true, PPTPHelper: true, IGD: &IGD{Maker: "Example", Model: "Lab Router"}},
			Did:  "nobody", Neighbour: true, Expect: good,
			VPNs: goodVPNs},

		{Name: "symmetric", Says: "A NAT that picks a random outside port for each flow, with the PPTP helper on.",
			Home: Box{Masquerade: true, FullyRandom: true, PPTPHelper: true},
			Did:  "nobody", Neighbour: true, Expect: good,
			VPNs: goodVPNs},

		{Name: "gre-out", Says: "The router drops GRE on its way out.", // F09, F20
			Home: with(helper, Rule{Do: Drop, Way: Out, Proto: gre}),
			Did:  "router", Named: unnamed(), Neighbour: true, Expect: but(expect{"pptp": {"blocked-out", "gre-out-dropped"}, "gre": {"blocked-out", "gre-out-dropped"}}),
			VPNs: butVPNs(vpns{"pptp": "no"})},

		{Name: "gre-back", Says: "The router lets GRE out and drops the answers; it has no PPTP helper.",
			Home: with(nat, Rule{Do: DropEarly, Way: In, Proto: gre}),
			Did:  "router", Named: unnamed(), Neighbour: true, Expect: but(expect{"pptp": {"blocked-back", "gre-back-dropped"}, "gre": {"blocked-back", "gre-back-dropped"}}),
			VPNs: butVPNs(vpns{"pptp": "no"})},

		{Name: "gre-back-helper", Says: "The router has the PPTP helper on, and drops incoming GRE all the same.",
			Home: with(helper, Rule{Do: DropEarly, Way: In, Proto: gre}),
			Did:  "router", Named: unnamed(), Neighbour: true, Expect: but(expect{"pptp": {"blocked-back", "gre-back-dropped"}, "gre": {"blocked-back", "gre-back-dropped"}}),
			VPNs: butVPNs(vpns{"pptp": "no"})},

		{Name: "pptp-reset", Says: "The router answers PPTP's TCP port 1723 with a reset.", // F20
			Home: with(helper, Rule{Do: Reset, Way: Out, Proto: tcp, Ports: []uint16{1723}}),
			Did:  "router", Named: unnamed(), Neighbour: true, Expect: but(expect{"pptp": {"blocked-out", "tcp-reset"}}),
			VPNs: butVPNs(vpns{"pptp": "no"})},

		{Name: "pptp-drop", Says: "The router's PPTP passthrough box is off: TCP port 1723 is dropped silently.", // F10, DD-WRT
			Home: with(nat, Rule{Do: Drop, Way: Out, Proto: tcp, Ports: []uint16{1723}}),
			Did:  "router", Named: unnamed(), Neighbour: true, Expect: but(expect{"pptp": {"blocked-out", "tcp-1723-dropped"}}),
			VPNs: butVPNs(vpns{"pptp": "no"})},

		{Name: "double-nat", Says: "Two NATs in a row; only the home router has the PPTP helper.", // F19
			Home: helper, ISP: nat,
			Did: "second-nat", Neighbour: true, Expect: but(expect{"pptp": {"blocked-back", "second-nat-without-helper"}}),
			VPNs: butVPNs(vpns{"pptp": "no"})},

		{Name: "double-nat-pptp", Says: "Two NATs in a row, both with the PPTP helper.", // F19
			Home: helper, ISP: helper,
			Did: "nobody", Neighbour: true, Expect: good,
			VPNs: goodVPNs},

		{Name: "server-unproven", Says: "The server's provider drops GRE, and nobody ever saw GRE reach that server.", // F01, F17, T15
			Home: helper, ISP: with(Box{}, Rule{Do: Drop, Way: Out, Proto: gre}),
			Did: "server", Named: unnamed(), Expect: but(expect{"pptp": {"inconclusive", "server-unproven"}, "gre": {"inconclusive", "server-unproven"}}),
			VPNs: butVPNs(vpns{"pptp": "unknown"})},

		{Name: "outage", Says: "A good router, and a line that is dead for one second in the middle of the PPTP call.", // T19
			Home: helper, Bump: outage, NeedsTUN: true,
			Did: "nobody", Neighbour: true, Expect: good,
			VPNs: goodVPNs},

		{Name: "cuts-off", Says: "A good router, and a provider who cuts off the line of whoever speaks WireGuard.", // F12
			Home: helper, Bump: cutsOff, NeedsTUN: true,
			Did: "isp", Named: unnamed(), Neighbour: true,
			Expect: but(expect{"wireguard": lineCut, "openvpn-udp": lineCut, "openvpn-tcp": lineCut}),
			VPNs:   butVPNs(vpns{"wireguard": "unknown", "openvpn-udp": "unknown", "openvpn-tcp": "unknown"})},

		{Name: "lossy", Says: "A good router on a bad line: one packet in ten is lost, each way.", // F53, T19
			// The line loses, not the router: a first packet that a Linux router itself drops takes the PPTP helper's note of the call along.
			Home: helper, ISP: with(Box{}, Rule{Do: Drop, OneIn: 10}),
			Did: "nobody", Neighbour: true, Expect: good,
			VPNs: goodVPNs},

		{Name: "cgn-unpaired", Says: "The provider's NAT sends TCP, UDP and ICMP from one public address, and GRE, ESP and AH from another.", // F09
			Home: helper, ISP: Box{Masquerade: true, PortlessFrom: netip.MustParseAddr(cgnPortless)},
			Did: "second-nat", Named: unnamed(), Neighbour: true, Expect: but(expect{"pptp": {"altered", "addresses-differ"}, "esp": {"altered", "addresses-differ"}}),
			VPNs: butVPNs(vpns{"pptp": "no", "ipsec-esp": "no"})},

		{Name: "callid-damage", Says: "The router changes a byte inside outgoing PPTP data.", // F47
			Home: with(helper, Rule{Do: Damage, Way: Out}),
			Did:  "router", Named: unnamed(), Neighbour: true, Expect: but(expect{"pptp": {"altered", "payload-altered"}}),
			VPNs: butVPNs(vpns{"pptp": "no"})},

		{Name: "gre-callid", Says: "The router's PPTP helper writes a wrong Call-ID into what comes back.", // F47
			Home: helper, Bump: wrongCallID, NeedsTUN: true,
			Did: "router", Named: unnamed(), Neighbour: true, Expect: but(expect{"pptp": {"altered", "call-id-wrong"}}),
			VPNs: butVPNs(vpns{"pptp": "no"})},

		{Name: "gre-stall", Says: "Every GRE flow starts well and stops after six packets each way.", // F13, T12
			Home: with(helper, Rule{Do: Drop, Way: Out, Proto: gre, After: 12}),
			Did:  "router", Named: unnamed(), Neighbour: true, Expect: but(expect{"pptp": {"stalled", "stopped-after-n"}, "gre": {"stalled", "stopped-after-n"}}),
			VPNs: butVPNs(vpns{"pptp": "no"})},

		{Name: "after-8-packets", Says: "Every flow of a modern VPN starts well, and the router drops what comes after eight packets each way, or twice as many of TCP.", // F13, T12
			Home: with(helper, Rule{Way: Out, Proto: udp, Ports: []uint16{1194, 4500, 51820}, After: 16}, Rule{Way: Out, Proto: tcp, Ports: []uint16{1194}, After: 32}),
			Bump: odd{after: 32}.bump(), NeedsTUN: true,
			Did: "router", Named: unnamed(), Neighbour: true,
			Expect: but(expect{"wireguard": stops, "openvpn-udp": stops, "openvpn-tcp": stops, "sstp": stops, "natt": stops, "ikev2": stops, "l2tp-ipsec": stops}),
			VPNs:   butVPNs(vpns{"wireguard": "no", "openvpn-udp": "no", "openvpn-tcp": "no", "sstp": "no", "ikev2": "no", "l2tp-ipsec": "no", Best: ""})},

		{Name: "pptp-hijack", Says: "The router has a PPTP server of its own and answers in the place of yours.", // F18, T14
			Home:     with(helper, Rule{Do: Redirect, Way: Out, Proto: tcp, Ports: []uint16{1723}}),
			Impostor: PPTPImpostor,
			Did:      "router", Named: unnamed(), Neighbour: true, Expect: but(expect{"pptp": hijacked}),
			VPNs: butVPNs(vpns{"pptp": "no"})},

		{Name: "udp-out", Says: "The router drops all UDP on its way out; PPTP needs none.", // F02
			Home: with(helper, Rule{Do: Drop, Way: Out, Proto: udp}),
			Did:  "router", Named: unnamed(), Neighbour: true, Expect: but(expect{"ike": noUDP, "natt": noUDP, "l2tp": noUDP, "ikev2": noUDP, "l2tp-ipsec": noUDP, "openvpn-udp": noUDP, "wireguard": noUDP}),
			VPNs: noUDPVPNs},

		{Name: "laptop-firewall", Says: "A good router, and a firewall on the laptop that drops the answers of the PPTP tunnel, as ufw does.", // F21
			Home: helper, Laptop: Firewall{Stateful: true},
			Did: "laptop", Neighbour: true, Expect: but(expect{"pptp": {"blocked-back", "laptop-drops-answers"}}),
			VPNs: butVPNs(vpns{"pptp": "no"})},

		{Name: "laptop-refuses", Says: "A good router, and a firewall on the laptop that lets no GRE out.", // F21
			Home: helper, Laptop: Firewall{Out: []Rule{{Proto: gre}}},
			Did: "laptop", Neighbour: true, Expect: but(expect{"pptp": {"blocked-out", "laptop-firewall"}, "gre": {"blocked-out", "laptop-firewall"}}),
			VPNs: butVPNs(vpns{"pptp": "no"})},

		{Name: "esp-out", Says: "The router drops ESP, IPsec's own protocol, on its way out.", // F09
			Home: with(helper, Rule{Do: Drop, Way: Out, Proto: esp}),
			Did:  "router", Named: unnamed(), Neighbour: true, Expect: but(expect{"esp": {"blocked-out", "esp-out-dropped"}}),
			VPNs: butVPNs(vpns{"ipsec-esp": "no"})},

		{Name: "esp-back", Says: "The router lets ESP out and drops the answers.",
			Home: with(helper, Rule{Do: DropEarly, Way: In, Proto: esp}),
			Did:  "router", Named: unnamed(), Neighbour: true, Expect: but(expect{"esp": {"blocked-back", "esp-back-dropped"}}),
			VPNs: butVPNs(vpns{"ipsec-esp": "no"})},

		{Name: "ah-out", Says: "The router drops AH on its way out.",
			Home: with(helper, Rule{Do: Drop, Way: Out, Proto: ah}),
			Did:  "router", Named: unnamed(), Neighbour: true, Expect: but(expect{"ah": {"blocked-out", "ah-out-dropped"}}),
			VPNs: goodVPNs},

		{Name: "ike-out", Says: "The provider drops UDP to port 500, IKE's.",
			Home: helper, ISP: with(Box{}, Rule{Do: Drop, Way: Out, Proto: udp, Ports: []uint16{500}}),
			Did: "isp", Neighbour: true, Expect: but(expect{"ike": portDropped, "ikev2": portDropped, "l2tp-ipsec": portDropped}),
			VPNs: noIPsec},

		{Name: "natt-out", Says: "The router drops UDP to port 4500, that of IPsec through NAT.",
			Home: with(helper, Rule{Do: Drop, Way: Out, Proto: udp, Ports: []uint16{4500}}),
			Did:  "router", Named: unnamed(), Neighbour: true, Expect: but(expect{"natt": portDropped, "ikev2": portDropped, "l2tp-ipsec": portDropped}),
			VPNs: noNATT},

		{Name: "l2tp-out", Says: "The router's L2TP passthrough box is off: UDP to port 1701 is dropped.", // F10
			Home: with(helper, Rule{Do: Drop, Way: Out, Proto: udp, Ports: []uint16{1701}}),
			Did:  "router", Named: unnamed(), Neighbour: true, Expect: but(expect{"l2tp": portDropped}),
			VPNs: butVPNs(vpns{"l2tp": "no"})},

		{Name: "ddwrt-ipsec-off", Says: "The router's IPsec passthrough box is off, as in DD-WRT: only UDP to port 500 is dropped.", // F10
			Home: with(helper, Rule{Do: Drop, Way: Out, Proto: udp, Ports: []uint16{500}}),
			Did:  "router", Named: unnamed(), Neighbour: true, Expect: but(expect{"ike": portDropped, "ikev2": portDropped, "l2tp-ipsec": portDropped}),
			VPNs: noIPsec},

		{Name: "ipsec-off", Says: "The router's IPsec passthrough box is off, as others do it: UDP to port 500, ESP and AH are dropped.", // F10
			Home: with(helper, Rule{Do: Drop, Way: Out, Proto: udp, Ports: []uint16{500}},
				Rule{Do: Drop, Way: Out, Proto: esp}, Rule{Do: Drop, Way: Out, Proto: ah}),
			Did: "router", Named: unnamed(), Neighbour: true, Expect: but(expect{"ike": portDropped, "ikev2": portDropped, "l2tp-ipsec": portDropped, "esp": {"blocked-out", "esp-out-dropped"},
				"ah": {"blocked-out", "ah-out-dropped"}}),
			VPNs: noIPsec},

		{Name: "ike-alg", Says: "The router reads along in IKE on port 500, and rewrites the SPI on its way out.", // F14
			Home: with(helper, Rule{Do: Rewrite, Way: Out, Proto: udp, Ports: []uint16{500}}),
			Did:  "router", Named: unnamed(), Neighbour: true, Expect: but(expect{"ike": {"altered", "payload-altered"}, "ikev2": {"altered", "payload-altered"}, "l2tp-ipsec": {"altered", "payload-altered"}}),
			VPNs: noIPsec},

		{Name: "hijack", Says: "The router has an IPsec and L2TP server of its own and answers in the place of yours.", // F18, T14
			Home:     with(helper, Rule{Do: Redirect, Way: Out, Proto: udp, Ports: []uint16{500, 4500, 1701}}),
			Impostor: IPsecImpostor,
			Did:      "router", Neighbour: true, Expect: but(expect{"ike": hijacked, "natt": hijacked, "l2tp": hijacked, "ikev2": hijacked, "l2tp-ipsec": hijacked}),
			VPNs: neitherL2TP},

		{Name: "refused", Says: "The router keeps UDP port 500 to itself, and nothing listens there: it refuses in the server's name.", // F18, T14
			Home: with(helper, Rule{Do: Redirect, Way: Out, Proto: udp, Ports: []uint16{500}}),
			Did:  "router", Neighbour: true, Expect: but(expect{"ike": {"blocked-out", "udp-refused"}, "ikev2": {"blocked-out", "udp-refused"}, "l2tp-ipsec": {"blocked-out", "udp-refused"}}),
			VPNs: noIPsec},

		{Name: "checksum0", Says: "The router drops UDP without a checksum, which is how IPsec over UDP is sent.", // F43
			Home: with(helper, Rule{Do: Drop, Proto: udp, Bare: true}),
			Did:  "router", Named: unnamed(), Neighbour: true, Expect: but(expect{"natt": {"blocked-out", "udp-zero-checksum-dropped"}, "ikev2": {"blocked-out", "udp-zero-checksum-dropped"}, "l2tp-ipsec": {"blocked-out", "udp-zero-checksum-dropped"}}),
			VPNs: noNATT},

		{Name: "one-ipsec", Says: "The router never changes IKE's source port 500, and another laptop spoke IKE to your server first.", // F15
			Home:    Box{Masquerade: true, PPTPHelper: true, Static: netip.MustParseAddrPort(homeWAN + ":500")},
			Earlier: []Flow{{Proto: udp, Port: 500}},
			Did:     "nobody", Neighbour: true, Expect: but(expect{"ike": {"inconclusive", "port-clash"}, "ikev2": {"inconclusive", "port-clash"}, "l2tp-ipsec": {"inconclusive", "port-clash"}}),
			VPNs: unknownIPsec},

		{Name: "second-laptop", Says: "Another laptop behind the same NAT spoke ESP and AH to your server just now.", // F11, T05
			Home:    helper,
			Earlier: []Flow{{Proto: esp}, {Proto: ah}},
			Did:     "nobody", Neighbour: true, Expect: but(expect{"esp": {"inconclusive", "state-clash"}, "ah": {"inconclusive", "state-clash"}}),
			VPNs: butVPNs(vpns{"ipsec-esp": "unknown"})},

		{Name: "esp-spi", Says: "The router pairs each ESP flow on its way out with the first one that comes back, and drops all others.", // T28
			Home: helper, Bump: spiTracking, NeedsTUN: true,
			Did: "nobody", Neighbour: true, Expect: good,
			VPNs: goodVPNs},

		{Name: "esp-needs-ike", Says: "The router lets ESP through only where IKE was answered before.", // T27
			Home: helper, Bump: ikeFirst, NeedsTUN: true,
			Did: "nobody", Neighbour: true, Expect: good,
			VPNs: goodVPNs},

		{Name: "server-nat", Says: "The server has a private address behind a NAT of its provider's, one to one, as in most clouds.", // F03, F39
			Home: helper, ISP: Box{ServerNAT: true},
			Did: "nobody", Neighbour: true, Expect: good,
			VPNs: goodVPNs},

		{Name: "only-443", Says: "The router lets nothing out but TCP to ports 80 and 443, those of web pages.", // F02, F35
			Home: with(nat, Rule{Way: Out, Proto: tcp, Other: []uint16{80, 443}}, Rule{Way: Out, Proto: udp}, Rule{Way: Out, Proto: gre},
				Rule{Way: Out, Proto: esp}, Rule{Way: Out, Proto: ah}),
			Did: "router", Named: unnamed(), Neighbour: true, Expect: but(expect{"pptp": {"blocked-out", "tcp-1723-dropped"}, "gre": noGRE, "esp": noESP,
				"ah": {"blocked-out", "ah-out-dropped"}, "ike": noUDP, "natt": noUDP, "l2tp": noUDP, "ikev2": noUDP, "l2tp-ipsec": noUDP,
				"openvpn-udp": noUDP, "openvpn-tcp": {"blocked-out", "tcp-port-dropped"}, "wireguard": noUDP}),
			VPNs: butVPNs(vpns{"pptp": "no", "l2tp": "no", "l2tp-ipsec": "no", "ipsec-esp": "no", "ikev2": "no", "openvpn-udp": "no",
				"openvpn-tcp": "no", "wireguard": "no", Best: "sstp"})},

		{Name: "tls-proxy", Says: "A proxy opens all TLS to port 443, with a certificate of its own, and accepts none but those of known authorities.", // F35
			Home:     with(helper, Rule{Do: Redirect, Way: Out, Proto: tcp, Ports: []uint16{443}}),
			Impostor: TLSProxy,
			Did:      "router", Neighbour: true, Expect: but(expect{"sstp": {"inconclusive", "tls-intercepted"}}),
			VPNs: butVPNs(vpns{"sstp": "unknown"})},

		{Name: "https-proxy", Says: "A proxy opens all TLS to port 443, passes on ordinary requests, and does not know SSTP's.", // F35
			Home:     with(helper, Rule{Do: Redirect, Way: Out, Proto: tcp, Ports: []uint16{443}}),
			Impostor: HTTPProxy,
			Did:      "router", Named: unnamed(), Neighbour: true, Expect: but(expect{"sstp": {"blocked-out", "http-refused"}}),
			VPNs: butVPNs(vpns{"sstp": "no"})},

		{Name: "silent-proxy", Says: "The router accepts connections to TCP ports 1194 and 1723 in the server's name, and passes nothing on.", // T14
			Home:     with(helper, Rule{Do: Redirect, Way: Out, Proto: tcp, Ports: []uint16{1194, 1723}}),
			Impostor: SilentProxy,
			Did:      "router", Named: unnamed(), Neighbour: true,
			Expect: but(expect{"pptp": {"blocked-out", "tcp-connect-only"}, "openvpn-tcp": {"blocked-out", "tcp-connect-only"}}),
			VPNs:   butVPNs(vpns{"pptp": "no", "openvpn-tcp": "no"})},

		{Name: "sstp-held", Says: "The router lets TLS connections that no browser would make begin, and drops what comes on them after twelve seconds.", // F35, T30
			Home: helper, Bump: odd{held: 12 * time.Second}.bump(), NeedsTUN: true,
			Did: "router", Named: unnamed(), Neighbour: true, Expect: good, VPNs: goodVPNs,
			Deep: expect{"sstp": {"stalled", "stopped-after-n"}}, DeepVPNs: vpns{"sstp": "no"}},

		{Name: "portal", Says: "A hotel network before you have signed in.", // F34, T14
			Home:     with(nat, Rule{Do: Redirect, Way: Out, Proto: tcp, Ports: []uint16{80, 443, 1723}}, Rule{Do: Drop}),
			Impostor: Portal,
			Did:      "nobody", Neighbour: true, Expect: expect{"pptp": unasked, "gre": unasked, "esp": unasked, "ah": unasked,
				"ike": unasked, "natt": unasked, "l2tp": unasked, "openvpn-udp": unasked, "openvpn-tcp": unasked, "wireguard": unasked, "sstp": unasked, "ikev2": unasked, "l2tp-ipsec": unasked},
			VPNs: vpns{"pptp": "unknown", "l2tp": "unknown", "l2tp-ipsec": "unknown", "ipsec-esp": "unknown", "ikev2": "unknown",
				"openvpn-udp": "unknown", "openvpn-tcp": "unknown", "wireguard": "unknown", "sstp": "unknown", Best: ""}},
	}
}
