package testserver

import (
	"bufio"
	"context"
	"encoding/hex"
	"io"
	"net"
	"net/http"
	"net/netip"
	"strings"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"vpncheck/probe/wire"
)

func withPage(_ *world, cfg *Config) { cfg.PagePort = wire.PagePort }

func (w *world) visit() net.Conn {
	w.t.Helper()
	c, err := w.laptop.Dial(context.Background(), netip.Addr{}, netip.AddrPortFrom(serverAddr, wire.PagePort))
	if err != nil {
		w.t.Fatal(err)
	}
	c.SetDeadline(time.Now().Add(time.Minute))
	return c
}

// ask sends a request as it stands and returns all that is answered.
func (w *world) ask(request string) string {
	w.t.Helper()
	c := w.visit()
	defer c.Close()
	io.WriteString(c, request)
	b, _ := io.ReadAll(c)
	return string(b)
}

func TestPage(t *testing.T) {
	inWorld(t, withPage, func(w *world) {
		challenge := []byte("0123456789abcdef")
		answer := w.ask("GET /any/path?x=1&challenge=" + hex.EncodeToString(challenge) + " HTTP/1.1\r\nHost: x\r\n\r\n")
		r, err := http.ReadResponse(bufio.NewReader(strings.NewReader(answer)), nil)
		if err != nil {
			t.Fatalf("%v: %q", err, answer)
		}
		body, _ := io.ReadAll(r.Body)
		if r.StatusCode != 200 || !strings.HasPrefix(string(body), "This is a vpncheck server.") || r.Header.Get("Cache-Control") != "no-store" {
			t.Errorf("got %q", answer)
		}
		proof, err := wire.ParsePageProof(body)
		if err == nil {
			err = proof.Check(w.state.ConnString("h", 0).Pin, 200, challenge)
		}
		if err != nil {
			t.Errorf("%v: %s", err, body)
		}
		for request, want := range map[string]string{
			"GET / HTTP/1.1\r\n\r\n":                                           "200 OK",
			"GET http://x/ HTTP/1.0\r\n\r\n":                                   "200 OK",
			"GET /?challenge=00 HTTP/1.1\r\n\r\n":                              "200 OK",
			"GET /?challenge=" + strings.Repeat("0", 64) + " HTTP/1.1\r\n\r\n": "200 OK",
			"GET /?%zz&challenge=;;; HTTP/1.1\r\n\r\n":                         "200 OK",
			"HEAD / HTTP/1.1\r\n\r\n":                                          "200 OK",
			"POST / HTTP/1.1\r\nContent-Length: 2\r\n\r\nhi":                   "405 Method Not Allowed",
			"GET /\r\n\r\n":                                                    "400 Bad Request",
			"\x16\x03\x01\r\n\r\n":                                             "400 Bad Request",
			"GET / HTTP/1.1\r\n" + strings.Repeat("A: b\r\n", 1000):            "400 Bad Request",
		} {
			got := w.ask(request)
			if !strings.HasPrefix(got, "HTTP/1.1 "+want+"\r\n") || strings.Contains(got, "vpncheck-page/1") {
				t.Errorf("%.40q: got %q, want %s and no proof", request, got, want)
			}
			if strings.HasPrefix(request, "HEAD") && !strings.HasSuffix(got, "\r\n\r\n") {
				t.Errorf("HEAD has a body: %q", got)
			}
		}
		if got := w.srv.Status(); !got.Page.Asked || !got.Page.Ready || len(got.Links) != 4 || len(got.Failures) > 0 {
			t.Errorf("got %+v", got)
		}
	})
}

// Who says nothing is sent away after a few seconds, and few of one address are heard at once.
func TestPageManners(t *testing.T) {
	inWorld(t, withPage, func(w *world) {
		began := time.Now()
		idle := w.visit()
		if b, err := io.ReadAll(idle); len(b) > 0 || time.Since(began) > pageWait+time.Second {
			t.Errorf("got %q, %v after %v", b, err, time.Since(began))
		}
		first := w.visit()
		synctest.Wait()
		for range pageEach {
			defer w.visit().Close()
		}
		began = time.Now()
		if b, _ := io.ReadAll(first); len(b) > 0 || time.Since(began) > time.Second {
			t.Errorf("got %q after %v, want to have to go at once", b, time.Since(began))
		}
	})
}

// A port that is taken is told, and no failure.
func TestPagePortTaken(t *testing.T) {
	inWorld(t, func(w *world, cfg *Config) {
		withPage(w, cfg)
		w.server.Deny = map[string]error{"listen/80": syscall.EADDRINUSE}
	}, func(w *world) {
		if got := w.srv.Status(); !got.Page.Asked || got.Page.Ready || got.Page.Why == "" || len(got.Failures) > 0 {
			t.Errorf("got %+v", got)
		}
	})
	inWorld(t, nil, func(w *world) {
		if got := w.srv.Status().Page; got.Asked {
			t.Errorf("got %+v, want no page unasked", got)
		}
	})
}

func FuzzPage(f *testing.F) {
	state, err := OpenState(f.TempDir(), StateOptions{})
	if err != nil {
		f.Fatal(err)
	}
	f.Add([]byte("GET /?challenge=30313233343536373839616263646566 HTTP/1.1\r\nHost: x\r\n\r\n"))
	f.Add([]byte("HEAD /%zz HTTP/1.0\r\n\r\n"))
	f.Add([]byte("POST\r\n\r\n"))
	f.Fuzz(func(t *testing.T, b []byte) {
		head, ok := readHead(strings.NewReader(string(b)))
		if !ok {
			return
		}
		r, err := http.ReadResponse(bufio.NewReader(strings.NewReader(state.page(head))), nil)
		if err != nil || r.StatusCode != 200 && r.StatusCode != 400 && r.StatusCode != 405 {
			t.Errorf("%q: got %v, %+v", head, err, r)
		}
		if n := len(state.page(head)); n > 1000 {
			t.Errorf("%d octets of an answer", n)
		}
	})
}
