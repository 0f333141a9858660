package report

import "vpncheck/probe"

// tooBig is the kernel's refusal of a packet (probe.Exchange.SendReason).
const tooBig probe.Reason = "too-big"

// networkWords explain what the network between the laptop and the server does. Where the evidence does not tell the router from the
// internet provider, neither do they.
var networkWords = map[probe.Reason]Words{
	// altered
	probe.PayloadAltered: {
		Short:    "something on the way changes the packets",
		Sentence: "{title} packets get through, but something on the way changes what is inside them{change}. A real VPN client gives up on that.",
		Do:       "update your router's firmware; if that fails, use another VPN",
		Next:     "Update the firmware of your router, and switch off anything in it that inspects traffic.{whose}",
	},
	probe.CallIDWrong: {
		Short: "packets come back with a wrong call number",
		Sentence: "PPTP gives each call a number (the Call-ID) by which packets find their way. Something on the way writes a wrong one: " +
			"most likely the PPTP helper of your router, or of your internet provider. A real VPN client throws such packets away.",
		Do: "update your router's firmware; if that fails, use another VPN",
		Next: "Update the firmware of your router. If that does not help, use another router, or a VPN type that needs no help from it: " +
			"{instead}.",
	},
	probe.AddressesDiffer: {
		Short: "set-up and data come from different addresses",
		Sentence: "The set-up and the data of one {title} connection reach the server from different public addresses. A real VPN server cannot " +
			"tell that they belong together. Internet providers that share addresses among customers do this.",
		Do: "ask your internet provider for a public IPv4 address of your own",
		Next: "Ask your internet provider for a public IPv4 address of your own, or use a VPN type that has but one part: " +
			"{instead}.",
	},
	// blocked-out
	probe.TCPReset: {
		Short: "the connection is refused on the way",
		Sentence: "Each try to open the {title} connection (TCP port 1723) was refused at once{tries}. The server stood ready and got " +
			"none of them, so something on the way refuses in its name: {who}.",
		Do:   "allow PPTP (TCP port 1723) in your router's firewall",
		Next: "Look in your router for a setting that blocks PPTP or TCP port 1723: firewall, parental control, \"VPN passthrough\".{ifnone}",
	},
	probe.TCPRefused: {
		Short: "the connection is refused on the way",
		Sentence: "The tries to open the {title} connection (TCP port 1723) were refused by an ICMP message{tries}. The server stood ready and got " +
			"none of them: {who} forbids the connection.",
		Do:   "allow PPTP (TCP port 1723) in your router's firewall",
		Next: "Look in your router for a setting that blocks PPTP or TCP port 1723: firewall, parental control, \"VPN passthrough\".{ifnone}",
	},
	probe.TCP1723Dropped: {
		Short: "TCP port 1723 is blocked on the way",
		Sentence: "The {title} connection to TCP port 1723 does not reach the server{tries}, while other traffic does. {Who} " +
			"drops it.",
		Do:   "switch on \"PPTP passthrough\" in your router",
		Next: "Switch on \"PPTP passthrough\" (or \"VPN passthrough\") in your router: many routers block TCP port 1723 while it is off.{ifnone}",
	},
	probe.TCPPortDropped: {
		Short:    "{port} is blocked on the way",
		Sentence: "The {title} connection to {port} does not reach the server{tries}, while other traffic does. {Who} drops it.{use}",
		Do:       "use a VPN on TCP port 443, or allow {port} in your router",
		Next: "Look in your router for a firewall rule about {port}, and allow it.{ifnone} Or use a VPN on TCP port 443: a server of OpenVPN can listen " +
			"there as well.",
	},
	probe.TCPContentDropped: {
		Short: "{port} opens, but what is sent there is dropped",
		Sentence: "{stuck} does not get through{tries}: the connection to {port} opens, and what {title} then sends on it does not reach the " +
			"server. {looks}",
		Do: "use {passing}, or another network",
		Next: "No setting about a port helps against this. Use {dodge}, or ask " +
			"who runs the network whether VPNs are allowed: a company, a hotel, a school, the internet provider.{inspects}",
	},
	probe.TCPContentBackDropped: {
		Short:    "{port} opens, but what is answered is dropped",
		Sentence: "{stuck} does not get through{tries}: the connection to {port} opens, {title} reaches the server, and its answers do not come back. {looks}",
		Do:       "use {passing}, or another network",
		Next: "No setting about a port helps against this. Use {dodge}, or ask " +
			"who runs the network whether VPNs are allowed: a company, a hotel, a school, the internet provider.{inspects}",
	},
	probe.TCPConnectOnly: {
		Short: "{port} opens, but nothing sent there arrives",
		Sentence: "The connection to {port} opens, and nothing that is then sent on it reaches the server{tries}: neither {title} nor random data. So it " +
			"is not what is inside. Something on the way accepts the connection in the server's place, as proxies and sign-in pages do, or lets it open " +
			"and drops all that follows: {who}.",
		Do: "use a VPN on TCP port 443, or allow {port} in your router",
		Next: "Look in your router for a firewall rule or a proxy that concerns {port}, and let it pass.{ifnone} In a hotel or a company, sign in first if " +
			"the network asks for it. Or use a VPN on TCP port 443.",
	},
	probe.HTTPRefused: {
		Short: "a proxy on the way refuses it",
		Sentence: "{title} does not reach the server: a proxy on the way answers in its place{status}, and passes ordinary web requests on. It does not " +
			"know what {title} asks for, or forbids it.",
		Do: "ask those who run this network, or use another internet connection",
		Next: "If security software on this laptop inspects HTTPS (\"web shield\"), switch that off and run the check again. Else ask those who run this " +
			"network to let TLS connections to your VPN server pass without inspection, or use another internet connection.{signin}",
	},
	probe.GREOutDropped: {
		Short:    "GRE packets do not reach the server",
		Sentence: "{gre} do not reach the server{tries}, though GRE has reached it within the last day. {Who} drops them.",
		Do:       "allow GRE in your router, or use {other}",
		Next: "Look in your router for \"PPTP passthrough\" or a firewall rule about GRE (IP protocol 47), and allow it. Mobile and shared " +
			"connections often cannot carry GRE at all: then only a VPN without it helps, such as {instead}.",
	},
	probe.NoArrival: {
		Short:    "nothing of it reaches the server",
		Sentence: "{stuck} does not reach the server{tries}. {Who} stops it on its way out.",
		Do:       "allow {title} in your router, or ask your internet provider",
		Next:     "Look in your router for a firewall or passthrough setting that concerns {title}.{whose}",
	},
	probe.LaptopFirewall: {
		Short:    "this laptop itself refuses to send",
		Sentence: "This laptop refused to send {title} packets; they never left it.{why} Its own firewall or security software does that.",
		Do:       "allow {title} in this laptop's firewall or security software",
		Next: "Let {out} to {server} out in the firewall or security software of this laptop (on Linux: ufw, firewalld or nftables), or switch " +
			"that off while you run the check again. The router is not to blame for this.",
	},
	tooBig: {
		Short:    "packets are too big for this laptop's network",
		Sentence: "This laptop's own network takes no packets as big as {title} sends; they never left it.{why}",
		Do:       "set the MTU of this laptop's network back to its default",
		Next:     "Set the MTU (the largest packet size) of this laptop's network back to its default, usually 1500.",
	},
	// blocked-back
	probe.NoPPTPHelper: {
		Short: "your router's PPTP passthrough is off or missing",
		Sentence: "PPTP's data packets (GRE) reach the server, but the answers do not come back{tries}. No device on the way translates PPTP's " +
			"call number, so your router cannot tell whose the answers are: its PPTP passthrough is off or missing.",
		Do: "switch on \"PPTP passthrough\" in your router, or use another VPN",
		Next: "Switch on \"PPTP passthrough\" (also called \"VPN passthrough\" or \"PPTP ALG\") in your router and restart it. If there is no such " +
			"setting, use a VPN type that needs no help from the router: {instead}. A second router, if there is one, needs " +
			"the same.",
	},
	probe.SecondNATNoHelper: {
		Short: "a second router, or your provider's NAT, stops it",
		Sentence: "PPTP's data packets (GRE) reach the server, but the answers do not come back{tries}. One device on the way does translate PPTP's " +
			"call number. So there is another that does not: a second router, or your provider's NAT, which shares one address among customers.",
		Do: "switch on \"PPTP passthrough\" in the second router too",
		Next: "If you have two routers in a row (a modem with a router of its own, say), switch on \"PPTP passthrough\" in both or make one of them " +
			"a plain modem (\"bridge mode\"). If the second one is your internet provider's, ask for a public IPv4 address of your own.",
	},
	probe.GREBackDropped: {
		Short: "the answers to GRE packets do not come back",
		Sentence: "{gre} reach the server, but the answers do not come back{tries}. {Who} " +
			"drops them.",
		Do: "allow GRE in your router's firewall, or use another VPN",
		Next: "Look in your router for \"PPTP passthrough\" and for a firewall rule about GRE (IP protocol 47), and allow it. If neither helps, " +
			"use a VPN type that needs no GRE: {instead}.",
	},
	probe.NoReturn: {
		Short:    "the answers do not come back",
		Sentence: "{stuck} reaches the server, but the answers do not come back{tries}. {Who} stops them.",
		Do:       "look in your router for a setting that concerns {title}",
		Next:     "Look in your router for a firewall or passthrough setting that concerns {title}.{whose}",
	},
	probe.LaptopDropsAnswers: {
		Short: "this laptop itself drops the answers",
		Sentence: "{title} reaches the server, and the answers come back as far as this laptop's network card. There the laptop's own firewall or " +
			"security software drops them{tries}.",
		Do: "let in {packets} in this laptop's firewall",
		Next: "Let in {packets} from {server} in the firewall or security software of this laptop, or switch that off while you run the check " +
			"again.{rule} The router is not to blame for this.",
	},
	// stalled
	probe.StoppedAfterN: {
		Short: "the conversation begins well and is then cut off",
		Sentence: "{title} begins well and stops{after}, and again on a fresh try. Something on the way lets the opening through and cuts off " +
			"what follows: {who}.",
		Do: "try another internet connection{orother}",
		Next: "Run the check again through a phone's hotspot. If {title} works there, the router or the internet provider here cuts it off: update the " +
			"router's firmware, look in it for limits or inspection of traffic, then ask the provider.",
	},
	probe.FullSizeDropped: {
		Short: "large packets are dropped on the way",
		Sentence: "{title} gets through with small packets, and large ones vanish without a word: a VPN connects, and then hangs as soon as " +
			"something is to be loaded.",
		Do: "set a smaller MTU in the VPN, 1280 for example",
		Next: "Set the MTU of the VPN to 1280, on this laptop or at its server. If your router has an option that blocks fragmented packets or ICMP, switch " +
			"it off. If that does not help, ask the internet provider.",
	},
	// passed
	probe.RateLimit: {
		Short: "there is a rate limit on the way",
		Sentence: "{title} gets through at one packet a second, and is cut off at a usual pace: something on the way limits how fast its packets may " +
			"come. That is no block, but a VPN will be slow or break off.",
		Do: "look for a limit in your router or at your provider",
		Next: "There is a limit in your router or at your provider. In the router it may be called \"UDP flood protection\" or quality of service (QoS): " +
			"with that off, run the check again. If nothing changes, ask your internet provider.",
	},
	// hijacked
	probe.AnsweredByAnother: {
		Short: "something else answers in the server's place",
		Sentence: "{title} does not reach the server: something on the way answers in its place{from}. Routers with a VPN server of their own do " +
			"this, and so do networks that ask you to sign in first.",
		Do: "switch off the router's own VPN server, or sign in to this network",
		Next: "Look in your router for a VPN server of its own and switch it off. In a hotel, a train or a café, open a web page first and " +
			"sign in. Do not enter the password of your VPN until this is settled.",
	},
	probe.UDPFiltered: {
		Short: "this network lets no UDP through to the server",
		Sentence: "No UDP packet gets to the server and back, whatever its purpose, while a TLS connection does. This network filters UDP as a " +
			"whole; it is not aimed at one VPN.",
		Do:   "use a VPN that needs no UDP, such as {overtcp}",
		Next: "Use a VPN that needs no UDP, best one on TCP port 443, such as {noudp}, or another network. In a company or a hotel, ask those who run the network.",
	},
}
