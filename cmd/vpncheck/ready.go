package main

import (
	"cmp"
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

// A location is the name that the server goes by, and a sentence if customers may not reach it there.
type location struct {
	host    string
	warning string
	vpn     []string // what looks like a VPN at work here
	peers   []string // other servers that this one tests
}

// whereabouts is what the administrator advertises, or one of the addresses that are listened on, a public one if there is any.
func whereabouts(n sock.Net, advertise string, listen []netip.Addr) (location, error) {
	own, err := ownAddresses(advertise == "")
	if err != nil {
		return location{}, err
	}
	return choosePlace(n, advertise, listen, own)
}

// ownAddresses are those of the interfaces that lead somewhere. Who has said how he is reached does without.
func ownAddresses(needed bool) ([]netip.Addr, error) {
	found, err := witness.Interfaces()
	if err != nil && needed {
		return nil, err
	}
	var own []netip.Addr
	for _, i := range found {
		for _, p := range i.Prefixes {
			if !i.Loopback {
				own = append(own, p.Addr())
			}
		}
	}
	return own, nil
}

func choosePlace(n sock.Net, advertise string, listen, own []netip.Addr) (location, error) {
	p := location{host: advertise}
	if len(listen) > 0 && !slices.ContainsFunc(listen, func(a netip.Addr) bool { return !a.IsLoopback() }) {
		p.host = cmp.Or(advertise, listen[0].String())
		p.warning = "vpncheck listens on " + addressList(listen) + " only: no laptop can reach this."
		return p, nil
	}
	if advertise != "" {
		return p, nil
	}
	best := bestAddress(n, heard(listen, own))
	if !best.IsValid() {
		return p, wrongUsage("pass the name or address that customers reach this server by: --advertise vpn.example.com",
			"this machine has no address to give to customers")
	}
	p.host = best.String()
	if !isPublic(best) {
		p.warning = p.host + " is a private address: customers cannot reach this; pass --advertise"
	}
	return p, nil
}

// heard are the addresses that are listened on: none means all, and the unspecified one means all of its family.
func heard(listen, own []netip.Addr) []netip.Addr {
	if len(listen) == 0 {
		return own
	}
	var out []netip.Addr
	for _, a := range listen {
		if !a.IsUnspecified() {
			out = append(out, a)
		}
	}
	for _, a := range own {
		if slices.ContainsFunc(listen, func(l netip.Addr) bool { return l.IsUnspecified() && l.Is4() == a.Is4() }) {
			out = append(out, a)
		}
	}
	return out
}

// bestAddress prefers public addresses, then IPv4, where the old protocols live, then the one that the kernel itself would send from.
func bestAddress(n sock.Net, among []netip.Addr) netip.Addr {
	var best netip.Addr
	most := -1
	for _, a := range among {
		if !a.IsGlobalUnicast() {
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
	return best
}

func addressList(addrs []netip.Addr) string {
	var out []string
	for _, a := range addrs {
		out = append(out, a.String())
	}
	return strings.Join(out, ", ")
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
	wire.CarrierGREv1:   "GRE of PPTP (IP 47)",
	wire.CarrierGRE:     "GRE (IP protocol 47)",
	wire.CarrierIKE:     "UDP 500 (IKE)",
	wire.CarrierNATT:    "UDP 4500 (NAT-T)",
	wire.CarrierESP:     "ESP (IP protocol 50)",
	wire.CarrierAH:      "AH (IP protocol 51)",
	wire.CarrierL2TP:    "UDP 1701 (L2TP)",
	wire.CarrierSSTP:    "TCP 443 (SSTP)",

	wire.CarrierOpenVPNUDP: "UDP 1194 (OpenVPN)",
	wire.CarrierOpenVPNTCP: "TCP 1194 (OpenVPN)",
	wire.CarrierWireGuard:  "UDP 51820 (WireGuard)",
}

func title(c wire.Carrier) string {
	if t := titles[c]; t != "" {
		return t
	}
	return string(c)
}

// tellReady says what is ready, what is not and why, and last the line to run on the laptop.
func tellReady(w io.Writer, o view.Options, st testserver.Status, p location, expires time.Time, link wire.ConnString) error {
	l := &lines{w: w, width: o.Width, labels: 23}
	l.para("vpncheck serve " + version())
	l.print("\n")
	l.field("Side channel", "ready on TCP "+linkPorts(st.Links)+" (how the laptop and this server talk)")
	var hints []string
	told := make(map[string]bool)
	for _, c := range st.Carriers {
		text := readiness(c)
		if f, ok := partly(c, st.Failures); ok {
			text = "not ready over " + family(f.Local.Addr()) + ": " + plainly(f.Why) + "; elsewhere " + text
			told[plainly(f.Why)] = true
			hints = append(hints, f.Hint)
		}
		if c.Carrier == wire.CarrierControl {
			text += fmt.Sprintf(" (UDP %d; shows whether UDP gets through at all)", st.Control)
		}
		l.field(title(c.Carrier), text)
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
	switch {
	case st.Page.Ready:
		l.field("Page", "ready on TCP 80 (by its signature a sign-in page is told from this server)")
	case st.Page.Asked:
		l.field("Page", "none: "+plainly(st.Page.Why)+" (a sign-in page is harder to recognise without; nothing else depends on it)")
	}
	for _, hint := range hints {
		if hint != "" && !told[hint] {
			l.print("\nTo make it ready:\n  " + hint + "\n") // unbroken: it is to be copied
			told[hint] = true
		}
	}
	l.print("\n")
	l.para("This address should be one that no real VPN uses: a customer's router may keep what a test leaves behind for ten minutes.")
	if len(p.vpn) > 0 {
		l.print("\n")
		l.para("Warning: this machine seems to have a VPN of its own: " + report.Clean(strings.Join(p.vpn, "; "), 300) + ". Give vpncheck an address " +
			"of its own with --listen, or another machine: each can take the other's packets, and a test can stop a customer's real VPN for ten minutes.")
	}
	tellOwners(l, st)
	tellCloud(l, st)
	tellFirewalls(l, st)
	if len(p.peers) > 0 {
		l.print("\n")
		l.para("Testing in a few seconds, and every hour: " + strings.Join(p.peers, ", ") + ". That proves those servers, not this one.")
	}
	if p.warning != "" {
		l.print("\n")
		l.para("Warning: " + p.warning)
	}
	when := expires.Local().Format("2006-01-02 15:04 MST")
	if !expires.IsZero() && !time.Now().Before(expires) {
		l.print("\n")
		l.para("This line EXPIRED at " + when + ": run serve --new-token, or lengthen it: --token-valid 24h, say, counts from when it was made.")
		return l.err
	}
	if !expires.IsZero() && time.Until(expires) < forever/2 {
		l.print("\n")
		l.para("The line is valid until " + when + ".")
	}
	tellUnproven(l, st, link)
	l.print("\nRun this on the laptop (it is a secret, like a password):\n\n  sudo vpncheck run '" + link.String() + "'\n")
	return l.err
}

// tellFirewalls lists what is listened on as whoever sets a firewall needs it.
func tellFirewalls(l *lines, st testserver.Status) {
	var tcp, udp, ip []string
	missing := ""
	for _, a := range st.Links {
		tcp = append(tcp, strconv.Itoa(int(a.Port())))
	}
	for _, c := range st.Carriers {
		if !c.Ready {
			missing = ", for what is ready now"
			continue
		}
		switch c.Carrier {
		case wire.CarrierControl:
			udp = append(udp, strconv.Itoa(int(st.Control)))
		case wire.CarrierPPTP:
			tcp = append(tcp, "1723")
		case wire.CarrierIKE:
			udp = append(udp, "500")
		case wire.CarrierNATT:
			udp = append(udp, "4500")
		case wire.CarrierL2TP:
			udp = append(udp, "1701")
		case wire.CarrierOpenVPNUDP:
			udp = append(udp, "1194")
		case wire.CarrierOpenVPNTCP:
			tcp = append(tcp, "1194")
		case wire.CarrierWireGuard:
			udp = append(udp, "51820")
		case wire.CarrierGRE, wire.CarrierGREv1:
			ip = append(ip, "47 (GRE)")
		case wire.CarrierESP:
			ip = append(ip, "50 (ESP)")
		case wire.CarrierAH:
			ip = append(ip, "51 (AH)")
		}
	}
	if st.Page.Ready {
		tcp = append(tcp, "80 (the page; not needed)")
	}
	l.print("\n")
	l.para("Both firewalls, this machine's and its provider's, must let in" + missing + ":")
	for _, kind := range []struct {
		name  string
		ports []string
	}{{"TCP", tcp}, {"UDP", udp}, {"IP protocols", ip}} {
		if ports := distinct(kind.ports); len(ports) > 0 {
			l.field(kind.name, strings.Join(ports, ", "))
		}
	}
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

// tellUnproven says what has not been proven of late, and how to prove it: the exact lines.
func tellUnproven(l *lines, st testserver.Status, link wire.ConnString) {
	var unproven []wire.Carrier
	for _, c := range st.Carriers {
		if c.Ready && c.Proof == nil && (st.Cloud == nil || !slices.Contains(st.Cloud.Cannot, c.Carrier)) {
			unproven = append(unproven, c.Carrier)
		}
	}
	if len(unproven) == 0 {
		return
	}
	what := "Not proven yet: " + carrierList(unproven)
	if len(unproven) == len(st.Carriers) {
		what = "Nothing is proven yet"
	}
	l.print("\n")
	l.para(what + ". Until a packet of a kind has reached this server, within 24 hours, from anyone, silence is not blamed on " +
		"anybody's router. To prove it, run this on a machine outside, best at another provider than this one and the customer's:")
	l.print("\n  sudo vpncheck run --prove '" + link.String() + "'\n\n")
	l.para("Or let another vpncheck server test this one every hour: \"serve --peer\" there, with the same string.")
}

// tellOwners says who else at this machine takes a carrier's packets (F26).
func tellOwners(l *lines, st testserver.Status) {
	by := make(map[string][]wire.Carrier)
	var order []string
	for _, c := range st.Carriers {
		for _, o := range c.Owners {
			if by[o] == nil {
				order = append(order, o)
			}
			by[o] = append(by[o], c.Carrier)
		}
	}
	if len(order) == 0 {
		return
	}
	var all []string
	for _, o := range order {
		all = append(all, carrierList(by[o])+": "+report.Clean(o, 80))
	}
	l.print("\n")
	l.para("Warning: others on this machine take or answer some packets as well. " + strings.Join(all, "; ") + ". What they answer looks like an " +
		"impostor's. Stop them, or give vpncheck another machine.")
}

// tellCloud says what the provider that this machine stands at does not carry, or only by a rule (F17).
func tellCloud(l *lines, st testserver.Status) {
	c := st.Cloud
	if c == nil || len(c.Cannot)+len(c.Ask) == 0 {
		return
	}
	text := "This machine stands at " + report.Provider(c.Name) + ", whose network "
	if len(c.Cannot) > 0 {
		text += "does not carry " + carrierList(c.Cannot) + ", whatever rules are set: that cannot be tested here"
	}
	if len(c.Ask) > 0 {
		if len(c.Cannot) > 0 {
			text += ". It "
		}
		text += "carries " + carrierList(c.Ask) + " only where a rule of its firewall lets that very protocol in"
	}
	l.print("\n")
	l.para(text + ".")
}

// partly says of a carrier that is ready where it is not: another program may hold its port over IPv4 alone.
func partly(c testserver.CarrierStatus, failures []testserver.Failure) (testserver.Failure, bool) {
	i := slices.IndexFunc(failures, func(f testserver.Failure) bool { return c.Ready && strings.HasPrefix(title(c.Carrier), f.What+" (") })
	if i < 0 {
		return testserver.Failure{}, false
	}
	return failures[i], true
}

// family names all of IPv4 or IPv6, or one address.
func family(a netip.Addr) string {
	switch {
	case a == netip.IPv4Unspecified():
		return "IPv4"
	case a == netip.IPv6Unspecified():
		return "IPv6"
	}
	return a.String()
}

// readiness is a carrier's state in words.
func readiness(c testserver.CarrierStatus) string {
	if !c.Ready {
		return "not ready: " + plainly(c.Why)
	}
	if c.Proof == nil {
		return "ready, not proven yet"
	}
	return fmt.Sprintf("ready, proven by %s %s", c.From, ago(time.Since(c.Proof.At)))
}

// ago is how long ago something was, rounded as people say it.
func ago(d time.Duration) string {
	switch {
	case d < 2*time.Minute:
		return "just now"
	case d < 2*time.Hour:
		return fmt.Sprintf("%d minutes ago", int(d.Minutes()))
	}
	return fmt.Sprintf("%d hours ago", int(d.Round(time.Hour).Hours()))
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

// distinct keeps the first of equals.
func distinct[T comparable](in []T) []T {
	var out []T
	for _, x := range in {
		if !slices.Contains(out, x) {
			out = append(out, x)
		}
	}
	return out
}
