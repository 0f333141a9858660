package witness

import (
	"errors"
	"io/fs"
	"net"
	"net/netip"
	"strings"
	"testing"
	"testing/fstest"

	"vpncheck/probe/sock"
)

// routed is a network whose kernel always sends from one address.
type routed struct {
	sock.Net
	from string
}

func (r routed) Source(netip.Addr) (netip.Addr, error) {
	if r.from == "" {
		return netip.Addr{}, errors.New("network is unreachable")
	}
	return netip.MustParseAddr(r.from), nil
}

func iface(name string, prefixes ...string) Interface {
	i := Interface{Name: name}
	for _, p := range prefixes {
		i.Prefixes = append(i.Prefixes, netip.MustParsePrefix(p))
	}
	return i
}

func at(system string, files map[string]string, all ...Interface) place {
	m := fstest.MapFS{}
	for name, text := range files {
		m[name] = &fstest.MapFile{Data: []byte(text), Mode: 0o444}
	}
	return place{os: system, files: fs.FS(m), interfaces: func() ([]Interface, error) { return all, nil }}
}

const halves = `Iface	Destination	Gateway 	Flags	RefCnt	Use	Metric	Mask		MTU	Window	IRTT
office0	00000000	0100080A	0003	0	0	0	00000080	0	0	0
eth0	00000000	0101A8C0	0003	0	0	0	00000000	0	0	0
office0	00000080	0100080A	0003	0	0	0	00000080	0	0	0
`

func TestVPN(t *testing.T) {
	eth := iface("eth0", "192.168.1.11/24")
	pointToPoint := iface("Work", "10.8.0.6/32")
	pointToPoint.PointToPoint = true
	tunFlags := map[string]string{"sys/class/net/eth0/tun_flags": "0x1001\n", "proc/net/route": halves}
	tests := []struct {
		name string
		p    place
		from string
		want string
	}{
		{"none", at("linux", nil, eth), "192.168.1.11", ""},
		{"up-but-the-way-is-beside-it", at("linux", nil, iface("tun0", "10.8.0.6/24"), eth), "192.168.1.11", ""},
		{"openvpn", at("linux", nil, iface("tun0", "10.8.0.6/24"), eth), "10.8.0.6", "tun0"},
		{"macos", at("darwin", nil, iface("en0", "192.168.1.11/24"), iface("utun4", "10.8.0.6/32")), "10.8.0.6", "utun4"},
		{"nordlynx", at("linux", nil, eth, iface("nordlynx", "10.5.0.2/32")), "10.5.0.2", "nordlynx"},
		{"wireguard-by-another-name", at("linux", map[string]string{"sys/class/net/home/uevent": "DEVTYPE=wireguard\nINTERFACE=home\n"},
			eth, iface("home", "10.5.0.2/32")), "10.5.0.2", "home"},
		{"tun-by-another-name", at("linux", map[string]string{"sys/class/net/office0/tun_flags": "0x1001\n", "proc/net/route": halves},
			eth, iface("office0", "10.8.0.6/24")), "10.8.0.6", "office0"},
		{"a-tun-that-is-the-wire", at("linux", tunFlags, eth), "192.168.1.11", ""},
		{"dsl-modem-on-ppp", at("linux", nil, iface("eth0", "169.254.3.4/16"), iface("ppp0", "203.0.113.9/32")), "203.0.113.9", ""},
		{"dsl-beside-wifi", at("linux", map[string]string{"proc/net/pppoe": "Id Address Device\n00000001 00:11:22:33:44:55 eth0\n"},
			iface("wlan0", "192.168.1.11/24"), iface("ppp0", "203.0.113.9/32")), "203.0.113.9", ""},
		{"pptp-on-dsl", at("linux", map[string]string{"proc/net/pppoe": "Id Address Device\n00000001 00:11:22:33:44:55 eth0\n"},
			iface("ppp0", "203.0.113.9/32"), iface("ppp1", "10.0.0.2/32")), "10.0.0.2", "ppp1"},
		{"modem-beside-a-bridge", at("linux", map[string]string{"proc/net/route": "ppp0 00000000 00000000 0001 0 0 0 00000000 0 0 0\n"},
			iface("docker0", "172.17.0.1/16"), iface("ppp0", "203.0.113.9/32")), "203.0.113.9", ""},
		{"modem-with-a-gateway", at("linux", map[string]string{"proc/net/route": gatewayRoute("ppp0", "10.64.64.64")},
			iface("docker0", "172.17.0.1/16"), iface("ppp0", "203.0.113.9/32")), "203.0.113.9", ""},
		{"pptp-on-wifi", at("linux", map[string]string{"proc/net/route": "ppp0 00000000 00000000 0001 0 0 0 00000000 0 0 0\n" +
			gatewayRoute("wlan0", "192.168.1.1")}, iface("wlan0", "192.168.1.11/24"), iface("ppp0", "10.0.0.2/32")), "10.0.0.2", "ppp0"},
		{"pptp-on-wifi-of-ipv6", at("linux", map[string]string{"proc/net/route": "ppp0 00000000 00000000 0001 0 0 0 00000000 0 0 0\n",
			"proc/net/ipv6_route": strings.Repeat("0", 32) + " 00 " + strings.Repeat("0", 32) + " 00 fe80" + strings.Repeat("0", 27) +
				"1 00000400 00000001 00000000 00000003 wlan0\n"}, iface("wlan0", "2001:db8:1::11/64"), iface("ppp0", "10.0.0.2/32")),
			"10.0.0.2", "ppp0"},
		{"container-without-privileges", at("linux", map[string]string{"run/.containerenv": "", "proc/net/route": gatewayRoute("tap0", "10.0.2.2")},
			iface("tap0", "10.0.2.100/24")), "10.0.2.100", ""},
		{"windows-own", at("windows", nil, iface("Ethernet", "192.168.1.11/24"), pointToPoint), "10.8.0.6", "Work"},
		{"ipv6", at("linux", nil, eth, iface("wg0", "2001:db8:9::2/128")), "2001:db8:9::2", "wg0"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got := tt.p.vpn(routed{from: tt.from}, netip.MustParseAddr("198.51.100.10"))
			if !got.Looked || got.VPN != (tt.want != "") || got.VPN && got.Interface != tt.want || got.Source.String() != tt.from {
				t.Errorf("got %+v, want a VPN on %q", got, tt.want)
			}
		})
	}
}

func TestVPNSaysWhyItCannotLook(t *testing.T) {
	dst := netip.MustParseAddr("198.51.100.10")
	for _, from := range []string{"", "192.0.2.1"} {
		if got := at("linux", nil).vpn(routed{from: from}, dst); got.Looked || got.Why == "" {
			t.Errorf("from %q: got %+v, want a reason", from, got)
		}
	}
}

func TestOnLink(t *testing.T) {
	p := at("linux", nil, iface("lo", "127.0.0.1/8"), iface("eth0", "192.168.1.11/24", "2001:db8:1::11/64"), iface("ppp0", "10.0.0.1/0"))
	tests := []struct {
		dst         string
		onLink, own bool
	}{
		{"198.51.100.10", false, false},
		{"192.168.1.1", true, false},
		{"192.168.1.11", true, true},
		{"::ffff:192.168.1.11", true, true},
		{"127.0.0.5", true, false},
		{"2001:db8:1::99", true, false},
		{"2001:db8:2::99", false, false},
	}
	for _, tt := range tests {
		got := p.onLink(netip.MustParseAddr(tt.dst))
		if !got.Looked || got.OnLink != tt.onLink || got.Own != tt.own {
			t.Errorf("%s: got %+v, want on-link %v, own %v", tt.dst, got, tt.onLink, tt.own)
		}
	}
}

func TestInterfacesOfThisMachine(t *testing.T) {
	all, err := Interfaces()
	if err != nil {
		t.Fatal(err)
	}
	for _, i := range all {
		if i.Loopback && i.has(netip.MustParseAddr("127.0.0.1")) {
			return
		}
	}
	t.Errorf("got %+v, want 127.0.0.1 on a loopback interface", all)
}

func TestPrefix(t *testing.T) {
	tests := []struct {
		addr net.Addr
		want string
	}{
		{&net.IPNet{IP: net.ParseIP("192.0.2.1"), Mask: net.CIDRMask(24, 32)}, "192.0.2.1/24"},
		{&net.IPNet{IP: net.ParseIP("192.0.2.1"), Mask: net.CIDRMask(120, 128)}, "192.0.2.1/24"},
		{&net.IPNet{IP: net.ParseIP("2001:db8::1"), Mask: net.CIDRMask(64, 128)}, "2001:db8::1/64"},
		{&net.IPNet{IP: net.ParseIP("192.0.2.1"), Mask: net.IPMask{255, 0, 255, 0}}, ""},
		{&net.IPAddr{IP: net.ParseIP("192.0.2.1")}, ""},
	}
	for _, tt := range tests {
		got, ok := prefix(tt.addr)
		if ok != (tt.want != "") || ok && got.String() != tt.want {
			t.Errorf("%v: got %v, want %q", tt.addr, got, tt.want)
		}
	}
}
