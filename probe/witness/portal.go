package witness

import (
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"net/url"
	"os"
	"strings"
	"time"
)

// A Sign is what answered a plain HTTP request, and whether that was somebody else than who was asked: the sign-in page of a hotel or
// of a train. Looked is false if no answer came, which is not the same as nobody standing in the way.
type Sign struct {
	Look
	Asked    string `json:"asked"`
	Portal   bool   `json:"portal"`
	Status   int    `json:"status,omitempty"`
	Location string `json:"location,omitempty"` // where it sends the asker, without what the portal would know him by
}

const (
	portalTimeout = 3 * time.Second
	maxPortalBody = 64 << 10
)

// Portal asks a page whose body is known, want, or, if want is empty, a host that serves no pages at all: there a page or a redirection
// to elsewhere was made by somebody else. An answer that follows another's web server on the same host is for the caller to weigh.
func Portal(ctx context.Context, page, want string) Sign {
	s := Sign{Asked: bare(page)}
	ctx, cancel := context.WithTimeout(ctx, portalTimeout)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, page, nil)
	if err != nil {
		s.Look = blind("asking for a page: %s", reason(err))
		return s
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
		return s
	}
	defer resp.Body.Close()
	body, _ := io.ReadAll(io.LimitReader(resp.Body, maxPortalBody)) // as much as came is enough to tell
	s.Look, s.Status = looked, resp.StatusCode
	elsewhere := false
	if to, err := resp.Location(); err == nil {
		s.Location = bare(to.String())
		elsewhere = !strings.EqualFold(to.Hostname(), req.URL.Hostname())
	}
	switch {
	case s.Status == http.StatusNetworkAuthenticationRequired: // RFC 6585
		s.Portal = true
	case s.Status >= 300 && s.Status < 400:
		s.Portal = elsewhere
	case s.Status == http.StatusOK && want != "":
		s.Portal = strings.TrimSpace(string(body)) != want
	case s.Status == http.StatusOK:
		s.Portal = isHTML(resp.Header.Get("Content-Type"), body)
	}
	return s
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
