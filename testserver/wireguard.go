package testserver

import (
	"crypto/ecdh"
	"encoding/binary"
	"math/rand/v2"
	"sync"
	"time"

	"vpncheck/probe/sock"
	"vpncheck/probe/wire"
	"vpncheck/testserver/gate"
)

const (
	wireGuardTunnels = 64 // a session; each handshake makes one, and the oldest goes
	wireGuardStamps  = 2048
	wireGuardRecent  = 32
	wireGuardRate    = 5 // initiations a second that a peer's address may have read, whatever others send
	wireGuardBurst   = 40
)

// WireGuard answers WireGuard on UDP port 51820: the handshake, and tunnelled IPv4 packets with UDP in them, whose payload starts with a tag,
// turned round.
//
// Noise itself proves both ends. A client tells its static public key over the side channel when it declares a conversation, and is told the
// server's: the key is a peer's until that conversation is finished. The handshake has no room for a token, and needs none: the initiation's
// sealed static key names the session, and its sender index, masked with the session's key, the exchange. Whoever does not know the server's
// key cannot make mac1, and costs one hash; whoever does, and is no peer, is not answered either.
//
// Answers bear no nonce: the client has the keys to read what the side channel tells of them, so one would prove nothing. None is larger than
// its question.
func WireGuard() Responder { return newWireGuard(wire.NewWireGuardKey()) }

type wireGuard struct {
	h      *Host
	own    *ecdh.PrivateKey
	public []byte

	mu      sync.Mutex
	peers   map[[wire.WireGuardKeySize]byte]*wireGuardPeer
	of      map[*gate.Session]*wireGuardPeer // the same
	tunnels map[uint32]*wireGuardTunnel      // by our index
	load    bucket                           // of initiations from where no peer lives
	recent  [wireGuardRecent]wireGuardRead
	next    int
}

type wireGuardPeer struct {
	session *gate.Session
	key     [wire.WireGuardKeySize]byte
	stamps  map[[12]byte]bool // of the initiations that were answered
	made    []uint32          // tunnels, oldest first
	load    bucket            // of initiations from the session's addresses
}

type wireGuardTunnel struct {
	*wire.WireGuardTunnel
	session *gate.Session
	sent    uint64
}

// A wireGuardRead is an initiation that was read: the network card's is the socket's once more.
type wireGuardRead struct {
	message string
	opened  *wire.WireGuardOpened
}

func newWireGuard(own *ecdh.PrivateKey) *wireGuard {
	return &wireGuard{
		own: own, public: own.PublicKey().Bytes(),
		peers: map[[wire.WireGuardKeySize]byte]*wireGuardPeer{}, of: map[*gate.Session]*wireGuardPeer{}, tunnels: map[uint32]*wireGuardTunnel{},
		load: bucket{tokens: linkBurst},
	}
}

func (*wireGuard) Carriers() []wire.Carrier { return []wire.Carrier{wire.CarrierWireGuard} }

func (w *wireGuard) Listen(h *Host) {
	w.h, h.wireGuard = h, w
	h.UDP(wire.WireGuardPort, w.datagram, wire.CarrierWireGuard, wire.CarrierRandom)
	h.NICFrom(wire.IPProtoUDP, wire.WireGuardPort, wire.CarrierWireGuard, func(s wire.Sighting) (wire.Token, bool) {
		q, ok := w.question(s)
		return q.tag.Token, ok
	})
}

func (w *wireGuard) datagram(c sock.Conn, arrived wire.Sighting) {
	if w.h.random(c, arrived) {
		return
	}
	w.h.Arrived(arrived, wire.CarrierWireGuard)
	q, ok := w.question(arrived)
	if !ok {
		w.h.Stray(wire.CarrierWireGuard, arrived)
		return
	}
	w.h.Answer(Question{Carrier: wire.CarrierWireGuard, Tag: q.tag, Arrived: arrived, Message: arrived.Bytes}, Answerer{
		Build: q.answer, Send: back(w.h, c, arrived),
	})
}

// A wireGuardQuestion is a message of a client's and how to answer it.
type wireGuardQuestion struct {
	tag    wire.Tag // without a nonce
	answer func(*gate.Session) ([]byte, string)
}

// question reads a message. False: it is no peer's.
func (w *wireGuard) question(arrived wire.Sighting) (wireGuardQuestion, bool) {
	switch kind, err := wire.WireGuardKind(arrived.Bytes); {
	case err != nil:
	case kind == wire.WireGuardInitiation:
		return w.initiation(arrived)
	case kind == wire.WireGuardData:
		return w.data(arrived.Bytes)
	}
	return wireGuardQuestion{}, false
}

func (w *wireGuard) initiation(arrived wire.Sighting) (q wireGuardQuestion, ok bool) {
	o := w.read(arrived.Bytes, w.h.gate.SessionsFrom(arrived.Src.Addr()))
	if o == nil {
		return q, false
	}
	w.mu.Lock()
	p := w.peers[o.Peer]
	w.mu.Unlock()
	if p == nil {
		return q, false
	}
	exchange := o.Sender ^ binary.BigEndian.Uint32(p.session.Derive(wire.WireGuardIndexLabel))
	q.tag.Token = p.session.Question(wire.CarrierWireGuard, exchange)
	q.answer = func(s *gate.Session) ([]byte, string) { return w.open(s, p, o) }
	return q, true
}

// read reads an initiation from where some sessions live, unless it comes from somebody without our key, or there are too many: each costs key
// exchanges. A real server would ask for a cookie then; ours keeps silent, and the client tries again.
func (w *wireGuard) read(b []byte, from []*gate.Session) *wire.WireGuardOpened {
	if !wire.WireGuardForUs(w.public, b) {
		return nil
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, r := range w.recent {
		if r.message == string(b) {
			return r.opened
		}
	}
	if len(w.peers) == 0 || !w.afford(from, time.Now()) {
		return nil
	}
	o, err := wire.ReadWireGuard(w.own, b)
	if err != nil {
		return nil
	}
	w.recent[w.next] = wireGuardRead{string(b), o}
	w.next = (w.next + 1) % len(w.recent)
	return o
}

// afford says whether one more initiation may be read. Everybody who ever had the connection string may know our key: what he sends from elsewhere
// takes nothing from those that the peers' own addresses may have. The caller holds w.mu.
func (w *wireGuard) afford(from []*gate.Session, now time.Time) bool {
	for _, s := range from {
		if p := w.of[s]; p != nil && p.load.takeOf(now, wireGuardRate, wireGuardBurst) {
			return true
		}
	}
	return w.load.take(now)
}

// open answers an initiation, once: whoever overheard one may not give it another index.
func (w *wireGuard) open(s *gate.Session, p *wireGuardPeer, o *wire.WireGuardOpened) ([]byte, string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	switch {
	case w.of[s] != p: // it was dismissed meanwhile: nobody would take its tunnel away
		return nil, gate.SilentToken
	case p.stamps[o.Timestamp] || len(p.stamps) >= wireGuardStamps:
		return nil, gate.SilentReplay
	}
	index := rand.Uint32()
	for w.tunnels[index] != nil || index == 0 {
		index = rand.Uint32()
	}
	response, t, err := o.Answer(index)
	if err != nil {
		return nil, silentKey
	}
	p.stamps[o.Timestamp] = true
	w.tunnels[index] = &wireGuardTunnel{WireGuardTunnel: t, session: s}
	if p.made = append(p.made, index); len(p.made) > wireGuardTunnels {
		delete(w.tunnels, p.made[0])
		p.made = p.made[1:]
	}
	return response, ""
}

func (w *wireGuard) data(b []byte) (q wireGuardQuestion, ok bool) {
	w.mu.Lock()
	t := w.tunnels[wire.WireGuardReceiver(b)]
	w.mu.Unlock()
	if t == nil {
		return q, false
	}
	packet, err := t.Open(b)
	if err != nil {
		return q, false
	}
	in, err := parseInner(packet)
	if err != nil || in.tag.Token.Session() != t.session.ID() {
		return q, false
	}
	q.tag.Token = in.tag.Token
	q.answer = func(s *gate.Session) ([]byte, string) {
		w.mu.Lock()
		counter := t.sent
		t.sent++
		w.mu.Unlock()
		return t.Seal(counter, in.answer(wire.Tag{Token: s.Token(wire.CarrierWireGuard, in.tag.Token.Exchange())})), ""
	}
	return q, true
}

// enrol makes a session's key a peer's, and returns ours; or says why not.
func (w *wireGuard) enrol(s *gate.Session, key []byte) (own []byte, why string) {
	if len(key) != wire.WireGuardKeySize {
		return nil, "a WireGuard key has 32 octets"
	}
	k := [wire.WireGuardKeySize]byte(key)
	w.mu.Lock()
	defer w.mu.Unlock()
	switch p := w.peers[k]; {
	case p != nil && p.session != s:
		return nil, "this WireGuard key is another session's"
	case p != nil:
		return w.public, ""
	}
	w.forget(s) // a session has one
	p := &wireGuardPeer{session: s, key: k, stamps: map[[12]byte]bool{}, load: bucket{tokens: wireGuardBurst}}
	w.peers[k], w.of[s] = p, p
	return w.public, ""
}

// dismiss forgets a session's key, and its tunnels.
func (w *wireGuard) dismiss(s *gate.Session) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.forget(s)
}

func (w *wireGuard) forget(s *gate.Session) {
	p := w.of[s]
	if p == nil {
		return
	}
	for _, index := range p.made {
		delete(w.tunnels, index)
	}
	delete(w.peers, p.key)
	delete(w.of, s)
}
