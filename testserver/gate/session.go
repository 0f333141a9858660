package gate

import (
	"bytes"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"hash"
	"net/netip"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"vpncheck/probe/wire"
)

// A Session is what one run of the client was granted.
type Session struct {
	gate    *Gate
	id      uint32
	key     []byte // shared with the client
	mint    *wire.Mint
	from    netip.Addr
	expires time.Time
	closed  atomic.Bool

	mu      sync.Mutex
	nonce   hash.Hash // keyed with a secret that never leaves the server
	sum     [sha256.Size]byte
	in, out count // everything admitted, everything spent
	peers   []peer
	flows   []flow
}

func newSession(g *Gate, id uint32, from netip.Addr, expires time.Time) *Session {
	key, secret := make([]byte, 32), make([]byte, 32)
	rand.Read(key) // never fails
	rand.Read(secret)
	return &Session{
		gate:    g,
		id:      id,
		key:     key,
		mint:    wire.NewMint(id, key),
		from:    from,
		expires: expires,
		nonce:   hmac.New(sha256.New, secret),
		peers:   []peer{{addr: from, proved: true}},
	}
}

// ID is the number by which the session's tokens name it.
func (s *Session) ID() uint32 { return s.id }

// Key is a copy of the secret that both ends make tokens with.
func (s *Session) Key() []byte { return slices.Clone(s.key) }

// From is the address that opened the session.
func (s *Session) From() netip.Addr { return s.from }

// Expires is when the session's lifetime ends.
func (s *Session) Expires() time.Time { return s.expires }

// Expired reports whether the session is past its lifetime.
func (s *Session) Expired() bool { return !s.gate.now().Before(s.expires) }

// Closed reports whether the session was closed or swept away.
func (s *Session) Closed() bool { return s.closed.Load() }

func (s *Session) live(now time.Time) bool { return !s.closed.Load() && now.Before(s.expires) }

// Close ends the session: its tokens are worthless from now on. Closing again does nothing.
func (s *Session) Close() {
	s.gate.mu.Lock()
	defer s.gate.mu.Unlock()
	s.gate.forget(s)
}

// end marks the session closed, drops what it remembered, and returns its proved addresses.
func (s *Session) end() []netip.Addr {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.closed.Store(true)
	var proved []netip.Addr
	for _, p := range s.peers {
		if p.proved {
			proved = append(proved, p.addr)
		}
	}
	s.peers, s.flows = nil, nil
	return proved
}

// Token returns the token of the answer to an exchange.
func (s *Session) Token(c wire.Carrier, exchange uint32) wire.Token {
	return s.mint.Make(wire.Answer, c, exchange)
}

// Question returns the token that a question of the client's would have, for those whose protocol has no room for it: whoever asks for one
// must have seen another proof.
func (s *Session) Question(c wire.Carrier, exchange uint32) wire.Token {
	return s.mint.Make(wire.Question, c, exchange)
}

// Brief returns the brief token of the answer to an exchange.
func (s *Session) Brief(c wire.Carrier, exchange uint32) wire.Brief {
	return s.mint.Brief(wire.Answer, c, exchange)
}

// ReadBrief returns the exchange of a question's brief token, and false if it is none of this session's, or the session has ended.
func (s *Session) ReadBrief(c wire.Carrier, b wire.Brief) (exchange uint32, ok bool) {
	if !s.live(s.gate.now()) {
		return 0, false
	}
	return s.mint.ReadBrief(wire.Question, c, b)
}

// Derive returns the session's key for another use, which the client can derive as well.
func (s *Session) Derive(label string) []byte { return s.mint.Derive(label) }

// Nonce returns what an answer to that address carries, and nothing else may carry: a question that gives it back proves that its
// source address receives. See Veil.
func (s *Session) Nonce(to netip.Addr) [wire.NonceSize]byte {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.nonceFor(plain(to))
}

func (s *Session) nonceFor(a netip.Addr) [wire.NonceSize]byte {
	b := a.As16()
	s.nonce.Reset()
	s.nonce.Write(append(s.sum[:0], b[:]...))
	return [wire.NonceSize]byte(s.nonce.Sum(s.sum[:0]))
}

// Veil returns what the side channel may tell of an answer that was sent to an address: b itself, or if the address has not proved
// that it receives, a copy with zeros for the nonce. Told otherwise, a client could claim any address it can forge.
func (s *Session) Veil(to netip.Addr, b []byte) []byte {
	to = plain(to)
	s.mu.Lock()
	defer s.mu.Unlock()
	if p := s.peer(to); p != nil && p.proved {
		return b
	}
	n := s.nonceFor(to)
	return bytes.ReplaceAll(b, n[:], make([]byte, len(n)))
}

// Proved reports whether an address has proved to this session that it receives.
func (s *Session) Proved(a netip.Addr) bool {
	a = plain(a)
	s.mu.Lock()
	defer s.mu.Unlock()
	p := s.peer(a)
	return p != nil && p.proved
}

// Prove records that an address receives, because it completed a TCP handshake and showed a valid token there.
func (s *Session) Prove(a netip.Addr) {
	a = plain(a)
	if s.prove(a) {
		s.gate.index(s, a)
	}
}

func (s *Session) prove(a netip.Addr) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !host(a) || s.closed.Load() || s.countPeers(true) >= maxProved {
		return false
	}
	p := s.peer(a)
	if p == nil {
		s.peers = append(s.peers, peer{addr: a})
		p = &s.peers[len(s.peers)-1]
	}
	p.proved = true
	return true
}

// admit decides about a packet with a valid token.
func (s *Session) admit(p Packet) Decision {
	p.From = plain(p.From)
	stored, silent, proved := s.decide(p, s.gate.now())
	if proved {
		s.gate.index(s, p.From)
	}
	return Decision{Session: s, Stored: stored, Silent: silent}
}

// decide first asks every rule and then counts, so that a packet that stays unanswered has changed nothing.
func (s *Session) decide(p Packet, now time.Time) (stored []byte, silent string, proved bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	exchange, digest := p.Token.Exchange(), sha256.Sum256(p.Message)
	f := s.flow(p.Carrier)
	again := f != nil && f.had(exchange)
	if again {
		if stored = f.newest.retransmitted(exchange, digest, p.From, now); stored == nil {
			return nil, SilentReplay, false
		}
	}
	if silent := s.mayReceive(p.From, p.Size); silent != "" {
		return nil, silent, false
	}
	if f == nil {
		if f = s.newFlow(p.Carrier); f == nil {
			return nil, SilentBudget, false
		}
	}
	proved = s.receive(p.From, p.Size, p.Nonce)
	if again {
		f.newest.again++
		return stored, "", proved
	}
	f.note(exchange, message{exchange: exchange, digest: digest, from: p.From, at: now})
	return nil, "", proved
}

// Store remembers the answer to send if the newest message of a carrier is retransmitted. An answer to an older message, an empty
// one and one longer than any ordinary packet are not kept.
func (s *Session) Store(c wire.Carrier, exchange uint32, message, answer []byte) {
	digest := sha256.Sum256(message)
	if len(answer) == 0 || len(answer) > maxAnswer {
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if f := s.flow(c); f != nil && f.newest.is(exchange, digest) {
		f.newest.answer = slices.Clone(answer)
	}
}
