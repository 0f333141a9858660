package main

import (
	"fmt"
	"io"
	"net/netip"
	"strings"
	"time"

	"vpncheck/probe/sock"
	"vpncheck/probe/wire"
	"vpncheck/probe/witness"
	"vpncheck/testserver"
)

// A location is the name that the server goes by, and what to say if customers may not reach it there.
type location struct {
	host    string
	warning string
}

// whereabouts is what the administrator advertises, or one of this machine's own addresses, a public one if there is any.
func whereabouts(n sock.Net, advertise string) (location, error) {
	if advertise != "" {
		return location{host: advertise}, nil
	}
	own, err := witness.Interfaces()
	if err != nil {
		return location{}, err
	}
	best := bestAddress(n, own)
	if !best.IsValid() {
		return location{}, wrongUsage("pass the name or address that customers reach this server by: --advertise vpn.example.com",
			"this machine has no address to give to customers")
	}
	if !isPublic(best) {
		return location{best.String(), "customers cannot reach this; pass --advertise"}, nil
	}
	return location{host: best.String()}, nil
}

// bestAddress prefers public addresses, then IPv4, where the old protocols live, then the one that the kernel itself would send from.
func bestAddress(n sock.Net, own []witness.Interface) netip.Addr {
	var best netip.Addr
	most := -1
	for _, i := range own {
		for _, p := range i.Prefixes {
			a := p.Addr()
			if i.Loopback || !a.IsGlobalUnicast() {
				continue
			}
			points := 0
			if isPublic(a) {
				points += 4
			}
			if a.Is4() {
				points += 2
			}
			if src, err := n.Source(nobody(a.Is4())); err == nil && src == a {
				points++
			}
			if points > most {
				best, most = a, points
			}
		}
	}
	return best
}

// nobody is an address at which nobody can be, of the documentation's own networks (RFC 5737, RFC 3849). The way there is the default
// route.
func nobody(v4 bool) netip.Addr {
	if !v4 {
		return netip.MustParseAddr("2001:db8::1")
	}
	for _, a := range []string{"192.0.2.1", "203.0.113.1"} { // who builds a lab likes them too
		if a := netip.MustParseAddr(a); !witness.OnLink(a).OnLink {
			return a
		}
	}
	return netip.MustParseAddr("198.51.100.1")
}

var sharedSpace = netip.MustParsePrefix("100.64.0.0/10") // RFC 6598, behind a provider's NAT

func isPublic(a netip.Addr) bool {
	return a.IsGlobalUnicast() && !a.IsPrivate() && !sharedSpace.Contains(a)
}

// titles are how people call the carriers.
var titles = map[wire.Carrier]string{
	wire.CarrierControl: "UDP control",
	wire.CarrierPPTP:    "PPTP (TCP 1723)",
	wire.CarrierGREv1:   "GRE of PPTP",
	wire.CarrierGRE:     "GRE",
}

func title(c wire.Carrier) string {
	if t := titles[c]; t != "" {
		return t
	}
	return string(c)
}

// tellReady says what is ready, what is not and why, and last the line to run on the laptop.
func tellReady(w io.Writer, st testserver.Status, p location, expires time.Time, link wire.ConnString) {
	var links []string
	for _, l := range st.Links {
		links = append(links, l.String())
	}
	fmt.Fprintf(w, "vpncheck serve %s\n\n", version())
	fmt.Fprintf(w, "  %-16s ready on TCP %s\n", "Side channel:", strings.Join(links, ", "))
	told := make(map[string]bool)
	for _, c := range st.Carriers {
		fmt.Fprintf(w, "  %-16s %s\n", title(c.Carrier)+":", readiness(c))
		told[c.Why] = true
	}
	for _, f := range st.Failures {
		if !told[f.Why] {
			fmt.Fprintf(w, "  %-16s not ready on %s: %s\n", f.What+":", f.Local.Addr(), because(f.Why, f.Hint))
			told[f.Why] = true
		}
	}
	fmt.Fprintf(w, `
"Proven" means that a packet of that kind has reached this server in the last 24 hours. Until then silence is not blamed on anybody's
router: run the line below once from a place where it works, best from another provider than the customer's.

This address should be one that no real VPN uses: a customer's router may keep what a test leaves behind for ten minutes.
`)
	if !expires.IsZero() {
		fmt.Fprintf(w, "\nThe line is valid until %s.\n", expires.Local().Format("2006-01-02 15:04 MST"))
	}
	if p.warning != "" {
		fmt.Fprintf(w, "\nWarning: %s is a private address: %s\n", p.host, p.warning)
	}
	fmt.Fprintf(w, "\nRun this on the laptop (it is a secret, like a password):\n\n  vpncheck run %s\n", link)
}

// readiness is a carrier's state in words.
func readiness(c testserver.CarrierStatus) string {
	if !c.Ready {
		return "not ready: " + because(c.Why, c.Hint)
	}
	if c.Proof == nil {
		return "ready, not proven yet"
	}
	return fmt.Sprintf("ready, proven by %s at %s", c.From, c.Proof.At.Local().Format("2006-01-02 15:04"))
}

func because(why, hint string) string {
	if hint == "" {
		return why
	}
	return why + ": " + hint
}
