package report

import "vpncheck/probe"

// ipsecWords explain what becomes of IPsec's own protocols, ESP and AH. Plain ESP is needed only where there is no NAT, AH hardly
// anywhere: the words keep that in proportion.
var ipsecWords = map[probe.Reason]Words{
	probe.AHThroughNAT: {
		Short: "AH signs the addresses, and any NAT changes them",
		Sentence: "AH signs the addresses in its packets, and the NAT on the way has to change them: by its design, AH cannot work through any NAT. " +
			"The packets do reach the server; nobody is at fault, and there is nothing to switch on.",
		Do:   "nothing: hardly any VPN uses AH",
		Next: "Nothing: hardly any VPN uses AH. One that does must use ESP with NAT-T (UDP port 4500) instead.",
	},
	probe.ESPOutDropped: {
		Short: "{which} packets do not reach the server",
		Sentence: "{esp} do not reach the server{tries}, though such packets have reached it within the last day. {Who} " +
			"drops them. Plain ESP is needed only where there is no NAT: behind one, IPsec wraps it in UDP (NAT-T).",
		Do:   "use a VPN with NAT-T (UDP port 4500), which needs no plain ESP",
		Next: "Let your VPN use NAT-T (UDP port 4500), or switch on \"IPsec passthrough\" in your router.{natt}",
	},
	probe.ESPBackDropped: {
		Short: "the answers do not come back",
		Sentence: "{esp} reach the server, but the answers do not come back{tries}. {Who} drops them. " +
			"Plain ESP is needed only where there is no NAT: behind one, IPsec wraps it in UDP (NAT-T).",
		Do:   "use a VPN with NAT-T (UDP port 4500), which needs no plain ESP",
		Next: "Let your VPN use NAT-T (UDP port 4500), or switch on \"IPsec passthrough\" in your router.{natt}",
	},
	probe.ESPAfterIKE: {
		Short: "to the second address, without IKE, it fails",
		Sentence: "{title} to the server's first address, after IKE, gets through; to its second address, without IKE, it does not{tries}. Some routers " +
			"want IKE first, and some go on for ten minutes as they did before. A real VPN always begins with IKE.",
		Do: "nothing: a real VPN begins with IKE",
	},
	probe.IKEFragmentsDropped: {
		Short: "fragments are dropped, which only old VPN programs need",
		Sentence: "Messages of IKE that are larger than one packet do not get through{tries}, though small ones do: a device on the way drops the " +
			"fragments. A VPN with certificates then never connects, unless its client and server cut such messages themselves (IKE fragmentation, " +
			"RFC 7383), as today's do.",
		Do:   "switch on IKE fragmentation in the VPN's client and server",
		Next: "Switch on IKE fragmentation (RFC 7383) in the VPN's client and server, or let the router pass fragments.",
	},
	probe.AHOutDropped: {
		Short: "the packets do not reach the server",
		Sentence: "{title} packets do not reach the server{tries}, though such packets have reached it within the last day. {Who} " +
			"drops them. Hardly any VPN uses AH, and behind a NAT none can.",
		Do:   "nothing, as a rule: hardly any VPN uses AH",
		Next: "Nothing, as a rule: hardly any VPN uses AH. One that does can use ESP with NAT-T (UDP port 4500) instead.",
	},
	probe.AHBackDropped: {
		Short: "the answers do not come back",
		Sentence: "{title} packets reach the server, but the answers do not come back{tries}. {Who} drops them. " +
			"Hardly any VPN uses AH, and behind a NAT none can.",
		Do:   "nothing, as a rule: hardly any VPN uses AH",
		Next: "Nothing, as a rule: hardly any VPN uses AH. One that does can use ESP with NAT-T (UDP port 4500) instead.",
	},
}

// largeOpening are better words for a loss of large packets where those are what an IPsec VPN shows its certificates in.
var largeOpening = Words{
	Short: "large packets (those with certificates) are dropped on the way",
	Sentence: "{title} begins well, and its packets with certificates, which are large, vanish without a word{tries}, while small ones to the same port " +
		"pass. A VPN then never connects.",
	Do: "ask for smaller IKE fragments at the VPN's server, or use another VPN",
	Next: "If your router has an option that blocks large or fragmented packets, switch it off. Else ask whoever runs your VPN for a smaller fragment size of " +
		"IKE (strongSwan calls it fragment_size; 576 will do), or for a log-in without certificates. If that does not help, ask the internet provider.",
}

var missesNoESP = Words{
	Do: "nothing, as a rule: NAT-T works, which IPsec uses behind a NAT",
	Next: "Nothing: NAT-T gets through. This laptop is behind a NAT, so IPsec uses NAT-T and does not miss plain ESP. Should your VPN insist on " +
		"plain ESP, look for \"IPsec passthrough\" in your router.",
}

// besideNATT are better words where NAT-T is known to work and the laptop is behind a NAT.
var besideNATT = map[probe.Reason]Words{
	probe.ESPOutDropped:  missesNoESP,
	probe.ESPBackDropped: missesNoESP,
	probe.StateClash:     {Do: "wait ten minutes and run the check again; NAT-T works in any case"},
}

// natt says what the fate of NAT-T means for the other protocols of IPsec; empty where it was not asked, or without an answer.
func (fa facts) natt() string {
	switch {
	case fa.beside["natt"] == works:
		return " NAT-T gets through here: if your VPN connects but carries no data, switch on \"force UDP encapsulation\" in it."
	case fa.beside["natt"] == fails:
		return " NAT-T does not work here either."
	}
	return ""
}

// viaNATT says the same to those whose VPN begins on UDP port 500.
func (fa facts) viaNATT() string {
	if fa.title == "NAT-T" {
		return ""
	}
	switch fa.beside["natt"] {
	case works:
		return " NAT-T (UDP port 4500) gets through here: a VPN client that can begin on that port works even so."
	case fails:
		return " UDP port 4500 (NAT-T) does not work here either."
	}
	return ""
}
