package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/url"
	"runtime"
	"strings"
	"time"

	"vpncheck/probe/sock"
	"vpncheck/probe/witness"
	"vpncheck/report"
	"vpncheck/report/view"
)

// knownPage is kept by Mozilla for exactly this question; its whole body is knownBody.
const (
	knownPage = "http://detectportal.firefox.com/success.txt"
	knownBody = "success"
)

const dnsTimeout = 5 * time.Second

// A local is what this computer shows of itself and its network where no server is there to test against. Like a report's, its fields are
// never removed.
type local struct {
	Schema     string              `json:"schema"`
	Tool       report.Tool         `json:"tool"`
	Started    time.Time           `json:"started"`
	System     string              `json:"system"`
	Interfaces []witness.Interface `json:"interfaces"`
	Gateway    witness.Gateways    `json:"gateway"`
	V4         witness.Way         `json:"way_v4"` // to the internet at large
	V6         witness.Way         `json:"way_v6"`
	DNS        witness.Resolution  `json:"dns"`
	Portal     witness.Sign        `json:"portal"`
	Ports      []witness.Port      `json:"ports"`
	Machine    witness.Machine     `json:"machine"`
	// Router is what the gateway says of itself; nil if nobody asked it.
	Router *witness.Router `json:"router,omitempty"`
}

// local looks at this computer and its network only.
func (f *runFlags) local(ctx context.Context, out, errs io.Writer) error {
	if err := f.needString(map[string]bool{
		"--only": len(f.only) > 0, "--family": f.family != "", "--events": f.events != "", "--prove": f.prove, "--timeout": f.timeout != 0,
		"--deep": f.deep, "--changed": f.changed != 0,
	}); err != nil {
		return err
	}
	page, err := url.Parse(f.portalURL)
	if err != nil || page.Hostname() == "" {
		return wrongUsage("", "--portal-url %.80q is no address of a page", f.portalURL)
	}
	asked := page.Hostname()
	if f.portalURL == knownPage {
		asked += " (Mozilla's)"
	}
	router := ", and your router about itself"
	if f.noRouter {
		router = ""
	}
	says := &lines{w: errs, width: looks(errs).Width}
	says.para("vpncheck: looking at this computer; asking " + asked + " whether a sign-in page stands in the way" + router)
	says.print("\n")
	l := f.lookAtLocal(ctx, page)
	if err := f.write(out, l); err != nil {
		return err
	}
	if interrupted(ctx) {
		return exit(exitInterrupted)
	}
	return nil
}

// needString refuses flags that mean nothing without a test server.
func (f *runFlags) needString(flags map[string]bool) error {
	for name, given := range flags {
		if given {
			return wrongUsage(`give the line that "vpncheck serve" printed on the server, or set `+connEnv, "%s needs a connection string", name)
		}
	}
	return nil
}

func (f *runFlags) lookAtLocal(ctx context.Context, page *url.URL) local {
	net := sock.Kernel{}
	l := local{
		Schema: "vpncheck-local/1", Tool: report.Tool{Name: "vpncheck", Version: version()}, Started: time.Now().UTC(),
		System:  runtime.GOOS,
		Gateway: witness.Gateway(),
		V4:      witness.VPN(net, nobody(true)),
		V6:      witness.VPN(net, nobody(false)),
		Ports:   witness.Holders(net),
		Machine: witness.Inside(),
	}
	asked := make(chan *witness.Router, 1)
	go func() { asked <- f.askRouter(ctx, net) }()
	l.Interfaces, _ = witness.Interfaces() // the ways say what stood in the way of looking
	l.DNS = witness.DNS(ctx, page.Hostname(), dnsTimeout)
	l.Portal = witness.Portal(ctx, page.String(), knownBody)
	l.Router = <-asked
	return l
}

func (l local) writeJSON(w io.Writer) error {
	enc := json.NewEncoder(w)
	enc.SetEscapeHTML(false)
	enc.SetIndent("", "  ")
	return enc.Encode(l)
}

const forIT = `To test the way through your router it takes a server at the other end. Send these five lines to whoever runs your VPN:`

var fiveLines = []string{
	`Take any Linux server on the internet, with an address that no real VPN uses.`,
	`Let its firewalls, the provider's too, pass TCP 443, 1194, 1723, 8443, UDP 500, 1194, 1701, 4500, 8443, 51820, and IP protocols 47, 50, 51.`,
	`Put the program vpncheck on it and run: sudo ./vpncheck serve. It says how to prove that packets arrive: do that too.`,
	`Send me the line that it prints last, "sudo vpncheck run 'vpncheck://...'"; it is a secret, like a password.`,
	`I run that line on my computer behind my router and send you the report that comes out.`,
}

func (l local) writeText(w io.Writer, o view.Options) error {
	p := &lines{w: w, width: o.Width}
	p.para("This is what can be seen from this computer alone. It cannot tell whether VPN packets get through your router and back: " +
		"nothing here says that anything is blocked.")
	p.print("\n")
	for _, f := range l.fields() {
		p.field(f[0], f[1])
	}
	for _, hint := range l.hints() {
		p.print("\nTo see it all:\n  " + hint + "\n") // unbroken: it is to be copied
	}
	p.print("\n")
	p.para(forIT)
	p.print("\n")
	for i, line := range fiveLines {
		p.wrap(fmt.Sprintf("  %d. ", i+1), 5, line)
	}
	p.print("\n")
	p.para(`Your VPN's own server can be asked at once, with less to say: vpncheck run --to and its name.`)
	return p.err
}

// hints are what would let us look where we could not.
func (l local) hints() []string {
	var out []string
	for _, p := range l.Ports {
		if !p.Looked && p.Hint != "" {
			out = append(out, p.Hint)
		}
	}
	return distinct(out)
}

// fields are what was found, a line each.
func (l local) fields() [][2]string {
	out := [][2]string{{"System", l.system()}, {"Addresses", l.addresses()}, {"Gateway", l.gateway()}}
	out = append(out, l.routerFields()...)
	out = append(out, [][2]string{{"VPN", l.vpn()}, {"Names (DNS)", l.names()}, {"Sign-in page", l.portal()}}...)
	for _, p := range l.Ports {
		out = append(out, [2]string{fmt.Sprintf("UDP port %d", p.Port), portText(p)})
	}
	return out
}

func (l local) system() string {
	text := l.System
	var signs []string
	for _, h := range l.Machine.Hints {
		signs = append(signs, machines[h.Kind]+" ("+h.Sign+")")
	}
	if len(signs) > 0 {
		text += "; this seems to be " + strings.Join(signs, ", ") + ": a NAT of its host's own may stand before your router"
	}
	return text
}

var machines = map[string]string{"wsl": "Windows' Linux subsystem", "vm": "a virtual machine", "container": "a container"}

func (l local) addresses() string {
	var own []string
	for _, i := range l.Interfaces {
		for _, p := range i.Prefixes {
			if a := p.Addr(); a.IsGlobalUnicast() {
				own = append(own, a.String()+" ("+report.Clean(i.Name, 40)+")")
			}
		}
	}
	if len(own) == 0 {
		return "none: this computer is in no network"
	}
	return strings.Join(own, ", ")
}

func (l local) gateway() string {
	v4, v6 := l.Gateway.V4, l.Gateway.V6
	if !v4.Looked {
		return "not known: " + v4.Why
	}
	text := hop(v4)
	if v6.Interface != "" {
		text += "; IPv6: " + hop(v6)
	}
	return text
}

func hop(d witness.Default) string {
	switch {
	case d.Interface == "":
		return "none"
	case !d.Address.IsValid():
		return "the line itself (" + d.Interface + ")"
	}
	return d.Address.String() + " (" + d.Interface + ")"
}

func (l local) vpn() string {
	for _, way := range []witness.Way{l.V4, l.V6} {
		if way.VPN {
			return way.Interface + " carries what goes to the internet: disconnect it before a test, or the test goes through it"
		}
	}
	if !l.V4.Looked && !l.V6.Looked {
		return "not known: " + l.V4.Why
	}
	return "none carries what goes to the internet"
}

func (l local) names() string {
	switch l.DNS.Error {
	case "":
		if len(l.DNS.Addresses) == 1 && l.DNS.Addresses[0].String() == l.DNS.Name {
			return "not asked"
		}
		return fmt.Sprintf("%s was found in %.2f seconds", l.DNS.Name, l.DNS.Seconds)
	case "timeout":
		return fmt.Sprintf("no answer about %s in %.0f seconds", l.DNS.Name, l.DNS.Seconds)
	case "not-found":
		return "the name server says that there is no " + l.DNS.Name
	}
	return fmt.Sprintf("%s was not found: %s", l.DNS.Name, l.DNS.Detail)
}

func (l local) portal() string {
	p := l.Portal
	switch {
	case !p.Looked:
		return "not known: " + p.Why
	case p.Portal && p.Location != "":
		return "somebody else answered for " + p.Asked + " and sends you to " + p.Location + ": sign in there with a browser first"
	case p.Portal:
		return "somebody else answered for " + p.Asked + ": open it in a browser, and sign in there first"
	case p.Status != 200:
		return fmt.Sprintf("not known: %s answered with HTTP status %d", p.Asked, p.Status)
	}
	return "none: the page was what it should be"
}

func portText(p witness.Port) string {
	switch {
	case !p.Looked:
		return "not known: " + plainly(p.Why)
	case p.Held && p.Holder != "":
		return "held by " + report.Clean(p.Holder, 60)
	case p.Held:
		return "held by another program"
	}
	return "free"
}
