// Package probe holds short, genuine VPN conversations with the server and judges what came of them.
//
// Start with the types here: an Observation is what was seen, as plain data; Judge (judge.go) is the law that makes a Finding of it;
// Path (path.go) is all that a probe may touch; pptp.go is a probe to read.
package probe

import (
	"context"
	"slices"
	"time"

	"vpncheck/probe/wire"
	"vpncheck/probe/witness"
)

// A Verdict is one of eight words. docs/design.md says what each means at both ends.
type Verdict string

const (
	Passed       Verdict = "passed"
	Altered      Verdict = "altered"
	BlockedOut   Verdict = "blocked-out"
	BlockedBack  Verdict = "blocked-back"
	Stalled      Verdict = "stalled"
	Hijacked     Verdict = "hijacked"
	Inconclusive Verdict = "inconclusive"
	Untested     Verdict = "untested"
)

// Verdicts lists them all, best first.
var Verdicts = []Verdict{Passed, Altered, Stalled, BlockedBack, BlockedOut, Hijacked, Inconclusive, Untested}

// End names who spoke.
type End string

const (
	Client End = "client"
	Server End = "server"
)

// An Exchange is one protocol message followed from end to end. Sent and Returned are sighted by the end that spoke (From), Arrived and
// Replied by the other.
type Exchange struct {
	ID    string `json:"id"` // "pptp/7"; a message that the server began: "pptp/7s"
	Part  string `json:"part"`
	Stage string `json:"stage"`
	Flow  int    `json:"flow"` // 1, 2...: a flow has its own ports, Call-IDs, SPIs
	From  End    `json:"from"`

	Sent     wire.Sighting `json:"sent"`
	Arrived  wire.Sighting `json:"arrived"`
	Replied  wire.Sighting `json:"replied"`
	Returned wire.Sighting `json:"returned"`

	// SendErr is the kernel's refusal to send, SendReason its word: "laptop-firewall", "no-route", "too-big".
	SendErr    string `json:"send_error,omitempty"`
	SendReason string `json:"send_reason,omitempty"`
	// Refused says that an attempt was refused in the server's name, and how: "reset", or what an ICMP error said.
	Refused string `json:"refused,omitempty"`
	// ICV is the server's finding on an authenticated header: "valid" or "invalid" (RFC 4302).
	ICV string `json:"icv,omitempty"`
	// Silent is the server's own reason for not answering: "token", "replay", "budget", "unproved-source", "call-id".
	Silent string `json:"silent,omitempty"`
	// AtNIC is an answer that reached the laptop's network card and no socket of ours: nil if there was none, or nobody could look.
	AtNIC *wire.Sighting `json:"at_nic,omitempty"`
	// ICMPAtClient and ICMPAtServer are the ICMP errors that either end heard about the packets it sent in this exchange.
	ICMPAtClient []wire.ICMPSighting `json:"icmp_at_client,omitempty"`
	ICMPAtServer []wire.ICMPSighting `json:"icmp_at_server,omitempty"`
	// Copies counts further copies of the answer that came.
	Copies int `json:"copies,omitempty"`
}

// A Part is one form of a protocol's opening that can be asked on its own. The deciding part is the stock client's form.
type Part struct {
	ID       string `json:"id"`
	Title    string `json:"title"`
	Deciding bool   `json:"deciding,omitempty"`
	// StandsIn marks the form that decides where the deciding one cannot be asked: from an ephemeral port, say.
	StandsIn bool `json:"stands_in,omitempty"`
	// Stock says of a form that stands in that it leaves from the stock port as well: where it passes, nobody holds that port's place.
	Stock bool `json:"stock,omitempty"`
	// Second marks a form that is asked of the server's second address. If it passes there while the deciding one dies, two clients
	// clash in a NAT (F11).
	Second bool `json:"second,omitempty"`
	// InDoubt says that the form is asked only where the deciding one seems to die: a run in which all is well leaves no trace of it.
	InDoubt bool `json:"in_doubt,omitempty"`
	// Rounds, if set, is fewer rounds than the stage's, for a form that does not decide; they need not be spread.
	Rounds int `json:"rounds,omitempty"`
	// Refused says, in an observation, why this form could not be asked.
	Refused *Refusal `json:"refused,omitempty"`
}

// A Refusal says that the question could not be asked at all: the verdict is untested.
type Refusal struct {
	Reason Reason `json:"reason"`
	Why    string `json:"why,omitempty"`  // what was tried and what the system said
	Hint   string `json:"hint,omitempty"` // the one line that would allow it
}

// Error lets a Refusal travel as the error that Observe returns.
func (r *Refusal) Error() string { return string(r.Reason) + ": " + r.Why }

// An Observation is all that was seen of one protocol. It is plain JSON and survives the report, to be judged again.
type Observation struct {
	Protocol  string     `json:"protocol"`
	Started   time.Time  `json:"started,omitzero"`
	Ended     time.Time  `json:"ended,omitzero"`
	Parts     []Part     `json:"parts,omitempty"`
	Exchanges []Exchange `json:"exchanges,omitempty"`
	// Strangers are packets that came in the server's name on this protocol and carried no answer of it.
	Strangers []wire.Sighting `json:"strangers,omitempty"`
	Refused   *Refusal        `json:"refused,omitempty"`
	// Card says that the laptop's network card was watched for answers as well, before the laptop's own firewall (F21): then none there means
	// that none came so far. Over TCP it never is.
	Card bool `json:"card,omitempty"`
	// Random are random octets to the same port, and more openings beside them: asked after every conversation of the run, where the port
	// seems blocked (F12).
	Random []Exchange `json:"random,omitempty"`
	// Hops and Train are what the witnesses found that are asked once something did not pass. They decide nothing; they tell who did it.
	Hops    []Hop  `json:"hops,omitempty"`
	HopsWhy string `json:"hops_why,omitempty"` // why there are none, where they were to be asked
	Train   *Train `json:"train,omitempty"`
}

// A Hop is what was heard of packets whose TTL ended at the router so many hops away. Linux answers them even where it would drop them
// afterwards (T08): an answer from hop 2 or beyond says that the first router let the protocol through, and silence says nothing. The
// control's hops are asked once a run, and stand in each observation that has hops, so that it can be read alone.
type Hop struct {
	TTL     int                 `json:"ttl"`
	Control bool                `json:"control,omitempty"` // the control's UDP, for comparison; else the protocol's own packets
	Asked   int                 `json:"asked"`
	Answers []wire.ICMPSighting `json:"answers,omitempty"` // time exceeded (type 11)
	Arrived int                 `json:"arrived,omitempty"` // at the server: it is nearer than TTL routers
}

// A Train is a known number of a protocol's packets, between readings of the router's own counters on its outer side (PAM 2012, section
// 5.3): how many were sent, how many the router counted on their way out, how many arrived.
type Train struct {
	Sent     int `json:"sent"`
	Arrived  int `json:"arrived"`
	Replied  int `json:"replied"`
	Returned int `json:"returned"`
	// Readings are of the router's counters, in order of time. The first two and the last two were taken while only the control beat;
	// between the others this train was on its way, or another. Counted says what they mean.
	Readings []witness.Counters `json:"readings,omitempty"`
	// Began and Ended are when the first packet left, and when the last answer was given up.
	Began time.Time `json:"began,omitzero"`
	Ended time.Time `json:"ended,omitzero"`
	Why   string    `json:"why,omitempty"` // why there are no counters
}

// A Stage is a step of a conversation. The first stage that fails decides the protocol's verdict.
type Stage struct {
	ID      string       `json:"id"`
	Title   string       `json:"title"` // "the call set-up on TCP 1723"
	Carrier wire.Carrier `json:"carrier"`
	// Rounds is how many answers make the stage pass, and Span the least time between its first question and its last answer.
	Rounds int           `json:"rounds"`
	Span   time.Duration `json:"span"`
	// Port is the server's UDP port, 0 for other protocols.
	Port uint16 `json:"port,omitempty"`
	// Parts names the parts that have this stage; nil means all.
	Parts []string `json:"parts,omitempty"`
	// Note says that behind a NAT a real client is past this port by now: the stage's failure is noted there, and decides nothing.
	Note bool `json:"note,omitempty"`
	// Instead names a stage that this one takes the place of, once it was asked: the same step, where the way calls for another form of it.
	Instead string `json:"instead,omitempty"`
	// Full says that what the stage carries is asked in full size with --deep, where that is not the last one.
	Full bool `json:"full,omitempty"`
}

// of says whether a part has the stage.
func (s Stage) of(part string) bool { return s.Parts == nil || slices.Contains(s.Parts, part) }

// Info describes a probe. It is data: the order of a run, the help and the report are made from it.
type Info struct {
	ID       string
	Title    string // "PPTP"
	RFC      string // "RFC 2637"
	Parts    []Part
	Stages   []Stage
	Carriers []wire.Carrier
	// After names probes that must have ended before this one begins, if they run at all; "natt/esp-zero" one form of a probe.
	After []string
	// Hurries says that it does not wait for them for long on a line that loses more than a third: there everything takes its time.
	Hurries bool
	// Late says that it looks like bait to whatever inspects packets: it begins when all that are not late have ended, and what then becomes
	// of the line changes none of their verdicts.
	Late bool
	// With names probes that are run along, because this one's reason needs to know how they fared.
	With []string
	// Weak says why nobody should use the protocol any more, and is empty for the others.
	Weak string
}

// A Probe knows one protocol.
type Probe interface {
	Info() Info
	// Observe holds the conversation. It returns an error only if the question could not be asked, a *Refusal where the reason is known.
	Observe(ctx context.Context, p *Path) (Observation, error)
	// Changes compares the sightings of one exchange and names what was changed on the way; those that kill the protocol for a real
	// client are marked.
	Changes(o Observation, e Exchange) []Change
	// Reason names why a stage failed, where the protocol's own facts tell more than the tally does, and those facts; "" leaves it to
	// Judge.
	Reason(o Observation, stage Stage, v Verdict, c Circumstances) (Reason, []Evidence)
}

// A Witness is a Probe that tells facts of an observation besides, whatever the verdict: what NAT detection found, what the receiver thought
// of an ICV.
type Witness interface {
	Facts(o Observation) []Evidence
}

// A Reviewer is a Probe whose protocol knows a way to be stopped that the law does not: who looks into TLS, say, breaks it for good reasons of his
// own. It gets a stage that did not pass, and returns what is to be said of it; as a rule what it got.
type Reviewer interface {
	Review(o Observation, stage Stage, v Verdict, r Reason) (Verdict, Reason, []Evidence)
}

// A Change is one difference between two sightings of the same packet.
type Change struct {
	Exchange string `json:"exchange"`
	Way      string `json:"way"` // "out" is client to server, "back" is server to client
	Field    string `json:"field"`
	Before   string `json:"before"`
	After    string `json:"after"`
	// Offset is the first octet that differs, counted from the start of Bytes, where Field is "payload".
	Offset int `json:"offset,omitempty"`
	// Kills is the reason if the change makes a real client fail.
	Kills Reason `json:"kills,omitempty"`
}

// A Finding is what Judge makes of an observation.
type Finding struct {
	Protocol string     `json:"protocol"`
	Verdict  Verdict    `json:"verdict"`
	Reason   Reason     `json:"reason,omitempty"`
	Stage    string     `json:"stage,omitempty"` // the stage that decided
	Because  []Evidence `json:"because"`
	// Parts has the verdict of each part, the deciding one included.
	Parts []PartFinding `json:"parts,omitempty"`
}

// A PartFinding is the verdict of one part.
type PartFinding struct {
	Part    string  `json:"part"`
	Verdict Verdict `json:"verdict"`
	Reason  Reason  `json:"reason,omitempty"`
}

// Evidence is a fact that a finding rests on: {Reason, Args} is data, its sentence is made in the report's catalogue. Exchanges names what
// it was counted from.
type Evidence struct {
	Reason    Reason         `json:"reason"`
	Args      map[string]any `json:"args,omitempty"`
	Exchanges []string       `json:"exchanges,omitempty"`
}
