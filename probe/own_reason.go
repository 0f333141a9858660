package probe

// Reasons of what came of asking the person's own VPN server (Answered).
const (
	// passed: an answer proves both directions.
	OwnDeclined Reason = "own-declined" // args: said: it answered with a no in its protocol's own words
	// blocked-out
	OwnRefused         Reason = "own-refused"          // args: how, port, over: a reset or an ICMP error in the server's name
	OwnRefusedOnTheWay Reason = "own-refused-by-other" // args: how, from, port, over: an ICMP error in another's name
	// inconclusive
	OwnSilent        Reason = "own-silent"         // args: tries, seconds, port, over; no companion to compare with
	OwnSilentCarried Reason = "own-silent-carried" // args: as own-silent, and carried: this network carries it to the companion (vpn-server)
	OwnSilentNetwork Reason = "own-silent-network" // args: as own-silent, and protocol, verdict: nor does it get through to the companion
	OwnSilentUnsure  Reason = "own-silent-unsure"  // args: as own-silent, and protocol, verdict: the companion decided nothing about it
	// It may be silent to strangers by design: OpenVPN with tls-auth or tls-crypt, L2TP that wants IPsec around it. args: as own-silent, and
	// carried where the network carries it.
	OwnSilentByDesign Reason = "own-silent-by-design"
	OwnStopped        Reason = "own-stopped" // args: stage, tries, seconds: it answered, and then no more
	OwnNoGRE          Reason = "own-no-gre"  // args: tries, seconds, carried: PPTP's call stands, and no GRE comes of it
	OwnNotIt          Reason = "own-another" // args: what: something else than this protocol answers at the port
	// untested: no-privilege, port-held, os-refuses, ipv4-only, could-not-ask, interrupted, as for a protocol; and those of Own.Why
)

// Reasons of evidence about the person's own VPN server.
const (
	EvOwnAnswered  Reason = "own-answered"     // args: stage: it answered this step
	EvOwnServerNAT Reason = "own-server-nat"   // args: address: by its own NAT detection the server stands behind a NAT (F03)
	EvOwnClientNAT Reason = "own-client-nat"   // by the server's NAT detection this laptop does
	EvOwnControl   Reason = "own-control-only" // args: why, hint: PPTP's control connection alone was asked, GRE was not
	EvOwnStandsIn  Reason = "own-stands-in"    // args: port, why, hint: not from the stock client's port
	EvOwnDespite   Reason = "own-despite"      // args: protocol, verdict: the companion's conversation of the same protocol did not get through
	EvOwnStranger  Reason = "own-stranger"     // args: count, from: packets in its name that are no answer
)
