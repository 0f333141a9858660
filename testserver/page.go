package testserver

import (
	"bytes"
	"context"
	"crypto/ecdsa"
	"fmt"
	"io"
	"net"
	"net/netip"
	"net/url"
	"strings"
	"time"

	"vpncheck/probe/wire"
)

// The page on TCP 80 tells a client whose session cannot be opened that no sign-in page stands in the server's place (T14, F34). It says the
// same to everybody, whatever path is asked for, and signs a challenge.
const (
	pageWait    = 5 * time.Second
	pageTotal   = 64 // connections at once
	pageEach    = 8  // of one address
	maxPageHead = 2 << 10
	pageText    = "This is a vpncheck server. It answers the test packets of people who have its connection string, and nobody else's.\n"
)

// PageStatus is the state of the page on TCP 80.
type PageStatus struct {
	Asked bool // it is to be shown
	Ready bool
	Why   string // if not ready
}

// listenPage opens the page's port. A port that is taken is no failure: nothing else depends on the page.
func (s *Server) listenPage() {
	if s.cfg.PagePort == 0 {
		return
	}
	visitors := newLimiter(pageTotal, pageEach)
	for _, a := range s.cfg.Addresses {
		local := netip.AddrPortFrom(a, s.cfg.PagePort)
		ln, err := s.cfg.Net.Listen(local)
		if !s.host.note(listener{what: portName("TCP", s.cfg.PagePort), local: local, err: err, page: true}) {
			continue
		}
		s.host.closeWith(ln.Close)
		s.host.readers.Go(func() {
			s.host.accept(ln, func(c net.Conn) { s.visit(c, visitors) })
		})
	}
}

// visit answers one request.
func (s *Server) visit(c net.Conn, visitors *limiter) {
	defer c.Close()
	release := visitors.enter(addrPort(c.RemoteAddr()).Addr(), s.host.turnAway(c))
	if release == nil {
		return
	}
	defer release()
	defer context.AfterFunc(s.ctx, func() { c.Close() })()
	c.SetDeadline(time.Now().Add(pageWait))
	head, ok := readHead(c)
	if !ok {
		return
	}
	io.WriteString(c, s.cfg.State.page(head))
	if half, ok := c.(interface{ CloseWrite() error }); ok { // see linger
		half.CloseWrite()
		c.SetDeadline(time.Now().Add(lingerWait))
		io.CopyN(io.Discard, c, lingerMost)
	}
}

// readHead reads the head of one request, or as much of it as there may be.
func readHead(r io.Reader) (head []byte, ok bool) {
	buf := make([]byte, maxPageHead)
	n := 0
	for n < len(buf) && !bytes.Contains(buf[:n], []byte("\r\n\r\n")) {
		m, err := r.Read(buf[n:])
		n += m
		if err != nil {
			return nil, false
		}
	}
	return buf[:n], true
}

// page is the whole answer to the head of a request (RFC 9112).
func (s *State) page(head []byte) string {
	request, _, _ := strings.Cut(string(head), "\r\n")
	fields := strings.Split(request, " ")
	whole := bytes.Contains(head, []byte("\r\n\r\n"))
	switch {
	case !whole || len(fields) != 3 || !strings.HasPrefix(fields[2], "HTTP/1."):
		return pageAnswer("400 Bad Request", "", "")
	case fields[0] != "GET" && fields[0] != "HEAD":
		return pageAnswer("405 Method Not Allowed", "Allow: GET, HEAD\r\n", "")
	}
	body := pageText
	if challenge, ok := challengeIn(fields[1]); ok {
		if proof, err := wire.SignPage(s.cert.PrivateKey.(*ecdsa.PrivateKey), s.spki, 200, challenge); err == nil {
			body += proof.String() + "\n"
		}
	}
	answer := pageAnswer("200 OK", "Content-Type: text/plain; charset=utf-8\r\nCache-Control: no-store\r\nX-Content-Type-Options: nosniff\r\n", body)
	if fields[0] == "HEAD" {
		answer = strings.TrimSuffix(answer, body)
	}
	return answer
}

func pageAnswer(status, header, body string) string {
	return fmt.Sprintf("HTTP/1.1 %s\r\n%sContent-Length: %d\r\nConnection: close\r\n\r\n%s", status, header, len(body), body)
}

// challengeIn finds the challenge in what was asked for.
func challengeIn(target string) ([]byte, bool) {
	_, query, _ := strings.Cut(target, "?")
	values, err := url.ParseQuery(query)
	if err != nil {
		return nil, false
	}
	challenge, err := wire.ParsePageChallenge(values.Get(wire.PageQuery))
	return challenge, err == nil
}
