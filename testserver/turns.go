package testserver

import (
	"slices"
	"sync"
	"time"

	"vpncheck/probe/wire"
)

// turnWait is how long a session waits for others, all its waiting together. A run takes some seconds with these carriers; who holds on to
// them for longer, or never finishes, keeps nobody out.
const turnWait = 20 * time.Second

// turns let the sessions under one roof use the carriers without ports one after the other: side by side, a NAT gives the answers of all to
// one of them. A session does not wait for itself, nor for another one of its own laptop.
type turns struct {
	mu sync.Mutex
	at map[roof]*queue
}

// A queue is who has the turn under one roof, and who waits for it.
type queue struct {
	has     map[*link][]string // conversations under way
	waiting []*waiter          // who has waited longest is first
}

// A waiter is one conversation that waits for its turn.
type waiter struct {
	link         *link
	conversation string
	late         *time.Timer
}

// ask takes the turn for a conversation. It says whether it is had at once; if it is not, the link is told so, and granted is called later.
func (t *turns) ask(l *link, conversation string) bool {
	now := l.server.cfg.Now()
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.at == nil {
		t.at = make(map[roof]*queue)
	}
	q := t.at[l.roof]
	if q == nil {
		q = &queue{has: make(map[*link][]string)}
		t.at[l.roof] = q
	}
	ahead := q.ahead(l, len(q.waiting))
	if l.waitsUntil.IsZero() && ahead > 0 {
		l.waitsUntil = now.Add(turnWait)
	}
	atMost := l.waitsUntil.Sub(now)
	if ahead == 0 || atMost <= 0 {
		q.has[l] = append(q.has[l], conversation)
		return true
	}
	w := &waiter{link: l, conversation: conversation}
	w.late = time.AfterFunc(atMost, func() { t.overtake(w) })
	q.waiting = append(q.waiting, w)
	l.queue(wire.Message{Turn: &wire.Turn{Conversation: conversation, Ahead: ahead, AtMost: atMost}})
	return false
}

// ahead counts the sessions that must end before a session has the turn: those that have it, and those of the first n that wait.
func (q *queue) ahead(l *link, n int) int {
	if len(q.has[l]) > 0 {
		return 0
	}
	before := make(map[*link]bool)
	for k := range q.has {
		before[k] = true
	}
	for _, w := range q.waiting[:n] {
		before[w.link] = true
	}
	count := 0
	for k := range before {
		if k != l && (k.laptop == laptop{} || k.laptop != l.laptop) {
			count++
		}
	}
	return count
}

// overtake gives the turn to who has waited long enough.
func (t *turns) overtake(w *waiter) {
	t.mu.Lock()
	q := t.at[w.link.roof]
	if q == nil || !slices.Contains(q.waiting, w) {
		t.mu.Unlock()
		return
	}
	q.grant(w)
	t.mu.Unlock()
	w.link.granted(w.conversation)
}

func (q *queue) grant(w *waiter) {
	w.late.Stop()
	q.waiting = slices.DeleteFunc(q.waiting, func(o *waiter) bool { return o == w })
	q.has[w.link] = append(q.has[w.link], w.conversation)
}

// release gives the turn of a conversation back, or its place among those that wait.
func (t *turns) release(l *link, conversation string) {
	t.drop(l, func(name string) bool { return name == conversation })
}

// leave gives back all that a session has.
func (t *turns) leave(l *link) { t.drop(l, func(string) bool { return true }) }

func (t *turns) drop(l *link, which func(conversation string) bool) {
	t.mu.Lock()
	q := t.at[l.roof]
	if q == nil {
		t.mu.Unlock()
		return
	}
	q.waiting = slices.DeleteFunc(q.waiting, func(w *waiter) bool {
		gone := w.link == l && which(w.conversation)
		if gone {
			w.late.Stop()
		}
		return gone
	})
	if q.has[l] = slices.DeleteFunc(q.has[l], which); len(q.has[l]) == 0 {
		delete(q.has, l)
	}
	next := q.next()
	if len(q.has) == 0 && len(q.waiting) == 0 {
		delete(t.at, l.roof)
	}
	t.mu.Unlock()
	for _, w := range next {
		w.link.granted(w.conversation)
	}
}

// next gives the turn to all who have nobody before them any more.
func (q *queue) next() (granted []*waiter) {
	for i := 0; i < len(q.waiting); {
		if w := q.waiting[i]; q.ahead(w.link, i) == 0 {
			q.grant(w)
			granted = append(granted, w)
		} else {
			i++
		}
	}
	return granted
}
