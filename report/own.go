package report

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"

	"vpncheck/probe"
)

// Own is what the person's own VPN server said to the first messages of a stock client (--to). What was seen is the probe's, and stands
// beside it; Answers are judged from it and from the report's protocols, and the texts are made of both.
type Own struct {
	probe.Own
	Answers  []Answer `json:"answers"`
	Headline string   `json:"headline"`
	Advice   string   `json:"advice"`
	// Diagnosis is set where the server gave no answer at all, and something tells why.
	Diagnosis *Diagnosis `json:"diagnosis,omitempty"`
	Notes     []Note     `json:"notes,omitempty"`
	// Recommendation is the best VPN that works on this network and that this server answers; nil if there is none, or no test server told.
	Recommendation *Recommendation `json:"recommendation,omitempty"`
}

// An Answer is what became of one opening.
type Answer struct {
	ID       string         `json:"id"`
	Title    string         `json:"title"`
	Verdict  probe.Verdict  `json:"verdict"`
	Reason   probe.Reason   `json:"reason,omitempty"`
	Args     map[string]any `json:"args,omitempty"`
	Stage    string         `json:"stage,omitempty"` // the first that was not answered
	Short    string         `json:"short"`           // completes "vpn.example.com ..."
	Sentence string         `json:"sentence"`
	Next     string         `json:"next,omitempty"`
	Culprit  Culprit        `json:"culprit,omitempty"`
	Because  []Note         `json:"because,omitempty"`
}

// Reasons of notes about the server, besides those of probe.
const (
	ownAddresses probe.Reason = "own-addresses"  // args: asked, others
	ownOnLink    probe.Reason = "own-on-link"    // it is in the laptop's own network
	ownCannotAsk probe.Reason = "own-cannot-ask" // what only a client with a key is answered to
)

// openingNames are what people call the openings.
var openingNames = map[string]string{
	probe.OpeningIKEv2:      "IKEv2",
	probe.OpeningIKEv1:      "IKEv1 (L2TP/IPsec)",
	probe.OpeningPPTP:       "PPTP",
	probe.OpeningL2TP:       "L2TP without IPsec",
	probe.OpeningOpenVPNUDP: "OpenVPN over UDP",
	probe.OpeningOpenVPNTCP: "OpenVPN over TCP",
	probe.OpeningSSTP:       "SSTP",
}

// vpnOpens are the openings with which the clients of a VPN begin, any of them; none where a server cannot be asked.
var vpnOpens = map[string][]string{
	"pptp":        {probe.OpeningPPTP},
	"l2tp":        {probe.OpeningL2TP},
	"l2tp-ipsec":  {probe.OpeningIKEv1},
	"ipsec-esp":   {probe.OpeningIKEv2, probe.OpeningIKEv1},
	"ikev2":       {probe.OpeningIKEv2},
	"openvpn-udp": {probe.OpeningOpenVPNUDP},
	"openvpn-tcp": {probe.OpeningOpenVPNTCP},
	"sstp":        {probe.OpeningSSTP},
}

// OpeningName is what people call an opening.
func OpeningName(id string) string {
	if n := openingNames[id]; n != "" {
		return n
	}
	return strings.ToUpper(Clean(id, 40))
}

// WithOwn adds what the person's own VPN server said. It is a pure function: the report's protocols tell what this network carries, where there
// was a session with a test server.
func (r Report) WithOwn(seen probe.Own) Report {
	o := &Own{Own: seen, Answers: []Answer{}}
	carried := r.carried()
	for _, x := range seen.Openings {
		o.Answers = append(o.Answers, o.answer(x, probe.JudgeOpening(x, carried)))
	}
	o.Notes = o.notes()
	o.Headline, o.Advice = o.summarise(r)
	o.Diagnosis, o.Recommendation = o.diagnose(r), o.recommend(r)
	r.To, r.Aim = o, nil
	if !r.tested() {
		r.Summary.Headline, r.Summary.Advice = o.Headline, o.Advice
	}
	return r
}

// tested says whether there was to be a test server: else the report says nothing of the network.
func (r Report) tested() bool { return len(r.Protocols) > 0 || r.Circumstances.NoSession != nil }

// carried are the verdicts of the protocols, which tell what this network carries; nil without a session.
func (r Report) carried() map[string]probe.Verdict {
	if len(r.Protocols) == 0 || r.Circumstances.NoSession != nil {
		return nil
	}
	var fs []probe.Finding
	for _, p := range r.Protocols {
		f := probe.Finding{Protocol: p.ID, Verdict: p.Verdict}
		for _, part := range p.Parts {
			f.Parts = append(f.Parts, probe.PartFinding{Part: part.ID, Verdict: part.Verdict})
		}
		fs = append(fs, f)
	}
	return probe.Carried(fs)
}

// host is the server's name for use in a sentence.
func (o *Own) host() string { return Clean(o.Host, 80) }

func (o *Own) answer(x probe.Opening, j probe.Answered) Answer {
	fa := o.facts(x, j)
	w := explainOwn(j, fa)
	out := Answer{
		ID: x.ID, Title: OpeningName(x.ID), Verdict: j.Verdict, Reason: j.Reason, Args: j.Args, Stage: j.Stage,
		Short: w.Short, Sentence: w.Sentence, Next: w.Next, Culprit: Culprit(j.Culprit),
	}
	if j.Verdict == probe.Untested {
		out.Short = "not tried: " + w.Short
	}
	for _, e := range j.Because {
		out.Because = append(out.Because, Note{e.Reason, e.Args, evidence(e.Reason, e.Args, fa), e.Exchanges})
	}
	return out
}

// Answered says whether the server answered as a VPN server does, all that it was asked.
func (a Answer) Answered() bool { return a.Verdict == probe.Passed }

// Began says whether it answered at all, even if not to the end.
func (a Answer) Began() bool { return a.Answered() || half(a.Reason) }

// Begins says whether the clients of a VPN begin with an opening.
func Begins(vpn, opening string) bool { return slices.Contains(vpnOpens[vpn], opening) }

// Opening is what was seen of an answer.
func (o *Own) Opening(id string) probe.Opening {
	for _, x := range o.Openings {
		if x.ID == id {
			return x
		}
	}
	return probe.Opening{ID: id}
}

// of is the answer that matters for a VPN: the best, where it may begin in more than one way. False if nothing asks about it.
func (o *Own) of(r vpnRule) (Answer, bool) {
	best, found := Answer{}, false
	for _, id := range vpnOpens[r.id] {
		for _, a := range o.Answers {
			if a.ID == id && (!found || standing(a.Verdict) < standing(best.Verdict)) {
				best, found = a, true
			}
		}
	}
	return best, found
}

func standing(v probe.Verdict) int { return slices.Index(probe.Verdicts, v) }

// behindNAT is what the server itself says of the way to it: nil if it told nothing, or its openings differ.
func (o *Own) behindNAT() *bool {
	var says *bool
	for _, x := range o.Openings {
		if x.ServerBehindNAT == nil {
			continue
		}
		if says != nil && *says != *x.ServerBehindNAT {
			return nil
		}
		says = x.ServerBehindNAT
	}
	return says
}

// NATed says that the server told, by its own NAT detection, that it stands behind a NAT (F03).
func (o *Own) NATed() bool { n := o.behindNAT(); return n != nil && *n }

func (o *Own) notes() (out []Note) {
	fa := newFacts("vpncheck")
	fa.fill["host"] = o.host()
	add := func(r probe.Reason, a args) {
		out = append(out, Note{Reason: r, Args: a, Text: evidence(r, a, fa)})
	}
	if o.Why != nil {
		return nil
	}
	if others := o.others(); others != "" {
		add(ownAddresses, args{"asked": o.Addr.Unmap().String(), "others": others})
	}
	if o.OnLink {
		add(ownOnLink, nil)
	}
	if o.NATed() {
		add(probe.EvOwnServerNAT, args{"address": o.Addr.Unmap().String()})
	}
	add(ownCannotAsk, nil)
	return out
}

// others are the addresses of the name that were not asked, eight at most.
func (o *Own) others() string {
	var out []string
	for _, a := range o.Addrs {
		if a = a.Unmap(); a != o.Addr.Unmap() && a != (netip.Addr{}) && !slices.Contains(out, a.String()) {
			out = append(out, a.String())
		}
	}
	if n := len(out); n > 8 {
		return strings.Join(out[:8], ", ") + fmt.Sprintf(" and %d more", n-8)
	}
	return list(out)
}

// exitCode is the exit status for the server alone: 0 if it answered anything, 3 if it refused all that it was asked.
func (o *Own) exitCode() int {
	code := 4
	refused := 0
	for _, a := range o.Answers {
		switch kind(a.Verdict, a.Reason) {
		case works:
			return 0
		case fails:
			refused++
		}
	}
	if refused > 0 && refused == len(o.Answers) {
		code = 3
	}
	return code
}

// exitFor is the exit status for one VPN.
func (o *Own) exitFor(r vpnRule) int {
	a, ok := o.of(r)
	switch {
	case !ok:
		return 4
	case kind(a.Verdict, a.Reason) == works:
		return 0
	case kind(a.Verdict, a.Reason) == fails:
		return 3
	}
	return 4
}

// worse of two exit statuses: what does not work before what is not known.
func worse(a, b int) int {
	for _, code := range []int{3, 4} {
		if a == code || b == code {
			return code
		}
	}
	return 0
}

func isAddress(host string) bool {
	_, err := netip.ParseAddr(strings.Trim(host, "[]"))
	return err == nil
}

// WhyNotAsked says in a sentence why nothing was asked; empty if it was.
func WhyNotAsked(o *Own) string {
	if o.Why == nil {
		return ""
	}
	return o.explainWhy().Sentence
}
