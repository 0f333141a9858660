package netlab

import (
	"context"
	"crypto/tls"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httputil"
	"time"
)

// tlsProxy opens TLS on port 443 with a certificate of its own, as software that inspects HTTPS does, and passes on what reads as HTTP. Go's
// server knows neither SSTP's length nor its verb, like most proxies. Unless it trusts all, it accepts no server that signed for itself.
func (l *Lab) tlsProxy(listen func(int) (net.Listener, error), trusts bool) error {
	cert, err := selfSigned("inspection.example")
	if err != nil {
		return err
	}
	ln, err := listen(443)
	if err != nil {
		return err
	}
	quiet := log.New(io.Discard, "", 0)
	transport := &http.Transport{
		TLSClientConfig:   &tls.Config{InsecureSkipVerify: trusts},
		ForceAttemptHTTP2: false,
		DialContext: func(ctx context.Context, _, _ string) (c net.Conn, err error) {
			err = l.Do(Home, func() (err error) {
				d := net.Dialer{Timeout: 3 * time.Second}
				c, err = d.DialContext(ctx, "tcp4", net.JoinHostPort(l.Addr(Server).String(), "443"))
				return err
			})
			return c, err
		},
	}
	proxy := &httputil.ReverseProxy{
		Rewrite: func(r *httputil.ProxyRequest) {
			r.Out.URL.Scheme, r.Out.URL.Host, r.Out.Host = "https", r.In.Host, r.In.Host
		},
		Transport: transport, ErrorLog: quiet,
	}
	srv := &http.Server{Handler: proxy, ErrorLog: quiet}
	l.keep(srv)
	go srv.Serve(tls.NewListener(ln, &tls.Config{Certificates: []tls.Certificate{cert}}))
	return nil
}
