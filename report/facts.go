package report

import (
	"cmp"
	"fmt"
	"maps"
	"net/netip"
	"strconv"
	"strings"

	"vpncheck/probe"
	"vpncheck/probe/wire"
)

// facts are what sentences are made of: the placeholders of the catalogue, filled from a finding and its evidence. What is not known
// is the empty string, and the sentence reads well without it.
type facts struct {
	title  string
	stages map[string]string // titles by id
	fill   map[string]string // by placeholder, without the braces
	blind  map[string]bool   // the exchanges of which the server could not tell whether they arrived

	port      int                // at the server; 0 if there is none
	tcp       bool               // it is TCP's, not UDP's
	beside    map[string]outcome // how the run's protocols fared
	behindNAT bool
	shared    bool // the second NAT is the provider's own
	server    netip.Addr
	os        string
	literal   string          // the server's address, if the connection string has no name
	told      map[string]bool // hints that were told before
	blame     Culprit         // who did it; empty where nobody asked
	charge    probe.Reason    // and why
	router    string          // the router's name, if it is known
	laptop    bool            // it is among the suspects
	stops     [][2]float64    // after how many answers and seconds flows stopped
	others    bool            // another laptop may hold the place in the router
	opening   bool            // the large packets that are dropped are those without which there is no VPN
}

// placeholders are all that the catalogue may use. Those that say "or empty" bring their own leading space.
//
//	title   "PPTP"; "vpncheck" where the whole run is spoken of
//	untried "PPTP was not tried", or "Nothing was tried"
//	while   "while PPTP was being tried", "before PPTP was tried", or "while the check was under way"
//	decided "PPTP", or "everything"
//	stuck   "At the tunnel (GRE), PPTP", or "GRE" where there is but one stage
//	gre     "GRE packets, in which PPTP carries its data,", or "GRE packets" of GRE itself
//	esp     the same of ESP; which is "the", or "ESP" where others carry their data in it
//	tries   " (0 of 8 answers; 8 of 8 arrived at the server)", or empty
//	server  the server's name or address
//	why     " The reason given: ... .", or empty
//	hint    " To allow it: ... .", or empty
//	vpn     " (wg0)", or empty
//	change  " (on the way out, at byte 12)", or empty
//	after   " after 6 answers", or empty
//	silent  why our own server kept silent, or empty
//	from    " at 192.0.2.1", or empty
//	local   the laptop's address, or "this laptop's address"
//	portal  " at http://...", or empty; open is the address alone
//	port    "UDP port 500", or "a UDP port"
//	use     a sentence on what the port is for, or empty
//	phone   a sentence on phones that hold it, or empty
//	natt    a sentence on NAT-T for those who have no plain ESP, or empty
//	via4500 a sentence on NAT-T for those whose IKE does not get through, or empty
//	other   "IKEv2, WireGuard or OpenVPN": what works here or may, in few words; otherkind leaves IPsec out, overtcp what needs UDP
//	instead the same, and what this run knows of it: "SSTP (it works here)"; nonipsec and noudp leave out the same
//	web     "SSTP (it works here)": what looks like web traffic
//	passing "IKEv2 or WireGuard": what works here, else web; dodge is the same with "another VPN, such as ..." before it
//	orother ", or use IKEv2 or WireGuard", where they work here; ", a phone's hotspot for example", where none does
//	an      "A" or "An", before the title
//	packets "IP protocol 47 (GRE)", or "UDP from port 500": what a firewall must let in; out is what it must let out
//	rule    " With ufw: ... .", or empty
//	who     "your router or your internet provider", or, where it is known, who did it; Who begins a sentence
//	ifnone  a sentence on what to do if the router has no such setting
//	inspects two sentences on how to find who inspects packets, or empty
//	status  " with \"405 Method Not Allowed\"", or empty; signin is a sentence on a proxy that wants a name and a password, or empty
//	forwarded "UDP ports 500 and 4500", the VPN ports that the router forwards elsewhere, or empty
//	looks   a sentence on who looks into connections, and how that is known
//	whose   a sentence on how to tell router and provider apart, or empty
var placeholders = []string{"title", "untried", "while", "decided", "stuck", "gre", "esp", "which", "tries", "server", "why", "hint", "vpn", "change", "after",
	"silent", "from", "local", "portal", "port", "use", "phone", "natt", "via4500", "other", "otherkind", "overtcp", "instead", "nonipsec", "noudp", "web", "passing", "dodge", "orother", "an", "packets", "rule", "open", "out",
	"who", "Who", "ifnone", "whose", "inspects", "forwarded", "status", "signin", "looks"}

func newFacts(title string) facts {
	fa := facts{title: title, fill: make(map[string]string), blind: make(map[string]bool)}
	fa.fill["title"] = title
	fa.fill["untried"] = title + " was not tried"
	fa.fill["while"] = "while " + title + " was being tried"
	fa.fill["decided"] = title
	fa.fill["stuck"] = title
	fa.fill["gre"], fa.fill["esp"] = carrying("GRE", title), carrying("ESP", title)
	fa.fill["which"] = "ESP"
	if title == "ESP" {
		fa.fill["which"] = "the"
	}
	fa.fill["server"] = "the server"
	fa.fill["host"], fa.fill["design"] = someHost, byDesign("")
	fa.fill["local"] = "this laptop's address"
	fa.fill["port"] = "a UDP port"
	fa.fill["an"] = an(title)
	fa.fill["looks"] = "Something on the way lets the connection through and drops what is in it: most likely it looks for " + title + " (deep packet " +
		"inspection, DPI)."
	fa.fill["packets"], fa.fill["out"] = title, title
	fa.otherVPNs(setting{})
	fa.accuse(nil, "")
	fa.blame = ""
	return fa
}

// carrying names the packets in which another protocol carries its data.
func carrying(carrier, title string) string {
	if title == carrier {
		return carrier + " packets"
	}
	return carrier + " packets, in which " + title + " carries its data,"
}

// wholeRun are the facts for words about the run, not about one protocol.
func wholeRun(c probe.Circumstances) facts {
	fa := newFacts("vpncheck")
	fa.fill["untried"] = "Nothing was tried"
	fa.fill["while"] = "while the check was under way"
	fa.fill["decided"] = "everything"
	fa.circumstances(c)
	return fa
}

// only is the same without what was counted for one part.
func (fa facts) only(title string) facts {
	out := newFacts(title)
	out.stages, out.beside, out.behindNAT, out.shared = fa.stages, fa.beside, fa.behindNAT, fa.shared
	out.fill["server"] = fa.fill["server"]
	over := ""
	if fa.tcp {
		over = "tcp"
	}
	out.at(float64(fa.port), over)
	return out
}

// gather collects the facts of one protocol.
func gather(info probe.Info, f probe.Finding, o probe.Observation, s setting) facts {
	fa := newFacts(name(info.Title))
	fa.stages = make(map[string]string)
	for _, s := range info.Stages {
		fa.stages[s.ID] = s.Title
	}
	if f.Stage != "" && len(info.Stages) > 1 {
		fa.fill["stuck"] = "At " + fa.stage(f.Stage) + ", " + fa.title
	}
	for _, e := range o.Exchanges {
		fa.blind[e.ID] = e.Arrived.State == wire.Blind && e.Returned.State != wire.Seen
	}
	fa.in(s)
	if f.Verdict == probe.Untested {
		fa.fill["while"] = "before " + fa.title + " was tried"
	}
	if len(o.Exchanges) > 0 {
		fa.fill["untried"] = fa.title + " could be tried only in part"
	}
	for _, s := range info.Stages {
		if f.Reason == probe.LaptopFirewall && s.Port != 0 && fa.fill["out"] == fa.title {
			fa.fill["out"] = fmt.Sprintf("UDP port %d", s.Port)
		}
	}
	if o.Refused != nil {
		fa.said(map[string]any{"why": o.Refused.Why, "hint": o.Refused.Hint})
	}
	for _, e := range f.Because {
		fa.add(e, f)
	}
	return fa
}

func (fa *facts) circumstances(c probe.Circumstances) {
	switch {
	case c.Server.Host != "":
		fa.fill["server"] = Clean(c.Server.Host, 80)
		if a, err := netip.ParseAddr(strings.Trim(c.Server.Host, "[]")); err == nil {
			fa.literal = a.Unmap().String()
		}
	case c.Server.Address.IsValid():
		fa.fill["server"] = c.Server.Address.String()
	}
	fa.fill["forwarded"] = forwardedPorts(c)
	fa.server, fa.os = c.Server.Address.Unmap(), c.Laptop.OS
	if c.Laptop.Local.IsValid() {
		fa.fill["local"] = c.Laptop.Local.String()
	}
	if c.Laptop.VPN != "" {
		fa.fill["vpn"] = " (" + Clean(c.Laptop.VPN, 40) + ")"
	}
	if c.Stop != nil {
		fa.said(c.Stop.Args)
	}
	if c.NoSession != nil {
		fa.said(c.NoSession.Args)
	}
}

// said takes up what a system or a server said of itself.
func (fa facts) said(a args) {
	if why := Plain(a.text("why", 300)); why != "" {
		fa.fill["why"] = " The reason given: " + strings.TrimRight(why, ". ") + "."
	}
	if hint := a.text("hint", 300); hint != "" && !fa.told[hint] {
		fa.fill["hint"] = " To allow it: " + strings.TrimRight(hint, ". ") + "."
	}
	if portal := a.text("sign_in", 120); portal != "" {
		fa.fill["portal"], fa.fill["open"] = " at "+portal, portal
	}
}

// add takes up one piece of evidence.
func (fa *facts) add(e probe.Evidence, f probe.Finding) {
	a := fa.visible(e.Args, e.Exchanges)
	switch e.Reason {
	case probe.EvTries:
		if stage := a.text("stage", 60); stage == "" || f.Stage == "" || stage == f.Stage || stage == fa.stage(f.Stage) || len(fa.stages) == 0 {
			fa.fill["tries"] = tries(a, f.Verdict)
		}
	case probe.EvRefused:
		if n := a.count("tries"); n > 0 {
			fa.fill["tries"] = fmt.Sprintf(" (%.0f of %.0f tries)", n, n)
		}
	case probe.EvWhy:
		fa.said(a)
	case probe.EvHTTP:
		fa.httpStatus(a)
	case probe.EvRandom:
		if a.yes("content") && a.text("over", 10) == "tcp" {
			fa.looks("random data of the same size on the same port gets through")
		}
	case probe.EvLinkPort:
		fa.looks("this check's own connection to the same port works all the while")
	case probe.EvPort:
		fa.at(a.count("port"), a.text("over", 10))
	case probe.EvSendErr:
		fa.said(args{"why": a["error"]})
	case probe.EvSilent:
		fa.fill["silent"] = silent(a.text("why", 40))
	case probe.EvStopped:
		if n, ok := a.number("after"); ok {
			fa.stops = append(fa.stops, [2]float64{n, a.count("seconds")})
			fa.fill["after"] = after(fa.stops)
		}
	case probe.EvOthers:
		fa.others = true
	case probe.EvFullSize:
		fa.opening = a.yes("opening")
	case probe.EvStranger:
		fa.fill["from"] = fa.whose(a.text("from", 60))
	case probe.EvChange:
		field := a.text("field", 40)
		switch {
		case fa.fill["change"] != "" || f.Reason != probe.PayloadAltered || field == "length":
		case field == "payload":
			fa.fill["change"] = " (" + way(a.text("way", 10)) + ", from byte " + a.text("offset", 20) + " on)"
		default:
			fa.fill["change"] = " (" + way(a.text("way", 10)) + ", in the " + fieldName(field) + ")"
		}
	}
}

// after is by what flows were stopped: by a count of answers, or by the clock where two stopped after times that are more alike.
func after(stops [][2]float64) string {
	n, s := stops[len(stops)-1][0], stops[len(stops)-1][1]
	apart := func(i int) float64 {
		a, b := stops[0][i], stops[len(stops)-1][i]
		return (max(a, b) + 1) / (min(a, b) + 1)
	}
	if s >= 5 && len(stops) > 1 && apart(1) < apart(0) {
		return fmt.Sprintf(" after %.0f seconds", s)
	}
	return " after " + plural(n, "answer")
}

// looks takes up what else does get through on a port of TCP: then it is certain that something looks into connections.
func (fa facts) looks(passes string) {
	fa.fill["looks"] = capital(passes) + ", so something on the way looks into connections and drops those of " + fa.title + " (deep packet inspection, DPI)."
}

// visible takes out what the server could not see: a tally counts it as not arrived.
func (fa facts) visible(data map[string]any, exchanges []string) args {
	for _, id := range exchanges {
		if !fa.blind[id] {
			return data
		}
	}
	if len(exchanges) == 0 {
		return data
	}
	out := args(maps.Clone(data))
	delete(out, "arrived")
	return out
}

// tries says how far the tries came, in the terms that the verdict is about.
func tries(a args, v probe.Verdict) string {
	n, ok := a.number("tries")
	if !ok || n == 0 {
		return ""
	}
	arrived, told := a.number("arrived")
	returned, _ := a.number("returned")
	switch {
	case v == probe.Passed:
		return fmt.Sprintf(" (%.0f of %.0f were answered)", returned, n)
	case !told:
		return fmt.Sprintf(" (%.0f of %.0f answers)", returned, n)
	case arrived == 0 && returned == 0:
		return fmt.Sprintf(" (0 of %.0f arrived)", n)
	}
	return fmt.Sprintf(" (%.0f of %.0f answers; %.0f of %.0f arrived at the server)", returned, n, arrived, n)
}

// stage is a stage's title; an unknown stage is called by its id.
func (fa facts) stage(id string) string {
	if t := fa.stages[id]; t != "" {
		return t
	}
	return Clean(id, 60)
}

// whose says where an answer came from that was not the server's. One with the server's own address is told as such.
func (fa facts) whose(from string) string {
	switch {
	case from == "":
		return ""
	case fa.isServer(from):
		return ", in the server's name"
	}
	return " (it came from " + from + ")"
}

func (fa facts) isServer(from string) bool {
	at, err := netip.ParseAddrPort(from)
	return err == nil && at.Addr().Unmap() == fa.server || fa.server.IsValid() && from == fa.server.String()
}

func plural(n float64, noun string) string {
	if n == 1 {
		return "1 " + noun
	}
	return strconv.FormatFloat(n, 'f', -1, 64) + " " + noun + "s"
}

func way(w string) string {
	switch w {
	case "out":
		return "on the way out"
	case "back":
		return "on the way back"
	}
	return "on the way"
}

// carriers names what a token travels in.
var carriers = map[wire.Carrier]string{
	wire.CarrierControl: "UDP",
	wire.CarrierPPTP:    "TCP port 1723",
	wire.CarrierGRE:     "plain GRE",
	wire.CarrierGREv1:   "PPTP's GRE",
	wire.CarrierIKE:     "UDP port 500",
	wire.CarrierNATT:    "UDP port 4500",
	wire.CarrierL2TP:    "UDP port 1701",
	wire.CarrierSSTP:    "TCP port 443",
	wire.CarrierESP:     "ESP",
	wire.CarrierAH:      "AH",

	wire.CarrierOpenVPNUDP: "UDP port 1194",
	wire.CarrierOpenVPNTCP: "TCP port 1194",
	wire.CarrierWireGuard:  "UDP port 51820",
}

func carrier(a args) string {
	id := a.text("carrier", 40)
	if title := carriers[wire.Carrier(id)]; title != "" {
		return title
	}
	return cmp.Or(id, "this protocol")
}
