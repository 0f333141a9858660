package report

import (
	"slices"
	"strings"

	"vpncheck/probe"
)

// Works says whether a kind of VPN would work on this network.
type Works string

const (
	WorksYes     Works = "works"
	WorksBut     Works = "works-but" // with a catch, which the reason names
	WorksNo      Works = "no"
	WorksUnknown Works = "unknown"
)

// A VPN is one kind of VPN, and whether it would work here. Works, Reason and Because are judged from the protocols of the report, and from
// nothing else; Sentence completes its title in a table.
type VPN struct {
	ID       string       `json:"id"`
	Title    string       `json:"title"`
	Works    Works        `json:"works"`
	Reason   probe.Reason `json:"reason,omitempty"`
	Sentence string       `json:"sentence"`
	Because  []Note       `json:"because,omitempty"`
}

// A Recommendation is the best VPN that works here; where none does, Text says what to do.
type Recommendation struct {
	VPN  string `json:"vpn,omitempty"`
	Text string `json:"text"`
}

// Reasons of the table, besides those of the protocols.
const (
	notAsked     probe.Reason = "not-asked"     // no protocol in this report decides it
	insecure     probe.Reason = "insecure"      // it works, and nobody should use it
	unencrypted  probe.Reason = "no-encryption" // likewise
	forceUDP     probe.Reason = "force-udp"     // without a NAT clients use plain ESP, which is blocked, and NAT-T is not (F38)
	nattInstead  probe.Reason = "nat-t-instead" // behind a NAT clients use NAT-T, which works (F38)
	nattUsual    probe.Reason = "nat-t-usual"   // it passes, but behind a NAT clients do not use it
	saysProtocol probe.Reason = "protocol"      // args: protocol, title, part, verdict, reason
)

// A need is a protocol, or one form of it, that a VPN cannot do without.
type need struct {
	protocol string
	part     string // of the protocol; empty for its own verdict
	where    natNeed
}

type natNeed int

const (
	always natNeed = iota
	behindNAT
	withoutNAT
)

// holds says whether it is one here. Behind a NAT clients wrap ESP in UDP, and so they do where it is not known whether there is one.
func (n need) holds(s setting) bool {
	return n.where == always || (n.where == withoutNAT) == (s.nat() == noNAT)
}

// A vpnRule says what decides whether a VPN works.
type vpnRule struct {
	id, title string
	// whole is the probe that asks it as one: its answer decides, where it has one. Else what it needs does, and without that nothing.
	whole string
	needs []need
	udp   bool // where UDP as a whole does not get through, it does not either
	// catch is what is wrong with it even where it works.
	catch probe.Reason
	// through is what a network must let through for it.
	through string
}

const ikeV1 = "v1-from-500" // IKE's form that L2TP/IPsec begins with

// vpnRules is the one table that maps each VPN to the protocols that decide it, in the order in which they are shown.
var vpnRules = []vpnRule{
	{id: "pptp", title: "PPTP", needs: []need{{protocol: "pptp"}}, catch: insecure,
		through: "TCP port 1723 and IP protocol 47 (GRE), with PPTP passthrough switched on,"},
	{id: "l2tp", udp: true, title: "L2TP without IPsec", needs: []need{{protocol: "l2tp"}}, catch: unencrypted, through: "UDP port 1701"},
	{id: "l2tp-ipsec", udp: true, title: "L2TP/IPsec", whole: "l2tp-ipsec", through: "UDP ports 500 and 4500" + plainESPToo,
		needs: []need{{protocol: "ike", part: ikeV1}, {protocol: "natt", where: behindNAT}, {protocol: "esp", where: withoutNAT}}},
	{id: "ipsec-esp", udp: true, title: "IPsec (plain ESP)", needs: []need{{protocol: "ike"}, {protocol: "esp"}},
		through: "UDP port 500 and IP protocol 50 (ESP)"},
	{id: "ikev2", udp: true, title: "IKEv2", whole: "ikev2", through: "UDP ports 500 and 4500" + plainESPToo,
		needs: []need{{protocol: "ike"}, {protocol: "natt", where: behindNAT}, {protocol: "esp", where: withoutNAT}}},
	{id: "openvpn-udp", udp: true, title: "OpenVPN over UDP", whole: "openvpn-udp", through: "UDP port 1194"},
	{id: "openvpn-tcp", title: "OpenVPN over TCP", whole: "openvpn-tcp", through: "TCP port 1194"},
	{id: "wireguard", udp: true, title: "WireGuard", whole: "wireguard", through: "UDP port 51820"},
	{id: "sstp", title: "SSTP", whole: "sstp", through: "TCP port 443, without a proxy that looks into TLS,"},
}

// plainESPToo is what IPsec needs where there is no NAT; behind one its data goes in UDP.
const plainESPToo = ", and IP protocol 50 (ESP),"

// lets is what this network must let through for it.
func (r vpnRule) lets(in Report) string {
	if among(in.Protocols, in.Circumstances).nat() == isNAT {
		return strings.TrimSuffix(r.through, plainESPToo)
	}
	return r.through
}

// preferred is the order of the recommendation. PPTP and L2TP alone protect nothing, and plain ESP is no choice that a client has.
var preferred = []string{"ikev2", "wireguard", "openvpn-udp", "openvpn-tcp", "sstp", "l2tp-ipsec"}

// VPNs are the ids of the table.
func VPNs() []string {
	var out []string
	for _, r := range vpnRules {
		out = append(out, r.id)
	}
	return out
}

func ruleOf(id string) (vpnRule, bool) {
	for _, r := range vpnRules {
		if r.id == id {
			return r, true
		}
	}
	return vpnRule{}, false
}

// weighVPNs fills in the table and the recommendation, from the report's own protocols and circumstances: one made before there was a table
// gets its own.
func (r *Report) weighVPNs() {
	s := among(r.Protocols, r.Circumstances)
	r.VPNs = make([]VPN, 0, len(vpnRules))
	for _, rule := range vpnRules {
		r.VPNs = append(r.VPNs, rule.judge(r.Protocols, s))
	}
	r.Recommendation = recommend(r.VPNs, s)
}

// VPN is a row of the report's table.
func (r Report) VPN(id string) (VPN, bool) {
	for _, v := range r.VPNs {
		if v.ID == id {
			return v, true
		}
	}
	return VPN{}, false
}

// A step is what one protocol says of a VPN that needs it.
type step struct {
	Protocol
	part  string
	short string // why not
	asked bool
}

func (s step) outcome() outcome {
	if !s.asked {
		return undecided
	}
	return kind(s.Verdict, s.Reason)
}

// steps are those that decide.
func (r vpnRule) steps(ps []Protocol, s setting) []step {
	var whole []step
	if r.whole != "" {
		w := stepOf(need{protocol: r.whole}, ps, s)
		switch k := w.outcome(); {
		case k == works:
			return append([]step{w}, r.beyond(ps, s)...)
		case k == fails || w.asked && len(r.needs) == 0:
			return []step{w}
		}
		if w.asked && w.Verdict == probe.Inconclusive {
			whole = []step{w} // it asks more than its parts do
		}
	}
	var out []step
	for _, n := range r.needs {
		if n.holds(s) {
			out = append(out, stepOf(n, ps, s))
		}
	}
	return append(out, whole...)
}

// beyond are the steps that say more than its whole: it need not have sent packets of full size.
func (r vpnRule) beyond(ps []Protocol, s setting) (out []step) {
	for _, n := range r.needs {
		if st := stepOf(n, ps, s); n.holds(s) && st.Reason == probe.FullSizeDropped {
			out = append(out, st)
		}
	}
	return out
}

func stepOf(n need, ps []Protocol, s setting) step {
	for _, p := range ps {
		if p.ID != n.protocol {
			continue
		}
		out := step{Protocol: p, asked: true}
		if n.part != "" {
			out.asked = false
			for _, part := range p.Parts {
				if part.ID == n.part {
					out.asked, out.part, out.Verdict, out.Reason = true, n.part, part.Verdict, part.Reason
				}
			}
			if p.Verdict == probe.Untested || kind(p.Verdict, p.Reason) == undecided && (EndsRun(p.Reason) || clash(p.Reason)) {
				out.asked, out.Verdict, out.Reason = true, p.Verdict, p.Reason
			}
		}
		f := out.Protocol.facts(s)
		if out.part != "" && (out.Verdict != p.Verdict || out.Reason != p.Reason) {
			f = f.only(p.Name()) // what was counted for another form says nothing of this one
		}
		out.short = explain(out.Verdict, out.Reason, f).Short
		return out
	}
	return step{Protocol: Protocol{ID: n.protocol}}
}

// plainESP says that it is ESP without UDP around it that does not get through. A client that has no NAT to cross uses it unless it is told
// otherwise.
func (s step) plainESP() bool {
	return s.ID == "esp" || s.Reason == probe.ESPOutDropped || s.Reason == probe.ESPBackDropped
}

// clash says that somebody else holds the place of a protocol: what looks like a block of one of its forms is none.
func clash(r probe.Reason) bool { return r == probe.PortClash || r == probe.StateClash }

// judge is the rule for one VPN.
func (r vpnRule) judge(ps []Protocol, s setting) VPN {
	v := VPN{ID: r.id, Title: r.title, Works: WorksUnknown, Reason: notAsked}
	steps := r.steps(ps, s)
	for _, st := range steps {
		if st.asked {
			v.Because = append(v.Because, st.note())
		}
	}
	st, k := worst(steps)
	switch {
	case k == fails && st.plainESP() && r.id != "ipsec-esp" && s.beside["natt"] == works:
		v.catches(forceUDP)
	case k == fails:
		v.Works, v.Reason = WorksNo, st.Reason
		if v.Reason == "" {
			v.Reason = probe.Reason(st.Verdict)
		}
		if r.id == "ipsec-esp" && s.nat() == isNAT && s.beside["natt"] == works && s.beside["ike"] == works {
			v.Because = append(v.Because, Note{Reason: nattInstead, Text: capital(vpnWords[nattInstead]) + "."})
		}
	case k == undecided && r.udp && s.noUDP():
		v.Works, v.Reason = WorksNo, probe.UDPFiltered
		w := explain(probe.BlockedOut, probe.UDPFiltered, newFacts(r.title))
		st.short = w.Short
		v.Because = append(v.Because, Note{Reason: probe.UDPFiltered, Text: capital(w.Short) + "."})
	case k == undecided:
		if st.asked {
			v.Reason = st.Reason
		}
	default:
		v.Works, v.Reason = WorksYes, ""
		v.findCatch(r, steps)
		if r.id == "ipsec-esp" && v.Works == WorksYes && s.nat() == isNAT {
			v.catches(nattUsual)
		}
	}
	v.Sentence = v.sentence(st.short)
	return v
}

// worst is the step that decides: the first that fails, else the first that is undecided, and what becomes of the VPN by it.
func worst(steps []step) (step, outcome) {
	for _, want := range []outcome{fails, expected, undecided} {
		for _, st := range steps {
			if st.outcome() == want {
				if want == expected {
					want = fails
				}
				return st, want
			}
		}
	}
	if len(steps) == 0 {
		return step{}, undecided
	}
	return steps[0], works
}

// findCatch looks for what must be said of a VPN that works, the weightiest first.
func (v *VPN) findCatch(r vpnRule, steps []step) {
	if r.catch != "" {
		v.catches(r.catch)
		return
	}
	has := func(st step, r probe.Reason) bool {
		for _, n := range st.Because {
			if n.Reason == r {
				return true
			}
		}
		return false
	}
	for _, st := range steps {
		switch {
		case has(st, probe.EvTooEarly):
			v.catches(probe.EvTooEarly)
		case Slowly(st.Verdict, st.Reason):
			v.catches(probe.RateLimit)
		case has(st, probe.EvStandsIn) && st.part == "":
			v.catches(probe.EvStandsIn)
		default:
			continue
		}
		return
	}
}

func (v *VPN) catches(r probe.Reason) {
	v.Works, v.Reason = WorksBut, r
	v.Because = append(v.Because, Note{Reason: r, Text: v.Title + ": " + vpnWords[r] + "."})
}

// recommend names the best VPN that works here; nil where nothing is known.
func recommend(vs []VPN, s setting) *Recommendation {
	for _, want := range []Works{WorksYes, WorksBut} {
		for _, id := range preferred {
			for _, v := range vs {
				if v.ID == id && v.Works == want {
					return &Recommendation{VPN: id, Text: best(v)}
				}
			}
		}
	}
	for _, v := range vs {
		if v.Works != WorksUnknown && slices.Contains(preferred, v.ID) {
			return &Recommendation{Text: noBest(vs, s)}
		}
	}
	return nil
}
