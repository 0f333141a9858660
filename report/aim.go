package report

import (
	"slices"

	"vpncheck/probe"
)

// An Aim is what the person asked about, one kind of VPN or an error of Windows', and the answer to that alone. Needs, VPN, WindowsError and
// Weighed are data; the texts are made of them and of the report.
type Aim struct {
	VPN          string  `json:"vpn,omitempty"`
	WindowsError int     `json:"windows_error,omitempty"`
	Weighed      Weighed `json:"weighed,omitempty"` // how the error goes with what was seen
	// Needs are the protocols that matter for it; empty means all.
	Needs    []string `json:"needs,omitempty"`
	Headline string   `json:"headline"`
	// Now is what the person can do, Network what to ask whoever runs this network, IT what to ask their own IT.
	Now       string     `json:"now"`
	Network   string     `json:"network"`
	IT        string     `json:"it"`
	Diagnosis *Diagnosis `json:"diagnosis,omitempty"` // of the protocols that matter
}

// For answers about one VPN, by its id, and about an error of Windows'; "" and 0 are about none. It is a pure function of the report, and
// an older one can be asked as well.
func (r Report) For(vpn string, code int) Report {
	r.Aim = nil
	rule, _ := ruleOf(vpn)
	w, known := windowsErrors[code]
	if rule.id == "" && !known {
		return r
	}
	a := &Aim{VPN: rule.id}
	s := among(r.Protocols, r.Circumstances)
	if rule.id != "" {
		a.Needs = rule.protocols(s, r.Protocols)
	}
	a.Diagnosis = diagnoseRun(r.needed(a.Needs))
	if v, ok := r.VPN(rule.id); ok {
		a.answer(v)
		a.advise(v, rule, r)
		if r.To != nil {
			a.withOwn(v, rule, r)
		}
	}
	if known {
		a.WindowsError = code
		a.weigh(code, w, r)
	}
	r.Aim = a
	return r
}

// protocols are those that decide this VPN in this setting: what a client would use here.
func (r vpnRule) protocols(s setting, ps []Protocol) []string {
	var out []string
	if r.whole != "" {
		out = append(out, r.whole)
	}
	for _, n := range r.needs {
		if n.holds(s) {
			out = append(out, n.protocol)
		}
	}
	return slices.DeleteFunc(out, func(id string) bool {
		return !slices.ContainsFunc(ps, func(p Protocol) bool { return p.ID == id })
	})
}

func (r Report) needed(ids []string) []Protocol {
	var out []Protocol
	for _, p := range r.Protocols {
		if len(ids) == 0 || slices.Contains(ids, p.ID) {
			out = append(out, p)
		}
	}
	return out
}

// Needed says whether a protocol matters for what the person asked about.
func (r Report) Needed(id string) bool {
	return r.Aim == nil || r.Aim.VPN == "" || slices.Contains(r.Aim.Needs, id)
}

// MayNeed says of a VPN whether it may depend on a protocol, before it is known what is on the way; any may depend on all.
func MayNeed(vpn, protocol string) bool {
	r, ok := ruleOf(vpn)
	return !ok || r.whole == protocol || slices.ContainsFunc(r.needs, func(n need) bool { return n.protocol == protocol })
}

// answer is the first line.
func (a *Aim) answer(v VPN) {
	switch v.Works {
	case WorksYes:
		a.Headline = v.Title + " works on this network."
	case WorksBut:
		a.Headline = v.Title + " works on this network, but " + v.why() + "."
	case WorksNo:
		does := " does not work on this network: "
		if v.instead() {
			does = " does not work on this network, but "
		}
		a.Headline = v.Title + does + v.why() + "."
	default:
		a.Headline = "Whether " + v.Title + " works on this network is not known: " + v.why() + "."
	}
}

// advise has three parts, by who can do what.
func (a *Aim) advise(v VPN, rule vpnRule, r Report) {
	other, title := r.otherVPN(v.ID)
	through := rule.lets(r)
	switch v.Works {
	case WorksYes, WorksBut:
		a.Now = "If it still fails, this network is not the matter. " + lookAt(v.ID)
		a.Network = "Nothing: this network lets " + v.Title + " through."
		a.IT = "Ask whether the VPN server is up, and whether it lets your account in. Show them this report."
		switch v.Reason {
		case insecure, unencrypted:
			a.IT += " And ask for another VPN: " + v.Title + " protects nothing any more."
		case probe.RateLimit:
			a.Network = "Ask why UDP packets are limited to so few a second, and to lift the limit for VPNs."
		case probe.EvStandsIn:
			_, stands := standIns(r.needed(a.Needs))
			a.Now = standsInAdvice(stands)
			a.Network = "Nothing yet: what " + v.Title + " clients use was not tried itself."
		case probe.EvTooEarly:
			a.Now = "Restart the router or wait ten minutes, and run the check again: a setting was changed just now."
			a.Network = "Nothing yet."
		case forceUDP:
			a.Now = "Switch on \"UDP encapsulation\" (also called \"force NAT-T\") in your VPN's settings, if it has that."
			a.Network = "Ask them to let IP protocol 50 (ESP) through."
		}
	case WorksNo:
		a.Now, a.Network, a.IT = goRound(title), askThose(v, through), askIT(v, other)
		a.byCulprit(v, r)
		if v.instead() {
			a.Now = "Nothing, as a rule: behind a NAT, VPN clients use NAT-T by themselves, and that works here. If yours does not, switch on \"NAT traversal\" " +
				"(also called \"UDP encapsulation\") in its settings."
		}
	default:
		a.Now = "Run the check again."
		if p, ok := r.undecidedOf(v); ok && p.Next != "" {
			a.Now = p.Next
		} else if len(v.Because) == 0 {
			a.Now = "Run vpncheck again without --only, in a version that asks this VPN, with a server of the same version."
		}
		if w, stopped := stopWords(r.Circumstances); stopped {
			a.Headline = "Whether " + v.Title + " works on this network is not known: " + w.Short + "."
			a.Now = w.Next
		}
		a.Network = "Nothing yet: it is not known whether this network stops " + v.Title + "."
		a.IT = "Nothing yet, but for what your VPN needs: a network must let " + through + " through to the VPN server."
	}
}

// byCulprit fits the advice to who did it, where that is known.
func (a *Aim) byCulprit(v VPN, r Report) {
	d := a.Diagnosis
	if d == nil {
		return
	}
	next := d.Next
	if p, ok := r.protocol(d.Protocol); ok && p.Next != "" {
		next = p.Next // it has the steps
	}
	switch d.Culprit {
	case CulpritLaptop:
		a.Network = "Nothing: it is this laptop that stops " + v.Title + "."
		a.IT = "Ask them to let " + v.Title + " through the security software of this laptop."
	case CulpritServer:
		a.Network = "Nothing: what stopped it stands at the test server, not on this network."
		a.IT = "Ask whoever runs the test server to let it through there, and run the check again."
	case CulpritRouter:
	default:
		return
	}
	if next != "" {
		a.Now = next
	}
}

// otherVPN says what to ask for instead, and names it if it is known to work. OpenVPN's other way is nearest, where there is one.
func (r Report) otherVPN(but string) (text, title string) {
	ids := []string{map[string]string{"openvpn-udp": "openvpn-tcp", "openvpn-tcp": "openvpn-udp"}[but]}
	if r.Recommendation != nil {
		ids = append(ids, r.Recommendation.VPN)
	}
	for _, id := range ids {
		if v, ok := r.VPN(id); ok && id != but && (v.Works == WorksYes || v.Works == WorksBut) {
			return v.Title + " works here", v.Title
		}
	}
	if v, ok := r.VPN("sstp"); ok && v.Works == WorksNo {
		return "one of another kind, or OpenVPN over TCP port 443", ""
	}
	return "one over TCP port 443 (SSTP, or OpenVPN over TCP) gets through most networks", ""
}

func (r Report) protocol(id string) (Protocol, bool) {
	for _, p := range r.Protocols {
		if p.ID == id {
			return p, true
		}
	}
	return Protocol{}, false
}

// undecidedOf is the protocol that keeps a VPN undecided.
func (r Report) undecidedOf(v VPN) (Protocol, bool) {
	for _, n := range v.Because {
		p, ok := r.protocol(args(n.Args).text("protocol", 40))
		if ok && kind(p.Verdict, p.Reason) == undecided {
			return p, true
		}
	}
	return Protocol{}, false
}

// exitCode is the exit status for one VPN.
func (v VPN) exitCode() int {
	switch v.Works {
	case WorksYes, WorksBut:
		return 0
	case WorksNo:
		return 3
	}
	return 4
}
