package probe

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"slices"

	"vpncheck/probe/wire"
)

// askOpenVPNUDP sends a client's reset. A server with TLS-auth or TLS-crypt drops it in silence, as every packet that lacks its key; another
// answers, and keeps nothing of it.
func (t *ownTalk) askOpenVPNUDP(ctx context.Context) {
	s, ear, ok := t.open(0) // a client's own port is any
	if !ok {
		return
	}
	t.stage(openVPNReset, fmt.Sprintf("the opening on UDP port %d", t.o.Port))
	reset := ownReset()
	t.ask(ctx, s, ear, t.server(), func() []byte { return reset.Append(nil) }, func(p wire.Sighting) ownSays {
		if m, err := wire.ParseOpenVPN(p.Bytes); err != nil || !answersReset(m, reset) {
			return strange
		}
		return theReply
	})
}

// askOpenVPNTCP does so on a connection, which tells by itself whether the port is open.
func (t *ownTalk) askOpenVPNTCP(ctx context.Context) {
	s := t.connect(ctx, fmt.Sprintf("the connection to TCP port %d", t.o.Port))
	if s == nil {
		return
	}
	defer s.conn.Close()
	t.stage(openVPNReset, fmt.Sprintf("the opening on TCP port %d", t.o.Port))
	reset := ownReset()
	s.ask(ctx, reset.AppendStream(nil), func(b []byte) (int, ownSays, error) {
		m, size, err := wire.ParseOpenVPNStream(b)
		switch {
		case errors.Is(err, wire.ErrShort):
			return 0, notMine, err
		case err != nil || !answersReset(m, reset):
			t.edit(func(o *Opening) { o.Another = "not OpenVPN" })
			return 0, strange, nil
		}
		return size, theReply, nil
	})
}

// ownReset is P_CONTROL_HARD_RESET_CLIENT_V2, with a session ID that nobody else knows.
func ownReset() wire.OpenVPN {
	m := wire.OpenVPN{Opcode: wire.OpenVPNHardResetClient}
	rand.Read(m.Session[:])
	return m
}

// answersReset says whether a packet is the server's reset, which names our session.
func answersReset(m, reset wire.OpenVPN) bool {
	return m.Opcode == wire.OpenVPNHardResetServer && m.Remote == reset.Session && slices.Contains(m.Acks, reset.PacketID)
}
