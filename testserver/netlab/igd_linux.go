package netlab

import (
	"encoding/binary"
	"fmt"
	"html"
	"io"
	"log"
	"net"
	"net/http"
	"net/netip"
	"strconv"
	"strings"
	"time"

	"github.com/vishvananda/netlink"
	"golang.org/x/net/ipv4"
)

// An igdServer is the program on the home router that tells the laptop about the router. It changes nothing, whatever it is told.
type igdServer struct {
	says  IGD
	lab   *Lab
	page  string // where its description is
	began time.Time
	first wanCount // what constant counters show
}

// A wanCount is how many packets went out and came in on the home router's outer side.
type wanCount struct{ sent, received uint64 }

const (
	igdPort  = 5000
	ssdpPort = 1900
	pmpPort  = 5351
)

// announce opens what the home router tells of itself by.
func (l *Lab) announce(says *IGD) error {
	if says == nil {
		return nil
	}
	own := l.Addr(Home)
	s := &igdServer{says: *says, lab: l, page: fmt.Sprintf("http://%s/root.xml", netip.AddrPortFrom(own, igdPort)), began: time.Now()}
	var web net.Listener
	var search, pmp *net.UDPConn
	err := l.Do(Home, func() (err error) {
		if s.first, err = countWAN(); err != nil {
			return err
		}
		if web, err = net.ListenTCP("tcp4", &net.TCPAddr{IP: own.AsSlice(), Port: igdPort}); err != nil {
			return err
		}
		l.keep(web)
		if pmp, err = net.ListenUDP("udp4", &net.UDPAddr{IP: own.AsSlice(), Port: pmpPort}); err != nil {
			return err
		}
		l.keep(pmp)
		search, err = l.listenSSDP()
		return err
	})
	if err != nil {
		return fmt.Errorf("the home router's UPnP: %w", err)
	}
	srv := &http.Server{Handler: http.HandlerFunc(s.serve), ErrorLog: log.New(io.Discard, "", 0)}
	l.keep(srv)
	go srv.Serve(web)
	go s.answerSearches(search)
	if says.NoNATPMP {
		return pmp.Close()
	}
	go s.answerNATPMP(pmp)
	return nil
}

// listenSSDP hears searches that are sent to everybody on the inside, and those for the router alone.
func (l *Lab) listenSSDP() (*net.UDPConn, error) {
	inside, err := net.InterfaceByName("lan0")
	if err != nil {
		return nil, err
	}
	c, err := net.ListenUDP("udp4", &net.UDPAddr{Port: ssdpPort})
	if err != nil {
		return nil, err
	}
	l.keep(c)
	return c, ipv4.NewPacketConn(c).JoinGroup(inside, &net.UDPAddr{IP: net.IPv4(239, 255, 255, 250)})
}

// countWAN reads the counters of the outer interface of the namespace that calls it.
func countWAN() (wanCount, error) {
	wan, err := netlink.LinkByName("wan0")
	if err != nil {
		return wanCount{}, err
	}
	n := wan.Attrs().Statistics
	return wanCount{n.TxPackets, n.RxPackets}, nil
}

func (s *igdServer) version() int { return max(1, s.says.Version) }

func (s *igdServer) urn(what string, version int) string {
	return fmt.Sprintf("urn:schemas-upnp-org:%s:%d", what, version)
}

// answerSearches answers whoever searches for an internet gateway of its version or an older one.
func (s *igdServer) answerSearches(c *net.UDPConn) {
	buf := make([]byte, 2048)
	for {
		n, from, err := c.ReadFromUDPAddrPort(buf)
		if err != nil {
			return
		}
		said := string(buf[:n])
		if !strings.HasPrefix(said, "M-SEARCH ") {
			continue
		}
		for v := 1; v <= s.version(); v++ {
			target := s.urn("device:InternetGatewayDevice", v)
			if !strings.Contains(said, "\r\nST: "+target+"\r\n") {
				continue
			}
			c.WriteToUDPAddrPort(fmt.Appendf(nil, "HTTP/1.1 200 OK\r\nCACHE-CONTROL: max-age=120\r\nST: %s\r\nUSN: uuid:vpncheck-lab::%s\r\n"+
				"EXT:\r\nSERVER: lab/1.0 UPnP/1.1 netlab/1.0\r\nLOCATION: %s\r\n\r\n", target, target, s.page), from)
		}
	}
}

// answerNATPMP tells the outer address (RFC 6886, section 3.2), and refuses all else.
func (s *igdServer) answerNATPMP(c *net.UDPConn) {
	buf := make([]byte, 64)
	for {
		n, from, err := c.ReadFromUDPAddrPort(buf)
		if err != nil {
			return
		}
		if n < 2 || buf[0] != 0 || buf[1] >= 128 {
			continue
		}
		out := make([]byte, 8, 12)
		out[1] = 128 + buf[1]
		binary.BigEndian.PutUint32(out[4:], uint32(time.Since(s.began).Seconds()))
		if buf[1] != 0 {
			out[3] = 2 // refused
		} else {
			out = append(out, s.lab.WAN().AsSlice()...)
		}
		c.WriteToUDPAddrPort(out, from)
	}
}

func (s *igdServer) serve(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Content-Type", `text/xml; charset="utf-8"`)
	switch {
	case r.Method == http.MethodGet && r.URL.Path == "/root.xml":
		io.WriteString(w, s.description())
	case r.Method == http.MethodPost && r.URL.Path == "/control":
		said, _ := io.ReadAll(io.LimitReader(r.Body, 8<<10))
		_, action, _ := strings.Cut(strings.Trim(r.Header.Get("SOAPAction"), `"`), "#")
		s.answer(w, action, string(said))
	default:
		http.NotFound(w, r)
	}
}

// description is what it says it is: a gateway, with an interface to the outside, with a connection on it.
func (s *igdServer) description() string {
	service := func(kind string, version int) string {
		urn := s.urn("service:"+kind, version)
		return "<serviceList><service><serviceType>" + urn + "</serviceType><serviceId>urn:upnp-org:serviceId:" + kind + "</serviceId>" +
			"<SCPDURL>/none.xml</SCPDURL><controlURL>/control</controlURL><eventSubURL>/none</eventSubURL></service></serviceList>"
	}
	device := func(kind, inside string) string {
		return "<device><deviceType>" + s.urn("device:"+kind, s.version()) + "</deviceType>" + inside + "</device>"
	}
	who := fmt.Sprintf("<friendlyName>The lab's router</friendlyName><manufacturer>%s</manufacturer><modelName>%s</modelName><modelNumber>1</modelNumber>",
		html.EscapeString(s.says.Maker), html.EscapeString(s.says.Model))
	connection := device("WANConnectionDevice", service("WANIPConnection", s.version()))
	common := ""
	if !s.says.NoCounters {
		common = service("WANCommonInterfaceConfig", 1)
	}
	return `<?xml version="1.0"?><root xmlns="urn:schemas-upnp-org:device-1-0"><specVersion><major>1</major><minor>0</minor></specVersion>` +
		device("InternetGatewayDevice", who+"<deviceList>"+device("WANDevice", common+"<deviceList>"+connection+"</deviceList>")+"</deviceList>") + "</root>"
}

// answer answers one SOAP action.
func (s *igdServer) answer(w http.ResponseWriter, action, said string) {
	const fault = `<s:Fault><faultcode>s:Client</faultcode><faultstring>UPnPError</faultstring><detail>` +
		`<UPnPError xmlns="urn:schemas-upnp-org:control-1-0"><errorCode>%d</errorCode><errorDescription>no</errorDescription></UPnPError></detail></s:Fault>`
	values, code := s.values(action, said)
	inside := fmt.Sprintf(fault, code)
	if code == 0 {
		inside = fmt.Sprintf(`<u:%sResponse xmlns:u="urn:schemas-upnp-org:service:x:1">%s</u:%[1]sResponse>`, action, values)
	} else {
		w.WriteHeader(http.StatusInternalServerError)
	}
	io.WriteString(w, `<?xml version="1.0"?><s:Envelope xmlns:s="http://schemas.xmlsoap.org/soap/envelope/" `+
		`s:encodingStyle="http://schemas.xmlsoap.org/soap/encoding/"><s:Body>`+inside+`</s:Body></s:Envelope>`)
}

// values are what an action returns, or UPnP's error code.
func (s *igdServer) values(action, said string) (values string, code int) {
	value := func(name string, v any) string {
		return fmt.Sprintf("<%s>%s</%[1]s>", name, html.EscapeString(fmt.Sprint(v)))
	}
	switch action {
	case "GetExternalIPAddress":
		return value("NewExternalIPAddress", s.lab.WAN()), 0
	case "GetStatusInfo":
		return value("NewConnectionStatus", "Connected") + value("NewLastConnectionError", "ERROR_NONE") +
			value("NewUptime", 1+int(time.Since(s.began).Seconds())), 0
	case "GetTotalPacketsSent", "GetTotalPacketsReceived":
		n, err := s.count()
		switch {
		case err != nil || s.says.NoCounters:
			return "", 501
		case action == "GetTotalPacketsSent":
			return value("NewTotalPacketsSent", uint32(n.sent)), 0
		}
		return value("NewTotalPacketsReceived", uint32(n.received)), 0
	case "GetGenericPortMappingEntry":
		_, index, _ := strings.Cut(said, "<NewPortMappingIndex>")
		index, _, _ = strings.Cut(index, "<")
		i, err := strconv.Atoi(index)
		if err != nil {
			return "", 402
		}
		if i < 0 || i >= len(s.says.Forwards) {
			return "", 713
		}
		f := s.says.Forwards[i]
		return value("NewRemoteHost", "") + value("NewExternalPort", f.External) + value("NewProtocol", f.Proto) + value("NewInternalPort", f.External) +
			value("NewInternalClient", f.To) + value("NewEnabled", 1) + value("NewPortMappingDescription", f.Says) + value("NewLeaseDuration", 0), 0
	}
	return "", 401
}

func (s *igdServer) count() (n wanCount, err error) {
	if s.says.Constant {
		return s.first, nil
	}
	err = s.lab.Do(Home, func() (err error) { n, err = countWAN(); return err })
	return n, err
}
