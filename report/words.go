package report

import (
	"slices"
	"strings"

	"vpncheck/probe"
)

// Words are what is said of a reason: the catalogue's templates, or, from Explain, the finished text.
type Words struct {
	// Short completes "PPTP does not work: ...": a clause of about fifty letters, in lower case, without a full stop.
	Short string
	// Sentence says it in full.
	Sentence string
	// Do completes "What to do: ..." in one line; Next has the steps.
	Do   string
	Next string
}

// catalogue returns what is said of a reason. It claims no more than the evidence behind the reason supports.
func catalogue(r probe.Reason) (Words, bool) {
	for _, table := range []map[probe.Reason]Words{networkWords, ipsecWords, udpWords, undecidedWords, untestedWords, sessionWords, ownWords} {
		if w, ok := table[r]; ok {
			return w, true
		}
	}
	return Words{}, false
}

// Explain says in plain words what a finding means. A reason that this version does not know, from a newer report, is explained by its
// verdict alone.
func Explain(title string, f probe.Finding) Words {
	return explain(f.Verdict, f.Reason, gather(probe.Info{Title: title}, f, probe.Observation{}, setting{}))
}

// ExplainReason says in plain words what a reason means, outside any run; false if it is not known.
func ExplainReason(r probe.Reason) (Words, bool) {
	w, ok := catalogue(r)
	return w.with(newFacts("the VPN protocol")), ok
}

func explain(v probe.Verdict, r probe.Reason, fa facts) Words {
	r = fa.plainer(r)
	w, ok := catalogue(r)
	if !ok {
		w, ok = verdictWords[v]
	}
	if !ok {
		w = Words{Short: "this report uses a word that this version does not know", Sentence: "The verdict on {title} is \"" +
			Clean(string(v), 40) + "\", a word that this version of vpncheck does not know.", Do: "use a newer version of vpncheck"}
	}
	return w.better(r, fa).fit(r, fa).with(fa).named(fa.router)
}

// with fills the placeholders.
func (w Words) with(fa facts) Words {
	var pairs []string
	for _, p := range slices.Concat(placeholders, ownPlaceholders) {
		pairs = append(pairs, "{"+p+"}", fa.fill[p])
	}
	r := strings.NewReplacer(pairs...)
	if w.Next == "" && w.Do != "" {
		w.Next = capital(w.Do) + "."
	}
	return Words{r.Replace(w.Short), capital(r.Replace(w.Sentence)), r.Replace(w.Do), r.Replace(w.Next)}
}

// verdictWords stand in where there is no reason, or one that is not known.
var verdictWords = map[probe.Verdict]Words{
	probe.Passed: {
		Short:    "everything gets through",
		Sentence: "{an} {title} conversation got through to the server and its answers came back, round after round{tries}.",
	},
	probe.Altered: {
		Short:    "the packets are changed on the way",
		Sentence: "{title} gets through, but is changed on the way so that a real VPN client fails.",
		Do:       "try another router or another internet connection",
	},
	probe.BlockedOut: {
		Short:    "nothing reaches the server",
		Sentence: "{stuck} does not reach the server{tries}.",
		Do:       "look for a VPN or firewall setting in your router, then ask your internet provider",
	},
	probe.BlockedBack: {
		Short:    "the answers do not come back",
		Sentence: "{stuck} reaches the server, but the answers do not come back{tries}.",
		Do:       "look for a VPN or firewall setting in your router, then ask your internet provider",
	},
	probe.Stalled: {
		Short:    "the conversation begins and then stops",
		Sentence: "{title} begins well and stops soon afterwards, and again on a fresh try.",
		Do:       "try another internet connection, a phone's hotspot for example",
	},
	probe.Hijacked: {
		Short:    "something else answers in the server's place",
		Sentence: "{title} does not reach the server: something on the way answers in its place.",
		Do:       "look for a VPN server of your router's own and switch it off",
	},
	probe.Inconclusive: {
		Short:    "the evidence supports neither yes nor no",
		Sentence: "{title} was tried, but what was seen supports neither yes nor no.",
		Do:       "run the check again",
	},
	probe.Untested: {
		Short:    "no reason is known",
		Sentence: "{title} was not tried.",
		Do:       "run the check again",
	},
}

// What a verdict means for the person.
type outcome int

const (
	undecided outcome = iota
	works
	fails
	expected // it cannot work, and nothing is wrong: AH behind a NAT
)

// Expected says of a verdict that does not pass that nothing is wrong: AH cannot work behind any NAT.
func Expected(v probe.Verdict, r probe.Reason) bool { return kind(v, r) == expected }

func kind(v probe.Verdict, r probe.Reason) outcome {
	if v == probe.Altered && r == probe.AHThroughNAT {
		return expected
	}
	switch v {
	case probe.Passed:
		return works
	case probe.Altered, probe.BlockedOut, probe.BlockedBack, probe.Stalled, probe.Hijacked:
		return fails
	}
	return undecided
}

// EndsRun says of a reason that it ended the run: it is the same for all that had not been decided by then.
func EndsRun(r probe.Reason) bool {
	return r == probe.SessionLost || r == probe.LineCut || r == probe.AddressChanged || r == probe.Interrupted || r == probe.TimeUp
}
