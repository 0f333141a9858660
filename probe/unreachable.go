package probe

import (
	"fmt"
	"slices"
	"time"

	"vpncheck/probe/wire"
)

// tooBig is the code of "fragmentation needed" (RFC 1191), which refuses nothing.
const tooBig = 4

// listenICMP files what ICMP says of this run's packets, where the system lets us hear it. Sockets hardly tell (T34): an error surfaces
// late, on another call, and without its sender.
func (p *Path) listenICMP(stop <-chan struct{}) {
	if !p.Local.Is4() {
		return
	}
	conn, err := p.net.Raw(wire.IPProtoICMP, p.Local)
	if err != nil {
		return
	}
	go func() {
		<-stop
		conn.Close()
	}()
	for {
		s, err := conn.Recv()
		if err != nil {
			return
		}
		m, err := wire.ParseICMPError(s.Bytes)
		if err != nil || m.Type != wire.ICMPUnreachable || m.Code == tooBig || m.Header.Dst != p.Server {
			continue
		}
		for _, c := range p.link.all() {
			c.unreachable(m, s)
		}
	}
}

// unreachable files an ICMP error under the newest unanswered exchange that it can be about. It is evidence of a refusal in the server's
// name, no more: routers forge the sender.
func (c *Conversation) unreachable(m wire.ICMPError, s wire.Sighting) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, e := range slices.Backward(c.obs.Exchanges) {
		if e.Sent.Proto != m.Header.Protocol || e.Returned.State == wire.Seen || time.Since(e.Sent.At) > 3*time.Second {
			continue
		}
		if src, dst := m.QuotedPorts(); e.Sent.Proto == wire.IPProtoUDP && (src != e.Sent.Src.Port() || dst != e.Sent.Dst.Port()) {
			continue
		}
		for i := range c.obs.Exchanges {
			if c.obs.Exchanges[i].ID == e.ID {
				c.obs.Exchanges[i].Refused = fmt.Sprintf("icmp %d/%d from %s", m.Type, m.Code, s.Src.Addr().Unmap())
			}
		}
		return
	}
}
