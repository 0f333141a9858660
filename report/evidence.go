package report

import (
	"cmp"
	"fmt"
	"math"
	"strings"

	"vpncheck/probe"
)

// evidence says a piece of evidence, or a note about the run, in a sentence.
func evidence(r probe.Reason, data map[string]any, fa facts) string {
	if say, ok := sayer(r); ok {
		return say(data, fa)
	}
	if w, ok := catalogue(r); ok {
		fa.said(data)
		return w.with(fa).Sentence
	}
	return fmt.Sprintf("There is a fact called %q that this version of vpncheck has no words for.", Clean(string(r), 40))
}

func sayer(r probe.Reason) (say func(args, facts) string, ok bool) {
	for _, table := range []map[probe.Reason]func(args, facts) string{evidenceWords, ipsecEvidence, witnessEvidence, ownEvidence} {
		if say, ok = table[r]; ok {
			return say, true
		}
	}
	return nil, false
}

// evidenceWords makes the sentences. Each takes the args that probe/reason.go names, and does without those that are missing.
var evidenceWords = map[probe.Reason]func(a args, fa facts) string{
	probe.EvTries:     sayTries,
	probe.EvChance:    sayChance,
	probe.EvProof:     sayProof,
	probe.EvUnproven:  sayUnproven,
	probe.EvCallID:    sayCallID,
	probe.EvGREv0:     sayGREv0,
	probe.EvChange:    sayChange,
	probe.EvStopped:   sayStopped,
	probe.EvStranger:  sayStranger,
	probe.EvRefused:   sayRefused,
	probe.EvSendErr:   saySendErr,
	probe.EvVoid:      sayVoid,
	probe.EvSilent:    saySilent,
	probe.EvHTTP:      sayHTTP,
	probe.EvTLS:       sayTLS,
	probe.EvOtherPort: sayOtherPort,
	probe.EvPage:      sayPage,
	probe.EvWhy:       sayWhy,
	probe.OutageSeen:  sayOutage,
	probe.LossSeen:    sayLoss,
	probe.NoNAT:       sayNoNAT,
	probe.BehindNAT:   sayNAT,
	probe.UDPFiltered: sayUDPFiltered,
}

func (fa facts) head(a args) string {
	if id := a.text("stage", 60); id != "" {
		return capital(fa.stage(id)) + ": "
	}
	return capital(fa.title) + ": "
}

func sayPage(args, facts) string {
	return "The test server itself answered on TCP port 80, with its signature: it is up, web pages get through, and no sign-in page stands in the " +
		"way. What stops the session stops it on its own TCP ports, 443 and 8443 as a rule: a firewall there or here, or vpncheck's port taken by another program."
}

func sayTries(a args, fa facts) string {
	in := ""
	if s, ok := a.number("seconds"); ok && s > 0 {
		in = " in " + seconds(s)
	}
	server := fmt.Sprintf("at the server %.0f arrived and %.0f%s answered", a.count("arrived"), a.count("replied"), were(a.count("replied")))
	if _, ok := a["arrived"]; !ok {
		server = "the server could not see how many arrived"
	}
	return fmt.Sprintf("%s%s%s; %s; %s came back.", fa.head(a), count(a.count("tries"), "try", "tries"), in, server,
		count(a.count("returned"), "answer", "answers"))
}

func sayChance(a args, _ facts) string {
	p, known := a.number("p")
	chance := "not known"
	switch {
	case !known:
	case p >= 0.5:
		chance = "more than even"
	case p < 1e-9:
		chance = "less than 1 in 1,000,000,000"
	default:
		chance = "1 in " + thousands(round(1/p))
	}
	return fmt.Sprintf("The chance that this is only ordinary packet loss is %s: of %s in the same time, %.0f%s lost.",
		chance, count(a.count("control"), "control packet", "control packets"), a.count("lost"), were(a.count("lost")))
}

// round keeps two digits: a chance is no exact thing.
func round(n float64) float64 {
	unit := math.Pow(10, max(0, math.Floor(math.Log10(n))-1))
	return math.Round(n/unit) * unit
}

func sayProof(a args, _ facts) string {
	from := "another address"
	if a.yes("own") {
		from = "your own address"
	}
	at := ""
	if t, ok := a.time("at"); ok {
		at = ", last on " + t.UTC().Format("2 January 2006 at 15:04 UTC")
	}
	return fmt.Sprintf("The server can be reached with %s: it has arrived there from %s%s.", carrier(a), from, at)
}

func sayUnproven(a args, _ facts) string {
	return fmt.Sprintf("In the last 24 hours nothing of %s has reached this server from anyone, so the fault may be at its end.", carrier(a))
}

func sayCallID(a args, _ facts) string {
	sent, arrived := a.text("sent", 20), a.text("arrived", 20)
	if a.yes("rewritten") {
		return fmt.Sprintf("The call number (Call-ID) left as %s and arrived as %s: a device on the way has a PPTP helper.", sent, arrived)
	}
	return fmt.Sprintf("The call number (Call-ID %s) arrived as it was sent: no device on the way acted as a PPTP helper.", sent)
}

func sayGREv0(a args, _ facts) string {
	asked, returned := a.count("asked"), a.count("returned")
	switch {
	case asked == 0 && !a.yes("asked"):
		return "Plain GRE, which needs no PPTP helper, was not tried."
	case returned > 0 || a.yes("returned"):
		return fmt.Sprintf("Plain GRE, which needs no PPTP helper, comes back%s: GRE as such is let through.", of(returned, asked))
	}
	return fmt.Sprintf("Plain GRE, which needs no PPTP helper, does not come back either%s.", of(returned, asked))
}

func sayChange(a args, _ facts) string {
	field, where := fieldName(cmp.Or(a.text("field", 40), "packet")), capital(way(a.text("way", 10)))
	before, after := a.text("before", 80), a.text("after", 80)
	if a.text("field", 40) == "payload" {
		return fmt.Sprintf("%s the payload was changed, from byte %s on.", where, a.text("offset", 20))
	}
	if strings.HasPrefix(a.text("field", 60), addressesField) {
		call, tunnel := pair(a.text("field", 60))
		return fmt.Sprintf("The server sees the %s come from %s and the %s from %s.", call, before, tunnel, after)
	}
	if before == "" && after == "" {
		return fmt.Sprintf("%s the %s was changed.", where, field)
	}
	times := ""
	if n, ok := a.number("count"); ok && n > 1 {
		times = fmt.Sprintf(" (%.0f times like this)", n)
	}
	return fmt.Sprintf("%s the %s %s became %s%s.", where, field, before, after, times)
}

func sayStopped(a args, _ facts) string {
	in := ""
	if s, ok := a.number("seconds"); ok && s > 0 {
		in = " in " + seconds(s)
	}
	return fmt.Sprintf("Conversation %s stopped after %s%s.", cmp.Or(a.text("flow", 20), "1"), plural(a.count("after"), "answer"), in)
}

func sayStranger(a args, fa facts) string {
	from, bytes := a.text("from", 60), a.text("bytes", 64)
	if fa.isServer(from) {
		from = ""
	}
	if from != "" {
		from = " from " + from
	}
	if bytes != "" {
		bytes = " It begins: " + bytes
	}
	return fmt.Sprintf("A packet came in the server's name%s that is not the server's.%s", from, bytes)
}

func sayRefused(a args, _ facts) string {
	how := refusal(a.text("how", 80))
	name := " in the server's name"
	if strings.Contains(how, "ICMP") {
		name = "" // it says whose
	}
	if n, ok := a.number("tries"); ok {
		return fmt.Sprintf("%s refused%s (%s).", count(n, "try", "tries")+were(n), name, how)
	}
	return fmt.Sprintf("The tries were refused%s (%s).", name, how)
}

func were(n float64) string {
	if n == 1 {
		return " was"
	}
	return " were"
}

// refusal says how an attempt was refused: "reset", or an ICMP error's "icmp 3/3 from 192.0.2.1".
func refusal(how string) string {
	switch how {
	case "reset":
		return "by a TCP reset"
	case "":
		return "how is not known"
	}
	var kind, code int
	var from string
	if n, _ := fmt.Sscanf(how, "icmp %d/%d from %s", &kind, &code, &from); n < 3 {
		return how
	}
	says := map[int]string{0: "network unreachable", 1: "host unreachable", 2: "protocol unreachable", 3: "port unreachable",
		9: "prohibited", 10: "prohibited", 13: "prohibited"}[code]
	if kind != 3 || says == "" {
		says = fmt.Sprintf("type %d, code %d", kind, code)
	}
	return fmt.Sprintf("by ICMP from %s: %s", from, says)
}

func saySendErr(a args, _ facts) string {
	return fmt.Sprintf("This laptop refused to send: %s.", cmp.Or(a.text("error", 200), "it does not say why"))
}

func sayVoid(a args, _ facts) string {
	long := ""
	if s, ok := a.number("seconds"); ok {
		long = " (" + seconds(s) + ")"
	}
	return fmt.Sprintf("%s fell into a time when the line was dead%s; that does not count.", count(a.count("tries"), "try", "tries"), long)
}

func saySilent(a args, _ facts) string {
	return fmt.Sprintf("The server did not answer %s%s.", plural(a.count("count"), "packet"), silent(a.text("why", 40)))
}

// silent says why our own server kept silent.
func silent(why string) string {
	switch why {
	case "":
		return ""
	case "token":
		return ", because what arrived did not bear this session's mark"
	case "replay":
		return ", because it had seen the same packet before"
	case "budget":
		return ", because this session had used up what it may have"
	case "unproved-source":
		return ", because it came from an address that had not shown that it receives"
	case "server-firewall":
		return ", because the server's own firewall dropped what its network card had: no program got it"
	case "call-id":
		return ", because its call number was not that of a live call"
	}
	return " (its reason: " + why + ")"
}

func sayWhy(a args, _ facts) string {
	why, hint := Plain(a.text("why", 300)), a.text("hint", 300)
	if hint != "" {
		hint = " What would help: " + hint
	}
	if why == "" {
		return "No reason was given." + hint
	}
	return "The reason given: " + why + "." + hint
}
