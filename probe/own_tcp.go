package probe

import (
	"context"
	"errors"
	"net"
	"net/netip"
	"time"

	"vpncheck/probe/wire"
)

// An ownStream is a connection to the server.
type ownStream struct {
	t    *ownTalk
	conn net.Conn
	buf  []byte
}

// connect opens a connection: one attempt, whose SYN the kernel repeats as it does for any client.
func (t *ownTalk) connect(ctx context.Context, title string) *ownStream {
	if !t.a.clear(ctx) {
		return nil
	}
	t.stage(stageConnect, title)
	edit := t.begin(Exchange{Sent: wire.Sighting{
		State: wire.Seen, At: time.Now(), Where: "tcp", Src: netip.AddrPortFrom(t.a.local, 0), Dst: t.server(), Proto: protoTCP,
	}})
	conn, err := t.a.net.Dial(ctx, t.a.local, t.server())
	if err != nil {
		edit(func(e *Exchange) {
			if icmp := e.Refused; icmp == "" {
				refused(e, err)
			}
			if e.SendErr != "" {
				e.Sent = wire.Sighting{State: wire.Absent, Why: err.Error(), At: e.Sent.At}
			}
		})
		return nil
	}
	s := &ownStream{t: t, conn: conn}
	edit(func(e *Exchange) {
		e.Sent.Src, e.Returned, e.Refused = tcpAddr(conn.LocalAddr()), s.sighting(nil, true), ""
	})
	return s
}

// ask writes a message in one write (F47) and reads until read has what it wants. read cuts messages off the stream: it says how many octets it
// is done with, and what they are; wire.ErrShort asks for more.
func (s *ownStream) ask(ctx context.Context, message []byte, read func([]byte) (int, ownSays, error)) (answer []byte, ok bool) {
	if !s.t.a.clear(ctx) {
		return nil, false
	}
	edit := s.t.begin(Exchange{Sent: s.sighting(message, false)})
	stop := context.AfterFunc(ctx, func() { s.conn.SetDeadline(time.Now()) })
	defer stop()
	if _, err := s.conn.Write(message); err != nil {
		edit(func(e *Exchange) { brokenOff(e, err) })
		return nil, false
	}
	answer, err := s.receive(read)
	edit(func(e *Exchange) {
		if err != nil {
			brokenOff(e, err)
			return
		}
		if answer != nil {
			e.Returned = s.sighting(answer, true)
		}
	})
	return answer, answer != nil
}

// receive reads until there is an answer (never nil then), something else (nil and nil), or an end.
func (s *ownStream) receive(read func([]byte) (int, ownSays, error)) ([]byte, error) {
	chunk := make([]byte, 2048)
	for {
		size, says, err := read(s.buf)
		if err != nil && !errors.Is(err, wire.ErrShort) || err == nil && (says == strange || size == 0) {
			s.t.stranger(s.sighting(s.buf[:min(len(s.buf), 256)], true))
			return nil, nil
		}
		if err == nil {
			message := s.buf[:size:size]
			s.buf = s.buf[size:]
			if says == theReply {
				return message, nil
			}
			continue
		}
		k, err := s.conn.Read(chunk)
		s.buf = append(s.buf, chunk[:k]...)
		if err != nil && k == 0 {
			return nil, err
		}
	}
}

// tell writes a message that the protocol has no answer to.
func (s *ownStream) tell(ctx context.Context, message []byte) {
	if s.t.a.clear(ctx) {
		s.conn.SetWriteDeadline(time.Now().Add(time.Second))
		s.conn.Write(message)
	}
}

// sighting is a message as it stands in the stream; TCP shows nothing of its packets.
func (s *ownStream) sighting(message []byte, inbound bool) wire.Sighting {
	return (&Stream{conn: s.conn}).sighting(message, inbound)
}
