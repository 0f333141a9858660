package testserver

import (
	"crypto/tls"
	"errors"
	"io"
	"net/netip"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"vpncheck/probe/sock"
	"vpncheck/probe/wire"
)

// request makes a TLS connection without ALPN, as SSTP's clients do, and asks for something.
func (w *world) request(from *sock.FakeHost, head []byte) (*tls.Conn, string) {
	w.t.Helper()
	conn := w.connect(from, netip.AddrPortFrom(serverAddr, 443))
	if _, err := conn.Write(head); err != nil {
		w.t.Fatal(err)
	}
	answer := make([]byte, 4096)
	n, err := conn.Read(answer)
	if err != nil {
		w.t.Fatal(err)
	}
	return conn, string(answer[:n])
}

func (c *client) sstpHead(get bool) []byte {
	return wire.SSTPRequest{Host: "h", GET: get, Correlation: c.token(wire.CarrierSSTP).Prefix()}.Append(nil)
}

// nextSaw is the next Saw; the SYNs of the client's own connections are handed over before.
func (c *client) nextSaw() wire.Saw {
	for {
		if m := c.recv(); m.Saw != nil {
			return *m.Saw
		}
	}
}

func withSSTP(_ *world, cfg *Config) { cfg.Responders = append(cfg.Responders, SSTP()) }

// exchange sends a packet of the tunnel, and returns the first that comes back.
func exchange(t *testing.T, conn *tls.Conn, p wire.SSTP) wire.SSTP {
	t.Helper()
	conn.Write(p.Append(nil))
	b := make([]byte, 4096)
	n, err := conn.Read(b)
	if err != nil {
		t.Fatal(err)
	}
	got, _, err := wire.ParseSSTP(b[:n])
	if err != nil {
		t.Fatal(err)
	}
	return got
}

func TestSSTPTunnel(t *testing.T) {
	inWorld(t, withSSTP, func(w *world) {
		c := w.open(w.laptop, wire.CarrierSSTP)
		conn, answer := w.request(w.laptop, c.sstpHead(false))
		if s, _, err := wire.ParseHTTPStatus([]byte(answer)); err != nil || !s.Accepts() {
			t.Fatalf("got %q", answer)
		}
		m := c.number
		saws := map[uint32]wire.Saw{}
		for range 2 {
			s := c.nextSaw()
			saws[s.Exchange] = s
		}
		if hello := saws[m+1]; len(hello.Arrived.Bytes) == 0 || hello.Arrived.Bytes[0] != 0x16 || len(hello.Replied.Bytes) == 0 {
			t.Errorf("TLS's opening was not told: %+v", hello)
		}
		nonce, ok := exchange(t, conn, wire.SSTPConnect()).Nonce()
		token, _ := wire.TokenAt(nonce[:], 0)
		if !ok || token.Exchange() != m+2 || !c.mint.Valid(wire.Answer, wire.CarrierSSTP, token) {
			t.Errorf("got nonce %x", nonce)
		}
		c.nextSaw()
		if got := exchange(t, conn, wire.SSTP{Control: true, Type: wire.SSTPEchoRequest}); got.Type != wire.SSTPEchoResponse {
			t.Errorf("got %+v, want an Echo Response", got)
		}
		c.number = m + 10
		echo := wire.LCP{Code: wire.LCPEchoRequest, Data: wire.LCPEcho{Data: wire.Tag{Token: c.token(wire.CarrierSSTP)}.Append(nil)}.Append(nil)}
		got := exchange(t, conn, wire.SSTP{Data: wire.PPP{Protocol: wire.ProtocolLCP, Information: echo.Append(nil)}.Append(nil)})
		reply, err := parseLCPFrame(got.Data)
		if err != nil || reply.Code != wire.LCPEchoReply {
			t.Fatalf("got %+v, %v", reply, err)
		}
		tag, _ := wire.ParseTag(reply.Data[4:])
		c.answered(wire.CarrierSSTP, tag.Token)
		c.nextSaw()
		// A session has one connection: a second one takes the place of the first.
		c.number = m + 20
		second, _ := w.request(w.laptop, c.sstpHead(false))
		if _, err := conn.Read(make([]byte, 1)); err == nil {
			t.Error("the first connection is still there")
		}
		if got := exchange(t, second, wire.SSTPDisconnect(false)); got.Type != wire.SSTPCallDisconnectAck {
			t.Errorf("got %+v, want the end acknowledged", got)
		}
		// When the session ends, so does its tunnel.
		c.number = m + 30
		third, _ := w.request(w.laptop, c.sstpHead(false))
		c.conn.Close()
		synctest.Wait()
		if _, err := third.Read(make([]byte, 1)); err == nil || isTimeout(err) {
			t.Errorf("the tunnel outlives its session: %v", err)
		}
	})
}

func isTimeout(err error) bool {
	var timeout interface{ Timeout() bool }
	return errors.As(err, &timeout) && timeout.Timeout()
}

// Whoever is no session's finds a web server without pages.
func TestSSTPStrangers(t *testing.T) {
	inWorld(t, withSSTP, func(w *world) {
		c := w.open(w.laptop, wire.CarrierSSTP)
		good := c.token(wire.CarrierSSTP)
		forge := func(change func(*wire.SSTPCorrelation)) []byte {
			p := good.Prefix()
			change(&p)
			return wire.SSTPRequest{Host: "h", Correlation: p}.Append(nil)
		}
		right := string(forge(func(*wire.SSTPCorrelation) {}))
		for name, head := range map[string][]byte{
			"no session":      forge(func(p *wire.SSTPCorrelation) { p[0]++ }),
			"other exchange":  forge(func(p *wire.SSTPCorrelation) { p[7]++ }),
			"proof":           forge(func(p *wire.SSTPCorrelation) { p[15]++ }),
			"another carrier": wire.SSTPRequest{Correlation: c.mint.Make(wire.Question, wire.CarrierGRE, 1).Prefix()}.Append(nil),
			"an answer":       wire.SSTPRequest{Correlation: c.mint.Make(wire.Answer, wire.CarrierSSTP, 1).Prefix()}.Append(nil),
			"verb":            []byte(strings.Replace(right, "SSTP_DUPLEX_POST", "POST", 1)),
			"too early":       []byte(right + "\x10\x01\x00\x0e"),
			"page":            []byte("GET / HTTP/1.1\r\n\r\n"),
			"endless":         []byte("GET /" + strings.Repeat("x", 2*maxHTTP)),
		} {
			conn, answer := w.request(w.other, head)
			if answer != httpNotFound {
				t.Errorf("%s: got %q", name, answer)
			}
			conn.Close()
		}
		c.quiet()
		// With the right one the server's plain page can be asked for as well, and once: what comes again tells no more.
		page := strings.Replace(right, right[:strings.Index(right, " HTTP")], "GET /", 1)
		for _, want := range []string{"", "replay"} {
			if _, answer := w.request(w.laptop, []byte(page)); answer != httpNotFound {
				t.Errorf("got %q", answer)
			}
			if saw := c.nextSaw(); saw.Exchange != good.Exchange() || saw.Silent != want {
				t.Errorf("got %+v, want %q", saw, want)
			}
			page = strings.Replace(page, "Host: h", "Host: x", 1)
		}
	})
}

// Who says nothing is sent away, and so is who stops in the middle of a request.
func TestSSTPSilence(t *testing.T) {
	inWorld(t, withSSTP, func(w *world) {
		for _, head := range []string{"", "SSTP_DUPLEX_POST /sra_"} {
			conn := w.connect(w.other, netip.AddrPortFrom(serverAddr, 443))
			began := time.Now()
			io.WriteString(conn, head)
			io.Copy(io.Discard, conn)
			if took := time.Since(began); took > 2*doorWait {
				t.Errorf("%q: held for %v", head, took)
			}
		}
	})
}
