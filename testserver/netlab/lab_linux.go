package netlab

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/netip"
	"os"
	"os/exec"
	"sync"
	"syscall"

	"golang.org/x/sys/unix"
)

// A Lab is a running internet. All its methods may be called at any time from any goroutine.
type Lab struct {
	plan     plan
	machines map[Host]*machine

	mu       sync.Mutex
	closed   bool
	closers  []io.Closer // impostors and bumps
	children []*os.Process
}

// Build makes a lab of a router. When it returns, all wires are up. If the router needs a TUN device and there is none, the error is
// ErrNoTUN.
func Build(ctx context.Context, r Router) (*Lab, error) {
	l := &Lab{plan: addressesOf(r), machines: make(map[Host]*machine)}
	if err := l.build(ctx, r); err != nil {
		l.Close()
		return nil, fmt.Errorf("building the lab %q: %w", r.Name, err)
	}
	return l, nil
}

func (l *Lab) build(ctx context.Context, r Router) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	for _, w := range l.plan.links {
		for _, h := range []Host{w.a.host, w.b.host} {
			if l.machines[h] != nil {
				continue
			}
			m, err := newMachine()
			if err != nil {
				return err
			}
			l.machines[h] = m
			if err := m.run(func() error { return setUp(h == Home || h == ISP) }); err != nil {
				return fmt.Errorf("%s: %w", h, err)
			}
		}
	}
	err := l.on([]step{
		{Home, func() error { return install(r.Home, homeSide) }},
		{ISP, func() error { return install(r.ISP, ispSide) }},
		{Laptop, func() error { return installHost(r.Laptop) }},
		{Server, func() error { return installHost(r.Server) }},
	})
	if err != nil {
		return err
	}
	if err := l.wire(ctx, r); err != nil {
		return err
	}
	if err := l.on([]step{{Server, func() error { return elsewhere(r.Server.Elsewhere) }}}); err != nil {
		return err
	}
	if err := l.impersonate(r.Impostor); err != nil {
		return err
	}
	if err := l.announce(r.Home.IGD); err != nil {
		return err
	}
	if err := l.remember(ctx, Other, r.Earlier); err != nil {
		return err
	}
	if err := l.remember(ctx, Laptop, r.Before); err != nil {
		return err
	}
	return l.on([]step{{Home, func() error { return forbid(r.Home, homeSide) }}})
}

// A step of building happens on one host's own thread.
type step struct {
	host Host
	do   func() error
}

func (l *Lab) on(steps []step) error {
	for _, s := range steps {
		if err := l.machines[s.host].run(s.do); err != nil {
			return fmt.Errorf("%s: %w", s.host, err)
		}
	}
	return nil
}

// Addr returns a host's IPv4 address; that of home is its inside address, that of server its public one. It is the zero Addr for a host that the router's lab does not have.
func (l *Lab) Addr(h Host) netip.Addr {
	switch h {
	case Home:
		return l.plan.links[0].b.addrs[0].Addr()
	case Server:
		return serverAddrs[0].public
	}
	return l.plan.addr(h, false)
}

// Addr6 returns a host's IPv6 address; that of home is its inside address.
func (l *Lab) Addr6(h Host) netip.Addr { return l.plan.addr(h, true) }

// WAN returns the home router's outside address. With a second NAT it is not what the server sees.
func (l *Lab) WAN() netip.Addr { return l.plan.wan }

// Second returns the server's second address.
func (l *Lab) Second() netip.Addr { return serverAddrs[1].public }

// Inside returns what the server itself has in the place of public, one of its addresses: something else if it is behind a NAT of its own.
func (l *Lab) Inside(public netip.Addr) netip.Addr {
	for i, a := range serverAddrs {
		if a.public == public {
			return serverAddr(i, l.plan.serverNAT)
		}
	}
	return public
}

// Start starts cmd on a host. The caller waits for it as usual. It is killed by Close, and when this process dies; a program that changes
// its user survives the latter, because then the kernel forgets whom to kill.
func (l *Lab) Start(h Host, cmd *exec.Cmd) error {
	m, err := l.machine(h)
	if err != nil {
		return err
	}
	if cmd.SysProcAttr == nil {
		cmd.SysProcAttr = &syscall.SysProcAttr{}
	}
	cmd.SysProcAttr.Pdeathsig = syscall.SIGKILL
	l.mu.Lock() // so that Close sees every child
	defer l.mu.Unlock()
	if l.closed {
		return errClosed
	}
	if err := m.run(cmd.Start); err != nil {
		return fmt.Errorf("starting a program on %s: %w", h, err)
	}
	l.children = append(l.children, cmd.Process)
	return nil
}

// Do calls f on a thread that is inside a host's namespace and ends with f. Sockets that f opens stay in the namespace and may be used
// anywhere. Programs are for Start.
func (l *Lab) Do(h Host, f func() error) error {
	m, err := l.machine(h)
	if err != nil {
		return err
	}
	return m.visit(f)
}

func (l *Lab) machine(h Host) (*machine, error) {
	if m := l.machines[h]; m != nil {
		return m, nil
	}
	return nil, fmt.Errorf("this lab has no host %q", h)
}

// keep remembers what Close must close.
func (l *Lab) keep(c io.Closer) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.closers = append(l.closers, c)
}

// Close ends the lab. Programs that Start started are dead when it returns; whoever started them still has to Wait.
func (l *Lab) Close() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.closed {
		return nil
	}
	l.closed = true
	var errs []error
	for _, p := range l.children {
		if err := p.Kill(); err != nil && !errors.Is(err, os.ErrProcessDone) {
			errs = append(errs, err)
			continue
		}
		// Nobody but the caller may reap it: WNOWAIT only waits until it is dead, ECHILD means that it was reaped already.
		for unix.Waitid(unix.P_PID, p.Pid, nil, unix.WEXITED|unix.WNOWAIT, nil) == unix.EINTR {
		}
	}
	for _, c := range l.closers {
		errs = append(errs, c.Close())
	}
	for _, m := range l.machines {
		m.close()
	}
	return errors.Join(errs...)
}
