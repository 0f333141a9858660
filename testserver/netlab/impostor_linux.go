package netlab

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"log"
	"math/big"
	"net"
	"net/http"
	"sync"
	"time"
)

// impersonate opens the impostor's sockets on the home router. They are served from here: a socket stays in its namespace.
func (l *Lab) impersonate(i Impostor) error {
	listen := func(port int) (net.Listener, error) {
		var ln net.Listener
		err := l.Do(Home, func() (err error) {
			ln, err = net.ListenTCP("tcp4", &net.TCPAddr{Port: port})
			return err
		})
		return ln, err
	}
	switch i {
	case PPTPImpostor:
		return l.acceptor(listen, 1723, startReply())
	case SilentProxy:
		return errors.Join(l.acceptor(listen, 1194, nil), l.acceptor(listen, 1723, nil))
	case Portal:
		return l.portal(listen)
	case TLSProxy, HTTPProxy:
		return l.tlsProxy(listen, i == HTTPProxy)
	case IPsecImpostor:
		return l.ipsecImpostor()
	}
	return nil
}

// acceptor accepts connections to a port, answers the first message with reply, or nothing if that is empty, and is silent then.
func (l *Lab) acceptor(listen func(int) (net.Listener, error), port int, reply []byte) error {
	ln, err := listen(port)
	if err != nil {
		return err
	}
	s := &silent{Listener: ln, conns: make(map[net.Conn]bool)}
	go s.serve(reply)
	l.keep(s)
	return nil
}

// A silent server keeps connections open.
type silent struct {
	net.Listener
	mu    sync.Mutex
	conns map[net.Conn]bool // nil once closed
}

func (s *silent) serve(reply []byte) {
	for {
		c, err := s.Accept()
		if err != nil {
			return
		}
		s.mu.Lock()
		if s.conns == nil {
			c.Close()
		} else {
			s.conns[c] = true
			go s.hold(c, reply)
		}
		s.mu.Unlock()
	}
}

func (s *silent) hold(c net.Conn, reply []byte) {
	buf := make([]byte, 1024)
	if n, _ := c.Read(buf); n > 0 && len(reply) > 0 {
		c.Write(reply)
	}
	io.Copy(io.Discard, c)
	c.Close()
	s.mu.Lock()
	delete(s.conns, c)
	s.mu.Unlock()
}

func (s *silent) Close() error {
	s.mu.Lock()
	for c := range s.conns {
		c.Close()
	}
	s.conns = nil
	s.mu.Unlock()
	return s.Listener.Close()
}

// startReply is a Start-Control-Connection-Reply (RFC 2637, 2.2) as a router with a PPTP server of its own would send it.
func startReply() []byte {
	b := make([]byte, 156)
	put := func(at int, v uint16) { binary.BigEndian.PutUint16(b[at:], v) }
	put(0, 156)
	put(2, 1) // control message
	binary.BigEndian.PutUint32(b[4:], 0x1a2b3c4d)
	put(8, 2)       // Start-Control-Connection-Reply
	put(12, 0x0100) // protocol version 1.0
	b[14] = 1       // result: successful
	b[19] = 3       // framing: asynchronous and synchronous
	b[23] = 3       // bearer: analog and digital
	put(24, 1)      // maximum channels
	put(26, 1)      // firmware revision
	copy(b[28:92], "router")
	copy(b[92:156], "linux")
	return b
}

// portal is a sign-in page on every port that a guest is redirected to.
func (l *Lab) portal(listen func(int) (net.Listener, error)) error {
	cert, err := selfSigned("portal.example")
	if err != nil {
		return err
	}
	plain, err := listen(80)
	if err != nil {
		return err
	}
	srv := &http.Server{Handler: http.HandlerFunc(signIn), ErrorLog: log.New(io.Discard, "", 0)}
	l.keep(srv)
	go srv.Serve(plain)
	secure, err := listen(443)
	if err != nil {
		plain.Close()
		return err
	}
	go srv.Serve(tls.NewListener(secure, &tls.Config{Certificates: []tls.Certificate{cert}}))
	return l.acceptor(listen, 1723, nil)
}

func signIn(w http.ResponseWriter, _ *http.Request) {
	w.Header().Set("Location", "http://portal.example/login")
	w.Header().Set("Content-Type", "text/html")
	w.WriteHeader(http.StatusFound)
	io.WriteString(w, "<html><body>Welcome! Please <a href=\"http://portal.example/login\">sign in</a>.</body></html>\n")
}

func selfSigned(name string) (tls.Certificate, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return tls.Certificate{}, err
	}
	now := time.Now()
	c := &x509.Certificate{SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: name}, DNSNames: []string{name},
		NotBefore: now.Add(-time.Hour), NotAfter: now.Add(24 * time.Hour)}
	der, err := x509.CreateCertificate(rand.Reader, c, c, &key.PublicKey, key)
	if err != nil {
		return tls.Certificate{}, fmt.Errorf("making the portal's certificate: %w", err)
	}
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}, nil
}
