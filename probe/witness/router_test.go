package witness

import (
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"net/url"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
)

// A fakeIGD is a router on the loopback interface, good unless a test says otherwise. It remembers what it was asked.
type fakeIGD struct {
	t        *testing.T
	page     string // its description; %s is where it is
	location string // of the description; empty is the right one
	from     string // the address that answers searches
	server   string
	soap     map[string]string // what it says to an action, perhaps at one path only: the inside of the response
	fail     map[string]int    // the actions that it refuses, with the error
	get      http.HandlerFunc  // instead of the description
	post     http.HandlerFunc  // instead of SOAP
	natpmp   []byte            // its answer; nil: nobody is at the port

	http *httptest.Server
	ssdp *net.UDPConn

	mu        sync.Mutex
	actions   []string
	targets   []string
	searchers []netip.AddrPort
}

// askers are where searches came from.
func (f *fakeIGD) askers() []netip.AddrPort {
	f.mu.Lock()
	defer f.mu.Unlock()
	return slices.Clone(f.searchers)
}

const goodPage = `<?xml version="1.0"?>
<root xmlns="urn:schemas-upnp-org:device-1-0"><specVersion><major>1</major><minor>0</minor></specVersion>
<device><deviceType>urn:schemas-upnp-org:device:InternetGatewayDevice:1</deviceType>
<friendlyName>My Router</friendlyName><manufacturer>Example</manufacturer><modelName>Box</modelName><modelNumber>7</modelNumber>
<deviceList><device><deviceType>urn:schemas-upnp-org:device:WANDevice:1</deviceType>
<serviceList><service><serviceType>urn:schemas-upnp-org:service:WANCommonInterfaceConfig:1</serviceType><controlURL>/common</controlURL></service></serviceList>
<deviceList><device><deviceType>urn:schemas-upnp-org:device:WANConnectionDevice:1</deviceType>
<serviceList><service><serviceType>urn:schemas-upnp-org:service:WANIPConnection:1</serviceType><controlURL>/ip</controlURL></service></serviceList>
</device></deviceList></device></deviceList></device></root>`

var goodSOAP = map[string]string{
	"GetExternalIPAddress":    "<NewExternalIPAddress>203.0.113.2</NewExternalIPAddress>",
	"GetStatusInfo":           "<NewConnectionStatus>Connected</NewConnectionStatus><NewUptime>3600</NewUptime>",
	"GetTotalPacketsSent":     "<NewTotalPacketsSent>1000</NewTotalPacketsSent>",
	"GetTotalPacketsReceived": "<NewTotalPacketsReceived>2000</NewTotalPacketsReceived>",
}

var goodRouter = Router{
	Look: looked, Address: netip.MustParseAddr("127.0.0.1"), Gateways: 1, Maker: "Example", Model: "Box", Number: "7", Name: "My Router",
	Firmware: "Test/1.0 UPnP/1.1", WAN: netip.MustParseAddr("203.0.113.2"), WANBy: "upnp", Uptime: time.Hour, Counts: true,
}

// start brings it up, and returns what asks it.
func (f *fakeIGD) start(t *testing.T) *routerAsker {
	f.t = t
	f.http = httptest.NewServer(http.HandlerFunc(f.serve))
	t.Cleanup(f.http.Close)
	t.Cleanup(f.http.CloseClientConnections) // else Close waits for what never ends
	f.ssdp = listen(t, "127.0.0.1")
	answerer := f.ssdp
	if f.from != "" {
		answerer = listen(t, f.from)
	}
	go f.answerSearches(answerer)
	a := NewRouterAsker(netip.MustParseAddr("127.0.0.1"), netip.MustParseAddr("127.0.0.1")).(*routerAsker)
	a.to = []netip.AddrPort{f.ssdp.LocalAddr().(*net.UDPAddr).AddrPort()}
	a.waits = waits{search: 400 * time.Millisecond, met: 200 * time.Millisecond, page: 400 * time.Millisecond, forwards: 600 * time.Millisecond, whole: 1500 * time.Millisecond}
	port := listen(t, "127.0.0.1")
	a.natpmp = port.LocalAddr().(*net.UDPAddr).AddrPort()
	if f.natpmp == nil {
		port.Close()
	} else {
		go f.answerNATPMP(port)
	}
	return a
}

func listen(t *testing.T, at string) *net.UDPConn {
	t.Helper()
	c, err := net.ListenUDP("udp4", &net.UDPAddr{IP: net.ParseIP(at)})
	if err != nil && runtime.GOOS != "linux" {
		t.Skip(err) // most systems have no 127.0.0.2
	}
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	return c
}

func (f *fakeIGD) answerSearches(answerer *net.UDPConn) {
	buf := make([]byte, 2048)
	for {
		n, from, err := f.ssdp.ReadFromUDPAddrPort(buf)
		if err != nil {
			return
		}
		_, target, _ := strings.Cut(string(buf[:n]), "\r\nST: ")
		target, _, _ = strings.Cut(target, "\r\n")
		f.mu.Lock()
		f.targets, f.searchers = append(f.targets, target), append(f.searchers, from)
		f.mu.Unlock()
		location := f.location
		if location == "" {
			location = f.http.URL + "/page.xml"
		}
		server := f.server
		if server == "" {
			server = "Test/1.0 UPnP/1.1"
		}
		fmt.Fprintf(writerTo{answerer, from}, "HTTP/1.1 200 OK\r\nST: %s\r\nUSN: uuid:1::%s\r\nLOCATION: %s\r\nSERVER: %s\r\n\r\n",
			target, target, location, server)
	}
}

type writerTo struct {
	c  *net.UDPConn
	to netip.AddrPort
}

func (w writerTo) Write(b []byte) (int, error) { return w.c.WriteToUDPAddrPort(b, w.to) }

func (f *fakeIGD) answerNATPMP(c *net.UDPConn) {
	buf := make([]byte, 64)
	for {
		n, from, err := c.ReadFromUDPAddrPort(buf)
		if err != nil {
			return
		}
		if n != 2 || buf[0] != 0 || buf[1] != 0 {
			f.t.Errorf("NAT-PMP was asked %x, want the outer address only, 0000", buf[:n])
		}
		c.WriteToUDPAddrPort(f.natpmp, from)
	}
}

func (f *fakeIGD) serve(w http.ResponseWriter, r *http.Request) {
	if r.Method == http.MethodGet {
		if f.get != nil {
			f.get(w, r)
			return
		}
		page := f.page
		if page == "" {
			page = goodPage
		}
		io.WriteString(w, strings.ReplaceAll(page, "%s", f.http.URL))
		return
	}
	_, action, _ := strings.Cut(strings.Trim(r.Header.Get("SOAPACTION"), `"`), "#")
	f.mu.Lock()
	f.actions = append(f.actions, action)
	f.mu.Unlock()
	if f.post != nil {
		f.post(w, r)
		return
	}
	body, ok := f.soap[r.URL.Path+" "+action]
	if !ok {
		body, ok = f.soap[action]
	}
	if !ok {
		body, ok = goodSOAP[action]
	}
	code := max(f.fail[action], f.fail[r.URL.Path+" "+action])
	if !ok && code == 0 {
		code = 713
	}
	if code != 0 {
		w.WriteHeader(500)
		body = fmt.Sprintf("<s:Fault><faultcode>s:Client</faultcode><faultstring>UPnPError</faultstring><detail><UPnPError><errorCode>%d</errorCode></UPnPError></detail></s:Fault>", code)
	} else {
		body = fmt.Sprintf("<u:%sResponse>%s</u:%[1]sResponse>", action, body)
	}
	io.WriteString(w, envelope(body))
}

// wan is a device with a line on an interface, each line a kind of connection and where to ask it.
func wan(common string, lines ...string) string {
	var all strings.Builder
	for i := 0; i < len(lines); i += 2 {
		fmt.Fprintf(&all, "<service><serviceType>urn:schemas-upnp-org:service:%s</serviceType><controlURL>%s</controlURL></service>", lines[i], lines[i+1])
	}
	return "<device><serviceList><service><serviceType>urn:schemas-upnp-org:service:WANCommonInterfaceConfig:1</serviceType><controlURL>" + common +
		"</controlURL></service></serviceList><deviceList><device><serviceList>" + all.String() + "</serviceList></device></deviceList></device>"
}

// withWANs is the good page with other devices inside.
func withWANs(wans ...string) string {
	before, _, _ := strings.Cut(goodPage, "<deviceList>")
	return before + "<deviceList>" + strings.Join(wans, "") + "</deviceList></device></root>"
}

func envelope(body string) string {
	return `<?xml version="1.0"?><s:Envelope xmlns:s="http://schemas.xmlsoap.org/soap/envelope/" xmlns:u="x" s:encodingStyle="http://schemas.xmlsoap.org/soap/encoding/"><s:Body>` +
		body + `</s:Body></s:Envelope>`
}

var sameAddr = cmpopts.EquateComparable(netip.Addr{})

func TestRouter(t *testing.T) {
	with := func(f func(*Router)) Router { r := goodRouter; f(&r); return r }
	natpmp := []byte{0, 128, 0, 0, 0, 0, 0, 9, 100, 64, 0, 2}
	tests := []struct {
		name string
		igd  *fakeIGD
		want Router
	}{
		{"good", &fakeIGD{}, goodRouter},
		{"natpmp-too", &fakeIGD{natpmp: natpmp}, goodRouter}, // UPnP knows it better
		{"not-connected", &fakeIGD{natpmp: natpmp, soap: map[string]string{"GetExternalIPAddress": "<NewExternalIPAddress>0.0.0.0</NewExternalIPAddress>"}},
			with(func(r *Router) { r.WAN, r.WANBy = netip.MustParseAddr("100.64.0.2"), "nat-pmp" })},
		{"no-counters", &fakeIGD{fail: map[string]int{"GetTotalPacketsReceived": 401}},
			with(func(r *Router) { r.Counts, r.CountsWhy = false, "the router's counters: it does not tell them" })},
		{"counters-not-numbers", &fakeIGD{soap: map[string]string{"GetTotalPacketsSent": "<NewTotalPacketsSent>\x1b]many</NewTotalPacketsSent>"}},
			with(func(r *Router) { r.Counts, r.CountsWhy = false, "the router's counters: its answer cannot be read" })},
		{"counters-words", &fakeIGD{soap: map[string]string{"GetTotalPacketsSent": "<NewTotalPacketsSent>many</NewTotalPacketsSent>"}},
			with(func(r *Router) { r.Counts, r.CountsWhy = false, `the router's counters: "many" is not a number` })},
		{"forwards-refused", &fakeIGD{fail: map[string]int{"GetGenericPortMappingEntry": 606}},
			with(func(r *Router) { r.ForwardsWhy = "the router's forwards: it may not tell them" })},
		{"ppp", &fakeIGD{page: strings.Replace(goodPage, "WANIPConnection:1", "WANPPPConnection:1", 1)}, goodRouter},
		{"version-2", &fakeIGD{page: strings.Replace(goodPage, "WANIPConnection:1", "WANIPConnection:2", 1)}, goodRouter},
		{"latin-1", &fakeIGD{page: strings.Replace(strings.Replace(goodPage, "?>", ` encoding="ISO-8859-1"?>`, 1), "My", "M\xfcy", 1)}, goodRouter},
		{"order", &fakeIGD{page: withWANs(wan("/common", "WANPPPConnection:1", "/ppp", "WANIPConnection:1", "/ip1", "WANIPConnection:2", "/ip2")), soap: map[string]string{
			"/ppp GetExternalIPAddress": "<NewExternalIPAddress>192.0.2.1</NewExternalIPAddress>", "/ip1 GetExternalIPAddress": "<NewExternalIPAddress>192.0.2.2</NewExternalIPAddress>"}},
			goodRouter},
		{"second-line-is-up", &fakeIGD{page: withWANs(wan("/dsl", "WANIPConnection:1", "/a"), wan("/fibre", "WANIPConnection:1", "/b")), fail: map[string]int{"/dsl GetTotalPacketsSent": 501},
			soap: map[string]string{"/a GetExternalIPAddress": "<NewExternalIPAddress></NewExternalIPAddress>", "/a GetStatusInfo": "<NewUptime>1</NewUptime>"}}, goodRouter},
		{"first-line-is-up", &fakeIGD{page: withWANs(wan("/dsl", "WANIPConnection:1", "/a"), wan("/fibre", "WANIPConnection:1", "/b")), fail: map[string]int{"/dsl GetTotalPacketsSent": 501}},
			with(func(r *Router) { r.Counts, r.CountsWhy = false, "the router's counters: it answers with error 501" })},
		{"no-connection", &fakeIGD{page: strings.Replace(goodPage, "WANIPConnection:1", "Layer3Forwarding:1", 1)}, with(func(r *Router) {
			*r = Router{Look: looked, Address: r.Address, Gateways: 1, Maker: r.Maker, Model: r.Model, Number: r.Number, Name: r.Name, Firmware: r.Firmware,
				ForwardsWhy: "it describes no connection to the outside", CountsWhy: "it describes no connection to the outside"}
		})},
		{"escapes", &fakeIGD{server: "Test\u202e/1.0 \u009bUPnP/1.1", page: strings.NewReplacer("My Router", "My &#x202e;&#x9b;Router", "<modelNumber>7", "<modelNumber>&#10;7").Replace(goodPage)},
			with(func(r *Router) { r.Firmware = "Test/1.0 UPnP/1.1" })},
		{"long-names", &fakeIGD{page: strings.Replace(goodPage, "My Router", strings.Repeat("a", 1000), 1)},
			with(func(r *Router) { r.Name = strings.Repeat("a", maxText) })},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			got := tt.igd.start(t).Router(t.Context())
			if diff := cmp.Diff(tt.want, got, sameAddr); diff != "" {
				t.Error(diff)
			}
			tt.igd.mu.Lock()
			targets := slices.Clone(tt.igd.targets)
			tt.igd.mu.Unlock()
			for _, target := range searches {
				if !slices.Contains(targets, target) {
					t.Errorf("it was not searched for as %s, but as %q", target, targets)
				}
			}
		})
	}
}

// Whatever a device says, nobody but the gateway is asked, the answer comes in time and is bounded, and says why there is no more.
func TestRouterHostile(t *testing.T) {
	redirect := func(evil string) http.HandlerFunc {
		return func(w http.ResponseWriter, r *http.Request) { http.Redirect(w, r, evil, http.StatusFound) }
	}
	endless := func(what string) http.HandlerFunc {
		return func(w http.ResponseWriter, _ *http.Request) {
			for {
				if _, err := io.WriteString(w, strings.Repeat(what, 100)); err != nil {
					return
				}
			}
		}
	}
	slow := func(w http.ResponseWriter, r *http.Request) {
		for {
			io.WriteString(w, "<")
			w.(http.Flusher).Flush()
			select {
			case <-r.Context().Done():
				return
			case <-time.After(50 * time.Millisecond):
			}
		}
	}
	says := func(page string) func(string) *fakeIGD {
		return func(string) *fakeIGD { return &fakeIGD{page: page} }
	}
	control := func(f string) func(string) *fakeIGD { // %e is the other host
		return func(evil string) *fakeIGD {
			return &fakeIGD{page: strings.NewReplacer("/common", strings.ReplaceAll(f, "%e", evil), "/ip", strings.ReplaceAll(f, "%e", evil)).Replace(goodPage)}
		}
	}
	const elsewhere = "where to ask it: it is not at the gateway's address"
	tests := []struct {
		name string
		igd  func(evil string) *fakeIGD
		why  string // the beginning of Why, or of CountsWhy where the rest is known
	}{
		{"location-elsewhere", func(evil string) *fakeIGD { return &fakeIGD{location: evil} }, "the router says that its description is at 127.0.0.2"},
		{"location-by-name", func(evil string) *fakeIGD { return &fakeIGD{location: "http://localhost/"} }, "the router says that its description is at localhost"},
		{"location-file", func(evil string) *fakeIGD { return &fakeIGD{location: "file://127.0.0.1/etc/passwd"} }, "the router says that its description is at"},
		{"location-user", func(evil string) *fakeIGD { return &fakeIGD{location: "http://u:p@127.0.0.1/"} }, "the router says that its description is at"},
		{"another-host-answers", func(evil string) *fakeIGD { return &fakeIGD{from: "127.0.0.2"} }, "a device answers as an internet gateway, but not"},
		{"redirected", func(evil string) *fakeIGD { return &fakeIGD{get: redirect(evil)} }, "the router answers UPnP, but is of no help: its description: HTTP status 302"},
		{"huge", func(string) *fakeIGD { return &fakeIGD{get: endless("<root>")} }, "the router answers UPnP, but is of no help: its description: it is far too long"},
		{"huge-header", func(string) *fakeIGD {
			return &fakeIGD{get: func(w http.ResponseWriter, r *http.Request) { w.Header().Set("A", strings.Repeat("a", 1<<20)) }}
		}, "the router answers UPnP, but is of no help: its description: "},
		{"slow", func(string) *fakeIGD { return &fakeIGD{get: slow} }, "the router answers UPnP, but is of no help: its description: the time was over"},
		{"no-xml", says("hello"), "the router answers UPnP, but is of no help: its description: it is not what it should be"},
		{"cut", says(goodPage[:400]), "the router answers UPnP, but is of no help: its description: it is not what it should be"},
		{"many-services", says(strings.Replace(goodPage, "<serviceList>", "<serviceList>"+strings.Repeat("<service/>", 50000), 1)), "the router answers UPnP, but is of no help: its description: it is far too long"},
		{"deep", says(strings.Replace(goodPage, "<deviceList>", strings.Repeat("<deviceList><device>", 500), 1)), "the router answers UPnP, but is of no help: its description: it is far too long"},
		{"control-elsewhere", control("%e/x"), elsewhere},
		{"control-without-scheme", func(evil string) *fakeIGD { return control(strings.TrimPrefix(evil, "http:"))(evil) }, elsewhere},
		{"base-elsewhere", func(evil string) *fakeIGD {
			return &fakeIGD{page: strings.Replace(goodPage, "<device>", "<URLBase>"+evil+"</URLBase><device>", 1)}
		}, elsewhere},
		{"soap-redirected", func(evil string) *fakeIGD { return &fakeIGD{post: redirect(evil)} }, "the router's counters: its answer cannot be read"},
		{"soap-huge", func(string) *fakeIGD { return &fakeIGD{post: endless("<a>")} }, "the router's counters: its answer cannot be read"},
		{"soap-slow", func(string) *fakeIGD { return &fakeIGD{post: slow} }, "the router's counters: it"},
		{"soap-silent", func(string) *fakeIGD {
			return &fakeIGD{post: func(_ http.ResponseWriter, r *http.Request) { io.Copy(io.Discard, r.Body); <-r.Context().Done() }}
		}, "the router's counters: it does not answer"},
		{"soap-silent-lines", func(string) *fakeIGD {
			var lines []string
			for range 20 {
				lines = append(lines, "WANIPConnection:1", "/ip")
			}
			return &fakeIGD{page: withWANs(wan("/common", lines...)), post: func(_ http.ResponseWriter, r *http.Request) { io.Copy(io.Discard, r.Body); <-r.Context().Done() }}
		}, "the router's counters: it does not answer"},
		{"soap-other-answer", func(string) *fakeIGD {
			return &fakeIGD{post: func(w http.ResponseWriter, r *http.Request) { io.WriteString(w, envelope("<u:x/>")) }}
		}, `the router's counters: "" is not a number`},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			evil := elsewhereServer(t)
			a := tt.igd(evil).start(t)
			began := time.Now()
			got := a.Router(t.Context())
			most := a.whole + time.Second
			if tt.name == "slow" {
				most = a.search + 2*a.page
			}
			if took := time.Since(began); took > most {
				t.Errorf("it took %v, want %v or less", took, most)
			}
			why := got.Why
			if got.Looked {
				why = got.CountsWhy
			}
			if !strings.HasPrefix(why, tt.why) {
				t.Errorf("got %+v, want %q", got, tt.why)
			}
			if got.Counts || got.WAN.IsValid() || len(got.Forwards) > 0 || got.Gateways != 1 {
				t.Errorf("got %+v, want nothing but why", got)
			}
			if _, err := a.Counters(t.Context()); err == nil {
				t.Error("its counters can be read")
			}
		})
	}
}

// A line on the gateway may have its counters elsewhere: then it has none.
func TestRouterCountersElsewhere(t *testing.T) {
	evil := elsewhereServer(t)
	a := (&fakeIGD{page: strings.Replace(goodPage, "/common", evil, 1)}).start(t)
	got := a.Router(t.Context())
	if got.WAN != goodRouter.WAN || got.Counts || got.CountsWhy != "the router's counters: it has none" {
		t.Errorf("got %+v", got)
	}
}

// Once the gateway has answered, the rest need not be waited for to the end.
func TestRouterMet(t *testing.T) {
	a := (&fakeIGD{}).start(t)
	a.waits.search = time.Minute
	began := time.Now()
	if got := a.Router(t.Context()); got.WAN != goodRouter.WAN || time.Since(began) > a.met+time.Second {
		t.Errorf("got %+v after %v", got, time.Since(began))
	}
}

// elsewhereServer is a host that must never be asked.
func elsewhereServer(t *testing.T) string {
	ln, err := net.Listen("tcp4", "127.0.0.2:0")
	if err != nil {
		t.Skip(err)
	}
	srv := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		t.Errorf("another host was asked: %s %s", r.Method, r.URL)
		io.WriteString(w, goodPage)
	}))
	srv.Listener.Close()
	srv.Listener = ln
	srv.Start()
	t.Cleanup(srv.Close)
	return srv.URL
}

// The last defence: whatever the checks before it let through.
func TestRouterDialsTheGatewayOnly(t *testing.T) {
	a := NewRouterAsker(netip.MustParseAddr("127.0.0.1"), netip.MustParseAddr("127.0.0.1")).(*routerAsker)
	if resp, err := a.client.Get(elsewhereServer(t)); err == nil {
		resp.Body.Close()
		t.Error("another host was asked")
	}
}

func TestRouterSilent(t *testing.T) {
	silent := listen(t, "127.0.0.1")
	a := NewRouterAsker(netip.MustParseAddr("127.0.0.1"), netip.MustParseAddr("127.0.0.1")).(*routerAsker)
	a.to = []netip.AddrPort{silent.LocalAddr().(*net.UDPAddr).AddrPort()}
	a.natpmp = a.to[0]
	began := time.Now()
	got := a.Router(t.Context())
	if took := time.Since(began); took < usual.search || took > usual.search+time.Second {
		t.Errorf("it took %v, want %v", took, usual.search)
	}
	want := Router{Look: blind("the gateway 127.0.0.1 does not answer UPnP"), Address: a.gateway}
	if diff := cmp.Diff(want, got, sameAddr); diff != "" {
		t.Error(diff)
	}
}

func TestRouterOnlyNATPMP(t *testing.T) {
	f := &fakeIGD{location: "http://192.0.2.1/", natpmp: []byte{0, 128, 0, 0, 0, 0, 0, 9, 100, 64, 0, 2}}
	got := f.start(t).Router(t.Context())
	if !got.Looked || got.WAN.String() != "100.64.0.2" || got.WANBy != "nat-pmp" || got.CountsWhy == "" || got.ForwardsWhy == "" || got.Why != "" {
		t.Errorf("got %+v", got)
	}
}

func TestRouterUnknown(t *testing.T) {
	v4, v6 := netip.MustParseAddr("127.0.0.1"), netip.MustParseAddr("::1")
	for _, a := range []RouterAsker{NewRouterAsker(v4, netip.Addr{}), NewRouterAsker(netip.Addr{}, v4), NewRouterAsker(v6, v6)} {
		if got := a.Router(t.Context()); got.Looked || got.Why == "" {
			t.Errorf("got %+v, want why not", got)
		}
		if _, err := a.Counters(t.Context()); err == nil {
			t.Error("there are counters")
		}
	}
	ended, cancel := context.WithCancel(t.Context())
	cancel()
	began := time.Now()
	if got := NewRouterAsker(v4, v4).Router(ended); got.Looked || time.Since(began) > time.Second {
		t.Errorf("got %+v after %v, want nothing at once", got, time.Since(began))
	}
}

func TestRouterForwards(t *testing.T) {
	entry := func(proto, external, to, far, enabled string) string {
		return fmt.Sprintf("<NewRemoteHost>%s</NewRemoteHost><NewExternalPort>%s</NewExternalPort><NewProtocol>%s</NewProtocol><NewInternalPort>%s</NewInternalPort>"+
			"<NewInternalClient>%s</NewInternalClient><NewEnabled>%s</NewEnabled><NewPortMappingDescription>NAS\x1b[2J &#x202e;VPN</NewPortMappingDescription><NewLeaseDuration>0</NewLeaseDuration>",
			far, external, proto, external, to, enabled)
	}
	table := []string{
		entry("UDP", "500", "192.168.1.50", "", "1"),
		entry("tcp", "1723", "192.168.1.51", "", "true"),
		entry("TCP", "500", "192.168.1.50", "", "1"),              // no VPN's
		entry("UDP", "4500", "192.168.1.50", "", "0"),             // off
		entry("UDP", "1701", "192.168.1.50", "198.51.100.9", "1"), // for one far end
		entry("UDP", "many", "192.168.1.50", "", "1"),
		entry("UDP", "70000", "192.168.1.50", "", "1"),
		entry("ESP", "0", "192.168.1.50", "", "1"),
		entry("UDP", "0", "not an address", "0.0.0.0", "1"), // all ports
	}
	for i, e := range table {
		table[i] = strings.ReplaceAll(e, "\x1b", "") // no XML could carry it
	}
	f := &fakeIGD{}
	f.post = tableOf(f, func(i int) string {
		if i < len(table) {
			return table[i]
		}
		return ""
	})
	got := f.start(t).Router(t.Context())
	want := []Forward{
		{"UDP", 500, 500, netip.MustParseAddr("192.168.1.50"), "NAS[2J VPN"},
		{"TCP", 1723, 1723, netip.MustParseAddr("192.168.1.51"), "NAS[2J VPN"},
		{"UDP", 0, 0, netip.Addr{}, "NAS[2J VPN"},
	}
	if diff := cmp.Diff(want, got.Forwards, sameAddr); diff != "" || got.ForwardsWhy != "" {
		t.Error(diff, got.ForwardsWhy)
	}
}

// tableOf answers for the table of forwards, as f does for the rest.
func tableOf(f *fakeIGD, entry func(i int) string) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		b, _ := io.ReadAll(io.LimitReader(r.Body, 4096))
		_, index, ok := strings.Cut(string(b), "<NewPortMappingIndex>")
		if !ok {
			(&fakeIGD{soap: f.soap, fail: f.fail}).serve(w, r)
			return
		}
		index, _, _ = strings.Cut(index, "<")
		i, _ := strconv.Atoi(index)
		if e := entry(i); e != "" {
			io.WriteString(w, envelope("<u:R>"+e+"</u:R>"))
			return
		}
		(&fakeIGD{fail: map[string]int{"GetGenericPortMappingEntry": 713}}).serve(w, r)
	}
}

func TestRouterEndlessForwards(t *testing.T) {
	const one = "<NewExternalPort>500</NewExternalPort><NewProtocol>UDP</NewProtocol><NewInternalClient>192.168.1.50</NewInternalClient>"
	t.Run("fast", func(t *testing.T) {
		t.Parallel()
		f := &fakeIGD{}
		f.post = tableOf(f, func(int) string { return one })
		a := f.start(t)
		a.waits.forwards, a.waits.whole = 20*time.Second, 30*time.Second // only the number is to end it
		got := a.Router(t.Context())
		if len(got.Forwards) != maxForwards || got.ForwardsWhy != "only the router's first 64 forwards were read" || !got.Counts {
			t.Errorf("got %d forwards, %q", len(got.Forwards), got.ForwardsWhy)
		}
	})
	t.Run("slow", func(t *testing.T) {
		t.Parallel()
		f := &fakeIGD{}
		f.post = tableOf(f, func(int) string { time.Sleep(100 * time.Millisecond); return one })
		got := f.start(t).Router(t.Context())
		if n := len(got.Forwards); n < 2 || n > 8 || !strings.HasPrefix(got.ForwardsWhy, "the time was over after ") {
			t.Errorf("got %d forwards, %q", n, got.ForwardsWhy)
		}
	})
}

// Counters that stand still are told as they are: what follows is for others to say.
func TestRouterCounters(t *testing.T) {
	for _, tt := range []struct {
		says string
		want uint32
	}{{"1000", 1000}, {"0", 0}, {" 7\n", 7}, {"4294967295", 1<<32 - 1}, {"-1", 1<<32 - 1}, {"4294967297", 1}, {"-2147483648", 1 << 31}} {
		got, err := counter(tt.says)
		if err != nil || got != tt.want {
			t.Errorf("%q is %d, %v, want %d", tt.says, got, err, tt.want)
		}
	}
	for _, says := range []string{"", "x", "-2147483649", "1e3", "99999999999999999999999"} {
		if n, err := counter(says); err == nil {
			t.Errorf("%q is %d, want an error", says, n)
		}
	}
	a := (&fakeIGD{}).start(t)
	if _, err := a.Counters(t.Context()); err == nil {
		t.Error("counters were read before the router was asked")
	}
	a.Router(t.Context())
	for range 2 {
		got, err := a.Counters(t.Context())
		if err != nil || got.Sent != 1000 || got.Received != 2000 || time.Since(got.At) > time.Minute {
			t.Errorf("got %+v, %v", got, err)
		}
	}
}

// Only questions are ever asked.
func TestRouterIsOnlyRead(t *testing.T) {
	f := &fakeIGD{soap: map[string]string{}, natpmp: []byte{1}}
	a := f.start(t)
	a.Router(t.Context())
	a.Counters(t.Context())
	if len(f.actions) < 6 {
		t.Errorf("only %q was asked", f.actions)
	}
	for _, action := range f.actions {
		if !strings.HasPrefix(action, "Get") {
			t.Errorf("the router was told to %s", action)
		}
	}
	root, err := parseDescription([]byte(goodPage), mustURL(f.http.URL))
	if err != nil {
		t.Fatal(err)
	}
	lines, err := a.lines(root)
	if err != nil {
		t.Fatal(err)
	}
	asked := len(f.actions)
	if err := a.call(t.Context(), lines[0].connection, "Reboot", nil, nil); err == nil || len(f.actions) != asked {
		t.Errorf("a router was told to do something: %v", err)
	}
}

func mustURL(s string) *url.URL {
	u, err := url.Parse(s)
	if err != nil {
		panic(err)
	}
	return u
}

// Who answers: all are counted, once each, and a flood has an end.
func TestRouterCountsGateways(t *testing.T) {
	f := &fakeIGD{}
	a := f.start(t)
	stranger, flood := listen(t, "127.0.0.3"), listen(t, "127.0.0.4")
	go func() {
		end := time.Now().Add(3 * time.Second)
		for time.Now().Before(end) { // once it is known where the searches come from, everybody shouts
			f.mu.Lock()
			n := len(f.targets)
			f.mu.Unlock()
			if n == 0 {
				time.Sleep(time.Millisecond)
				continue
			}
			for _, c := range []*net.UDPConn{stranger, flood} {
				for _, to := range f.askers() {
					fmt.Fprintf(writerTo{c, to}, "HTTP/1.1 200 OK\r\nST: %s\r\nUSN: uuid:%d\r\nLOCATION: http://192.0.2.1/%d\r\n\r\n", searches[0], n, time.Now().UnixNano())
				}
			}
			time.Sleep(5 * time.Millisecond)
		}
	}()
	got := a.Router(t.Context())
	if !got.Looked || got.Gateways != 3 || got.Model != "Box" {
		t.Errorf("got %+v, want this router among 3", got)
	}
}

func TestRouterFlood(t *testing.T) {
	conn, stranger := listen(t, "127.0.0.1"), listen(t, "127.0.0.3")
	to := conn.LocalAddr().(*net.UDPAddr).AddrPort()
	done := make(chan struct{})
	defer close(done)
	go func() {
		for i := 0; ; i++ {
			select {
			case <-done:
				return
			default:
				fmt.Fprintf(writerTo{stranger, to}, "HTTP/1.1 200 OK\r\nST: x\r\nUSN: uuid:%d\r\nLOCATION: http://192.0.2.1/\r\n\r\n", i)
			}
		}
	}()
	s := &searcher{waits{search: time.Minute, met: time.Minute}, conn, netip.MustParseAddr("127.0.0.1"), []netip.AddrPort{stranger.LocalAddr().(*net.UDPAddr).AddrPort()}, new(atomic.Bool)}
	began := time.Now()
	got, err := s.DoWithContext(&http.Request{Method: "M-SEARCH", URL: &url.URL{Opaque: "*"}}, 2)
	if took := time.Since(began); err != nil || len(got) != maxAnswers || took > 20*time.Second {
		t.Errorf("got %d answers, %v after %v, want %d and an end", len(got), err, took, maxAnswers)
	}
}

func TestNATPMP(t *testing.T) {
	good := []byte{0, 128, 0, 0, 0, 0, 0, 9, 203, 0, 113, 2}
	if got, err := parseExternal(good); err != nil || got.String() != "203.0.113.2" {
		t.Errorf("got %v, %v", got, err)
	}
	for i := range len(good) {
		if _, err := parseExternal(good[:i]); err == nil {
			t.Errorf("%d octets are an answer", i)
		}
	}
	for _, bad := range [][]byte{
		{2, 128, 0, 0, 0, 0, 0, 9, 203, 0, 113, 2}, {0, 0, 0, 0, 0, 0, 0, 9, 203, 0, 113, 2}, {0, 129, 0, 0, 0, 0, 0, 9, 203, 0, 113, 2},
		{0, 128, 0, 3, 0, 0, 0, 9, 203, 0, 113, 2}, {0, 128, 0, 0, 0, 0, 0, 9, 0, 0, 0, 0}, {0, 128, 0, 0, 0, 0, 0, 9, 203, 0, 113, 2, 0},
	} {
		if got, err := parseExternal(bad); err == nil {
			t.Errorf("%x is the answer %v", bad, got)
		}
	}
	f := &fakeIGD{natpmp: []byte("nonsense")}
	a := f.start(t)
	began := time.Now()
	if got := a.external(t.Context()); got.IsValid() || time.Since(began) > 2*time.Second {
		t.Errorf("got %v after %v from one who answers nonsense", got, time.Since(began))
	}
}

func FuzzRouter(f *testing.F) {
	f.Add([]byte(goodPage))
	f.Add([]byte("HTTP/1.1 200 OK\r\nST: x\r\nUSN: y\r\nLOCATION: http://127.0.0.1/\r\n\r\n"))
	f.Add([]byte{0, 128, 0, 0, 0, 0, 0, 9, 203, 0, 113, 2})
	f.Add([]byte("-2147483648"))
	a := NewRouterAsker(netip.MustParseAddr("127.0.0.1"), netip.MustParseAddr("127.0.0.1")).(*routerAsker)
	page := mustURL("http://127.0.0.1/x")
	f.Fuzz(func(t *testing.T, b []byte) {
		if wan, err := parseExternal(b); (err == nil) != wan.IsValid() {
			t.Errorf("got %v, %v", wan, err)
		}
		counter(string(b))
		m := mapping{string(b), string(b), string(b), string(b), string(b), string(b), string(b)}
		if fw, ok := m.forward(); ok && (len(fw.Says) > maxText || fw.Proto != "TCP" && fw.Proto != "UDP") {
			t.Errorf("got %+v", fw)
		}
		if resp, err := parseAnswer(b, &http.Request{Method: "M-SEARCH"}); err == nil {
			resp.Header.Set(fromHeader, "127.0.0.1")
			for _, u := range a.sort([]*http.Response{resp}).pages {
				if !a.owns(u) {
					t.Errorf("%v is asked", u)
				}
			}
		}
		root, err := parseDescription(b, page)
		if err != nil {
			return
		}
		var r Router
		introduce(root, &r)
		if !utf8.ValidString(r.Name) || len(r.Name) > maxText {
			t.Errorf("got %q", r.Name)
		}
		lines, _ := a.lines(root)
		for _, l := range lines {
			if !a.owns(&l.connection.ControlURL.URL) || l.common != nil && !a.owns(&l.common.ControlURL.URL) {
				t.Errorf("%v is asked", l)
			}
		}
	})
}
