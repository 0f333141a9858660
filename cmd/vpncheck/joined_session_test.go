package main

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"errors"
	"io"
	"math/big"
	"net"
	"net/netip"
	"slices"
	"testing"
	"time"

	"vpncheck/probe"
	"vpncheck/probe/sock"
	"vpncheck/probe/witness"
	"vpncheck/report"
)

// Where no session can be had, the report says what was found instead, blames no router, and ends with the status for "not decided".
func TestJoinedNoSession(t *testing.T) {
	t.Parallel()
	unheard := func(p sock.FakePacket) []sock.FakePacket {
		if p.Proto == 6 {
			return nil
		}
		return nat(always)(p)
	}
	refused := func(p sock.FakePacket) []sock.FakePacket {
		if p.Proto == 6 {
			p.Reset = true
		}
		return nat(always)(p)
	}
	for _, c := range []struct {
		name   string
		route  func(sock.FakePacket) []sock.FakePacket
		change func(j *joined, cfg *probe.Config)
		want   probe.Reason
		portal bool
	}{
		{"wrong-pin", nil, func(_ *joined, cfg *probe.Config) { cfg.Pin[0] ^= 1 }, probe.WrongPin, false},
		{"wrong-access", nil, func(_ *joined, cfg *probe.Config) { cfg.Access = make([]byte, 16) }, probe.AccessWrong, false},
		{"expired-access", nil, func(j *joined, _ *probe.Config) {
			if err := j.state.NewAccess(); err != nil {
				j.Fatal(err)
			}
		}, probe.AccessExpired, false},
		{"unknown-host", nil, func(_ *joined, cfg *probe.Config) {
			cfg.Host = "vpn.invalid"
			cfg.Resolve = func(context.Context, string, string) ([]netip.Addr, error) {
				return nil, &net.DNSError{Err: "no such host", Name: "vpn.invalid", IsNotFound: true}
			}
		}, probe.UnknownHost, false},
		{"no-such-family", nil, func(_ *joined, cfg *probe.Config) { cfg.Family = 6 }, probe.NoAddress, false},
		{"nothing-answers", unheard, nil, probe.NoAnswer, false},
		{"nothing-listens", refused, nil, probe.NothingListening, false},
		{"another-certificate", nil, intercepted, probe.TLSIntercepted, false},
		{"not-tls", nil, notTLS, probe.NotTLS, false},
		{"an-alert", nil, alerts, probe.TLSIntercepted, false},
		{"portal", nil, func(j *joined, cfg *probe.Config) {
			intercepted(j, cfg)
			cfg.Portal = func(context.Context, string) witness.Sign {
				return witness.Sign{Portal: true, Location: "http://portal.example/login"}
			}
		}, probe.CaptivePortal, true},
		{"its-own-page", unheard, func(_ *joined, cfg *probe.Config) {
			cfg.Portal = func(context.Context, string) witness.Sign { return witness.Sign{Genuine: true} }
		}, probe.NoAnswer, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			route := c.route
			if route == nil {
				route = nat(always)
			}
			join(t, route, func(j *joined) {
				defer time.Sleep(2 * time.Second) // the bubble's time: what was usurped ends
				cfg := probe.Config{Net: j.laptop, Host: j.cs.Host, Access: j.cs.Access, Pin: j.cs.Pin, Build: "test"}
				if c.change != nil {
					c.change(j, &cfg)
				}
				r := probe.Run(j.Context(), probe.Open(j.Context(), cfg), allProbes(), nil)
				none := r.Circumstances.NoSession
				if none == nil || none.Reason != c.want {
					t.Fatalf("got %+v, want %s", none, c.want)
				}
				for _, f := range r.Findings {
					want := probe.NoSession
					if c.portal {
						want = probe.CaptivePortal
					}
					if f.Verdict != probe.Untested || f.Reason != want {
						t.Errorf("%s: got %s (%s), want untested (%s)", f.Protocol, f.Verdict, f.Reason, want)
					}
				}
				rep := report.New(r, allProbes(), report.Tool{Name: "vpncheck"})
				page := slices.ContainsFunc(rep.Notes, func(n report.Note) bool { return n.Reason == probe.EvPage })
				if page != (c.name == "its-own-page") {
					t.Errorf("got notes %+v", rep.Notes)
				}
				if code := rep.ExitCode(); code != exitUndecided {
					t.Errorf("got exit status %d, want %d", code, exitUndecided)
				}
				if rep.Summary.Headline == "" || rep.Summary.Advice == "" {
					t.Errorf("no headline or no advice: %+v", rep.Summary)
				}
			})
		})
	}
}

// selfSigned is somebody's certificate.
func selfSigned(t *testing.T) tls.Certificate {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	tmpl := &x509.Certificate{SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "proxy.example"}}
	der, err := x509.CreateCertificate(rand.Reader, tmpl, tmpl, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}
}

// intercepted puts somebody else's TLS in the server's place, on every port of the side channel.
func intercepted(j *joined, cfg *probe.Config) {
	cert := selfSigned(j.T)
	usurp(j, cfg, func(c net.Conn) { tls.Server(c, &tls.Config{Certificates: []tls.Certificate{cert}}).Handshake() })
}

// notTLS puts something that speaks no TLS in the server's place.
func notTLS(j *joined, cfg *probe.Config) {
	usurp(j, cfg, func(c net.Conn) { io.WriteString(c, "SSH-2.0-OpenSSH_9.2\r\n") })
}

// alerts speaks TLS, and not with us.
func alerts(j *joined, cfg *probe.Config) {
	usurp(j, cfg, func(c net.Conn) {
		c.Read(make([]byte, 4096))
		c.Write(tlsAlert)
	})
}

// usurp sends the laptop's session to a host of somebody else's.
func usurp(j *joined, cfg *probe.Config, serve func(net.Conn)) {
	for _, port := range []uint16{443, 8443} {
		l, err := j.other.Listen(netip.AddrPortFrom(passerby, port))
		if err != nil {
			j.Fatal(err)
		}
		j.Cleanup(func() { l.Close() })
		go func() {
			for {
				c, err := l.Accept()
				if errors.Is(err, net.ErrClosed) {
					return
				}
				c.SetDeadline(time.Now().Add(time.Second))
				go func() { defer c.Close(); serve(c) }()
			}
		}()
	}
	cfg.Host = passerby.String()
}
