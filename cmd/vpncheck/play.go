package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"vpncheck/probe"
	"vpncheck/report"
	"vpncheck/testserver/netlab"
)

// A play is a lab in which this program plays all the parts: the server, the neighbour who proves it, and the laptop.
type play struct {
	lab    *netlab.Lab
	server netip.Addr
	dir    string
	link   string // the connection string
	cast   []*actor
}

// plays are those that are under way. The lock is held whenever a directory is made or an actor started.
var plays struct {
	sync.Mutex
	underway map[*play]bool
}

// abandonPlays removes what the plays wrote, the server's key among it, just before the program ends: it keeps the lock, so nothing new
// begins.
func abandonPlays() {
	plays.Lock()
	for p := range plays.underway {
		for _, a := range p.cast {
			a.cmd.Process.Kill()
		}
	}
	patience := time.After(farewell)
	for p := range plays.underway {
		for _, a := range p.cast {
			select {
			case <-a.gone:
			case <-patience:
			}
		}
		os.RemoveAll(p.dir)
	}
}

// makeDir makes the directory of a play, and remembers that it is to be removed.
func (p *play) makeDir() (err error) {
	plays.Lock()
	defer plays.Unlock()
	if p.dir, err = os.MkdirTemp("", "vpncheck-demo-"); err != nil {
		return err
	}
	if plays.underway == nil {
		plays.underway = make(map[*play]bool)
	}
	plays.underway[p] = true
	return nil
}

func (p *play) removeDir() error {
	err := os.RemoveAll(p.dir)
	plays.Lock()
	defer plays.Unlock()
	delete(plays.underway, p)
	return err
}

// An actor is this program again, on one of the lab's hosts.
type actor struct {
	cmd   *exec.Cmd
	stdin io.Closer // closing it asks the actor to end
	said  bytes.Buffer
	gone  chan struct{}
}

const (
	entrance = 20 * time.Second // for the server to be ready
	farewell = 5 * time.Second  // for an actor to end when asked
)

// stage builds a lab and brings the server on, proven if the router has a neighbour.
func stage(ctx context.Context, r netlab.Router, family string, built func(*netlab.Lab)) (*play, error) {
	lab, err := netlab.Build(ctx, r)
	if err != nil {
		return nil, err
	}
	p := &play{lab: lab, server: lab.Addr(netlab.Server)}
	if family == "6" {
		p.server = lab.Addr6(netlab.Server)
	}
	built(lab)
	if err = p.makeDir(); err == nil {
		err = p.serve(ctx)
	}
	if err == nil && r.Neighbour {
		err = p.prove(ctx)
	}
	if err != nil {
		p.close()
		return nil, err
	}
	return p, nil
}

// start brings an actor on. Its standard error is kept.
func (p *play) start(host netlab.Host, stdout io.Writer, extra []*os.File, args ...string) (*actor, error) {
	a := &actor{gone: make(chan struct{})}
	a.cmd = &exec.Cmd{
		Path: "/proc/self/exe", Args: append([]string{"vpncheck"}, args...), Stdout: stdout, Stderr: &a.said, ExtraFiles: extra,
		Env: append(os.Environ(), untilEOF+"=1", connEnv+"="+p.link, peerEnv+"="),
	}
	stdin, err := a.cmd.StdinPipe()
	if err != nil {
		return nil, fmt.Errorf("starting %s on %s: %w", args[0], host, err)
	}
	a.stdin = stdin
	plays.Lock()
	defer plays.Unlock()
	if err := p.lab.Start(host, a.cmd); err != nil {
		return nil, err
	}
	go func() { defer close(a.gone); a.cmd.Wait() }()
	p.cast = append(p.cast, a)
	return a, nil
}

// wait waits for an actor to end, and asks it to when ctx is done. It returns its exit status.
func (a *actor) wait(ctx context.Context) int {
	select {
	case <-a.gone:
	case <-ctx.Done():
		a.stop()
	}
	return a.cmd.ProcessState.ExitCode()
}

// stop asks an actor to end, and then sees to it.
func (a *actor) stop() {
	a.stdin.Close()
	select {
	case <-a.gone:
	case <-time.After(farewell):
		a.cmd.Process.Kill()
		<-a.gone
	}
}

// serve brings the server on and waits until it is ready.
func (p *play) serve(ctx context.Context) error {
	ready, write, err := os.Pipe()
	if err != nil {
		return fmt.Errorf("starting the server: %w", err)
	}
	defer ready.Close()
	a, err := p.start(netlab.Server, nil, []*os.File{write}, "serve", "--state-dir", filepath.Join(p.dir, "state"),
		"--advertise", p.server.String(), "--ready-file", "/dev/fd/3", "--cloud", "none")
	write.Close()
	if err != nil {
		return err
	}
	line := make(chan string, 1)
	go func() {
		text, _ := bufio.NewReader(ready).ReadString('\n')
		line <- strings.TrimSpace(text)
	}()
	select {
	case p.link = <-line:
	case <-ctx.Done():
		return context.Cause(ctx)
	case <-time.After(entrance):
	}
	if p.link == "" {
		a.stop()
		return fmt.Errorf("the demo's server did not start: %s", a.last())
	}
	return nil
}

// prove lets the neighbour show the server that packets arrive.
func (p *play) prove(ctx context.Context) error {
	a, err := p.start(netlab.Neighbour, nil, nil, "run", "--prove")
	if err != nil {
		return err
	}
	// What the network does not carry stays unproven, and that is not the neighbour's fault.
	if code := a.wait(ctx); code != 0 && code != exitUndecided && ctx.Err() == nil {
		return fmt.Errorf("the demo's neighbour could not prove the server (exit status %d): %s", code, a.last())
	}
	return context.Cause(ctx)
}

// laptop runs the test itself.
func (p *play) laptop(ctx context.Context, f runFlags, on func(probe.Event)) (report.Report, error) {
	name := filepath.Join(p.dir, "report.json")
	args := []string{"run", "--events", "-", "-o", name}
	if len(f.only) > 0 {
		args = append(args, "--only", strings.Join(f.only, ","))
	}
	if f.family != "" {
		args = append(args, "--family", f.family)
	}
	if f.changed != 0 {
		args = append(args, "--changed", f.changed.String())
	}
	if f.deep {
		args = append(args, "--deep")
	}
	if f.timeout != 0 {
		args = append(args, "--timeout", f.timeout.String())
	}
	if f.to != "" {
		args = append(args, "--to", f.to)
	}
	out, in := io.Pipe()
	read := make(chan struct{})
	go func() {
		defer close(read)
		for d := json.NewDecoder(out); ; {
			var e probe.Event
			if d.Decode(&e) != nil {
				io.Copy(io.Discard, out)
				return
			}
			on(e)
		}
	}()
	a, err := p.start(netlab.Laptop, in, nil, args...)
	if err != nil {
		return report.Report{}, err
	}
	code := a.wait(ctx)
	in.Close()
	<-read
	rep, err := readReport(name, nil)
	if err != nil {
		return rep, fmt.Errorf("the demo's laptop made no report (exit status %d): %s", code, a.last())
	}
	return rep, nil
}

// last is the last thing that an actor said before it ended.
func (a *actor) last() string {
	lines := strings.Split(strings.TrimSpace(a.said.String()), "\n")
	return strings.TrimPrefix(strings.Join(lines[max(0, len(lines)-2):], "; "), "vpncheck: error: ")
}

// close ends everything that was started, and removes what was written.
func (p *play) close() error {
	for i := len(p.cast) - 1; i >= 0; i-- {
		p.cast[i].stop()
	}
	return errors.Join(p.lab.Close(), p.removeDir())
}

// both hands an event to a program and to a person.
type both struct {
	ev   *events
	show *live
}

func (b both) on(e probe.Event) { b.ev.on(e); b.show.on(e) }
