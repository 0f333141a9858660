package probe

import (
	"cmp"
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"runtime"
	"syscall"
	"time"

	"vpncheck/probe/sock"
	"vpncheck/probe/wire"
	"vpncheck/probe/witness"
)

// Config is what a session is opened with.
type Config struct {
	Net    sock.Net
	Host   string
	Port   uint16 // of the side channel; 0 means 443, then 8443
	Access []byte
	Pin    [20]byte
	Family int // 4, 6, or 0 for IPv4 if the host has it: the old protocols live there
	Build  string
	Prove  bool // come only to show that packets arrive
	// Look gathers what the laptop knows of itself towards an address; nil looks at nothing.
	Look func(server netip.Addr) LaptopFacts
	// Portal asks, with plain HTTP, whether somebody answers in the server's place, and where one signs in, or whether the server itself does;
	// nil asks nothing.
	Portal func(ctx context.Context, host string) witness.Sign
	// Router asks the laptop's gateway about itself, if it is set.
	Router witness.RouterAsker
	// Deep plays more rounds: 30 small ones of each deciding part, and three of full size.
	Deep bool
	// Changed is how long ago a setting of the router was changed, as the person said; zero if none was.
	Changed time.Duration
	// Own, if set, is the person's own VPN server, to be asked in the same run. Its Net, Family, Look and Resolve may be left empty.
	Own *OwnConfig
	// Resolve looks a host name up; nil means the system's resolver.
	Resolve func(ctx context.Context, network, host string) ([]netip.Addr, error)
}

// linkPorts are tried in this order, the later ones with a handicap.
var linkPorts = []uint16{443, 8443}

const (
	openTimeout = 9 * time.Second // a line that is dead for a second now and then needs most of it
	handicap    = 700 * time.Millisecond
)

// Open opens a session. It always returns a Path: where no session could be had, its Circumstances say what was found instead, and Run
// makes a report of that.
func Open(ctx context.Context, cfg Config) *Path {
	p := &Path{net: cfg.Net, prove: cfg.Prove, deep: cfg.Deep, router: cfg.Router, ikeOpened: make(chan struct{}), facts: Circumstances{Server: ServerFacts{Host: cfg.Host}, Laptop: LaptopFacts{OS: runtime.GOOS}}}
	p.facts.Changed = cfg.Changed
	p.pin, p.web = cfg.Pin, cmp.Or(cfg.Port, linkPorts[0])
	p.own = cfg.ownConfig()
	ctx, cancel := context.WithTimeout(ctx, openTimeout)
	defer cancel()
	server, other, none := resolve(ctx, cfg)
	if none != nil {
		p.facts.NoSession = none
		return p
	}
	p.Server = server
	if _, err := cfg.Net.Source(other); other.IsValid() && err == nil { // the laptop could have asked it
		p.facts.Server.Other = other
	}
	p.look(cfg)
	conn, port, tried := race(ctx, cfg, server)
	if conn == nil {
		p.facts.NoSession = p.noSession(ctx, cfg, tried)
		return p
	}
	p.facts.Server.Link = port
	if none := p.open(ctx, cfg, conn); none != nil {
		none.Tried = tried
		p.facts.NoSession = none
		conn.Close()
	}
	return p
}

// resolve picks one address of the host and family for the whole run (F58, T37). The other is the host's of the other family, if it has any.
func resolve(ctx context.Context, cfg Config) (server, other netip.Addr, none *NoSessionFacts) {
	var found []netip.Addr
	if a, err := netip.ParseAddr(cfg.Host); err == nil {
		found = []netip.Addr{a}
	} else {
		lookup := cfg.Resolve
		if lookup == nil {
			lookup = net.DefaultResolver.LookupNetIP
		}
		if found, err = lookup(ctx, "ip", cfg.Host); err != nil {
			reason, why := nameless(cfg.Net, err)
			return server, other, &NoSessionFacts{Reason: reason, Args: map[string]any{"host": cfg.Host, "why": why}}
		}
	}
	var v4, v6 netip.Addr
	for _, a := range found {
		switch a = a.Unmap(); {
		case a.Is4() && !v4.IsValid():
			v4 = a
		case a.Is6() && !v6.IsValid():
			v6 = a
		}
	}
	switch {
	case v4.IsValid() && cfg.Family != 6:
		return v4, v6, nil
	case v6.IsValid() && cfg.Family != 4:
		return v6, v4, nil
	}
	return server, other, &NoSessionFacts{Reason: NoAddress, Args: map[string]any{"host": cfg.Host, "family": cfg.Family}}
}

// nameless says why a name was not turned into an address: on a laptop with no way out of it, that is no fault of the name.
func nameless(n sock.Net, err error) (Reason, string) {
	if n != nil {
		_, err4 := n.Source(netip.MustParseAddr("192.0.2.1"))
		_, err6 := n.Source(netip.MustParseAddr("2001:db8::1"))
		if err4 != nil && err6 != nil {
			return NoRoute, err4.Error()
		}
	}
	return UnknownHost, dnsWhy(err)
}

func dnsWhy(err error) string {
	var dns *net.DNSError
	switch {
	case errors.As(err, &dns) && dns.IsNotFound:
		return "no such name"
	case errors.As(err, &dns) && dns.IsTimeout:
		return "the name server did not answer"
	}
	return err.Error()
}

// look notes what the laptop knows of itself, and what makes every verdict void from the start.
func (p *Path) look(cfg Config) {
	if cfg.Look != nil {
		p.facts.Laptop = cfg.Look(p.Server)
	}
	if a, err := cfg.Net.Source(p.Server); err == nil {
		p.Local = a.Unmap()
		p.facts.Laptop.Local = p.Local
	}
	p.facts.Server.Address = p.Server
	switch l := p.facts.Laptop; {
	case l.VPN != "" && !cfg.Prove: // whichever way it goes, what arrives has arrived
		p.stop(ActiveVPN, map[string]any{"interface": l.VPN})
	case l.OnLink:
		p.stop(ServerOnLink, map[string]any{"server": p.Server.String(), "local": p.Local.String()})
	}
}

// race tries the ports side by side, the later ones with a handicap, and keeps the first that proves to be the server.
func race(ctx context.Context, cfg Config, server netip.Addr) (*tls.Conn, uint16, []Attempt) {
	ports := linkPorts
	if cfg.Port != 0 {
		ports = []uint16{cfg.Port}
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	type result struct {
		conn    *tls.Conn
		attempt Attempt
	}
	results := make(chan result, len(ports))
	early := make(chan struct{}) // closed when the first port has failed: the next need not wait
	for i, port := range ports {
		go func() {
			if i > 0 {
				select {
				case <-early:
				case <-ctx.Done():
				case <-time.After(handicap * time.Duration(i)):
				}
			}
			conn, a := attempt(ctx, cfg, netip.AddrPortFrom(server, port))
			if i == 0 && conn == nil {
				close(early)
			}
			results <- result{conn, a}
		}()
	}
	var tried []Attempt
	var won *tls.Conn
	var port uint16
	for range ports {
		r := <-results
		switch {
		case won != nil && r.conn != nil:
			r.conn.Close()
		case won == nil && r.conn != nil:
			won, port = r.conn, r.attempt.Address.Port()
			cancel()
		}
		if won == nil || r.conn != nil {
			tried = append(tried, r.attempt)
		}
		if won == nil && r.attempt.Result != "timeout" {
			// Somebody answered in the server's place: the other port has its chance, but need not be waited for to the end.
			defer time.AfterFunc(openTimeout/3, cancel).Stop()
		}
	}
	return won, port, tried
}

// attempt makes one TLS connection and tells what stood at the other end.
func attempt(ctx context.Context, cfg Config, to netip.AddrPort) (*tls.Conn, Attempt) {
	began := time.Now()
	a := Attempt{Address: to}
	conn, err := handshake(ctx, cfg, to, &a)
	a.Seconds = time.Since(began).Seconds()
	if err != nil {
		a.Detail = err.Error()
	}
	return conn, a
}

var errPin = errors.New("the certificate is not the server's")

func handshake(ctx context.Context, cfg Config, to netip.AddrPort, a *Attempt) (*tls.Conn, error) {
	raw, err := cfg.Net.Dial(ctx, netip.Addr{}, to)
	if err != nil {
		a.Result = dialResult(err)
		return nil, err
	}
	conn := tls.Client(raw, &tls.Config{
		MinVersion: tls.VersionTLS12, // to hear out an impostor of TLS 1.2; ours speaks 1.3, and only ours has the pin
		NextProtos: []string{wire.LinkProtocol},
		ServerName: cfg.Host,
		// The pin is all we trust: VerifyConnection below takes the place of the certificate authorities.
		InsecureSkipVerify: true,
		VerifyConnection: func(cs tls.ConnectionState) error {
			leaf := cs.PeerCertificates[0]
			if wire.PinOf(leaf.RawSubjectPublicKeyInfo) == cfg.Pin && cs.NegotiatedProtocol == wire.LinkProtocol {
				return nil
			}
			a.Result = "other-certificate"
			if cs.NegotiatedProtocol == wire.LinkProtocol {
				a.Result = "other-key"
			}
			return notPinned(leaf)
		},
	})
	if err := conn.HandshakeContext(ctx); err != nil {
		raw.Close()
		if a.Result == "" {
			a.Result = handshakeResult(err)
		}
		return nil, err
	}
	a.Result = "open"
	return conn, nil
}

// notPinned says whose certificate it is, in so many characters that a report can hold them: a certificate may have a hundred thousand.
func notPinned(c *x509.Certificate) error {
	return fmt.Errorf("%w: issued to %.100q by %.100q", errPin, name(c), c.Issuer.CommonName)
}

func name(c *x509.Certificate) string {
	if len(c.DNSNames) > 0 {
		return c.DNSNames[0]
	}
	return c.Subject.CommonName
}

func dialResult(err error) string {
	switch {
	case errors.Is(err, syscall.ECONNREFUSED), errors.Is(err, syscall.ECONNRESET):
		return "refused"
	case errors.Is(err, syscall.ENETUNREACH), errors.Is(err, syscall.EHOSTUNREACH):
		return "unreachable"
	case errors.Is(err, syscall.EPERM), errors.Is(err, syscall.EACCES):
		return "laptop-firewall"
	}
	return "timeout"
}

func handshakeResult(err error) string {
	var timeout net.Error
	switch {
	case errors.As(err, &timeout) && timeout.Timeout(), errors.Is(err, context.DeadlineExceeded), errors.Is(err, context.Canceled):
		return "silent"
	case alerted(err):
		return "other-certificate"
	}
	return "not-tls"
}
