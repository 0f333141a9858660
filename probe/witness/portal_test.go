package witness

import (
	"context"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"
)

func TestPortal(t *testing.T) {
	const page = "<!DOCTYPE html><html><body>Welcome. Please sign in.</body></html>"
	redirect := func(to string) http.HandlerFunc {
		return func(w http.ResponseWriter, r *http.Request) { w.Header().Set("Location", to); w.WriteHeader(302) }
	}
	says := func(status int, body string) http.HandlerFunc {
		return func(w http.ResponseWriter, r *http.Request) { w.WriteHeader(status); fmt.Fprint(w, body) }
	}
	tests := []struct {
		name     string
		h        http.HandlerFunc
		want     string
		portal   bool
		location string
	}{
		{"known-page", says(200, "success\n"), "success", false, ""},
		{"another-page", says(200, page), "success", true, ""},
		{"known-page-broken", says(503, page), "success", false, ""},
		{"redirected", redirect("http://login.example/sign/in?mac=00:11:22:33:44:55&token=x"), "success", true, "http://login.example/sign/in"},
		{"rude-location", redirect("http://u:p@login.example/a\u009b%1b[2J"), "success", true, "http://login.example/a%C2%9B%1B%5B2J"},
		{"redirected-on-the-same-host", redirect("/elsewhere"), "success", false, "http://127.0.0.1/elsewhere"},
		{"no-location", says(302, ""), "success", false, ""},
		{"rfc6585", says(511, ""), "", true, ""},
		{"server-with-a-page", says(200, page), "", true, ""},
		{"server-with-text", says(200, "ok"), "", false, ""},
		{"server-says-no", says(404, page), "", false, ""},
		{"endless", func(w http.ResponseWriter, r *http.Request) {
			for {
				if _, err := fmt.Fprint(w, strings.Repeat(page, 1000)); err != nil {
					return
				}
			}
		}, "success", true, ""},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			srv := httptest.NewServer(tt.h)
			defer srv.Close()
			got := Portal(t.Context(), srv.URL+"/?q", tt.want)
			location := strings.Replace(got.Location, strings.TrimPrefix(srv.URL, "http://"), "127.0.0.1", 1)
			if !got.Looked || got.Portal != tt.portal || location != tt.location || got.Asked != srv.URL+"/" {
				t.Errorf("got %+v, want portal %v, location %q", got, tt.portal, tt.location)
			}
		})
	}
}

func TestPortalIgnoresTheProxyAndNamesItself(t *testing.T) {
	t.Setenv("HTTP_PROXY", "http://127.0.0.1:1")
	var agent string
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { agent = r.UserAgent(); fmt.Fprint(w, "success") }))
	defer srv.Close()
	if got := Portal(t.Context(), srv.URL, "success"); !got.Looked || got.Portal || agent != "vpncheck" {
		t.Errorf("got %+v from agent %q, want the page", got, agent)
	}
}

func TestPortalWithoutAnswer(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	silent := Portal(ctx, "http://"+l.Addr().String(), "success")
	over, end := context.WithCancel(t.Context())
	time.AfterFunc(20*time.Millisecond, end)
	if got := Portal(over, "http://"+l.Addr().String(), "success"); got.Looked || got.Why != "no answer: it was no longer waited for" {
		t.Errorf("got %+v", got)
	}
	l.Close()
	for name, got := range map[string]Sign{
		"silent":  silent,
		"refused": Portal(t.Context(), "http://"+l.Addr().String(), ""),
		"no-url":  Portal(t.Context(), "http://\x7f/", ""),
	} {
		if got.Looked || got.Portal || got.Why == "" {
			t.Errorf("%s: got %+v, want a reason", name, got)
		}
	}
}
