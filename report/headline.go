package report

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"vpncheck/probe"
)

// told is how many reasons a headline tells: seven protocols would else fill the screen.
const told = 3

// listed is how many that work are named: the table of VPNs stands above, and what fails is what matters.
const listed = 6

// allWell is where to look if passthrough is not the matter (F55, F58).
const allWell = "If your VPN still fails, this network is not the matter: check its server's name (does it lead to the right address, IPv4 or IPv6?), the user " +
	"name, the password or certificate, and whether the server is up."

// countOf says how many of all protocols these are.
func countOf(n int, sorted map[outcome][]Protocol) string {
	all := 0
	for _, ps := range sorted {
		all += len(ps)
	}
	if n == all {
		return fmt.Sprintf("All %d protocols", all)
	}
	return fmt.Sprintf("%d of %d protocols", n, all)
}

// importance orders what fails by how many VPNs need it: IPsec begins with IKE and ends, behind a NAT, in NAT-T. Where both pass and an IPsec VPN
// as a whole does not, that comes next.
var importance = []string{"natt", "ike", "ikev2", "l2tp-ipsec", "esp", "openvpn-udp", "openvpn-tcp", "wireguard", "sstp", "l2tp", "pptp", "gre", "ah"}

// headline says what works and, for the most important reasons, why the rest does not; and the first thing to do.
func headline(sorted map[outcome][]Protocol, s setting) (text, advice string) {
	does := " does not work: "
	well, slow := slowly(sorted[works])
	full, stands := standIns(well)
	if ok := titles(full); len(ok) > 0 {
		text = verb(ok, " works", " work")
		if len(ok) > listed {
			text = countOf(len(ok), sorted) + " work"
		}
		does = " does not: "
		if len(sorted[fails])+len(sorted[undecided])+len(stands)+len(slow) == 0 {
			text += s.through()
		}
		text += "."
	}
	limits := groups(slow, s)
	for _, g := range limits {
		text = join(text, verb(titles(g.members), " works, but only slowly: ", " work, but only slowly: ")+g.words.Short+".")
	}
	text = join(text, standInsText(stands))
	failing, open := groups(sorted[fails], s), groups(sorted[undecided], s)
	all := slices.Concat(failing, open)
	for _, g := range all[:min(told, len(all))] {
		says := does
		if g.outcome == undecided {
			says = g.undecided()
		} else {
			does = " does not work: "
		}
		text = join(text, verb(titles(g.members), says, plurals[says])+g.words.Short+".")
	}
	text = join(text, rest(all[min(told, len(all)):]))
	if as := titles(sorted[expected]); len(as) > 0 && len(failing) == 0 {
		text = join(text, verb(as, " cannot", " cannot")+" work behind a NAT, and hardly any VPN needs it.")
	}
	text = join(text, s.l2tpInIPsec())
	text = join(text, s.withoutESP())
	switch {
	case len(all) > 0:
		return text, do(all)
	case len(limits) > 0:
		return text, do(limits)
	case len(stands) > 0:
		return text, standsInAdvice(stands)
	case len(sorted[works]) == 0 && len(sorted[expected]) > 0:
		return text, "Nothing: hardly any VPN uses AH, and one that does can use ESP with NAT-T instead."
	}
	return text, cmp.Or(lineAdvice(s.circumstances.Control), allWell)
}

// slowly parts what works well from what works only at a slow pace.
func slowly(ps []Protocol) (well, slow []Protocol) {
	for _, p := range ps {
		if Slowly(p.Verdict, p.Reason) {
			slow = append(slow, p)
		} else {
			well = append(well, p)
		}
	}
	return well, slow
}

// Slowly says whether a protocol works at a slow pace alone.
func Slowly(v probe.Verdict, r probe.Reason) bool { return v == probe.Passed && r == probe.RateLimit }

// rest names what has found no place for its reason.
func rest(gs []group) (text string) {
	more := make(map[outcome][]Protocol)
	for _, g := range gs {
		more[g.outcome] = append(more[g.outcome], g.members...)
	}
	if names := titles(more[fails]); len(names) > 0 {
		text = verb(names, " does not work either.", " do not work either.")
	}
	if names := titles(more[undecided]); len(names) > 0 {
		text = join(text, verb(names, " is not known.", " are not known."))
	}
	return text
}

// do is the first thing to do: about what fails, else about what is undecided.
func do(gs []group) string {
	for _, g := range gs {
		if g.words.Do != "" {
			return capital(g.words.Do) + "."
		}
	}
	return "Run the check again."
}

var plurals = map[string]string{
	" does not work: ": " do not work: ",
	" does not: ":      " do not: ",
	" is undecided: ":  " are undecided: ",
	" was not tried: ": " were not tried: ",
}

// A group is protocols that share a verdict's reason and are told in one sentence.
type group struct {
	outcome outcome
	members []Protocol
	words   Words
}

// groups are the most important first.
func groups(ps []Protocol, s setting) []group {
	var out []group
next:
	for _, p := range ps {
		w := explain(p.Verdict, p.Reason, p.facts(s))
		for i, g := range out {
			if (g.members[0].Verdict == p.Verdict || EndsRun(p.Reason)) && g.words.Short == w.Short {
				if rank(p) < g.rank() {
					out[i].words = w // what to do is told for the most important one
				}
				out[i].members = append(g.members, p)
				continue next
			}
		}
		out = append(out, group{kind(p.Verdict, p.Reason), []Protocol{p}, w})
	}
	slices.SortStableFunc(out, func(a, b group) int { return cmp.Compare(a.rank(), b.rank()) })
	for i := range out {
		out[i].letAllIn(s)
	}
	return out
}

// letAllIn names, in what is to be done about a firewall, the packets of all members, and not of the most important one alone.
func (g *group) letAllIn(s setting) {
	var first Protocol
	var all []string
	for _, p := range g.members {
		if packets := p.facts(s).fill["packets"]; !slices.Contains(all, packets) {
			all = append(all, packets)
		}
		if rank(p) == g.rank() {
			first = p
		}
	}
	if rest, ok := strings.CutPrefix(g.words.Do, "let in "+first.facts(s).fill["packets"]+" "); ok {
		g.words.Do = "let in " + ports(all) + " " + rest
	}
	if rest, ok := strings.CutPrefix(g.words.Do, "allow "+first.Name()+" in this laptop"); ok {
		g.words.Do = "allow " + list(titles(g.members)) + " in this laptop" + rest
	}
}

// ports is "UDP from ports 500 and 4500" of "UDP from port 500" and its like, and a plain list of others.
func ports(packets []string) string {
	const udp = "UDP from port "
	var numbers []string
	for _, p := range packets {
		number, ok := strings.CutPrefix(p, udp)
		if !ok {
			return list(packets)
		}
		numbers = append(numbers, number)
	}
	if len(numbers) == 1 {
		return packets[0]
	}
	return "UDP from ports " + list(numbers)
}

func rank(p Protocol) int {
	if i := slices.Index(importance, p.ID); i >= 0 {
		return i
	}
	return len(importance)
}

func (g group) rank() int {
	lowest := len(importance)
	for _, p := range g.members {
		lowest = min(lowest, rank(p))
	}
	return lowest
}

func (g group) undecided() string {
	for _, p := range g.members {
		if p.Verdict != probe.Untested {
			return " is undecided: "
		}
	}
	return " was not tried: "
}

// among is the setting of protocols that are part of a report already.
func among(ps []Protocol, c probe.Circumstances) setting {
	var fs []probe.Finding
	var os []probe.Observation
	for _, p := range ps {
		os = append(os, p.Observation)
		fs = append(fs, probe.Finding{Protocol: p.ID, Verdict: p.Verdict, Reason: p.Reason})
	}
	return settingOf(c, fs, os)
}

// facts are those of a protocol that is part of a report already.
func (p Protocol) facts(s setting) facts {
	f := probe.Finding{Protocol: p.ID, Verdict: p.Verdict, Reason: p.Reason, Stage: p.Stage}
	for _, n := range p.Because {
		f.Because = append(f.Because, probe.Evidence{Reason: n.Reason, Args: n.Args, Exchanges: n.Exchanges})
	}
	info := probe.Info{ID: p.ID, Title: p.Title}
	for id, title := range p.Stages {
		info.Stages = append(info.Stages, probe.Stage{ID: id, Title: title})
	}
	fa := gather(info, f, p.Observation, s)
	fa.accuse(p.Diagnosis, p.Reason)
	return fa
}

func titles(ps []Protocol) []string {
	var out []string
	for _, p := range ps {
		out = append(out, p.Name())
	}
	return out
}

func verb(names []string, one, more string) string {
	if len(names) == 1 {
		return names[0] + one
	}
	return list(names) + more
}

func join(a, b string) string {
	if a == "" || b == "" {
		return a + b
	}
	return a + " " + b
}
