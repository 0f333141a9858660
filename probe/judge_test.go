package probe

import (
	"encoding/json"
	"fmt"
	"net/netip"
	"strings"
	"testing"
	"time"

	"vpncheck/probe/wire"
	"vpncheck/probe/witness"
)

// The law as a table: what was seen of a protocol with one stage, and the verdict. Tries are drawn, a letter each:
//
//	p passed         sent, arrived, replied, returned
//	o lost out       sent, never arrived
//	b lost back      arrived and replied, never returned
//	s silent         arrived, and our server did not answer
//	f firewall       arrived at the server's network card and no further
//	k killed         came back, changed so that a client fails
//	d damaged        arrived damaged, was not answered
//	? blind          sent; the session ended before the server could tell
//	v vague          came back; the session ended before the server could tell how it had arrived
//	e EPERM          the laptop's kernel refused to send
//	r refused        refused in the server's name
//	| the next try is on a new flow
//	, half a second passes        . 150 ms pass (they also pass between any two tries)
func drawn(drawing string) Observation {
	o := Observation{Protocol: "toy", Parts: toy{}.Info().Parts}
	at, flow := runStart.Add(2*time.Second), 1
	for _, c := range drawing {
		switch c {
		case '|':
			flow++
			continue
		case ',':
			at = at.Add(350 * time.Millisecond)
			continue
		case '.':
			at = at.Add(150 * time.Millisecond)
			continue
		}
		o.Exchanges = append(o.Exchanges, drawnTry(c, flow, len(o.Exchanges)+1, at))
		at = at.Add(150 * time.Millisecond)
	}
	return o
}

func drawnTry(c rune, flow, n int, at time.Time) Exchange {
	seen := func(b byte) wire.Sighting {
		return wire.Sighting{State: wire.Seen, At: at, Where: "raw", Bytes: wire.Hex{1, 2, 3, b}}
	}
	e := Exchange{ID: fmt.Sprintf("toy/%d", n), Part: "only", Stage: "talk", Flow: flow, From: Client,
		Sent: seen(0), Arrived: seen(0), Replied: seen(1), Returned: seen(1)}
	switch c {
	case 'p':
	case 'o':
		e.Arrived, e.Replied, e.Returned = wire.NotSeen(), wire.NotSeen(), wire.NotSeen()
	case 'b':
		e.Returned = wire.NotSeen()
	case 's':
		e.Replied, e.Returned, e.Silent = wire.NotSeen(), wire.NotSeen(), "budget"
	case 'f':
		e.Replied, e.Returned, e.Silent, e.Arrived.Where = wire.NotSeen(), wire.NotSeen(), wire.SilentFirewall, "nic"
	case 'k':
		e.Returned = seen(99)
	case 'd':
		e.Arrived, e.Replied, e.Returned, e.Silent = seen(99), wire.NotSeen(), wire.NotSeen(), "token"
	case '?':
		e.Arrived, e.Replied, e.Returned = wire.CannotSee("gone"), wire.CannotSee("gone"), wire.NotSeen()
	case 'v':
		e.Arrived, e.Replied = wire.CannotSee("gone"), wire.CannotSee("gone")
	case 'e':
		e.Sent = wire.NotSeen()
		e.Sent.At = at
		e.Arrived, e.Replied, e.Returned = wire.NotSeen(), wire.NotSeen(), wire.NotSeen()
		e.SendErr, e.SendReason = "sendmsg: operation not permitted", "laptop-firewall"
	case 'r':
		e.Arrived, e.Replied, e.Returned, e.Refused = wire.NotSeen(), wire.NotSeen(), wire.NotSeen(), "reset"
	default:
		panic("no such letter: " + string(c))
	}
	return e
}

// toy is a protocol of one stage: twelve rounds over 1.5 s. Any change of its payload kills it.
type toy struct{ Probe }

func (toy) Info() Info {
	return Info{ID: "toy", Title: "Toy", Parts: []Part{{ID: "only", Deciding: true}}, Stages: []Stage{
		{ID: "talk", Title: "the talk", Carrier: wire.CarrierGRE, Rounds: 12, Span: 1500 * time.Millisecond},
	}}
}

func (toy) Changes(_ Observation, e Exchange) []Change {
	out := Compare(e, 0)
	for i := range out {
		out[i].Kills = PayloadAltered
	}
	return out
}

func (toy) Reason(Observation, Stage, Verdict, Circumstances) (Reason, []Evidence) { return "", nil }

const clean = ".................................................." // ten seconds of control

func proven() Circumstances {
	return Circumstances{
		Control: controlOf(clean, clean),
		Server:  ServerFacts{Carriers: []wire.CarrierState{{Carrier: wire.CarrierGRE, Ready: true, Proof: &wire.Proof{At: runStart}}}},
	}
}

func TestJudge(t *testing.T) {
	for _, c := range []struct {
		name, tries string
		with        func(*Circumstances)
		verdict     Verdict
		reason      Reason
	}{
		{"round-after-round", "pppppppppppp", nil, Passed, ""},
		{"with-some-loss", "ppopppbppppopppp", nil, Passed, ""},
		{"eleven-rounds-are-not-enough", "ppppppppppp", nil, Inconclusive, TimeUp},
		{"one-packet-is-not-a-conversation", "p", nil, Inconclusive, TimeUp},
		{"nothing-arrives", "o,o,o,o,o,o", nil, BlockedOut, NoArrival},
		{"four-tries-are-not-enough", "o,,o,,o,,o", nil, Inconclusive, NotEnoughTries},
		{"five-tries-within-two-seconds-are-not-enough", "ooooo", nil, Inconclusive, NotEnoughTries},
		{"no-block-without-proof", "o,o,o,o,o,o", func(c *Circumstances) { c.Server.Carriers = nil }, Inconclusive, ServerUnproven},
		{"no-block-without-control", "o,o,o,o,o,o", func(c *Circumstances) { c.Control = Control{} }, Inconclusive, NotEnoughTries},
		{"no-block-in-heavy-loss", "o,o,o,o,o,o", func(c *Circumstances) { c.Control = controlOf(strings.Repeat(".x", 25), clean) }, Inconclusive, NotEnoughTries},
		{"losses-in-bursts-make-tries-fewer", "o.o.o.o.o.o.o.o.o", func(c *Circumstances) {
			c.Control = controlOf("....xxxx"+clean[8:], clean)
		}, Inconclusive, NotEnoughTries},
		{"as-many-losses-apart-do-not", "o.o.o.o.o.o.o.o.o", func(c *Circumstances) {
			c.Control = controlOf("..x..x..x..x"+clean[12:], clean)
		}, BlockedOut, NoArrival},
		{"tls-is-the-control-where-udp-is-filtered", "o,o,o,o,o,o", func(c *Circumstances) {
			c.Control = controlOf(strings.Repeat("x", 50), clean)
		}, BlockedOut, NoArrival},
		{"tries-in-an-outage-are-void", "o,o,o,o,o,o", func(c *Circumstances) {
			c.Control = controlOf(outageFrom(8, 20), lateFrom(8, 20))
		}, Inconclusive, NotEnoughTries},
		{"a-refusal-of-the-laptop's-own-in-an-outage-counts", "e,e,e,e", func(c *Circumstances) {
			c.Control = controlOf(outageFrom(8, 20), lateFrom(8, 20))
		}, BlockedOut, LaptopFirewall},
		{"an-answer-in-an-outage-counts", "pppppppppppp", func(c *Circumstances) {
			c.Control = controlOf(outageFrom(8, 20), lateFrom(8, 20))
		}, Passed, ""},
		{"nothing-comes-back", "b,b,b,b,b,b", nil, BlockedBack, NoReturn},
		{"back-needs-no-proof", "b,b,b,b,b,b", func(c *Circumstances) { c.Server.Carriers = nil }, BlockedBack, NoReturn},
		{"few-answers-lost-are-not-enough", "obobob", nil, Inconclusive, NotEnoughTries},
		{"our-own-silence-is-no-verdict", "s,s,s,s,s,s", nil, Inconclusive, NotAnswered},
		{"the-servers-own-firewall", "f,f,f,f,f", nil, Inconclusive, ServerFirewall},
		{"the-servers-own-firewall-needs-no-proof", "f,o,f,f,o,o", func(c *Circumstances) { c.Server.Carriers = nil }, Inconclusive, ServerFirewall},
		{"two-at-the-network-card-are-not-enough", "f,o,f,o,o,o", nil, Inconclusive, NotAnswered},
		{"one-that-got-further-clears-the-firewall", "f,f,s,f,f", nil, Inconclusive, NotAnswered},
		{"damaged-on-the-way-out", "d,d,d", nil, Altered, PayloadAltered},
		{"damaged-on-the-way-back", "k,k,k", nil, Altered, PayloadAltered},
		{"damaged-now-and-then", "pppkppppkppppkp", nil, Passed, ""},
		{"damaged-now-and-then-so-far", "pkppkppkp", nil, Inconclusive, TimeUp},
		{"damaged-more-often-than-not", "pkkpkkpk", nil, Altered, PayloadAltered},
		{"lost-now-and-then-so-far", "ppopp", nil, Inconclusive, TooLossy},
		{"two-damaged-packets-do-not-decide", "d,d,o,o", nil, Inconclusive, NotAnswered},
		{"stops-once", "pppppp,b,b,b,b,b,b", nil, Inconclusive, StoppedMidway},
		{"stops-again-on-a-fresh-flow", "pppppp,b,b,b,b,b,b|pppppp,b,b,b,b,b,b", nil, Stalled, StoppedAfterN},
		{"does-not-stop-again", "pppppp,b,b,b,b,b,b|pppppppppppp", nil, Inconclusive, StoppedOnce},
		{"stops-and-goes-slowly", "pppppp,b,b,b,b,b,b|" + slowly("ppppppp"), nil, Passed, RateLimit},
		{"goes-slowly-only-as-far-as-before", "pppppp,b,b,b,b,b,b|" + slowly("pppppp"), nil, Inconclusive, StoppedOnce},
		{"stops-early-and-goes-slowly-for-a-bit", "pp,b,b,b,b,b,b|" + slowly("pppp"), nil, Inconclusive, StoppedOnce},
		{"stops-early-and-goes-slowly", "pp,b,b,b,b,b,b|" + slowly("ppppp"), nil, Passed, RateLimit},
		{"stops-after-losses-that-count", "pppbbppp,b,b,b,b,b,b|" + slowly("pppppppp"), nil, Inconclusive, StoppedOnce},
		{"a-lossy-line-asks-for-more", "pppppp,b,b,b,b,b,b,b,b,b|" + slowly("ppppppp"), someLoss, Inconclusive, StoppedOnce},
		{"goes-slowly-with-losses-of-its-own", "pppppp,b,b,b,b,b,b|" + slowly("pbpbpbpbppp"), nil, Inconclusive, StoppedOnce},
		{"goes-slowly-and-damaged", "pppppp,b,b,b,b,b,b|" + slowly("pppppppk"), nil, Inconclusive, StoppedOnce},
		{"stops-slowly-too", "pppppp,b,b,b,b,b,b|" + slowly("ppppppobobob"), long, Stalled, StoppedAfterN},
		{"never-goes-slowly", "pppppp,b,b,b,b,b,b|" + slowly("bbbbbb"), nil, Stalled, StoppedAfterN},
		{"is-slow-all-the-time", slowly("pppppp") + ",b,b,b,b,b,b|" + slowly("ppppppp"), nil, Inconclusive, StoppedOnce},
		{"loses-every-second", strings.Repeat("pb,", 12), nil, Passed, ""},
		{"loses-every-second-on-a-line-that-does-too", strings.Repeat("pb,", 12), func(c *Circumstances) { c.Control = controlOf(strings.Repeat(".x", 25), clean) }, Passed, ""},
		{"loses-every-second-and-none-slowly", strings.Repeat("pb,", 12) + "|" + slowly("pppppppppppp"), nil, Passed, RateLimit},
		{"loses-as-the-line-does-and-none-slowly", strings.Repeat("pb,", 12) + "|" + slowly("pppppppppppp"), func(c *Circumstances) {
			c.Control = controlOf(strings.Repeat(".x", 60), strings.Repeat(".", 120))
		}, Passed, ""},
		{"loses-every-second-and-few-slowly", strings.Repeat("pb,", 8) + "|" + slowly("pppppppppppp"), nil, Passed, RateLimit},
		{"loses-every-second-slowly-too", strings.Repeat("pb,", 12) + "|" + slowly("pbpbppppp"), nil, Passed, ""},
		{"stops-late-on-both-flows", "pppppppppppppp,b,b,b,b,b,b|pppppppppppppp,b,b,b,b,b,b", long, Stalled, StoppedAfterN},
		{"what-arrived-damaged-in-an-outage-was-seen", "d,d,d", func(c *Circumstances) {
			c.Control = controlOf(outageFrom(8, 20), lateFrom(8, 20))
		}, Altered, PayloadAltered},
		{"beats-in-an-outage-are-void-too", "o,o,o,o,o,o,o,o,o,o", func(c *Circumstances) {
			c.Control = controlOf(outageFrom(8, 16), lateFrom(8, 16))
		}, BlockedOut, NoArrival},
		{"our-own-silence-is-no-stop", "pppppp,s,s,s,s,s,s|pppppp,s,s,s,s,s,s", nil, Inconclusive, TooLossy},
		{"blind", "?,?,?,?,?,?", nil, Inconclusive, ServerBlind},
		{"came-back-and-nobody-knows-how-it-arrived", "vvvvvvvvvvvv", nil, Inconclusive, ServerBlind},
		{"a-few-were-seen-damaged-and-the-rest-not-at-all", "kkvvvvvvvvvvvv", nil, Inconclusive, ServerBlind},
		{"enough-were-seen", "pppvvvvvvvvv", nil, Passed, ""},
		{"session-lost", "?,?,?,?,?,?", func(c *Circumstances) { c.Stop = &Stop{Reason: SessionLost} }, Inconclusive, SessionLost},
		{"interrupted", "ppp", func(c *Circumstances) { c.Stop = &Stop{Reason: Interrupted} }, Inconclusive, Interrupted},
		{"interrupted-after-the-end", "pppppppppppp", func(c *Circumstances) { c.Stop = &Stop{Reason: Interrupted} }, Passed, ""},
		{"laptop-firewall", "e,e,e,e,e", nil, BlockedOut, LaptopFirewall},
		{"refused", "r,r,r", nil, BlockedOut, NoArrival},
		{"refused-by-an-unproven-server", "r,r,r", func(c *Circumstances) { c.Server.Carriers = nil }, Inconclusive, ServerUnproven},
		{"nothing-asked", "", nil, Inconclusive, NotEnoughTries},
		{"no-session", "", func(c *Circumstances) { c.NoSession = &NoSessionFacts{Reason: NoAnswer} }, Untested, NoSession},
		{"portal", "", func(c *Circumstances) { c.NoSession = &NoSessionFacts{Reason: CaptivePortal} }, Untested, CaptivePortal},
		{"active-vpn", "", func(c *Circumstances) { c.Stop = &Stop{Reason: ActiveVPN} }, Untested, ActiveVPN},
		{"server-on-link", "", func(c *Circumstances) { c.Stop = &Stop{Reason: ServerOnLink} }, Untested, ServerOnLink},
	} {
		t.Run(c.name, func(t *testing.T) {
			circ := proven()
			if c.with != nil {
				c.with(&circ)
			}
			f := Judge(toy{}, drawn(c.tries), circ)
			if f.Verdict != c.verdict || f.Reason != c.reason {
				text, _ := json.MarshalIndent(f, "", " ")
				t.Errorf("got %s (%s), want %s (%s)\n%s", f.Verdict, f.Reason, c.verdict, c.reason, text)
			}
		})
	}
}

// Full size is judged only where it was asked, and says nothing but that large packets vanish.
func TestJudgeFull(t *testing.T) {
	for _, c := range []struct {
		name, tries, reason string
		verdict             Verdict
		because             Reason
		way                 string
	}{
		{name: "passes", tries: "ppp", verdict: Passed},
		{name: "out", tries: "o,o,o,o,o,o", verdict: Stalled, because: FullSizeDropped, way: WayOut},
		{name: "back", tries: "b,b,b,b,b,b", verdict: Stalled, because: FullSizeDropped, way: WayBack},
		{name: "too-few", tries: "o,o,o", verdict: Passed},
		{name: "our-own-silence", tries: "s,s,s,s,s,s", verdict: Passed},
		{name: "damaged", tries: "d,d,d", verdict: Altered, because: PayloadAltered},
		{name: "smaller-path-is-known", tries: "e,e,e,e,e,e", reason: "too-big", verdict: Passed},
		{name: "first-one-lost-then-known", tries: "o,e,e,e,e,e,e", reason: "too-big", verdict: Passed},
	} {
		t.Run(c.name, func(t *testing.T) {
			o := drawn("pppppppppppp,,,," + c.tries)
			for i := range o.Exchanges[12:] {
				e := &o.Exchanges[12+i]
				e.Stage = stageFull
				if e.SendReason != "" {
					e.SendReason = c.reason
				}
			}
			circ := proven()
			long(&circ)
			f := Judge(toy{}, o, circ)
			if f.Verdict != c.verdict || f.Reason != c.because {
				t.Errorf("got %s (%s), want %s (%s): %+v", f.Verdict, f.Reason, c.verdict, c.because, f.Because)
			}
			way := ""
			for _, e := range f.Because {
				if e.Reason == EvFullSize {
					way = e.Args["way"].(string)
				}
			}
			if way != c.way {
				t.Errorf("got way %q, want %q", way, c.way)
			}
		})
	}
}

// noted is a toy whose only stage a client behind a NAT has left by then.
type noted struct{ toy }

func (n noted) Info() Info {
	info := n.toy.Info()
	info.Stages[0].Note = true
	return info
}

// A limit on what a real client would not send there is a remark, and no reason.
func TestJudgeNotedLimit(t *testing.T) {
	for nat, want := range map[bool]Reason{true: "", false: RateLimit} {
		circ := proven()
		circ.Laptop.Local, circ.Server.Client = netip.MustParseAddr("192.168.1.11"), netip.MustParseAddrPort("192.168.1.11:1")
		if nat {
			circ.Server.Client = netip.MustParseAddrPort("203.0.113.2:1")
		}
		f := Judge(noted{}, drawn("pppppp,b,b,b,b,b,b|"+slowly("ppppppp")), circ)
		if f.Verdict != Passed || f.Reason != want {
			t.Errorf("NAT %v: got %s (%s), want passed (%s)", nat, f.Verdict, f.Reason, want)
		}
	}
}

// slowly draws tries that are a second apart.
func slowly(tries string) string { return strings.Join(strings.Split(tries, ""), ",,.") }

// long is a control of twenty seconds.
func long(c *Circumstances) { c.Control = controlOf(clean+clean, clean+clean) }

// someLoss is a control that loses one in twelve.
func someLoss(c *Circumstances) {
	c.Control = controlOf(strings.Repeat("...........x", 8), strings.Repeat(".", 96))
}

// What is uneven is told, and how it fared slowly; what is not is not told.
func TestJudgeUneven(t *testing.T) {
	half := strings.Repeat("pb,", 12)
	for _, c := range []struct {
		name, tries    string
		with           func(*Circumstances)
		uneven, paced  bool
		lost, ofTries  int
		asked, answers int
	}{
		{name: "clean", tries: "pppppppppppp"},
		{name: "loses-as-the-line-does", tries: half, with: func(c *Circumstances) { c.Control = controlOf(strings.Repeat(".x", 25), clean) }},
		{name: "loses-more", tries: half, uneven: true, lost: 12, ofTries: 24},
		{name: "in-bursts-it-may-be-the-line", tries: half, with: func(c *Circumstances) {
			c.Control = controlOf("xxxxxxxxxxxxxxxxxxxx"+clean[20:], clean)
		}},
		{name: "loses-none-slowly", tries: half + "|" + slowly("pppppppppppp"), uneven: true, paced: true, lost: 12, ofTries: 24, asked: 12, answers: 12},
		{name: "loses-slowly-too", tries: half + "|" + slowly("pbpbppppp"), uneven: true, lost: 12, ofTries: 24},
	} {
		t.Run(c.name, func(t *testing.T) {
			circ := proven()
			if c.with != nil {
				c.with(&circ)
			}
			f := Judge(toy{}, drawn(c.tries), circ)
			args := map[Reason]map[string]any{}
			for _, e := range f.Because {
				args[e.Reason] = e.Args
			}
			if (args[EvUneven] != nil) != c.uneven || c.uneven && (args[EvUneven]["lost"] != c.lost || args[EvUneven]["tries"] != c.ofTries) {
				t.Errorf("got %v of what was lost, want %v, %d of %d", args[EvUneven], c.uneven, c.lost, c.ofTries)
			}
			if (args[EvPace] != nil) != c.paced || c.paced && (args[EvPace]["asked"] != c.asked || args[EvPace]["returned"] != c.answers) {
				t.Errorf("got %v of how it fared slowly, want %v, %d of %d", args[EvPace], c.paced, c.answers, c.asked)
			}
		})
	}
}

// The chance, what it was counted from and how the control's bursts were reckoned stand in the evidence of every block and every stop.
func TestJudgeChance(t *testing.T) {
	bursts := func(c *Circumstances) { c.Control = controlOf("....xxxx"+clean[8:], clean) }
	for _, c := range []struct {
		name, tries string
		with        func(*Circumstances)
		verdict     Verdict
		count       int
		apart       int
	}{
		{"out", "o,o,o,o,o,o", nil, BlockedOut, 1, 6},
		{"back", "b,b,b,b,b,b", nil, BlockedBack, 1, 6},
		{"stalled", "pppppp,b,b,b,b,b,b|pppppp,b,b,b,b,b,b", nil, Stalled, 2, 6},
		{"limited", "pppppp,b,b,b,b,b,b|" + slowly("ppppppp"), nil, Passed, 1, 6},
		{"with-bursts", strings.Repeat("o,", 16), bursts, BlockedOut, 1, 8},
		{"not-yet", "o,o,o,o,o,o,o", bursts, Inconclusive, 1, 4},
	} {
		t.Run(c.name, func(t *testing.T) {
			circ := proven()
			if c.with != nil {
				c.with(&circ)
			}
			f := Judge(toy{}, drawn(c.tries), circ)
			if f.Verdict != c.verdict {
				t.Errorf("got %s, want %s", f.Verdict, c.verdict)
			}
			n := 0
			for _, e := range f.Because {
				if e.Reason != EvChance {
					continue
				}
				n++
				p, ok := e.Args["p"].(float64)
				if decided := c.verdict != Inconclusive; !ok || p <= 0 || (p < maxChance) != decided {
					t.Errorf("got p %v", e.Args["p"])
				}
				if e.Args["apart"] != c.apart || e.Args["control"].(int) < 10 || (e.Args["burst_ms"] != int64(0)) != (c.with != nil) || (e.Args["lost"] != 0) != (c.with != nil) {
					t.Errorf("got %v, want %d tries apart", e.Args, c.apart)
				}
				// The worse counts stand: all tries, or only those a burst apart.
				sent, lost := e.Args["control"].(int), e.Args["lost"].(int)
				if worse := max(fisher(e.Args["tries"].(int), sent, lost), fisher(c.apart, sent, lost)); p != worse {
					t.Errorf("got p %v, want the worse of both, %v", p, worse)
				}
			}
			if n != c.count {
				t.Errorf("got %d chances, want %d: %+v", n, c.count, f.Because)
			}
		})
	}
}

func outageFrom(from, to int) string {
	return clean[:from] + strings.Repeat("x", to-from) + clean[to:]
}

func lateFrom(from, to int) string {
	return clean[:from] + strings.Repeat("l", to-from) + clean[to:]
}

func TestJudgeStrangers(t *testing.T) {
	o := drawn("o,o")
	o.Strangers = []wire.Sighting{{State: wire.Seen, Where: "raw"}, {State: wire.Seen, Where: "raw"}}
	if f := Judge(toy{}, o, proven()); f.Verdict != Hijacked || f.Reason != AnsweredByAnother {
		t.Errorf("got %s (%s), want hijacked", f.Verdict, f.Reason)
	}
	// One that did arrive at the server was not answered by somebody else.
	o = drawn("b,b")
	o.Strangers = []wire.Sighting{{State: wire.Seen, Where: "raw"}, {State: wire.Seen, Where: "raw"}}
	if f := Judge(toy{}, o, proven()); f.Verdict == Hijacked {
		t.Error("hijacked, though the server saw it")
	}
}

// What fell into an outage is told, and counts for nothing.
func TestJudgeVoid(t *testing.T) {
	circ := proven()
	circ.Control = controlOf(outageFrom(8, 20), lateFrom(8, 20))
	f := Judge(toy{}, drawn("o,o,o,o,o,o"), circ)
	tries := map[Reason]any{}
	for _, e := range f.Because {
		tries[e.Reason] = e.Args["tries"]
	}
	if tries[EvVoid] != 4 || tries[EvTries] != 2 {
		t.Errorf("got %v void and %v counted, want 4 and 2", tries[EvVoid], tries[EvTries])
	}
}

func TestJudgeRefused(t *testing.T) {
	o := Observation{Refused: &Refusal{Reason: NoPrivilege, Hint: "sudo"}}
	if f := Judge(toy{}, o, proven()); f.Verdict != Untested || f.Reason != NoPrivilege {
		t.Errorf("got %s (%s), want untested (no-privilege)", f.Verdict, f.Reason)
	}
}

// An observation that went through the report's JSON is judged the same.
func TestJudgeAgain(t *testing.T) {
	o, circ := drawn("pppppp,b,b,b,b,b,b|pppppp,b,b,b,b,b,b"), proven()
	first := Judge(toy{}, o, circ)
	var o2 Observation
	var circ2 Circumstances
	for in, out := range map[any]any{&o: &o2, &circ: &circ2} {
		text, err := json.Marshal(in)
		if err != nil {
			t.Fatal(err)
		}
		if err := json.Unmarshal(text, out); err != nil {
			t.Fatal(err)
		}
	}
	a, _ := json.Marshal(first)
	b, _ := json.Marshal(Judge(toy{}, o2, circ2))
	if string(a) != string(b) {
		t.Errorf("judged differently after JSON:\n%s\n%s", a, b)
	}
}

// How an attempt on TCP 1723 was refused is not guessed.
func TestPPTPRefused(t *testing.T) {
	for how, want := range map[string]Reason{"reset": TCPReset, "unreachable": TCPRefused, "icmp 3/13 from 192.168.1.1": TCPRefused, "": TCP1723Dropped} {
		o := Observation{Exchanges: []Exchange{{Stage: stageConnect, From: Client, Refused: how}}}
		if got, _ := (PPTP{}).Reason(o, Stage{ID: stageConnect}, BlockedOut, Circumstances{}); got != want {
			t.Errorf("refused by %q: got %s, want %s", how, got, want)
		}
	}
	// The socket takes port unreachable for a reset; the ICMP error itself may be heard of one of the tries only.
	o := Observation{Exchanges: []Exchange{{Stage: stageConnect, From: Client, Refused: "reset"},
		{Stage: stageConnect, From: Client, Refused: "reset", ICMPAtClient: []wire.ICMPSighting{{Type: 3, Code: 3}}}}}
	if got, _ := (PPTP{}).Reason(o, Stage{ID: stageConnect}, BlockedOut, Circumstances{}); got != TCPRefused {
		t.Errorf("refused by ICMP: got %s, want %s", got, TCPRefused)
	}
}

// A router tells one refusal a second: most tries hear nothing.
func TestUDPRefused(t *testing.T) {
	stage := Stage{ID: "opening", Port: 500}
	for refused, want := range map[int]Reason{0: UDPPortDropped, 1: UDPPortDropped, 2: UDPRefused, 5: UDPRefused} {
		o := Observation{Exchanges: make([]Exchange, 12)}
		for i := range o.Exchanges {
			if o.Exchanges[i].Stage = "opening"; i < refused {
				o.Exchanges[i].Refused = "icmp 3/3 from 198.51.100.10"
			}
		}
		if got := portReason(stage, o, BlockedOut, Circumstances{}); got != want {
			t.Errorf("%d of 12 refused: got %s, want %s", refused, got, want)
		}
	}
}

// A nonce that the server blanks out of its report, until the address has proved that it receives, was not changed on the way.
func TestUnveil(t *testing.T) {
	tag := wire.Tag{Token: wire.Token([]byte("a token of 20 octets")), Nonce: [wire.NonceSize]byte{9, 9, 9, 9, 9, 9, 9, 9}}
	seen := func(t wire.Tag) wire.Sighting {
		return wire.Sighting{State: wire.Seen, Bytes: append(wire.Hex{7, 7}, t.Append(nil)...)}
	}
	e := Exchange{From: Client, Replied: seen(wire.Tag{Token: tag.Token}), Returned: seen(tag)}
	unveil(&e)
	if changes := Compare(e, 0); len(changes) != 0 {
		t.Errorf("got %+v, want no change", changes)
	}
	tag.Token[0]++ // another answer's
	e = Exchange{From: Client, Replied: seen(wire.Tag{}), Returned: seen(tag)}
	if unveil(&e); len(Compare(e, 0)) == 0 {
		t.Error("an answer that is another one was taken for the same")
	}
}

// The three facts that tell what is wrong with PPTP's way back (F04, F19).
func TestPPTPReason(t *testing.T) {
	for _, c := range []struct {
		name               string
		rewritten, v0, nat bool
		asked              int
		want               Reason
	}{
		{name: "rewritten-no-no", rewritten: true, nat: true, asked: 6, want: GREBackDropped},
		{name: "rewritten-no-yes", rewritten: true, v0: true, nat: true, asked: 6, want: SecondNATNoHelper},
		{name: "kept-no-yes", v0: true, nat: true, asked: 6, want: NoPPTPHelper},
		{name: "kept-no-no", nat: true, asked: 6, want: GREBackDropped},
		{name: "kept-no-yes-without-nat", v0: true, asked: 6, want: NoReturn},
		{name: "plain-gre-not-asked", nat: true, want: NoReturn},
	} {
		t.Run(c.name, func(t *testing.T) {
			seen := 1000
			if c.rewritten {
				seen = 2000
			}
			call := Exchange{Stage: stageCall, Flow: 1, From: Client,
				Sent:    wire.Sighting{State: wire.Seen, Bytes: wire.OutgoingCallRequest{CallID: 1000}.Append(nil)},
				Arrived: wire.Sighting{State: wire.Seen, Bytes: wire.OutgoingCallRequest{CallID: uint16(seen)}.Append(nil)},
			}
			circ := Circumstances{Beside: map[string]Tally{"gre": {Tries: c.asked, Arrived: c.asked, Replied: c.asked}}}
			if c.v0 {
				circ.Beside["gre"] = Tally{Tries: c.asked, Arrived: c.asked, Replied: c.asked, Returned: c.asked}
			}
			circ.Laptop.Local = netip.MustParseAddr("192.168.1.11")
			circ.Server.Client = netip.MustParseAddrPort("192.168.1.11:1")
			if c.nat {
				circ.Server.Client = netip.MustParseAddrPort("203.0.113.2:1")
			}
			got, _ := PPTP{}.Reason(Observation{Exchanges: []Exchange{call}}, Stage{ID: stageGRE}, BlockedBack, circ)
			if got != c.want {
				t.Errorf("got %s, want %s", got, c.want)
			}
		})
	}
}

// A forwarding that the router tells of itself is no clash with another laptop (F32), and any other is no reason to think so.
func TestForwardedAway(t *testing.T) {
	laptop, other := netip.MustParseAddr("192.168.1.11"), netip.MustParseAddr("192.168.1.50")
	away := witness.Forward{Proto: "UDP", External: 4500, To: other}
	for name, c := range map[string]struct {
		drawing string
		router  *witness.Router
		verdict Verdict
		reason  Reason
	}{
		"nobody-was-asked": {"bbbbbb", nil, Inconclusive, PortClash},
		"none":             {"bbbbbb", &witness.Router{}, Inconclusive, PortClash},
		"forwarded":        {"bbbbbb", &witness.Router{Forwards: []witness.Forward{away}}, BlockedBack, NoReturn},
		"never-arrived":    {"oooooo", &witness.Router{Forwards: []witness.Forward{away}}, Inconclusive, PortClash},
		"all-ports":        {"bbbbbb", &witness.Router{Forwards: []witness.Forward{{Proto: "UDP", To: other}}}, BlockedBack, NoReturn},
		"another-port":     {"bbbbbb", &witness.Router{Forwards: []witness.Forward{{Proto: "UDP", External: 500, To: other}}}, Inconclusive, PortClash},
		"tcp":              {"bbbbbb", &witness.Router{Forwards: []witness.Forward{{Proto: "TCP", External: 4500, To: other}}}, Inconclusive, PortClash},
		"to-this-laptop":   {"bbbbbb", &witness.Router{Forwards: []witness.Forward{{Proto: "UDP", External: 4500, To: laptop}}}, Inconclusive, PortClash},
	} {
		t.Run(name, func(t *testing.T) {
			o := talks(nattESP, map[string]string{nattZero: c.drawing, nattSum: c.drawing, nattEphemeral: "pppp"})
			o.Parts = NATT{}.Info().Parts
			for _, part := range o.Parts {
				o.Exchanges = append(o.Exchanges, heldESP(part.ID, nattOpening, 1), heldESP(part.ID, nattAuth, 1))
			}
			for i := range o.Exchanges {
				e := &o.Exchanges[i]
				e.Sent.Proto = wire.IPProtoUDP
				if e.Arrived.Src = netip.MustParseAddrPort("203.0.113.2:4500"); e.Part == nattEphemeral {
					e.Arrived.Src = netip.MustParseAddrPort("203.0.113.2:40500")
				}
			}
			circ := provenFor(wire.CarrierNATT)
			circ.Laptop.Local, circ.Router = laptop, c.router
			if f := Judge(NATT{}, o, circ); f.Verdict != c.verdict || f.Reason != c.reason {
				t.Errorf("got %s (%s), want %s (%s)", f.Verdict, f.Reason, c.verdict, c.reason)
			}
		})
	}
}
