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

// hold opens a tunnel and keeps it busy. One that stops midway is opened once more, and asked slowly.
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
		e := k.ask(ctx, k.exchange, l2tpTunnelStage, 0, wire.L2TPSCCRQ, k.opening()...)
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
	k.tell(ctx, l2tpCallUpStage, k.peerCall, wire.L2TPICCN, k.connected()...)
	data := L2TP{}.stage(l2tpDataStage)
	k.c.talk(ctx, k.part, data, k.number, k.echo)
	k.c.fullSize(ctx, k.part, k.number, func(ctx context.Context) Exchange {
		return k.flow.Ask(ctx, Question{Part: k.part, Stage: stageFull, Flow: k.number, DF: true, Payload: func(t wire.Tag) []byte {
			return k.data(k.lcp.padded(t, 20+8+6+8))
		}})
	})
	if k.c.again(k.part, data, k.number) {
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
		e := k.ask(ctx, n, l2tpSessionStage, 0, wire.L2TPICRQ, k.calling()...)
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

// echo asks the server to configure the link, and once it has, for an echo.
func (k *l2tpTunnel) echo(ctx context.Context) Exchange {
	e := k.flow.Ask(ctx, Question{Part: k.part, Stage: l2tpDataStage, Flow: k.number, DF: true, Payload: func(t wire.Tag) []byte {
		return k.data(k.lcp.request(t))
	}})
	if n, ack, ok := k.lcp.answered(l2tpLCP(e.Returned.Bytes)); ok {
		k.flow.Tell(ctx, n, l2tpDataStage, k.number, e.Returned, k.data(ack))
	}
	return e
}

// ask sends a control message and waits for its answer. One that is sent again keeps its Ns, and is a question of its own.
func (k *l2tpTunnel) ask(ctx context.Context, n uint32, stage string, session, typ uint16, avps ...wire.AVP) Exchange {
	return k.flow.Ask(ctx, Question{Part: k.part, Stage: stage, Flow: k.number, DF: true, Number: n, Payload: func(t wire.Tag) []byte {
		return k.message(t, session, typ, avps...)
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

// stop takes the tunnel down (section 6.4), also after ctx was cancelled.
func (k *l2tpTunnel) stop(ctx context.Context) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), time.Second)
	defer cancel()
	k.say(ctx, l2tpStopStage, 0, wire.L2TPStopCCN, k.ending()...)
}
