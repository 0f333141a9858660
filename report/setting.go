package report

import (
	"fmt"
	"slices"
	"strings"

	"vpncheck/probe"
)

// A setting is what the sentences about one protocol may know besides its own finding.
type setting struct {
	circumstances probe.Circumstances
	beside        map[string]outcome // how the run's protocols fared, by id
	asked         map[string]bool    // those that were tried
	told          map[string]bool    // what would allow a thing is told once, not with each protocol
	counts        bool               // the router's counter did count a train of this run
	shared        bool               // the second NAT is the provider's own
}

func settingOf(c probe.Circumstances, fs []probe.Finding, os []probe.Observation) setting {
	s := setting{circumstances: c, beside: make(map[string]outcome), asked: make(map[string]bool), told: make(map[string]bool)}
	s.shared = findNATs(c, os, reasonsOf(fs)...).Kind == kindCGNAT
	for _, f := range fs {
		s.beside[f.Protocol] = kind(f.Verdict, f.Reason)
		s.asked[f.Protocol] = f.Verdict != probe.Untested
	}
	return s
}

// name is a title without what it has in brackets: "IKE" of "IKE (UDP 500)".
func name(title string) string {
	name, _, _ := strings.Cut(Clean(title, 40), " (")
	return name
}

// Name is the title for use in a sentence.
func (p Protocol) Name() string { return name(p.Title) }

// tell notes the hints of a protocol that has been written.
func (s setting) tell(f probe.Finding, o probe.Observation) {
	if o.Refused != nil {
		s.told[o.Refused.Hint] = true
	}
	for _, e := range f.Because {
		s.told[args(e.Args).text("hint", 300)] = true
	}
}

// in puts facts into their setting.
func (fa *facts) in(s setting) {
	fa.beside, fa.told = s.beside, s.told
	fa.behindNAT, fa.shared = s.nat() == isNAT, s.shared
	fa.circumstances(s.circumstances)
	fa.fill["natt"], fa.fill["via4500"] = fa.natt(), fa.viaNATT()
	fa.letIn()
	fa.otherVPNs(s)
}

// otherVPNs names what to use instead.
func (fa *facts) otherVPNs(s setting) {
	fa.fill["other"], fa.fill["otherkind"], fa.fill["overtcp"] = s.names(), s.names("ikev2"), s.names(noTCP...)
	fa.fill["instead"], fa.fill["nonipsec"], fa.fill["noudp"] = s.news(), s.news("ikev2"), s.news(noTCP...)
	fa.fill["web"] = s.likeWeb()
	fa.fill["passing"], fa.fill["dodge"], fa.fill["orother"] = s.passing(), s.dodge(), s.orOther()
}

// withoutOpenVPN leaves out the last resort where it looks like what was dropped.
func (fa *facts) withoutOpenVPN() {
	for _, key := range []string{"web", "passing", "dodge"} {
		fa.fill[key] = strings.TrimSuffix(fa.fill[key], " or "+lastResort)
	}
}

// at takes up the server's port.
func (fa *facts) at(port float64, over string) {
	if port < 1 || port > 65535 {
		return
	}
	fa.port, fa.tcp = int(port), over == "tcp"
	fa.fill["port"] = fmt.Sprintf("%s port %d", fa.over(), fa.port)
	fa.fill["use"], fa.fill["phone"] = portWords[fa.port].use, portWords[fa.port].phone
	fa.letIn()
}

// over is the protocol whose port that is.
func (fa facts) over() string {
	if fa.tcp {
		return "TCP"
	}
	return "UDP"
}

// remarkable is the evidence that people should read even where the protocol works.
var remarkable = []probe.Reason{probe.EvStandsIn, probe.EvLater, probe.EvNATFound, probe.EvUneven, probe.EvPace, probe.EvTooEarly}

func remarks(r probe.Reason, because []Note) []string {
	var out []string
	for _, n := range because {
		if n.Reason == probe.EvNATFound && !args(n.Args).yes("server") {
			continue // the note about the run says it of this end
		}
		if n.Reason == probe.EvPace && r == probe.RateLimit {
			continue // the sentence says it
		}
		if slices.Contains(remarkable, n.Reason) && !slices.Contains(out, n.Text) {
			out = append(out, n.Text)
		}
	}
	return out
}
