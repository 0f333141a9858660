package probe

import (
	"context"
	"crypto/rand"
	"crypto/tls"
	"errors"
	"fmt"
	"net/netip"
	"strings"

	"vpncheck/probe/sock"
	"vpncheck/probe/wire"
)

const ownRequest = "request"

// askSSTP opens TLS and asks for the tunnel (MS-SSTP, section 3.2.4.1). Whatever certificate is shown is noted, and trusted with nothing: no name
// and no password are told.
func (t *ownTalk) askSSTP(ctx context.Context) {
	s := t.connect(ctx, fmt.Sprintf("the connection to TCP port %d", t.o.Port))
	if s == nil {
		return
	}
	defer func() { s.conn.Close() }()
	t.stage(stageTLS, "TLS")
	if !s.handshake(ctx) {
		return
	}
	t.stage(ownRequest, "the request for a tunnel")
	request := wire.SSTPRequest{Host: t.a.host}
	if a, err := netip.ParseAddr(t.a.host); err == nil && a.Is6() {
		request.Host = "[" + t.a.host + "]"
	}
	rand.Read(request.Correlation[:])
	s.ask(ctx, request.Append(nil), func(b []byte) (int, ownSays, error) {
		status, size, err := wire.ParseHTTPStatus(b)
		switch {
		case errors.Is(err, wire.ErrShort):
			return 0, notMine, err
		case err != nil:
			t.edit(func(o *Opening) { o.Another = "not HTTP" })
			return 0, strange, nil
		}
		said := strings.TrimSpace(fmt.Sprintf("HTTP %d %s", status.Code, status.Text))
		t.told(ToldStatus, said)
		t.told(ToldServer, status.Server)
		if !status.Accepts() {
			t.edit(func(o *Opening) { o.Another = ownText(said) })
			return size, strange, nil
		}
		return size, theReply, nil
	})
}

// handshake opens TLS as a client of Windows does, whoever answers.
func (s *ownStream) handshake(ctx context.Context) bool {
	if !s.t.a.clear(ctx) {
		return false
	}
	first := &sock.Flights{Conn: s.conn}
	edit := s.t.begin(Exchange{Sent: s.sighting(nil, false)})
	cfg := &tls.Config{
		MinVersion:       tls.VersionTLS10, // old servers are asked as well: nothing is told them
		CurvePreferences: []tls.CurveID{tls.X25519, tls.CurveP256, tls.CurveP384},
		// What is shown is noted. A client would check it, after the name that it was given.
		InsecureSkipVerify: true,
	}
	if _, err := netip.ParseAddr(s.t.a.host); err != nil {
		cfg.ServerName = s.t.a.host
	}
	conn := tls.Client(first, cfg)
	err := conn.HandshakeContext(ctx)
	hello, greeting := first.Stop()
	edit(func(e *Exchange) {
		e.Sent.Bytes = append(wire.Hex(nil), hello...)
		switch {
		case err == nil:
			e.Returned = s.sighting(greeting, true)
		case !notTLS(err):
			brokenOff(e, err)
		}
	})
	switch {
	case err == nil:
		if certs := conn.ConnectionState().PeerCertificates; len(certs) > 0 {
			s.t.told(ToldCert, fmt.Sprintf("issued to %s by %s", name(certs[0]), certs[0].Issuer.CommonName))
		}
		s.conn = conn
		return true
	case notTLS(err):
		s.t.stranger(s.sighting(greeting[:min(len(greeting), 256)], true))
		s.t.edit(func(o *Opening) { o.Another = notTLSWords(err) })
	}
	return false
}

// notTLSWords says what answered in the place of TLS.
func notTLSWords(err error) string {
	if alerted(err) {
		return ownText(err.Error())
	}
	return "not TLS"
}
