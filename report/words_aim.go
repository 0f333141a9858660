package report

import (
	"strings"

	"vpncheck/probe"
)

// vpnAdvice is what there is to check where the network lets a VPN through, and what its server could do where the network does not: "whether
// ...", or empty.
var vpnAdvice = map[string]struct{ check, move string }{
	"pptp":        {check: "the user name and the password"},
	"l2tp":        {check: "the user name and the password"},
	"l2tp-ipsec":  {check: "the user name, the password and the pre-shared key or certificate"},
	"ipsec-esp":   {check: "the pre-shared key or certificate, and whether the settings of both ends agree"},
	"ikev2":       {check: "the user name, the password and the certificate"},
	"openvpn-udp": {check: "that the profile is the newest, the user name and the password", move: "whether your OpenVPN server takes TCP as well, best on port 443"},
	"openvpn-tcp": {check: "that the profile is the newest, the user name and the password", move: "whether your OpenVPN server can listen on TCP port 443 as well"},
	"wireguard": {check: "the keys and the server's port: where one of them is wrong, WireGuard just keeps silent",
		move: "whether your WireGuard server can use another UDP port, such as 443"},
	"sstp": {check: "the user name, the password and whether the laptop trusts the server's certificate"},
}

// lookElsewhere is what to check where this network is not the matter, whatever the VPN.
const lookElsewhere = "Check the user name, the password and the certificate; " + thenName

const thenName = "then the server's name: does it lead to the right address, and by the right one of IPv4 and IPv6?"

// lookAt is the same for one kind of VPN.
func lookAt(vpn string) string { return "Check " + vpnAdvice[vpn].check + "; " + thenName }

// networkAsks are what to ask those who run the network where it is not for a port: {title}, {through} and {ports} are the VPN's.
var networkAsks = map[probe.Reason]string{
	probe.UDPFiltered:           "Ask them to let UDP through to the VPN server, as {title} needs it: {ports}.",
	probe.UDPContentDropped:     inspectedAsk,
	probe.UDPContentBackDropped: inspectedAsk,
	probe.TCPContentDropped:     inspectedAsk,
	probe.HTTPRefused:           "Ask them to let TLS connections to the VPN server pass without inspection, to TCP port 443.",
	probe.ZeroChecksum:          "Ask them to let UDP packets without a checksum through (RFC 3948): {title} sends its data so on UDP port 4500.",
	probe.FullSizeDropped:       "Ask them why large packets vanish: the way carries less than 1500 octets, and nothing says so (path MTU).",
	probe.StoppedAfterN:         "Ask them why {title} is cut off soon after it has begun, and to let {through} through to the VPN server.",
	probe.AnsweredByAnother:     "Ask them what answers in the place of your VPN's server, and to let {through} through to it.",
}

const inspectedAsk = "Ask them whether VPNs are allowed here: the port is open, but something looks into what is sent there and drops what is {title}."

// askThose is what to ask them about a VPN that does not get through.
func askThose(v VPN, through string) string {
	text, ok := networkAsks[v.Reason]
	if !ok {
		text = "Ask them to let {through} through to the VPN server."
	}
	return strings.NewReplacer("{title}", v.Title, "{through}", through, "{ports}", strings.TrimRight(through, ",")).Replace(text)
}

// askIT asks for a way round. A port is no matter where all ports are shut alike, or packets are told by what is in them.
func askIT(v VPN, other string) string {
	ask := "whether you can use another VPN: " + other
	move := vpnAdvice[v.ID].move
	switch v.Reason {
	case probe.UDPFiltered:
		if v.ID == "wireguard" {
			move = ""
		}
	case probe.UDPContentDropped, probe.UDPContentBackDropped, probe.TCPContentDropped:
		if move != "" {
			move = "whether your OpenVPN server can use tls-crypt and TCP port 443"
		}
		if v.ID == "wireguard" {
			move = ""
		}
	}
	if move == "" {
		return "Ask " + ask + "."
	}
	return "Ask " + move + "; or " + ask + "."
}

// goRound is what the person can do: what is known to work comes first.
func goRound(title string) string {
	if title == "" {
		return "Use another network, a phone's hotspot for example."
	}
	return "Use " + title + ", which works here, if your VPN's server offers it; or another network, a phone's hotspot for example."
}
