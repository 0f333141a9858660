package sock

import (
	"net"
	"slices"
	"sync"
)

const maxFlight = 4 << 10

// Flights is a connection that keeps the first flight of each end: what the one that begins says before the other's first word, and that. Of
// each it keeps 4 KiB at most.
type Flights struct {
	net.Conn

	mu       sync.Mutex
	kept     [2][]byte
	turn     int  // 1: who begins, 2: the other, 3: over
	writing  bool // whose turn it is
	answered bool
}

// Read implements net.Conn.
func (f *Flights) Read(b []byte) (int, error) {
	n, err := f.Conn.Read(b)
	f.keep(false, b[:n])
	f.crossed(n)
	return n, err
}

// Write implements net.Conn. What does not leave is kept, too: it is what was to be said.
func (f *Flights) Write(b []byte) (int, error) {
	f.keep(true, b)
	n, err := f.Conn.Write(b)
	f.crossed(n)
	return n, err
}

func (f *Flights) keep(writing bool, b []byte) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if len(b) == 0 || f.turn == 3 {
		return
	}
	if f.turn == 0 || f.writing != writing {
		f.turn, f.writing = f.turn+1, writing
	}
	if f.turn < 3 {
		to := &f.kept[f.turn-1]
		*to = append(*to, b[:min(len(b), maxFlight-len(*to))]...)
	}
}

// crossed notes that octets came in, or left.
func (f *Flights) crossed(n int) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.answered = f.answered || n > 0 && f.turn > 1
}

// Kept returns what is kept so far of the first flight, and whether anything of the other end's came in, or left.
func (f *Flights) Kept() (first []byte, answered bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	return slices.Clone(f.kept[0]), f.answered
}

// Stop returns what was kept, and keeps nothing more.
func (f *Flights) Stop() (first, second []byte) {
	f.mu.Lock()
	defer f.mu.Unlock()
	first, second = f.kept[0], f.kept[1]
	f.kept, f.turn = [2][]byte{}, 3
	return first, second
}
