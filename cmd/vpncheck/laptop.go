package main

import (
	"cmp"
	"context"
	"net/http"
	"net/netip"
	"runtime"

	"vpncheck/probe"
	"vpncheck/probe/sock"
	"vpncheck/probe/witness"
)

// lookAround puts together what the witnesses know of the way to an address.
func lookAround(n sock.Net) func(netip.Addr) probe.LaptopFacts {
	return func(server netip.Addr) probe.LaptopFacts {
		way, near, gw := witness.VPN(n, server), witness.OnLink(server), witness.Gateway()
		f := probe.LaptopFacts{OS: runtime.GOOS, Local: way.Source, Interface: way.Interface, Gateway: gw.V4.Address, OnLink: near.OnLink}
		if server.Is6() {
			f.Gateway = gw.V6.Address
		}
		if in := witness.Inside(); len(in.Hints) > 0 {
			f.Inside = &in
		}
		if way.VPN {
			f.VPN = way.Interface
		}
		return f
	}
}

// asker returns what asks this computer's gateway about itself; nil if nobody is to be asked, or there is none.
func (f *runFlags) asker(n sock.Net) witness.RouterAsker {
	gateway := witness.Gateway().V4.Address
	if f.noRouter || f.prove || !gateway.IsValid() {
		return nil
	}
	local, err := n.Source(gateway)
	if err != nil {
		return nil
	}
	return witness.NewRouterAsker(local, gateway)
}

// askRouter is what the gateway says of itself; nil if it was not asked.
func (f *runFlags) askRouter(ctx context.Context, n sock.Net) *witness.Router {
	asker := f.asker(n)
	if asker == nil {
		return nil
	}
	r := asker.Router(ctx)
	return &r
}

// signIn returns what says whether a sign-in page stands before the internet, and where one signs in. Where the server's own page answers, with
// the signature of the key that has the pin, there is none. Another web server on the VPN server is none either: whoever catches all web pages
// answers also for an address at which nobody can be.
func signIn(pin [20]byte) func(context.Context, string) witness.Sign {
	return func(ctx context.Context, host string) witness.Sign {
		if a, err := netip.ParseAddr(host); err == nil && a.Is6() {
			host = "[" + host + "]"
		}
		nowhere := make(chan witness.Sign, 1)
		go func() { nowhere <- witness.Portal(ctx, "http://"+nobody(true).String()+"/", "") }()
		server := witness.ServerPage(ctx, host, pin)
		if !server.Portal || server.Status == http.StatusNetworkAuthenticationRequired {
			return server
		}
		proof := <-nowhere
		server.Portal = proof.Looked
		server.Location = cmp.Or(server.Location, proof.Location)
		return server
	}
}
