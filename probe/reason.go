package probe

// A Reason is a word that everything else keys on: the catalogue of sentences, the diagnosis, the tests. Once released it keeps its
// meaning.
type Reason string

// Reasons of verdicts.
const (
	// altered
	PayloadAltered  Reason = "payload-altered"
	CallIDWrong     Reason = "call-id-wrong"
	AddressesDiffer Reason = "addresses-differ"
	AHThroughNAT    Reason = "ah-through-nat"
	// blocked-out
	TCPReset       Reason = "tcp-reset"
	TCPRefused     Reason = "tcp-refused" // by ICMP
	TCP1723Dropped Reason = "tcp-1723-dropped"
	TCPPortDropped Reason = "tcp-port-dropped" // another TCP port
	// The connection opens, and what is written on it does not arrive.
	TCPContentDropped Reason = "tcp-content-dropped"
	// The same, and nothing else that is written on such a connection arrives either: it is not what is in it.
	TCPConnectOnly Reason = "tcp-connect-only"
	HTTPRefused    Reason = "http-refused" // a proxy passes ordinary requests on, and refuses this one
	GREOutDropped  Reason = "gre-out-dropped"
	ESPOutDropped  Reason = "esp-out-dropped"
	AHOutDropped   Reason = "ah-out-dropped"
	UDPPortDropped Reason = "udp-port-dropped"
	UDPRefused     Reason = "udp-refused"
	// IKE's own fragments pass and those of IP do not (F07).
	IKEFragmentsDropped Reason = "ike-fragments-dropped"
	// The port is open to random octets and shut to the protocol's opening: something looks into the packets (F12).
	UDPContentDropped Reason = "udp-content-dropped"
	ZeroChecksum      Reason = "udp-zero-checksum-dropped"
	ESPAfterIKE       Reason = "esp-after-ike" // cold ESP dies, warm ESP passes
	NoArrival         Reason = "no-arrival"
	LaptopFirewall    Reason = "laptop-firewall"
	// blocked-back
	NoPPTPHelper          Reason = "no-pptp-helper"
	SecondNATNoHelper     Reason = "second-nat-without-helper"
	GREBackDropped        Reason = "gre-back-dropped"
	ESPBackDropped        Reason = "esp-back-dropped"
	AHBackDropped         Reason = "ah-back-dropped"
	UDPPortBackDropped    Reason = "udp-port-back-dropped"
	UDPContentBackDropped Reason = "udp-content-back-dropped" // random octets from that port come back
	TCPContentBackDropped Reason = "tcp-content-back-dropped" // random octets on such a connection are answered
	NoReturn              Reason = "no-return"
	LaptopDropsAnswers    Reason = "laptop-drops-answers"
	// stalled
	StoppedAfterN Reason = "stopped-after-n"
	// hijacked
	AnsweredByAnother Reason = "answered-by-another"
	// inconclusive
	ServerUnproven Reason = "server-unproven"
	ServerBlind    Reason = "server-blind"
	StateClash     Reason = "state-clash" // the second address passes and the first does not, or another laptop was there (F11)
	PortClash      Reason = "port-clash"  // an ephemeral port passes, the stock port does not (F15)
	NotEnoughTries Reason = "not-enough-tries"
	TooLossy       Reason = "too-lossy"
	StoppedMidway  Reason = "stopped-midway"
	StoppedOnce    Reason = "stopped-once"
	NotAnswered    Reason = "server-did-not-answer" // it arrived, and our own server kept silent: Args["why"]
	SessionLost    Reason = "session-lost"
	LineCut        Reason = "line-cut" // the line died when what is late was tried (Info.Late), and did not come back
	AddressChanged Reason = "address-changed"
	Interrupted    Reason = "interrupted"
	TimeUp         Reason = "time-up"
	ServerFirewall Reason = "server-firewall" // it reached the server's network card, and no program of its
	// stalled
	FullSizeDropped Reason = "full-size-dropped" // small packets pass, and those of full size vanish (F07, F08)
	// passed
	RateLimit Reason = "rate-limit" // it stops at a usual pace and passes at one packet a second (F52)
	// untested
	NoPrivilege        Reason = "no-privilege"
	PortHeld           Reason = "port-held"
	OSRefuses          Reason = "os-refuses"
	ServerNotListening Reason = "server-not-listening"
	IPv4Only           Reason = "ipv4-only"
	CouldNotAsk        Reason = "could-not-ask"
	NoSession          Reason = "no-session" // see the session's own reason
	CaptivePortal      Reason = "captive-portal"
	ActiveVPN          Reason = "active-vpn"
	ServerOnLink       Reason = "server-on-link"
	ServerHairpin      Reason = "server-hairpin" // behind the laptop's own router (F57): Args["public"]
)

// Reasons why no session could be opened.
const (
	UnknownHost      Reason = "unknown-host"
	NoAddress        Reason = "no-address-of-family"
	NoRoute          Reason = "no-route"
	NothingListening Reason = "nothing-listening"
	NoAnswer         Reason = "no-answer"
	WrongPin         Reason = "wrong-pin"
	TLSIntercepted   Reason = "tls-intercepted"
	NotTLS           Reason = "not-tls"
	AccessWrong      Reason = "access-wrong"
	AccessExpired    Reason = "access-expired"
	NoCommonVersion  Reason = "version"
	Busy             Reason = "busy"
	BadLink          Reason = "bad-link"
)

// Reasons of evidence and of notes about the run.
const (
	EvHTTP      Reason = "http-status"  // args: status, text, server, tries: what a proxy answered in the server's place
	EvTLS       Reason = "tls-other"    // args: why: what came instead of the server's own TLS, and from whom
	EvOtherPort Reason = "other-port"   // args: port: of TCP, where the server does not listen on the one that real clients ask
	EvTries     Reason = "tries"        // args: stage, tries, arrived, replied, returned, seconds
	EvChance    Reason = "chance"       // args: p, control, lost: what loss alone would explain
	EvProof     Reason = "proof"        // args: carrier, at, own
	EvUnproven  Reason = "unproven"     // args: carrier
	EvCallID    Reason = "call-id"      // args: rewritten (bool), sent, arrived
	EvGREv0     Reason = "gre-v0"       // args: asked, returned
	EvChange    Reason = "change"       // args: way, field, before, after, offset
	EvStopped   Reason = "stopped"      // args: flow, after: so many answers; seconds: from its first question to the last answer
	EvStranger  Reason = "stranger"     // args: bytes, from
	EvRefused   Reason = "refused"      // args: how, tries
	EvSendErr   Reason = "send-error"   // args: error
	EvVoid      Reason = "void"         // args: tries, seconds: fell into an outage and were repeated
	EvSilent    Reason = "silent"       // args: why, count
	EvAtNIC     Reason = "at-nic"       // args: count, tries: answers that reached the laptop's network card and no program
	EvPort      Reason = "port"         // args: port: of UDP at the server; over: "tcp" if it is of TCP
	EvStandsIn  Reason = "stands-in"    // args: part, why, hint: the deciding form could not be asked, part stands for it
	EvOtherPart Reason = "other-part"   // args: part: another form passed where the deciding one did not
	EvNATFound  Reason = "nat-found"    // args: client, server (bool): what NAT detection says (RFC 7296, section 2.23)
	EvICV       Reason = "icv"          // args: valid (bool), count: the receiver's check of AH
	EvLater     Reason = "later-rounds" // args: stage: further rounds, which a client behind NAT would not hold here, failed
	UDPFiltered Reason = "udp-filtered"
	OutageSeen  Reason = "outage"
	LossSeen    Reason = "loss" // args: lost, sent, others: packets of what is no UDP, of which none was lost
	NoNAT       Reason = "no-nat"
	BehindNAT   Reason = "nat"         // args: local, public
	EvICMP      Reason = "icmp"        // args: from, type, code, count, at: "client" or "server", forged (bool), ttl: as it arrived, where all have the same
	EvHop       Reason = "hop"         // args: ttl, from, answers, asked: routers beyond the first that answered for this protocol
	EvTrain     Reason = "train"       // args: sent, counted, arrived, way
	EvForward   Reason = "forward"     // args: proto, port, to: the router sends what comes for that port elsewhere (F32)
	EvCloud     Reason = "cloud"       // args: name, carrier, cannot (bool)
	EvOwner     Reason = "owner"       // args: carrier, owner: a program or module at the server that takes the packets as well
	EvRandom    Reason = "random"      // args: port, asked, returned, arrived: random octets to the same port; openings, openings_arrived, openings_returned: real ones at that time; content (bool): only these are lost; over: "tcp" if it is a port of TCP
	EvLinkPort  Reason = "link-port"   // args: port: of TCP: the session's own connection to it was alive all the while
	EvPace      Reason = "pace"        // args: asked, returned: at one packet a second
	EvFullSize  Reason = "full-size"   // args: octets, way, tries: of the packets of full size; opening (bool): they were those without which there is no VPN
	EvUneven    Reason = "uneven-loss" // args: lost, tries, control_lost, control: the protocol loses more than the control
	EvTooEarly  Reason = "too-early"   // args: minutes: a setting was changed just now, and the router may still act by the old one
	EvOthers    Reason = "others"      // args: count, minutes: other runs behind the same public address
	EvNATs      Reason = "nats"        // the NAT sheet of the run
	EvPage      Reason = "page"        // the server's page on TCP port 80 answered with its signature, while there was no session
	EvInside    Reason = "inside"      // args: kind ("wsl", "vm", "container"), nat: whose NAT stands before the router (F24)
	EvFamily    Reason = "family"      // args: used, other: the server has addresses of both families, and one was asked (T37)
	EvSources   Reason = "sources"     // args: addresses: under which public addresses the server saw which protocols, where they differ (T36)
	EvSixToFour Reason = "six-to-four" // args: address: IPv4 over a network that has IPv6 alone (464XLAT, NAT64; F41)
	EvWhy       Reason = "why"         // args: why, hint: what the system or the server said
)
