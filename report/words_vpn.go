package report

import (
	"slices"
	"strings"

	"vpncheck/probe"
)

// vpnWords complete "yes, but ..." of the table, and say what is in no other catalogue.
var vpnWords = map[probe.Reason]string{
	notAsked:         "it was not asked in this run",
	insecure:         "it is insecure: its encryption is broken",
	unencrypted:      "it is insecure: it does not encrypt",
	forceUDP:         "only if UDP encapsulation is forced",
	nattInstead:      "it does not matter: NAT-T is used here, and works",
	nattUsual:        "behind a NAT, VPN clients use NAT-T instead",
	probe.RateLimit:  "only slowly: there is a rate limit on the way",
	probe.EvStandsIn: "it was tried only from another port or form",
	probe.EvTooEarly: "a setting was changed just now: check again later",
}

// sentence says in a table whether the VPN works; short is why not.
func (v VPN) sentence(short string) string {
	switch v.Works {
	case WorksYes:
		return "yes"
	case WorksBut:
		return "yes, but " + vpnWords[v.Reason]
	case WorksNo:
		for _, n := range v.Because {
			if n.Reason == nattInstead {
				return "no, but " + vpnWords[nattInstead]
			}
		}
		return "no: " + short
	}
	if v.Reason == notAsked || short == "" {
		return "not known: " + vpnWords[notAsked]
	}
	return "not known: " + short
}

// why is what the sentence says after its first words, for use in another one.
func (v VPN) why() string {
	for _, p := range []string{"yes, but ", "no: ", "no, but ", "not known: "} {
		if rest, ok := strings.CutPrefix(v.Sentence, p); ok {
			return rest
		}
	}
	return ""
}

// instead says that what does not work is not missed: NAT-T takes its place.
func (v VPN) instead() bool {
	return v.Works == WorksNo && slices.ContainsFunc(v.Because, func(n Note) bool { return n.Reason == nattInstead })
}

// note says how a protocol fared that a VPN needs.
func (s step) note() Note {
	a := map[string]any{"protocol": s.ID, "title": s.Name(), "verdict": string(s.Verdict)}
	if s.Reason != "" {
		a["reason"] = string(s.Reason)
	}
	text := s.Name()
	if s.part != "" {
		a["part"] = s.part
		text += " (" + Clean(partTitle(s.Protocol, s.part), 60) + ")"
	}
	switch s.outcome() {
	case works:
		text += " works"
	case fails, expected:
		text += " does not work: " + s.short
	default:
		text += " is not known: " + s.short
	}
	return Note{Reason: saysProtocol, Args: a, Text: text + "."}
}

func partTitle(p Protocol, id string) string {
	for _, part := range p.Parts {
		if part.ID == id {
			return part.Title
		}
	}
	return id
}

func best(v VPN) string {
	if v.Works == WorksYes {
		return v.Title + " works here. It is the best choice, if your VPN's server offers it."
	}
	return v.Title + " is the best choice that is known to work here, but " + v.why() + "."
}

// noBest is what to do where no VPN that protects anything is known to work.
func noBest(vs []VPN, s setting) string {
	var open, weak, untried []string
	for _, v := range vs {
		switch {
		case v.Works == WorksBut && (v.Reason == insecure || v.Reason == unencrypted):
			weak = append(weak, v.Title)
		case v.Works != WorksUnknown || !slices.Contains(preferred, v.ID):
		case v.Reason == notAsked:
			untried = append(untried, v.Title)
		default:
			open = append(open, v.Title)
		}
	}
	text := "No secure VPN is known to work here."
	if len(weak) > 0 {
		text += " " + verb(weak, " gets through, but protects nothing.", " get through, but protect nothing.")
	}
	if len(open) > 0 {
		return text + " " + verb(open, " is", " are") + " undecided: do what is said below, and run the check again."
	}
	if len(untried) > 0 {
		text += " " + verb(untried, " was not asked, and may work.", " were not asked, and may work.")
	}
	if s.noUDP() && !slices.ContainsFunc(vs, func(v VPN) bool { return v.ID == "sstp" && v.Works == WorksNo }) {
		return text + " UDP is blocked: ask your IT for a VPN over TCP port 443, or use a phone's hotspot."
	}
	if len(untried) > 0 {
		return text + " Else use another network, a phone's hotspot for example."
	}
	return text + " Use another network, a phone's hotspot for example."
}
