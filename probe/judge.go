package probe

import (
	"cmp"
	"slices"
	"strings"
	"time"

	"vpncheck/probe/wire"
	"vpncheck/probe/witness"
)

// Judge is the law, written once: a pure function of plain data, so that an old report can be judged again. It never says blocked
// unless the server looked and saw nothing, or answered and nothing came; docs/design.md has the law in words.
func Judge(p Probe, o Observation, c Circumstances) Finding {
	info, afterwards := p.Info(), c.Control
	c = c.during(info.Late)
	f := Finding{Protocol: info.ID, Because: []Evidence{}}
	if reason, evidence, ok := untested(o, c); ok {
		f.Verdict, f.Reason, f.Because = Untested, reason, evidence
		return f
	}
	decider := decidingPart(info, o)
	for _, part := range info.Parts {
		if part.ID != decider.ID && !asked(o, part) {
			continue
		}
		stage, w := judgePart(p, o, part, c)
		f.Parts = append(f.Parts, PartFinding{Part: part.ID, Verdict: w.verdict, Reason: w.reason})
		if part.ID == decider.ID {
			f.Verdict, f.Reason, f.Stage, f.Because = w.verdict, w.reason, stage.ID, w.because
		}
	}
	if reason, because, ok := byRandom(p, o, f, c, afterwards); ok {
		was := f
		f.Reason, f.Because = cmp.Or(reason, f.Reason), append(f.Because, because...)
		if reason == FullSizeDropped {
			f.Verdict = Stalled // it began
		}
		for i, part := range f.Parts { // the other forms went to the same port
			if part.Verdict == was.Verdict && part.Reason == was.Reason {
				f.Parts[i].Verdict, f.Parts[i].Reason = f.Verdict, f.Reason
			}
		}
	}
	f.Because = append(f.Because, standsIn(info, o, decider)...)
	if w, ok := p.(Witness); ok {
		f.Because = append(f.Because, w.Facts(o)...)
	}
	if forwardedAway(o, decider, f.Verdict, c) {
		return f
	}
	return clash(info, f, c)
}

// decidingPart is the stock client's form, or, where that could not be asked, the one that stands in for it.
func decidingPart(info Info, o Observation) Part {
	var decider Part
	for _, part := range info.Parts {
		if part.Deciding {
			decider = part
		}
	}
	if refusedPart(o, decider.ID) == nil {
		return decider
	}
	for _, part := range info.Parts {
		if part.StandsIn && refusedPart(o, part.ID) == nil {
			part.Rounds = 0 // it decides: nothing less than a whole conversation will do
			return part
		}
	}
	return decider
}

func refusedPart(o Observation, id string) *Refusal {
	for _, part := range o.Parts {
		if part.ID == id {
			return part.Refused
		}
	}
	return nil
}

// standsIn says that the deciding form could not be asked, and why.
func standsIn(info Info, o Observation, decider Part) []Evidence {
	for _, part := range info.Parts {
		if r := refusedPart(o, part.ID); part.Deciding && r != nil && part.ID != decider.ID {
			return []Evidence{{Reason: EvStandsIn, Args: map[string]any{"part": decider.Title, "why": r.Why, "hint": r.Hint}}}
		}
	}
	return nil
}

// clash takes back a block where another form passed that takes the same way: not the protocol is blocked, but somebody else holds its
// place in the NAT: the stock port (F15), or the pair of addresses (F11, T05). It takes back one that another laptop may have caused, too.
func clash(info Info, f Finding, c Circumstances) Finding {
	if f.Verdict != BlockedOut && f.Verdict != BlockedBack {
		return f
	}
	for _, part := range info.Parts {
		reason := Reason("")
		switch {
		case part.StandsIn && !part.Stock:
			reason = PortClash
		case part.Second:
			reason = StateClash
		}
		v := partVerdict(f, part.ID)
		if reason != "" && (v == Passed || part.Second && v == Altered) { // altered, it did arrive
			f.Verdict, f.Reason = Inconclusive, reason
			if reason == PortClash && spent(info, f, c) {
				f.Verdict, f.Reason = Stalled, StoppedAfterN
			}
			f.Because = append(f.Because, Evidence{Reason: EvOtherPart, Args: map[string]any{"part": part.Title}})
			return f
		}
	}
	if took(info, f, c) {
		f.Verdict, f.Reason = Inconclusive, StateClash
		f.Because = append(f.Because, OthersEvidence(c))
	}
	return f
}

// spent says that another conversation of this run, before it and from the same stock port, began well and was cut off: what the network lets
// pass of that flow was spent by then, and a client that were the first one would live through the same (F13).
func spent(info Info, f Finding, c Circumstances) bool {
	before := map[uint16]string{wire.IKEPort: "ike", wire.NATTPort: "natt"}[portOf(info, f.Stage)]
	return c.Beside[before].Stalled && slices.ContainsFunc(info.After, func(after string) bool {
		id, _, _ := strings.Cut(after, "/") // it may be one form alone that is waited for
		return id == before
	})
}

// forwardedAway says that the router itself tells why no answer comes: what comes to the outer port of the deciding part it sends to another
// machine (F32). That another form passes is no clash then: every laptop behind that router would fare like this one.
func forwardedAway(o Observation, decider Part, v Verdict, c Circumstances) bool {
	if v != BlockedBack || c.Router == nil {
		return false
	}
	return slices.ContainsFunc(c.Router.Forwards, func(fw witness.Forward) bool {
		return fw.Proto == "UDP" && fw.To.Unmap() != c.Laptop.Local.Unmap() && slices.ContainsFunc(o.Exchanges, func(e Exchange) bool {
			return e.Part == decider.ID && e.Arrived.State == wire.Seen && e.Sent.Proto == wire.IPProtoUDP &&
				(fw.External == 0 || fw.External == e.Arrived.Src.Port())
		})
	})
}

// took says that another laptop's run may have taken the place of a block: of a protocol without ports, of which a NAT has one for each pair of
// addresses (F11, T05). A block at the second address as well is one, if nothing can hold the place there: that address is asked in doubt alone,
// and there was one other laptop, which either had no doubt or met the same block.
func took(info Info, f Finding, c Circumstances) bool {
	others := c.Server.Others
	portless := slices.ContainsFunc(info.Stages, func(s Stage) bool {
		return s.ID == f.Stage && (s.Carrier == wire.CarrierGRE || s.Carrier == wire.CarrierESP || s.Carrier == wire.CarrierAH)
	})
	if others == nil || others.Count+others.Running == 0 || !portless {
		return false
	}
	return others.Count+others.Running > 1 || !slices.ContainsFunc(info.Parts, func(part Part) bool {
		v := partVerdict(f, part.ID)
		return part.Second && part.InDoubt && (v == BlockedOut || v == BlockedBack)
	})
}

// OthersEvidence tells of other laptops behind the same public address, and how long before the run the last of them was done, if that is known.
func OthersEvidence(c Circumstances) Evidence {
	e := Evidence{Reason: EvOthers, Args: map[string]any{"count": 0}}
	o, began := c.Server.Others, c.Control.Started
	if o == nil {
		return e
	}
	e.Args["count"] = o.Count + o.Running
	if ago := began.Sub(o.Last); !o.Last.IsZero() && !began.IsZero() && ago > -time.Minute && ago < 10*time.Minute {
		e.Args["minutes"] = int(max(ago, 0)/time.Minute) + 1
	}
	return e
}

func partVerdict(f Finding, id string) Verdict {
	for _, pf := range f.Parts {
		if pf.Part == id {
			return pf.Verdict
		}
	}
	return ""
}

// asked says whether any question of a part left the laptop.
func asked(o Observation, part Part) bool {
	return slices.ContainsFunc(o.Exchanges, func(e Exchange) bool { return e.Part == part.ID })
}

// untested says why the question was not asked, if it was not.
func untested(o Observation, c Circumstances) (Reason, []Evidence, bool) {
	switch {
	case o.Refused != nil && len(o.Exchanges) == 0:
		return o.Refused.Reason, []Evidence{{Reason: EvWhy, Args: map[string]any{"why": o.Refused.Why, "hint": o.Refused.Hint}}}, true
	case c.NoSession != nil && c.NoSession.Reason == CaptivePortal:
		return CaptivePortal, []Evidence{{Reason: CaptivePortal, Args: c.NoSession.Args}}, true
	case c.NoSession != nil:
		return NoSession, []Evidence{{Reason: c.NoSession.Reason, Args: c.NoSession.Args}}, true
	case Hairpin(c):
		return ServerHairpin, []Evidence{{Reason: ServerHairpin, Args: hairpinArgs(c)}}, true
	case c.Stop != nil && len(o.Exchanges) == 0:
		return c.Stop.Reason, []Evidence{{Reason: c.Stop.Reason, Args: c.Stop.Args}}, true
	}
	return "", nil, false
}

// judgePart weighs the stages in order: the first that fails decides.
func judgePart(p Probe, o Observation, part Part, c Circumstances) (Stage, weight) {
	if d := decidingPart(p.Info(), o); d.ID == part.ID {
		part = d
	}
	var because []Evidence
	var last Stage
	var w weight
	for _, stage := range stagesOf(p.Info(), o) {
		if !stage.of(part.ID) || stage.ID == stageFull && !part.Deciding {
			continue
		}
		last = stage
		w = scale{probe: p, obs: o, part: part, stage: stage, c: c}.weigh()
		if stage.ID == stageFull {
			tries, _ := scale{probe: p, obs: o, part: part, stage: stage, c: c}.tries()
			w = w.full(tries)
		}
		because = append(because, w.because...)
		if w.verdict == Passed && w.reason == RateLimit && stage.Note && behindNAT(c) {
			because = append(because, Evidence{Reason: EvLater, Args: map[string]any{"stage": stage.Title}})
			w.reason = "" // so far a real client gets at any pace
		}
		if w.verdict == Passed {
			continue
		}
		if stage.Note && behindNAT(c) && w.verdict != Untested && (c.Stop == nil || w.reason != c.Stop.Reason) {
			because = append(because, Evidence{Reason: EvLater, Args: map[string]any{"stage": stage.Title}})
			w.verdict, w.reason = Passed, ""
			continue
		}
		if !theLaptops(w) && w.reason != FullSizeDropped { // that was seen: nobody else needs to be guessed
			reason, facts := p.Reason(o, stage, w.verdict, c)
			w.reason = cmp.Or(reason, portReason(stage, o, w.verdict, c), w.reason)
			because = append(because, facts...)
		}
		if r, ok := p.(Reviewer); ok {
			var facts []Evidence
			w.verdict, w.reason, facts = r.Review(o, stage, w.verdict, w.reason)
			because = append(because, facts...)
		}
		if stage.Port != 0 {
			because = append(because, Evidence{Reason: EvPort, Args: map[string]any{"port": int(stage.Port)}})
		}
		break
	}
	w.because = because
	return last, w
}

// theLaptops says whether the laptop itself stops the packets: it did not send them, or drops the answers.
func theLaptops(w weight) bool {
	return w.reason == LaptopDropsAnswers || w.verdict == BlockedOut && w.reason != NoArrival
}

// behindNAT says whether the server sees the laptop under another address than its own.
func behindNAT(c Circumstances) bool {
	return c.Laptop.Local.IsValid() && c.Server.Client.IsValid() && c.Laptop.Local != c.Server.Client.Addr()
}

// portReason names the block of a UDP port: of that port, or of UDP as a whole (F02).
func portReason(stage Stage, o Observation, v Verdict, c Circumstances) Reason {
	switch {
	case stage.Port == 0:
		return ""
	case v == BlockedOut && c.Control.UDPFiltered():
		return UDPFiltered
	case v == BlockedOut && refusals(o, stage) >= 2:
		return UDPRefused
	case carried(o, stage.Port, v):
		return "" // it is not the port: other datagrams crossed it
	case v == BlockedOut:
		return UDPPortDropped
	case v == BlockedBack:
		return UDPPortBackDropped
	}
	return ""
}

// refusals counts the questions of a stage, in any form, that ICMP said were refused. One alone may be about anything; more than one a second
// no Linux router tells.
func refusals(o Observation, stage Stage) (n int) {
	for _, e := range o.Exchanges {
		if e.Stage == stage.ID && e.Refused != "" {
			n++
		}
	}
	return n
}

// carried says whether a UDP port of the server let another question of the protocol pass that way.
func carried(o Observation, port uint16, v Verdict) bool {
	return slices.ContainsFunc(o.Exchanges, func(e Exchange) bool {
		passed := e.Returned.State == wire.Seen || v == BlockedOut && e.Arrived.State == wire.Seen
		return passed && e.From == Client && e.Sent.Dst.Port() == port
	})
}

// Beside counts how far a protocol's questions came: what another protocol's reason may need to know.
func Beside(p Probe, o Observation) Tally {
	var n Tally
	for _, part := range p.Info().Parts {
		for _, stage := range p.Info().Stages {
			if !part.Deciding || !stage.of(part.ID) {
				continue
			}
			tries, _ := scale{probe: p, obs: o, part: part, stage: stage}.tries()
			t := sum(tries)
			n.Tries += t.Tries
			n.Arrived += t.Arrived
			n.Replied += t.Replied
			n.Returned += t.Returned
			n.Refused += refusals(o, stage)
		}
	}
	return n
}
