package report

import (
	"vpncheck/probe"
	"vpncheck/probe/wire"
)

// udpWords explain what becomes of a UDP port, and of places in the NAT that somebody else holds. The port is told by the evidence.
var udpWords = map[probe.Reason]Words{
	probe.UDPPortDropped: {
		Short:    "{port} is blocked on the way",
		Sentence: "{title} does not reach the server on {port}{tries}, while other traffic does. {Who} drops it.{use}",
		Do:       "allow {port} in your router, or ask your internet provider",
	},
	probe.UDPPortBackDropped: {
		Short:    "the answers from {port} do not come back",
		Sentence: "{title} reaches the server on {port}, but the answers do not come back{tries}. {Who} drops them.{use}",
		Do:       "allow {port} in your router, or ask your internet provider",
	},
	probe.UDPContentDropped: {
		Short: "packets to {port} are inspected and dropped",
		Sentence: "{title} does not reach the server on {port}{tries}, while random data of the same size to the same port does. So the port is open, " +
			"and something on the way looks into the packets and drops those of {title} (deep packet inspection, DPI).",
		Do:   "use {passing}, or ask those who run the network",
		Next: inspectedNext,
	},
	probe.UDPContentBackDropped: {
		Short: "answers from {port} are inspected and dropped",
		Sentence: "{title} reaches the server on {port}, and its answers do not come back{tries}, while random data of the same size from the same port " +
			"does. So the port is open, and something on the way looks into the packets and drops those of {title} (deep packet inspection, DPI).",
		Do:   "use {passing}, or ask those who run the network",
		Next: inspectedNext,
	},
	probe.UDPRefused: {
		Short: "{port} is refused on the way",
		Sentence: "{title} packets to {port} were refused by an ICMP message{tries}. The server stood ready and got none of them, so something " +
			"on the way refuses them: {who}.{use}",
		Do:   "look in your router for a VPN server or a rule that holds {port}",
		Next: "Look in your router for a VPN server of its own and for a firewall rule about {port}, and switch off what holds it.{ifnone}{via4500}",
	},
	probe.ZeroChecksum: {
		Short: "UDP packets without a checksum are dropped",
		Sentence: "IPsec behind a NAT sends its data on {port} without a UDP checksum, as its standard asks for. A device on the way drops such " +
			"packets{tries}. A VPN then connects, and carries no data.",
		Do: "update your router's firmware; else use {otherkind}",
		Next: "Update the firmware of your router. If that does not help, the device may be your internet provider's: tell them that UDP packets " +
			"with checksum 0 are lost (RFC 3948), or use a VPN of another kind, such as {nonipsec}.",
	},
	probe.StateClash: {
		Short: "another device may hold the place in the router",
		Sentence: "{title} gets through with the server's second address, but not with its first{tries}. So {title} as such is not blocked. Most " +
			"likely another device behind your router used it with the same server in the last ten minutes, and the router still keeps the " +
			"place for that one; so it does when this laptop has changed from Wi-Fi to cable.",
		Do: "wait ten minutes, or restart the router, and run the check again",
		Next: "Wait ten minutes, or restart the router, and run the check again. Two devices that use {title} with the same server will always meet " +
			"this; VPNs over UDP, such as IPsec with NAT-T, do not.",
	},
	probe.PortClash: {
		Short: "another device may hold {port} in the router",
		Sentence: "{title} does not work from {port}, the one that VPN clients use{tries}, but from another port it does. So it is not blocked. " +
			"Most likely another device behind your router holds that port: some routers serve one device at a time.{phone}",
		Do: "end VPNs on other devices, wait some minutes, run the check again",
		Next: "End the VPN on other devices behind this router, or restart the router, and run the check again. If it comes back, look in the router " +
			"for a \"static port\" rule or an IPsec setting, and switch it off.",
	},
}

// inspectedNext is what helps where packets are dropped for what is in them: no setting about a port.
const inspectedNext = "No setting about a port helps against this. Use {dodge}, " +
	"or ask those who run the network whether VPNs are allowed: a company, a hotel, a school, the internet provider.{inspects}"

// A port's own words: what the port is for, and what to do where it is blocked.
var portWords = map[int]struct {
	use, phone string
	Words
}{
	500: {
		use:   " Nearly all IPsec VPNs (IKEv2, L2TP/IPsec) begin on this port.",
		phone: " A phone's Wi-Fi calling counts too.",
		Words: Words{
			Do:   "switch on \"IPsec passthrough\" in your router",
			Next: "Switch on \"IPsec passthrough\" (or \"VPN passthrough\") in your router: many routers block UDP port 500 while it is off.{ifnone}{via4500}",
		},
	},
	4500: {
		use:   " Behind a NAT, no IPsec VPN (IKEv2, L2TP/IPsec) can work without this port.",
		phone: " A phone's Wi-Fi calling counts too.",
		Words: Words{
			Do: "allow UDP port 4500 in your router, or use {otherkind}",
			Next: "Look in your router for a firewall or passthrough setting about IPsec or UDP port 4500, and allow it.{ifnone} " +
				"Or use a VPN of another kind, such as {nonipsec}.",
		},
	},
	wire.OpenVPNPort: {
		use: " OpenVPN uses this port unless its server's owner chose another.",
		Words: Words{
			Do: "use OpenVPN over TCP or on another port, or allow {port} in your router",
			Next: "Ask whoever runs your OpenVPN server for TCP, best on port 443, or for another UDP port. Or look in your router for a firewall rule " +
				"about {port}, and allow it.{ifnone}",
		},
	},
	51820: {
		use: " WireGuard needs this port or another one of UDP; which, its server says.",
		Words: Words{
			Do: "allow UDP port 51820 in your router, or have your WireGuard moved to another port",
			Next: "Look in your router for a firewall rule about UDP port 51820, and allow it.{ifnone} Or ask who runs your WireGuard server to use " +
				"another UDP port, or use a VPN of another kind, such as {instead}.",
		},
	},
	1701: {
		use: " L2TP inside IPsec, as nearly everybody uses it, does not need this port: there it is hidden.",
		Words: Words{
			Do: "nothing for L2TP/IPsec; else switch on \"L2TP passthrough\"",
			Next: "Nothing, if yours is L2TP/IPsec, as in Windows, macOS and phones. If it is L2TP without IPsec, switch on \"L2TP passthrough\" (or " +
				"\"VPN passthrough\") in your router.{ifnone}",
		},
	},
}

// tcpWords are better words where a TCP port is told that is not PPTP's.
var tcpWords = map[probe.Reason]Words{
	probe.TCPReset: {
		Sentence: "Each try to open the {title} connection ({port}) was refused at once{tries}. The server stood ready and got none of them, so " +
			"something on the way refuses in its name: {who}.",
		Do:   "use a VPN on TCP port 443, or allow {port} in your router",
		Next: "Look in your router for a firewall rule about {port}, and allow it.{ifnone} Or use a VPN on TCP port 443.",
	},
	probe.TCPRefused: {
		Sentence: "Each try to open the {title} connection ({port}) was refused by an ICMP message{tries}. The server stood ready and got none of " +
			"them: {who} forbids the connection.",
		Do:   "use a VPN on TCP port 443, or allow {port} in your router",
		Next: "Look in your router for a firewall rule about {port}, and allow it.{ifnone} Or use a VPN on TCP port 443.",
	},
}

// othersWords are better words for a clash that follows from another laptop's run, and not from the server's second address.
var othersWords = Words{
	Short: "another device behind your router used it just before",
	Sentence: "{title} does not get through{tries}. But another device behind the same public address used it with this server in the last ten " +
		"minutes, and many routers keep the place for the first one that long. So this decides nothing.",
}

// ikeAltered are better words where what was changed is IKE on UDP port 500: there the culprit is known, and there is a way round it.
var ikeAltered = map[probe.Reason]Words{
	probe.PayloadAltered: {
		Do:   "switch off the \"IPsec ALG\" or \"IPsec passthrough\" in your router",
		Next: "Look in your router for an \"IPsec ALG\" or \"IPsec passthrough\" and switch it off, then update the firmware.{whose}{via4500}",
	},
}

// better replaces words of the catalogue by those that fit what is known besides the reason.
func (w Words) better(r probe.Reason, fa facts) Words {
	switch {
	case fa.title == "SSTP":
		w = w.over(tcpWords[r]).over(sstpWords[r])
	case fa.tcp:
		w = w.over(tcpWords[r])
		if fa.port == wire.OpenVPNPort && (r == probe.TCPContentDropped || r == probe.TCPContentBackDropped) {
			fa.withoutOpenVPN()
		}
	case fa.port == wire.OpenVPNPort && (r == probe.UDPContentDropped || r == probe.UDPContentBackDropped):
		fa.withoutOpenVPN()
	case r == probe.UDPPortDropped, r == probe.UDPPortBackDropped:
		w = w.over(portWords[fa.port].Words)
	case fa.port == 1701 && (r == probe.UDPContentDropped || r == probe.UDPContentBackDropped):
		w.Do = "nothing for L2TP/IPsec; else use {web}"
		w.Next = "Nothing, if yours is L2TP/IPsec, as in Windows, macOS and phones: there L2TP is hidden. Else: " + w.Next
	case r == probe.FullSizeDropped && fa.opening:
		w = w.over(largeOpening)
	case fa.port == 500:
		w = w.over(ikeAltered[r])
	case r == probe.StateClash && fa.others:
		w = w.over(othersWords)
		if fa.title == "AH" && fa.behindNAT {
			w.Do, w.Next = "nothing: AH cannot work behind a NAT anyway", "Nothing: AH cannot work behind a NAT anyway, and hardly any VPN uses it."
			return w
		}
	case r == probe.StateClash && fa.title == "AH" && fa.behindNAT:
		w.Sentence = "With the server's second address AH fares otherwise than with its first{tries}. Most likely another device behind your router " +
			"used AH with the same server in the last ten minutes, and the router still keeps the place for that one. Behind a NAT, AH cannot work " +
			"anyway."
		w.Do = "nothing: AH cannot work behind a NAT anyway"
		w.Next = "Nothing: AH cannot work behind a NAT anyway, and hardly any VPN uses it."
		return w
	case r == probe.SecondNATNoHelper && fa.shared:
		w = w.over(Words{Do: sharedNAT.Do, Next: "See that \"PPTP passthrough\" is on in your router. If it is, your internet provider's NAT lacks it: ask for a " +
			"public IPv4 address of your own, or use a VPN type that needs no help from a NAT: {instead}."})
	case r == probe.NoAddress && fa.literal != "":
		w = w.over(literalWords(fa.literal))
	}
	if fa.fill["portal"] != "" && r == probe.CaptivePortal {
		w.Next = "Open {open}, sign in or accept the terms, and run the check again."
	}
	if fa.beside["natt"] == works && fa.behindNAT {
		w = w.over(besideNATT[r])
	}
	return w
}

// over lays other words over these.
func (w Words) over(o Words) Words {
	for _, x := range []struct{ to, from *string }{{&w.Short, &o.Short}, {&w.Sentence, &o.Sentence}, {&w.Do, &o.Do}, {&w.Next, &o.Next}} {
		if *x.from != "" {
			*x.to = *x.from
		}
	}
	return w
}
