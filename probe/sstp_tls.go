package probe

import (
	"context"
	"crypto/tls"
	"errors"
	"io"
	"net"
	"time"

	"vpncheck/probe/sock"
	"vpncheck/probe/wire"
)

// handshake opens TLS as a client of Windows does, without ALPN and in one segment, and says whether it did. Whoever shows another certificate
// than the server's is noted as a stranger; so is who answers with something else than TLS.
func (t *sstpTunnel) handshake(ctx context.Context) bool {
	n := t.n + 1
	if !t.c.path.spend() {
		return false
	}
	first := &sock.Flights{Conn: t.s.conn}
	t.c.begin(n, Exchange{Part: t.s.part, Stage: stageTLS, Flow: t.s.flow, Sent: t.s.sighting(nil, false)})
	var other error
	conn := tls.Client(first, &tls.Config{
		MinVersion:       tls.VersionTLS12, // to hear out an impostor of TLS 1.2
		CurvePreferences: []tls.CurveID{tls.X25519, tls.CurveP256},
		ServerName:       t.c.path.Circumstances().Server.Host,
		// The pin is all we trust, and who has another certificate is asked on: see askOther.
		InsecureSkipVerify: true,
		VerifyConnection: func(cs tls.ConnectionState) error {
			if leaf := cs.PeerCertificates[0]; wire.PinOf(leaf.RawSubjectPublicKeyInfo) != t.c.path.pin {
				other = notPinned(leaf)
			}
			return nil
		},
	})
	wait := 750*time.Millisecond + 2*t.c.path.Wait()
	if t.c.path.lossy() {
		wait += wait
	}
	ctx, cancel := context.WithTimeout(ctx, wait)
	defer cancel()
	err := conn.HandshakeContext(ctx)
	hello, greeting := first.Stop()
	t.c.edit(n, func(e *Exchange) { e.Sent.Bytes = append(wire.Hex(nil), hello...) })
	switch {
	case err == nil && other == nil:
		t.c.returned(n, t.s.sighting(greeting, true), [wire.NonceSize]byte{})
		t.s.conn = conn
		return true
	case err == nil || notTLS(err):
		if other == nil {
			other = err
		}
		s := t.s.sighting(greeting[:min(len(greeting), 256)], true)
		s.Why = other.Error()
		t.c.stranger(s)
		t.other = true
		t.s.conn = conn
		return err == nil
	}
	t.c.edit(n, func(e *Exchange) { brokenOff(e, err) })
	return false
}

// notTLS says of a failed handshake that somebody answered who does not speak TLS, or refused to.
func notTLS(err error) bool {
	var record tls.RecordHeaderError
	return errors.As(err, &record) || alerted(err)
}

// alerted says of a failed handshake that the other end ended it with an alert. That is a tls.AlertError in QUIC alone.
func alerted(err error) bool {
	var op *net.OpError
	return errors.As(err, &op) && op.Op == "remote error"
}

// brokenOff notes how a connection was ended in the middle of TLS's opening.
func brokenOff(e *Exchange, err error) {
	if refused(e, err); e.Refused == "" && e.SendErr == "" && (errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF)) {
		e.Refused = "closed"
	}
}
