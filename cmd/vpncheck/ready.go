package main

import (
	"fmt"
	"io"
	"net/netip"
	"slices"
	"strconv"
	"strings"
	"time"

	"vpncheck/probe/sock"
	"vpncheck/probe/wire"
	"vpncheck/probe/witness"
	"vpncheck/report"
	"vpncheck/report/view"
	"vpncheck/testserver"
)

// A location is the name that the server goes by, and what to say if customers may not reach it there.
type location struct {
	host    string
	warning string
	vpn     []string // what looks like a VPN at work here
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
		return location{host: best.String(), warning: "customers cannot reach this; pass --advertise"}, nil
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
	wire.CarrierPPTP:    "TCP 1723 (PPTP)",
	wire.CarrierGREv1:   "GRE of PPTP",
	wire.CarrierGRE:     "GRE",
	wire.CarrierIKE:     "UDP 500 (IKE)",
	wire.CarrierAH:      "AH",
	wire.CarrierL2TP:    "UDP 1701 (L2TP)",
}

func title(c wire.Carrier) string {
	if t := titles[c]; t != "" {
		return t
	}
	return string(c)
}

// tellReady says what is ready, what is not and why, and last the line to run on the laptop.
func tellReady(w io.Writer, o view.Options, st testserver.Status, p location, expires time.Time, link wire.ConnString) error {
	l := &lines{w: w, width: o.Width}
	l.para("vpncheck serve " + version())
	l.print("\n")
	l.field("Side channel", "ready on TCP "+linkPorts(st.Links))
	var hints []string
	told := make(map[string]bool)
	for _, c := range st.Carriers {
		l.field(title(c.Carrier), readiness(c))
		told[plainly(c.Why)] = true
		hints = append(hints, c.Hint)
	}
	for _, f := range st.Failures {
		if why := plainly(f.Why); !told[why] {
			l.field(f.What, "not ready: "+why)
			told[why] = true
			hints = append(hints, f.Hint)
		}
	}
	for _, hint := range hints {
		if hint != "" && !told[hint] {
			l.print("\nTo make it ready:\n  " + hint + "\n") // unbroken: it is to be copied
			told[hint] = true
		}
	}
	l.print("\n")
	l.para(`"Proven" means that a packet of that kind has reached this server in the last 24 hours. Until then silence is not blamed on ` +
		`anybody's router: run the line below once from a place where it works, best from another provider than the customer's.`)
	l.print("\n")
	l.para("This address should be one that no real VPN uses: a customer's router may keep what a test leaves behind for ten minutes.")
	if len(p.vpn) > 0 {
		l.print("\n")
		l.para("Warning: this machine seems to have a VPN of its own: " + report.Clean(strings.Join(p.vpn, "; "), 300) + ". Give vpncheck an address " +
			"of its own with --listen, or another machine: each can take the other's packets, and a test can stop a customer's real VPN for ten minutes.")
	}
	if !expires.IsZero() {
		l.print("\n")
		l.para("The line is valid until " + expires.Local().Format("2006-01-02 15:04 MST") + ".")
	}
	if p.warning != "" {
		l.print("\n")
		l.para("Warning: " + p.host + " is a private address: " + p.warning)
	}
	l.print("\nRun this on the laptop (it is a secret, like a password):\n\n  vpncheck run " + link.String() + "\n")
	return l.err
}

// linkPorts names the addresses only where they are not simply all.
func linkPorts(links []netip.AddrPort) string {
	var out []string
	for _, a := range links {
		text := a.String()
		if a.Addr().IsUnspecified() {
			text = strconv.Itoa(int(a.Port()))
		}
		if !slices.Contains(out, text) {
			out = append(out, text)
		}
	}
	return strings.Join(out, ", ")
}

// readiness is a carrier's state in words.
func readiness(c testserver.CarrierStatus) string {
	if !c.Ready {
		return "not ready: " + plainly(c.Why)
	}
	if c.Proof == nil {
		return "ready, not proven yet"
	}
	return fmt.Sprintf("ready, proven by %s at %s", c.From, c.Proof.At.Local().Format("2006-01-02 15:04"))
}

// plainly says what was refused without the names of system calls.
func plainly(why string) string {
	if strings.HasSuffix(why, "operation not permitted") || strings.HasSuffix(why, "permission denied") {
		if what, _, ok := strings.Cut(why, ": "); ok {
			return what + " is not allowed"
		}
	}
	return why
}

func because(why, hint string) string {
	if hint == "" {
		return plainly(why)
	}
	return plainly(why) + ": " + hint
}
