package report

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strings"

	"vpncheck/probe"
)

// Weighed says how an error that Windows told goes with what was seen.
type Weighed string

const (
	Explained Weighed = "explained" // what the error means was seen here
	AllPass   Weighed = "all-pass"  // this network carries that VPN: the cause is elsewhere
	Otherwise Weighed = "other"     // something fails, but not what this error means
	Unclear   Weighed = "unclear"   // what it means could not be decided
	Misplaced Weighed = "misplaced" // it is not an error of the VPN that was asked about
)

// A windowsError is what an error of Windows' VPN client (RAS) means on the wire.
type windowsError struct {
	means string // completes "Windows error 691 means that ..."
	vpns  []string
	// shows is what the wire shows where the network is the cause: nil for an error that no network makes.
	shows []sign
	// seen says what follows where that was seen, clear what follows where the network carries all. ask, if set, is for the IT.
	// {nat} in clear is what is known of a NAT before the server, {asknat} in ask the question about it.
	seen, clear, ask string
	// own is what the person's own VPN server shows where the error comes from there.
	own ownSign
}

// A sign is a failure of a protocol, at one of the stages if they are named; or a fact of the whole run.
type sign struct {
	protocol string
	stages   []string
	run      func(r Report) bool
}

// ofWindows are the VPNs that Windows speaks by itself.
var ofWindows = []string{"pptp", "l2tp-ipsec", "ikev2", "sstp"}

var (
	pptpTunnel = []sign{{protocol: "pptp", stages: []string{"gre"}}}
	ikeFails   = []sign{{protocol: "ike"}, {protocol: "ikev2"}, {protocol: "l2tp-ipsec"}}
	overPPTP   = []string{"pptp"}
)

// registryValue is what lets Windows speak to a server behind a NAT (F03).
const registryValue = "the registry value AssumeUDPEncapsulationContextOnSendRule (under HKLM\\SYSTEM\\CurrentControlSet\\Services\\PolicyAgent) to 2 and restart " +
	"Windows"

const behindServerNAT = "The VPN's server may itself stand behind a NAT, which Windows refuses (\"vpncheck run --to SERVER\" asks it): then set " + registryValue

const silentPorts = "the server, or a firewall before it, does not answer on UDP ports 500 and 4500"

const wrongKey = "compare the pre-shared key or the certificate with what the server expects"

// windowsErrors are the codes that people meet, with what distinguishes them on the wire.
var windowsErrors = map[int]windowsError{
	619: {means: "the connection was made and closed again before the VPN was up", vpns: overPPTP, shows: pptpTunnel, own: ownNoGRE,
		seen:  "PPTP's call is set up and its data packets (GRE) are lost",
		clear: "The server closed the connection: check the user name and the password, and whether the server takes PPTP with your settings"},
	628: {means: "the other end closed the connection", vpns: ofWindows, shows: pptpTunnel, own: ownNoGRE,
		seen:  "PPTP's call is set up and its data packets (GRE) are lost, until the server gives up",
		clear: "The server itself hung up: check the user name and the password, and how the server signs people in"},
	691: {means: "the server refused the user name or the password", vpns: ofWindows,
		clear: "Check the user name, the password and the domain before it, and how the server signs people in (MS-CHAP v2, EAP)",
		ask:   "Ask whether your account is locked or expired, and which way of signing in the server allows."},
	720: {means: "the two ends found no protocol to speak inside the VPN", vpns: ofWindows,
		clear: "Reset Windows' WAN Miniports (device manager: uninstall \"WAN Miniport (IP)\", then restart), and switch on IPv4 in the VPN's properties",
		ask:   "Ask whether the server has an address left to give you."},
	721: {means: "the server did not answer inside the connection", vpns: overPPTP, shows: pptpTunnel, own: ownNoGRE,
		seen:  "PPTP's call is set up and its data packets (GRE) are lost",
		clear: "The server, or a firewall before it, swallows PPTP's data packets (GRE): that is at the VPN's end"},
	789: {means: "the security negotiation (IKE) went wrong before the connection was up", vpns: []string{"l2tp-ipsec"}, shows: ikeFails,
		seen:  "IKE does not get through",
		clear: "First " + wrongKey + ".{nat} If it began with a Windows update (January 2022 had a bad one), install the newest updates",
		ask:   "Ask for the right pre-shared key or certificate{asknat}.", own: ownNoAnswer},
	800: {means: "the VPN's server could not be reached at all", vpns: ofWindows, own: ownNoAnswer,
		shows: []sign{{protocol: "pptp", stages: []string{"connect", "start", "call"}}, {protocol: "ike"}, {protocol: "ikev2"}, {protocol: "l2tp-ipsec"}, {protocol: "sstp"}},
		seen:  "already the first packets of that VPN do not get through",
		clear: "Check the server's name or address in the VPN's settings, and whether that server is up"},
	806: {means: "the connection was made and its data packets (GRE) are blocked", vpns: overPPTP, shows: pptpTunnel, own: ownNoGRE,
		seen:  "PPTP's call is set up and its data packets (GRE) are lost",
		clear: "A firewall at the VPN's own server does not let IP protocol 47 (GRE) in: that is at the VPN's end"},
	807: {means: "the connection was interrupted", vpns: ofWindows, shows: []sign{{run: lineBad}},
		seen:  "the line loses packets, was dead for a while, or stops a VPN after its beginning",
		clear: "The line is good now. If it breaks off when nobody speaks, switch on keepalives; and look whether the server limits the time or the number of connections"},
	809: {means: "no answer came to the first packets of IPsec (UDP ports 500 and 4500)", vpns: []string{"l2tp-ipsec", "ikev2"},
		shows: append([]sign{{protocol: "natt"}}, ikeFails...),
		seen:  "IPsec's packets do not get through",
		clear: "{nat}Else " + silentPorts + ", or the answers with certificates are too big for the way",
		ask:   "Ask whether UDP ports 500 and 4500 are open at the server, and whether it may cut IKE into fragments itself (RFC 7383){asknat}.", own: ownNoAnswer},
	812: {means: "the server's policy refused you, or the way of signing in", vpns: ofWindows,
		clear: "Compare how you sign in (MS-CHAP v2, EAP) with what the server allows",
		ask:   "Ask whether your account may use the VPN at this time and with this way of signing in."},
	868: {means: "the name of the VPN's server was not found", vpns: ofWindows, own: ownNoName, shows: []sign{{run: nameUnknown}},
		seen:  "the test server's name was not found either: the DNS of this network or of this laptop does not work",
		clear: "Check the server's name in the VPN's settings for a slip, and look it up (nslookup NAME): DNS must give the right address, of the right one of IPv4 and IPv6"},
	13801: {means: "the certificates of IKE do not fit", vpns: []string{"ikev2"},
		clear: "Check that the server's certificate is for the name you dial, is not expired, and that its issuer is trusted on this laptop",
		ask:   "Ask for the issuer's certificate, and whether the server's own is good for IKE (server authentication)."},
}

// WindowsErrors are the codes that are known.
func WindowsErrors() []int { return slices.Sorted(maps.Keys(windowsErrors)) }

func nameUnknown(r Report) bool {
	n := r.Circumstances.NoSession
	return n != nil && n.Reason == probe.UnknownHost
}

func lineBad(r Report) bool {
	return lineAdvice(r.Circumstances.Control) != "" || r.Circumstances.Stop != nil && slices.Contains([]probe.Reason{probe.SessionLost, probe.LineCut}, r.Circumstances.Stop.Reason) ||
		slices.ContainsFunc(r.Protocols, func(p Protocol) bool {
			return p.Verdict == probe.Stalled || Slowly(p.Verdict, p.Reason) || p.Reason == probe.TooLossy
		})
}

// weigh brings together what Windows said and what was seen here.
func (a *Aim) weigh(code int, w windowsError, r Report) {
	concern := w.concern(a.VPN)
	w = w.knowing(r)
	a.Weighed = w.weighs(r, concern)
	means := fmt.Sprintf("Windows error %d means that %s.", code, w.means)
	switch a.Weighed {
	case Misplaced:
		a.Headline = join(a.Headline, fmt.Sprintf("Windows error %d is none of %s: it belongs to %s.", code, title(a.VPN), titlesOf(w.vpns)))
		return
	case Explained:
		if text, ok := w.atOwn(r, concern); ok {
			a.ownError(w, means, text, r, concern)
			break
		}
		a.Headline = join(a.Headline, means+" That fits what was seen here: "+w.seen+".")
		w.explain(a, r, concern)
	case AllPass:
		a.Headline = join(a.Headline, means+" "+w.cleared(r, concern))
		a.Now, a.Network, a.IT = w.clear+".", w.clearedNetwork(r), "Show them this report and the error's number. "+w.ask
	case Otherwise:
		a.Headline = join(a.Headline, means+" That does not fit what was seen here"+w.instead(r, concern)+".")
		a.fill("If your VPN is one of those that fail, mend that first. Else: "+lower(w.clear)+".", "", "Show them this report and the error's number. "+w.ask)
	default:
		a.Headline = join(a.Headline, means+" Whether this network is the cause could not be decided.")
		a.fill("Do what is said below, and run the check again. Else: "+lower(w.clear)+".", "", "Show them the error's number. "+w.ask)
	}
	a.IT = strings.TrimSpace(a.IT)
}

// explain gives the advice for the VPN that fails as the error says, or, where it is no VPN's own failure, the error's.
func (w windowsError) explain(a *Aim, r Report, concern []string) {
	for _, id := range concern {
		v, _ := r.VPN(id)
		if rule, ok := ruleOf(id); ok && v.Works == WorksNo && w.shown(r, []string{id}) && a.VPN == "" {
			b := Aim{Needs: rule.protocols(among(r.Protocols, r.Circumstances), r.Protocols)}
			b.Diagnosis = diagnoseRun(r.needed(b.Needs))
			b.advise(v, rule, r)
			a.Now, a.Network, a.IT, a.Diagnosis = b.Now, b.Network, b.IT, b.Diagnosis
			return
		}
	}
	now := cmp.Or(lineAdvice(r.Circumstances.Control), r.Summary.Advice, lower(w.clear)+".")
	a.fill(capital(now), "Show them this report, and what it says of who did it.", "Ask whether you can use another VPN.")
}

// fill leaves standing what is known of the VPN itself.
func (a *Aim) fill(now, network, it string) {
	a.Now, a.Network, a.IT = cmp.Or(a.Now, now), cmp.Or(a.Network, network, "Nothing, as far as this error goes."), cmp.Or(a.IT, it)
}

// concern are the VPNs that the error can be about.
func (w windowsError) concern(vpn string) []string {
	switch {
	case vpn == "":
		return w.vpns
	case slices.Contains(w.vpns, vpn):
		return []string{vpn}
	}
	return nil
}

// shown says whether what the error means was seen, at one of these VPNs.
func (w windowsError) shown(r Report, concern []string) bool {
	return slices.ContainsFunc(w.shows, func(s sign) bool { return s.in(r, concern) })
}

func (w windowsError) weighs(r Report, concern []string) Weighed {
	if len(concern) == 0 {
		return Misplaced
	}
	if w.shown(r, concern) {
		return Explained
	}
	if _, ok := w.atOwn(r, concern); ok {
		return Explained
	}
	if w.own == ownNoName && r.To.found() || !r.tested() && r.To != nil && len(r.To.answeredOf(concern)) > 0 {
		return AllPass
	}
	open, known := false, false
	for _, id := range concern {
		switch v, _ := r.VPN(id); {
		case v.Works == WorksNo:
			return Otherwise
		case v.Works == WorksUnknown && v.Reason != notAsked, v.Reason == probe.EvStandsIn, v.Reason == probe.EvTooEarly:
			open = true
		case v.Works == WorksYes || v.Works == WorksBut:
			known = true
		}
	}
	if open || !known {
		return Unclear
	}
	return AllPass
}

// in says whether a sign is in the report, at one of the VPNs that the error is about.
func (s sign) in(r Report, concern []string) bool {
	if s.run != nil {
		return s.run(r)
	}
	set := among(r.Protocols, r.Circumstances)
	for _, id := range concern {
		rule, _ := ruleOf(id)
		if !slices.Contains(rule.protocols(set, r.Protocols), s.protocol) {
			continue
		}
		if v, _ := r.VPN(id); v.Works != WorksNo {
			continue
		}
		p, _ := r.protocol(s.protocol)
		if failsFor(rule, p) && (len(s.stages) == 0 || slices.Contains(s.stages, p.Stage)) {
			return true
		}
	}
	return false
}

// failsFor says whether a protocol fails in the form that a VPN needs.
func failsFor(rule vpnRule, p Protocol) bool {
	for _, n := range rule.needs {
		for _, part := range p.Parts {
			if n.protocol == p.ID && n.part == part.ID && n.part != "" {
				return kind(part.Verdict, part.Reason) == fails
			}
		}
	}
	return kind(p.Verdict, p.Reason) == fails
}

// cleared says how far this network is not the matter. An answer of the person's own server alone proves it for the first messages, and no
// VPN that gets through says anything of a name.
func (w windowsError) cleared(r Report, concern []string) string {
	text := "his network is not the matter: " + w.carried(r, concern) + "."
	switch {
	case w.halfTried(r):
		return "As far as it was tried, t" + text + " What follows the first messages was not tried: that needs a test server (\"vpncheck serve\")."
	case w.nameUntried(r):
		return "As far as it was tried, t" + text + " Whether that name is found from here was not tried: add --to and the name."
	}
	return "T" + text
}

// clearedNetwork is what to ask those who run the network then.
func (w windowsError) clearedNetwork(r Report) string {
	switch {
	case w.halfTried(r):
		return "Nothing yet: this network lets the first messages through to " + r.To.host() + "."
	case w.nameUntried(r):
		return mendDNS
	}
	return "Nothing: this network carries it."
}

// halfTried says of an error that a network can make that no more than the first messages to the person's own server speak against it.
func (w windowsError) halfTried(r Report) bool {
	return w.shows != nil && w.own != ownNoName && !r.tested()
}

// nameUntried says of an error about a name that the name itself was not looked up.
func (w windowsError) nameUntried(r Report) bool { return w.own == ownNoName && !r.To.found() }

// carried names what gets through.
func (w windowsError) carried(r Report, concern []string) string {
	var names []string
	for _, id := range concern {
		if v, _ := r.VPN(id); v.Works == WorksYes || v.Works == WorksBut {
			names = append(names, v.Title)
		}
	}
	if w.own == ownNoName && r.To.found() {
		return r.To.host() + " was found here, at " + r.To.Addr.Unmap().String()
	}
	if r.To != nil {
		if ids := r.To.answeredOf(concern); len(ids) > 0 {
			text := r.To.host() + " answers " + titlesOf(ids)
			if len(names) > 0 {
				text = verb(names, " gets through", " get through") + ", and " + text
			}
			return text
		}
	}
	return verb(names, " gets through", " get through")
}

// instead names what fails otherwise.
func (w windowsError) instead(r Report, concern []string) string {
	var names []string
	for _, id := range concern {
		if v, _ := r.VPN(id); v.Works == WorksNo {
			names = append(names, v.Title)
		}
	}
	if len(w.shows) == 0 {
		return ": it comes only once the network has carried the VPN, and here " + verb(names, " does not get through", " do not get through")
	}
	return ": here " + verb(names, " fails, but otherwise", " fail, but otherwise")
}

// TitleOf is what people call one of VPNs.
func TitleOf(id string) string { return title(id) }

func title(id string) string {
	r, _ := ruleOf(id)
	return r.title
}

func titlesOf(ids []string) string {
	var out []string
	for _, id := range ids {
		out = append(out, title(id))
	}
	return list(out)
}

// lower makes the first letter a small one, where it begins an ordinary word.
func lower(s string) string {
	if len(s) > 1 && s[1] >= 'a' && s[1] <= 'z' {
		return strings.ToLower(s[:1]) + s[1:]
	}
	return s
}
