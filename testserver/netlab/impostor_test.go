//go:build linux

package netlab

import (
	"crypto/tls"
	"io"
	"strings"
	"testing"
	"time"
)

func TestPortal(t *testing.T) {
	needLab(t)
	t.Parallel()
	l := build(t, "portal")
	c, err := dial(l, l.Addr(Server), 80)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	io.WriteString(c, "GET / HTTP/1.0\r\n\r\n")
	if b, _ := io.ReadAll(c); !strings.HasPrefix(string(b), "HTTP/1.0 302 ") || !strings.Contains(string(b), "portal.example/login") {
		t.Errorf("got %q, want a redirect to the sign-in page", b)
	}
	if c, err = dial(l, l.Addr(Server), 443); err != nil {
		t.Fatal(err)
	}
	s := tls.Client(c, &tls.Config{InsecureSkipVerify: true})
	defer s.Close()
	if err := s.Handshake(); err != nil {
		t.Fatal(err)
	}
	if err := s.ConnectionState().PeerCertificates[0].VerifyHostname("portal.example"); err != nil {
		t.Error(err)
	}
}

func TestHijack(t *testing.T) {
	needLab(t)
	t.Parallel()
	l := build(t, "pptp-hijack")
	c, err := dial(l, l.Addr(Server), 1723)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	c.SetDeadline(time.Now().Add(patience))
	c.Write(control(156, 1, nil))
	b := make([]byte, 156)
	if _, err := io.ReadFull(c, b); err != nil || b[9] != 2 || !strings.HasPrefix(string(b[28:]), "router\x00") {
		t.Errorf("got %x, %v, want the router's own reply", b, err)
	}
}

// TestIPsecHijack reads what the impostor says with its own eyes.
func TestIPsecHijack(t *testing.T) {
	const (
		v2   = "\x01\x02\x03\x04\x05\x06\x07\x08" + "\x00\x00\x00\x00\x00\x00\x00\x00" + "\x21\x20\x22\x08" + "\x00\x00\x00\x00" + "\x00\x00\x00\x1c"
		v1   = "\x01\x02\x03\x04\x05\x06\x07\x08" + "\x00\x00\x00\x00\x00\x00\x00\x00" + "\x01\x10\x02\x00" + "\x00\x00\x00\x00" + "\x00\x00\x00\x1c"
		esp  = "\x09\x08\x07\x06" + "\x00\x00\x00\x03" + "anything"
		sccr = "\xc8\x02\x00\x1c" + "\x00\x00\x00\x00" + "\x00\x00\x00\x00" + "\x80\x08\x00\x00\x00\x00\x00\x01" + "\x80\x08\x00\x00\x00\x09\x12\x34"
		us   = "\x01\x02\x03\x04\x05\x06\x07\x08ZZZZZZZZ"
	)
	for _, w := range []struct {
		name      string
		answer    func([]byte) []byte
		req, want string // want is how the answer begins
		length    int
	}{
		{"ikev2", isakmpAnswer, v2, us + "\x21\x20\x22\x20\x00\x00\x00\x00\x00\x00\x01\x78\x22\x00\x00\x30", 376},
		{"ikev1", isakmpAnswer, v1, us + "\x01\x10\x02\x00\x00\x00\x00\x00\x00\x00\x00\x60\x0d\x00\x00\x30", 96},
		{"natt", nattAnswer, "\x00\x00\x00\x00" + v2, "\x00\x00\x00\x00" + us + "\x21\x20\x22\x20", 380},
		{"esp", nattAnswer, esp, "ZZZZ\x00\x00\x00\x03ZZZZZZZZ", 16},
		{"keepalive", nattAnswer, "\xff", "", 0},
		{"l2tp", l2tpAnswer, sccr, "\xc8\x02\x00\x24\x12\x34\x00\x00\x00\x00\x00\x01\x80\x08\x00\x00\x00\x00\x00\x04", 36},
		{"l2tp-data", l2tpAnswer, "\x02" + sccr[1:], "", 0},
		{"l2tp-ack", l2tpAnswer, sccr[:12], "", 0},
	} {
		if got := string(w.answer([]byte(w.req))); !strings.HasPrefix(got, w.want) || len(got) != w.length {
			t.Errorf("%s: got %d octets %x, want %d that begin with %x", w.name, len(got), got, w.length, w.want)
		}
		for n := range w.req {
			w.answer([]byte(w.req[:n])) // no prefix is too short for it
		}
	}
}
