package gate

import (
	"crypto/hmac"
	"net/netip"

	"vpncheck/probe/wire"
)

const (
	maxProved = 16       // addresses a session; carriers' NAT pools show a handful
	headStart = 64 << 10 // octets that a session may be sent before it has sent any
	factor    = 3        // octets out for an octet in, at most
)

type count struct{ packets, octets int }

// fits reports whether one more packet stays within the limits.
func (c count) fits(octets int, packetLimit, octetLimit int) bool {
	return c.packets < packetLimit && octets <= octetLimit-c.octets
}

func (c *count) add(octets int) {
	c.packets++
	c.octets += octets
}

// A peer is an address from which a session's packets came.
type peer struct {
	addr    netip.Addr
	proved  bool // it receives what is sent to it
	in, out count
}

// plain is the one form of an address in which the gate compares: IPv4 never mapped into IPv6, and no zone.
func plain(a netip.Addr) netip.Addr { return a.Unmap().WithZone("") }

// host reports whether an answer to that address could reach one host and no more.
func host(a netip.Addr) bool {
	return a.IsValid() && !a.IsUnspecified() && !a.IsMulticast() && a != netip.AddrFrom4([4]byte{255, 255, 255, 255})
}

// household is what one subscriber has: an IPv4 address or an IPv6 /64.
func household(a netip.Addr) netip.Prefix {
	bits := 64
	if a.Is4() {
		bits = 32
	}
	return netip.PrefixFrom(a, bits).Masked()
}

// site is what a provider hands out at most: an IPv4 address or an IPv6 /48 (RFC 6177).
func site(a netip.Addr) netip.Prefix {
	bits := 48
	if a.Is4() {
		bits = 32
	}
	return netip.PrefixFrom(a, bits).Masked()
}

func (s *Session) peer(a netip.Addr) *peer {
	for i := range s.peers {
		if s.peers[i].addr == a {
			return &s.peers[i]
		}
	}
	return nil
}

func (s *Session) countPeers(proved bool) int {
	n := 0
	for i := range s.peers {
		if s.peers[i].proved == proved {
			n++
		}
	}
	return n
}

// mayReceive says why a packet cannot be counted, or nothing.
func (s *Session) mayReceive(from netip.Addr, size int) string {
	l := &s.gate.limits
	if s.closed.Load() || size < 0 || !s.in.fits(size, l.Packets, l.Bytes) {
		return SilentBudget
	}
	if !host(from) || s.peer(from) == nil && s.countPeers(false) >= l.Unproved {
		return SilentUnproved
	}
	return ""
}

// receive counts a packet that mayReceive let through, and reports whether it proved its address.
func (s *Session) receive(from netip.Addr, size int, nonce [wire.NonceSize]byte) (proved bool) {
	p := s.peer(from)
	if p == nil {
		s.peers = append(s.peers, peer{addr: from})
		p = &s.peers[len(s.peers)-1]
	}
	s.in.add(size)
	p.in.add(size)
	if p.proved || !s.returns(p, nonce) {
		return false
	}
	p.proved = true
	return true
}

// returns reports whether nonce is what only an answer to that address could have carried there.
func (s *Session) returns(p *peer, nonce [wire.NonceSize]byte) bool {
	if nonce == [wire.NonceSize]byte{} || p.out.packets == 0 || s.countPeers(true) >= maxProved {
		return false
	}
	want := s.nonceFor(p.addr)
	return hmac.Equal(nonce[:], want[:])
}

// Spend asks, before a packet of ours leaves, whether it may, and counts it if so: the answer is empty. Else it is the reason why it
// must not leave. octets is the packet's size, IP header included.
func (s *Session) Spend(to netip.Addr, octets int) string {
	to = plain(to)
	now, l := s.gate.now(), &s.gate.limits
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.live(now) || octets < 0 || !s.out.fits(octets, l.Packets, min(l.Bytes, factor*s.in.octets+headStart)) {
		return SilentBudget
	}
	p := s.peer(to)
	if p == nil || !p.proved && !p.out.fits(octets, p.in.packets, p.in.octets) {
		return SilentUnproved
	}
	s.out.add(octets)
	p.out.add(octets)
	return ""
}
