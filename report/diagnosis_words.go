package report

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"vpncheck/probe"
)

// Reasons of diagnoses. Once released they keep their meaning, as those of verdicts do.
const (
	laptopRefuses          probe.Reason = "laptop-refuses-to-send"
	laptopDrops            probe.Reason = "answers-at-the-laptops-card"
	laptopRefusesAnswers   probe.Reason = "laptop-refuses-answers"
	serverDrops            probe.Reason = "at-the-servers-card"
	ahAndNAT               probe.Reason = "ah-behind-nat"
	leaked                 probe.Reason = "untranslated"
	refusedByLaptop        probe.Reason = "refused-by-laptop"
	refusedByRouter        probe.Reason = "refused-by-router"
	refusedNearby          probe.Reason = "refused-nearby"
	refusedByISP           probe.Reason = "refused-by-provider"
	refusedSomewhere       probe.Reason = "refused-somewhere"
	noMappingInRouter      probe.Reason = "no-mapping-in-router"
	noMappingInSecondNAT   probe.Reason = "no-mapping-in-second-nat"
	refusedBackByISP       probe.Reason = "answers-refused-by-provider"
	answeredNearby         probe.Reason = "answered-nearby"
	answeredSomewhere      probe.Reason = "answered-somewhere"
	countedOut             probe.Reason = "left-the-router"
	countedOutBeyond       probe.Reason = "left-the-router-second-nat"
	notCountedOut          probe.Reason = "never-left-the-router"
	countedIn              probe.Reason = "answers-reached-the-router"
	countedInUnwatched     probe.Reason = "answers-reached-the-router-card-not-watched"
	notCountedOutUnwatched probe.Reason = "never-left-the-router-card-not-watched"
	notCountedIn           probe.Reason = "answers-never-reached-the-router"
	notCountedInBeyond     probe.Reason = "answers-never-reached-the-router-second-nat"
	passedRouter           probe.Reason = "passed-the-router"
	passedRouterBeyond     probe.Reason = "passed-the-router-second-nat"
	lastIsSecondNAT        probe.Reason = "came-as-far-as-the-second-nat"
	noHelper               probe.Reason = "no-helper"
	noHelperInSecond       probe.Reason = "no-helper-in-second-nat"
	noHelperAnywhere       probe.Reason = "no-helper-in-either-nat"
	twoAddresses           probe.Reason = "two-addresses"
	twoAddressesBeyond     probe.Reason = "two-addresses-beyond-the-router"
	forwardedElsewhere     probe.Reason = "forwarded-elsewhere"
	cloudCannot            probe.Reason = "cloud-cannot"
	unprovenServer         probe.Reason = "none-arrived-from-anyone"
	unknownWho             probe.Reason = "undecided"
	hostsNAT               probe.Reason = "behind-the-hosts-nat"
)

// An accusation is what may be said for a reason. The culprit belongs to the reason, and who is accused is said by code, from the culprit
// alone: facts say what was seen, and accuse nobody. So no sentence can name another than the culprit.
type accusation struct {
	culprit Culprit
	facts   func(a args) string
}

var accusations = map[probe.Reason]accusation{
	laptopRefuses: {CulpritLaptop, func(a args) string { return "its system refused to send " + each(a) }},
	laptopDrops: {CulpritLaptop, func(a args) string {
		return fmt.Sprintf("%s, and %.0f of its %s came to this laptop's network card, but to no program", reached(a), a.count("count"), answers(a))
	}},
	laptopRefusesAnswers: {CulpritLaptop, func(a args) string {
		return "it told the server" + byICMP(a) + " that it does not take the " + answers(a) + "; " + reached(a)
	}},
	serverDrops: {CulpritServer, func(a args) string {
		return fmt.Sprintf("%.0f of %s came to the server's network card, but to no program there", a.count("count"), packets(a))
	}},
	ahAndNAT: {CulpritNobody, func(args) string { return "AH signs the addresses in its packets, and every NAT has to change them" }},
	leaked: {CulpritRouter, func(a args) string {
		return fmt.Sprintf("%s, but from %s, this laptop's private address, which nobody out there can answer", reached(a), named(a, "from", "somebody"))
	}},
	refusedByLaptop: {CulpritLaptop, func(a args) string { return "it refused " + someOf(a) + byICMP(a) }},
	refusedByRouter: {CulpritRouter, func(a args) string { return "it refused " + someOf(a) + byICMP(a) }},
	refusedNearby: {CulpritRouter, func(a args) string {
		return someOf(a) + " were refused in the server's name" + byICMP(a) + ", but the server saw none of them, and the refusal crossed no router on its way here"
	}},
	refusedByISP: {CulpritISP, func(a args) string {
		return someOf(a) + " were refused by " + named(a, "from", "somebody") + ", a router out on the internet," + byICMP(a)
	}},
	refusedSomewhere: {CulpritUnknown, func(a args) string {
		return someOf(a) + " were refused in the name of " + named(a, "from", "somebody") + byICMP(a) + ", and the server saw none of them"
	}},
	noMappingInRouter:    {CulpritRouter, noMapping},
	noMappingInSecondNAT: {CulpritSecondNAT, noMapping},
	refusedBackByISP: {CulpritISP, func(a args) string {
		return reached(a) + ", and " + named(a, "from", "somebody") + ", a router out on the internet, refused the " + answers(a) + byICMP(a)
	}},
	answeredNearby: {CulpritRouter, func(a args) string {
		return reached(a) + ", and the answers that came all the same crossed no router: they were made next to this laptop"
	}},
	answeredSomewhere: {CulpritUnknown, func(a args) string {
		return reached(a) + ", and what answered all the same is not the server"
	}},
	countedOut:             {CulpritISP, leftRouter},
	countedOutBeyond:       {CulpritUnknown, leftRouter},
	notCountedOut:          {CulpritRouter, neverLeft},
	notCountedOutUnwatched: {CulpritUnknown, neverLeft},
	countedIn:              {CulpritRouter, cameIn},
	countedInUnwatched:     {CulpritUnknown, cameIn},
	notCountedIn:           {CulpritISP, notAtOutside},
	notCountedInBeyond:     {CulpritUnknown, notAtOutside},
	passedRouter:           {CulpritISP, seenBeyond},
	passedRouterBeyond:     {CulpritUnknown, seenBeyond},
	lastIsSecondNAT: {CulpritSecondNAT, func(a args) string {
		return fmt.Sprintf("%s, but they get as far as %s, the last router before the server, whose address on your side is not a public one: it is a NAT", reached(a), named(a, "from", "somebody"))
	}},
	noHelper: {CulpritRouter, func(a args) string {
		return reachedNoneBack(a) + ", and no device on the way translates PPTP's call numbers (PPTP passthrough)"
	}},
	noHelperInSecond: {CulpritSecondNAT, func(a args) string {
		return reachedNoneBack(a) + ", and one NAT on the way translates PPTP's call numbers: so there is another that does not"
	}},
	noHelperAnywhere: {CulpritUnknown, func(a args) string {
		return reachedNoneBack(a) + ", and neither of the two NATs on the way translates PPTP's call numbers (PPTP passthrough)"
	}},
	twoAddresses: {CulpritUnknown, func(args) string { return "its set-up and its data reach the server from different addresses" }},
	twoAddressesBeyond: {CulpritSecondNAT, func(a args) string {
		return "its set-up and its data reach the server from different addresses, and neither is " + named(a, "outer", "the address") + ", your router's own"
	}},
	forwardedElsewhere: {CulpritRouter, func(a args) string {
		port := "every port"
		if n := a.count("port"); n > 0 {
			port = fmt.Sprintf("%s port %.0f", a.text("proto", 10), n)
		}
		return fmt.Sprintf("it forwards %s, to which the answers come, to %s; %s", port, named(a, "to", "another device"), noneCameBack(a))
	}},
	cloudCannot: {CulpritServer, func(a args) string {
		return fmt.Sprintf("%s, nor did anyone else's, and it stands at %s, whose network does not carry %s", reached(a), Provider(named(a, "name", "a provider")), carrier(a))
	}},
	unprovenServer: {CulpritUnknown, func(a args) string { return reached(a) + ", and neither did anyone else's in the last 24 hours" }},
	unknownWho:     {CulpritUnknown, whatIsKnown},
	hostsNAT: {CulpritUnknown, func(a args) string {
		return whatIsKnown(a) + ", and this laptop is inside another machine, whose own NAT stands before the router"
	}},
}

func noMapping(a args) string {
	return "it told the server" + byICMP(a) + " that it has no place for the " + answers(a) + "; " + reached(a)
}

func leftRouter(a args) string {
	return fmt.Sprintf("of %s your router's own counter saw %.0f leave it, and none reached the server", howMany(a, "sent"), a.count("counted"))
}

func neverLeft(a args) string {
	return fmt.Sprintf("of %s the router's own counter saw %.0f leave it, and none reached the server", howMany(a, "sent"), a.count("counted"))
}

func cameIn(a args) string {
	return fmt.Sprintf("of the server's %s the router's own counter saw %.0f come in from outside, and none reached this laptop",
		number(a, "sent", "answer", "answers"), a.count("counted"))
}

func notAtOutside(a args) string {
	return fmt.Sprintf("%s, and by the router's own counter none of the server's %s reached your router's outside", reached(a), number(a, "sent", "answer", "answers"))
}

func seenBeyond(a args) string {
	return fmt.Sprintf("%s, but they get out of your router: %s, router number %.0f on the way, still saw them", reached(a), named(a, "from", "somebody"), max(2, a.count("ttl")))
}

// whatIsKnown is all that can be said where nothing tells who did it.
func whatIsKnown(a args) string {
	switch v := probe.Verdict(a.text("verdict", 20)); {
	case v == probe.BlockedBack:
		return noneCameBack(a)
	case v == probe.Stalled && a.yes("full_size"):
		return "small packets get through, and large ones vanish"
	case v == probe.Stalled:
		return "it begins well and then stops, and again on a fresh try"
	case v == probe.Altered:
		return "what arrives is not what was sent"
	}
	return reached(a)
}

// number is a count with its noun, "packets" where the count is not known.
func number(a args, key, one, more string) string {
	if n := a.count(key); n > 0 {
		return count(n, one, more)
	}
	return more
}

// named is an address or a name, or what stands for one.
func named(a args, key, other string) string { return cmp.Or(a.text(key, 60), other) }

func packets(a args) string { return howMany(a, "tries") }

// howMany is "6 ESP packets".
func howMany(a args, key string) string {
	what := a.text("packets", 60)
	if what == "" {
		what = "packets"
	}
	switch n := a.count(key); {
	case n == 1:
		return "1 " + strings.Replace(what, "packets", "packet", 1)
	case n > 0:
		return thousands(n) + " " + what
	}
	return what
}

func each(a args) string {
	if a.count("tries") > 1 {
		return "all " + packets(a)
	}
	return strings.TrimPrefix(packets(a), "1 ")
}

// reached is "none of 6 ESP packets reached the server".
func reached(a args) string {
	n, all := a.count("arrived"), a.count("tries")
	switch {
	case all == 0:
		return packets(a) + " were sent"
	case n == 0 && all == 1:
		return "the only " + strings.TrimPrefix(packets(a), "1 ") + " did not reach the server"
	case n == 0:
		return "none of " + packets(a) + " reached the server"
	}
	return fmt.Sprintf("%.0f of %s reached the server", n, packets(a))
}

func answers(a args) string { return number(a, "replied", "answer", "answers") }

// reachedNoneBack is "6 of 6 ESP packets reached the server, none of its 6 answers came back".
func reachedNoneBack(a args) string {
	if n := a.count("returned"); n > 0 {
		return fmt.Sprintf("%s, only %.0f of its %s came back", reached(a), n, answers(a))
	}
	return fmt.Sprintf("%s, none of its %s came back", reached(a), answers(a))
}

// noneCameBack is the same as a whole sentence.
func noneCameBack(a args) string {
	return reached(a) + " and" + strings.TrimPrefix(reachedNoneBack(a), reached(a)+",")
}

func someOf(a args) string {
	n, all := a.count("count"), a.count("tries")
	if n == 0 || n > all {
		return packets(a)
	}
	return fmt.Sprintf("%.0f of %s", n, packets(a))
}

func byICMP(a args) string {
	if says := a.text("says", 60); says != "" {
		return " by ICMP (" + says + ")"
	}
	return ""
}

// who names a culprit as the subject of a sentence.
func who(c Culprit, router string) string {
	switch c {
	case CulpritLaptop:
		return "this laptop itself"
	case CulpritRouter:
		return yours(router)
	case CulpritSecondNAT:
		return "a second NAT beyond your router"
	case CulpritISP:
		return "your internet provider"
	case CulpritServer:
		return "the server's own side"
	case CulpritNobody:
		return "nobody"
	case CulpritVPNServer:
		return "your VPN's own server"
	}
	return "somebody on the way"
}

// yours is "your router", or "your FRITZ!Box 7590".
func yours(router string) string {
	if plainName.MatchString(router) {
		return "your " + router
	}
	return "your router"
}

// does says what was done to a protocol, after who did it.
func does(v probe.Verdict, title string) string {
	switch v {
	case probe.Altered:
		return "changes " + title + " on the way"
	case probe.Stalled:
		return "cuts " + title + " off"
	case probe.Hijacked:
		return "answers " + title + " in the server's place"
	}
	return "stops " + title
}

// sentence accuses the culprit, and nobody else, and says the facts. A reason of a newer version has no facts here.
func (d Diagnosis) sentence() string {
	a := args(d.Args)
	facts := ""
	if known, ok := accusations[d.Reason]; ok {
		facts = ": " + known.facts(a)
		switch port := a.count("same_port"); {
		case a.yes("all_udp"):
			facts = ": no UDP gets through, and " + known.facts(a)
		case port > 0:
			facts = fmt.Sprintf(": nor does %s get through UDP port %.0f, and %s", name(a.text("beside", 40)), port, known.facts(a))
		}
	}
	return capital(d.accuses(a)) + facts + "."
}

func (d Diagnosis) accuses(a args) string {
	title := a.text("title", 40)
	if title == "" {
		title = "it"
	}
	act := does(probe.Verdict(a.text("verdict", 20)), title)
	switch {
	case d.Culprit == CulpritNobody:
		return "nobody is at fault that " + title + " fails"
	case d.Culprit == CulpritUnknown && len(d.Suspects) > 0:
		return "whether " + either(d.Suspects, a.text("router", 40)) + " " + act + " is not known"
	case d.Culprit == CulpritUnknown:
		return "who " + act + " is not known"
	case d.Confidence == Certain:
		return who(d.Culprit, a.text("router", 40)) + " " + act
	}
	return "most likely " + who(d.Culprit, a.text("router", 40)) + " " + act
}

// Who names the culprit and how sure that is, "your router (certain)", or says who it may be.
func (d Diagnosis) Who() string {
	a := args(d.Args)
	switch {
	case d.Culprit == CulpritUnknown && len(d.Suspects) > 1:
		return either(d.Suspects, a.text("router", 40)) + "; what was seen does not tell which"
	case d.Culprit == CulpritUnknown:
		return "not known"
	}
	name, sure := who(d.Culprit, a.text("router", 40)), Clean(string(d.Confidence), 20)
	if sure == "" {
		return name
	}
	return name + " (" + sure + ")"
}

// either lists suspects: "your router or your internet provider".
func either(suspects []Culprit, router string) string {
	var names []string
	for i, s := range suspects {
		if s == CulpritSecondNAT && i > 0 && suspects[i-1] == CulpritRouter {
			names = append(names, "a second NAT beyond it")
			continue
		}
		names = append(names, who(s, router))
	}
	if n := len(names); n > 1 {
		return strings.Join(names[:n-1], ", ") + " or " + names[n-1]
	}
	return strings.Join(names, "")
}

// next is what to do about a culprit.
func (d Diagnosis) next() string {
	a := args(d.Args)
	title := a.text("title", 40)
	switch d.Culprit {
	case CulpritLaptop:
		return "Look at the firewall or security software of this laptop. The router is not to blame for this."
	case CulpritRouter:
		if d.Reason == forwardedElsewhere {
			return "Remove that forwarding in the settings of " + yours(a.text("router", 40)) + "."
		}
		return "Look in the settings of " + yours(a.text("router", 40)) + ", or ask its maker."
	case CulpritSecondNAT:
		if a.yes("shared") {
			return "Ask your internet provider for a public IPv4 address of your own: no setting of yours changes its NAT."
		}
		return "If there are two routers in a row, make one of them a plain modem (\"bridge mode\"). If the second NAT is your internet provider's, ask for a public " +
			"IPv4 address of your own."
	case CulpritISP:
		return "Read this to your internet provider's help desk."
	case CulpritServer:
		return "Send this report to the one who runs the server."
	case CulpritNobody:
		return "Nothing: use ESP with NAT-T instead."
	}
	switch {
	case d.Reason == twoAddresses:
		return "Ask your internet provider whether you share a public address with its other customers (CGNAT)."
	case a.yes("inside"):
		return "Run it once on the computer itself, outside of the virtual machine or container: if " + title + " works there, its own NAT stops it."
	case slices.Contains(d.Suspects, CulpritLaptop):
		return "Run it once with this laptop's own firewall switched off; if " + title + " fails as before, run it once through your phone's hotspot."
	case slices.Contains(d.Suspects, CulpritServer):
		return "Run it once from another internet connection, your phone's hotspot for example: if " + title + " reaches the server from there, it is not the server."
	case slices.Contains(d.Suspects, CulpritRouter):
		return "Run it once through your phone's hotspot: if " + title + " works there, begin with your router; if it fails there too, it is hardly your router alone."
	}
	return "Read this to your internet provider's help desk."
}
