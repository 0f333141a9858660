package probe

import (
	"context"
	"fmt"
	"time"

	"vpncheck/probe/wire"
)

const ownTunnel = "tunnel"

// askL2TP asks for a tunnel (RFC 2661, section 6.1), and takes it down again where one was given (section 6.4). This is L2TP without IPsec around
// it, which most servers of L2TP over IPsec do not answer.
func (t *ownTalk) askL2TP(ctx context.Context) {
	s, ear, ok := t.open(wire.L2TPPort)
	if !ok {
		return
	}
	t.stage(ownTunnel, fmt.Sprintf("the tunnel's opening on UDP port %d", t.o.Port))
	k := &l2tpTunnel{own: randomID(0)}
	open := wire.L2TPControl(0, 0, 0, 0, append([]wire.AVP{wire.AVP16(wire.AVPMessageType, wire.L2TPSCCRQ)}, k.opening()...)...).Append(nil)
	answer, ok := t.ask(ctx, s, ear, t.server(), func() []byte { return open }, func(s wire.Sighting) ownSays {
		m, err := wire.ParseL2TP(s.Bytes)
		switch {
		case err != nil || !m.Control || m.TunnelID != k.own:
			return strange
		case len(m.AVPs) == 0:
			return notMine // a bare acknowledgment: the reply is under way
		}
		return theReply
	})
	if !ok {
		return
	}
	m, err := wire.ParseL2TP(answer.Bytes)
	if typ, _ := m.MessageType(); err != nil || typ != wire.L2TPSCCRP {
		t.stoppedL2TP(m)
		return
	}
	name, _ := m.AVPs.Find(wire.AVPHostName)
	t.told(ToldHost, string(name.Value))
	vendor, _ := m.AVPs.Find(wire.AVPVendorName)
	t.told(ToldVendor, string(vendor.Value))
	if a, ok := m.AVPs.Find(wire.AVPFirmwareRevision); ok {
		if n, ok := a.Uint16(); ok {
			t.told(ToldFirmware, fmt.Sprintf("%#04x", n))
		}
	}
	assigned, _ := m.AVPs.Find(wire.AVPAssignedTunnelID)
	if k.peer, _ = assigned.Uint16(); k.peer != 0 {
		t.stopL2TP(ctx, s, ear, k, m.Ns+1)
	}
}

// stoppedL2TP notes the server's no.
func (t *ownTalk) stoppedL2TP(m wire.L2TP) {
	typ, _ := m.MessageType()
	said := fmt.Sprintf("message %d", typ)
	if typ == wire.L2TPStopCCN {
		said = "StopCCN"
		if a, ok := m.AVPs.Find(wire.AVPResultCode); ok {
			if r, ok := a.Result(); ok {
				said = fmt.Sprintf("StopCCN with result %d, error %d %s", r.ResultCode, r.ErrorCode, r.ErrorMessage)
			}
		}
	}
	t.edit(func(o *Opening) { o.Declined = ownText(said) })
}

// stopL2TP takes the tunnel down, and waits a moment for the acknowledgment: once more, if there is none.
func (t *ownTalk) stopL2TP(ctx context.Context, s *ownSocket, ear <-chan wire.Sighting, k *l2tpTunnel, nr uint16) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), hangUpTime)
	defer cancel()
	bye := wire.L2TPControl(k.peer, 0, 1, nr, append([]wire.AVP{wire.AVP16(wire.AVPMessageType, wire.L2TPStopCCN)}, k.ending()...)...).Append(nil)
	for range 2 {
		if !t.a.clear(ctx) || t.say(s, bye) != nil {
			return
		}
		_, ok := t.wait(ctx, ear, time.Now().Add(hangUpTime/2), func(p wire.Sighting) ownSays {
			if m, err := wire.ParseL2TP(p.Bytes); err == nil && m.Control && m.TunnelID == k.own && m.Nr == 2 {
				return theReply
			}
			return notMine
		})
		if ok {
			return
		}
	}
}
