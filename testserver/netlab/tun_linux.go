package netlab

import (
	"errors"
	"fmt"
	"os"
	"slices"
	"sync"
	"time"

	"golang.org/x/sys/unix"
)

// A bump is a wire that this process carries packet by packet.
type bump struct {
	left, right *os.File // the laptop's side, the router's side
	edit        Edit
	mu          sync.Mutex // edit is one and the directions are two
	done        sync.WaitGroup
	closed      chan struct{}
}

func newBump(left, right *machine, leftName, rightName string, edit Edit) (*bump, error) {
	b := &bump{edit: edit, closed: make(chan struct{})}
	var err error
	if b.left, err = tun(left, leftName); err != nil {
		return nil, err
	}
	if b.right, err = tun(right, rightName); err != nil {
		b.left.Close()
		return nil, err
	}
	for _, w := range []struct {
		from, to *os.File
		toLaptop bool
	}{{b.left, b.right, false}, {b.right, b.left, true}} {
		late := newQueue()
		b.done.Go(func() { b.carry(w.from, w.to, w.toLaptop, late) })
		b.done.Go(func() { b.deliver(late, w.to) })
	}
	return b, nil
}

// tun makes a TUN device inside a machine.
func tun(m *machine, name string) (f *os.File, err error) {
	err = m.run(func() error {
		fd, err := unix.Open("/dev/net/tun", unix.O_RDWR|unix.O_CLOEXEC|unix.O_NONBLOCK, 0)
		if err != nil {
			return fmt.Errorf("%w: opening /dev/net/tun: %w (as root: modprobe tun; chmod 666 /dev/net/tun)", ErrNoTUN, err)
		}
		req, err := unix.NewIfreq(name)
		if err == nil {
			req.SetUint16(unix.IFF_TUN | unix.IFF_NO_PI)
			err = unix.IoctlIfreq(fd, unix.TUNSETIFF, req)
		}
		if err != nil {
			unix.Close(fd)
			return fmt.Errorf("%w: making %s: %w", ErrNoTUN, name, err)
		}
		f = os.NewFile(uintptr(fd), "tun "+name)
		return nil
	})
	return f, err
}

// carry copies packets until a side is closed.
func (b *bump) carry(from, to *os.File, toLaptop bool, late *queue) {
	buf := make([]byte, 1<<16)
	for {
		n, err := from.Read(buf)
		if errors.Is(err, os.ErrClosed) {
			return
		}
		if err != nil {
			time.Sleep(time.Millisecond) // EIO while the device is not up yet
			continue
		}
		b.mu.Lock()
		now := time.Now()
		out := b.edit(buf[:n], toLaptop, now)
		b.mu.Unlock()
		for _, p := range out {
			if p.Late <= 0 {
				to.Write(p.Packet) // what the far side does not take is lost, as on any wire
				continue
			}
			late.add(slices.Clone(p.Packet), now.Add(p.Late))
		}
	}
}

// A queue holds packets until their time has come. Of two with the same time, the older comes first.
type queue struct {
	mu     sync.Mutex
	sorted []waiting
	woken  chan struct{}
}

type waiting struct {
	pkt []byte
	at  time.Time
}

func newQueue() *queue { return &queue{woken: make(chan struct{}, 1)} }

func (q *queue) add(pkt []byte, at time.Time) {
	q.mu.Lock()
	i := len(q.sorted)
	for i > 0 && q.sorted[i-1].at.After(at) {
		i--
	}
	q.sorted = slices.Insert(q.sorted, i, waiting{pkt, at})
	q.mu.Unlock()
	select {
	case q.woken <- struct{}{}:
	default:
	}
}

// due returns the packets whose time has come, and how long it is to the next one.
func (q *queue) due(now time.Time) (out [][]byte, next time.Duration) {
	q.mu.Lock()
	defer q.mu.Unlock()
	for len(q.sorted) > 0 && !q.sorted[0].at.After(now) {
		out = append(out, q.sorted[0].pkt)
		q.sorted = q.sorted[1:]
	}
	if len(q.sorted) == 0 {
		return out, time.Hour
	}
	return out, q.sorted[0].at.Sub(now)
}

// deliver writes what is in a queue until the bump is closed.
func (b *bump) deliver(q *queue, to *os.File) {
	t := time.NewTimer(time.Hour)
	defer t.Stop()
	for {
		out, next := q.due(time.Now())
		for _, pkt := range out {
			to.Write(pkt)
		}
		t.Reset(next)
		select {
		case <-b.closed:
			return
		case <-q.woken:
		case <-t.C:
		}
	}
}

func (b *bump) Close() error {
	close(b.closed)
	err := errors.Join(b.left.Close(), b.right.Close())
	b.done.Wait()
	return err
}
