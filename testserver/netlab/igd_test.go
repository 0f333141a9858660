//go:build linux

package netlab

import (
	"bytes"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"strings"
	"testing"
	"time"
)

// TestIGD asks the home router about itself, with bytes of its own.
func TestIGD(t *testing.T) {
	needLab(t)
	t.Parallel()
	l := buildRouter(t, Router{Name: "igd-2", Home: Box{Masquerade: true, IGD: &IGD{Version: 2, Maker: "A & B", Model: "M",
		Forwards: []Forward{{"UDP", 500, netip.MustParseAddr("192.168.1.50"), "NAS <x>"}}}}})
	const v = "urn:schemas-upnp-org:device:InternetGatewayDevice:%d"
	const page = "http://192.168.1.1:5000/root.xml"
	for _, to := range []string{"239.255.255.250:1900", "192.168.1.1:1900"} {
		for version := 1; version <= 2; version++ {
			got := search(t, l, to, fmt.Sprintf(v, version))
			if !strings.HasPrefix(got, "HTTP/1.1 200 OK\r\n") || !strings.Contains(got, "\r\nLOCATION: "+page+"\r\n") {
				t.Errorf("a search at %s for version %d was answered %q", to, version, got)
			}
		}
		if got := search(t, l, to, fmt.Sprintf(v, 3)); got != "" {
			t.Errorf("a search for version 3 was answered %q", got)
		}
	}
	got := ask(t, l, http.MethodGet, page, "", "")
	for _, want := range []string{"<manufacturer>A &amp; B<", "<modelName>M<", "service:WANIPConnection:2<", "service:WANCommonInterfaceConfig:1<", "<controlURL>/control<"} {
		if !strings.Contains(got, want) {
			t.Errorf("its description has no %q: %s", want, got)
		}
	}
	for _, tt := range []struct{ action, in, want string }{
		{"GetExternalIPAddress", "", "<NewExternalIPAddress>203.0.113.2<"},
		{"GetStatusInfo", "", "<NewConnectionStatus>Connected<"},
		{"GetGenericPortMappingEntry", "<NewPortMappingIndex>0</NewPortMappingIndex>", "<NewPortMappingDescription>NAS &lt;x&gt;<"},
		{"GetGenericPortMappingEntry", "<NewPortMappingIndex>1</NewPortMappingIndex>", "<errorCode>713<"},
		{"Reboot", "", "<errorCode>401<"},
	} {
		if got := soap(t, l, tt.action, tt.in); !strings.Contains(got, tt.want) {
			t.Errorf("%s was answered %s, want %s", tt.action, got, tt.want)
		}
	}
	natpmp := []struct{ ask, want []byte }{
		{[]byte{0, 0}, []byte{0, 128, 0, 0, 203, 0, 113, 2}},
		{[]byte{0, 1, 0, 0, 1, 244, 1, 244, 0, 0, 14, 16}, []byte{0, 129, 0, 2}},
	}
	for _, tt := range natpmp {
		b := datagram(t, l, "192.168.1.1:5351", tt.ask)
		if len(b) >= 8 {
			b = append(b[:4:4], b[8:]...) // without the time
		}
		if !bytes.Equal(b, tt.want) {
			t.Errorf("NAT-PMP was asked %x and answered %x, want %x", tt.ask, b, tt.want)
		}
	}
}

// TestIGDCounts sends known numbers of packets through routers with all kinds of counters.
func TestIGDCounts(t *testing.T) {
	needLab(t)
	t.Parallel()
	const train = 40
	for _, tt := range []struct {
		igd         IGD
		least, most int // that are counted; the hardware addresses may be asked for at any time
	}{{IGD{}, train, train + 5}, {IGD{Constant: true}, 0, 0}, {IGD{NoCounters: true}, -1, -1}} {
		l := buildRouter(t, Router{Name: "igd", Home: Box{Masquerade: true, IGD: &tt.igd}})
		read := func(what string) (n int) {
			_, s, ok := strings.Cut(soap(t, l, "GetTotalPackets"+what, ""), "<NewTotalPackets"+what+">")
			if _, err := fmt.Sscanf(s, "%d<", &n); !ok || err != nil {
				return -1
			}
			return n
		}
		p := udpPair(t, l, 0, 9, l.Addr(Server))
		p.c.Write([]byte("first")) // the wire knows everybody's hardware address now
		p.s.SetReadDeadline(time.Now().Add(patience))
		b := make([]byte, 9)
		_, from, err := p.s.ReadFrom(b)
		if err != nil {
			t.Fatal(err)
		}
		sent, received := read("Sent"), read("Received")
		for range train {
			p.c.Write(b[:1])
			p.s.ReadFrom(b)
			p.s.WriteTo(b[:1], from)
			p.c.SetReadDeadline(time.Now().Add(patience))
			p.c.Read(b)
		}
		for what, n := range map[string]int{"Sent": read("Sent") - sent, "Received": read("Received") - received} {
			if sent < 0 {
				n = -1
			}
			if n < tt.least || n > tt.most {
				t.Errorf("%+v: counted %d of %d %s, want %d to %d", tt.igd, n, train, what, tt.least, tt.most)
			}
		}
	}
}

func buildRouter(t *testing.T, r Router) *Lab {
	t.Helper()
	l, err := Build(t.Context(), r)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	return l
}

func search(t *testing.T, l *Lab, to, target string) string {
	return string(datagram(t, l, to, []byte("M-SEARCH * HTTP/1.1\r\nHOST: 239.255.255.250:1900\r\nMAN: \"ssdp:discover\"\r\nMX: 1\r\nST: "+target+"\r\n\r\n")))
}

// datagram sends one from the laptop, and returns the first answer from whomever; "" if there is none.
func datagram(t *testing.T, l *Lab, to string, b []byte) []byte {
	t.Helper()
	c := within(t, l, Laptop, func() (net.PacketConn, error) { return net.ListenPacket("udp4", l.Addr(Laptop).String()+":0") })
	if _, err := c.WriteTo(b, net.UDPAddrFromAddrPort(netip.MustParseAddrPort(to))); err != nil {
		t.Fatal(err)
	}
	c.SetReadDeadline(time.Now().Add(silence))
	buf := make([]byte, 2048)
	n, _, err := c.ReadFrom(buf)
	if err != nil {
		return nil
	}
	return buf[:n]
}

func soap(t *testing.T, l *Lab, action, in string) string {
	t.Helper()
	return ask(t, l, http.MethodPost, "http://192.168.1.1:5000/control", action,
		`<?xml version="1.0"?><s:Envelope><s:Body><u:`+action+`>`+in+`</u:`+action+`></s:Body></s:Envelope>`)
}

// ask makes one HTTP request from the laptop.
func ask(t *testing.T, l *Lab, method, url, action, body string) string {
	t.Helper()
	c := within(t, l, Laptop, func() (net.Conn, error) { return net.DialTimeout("tcp4", "192.168.1.1:5000", patience) })
	c.SetDeadline(time.Now().Add(patience))
	req, err := http.NewRequest(method, url, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	req.Close = true
	if action != "" {
		req.Header.Set("SOAPAction", `"urn:schemas-upnp-org:service:x:1#`+action+`"`)
	}
	if err := req.Write(c); err != nil {
		t.Fatal(err)
	}
	got, _ := io.ReadAll(c)
	return string(got)
}
