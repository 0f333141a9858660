package report

import (
	"slices"

	"vpncheck/probe"
)

// withOwn fits the answer about one VPN to what the person's own server said.
func (a *Aim) withOwn(v VPN, rule vpnRule, r Report) {
	o := r.To
	x, asked := o.of(rule)
	switch {
	case o.Why != nil:
		a.notAsked(o, r)
	case !asked:
		a.cannotAsk(v, o, r)
	default:
		a.Headline = a.ownHeadline(v, x, r)
		a.ownAdvice(v, rule, x, r)
		if d := o.blame(x); d != nil && a.Diagnosis == nil {
			a.Diagnosis = d
		}
	}
}

// notAsked is for a server of which nothing could be asked: its name was not found, say.
func (a *Aim) notAsked(o *Own, r Report) {
	a.Now = o.Advice
	a.IT = "Ask whether " + o.host() + " is the right server, and reachable from outside your company."
	if !r.tested() {
		a.Headline, a.Network = o.Headline, "Nothing yet."
		if o.Why.Reason == probe.UnknownHost {
			a.Network = mendDNS
		}
	} else {
		a.Headline = join(a.Headline, o.Headline)
	}
	if a.Diagnosis == nil {
		a.Diagnosis = o.Diagnosis
	}
}

// mendDNS is what to ask those who run the network about a name.
const mendDNS = "If other names are found from here, nothing. Else ask them to mend their name servers (DNS)."

// cannotAsk is for a VPN of which nothing can be asked without a key.
func (a *Aim) cannotAsk(v VPN, o *Own, r Report) {
	text := yourServer(o.host()) + " was not asked about " + v.Title + "."
	if v.ID == "wireguard" {
		text = yourServer(o.host()) + " cannot be asked about WireGuard: that answers nobody without a key."
	}
	if r.tested() {
		a.Headline = join(a.Headline, text)
		return
	}
	a.Headline = text
	a.Now = "Run vpncheck with a test server (\"vpncheck serve\"): that tells whether this network carries " + v.Title + "."
	a.Network, a.IT = "Nothing yet.", "Ask for the connection string of a test server, and show them what it needs: vpncheck serve."
}

// ownHeadline says both: what this network does, where that was tested, and what the server said.
func (a *Aim) ownHeadline(v VPN, x Answer, r Report) string {
	host := r.To.host()
	does := says{x.Verdict, x.Reason}.clause([]string{"it"})
	if x.Verdict == probe.Inconclusive && x.Reason == probe.OwnSilentCarried {
		does = "does not answer it"
	}
	network := v.Works == WorksYes || v.Works == WorksBut
	switch {
	case !r.tested():
		return yourServer(host) + " " + says{x.Verdict, x.Reason}.clause([]string{v.Title}) + ownTail(x) + "."
	case r.despite(v, x):
		return yourServer(host) + " answers " + v.Title + ", though it does not get through to the test server: " + v.why() + "."
	case v.Works == WorksYes && x.Answered():
		return v.Title + " works on this network, and " + host + " " + does + "."
	case network && kind(x.Verdict, x.Reason) == fails, network && slices.Contains(silences, x.Reason):
		return "This network carries " + v.Title + ", but your VPN's server " + host + " " + does + "."
	}
	return join(a.Headline, yourServer(host)+" "+does+".")
}

// silences are those that this network has no part in.
var silences = []probe.Reason{probe.OwnSilentCarried, probe.OwnSilentByDesign, probe.OwnStopped, probe.OwnAnother, probe.OwnNoGRE, probe.OwnGREOneWay}

// ownTail says what an answer proves where there is no test server.
func ownTail(x Answer) string {
	switch {
	case x.Answered():
		return ": this network lets its first messages through, there and back"
	case x.Verdict == probe.Inconclusive && x.Reason == probe.OwnSilent:
		return "; whether this network stops it is not known"
	}
	return ""
}

// despite says that the server answers what did not get through to the test server: then it is not this network that stops it everywhere.
func (r Report) despite(v VPN, x Answer) bool {
	return v.Works == WorksNo && x.Answered() && slices.ContainsFunc(x.Because, func(n Note) bool { return n.Reason == probe.EvOwnDespite })
}

// ownAdvice has the same three parts, now that the server has been asked too.
func (a *Aim) ownAdvice(v VPN, rule vpnRule, x Answer, r Report) {
	host := r.To.host()
	network := v.Works == WorksYes || v.Works == WorksBut
	switch {
	case r.despite(v, x):
		a.Now = "Try your VPN: its server answers from here. What stops the test server's packets may stand at the test server itself, or let some addresses through and others not."
		return
	case x.Answered() && network && x.Reason == "":
		return // what is said of the network is true of the server
	case x.Answered() && x.Reason == "" && !r.tested():
		a.Now = "If your VPN still fails: " + lower(lookElsewhere) + " What comes after its first messages was not tried: that needs a test server (\"vpncheck serve\")."
		a.Network = "Nothing yet: this network lets the first messages of " + v.Title + " through to " + host + "."
		a.IT = "Ask whether " + host + " lets your account in. Show them this report."
	case x.Answered() && x.Reason == "":
		return
	case x.Answered():
		a.Now, a.IT = x.Next, "Ask which settings "+host+" wants. Show them this report."
		a.Network = "Nothing: this network lets the first messages of " + v.Title + " through to " + host + "."
	case x.Verdict == probe.Untested:
		if !r.tested() {
			a.Now, a.Network, a.IT = x.Next, "Nothing yet.", "Nothing yet."
		}
	case network:
		a.Now = x.Next
		a.Network = "Nothing: this network carries " + v.Title + "."
		a.IT = "Ask whether " + host + " is up, offers " + v.Title + " on its usual port, and lets it in through every firewall before it."
		if x.Reason == probe.OwnRefusedOnWay {
			a.Network = "Ask them to let " + rule.lets(r) + " through to " + host + "."
		}
	case !r.tested():
		a.Now = x.Next
		a.Network = "Ask whether they let " + rule.lets(r) + " through to " + host + "."
		a.IT = "Ask whether " + host + " is up and offers " + v.Title + ", and which firewall before it may refuse you."
	}
	if rule.id == "l2tp-ipsec" && r.To.NATed() {
		a.Now = join(a.Now, "On Windows: "+lower(registryFor(host))+".")
	}
}

// registryFor is what Windows needs for a server that, by its own word, stands behind a NAT (F03).
func registryFor(host string) string {
	return "The server " + host + " stands behind a NAT, by its own NAT detection, which Windows refuses: set " + registryValue
}

// exitFor is the exit status for one VPN where the person's own server was asked: that of the network, if it was tested, and of the server.
func (r Report) exitFor(v VPN) int {
	rule, _ := ruleOf(v.ID)
	own := r.To.exitFor(rule)
	x, asked := r.To.of(rule)
	switch {
	case !r.tested():
		return own
	case !asked && r.To.Why == nil:
		return v.exitCode()
	case r.despite(v, x):
		return 4
	}
	return worse(v.exitCode(), own)
}
