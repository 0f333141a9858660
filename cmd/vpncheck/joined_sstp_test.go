package main

import (
	"bufio"
	"bytes"
	"context"
	"crypto/tls"
	"fmt"
	"io"
	"net"
	"net/netip"
	"strings"
	"sync"
	"testing"
	"time"

	"vpncheck/probe"
	"vpncheck/probe/sock"
	"vpncheck/probe/wire"
)

func toWeb(p sock.FakePacket) bool {
	return p.Proto == 6 && p.Src.Addr() == atHome && p.Dst.Port() == 443
}

// A conversation has all the steps of a client of Windows, each seen at both ends.
func TestJoinedSSTPConversation(t *testing.T) {
	t.Parallel()
	join(t, nat(always), func(j *joined) {
		f, o := j.only("sstp")
		j.found(f, "passed")
		stages := map[string]int{}
		for _, e := range o.Exchanges {
			stages[e.Stage]++
			connect := e.Stage == "connect"
			if e.Sent.State != wire.Seen || e.Arrived.State != wire.Seen || e.Returned.State != wire.Seen || !connect && e.Replied.State != wire.Seen {
				j.Errorf("%s (%s) was not followed from end to end: %+v", e.ID, e.Stage, e)
			}
			if e.From == probe.Client && !connect && (!bytes.Equal(e.Sent.Bytes, e.Arrived.Bytes) || !bytes.Equal(e.Replied.Bytes, e.Returned.Bytes)) {
				j.Errorf("%s (%s) is not the same at both ends:\n%x\n%x\n%x\n%x", e.ID, e.Stage, e.Sent.Bytes, e.Arrived.Bytes, e.Replied.Bytes, e.Returned.Bytes)
			}
			if head := string(e.Sent.Bytes); e.Stage == "request" && !strings.HasPrefix(head,
				"SSTP_DUPLEX_POST /sra_{BA195980-CD49-458b-9E23-C84EE0ADCD75}/ HTTP/1.1\r\nHost: 198.51.100.10\r\nContent-Length: 18446744073709551615\r\nSSTPCORRELATIONID: {") {
				j.Errorf("got %q", head)
			}
		}
		if want := map[string]int{"connect": 1, "tls": 1, "request": 1, "attach": 1, "tunnel": 13, "clear": 1}; fmt.Sprint(stages) != fmt.Sprint(want) {
			j.Errorf("got %v, want %v", stages, want) // 12 rounds, and the server's own Configure-Request
		}
	})
}

func TestJoinedSSTP(t *testing.T) {
	t.Parallel()
	ours := func(b []byte) bool {
		return len(b) > 5 && b[0] == 0x16 && b[5] == 1 && !bytes.Contains(b, []byte(wire.LinkProtocol))
	}
	greets := func(b []byte) bool { return len(b) > 5 && b[0] == 0x16 && b[5] == 2 }
	reset := func(p sock.FakePacket) []sock.FakePacket {
		if toWeb(p) {
			p.Reset = true
		}
		return nat(always)(p)
	}
	for _, c := range []struct {
		name        string
		route       func(sock.FakePacket) []sock.FakePacket
		stream      func(b []byte, toServer bool) bool // false drops it
		want, stage string
	}{
		{"port", without(toWeb, nat(always)), nil, "blocked-out tcp-port-dropped", "connect"},
		{"reset", reset, nil, "blocked-out tcp-reset", "connect"},
		{"hello", nat(always), func(b []byte, toServer bool) bool { return !toServer || !ours(b) }, "blocked-out tcp-content-dropped", "tls"},
		{"greeting", nat(always), nil, "blocked-back tcp-content-back-dropped", "tls"},
	} {
		t.Run(c.name, func(t *testing.T) {
			join(t, c.route, func(j *joined) {
				j.prove()
				if c.name == "greeting" {
					asked := false
					c.stream = func(b []byte, toServer bool) bool {
						if toServer {
							asked = asked || ours(b)
							return true
						}
						return !asked || !greets(b)
					}
				}
				if c.stream != nil {
					j.fake.SetStream(func(b []byte, toServer bool) []byte {
						if !c.stream(b, toServer) {
							return nil
						}
						return b
					})
				}
				f, _ := j.only("sstp")
				j.foundAt(f, c.want, c.stage)
			})
		})
	}
}

// A proxy takes all of the laptop's connections to port 443.
type proxied struct {
	passes string // the method of the requests that it passes on to the server
	status string // what it answers else
	plain  bool   // it speaks no TLS
	alert  bool   // nor that, but an alert
}

var atProxy = netip.MustParseAddr("192.168.1.2")

func (x proxied) serve(j *joined, host *sock.FakeHost) {
	ln, err := host.Listen(netip.AddrPortFrom(atProxy, 443))
	if err != nil {
		j.Error(err)
		return
	}
	defer context.AfterFunc(j.Context(), func() { ln.Close() })()
	cert := selfSigned(j.T)
	for {
		c, err := ln.Accept()
		if err != nil {
			return
		}
		go x.answer(host, c, cert)
	}
}

func (x proxied) answer(host *sock.FakeHost, c net.Conn, cert tls.Certificate) {
	defer c.Close()
	c.SetDeadline(time.Now().Add(time.Minute))
	if x.alert {
		c.Read(make([]byte, 4096))
		c.Write(tlsAlert)
		return
	}
	if !x.plain {
		c = tls.Server(c, &tls.Config{Certificates: []tls.Certificate{cert}})
	}
	head := make([]byte, 4096)
	n, err := c.Read(head)
	if err != nil {
		return
	}
	if x.passes != "" && strings.HasPrefix(string(head[:n]), x.passes+" ") {
		up, err := host.Dial(context.Background(), netip.Addr{}, netip.AddrPortFrom(atServer, 443))
		if err != nil {
			return
		}
		defer up.Close()
		t := tls.Client(up, &tls.Config{InsecureSkipVerify: true})
		t.Write(head[:n])
		if line, err := bufio.NewReader(t).ReadString('\n'); err == nil {
			io.WriteString(c, line+"\r\n")
		}
		return
	}
	io.WriteString(c, "HTTP/1.1 "+x.status+"\r\nServer: squid\r\nContent-Length: 0\r\n\r\n")
}

// viaProxy sends all of the laptop's connections to port 443 there.
func viaProxy(p sock.FakePacket) []sock.FakePacket {
	if toWeb(p) {
		p.Dst = netip.AddrPortFrom(atProxy, 443)
		return []sock.FakePacket{p}
	}
	return nat(always)(p)
}

// Who opens TLS on the way is told from who only refuses SSTP (F35).
func TestJoinedSSTPProxy(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		proxied
		want   string
		status int
	}{
		"refuses-us":   {proxied{status: "502 Bad Gateway"}, "inconclusive tls-intercepted", 502},
		"wants-a-name": {proxied{status: "407 Proxy Authentication Required"}, "inconclusive tls-intercepted", 407},
		"no-verb":      {proxied{passes: "GET", status: "405 Method Not Allowed"}, "blocked-out http-refused", 405},
		"passes":       {proxied{passes: wire.SSTPMethod, status: "502 Bad Gateway"}, "inconclusive tls-intercepted", 502},
		"plain":        {proxied{plain: true, status: "403 Forbidden"}, "blocked-out http-refused", 403},
	} {
		t.Run(name, func(t *testing.T) {
			join(t, viaProxy, func(j *joined) {
				j.prove()
				go c.serve(j, j.fake.Host(atProxy))
				f, _ := j.only("sstp")
				j.found(f, c.want)
				e, ok := evidence(f, probe.EvHTTP)
				if !ok || e.Args["status"] != c.status {
					j.Errorf("got %+v, want status %d", e, c.status)
				}
				if e, ok := evidence(f, probe.EvTLS); !ok || e.Args["why"] == "" {
					j.Errorf("it is not said who answered: %+v", f.Because)
				}
			})
		})
	}
}

// deeply holds one protocol's conversation with --deep.
func (j *joined) deeply(id string) (probe.Finding, time.Duration) {
	j.Helper()
	probes, _, err := choose([]string{id})
	if err != nil {
		j.Fatal(err)
	}
	p := probe.Open(j.Context(), probe.Config{Net: j.laptop, Host: j.cs.Host, Access: j.cs.Access, Pin: j.cs.Pin, Build: "test", Deep: true})
	r := probe.Run(j.Context(), p, probes, nil)
	return r.Findings[0], r.Ended.Sub(r.Started)
}

// With --deep the tunnel is held for half a minute.
func TestJoinedSSTPHeld(t *testing.T) {
	t.Parallel()
	join(t, nat(always), func(j *joined) {
		f, took := j.deeply("sstp")
		j.found(f, "passed")
		if took < 30*time.Second || took > 35*time.Second {
			j.Errorf("it took %v", took)
		}
	})
}

var tlsAlert = []byte{21, 3, 3, 0, 2, 2, 40} // fatal, handshake_failure

// Who answers TLS's opening with an alert in the server's place may do so for our certificate's sake: that is no verdict. Where the server saw the
// opening and answered it, what came instead is a block.
func TestJoinedSSTPAlert(t *testing.T) {
	t.Run("proxy", func(t *testing.T) {
		join(t, viaProxy, func(j *joined) {
			j.prove()
			go proxied{alert: true}.serve(j, j.fake.Host(atProxy))
			f, _ := j.only("sstp")
			j.found(f, "inconclusive tls-intercepted")
			if e, ok := evidence(f, probe.EvTLS); !ok || e.Args["why"] == "" {
				j.Errorf("it is not said who answered: %+v", f.Because)
			}
		})
	})
	t.Run("greeting", func(t *testing.T) {
		join(t, nat(always), func(j *joined) {
			j.prove()
			asked := false
			j.fake.SetStream(func(b []byte, toServer bool) []byte {
				switch {
				case len(b) < 6 || b[0] != 0x16:
				case toServer && b[5] == 1:
					asked = !bytes.Contains(b, []byte(wire.LinkProtocol))
				case !toServer && b[5] == 2 && asked:
					return tlsAlert
				}
				return b
			})
			f, _ := j.only("sstp")
			j.found(f, "blocked-back tcp-content-back-dropped")
		})
	})
}

// Who lets a tunnel begin and stops it once it has lasted, or carried so much, is found out, with --deep at least; a single accident is no such one
// (F35, T30).
func TestJoinedSSTPStalls(t *testing.T) {
	for _, c := range []struct {
		name        string
		after       time.Duration
		writes      int // of either end
		accident    bool
		short, deep string
	}{
		{"after-ten-seconds", 10 * time.Second, 0, false, "passed", "stalled stopped-after-n"},
		{"after-two-seconds", 2 * time.Second, 0, false, "passed", "stalled stopped-after-n"},
		{"after-twenty-writes", 0, 20, false, "stalled stopped-after-n", "stalled stopped-after-n"},
		{"after-forty-writes", 0, 40, false, "passed", "stalled stopped-after-n"},
		{"an-accident", 10 * time.Second, 0, true, "passed", "inconclusive stopped-once"},
	} {
		t.Run(c.name, func(t *testing.T) {
			join(t, nat(always), func(j *joined) {
				j.prove()
				type flow struct {
					began  time.Time
					writes int
					tunnel bool
				}
				flows, stopped := map[uint16]*flow{}, 0
				var mu sync.Mutex
				j.fake.SetLag(func(p sock.FakePacket) time.Duration {
					mu.Lock()
					defer mu.Unlock()
					if p.Src.Port() != 443 && p.Dst.Port() != 443 {
						return 0
					}
					port := max(p.Src.Port(), p.Dst.Port())
					if hello := len(p.Payload) > 5 && p.Payload[0] == 0x16 && p.Payload[5] == 1; hello {
						flows[port] = &flow{began: time.Now(), tunnel: !bytes.Contains(p.Payload, []byte(wire.LinkProtocol))}
					}
					f := flows[port]
					if f == nil {
						return 0
					}
					f.writes++
					if over := c.after > 0 && time.Since(f.began) > c.after || c.writes > 0 && f.writes > c.writes; !f.tunnel || !over || c.accident && stopped > 0 && flows[uint16(stopped)] != f {
						return 0
					}
					stopped = int(port)
					return time.Hour // as good as never
				})
				f, _ := j.only("sstp")
				j.found(f, c.short)
				mu.Lock()
				stopped = 0
				mu.Unlock()
				f, took := j.deeply("sstp")
				j.found(f, c.deep)
				if took > 100*time.Second {
					j.Errorf("it took %v", took)
				}
				t.Log(took)
			})
		})
	}
}

// relay passes all connections to port 443 on, and ends those of SSTP once they have lasted for so long.
func relay(j *joined, host *sock.FakeHost, lasts time.Duration) {
	ln, err := host.Listen(netip.AddrPortFrom(atProxy, 443))
	if err != nil {
		j.Error(err)
		return
	}
	defer context.AfterFunc(j.Context(), func() { ln.Close() })()
	for {
		c, err := ln.Accept()
		if err != nil {
			return
		}
		go func() {
			defer c.Close()
			first := make([]byte, 4096)
			n, err := c.Read(first)
			if err != nil {
				return
			}
			up, err := host.Dial(context.Background(), netip.Addr{}, netip.AddrPortFrom(atServer, 443))
			if err != nil {
				return
			}
			defer up.Close()
			if !bytes.Contains(first[:n], []byte(wire.LinkProtocol)) {
				defer time.AfterFunc(lasts, func() { c.Close(); up.Close() }).Stop()
			}
			up.Write(first[:n])
			go func() { io.Copy(c, up); c.Close() }()
			io.Copy(up, c)
		}()
	}
}

// A proxy that ends what lasts does so in the open.
func TestJoinedSSTPEnded(t *testing.T) {
	join(t, func(p sock.FakePacket) []sock.FakePacket {
		if toWeb(p) {
			p.Dst = netip.AddrPortFrom(atProxy, 443)
			return []sock.FakePacket{p}
		}
		return nat(always)(p)
	}, func(j *joined) {
		go relay(j, j.fake.Host(atProxy), 10*time.Second)
		f, _ := j.only("sstp")
		j.found(f, "passed")
		f, took := j.deeply("sstp")
		j.found(f, "stalled stopped-after-n")
		if took > 100*time.Second {
			j.Errorf("it took %v", took)
		}
		t.Log(took, f.Because)
	})
}
