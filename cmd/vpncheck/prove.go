package main

import (
	"cmp"
	"io"
	"slices"
	"strings"

	"vpncheck/probe"
	"vpncheck/probe/wire"
	"vpncheck/report"
	"vpncheck/report/view"
)

// A proving is what came of a run that was there only to show the server that packets arrive. It sorts the carriers; verdicts are not what it
// came for.
type proving struct {
	arrived   []wire.Carrier
	uncounted []wire.Carrier // arrived, and the server does not take it for a proof
	dropped   []wire.Carrier // came to the server's network card, and to no program of its
	unheard   []wire.Carrier // sent, and nothing arrived
	unsent    []unasked
	unready   []unasked // the server does not listen
}

// unasked are carriers that could not be asked, for one reason.
type unasked struct {
	carriers []wire.Carrier
	why      string
	hint     string
}

// provingOf sorts the carriers that the server knows and that were to be asked.
func provingOf(r probe.Result, probes []probe.Probe) proving {
	var p proving
	how := carried(r, probes)
	for _, c := range r.Circumstances.Server.Carriers {
		refused, asked := refusalOf(c.Carrier, r, probes)
		switch {
		case !asked && c.Carrier != wire.CarrierControl:
		case !c.Ready:
			p.unready = addUnasked(p.unready, c.Carrier, c.Why, "")
		case how[c.Carrier] == here && c.Proof == nil:
			p.uncounted = append(p.uncounted, c.Carrier)
		case how[c.Carrier] == here:
			p.arrived = append(p.arrived, c.Carrier)
		case how[c.Carrier] == atCard:
			p.dropped = append(p.dropped, c.Carrier)
		case how[c.Carrier] == sent:
			p.unheard = append(p.unheard, c.Carrier)
		default:
			if refused.Reason == probe.NoPrivilege {
				refused.Why = "raw sockets are not allowed here"
			}
			p.unsent = addUnasked(p.unsent, c.Carrier, refused.Why, refused.Hint)
		}
	}
	return p
}

// How far a carrier's packets came.
const (
	sent   = 1 + iota
	atCard // the server's network card
	here   // where a real server would get them
)

// carried says how far each carrier's packets came. What carries one kind of GRE carries the other.
func carried(r probe.Result, probes []probe.Probe) map[wire.Carrier]int {
	how := make(map[wire.Carrier]int)
	came := func(c wire.Carrier, far int) { how[c] = max(how[c], far) }
	for i, o := range r.Observations {
		stages := make(map[string]wire.Carrier)
		for _, s := range probes[i].Info().Stages {
			stages[s.ID] = s.Carrier
		}
		for _, e := range o.Exchanges {
			c, ok := stages[e.Stage]
			switch {
			case !ok || e.From != probe.Client:
			case e.Returned.State == wire.Seen || e.Arrived.State == wire.Seen && e.Arrived.Where != "nic":
				came(c, here)
			case e.Arrived.State == wire.Seen:
				came(c, atCard)
			case e.Sent.State == wire.Seen:
				came(c, sent)
			}
		}
	}
	for _, b := range r.Circumstances.Control.UDP {
		came(wire.CarrierControl, sent)
		if b.RTT > 0 {
			came(wire.CarrierControl, here)
		}
	}
	came(wire.CarrierGRE, how[wire.CarrierGREv1])
	came(wire.CarrierGREv1, how[wire.CarrierGRE])
	return how
}

// refusalOf is why nothing was sent on a carrier, and whether a probe was to use it at all.
func refusalOf(c wire.Carrier, r probe.Result, probes []probe.Probe) (why probe.Refusal, asked bool) {
	why = probe.Refusal{Why: "what comes before it did not come about"}
	for i, p := range probes {
		if !slices.Contains(p.Info().Carriers, c) {
			continue
		}
		asked = true
		o := r.Observations[i]
		if o.Refused != nil {
			why = *o.Refused
		}
		for _, part := range o.Parts {
			if o.Refused == nil && part.Refused != nil {
				why = *part.Refused
			}
		}
	}
	return why, asked
}

func addUnasked(all []unasked, c wire.Carrier, why, hint string) []unasked {
	for i := range all {
		if plainly(all[i].why) == plainly(why) {
			all[i].carriers = append(all[i].carriers, c)
			return all
		}
	}
	return append(all, unasked{[]wire.Carrier{c}, why, hint})
}

// code is the exit status: 0 if all that this computer could send arrived.
func (p proving) code() int {
	if len(p.arrived)+len(p.uncounted) == 0 || len(p.unheard)+len(p.dropped) > 0 {
		return exitUndecided
	}
	return 0
}

// tellProof says what was proved and what was not, in a few lines.
func tellProof(w io.Writer, o view.Options, rep report.Report, r probe.Result, probes []probe.Probe) error {
	if rep.Circumstances.NoSession != nil {
		if err := view.NoSession(w, rep, o); err != nil {
			return err
		}
		return exit(exitUndecided)
	}
	l := &lines{w: w, width: o.Width}
	p := provingOf(r, probes)
	host := report.Clean(rep.Circumstances.Server.Host, 60)
	switch {
	case len(p.arrived) > 0:
		l.para("Proved: " + carrierList(p.arrived) + " reach " + host + ".")
	case rep.Circumstances.Stop != nil:
		l.para(rep.Summary.Headline + " " + rep.Summary.Advice)
		return cmp.Or(l.err, exit(p.code()))
	default:
		l.para("Nothing was proved to " + host + ".")
	}
	if len(p.uncounted) > 0 {
		l.para("Arrived, but proves nothing now: " + carrierList(p.uncounted) + ". That server has sent such packets here of late itself, and a " +
			"firewall lets their answers in. Try again in 20 minutes.")
	}
	if len(p.dropped) > 0 {
		l.para("Came to the server's network card, and to no program there: " + carrierList(p.dropped) + ". Its own firewall drops it, or another " +
			"setting of that machine.")
	}
	if len(p.unheard) > 0 {
		l.para("Sent, and not seen to arrive: " + carrierList(p.unheard) + ". A firewall of the server's or of this network's may be in the way.")
		if c := rep.Circumstances.Server.Cloud; c != nil && slices.ContainsFunc(p.unheard, func(x wire.Carrier) bool { return slices.Contains(c.Cannot, x) }) {
			l.para("The server's provider, " + report.Provider(c.Name) + ", does not carry " + carrierList(c.Cannot) + ", whatever rules are set.")
		}
	}
	for _, u := range p.unready {
		l.para("The server does not listen for " + carrierList(u.carriers) + ": " + plainly(u.why) + ".")
	}
	for _, u := range p.unsent {
		l.para("Could not be sent from here: " + carrierList(u.carriers) + ": " + plainly(u.why) + ".")
	}
	for _, hint := range hintsOf(p.unsent) {
		l.print("  " + report.Clean(hint, maxLine) + "\n") // unbroken: it is to be copied
	}
	if l.err != nil {
		return l.err
	}
	return exit(p.code())
}

func hintsOf(all []unasked) []string {
	var out []string
	for _, u := range all {
		if u.hint != "" {
			out = append(out, u.hint)
		}
	}
	return distinct(out)
}

// carrierList names carriers as people do; both kinds of GRE are one to a firewall.
func carrierList(carriers []wire.Carrier) string {
	var out []string
	for _, c := range carriers {
		if c == wire.CarrierGREv1 && slices.Contains(carriers, wire.CarrierGRE) {
			continue
		}
		out = append(out, title(c))
	}
	if len(out) < 2 {
		return strings.Join(out, "")
	}
	return strings.Join(out[:len(out)-1], ", ") + " and " + out[len(out)-1]
}
