package witness

import (
	"context"
	"errors"
	"net"
	"net/netip"
	"testing"
	"time"

	"golang.org/x/net/dns/dnsmessage"
)

// answering is a resolver that asks a name server in this process.
func answering(t *testing.T, code dnsmessage.RCode, a ...[4]byte) *net.Resolver {
	c, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	go func() {
		b := make([]byte, 512)
		for {
			n, from, err := c.ReadFrom(b)
			if err != nil {
				return
			}
			var m dnsmessage.Message
			if m.Unpack(b[:n]) != nil || len(m.Questions) != 1 {
				continue
			}
			m.Response, m.RCode, m.Additionals = true, code, nil
			for _, ip := range a {
				if q := m.Questions[0]; q.Type == dnsmessage.TypeA {
					m.Answers = append(m.Answers, dnsmessage.Resource{
						Header: dnsmessage.ResourceHeader{Name: q.Name, Class: q.Class, TTL: 1}, Body: &dnsmessage.AResource{A: ip}})
				}
			}
			if out, err := m.Pack(); err == nil {
				c.WriteTo(out, from)
			}
		}
	}()
	return &net.Resolver{PreferGo: true, Dial: func(ctx context.Context, _, _ string) (net.Conn, error) {
		return (&net.Dialer{}).DialContext(ctx, "udp", c.LocalAddr().String())
	}}
}

func TestDNS(t *testing.T) {
	mute := &net.Resolver{PreferGo: true, Dial: func(ctx context.Context, _, _ string) (net.Conn, error) {
		<-ctx.Done()
		return nil, ctx.Err()
	}}
	broken := &net.Resolver{PreferGo: true, Dial: func(context.Context, string, string) (net.Conn, error) {
		return nil, errors.New("no socket")
	}}
	tests := []struct {
		name, ask string
		r         *net.Resolver
		timeout   time.Duration
		kind      string
		addr      string
	}{
		{"found", "vpn.example.", answering(t, dnsmessage.RCodeSuccess, [4]byte{198, 51, 100, 10}), time.Minute, "", "198.51.100.10"},
		{"not-found", "vpn.example.", answering(t, dnsmessage.RCodeNameError), time.Minute, "not-found", ""},
		{"silent", "vpn.example.", mute, time.Millisecond, "timeout", ""},
		{"broken", "vpn.example.", broken, time.Minute, "failed", ""},
		{"address", "::ffff:192.0.2.1", broken, time.Minute, "", "192.0.2.1"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got := resolve(t.Context(), tt.r, tt.ask, tt.timeout)
			if !got.Looked || got.Error != tt.kind || (got.Error == "") == (got.Detail != "") {
				t.Errorf("got %+v, want error %q", got, tt.kind)
			}
			if tt.addr != "" && (len(got.Addresses) != 1 || got.Addresses[0] != netip.MustParseAddr(tt.addr)) {
				t.Errorf("got %v, want %s", got.Addresses, tt.addr)
			}
		})
	}
	if got := resolve(t.Context(), broken, "", time.Minute); got.Looked {
		t.Errorf("got %+v, want a reason", got)
	}
}
