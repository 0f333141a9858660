package report

import "strings"

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

// ikev2 says whether nothing in this run speaks against IKEv2: its first messages and NAT-T passed, or were not tried.
func (s setting) ikev2() bool {
	for _, id := range []string{"ike", "natt"} {
		if s.asked[id] && s.beside[id] != works {
			return false
		}
	}
	return !s.noUDP()
}

// openVPN is what this run knows of OpenVPN, where it was asked: as which it works, or "" if it does not.
func (s setting) openVPN() (how string, asked bool) {
	switch {
	case s.beside["openvpn-udp"] == works:
		return "OpenVPN", true
	case s.beside["openvpn-tcp"] == works:
		return "OpenVPN over TCP", true
	}
	return "", s.asked["openvpn-udp"] && s.asked["openvpn-tcp"]
}

// other names the kinds of VPN that may work here, in few words.
func (s setting) other() string {
	open, asked := s.openVPN()
	switch {
	case asked && open == "" && s.noUDP():
		return "SSTP"
	case s.noUDP():
		return "OpenVPN over TCP"
	case asked && open == "" && s.ikev2():
		return "IKEv2 or WireGuard"
	case asked && open == "":
		return "WireGuard or SSTP"
	case s.ikev2():
		return "IKEv2, OpenVPN or WireGuard"
	}
	return "OpenVPN or WireGuard"
}

// instead names them, and says what this run knows of them.
func (s setting) instead() string {
	open, openAsked := s.openVPN()
	switch {
	case s.noUDP(), openAsked && open == "" && !s.ikev2():
		return s.nonIPsec()
	case openAsked && open == "":
		return "IKEv2 or WireGuard (not tested here)"
	case openAsked && s.ikev2():
		return "IKEv2, " + open + " (it works here) or WireGuard (not tested here)"
	case !s.ikev2():
		return s.nonIPsec()
	case s.asked["ike"] || s.asked["natt"]:
		return "IKEv2, OpenVPN or WireGuard (the last two not tested here)"
	}
	return "IKEv2, OpenVPN or WireGuard (not tested here)"
}

// nonIPsec are those of the kinds that are no IPsec.
func (s setting) nonIPsec() string {
	open, asked := s.openVPN()
	switch {
	case open != "":
		return open + ", which works here"
	case asked && s.noUDP():
		return "SSTP (not tested here)"
	case asked:
		return "WireGuard or SSTP (not tested here)"
	case s.noUDP():
		return "OpenVPN over TCP (not tested here)"
	}
	return "OpenVPN (over TCP if UDP is blocked) or WireGuard (not tested here)"
}

// l2tpInIPsec keeps the verdict on L2TP from being taken for one on L2TP/IPsec.
func (s setting) l2tpInIPsec() string {
	if _, ok := s.beside["l2tp"]; !ok {
		return ""
	}
	ike, natt := s.beside["ike"] == fails, s.beside["natt"] == fails
	who := ""
	switch {
	case natt && s.nat() != noNAT, ike && natt:
		who = "L2TP/IPsec and IKEv2 VPNs fail here"
	case ike:
		who = "Most L2TP/IPsec and IKEv2 VPNs fail here"
	case natt:
		who = "L2TP/IPsec and IKEv2 VPNs may fail here"
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
