package netlab

import (
	"errors"
	"fmt"
	"os"
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
}

func newBump(left, right *machine, leftName, rightName string, edit Edit) (*bump, error) {
	b := &bump{edit: edit}
	var err error
	if b.left, err = tun(left, leftName); err != nil {
		return nil, err
	}
	if b.right, err = tun(right, rightName); err != nil {
		b.left.Close()
		return nil, err
	}
	b.done.Go(func() { b.carry(b.left, b.right, false) })
	b.done.Go(func() { b.carry(b.right, b.left, true) })
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
func (b *bump) carry(from, to *os.File, toLaptop bool) {
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
		out := b.edit(buf[:n], toLaptop, time.Now())
		b.mu.Unlock()
		for _, p := range out {
			to.Write(p) // what the far side does not take is lost, as on any wire
		}
	}
}

func (b *bump) Close() error {
	err := errors.Join(b.left.Close(), b.right.Close())
	b.done.Wait()
	return err
}
