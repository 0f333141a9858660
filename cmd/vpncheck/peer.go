package main

import (
	"bytes"
	"cmp"
	"context"
	"fmt"
	"io"
	"math/rand/v2"
	"net/netip"
	"os"
	"strings"
	"sync"
	"time"

	"vpncheck/probe"
	"vpncheck/probe/sock"
	"vpncheck/probe/wire"
	"vpncheck/report"
)

const (
	peerEnv     = "VPNCHECK_PEER"
	maxPeers    = 16
	maxPeerFile = 64 << 10
	peerFirst   = 5 * time.Second
	peerEvery   = time.Hour
	peerAgain   = 20 * time.Minute // where something was not proved: longer than what this server has sent itself keeps a proof from counting
	peerTime    = 2 * time.Minute  // for one test
)

// peerStrings reads the connection strings of other servers: those of --peer, of the files that --peer @FILE names, and of the environment.
func peerStrings(given []string, env string) ([]wire.ConnString, error) {
	var out []wire.ConnString
	add := func(where, text string) error {
		for line := range strings.Lines(text) {
			line, _, _ = strings.Cut(line, "#")
			for word := range strings.FieldsSeq(line) {
				c, err := wire.ParseConnString(word)
				if err != nil {
					return wrongUsage(`give the line that "vpncheck serve" printed on the other server, from vpncheck:// to its last letter`, "%s: %w", where, err)
				}
				out = append(out, c)
			}
		}
		return nil
	}
	for _, text := range given {
		where := "--peer"
		if name, ok := strings.CutPrefix(text, "@"); ok {
			where = "--peer " + text
			b, err := readSome(name, maxPeerFile)
			if err != nil {
				return nil, wrongUsage("", "--peer @%.200s: %w", name, unnamed(err))
			}
			text = string(b)
		}
		before := len(out)
		if err := add(where, text); err != nil {
			return nil, err
		}
		if len(out) == before {
			return nil, wrongUsage("", "%.200s holds no connection string", where)
		}
	}
	if err := add(peerEnv, env); err != nil {
		return nil, err
	}
	return distinctPeers(out)
}

func distinctPeers(all []wire.ConnString) (out []wire.ConnString, err error) {
	have := make(map[string]bool)
	for _, c := range all {
		if !have[c.String()] {
			out = append(out, c)
		}
		have[c.String()] = true
	}
	if len(out) > maxPeers {
		return nil, wrongUsage("", "--peer: %d other servers are too many, %d at most", len(out), maxPeers)
	}
	return out, nil
}

func readSome(name string, most int64) ([]byte, error) {
	f, err := os.Open(name)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	b, err := io.ReadAll(io.LimitReader(f, most+1))
	if err == nil && int64(len(b)) > most {
		err = fmt.Errorf("it has more than %d octets", most)
	}
	return b, err
}

// noSelf refuses this server's own connection string: what a machine sends to itself proves nothing.
func noSelf(others []wire.ConnString, own wire.ConnString) error {
	for _, c := range others {
		if bytes.Equal(c.Pin[:], own.Pin[:]) {
			return wrongUsage("give that of the other server; its administrator gets this one", "--peer is this server's own connection string")
		}
	}
	return nil
}

// peers tests the way to other servers, at the start and then every hour, so that they know what arrives there. It proves nothing here.
type peers struct {
	net    sock.Net
	others []wire.ConnString
	look   func(netip.Addr) probe.LaptopFacts
	sentTo func(...netip.Addr) error // told of every address before packets are sent there, and after
	say    func(string)              // one sentence, for the administrator

	turn chan struct{} // one test at a time
}

// run tests until ctx is done.
func (p *peers) run(ctx context.Context) {
	p.turn = make(chan struct{}, 1)
	var all sync.WaitGroup
	for _, c := range p.others {
		all.Go(func() { p.tend(ctx, c) })
	}
	all.Wait()
}

func (p *peers) tend(ctx context.Context, c wire.ConnString) {
	last := ""
	for wait := peerFirst; rest(ctx, jitter(wait)); {
		outcome := p.test(ctx, c)
		if ctx.Err() != nil {
			return
		}
		if outcome.says != "" && outcome.says != last {
			p.say(outcome.says)
		}
		last, wait = outcome.says, peerEvery
		if !outcome.good {
			wait = peerAgain
		}
	}
}

// rest waits, and says whether ctx let it.
func rest(ctx context.Context, d time.Duration) bool {
	select {
	case <-time.After(d):
		return true
	case <-ctx.Done():
		return false
	}
}

// jitter is d, a fifth more or less: two servers that ask each other at the same minute would always meet an open firewall.
func jitter(d time.Duration) time.Duration { return d*4/5 + rand.N(d*2/5) }

// A peerOutcome is what came of one test: what to say of it, and whether it can wait for an hour.
type peerOutcome struct {
	says string
	good bool
}

// test comes once to the other server, only to prove that packets arrive there.
func (p *peers) test(ctx context.Context, c wire.ConnString) peerOutcome {
	p.turn <- struct{}{}
	defer func() { <-p.turn }()
	ctx, cancel := context.WithTimeout(ctx, peerTime)
	defer cancel()
	path := probe.Open(ctx, probe.Config{
		Net: p.net, Host: c.Host, Port: c.Port, Access: c.Access, Pin: c.Pin, Build: version(), Prove: true, Look: p.look,
	})
	var to []netip.Addr
	if facts := path.Circumstances(); facts.NoSession == nil { // else nothing will be sent
		to = []netip.Addr{path.Server, facts.Server.Second}
	}
	probes, _, _ := choose(nil)
	err := p.sentTo(to...)
	r := probe.Run(ctx, path, probes, nil)
	if err2 := p.sentTo(to...); err != nil || err2 != nil {
		p.say("remembering where packets were sent to: " + cmp.Or(err, err2).Error())
	}
	return outcomeOf(r, probes)
}

// maxSays are the characters of what is said of one test: half of it is the other server's own word.
const maxSays = 600

// outcomeOf puts a test into one sentence, fit for a terminal and a log.
func outcomeOf(r probe.Result, probes []probe.Probe) peerOutcome {
	o := outcome(r, probes)
	o.says = report.Clean(o.says, maxSays)
	return o
}

func outcome(r probe.Result, probes []probe.Probe) peerOutcome {
	host := report.Clean(r.Circumstances.Server.Host, 60)
	p := provingOf(r, probes)
	switch c := r.Circumstances; {
	case c.Stop != nil && (c.Stop.Reason == probe.ServerOnLink || c.Stop.Reason == probe.ServerHairpin):
		return peerOutcome{says: "the other server " + host + " is in this one's own network, or behind the same router: from here nothing can be proved to it"}
	case c.NoSession != nil, c.Stop != nil:
		_, why, _ := strings.Cut(report.New(r, probes, report.Tool{}).Summary.Headline, ": ")
		return peerOutcome{says: "testing the other server " + host + ": " + strings.TrimSuffix(why, ".")}
	case len(p.dropped) > 0:
		return peerOutcome{says: "the firewall of the other server " + host + " itself drops " + carrierList(p.dropped)}
	case len(p.unheard) > 0:
		return peerOutcome{says: "what was sent to the other server " + host + " did not arrive: " + carrierList(p.unheard)}
	case len(p.arrived)+len(p.uncounted) == 0:
		return peerOutcome{says: "nothing could be sent to the other server " + host}
	case len(p.uncounted) > 0:
		return peerOutcome{} // it has tested this one just now
	}
	says := "proved to the other server " + host + " that packets arrive there"
	for _, u := range append(p.unready, p.unsent...) {
		says += "; not " + carrierList(u.carriers) + ": " + report.Clean(plainly(u.why), 100)
	}
	return peerOutcome{says: says, good: true}
}
