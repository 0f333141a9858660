package report

import (
	"cmp"
	"fmt"
	"strings"

	"vpncheck/probe"
)

// ownWords say what became of asking the person's own VPN server. Short completes "vpn.example.com ...".
var ownWords = map[probe.Reason]Words{
	probe.OwnDeclined: {
		Short: "answers, with a no to what was proposed",
		Sentence: "{title} is answered by {host}, with a no to what was proposed{said}. So the way there and back is open: what is wrong, if anything, " +
			"are the settings.",
		Do: "compare your VPN's settings with those that its server wants",
		Next: "Compare your VPN's settings (its kind, its encryption, its key or certificate) with those that whoever runs {host} gave you. vpncheck proposes " +
			"what common clients do; yours may propose what the server takes.",
	},
	probe.OwnRefused: {
		Short: "refuses it",
		Sentence: "{title} is refused in the name of {host}{how}. Probably nobody offers it there; it may also be a firewall that refuses in its " +
			"name.",
		Do:   "ask whoever runs that server whether it offers this VPN",
		Next: "Ask whoever runs {host} whether it offers {title} on {port}. If it does, ask which firewall, there or here, refuses it.",
	},
	probe.OwnRefusedOnWay: {
		Short:    "is not reached: somebody on the way refuses it",
		Sentence: "{title} is refused on the way to {host}{by}{how}. It is not the server that refuses.",
		Do:       "ask whoever runs this network to let that through",
		Next:     "Ask whoever runs this network to let {port} through to {host}, or use another network, a phone's hotspot for example.",
	},
	probe.OwnSilent: {
		Short:    "does not answer",
		Sentence: "{title} is not answered by {host}{asked}. Silence proves nothing: it may not offer {title}, or something on the way may drop it.",
		Do:       "try it from another network, or with a test server as well",
		Next: "Run the same from another network, a phone's hotspot for example: what is answered there, and not here, this network stops. With a test " +
			"server (\"vpncheck serve\") one run tells it.",
	},
	probe.OwnSilentCarried: {
		Short: "does not answer, though this network carries it",
		Sentence: "{title} is not answered by {host}{asked}. This network carries it: the same got through to the test server in this run. So the server " +
			"does not offer it, is off, or has a firewall before it that drops it; or the address is not the right one.",
		Do:   "ask whoever runs that server whether it offers this VPN",
		Next: "Ask whoever runs {host} whether it is up and offers {title}, and whether every firewall before it lets {port} in.{busy}",
	},
	probe.OwnSilentNetwork: {
		Short:    "does not answer; nor does it get to the test server",
		Sentence: "{title} is not answered by {host}{asked}. Nor does it get through to the test server from here: begin with this network.",
		Do:       "mend first what stops it on this network",
	},
	probe.OwnSilentUnsure: {
		Short:    "does not answer; whether it gets there is not known",
		Sentence: "{title} is not answered by {host}{asked}. Whether this network carries it could not be decided, so that proves nothing.",
		Do:       "do what is said of this network, and run the check again",
	},
	probe.OwnSilentByDesign: {
		Short:    "does not answer, which may be its way with strangers",
		Sentence: "{title} is not answered by {host}{asked}, and that proves nothing: {design}.{carried}",
		Do:       "nothing: only your VPN's own client can ask this server",
	},
	probe.OwnStopped: {
		Short: "answers at first, and then no more",
		Sentence: "{title} is answered by {host} at first, and then no more{after}{asked}. Larger packets may be lost on the way, or the server wants nothing " +
			"to do with strangers.",
		Do: "run the check again; then ask whoever runs that server",
	},
	probe.OwnNoGRE: {
		Short:    "takes the call, and its data (GRE) does not come back",
		Sentence: "PPTP's call is taken by {host}, and its data packets (GRE) do not come back{asked}.{nogre}",
		Do:       "let IP protocol 47 (GRE) through, here or at that server",
		Next: "See that \"PPTP passthrough\" is on in your router, and ask whoever runs {host} whether every firewall before it lets IP protocol 47 (GRE) in " +
			"and out.",
	},
	probe.OwnGREOneWay: {
		Short: "takes the call; its data (GRE) comes, ours is not answered",
		Sentence: "PPTP's call is taken by {host}, and data packets (GRE) come from it; ours are not answered{asked}. So GRE gets in here, and what stops it stands " +
			"on the way out: a router without PPTP passthrough, or a firewall before that server.{nogre}",
		Do: "let IP protocol 47 (GRE) through, here or at that server",
	},
	probe.OwnControlOnly: {
		Short:    "takes the call; its data (GRE) could not be asked",
		Sentence: "PPTP's call is taken by {host}: TCP port 1723 is open both ways. Its data packets (GRE) could not be asked.{why}{hint}",
		Do:       "run vpncheck as administrator (on Linux and macOS: with sudo)",
	},
	probe.OwnAnother: {
		Short:    "answers there, but not as such a server",
		Sentence: "{title} is not what answers at {host} on {port}{said}: it is another program's port, or something on the way answers in its place.",
		Do:       "check the server's name and port",
		Next:     "Check the server's name and its port. If they are right, ask whoever runs it what answers there; a network's sign-in page does so too.",
	},
}

// ownPlaceholders are those of the catalogue that only words about the person's own VPN server use.
//
//	host    its name or address, or "your VPN's server"
//	asked   " (4 tries in 3.1 seconds)", or empty
//	how     " (by a TCP reset)", or empty; by is " by 192.0.2.1", or empty
//	said    " (NO_PROPOSAL_CHOSEN)", or empty
//	design  a clause on why it may keep silent; carried a sentence, or empty; nogre one on GRE, or empty
var ownPlaceholders = []string{"host", "asked", "how", "by", "said", "design", "carried", "nogre", "busy"}

// ownAnswered is what is said of an opening that was answered.
var ownAnswered = Words{Short: "answers", Sentence: "{title} is answered by {host}: the way there and back is open for its first messages."}

// ownWhy say why nothing was asked at all.
var ownWhy = map[probe.Reason]Words{
	probe.UnknownHost: {
		Short:    "the name {host} was not found",
		Sentence: "The name of your VPN's server ({host}) could not be turned into an address.{why}",
		Do:       "check the name for a slip; ask whether it is known outside of your company",
		Next: "Check the name for a slip, and look it up from another network. A name that only your company's own name servers know is found only inside " +
			"it: then ask your IT for the one to use from outside.",
	},
	probe.NoAddress: {
		Short:    "{host} has no address of the kind asked for",
		Sentence: "Your VPN's server ({host}) has no address of the kind asked for (IPv4 or IPv6).{why}",
		Do:       "run the check without choosing between IPv4 and IPv6",
	},
	probe.NoRoute: {
		Short:    "this laptop has no way to {host}",
		Sentence: "This laptop knows no way to your VPN's server ({host}).{why}",
		Do:       "connect this laptop to the network, and run the check again",
	},
	probe.ActiveVPN: {
		Short:    "a VPN is already active on this laptop",
		Sentence: "Your VPN's server ({host}) was not asked: a VPN is active on this laptop, and the way there leads through it.{why}",
		Do:       "disconnect that VPN and run the check again",
	},
}

// explainOwn says what an opening's judgement means. A reason of a newer version is explained by its verdict.
func explainOwn(j probe.Answered, fa facts) Words {
	w, ok := ownWords[j.Reason]
	switch {
	case ok:
	case j.Verdict == probe.Passed:
		w = ownAnswered
	case j.Verdict == probe.Untested, j.Reason == probe.LaptopFirewall:
		return explain(j.Verdict, j.Reason, fa)
	case j.Verdict == probe.BlockedOut:
		w = ownWords[probe.OwnRefused]
	default:
		w = ownWords[probe.OwnSilent]
	}
	return w.with(fa)
}

// explainWhy says why nothing was asked.
func (o *Own) explainWhy() Words {
	fa := newFacts("vpncheck")
	fa.fill["host"], fa.fill["server"] = o.host(), o.host()
	fa.fill["untried"] = "Your VPN's server was not asked"
	fa.fill["while"] = "before it was asked"
	fa.said(map[string]any{"why": o.Why.Why, "hint": o.Why.Hint})
	w, ok := ownWhy[o.Why.Reason]
	if !ok {
		return explain(probe.Untested, o.Why.Reason, fa)
	}
	return w.with(fa)
}

// facts are what the sentences about one opening are made of.
func (o *Own) facts(x probe.Opening, j probe.Answered) facts {
	fa := newFacts(name(OpeningName(x.ID)))
	fa.stages = make(map[string]string)
	for _, s := range x.Stages {
		fa.stages[s.ID] = Clean(s.Title, 60)
	}
	fa.fill["host"] = o.host()
	fa.at(float64(x.Port), x.Over)
	if x.Refused != nil {
		fa.said(map[string]any{"why": x.Refused.Why, "hint": x.Refused.Hint})
	}
	a := args(j.Args)
	fa.fill["asked"] = timesAsked(a)
	if how := a.text("how", 80); how != "" {
		fa.fill["how"] = " (" + refusal(how) + ")"
	}
	if from := a.text("from", 60); from != "" {
		fa.fill["by"] = " by " + from
	}
	if said := a.text("said", 60); said != "" {
		fa.fill["said"] = " (" + said + ")"
	}
	fa.said(a)
	if stage := fa.stage(cmp.Or(a.text("stage", 60), j.Stage)); stage != "" {
		fa.fill["after"] = ": " + stage + " got no answer"
	}
	fa.fill["design"] = byDesign(x.ID)
	if x.ID == probe.OpeningIKEv1 || x.ID == probe.OpeningIKEv2 {
		fa.fill["busy"] = " If you have run this several times just now, wait a minute first: such servers go silent to those who ask again and again."
	}
	if a.yes("carried") {
		fa.fill["carried"] = " This network carries it: the same got through to the test server."
		fa.fill["nogre"] = " This network carries them to the test server: so it is a firewall before that server that stops IP protocol 47 (GRE)."
	}
	return fa
}

// byDesign is why a server of this kind may keep silent.
func byDesign(id string) string {
	switch id {
	case probe.OpeningL2TP:
		return "a server that wants IPsec around L2TP, as most do, is silent without it"
	case probe.OpeningOpenVPNUDP, probe.OpeningOpenVPNTCP:
		return "a server with tls-auth or tls-crypt, as most have, is silent to strangers"
	}
	return "such servers may be silent to strangers"
}

// timesAsked is " (4 tries in 3.1 seconds)", or empty.
func timesAsked(a args) string {
	n := a.count("tries")
	if n == 0 {
		return ""
	}
	text := " (" + count(n, "try", "tries")
	if s := a.count("seconds"); s > 0 {
		text += " in " + seconds(s)
	}
	return text + ")"
}

// ownEvidence makes the sentences of what the openings rest on.
var ownEvidence = map[probe.Reason]func(a args, fa facts) string{
	probe.EvOwnAnswered: func(a args, fa facts) string {
		stage := cmp.Or(a.text("title", 60), fa.stage(a.text("stage", 60)))
		if stage == "" {
			return "It was answered."
		}
		return capital(stage) + " was answered."
	},
	probe.EvOwnServerNAT: func(a args, fa facts) string {
		asked := ""
		if s := a.text("address", 60); s != "" {
			asked = ": its own address is not " + s + ", which was asked"
		}
		return fa.theHost() + " stands behind a NAT, by its own NAT detection" + asked + ". Windows refuses L2TP/IPsec to such a server until the registry value " +
			"AssumeUDPEncapsulationContextOnSendRule is 2."
	},
	probe.EvOwnClientNAT: func(a args, fa facts) string {
		if !a.yes("behind") {
			return "By the NAT detection of " + fa.host() + " this laptop is behind no NAT."
		}
		return "By the NAT detection of " + fa.host() + " this laptop is behind a NAT."
	},
	probe.EvOwnStandsIn: func(a args, fa facts) string {
		fa.said(a)
		return "It was not asked from the port that VPN clients use, but from another one." + fa.fill["why"] + fa.fill["hint"]
	},
	probe.EvOwnDespite: func(a args, fa facts) string {
		return fmt.Sprintf("It is answered, though %s did not get through to the test server: what stopped that does not stop this.",
			protocolName(a.text("protocol", 40)))
	},
	probe.EvOwnStranger: func(a args, fa facts) string {
		n := a.count("count")
		return fmt.Sprintf("%s came in the name of %s, and %s no answer to what was asked.", capital(number(a, "count", "packet", "packets")), fa.host(), isAre(n))
	},
	ownAddresses: func(a args, fa facts) string {
		return fmt.Sprintf("%s has several addresses. %s was asked; not asked: %s.", fa.theHost(), cmp.Or(a.text("asked", 60), "The first"),
			cmp.Or(a.text("others", 500), "the others"))
	},
	ownOnLink: func(_ args, fa facts) string {
		return fa.theHost() + " is in this laptop's own network: what it says tells nothing of the router."
	},
	ownCannotAsk: func(_ args, fa facts) string {
		return "What cannot be asked from outside: WireGuard, which answers nobody without a key; OpenVPN with tls-auth or tls-crypt, which is silent to strangers; and " +
			"what comes after the first messages, such as whether a name and a password are right."
	},
}

// host is the server that was asked; theHost begins a sentence.
func (fa facts) host() string { return fa.fill["host"] }

func (fa facts) theHost() string { return yourServer(strings.TrimPrefix(fa.host(), someHost)) }

// someHost is what the server is called that has no name here.
const someHost = "your VPN's server"

// yourServer begins a sentence about a host.
func yourServer(host string) string { return strings.TrimSpace(capital(someHost) + " " + host) }

func isAre(n float64) string {
	if n == 1 {
		return "is"
	}
	return "are"
}

// protocolName is what a protocol of the test server is called in a sentence.
func protocolName(id string) string {
	id, _, _ = strings.Cut(id, "/")
	if n := openingNames[id]; n != "" {
		return name(n)
	}
	switch id {
	case "":
		return "the same"
	case "natt":
		return "NAT-T"
	case "l2tp-ipsec":
		return "L2TP/IPsec"
	}
	return strings.ToUpper(id)
}
