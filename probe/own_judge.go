package probe

import (
	"net/netip"
	"slices"
	"strings"
	"time"

	"vpncheck/probe/wire"
)

// Carried is what the run's own conversations say of what this network carries: the verdict on each protocol, and on each part of one, as
// "ike/v1-from-500".
func Carried(findings []Finding) map[string]Verdict {
	out := map[string]Verdict{}
	for _, f := range findings {
		out[f.Protocol] = f.Verdict
		for _, p := range f.Parts {
			out[f.Protocol+"/"+p.Part] = p.Verdict
		}
	}
	return out
}

// Judge judges every opening.
func (own Own) Judge(carried map[string]Verdict) []Answered {
	var out []Answered
	for _, o := range own.Openings {
		out = append(out, JudgeOpening(o, carried))
	}
	return out
}

// JudgeOpening says what an opening means. carried is Carried of the same run; nil says that there was no companion: then nothing is said of
// the network but what an answer proves. Silence alone never is a verdict: a server may keep silent to strangers.
func JudgeOpening(o Opening, carried map[string]Verdict) Answered {
	j := ownJudge{o: o, how: besides(o, carried), a: Answered{ID: o.ID}}
	j.decide()
	j.tell()
	return j.a
}

type ownJudge struct {
	o   Opening
	how comparison
	a   Answered
}

// A comparison is what the companion's conversations say of an opening.
type comparison struct {
	asked    bool    // there was a companion
	same     bool    // it was asked at the same port
	protocol string  // the need that decides: the first that did not pass, else the first
	verdict  Verdict // on that; empty if it was not asked
}

func besides(o Opening, carried map[string]Verdict) comparison {
	c := comparison{asked: carried != nil, same: o.usualPort()}
	for i, need := range o.Needs {
		v, ok := carried[need]
		if whole, _, part := strings.Cut(need, "/"); !ok && part {
			v = carried[whole]
		}
		if i == 0 || c.verdict == Passed && v != Passed {
			c.protocol, c.verdict = need, v
		}
	}
	return c
}

// carries says that this network carries the same to the companion.
func (c comparison) carries() bool { return c.same && c.verdict == Passed }

// stops says that it did not let the same through.
func (c comparison) stops() bool {
	return c.same && slices.Contains([]Verdict{Altered, BlockedOut, BlockedBack, Stalled, Hijacked}, c.verdict)
}

func (o Opening) usualPort() bool {
	for _, k := range ownKinds() {
		if k.id == o.ID {
			return k.port == o.Port
		}
	}
	return false
}

// decide finds the verdict: by the first step that was not answered.
func (j *ownJudge) decide() {
	if j.o.Refused != nil {
		j.a.Verdict, j.a.Reason = Untested, j.o.Refused.Reason
		j.a.Args = map[string]any{"why": j.o.Refused.Why, "hint": j.o.Refused.Hint}
		return
	}
	if len(j.o.Stages) == 0 {
		j.a.Verdict, j.a.Reason = Untested, CouldNotAsk
		return
	}
	for i, s := range j.o.Stages {
		if !s.Answered() {
			j.a.Stage = s.ID
			j.unanswered(i, s)
			return
		}
	}
	if r := j.o.ControlOnly; r != nil {
		j.undecided(OwnControlOnly, map[string]any{"reason": r.Reason, "why": r.Why, "hint": r.Hint})
		return
	}
	j.a.Verdict = Passed
	if j.o.Declined != "" {
		j.a.Reason, j.a.Args = OwnDeclined, map[string]any{"said": j.o.Declined}
	}
}

// unanswered judges an opening that came as far as a step that nothing answered.
func (j *ownJudge) unanswered(i int, s OpeningStage) {
	switch from, how := s.refusedBy(); {
	case s.unsent():
		j.a.Verdict, j.a.Reason, j.a.Culprit = BlockedOut, LaptopFirewall, "laptop"
	case j.o.Another != "":
		j.undecided(OwnAnother, map[string]any{"said": j.o.Another})
	case j.o.ID == OpeningOpenVPNTCP && i > 0:
		j.undecided(OwnSilentByDesign, map[string]any{"carried": j.how.carries()})
	case s.ID == stageGRE:
		j.gre(s)
	case how != "" && i == 0:
		j.refused(from, how)
	case i > 0:
		j.undecided(OwnStopped, map[string]any{"stage": s.ID, "carried": j.how.carries(), "closed": how != ""})
		j.blame()
	default:
		j.silent()
	}
	if j.a.Args == nil {
		j.a.Args = map[string]any{}
	}
	tries, seconds := s.tries()
	for name, value := range map[string]any{"tries": tries, "seconds": seconds, "port": j.o.Port, "over": j.o.Over} {
		j.a.Args[name] = value
	}
}

func (j *ownJudge) undecided(r Reason, args map[string]any) {
	j.a.Verdict, j.a.Reason, j.a.Args = Inconclusive, r, args
}

// blame names the server's side where this network carries the same elsewhere.
func (j *ownJudge) blame() {
	if j.how.carries() {
		j.a.Culprit = CulpritVPNServer
	}
}

// refused judges a refusal: a reset always is in the server's name.
func (j *ownJudge) refused(from netip.Addr, how string) {
	j.a.Verdict, j.a.Reason, j.a.Args = BlockedOut, OwnRefused, map[string]any{"how": how}
	if from.IsValid() {
		j.a.Reason, j.a.Args["from"] = OwnRefusedOnWay, from.String()
		return
	}
	if j.blame(); j.how.stops() {
		j.a.Args["protocol"], j.a.Args["verdict"] = j.how.protocol, j.how.verdict
	}
}

// gre judges a PPTP call whose tunnel is silent.
func (j *ownJudge) gre(s OpeningStage) {
	j.undecided(OwnNoGRE, map[string]any{"carried": j.how.carries()})
	if slices.ContainsFunc(s.Exchanges, func(e Exchange) bool { return e.From == Server }) {
		j.a.Reason = OwnGREOneWay
	}
	if j.how.verdict != "" {
		j.a.Args["verdict"] = j.how.verdict
	}
	if how := s.refused(); how != "" {
		j.a.Args["how"] = how
	}
	j.blame()
}

// silent judges an opening that nothing came of. OpenVPN and L2TP may be silent to strangers, and nobody can be blamed for that.
func (j *ownJudge) silent() {
	args := map[string]any{"protocol": j.how.protocol, "verdict": j.how.verdict}
	switch {
	case j.how.stops():
		j.undecided(OwnSilentNetwork, args)
	case j.o.ID == OpeningOpenVPNUDP || j.o.ID == OpeningL2TP:
		j.undecided(OwnSilentByDesign, map[string]any{"carried": j.how.carries()})
	case j.how.carries():
		j.undecided(OwnSilentCarried, map[string]any{"protocol": j.how.protocol})
		j.blame()
	case !j.how.asked:
		j.undecided(OwnSilent, nil)
	case !j.how.same:
		j.undecided(OwnSilentUnsure, nil)
	default:
		j.undecided(OwnSilentUnsure, args)
	}
}

// tell adds what else is to be said.
func (j *ownJudge) tell() {
	say := func(r Reason, args map[string]any, of ...string) {
		j.a.Because = append(j.a.Because, Evidence{Reason: r, Args: args, Exchanges: of})
	}
	for _, s := range j.o.Stages {
		for _, e := range s.Exchanges {
			if e.Returned.State == wire.Seen && e.From == Client {
				say(EvOwnAnswered, map[string]any{"stage": s.ID, "title": s.Title}, e.ID)
				break
			}
		}
	}
	answered := len(j.a.Because) > 0
	if behind := j.o.ServerBehindNAT; behind != nil && *behind {
		say(EvOwnServerNAT, map[string]any{"address": j.o.server().String()})
	}
	if behind := j.o.ClientBehindNAT; behind != nil {
		say(EvOwnClientNAT, map[string]any{"behind": *behind})
	}
	if r := j.o.StandIn; r != nil {
		say(EvOwnStandsIn, map[string]any{"reason": r.Reason, "why": r.Why, "hint": r.Hint})
	}
	if answered && j.how.stops() {
		say(EvOwnDespite, map[string]any{"protocol": j.how.protocol, "verdict": j.how.verdict})
	}
	if n := len(j.o.Strangers); n > 0 {
		say(EvOwnStranger, map[string]any{"count": n})
	}
}

// server is the address that was asked.
func (o Opening) server() netip.Addr {
	for _, s := range o.Stages {
		for _, e := range s.Exchanges {
			if e.Sent.Dst.IsValid() {
				return e.Sent.Dst.Addr().Unmap()
			}
		}
	}
	return netip.Addr{}
}

// refusedBy is how this step was refused, and by whom if it was in another's name than the server's.
func (s OpeningStage) refusedBy() (from netip.Addr, how string) {
	for _, e := range s.Exchanges {
		if e.Refused == "" {
			continue
		}
		for _, i := range e.ICMPAtClient {
			if i.From != e.Sent.Dst.Addr().Unmap() {
				return i.From, e.Refused
			}
		}
		return netip.Addr{}, e.Refused
	}
	return netip.Addr{}, ""
}

// unsent says that the laptop itself let nothing out.
func (s OpeningStage) unsent() bool {
	for _, e := range s.Exchanges {
		if e.SendReason != string(LaptopFirewall) {
			return false
		}
	}
	return len(s.Exchanges) > 0
}

// tries counts the questions of this step, and how long it took to ask them, in whole seconds.
func (s OpeningStage) tries() (n int, seconds int) {
	var first, last time.Time
	for _, e := range s.Exchanges {
		if e.From != Client {
			continue
		}
		if n++; n == 1 {
			first = e.Sent.At
		}
		last = e.Sent.At
	}
	return n, int(last.Sub(first).Round(time.Second) / time.Second)
}
