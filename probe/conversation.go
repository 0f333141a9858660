package probe

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"vpncheck/probe/wire"
)

// A Conversation is one protocol's talk with the server, declared before its first packet leaves. It joins what this end sees with what
// the server reports, exchange by exchange, and matches by token, never by position: packets may come late, doubled or reordered.
type Conversation struct {
	path  *Path
	probe Probe
	info  Info
	id    string

	mu      sync.Mutex
	obs     Observation
	index   map[uint32]int           // exchange number -> place in obs.Exchanges
	began   map[uint32]int           // the same for messages that the server began
	answers map[uint32]chan struct{} // closed when the answer is in
	nonce   [wire.NonceSize]byte     // of the server's last answer
	damaged []wire.Sighting          // packets in the server's name whose token failed
	slow    map[string]bool          // parts that are asked at one question a second by now
	settled chan struct{}
	over    bool // Finish has returned: what still comes is filed, and damaged packets are others' business
}

// Conversation declares a protocol's conversation. A *Refusal is returned if the server cannot hold it.
func (p *Path) Conversation(ctx context.Context, of Probe) (*Conversation, error) {
	info := of.Info()
	c := &Conversation{
		path: p, probe: of, info: info, id: fmt.Sprintf("%s/%d", info.ID, p.talks.Add(1)),
		obs:   Observation{Protocol: info.ID, Started: time.Now(), Parts: slices.Clone(info.Parts)},
		index: map[uint32]int{}, began: map[uint32]int{}, answers: map[uint32]chan struct{}{},
		slow: map[string]bool{}, settled: make(chan struct{}),
	}
	declare := wire.Declare{Conversation: c.id, Protocol: info.ID, Carriers: info.Carriers}
	if slices.Contains(info.Carriers, wire.CarrierWireGuard) {
		declare.Key = p.wireGuard.public()
	}
	ready, err := p.link.declare(ctx, c, declare, func(t wire.Turn) { p.waits(info.ID, t) })
	switch {
	case err != nil && ctx.Err() != nil:
		return nil, &Refusal{Reason: ended(ctx)}
	case err != nil:
		p.stop(SessionLost, map[string]any{"why": linkError(err)})
		return nil, &Refusal{Reason: SessionLost, Why: linkError(err)}
	case ready.Refused != "":
		return nil, &Refusal{Reason: Reason(ready.Refused), Why: ready.Why}
	case declare.Key != nil:
		p.wireGuard.meet(ready.Key)
	}
	return c, nil
}

func linkError(err error) string {
	if errors.Is(err, context.DeadlineExceeded) {
		return "the server did not answer on the session's connection"
	}
	return err.Error()
}

// patience is how long the server may take to answer on the side channel: longer where the line loses anything, if not most. TCP repeats what is lost, each
// time after twice as long.
func (p *Path) patience(usual time.Duration) time.Duration {
	if c := p.heart.Control(); (c.loses() || len(c.Outages()) > 0) && !c.hopeless() {
		return max(usual, 5*time.Second)
	}
	return usual
}

// tag is the question's tag for an exchange.
func (c *Conversation) tag(carrier wire.Carrier, n uint32) wire.Tag {
	c.mu.Lock()
	defer c.mu.Unlock()
	return wire.Tag{Token: c.path.mint.Make(wire.Question, carrier, n), Nonce: c.nonce}
}

// begin files an exchange under its number, and returns what is closed when its answer is in.
func (c *Conversation) begin(n uint32, e Exchange) <-chan struct{} {
	e.ID, e.From = fmt.Sprintf("%s/%d", c.info.ID, n), Client
	done := make(chan struct{})
	c.mu.Lock()
	defer c.mu.Unlock()
	c.index[n] = len(c.obs.Exchanges)
	c.answers[n] = done
	c.obs.Exchanges = append(c.obs.Exchanges, e)
	return done
}

// refuse notes that a part could not be asked, and why. It returns an error that is none of opening a socket.
func (c *Conversation) refuse(part string, err error) error {
	var r *Refusal
	if !errors.As(err, &r) {
		return err
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	for i := range c.obs.Parts {
		if c.obs.Parts[i].ID == part {
			c.obs.Parts[i].Refused = r
		}
	}
	return nil
}

// edit changes an exchange in place, if there is one of that number.
func (c *Conversation) edit(n uint32, f func(*Exchange)) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if i, ok := c.index[n]; ok {
		f(&c.obs.Exchanges[i])
	}
}

// exchange is a copy of an exchange as it stands.
func (c *Conversation) exchange(n uint32) Exchange {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.obs.Exchanges[c.index[n]]
}

// returned files the answer of an exchange, and keeps its nonce.
func (c *Conversation) returned(n uint32, s wire.Sighting, nonce [wire.NonceSize]byte) {
	c.mu.Lock()
	defer c.mu.Unlock()
	i, ok := c.index[n]
	if !ok {
		return
	}
	if nonce != ([wire.NonceSize]byte{}) {
		c.nonce = nonce
	}
	e := &c.obs.Exchanges[i]
	if e.Returned.State == wire.Seen {
		e.Copies++
		return
	}
	e.Returned = s
	unveil(e)
	close(c.answers[n])
}

// atNIC files the answer of an exchange as the network card got it.
func (c *Conversation) atNIC(n uint32, s wire.Sighting) {
	c.edit(n, func(e *Exchange) {
		if e.AtNIC == nil {
			e.AtNIC = &s
		}
	})
}

// watched notes that answers are looked for at the network card too.
func (c *Conversation) watched() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.obs.Card = true
}

// answered files our answer to a message that the server began.
func (c *Conversation) answered(n uint32, stage string, flow int, arrived, replied wire.Sighting) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if _, ok := c.began[n]; ok {
		return
	}
	c.began[n] = len(c.obs.Exchanges)
	c.obs.Exchanges = append(c.obs.Exchanges, Exchange{
		ID: fmt.Sprintf("%s/%ds", c.info.ID, n), Part: c.deciding(), Stage: stage, Flow: flow, From: Server,
		Arrived: arrived, Replied: replied,
	})
}

func (c *Conversation) deciding() string {
	for _, p := range c.info.Parts {
		if p.Deciding {
			return p.ID
		}
	}
	return ""
}

// saw joins the server's report to its exchange, if that is one of this conversation.
func (c *Conversation) saw(s wire.Saw) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	if s.Began {
		i, ok := c.began[s.Exchange]
		if ok {
			c.obs.Exchanges[i].Sent, c.obs.Exchanges[i].Returned = s.Replied, s.Arrived
		}
		return ok
	}
	i, ok := c.index[s.Exchange]
	if !ok {
		return false
	}
	e := &c.obs.Exchanges[i]
	if e.Arrived.State == wire.Seen && !cardOnly(e.Arrived) && (s.Replied.State != wire.Seen || closer(*e, e.Replied, s.Replied)) {
		return true // a copy: the server rightly ignored it, or answered with what did not come
	}
	e.Arrived, e.Replied, e.Silent, e.ICV = s.Arrived, s.Replied, s.Silent, s.ICV
	unveil(e)
	return true
}

// cardOnly says of a sighting of the server's that it is one of its network card: a later one of a socket takes its place (T16).
func cardOnly(s wire.Sighting) bool { return s.State == wire.Seen && s.Where == "nic" }

// closer says whether the first of two answers is the one that came, or neither was better.
func closer(e Exchange, first, second wire.Sighting) bool {
	if first.State != wire.Seen {
		return false
	}
	return e.Returned.State != wire.Seen || alike(first.Bytes, e.Returned.Bytes) >= alike(second.Bytes, e.Returned.Bytes)
}

// stray takes a packet whose token failed at the server, if it is one of ours, damaged; or a SYN, which has no token.
func (c *Conversation) stray(s wire.Stray) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.over {
		return false
	}
	if s.Arrived.Proto == protoTCP { // of what is in a connection no packet is seen
		return slices.Contains(c.info.Carriers, s.Carrier) && c.syn(s.Arrived)
	}
	best, most := -1, 0
	for i, e := range c.obs.Exchanges {
		if e.From != Client || e.Arrived.State == wire.Seen || c.carrier(e) != s.Carrier {
			continue
		}
		if n := alike(e.Sent.Bytes, s.Arrived.Bytes); n > most {
			best, most = i, n
		}
	}
	if best < 0 {
		return false
	}
	e := &c.obs.Exchanges[best]
	e.Arrived, e.Replied, e.Silent = s.Arrived, wire.NotSeen(), "token"
	if e.Stage == stageTLS && alike(e.Sent.Bytes, s.Arrived.Bytes) == len(e.Sent.Bytes) { // TLS has no token, and such a one was answered
		e.Silent = ""
		e.Replied = wire.Sighting{State: wire.Seen, At: s.Arrived.At, Where: s.Arrived.Where, Src: s.Arrived.Dst, Dst: s.Arrived.Src}
	}
	return true
}

const protoTCP = 6

// syn files a connection attempt under the latest try that has none yet. A retransmitted SYN fits no other.
func (c *Conversation) syn(s wire.Sighting) bool {
	s.At = time.Now() // the two clocks differ; the order of the tries is this end's
	for i := range c.obs.Exchanges {
		if e := &c.obs.Exchanges[i]; e.Stage == stageConnect && cardOnly(e.Arrived) && e.Arrived.Src == s.Src {
			if !cardOnly(s) {
				e.Arrived, e.Silent = s, "" // it got through after all
			}
			return true
		}
	}
	for i := len(c.obs.Exchanges) - 1; i >= 0; i-- {
		e := &c.obs.Exchanges[i]
		if e.Stage == stageConnect && e.Arrived.State != wire.Seen {
			e.Arrived = s
			if cardOnly(s) {
				e.Silent = wire.SilentFirewall
			}
			return true
		}
	}
	return false
}

func (c *Conversation) carrier(e Exchange) wire.Carrier {
	for _, st := range stagesOf(c.info, Observation{Exchanges: []Exchange{e}}) {
		if st.ID == e.Stage {
			return st.Carrier
		}
	}
	if len(c.info.Carriers) == 1 {
		return c.info.Carriers[0] // of a stage that is told, not judged
	}
	return ""
}

// alike counts the octets that two packets share at the same place, and is zero unless they are three quarters of the longer one.
func alike(a, b []byte) int {
	n := 0
	for i := range min(len(a), len(b)) {
		if a[i] == b[i] {
			n++
		}
	}
	if n*4 < max(len(a), len(b))*3 {
		return 0
	}
	return n
}

// stranger keeps a packet that came in the server's name with no valid token, sixteen at most.
func (c *Conversation) stranger(s wire.Sighting) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if len(c.damaged) < 16 {
		c.damaged = append(c.damaged, s)
	}
}

func (c *Conversation) settle(s wire.Settled) {
	c.path.carriers(s.Carriers)
	c.path.others(s.Others)
	c.mu.Lock()
	defer c.mu.Unlock()
	select {
	case <-c.settled:
	default:
		close(c.settled)
	}
}

// snapshot is the observation as it stands, with what is still under way left as unseen.
func (c *Conversation) snapshot() Observation {
	c.mu.Lock()
	defer c.mu.Unlock()
	o := c.obs
	o.Exchanges = slices.Clone(c.obs.Exchanges)
	o.Parts = slices.Clone(c.obs.Parts)
	o.Strangers = append(append([]wire.Sighting(nil), c.obs.Strangers...), c.damaged...)
	return o
}

// Finish asks the server for all it saw and returns the whole observation. It works after ctx was cancelled, too.
func (c *Conversation) Finish(ctx context.Context) Observation {
	wait := 2*time.Second + c.path.Wait()
	if ctx.Err() == nil { // nobody waits for the end
		wait = c.path.patience(wait)
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), wait)
	defer cancel()
	blind := "the session ended before the server could tell what it saw"
	if err := c.path.link.write(wire.Message{Finish: &wire.Finish{Conversation: c.id}}); err == nil {
		select {
		case <-c.settled:
			blind = ""
		case <-c.path.link.done:
		case <-ctx.Done():
		}
	}
	c.path.rehear()
	c.mu.Lock()
	defer c.mu.Unlock()
	c.pairDamaged()
	c.obs.Ended, c.over = time.Now(), true
	for i := range c.obs.Exchanges {
		c.complete(&c.obs.Exchanges[i], blind)
	}
	o := c.obs
	o.Exchanges, o.Parts = slices.Clone(o.Exchanges), slices.Clone(o.Parts)
	return o
}

// complete turns what was never reported into absent, if the server looked and told us, or blind, if we cannot know.
func (c *Conversation) complete(e *Exchange, blind string) {
	unseen := wire.NotSeen()
	if blind != "" {
		unseen = wire.CannotSee(blind)
	}
	fill := func(s *wire.Sighting, with wire.Sighting) {
		if s.State == "" {
			*s = with
		}
	}
	fill(&e.Sent, wire.NotSeen())
	if e.Returned.State == wire.Seen {
		e.AtNIC = nil // it says no more than the socket did
	}
	if e.Stage == stageConnect {
		fill(&e.Arrived, c.unseenConnect(*e, unseen))
		fill(&e.Replied, wire.CannotSee("the server's kernel answers a connection attempt itself"))
	}
	if e.From == Client {
		fill(&e.Arrived, unseen)
		fill(&e.Replied, unseen)
		fill(&e.Returned, wire.NotSeen())
		return
	}
	fill(&e.Returned, unseen)
}

// unveil puts back the nonce that the server blanks out of its report while the address has not proved that it receives: told over TLS, it
// would prove the address of somebody who never got the answer. It stands right behind the token, or in ESP, which ends with the token,
// right before it.
func unveil(e *Exchange) {
	veiled, whole := e.Replied.Bytes, e.Returned.Bytes
	n := min(len(veiled), len(whole))
	same := func(from, to int) bool { return from >= 0 && to <= n && bytes.Equal(veiled[from:to], whole[from:to]) }
	var zero [wire.NonceSize]byte
	for at := 0; at+len(zero) <= n; at++ {
		end := at + len(zero)
		if [wire.NonceSize]byte(veiled[at:end]) == zero && (same(at-wire.TokenSize, at) || same(end, end+wire.TokenSize)) {
			copy(veiled[at:end], whole[at:])
			return
		}
	}
}

// unseenConnect is the server's side of a connection attempt that it did not report: accept tells of finished handshakes alone.
func (c *Conversation) unseenConnect(e Exchange, unseen wire.Sighting) wire.Sighting {
	for _, other := range c.obs.Exchanges {
		if other.Flow == e.Flow && other.Stage != stageConnect && other.Arrived.State == wire.Seen {
			return wire.CannotSee("the attempt itself was not watched; the connection was used")
		}
	}
	if !c.path.Circumstances().Server.Carrier(c.carrier(e)).SYNs {
		return wire.CannotSee("this server sees connections only once they are open")
	}
	return unseen
}

// pairDamaged gives each packet whose token failed here to the answer that it once was, by its undamaged octets; what fits none came
// from somebody else.
func (c *Conversation) pairDamaged() {
	for _, s := range c.damaged {
		best, most := -1, 0
		for i, e := range c.obs.Exchanges {
			if e.From == Client && e.Replied.State == wire.Seen && e.Returned.State != wire.Seen {
				if n := alike(e.Replied.Bytes, s.Bytes); n > most {
					best, most = i, n
				}
			}
		}
		if best < 0 {
			c.obs.Strangers = append(c.obs.Strangers, s)
			continue
		}
		c.obs.Exchanges[best].Returned = s
	}
	c.damaged = nil
}
