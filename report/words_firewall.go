package report

import (
	"fmt"
	"strings"
)

// rawProtocols are what a firewall has to let in for the protocols that have no port, by their names in sentences.
var rawProtocols = map[string]struct {
	number int
	name   string
}{"PPTP": {47, "gre"}, "GRE": {47, "gre"}, "ESP": {50, "esp"}, "AH": {51, "ah"}}

// letIn says what the laptop's firewall must let in, and how Linux does that.
func (fa facts) letIn() {
	p, raw := rawProtocols[fa.title]
	title := map[string]string{"gre": "GRE", "esp": "ESP", "ah": "AH"}[p.name]
	switch {
	case raw:
		fa.fill["packets"] = fmt.Sprintf("IP protocol %d (%s)", p.number, title)
		fa.fill["out"] = fa.fill["packets"]
	case fa.port != 0:
		fa.fill["packets"], fa.fill["out"] = fmt.Sprintf("%s from port %d", fa.over(), fa.port), fmt.Sprintf("%s port %d", fa.over(), fa.port)
	}
	fa.fill["rule"] = ""
	if fa.os != "linux" || !fa.server.IsValid() || !raw && fa.port == 0 {
		return
	}
	family, ufw, rich := "ipv4", "proto "+p.name+" from "+fa.server.String(), `protocol value="`+p.name+`"`
	if fa.server.Is6() {
		family = "ipv6"
	}
	if !raw {
		over := strings.ToLower(fa.over())
		ufw = fmt.Sprintf("proto %s from %s port %d", over, fa.server, fa.port)
		rich = fmt.Sprintf(`source-port port="%d" protocol="%s"`, fa.port, over)
	}
	fa.fill["rule"] = fmt.Sprintf(` With ufw: sudo ufw allow %s. With firewalld: sudo firewall-cmd --add-rich-rule='rule family="%s" source address="%s" %s accept'.`,
		ufw, family, fa.server, rich)
}

// literalWords are those for a connection string with an address of the other kind than the one asked for.
func literalWords(address string) Words {
	kind, flag := "IPv4", "4"
	for _, c := range address {
		if c == ':' {
			kind, flag = "IPv6", "6"
		}
	}
	return Words{
		Short:    "{server} is an " + kind + " address",
		Sentence: "The connection string names the test server by an address, {server}. That is an " + kind + " address, and the other kind was asked for.",
		Do:       "run the check without --family, or with --family " + flag,
	}
}
