package report

import (
	"fmt"

	"vpncheck/probe"
)

// witnessEvidence makes the sentences about what the witnesses saw: ICMP, hops, the router's own word and counters, the server's machine.
var witnessEvidence = map[probe.Reason]func(a args, fa facts) string{
	probe.EvICMP:      sayICMP,
	probe.EvHop:       sayHop,
	probe.EvTrain:     sayTrain,
	probe.EvForward:   sayForward,
	probe.EvCloud:     sayCloud,
	probe.EvOwner:     sayOwner,
	probe.EvRandom:    sayRandom,
	probe.EvLinkPort:  sayLinkPort,
	probe.EvPace:      sayPace,
	probe.EvUneven:    sayUneven,
	probe.EvFullSize:  sayFullSize,
	probe.EvTooEarly:  sayTooEarly,
	probe.EvOthers:    sayOthers,
	probe.EvNATs:      sayNATs,
	probe.EvInside:    sayInside,
	probe.EvFamily:    sayFamily,
	probe.EvSources:   saySources,
	probe.EvSixToFour: sayFromSix,
}

func sayICMP(a args, _ facts) string {
	heard := "This laptop"
	if a.text("at", 10) == "server" {
		heard = "The server"
	}
	what := icmpSays(int(a.count("type")), int(a.count("code")))
	from := ""
	if f := a.text("from", 60); f != "" {
		from = " in the name of " + f
	}
	text := fmt.Sprintf("%s was told %s by ICMP%s: %s.", heard, times(a.count("count")), from, what)
	if a.yes("forged") {
		text += " That is not who sent it: it crossed no router on its way here."
	}
	return text
}

// times says how often.
func times(n float64) string {
	switch {
	case n <= 1:
		return "once"
	case n == 2:
		return "twice"
	}
	return fmt.Sprintf("%.0f times", n)
}

// icmpSays is what an ICMP error says (RFC 792, RFC 1812).
func icmpSays(kind, code int) string {
	says := map[int]string{0: "network unreachable", 1: "host unreachable", 2: "protocol unreachable", 3: "port unreachable",
		9: "prohibited", 10: "prohibited", 13: "prohibited"}[code]
	if kind == 3 && says != "" {
		return says
	}
	return fmt.Sprintf("type %d, code %d", kind, code)
}

func sayHop(a args, _ facts) string {
	from := ""
	if f := a.text("from", 60); f != "" {
		from = " (" + f + ")"
	}
	return fmt.Sprintf("Packets that could cross only %s were answered by the router there%s%s: so far they get.",
		count(max(0, a.count("ttl")-1), "router", "routers"), from, of(a.count("answers"), a.count("asked")))
}

func sayTrain(a args, _ facts) string {
	sent := a.count("sent")
	if a.text("way", 10) == probe.WayBack {
		return fmt.Sprintf("The server answered %s; the router's own counter of what comes in from outside grew by %.0f, and %.0f reached this laptop.",
			count(sent, "packet", "packets"), a.count("counted"), a.count("arrived"))
	}
	return fmt.Sprintf("This laptop sent %s; the router's own counter of what it sends out grew by %.0f, and %.0f reached the server.",
		count(sent, "packet", "packets"), a.count("counted"), a.count("arrived"))
}

func sayForward(a args, _ facts) string {
	port := "every port"
	if n := a.count("port"); n > 0 {
		port = fmt.Sprintf("port %.0f", n)
	}
	proto, to := a.text("proto", 10), a.text("to", 60)
	if proto != "" {
		proto = " (" + proto + ")"
	}
	if to == "" {
		to = "another device"
	}
	return fmt.Sprintf("The router has a forwarding: what comes from outside for %s%s goes to %s.", port, proto, to)
}

func sayCloud(a args, fa facts) string {
	name := Provider(a.text("name", 60))
	if name == "" {
		name = "a cloud provider"
	}
	if a.yes("cannot") {
		return fmt.Sprintf("The server stands at %s, whose network does not carry %s, whatever its firewall says.", name, carrier(a))
	}
	return fmt.Sprintf("The server stands at %s, whose network carries %s only where a firewall rule of its customer's lets that protocol in.", name, carrier(a))
}

func sayOwner(a args, _ facts) string {
	owner := a.text("owner", 80)
	if owner == "" {
		owner = "another program"
	}
	return fmt.Sprintf("On the server, %s takes %s too, and may answer in the test's place.", owner, carrier(a))
}

func sayRandom(a args, _ facts) string {
	asked, arrived, returned := a.count("asked"), a.count("arrived"), a.count("returned")
	to := ""
	if n := a.count("port"); n > 0 {
		over := "UDP"
		if a.text("over", 10) == "tcp" {
			over = "TCP"
		}
		to = fmt.Sprintf(" to %s port %.0f", over, n)
	}
	fared := fmt.Sprintf("Random octets%s: of %.0f, %.0f arrived at the server and %s came back", to, asked, arrived,
		count(returned, "answer", "answers"))
	if n := a.count("openings"); n > 0 {
		fared += fmt.Sprintf("; of %.0f genuine openings at that time, %.0f arrived and %s came back", n, a.count("openings_arrived"),
			count(a.count("openings_returned"), "answer", "answers"))
	}
	switch {
	case a.yes("content"):
		return fared + ". Something looks inside the packets."
	case arrived == 0 && returned == 0:
		return fared + ". It is not what is in the packets."
	}
	return fared + ". That does not tell why."
}

func sayLinkPort(a args, fa facts) string {
	port := "the same port"
	if n := a.count("port"); n > 0 {
		port = fmt.Sprintf("TCP port %.0f", n)
	}
	return "This check's own connection to " + port + " of the server was open all the while, and carried what was sent on it. So it is not the port."
}

func sayPace(a args, _ facts) string {
	asked, returned := a.count("asked"), a.count("returned")
	if returned > 0 {
		return fmt.Sprintf("At one packet a second it gets through%s; faster, something on the way cuts it off (a rate limit).", of(returned, asked))
	}
	return fmt.Sprintf("At one packet a second it fares no better%s: that is no rate limit.", of(returned, asked))
}

func sayUneven(a args, _ facts) string {
	return fmt.Sprintf("It loses more than the line does: %.0f of %.0f, while of other packets %.0f of %.0f were lost.",
		a.count("lost"), a.count("tries"), a.count("control_lost"), a.count("control"))
}

func sayFullSize(a args, _ facts) string {
	size := ""
	if n := a.count("octets"); n > 0 {
		size = fmt.Sprintf(" (%s octets)", thousands(n))
	}
	if a.yes("opening") {
		size += ", as those with certificates are,"
	}
	if a.text("way", 10) == "back" {
		return "Large answers" + size + " do not come back, while small ones do."
	}
	return "Large packets" + size + " do not reach the server, while small ones do."
}

func sayTooEarly(a args, _ facts) string {
	ago := "less than ten minutes ago"
	if n, ok := a.number("minutes"); ok && n > 0 {
		ago = "less than " + count(n, "minute", "minutes") + " ago"
	}
	return "Too early to trust: a setting of the router was changed " + ago + ", and the router may still act by the old one. Restart it, or wait " +
		"ten minutes (600 seconds) without any VPN, and run the check again."
}

func sayOthers(a args, _ facts) string {
	n, ago := a.count("count"), ""
	if m, ok := a.number("minutes"); ok {
		ago = ", the last one less than " + count(m, "minute", "minutes") + " ago"
	}
	return fmt.Sprintf("From behind the same public address, %s within the last ten minutes%s: what the router remembers of it can stand in the way of ESP, AH and GRE.",
		count(n, "other run asked this server", "other runs asked this server"), ago)
}

func sayNATs(a args, _ facts) string { return natText(a) }
