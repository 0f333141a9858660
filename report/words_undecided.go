package report

import "vpncheck/probe"

// undecidedWords explain why there was a question and no answer to it.
var undecidedWords = map[probe.Reason]Words{
	probe.ServerUnproven: {
		Short: "the fault may be at the server",
		Sentence: "{stuck} does not reach the server{tries}. But neither has anyone else's in the last 24 hours, so the fault may as well lie with " +
			"the server's own firewall or its hosting provider.",
		Do: "run vpncheck once from another network, then here again",
		Next: "Run vpncheck against the same server from another internet connection. What arrives from there is not stopped at the server: " +
			"then run it here again. What arrives from nowhere must be let in by the server's firewall and its hosting provider.",
	},
	probe.ServerBlind: {
		Short:    "the server could not see what arrived",
		Sentence: "{title} was tried, but the server could not look at what arrived there, so silence proves nothing.{why}",
		Do:       "ask the one who runs the test server to start it with full rights",
	},
	probe.NotEnoughTries: {
		Short:    "there were too few tries to be sure",
		Sentence: "{title} got no clear answer, and there were too few tries to be sure that this is not chance{tries}.",
		Do:       "run the check again",
	},
	probe.TooLossy: {
		Short: "the line loses too many packets to tell",
		Sentence: "{title} got no clear answer{tries}. The line loses so many other packets at the same time that this may be mere " +
			"chance.",
		Do:   "improve the connection (by a cable, say) and run the check again",
		Next: "Move closer to the Wi-Fi, or use a cable, and run the check again. A VPN will suffer on such a line in any case.",
	},
	probe.StoppedMidway: {
		Short: "the conversation began well and then stopped, once",
		Sentence: "{title} began well and then stopped{after}{tries}. It could not be tried once more on a fresh flow, so this may have been " +
			"chance.",
		Do: "run the check again",
	},
	probe.StoppedOnce: {
		Short:    "the conversation stopped once, but not again",
		Sentence: "{title} began well and stopped{after}; a fresh try did not stop. Something was in the way for a while.",
		Do:       "run the check again; if it differs each time, the line is unsteady",
	},
	probe.NotAnswered: {
		Short: "the test server itself kept silent",
		Sentence: "{title} reached the server, and the server itself chose not to answer{silent}. The network is not to " +
			"blame for that.",
		Do:   "run the check again; if it stays, report it to the server's owner",
		Next: "Run the check again. If it stays so, send this report to the one who runs the test server.",
	},
	probe.ServerFirewall: {
		Short: "the server's own firewall drops the packets",
		Sentence: "{title} packets reach the server's network card{tries}, but no program on the server gets them: the server's own firewall drops " +
			"them. The network up to there lets them through.",
		Do: "tell the one who runs it to open the server's own firewall for this",
		Next: "Send this report to the one who runs the test server: the firewall on the machine itself (ufw, firewalld, nftables, or its reverse-path " +
			"filter) must let in {out}. The router is not to blame for this.",
	},
	probe.SessionLost: {
		Short:    "the connection to the test server was lost",
		Sentence: "The connection to {server} ended {while}. Either the server was stopped or the line broke.",
		Do:       "run the check again; if it stays, ask whether the server still runs",
	},
	probe.LineCut: {
		Short: "the line went dead when it was tried",
		Sentence: "The line to {server} went dead {while}, and stayed dead: nothing got through any more, not even what had just passed. That may be " +
			"chance, or something on the way cuts off whoever uses OpenVPN or WireGuard. What was found before that stands.",
		Do: "run the check again; if the line dies again, use another VPN here",
	},
	probe.AddressChanged: {
		Short:    "this laptop changed its network during the check",
		Sentence: "This laptop changed its address or its network {while}, so what was seen belongs to two networks.",
		Do:       "run the check again and stay on one network until it has ended",
	},
	probe.Interrupted: {
		Short:    "the check was stopped before it could tell",
		Sentence: "The check was stopped before {decided} could be decided.",
		Do:       "run the check again and let it come to its end",
	},
	probe.TimeUp: {
		Short:    "the time was over",
		Sentence: "The time for the check was over before {decided} could be decided.",
		Do:       "run the check again, with more time or fewer protocols",
	},
}

// untestedWords explain why a question was not asked.
var untestedWords = map[probe.Reason]Words{
	probe.NoPrivilege: {
		Short:    "vpncheck may not send such packets here",
		Sentence: "{untried}: this system does not let vpncheck send such packets.{why}{hint} Nothing is known about the router.",
		Do:       "run vpncheck as administrator (on Linux and macOS: with sudo)",
	},
	probe.PortHeld: {
		Short:    "another program holds the port",
		Sentence: "{untried}: another program holds the port that it needs.{why}{hint}",
		Do:       "stop the other VPN program and run the check again",
	},
	probe.OSRefuses: {
		Short:    "this operating system does not allow the test",
		Sentence: "{untried}: this operating system does not allow packets of this kind.{why}{hint}",
		Do:       "run vpncheck on another computer behind the same router",
	},
	probe.ServerNotListening: {
		Short:    "the test server does not listen for that",
		Sentence: "{untried}: the test server does not listen for it.{why}",
		Do:       "ask the one who runs the test server to switch it on",
	},
	probe.IPv4Only: {
		Short:    "that is tried over IPv4 only, and this check ran over IPv6",
		Sentence: "{untried}: vpncheck speaks it over IPv4 only, and this check ran over IPv6.",
		Do:       "run the check again over IPv4",
	},
	probe.CouldNotAsk: {
		Short:    "something here stood in the way",
		Sentence: "{untried}: something on this laptop or at the server stood in the way.{why}{hint}",
		Do:       "run the check again; if this stays, send the report along",
	},
	probe.NoSession: {
		Short:    "the test server could not be reached",
		Sentence: "{untried}: no connection to {server} came about.{why}",
		Do:       "see that the internet works here, then check the connection string",
	},
	probe.CaptivePortal: {
		Short:    "this network wants you to sign in first",
		Sentence: "{untried}: this network answers in the server's place until you sign in{portal}.",
		Do:       "open a web page, sign in to this network, and run the check again",
		Next: "Open any web page that begins with http:// (such as http://neverssl.com), sign in or accept the terms, and run the check " +
			"again.",
	},
	probe.ActiveVPN: {
		Short: "a VPN is already active on this laptop",
		Sentence: "{untried}: a VPN is active on this laptop{vpn}, and the way to the server leads through it. Inside a VPN everything " +
			"passes, so the check would say nothing about the router.",
		Do: "disconnect that VPN and run the check again",
	},
	probe.ServerHairpin: {
		Short: "the test server is behind your own router",
		Sentence: "{untried}: the test server stands behind the same router as this laptop, or this laptop gets to it through a VPN of that very " +
			"server. So packets would not take the way over the internet that a VPN's take.",
		Do: "run the check from another network, such as a phone's hotspot",
	},
	probe.ServerOnLink: {
		Short: "the test server is in your own network",
		Sentence: "{untried}: the test server is in the laptop's own network or behind the same router, so packets would not go through " +
			"the router as they do to a VPN.",
		Do: "use a test server out on the internet",
	},
}
