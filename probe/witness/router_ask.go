package witness

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"slices"
	"sync"
	"time"

	"github.com/huin/goupnp"
)

const (
	maxBody   = 1 << 20
	maxHeader = 16 << 10
)

// waits are how long a router is waited for.
type waits struct {
	search   time.Duration // for anybody to answer a search
	met      time.Duration // the same once the gateway has: the others answer within one second, the MX that is asked for
	page     time.Duration // for one page, or one answer
	forwards time.Duration // for the whole table of forwards
	whole    time.Duration // for all of it
}

var usual = waits{search: 2 * time.Second, met: 1200 * time.Millisecond, page: 3 * time.Second, forwards: 1500 * time.Millisecond, whole: 5 * time.Second}

var errNoGateway = errors.New("the gateway is not known")

// NewRouterAsker returns what asks the default gateway, an IPv4 address, from local, the laptop's own address towards it. It opens nothing
// before it is asked. Where the gateway is not known the answer says so.
//
// What comes back is never trusted: nobody but the gateway is asked for a page, whatever a device says of where its pages are; nothing is
// followed elsewhere, and every page, list and wait has an end.
func NewRouterAsker(local, gateway netip.Addr) RouterAsker {
	local, gateway = local.Unmap(), gateway.Unmap()
	a := &routerAsker{waits: usual, local: local, gateway: gateway, natpmp: netip.AddrPortFrom(gateway, natpmpPort),
		// Many laptops' firewalls let in an answer only from whom was asked: the gateway is asked by its own address too.
		to: []netip.AddrPort{ssdpGroup, netip.AddrPortFrom(gateway, ssdpGroup.Port())}}
	a.client = a.httpClient()
	return a
}

type routerAsker struct {
	waits
	local, gateway netip.Addr
	to             []netip.AddrPort // where searches go
	natpmp         netip.AddrPort
	client         *http.Client

	mu     sync.Mutex
	common *goupnp.Service // of the counters; nil if there are none that can be read
}

// Router asks everything but the counters, which it only tries.
func (a *routerAsker) Router(ctx context.Context) Router {
	r := Router{Address: a.gateway}
	switch {
	case !a.gateway.IsValid() || !a.local.IsValid():
		r.Look = blind("%v", errNoGateway)
		return r
	case !a.gateway.Is4() || !a.local.Is4():
		r.Look = blind("a router is asked over IPv4 only")
		return r
	}
	ctx, cancel := context.WithTimeout(ctx, a.whole)
	defer cancel()
	outside := make(chan netip.Addr, 1)
	go func() { outside <- a.external(ctx) }()
	r.Look = a.upnp(ctx, &r)
	if wan := <-outside; wan.IsValid() {
		if !r.Looked {
			r = Router{Look: looked, Address: a.gateway, Gateways: r.Gateways, CountsWhy: r.Why, ForwardsWhy: r.Why}
		}
		if !r.WAN.IsValid() {
			r.WAN, r.WANBy = wan, "nat-pmp"
		}
	}
	return r
}

// upnp finds the gateway's own device among all that answer, and lets it describe itself.
func (a *routerAsker) upnp(ctx context.Context, r *Router) Look {
	if end, ok := ctx.Deadline(); ok && time.Until(end) < a.met {
		return blind("there was no time to ask the router")
	}
	found, err := a.discover(ctx)
	if err != nil {
		return blind("searching for the router by UPnP: %s", reason(err))
	}
	r.Gateways = found.gateways
	if len(found.pages) == 0 {
		return a.nobody(found)
	}
	why, described := "", false
	for _, page := range found.pages {
		device, err := a.fetch(ctx, page)
		if err != nil {
			why = "its description: " + reason(err)
			continue
		}
		introduce(device, r)
		described = true
		lines, err := a.lines(device)
		if err == nil {
			r.Firmware = printable(found.server, maxText)
			a.ask(ctx, lines, r)
			return looked
		}
		why = reason(err)
	}
	if described { // it says who it is, if nothing else
		r.Firmware, r.ForwardsWhy, r.CountsWhy = printable(found.server, maxText), why, why
		return looked
	}
	return blind("the router answers UPnP, but is of no help: %s", why)
}

func (a *routerAsker) nobody(f found) Look {
	switch {
	case f.elsewhere != "":
		return blind("the router says that its description is at %s, which is not its own address: nobody was asked there", f.elsewhere)
	case f.gateways == 1:
		return blind("a device answers as an internet gateway, but not the default gateway, %s", a.gateway)
	case f.gateways > 1:
		return blind("%d devices answer as internet gateways, but not the default gateway, %s", f.gateways, a.gateway)
	}
	return blind("the gateway %s does not answer UPnP", a.gateway)
}

// introduce notes who made a device, what it is, and what its owner calls it.
func introduce(d *goupnp.RootDevice, r *Router) {
	r.Maker, r.Model, r.Number, r.Name = printable(d.Device.Manufacturer, maxText), printable(d.Device.ModelName, maxText),
		printable(d.Device.ModelNumber, maxText), printable(d.Device.FriendlyName, maxText)
}

const maxText = 100 // characters of anything that a router says

// ask asks all of the line that is up.
func (a *routerAsker) ask(ctx context.Context, lines []line, r *Router) {
	up := a.up(ctx, lines)
	if up.address.IsValid() {
		r.WAN, r.WANBy = up.address, "upnp"
	}
	r.Uptime = a.uptime(ctx, up.connection)
	if err := a.try(ctx, up.common); err != nil {
		r.CountsWhy = "the router's counters: " + reason(err)
	} else {
		r.Counts = true
	}
	r.Forwards, r.ForwardsWhy = a.forwards(ctx, up.connection)
}

// try reads the counters once, and keeps where they are.
func (a *routerAsker) try(ctx context.Context, common *goupnp.Service) error {
	if common == nil {
		return errNoCounters
	}
	if _, err := a.counters(ctx, common); err != nil {
		return err
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	a.common = common
	return nil
}

var errNoCounters = errors.New("it has none")

// Counters reads the counters. The error is ctx's, the router's, or says that it has none.
func (a *routerAsker) Counters(ctx context.Context) (Counters, error) {
	a.mu.Lock()
	common := a.common
	a.mu.Unlock()
	if common == nil {
		return Counters{}, fmt.Errorf("the router's counters: %w", errNoCounters)
	}
	c, err := a.counters(ctx, common)
	if err != nil {
		return Counters{}, fmt.Errorf("the router's counters: %w", err)
	}
	return c, nil
}

// httpClient asks the gateway and nobody else, as goupnp's own would not: without a proxy, without following a redirection, with an end to
// what it reads.
func (a *routerAsker) httpClient() *http.Client {
	dialer := &net.Dialer{}
	if a.local.IsValid() {
		dialer.LocalAddr = net.TCPAddrFromAddrPort(netip.AddrPortFrom(a.local, 0))
	}
	return &http.Client{
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
		Transport: bounded{&http.Transport{
			DisableKeepAlives: true, DisableCompression: true, MaxResponseHeaderBytes: maxHeader,
			DialContext: func(ctx context.Context, network, address string) (net.Conn, error) {
				if to, err := netip.ParseAddrPort(address); err != nil || to.Addr() != a.gateway {
					return nil, errElsewhere
				}
				return dialer.DialContext(ctx, network, address)
			},
		}},
	}
}

// bounded is a transport whose answers end.
type bounded struct{ http.RoundTripper }

func (b bounded) RoundTrip(req *http.Request) (*http.Response, error) {
	resp, err := b.RoundTripper.RoundTrip(req)
	if err == nil {
		resp.Body = &limited{resp.Body, maxBody}
	}
	return resp, err
}

// A limited body is an error where it goes on after left octets.
type limited struct {
	io.ReadCloser
	left int
}

func (l *limited) Read(p []byte) (int, error) {
	if l.left == 0 {
		return 0, errTooLong
	}
	n, err := l.ReadCloser.Read(p[:min(len(p), l.left)])
	l.left -= n
	return n, err
}

var errTooLong = errors.New("it is far too long")

// touches says whether a forward takes what is meant for a VPN: a VPN's port, or all of them.
func (f Forward) touches() bool {
	if f.External == 0 {
		return true
	}
	return f.Proto == "UDP" && slices.Contains([]uint16{500, 4500, 1701}, f.External) || f.Proto == "TCP" && f.External == 1723
}
