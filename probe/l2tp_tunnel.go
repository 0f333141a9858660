package probe

import (
	"context"
	"sync"
	"time"

	"vpncheck/probe/wire"
)

// l2tpSendings is how often a message is sent that is not acknowledged.
const l2tpSendings = 3

// An l2tpTalk is one form under way.
type l2tpTalk struct {
	c     *Conversation
	part  string
	flow  *Flow
	doubt func()

	attempts int

	mu      sync.Mutex
	tunnels map[uint16]*l2tpTunnel // by our Tunnel ID
}

// An l2tpTunnel is one attempt at a tunnel, with a call in it.
type l2tpTunnel struct {
	*l2tpTalk
	number    int    // the attempt is a flow of its own: it has its own IDs
	exchange  uint32 // of the Start-Control-Connection-Request
	own, peer uint16 // Tunnel IDs: ours, on messages towards us, and the server's
	ownCall   uint16 // Session IDs
	peerCall  uint16
	ns, nr    uint16 // of the next message: its own number, and the one that is expected (RFC 2661, section 5.8)
	lcp       lcpLink

	open bool              // the server's Reply had our token; guarded by mu, like acks
	acks map[uint16]uint32 // exchanges that only an acknowledgment answers, by its Nr
}

// hold opens a tunnel and keeps it busy. One that stops midway is opened once more.
func (t *l2tpTalk) hold(ctx context.Context) {
	for range 2 {
		k := t.openTunnel(ctx)
		if k == nil {
			return
		}
		stopped := k.converse(ctx)
		k.stop(ctx)
		if !stopped {
			return
		}
	}
}

// openTunnel asks for a tunnel until one is had or more tries could change nothing, each time for another one (RFC 2661, sections 6.1 and 6.2).
// It returns the newest that was answered, though it be late.
func (t *l2tpTalk) openTunnel(ctx context.Context) *l2tpTunnel {
	var asked []*l2tpTunnel
	t.c.talk(ctx, t.part, L2TP{}.stage(l2tpTunnelStage), t.attempts+1, func(ctx context.Context) Exchange {
		k := t.attempt()
		e := k.ask(ctx, k.exchange, l2tpTunnelStage, 0, wire.L2TPSCCRQ,
			wire.AVP16(wire.AVPProtocolVersion, 0x0100), wire.AVP32(wire.AVPFramingCapabilities, 3), wire.AVP32(wire.AVPBearerCapabilities, 0),
			wire.AVP16(wire.AVPFirmwareRevision, 0x0690), wire.NewAVP(wire.AVPHostName, []byte("vpncheck")),
			wire.NewAVP(wire.AVPVendorName, []byte("xelerance.com")), wire.AVP16(wire.AVPAssignedTunnelID, k.own),
			wire.AVP16(wire.AVPReceiveWindowSize, 4))
		if e.ID != "" {
			asked = append(asked, k)
		}
		if e.Returned.State != wire.Seen {
			t.doubt()
		}
		return e
	})
	for i := len(asked) - 1; i >= 0; i-- {
		k := asked[i]
		if peer, ok := k.reply(k.exchange, wire.L2TPSCCRP, wire.AVPAssignedTunnelID); ok {
			t.mu.Lock()
			defer t.mu.Unlock()
			k.peer, k.open = peer, true
			k.ns++
			return k
		}
	}
	return nil
}

// attempt is a tunnel that is still to be asked for.
func (t *l2tpTalk) attempt() *l2tpTunnel {
	t.mu.Lock()
	defer t.mu.Unlock()
	own := randomID(0)
	for t.tunnels[own] != nil {
		own = randomID(0)
	}
	t.attempts++
	k := &l2tpTunnel{
		l2tpTalk: t, number: t.attempts, exchange: t.c.path.number(), own: own, ownCall: randomID(0),
		lcp: lcpLink{magic: randomMagic()}, acks: map[uint16]uint32{},
	}
	t.tunnels[own] = k
	return k
}

// converse sets up a call and talks in it. It says whether it stopped midway.
func (k *l2tpTunnel) converse(ctx context.Context) bool {
	k.tell(ctx, l2tpConnectedStage, 0, wire.L2TPSCCCN)
	if !k.call(ctx) {
		return false
	}
	k.tell(ctx, l2tpCallUpStage, k.peerCall, wire.L2TPICCN,
		wire.AVP32(wire.AVPTxConnectSpeed, 0), wire.AVP32(wire.AVPFramingType, 1), wire.AVP32(wire.AVPRxConnectSpeed, 0))
	data := L2TP{}.stage(l2tpDataStage)
	k.c.talk(ctx, k.part, data, k.number, k.echo)
	if k.c.stoppedOn(k.part, data, k.number) {
		return true
	}
	k.tell(ctx, l2tpHelloStage, 0, wire.L2TPHello) // section 6.5
	return false
}

// call sets up a call (sections 6.6 and 6.7), and says whether it is up.
func (k *l2tpTunnel) call(ctx context.Context) bool {
	var asked []uint32
	k.c.talk(ctx, k.part, L2TP{}.stage(l2tpSessionStage), k.number, func(ctx context.Context) Exchange {
		n := k.c.path.number()
		e := k.ask(ctx, n, l2tpSessionStage, 0, wire.L2TPICRQ,
			wire.AVP16(wire.AVPAssignedSessionID, k.ownCall), wire.AVP32(wire.AVPCallSerialNumber, 1), wire.AVP32(wire.AVPBearerType, 0))
		if e.ID != "" {
			asked = append(asked, n)
		}
		return e
	})
	for _, n := range asked {
		if id, ok := k.reply(n, wire.L2TPICRP, wire.AVPAssignedSessionID); ok {
			k.peerCall = id
			k.ns++
			return true
		}
	}
	return false
}

// echo asks the server to configure the link, and once it has, for an echo. Data messages have no optional fields.
func (k *l2tpTunnel) echo(ctx context.Context) Exchange {
	e := k.flow.Ask(ctx, Question{Part: k.part, Stage: l2tpDataStage, Flow: k.number, DF: true, Payload: func(t wire.Tag) []byte {
		return k.data(k.lcp.request(t))
	}})
	if n, ack, ok := k.lcp.answered(l2tpLCP(e.Returned.Bytes)); ok {
		k.flow.Tell(ctx, n, l2tpDataStage, k.number, e.Returned, k.data(ack))
	}
	return e
}

func (k *l2tpTunnel) data(lcp wire.LCP) []byte {
	return wire.L2TP{TunnelID: k.peer, SessionID: k.peerCall, Payload: lcpFrame(lcp)}.Append(nil)
}

// l2tpLCP is the LCP in a data message.
func l2tpLCP(message []byte) (wire.LCP, bool) {
	m, err := wire.ParseL2TP(message)
	if err != nil || m.Control {
		return wire.LCP{}, false
	}
	return lcpOf(m.Payload)
}

// ask sends a control message and waits for its answer. The tag is in a Random Vector, which stands in front of what it could hide (section
// 4.4.1). A message that is sent again keeps its Ns, and is a question of its own.
func (k *l2tpTunnel) ask(ctx context.Context, n uint32, stage string, session, typ uint16, avps ...wire.AVP) Exchange {
	return k.flow.Ask(ctx, Question{Part: k.part, Stage: stage, Flow: k.number, DF: true, Number: n, Payload: func(t wire.Tag) []byte {
		all := []wire.AVP{wire.AVP16(wire.AVPMessageType, typ), wire.NewAVP(wire.AVPRandomVector, t.Append(nil))}
		return wire.L2TPControl(k.peer, session, k.ns, k.nr, append(all, avps...)...).Append(nil)
	}})
}

// tell sends a control message that is only acknowledged, and sends it again if it is not.
func (k *l2tpTunnel) tell(ctx context.Context, stage string, session, typ uint16, avps ...wire.AVP) {
	for range l2tpSendings {
		if e := k.say(ctx, stage, session, typ, avps...); e.ID == "" || e.Returned.State == wire.Seen {
			break
		}
	}
	k.ns++
}

func (k *l2tpTunnel) say(ctx context.Context, stage string, session, typ uint16, avps ...wire.AVP) Exchange {
	n := k.c.path.number()
	k.mu.Lock()
	k.acks[k.ns+1] = n
	k.mu.Unlock()
	return k.ask(ctx, n, stage, session, typ, avps...)
}

// reply reads the ID that the answer to an exchange assigns, if there is one of that type. It is the server's: it had a token.
func (k *l2tpTunnel) reply(exchange uint32, typ, id uint16) (uint16, bool) {
	m, err := wire.ParseL2TP(k.c.exchange(exchange).Returned.Bytes)
	if got, ok := m.MessageType(); err != nil || !ok || got != typ {
		return 0, false
	}
	assigned, _ := m.AVPs.Find(id)
	n, _ := assigned.Uint16()
	k.nr = m.Ns + 1
	return n, n != 0
}

// stop takes the tunnel down (section 6.4), also after ctx was cancelled.
func (k *l2tpTunnel) stop(ctx context.Context) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), time.Second)
	defer cancel()
	k.say(ctx, l2tpStopStage, 0, wire.L2TPStopCCN, wire.AVP16(wire.AVPAssignedTunnelID, k.own), wire.L2TPResult{ResultCode: 1}.AVP())
}

// read takes the tag out of a message. What cannot be read is somebody's, or damaged.
func (t *l2tpTalk) read(s wire.Sighting) (wire.Tag, bool) {
	m, err := wire.ParseL2TP(s.Bytes)
	if err != nil {
		return wire.Tag{}, true
	}
	if !m.Control {
		lcp, ok := lcpOf(m.Payload)
		if !ok {
			return wire.Tag{}, true
		}
		return tagOf(lcp)
	}
	if len(m.AVPs) == 0 {
		return wire.Tag{}, !t.acknowledged(m, s)
	}
	vector, _ := m.AVPs.Find(wire.AVPRandomVector)
	tag, _ := wire.ParseTag(vector.Value)
	return tag, true
}

// acknowledged files a Zero-Length Body under what it acknowledges. It has no room for a token: that it is for a tunnel that was opened with
// one vouches for it.
func (t *l2tpTalk) acknowledged(m wire.L2TP, s wire.Sighting) bool {
	t.mu.Lock()
	k := t.tunnels[m.TunnelID]
	open := k != nil && k.open
	var n uint32
	if open {
		n = k.acks[m.Nr]
	}
	t.mu.Unlock()
	if n != 0 {
		t.c.returned(n, s, [wire.NonceSize]byte{})
	}
	return open
}
