package report

import (
	"slices"
	"strings"

	"vpncheck/probe"
)

// accuse fits the words to who did it, as far as that is known.
func (fa *facts) accuse(d *Diagnosis, r probe.Reason) {
	blocked := fa.fill["out"]
	if r == probe.TCPReset || r == probe.TCPRefused || r == probe.TCP1723Dropped {
		blocked = "TCP port 1723"
		if fa.tcp {
			blocked = fa.fill["port"]
		}
	}
	fa.blame, fa.charge, fa.router, fa.laptop = CulpritUnknown, "", "", false
	who := either([]Culprit{CulpritRouter, CulpritISP}, "")
	if d != nil {
		fa.blame, fa.charge, fa.router = d.Culprit, d.Reason, args(d.Args).text("router", 40)
		who = d.subject(fa.router)
		fa.laptop = d.Culprit == CulpritUnknown && slices.Contains(d.Suspects, CulpritLaptop)
	}
	fa.fill["who"], fa.fill["Who"] = who, capital(who)
	fa.fill["ifnone"] = " If there is none, ask your internet provider whether it blocks " + blocked + "."
	fa.fill["whose"] = " To learn whether it is the router or your internet provider, run the check again through a phone's hotspot."
	fa.fill["inspects"] = " If the router is your own, look in it for \"application control\" or \"parental control\" first. To learn whether it is this " +
		"network, run the check again through a phone's hotspot."
	if _, ok := elsewhere[fa.blame]; ok {
		fa.fill["inspects"] = ""
	}
	if fa.blame == CulpritRouter {
		fa.fill["ifnone"] = " If there is none, update its firmware, or use another router."
	}
	if fa.blame != CulpritUnknown {
		fa.fill["whose"] = ""
	}
}

// subject names whom a diagnosis accuses, or its suspects.
func (d *Diagnosis) subject(router string) string {
	switch {
	case d.Culprit == CulpritUnknown && len(d.Suspects) > 0:
		return either(d.Suspects, router)
	case d.Culprit == CulpritUnknown || d.Culprit == CulpritNobody:
		return either([]Culprit{CulpritRouter, CulpritISP}, router)
	case d.Confidence == Certain:
		return who(d.Culprit, router)
	}
	return "most likely " + who(d.Culprit, router)
}

// blames are the reasons whose words name a culprit themselves. Where the evidence names another, or none, the words of the plainer reason
// beside it are used.
var blames = map[probe.Reason]struct {
	culprit Culprit
	plain   probe.Reason
}{
	probe.NoPPTPHelper:      {CulpritRouter, probe.GREBackDropped},
	probe.SecondNATNoHelper: {CulpritSecondNAT, probe.GREBackDropped},
	probe.ServerUnproven:    {CulpritServer, probe.NoArrival},
}

// plainer returns the reason whose words fit the culprit.
func (fa facts) plainer(r probe.Reason) probe.Reason {
	b, ok := blames[r]
	switch {
	case !ok || fa.blame == "" || fa.blame == b.culprit, r == probe.ServerUnproven && fa.blame == CulpritUnknown:
		return r
	}
	return b.plain
}

// ownAdvice are the reasons whose advice holds whoever did it.
var ownAdvice = []probe.Reason{
	probe.AHThroughNAT, probe.AHOutDropped, probe.AHBackDropped, probe.UDPFiltered, probe.SecondNATNoHelper, probe.AddressesDiffer, probe.LaptopFirewall,
	probe.LaptopDropsAnswers, tooBig, probe.NoRoute, probe.UDPContentDropped, probe.UDPContentBackDropped, probe.TCPContentDropped, probe.TCPContentBackDropped,
	probe.ServerFirewall, probe.ServerUnproven, probe.StateClash, probe.PortClash,
}

// elsewhere is what to do where neither the router nor its settings can help.
var elsewhere = map[Culprit]Words{
	CulpritLaptop: {
		Do: "look at this laptop's own firewall or security software",
		Next: "Look at the firewall or security software of this laptop, or switch it off while you run the check again. The router is not to blame " +
			"for this.",
	},
	CulpritSecondNAT: {
		Do: "make a second router a plain modem, or ask for an IPv4 of your own",
		Next: "If you have two routers in a row, make one of them a plain modem (\"bridge mode\"). If the second NAT is your internet provider's, ask " +
			"for a public IPv4 address of your own, or use a VPN of another kind, such as {instead}.",
	},
	CulpritISP: {
		Do:   "tell your internet provider, or use {other}",
		Next: "Read to your internet provider's help desk what is said here of who did it, or use a VPN of another kind, such as {instead}.",
	},
	CulpritServer: {
		Do:   "tell the one who runs the test server; your router is not to blame",
		Next: "Send this report to the one who runs the test server: something there, or at its hosting provider, stops it. Your router is not to blame.",
	},
}

// sharedNAT is what to do about a provider's own NAT: there is no second router to set.
var sharedNAT = Words{
	Do: "ask your internet provider for a public IPv4 address of your own",
	Next: "Ask your internet provider for a public IPv4 address of your own: no setting of yours changes its NAT. Or use a VPN of another kind, such " +
		"as {instead}.",
}

// fit replaces advice about the router where somebody else did it.
func (w Words) fit(r probe.Reason, fa facts) Words {
	other, ok := elsewhere[fa.blame]
	if fa.blame == CulpritSecondNAT && fa.shared {
		other = sharedNAT
	}
	switch {
	case fa.charge == cloudCannot:
		return w.over(Words{Do: "use a test server at another provider: this one's network cannot",
			Next: "Use a test server at another hosting provider: this one's network does not carry {title}, whatever its firewall says. Your router is not to blame."})
	case fa.charge == forwardedElsewhere && fa.fill["forwarded"] != "":
		return w.over(Words{Do: "remove the forwarding in your router that takes {forwarded}",
			Next: "Remove the forwarding in your router that takes {forwarded} to another device, restart the router, and run the check again."})
	case fa.blame == CulpritUnknown:
		return w.unsure(r, fa)
	case !ok || slices.Contains(ownAdvice, r):
		return w
	}
	switch {
	case r == probe.ESPOutDropped || r == probe.ESPBackDropped:
		if fa.beside["natt"] == works && fa.behindNAT {
			return w.over(Words{Next: "Nothing: NAT-T gets through. This laptop is behind a NAT, so IPsec uses NAT-T and does not miss plain ESP."})
		}
		return w.over(Words{Next: "Let your VPN use NAT-T (UDP port 4500), which needs no plain ESP.{natt} " + other.Next})
	case r == probe.ZeroChecksum && fa.blame == CulpritISP:
		return w.over(Words{Do: "use {otherkind}, and tell your internet provider",
			Next: "Tell your internet provider that UDP packets with checksum 0 are lost (RFC 3948), or use a VPN of another kind, such as {nonipsec}."})
	case fa.port == 1701:
		other.Do = "nothing for L2TP/IPsec; else use another VPN"
		other.Next = "Nothing, if yours is L2TP/IPsec, as in Windows, macOS and phones. If it is L2TP without IPsec: " + other.Next
	case fa.port == 500:
		other.Next += "{via4500}"
	}
	return w.over(other)
}

// named puts the router's name into advice, once.
func (w Words) named(router string) Words {
	if plainName.MatchString(router) {
		w.Do, w.Next = strings.Replace(w.Do, "your router", yours(router), 1), strings.Replace(w.Next, "your router", yours(router), 1)
	}
	return w
}
