package netlab

import (
	"errors"
	"fmt"
	"os"
	"runtime"
	"sync"

	"golang.org/x/sys/unix"
)

// onThread runs f on an OS thread of its own, which ends with f. It is never the process's first thread: that one cannot end, and the
// whole process would seem to live in its namespace.
func onThread(f func()) {
	go func() {
		runtime.LockOSThread()
		if unix.Gettid() != unix.Getpid() {
			f() // the thread stays locked and dies with this goroutine, so nobody else ever runs in its namespace
			return
		}
		elsewhere := make(chan struct{})
		onThread(func() { close(elsewhere); f() })
		<-elsewhere
		runtime.UnlockOSThread()
	}()
}

// A machine is one namespace, and the thread that lives in it until close. Commands are started from that thread, because a child is
// killed (Pdeathsig) when the thread that started it ends.
type machine struct {
	jobs chan func()
	once sync.Once

	mu sync.Mutex
	ns int // -1 once closed
}

var errClosed = errors.New("the lab is closed")

func newMachine() (*machine, error) {
	m := &machine{jobs: make(chan func()), ns: -1}
	ready := make(chan error)
	onThread(func() {
		err := unix.Unshare(unix.CLONE_NEWNET)
		if err == nil {
			m.ns, err = unix.Open("/proc/thread-self/ns/net", unix.O_RDONLY|unix.O_CLOEXEC, 0)
		}
		ready <- os.NewSyscallError("making a network namespace", err)
		for job := range m.jobs {
			job()
		}
	})
	if err := <-ready; err != nil {
		m.close()
		return nil, err
	}
	return m, nil
}

// run calls f on the machine's own thread.
func (m *machine) run(f func() error) error {
	done := make(chan error, 1)
	m.mu.Lock()
	if m.ns < 0 {
		m.mu.Unlock()
		return errClosed
	}
	m.jobs <- func() { done <- f() }
	m.mu.Unlock()
	return <-done
}

// visit calls f on a new thread in the machine's namespace: unlike run, any number of visits may be under way.
func (m *machine) visit(f func() error) error {
	done := make(chan error, 1)
	onThread(func() {
		err := errors.New("the function ended its goroutine")
		defer func() { done <- err }() // also when f calls runtime.Goexit
		if e := m.enter(); e != nil {
			err = e
			return
		}
		err = f()
	})
	return <-done
}

func (m *machine) enter() error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.ns < 0 {
		return errClosed
	}
	if err := unix.Setns(m.ns, unix.CLONE_NEWNET); err != nil {
		return fmt.Errorf("entering a network namespace: %w", err)
	}
	return nil
}

func (m *machine) close() {
	m.once.Do(func() {
		m.mu.Lock()
		defer m.mu.Unlock()
		close(m.jobs)
		if m.ns >= 0 {
			unix.Close(m.ns)
			m.ns = -1
		}
	})
}
