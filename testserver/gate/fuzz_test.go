package gate

import (
	"net/netip"
	"testing"
	"time"

	"vpncheck/probe/wire"
)

// FuzzGate lets the bytes play an attacker: a client with two sessions who sends from any source address, learns what is sent to his
// own addresses and what the side channel tells, and uses all that. A model of what he may get is kept beside it.
func FuzzGate(f *testing.F) {
	f.Add([]byte{})
	f.Add([]byte("\x00\x07\x01\x20\x01\x07\x01\x20\x00\x07\x02\x40\x01\x07\x02\x40"))
	f.Add([]byte("\x00\x02\x01\x20\x01\x02\x01\x20\x02\x02\x00\x00\x00\x0a\x02\x20"))
	f.Fuzz(func(t *testing.T, ops []byte) {
		w := newWorld(t)
		for ; len(ops) >= 4; ops = ops[4:] {
			w.step(ops[0], ops[1], ops[2], ops[3])
			w.bounded()
		}
	})
}

var fuzzLimits = Limits{Sessions: 4, SessionsPerAddress: 3, Packets: 12, Bytes: 3000, Unproved: 2, Lifetime: time.Minute}

// A world has four addresses of the attacker's, the first of which opens sessions, and four of other people's.
type world struct {
	t     *testing.T
	now   time.Time
	gate  *Gate
	all   []*model
	known map[[wire.NonceSize]byte]bool // nonces that the attacker has seen
	last  [wire.NonceSize]byte
}

// A model is what a session ought to have counted.
type model struct {
	s       *Session
	mint    *wire.Mint
	proved  [8]bool
	in, out [8]count
	had     map[wire.Token]int // by question: how often answered
}

func newWorld(t *testing.T) *world {
	w := &world{t: t, now: time.Unix(1e9, 0), known: make(map[[wire.NonceSize]byte]bool)}
	w.gate = New(fuzzLimits, func() time.Time { return w.now })
	w.open()
	w.open()
	return w
}

func (w *world) address(i int) netip.Addr { return numbered(i + 1) }

func (w *world) open() {
	s, err := w.gate.Open(w.address(0))
	if err != nil {
		return
	}
	m := &model{s: s, mint: wire.NewMint(s.ID(), s.Key()), had: make(map[wire.Token]int)}
	m.proved[0] = true
	w.all = append(w.all, m)
}

func (w *world) step(op, who, a, b byte) {
	m, i := w.all[int(op>>4)%len(w.all)], int(who&7)
	switch op & 15 {
	default:
		w.send(m, i, who, a, b)
	case 9:
		w.answer(m, i, int(a)<<2)
	case 10:
		w.wrongToken(m, i, a, b)
	case 11:
		if i < 4 { // only who receives completes a handshake
			m.s.Prove(w.address(i))
			m.proved[i] = m.proved[i] || !m.s.Closed()
		}
	case 12:
		w.now = w.now.Add(time.Duration(a) * 100 * time.Millisecond)
	case 13:
		w.gate.Sweep()
	case 14:
		w.open()
	case 15:
		if a < 16 {
			m.s.Close()
		}
	}
}

// send sends a question, in a few exchanges and messages so that they repeat, and answers it if the gate says so.
func (w *world) send(m *model, i int, how, a, b byte) {
	p := Packet{Carrier: wire.CarrierGRE, From: w.address(i), Message: []byte{a & 1}, Size: 28 + int(b)}
	if a&2 != 0 {
		p.Carrier = wire.CarrierControl
	}
	p.Token = m.mint.Make(wire.Question, p.Carrier, uint32(a>>2))
	if how&8 != 0 {
		p.Nonce = w.last
	}
	if how&16 != 0 {
		p.From = netip.AddrFrom16(p.From.As16())
	}
	d := w.gate.Admit(p)
	if d.Silent != "" {
		if d.Stored != nil {
			w.t.Fatalf("silent for %q, and yet an answer", d.Silent)
		}
		return
	}
	w.admitted(m, i, p, d)
	answer := d.Stored
	if answer == nil {
		n := m.s.Nonce(p.From)
		answer = append(n[:], "answer"...)
		m.s.Store(p.Carrier, p.Token.Exchange(), p.Message, answer)
	}
	if w.answer(m, i, int(b)+int(how>>5)*40) {
		w.learn(i, answer)
		w.told(m, i, answer)
	}
}

func (w *world) admitted(m *model, i int, p Packet, d Decision) {
	had, again := m.had[p.Token]
	if d.Session != m.s || again != (d.Stored != nil) || had > retransmissions || m.s.Closed() || m.s.Expired() {
		w.t.Fatalf("admitted %d times, stored answer %v", had+1, d.Stored != nil)
	}
	m.had[p.Token] = had + 1
	m.in[i].add(p.Size)
	if w.known[p.Nonce] && p.Nonce == m.s.Nonce(p.From) {
		m.proved[i] = true
	}
	if !m.proved[i] && m.s.Proved(p.From) {
		w.t.Fatalf("address %d proved itself with a nonce that the attacker cannot know", i)
	}
}

// learn gives the attacker the nonce that was sent to an address of his.
func (w *world) learn(i int, answer []byte) {
	if i < 4 {
		w.last = [wire.NonceSize]byte(answer)
		w.known[w.last] = true
	}
}

// told gives the attacker what the side channel tells of an answer.
func (w *world) told(m *model, i int, answer []byte) {
	n := [wire.NonceSize]byte(m.s.Veil(w.address(i), answer))
	if !m.proved[i] && n != [wire.NonceSize]byte{} {
		w.t.Fatalf("the side channel tells the nonce of address %d", i)
	}
	w.last = n
}

// answer lets a packet leave, and holds what left to the law.
func (w *world) answer(m *model, i int, octets int) bool {
	if m.s.Spend(w.address(i), octets) != "" {
		return false
	}
	m.out[i].add(octets)
	if (!m.proved[i] || i >= 4) && (m.out[i].packets > m.in[i].packets || m.out[i].octets > m.in[i].octets) {
		w.t.Fatalf("address %d sent %v and got %v", i, m.in[i], m.out[i])
	}
	var in, out count
	for j := range m.in {
		in.packets, in.octets = in.packets+m.in[j].packets, in.octets+m.in[j].octets
		out.packets, out.octets = out.packets+m.out[j].packets, out.octets+m.out[j].octets
	}
	for _, c := range []count{in, out} {
		if c.packets > fuzzLimits.Packets || c.octets > fuzzLimits.Bytes || out.octets > factor*in.octets+headStart {
			w.t.Fatalf("the session has had %v and sent %v", in, out)
		}
	}
	if m.s.Closed() || m.s.Expired() {
		w.t.Fatal("a session that is over sends")
	}
	return true
}

// wrongToken sends a token that is valid elsewhere, or was.
func (w *world) wrongToken(m *model, i int, a, b byte) {
	p := Packet{Carrier: wire.CarrierGRE, From: w.address(i), Token: m.mint.Make(wire.Question, wire.CarrierGRE, uint32(b)), Size: 100}
	switch a % 4 {
	case 0:
		p.Token = m.s.Token(p.Carrier, uint32(b))
	case 1:
		p.Carrier = wire.CarrierGREv1
	case 2:
		p.Token[b%wire.TokenSize] ^= 1 << (a >> 5)
	case 3:
		other := wire.NewMint(m.s.ID(), w.all[(int(b)+1)%len(w.all)].s.Key())
		if w.all[(int(b)+1)%len(w.all)] == m {
			return
		}
		p.Token = other.Make(wire.Question, p.Carrier, uint32(b))
	}
	if d := w.gate.Admit(p); d.Silent != SilentToken || d.Session != nil || d.Stored != nil {
		w.t.Fatalf("a token of the wrong kind %d was admitted: %q", a%4, d.Silent)
	}
}

// bounded holds every table to its limit.
func (w *world) bounded() {
	g := w.gate
	if len(g.sessions) > fuzzLimits.Sessions || len(g.from) > len(g.sessions) || len(g.sites) > len(g.from) || len(g.proved) > len(g.sessions)*maxProved {
		w.t.Fatalf("%d sessions, %d places, %d addresses", len(g.sessions), len(g.from), len(g.proved))
	}
	for a, list := range g.proved {
		if len(list) == 0 || len(list) > len(g.sessions) {
			w.t.Fatalf("%v has %d sessions of %d", a, len(list), len(g.sessions))
		}
	}
	for _, m := range w.all {
		seen := 0
		for _, f := range m.s.flows {
			seen += len(f.seen)
		}
		if seen > fuzzLimits.Packets || m.s.countPeers(false) > fuzzLimits.Unproved || m.s.countPeers(true) > maxProved {
			w.t.Fatalf("%d exchanges, %d peers", seen, len(m.s.peers))
		}
		if m.s.Closed() && (m.s.flows != nil || m.s.peers != nil || g.sessions[m.s.id] == m.s) {
			w.t.Fatal("a closed session still holds memory")
		}
	}
}
