package netlab

import "net/netip"

// refusingRouters answer with ICMP, from their own address, what they let not through.
func refusingRouters() []Router {
	return []Router{
		{Name: "esp-refused", Says: "The router refuses ESP, and says so: protocol unreachable.", // T17, T18
			Home: with(helper, Rule{Do: NoProtocol, Way: Out, Proto: esp}),
			Did:  "router", Neighbour: true, Expect: but(expect{"esp": noESP}),
			VPNs: butVPNs(vpns{"ipsec-esp": "no"})},

		{Name: "gre-refused", Says: "The router refuses GRE, and says so: prohibited by an administrator.", // T17, T18
			Home: with(helper, Rule{Do: Prohibited, Way: Out, Proto: gre}),
			Did:  "router", Neighbour: true, Expect: but(expect{"pptp": noGRE, "gre": noGRE}),
			VPNs: butVPNs(vpns{"pptp": "no"})},

		{Name: "natt-refused", Says: "The router refuses UDP to port 4500, and says so: prohibited by an administrator.", // T17, T18
			Home: with(helper, Rule{Do: Prohibited, Way: Out, Proto: udp, Ports: []uint16{4500}}),
			Did:  "router", Neighbour: true, Expect: but(expect{"natt": {"blocked-out", "udp-refused"}, "ikev2": {"blocked-out", "udp-refused"}, "l2tp-ipsec": {"blocked-out", "udp-refused"}}),
			VPNs: noNATT},

		{Name: "pptp-refused", Says: "The router refuses PPTP's TCP port 1723 with ICMP: port unreachable.", // T17, T18, T34
			Home: with(helper, Rule{Do: NoPort, Way: Out, Proto: tcp, Ports: []uint16{1723}}),
			Did:  "router", Neighbour: true, Expect: but(expect{"pptp": {"blocked-out", "tcp-refused"}}),
			VPNs: butVPNs(vpns{"pptp": "no"})},

		{Name: "linux-answers", Says: "A Linux home router without the PPTP helper, which refuses what comes and fits no flow of its own.", // F04
			Home: Box{Masquerade: true, Answers: true},
			Did:  "router", Neighbour: true, Expect: but(expect{"pptp": {"blocked-back", "no-pptp-helper"}}),
			VPNs: butVPNs(vpns{"pptp": "no"})},

		{Name: "stale-state", Says: "ESP and UDP 500 were forbidden on the router just now, and what it knew before still passes.", // F51, T26
			Home:   with(helper, Rule{Way: Out, Proto: esp, New: true}, Rule{Way: Out, Proto: udp, Ports: []uint16{500}, New: true}),
			Before: []Flow{{Proto: esp}, {Proto: udp, Port: 500}},
			Did:    "nobody", Neighbour: true, Expect: good,
			VPNs: goodVPNs},
	}
}

// talkingRouters tell by UPnP what they are, and what they count: then even silence tells who dropped.
func talkingRouters() []Router {
	says := func(igd IGD, rules ...Rule) Box {
		igd.Maker, igd.Model = "Example", "Lab Router"
		return Box{Masquerade: true, PPTPHelper: true, IGD: &igd, Rules: rules}
	}
	console := netip.MustParseAddr("192.168.1.50")
	return []Router{
		{Name: "igd-esp-out", Says: "The router drops ESP on its way out, and its counters show that it never left.",
			Home: says(IGD{}, Rule{Way: Out, Proto: esp}),
			Did:  "router", Neighbour: true, Expect: but(expect{"esp": noESP}),
			VPNs: butVPNs(vpns{"ipsec-esp": "no"})},

		{Name: "igd-isp-esp", Says: "The provider drops ESP before it looks at anything else, and the router's counters show that it left.", // T08
			Home: says(IGD{}), ISP: with(Box{}, Rule{Do: DropEarly, Way: Out, Proto: esp}),
			Did: "isp", Neighbour: true, Expect: but(expect{"esp": noESP}),
			VPNs: butVPNs(vpns{"ipsec-esp": "no"})},

		{Name: "igd-esp-back", Says: "The router drops the answers of ESP, and its counters show that they came.",
			Home: says(IGD{}, Rule{Do: DropEarly, Way: In, Proto: esp}),
			Did:  "router", Neighbour: true, Expect: but(expect{"esp": {"blocked-back", "esp-back-dropped"}}),
			VPNs: butVPNs(vpns{"ipsec-esp": "no"})},

		{Name: "igd-isp-esp-back", Says: "The provider drops the answers of ESP, and the router's counters show that they never came.",
			Home: says(IGD{}), ISP: with(Box{}, Rule{Way: In, Proto: esp}),
			Did: "isp", Neighbour: true, Expect: but(expect{"esp": {"blocked-back", "esp-back-dropped"}}),
			VPNs: butVPNs(vpns{"ipsec-esp": "no"})},

		{Name: "igd-gre-out", Says: "The router drops GRE on its way out, and its counters show that it never left.",
			Home: says(IGD{}, Rule{Way: Out, Proto: gre}),
			Did:  "router", Neighbour: true, Expect: but(expect{"pptp": noGRE, "gre": noGRE}),
			VPNs: butVPNs(vpns{"pptp": "no"})},

		{Name: "igd-constant", Says: "The router drops ESP on its way out, and has counters that stand still.",
			Home: says(IGD{Constant: true}, Rule{Way: Out, Proto: esp}),
			Did:  "router", Named: unnamed(), Neighbour: true, Expect: but(expect{"esp": noESP}),
			VPNs: butVPNs(vpns{"ipsec-esp": "no"})},

		{Name: "igd-double-nat", Says: "The router has an address of its provider's NAT, and says so; GRE, ESP and AH leave that NAT from another one.", // F09, F19
			Home: says(IGD{}), ISP: Box{Masquerade: true, PortlessFrom: netip.MustParseAddr(cgnPortless)},
			Did: "second-nat", Neighbour: true, Expect: but(expect{"pptp": {"altered", "addresses-differ"}, "esp": {"altered", "addresses-differ"}}),
			VPNs: butVPNs(vpns{"pptp": "no", "ipsec-esp": "no"})},

		{Name: "igd-forward", Says: "The router sends what comes to UDP ports 500 and 4500 to a game console, the answers for the laptop too.", // F32
			// As good as sent there: nobody is at home.
			Home: says(IGD{Forwards: []Forward{{"UDP", 500, console, "console"}, {"UDP", 4500, console, "console"}}},
				Rule{Do: DropEarly, Way: In, Proto: udp, Ports: []uint16{500, 4500}}),
			Did: "router", Neighbour: true,
			Expect: but(expect{"ike": {"blocked-back", "no-return"}, "natt": {"blocked-back", "no-return"}, "ikev2": {"blocked-back", "no-return"}, "l2tp-ipsec": {"blocked-back", "no-return"}}),
			VPNs:   noIPsec},
	}
}

// laptops have a firewall of their own, for what laptop-firewall and laptop-refuses leave alone.
func laptops() []Router {
	refused, deaf := Expect{"blocked-out", "laptop-firewall"}, Expect{"blocked-back", "laptop-drops-answers"}
	return []Router{
		{Name: "laptop-refuses-esp", Says: "A good router, and a firewall on the laptop that lets no ESP out.", // F21, T20
			Home: helper, Laptop: Firewall{Out: []Rule{{Proto: esp}}},
			Did: "laptop", Neighbour: true, Expect: but(expect{"esp": refused}),
			VPNs: butVPNs(vpns{"ipsec-esp": "no"})},

		{Name: "laptop-refuses-udp", Says: "A good router, and a firewall on the laptop that lets nothing out to the UDP ports of VPNs.", // F21, T20
			Home: helper, Laptop: Firewall{Out: []Rule{{Proto: udp, Ports: []uint16{500, 4500, 1701}}}},
			Did: "laptop", Neighbour: true, Expect: but(expect{"ike": refused, "natt": refused, "l2tp": refused, "ikev2": refused, "l2tp-ipsec": refused}),
			VPNs: neitherL2TP},

		{Name: "laptop-refuses-pptp", Says: "A good router, and a firewall on the laptop that drops what goes out to TCP port 1723.", // F21
			// The kernel does not tell connect that the firewall drops its SYNs: it looks like silence.
			Home: helper, Laptop: Firewall{Out: []Rule{{Proto: tcp, Ports: []uint16{1723}}}},
			Did: "laptop", Named: unnamed(), Neighbour: true, Expect: but(expect{"pptp": {"blocked-out", "tcp-1723-dropped"}}),
			VPNs: butVPNs(vpns{"pptp": "no"})},

		{Name: "laptop-drops-gre", Says: "A good router, and a firewall on the laptop that drops all GRE that comes in.", // F21, T16
			Home: helper, Laptop: Firewall{In: []Rule{{Proto: gre}}},
			Did: "laptop", Neighbour: true, Expect: but(expect{"pptp": deaf, "gre": deaf}),
			VPNs: butVPNs(vpns{"pptp": "no"})},

		{Name: "laptop-drops-esp", Says: "A good router, and a firewall on the laptop that drops all ESP that comes in.", // F21, T16
			Home: helper, Laptop: Firewall{In: []Rule{{Proto: esp}}},
			Did: "laptop", Neighbour: true, Expect: but(expect{"esp": deaf}),
			VPNs: butVPNs(vpns{"ipsec-esp": "no"})},

		{Name: "laptop-drops-udp", Says: "A good router, and a firewall on the laptop that drops what comes from the UDP ports of VPNs.", // F21, T16
			Home: helper, Laptop: Firewall{In: []Rule{{Proto: udp, From: []uint16{500, 4500, 1701}}}},
			Did: "laptop", Neighbour: true, Expect: but(expect{"ike": deaf, "natt": deaf, "l2tp": deaf, "ikev2": deaf, "l2tp-ipsec": deaf}),
			VPNs: neitherL2TP},
	}
}

// providers drop at the isp, behind the home router. Where they drop after they looked at the TTL, as routers do, their answers to packets
// with a small one show that the first router let the protocol out.
func providers() []Router {
	isp := func(rules ...Rule) Box { return with(Box{}, rules...) }
	return []Router{
		{Name: "isp-esp", Says: "The provider drops ESP.", // F20, T08
			Home: helper, ISP: isp(Rule{Way: Out, Proto: esp}),
			Did: "isp", Neighbour: true, Expect: but(expect{"esp": noESP}),
			VPNs: butVPNs(vpns{"ipsec-esp": "no"})},

		{Name: "isp-esp-ingress", Says: "The provider drops ESP before it looks at anything else: from the laptop that looks like the router's doing.", // T08
			Home: helper, ISP: isp(Rule{Do: DropEarly, Way: Out, Proto: esp}),
			Did: "isp", Named: unnamed(), Neighbour: true, Expect: but(expect{"esp": noESP}),
			VPNs: butVPNs(vpns{"ipsec-esp": "no"})},

		{Name: "isp-esp-back", Says: "The provider lets ESP out and drops the answers.",
			Home: helper, ISP: isp(Rule{Way: In, Proto: esp}),
			Did: "isp", Named: unnamed(), Neighbour: true, Expect: but(expect{"esp": {"blocked-back", "esp-back-dropped"}}),
			VPNs: butVPNs(vpns{"ipsec-esp": "no"})},

		{Name: "isp-gre", Says: "The provider drops GRE.", // F20, T08
			Home: helper, ISP: isp(Rule{Way: Out, Proto: gre}),
			Did: "isp", Neighbour: true, Expect: but(expect{"pptp": noGRE, "gre": noGRE}),
			VPNs: butVPNs(vpns{"pptp": "no"})},

		{Name: "isp-ah", Says: "The provider drops AH.", // F20, T08
			Home: helper, ISP: isp(Rule{Way: Out, Proto: ah}),
			Did: "isp", Neighbour: true, Expect: but(expect{"ah": {"blocked-out", "ah-out-dropped"}}),
			VPNs: goodVPNs},

		{Name: "isp-pptp", Says: "The provider drops TCP to port 1723, PPTP's.", // F20
			Home: helper, ISP: isp(Rule{Way: Out, Proto: tcp, Ports: []uint16{1723}}),
			Did: "isp", Neighbour: true, Expect: but(expect{"pptp": {"blocked-out", "tcp-1723-dropped"}}),
			VPNs: butVPNs(vpns{"pptp": "no"})},

		{Name: "isp-refuses", Says: "The provider refuses ESP and TCP to port 1723, and says so: prohibited by an administrator.", // F20, T17
			Home: helper, ISP: isp(Rule{Do: Prohibited, Way: Out, Proto: esp}, Rule{Do: Prohibited, Way: Out, Proto: tcp, Ports: []uint16{1723}}),
			Did: "isp", Neighbour: true, Expect: but(expect{"esp": noESP, "pptp": {"blocked-out", "tcp-refused"}}),
			VPNs: butVPNs(vpns{"pptp": "no", "ipsec-esp": "no"})},

		{Name: "isp-natt", Says: "The provider drops UDP to port 4500, that of IPsec through NAT.", // F20, T08
			Home: helper, ISP: isp(Rule{Way: Out, Proto: udp, Ports: []uint16{4500}}),
			Did: "isp", Neighbour: true, Expect: but(expect{"natt": portDropped, "ikev2": portDropped, "l2tp-ipsec": portDropped}),
			VPNs: noNATT},

		{Name: "isp-l2tp", Says: "The provider drops UDP to port 1701, L2TP's.", // F20, T08
			Home: helper, ISP: isp(Rule{Way: Out, Proto: udp, Ports: []uint16{1701}}),
			Did: "isp", Neighbour: true, Expect: but(expect{"l2tp": portDropped}),
			VPNs: butVPNs(vpns{"l2tp": "no"})},

		{Name: "isp-udp", Says: "The provider drops all UDP.", // F02, T08
			Home: helper, ISP: isp(Rule{Way: Out, Proto: udp}),
			Did: "isp", Neighbour: true, Expect: but(expect{"ike": noUDP, "natt": noUDP, "l2tp": noUDP, "ikev2": noUDP, "l2tp-ipsec": noUDP, "openvpn-udp": noUDP, "wireguard": noUDP}),
			VPNs: noUDPVPNs},

		{Name: "isp-ike-back", Says: "The provider drops what comes back from UDP port 500, IKE's.",
			Home: helper, ISP: isp(Rule{Way: In, Proto: udp, From: []uint16{500}}),
			Did: "isp", Named: unnamed(), Neighbour: true, Expect: but(expect{"ike": {"blocked-back", "udp-port-back-dropped"}, "ikev2": {"blocked-back", "udp-port-back-dropped"}, "l2tp-ipsec": {"blocked-back", "udp-port-back-dropped"}}),
			VPNs: noIPsec},

		{Name: "dpi-ike", Says: "The provider reads along: it drops what opens IKE, on any port, and lets all else through.", // F12, T11
			Home: helper, ISP: isp(Rule{Way: Out, IKE: true}),
			Did: "isp", Neighbour: true, Expect: but(expect{"ike": {"blocked-out", "udp-content-dropped"}, "natt": {"blocked-out", "udp-content-dropped"}, "ikev2": {"blocked-out", "udp-content-dropped"}, "l2tp-ipsec": {"blocked-out", "udp-content-dropped"}}),
			VPNs: noIPsec},

		{Name: "dpi-openvpn", Says: "The provider reads along: it drops what opens OpenVPN on port 1194, over UDP and over TCP.", // F12, F36, T11
			Home: helper, ISP: isp(Rule{Way: Out, OpenVPN: true}),
			Did: "isp", Named: map[string]string{"openvpn-tcp": "unknown"}, Neighbour: true,
			Expect: but(expect{"openvpn-udp": {"blocked-out", "udp-content-dropped"}, "openvpn-tcp": {"blocked-out", "tcp-content-dropped"}}),
			VPNs:   butVPNs(vpns{"openvpn-udp": "no", "openvpn-tcp": "no"})},

		{Name: "isp-openvpn", Says: "The provider drops port 1194, OpenVPN's, of UDP and of TCP.", // F20
			Home: helper, ISP: isp(Rule{Way: Out, Proto: udp, Ports: []uint16{1194}}, Rule{Way: Out, Proto: tcp, Ports: []uint16{1194}}),
			Did: "isp", Neighbour: true, Expect: but(expect{"openvpn-udp": portDropped, "openvpn-tcp": {"blocked-out", "tcp-port-dropped"}}),
			VPNs: butVPNs(vpns{"openvpn-udp": "no", "openvpn-tcp": "no"})},

		{Name: "dpi-wireguard", Says: "The provider reads along: it drops what opens WireGuard, on any port, and lets all else through.", // F12, T11
			Home: helper, ISP: isp(Rule{Way: Out, WireGuard: true}),
			Did: "isp", Neighbour: true, Expect: but(expect{"wireguard": {"blocked-out", "udp-content-dropped"}}),
			VPNs: butVPNs(vpns{"wireguard": "no"})},

		{Name: "nat2-esp", Says: "Two NATs in a row; the second, the provider's, drops ESP.", // F09, F19, T22
			Home: helper, ISP: with(helper, Rule{Way: Out, Proto: esp}),
			Did: "second-nat", Neighbour: true, Expect: but(expect{"esp": noESP}),
			VPNs: butVPNs(vpns{"ipsec-esp": "no"})},

		{Name: "nat2-gre", Says: "Two NATs in a row; the second, the provider's, drops GRE.", // F09, F19, T22
			Home: helper, ISP: with(helper, Rule{Way: Out, Proto: gre}),
			Did: "second-nat", Neighbour: true, Expect: but(expect{"pptp": noGRE, "gre": noGRE}),
			VPNs: butVPNs(vpns{"pptp": "no"})},

		{Name: "nat2-natt", Says: "Two NATs in a row; the second, the provider's, drops UDP to port 4500.", // F19, F20, T22
			Home: helper, ISP: with(helper, Rule{Way: Out, Proto: udp, Ports: []uint16{4500}}),
			Did: "second-nat", Neighbour: true, Expect: but(expect{"natt": portDropped, "ikev2": portDropped, "l2tp-ipsec": portDropped}),
			VPNs: noNATT},

		{Name: "nat2-answers", Says: "Two NATs in a row; the second has no PPTP helper, and refuses what comes and fits no flow of its own.", // F19, T22
			Home: helper, ISP: Box{Masquerade: true, Answers: true},
			Did: "second-nat", Neighbour: true, Expect: but(expect{"pptp": {"blocked-back", "second-nat-without-helper"}}),
			VPNs: butVPNs(vpns{"pptp": "no"})},
	}
}

// servers are shut themselves, or stand in a cloud that is.
func servers() []Router {
	shut := Expect{"inconclusive", "server-firewall"}
	unproven := Expect{"inconclusive", "server-unproven"}
	return []Router{
		{Name: "server-firewall", Says: "The server's own firewall drops GRE, ESP and UDP to port 4500.", // F01, T15, T16
			Home: helper, Server: Firewall{In: []Rule{{Proto: gre}, {Proto: esp}, {Proto: udp, Ports: []uint16{4500}}}},
			Did: "server", Neighbour: true, Expect: but(expect{"pptp": shut, "gre": shut, "esp": shut, "natt": shut, "ikev2": shut, "l2tp-ipsec": shut}),
			VPNs: butVPNs(vpns{"pptp": "unknown", "l2tp-ipsec": "unknown", "ipsec-esp": "unknown", "ikev2": "unknown", Best: "wireguard"})},

		{Name: "server-ports", Says: "The server's own firewall drops TCP to port 1723, and UDP to ports 500 and 1701.", // F01, T15, T16
			Home: helper, Server: Firewall{In: []Rule{{Proto: tcp, Ports: []uint16{1723}}, {Proto: udp, Ports: []uint16{500, 1701}}}},
			Did: "server", Neighbour: true, Expect: but(expect{"pptp": shut, "ike": shut, "l2tp": shut, "ikev2": shut, "l2tp-ipsec": shut}),
			VPNs: butVPNs(vpns{"pptp": "unknown", "l2tp": "unknown", "l2tp-ipsec": "unknown", "ipsec-esp": "unknown", "ikev2": "unknown", Best: "wireguard"})},

		{Name: "server-refuses", Says: "The server's own firewall refuses GRE and ESP, and says so, as some images of Linux do.", // F01, F25, T17
			Home: helper, Server: Firewall{In: []Rule{{Do: Prohibited, Proto: gre}, {Do: Prohibited, Proto: esp}}},
			Did: "server", Neighbour: true, Expect: but(expect{"pptp": shut, "gre": shut, "esp": shut}),
			VPNs: butVPNs(vpns{"pptp": "unknown", "ipsec-esp": "unknown"})},

		{Name: "cloud-ports", Says: "The firewall of the server's provider drops TCP to port 1723 and UDP to the ports of VPNs, whoever sends it.", // F01, T15
			Home: helper, ISP: with(Box{}, Rule{Way: Out, Proto: tcp, Ports: []uint16{1723}, All: true},
				Rule{Way: Out, Proto: udp, Ports: []uint16{500, 4500, 1701}, All: true}),
			Did: "server", Named: unnamed(), Neighbour: true, Expect: but(expect{"pptp": unproven, "ike": unproven, "natt": unproven, "l2tp": unproven, "ikev2": unproven, "l2tp-ipsec": unproven}),
			VPNs: butVPNs(vpns{"pptp": "unknown", "l2tp": "unknown", "l2tp-ipsec": "unknown", "ipsec-esp": "unknown", "ikev2": "unknown", Best: "wireguard"})},

		{Name: "cloud-firewall", Says: "The firewall of the server's provider drops ESP, whoever sends it.", // F01, F17, T15
			Home: helper, ISP: with(Box{}, Rule{Way: Out, Proto: esp, All: true}),
			Did: "server", Named: unnamed(), Neighbour: true, Expect: but(expect{"esp": unproven}),
			VPNs: butVPNs(vpns{"ipsec-esp": "unknown"})},

		{Name: "rp-filter", Says: "GRE, ESP and AH leave from a second public address, and the server has another way back to there.", // F27, T16
			Home: helper, ISP: Box{Masquerade: true, PortlessFrom: netip.MustParseAddr(cgnPortless)},
			Server: Firewall{Elsewhere: netip.MustParseAddr(cgnPortless)},
			// Two addresses are wrong for PPTP and ESP, and a NAT for AH, whatever the server does.
			Did: "server", Named: map[string]string{"pptp": "unknown", "esp": "unknown"}, Neighbour: true,
			Expect: but(expect{"pptp": {"altered", "addresses-differ"}, "gre": shut, "esp": {"altered", "addresses-differ"}}),
			VPNs:   butVPNs(vpns{"pptp": "no", "ipsec-esp": "no"})},
	}
}
