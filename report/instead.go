package report

import (
	"slices"
	"strings"
)

// What is known of a NAT on the way.
type natState int

const (
	natUnknown natState = iota
	isNAT
	noNAT
)

func (s setting) nat() natState {
	local, seen := s.circumstances.Laptop.Local.Unmap(), s.circumstances.Server.Client.Addr().Unmap()
	switch {
	case !local.IsValid() || !seen.IsValid():
		return natUnknown
	case local == seen:
		return noNAT
	}
	return isNAT
}

// through says what it is that lets things pass.
func (s setting) through() string {
	if s.nat() == noNAT {
		return " on this network"
	}
	return " through this router and internet provider"
}

func (s setting) noUDP() bool { return s.circumstances.Control.UDPFiltered() }

// choices are the kinds of VPN that people may be told to use instead, the best first: neither PPTP nor what has L2TP in it.
var choices = []struct{ id, title string }{
	{"ikev2", "IKEv2"}, {"wireguard", "WireGuard"}, {"openvpn-udp", "OpenVPN"}, {"openvpn-tcp", "OpenVPN over TCP"}, {"sstp", "SSTP"},
}

// fares is what this run knows of one of the choices, and whether it knows anything.
func (s setting) fares(id string) (outcome, bool) {
	switch {
	case s.asked[id]:
		return s.beside[id], true
	case s.noUDP() && slices.Contains(noTCP, id):
		return fails, true
	case id == "ikev2":
		return s.ikev2()
	}
	return undecided, false
}

// ikev2 is what its parts say of it where it was not asked as a whole: what speaks against one of them speaks against it.
func (s setting) ikev2() (outcome, bool) {
	k := works
	for _, id := range []string{"ike", "natt"} {
		switch {
		case s.asked[id] && s.beside[id] != works:
			return s.beside[id], true
		case !s.asked[id]:
			k = undecided
		}
	}
	return k, k == works
}

// noTCP are those of the choices that need UDP.
var noTCP = []string{"ikev2", "wireguard", "openvpn-udp"}

// known sorts the choices but these: those that work here, and those of which nothing is known.
func (s setting) known(but ...string) (good, open []string) {
	for _, c := range choices {
		k, asked := s.fares(c.id)
		switch {
		case slices.Contains(but, c.id):
		case asked && k == works && (c.id != "openvpn-tcp" || !slices.Contains(good, "OpenVPN")):
			good = append(good, c.title)
		case !asked && (c.id != "openvpn-tcp" || !slices.Contains(open, "OpenVPN")):
			open = append(open, c.title)
		}
	}
	return good, open
}

// lastResort gets through where nothing else does, and is not asked: OpenVPN's own port is another.
const lastResort = "OpenVPN over TCP port 443"

// names are those that work here, or else may, in few words.
func (s setting) names(but ...string) string {
	switch good, open := s.known(but...); {
	case len(good) > 0:
		return anyOf(good, 2)
	case len(open) > 0:
		return anyOf(open, 2)
	}
	return lastResort
}

// news are the same, and what this run knows of them.
func (s setting) news(but ...string) string {
	switch good, open := s.known(but...); {
	case len(good) == 1:
		return good[0] + " (it works here)"
	case len(good) > 1:
		return anyOf(good, 3) + " (they work here)"
	case len(open) > 0:
		return anyOf(open, 3) + " (not tested here)"
	}
	return lastResort + " (not tested here)"
}

// likeWeb names what looks like ordinary web traffic to those who look into packets.
func (s setting) likeWeb() string {
	switch k, asked := s.fares("sstp"); {
	case asked && k == works:
		return "SSTP (it works here)"
	case asked:
		return "OpenVPN with tls-crypt on TCP port 443"
	}
	return "SSTP or " + lastResort
}

// passing names what gets through those who look into packets: what was seen to come first, as the table of VPNs has it.
func (s setting) passing() string {
	if good, _ := s.known(); len(good) > 0 {
		return anyOf(good, 2)
	}
	return s.likeWeb()
}

// dodge says the same in full.
func (s setting) dodge() string {
	if good, _ := s.known(); len(good) > 0 {
		return "another VPN, such as " + s.news()
	}
	return "a VPN that looks like ordinary web traffic, such as " + s.likeWeb()
}

// orOther adds what else there is to another internet connection.
func (s setting) orOther() string {
	switch good, open := s.known(); {
	case len(good) > 0:
		return ", or use " + anyOf(good, 2)
	case len(open) > 0:
		return ", or another VPN"
	}
	return ", a phone's hotspot for example"
}

// anyOf is a list of which one is enough, of so many at most.
func anyOf(names []string, most int) string {
	names = names[:min(most, len(names))]
	if len(names) < 2 {
		return strings.Join(names, "")
	}
	return strings.Join(names[:len(names)-1], ", ") + " or " + names[len(names)-1]
}

// decided says that a VPN was asked as a whole and has a verdict of its own: that beats what its parts let one expect.
func (s setting) decided(id string) bool { return s.beside[id] == works || s.beside[id] == fails }

// l2tpInIPsec keeps the verdict on L2TP from being taken for one on L2TP/IPsec, where that has none of its own.
func (s setting) l2tpInIPsec() string {
	if _, ok := s.beside["l2tp"]; !ok {
		return ""
	}
	if s.decided("l2tp-ipsec") {
		return ""
	}
	ike, natt := s.beside["ike"] == fails, s.beside["natt"] == fails
	vpns := "L2TP/IPsec and IKEv2 VPNs"
	if s.decided("ikev2") {
		vpns = "L2TP/IPsec VPNs"
	}
	who := ""
	switch {
	case natt && s.nat() != noNAT, ike && natt:
		who = vpns + " fail here"
	case ike:
		who = "Most " + vpns + " fail here"
	case natt:
		who = vpns + " may fail here"
	default:
		return ""
	}
	if s.beside["l2tp"] == works {
		return who + ", though L2TP without IPsec works."
	}
	return who + "."
}

// withoutESP puts a block of ESP in proportion (F38).
func (s setting) withoutESP() string {
	if s.beside["esp"] != fails || s.beside["natt"] != works || s.nat() != isNAT {
		return ""
	}
	return "Without ESP, VPNs work all the same: behind a NAT they use NAT-T."
}

// an is the indefinite article before a title.
func an(title string) string {
	if title != "" && strings.ContainsRune("AEIO", rune(title[0])) || strings.HasPrefix(title, "L2TP") {
		return "An"
	}
	return "A"
}
