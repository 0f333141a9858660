package netlab

import "time"

// lines are good routers on bad lines, and routers that count.
func lines() []Router {
	hangs := Expect{"stalled", "full-size-dropped"}
	return []Router{
		{Name: "lossy-25", Says: "A good router on a very bad line: one packet in four is lost, each way.", // F53, T19
			Home: helper, ISP: with(Box{}, Rule{OneIn: 4}), Lossy: true,
			Did: "nobody", Neighbour: true, Expect: good,
			VPNs: goodVPNs},

		{Name: "bursts", Says: "A good router on a line that is dead for a second now and then, a tenth of the time.", // F53, T19
			Home: helper, Bump: line{dead: time.Second, alive: 9 * time.Second}.bump(), NeedsTUN: true, Lossy: true,
			Did: "nobody", Neighbour: true, Expect: good,
			VPNs: goodVPNs},

		{Name: "bursts-blocks", Says: "The same line, and a router that drops GRE and UDP to port 4500 on their way out, and ESP on its way back.", // F53, T19
			Home: with(helper, Rule{Way: Out, Proto: gre}, Rule{Way: Out, Proto: udp, Ports: []uint16{4500}}, Rule{Do: DropEarly, Way: In, Proto: esp}),
			Bump: line{dead: time.Second, alive: 9 * time.Second}.bump(), NeedsTUN: true, Lossy: true,
			Did: "router", Named: unnamed(), Neighbour: true,
			Expect: but(expect{"pptp": noGRE, "gre": noGRE, "natt": portDropped, "ikev2": portDropped, "l2tp-ipsec": portDropped, "esp": {"blocked-back", "esp-back-dropped"}}),
			VPNs:   butVPNs(vpns{"pptp": "no", "l2tp-ipsec": "no", "ipsec-esp": "no", "ikev2": "no", Best: "wireguard"})},

		{Name: "slow", Says: "A good router on a slow line: 300 ms to the server and back, and up to 100 ms more.", // T19
			Home: helper, Bump: line{takes: 150 * time.Millisecond, jitter: 50 * time.Millisecond}.bump(), NeedsTUN: true,
			Did: "nobody", Neighbour: true, Expect: good,
			VPNs: goodVPNs},

		{Name: "satellite", Says: "A good router on a satellite's line: 600 ms to the server and back.", // T19
			Home: helper, Bump: line{takes: 300 * time.Millisecond}.bump(), NeedsTUN: true,
			Did: "nobody", Neighbour: true, Expect: good,
			VPNs: goodVPNs},

		{Name: "limiter", Says: "The router lets one packet of ESP a second through, after three at once, and drops what comes faster.", // F52, T35
			Home: with(helper, Rule{Way: Out, Proto: esp, Over: Pace{PerSecond: 1, Burst: 3}}),
			Did:  "nobody", Neighbour: true, Expect: but(expect{"esp": {"passed", "rate-limit"}}),
			VPNs: goodVPNs},

		{Name: "udp-flood", Says: "The router takes more than ten UDP packets a second, all together, for a flood, and drops what comes faster.", // F52, T35
			Home: with(helper, Rule{Way: Out, Proto: udp, Over: Pace{PerSecond: 10, Burst: 5}}), Lossy: true,
			Did: "nobody", Neighbour: true, Expect: good,
			VPNs: goodVPNs},

		{Name: "narrow", Says: "The router drops what is longer than 1,300 octets, TCP aside, and does not say so.", // F08
			Home: with(helper, Rule{Way: Out, Proto: udp, Above: 1300}, Rule{Way: Out, Proto: esp, Above: 1300}, Rule{Way: Out, Proto: gre, Above: 1300}),
			Did:  "router", Named: unnamed(), Neighbour: true, Expect: good,
			Deep: expect{"pptp": hangs, "gre": hangs, "esp": hangs, "natt": hangs, "l2tp": hangs, "ikev2": hangs, "l2tp-ipsec": hangs,
				"openvpn-udp": hangs, "wireguard": hangs},
			DeepVPNs: vpns{"pptp": "no", "l2tp": "no", "l2tp-ipsec": "no", "ipsec-esp": "no", "ikev2": "no", "openvpn-udp": "no",
				"wireguard": "no", Best: "openvpn-tcp"},
			VPNs: goodVPNs},

		{Name: "narrower", Says: "The router drops UDP that is longer than 1,250 octets, and does not say so.", // F08, T13
			Home: with(helper, Rule{Way: Out, Proto: udp, Above: 1250}),
			Did:  "router", Named: unnamed(), Neighbour: true, Expect: but(expect{"ikev2": hangs}),
			VPNs: butVPNs(vpns{"ikev2": "no", Best: "wireguard"})},

		{Name: "fragments-out", Says: "The router drops the fragments of what IP has cut, on their way out.", // F07
			Home: with(helper, Rule{Do: DropEarly, Way: Out, Fragment: true}),
			Did:  "router", Neighbour: true, Expect: good,
			Parts: map[string]Expect{"ikev2/ip-fragments": {"blocked-out", "ike-fragments-dropped"}},
			VPNs:  goodVPNs},

		{Name: "fragments-back", Says: "The router drops the fragments of what IP has cut, on their way in.", // F07
			Home: with(helper, Rule{Do: DropEarly, Way: In, Fragment: true}),
			Did:  "router", Neighbour: true, Expect: good,
			Parts: map[string]Expect{"ikev2/ip-fragments": {"blocked-back", "ike-fragments-dropped"}},
			VPNs:  goodVPNs},

		{Name: "reorders", Says: "A good router on a line on which one packet in four is overtaken by those after it.",
			Home: helper, Bump: line{takes: 10 * time.Millisecond, holds: 0.25}.bump(), NeedsTUN: true,
			Did: "nobody", Neighbour: true, Expect: good,
			VPNs: goodVPNs},

		{Name: "doubles", Says: "A good router on a line on which every other packet comes twice.",
			Home: helper, Bump: line{doubles: 0.5}.bump(), NeedsTUN: true,
			Did: "nobody", Neighbour: true, Expect: good,
			VPNs: goodVPNs},
	}
}
