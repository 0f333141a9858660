package testserver

import (
	"bytes"
	"fmt"
	"net/netip"
	"testing"
	"testing/synctest"

	"vpncheck/probe/sock"
	"vpncheck/probe/wire"
	"vpncheck/testserver/gate"
)

func withL2TP(_ *world, cfg *Config) { cfg.Responders = []Responder{L2TP()} }

// tunnel is the client's end of a tunnel.
type tunnel struct {
	*client
	conn      sock.Conn
	own, peer uint16
	call      uint16 // the server's Session ID
	ns, nr    uint16
}

func vector(token wire.Token) wire.AVP {
	return wire.NewAVP(wire.AVPRandomVector, wire.Tag{Token: token}.Append(nil))
}

// control sends a control message, and returns its answer and what was told of it.
func (k *tunnel) control(session, typ uint16, avps ...wire.AVP) (wire.L2TP, wire.Saw) {
	k.t.Helper()
	all := append([]wire.AVP{wire.AVP16(wire.AVPMessageType, typ), vector(k.token(wire.CarrierL2TP))}, avps...)
	question := wire.L2TPControl(k.peer, session, k.ns, k.nr, all...).Append(nil)
	k.emit(k.conn, netip.AddrPortFrom(serverOther, 1701), question)
	saw := k.saw()
	if saw.Silent != "" {
		return wire.L2TP{}, saw
	}
	s := k.hear(k.conn)
	m, err := wire.ParseL2TP(s.Bytes)
	if err != nil || s.Src != netip.AddrPortFrom(serverOther, 1701) {
		k.t.Fatalf("got %x from %v, %v", s.Bytes, s.Src, err)
	}
	if v, ok := m.AVPs.Find(wire.AVPRandomVector); ok {
		tag, _ := wire.ParseTag(v.Value)
		k.answered(wire.CarrierL2TP, tag.Token)
	} else if len(m.AVPs) > 0 {
		k.t.Errorf("got %+v, without a token", m)
	}
	if m.TunnelID != k.own || m.Nr < k.ns+1 || !bytes.Equal(saw.Replied.Bytes, s.Bytes) {
		k.t.Errorf("got %+v, told %+v", m, saw)
	}
	k.ns++
	return m, saw
}

// open opens a tunnel with a call in it, and checks it on the way.
func (c *client) tunnel(own uint16) *tunnel {
	c.t.Helper()
	k := &tunnel{client: c, conn: c.udp(c.laptop, laptopAddr), own: own}
	m, _ := k.control(0, wire.L2TPSCCRQ, wire.AVP16(wire.AVPAssignedTunnelID, own))
	id, _ := m.AVPs.Find(wire.AVPAssignedTunnelID)
	k.peer, _ = id.Uint16()
	k.nr = m.Ns + 1
	if typ, _ := m.MessageType(); typ != wire.L2TPSCCRP || m.Ns != 0 || k.peer == 0 || k.peer == own {
		c.t.Fatalf("got %+v, want a tunnel", m)
	}
	if m, _ := k.control(0, wire.L2TPSCCCN); len(m.AVPs) != 0 || m.Ns != 1 || m.SessionID != 0 {
		c.t.Errorf("got %+v, want an acknowledgment", m)
	}
	m, _ = k.control(0, wire.L2TPICRQ, wire.AVP16(wire.AVPAssignedSessionID, 77))
	id, _ = m.AVPs.Find(wire.AVPAssignedSessionID)
	k.call, _ = id.Uint16()
	k.nr = m.Ns + 1
	if typ, _ := m.MessageType(); typ != wire.L2TPICRP || m.Ns != 1 || k.call == 0 || k.call == 77 || m.SessionID != 77 {
		c.t.Fatalf("got %+v, want a call", m)
	}
	if m, _ := k.control(k.call, wire.L2TPICCN); len(m.AVPs) != 0 || m.Ns != 2 || m.SessionID != 77 {
		c.t.Errorf("got %+v, want an acknowledgment", m)
	}
	return k
}

// data sends LCP to a call.
func (k *tunnel) data(session uint16, l wire.LCP) {
	k.t.Helper()
	frame := wire.PPP{Protocol: wire.ProtocolLCP, Information: l.Append(nil)}.Append(nil)
	k.emit(k.conn, netip.AddrPortFrom(serverOther, 1701), wire.L2TP{TunnelID: k.peer, SessionID: session, Payload: frame}.Append(nil))
}

func (k *tunnel) hearData() wire.LCP {
	k.t.Helper()
	m, err := wire.ParseL2TP(k.hear(k.conn).Bytes)
	if err != nil || m.Control || m.TunnelID != k.own || m.SessionID != 77 {
		k.t.Fatalf("got %+v, %v", m, err)
	}
	l, err := parseLCPFrame(m.Payload)
	if err != nil {
		k.t.Fatal(err)
	}
	return l
}

func TestL2TP(t *testing.T) {
	inWorld(t, withL2TP, func(w *world) {
		k := w.open(w.laptop, wire.CarrierL2TP).tunnel(41)
		k.data(k.call, configureRequest(k.token(wire.CarrierL2TP)))
		if l := k.hearData(); l.Code != wire.ConfigureAck {
			t.Errorf("got %+v, want a Configure-Ack", l)
		}
		theirs := k.hearData()
		if s := k.saw(); theirs.Code != wire.ConfigureRequest || s.Exchange != k.number || s.Silent != "" {
			t.Errorf("got %+v, told %+v, want a Configure-Request", theirs, s)
		}
		theirs.Code = wire.ConfigureAck
		k.data(k.call, theirs)
		if s := k.saw(); !s.Began || s.Exchange != k.number || s.Replied.State != wire.Seen {
			t.Errorf("got %+v, want the Configure-Ack", s)
		}
		tag := wire.Tag{Token: k.token(wire.CarrierL2TP)}
		k.data(k.call, wire.LCP{Code: wire.LCPEchoRequest, Identifier: 9, Data: wire.LCPEcho{MagicNumber: 5, Data: tag.Append(nil)}.Append(nil)})
		l := k.hearData()
		k.answered(wire.CarrierL2TP, wire.Token(l.Data[4:]))
		if l.Code != wire.LCPEchoReply || l.Identifier != 9 {
			t.Errorf("got %+v, want an Echo-Reply", l)
		}
		k.saw()
		if m, _ := k.control(0, wire.L2TPHello); len(m.AVPs) != 0 || m.Ns != 2 {
			t.Errorf("got %+v, want an acknowledgment", m)
		}
		if m, _ := k.control(0, wire.L2TPStopCCN, wire.AVP16(wire.AVPAssignedTunnelID, k.own)); len(m.AVPs) != 0 {
			t.Errorf("got %+v, want an acknowledgment", m)
		}
		if _, s := k.control(0, wire.L2TPHello); s.Silent != silentTunnelID {
			t.Errorf("got %+v, want silence in a tunnel that is down", s)
		}
	})
}

// What was lost is asked again: the same Ns, another token, the same call.
func TestL2TPAgain(t *testing.T) {
	inWorld(t, withL2TP, func(w *world) {
		k := w.open(w.laptop, wire.CarrierL2TP).tunnel(41)
		k.ns = 2
		m, _ := k.control(0, wire.L2TPICRQ, wire.AVP16(wire.AVPAssignedSessionID, 77))
		id, _ := m.AVPs.Find(wire.AVPAssignedSessionID)
		if call, _ := id.Uint16(); call != k.call || m.Ns != 1 {
			t.Errorf("got %+v, want call %d again", m, k.call)
		}
	})
}

// Tunnels and calls are bounded, and a session's own.
func TestL2TPBounds(t *testing.T) {
	r := L2TP().(*l2tp)
	inWorld(t, func(_ *world, cfg *Config) { cfg.Responders = []Responder{r} }, func(w *world) {
		c := w.open(w.laptop, wire.CarrierL2TP)
		first := c.tunnel(41)
		other := w.open(w.laptop, wire.CarrierL2TP)
		thief := &tunnel{client: other, conn: other.udp(w.laptop, laptopAddr), own: first.own, peer: first.peer, ns: 4}
		if _, s := thief.control(0, wire.L2TPHello); s.Silent != silentTunnelID {
			t.Errorf("got %+v, want silence in another session's tunnel", s)
		}
		thief.data(first.call, configureRequest(other.token(wire.CarrierL2TP)))
		if s := other.saw(); s.Silent != silentTunnelID {
			t.Errorf("got %+v, want silence in another session's call", s)
		}
		for i := range uint16(l2tpCalls) {
			_, s := first.control(0, wire.L2TPICRQ, wire.AVP16(wire.AVPAssignedSessionID, 100+i))
			if want := map[bool]string{true: gate.SilentBudget}[i == l2tpCalls-1]; s.Silent != want {
				t.Errorf("call %d: got %q, want %q", i, s.Silent, want)
			}
		}
		for i := range uint16(l2tpTunnels) {
			c.tunnel(50 + i)
		}
		if _, s := first.control(0, wire.L2TPHello); s.Silent != silentTunnelID || len(r.tunnels) != l2tpTunnels {
			t.Errorf("got %+v and %d tunnels, want the oldest forgotten", s, len(r.tunnels))
		}
		c.conn.Close()
		synctest.Wait()
		if len(r.tunnels) != 0 || len(r.held) != 0 {
			t.Errorf("%d tunnels of %d sessions are left, want none", len(r.tunnels), len(r.held))
		}
	})
}

// Messages that make no sense here get no answer, and their session is told why.
func TestL2TPSilent(t *testing.T) {
	inWorld(t, withL2TP, func(w *world) {
		k := w.open(w.laptop, wire.CarrierL2TP).tunnel(41)
		for _, row := range []struct {
			peer, typ uint16
			avps      []wire.AVP
			want      string
		}{
			{0, wire.L2TPSCCRQ, nil, silentMessage},
			{0, wire.L2TPSCCRQ, []wire.AVP{wire.AVP16(wire.AVPAssignedTunnelID, 0)}, silentMessage},
			{k.peer, wire.L2TPSCCRQ, []wire.AVP{wire.AVP16(wire.AVPAssignedTunnelID, 3)}, silentMessage},
			{k.peer, wire.L2TPICRQ, nil, silentMessage},
			{k.peer, wire.L2TPSCCRP, nil, silentMessage},
			{k.peer ^ 1, wire.L2TPHello, nil, silentTunnelID},
			{0, wire.L2TPHello, nil, silentTunnelID},
		} {
			at := *k
			at.peer = row.peer
			if _, s := at.control(0, row.typ, row.avps...); s.Silent != row.want {
				t.Errorf("%+v: got %q", row, s.Silent)
			}
		}
		zlb := wire.L2TPControl(k.peer, 0, k.ns, k.nr).Append(nil)
		k.emit(k.conn, netip.AddrPortFrom(serverOther, 1701), zlb)
		k.quiet()
		for _, b := range [][]byte{zlb[:11], {}, wire.L2TP{TunnelID: k.peer, SessionID: k.call, Payload: []byte{1}}.Append(nil)} {
			k.emit(k.conn, netip.AddrPortFrom(serverOther, 1701), b)
			k.stray()
		}
	})
}

func FuzzL2TPStranger(f *testing.F) {
	r := L2TP().(*l2tp)
	w, srv := fuzzWorld(f, r)
	conn, err := w.server.UDP(netip.AddrPortFrom(serverAddr, 1702))
	if err != nil {
		f.Fatal(err)
	}
	session := srv.gate.SessionsFrom(otherAddr)[0]
	t := &l2tpTunnel{session: session, own: 0xFFFF, theirs: 5}
	call := t.begin(6)
	r.tunnels[t.own] = t
	for _, typ := range []uint16{1, 3, 4, 6, 10, 12} {
		f.Add(wire.L2TPControl(t.own, 0, 1, 1, wire.AVP16(wire.AVPMessageType, typ), vector(wire.Token{}), wire.AVP16(wire.AVPAssignedTunnelID, 1)).Append(nil))
	}
	for _, l := range []wire.LCP{configureRequest(wire.Token{}), {Code: wire.ConfigureAck}, {Code: wire.LCPEchoRequest, Data: make([]byte, 40)}} {
		frame := wire.PPP{Protocol: wire.ProtocolLCP, Information: l.Append(nil)}.Append(nil)
		f.Add(wire.L2TP{TunnelID: t.own, SessionID: call.own, Payload: frame}.Append(nil))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		r.datagram(conn, wire.Sighting{
			State: wire.Seen, Src: netip.AddrPortFrom(otherAddr, 9), Dst: netip.AddrPortFrom(serverAddr, 1701), Bytes: b,
		})
		if len(w.server.Sent()) != 0 || len(r.tunnels) != 1 {
			t.Errorf("a stranger was answered: %x", b)
		}
	})
}

// The client's numbers may be anything: nothing depends on them.
func TestL2TPNumbers(t *testing.T) {
	inWorld(t, withL2TP, func(w *world) {
		k := w.open(w.laptop, wire.CarrierL2TP).tunnel(41)
		for _, ns := range []uint16{0, 3, 100, 0x7FFF, 0x8001, 0xFFFF} {
			m := wire.L2TPControl(k.peer, k.call, ns, ns, wire.AVP16(wire.AVPMessageType, wire.L2TPHello), vector(k.token(wire.CarrierL2TP)))
			k.emit(k.conn, netip.AddrPortFrom(serverOther, 1701), m.Append(nil))
			if s := k.saw(); s.Silent != "" {
				t.Error(fmt.Sprint("Ns ", ns, ": ", s.Silent))
			}
			k.hear(k.conn)
		}
	})
}
