package main

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"

	"vpncheck/probe/witness"
	"vpncheck/report"
)

// routerFields are what the gateway says of itself, a line each: its own word, and what follows from it.
func (l local) routerFields() [][2]string {
	r := l.Router
	if r == nil {
		return nil
	}
	if !r.Looked {
		return [][2]string{{"Router", "does not say what it is: " + report.Clean(r.Why, 200)}}
	}
	out := [][2]string{{"Router", routerName(*r)}}
	if r.Gateways > 1 {
		out[0][1] += fmt.Sprintf("; %d devices answered as a router", r.Gateways)
	}
	if r.WAN.IsValid() {
		out = append(out, [2]string{"Outer address", outside(r.WAN)})
	}
	for _, f := range r.Forwards {
		if to := f.To.Unmap(); !l.owns(to) {
			out = append(out, [2]string{"Port forward", forwardText(f)})
		}
	}
	return out
}

func routerName(r witness.Router) string {
	name := strings.Join(distinct(slices.DeleteFunc([]string{r.Maker, modelName(r)}, func(s string) bool { return s == "" })), " ")
	if name == "" {
		name = r.Name
	}
	if name == "" {
		return "answers, and does not say what it is"
	}
	if r.Firmware != "" {
		name += " (firmware " + r.Firmware + ")"
	}
	return report.Clean(name, 200)
}

// modelName is the model, with its number if that is not in it already, without the maker's name in front, which would be said twice.
func modelName(r witness.Router) string {
	model := strings.TrimSpace(strings.TrimPrefix(r.Model, r.Maker))
	if r.Number != "" && !strings.Contains(model, r.Number) {
		model = strings.TrimSpace(model + " " + r.Number)
	}
	return model
}

// outside says what the router's outer address tells: a NAT beyond it, or none.
func outside(wan netip.Addr) string {
	wan = wan.Unmap()
	text := wan.String() + ", "
	switch {
	case sharedSpace.Contains(wan):
		return text + "an address of a provider's own NAT (CGNAT): your packets pass a second NAT, which no setting of your router changes"
	case wan.IsPrivate() || wan.IsLinkLocalUnicast():
		return text + "a private address: a second router stands beyond yours (double NAT), and VPN passthrough must be on in both"
	case !wan.IsGlobalUnicast():
		return text + "which is no address on the internet: your router seems to have no connection"
	}
	return text + "a public address: as far as your router knows, it is the only NAT on the way"
}

// owns says whether an address is one of this computer's.
func (l local) owns(a netip.Addr) bool {
	return slices.ContainsFunc(l.Interfaces, func(i witness.Interface) bool {
		return slices.ContainsFunc(i.Prefixes, func(p netip.Prefix) bool { return p.Addr() == a })
	})
}

func forwardText(f witness.Forward) string {
	port := fmt.Sprintf("%s port %d", report.Clean(f.Proto, 10), f.External)
	if f.External == 0 {
		port = "every " + report.Clean(f.Proto, 10) + " port"
	}
	text := port + " goes to " + f.To.String()
	if f.Says != "" {
		text += fmt.Sprintf(" (%q)", report.Clean(f.Says, 60))
	}
	return text + ", not to this computer: a VPN on that port may suffer; remove it in the router if nobody needs it"
}
