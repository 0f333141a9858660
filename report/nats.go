package report

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"

	"vpncheck/probe"
)

// Kinds of NATs.Kind.
const (
	kindNone    = "none"
	kindOne     = "one"
	kindDouble  = "double"
	kindCGNAT   = "cgnat"
	kindUnknown = "unknown"
)

// NATs is the sheet of what translates addresses between the laptop and the server.
type NATs struct {
	Kind  string     `json:"kind"` // "none", "one", "double" (two private ones), "cgnat" (the provider's, RFC 6598), "unknown"
	Local netip.Addr `json:"local,omitzero"`
	// RouterWAN is the router's outer address in its own word; Seen is the address that the server sees.
	RouterWAN netip.Addr `json:"router_wan,omitzero"`
	Seen      netip.Addr `json:"seen,omitzero"`
	// Hops are the routers on the way that answered, nearest first; the zero Addr for one that did not.
	Hops  []netip.Addr `json:"hops,omitempty"`
	Whose Culprit      `json:"whose,omitempty"` // the outermost NAT: "router" or "second-nat"
	// Confidence says how sure the kind is: certain from the addresses themselves, likely from the hops' or PPTP's.
	Confidence Confidence `json:"confidence,omitempty"`
	Text       string     `json:"text"`
}

// second says whether there is a second NAT, known or likely.
func (n NATs) second() bool { return n.Kind == kindDouble || n.Kind == kindCGNAT }

// note is the sheet as a piece of evidence.
func (n NATs) note() probe.Evidence {
	a := map[string]any{"kind": n.Kind}
	if n.Confidence == Likely {
		a["likely"] = true
	}
	for key, addr := range map[string]netip.Addr{"local": n.Local, "router_wan": n.RouterWAN, "seen": n.Seen} {
		if addr.IsValid() {
			a[key] = addr.String()
		}
	}
	return probe.Evidence{Reason: probe.EvNATs, Args: a}
}

// findNATs holds the router's own word against what the server sees, and, where the router says nothing, against the routers on the way.
// Reasons are those of the run's findings. Without a session there is nothing to say, and Kind is empty.
func findNATs(c probe.Circumstances, os []probe.Observation, reasons ...probe.Reason) NATs {
	n := NATs{Local: c.Laptop.Local.Unmap(), Seen: c.Server.Client.Addr().Unmap(), RouterWAN: wan(c), Hops: hopsOf(os)}
	if !n.Local.IsValid() || !n.Seen.IsValid() {
		return NATs{}
	}
	n.Kind, n.Whose, n.Confidence = n.decide(c.Laptop.Gateway.Unmap(), reasons)
	n.Text = natText(n.note().Args)
	return n
}

func (n NATs) decide(gateway netip.Addr, reasons []probe.Reason) (kind string, whose Culprit, sure Confidence) {
	switch {
	case n.Local == n.Seen:
		return kindNone, "", Certain
	case n.RouterWAN.IsValid() && n.RouterWAN == n.Seen:
		return kindOne, CulpritRouter, Certain
	case shared(n.RouterWAN):
		return kindCGNAT, CulpritSecondNAT, Certain
	case inner(n.RouterWAN):
		return kindDouble, CulpritSecondNAT, Certain
	case n.RouterWAN.IsValid():
		return kindUnknown, "", "" // its outer address is public, and another than the server sees
	}
	var beyond []netip.Addr
	for i, a := range n.Hops {
		if i > 0 && a != n.Hops[0] && a != gateway && a != n.Local {
			beyond = append(beyond, a)
		}
	}
	switch {
	case slices.ContainsFunc(beyond, shared):
		return kindCGNAT, CulpritSecondNAT, Likely
	case slices.ContainsFunc(beyond, inner), slices.Contains(reasons, probe.SecondNATNoHelper):
		return kindDouble, CulpritSecondNAT, Likely
	case slices.ContainsFunc(beyond, netip.Addr.IsValid):
		return kindOne, CulpritRouter, Likely
	}
	return kindUnknown, "", ""
}

// wan is the router's outer address in its own word.
func wan(c probe.Circumstances) netip.Addr {
	if r := gateway(c); r != nil {
		return r.WAN.Unmap()
	}
	return netip.Addr{}
}

var sharedSpace = netip.MustParsePrefix("100.64.0.0/10") // RFC 6598

func shared(a netip.Addr) bool { return a.IsValid() && sharedSpace.Contains(a.Unmap()) }

// inner says of an address that it means nothing out on the internet.
func inner(a netip.Addr) bool {
	a = a.Unmap()
	return a.IsValid() && (a.IsPrivate() || a.IsLinkLocalUnicast() || shared(a))
}

// maxHops is how many routers a sheet has room for.
const maxHops = 32

// hopsOf are the routers that answered packets with a limited TTL, by their place. Any protocol's packets show them.
func hopsOf(os []probe.Observation) []netip.Addr {
	var out []netip.Addr
	for _, o := range os {
		for _, h := range o.Hops {
			if h.TTL < 1 || h.TTL > maxHops || len(h.Answers) == 0 {
				continue
			}
			for len(out) < h.TTL {
				out = append(out, netip.Addr{})
			}
			if !out[h.TTL-1].IsValid() {
				out[h.TTL-1] = h.Answers[0].From.Unmap()
			}
		}
	}
	return out
}

// natText says what translates addresses on the way, from the args of EvNATs.
func natText(a args) string {
	local, outer, seen := a.text("local", 60), a.text("router_wan", 60), a.text("seen", 60)
	probably := ""
	if a.yes("likely") {
		probably = "probably "
	}
	text := "How many NATs there are on the way is not known."
	switch a.text("kind", 20) {
	case kindNone:
		return "Nothing translates addresses on the way (no NAT)" + colon("the server sees this laptop under its own address", local) + "."
	case kindOne:
		text = "There is " + probably + "one NAT, your router's"
	case kindDouble:
		text = "There are " + probably + "two NATs: your router's and a second one, another router's or your internet provider's"
	case kindCGNAT:
		text = "There are " + probably + "two NATs: your router's and a second one, your internet provider's, which shares one public address among " +
			"customers (CGNAT)"
	case kindUnknown:
		text = "There is a NAT on the way; whether there is more than one is not known"
		if outer != "" && seen != "" {
			return fmt.Sprintf("There may be two NATs: your router says that its outer address is %s, and the server sees %s.", outer, seen)
		}
	default:
		return text
	}
	var parts []string
	for _, x := range []struct{ says, is string }{{"this laptop is %s", local}, {"your router is %s outside", outer}, {"the server sees %s", seen}} {
		if x.is != "" && (x.is != outer || outer != seen || strings.HasPrefix(x.says, "the server")) {
			parts = append(parts, fmt.Sprintf(x.says, x.is))
		}
	}
	if len(parts) > 0 {
		text += ": " + list(parts)
	}
	return text + "."
}

func colon(text, what string) string {
	if what == "" {
		return ""
	}
	return ": " + text + " (" + what + ")"
}
