package main

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"vpncheck/probe"
	"vpncheck/report"
	"vpncheck/testserver/netlab"
)

// A comparison is what was said of one protocol, against what is true of the router.
type comparison struct {
	protocol       string
	verdict        probe.Verdict // that came
	said, expected string        // verdict and reason
	gaveUp         bool          // it could not decide, on a line on which that is no mistake
	// did is who really stops it, named is who must be named, and blamed is who was: all are empty for nobody at all.
	did, named, blamed string
}

// givesUp are the reasons why nothing can be said for want of evidence. On a line that loses a quarter of all packets, each way, now and then not
// even the session opens in its time.
var givesUp = []probe.Reason{probe.TooLossy, probe.NotEnoughTries, probe.StoppedOnce, probe.TimeUp, probe.SessionLost, probe.NoSession}

// compared takes a protocol that the router's table does not name for wrong: nothing goes unchecked.
func compared(r netlab.Router, p report.Protocol) comparison {
	c := comparison{protocol: p.Name(), verdict: p.Verdict, said: words(string(p.Verdict), string(p.Reason)), expected: "nothing: not in its table"}
	if e, ok := r.Expect[p.ID]; ok {
		c.expected = words(e.Verdict, e.Reason)
	}
	for _, part := range p.Parts {
		if e, ok := r.Parts[p.ID+"/"+part.ID]; ok {
			c.said += fmt.Sprintf(" (%s: %s)", part.ID, words(string(part.Verdict), string(part.Reason)))
			c.expected += fmt.Sprintf(" (%s: %s)", part.ID, words(e.Verdict, e.Reason))
		}
	}
	c.did, c.named = r.Culprit(p.ID)
	if p.Diagnosis != nil {
		c.blamed = string(p.Diagnosis.Culprit)
	}
	c.gaveUp = r.Lossy && c.said != c.expected && (p.Verdict == probe.Inconclusive || p.Verdict == probe.Untested) && slices.Contains(givesUp, p.Reason)
	return c
}

// words are a verdict and its reason; passed needs none.
func words(verdict, reason string) string {
	return strings.TrimSuffix(verdict+" "+reason, " ")
}

// right says that verdict and reason are the expected ones.
func (c comparison) right() bool { return c.said == c.expected || c.gaveUp }

// decidable says that the evidence tells who did it.
func (c comparison) decidable() bool { return c.named != "" && c.named != "unknown" && !c.gaveUp }

// slandered says that somebody was blamed who did not do it. Nobody need be named, but then the word is "unknown", and where nothing is
// stopped not even that.
func (c comparison) slandered() bool {
	switch c.blamed {
	case "":
		return false
	case "unknown":
		return c.did == ""
	}
	return c.blamed != c.did
}

// missed says that the evidence tells who did it, and vpncheck did not.
func (c comparison) missed() bool { return c.decidable() && c.blamed != c.named && !c.slandered() }

func (c comparison) wrong() bool { return !c.right() || c.slandered() }

// mistakes are what is wrong, in words.
func (c comparison) mistakes() (out []string) {
	if !c.right() {
		out = append(out, fmt.Sprintf("WRONG: said %s, expected %s", c.said, c.expected))
	}
	if c.slandered() {
		out = append(out, fmt.Sprintf("WRONG: blamed %s, it was %s", c.blamed, cmp.Or(c.did, "nobody")))
	}
	return out
}

// sentence is the line of the demo of one router.
func (c comparison) sentence() string {
	text := "expected " + c.expected + "; "
	switch {
	case c.gaveUp:
		text += "said " + c.said + ", which is no mistake on this line"
	case c.right():
		text += "said the same"
	default:
		text += "said " + c.said + ": WRONG"
	}
	switch {
	case c.slandered():
		text += fmt.Sprintf("; blamed %s, it was %s: WRONG", c.blamed, cmp.Or(c.did, "nobody"))
	case c.missed():
		text += fmt.Sprintf("; named %s, where the evidence tells: %s", cmp.Or(c.blamed, "nobody"), c.named)
	case c.blamed == "unknown":
		text += fmt.Sprintf("; named nobody: it was %s, and the evidence cannot tell", c.did)
	case c.blamed != "" && c.blamed != "nobody":
		text += "; named who did it: " + c.blamed
	}
	return text
}

// short is the cell of the matrix.
func (c comparison) short() string {
	text := cmp.Or(short[c.verdict], report.Clean(string(c.verdict), 12))
	if c.wrong() {
		text += "!"
	}
	return text
}
