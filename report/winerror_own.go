package report

import (
	"net/netip"
	"slices"
	"strings"

	"vpncheck/probe"
)

// An ownSign is what the person's own VPN server shows where an error of Windows' comes from there.
type ownSign int

const (
	ownNothing  ownSign = iota
	ownNoGRE            // PPTP's call is taken, and no data comes
	ownNoAnswer         // it refuses or keeps silent
	ownNoName           // its name is not found
)

// knowing puts into the texts what the server itself told of a NAT before it (F03): where it was asked, nobody guesses.
func (w windowsError) knowing(r Report) windowsError {
	o := r.To
	nat, ask := " "+behindServerNAT+".", ", and whether the server stands behind a NAT"
	if o != nil {
		nat, ask = "", ""
		if o.NATed() {
			nat = " " + registryFor(o.host()) + "."
		} else if o.behindNAT() == nil {
			ask = ", and whether the server stands behind a NAT: it did not tell"
		}
	}
	if o != nil && len(o.answeredOf([]string{"l2tp-ipsec", "ikev2"})) > 0 {
		where := "a firewall before the server"
		if !r.tested() {
			where += ", or this network,"
		}
		w.clear = strings.Replace(w.clear, silentPorts, where+" may stop UDP port 4500 (on port 500 it answers)", 1)
	}
	if first, rest, ok := strings.Cut(w.clear, "{nat}Else "); ok && first == "" {
		w.clear = capital(rest)
		if nat != "" {
			w.clear = "For L2TP/IPsec: " + lower(strings.TrimSpace(nat)) + " Else " + rest
		}
	}
	w.clear, w.ask = strings.Replace(w.clear, "{nat}", nat, 1), strings.Replace(w.ask, "{asknat}", ask, 1)
	return w
}

// atOwn says what the person's own server showed of the error, if it did.
func (w windowsError) atOwn(r Report, concern []string) (seen string, ok bool) {
	o := r.To
	if o == nil || len(concern) == 0 {
		return "", false
	}
	host := o.host()
	if o.Why != nil {
		return "the name " + host + " was not found here either", w.own == ownNoName && o.Why.Reason == probe.UnknownHost
	}
	answers := o.concerning(concern)
	switch w.own {
	case ownNoGRE:
		for _, a := range answers {
			if a.Reason == probe.OwnNoGRE {
				return host + " takes PPTP's call, and its data packets (GRE) do not come back", true
			}
		}
	case ownNoAnswer:
		if slices.Contains(concern, "l2tp-ipsec") && strings.Contains(w.clear, registryValue) { // knowing has put it there
			return host + " stands behind a NAT, by its own NAT detection, and Windows refuses L2TP/IPsec to such a server", true
		}
		none := len(answers) > 0
		for _, a := range answers {
			none = none && (a.Verdict == probe.BlockedOut || a.Verdict == probe.Inconclusive)
		}
		if none {
			return host + " " + says{answers[0].Verdict, answers[0].Reason}.clause(namesOf(answers)), true
		}
	}
	return "", false
}

// ownError is the advice where the person's own server showed what the error means.
func (a *Aim) ownError(w windowsError, means, seen string, r Report, concern []string) {
	a.Headline = join(a.Headline, means+" That fits what was seen here: "+seen+".")
	o := r.To
	if slices.Contains(concern, "l2tp-ipsec") && strings.Contains(w.clear, registryValue) {
		a.Now = registryFor(o.host()) + "."
		a.Network = "Nothing, as far as this goes: the server answered from here."
		a.IT = "Ask whether the server can have a public address of its own, or whether you can use another VPN (IKEv2, SSTP)."
		return
	}
	for _, id := range concern {
		v, _ := r.VPN(id)
		rule, _ := ruleOf(id)
		if x, ok := o.of(rule); ok && !x.Answered() && a.VPN == "" {
			b := Aim{}
			b.advise(v, rule, r)
			b.withOwn(v, rule, r)
			a.Now, a.Network, a.IT, a.Diagnosis = b.Now, b.Network, b.IT, b.Diagnosis
			return
		}
	}
	if o.Why != nil && a.VPN == "" {
		a.notAsked(o, Report{})
		a.Headline = means + " That fits what was seen here: " + seen + "."
	}
	a.fill(capital(w.clear)+".", "", "Show them this report and the error's number. "+w.ask)
}

// concerning are the answers that matter for some VPNs, each once.
func (o *Own) concerning(ids []string) (out []Answer) {
	for _, id := range ids {
		rule, _ := ruleOf(id)
		if a, ok := o.of(rule); ok && !slices.ContainsFunc(out, func(x Answer) bool { return x.ID == a.ID }) {
			out = append(out, a)
		}
	}
	return out
}

// answeredOf are those of some VPNs that the server answered.
func (o *Own) answeredOf(ids []string) (out []string) {
	for _, id := range ids {
		rule, _ := ruleOf(id)
		if a, ok := o.of(rule); ok && a.Answered() {
			out = append(out, id)
		}
	}
	return out
}

func namesOf(as []Answer) (out []string) {
	for _, a := range as {
		out = append(out, a.Title)
	}
	return out
}

// found says whether the server's name was turned into an address. One that was given as an address tells nothing of names.
func (o *Own) found() bool {
	if o == nil || o.Why != nil || !o.Addr.IsValid() {
		return false
	}
	_, err := netip.ParseAddr(o.Host)
	return err != nil
}
