package witness

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"os"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/huin/goupnp/ssdp"
	"golang.org/x/net/ipv4"
)

// The search for the router: SSDP (UPnP Device Architecture 1.1, section 1.3).

var ssdpGroup = netip.AddrPortFrom(netip.AddrFrom4([4]byte{239, 255, 255, 250}), 1900)

// searches are asked side by side. One gateway in seven answers only to its own kind, hardly one only to "anybody" (PAM 2012). The later
// version first: a router that has both describes more in it.
var searches = []string{
	"urn:schemas-upnp-org:device:InternetGatewayDevice:2",
	"urn:schemas-upnp-org:device:InternetGatewayDevice:1",
}

const (
	searchAgain = 300 * time.Millisecond
	maxAnswers  = 32  // kept of one search
	maxHeard    = 512 // packets read in one search
	maxPages    = 3   // descriptions of the gateway that are read
)

// found is what the searches brought.
type found struct {
	gateways  int        // how many devices answered
	pages     []*url.URL // the gateway's own descriptions
	server    string     // the software of the gateway
	elsewhere string     // where the gateway says its description is, if that is not the gateway
}

// discover searches for internet gateways. It takes two seconds at most.
func (a *routerAsker) discover(ctx context.Context) (found, error) {
	ctx, cancel := context.WithTimeout(ctx, 2*time.Second) // of which the MX of one second is made
	defer cancel()
	answers, errs := make([][]*http.Response, len(searches)), make([]error, len(searches))
	var all sync.WaitGroup
	var met atomic.Bool
	for i, target := range searches {
		all.Go(func() { answers[i], errs[i] = a.searchFor(ctx, target, &met) })
	}
	all.Wait()
	if errs[0] != nil && errs[1] != nil {
		return found{}, errs[0]
	}
	return a.sort(slices.Concat(answers...)), nil
}

func (a *routerAsker) searchFor(ctx context.Context, target string, met *atomic.Bool) ([]*http.Response, error) {
	conn, err := net.ListenUDP("udp4", net.UDPAddrFromAddrPort(netip.AddrPortFrom(a.local, 0)))
	if err != nil {
		return nil, err
	}
	defer conn.Close()
	out := ipv4.NewPacketConn(conn)
	if i := interfaceOf(a.local); i != nil {
		out.SetMulticastInterface(i) // without it some systems choose by themselves, and may choose another network
	}
	out.SetMulticastTTL(2)
	return ssdp.RawSearch(ctx, &searcher{a.waits, conn, a.gateway, a.to, met}, target, 2)
}

func interfaceOf(own netip.Addr) *net.Interface {
	all, _ := net.Interfaces()
	for i := range all {
		addrs, _ := all[i].Addrs()
		for _, addr := range addrs {
			if p, ok := prefix(addr); ok && p.Addr() == own {
				return &all[i]
			}
		}
	}
	return nil
}

// sort tells the gateway's own answers from those of others.
func (a *routerAsker) sort(answers []*http.Response) found {
	var f found
	devices := map[string]bool{}
	for _, resp := range answers {
		from := resp.Header.Get(fromHeader)
		devices[from] = true
		if from != a.gateway.String() {
			continue
		}
		page, err := resp.Location()
		if err != nil {
			continue
		}
		if !a.owns(page) {
			f.elsewhere = printable(page.Host, maxText)
			continue
		}
		if f.server == "" {
			f.server = resp.Header.Get("Server")
		}
		known := slices.ContainsFunc(f.pages, func(u *url.URL) bool { return u.String() == page.String() })
		if !known && len(f.pages) < maxPages {
			f.pages = append(f.pages, page)
		}
	}
	f.gateways = len(devices)
	return f
}

var errElsewhere = errors.New("it is not at the gateway's address")

// owns says whether a page is the gateway's own: by its address, as a name could be anybody's.
func (a *routerAsker) owns(u *url.URL) bool {
	host, err := netip.ParseAddr(u.Hostname())
	return err == nil && host == a.gateway && u.Scheme == "http" && u.User == nil
}

// A searcher sends a search and hears the answers. goupnp's own keeps all that comes, and prints what it cannot read.
type searcher struct {
	waits
	conn    *net.UDPConn
	gateway netip.Addr
	to      []netip.AddrPort
	found   *atomic.Bool // the gateway has answered this search, or the other
}

const fromHeader = "Vpncheck-From" // of an answer: who sent it

// DoWithContext is what [ssdp.RawSearch] calls.
func (s *searcher) DoWithContext(req *http.Request, sends int) ([]*http.Response, error) {
	msg, err := searchMessage(req)
	if err != nil {
		return nil, err
	}
	ctx := req.Context()
	defer context.AfterFunc(ctx, func() { s.conn.SetReadDeadline(time.Unix(1, 0)) })()
	began := time.Now()
	again := began
	var out []*http.Response
	buf := make([]byte, 4<<10)
	for heard := 0; heard < maxHeard && !s.over(began); {
		if sends > 0 && !time.Now().Before(again) {
			if err := s.send(msg); err != nil {
				return nil, err
			}
			sends, again = sends-1, time.Now().Add(searchAgain)
		}
		s.conn.SetReadDeadline(s.wake(began, again, sends))
		if ctx.Err() != nil {
			break // its own deadline may have been overwritten just now
		}
		n, from, err := s.conn.ReadFromUDPAddrPort(buf)
		if err != nil {
			if !errors.Is(err, os.ErrDeadlineExceeded) {
				heard++ // an ICMP error
			}
			continue
		}
		heard++
		resp, err := parseAnswer(buf[:n], req)
		own := from.Addr().Unmap() == s.gateway
		if err != nil || len(out) >= maxAnswers && !own {
			continue
		}
		resp.Header.Set(fromHeader, from.Addr().Unmap().String())
		out = append(out, resp)
		if own {
			sends = 0
			s.found.Store(true)
		}
	}
	return out, nil
}

// over says whether there is nothing more to wait for.
func (s *searcher) over(began time.Time) bool {
	took := time.Since(began)
	return took >= s.search || took >= s.met && s.found.Load()
}

// wake is when to stop listening for a moment, to see whether the search is over or must be repeated.
func (s *searcher) wake(began, again time.Time, sends int) time.Time {
	at := began.Add(s.met)
	if !time.Now().Before(at) {
		at = began.Add(s.search)
	}
	if sends > 0 && again.Before(at) {
		return again
	}
	return at
}

// send asks everybody. It fails only if nobody could be asked.
func (s *searcher) send(msg []byte) error {
	var errs []error
	for _, to := range s.to {
		if _, err := s.conn.WriteToUDPAddrPort(msg, to); err != nil {
			errs = append(errs, err)
		}
	}
	if len(errs) == len(s.to) {
		return errors.Join(errs...)
	}
	return nil
}

// searchMessage is the request as it is sent: [http.Request.Write] adds headers that confuse some devices.
func searchMessage(req *http.Request) ([]byte, error) {
	var b bytes.Buffer
	fmt.Fprintf(&b, "%s %s HTTP/1.1\r\n", req.Method, req.URL.RequestURI())
	if err := req.Header.Write(&b); err != nil {
		return nil, err
	}
	b.WriteString("\r\n")
	return b.Bytes(), nil
}

// parseAnswer reads one answer to a search.
func parseAnswer(b []byte, req *http.Request) (*http.Response, error) {
	resp, err := http.ReadResponse(bufio.NewReader(bytes.NewReader(bytes.Clone(b))), req)
	if err != nil {
		return nil, err
	}
	resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("a search was answered with status %d", resp.StatusCode)
	}
	return resp, nil
}
