package report

import (
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"
	"time"

	"vpncheck/probe"
	"vpncheck/probe/wire"
	"vpncheck/probe/witness"
)

// notes are what is to be said of the run as a whole. The protocols give their names.
func notes(c probe.Circumstances, os []probe.Observation, ps ...Protocol) []Note {
	fa := wholeRun(c)
	var out []Note
	add := func(r probe.Reason, a args) {
		out = append(out, Note{Reason: r, Args: a, Text: evidence(r, a, fa)})
	}
	if n := c.NoSession; n != nil {
		add(n.Reason, n.Args)
		if n.Page {
			add(probe.EvPage, nil)
		}
	}
	if s := c.Stop; s != nil {
		add(s.Reason, s.Args)
	}
	if c.Stop == nil && probe.Hairpin(c) {
		add(probe.ServerHairpin, nil)
	}
	if local, public := c.Laptop.Local, c.Server.Client.Addr().Unmap(); local.IsValid() && public.IsValid() {
		r := probe.BehindNAT
		if local.Unmap() == public {
			r = probe.NoNAT
		}
		add(r, args{"local": local.String(), "public": public.String()})
	}
	if nat := probe.HostNAT(c); nat != "" {
		a := args{"nat": nat}
		if hints := c.Laptop.Inside.Hints; len(hints) > 0 {
			a["kind"] = hints[0].Kind
		}
		add(probe.EvInside, a)
	}
	if c.Server.Other.IsValid() {
		add(probe.EvFamily, args{"used": family(c.Server.Address), "other": family(c.Server.Other)})
	}
	if a, ok := sixToFour(c); ok {
		add(probe.EvSixToFour, args{"address": a.String()})
	}
	if s := sources(c, os, ps); s != "" {
		add(probe.EvSources, args{"addresses": s})
	}
	if o := c.Server.Others; o != nil && o.Count+o.Running > 0 {
		e := probe.OthersEvidence(c)
		add(e.Reason, e.Args)
	}
	for _, fw := range forwards(c) {
		add(probe.EvForward, args{"proto": fw.Proto, "port": int(fw.External), "to": fw.To.Unmap().String()})
	}
	if c.Control.UDPFiltered() {
		add(probe.UDPFiltered, args{"sent": len(c.Control.UDP)})
	}
	if outages := c.Control.Outages(); len(outages) > 0 {
		var sum time.Duration
		for _, o := range outages {
			sum += o.To.Sub(o.From)
		}
		add(probe.OutageSeen, args{"count": len(outages), "seconds": math.Round(sum.Seconds()*10) / 10})
	}
	if sent, lost := loss(c.Control); lost > 0 && !c.Control.UDPFiltered() {
		a := args{"lost": lost, "sent": sent}
		if others := lostNoneBeside(os, sent, lost); others > 0 {
			a["others"] = others
		}
		add(probe.LossSeen, a)
	}
	return out
}

// maxForwards is how many forwardings of the router are told.
const maxForwards = 8

// forwards are those of the router that lead VPN ports to another device than this laptop (F32).
func forwards(c probe.Circumstances) (out []witness.Forward) {
	r := gateway(c)
	if r == nil {
		return nil
	}
	for _, fw := range r.Forwards {
		if len(out) < maxForwards && fw.To.IsValid() && fw.To.Unmap() != c.Laptop.Local.Unmap() {
			out = append(out, fw)
		}
	}
	return out
}

// forwardedPorts names all ports that are to be taken out of the router's forwardings: "UDP ports 500 and 4500", "every port".
func forwardedPorts(c probe.Circumstances) string {
	var udp, tcp []string
	for _, fw := range forwards(c) {
		port := strconv.Itoa(int(fw.External))
		switch {
		case fw.External == 0:
			return "every port"
		case fw.Proto == "UDP" && !slices.Contains(udp, port):
			udp = append(udp, port)
		case fw.Proto == "TCP" && !slices.Contains(tcp, port):
			tcp = append(tcp, port)
		}
	}
	var out []string
	for _, kind := range []struct {
		proto string
		ports []string
	}{{"UDP", udp}, {"TCP", tcp}} {
		switch len(kind.ports) {
		case 0:
		case 1:
			out = append(out, kind.proto+" port "+kind.ports[0])
		default:
			out = append(out, kind.proto+" ports "+list(kind.ports))
		}
	}
	return list(out)
}

// loss counts the control's UDP packets outside outages.
func loss(c probe.Control) (sent, lost int) {
	outages := c.Outages()
	for _, b := range c.UDP {
		at, inside := c.Started.Add(b.At), false
		for _, o := range outages {
			inside = inside || at.After(o.From) && at.Before(o.To)
		}
		if inside {
			continue
		}
		sent++
		if b.RTT == 0 {
			lost++
		}
	}
	return sent, lost
}

const (
	limitLoss  = 0.1 // of the control's packets: from there on it is worth asking why
	leastOther = 20  // packets of what is no UDP: fewer may be spared by luck
)

// lostNoneBeside counts the packets of protocols that are no UDP, where the control, which is, lost much and they lost none: 0 where one was lost,
// or they are too few to tell. Packets that limit their own way, and those about which the server's end does not know, do not count.
func lostNoneBeside(os []probe.Observation, sent, lost int) (n int) {
	if float64(lost) < limitLoss*float64(sent) {
		return 0
	}
	for _, o := range os {
		if !slices.Contains([]string{"pptp", "gre", "esp"}, o.Protocol) {
			continue
		}
		for _, e := range o.Exchanges {
			switch {
			case e.From != probe.Client || e.Sent.State != wire.Seen || e.Stage == probe.StageHop || e.Stage == probe.StageTrain || e.Stage == "opening":
				continue
			case e.Arrived.State == wire.Blind:
				continue
			case e.Arrived.State != wire.Seen || e.Replied.State == wire.Seen && e.Returned.State != wire.Seen: // some messages have no answer
				return 0
			}
			n++
		}
	}
	if n < leastOther || float64(n)*float64(lost) < 10*float64(sent) {
		return 0 // a line as bad would have lost ten of them
	}
	return n
}

func sayOutage(a args, _ facts) string {
	n := a.count("count")
	if n == 0 {
		return "The line was dead for a while during the check. What was tried then does not count."
	}
	return fmt.Sprintf("During the check the line was dead %s. What was tried then does not count.", dead(n, a.count("seconds")))
}

func sayLoss(a args, _ facts) string {
	lost, sent := a.count("lost"), a.count("sent")
	if sent == 0 {
		return "The line loses packets."
	}
	text := fmt.Sprintf("The line lost %s of the control packets (%.0f of %.0f).", percent(lost, sent), lost, sent)
	if n := a.count("others"); n > 0 {
		text += fmt.Sprintf(" Those are UDP. Of %.0f packets of PPTP, GRE and ESP in the same time none was lost: so it may be no bad line, but a limit on UDP in "+
			"the router or at the provider (\"UDP flood protection\").", n)
	}
	return text
}

func sayNoNAT(a args, _ facts) string {
	return fmt.Sprintf("The server sees this laptop under its own address%s: nothing translates addresses (no NAT) on the way.",
		in(a.text("local", 60)))
}

func sayNAT(a args, _ facts) string {
	local, public := a.text("local", 60), a.text("public", 60)
	if local == "" || public == "" {
		return "This laptop is behind a router that translates its address (NAT)."
	}
	return fmt.Sprintf("This laptop is behind a router that translates its address (NAT): its own address is %s, and the server "+
		"sees %s.", local, public)
}

func sayUDPFiltered(a args, _ facts) string {
	n := ""
	if sent, ok := a.number("sent"); ok {
		n = fmt.Sprintf(" (0 of %.0f were answered)", sent)
	}
	return "UDP as a whole does not get to the server and back" + n + ", while TLS does. VPN types that need UDP will not work here."
}

func in(s string) string {
	if s == "" {
		return ""
	}
	return " (" + s + ")"
}

// of is " (8 of 8)", or nothing if the numbers are not known.
func of(n, all float64) string {
	if all == 0 {
		return ""
	}
	return fmt.Sprintf(" (%.0f of %.0f)", n, all)
}

func count(n float64, one, more string) string {
	if n == 1 {
		return "1 " + one
	}
	return thousands(n) + " " + more
}

func seconds(s float64) string {
	text := strings.TrimSuffix(strconv.FormatFloat(s, 'f', 1, 64), ".0")
	if text == "1" {
		return "1 second"
	}
	return text + " seconds"
}

// thousands writes a whole number with commas.
func thousands(n float64) string {
	s := strconv.FormatFloat(n, 'f', 0, 64)
	for i := len(s) - 3; i > 0 && s[i-1] != '-'; i -= 3 {
		s = s[:i] + "," + s[i:]
	}
	return s
}
