package probe

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"slices"
	"sync"
	"time"

	"vpncheck/probe/sock"
	"vpncheck/probe/wire"
)

const (
	ownTime     = 5 * time.Second         // all that is asked of somebody else's server, the name's look-up included
	ownPatience = 4500 * time.Millisecond // one opening; what is left is for hanging up
	ownResolve  = 2 * time.Second
)

// ownSendings are when a message is sent that is not answered, as the stock clients do.
var ownSendings = []time.Duration{0, time.Second, 3 * time.Second}

// ownBlind is what is known of a packet at the other end.
const ownBlind = "the VPN server is not ours: nobody there tells what arrived"

// An ownKind is one opening that can be asked.
type ownKind struct {
	id, title, over string
	port            uint16 // of the server
	needs           []string
	ask             func(t *ownTalk, ctx context.Context)
}

// ownKinds is the one table of openings.
func ownKinds() []ownKind {
	return []ownKind{
		{OpeningIKEv2, "IKEv2 (IKE_SA_INIT)", "udp", wire.IKEPort, []string{"ike"}, (*ownTalk).askIKEv2},
		{OpeningIKEv1, "IKEv1 (Main Mode)", "udp", wire.IKEPort, []string{"ike/" + ikeV1Stock}, (*ownTalk).askIKEv1},
		{OpeningPPTP, "PPTP", "tcp", pptpPort, []string{"pptp"}, (*ownTalk).askPPTP},
		{OpeningL2TP, "L2TP without IPsec", "udp", wire.L2TPPort, []string{"l2tp"}, (*ownTalk).askL2TP},
		{OpeningOpenVPNUDP, "OpenVPN over UDP", "udp", wire.OpenVPNPort, []string{"openvpn-udp"}, (*ownTalk).askOpenVPNUDP},
		{OpeningOpenVPNTCP, "OpenVPN over TCP", "tcp", wire.OpenVPNPort, []string{"openvpn-tcp"}, (*ownTalk).askOpenVPNTCP},
		{OpeningSSTP, "SSTP", "tcp", 443, []string{"sstp"}, (*ownTalk).askSSTP},
	}
}

// AskOwn asks the person's own VPN server: all openings side by side, in five seconds at most. What is sent is what a stock client sends first,
// with fresh random numbers, and no token of ours: nobody there could check one. It says nothing of the person.
func AskOwn(ctx context.Context, cfg OwnConfig) Own {
	own := Own{Host: cfg.Host, Started: time.Now(), Openings: []Opening{}}
	limited, cancel := context.WithTimeout(ctx, ownTime)
	defer cancel()
	if own.Why = own.find(limited, cfg); own.Why != nil {
		own.Ended = time.Now()
		return own
	}
	a := &asker{net: cfg.Net, host: cfg.Host, addr: own.Addr, local: own.Local, clear: cfg.clear}
	if a.clear == nil {
		a.clear = new(ownPace).clear
	}
	for _, k := range ownKinds() {
		if cfg.Only != nil && !slices.Contains(cfg.Only, k.id) {
			continue
		}
		t := &ownTalk{a: a, woken: make(chan struct{}, 1), o: Opening{ID: k.id, Title: k.title, Port: k.port, Over: k.over, Needs: k.needs}}
		if port := cfg.Ports[k.id]; port != 0 {
			t.o.Port = port
		}
		t.kind = k
		a.talks = append(a.talks, t)
	}
	a.run(limited)
	a.mu.Lock()
	defer a.mu.Unlock()
	a.over = true
	for _, t := range a.talks {
		t.calledOff(ctx)
		own.Openings = append(own.Openings, t.o)
	}
	own.Ended = time.Now()
	return own
}

// ownConfig is how the person's own VPN server is asked in the same run; nil if it is not.
func (cfg Config) ownConfig() *OwnConfig {
	if cfg.Own == nil {
		return nil
	}
	own := *cfg.Own
	if own.Net == nil {
		own.Net = cfg.Net
	}
	if own.Family == 0 {
		own.Family = cfg.Family
	}
	if own.Look == nil {
		own.Look = cfg.Look
	}
	if own.Resolve == nil {
		own.Resolve = cfg.Resolve
	}
	return &own
}

// askOwn asks the person's own VPN server, once a run, beside what else is under way; what it returns waits for the end of that. It comes after
// all conversations but the late ones: their verdicts are in, and their ports are free.
func (r *run) askOwn(ctx context.Context, clear func(context.Context) bool) (wait func()) {
	if r.path.own == nil || r.own != nil {
		return func() {}
	}
	cfg := *r.path.own
	cfg.clear = clear
	r.own = &Own{Host: cfg.Host, Openings: []Opening{}}
	if ctx.Err() != nil {
		r.own.Why = &Refusal{Reason: ended(ctx)}
		return func() {}
	}
	r.event(Event{Kind: "own"})
	done := make(chan Own, 1)
	go func() { done <- AskOwn(ctx, cfg) }()
	return func() { *r.own = <-done }
}

// find finds the server's address and the way to it, or says why nothing can be asked.
func (own *Own) find(ctx context.Context, cfg OwnConfig) *Refusal {
	if why := own.resolve(ctx, cfg); why != nil {
		return why
	}
	local, err := cfg.Net.Source(own.Addr)
	if err != nil {
		return &Refusal{Reason: NoRoute, Why: err.Error()}
	}
	own.Local = local.Unmap()
	if cfg.Look == nil {
		return nil
	}
	laptop := cfg.Look(own.Addr)
	own.OnLink = laptop.OnLink
	if laptop.VPN != "" {
		return &Refusal{Reason: ActiveVPN, Why: laptop.VPN}
	}
	return nil
}

// resolve fills in the addresses: those of the family that is asked first.
func (own *Own) resolve(ctx context.Context, cfg OwnConfig) *Refusal {
	var found []netip.Addr
	if a, err := netip.ParseAddr(cfg.Host); err == nil {
		found = []netip.Addr{a}
	} else {
		ctx, cancel := context.WithTimeout(ctx, ownResolve)
		defer cancel()
		lookup := cfg.Resolve
		if lookup == nil {
			lookup = net.DefaultResolver.LookupNetIP
		}
		if found, err = lookup(ctx, "ip", cfg.Host); err != nil {
			reason, why := nameless(cfg.Net, err)
			return &Refusal{Reason: reason, Why: why}
		}
	}
	for i, a := range found {
		found[i] = a.Unmap()
	}
	slices.SortStableFunc(found, func(a, b netip.Addr) int { return truth(b.Is4()) - truth(a.Is4()) })
	if cfg.Family == 6 {
		slices.SortStableFunc(found, func(a, b netip.Addr) int { return truth(b.Is6()) - truth(a.Is6()) })
	}
	own.Addrs = found[:min(len(found), maxOwnAddrs)]
	if len(found) == 0 || cfg.Family == 4 && !found[0].Is4() || cfg.Family == 6 && !found[0].Is6() {
		return &Refusal{Reason: NoAddress, Why: fmt.Sprintf("%d addresses, none of this family", len(found))}
	}
	if a := found[0]; !a.IsGlobalUnicast() && !a.IsLoopback() && !a.IsLinkLocalUnicast() {
		return &Refusal{Reason: CouldNotAsk, Why: fmt.Sprintf("%v is no host's address", a)}
	}
	own.Addr = found[0]
	return nil
}

const maxOwnAddrs = 16

// ownPace keeps the packets apart as a run does.
type ownPace struct {
	mu   sync.Mutex
	next time.Time
}

func (p *ownPace) clear(ctx context.Context) bool {
	p.mu.Lock()
	now := time.Now()
	at := now
	if p.next.After(now) {
		at = p.next
	}
	p.next = at.Add(pace)
	p.mu.Unlock()
	return sleep(ctx, at.Sub(now))
}

// An asker asks one server, once.
type asker struct {
	net         sock.Net
	host        string
	addr, local netip.Addr
	clear       func(context.Context) bool
	talks       []*ownTalk
	deaf        bool // it hears no ICMP: its sockets must tell of it

	mu      sync.Mutex // all below, and each talk's opening
	unread  []heardICMP
	over    bool         // nothing more is filed
	sockets []*ownSocket // of UDP
}

func (a *asker) run(ctx context.Context) {
	conn := a.listenICMP()
	if a.deaf = conn == nil; !a.deaf {
		defer conn.Close()
	}
	var all sync.WaitGroup
	for _, t := range a.talks {
		all.Go(func() {
			began := time.Now()
			own, cancel := context.WithDeadline(ctx, began.Add(ownPatience))
			defer cancel()
			t.kind.ask(t, own)
		})
	}
	all.Wait()
	for _, s := range a.sockets {
		s.conn.Close()
	}
}

// listenICMP hears who refuses what is sent. Without the privilege, or over IPv6, it is not known who.
func (a *asker) listenICMP() sock.Conn {
	if !a.local.Is4() {
		return nil
	}
	conn, err := a.net.Raw(wire.IPProtoICMP, a.local)
	if err != nil {
		return nil
	}
	go func() {
		for {
			s, err := conn.Recv()
			if err != nil {
				return
			}
			if m, err := wire.ParseICMPError(s.Bytes); err == nil && m.Type == wire.ICMPUnreachable {
				a.hear(heardICMP{m, s})
			}
		}
	}()
	return conn
}

// hear files an ICMP error under the message that it quotes. One that comes before the message is filed is kept.
func (a *asker) hear(h heardICMP) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if !a.over && !a.file(h) && len(a.unread) < maxUnread {
		a.unread = append(a.unread, h)
	}
}

func (a *asker) file(h heardICMP) bool {
	var best *Exchange
	var whose *ownTalk
	most := 0
	for _, t := range a.talks {
		t.each(func(e *Exchange) {
			// The newest of those that are alike: each is sent again as it was.
			if n := quotes(h.m, e.Sent); n > most || n == most && n > 0 && e.Sent.At.After(best.Sent.At) {
				best, whose, most = e, t, n
			}
		})
	}
	if best == nil {
		return false
	}
	if len(best.ICMPAtClient) < maxICMP {
		best.ICMPAtClient = append(best.ICMPAtClient, h.sighting())
	}
	if h.m.Code != tooBig && best.Returned.State != wire.Seen {
		best.Refused = fmt.Sprintf("icmp %d/%d from %s", h.m.Type, h.m.Code, h.s.Src.Addr().Unmap())
		select {
		case whose.woken <- struct{}{}:
		default:
		}
	}
	return true
}

// An ownTalk is one opening under way.
type ownTalk struct {
	a     *asker
	kind  ownKind
	woken chan struct{} // something that it sent was refused
	n     int           // of exchanges
	o     Opening       // guarded by a.mu
}

func (t *ownTalk) edit(f func(o *Opening)) {
	t.a.mu.Lock()
	defer t.a.mu.Unlock()
	f(&t.o)
}

// each visits all exchanges. a.mu is held.
func (t *ownTalk) each(f func(*Exchange)) {
	for i := range t.o.Stages {
		for j := range t.o.Stages[i].Exchanges {
			f(&t.o.Stages[i].Exchanges[j])
		}
	}
}

// server is whom to ask.
func (t *ownTalk) server() netip.AddrPort { return netip.AddrPortFrom(t.a.addr, t.o.Port) }

// refuse notes that it could not be asked.
func (t *ownTalk) refuse(err error) {
	var r *Refusal
	if !errors.As(refusal(err), &r) {
		r = &Refusal{Reason: CouldNotAsk, Why: err.Error()}
	}
	t.edit(func(o *Opening) { o.Refused = r })
}

// calledOff notes that the person, or the run's own time limit, called it off before it had an answer. a.mu is held.
func (t *ownTalk) calledOff(ctx context.Context) {
	if ctx.Err() == nil || t.o.Refused != nil {
		return
	}
	if n := len(t.o.Stages); n > 0 && (t.o.Stages[n-1].Answered() || t.o.Stages[n-1].refused() != "") {
		return
	}
	t.o.Refused = &Refusal{Reason: ended(ctx)}
}

// stage begins a step of the opening.
func (t *ownTalk) stage(id, title string) {
	t.edit(func(o *Opening) {
		o.Stages = append(o.Stages, OpeningStage{ID: id, Title: title, Exchanges: []Exchange{}})
	})
}

// begin files a message of the newest step, and returns how to edit it.
func (t *ownTalk) begin(e Exchange) (edit func(func(*Exchange))) {
	t.a.mu.Lock()
	defer t.a.mu.Unlock()
	t.n++
	s := len(t.o.Stages) - 1
	e.ID, e.Part, e.Stage, e.Flow = fmt.Sprintf("own/%s/%d", t.o.ID, t.n), t.o.ID, t.o.Stages[s].ID, 1
	if e.From == "" {
		e.From, e.Arrived, e.Replied, e.Returned = Client, wire.CannotSee(ownBlind), wire.CannotSee(ownBlind), wire.NotSeen()
	}
	i := len(t.o.Stages[s].Exchanges)
	t.o.Stages[s].Exchanges = append(t.o.Stages[s].Exchanges, e)
	return func(f func(*Exchange)) {
		t.a.mu.Lock()
		defer t.a.mu.Unlock()
		f(&t.o.Stages[s].Exchanges[i])
	}
}

// told notes what the server said of itself.
func (t *ownTalk) told(what, text string) {
	if text = ownText(text); text == "" {
		return
	}
	t.edit(func(o *Opening) {
		if said := (Told{what, text}); len(o.Told) < maxTold && !slices.Contains(o.Told, said) {
			o.Told = append(o.Told, said)
		}
	})
}

const (
	maxTold      = 24
	maxToldText  = 80
	maxStrangers = 4
)

// ownText is what a stranger sent, printable and short.
func ownText(s string) string {
	out := make([]byte, 0, maxToldText)
	for i := 0; i < len(s) && len(out) < maxToldText; i++ {
		if s[i] >= ' ' && s[i] <= '~' {
			out = append(out, s[i])
		}
	}
	return string(out)
}

// stranger keeps a packet in the server's name that is no answer.
func (t *ownTalk) stranger(s wire.Sighting) {
	s.Bytes = slices.Clone(s.Bytes[:min(len(s.Bytes), 256)])
	t.edit(func(o *Opening) {
		if len(o.Strangers) < maxStrangers {
			o.Strangers = append(o.Strangers, s)
		}
	})
}
