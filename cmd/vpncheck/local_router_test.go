package main

import (
	"net/netip"
	"strings"
	"testing"

	"vpncheck/probe/witness"
)

func TestRouterFields(t *testing.T) {
	addr := netip.MustParseAddr
	seen := func(change func(*witness.Router)) *witness.Router {
		r := witness.Router{Look: witness.Look{Looked: true}, Maker: "AVM", Model: "FRITZ!Box 7590", Number: "7590", Firmware: "7.57", WAN: addr("203.0.113.2")}
		if change != nil {
			change(&r)
		}
		return &r
	}
	forward := func(port uint16, to, says string) func(*witness.Router) {
		return func(r *witness.Router) {
			r.Forwards = []witness.Forward{{Proto: "UDP", External: port, To: addr(to), Says: says}}
		}
	}
	tests := []struct {
		name, want, never string
		router            *witness.Router
	}{
		{"not-asked", "", ":", nil},
		{"silent", "Router: does not say what it is: no answer", "Outer", &witness.Router{Look: witness.Look{Why: "no answer"}}},
		{"named", "Router: AVM FRITZ!Box 7590 (firmware 7.57)\nOuter address: 203.0.113.2, a public", "forward", seen(nil)},
		{"maker-twice", "Router: Acme Box 9\n", "", seen(func(r *witness.Router) {
			*r = witness.Router{Look: r.Look, Maker: "Acme", Model: "Acme Box", Number: "9", WAN: r.WAN}
		})},
		{"nameless", "Router: answers, and does not say what it is", "", seen(func(r *witness.Router) { *r = witness.Router{Look: r.Look} })},
		{"two", "; 2 devices answered as a router", "", seen(func(r *witness.Router) { r.Gateways = 2 })},
		{"double-nat", "192.168.178.2, a private address: a second router", "public", seen(func(r *witness.Router) { r.WAN = addr("192.168.178.2") })},
		{"cgnat", "100.64.3.4, an address of a provider's own NAT (CGNAT)", "public", seen(func(r *witness.Router) { r.WAN = addr("100.64.3.4") })},
		{"offline", "0.0.0.0, which is no address on the internet", "public", seen(func(r *witness.Router) { r.WAN = addr("0.0.0.0") })},
		{"forward", "Port forward: UDP port 500 goes to 192.168.1.77 (\"NAS\"), not to this computer", "", seen(forward(500, "192.168.1.77", "NAS"))},
		{"all-ports", "Port forward: every UDP port goes to 192.168.1.77, not", "", seen(forward(0, "192.168.1.77", ""))},
		{"to-this-computer", "Router: AVM", "forward", seen(forward(500, "192.168.1.11", "VPN"))},
		{"rude", "Router: AVM A\\x1b[2J", "\x1b", seen(func(r *witness.Router) { r.Model = "A\x1b[2J" })},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			l := local{Router: tt.router, Interfaces: []witness.Interface{{Name: "eth0", Prefixes: []netip.Prefix{netip.MustParsePrefix("192.168.1.11/24")}}}}
			var lines strings.Builder
			for _, f := range l.routerFields() {
				lines.WriteString(f[0] + ": " + f[1] + "\n")
			}
			if got := lines.String(); !strings.Contains(got, tt.want) || tt.never != "" && strings.Contains(got, tt.never) {
				t.Errorf("got %q, want %q and no %q", got, tt.want, tt.never)
			}
		})
	}
}
