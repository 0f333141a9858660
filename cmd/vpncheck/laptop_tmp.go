package main

import (
	"net/netip"

	"vpncheck/probe/sock"
	"vpncheck/probe/witness"
)

func newRouterAsker(sock.Net, netip.Addr) witness.RouterAsker { return nil }
