package view

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"time"

	"github.com/fatih/color"

	"vpncheck/probe"
	"vpncheck/probe/wire"
	"vpncheck/report"
)

// because lists the evidence.
func (p *page) because(x report.Protocol) {
	if len(x.Because) == 0 {
		return
	}
	p.para(2, 2, "What this rests on:", "")
	for _, n := range x.Because {
		p.para(4, 2, "-", n.Text+from(n.Exchanges))
	}
}

// from names the exchanges that a fact was counted from; many are told by the first and the last.
func from(ids []string) string {
	switch n := len(ids); {
	case n == 0:
		return ""
	case n <= 3:
		return " (" + strings.Join(ids, ", ") + ")"
	default:
		return fmt.Sprintf(" (%d exchanges, %s to %s)", n, ids[0], ids[n-1])
	}
}

// exchanges prints every message with its four sightings. Each end has its own clock.
func (p *page) exchanges(r report.Report, x report.Protocol) {
	o := x.Observation
	if len(o.Exchanges) == 0 {
		return
	}
	p.para(2, 2, "The conversation, in milliseconds since the start, each end by its own clock:", "")
	for _, e := range o.Exchanges {
		p.para(4, 2, e.ID, exchangeText(e), color.Bold)
		for _, s := range []struct {
			name string
			s    wire.Sighting
		}{{"sent", e.Sent}, {"arrived", e.Arrived}, {"replied", e.Replied}, {"returned", e.Returned}} {
			p.row(6, 10, s.name, sightingText(s.s, r.Started))
		}
	}
	for _, s := range o.Strangers {
		p.para(4, 2, "stranger", sightingText(s, r.Started), color.Bold)
	}
}

func exchangeText(e probe.Exchange) string {
	text := fmt.Sprintf("%s, flow %d, from the %s", e.Stage, e.Flow, e.From)
	if e.Part != "" {
		text = e.Part + ", " + text
	}
	if e.SendErr != "" {
		text += ", not sent: " + e.SendErr
	}
	if e.Refused != "" {
		text += ", refused: " + e.Refused
	}
	if e.Silent != "" {
		text += ", the server kept silent: " + e.Silent
	}
	if e.Copies > 0 {
		text += fmt.Sprintf(", %d more copies of the answer", e.Copies)
	}
	return text
}

func sightingText(s wire.Sighting, start time.Time) string {
	var parts []string
	add := func(format string, args ...any) { parts = append(parts, fmt.Sprintf(format, args...)) }
	add("%s", s.State)
	if s.Why != "" {
		add("(%s)", s.Why)
	}
	if s.State != wire.Seen {
		return strings.Join(parts, " ")
	}
	if !s.At.IsZero() && !start.IsZero() {
		add("at %.1f:", float64(s.At.Sub(start).Microseconds())/1000)
	}
	if s.Src.Addr().IsValid() && s.Dst.Addr().IsValid() {
		add("%s -> %s", addr(s.Src), addr(s.Dst))
	}
	if s.TTL != nil {
		add("TTL %d", *s.TTL)
	}
	if n := len(s.Bytes); n > 0 {
		add("%d bytes", n)
	}
	return strings.Join(parts, " ")
}

// addr leaves out a port that is none.
func addr(a netip.AddrPort) string {
	if a.Port() == 0 {
		return a.Addr().Unmap().String()
	}
	return netip.AddrPortFrom(a.Addr().Unmap(), a.Port()).String()
}

// maxBeats is more than any run has; looking for outages in what a stranger made up could take for ever.
const maxBeats = 10_000

// control sums the control up.
func (p *page) control(r report.Report) {
	c := r.Circumstances.Control
	if len(c.UDP)+len(c.TLS) == 0 {
		return
	}
	p.blank()
	p.para(0, 0, "The control", "", color.Bold)
	p.leg("UDP", c.UDP)
	p.leg("TLS", c.TLS)
	if len(c.UDP)+len(c.TLS) > maxBeats {
		return
	}
	for _, o := range c.Outages() {
		p.para(2, 2, "-", fmt.Sprintf("The line was dead from %.1f to %.1f seconds after the start.",
			o.From.Sub(r.Started).Seconds(), o.To.Sub(r.Started).Seconds()))
	}
}

func (p *page) leg(name string, leg []probe.Beat) {
	var rtts []time.Duration
	for _, b := range leg {
		if b.RTT > 0 {
			rtts = append(rtts, b.RTT)
		}
	}
	text := fmt.Sprintf("%s: %d asked, %d answered", name, len(leg), len(rtts))
	if len(rtts) > 0 {
		slices.Sort(rtts)
		text += fmt.Sprintf(", in %.1f ms as a rule, %.1f ms at most", ms(rtts[len(rtts)/2]), ms(rtts[len(rtts)-1]))
	}
	p.para(2, 2, "-", text+".")
}

func ms(d time.Duration) float64 { return float64(d.Microseconds()) / 1000 }
