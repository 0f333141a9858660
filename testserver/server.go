package testserver

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/netip"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"vpncheck/probe/sock"
	"vpncheck/probe/wire"
	"vpncheck/testserver/gate"
)

// What a Config leaves at zero.
var (
	DefaultLinkPorts          = []uint16{443, 8443}
	DefaultControlPort uint16 = 8443
	DefaultPPTPPort    uint16 = 1723
)

// Config says what a server is to do. Net, State and Responders are needed, the rest has its defaults.
type Config struct {
	Net       sock.Net
	Addresses []netip.Addr // to bind; none: all of both families
	// Own are the machine's addresses, among which a second one is looked for if Addresses has none; nil asks the system.
	Own         []netip.Addr
	LinkPorts   []uint16 // TCP
	ControlPort uint16   // UDP
	PPTPPort    uint16   // TCP; only tests change it, a helper in a router knows but 1723
	PagePort    uint16   // TCP, of the signed page; 0 is none
	Responders  []Responder
	State       *State
	Limits      gate.Limits
	Build       string
	// Cloud is where the machine stands: CloudOf. Nil is nowhere that is known.
	Cloud *wire.Cloud
	// Owners says what else takes a carrier's packets: MachineOwners. Nil looks for none.
	Owners func() map[wire.Carrier][]string
	Log    *slog.Logger
	Now    func() time.Time
}

// Server is one running server.
type Server struct {
	cfg     Config
	gate    *gate.Gate
	limits  gate.Limits
	host    *Host
	tls     *tls.Config
	waiting *limiter // connections to link ports that have no session yet
	ctx     context.Context
	cancel  context.CancelFunc
	tending sync.WaitGroup
	unwatch func() bool // undoes the watch on Start's context

	closing  atomic.Bool
	closed   chan struct{}
	closeErr error
}

// New prepares a server; Start opens it. A server is started once.
func New(cfg Config) *Server {
	if len(cfg.Addresses) == 0 {
		cfg.Addresses = []netip.Addr{netip.IPv4Unspecified(), netip.IPv6Unspecified()}
	}
	if len(cfg.LinkPorts) == 0 {
		cfg.LinkPorts = DefaultLinkPorts
	}
	if cfg.ControlPort == 0 {
		cfg.ControlPort = DefaultControlPort
	}
	if cfg.PPTPPort == 0 {
		cfg.PPTPPort = DefaultPPTPPort
	}
	if cfg.Log == nil {
		cfg.Log = slog.New(slog.DiscardHandler)
	}
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	cfg.Responders = append([]Responder{control{}}, cfg.Responders...)
	s := &Server{cfg: cfg, gate: gate.New(cfg.Limits, cfg.Now), waiting: newLimiter(doorTotal, doorEach)}
	s.limits = withDefault(cfg.Limits)
	s.ctx, s.cancel = context.WithCancel(context.Background())
	s.tls = s.tlsConfig()
	s.closed = make(chan struct{})
	s.host = &Host{
		net:         cfg.Net,
		addresses:   cfg.Addresses,
		gate:        s.gate,
		state:       cfg.State,
		log:         cfg.Log,
		now:         cfg.Now,
		links:       &links{by: make(map[*gate.Session]*link)},
		held:        newLimiter(heldTotal, heldEach),
		controlPort: cfg.ControlPort,
		pptpPort:    cfg.PPTPPort,
		webPort:     webPort(cfg.LinkPorts),
		ctx:         s.ctx,
	}
	s.lookAround()
	return s
}

// withDefault is the budget that a session is told.
func withDefault(l gate.Limits) gate.Limits {
	if l.Packets == 0 {
		l.Packets = gate.Default.Packets
	}
	if l.Bytes == 0 {
		l.Bytes = gate.Default.Bytes
	}
	return l
}

// Start opens everything and returns; the server runs until Close, or until ctx is done. A responder that cannot listen is told of in
// Status and to its clients; without any link port there is no server.
func (s *Server) Start(ctx context.Context) error {
	for _, port := range s.cfg.LinkPorts {
		s.host.listen(port, s.door)
	}
	if err := s.noLink(); err != nil {
		s.Close()
		return err
	}
	for _, r := range s.cfg.Responders {
		r.Listen(s.host)
	}
	s.host.watchNIC()
	s.lookForOwners() // now that our own sockets are open
	s.listenPage()
	s.host.listenICMP()
	s.unwatch = context.AfterFunc(ctx, func() { s.Close() })
	s.tending.Go(s.tend)
	return nil
}

// noLink is the first reason why there is no link port, if there is none.
func (s *Server) noLink() error {
	s.host.mu.Lock()
	defer s.host.mu.Unlock()
	err := errors.New("there is no address to bind")
	for i, l := range s.host.opened {
		if l.err == nil {
			return nil
		}
		if i == 0 {
			err = l.err
		}
	}
	return fmt.Errorf("opening a port for the link: %w", err)
}

// tend does what is due now and then.
func (s *Server) tend() {
	t, looks := time.NewTicker(proofsEvery), time.NewTicker(ownersEvery)
	defer t.Stop()
	defer looks.Stop()
	for {
		select {
		case <-looks.C:
			s.lookForOwners()
		case <-t.C:
			s.gate.Sweep()
			s.lookAround()
			if err := s.cfg.State.Save(); err != nil {
				s.cfg.Log.Error("writing the proofs", "err", err)
			}
		case <-s.ctx.Done():
			return
		}
	}
}

// Close ends the sessions, telling them so, and closes everything. It may be called again.
func (s *Server) Close() error {
	if s.closing.CompareAndSwap(false, true) {
		s.closeErr = s.close()
		close(s.closed)
	}
	<-s.closed
	return s.closeErr
}

func (s *Server) close() error {
	if s.unwatch != nil {
		s.unwatch()
	}
	s.cancel()
	s.host.close()
	for _, l := range s.host.links.all() {
		l.end(&wire.Bye{Reason: byeStopping, Why: byeStoppingWhy})
	}
	s.host.readers.Wait()
	s.tending.Wait()
	return s.cfg.State.Save()
}

// second is another address of the server, of the same family and reach as the one that was asked, on which it listens too; the
// zero Addr if there is none.
func (s *Server) second(own netip.Addr) netip.Addr {
	candidates := slices.Clone(s.cfg.Addresses)
	if slices.ContainsFunc(candidates, netip.Addr.IsUnspecified) {
		candidates = s.own()
	}
	for _, a := range candidates {
		if a != own && a.Is4() == own.Is4() && a.IsGlobalUnicast() && isInside(a) == isInside(own) {
			return a
		}
	}
	return netip.Addr{}
}

var sharedSpace = netip.MustParsePrefix("100.64.0.0/10") // RFC 6598: a provider's NAT, or an overlay network

// isInside says of an address that it cannot be reached over the internet.
func isInside(a netip.Addr) bool { return a.IsPrivate() || sharedSpace.Contains(a) }

// lookAround tells the host which addresses are the machine's own now.
func (s *Server) lookAround() {
	own := s.own()
	s.host.own.Store(&own)
}

// own are the machine's addresses.
func (s *Server) own() []netip.Addr {
	if s.cfg.Own != nil {
		return s.cfg.Own
	}
	found, err := net.InterfaceAddrs()
	if err != nil {
		return nil
	}
	var own []netip.Addr
	for _, f := range found {
		if p, err := netip.ParsePrefix(f.String()); err == nil {
			own = append(own, p.Addr().Unmap())
		}
	}
	return own
}
