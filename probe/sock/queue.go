package sock

import (
	"io"
	"net"
	"os"
	"slices"
	"sync"
	"syscall"
	"time"
)

// A queue is one direction of a Fake's socket: bounded, each item takes its time on the way, and either end may wait with a
// deadline. It has no goroutine of its own.
type queue[T any] struct {
	limit  int  // of the weights together
	sorted bool // items come in the order in which they are due, not in that in which they were added

	mu       sync.Mutex
	items    []queued[T]
	weight   int
	eof      bool  // the writer has closed: io.EOF once the queue is empty
	readErr  error // what pop returns at once
	writeErr error // what put returns
	readBy   time.Time
	writeBy  time.Time
	wake     chan struct{} // closed at each change
}

type queued[T any] struct {
	item   T
	weight int
	due    time.Time
}

func newQueue[T any](limit int) *queue[T] { return &queue[T]{limit: limit, wake: make(chan struct{})} }

// changed wakes all who wait. The lock is held.
func (q *queue[T]) changed() {
	close(q.wake)
	q.wake = make(chan struct{})
}

// update changes the queue's state and wakes all who wait.
func (q *queue[T]) update(change func()) {
	q.mu.Lock()
	defer q.mu.Unlock()
	change()
	q.changed()
}

// pop waits for the next item.
func (q *queue[T]) pop() (item T, err error) {
	for {
		q.mu.Lock()
		now := time.Now()
		var until time.Time
		switch {
		case q.readErr != nil:
			err = q.readErr
		case passed(q.readBy, now):
			err = os.ErrDeadlineExceeded
		case len(q.items) > 0 && !q.items[0].due.After(now):
			first := q.items[0]
			q.items = q.items[1:]
			q.weight -= first.weight
			q.changed()
			q.mu.Unlock()
			return first.item, nil
		case len(q.items) > 0:
			until = earlier(q.items[0].due, q.readBy)
		case q.eof:
			err = io.EOF
		default:
			until = q.readBy
		}
		wake := q.wake
		q.mu.Unlock()
		if err != nil {
			return item, err
		}
		wait(wake, until)
	}
}

// offer adds an item if there is room.
func (q *queue[T]) offer(item T, weight int, due time.Time) bool {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.writeErr != nil || q.weight >= q.limit {
		return false
	}
	q.add(item, weight, due)
	return true
}

// put adds an item, and waits until there is room.
func (q *queue[T]) put(item T, weight int, delay time.Duration) error {
	for {
		q.mu.Lock()
		now := time.Now()
		var err error
		switch {
		case q.writeErr != nil:
			err = q.writeErr
		case passed(q.writeBy, now):
			err = os.ErrDeadlineExceeded
		case q.weight < q.limit:
			q.add(item, weight, now.Add(delay))
			q.mu.Unlock()
			return nil
		}
		wake, until := q.wake, q.writeBy
		q.mu.Unlock()
		if err != nil {
			return err
		}
		wait(wake, until)
	}
}

// add keeps the order even where a delay has become shorter. The lock is held.
func (q *queue[T]) add(item T, weight int, due time.Time) {
	at := len(q.items)
	for q.sorted && at > 0 && q.items[at-1].due.After(due) {
		at--
	}
	if at > 0 && q.items[at-1].due.After(due) {
		due = q.items[at-1].due
	}
	q.items = slices.Insert(q.items, at, queued[T]{item, weight, due})
	q.weight += weight
	q.changed()
}

// closeRead is the reader's close.
func (q *queue[T]) closeRead() {
	q.update(func() { q.readErr, q.writeErr, q.items = net.ErrClosed, or(q.writeErr, syscall.EPIPE), nil })
}

// closed reports whether the reader has closed.
func (q *queue[T]) closed() bool {
	q.mu.Lock()
	defer q.mu.Unlock()
	return q.readErr != nil
}

// closeWrite is the writer's close.
func (q *queue[T]) closeWrite() { q.update(func() { q.eof, q.writeErr = true, net.ErrClosed }) }

// fail ends both directions, unless they have ended already.
func (q *queue[T]) fail(err error) {
	q.update(func() { q.readErr, q.writeErr = or(q.readErr, err), or(q.writeErr, err) })
}

func or(a, b error) error {
	if a != nil {
		return a
	}
	return b
}

func passed(deadline, now time.Time) bool { return !deadline.IsZero() && !deadline.After(now) }

// earlier returns the earlier of two times, of which the second may be zero, which means never.
func earlier(a, b time.Time) time.Time {
	if b.IsZero() || a.Before(b) {
		return a
	}
	return b
}

// wait waits for a change or a time; the zero time never comes.
func wait(wake <-chan struct{}, until time.Time) {
	if until.IsZero() {
		<-wake
		return
	}
	t := time.NewTimer(time.Until(until))
	defer t.Stop()
	select {
	case <-wake:
	case <-t.C:
	}
}
