// Package gate is the security core of the server: it decides which packets are answered, and how much may leave in return. It has
// no sockets, and the clock is given to it. Start with Gate.Admit for what comes in and Session.Spend for what goes out.
//
// The law it keeps:
//
//   - Only a packet with a valid token of a live session is answered, each exchange once. A byte-identical retransmission of the
//     newest message of a carrier, from the same address, gets the stored answer, at most five times in 30 s.
//   - To an address that has not proved that it receives, never more packets or octets leave than came from it, and a session has
//     at most four such addresses. A forged source address therefore gains nothing.
//   - To the others no more leaves than the session's budget, nor more octets than three times what came plus 64 KiB.
//   - A packet that stays unanswered changes nothing, so that whoever replays what he overheard takes nothing away.
//
// Everything that grows is bounded: sessions, addresses and carriers a session, exchanges remembered, stored answers.
package gate

import (
	"crypto/rand"
	"crypto/subtle"
	"encoding/binary"
	"errors"
	"net/netip"
	"slices"
	"sync"
	"time"

	"vpncheck/probe/wire"
)

// Limits bounds what a gate gives away. A field that is zero has its value from Default.
type Limits struct {
	Sessions           int           // at a time
	SessionsPerAddress int           // at a time, from one IPv4 address or one IPv6 /64
	SessionsPerSite    int           // at a time, from one IPv6 /48, which anybody can have for the asking
	Packets            int           // a session, in each direction
	Bytes              int           // octets a session, in each direction
	Unproved           int           // addresses a session that have not proved that they receive
	Lifetime           time.Duration // of a session
}

// Default is what an open server on the internet can afford.
var Default = Limits{
	Sessions:           512,
	SessionsPerAddress: 16,
	SessionsPerSite:    64,
	Packets:            2000,
	Bytes:              2 << 20,
	Unproved:           4,
	Lifetime:           10 * time.Minute,
}

func (l Limits) withDefaults() Limits {
	for _, f := range []struct {
		field *int
		value int
	}{
		{&l.Sessions, Default.Sessions},
		{&l.SessionsPerAddress, Default.SessionsPerAddress},
		{&l.SessionsPerSite, Default.SessionsPerSite},
		{&l.Packets, Default.Packets},
		{&l.Bytes, Default.Bytes},
		{&l.Unproved, Default.Unproved},
	} {
		if *f.field == 0 {
			*f.field = f.value
		}
	}
	if l.Lifetime == 0 {
		l.Lifetime = Default.Lifetime
	}
	return l
}

// ErrBusy says that there is no room for another session, or not from that address.
var ErrBusy = errors.New("no room for another session")

// ErrAddress says that a session cannot be opened from such an address.
var ErrAddress = errors.New("not the address of one host")

// A Gate holds the sessions. Its methods and those of its sessions may be called from several goroutines.
type Gate struct {
	limits Limits
	now    func() time.Time

	mu       sync.RWMutex // taken before a session's own, never after it
	sessions map[uint32]*Session
	from     map[netip.Prefix]int      // live sessions by where they were opened from: the household
	sites    map[netip.Prefix]int      // and its site
	proved   map[netip.Addr][]*Session // live sessions by proved address
}

// New returns a gate without sessions.
func New(l Limits, now func() time.Time) *Gate {
	return &Gate{
		limits:   l.withDefaults(),
		now:      now,
		sessions: make(map[uint32]*Session),
		from:     make(map[netip.Prefix]int),
		sites:    make(map[netip.Prefix]int),
		proved:   make(map[netip.Addr][]*Session),
	}
}

// Open grants a session to the address that a TLS connection comes from, which is thereby proved. It returns ErrBusy if there is
// no room.
func (g *Gate) Open(from netip.Addr) (*Session, error) {
	from = plain(from)
	if !host(from) {
		return nil, ErrAddress
	}
	now := g.now()
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.full(from) {
		g.sweep(now)
		if g.full(from) {
			return nil, ErrBusy
		}
	}
	s := newSession(g, g.newID(), from, now.Add(g.limits.Lifetime))
	g.sessions[s.id] = s
	g.from[household(from)]++
	g.sites[site(from)]++
	g.proved[from] = append(g.proved[from], s)
	return s, nil
}

func (g *Gate) full(from netip.Addr) bool {
	return len(g.sessions) >= g.limits.Sessions || g.from[household(from)] >= g.limits.SessionsPerAddress ||
		from.Is6() && g.sites[site(from)] >= g.limits.SessionsPerSite
}

// newID returns an unused random number that is not zero. It cannot be guessed, but it is no secret: it travels in the clear.
func (g *Gate) newID() uint32 {
	for {
		var b [4]byte
		rand.Read(b[:]) // never fails
		if id := binary.BigEndian.Uint32(b[:]); id != 0 && g.sessions[id] == nil {
			return id
		}
	}
}

// Sweep forgets the sessions past their lifetime. They are already worthless; sweeping gives their memory back.
func (g *Gate) Sweep() {
	now := g.now()
	g.mu.Lock()
	defer g.mu.Unlock()
	g.sweep(now)
}

func (g *Gate) sweep(now time.Time) {
	for _, s := range g.sessions {
		if !s.live(now) {
			g.forget(s)
		}
	}
}

// forget takes a session out of every table. The caller holds g.mu.
func (g *Gate) forget(s *Session) {
	if g.sessions[s.id] != s {
		return
	}
	delete(g.sessions, s.id)
	less(g.from, household(s.from))
	less(g.sites, site(s.from))
	for _, a := range s.end() {
		left := slices.DeleteFunc(g.proved[a], func(other *Session) bool { return other == s })
		if len(left) == 0 {
			delete(g.proved, a)
		} else {
			g.proved[a] = left
		}
	}
}

// less counts one down, and keeps no zero.
func less(counts map[netip.Prefix]int, p netip.Prefix) {
	if counts[p]--; counts[p] <= 0 {
		delete(counts, p)
	}
}

// index makes SessionsFrom find s by an address that it has proved.
func (g *Gate) index(s *Session, a netip.Addr) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.sessions[s.id] == s && !slices.Contains(g.proved[a], s) {
		g.proved[a] = append(g.proved[a], s)
	}
}

// Sessions counts the sessions held, those past their lifetime that were not yet swept included.
func (g *Gate) Sessions() int {
	g.mu.RLock()
	defer g.mu.RUnlock()
	return len(g.sessions)
}

// SessionsFrom returns the live sessions of which a is a proved address: those to which a packet that came from there without a
// valid token is handed over.
func (g *Gate) SessionsFrom(a netip.Addr) []*Session {
	a = plain(a)
	now := g.now()
	g.mu.RLock()
	defer g.mu.RUnlock()
	var live []*Session
	for _, s := range g.proved[a] {
		if s.live(now) {
			live = append(live, s)
		}
	}
	return live
}

func (g *Gate) session(id uint32) *Session {
	g.mu.RLock()
	defer g.mu.RUnlock()
	return g.sessions[id]
}

// Why a packet was not answered: wire.Saw.Silent.
const (
	SilentToken    = "token"           // no valid token of a live session
	SilentReplay   = "replay"          // its exchange was had already, and it is no lawful retransmission
	SilentBudget   = "budget"          // the session has had what it may have
	SilentUnproved = "unproved-source" // the address has not proved that it receives, and has no credit left
)

// A Packet is what the server's sockets received, with the token and nonce that its protocol carried.
type Packet struct {
	Carrier wire.Carrier
	From    netip.Addr
	Token   wire.Token
	Nonce   [wire.NonceSize]byte
	Message []byte // the whole transport payload: what is compared to know a retransmission
	Size    int    // octets as received, IP header included: the credit
}

// A Decision says what to do with a packet. A nil Session: no valid token, and the packet is a stranger's or damaged. Silent: the
// reason why it must not be answered. Neither: answer it, or if Stored is not nil, send Stored again, and do not change it.
type Decision struct {
	Session *Session
	Stored  []byte
	Silent  string
}

// Knows returns the live session whose question a token is, and nil if there is none. It changes nothing and allows nothing.
func (g *Gate) Knows(c wire.Carrier, t wire.Token) *Session {
	s := g.session(t.Session())
	if s == nil || !s.live(g.now()) || !s.mint.Valid(wire.Question, c, t) {
		return nil
	}
	return s
}

// Complete returns the whole token of which a question had room for the first 16 octets, and false if it is none of a live session's. Eight
// octets of its proof are checked here; what is admitted by it is for Admit to say.
func (g *Gate) Complete(c wire.Carrier, prefix wire.SSTPCorrelation) (wire.Token, bool) {
	var t wire.Token
	copy(t[:], prefix[:])
	s := g.session(t.Session())
	if s == nil || !s.live(g.now()) {
		return wire.Token{}, false
	}
	want := s.mint.Make(wire.Question, c, t.Exchange())
	return want, subtle.ConstantTimeCompare(want[:len(prefix)], prefix[:]) == 1
}

// Admit decides about a packet and counts it. Each answer still needs Session.Spend.
func (g *Gate) Admit(p Packet) Decision {
	s := g.Knows(p.Carrier, p.Token)
	if s == nil {
		return Decision{Silent: SilentToken}
	}
	return s.admit(p)
}
