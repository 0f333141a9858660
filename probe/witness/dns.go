package witness

import (
	"context"
	"errors"
	"net"
	"net/netip"
	"slices"
	"strings"
	"time"
)

// A Resolution is what became of a name. Looked is false only if there was no name to resolve.
type Resolution struct {
	Look
	Name      string       `json:"name"`
	Addresses []netip.Addr `json:"addresses,omitempty"`
	Seconds   float64      `json:"seconds"`
	// Error is "" or its kind: "not-found", "timeout" or "failed".
	Error string `json:"error,omitempty"`
	// Detail says more of it.
	Detail string `json:"detail,omitempty"`
}

const maxAddresses = 16

// DNS resolves a name to addresses of both families as every program on this machine does. An address is its own resolution.
func DNS(ctx context.Context, name string, timeout time.Duration) Resolution {
	return resolve(ctx, net.DefaultResolver, name, timeout)
}

func resolve(ctx context.Context, r *net.Resolver, name string, timeout time.Duration) Resolution {
	out := Resolution{Look: looked, Name: printable(name, 253)}
	if a, err := netip.ParseAddr(name); err == nil {
		out.Addresses = []netip.Addr{a.Unmap()}
		return out
	}
	if name == "" {
		out.Look = blind("there is no name to resolve")
		return out
	}
	ctx, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	began := time.Now()
	addrs, err := r.LookupNetIP(ctx, "ip", name)
	out.Seconds = time.Since(began).Seconds()
	for _, a := range addrs {
		if a = a.Unmap(); !slices.Contains(out.Addresses, a) && len(out.Addresses) < maxAddresses {
			out.Addresses = append(out.Addresses, a)
		}
	}
	if err != nil {
		out.Error, out.Detail = dnsKind(ctx, err), printable(reason(err), 200)
		var d *net.DNSError
		if errors.As(err, &d) {
			out.Detail = printable(lookupReason(d), 200)
		}
	}
	return out
}

// lookupReason is why a name was not found. What the resolver says of a socket names addresses and system calls: it is left out.
func lookupReason(d *net.DNSError) string {
	switch {
	case d.IsNotFound:
		return "there is no such name"
	case d.IsTimeout:
		return "the name server did not answer in time"
	case strings.Contains(d.Err, "refused"):
		return "nobody serves names at " + d.Server
	case strings.Contains(d.Err, "unreachable"):
		return "there is no way to the name server " + d.Server
	case strings.Contains(d.Err, "misbehaving"):
		return "the name server could not say"
	}
	return d.Err
}

func dnsKind(ctx context.Context, err error) string {
	var d *net.DNSError
	switch {
	case ctx.Err() != nil, errors.As(err, &d) && d.IsTimeout:
		return "timeout"
	case d != nil && d.IsNotFound:
		return "not-found"
	}
	return "failed"
}
