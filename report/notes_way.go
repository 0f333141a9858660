package report

import (
	"cmp"
	"fmt"
	"net/netip"
	"slices"
	"strings"

	"vpncheck/probe"
	"vpncheck/probe/wire"
)

// What is to be known of the way before anybody is blamed: whose NAT is first on it, which family took it, under whose addresses it ended.

// family is an address's in words.
func family(a netip.Addr) string {
	if a.Unmap().Is4() {
		return "IPv4"
	}
	return "IPv6"
}

// Addresses by which IPv4 crosses a network of IPv6 alone: the laptop's (RFC 7335) and the server's (RFC 6052).
var translators = []netip.Prefix{netip.MustParsePrefix("192.0.0.0/29"), netip.MustParsePrefix("64:ff9b::/96"), netip.MustParsePrefix("64:ff9b:1::/48")}

// sixToFour is the address that shows such a crossing.
func sixToFour(c probe.Circumstances) (netip.Addr, bool) {
	for _, a := range []netip.Addr{c.Laptop.Local, c.Server.Address} {
		if slices.ContainsFunc(translators, func(p netip.Prefix) bool { return p.Contains(a.Unmap()) }) {
			return a.Unmap(), true
		}
	}
	return netip.Addr{}, false
}

// maxSources bounds the public addresses that are told.
const maxSources = 8

// sources says under which public addresses the server saw what; "" if it was always the same.
func sources(c probe.Circumstances, os []probe.Observation, ps []Protocol) string {
	var addrs []netip.Addr
	by := make(map[netip.Addr][]string)
	saw := func(a netip.Addr, what string) {
		a = a.Unmap()
		if !a.IsValid() || slices.Contains(by[a], what) {
			return
		}
		if !slices.Contains(addrs, a) {
			addrs = append(addrs, a)
		}
		by[a] = append(by[a], what)
	}
	saw(c.Server.Client.Addr(), "the session (TLS)")
	for _, o := range os {
		for _, e := range o.Exchanges {
			if e.From == probe.Client && e.Arrived.State == wire.Seen {
				saw(e.Arrived.Src.Addr(), called(o.Protocol, ps))
			}
		}
	}
	if len(addrs) < 2 {
		return ""
	}
	var out []string
	for _, a := range addrs[:min(len(addrs), maxSources)] {
		out = append(out, a.String()+": "+strings.Join(by[a], ", "))
	}
	return strings.Join(out, "; ")
}

// called is a protocol's name, or, where it has none here, its id.
func called(id string, ps []Protocol) string {
	for _, p := range ps {
		if p.ID == id {
			return p.Name()
		}
	}
	return strings.ToUpper(Clean(id, 20))
}

func sayInside(a args, _ facts) string {
	what := map[string]string{"wsl": "in WSL", "vm": "in a virtual machine", "container": "in a container"}[a.text("kind", 20)]
	if what == "" {
		what = "inside another machine"
	}
	return fmt.Sprintf("vpncheck runs %s, behind %s. That NAT stands before your router, and most of its kind carry TCP, UDP and ping only: what fails "+
		"here may work on the computer itself. Run vpncheck there.", what, cmp.Or(a.text("nat", 80), "a NAT of its host's"))
}

func sayFamily(a args, _ facts) string {
	used, other := a.text("used", 10), a.text("other", 10)
	if used == "" || other == "" {
		return "The server has addresses of both IPv4 and IPv6, and only one was asked."
	}
	return fmt.Sprintf("Everything was asked over %s. The server has an %s address too, over which a VPN may fare otherwise: --family %s asks that one.",
		used, other, strings.TrimPrefix(other, "IPv"))
}

func sayFromSix(a args, _ facts) string {
	return fmt.Sprintf("This network has IPv6 only, and translates IPv4%s: ESP, AH and GRE, which have no ports, seldom get through that.",
		in(a.text("address", 60)))
}

func saySources(a args, _ facts) string {
	list := a.text("addresses", 600)
	if list != "" {
		list = " (" + list + ")"
	}
	return "Not everything reaches the server from the same public address" + list + ": the internet provider shares addresses among customers, or there is " +
		"more than one line. What a VPN sends in two ways may not find together."
}
