package probe

import (
	"cmp"
	"math"
	"time"

	"vpncheck/probe/sock"
	"vpncheck/probe/wire"
)

// A scale holds what weighing one stage of one part needs.
type scale struct {
	probe Probe
	obs   Observation
	part  Part
	stage Stage
	c     Circumstances
	// early makes silence harder to believe: the conversation is under way, and beats to come may still speak for the line.
	early bool
}

// A weight is what came of a stage.
type weight struct {
	verdict Verdict
	reason  Reason
	because []Evidence
}

// A try is one question of the client's, with what was seen of it.
type try struct {
	e                          Exchange
	arrived, replied, returned bool
	kills                      []Change
}

// good says that the answer came back, and nothing on the way would have made a real client fail.
func (t try) good() bool { return t.returned && len(t.kills) == 0 }

// firewalled says that the question came as far as the server's network card, and to no socket of its.
func (t try) firewalled() bool { return t.e.Silent == wire.SilentFirewall }

// weigh is the law of one stage. Everything that it may rest on is in the scale; it asks nobody.
func (s scale) weigh() weight {
	tries, void := s.tries()
	w := s.decide(tries)
	w.because = append(s.tallyEvidence(tries), w.because...)
	if void > 0 {
		w.because = append(w.because, Evidence{Reason: EvVoid, Args: map[string]any{"tries": void}})
	}
	return w
}

func (s scale) decide(tries []try) weight {
	n := sum(tries)
	if n.Tries == 0 {
		return s.unasked()
	}
	if w, ok := s.limited(tries); ok {
		return w
	}
	switch {
	case s.roundAfterRound(tries):
		switch stopped, _, because := s.stops(tries); {
		case stopped >= 2:
			return weight{verdict: Stalled, reason: StoppedAfterN, because: because}
		case stopped == 1:
			return weight{verdict: Inconclusive, reason: StoppedOnce, because: because}
		}
		if w, blind := s.unwitnessed(tries); blind {
			return w
		}
		w := weight{verdict: Passed, because: s.lossy(tries)}
		if s.impostor() {
			w.because = append(w.because, s.strangerEvidence()...) // the server's own answers came, too
		}
		return w
	case countKills(tries) >= min(3, s.rounds()) && countGood(tries) <= countKills(tries):
		return s.altered(tries)
	case n.Arrived == 0 && countGood(tries) == 0 && s.impostor():
		return weight{verdict: Hijacked, reason: AnsweredByAnother, because: s.strangerEvidence()}
	case countGood(tries) > 0:
		return s.began(tries)
	case n.Arrived == 0:
		return s.neverArrived(tries)
	case n.Replied == 0 && stoppedAtServer(tries):
		return s.serverFirewall(tries)
	case n.Replied == 0 && s.stage.ID == stageConnect:
		// What the watch for SYNs sees is past the server's firewall: its kernel answers it.
		return s.neverReturned(filter(tries, func(t try) bool { return t.arrived && !t.firewalled() }))
	case n.Replied == 0:
		return s.notAnswered(tries)
	default:
		return s.neverReturned(filter(tries, func(t try) bool { return t.replied }))
	}
}

// tries returns the stage's questions, without those that fell into an outage and were not answered, and the number of these.
func (s scale) tries() (tries []try, void int) {
	outages := s.c.Control.Outages()
	late := s.c.Control.late()
	for _, e := range s.obs.Exchanges {
		if e.Part != s.part.ID || e.Stage != s.stage.ID || e.From != Client || e.SendReason == string(OSRefuses) || s.stage.ID == stageFull && e.SendReason == sock.TooBig {
			continue
		}
		t := try{
			e:        e,
			arrived:  e.Arrived.State == wire.Seen,
			replied:  e.Replied.State == wire.Seen,
			returned: e.Returned.State == wire.Seen,
		}
		for _, ch := range s.probe.Changes(s.obs, e) {
			if ch.Kills != "" {
				t.kills = append(t.kills, ch)
			}
		}
		forbidden := e.SendReason == string(LaptopFirewall) // whatever the line did meanwhile
		if !t.returned && !forbidden && len(t.kills) == 0 && fellInto(e.Sent.At, late, outages) {
			void++ // silence says nothing there; what did arrive was seen
			continue
		}
		tries = append(tries, t)
	}
	return tries, void
}

func fellInto(at time.Time, wait time.Duration, outages []Outage) bool {
	for _, o := range outages {
		if at.Add(wait).After(o.From) && at.Before(o.To) {
			return true
		}
	}
	return false
}

func sum(tries []try) Tally {
	n := Tally{Tries: len(tries)}
	for _, t := range tries {
		if t.arrived || t.replied || t.good() {
			n.Arrived++
		}
		if t.replied || t.good() {
			n.Replied++
		}
		if t.returned {
			n.Returned++
		}
	}
	return n
}

func countGood(tries []try) (n int) {
	for _, t := range tries {
		if t.good() {
			n++
		}
	}
	return n
}

func countKills(tries []try) (n int) {
	for _, t := range tries {
		if len(t.kills) > 0 {
			n++
		}
	}
	return n
}

// rounds and span are what the stage asks of this part.
func (s scale) rounds() int {
	if s.part.Rounds > 0 {
		return min(s.part.Rounds, s.stage.Rounds)
	}
	return s.stage.Rounds
}

func (s scale) span() time.Duration {
	if s.part.Rounds > 0 {
		return 0
	}
	return s.stage.Span
}

// roundAfterRound says that enough answers came back, spread over the stage's span, on one flow that was not cut afterwards.
func (s scale) roundAfterRound(tries []try) bool {
	for _, flow := range flows(tries) {
		var good int
		var first, last time.Time
		for _, t := range flow {
			if !t.good() {
				continue
			}
			if good++; good == 1 {
				first = t.e.Sent.At
			}
			last = t.e.Returned.At
		}
		if good >= s.rounds() && last.Sub(first) >= s.span() {
			return true
		}
	}
	return false
}

// unwitnessed says that the answers came, and that the server could not tell how the questions had arrived: a change that kills a real
// client would have gone unseen.
func (s scale) unwitnessed(tries []try) (weight, bool) {
	good := filter(tries, try.good)
	blind := filter(good, func(t try) bool { return t.e.Arrived.State == wire.Blind })
	if s.stage.Rounds <= 1 || len(good)-len(blind) >= min(3, s.rounds()) {
		return weight{}, false
	}
	w := weight{verdict: Inconclusive, reason: ServerBlind, because: []Evidence{{Reason: EvWhy, Args: map[string]any{"why": blind[0].e.Arrived.Why}}}}
	if s.c.Stop != nil {
		w.reason = s.c.Stop.Reason
	}
	return w, true
}

// flows parts the tries by their flow, in order.
func flows(tries []try) [][]try {
	var out [][]try
	for _, t := range tries {
		for len(out) < t.e.Flow {
			out = append(out, nil)
		}
		if t.e.Flow > 0 {
			out[t.e.Flow-1] = append(out[t.e.Flow-1], t)
		}
	}
	return out
}

// unasked is the weight of a stage without one valid try.
func (s scale) unasked() weight {
	if r := cmp.Or(refusedPart(s.obs, s.part.ID), s.obs.Refused); r != nil {
		return weight{verdict: Untested, reason: r.Reason, because: []Evidence{{Reason: EvWhy, Args: map[string]any{"why": r.Why, "hint": r.Hint}}}}
	}
	if s.c.Stop != nil {
		return weight{verdict: Inconclusive, reason: s.c.Stop.Reason}
	}
	return weight{verdict: Inconclusive, reason: NotEnoughTries}
}

// altered: the conversation arrived, but not as it was sent.
func (s scale) altered(tries []try) weight {
	counts := map[Reason]int{}
	var first []Change
	for _, t := range tries {
		for _, ch := range t.kills {
			if counts[ch.Kills]++; counts[ch.Kills] == 1 {
				first = append(first, ch)
			}
		}
	}
	w := weight{verdict: Altered}
	for _, ch := range first {
		if counts[ch.Kills] > counts[w.reason] {
			w.reason = ch.Kills
		}
		w.because = append(w.because, Evidence{Reason: EvChange, Exchanges: []string{ch.Exchange}, Args: map[string]any{
			"way": ch.Way, "field": ch.Field, "before": ch.Before, "after": ch.After, "offset": ch.Offset, "count": counts[ch.Kills],
		}})
	}
	return w
}

// impostor says that somebody continued this protocol in the server's name, while the server looked and saw nothing of ours.
func (s scale) impostor() bool { return len(s.strangers()) >= 2 }

// strangers are those of the stage's transport.
func (s scale) strangers() (out []wire.Sighting) {
	for _, x := range s.obs.Strangers {
		if (x.Where == "tcp") == s.stage.Carrier.TCP() {
			out = append(out, x)
		}
	}
	return out
}

func (s scale) strangerEvidence() []Evidence {
	all := s.strangers()
	return []Evidence{{Reason: EvStranger, Args: map[string]any{
		"count": len(all), "from": all[0].Src.String(), "bytes": string(must(all[0].Bytes.MarshalText())), "why": all[0].Why,
	}}}
}

func must(b []byte, err error) []byte {
	if err != nil {
		panic(err) // Hex cannot fail to marshal
	}
	return b
}

// neverArrived: nothing of this stage was seen by the server.
func (s scale) neverArrived(tries []try) weight {
	if all(tries, func(t try) bool { return t.e.SendReason != "" }) {
		return weight{verdict: BlockedOut, reason: Reason(tries[0].e.SendReason), because: []Evidence{
			{Reason: EvSendErr, Args: map[string]any{"error": tries[0].e.SendErr, "tries": len(tries)}},
		}}
	}
	if refused := filter(tries, func(t try) bool { return t.e.Refused != "" }); len(refused) >= 3 && len(refused) == len(tries) {
		return s.proven(weight{because: []Evidence{
			{Reason: EvRefused, Args: map[string]any{"how": refused[0].e.Refused, "tries": len(refused)}},
		}})
	}
	if all(tries, func(t try) bool { return t.e.Arrived.State == wire.Blind }) {
		w := weight{verdict: Inconclusive, reason: ServerBlind}
		if s.c.Stop != nil {
			w.reason = s.c.Stop.Reason
		}
		w.because = []Evidence{{Reason: EvWhy, Args: map[string]any{"why": tries[0].e.Arrived.Why}}}
		return w
	}
	w := s.silence(tries)
	if w.verdict == Inconclusive {
		return w
	}
	return s.proven(w)
}

// proven makes a block of what never arrived, if that carrier arrives at the server at all (DESIGN, law 7).
func (s scale) proven(w weight) weight {
	state := s.c.Server.Carrier(s.stage.Carrier)
	if state.Proof == nil {
		w.verdict, w.reason = Inconclusive, ServerUnproven
		w.because = append(w.because, Evidence{Reason: EvUnproven, Args: map[string]any{"carrier": string(s.stage.Carrier)}})
		return w
	}
	w.verdict, w.reason = BlockedOut, NoArrival
	w.because = append(w.because, Evidence{Reason: EvProof, Args: map[string]any{
		"carrier": string(s.stage.Carrier), "at": state.Proof.At.UTC().Format(time.RFC3339), "own": state.Proof.Own,
	}})
	return w
}

// stoppedAtServer says that three questions or more came as far as the server's network card, and not one came further. One or two a busy
// server may have lost by itself.
func stoppedAtServer(tries []try) bool {
	arrived := filter(tries, func(t try) bool { return t.arrived })
	return len(arrived) >= 3 && all(arrived, try.firewalled)
}

// serverFirewall: the network carried it, and the server's own machine dropped it (F01, F27). Whoever gets there can say so: no proof is
// needed, and it is no verdict on the network.
func (s scale) serverFirewall(tries []try) weight {
	n := len(filter(tries, try.firewalled))
	return weight{verdict: Inconclusive, reason: ServerFirewall, because: []Evidence{
		{Reason: EvSilent, Args: map[string]any{"why": wire.SilentFirewall, "count": n}},
	}}
}

// notAnswered: it arrived, and our own server chose to be silent. That is never a verdict on the network.
func (s scale) notAnswered(tries []try) weight {
	counts := map[string]int{}
	why := ""
	for _, t := range tries {
		if t.arrived {
			if counts[t.e.Silent]++; counts[t.e.Silent] > counts[why] || why == "" {
				why = t.e.Silent
			}
		}
	}
	return weight{verdict: Inconclusive, reason: NotAnswered, because: []Evidence{
		{Reason: EvSilent, Args: map[string]any{"why": why, "count": counts[why]}},
	}}
}

// neverReturned: the server answered, and no answer came.
func (s scale) neverReturned(tries []try) weight {
	w := s.silence(tries)
	if w.verdict == Inconclusive {
		return w
	}
	w.verdict, w.reason = BlockedBack, NoReturn
	if n := len(filter(tries, func(t try) bool { return t.e.AtNIC != nil })); 2*n > len(tries) {
		w.reason = LaptopDropsAnswers
		w.because = append(w.because, Evidence{Reason: EvAtNIC, Args: map[string]any{"count": n, "tries": len(tries)}})
	}
	return w
}

// began: answers came, but not enough of them. It stalled if it stopped on two flows, each time beyond what loss explains.
func (s scale) began(tries []try) weight {
	stopped, asked, because := s.stops(tries)
	switch {
	case stopped >= 2:
		return weight{verdict: Stalled, reason: StoppedAfterN, because: because}
	case stopped == 1 && asked == 1:
		return weight{verdict: Inconclusive, reason: StoppedMidway, because: because}
	case stopped == 1:
		return weight{verdict: Inconclusive, reason: StoppedOnce, because: because}
	case s.c.Stop != nil:
		return weight{verdict: Inconclusive, reason: s.c.Stop.Reason}
	}
	if n := sum(tries); n.Returned == n.Tries {
		return weight{verdict: Inconclusive, reason: TimeUp} // nothing was lost: the line is too slow for the time there was
	}
	return weight{verdict: Inconclusive, reason: TooLossy, because: s.lossy(tries)}
}

// lossy is evidence that the stage's first flow lost more than the line explains.
func (s scale) lossy(tries []try) []Evidence {
	usual, _ := s.paces(tries)
	if p, more := s.uneven(usual); p < maxChance {
		return []Evidence{more}
	}
	return nil
}

// stops counts the flows that began and then fell silent beyond what loss explains, and those that were asked at all.
func (s scale) stops(tries []try) (stopped, asked int, because []Evidence) {
	for i, flow := range flows(tries) {
		if len(flow) == 0 {
			continue
		}
		asked++
		if countGood(flow) == 0 && stopped == 0 {
			continue // nothing came back on this flow: it did not stop, it never began, unless it only went on where an earlier one stopped
		}
		if stop, ok := s.stop(flow, i+1); ok {
			stopped++
			because = append(because, stop...)
		}
	}
	return stopped, asked, because
}

// stop says whether a flow has fallen silent beyond what loss explains, after how many answers, and by what chance. What our own server did
// not answer is no silence of the network's.
func (s scale) stop(flow []try, number int) ([]Evidence, bool) {
	w := s.silence(filter(afterLastGood(flow), func(t try) bool { return !t.ours() }))
	if w.verdict == Inconclusive {
		return nil, false
	}
	stopped := Evidence{Reason: EvStopped, Args: map[string]any{"flow": number, "after": countGood(flow), "seconds": lasted(flow)}}
	return append([]Evidence{stopped}, w.because...), true
}

// lasted is how long a flow was answered, in seconds.
func lasted(flow []try) float64 {
	alive := len(flow) - len(afterLastGood(flow))
	if alive == 0 {
		return 0
	}
	return math.Round(10*max(0, flow[alive-1].e.Returned.At.Sub(flow[0].e.Sent.At).Seconds())) / 10
}

func afterLastGood(flow []try) []try {
	last := -1
	for i, t := range flow {
		if t.good() {
			last = i
		}
	}
	return flow[last+1:]
}

// silence says whether tries that were all lost are more than bad luck: five or more, over more than two seconds, and hardly ever
// explained by the loss that the control saw in the same window. The verdict is Inconclusive if not, and empty if they are.
func (s scale) silence(tries []try) weight {
	notYet := weight{verdict: Inconclusive, reason: NotEnoughTries}
	if s.c.Stop != nil {
		notYet.reason = s.c.Stop.Reason
	}
	if len(tries) < minTries {
		return notYet
	}
	first, last := tries[0].e.Sent.At, tries[len(tries)-1].e.Sent.At
	if last.Sub(first) <= minSpan {
		return notYet
	}
	leg := s.c.Control.leg()
	sent, lost := s.window(tries)
	burst := s.c.Control.burst(leg)
	apart := spread(tries, burst)
	p := max(fisher(len(tries), sent, lost), fisher(apart, sent, lost))
	notYet.because = []Evidence{{Reason: EvChance, Args: map[string]any{
		"p": p, "tries": len(tries), "apart": apart, "burst_ms": burst.Milliseconds(), "control": sent, "lost": lost,
	}}}
	if p < maxChance && (!s.early || p < maxChance/earlyDoubt) {
		notYet.verdict, notYet.reason = "", ""
	}
	return notYet
}

// spread counts the tries that are at least one burst of loss apart: those closer together share one fate.
func spread(tries []try, burst time.Duration) int {
	n := 0
	var last time.Time
	for _, t := range tries {
		if n == 0 || t.e.Sent.At.Sub(last) >= burst {
			n, last = n+1, t.e.Sent.At
		}
	}
	return n
}

func (s scale) tallyEvidence(tries []try) []Evidence {
	if len(tries) == 0 {
		return nil
	}
	n := sum(tries)
	span := tries[len(tries)-1].e.Sent.At.Sub(tries[0].e.Sent.At)
	return []Evidence{{Reason: EvTries, Exchanges: ids(tries), Args: map[string]any{
		"stage": s.stage.Title, "tries": n.Tries, "arrived": n.Arrived, "replied": n.Replied, "returned": n.Returned, "seconds": span.Seconds(),
		"blind": len(filter(tries, func(t try) bool { return t.e.Arrived.State == wire.Blind })),
	}}}
}

func all(tries []try, ok func(try) bool) bool { return len(filter(tries, ok)) == len(tries) }

func filter(tries []try, ok func(try) bool) []try {
	var out []try
	for _, t := range tries {
		if ok(t) {
			out = append(out, t)
		}
	}
	return out
}
