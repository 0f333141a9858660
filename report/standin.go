package report

import (
	"fmt"
	"strconv"
	"strings"
	"time"

	"vpncheck/probe"
)

// standIns parts what works as VPN clients use it from what works only in a form that stands in for theirs.
func standIns(ps []Protocol) (full, stands []Protocol) {
	for _, p := range ps {
		if _, ok := p.standIn(); ok {
			stands = append(stands, p)
		} else {
			full = append(full, p)
		}
	}
	return full, stands
}

func (p Protocol) standIn() (args, bool) {
	for _, n := range p.Because {
		if n.Reason == probe.EvStandsIn {
			return n.Args, true
		}
	}
	return nil, false
}

// standsIn says what works and what was not tried.
func (p Protocol) standsIn() string {
	a, _ := p.standIn()
	part := a.text("part", 60)
	if part != "" {
		return fmt.Sprintf("%s works in another form (%s); the one that VPN clients use was not tried.", p.Name(), part)
	}
	return p.Name() + " works in another form; the one that VPN clients use was not tried."
}

// standInsText tells those from another port in one sentence.
func standInsText(ps []Protocol) (text string) {
	var names, ports []string
	for _, p := range ps {
		if p.fromAnotherPort() {
			names, ports = append(names, p.Name()), append(ports, strconv.Itoa(int(p.Port)))
		} else {
			text = join(text, p.standsIn())
		}
	}
	switch len(names) {
	case 0:
		return text
	case 1:
		return join(names[0]+" works from another port; port "+ports[0]+" itself, which VPN clients use, was not tried.", text)
	}
	return join(list(names)+" work from other ports; ports "+list(ports)+" themselves, which VPN clients use, were not tried.", text)
}

func (p Protocol) fromAnotherPort() bool {
	a, _ := p.standIn()
	return p.Port != 0 && strings.Contains(a.text("part", 60), "another port")
}

// standsInAdvice says how to try the form that VPN clients use. Why it could not be tried is in the reason that the system gave.
func standsInAdvice(ps []Protocol) string {
	ports := make([]string, 0, len(ps))
	for _, p := range ps {
		a, _ := p.standIn()
		why := strings.ToLower(a.text("why", 300))
		if strings.Contains(why, "in use") || strings.Contains(why, "held by") {
			return "End the other VPN program on this laptop, which holds the port, and run the check again."
		}
		if p.Port != 0 {
			ports = append(ports, strconv.Itoa(int(p.Port)))
		}
	}
	what := ""
	if len(ports) > 0 {
		what = ", so that it can try port " + list(ports)
	}
	return "Run vpncheck as administrator (on Linux and macOS: with sudo)" + what + "."
}

// heavyLoss is the share of lost packets from which a VPN suffers.
const heavyLoss = 0.05

// lineAdvice is what to do about a line that loses much or was dead for a while; empty if it did neither.
func lineAdvice(c probe.Control) string {
	const do = ", which alone makes a VPN slow or breaks it off: use a cable instead of Wi-Fi, or ask your internet provider."
	if sent, lost := loss(c); sent > 0 && float64(lost) > heavyLoss*float64(sent) && !c.UDPFiltered() {
		return "The line loses " + percent(float64(lost), float64(sent)) + " of the packets" + do
	}
	if outages := c.Outages(); len(outages) > 0 {
		var sum time.Duration
		for _, o := range outages {
			sum += o.To.Sub(o.From)
		}
		return "The line was dead " + dead(float64(len(outages)), sum.Seconds()) + do
	}
	return ""
}

// percent is a share in words, with one digit behind the point where it is small.
func percent(n, all float64) string {
	share, digits := n/all*100, 0
	if share < 10 {
		digits = 1
	}
	return strings.TrimSuffix(strconv.FormatFloat(share, 'f', digits, 64), ".0") + " %"
}

// dead says how often and how long: "once, for 1 second", "3 times, for 2.5 seconds in all".
func dead(times, long float64) string {
	if times == 1 {
		return "once, for " + seconds(long)
	}
	return fmt.Sprintf("%.0f times, for %s in all", times, seconds(long))
}
