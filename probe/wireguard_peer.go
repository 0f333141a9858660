package probe

import (
	"crypto/ecdh"
	"encoding/binary"
	"sync"
	"time"

	"vpncheck/probe/wire"
)

// A wireGuardPeer is this laptop as WireGuard knows it, for one session: a static key that nobody had before, the server's, and the tunnels.
// An initiation's sender index is its exchange's number, masked with the session's key: by it either end knows what belongs together.
type wireGuardPeer struct {
	mu      sync.Mutex
	mint    *wire.Mint
	mask    uint32
	own     *ecdh.PrivateKey
	server  []byte
	stamp   time.Time                         // of the newest initiation
	opened  map[uint32]*wire.WireGuardOpening // by the sender's index
	tunnels map[uint32]*wireGuardTunnel       // the same
	newest  *wireGuardTunnel
}

// A wireGuardTunnel is what a handshake has made.
type wireGuardTunnel struct {
	*wire.WireGuardTunnel
	mu   sync.Mutex
	sent uint64
}

// begin is called once the session is open.
func (p *wireGuardPeer) begin(m *wire.Mint) {
	p.mint, p.mask = m, binary.BigEndian.Uint32(m.Derive(wire.WireGuardIndexLabel))
	p.opened, p.tunnels = map[uint32]*wire.WireGuardOpening{}, map[uint32]*wireGuardTunnel{}
}

// public is the laptop's static public key.
func (p *wireGuardPeer) public() []byte {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.own == nil {
		p.own = wire.NewWireGuardKey()
	}
	return p.own.PublicKey().Bytes()
}

// meet takes the server's.
func (p *wireGuardPeer) meet(server []byte) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.server = server
}

// opening is a new initiation, for the exchange that a tag names. It is empty if the server told no key.
func (p *wireGuardPeer) opening(t wire.Tag) []byte {
	p.mu.Lock()
	defer p.mu.Unlock()
	at := time.Now()
	if next := p.stamp.Add(wire.WireGuardTick); next.After(at) {
		at = next
	}
	o, err := wire.OpenWireGuard(p.own, p.server, t.Token.Exchange()^p.mask, at)
	if err != nil {
		return nil
	}
	p.stamp, p.opened[o.Sender] = at, o
	return o.Message
}

// read takes the tag out of what came from port 51820.
func (p *wireGuardPeer) read(s wire.Sighting) (wire.Tag, bool) {
	kind, err := wire.WireGuardKind(s.Bytes)
	if err != nil {
		return wire.Tag{}, true // somebody's, or damaged
	}
	switch kind {
	case wire.WireGuardResponse:
		return p.response(s.Bytes), true
	case wire.WireGuardData:
		return p.data(s.Bytes)
	case wire.WireGuardInitiation:
		return p.mirrored(s.Bytes), true
	}
	return wire.Tag{}, true
}

// response is the tag that a valid response stands for.
func (p *wireGuardPeer) response(b []byte) (tag wire.Tag) {
	p.mu.Lock()
	defer p.mu.Unlock()
	index := wire.WireGuardReceiver(b)
	o := p.opened[index]
	if o == nil {
		return tag
	}
	t, err := o.Answered(b)
	if err != nil {
		return tag
	}
	if p.tunnels[index] == nil { // a copy makes none
		p.newest = &wireGuardTunnel{WireGuardTunnel: t}
		p.tunnels[index] = p.newest
	}
	tag.Token = p.mint.Make(wire.Answer, wire.CarrierWireGuard, index^p.mask)
	return tag
}

// mirrored is that of an initiation of ours that came back.
func (p *wireGuardPeer) mirrored(b []byte) (tag wire.Tag) {
	p.mu.Lock()
	defer p.mu.Unlock()
	index := wire.WireGuardSender(b)
	if o := p.opened[index]; o != nil && string(o.Message) == string(b) {
		tag.Token = p.mint.Make(wire.Question, wire.CarrierWireGuard, index^p.mask)
	}
	return tag
}

// data opens transport data. Our own come back is nobody's answer.
func (p *wireGuardPeer) data(b []byte) (tag wire.Tag, ok bool) {
	index := wire.WireGuardReceiver(b)
	t := p.tunnel(index)
	if t == nil {
		return tag, !p.ours(index)
	}
	packet, err := t.Open(b)
	if err != nil {
		return tag, true
	}
	ip, rest, err := wire.ParseIPv4(packet)
	if err != nil || ip.Protocol != wire.IPProtoUDP {
		return tag, true
	}
	if _, rest, err = wire.ParseUDP(rest); err != nil {
		return tag, true
	}
	tag, _ = wire.ParseTag(rest)
	return tag, true
}

func (p *wireGuardPeer) ours(remote uint32) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, t := range p.tunnels {
		if t.Remote == remote {
			return true
		}
	}
	return false
}

func (p *wireGuardPeer) tunnel(index uint32) *wireGuardTunnel {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.tunnels[index]
}

// last is the newest tunnel, or nil.
func (p *wireGuardPeer) last() *wireGuardTunnel {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.newest
}

// packet is the tunnel's next one, with a datagram of so many octets in it.
func (t *wireGuardTunnel) packet(tag wire.Tag, size int) []byte {
	t.mu.Lock()
	counter := t.sent
	t.sent++
	t.mu.Unlock()
	return t.Seal(counter, inner(wire.Tag{Token: tag.Token}, size))
}
