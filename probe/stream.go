package probe

import (
	"context"
	"errors"
	"net"
	"net/netip"
	"syscall"
	"time"

	"vpncheck/probe/wire"
)

// A Stream is a TCP conversation under way.
type Stream struct {
	c    *Conversation
	conn net.Conn
	part string
	flow int
	buf  []byte
	// connect is the exchange number of the attempt that opened it.
	connect uint32
}

// Dial makes attempt after attempt to connect, each a try of its own (DESIGN, law 4), until one is accepted or the stage is decided.
// The stream is nil if none was. from is the number of the first flow.
func (c *Conversation) Dial(ctx context.Context, part string, stage Stage, from int, port uint16) *Stream {
	ctx, cancel := context.WithTimeout(ctx, lossyTime)
	defer cancel()
	began := time.Now()
	d := dialing{opened: make(chan *Stream)}
	for flow := from; d.got == nil && ctx.Err() == nil && !c.path.stopped() && !c.spent(); flow++ {
		lossy := c.path.lossy()
		over := func() bool { return flow > from && c.decided(part, stage, from) }
		if over() && c.path.heart.Control().loses() { // by what is under way too: that has its chance, and what the control tells of it
			d.wait(ctx, c.path.heart.Control().late())
		}
		if d.got != nil || time.Since(began) > maxTime && !lossy || over() || !c.path.spend() {
			break
		}
		d.pending++
		go func() { d.opened <- c.attempt(ctx, part, stage, flow, port) }()
		// The next attempt starts half a second after this one, answered with a refusal or not at all.
		every := tryEvery
		if lossy {
			every = lossyEvery
		}
		d.wait(ctx, every)
	}
	if d.got == nil {
		d.wait(ctx, c.path.Wait()) // the last attempt has its chance, too
	}
	cancel()
	for d.pending > 0 {
		d.take(<-d.opened)
	}
	return d.got
}

// dialing is a number of connects under way.
type dialing struct {
	opened  chan *Stream
	pending int
	got     *Stream
}

// wait waits for one that succeeds, at most so long.
func (d *dialing) wait(ctx context.Context, most time.Duration) {
	timer := time.NewTimer(most)
	defer timer.Stop()
	for d.got == nil {
		select {
		case s := <-d.opened:
			d.take(s)
		case <-timer.C:
			return
		case <-ctx.Done():
			return
		}
	}
}

// take keeps the first success and closes any further one.
func (d *dialing) take(s *Stream) {
	d.pending--
	switch {
	case s == nil:
	case d.got == nil:
		d.got = s
	default:
		s.conn.Close()
	}
}

// tryEvery is the pause between two tries while nothing answers: five of them span more than two seconds.
const tryEvery = 500 * time.Millisecond

// stageCalledOff marks an attempt that was called off before it had its chance, because another had succeeded: it is no try.
const stageCalledOff = "called-off"

// attempt is one connect.
func (c *Conversation) attempt(ctx context.Context, part string, stage Stage, flow int, port uint16) *Stream {
	n := c.path.number()
	server := netip.AddrPortFrom(c.path.Server, port)
	sent := wire.Sighting{State: wire.Seen, At: time.Now(), Where: "tcp", Src: netip.AddrPortFrom(c.path.Local, 0), Dst: server, Proto: protoTCP}
	c.begin(n, Exchange{Part: part, Stage: stage.ID, Flow: flow, Sent: sent})
	own, cancel := context.WithTimeout(ctx, time.Second+2*c.path.Wait())
	defer cancel()
	conn, err := c.path.net.Dial(own, c.path.Local, server)
	if err != nil {
		c.edit(n, func(e *Exchange) {
			if refused(e, err); ctx.Err() != nil && e.Refused == "" && time.Since(e.Sent.At) < c.path.Wait() {
				e.Stage = stageCalledOff
			}
		})
		return nil
	}
	local := conn.LocalAddr().(*net.TCPAddr).AddrPort()
	c.edit(n, func(e *Exchange) { e.Sent.Src = unmapped(local) })
	c.returned(n, wire.Sighting{State: wire.Seen, At: time.Now(), Where: "tcp", Src: server, Dst: unmapped(local), Proto: protoTCP}, [wire.NonceSize]byte{})
	return &Stream{c: c, conn: conn, part: part, flow: flow, connect: n}
}

func refused(e *Exchange, err error) {
	switch {
	case errors.Is(err, syscall.ECONNREFUSED), errors.Is(err, syscall.ECONNRESET):
		e.Refused = "reset"
	case errors.Is(err, syscall.EPERM), errors.Is(err, syscall.EACCES):
		e.SendErr, e.SendReason = err.Error(), string(LaptopFirewall)
	case errors.Is(err, syscall.EHOSTUNREACH), errors.Is(err, syscall.ENETUNREACH):
		e.Refused = "unreachable"
	}
}

func unmapped(a netip.AddrPort) netip.AddrPort { return netip.AddrPortFrom(a.Addr().Unmap(), a.Port()) }

// AskTCP writes a message in one write (F47) and waits for one whole message. read cuts a message off the stream and takes its token; it
// returns wire.ErrShort while more is needed. A message that is not the server's is filed as a stranger.
//
// TCP repeats what is lost: the wait leaves room for two retransmissions, and for three where the line loses much.
func (s *Stream) AskTCP(ctx context.Context, n uint32, stage string, message []byte, read func([]byte) (size int, ours bool, err error)) Exchange {
	if !s.c.path.spend() {
		return Exchange{}
	}
	s.c.begin(n, Exchange{Part: s.part, Stage: stage, Flow: s.flow, Sent: s.sighting(message, false)})
	if err := s.write(message); err != nil {
		s.c.edit(n, func(e *Exchange) { refused(e, err) })
		return s.c.exchange(n)
	}
	wait := 750*time.Millisecond + 2*s.c.path.Wait()
	if s.c.path.lossy() {
		wait += wait
	}
	stop := context.AfterFunc(ctx, func() { s.conn.SetReadDeadline(time.Now()) })
	defer stop()
	s.conn.SetReadDeadline(time.Now().Add(wait))
	s.receive(n, read)
	return s.c.exchange(n)
}

// streamMost are the octets in which an answer must be found: twice the longest message of any protocol.
const streamMost = 128 << 10

// receive reads until one message is whole, the stream ends or its deadline is up. Somebody in the server's place who sends without end is a
// stranger.
func (s *Stream) receive(n uint32, read func([]byte) (int, bool, error)) {
	chunk := make([]byte, 2048)
	for {
		size, ours, err := read(s.buf)
		switch {
		case err == nil && ours:
			s.c.returned(n, s.sighting(s.buf[:size], true), [wire.NonceSize]byte{})
			s.buf = s.buf[size:]
			return
		case err == nil || !errors.Is(err, wire.ErrShort) || len(s.buf) >= streamMost:
			s.c.stranger(s.sighting(s.buf[:min(len(s.buf), 256)], true))
			s.buf = nil
			return
		}
		k, err := s.conn.Read(chunk)
		s.buf = append(s.buf, chunk[:k]...)
		if err != nil && k == 0 {
			s.c.edit(n, func(e *Exchange) { refused(e, err) })
			return
		}
	}
}

// TellTCP writes a message that the protocol has no answer to.
func (s *Stream) TellTCP(ctx context.Context, n uint32, stage string, message []byte) {
	if !s.c.path.spend() {
		return
	}
	s.c.begin(n, Exchange{Part: s.part, Stage: stage, Flow: s.flow, Sent: s.sighting(message, false)})
	s.write(message)
}

func (s *Stream) write(message []byte) error {
	s.conn.SetWriteDeadline(time.Now().Add(2 * time.Second))
	_, err := s.conn.Write(message)
	return err
}

// sighting is a message as it stands in the stream; TCP shows nothing of its packets.
func (s *Stream) sighting(message []byte, inbound bool) wire.Sighting {
	local, remote := tcpAddr(s.conn.LocalAddr()), tcpAddr(s.conn.RemoteAddr())
	if inbound {
		local, remote = remote, local
	}
	return wire.Sighting{
		State: wire.Seen, At: time.Now(), Where: "tcp", Proto: protoTCP,
		Src: local, Dst: remote, Bytes: append(wire.Hex(nil), message...),
	}
}

func tcpAddr(a net.Addr) netip.AddrPort {
	if t, ok := a.(*net.TCPAddr); ok {
		return unmapped(t.AddrPort())
	}
	return netip.AddrPort{}
}

// Close closes the connection.
func (s *Stream) Close() error { return s.conn.Close() }
