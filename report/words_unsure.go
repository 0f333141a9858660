package report

import "vpncheck/probe"

// unsureWords are what to do where nothing tells the router from the internet provider: who may have nothing to do with it is asked to look, and
// not told to set.
var unsureWords = map[probe.Reason]Words{
	probe.TCPReset:   {Do: "look in your router for TCP port 1723; else ask your internet provider"},
	probe.TCPRefused: {Do: "look in your router for TCP port 1723; else ask your internet provider"},
	probe.TCP1723Dropped: {
		Do:   "look for \"PPTP passthrough\" in your router; else ask your provider",
		Next: "Look for \"PPTP passthrough\" (or \"VPN passthrough\") in your router: many routers block TCP port 1723 while it is off.{ifnone}{whose}",
	},
	probe.GREOutDropped: {
		Do: "look for \"PPTP passthrough\" in your router, or use another VPN",
		Next: "Look in your router for \"PPTP passthrough\" or a firewall rule about GRE (IP protocol 47).{ifnone}{whose} Mobile and shared connections often cannot " +
			"carry GRE at all: then only a VPN without it helps, such as {instead}.",
	},
	probe.GREBackDropped: {
		Do: "look for \"PPTP passthrough\" in your router, or use another VPN",
		Next: "Look in your router for \"PPTP passthrough\" and for a firewall rule about GRE (IP protocol 47).{ifnone}{whose} If nothing helps, " +
			"use a VPN type that needs no GRE: {instead}.",
	},
	probe.NoArrival:      {Do: "look for a {title} setting in your router; else ask your provider"},
	probe.ESPOutDropped:  unsureESP,
	probe.ESPBackDropped: unsureESP,
	probe.AnsweredByAnother: {
		Do: "look for a VPN server in the router, or sign in to this network",
		Next: "Look in your router for a VPN server of its own. In a hotel, a train or a café, open a web page first and sign in. Do not enter the password " +
			"of your VPN until this is settled.",
	},
}

var unsureESP = Words{
	Next: "Let your VPN use NAT-T (UDP port 4500). For plain ESP, look for \"IPsec passthrough\" in your router; else ask your internet provider.{natt}{whose}",
}

// unsurePorts are the same of a UDP port that is blocked.
var unsurePorts = map[int]Words{
	500: {
		Do: "look for \"IPsec passthrough\" in your router; else ask your provider",
		Next: "Look for \"IPsec passthrough\" (or \"VPN passthrough\") in your router: many routers block UDP port 500 while it is off.{ifnone}{whose}" +
			"{via4500}",
	},
	4500: {
		Do: "look for IPsec settings in your router, or use {otherkind}",
		Next: "Look in your router for a firewall or passthrough setting about IPsec or UDP port 4500.{ifnone}{whose} " +
			"Or use a VPN of another kind, such as {nonipsec}.",
	},
	1701: {
		Do: "nothing for L2TP/IPsec; else look for an L2TP setting in your router",
		Next: "Nothing, if yours is L2TP/IPsec, as in Windows, macOS and phones. If it is L2TP without IPsec, look for \"L2TP passthrough\" (or " +
			"\"VPN passthrough\") in your router.{ifnone}{whose}",
	},
}

// unsure replaces orders about the router by advice that finds out who it is. Where this laptop may be it, its firewall comes first: nothing is
// tried more easily.
func (w Words) unsure(r probe.Reason, fa facts) Words {
	switch esp := r == probe.ESPOutDropped || r == probe.ESPBackDropped; {
	case esp && fa.beside["natt"] == works && fa.behindNAT: // nothing is missed
	case r == probe.UDPPortDropped || r == probe.UDPPortBackDropped:
		w = w.over(Words{Do: "search your router for {port}; else ask your provider"}).over(unsurePorts[fa.port])
	case r == probe.PayloadAltered && fa.port == 500:
		w.Do = "look for an \"IPsec ALG\" in your router; else ask your provider"
		w.Next = "Look in your router for an \"IPsec ALG\" or \"IPsec passthrough\", and for newer firmware.{whose}{via4500}"
	default:
		w = w.over(unsureWords[r])
	}
	if fa.laptop && r == probe.TCP1723Dropped {
		w.Do = "try once without this laptop's firewall; then look in your router"
		w.Next = "Run the check once with this laptop's own firewall switched off. If that changes nothing, go on. " + w.Next
	}
	return w
}
