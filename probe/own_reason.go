package probe

// Reasons of what came of asking the person's own VPN server (Answered). Those of an opening that is untested are a protocol's: no-privilege,
// port-held, os-refuses, ipv4-only, could-not-ask, interrupted, time-up. One that the laptop's own firewall stops is laptop-firewall.
const (
	// passed: an answer proves both directions. No reason: it answered all that was asked.
	OwnDeclined Reason = "own-declined" // args: said: it answered with a no, in its protocol's own words
	// blocked-out
	OwnRefused      Reason = "own-refused"        // args: how, port, over: in its name, by a reset or an ICMP error: nothing listens, or a firewall refuses in its name; protocol, verdict where the companion's did not get through either
	OwnRefusedOnWay Reason = "own-refused-on-way" // args: how, from, port, over: by an ICMP error in another's name
	// inconclusive
	OwnSilent         Reason = "own-silent"           // args: tries, seconds, port, over: and there is no companion to compare with
	OwnSilentCarried  Reason = "own-silent-carried"   // args: as own-silent, and protocol: this network carries the same to the companion (culprit: vpn-server)
	OwnSilentNetwork  Reason = "own-silent-network"   // args: as own-silent, and protocol, verdict: nor does it get through to the companion
	OwnSilentUnsure   Reason = "own-silent-unsure"    // args: as own-silent, and protocol, verdict: the companion decided nothing about it; with no protocol: it was another port
	OwnSilentByDesign Reason = "own-silent-by-design" // args: as own-silent, and carried (bool): it may be silent to strangers (OpenVPN with a TLS key, L2TP that wants IPsec around it)
	OwnStopped        Reason = "own-stopped"          // args: stage, tries, seconds, carried (bool), closed (bool): it answered, and then no more (carried: culprit vpn-server)
	OwnNoGRE          Reason = "own-no-gre"           // args: tries, seconds, carried (bool), verdict, how (if it was refused): PPTP's call stands, and nothing comes back in its tunnel (carried: culprit vpn-server)
	OwnGREOneWay      Reason = "own-gre-one-way"      // args: as own-no-gre: the server's own GRE comes, and ours is not answered
	OwnControlOnly    Reason = "own-control-only"     // args: reason, why, hint: PPTP's call was set up, and its tunnel (GRE) could not be asked
	OwnAnother        Reason = "own-another"          // args: said, port, over: something answers at the port, and does not speak the protocol
)

// Reasons of evidence about the person's own VPN server.
const (
	EvOwnAnswered  Reason = "own-answered"   // args: stage, title: it answered this step
	EvOwnServerNAT Reason = "own-server-nat" // args: address: by its own NAT detection the server stands behind a NAT (F03), or wants all in UDP
	EvOwnClientNAT Reason = "own-client-nat" // args: behind (bool): by the server's NAT detection this laptop stands behind a NAT, or does not
	EvOwnStandsIn  Reason = "own-stands-in"  // args: reason, why, hint: it was not asked from the stock client's port
	EvOwnDespite   Reason = "own-despite"    // args: protocol, verdict: the companion's conversation of the same protocol did not get through
	EvOwnStranger  Reason = "own-stranger"   // args: count: packets in its name that are no answer
)
