package view

import (
	"bytes"
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
	for i, e := range o.Exchanges {
		if i > 0 && alike(o.Exchanges[i-1], e) {
			p.para(4, 2, e.ID, "the same: "+times(e, r.Started), color.Bold)
			continue
		}
		p.para(4, 2, e.ID, exchangeText(e), color.Bold)
		out, back := changed(e.Sent, e.Arrived), changed(e.Replied, e.Returned)
		for _, s := range []sighting{{"sent", e.Sent, out}, {"arrived", e.Arrived, out}, {"replied", e.Replied, back}, {"returned", e.Returned, back}} {
			p.row(6, 10, s.name, sightingText(s.Sighting, r.Started))
			if s.changed {
				p.row(6, 10, "", octets(s.Bytes))
			}
		}
	}
	for _, s := range o.Strangers {
		p.para(4, 2, "stranger", sightingText(s, r.Started), color.Bold)
	}
}

// A sighting is one of the four of a message. The octets of a changed one are worth showing.
type sighting struct {
	name string
	wire.Sighting
	changed bool
}

// changed says whether what one end sent is not what the other saw.
func changed(from, to wire.Sighting) bool {
	return from.State == wire.Seen && to.State == wire.Seen && !bytes.Equal(from.Bytes, to.Bytes)
}

// maxOctets is how many octets of a changed packet are shown.
const maxOctets = 64

func octets(b []byte) string {
	if len(b) <= maxOctets {
		return fmt.Sprintf("% x", b)
	}
	return fmt.Sprintf("% x ... (%d more)", b[:maxOctets], len(b)-maxOctets)
}

// alike says that a message fared as the one before it, and that nothing in it was changed: then its times say all.
func alike(a, b probe.Exchange) bool {
	if changed(b.Sent, b.Arrived) || changed(b.Replied, b.Returned) || b.Copies > 0 || exchangeText(a) != exchangeText(b) {
		return false
	}
	for _, s := range [][2]wire.Sighting{{a.Sent, b.Sent}, {a.Arrived, b.Arrived}, {a.Replied, b.Replied}, {a.Returned, b.Returned}} {
		if sightingText(s[0], time.Time{}) != sightingText(s[1], time.Time{}) {
			return false
		}
	}
	return true
}

// times are those at which a message was seen.
func times(e probe.Exchange, start time.Time) string {
	var parts []string
	for _, s := range []sighting{{"sent", e.Sent, false}, {"arrived", e.Arrived, false}, {"replied", e.Replied, false}, {"returned", e.Returned, false}} {
		text := s.name + " " + string(s.State)
		if s.State == wire.Seen && !s.At.IsZero() && !start.IsZero() {
			text = fmt.Sprintf("%s at %.1f", s.name, float64(s.At.Sub(start).Microseconds())/1000)
		}
		parts = append(parts, text)
	}
	return strings.Join(parts, ", ")
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
