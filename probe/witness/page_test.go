package witness

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"vpncheck/probe/wire"
)

// Only the holder of the pinned key is the server; an older server, which signs nothing, is no sign-in page either.
func TestServerPage(t *testing.T) {
	key := func() (*ecdsa.PrivateKey, []byte) {
		k, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
		if err != nil {
			t.Fatal(err)
		}
		spki, err := x509.MarshalPKIXPublicKey(&k.PublicKey)
		if err != nil {
			t.Fatal(err)
		}
		return k, spki
	}
	ours, spki := key()
	theirs, theirSPKI := key()
	signs := func(k *ecdsa.PrivateKey, spki []byte, status int) http.HandlerFunc {
		return func(w http.ResponseWriter, r *http.Request) {
			challenge, err := wire.ParsePageChallenge(r.URL.Query().Get(wire.PageQuery))
			if err != nil {
				t.Errorf("%v: %v", r.URL, err)
			}
			p, err := wire.SignPage(k, spki, 200, challenge)
			if err != nil {
				t.Error(err)
			}
			w.Header().Set("Content-Type", "text/html")
			w.WriteHeader(status)
			fmt.Fprintf(w, "<html>\n%v\n</html>", p)
		}
	}
	old, _ := wire.SignPage(ours, spki, 200, []byte("0123456789abcdef"))
	tests := []struct {
		name            string
		h               http.HandlerFunc
		genuine, portal bool
	}{
		{"ours", signs(ours, spki, 200), true, false},
		{"another-key", signs(theirs, theirSPKI, 200), false, true},
		{"another-has-signed", signs(theirs, spki, 200), false, true},
		{"another-status", signs(ours, spki, 203), false, false},
		{"replayed", func(w http.ResponseWriter, r *http.Request) { fmt.Fprintf(w, "<html>\n%v\n", old) }, false, true},
		{"sign-in-page", func(w http.ResponseWriter, r *http.Request) { fmt.Fprint(w, "<html>sign in") }, false, true},
		{"redirected", http.RedirectHandler("http://login.example/", http.StatusFound).ServeHTTP, false, true},
		{"older-server", http.NotFound, false, false},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			srv := httptest.NewServer(tt.h)
			defer srv.Close()
			got := ServerPage(t.Context(), strings.TrimPrefix(srv.URL, "http://"), wire.PinOf(spki))
			if !got.Looked || got.Genuine != tt.genuine || got.Portal != tt.portal || strings.Contains(got.Asked, wire.PageQuery) {
				t.Errorf("got %+v, want genuine %v, portal %v", got, tt.genuine, tt.portal)
			}
		})
	}
	if got := ServerPage(t.Context(), "127.0.0.1:1", [20]byte{}); got.Looked || got.Genuine || got.Portal {
		t.Errorf("got %+v of nobody", got)
	}
}
