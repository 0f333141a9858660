package testserver

import (
	"context"
	"crypto/sha256"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"slices"
	"sync"
	"time"

	"vpncheck/probe/sock"
	"vpncheck/probe/wire"
)

const (
	doorWait      = 10 * time.Second // for a handshake, and again for Hello and Open
	doorDelay     = 300 * time.Millisecond
	lingerWait    = 500 * time.Millisecond
	lingerMost    = 64 << 10
	doorTotal     = 256 // connections that have not opened a session
	doorEach      = 32  // of one address
	httpProtocol  = "http/1.1"
	versionAdvice = "this server speaks version %d of the link, your vpncheck speaks %v: update the older of the two"
)

// tlsConfig is TLS 1.3 with the key that clients have pinned. A client that wants neither our protocol nor HTTP is not turned away,
// as a web server would not turn it away: it gets HTTP.
func (s *Server) tlsConfig() *tls.Config {
	ours := &tls.Config{
		MinVersion:             tls.VersionTLS13,
		Certificates:           []tls.Certificate{s.cfg.State.cert},
		NextProtos:             []string{wire.LinkProtocol, httpProtocol},
		SessionTicketsDisabled: true,
	}
	web := ours.Clone()
	web.NextProtos = nil
	ours.GetConfigForClient = func(hello *tls.ClientHelloInfo) (*tls.Config, error) {
		for _, p := range ours.NextProtos {
			if slices.Contains(hello.SupportedProtos, p) {
				return nil, nil
			}
		}
		return web, nil
	}
	return ours
}

// door handles one connection to a link port, from the handshake to the end of its session.
func (s *Server) door(conn net.Conn) {
	defer conn.Close()
	client := addrPort(conn.RemoteAddr())
	release := s.waiting.enter(client.Addr(), s.host.turnAway(conn))
	if release == nil {
		return
	}
	defer release()
	stop := context.AfterFunc(s.ctx, func() { conn.Close() })
	defer stop()
	first := &sock.Flights{Conn: conn}
	t := tls.Server(first, s.tls)
	conn.SetDeadline(time.Now().Add(doorWait))
	v := &visit{conn: t, client: client, own: addrPort(conn.LocalAddr()), release: release}
	s.host.opening(v)
	tell := sync.OnceFunc(func() { s.host.unopened(v, first) })
	late := time.AfterFunc(unopenedWait, tell)
	err := t.Handshake()
	late.Stop()
	if err != nil {
		tell()
		s.host.noTLS(conn, v, first, err)
		return
	}
	v.hello, v.greeting = first.Stop()
	if t.ConnectionState().NegotiatedProtocol != wire.LinkProtocol {
		s.host.web(v)
		return
	}
	l, bye := s.open(t)
	if bye != nil {
		conn.SetWriteDeadline(time.Now().Add(linkGoodbye))
		wire.WriteMessage(t, wire.Message{Bye: bye})
		linger(t)
	}
	if l == nil {
		return
	}
	release()
	stop()
	l.serve(l.hello(s.limits))
}

// linger ends our side and reads on for a moment: to close while octets are unread resets the connection, and a reset may overtake
// our last word.
func linger(t *tls.Conn) {
	t.SetDeadline(time.Now().Add(lingerWait))
	t.CloseWrite()
	io.CopyN(io.Discard, t, lingerMost)
}

// open does what comes before a session. It returns the session's link, or the Bye to send, or neither if the client left.
func (s *Server) open(t *tls.Conn) (*link, *wire.Bye) {
	t.SetDeadline(time.Now().Add(doorWait))
	m, err := wire.ReadMessage(t)
	switch {
	case err != nil:
		return nil, byeFor(err)
	case m.Hello == nil:
		return nil, &wire.Bye{Reason: byeProtocol, Why: "the first message is not a Hello"}
	case !slices.Contains(m.Hello.Versions, wire.LinkVersion):
		versions := m.Hello.Versions[:min(len(m.Hello.Versions), 8)]
		return nil, &wire.Bye{Reason: byeVersion, Why: fmt.Sprintf(versionAdvice, wire.LinkVersion, versions)}
	}
	hello := &wire.Hello{Versions: []int{wire.LinkVersion}, Build: s.cfg.Build}
	if err := wire.WriteMessage(t, wire.Message{Hello: hello}); err != nil {
		return nil, nil
	}
	m, err = wire.ReadMessage(t)
	switch {
	case err != nil:
		return nil, byeFor(err)
	case m.Open == nil:
		return nil, &wire.Bye{Reason: byeProtocol, Why: "the second message is not an Open"}
	}
	return s.admit(t, *m.Open)
}

// admit opens a session for whoever has the access token.
func (s *Server) admit(t *tls.Conn, o wire.Open) (*link, *wire.Bye) {
	switch reason := s.cfg.State.checkAccess(o.Access); reason {
	case "":
	case byeAccessExpired:
		return nil, &wire.Bye{Reason: reason, Why: "this connection string has expired: ask the server's administrator for a new one"}
	default:
		s.host.count.refused.Add(1)
		s.pause(doorDelay)
		return nil, &wire.Bye{Reason: reason, Why: "this connection string is not one of this server's"}
	}
	client := addrPort(t.RemoteAddr())
	session, err := s.gate.Open(client.Addr())
	if err != nil {
		s.host.count.refused.Add(1)
		return nil, &wire.Bye{Reason: byeBusy, Why: "the server has too many sessions: try again in a few minutes"}
	}
	l := &link{
		server:  s,
		conn:    t,
		session: session,
		client:  client,
		own:     addrPort(t.LocalAddr()),
		roof:    roof{access: sha256.Sum256(o.Access), from: session.From()},
		laptop:  laptopOf(o.Laptop),
		out:     make(chan wire.Message, linkQueue),
	}
	l.ctx, l.cancel = context.WithCancel(context.Background())
	t.SetDeadline(time.Time{})
	return l, nil
}

// pause waits, but not for a server that is to stop.
func (s *Server) pause(d time.Duration) {
	select {
	case <-time.After(d):
	case <-s.ctx.Done():
	}
}

// isEnd says whether a connection merely ended, was ended by the network, or fell silent.
func isEnd(err error) bool {
	var op *net.OpError
	for _, end := range []error{io.EOF, io.ErrUnexpectedEOF, io.ErrClosedPipe, net.ErrClosed, os.ErrDeadlineExceeded} {
		if errors.Is(err, end) {
			return true
		}
	}
	return errors.As(err, &op)
}
