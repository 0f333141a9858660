package witness

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"io"
	"net"
	"net/http"
	"net/url"
	"os"
	"strings"
	"time"

	"vpncheck/probe/wire"
)

// A Sign is what answered a plain HTTP request, and whether that was somebody else than who was asked: the sign-in page of a hotel or
// of a train. Looked is false if no answer came, which is not the same as nobody standing in the way.
type Sign struct {
	Look
	Asked    string `json:"asked"`
	Portal   bool   `json:"portal"`
	Status   int    `json:"status,omitempty"`
	Location string `json:"location,omitempty"` // where it sends the asker, without what the portal would know him by
	// Genuine says that the server itself answered: its page bears its signature on our challenge.
	Genuine bool `json:"genuine,omitempty"`
}

const (
	portalTimeout = 3 * time.Second
	maxPortalBody = 64 << 10
)

// Portal asks a page whose body is known, want, or, if want is empty, a host that serves no pages at all: there a page or a redirection
// to elsewhere was made by somebody else. An answer that follows another's web server on the same host is for the caller to weigh.
func Portal(ctx context.Context, page, want string) Sign {
	s, a := visit(ctx, page)
	if s.Looked {
		s.Portal = a.portal(s.Status, want)
	}
	return s
}

// ServerPage asks the page of a vpncheck server to sign a challenge, and says whether the server that has the pin answered itself. A server
// without such a page, an older one say, is asked as by Portal.
func ServerPage(ctx context.Context, host string, pin [20]byte) Sign {
	challenge := make([]byte, wire.PageChallenge)
	rand.Read(challenge) // never fails
	page := url.URL{Scheme: "http", Host: host, Path: "/", RawQuery: wire.PageQuery + "=" + hex.EncodeToString(challenge)}
	s, a := visit(ctx, page.String())
	if !s.Looked {
		return s
	}
	proof, err := wire.ParsePageProof(a.body)
	s.Genuine = err == nil && proof.Check(pin, s.Status, challenge) == nil
	s.Portal = !s.Genuine && a.portal(s.Status, "")
	return s
}

// An answer is what came with a status.
type answer struct {
	body        []byte
	contentType string
	elsewhere   bool // it sends the asker to another host
}

// visit asks for a page, and follows it nowhere.
func visit(ctx context.Context, page string) (s Sign, a answer) {
	s = Sign{Asked: bare(page)}
	ctx, cancel := context.WithTimeout(ctx, portalTimeout)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, page, nil)
	if err != nil {
		s.Look = blind("asking for a page: %s", reason(err))
		return s, a
	}
	req.Header.Set("User-Agent", "vpncheck")
	req.Header.Set("Cache-Control", "no-cache")
	client := &http.Client{
		Transport:     &http.Transport{DisableKeepAlives: true, MaxResponseHeaderBytes: maxPortalBody}, // no Proxy: whatever stands in the way is to be met
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
	resp, err := client.Do(req)
	if err != nil {
		s.Look = blind("no answer: %s", reason(err))
		return s, a
	}
	defer resp.Body.Close()
	a.body, _ = io.ReadAll(io.LimitReader(resp.Body, maxPortalBody)) // as much as came is enough to tell
	a.contentType = resp.Header.Get("Content-Type")
	s.Look, s.Status = looked, resp.StatusCode
	if to, err := resp.Location(); err == nil {
		s.Location = bare(to.String())
		a.elsewhere = !strings.EqualFold(to.Hostname(), req.URL.Hostname())
	}
	return s, a
}

// portal says whether this is somebody else's page, where want was asked for, or none.
func (a answer) portal(status int, want string) bool {
	switch {
	case status == http.StatusNetworkAuthenticationRequired: // RFC 6585
		return true
	case status >= 300 && status < 400:
		return a.elsewhere
	case status == http.StatusOK && want != "":
		return strings.TrimSpace(string(a.body)) != want
	case status == http.StatusOK:
		return isHTML(a.contentType, a.body)
	}
	return false
}

func isHTML(contentType string, body []byte) bool {
	return strings.HasPrefix(strings.ToLower(contentType), "text/html") || strings.HasPrefix(http.DetectContentType(body), "text/html")
}

// bare is a URL down to its path, fit for a report and a terminal: what follows often names the laptop to the portal.
func bare(raw string) string {
	u, err := url.Parse(raw)
	if err != nil {
		return ""
	}
	return printable((&url.URL{Scheme: u.Scheme, Host: u.Host, Path: u.Path}).String(), 200)
}

// reason is an HTTP client's error in words, without the URL, which the reader knows.
func reason(err error) string {
	var u *url.Error
	var d *net.DNSError
	var op *net.OpError
	var call *os.SyscallError
	var late interface{ Timeout() bool }
	switch {
	case errors.Is(err, context.Canceled):
		return "it was no longer waited for"
	case errors.As(err, &d):
		return printable("the name "+d.Name+" could not be looked up: "+lookupReason(d), 200)
	case errors.As(err, &late) && late.Timeout():
		return "the time was over"
	case errors.As(err, &call):
		return printable(call.Err.Error(), 200)
	case errors.As(err, &op):
		return printable(op.Err.Error(), 200)
	case errors.As(err, &u):
		return printable(u.Err.Error(), 200)
	}
	return printable(err.Error(), 200)
}
