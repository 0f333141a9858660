package probe

import (
	"context"
	"errors"
	"maps"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"vpncheck/probe/sock"
)

// An Event is what happens while a run is under way, as it happens.
type Event struct {
	Kind     string    `json:"event"` // "session", "started", "waiting", "percent", "verdict", "own", "witness", "done"
	At       time.Time `json:"at"`
	Protocol string    `json:"protocol,omitempty"`
	Finding  *Finding  `json:"finding,omitempty"` // with "verdict"
	Percent  int       `json:"percent,omitempty"` // with "percent"
	// AtMost comes with "waiting": another laptop behind the same public address is being tested, and this one waits for its turn.
	AtMost time.Duration `json:"at_most_ns,omitempty"`
}

// A Result is a whole run: facts, and what Judge made of them.
type Result struct {
	Started       time.Time
	Ended         time.Time
	Observations  []Observation // in the order of the probes
	Findings      []Finding     // one for each observation
	Circumstances Circumstances
	Own           *Own // what came of asking the person's own VPN server; nil if nobody did
}

// Run holds the conversations, side by side where Info.After allows it, and judges them. on is called for each event, one at a time. Run ends
// the session. A path without a session gives a result in which everything is untested.
func Run(ctx context.Context, p *Path, probes []Probe, on func(Event)) Result {
	r := &run{path: p, probes: probes, on: on, started: time.Now(), obs: make([]*Observation, len(probes)), tallies: map[string]Tally{}, done: map[string]chan struct{}{}}
	if p.link != nil && !p.stopped() {
		r.hold(ctx)
	}
	r.askOwn(ctx, nil)() // if the conversations did not come so far
	if ctx.Err() != nil {
		p.stop(ended(ctx), nil)
	}
	if p.link != nil {
		p.link.close()
	}
	return r.result()
}

// ended is why a run was called off: by the person, or by its own time limit.
func ended(ctx context.Context) Reason {
	if errors.Is(ctx.Err(), context.DeadlineExceeded) {
		return TimeUp
	}
	return Interrupted
}

type run struct {
	path    *Path
	probes  []Probe
	on      func(Event)
	started time.Time

	over    atomic.Bool // nothing more is to be asked
	telling sync.Mutex  // events come one at a time

	mu      sync.Mutex
	obs     []*Observation
	tallies map[string]Tally // of those that are in
	told    map[string]bool
	done    map[string]chan struct{} // by probe id, or that and a part's; closed when it has ended
	parts   map[string]float64
	percent int

	own     *Own           // what came of asking the person's own VPN server
	settled *Circumstances // as the conversations left them; nil if they did not come to their end
}

// hold runs every probe, each in its own time, with the control beating all the while.
func (r *run) hold(ctx context.Context) {
	r.told, r.parts = map[string]bool{}, map[string]float64{}
	whole := ctx
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	beating, still := context.WithCancel(context.WithoutCancel(ctx))
	defer still()
	r.path.progress = r.progress
	r.path.waiting = func(protocol string, atMost time.Duration) {
		r.event(Event{Kind: "waiting", Protocol: protocol, AtMost: atMost})
	}
	go r.path.heart.run(beating, r.path.link, r.controlSocket())
	go r.watch(beating, cancel)
	r.path.listenICMP(beating.Done())
	router := r.askRouter(ctx)
	r.event(Event{Kind: "session"})
	r.path.partEnded = r.close
	for _, p := range r.probes {
		r.done[p.Info().ID] = make(chan struct{})
		for _, before := range p.Info().After {
			if strings.Contains(before, "/") {
				r.done[before] = make(chan struct{})
			}
		}
	}
	if _, ok := r.done["ike"]; !ok {
		r.path.ikeDone() // nobody to wait for
	}
	r.observe(ctx, false)
	owned := r.askOwn(whole, r.path.clear) // a session that ends says nothing of that server
	if slices.ContainsFunc(r.probes, func(p Probe) bool { return p.Info().Late }) {
		r.path.calm()
		r.observe(ctx, true)
	}
	r.path.over()
	owned() // random octets leave from the same ports
	r.random(ctx)
	r.over.Store(true)
	r.tell()
	r.ask(ctx, r.settle(ctx, router))
}

// observe runs those that are late, or those that are not, and waits for them.
func (r *run) observe(ctx context.Context, late bool) {
	var all sync.WaitGroup
	for i, p := range r.probes {
		if p.Info().Late == late {
			all.Go(func() {
				defer r.close(p.Info().ID)
				r.one(ctx, i, p)
			})
		}
	}
	all.Wait()
}

// close lets those go on that wait for a probe, or for one form of it. The forms of a probe have ended when it has.
func (r *run) close(name string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for before, ch := range r.done {
		if before != name && !strings.HasPrefix(before, name+"/") {
			continue
		}
		select {
		case <-ch:
		default:
			close(ch)
		}
	}
}

// controlSocket opens the UDP leg; without it TLS beats alone.
func (r *run) controlSocket() sock.Conn {
	if r.path.facts.Server.Control == 0 {
		return nil
	}
	conn, err := r.path.net.UDP(netip.AddrPortFrom(r.path.Local, 0))
	if err != nil {
		return nil
	}
	return conn
}

// one waits for its turn and observes one protocol.
func (r *run) one(ctx context.Context, i int, p Probe) {
	info := p.Info()
	for _, before := range info.After {
		of, _, _ := strings.Cut(before, "/")
		if _, runs := r.done[of]; runs && (info.Late || !r.isLate(of)) {
			r.await(r.done[before], info.Hurries)
		}
	}
	o := Observation{Protocol: info.ID}
	if ctx.Err() == nil && !r.path.stopped() {
		r.event(Event{Kind: "started", Protocol: info.ID})
		var err error
		if o, err = p.Observe(ctx, r.path); err != nil {
			o = refusedObservation(info, err)
		}
	}
	r.mu.Lock()
	r.obs[i], r.tallies[info.ID] = &o, Beside(p, o)
	r.mu.Unlock()
	r.progress(info.ID, 1)
	r.tell()
}

// await waits for another probe, or where the line is hopeless and this one hurries, not for long.
func (r *run) await(other <-chan struct{}, hurries bool) {
	tick := time.NewTicker(beatEvery)
	defer tick.Stop()
	for {
		select {
		case <-other:
			return
		case <-tick.C:
			if hurries && time.Since(r.started) > maxWaitHurried && r.path.heart.Control().hopeless() {
				return
			}
		}
	}
}

func refusedObservation(info Info, err error) Observation {
	var refused *Refusal
	if !errors.As(err, &refused) {
		refused = &Refusal{Reason: CouldNotAsk, Why: err.Error()}
	}
	return Observation{Protocol: info.ID, Parts: info.Parts, Refused: refused}
}

// tell tells the verdicts that can be told: those whose own observation, and those of all that their reason needs, are in.
func (r *run) tell() {
	c := r.path.Circumstances()
	r.mu.Lock()
	c.Beside = r.beside(c)
	var ready []Finding
	for i, p := range r.probes {
		info := p.Info()
		if r.obs[i] == nil || r.told[info.ID] || slices.ContainsFunc(info.With, r.missing) {
			continue
		}
		f := Judge(p, *r.obs[i], c)
		if _, _, more := byRandom(p, *r.obs[i], f, c, c.Control); more && !r.over.Load() && !r.path.prove {
			continue // its reason is still to be had
		}
		r.told[info.ID] = true
		ready = append(ready, f)
	}
	r.mu.Unlock()
	for _, f := range ready {
		r.event(Event{Kind: "verdict", Protocol: f.Protocol, Finding: &f})
	}
}

// isLate says whether a probe of the run is late: nobody else waits for it.
func (r *run) isLate(id string) bool {
	return slices.ContainsFunc(r.probes, func(p Probe) bool { return p.Info().ID == id && p.Info().Late })
}

// missing says whether a probe takes part in the run and is not in yet.
func (r *run) missing(id string) bool {
	for i, p := range r.probes {
		if p.Info().ID == id {
			return r.obs[i] == nil
		}
	}
	return false
}

// beside is how all protocols fared that are in, by what is known of the line by now.
func (r *run) beside(c Circumstances) map[string]Tally {
	out := maps.Clone(r.tallies)
	for i, p := range r.probes {
		if r.obs[i] != nil {
			id := p.Info().ID
			n := out[id]
			n.Random = contrastOf(*r.obs[i], c.Control)
			n.Stalled = n.Returned > 0 && n.Returned < n.Tries && Judge(p, *r.obs[i], c).Verdict == Stalled
			out[id] = n
		}
	}
	return out
}

// watch ends the run when the ground moves under it: the session dies, or the laptop gets another address.
func (r *run) watch(ctx context.Context, cancel context.CancelFunc) {
	tick := time.NewTicker(500 * time.Millisecond)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-r.path.link.done:
			why := SessionLost
			if r.path.baiting() {
				why = LineCut
			}
			r.path.stop(why, map[string]any{"why": linkError(r.path.link.ended())})
			cancel()
			return
		case <-tick.C:
		}
		if r.path.baiting() && r.path.cut() {
			r.path.stop(LineCut, nil)
			cancel()
			return
		}
		if now, err := r.path.net.Source(r.path.Server); err != nil || now.Unmap() != r.path.Local {
			r.path.stop(AddressChanged, map[string]any{"before": r.path.Local.String(), "after": now.String()})
			cancel()
			return
		}
	}
}

// progress turns the parts of all conversations into percent, which only grow.
func (r *run) progress(protocol string, part float64) {
	r.mu.Lock()
	r.parts[protocol] = max(part, r.parts[protocol])
	sum := 0.0
	for _, x := range r.parts {
		sum += x
	}
	percent := int(100 * sum / float64(len(r.probes)))
	grown := percent > r.percent
	r.percent = max(percent, r.percent)
	r.mu.Unlock()
	if grown {
		r.event(Event{Kind: "percent", Percent: percent})
	}
}

func (r *run) event(e Event) {
	if r.on == nil {
		return
	}
	e.At = time.Now()
	r.telling.Lock()
	defer r.telling.Unlock()
	r.on(e)
}

// result judges everything once more, now that all circumstances are known.
func (r *run) result() Result {
	c := r.path.Circumstances()
	r.mu.Lock()
	c.Beside = r.beside(c)
	r.mu.Unlock()
	if r.settled != nil {
		c = *r.settled
	}
	out := Result{Started: r.started, Ended: time.Now(), Circumstances: c, Own: r.own}
	for i, p := range r.probes {
		info := p.Info()
		o := Observation{Protocol: info.ID, Parts: info.Parts}
		if r.obs[i] != nil {
			o = *r.obs[i]
			r.path.link.lateICMP(&o)
		}
		out.Observations = append(out.Observations, o)
		out.Findings = append(out.Findings, Judge(p, o, c))
	}
	r.event(Event{Kind: "done", Percent: 100})
	return out
}
