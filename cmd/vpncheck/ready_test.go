package main

import (
	"errors"
	"net/netip"
	"strings"
	"testing"
	"time"

	"vpncheck/probe/sock"
	"vpncheck/probe/wire"
	"vpncheck/report/view"
	"vpncheck/testserver"
)

type sendingFrom struct {
	sock.Net
	addr string
}

func (s sendingFrom) Source(dst netip.Addr) (netip.Addr, error) {
	if a, err := netip.ParseAddr(s.addr); err == nil && a.Is4() == dst.Is4() {
		return a, nil
	}
	return netip.Addr{}, errors.New("network is unreachable")
}

func TestBestAddress(t *testing.T) {
	tests := []struct{ name, own, from, want string }{
		{"public-before-private", "10.0.0.5/24 198.51.100.10/24", "10.0.0.5", "198.51.100.10"},
		{"ipv4-before-ipv6", "2001:db8::1/64 198.51.100.10/24", "198.51.100.10", "198.51.100.10"},
		{"the-one-that-sends", "198.51.100.10/24 198.51.100.11/24", "198.51.100.11", "198.51.100.11"},
		{"only-private", "10.0.0.5/24 fe80::1/64", "10.0.0.5", "10.0.0.5"},
		{"behind-a-provider", "100.64.0.9/10", "100.64.0.9", "100.64.0.9"},
		{"nothing", "fe80::1/64", "", ""},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			var own []netip.Addr
			for p := range strings.FieldsSeq(tt.own) {
				own = append(own, netip.MustParsePrefix(p).Addr())
			}
			want, _ := netip.ParseAddr(tt.want)
			if got := bestAddress(sendingFrom{addr: tt.from}, own); got != want {
				t.Errorf("got %v, want %v", got, want)
			}
		})
	}
	for _, private := range []string{"10.0.0.5", "100.64.0.9", "192.168.1.2", "fd00::1", "169.254.1.1"} {
		if isPublic(netip.MustParseAddr(private)) {
			t.Errorf("got %s public", private)
		}
	}
}

func TestTellReady(t *testing.T) {
	const refused = "opening a raw socket for IP protocol 47: socket: operation not permitted"
	const hint = "run with sudo, or: sudo setcap cap_net_raw,cap_net_bind_service+ep ./vpncheck"
	gre := testserver.CarrierStatus{CarrierState: wire.CarrierState{Carrier: wire.CarrierGRE, Why: refused}, Hint: hint}
	pptp := testserver.CarrierStatus{CarrierState: wire.CarrierState{Carrier: wire.CarrierPPTP, Why: "TCP 1723 is held by pptpd (pid 812)"}}
	udp := testserver.CarrierStatus{CarrierState: wire.CarrierState{Carrier: wire.CarrierControl, Ready: true,
		Proof: &wire.Proof{At: time.Now().Add(-5*time.Hour + time.Minute)}}, From: netip.MustParseAddr("203.0.113.77")}
	esp := testserver.CarrierStatus{CarrierState: wire.CarrierState{Carrier: wire.CarrierESP, Ready: true, Owners: []string{"the kernel's IPsec"}}}
	ah := testserver.CarrierStatus{CarrierState: wire.CarrierState{Carrier: wire.CarrierAH, Ready: true, Owners: []string{"the kernel's IPsec"}}}
	st := testserver.Status{
		Links:    []netip.AddrPort{netip.MustParseAddrPort("0.0.0.0:443"), netip.MustParseAddrPort("[::]:443")},
		Carriers: []testserver.CarrierStatus{udp, pptp, gre, esp, ah},
		Failures: []testserver.Failure{{What: "IP protocol 47", Why: refused, Hint: hint}, {What: "TCP 8443", Why: "TCP 8443 is held by caddy (pid 7)"}},
	}
	link := wire.ConnString{Host: "10.0.0.5", Access: make([]byte, 16)}
	st.Page = testserver.PageStatus{Asked: true, Why: "TCP 80 is held by nginx (pid 9)"}
	var out strings.Builder
	err := tellReady(&out, view.Options{Width: 1000}, st, location{
		host: "10.0.0.5", warning: "10.0.0.5 is a private address: customers cannot reach this; pass --advertise",
		vpn: []string{"charon is running (pid 7)"}, peers: []string{"paris.example"},
	}, time.Time{}, link)
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{
		"ready on TCP 443 (how the laptop and this server talk)\n", "Both firewalls", "  TCP:                   443\n", "ready, proven by 203.0.113.77 5 hours ago (UDP", "not ready: TCP 1723 is held by pptpd (pid 812)\n",
		"not ready: opening a raw socket for IP protocol 47 is not allowed\n", "\n  " + hint + "\n", "TCP 8443 is held by caddy",
		"  Page:                  none: TCP 80 is held by nginx (pid 9) (",
		"customers cannot reach this; pass --advertise", "no real VPN uses",
		"a VPN of its own: charon is running (pid 7).",
		"Not proven yet: ESP (IP protocol 50) and AH (IP protocol 51). ", "\n  sudo vpncheck run --prove '" + link.String() + "'\n", "serve --peer",
		"every hour: paris.example. That", "as well. ESP (IP protocol 50) and AH (IP protocol 51): the kernel's IPsec.",
	} {
		if strings.Count(out.String(), want) != 1 {
			t.Errorf("got %d times %q, want it once, in:\n%s", strings.Count(out.String(), want), want, out.String())
		}
	}
	if !strings.HasSuffix(out.String(), "\n  sudo vpncheck run '"+link.String()+"'\n") {
		t.Errorf("got %q, want the line to run at the end", out.String())
	}
}

// A port that another program holds over IPv4 alone is not simply ready.
func TestTellPartlyReady(t *testing.T) {
	pptp := testserver.CarrierStatus{CarrierState: wire.CarrierState{Carrier: wire.CarrierPPTP, Ready: true}}
	wireguard := testserver.CarrierStatus{CarrierState: wire.CarrierState{Carrier: wire.CarrierWireGuard, Ready: true}}
	for local, where := range map[string]string{"0.0.0.0:1723": "IPv4", "198.51.100.10:1723": "198.51.100.10"} {
		st := testserver.Status{Carriers: []testserver.CarrierStatus{pptp, wireguard}, Failures: []testserver.Failure{
			{What: "TCP 1723", Local: netip.MustParseAddrPort(local), Why: "TCP 1723 is held by pptpd (pid 812)", Hint: "stop pptpd (pid 812) while the test runs"},
		}}
		var out strings.Builder
		if err := tellReady(&out, view.Options{Width: 1000}, st, location{}, time.Time{}, wire.ConnString{Host: "10.0.0.5", Access: make([]byte, 16)}); err != nil {
			t.Fatal(err)
		}
		for _, want := range []string{
			"TCP 1723 (PPTP):       not ready over " + where + ": TCP 1723 is held by pptpd (pid 812); elsewhere ready, not proven yet\n",
			"held by pptpd", "\n  stop pptpd (pid 812) while the test runs\n", "UDP 51820 (WireGuard): ready, ",
		} {
			if strings.Count(out.String(), want) != 1 {
				t.Errorf("got %d times %q, want it once, in:\n%s", strings.Count(out.String(), want), want, out.String())
			}
		}
	}
}

func TestChoosePlace(t *testing.T) {
	const own = "198.51.100.10 198.51.100.11 10.0.0.5"
	tests := []struct{ name, advertise, listen, host, warning string }{
		{"all", "", "", "198.51.100.10", ""},
		{"one", "", "198.51.100.11", "198.51.100.11", ""},
		{"all-of-a-family", "", "0.0.0.0 ::1", "198.51.100.10", ""},
		{"private", "", "10.0.0.5", "10.0.0.5", "private address"},
		{"advertised", "vpn.example.com", "10.0.0.5", "vpn.example.com", ""},
		{"loopback", "", "127.0.0.1", "127.0.0.1", "listens on 127.0.0.1 only: no laptop can reach this"},
		{"loopback-advertised", "vpn.example.com", "127.0.0.1 ::1", "vpn.example.com", "no laptop"},
	}
	addrs := func(text string) (out []netip.Addr) {
		for a := range strings.FieldsSeq(text) {
			out = append(out, netip.MustParseAddr(a))
		}
		return out
	}
	for _, tt := range tests {
		p, err := choosePlace(sendingFrom{addr: "198.51.100.10"}, tt.advertise, addrs(tt.listen), addrs(own))
		if err != nil || p.host != tt.host || !strings.Contains(p.warning, tt.warning) || (tt.warning == "") != (p.warning == "") {
			t.Errorf("%s: got %q, %q (%v), want %q, %q", tt.name, p.host, p.warning, err, tt.host, tt.warning)
		}
	}
}

func TestTellExpired(t *testing.T) {
	var out strings.Builder
	link := wire.ConnString{Host: "198.51.100.10", Access: make([]byte, 16)}
	if err := tellReady(&out, view.Options{}, testserver.Status{}, location{}, time.Now().Add(-time.Hour), link); err != nil {
		t.Fatal(err)
	}
	if got := out.String(); !strings.Contains(got, "This line EXPIRED at ") || strings.Contains(got, "vpncheck://") {
		t.Errorf("got %s", got)
	}
}

func TestStateDir(t *testing.T) {
	tests := []struct {
		name string
		env  map[string]string
		uid  int
		want string
	}{
		{"systemd", map[string]string{"STATE_DIRECTORY": "/var/lib/a:/var/lib/b"}, 0, "/var/lib/a"},
		{"root", map[string]string{"HOME": "/h"}, 0, "/var/lib/vpncheck"},
		{"xdg", map[string]string{"HOME": "/h", "XDG_STATE_HOME": "/s"}, 1000, "/s/vpncheck"},
		{"xdg-relative", map[string]string{"HOME": "/h", "XDG_STATE_HOME": "s"}, 1000, "/h/.local/state/vpncheck"},
		{"home", map[string]string{"HOME": "/h"}, 1000, "/h/.local/state/vpncheck"},
	}
	for _, tt := range tests {
		if got := stateDir(func(k string) string { return tt.env[k] }, tt.uid); got != tt.want {
			t.Errorf("%s: got %q, want %q", tt.name, got, tt.want)
		}
	}
}

func TestAgo(t *testing.T) {
	for d, want := range map[time.Duration]string{
		-time.Second: "just now", time.Minute: "just now", 5*time.Minute + 59*time.Second: "5 minutes ago", 119 * time.Minute: "119 minutes ago",
		2*time.Hour + 31*time.Minute: "3 hours ago", 23 * time.Hour: "23 hours ago",
	} {
		if got := ago(d); got != want {
			t.Errorf("%v: got %q, want %q", d, got, want)
		}
	}
}

func TestTellCloud(t *testing.T) {
	for name, want := range map[string]string{
		"azure": "at Microsoft Azure, whose network does not carry GRE (IP protocol 47), whatever rules are set: that cannot be tested here. It carries ESP (IP protocol 50) and AH",
		"aws":   "at Amazon (AWS), whose network carries GRE (IP protocol 47), ESP (IP protocol 50) and AH (IP protocol 51) only where a rule",
		"vultr": "",
		"none":  "",
	} {
		esp := testserver.CarrierStatus{CarrierState: wire.CarrierState{Carrier: wire.CarrierESP, Ready: true}}
		gre := testserver.CarrierStatus{CarrierState: wire.CarrierState{Carrier: wire.CarrierGRE, Ready: true}}
		var unproven, out strings.Builder
		tellUnproven(&lines{w: &unproven, width: 1000}, testserver.Status{Cloud: testserver.CloudNamed(name), Carriers: []testserver.CarrierStatus{esp, gre}}, wire.ConnString{})
		if cannot := strings.Contains(want, "does not carry GRE"); cannot == strings.Contains(unproven.String(), "Nothing is proven yet") {
			t.Errorf("%s: got %q, want what it cannot carry left out", name, unproven.String())
		}
		tellCloud(&lines{w: &out, width: 1000}, testserver.Status{Cloud: testserver.CloudNamed(name)})
		if got := out.String(); !strings.Contains(got, want) || want == "" && got != "" {
			t.Errorf("%s: got %q, want %q", name, got, want)
		}
	}
}

// A machine that has no address to listen on is told so.
func TestHasAddresses(t *testing.T) {
	if got := has(nil); got != "it has no address but its loopback" {
		t.Errorf("got %q", got)
	}
	if got := has([]netip.Addr{netip.MustParseAddr("192.0.2.1"), netip.MustParseAddr("2001:db8::1")}); got != "it has 192.0.2.1, 2001:db8::1" {
		t.Errorf("got %q", got)
	}
}
