package testserver

import (
	"bytes"
	"encoding/binary"
	"slices"
	"sync"
	"sync/atomic"

	"vpncheck/probe/wire"
	"vpncheck/testserver/gate"
)

const (
	maxConversations = 16 // a session, at a time
	maxStrays        = 64 // a session that name it, and as many of each carrier that do not
	maxName          = 64 // octets of a conversation's name
	maxCarriers      = 16 // a conversation
)

// controlConversation is open in every session without having been declared.
const controlConversation = "control"

// named are those of the sessions whose number is in a packet, as a token has it or as its text: what was damaged on the way may
// hold a token that is still good, and is no other session's business. They are all, and that is not certain, if the packet names none.
func named(sessions []*gate.Session, b []byte) (by []*gate.Session, certain bool) {
	for _, s := range sessions {
		number := binary.BigEndian.AppendUint32(nil, s.ID())
		text := wire.Token(append(number, make([]byte, wire.TokenSize-len(number))...)).String()
		if bytes.Contains(b, number) || bytes.Contains(b, []byte(text[:len(number)*8/5])) {
			by = append(by, s)
		}
	}
	if len(by) == 0 {
		return sessions, false
	}
	return by, true
}

// counters are what an administrator sees of the traffic.
type counters struct {
	sessions, packets, answers, strays, refused atomic.Uint64
}

// links finds the link of a session.
type links struct {
	mu sync.Mutex
	by map[*gate.Session]*link
}

func (l *links) add(k *link) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.by[k.session] = k
}

func (l *links) remove(k *link) {
	l.mu.Lock()
	defer l.mu.Unlock()
	delete(l.by, k.session)
}

func (l *links) of(s *gate.Session) *link {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.by[s]
}

func (l *links) all() []*link {
	l.mu.Lock()
	defer l.mu.Unlock()
	all := make([]*link, 0, len(l.by))
	for _, k := range l.by {
		all = append(all, k)
	}
	return all
}

// waiting are the sessions that wait for a carrier at the moment, as many as most.
func (l *links) waiting(c wire.Carrier, most int) []*gate.Session {
	l.mu.Lock()
	defer l.mu.Unlock()
	var out []*gate.Session
	for s, k := range l.by {
		if len(out) >= most {
			break
		}
		if k.desk.expects(c) {
			out = append(out, s)
		}
	}
	return out
}

// A desk knows a session's open conversations and routes to them what was seen.
type desk struct {
	mu        sync.Mutex
	open      []wire.Declare       // oldest first
	strays    int                  // reported so far
	guesses   map[wire.Carrier]int // strays that may be anybody's who knows the client's address
	saws      int
	errors    map[wire.Carrier]int // of ICMP, reported so far
	errorsAll int
	echoes    int // saws of what may be somebody's who overheard the client
}

// declare opens a conversation, or says why not.
func (d *desk) declare(w wire.Declare) (reason, why string) {
	d.mu.Lock()
	defer d.mu.Unlock()
	taken := func(o wire.Declare) bool { return o.Conversation == w.Conversation }
	switch {
	case w.Conversation == "" || len(w.Conversation) > maxName || len(w.Protocol) > maxName || len(w.Carriers) > maxCarriers:
		return refusedProtocol, "a conversation has a name of 1 to 64 octets and at most 16 carriers"
	case w.Conversation == controlConversation || slices.ContainsFunc(d.open, taken):
		return refusedProtocol, "a conversation of that name is open"
	case len(d.open) >= maxConversations:
		return byeBusy, "this session has 16 conversations open"
	}
	w.Key = nil // of any length, and for the responder that wants it alone
	d.open = append(d.open, w)
	return "", ""
}

// finish forgets a conversation.
func (d *desk) finish(name string) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.open = slices.DeleteFunc(d.open, func(o wire.Declare) bool { return o.Conversation == name })
}

// conversation is the newest open one that declared a carrier; "" and false if there is none.
func (d *desk) conversation(c wire.Carrier) (string, bool) {
	if c == wire.CarrierControl {
		return controlConversation, true
	}
	for _, o := range slices.Backward(d.open) {
		if slices.Contains(o.Carriers, c) {
			return o.Conversation, true
		}
	}
	return "", false
}

// expects says whether an open conversation declared a carrier.
func (d *desk) expects(c wire.Carrier) bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	_, ok := d.conversation(c)
	return ok
}

// stray says whether a stray on a carrier is to be reported, and counts it. Guesses are counted by carrier: a run tries to connect to several
// ports, and what was forged of one must not use up what is told of the others.
func (d *desk) stray(c wire.Carrier, certain bool) bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	_, declared := d.conversation(c)
	switch {
	case !declared:
		return false
	case certain && d.strays < maxStrays:
		d.strays++
		return true
	case certain || d.guesses[c] >= maxStrays:
		return false
	case d.guesses == nil:
		d.guesses = make(map[wire.Carrier]int)
	}
	d.guesses[c]++ // the carriers are the responders' own
	return true
}

// saw names the conversation that a sighting belongs to, and counts it; no more than limit are reported, and as many echoes. A valid
// packet that belongs to none, because it came late or undeclared, is reported without a name.
func (d *desk) saw(c wire.Carrier, echo bool, limit int) (conversation string, report bool) {
	d.mu.Lock()
	defer d.mu.Unlock()
	count := &d.saws
	if echo {
		count = &d.echoes
	}
	if *count >= limit {
		return "", false
	}
	*count++
	conversation, _ = d.conversation(c)
	return conversation, true
}
