//go:build linux

package netlab

import (
	"encoding/binary"
	"errors"
	"net"
	"net/netip"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"
)

// TestRouters asks every router the same questions with raw sockets.
func TestRouters(t *testing.T) {
	needLab(t)
	const wan, cgn, pool, public = "203.0.113.2", "198.51.100.1", cgnPortless, "192.0.2.66"
	good := facts{TCP: "ok", CallID: "rewritten", V1: "both", V0: "both", UDP: "both",
		IPsec: "both both both both both", L2TP: "both", Sources: src(wan, wan, wan, wan), Internet: true}
	but := func(change func(*facts)) facts { f := good; change(&f); return f }
	ipsec := func(s string) facts { return but(func(f *facts) { f.IPsec = s }) }
	want := map[string]facts{
		"open": but(func(f *facts) { f.CallID, f.Sources = "kept", src(public, public, public, public) }),
		"open-esp-out": but(func(f *facts) {
			f.CallID, f.Sources, f.IPsec = "kept", src(public, public, public, ""), "both both both none both"
		}),
		"linux":           but(func(f *facts) { f.CallID, f.V1 = "kept", "out" }),
		"linux-pptp":      good,
		"igd":             good,
		"symmetric":       good,
		"gre-out":         but(func(f *facts) { f.V1, f.V0, f.Sources = "none", "none", src(wan, "", "", wan) }),
		"gre-back":        but(func(f *facts) { f.CallID, f.V1, f.V0 = "kept", "out", "out" }),
		"gre-back-helper": but(func(f *facts) { f.V1, f.V0 = "out", "out" }),
		"pptp-reset":      but(func(f *facts) { f.TCP, f.CallID, f.V1, f.Sources = "reset", "", "", src("", "", wan, wan) }),
		"pptp-drop":       but(func(f *facts) { f.TCP, f.CallID, f.V1, f.Sources = "silent", "", "", src("", "", wan, wan) }),
		"double-nat":      but(func(f *facts) { f.V1, f.Sources = "out", src(cgn, cgn, cgn, cgn) }),
		"double-nat-pptp": but(func(f *facts) { f.Sources = src(cgn, cgn, cgn, cgn) }),
		"server-unproven": but(func(f *facts) { f.V1, f.V0, f.Sources = "none", "none", src(wan, "", "", wan) }),
		"cuts-off":        good, // WireGuard is not spoken here
		"outage":          good, // its second is not reached here, see TestOutage
		"cgn-unpaired":    but(func(f *facts) { f.V1, f.Sources = "out", src(cgn, pool, pool, pool) }),
		"callid-damage":   but(func(f *facts) { f.V1 = "both damaged" }),
		"gre-callid":      but(func(f *facts) { f.V1 = "both call-id-wrong" }),
		"gre-stall":       good, // after six it stalls, see TestStall
		"after-8-packets": good, // see TestAfterEight
		"pptp-hijack":     but(func(f *facts) { f.TCP, f.CallID, f.V1, f.Sources = "another", "", "", src("", "", wan, wan) }),
		"udp-out":         but(func(f *facts) { f.UDP, f.IPsec, f.L2TP = "none", "none none none both both", "none" }),
		"laptop-firewall": but(func(f *facts) { f.V1 = "out" }),
		"laptop-refuses":  but(func(f *facts) { f.V1, f.V0, f.Sources = "none", "none", src(wan, "", "", wan) }),
		"esp-out":         but(func(f *facts) { f.IPsec, f.Sources = "both both both none both", src(wan, wan, wan, "") }),
		"esp-back":        ipsec("both both both out both"),
		"ah-out":          ipsec("both both both both none"),
		"ike-out":         ipsec("none both both both both"),
		"natt-out":        ipsec("both none none both both"),
		"l2tp-out":        but(func(f *facts) { f.L2TP = "none" }),
		"ddwrt-ipsec-off": ipsec("none both both both both"),
		"ipsec-off":       but(func(f *facts) { f.IPsec, f.Sources = "none both both none none", src(wan, wan, wan, "") }),
		"ike-alg":         ipsec("changed both both both both"),
		"hijack":          but(func(f *facts) { f.IPsec, f.L2TP = "another another another both both", "another" }),
		"refused":         ipsec("refused both both both both"),
		"checksum0":       ipsec("both both none both both"),
		"one-ipsec":       ipsec("none both both both both"), // from another port it passes, see TestClash
		"second-laptop":   but(func(f *facts) { f.IPsec, f.Sources = "both both both none none", src(wan, wan, wan, "") }),
		"esp-spi":         good, // a second flow at once is not, see TestSPITracking
		"esp-needs-ike":   good, // without IKE it is not, see TestIKEFirst
		"server-nat":      good,
		"only-443": but(func(f *facts) {
			f.TCP, f.CallID, f.V1, f.V0, f.UDP, f.IPsec, f.L2TP = "silent", "", "", "none", "none", "none none none none none", "none"
			f.Sources, f.Internet = src("", "", "", ""), false
		}),
		"sstp-held":     good, // see TestOdd
		"silent-proxy":  but(func(f *facts) { f.TCP, f.CallID, f.V1, f.Sources = "another", "", "", src("", "", wan, wan) }),
		"tls-proxy":     good,
		"https-proxy":   good,
		"esp-refused":   but(func(f *facts) { f.IPsec, f.Sources = "both both both none both", src(wan, wan, wan, "") }),
		"gre-refused":   but(func(f *facts) { f.V1, f.V0, f.Sources = "none", "none", src(wan, "", "", wan) }),
		"natt-refused":  ipsec("both unreachable unreachable both both"),
		"pptp-refused":  but(func(f *facts) { f.TCP, f.CallID, f.V1, f.Sources = "reset", "", "", src("", "", wan, wan) }),
		"linux-answers": but(func(f *facts) { f.CallID, f.V1 = "kept", "out" }),
		"stale-state":   good, // what is new is dropped, see TestStaleState

		"igd-esp-out":      but(func(f *facts) { f.IPsec, f.Sources = "both both both none both", src(wan, wan, wan, "") }),
		"igd-isp-esp":      but(func(f *facts) { f.IPsec, f.Sources = "both both both none both", src(wan, wan, wan, "") }),
		"igd-esp-back":     ipsec("both both both out both"),
		"igd-isp-esp-back": ipsec("both both both out both"),
		"igd-gre-out":      but(func(f *facts) { f.V1, f.V0, f.Sources = "none", "none", src(wan, "", "", wan) }),
		"igd-constant":     but(func(f *facts) { f.IPsec, f.Sources = "both both both none both", src(wan, wan, wan, "") }),
		"igd-double-nat":   but(func(f *facts) { f.V1, f.Sources = "out", src(cgn, pool, pool, pool) }),

		"igd-forward": ipsec("out out out both both"),
		"isp-refuses": but(func(f *facts) {
			f.TCP, f.CallID, f.V1, f.IPsec, f.Sources = "silent", "", "", "both both both none both", src("", "", wan, "")
		}),
		"nat2-natt": but(func(f *facts) { f.IPsec, f.Sources = "both none none both both", src(cgn, cgn, cgn, cgn) }),
		"server-ports": but(func(f *facts) {
			f.TCP, f.CallID, f.V1, f.IPsec, f.L2TP, f.Sources = "silent", "", "", "none both both both both", "none", src("", "", wan, wan)
		}),
		"server-refuses": but(func(f *facts) {
			f.V1, f.V0, f.IPsec, f.Sources = "none", "none", "both both both none both", src(wan, "", "", "")
		}),
		"cloud-ports": but(func(f *facts) {
			f.TCP, f.CallID, f.V1, f.IPsec, f.L2TP, f.Sources = "silent", "", "", "none none none both both", "none", src("", "", wan, wan)
		}),

		"laptop-refuses-esp":  but(func(f *facts) { f.IPsec, f.Sources = "both both both none both", src(wan, wan, wan, "") }),
		"laptop-refuses-udp":  but(func(f *facts) { f.IPsec, f.L2TP = "forbidden forbidden forbidden both both", "forbidden" }),
		"laptop-refuses-pptp": but(func(f *facts) { f.TCP, f.CallID, f.V1, f.Sources = "silent", "", "", src("", "", wan, wan) }),
		"laptop-drops-gre":    but(func(f *facts) { f.V1, f.V0 = "out", "out" }),
		"laptop-drops-esp":    ipsec("both both both out both"),
		"laptop-drops-udp":    but(func(f *facts) { f.IPsec, f.L2TP = "out out out both both", "out" }),

		"isp-esp":         but(func(f *facts) { f.IPsec, f.Sources = "both both both none both", src(wan, wan, wan, "") }),
		"isp-esp-ingress": but(func(f *facts) { f.IPsec, f.Sources = "both both both none both", src(wan, wan, wan, "") }),
		"isp-esp-back":    ipsec("both both both out both"),
		"isp-gre":         but(func(f *facts) { f.V1, f.V0, f.Sources = "none", "none", src(wan, "", "", wan) }),
		"isp-ah":          ipsec("both both both both none"),
		"isp-pptp":        but(func(f *facts) { f.TCP, f.CallID, f.V1, f.Sources = "silent", "", "", src("", "", wan, wan) }),
		"isp-natt":        ipsec("both none none both both"),
		"isp-l2tp":        but(func(f *facts) { f.L2TP = "none" }),
		"isp-udp":         but(func(f *facts) { f.UDP, f.IPsec, f.L2TP = "none", "none none none both both", "none" }),
		"isp-ike-back":    ipsec("out both both both both"),
		"dpi-ike":         good, // this is no IKE, see TestOpenings
		"dpi-openvpn":     good, // nor is it OpenVPN
		"isp-openvpn":     good,
		"dpi-wireguard":   good, // and no WireGuard, see TestInitiation
		"nat2-esp":        but(func(f *facts) { f.IPsec, f.Sources = "both both both none both", src(cgn, cgn, cgn, "") }),
		"nat2-gre":        but(func(f *facts) { f.V1, f.V0, f.Sources = "none", "none", src(cgn, "", "", cgn) }),
		"nat2-answers":    but(func(f *facts) { f.V1, f.Sources = "out", src(cgn, cgn, cgn, cgn) }),
		"server-firewall": but(func(f *facts) {
			f.V1, f.V0, f.IPsec, f.Sources = "none", "none", "both none none none both", src(wan, "", "", "")
		}),
		"cloud-firewall": but(func(f *facts) { f.IPsec, f.Sources = "both both both none both", src(wan, wan, wan, "") }),
		"rp-filter": but(func(f *facts) {
			f.V1, f.V0, f.IPsec, f.Sources = "none", "none", "both both both none none", src(cgn, "", "", "")
		}),
		"limiter":   good, // one at once passes, see TestLimiter
		"udp-flood": good,
		"narrow":    good, // of small packets, see TestNarrow
		"narrower":  good,
		"reorders":  good,

		"fragments-out":  good, // of whole packets, see TestFragments
		"fragments-back": good,

		"portal": {TCP: "another", V0: "none", UDP: "none", IPsec: "none none none none none", L2TP: "none", Sources: src("", "", "", "")},
	}
	chance := []string{"lossy", "lossy-25", "bursts", "bursts-blocks", "slow", "satellite", "doubles"} // see TestLossy and TestLine
	for _, r := range Routers() {
		if slices.Contains(chance, r.Name) {
			continue
		}
		t.Run(r.Name, func(t *testing.T) {
			t.Parallel()
			if got := measure(t, build(t, r.Name)); got != want[r.Name] {
				t.Errorf("got  %+v\nwant %+v", got, want[r.Name])
			}
		})
	}
}

func src(tcp, v1, v0, esp string) string { return strings.Join([]string{tcp, v1, v0, esp}, " ") }

func TestLossy(t *testing.T) {
	needLab(t)
	t.Parallel()
	l := build(t, "lossy")
	c, s := raw(t, l, Laptop, gre), raw(t, l, Server, gre)
	for _, w := range []struct {
		name     string
		from, to *net.IPConn
		dst      netip.Addr
	}{{"out", c, s, l.Addr(Server)}, {"in", s, c, l.WAN()}} {
		got := 0
		for range 300 { // one at a time: no buffer on the way is ever full
			send(t, w.from, w.dst, gre0())
			if _, _, ok := next(w.to, 3*time.Millisecond); ok {
				got++
			}
		}
		if lost := 300 - got; lost < 9 || lost > 60 {
			t.Errorf("%s: got %d of 300 lost, want about 30", w.name, lost)
		}
	}
}

func TestStall(t *testing.T) {
	needLab(t)
	t.Parallel()
	l := build(t, "gre-stall")
	c, s := raw(t, l, Laptop, gre), raw(t, l, Server, gre)
	for fresh := range uint16(2) { // a second call has its own six
		k, err := pptp(t, l, fresh)
		if err != nil {
			t.Fatal(err)
		}
		rounds := 0
		for ; rounds < 20; rounds++ {
			if got, _ := echoV1(t, l, k, c, s); got != "both" {
				break
			}
		}
		if rounds != 6 {
			t.Errorf("call %d: got %d rounds of GRE, want 6", fresh, rounds)
		}
		k.laptop.Close()
		k.server.Close()
		k.listener.Close()
	}
	for round := range 7 {
		want := map[bool]string{true: "both", false: "none"}[round < 6]
		if got, _ := echo(t, c, s, l.Addr(Server), gre0()); got != want {
			t.Errorf("plain GRE, round %d: got %q, want %q", round, got, want)
		}
	}
}

// TestClash finds the ways past what the second laptop left in the router.
func TestClash(t *testing.T) {
	needLab(t)
	t.Parallel()
	l := build(t, "one-ipsec")
	if got := udpPair(t, l, 40500, 500, l.Addr(Server)).talk(t); got != "both" {
		t.Errorf("from another port than 500: got %q, want both ways", got)
	}
	l = build(t, "second-laptop")
	for _, p := range []int{esp, ah} {
		if got, _ := echo(t, raw(t, l, Laptop, p), rawOn(t, l, Server, l.Inside(l.Second()), p), l.Second(), security()); got != "both" {
			t.Errorf("IP protocol %d to the second address: got %q, want both ways", p, got)
		}
	}
}

// TestServerNAT checks that the server has its public addresses for whoever begins, and for ICMP.
func TestServerNAT(t *testing.T) {
	needLab(t)
	t.Parallel()
	l := build(t, "server-nat")
	n := udpOn(t, l, Neighbour, l.Addr(Neighbour), 9)
	buf := make([]byte, 64)
	for _, public := range []netip.Addr{l.Addr(Server), l.Second()} {
		s := udpOn(t, l, Server, l.Inside(public), 9)
		s.WriteToUDPAddrPort([]byte("?"), ap(l.Addr(Neighbour), 9))
		n.SetReadDeadline(time.Now().Add(patience))
		if _, from, err := n.ReadFromUDPAddrPort(buf); err != nil || from != ap(public, 9) {
			t.Errorf("the neighbour got a packet from %v (%v), want %v", from, err, public)
		}
	}
	p := udpPair(t, l, 0, 500, l.Addr(Server))
	p.s.Close()
	p.c.Write([]byte("?"))
	p.c.SetReadDeadline(time.Now().Add(patience))
	if _, err := p.c.Read(buf); !errors.Is(err, syscall.ECONNREFUSED) {
		t.Errorf("got %v, want the refusal of the server's kernel", err)
	}
}

// TestTwins runs two labs of one router at once, with the same addresses and Call-IDs.
func TestTwins(t *testing.T) {
	needLab(t)
	t.Parallel()
	var labs [2]*Lab
	var calls [2]*call
	for i := range labs {
		labs[i] = build(t, "linux-pptp")
		var err error
		if calls[i], err = pptp(t, labs[i], 0); err != nil {
			t.Fatal(err)
		}
	}
	for i, l := range labs {
		if got, _ := echoV1(t, l, calls[i], raw(t, l, Laptop, gre), raw(t, l, Server, gre)); got != "both" {
			t.Errorf("lab %d: got GRE %q, want both ways", i, got)
		}
	}
}

// TestSides checks what all routers share: the neighbour, the second address, IPv6, the firewall, leaks, checksums.
func TestSides(t *testing.T) {
	needLab(t)
	t.Parallel()
	l := build(t, "linux")
	s4, s6 := udpOn(t, l, Server, l.Second(), 8443), udpOn(t, l, Server, l.Addr6(Server), 8443)
	for _, w := range []struct {
		from Host
		src  netip.Addr
		to   *net.UDPConn
		want netip.Addr
	}{
		{Laptop, l.Addr(Laptop), s4, l.WAN()},
		{Neighbour, l.Addr(Neighbour), s4, l.Addr(Neighbour)},
		{Laptop, l.Addr6(Laptop), s6, l.Addr6(Laptop)},
		{Neighbour, l.Addr6(Neighbour), s6, l.Addr6(Neighbour)},
	} {
		c := udpOn(t, l, w.from, w.src, 0)
		if _, err := c.WriteToUDPAddrPort([]byte("?"), w.to.LocalAddr().(*net.UDPAddr).AddrPort()); err != nil {
			t.Fatal(err)
		}
		w.to.SetReadDeadline(time.Now().Add(patience))
		_, from, err := w.to.ReadFromUDPAddrPort(make([]byte, 9))
		if err != nil || from.Addr() != w.want {
			t.Errorf("%s: server got a packet from %v (%v), want %v", w.from, from, err, w.want)
		}
	}

	c, s := raw(t, l, Laptop, gre), raw(t, l, Server, gre)
	send(t, s, l.WAN(), gre0())
	if b, from, ok := next(c, silence); ok {
		t.Errorf("the laptop got %x unasked from %v", b, from)
	}
	odd := gre1(1)
	odd[2], odd[3] = 8, 0 // conntrack refuses it, so that NAT would leave its private source as it is (F48)
	send(t, c, l.Addr(Server), odd)
	if _, from, ok := next(s, silence); ok {
		t.Errorf("a packet leaked to the server from %v", from)
	}
}

// TestChecksum sees with a raw socket that what a laptop sends is finished when it enters the wire.
func TestChecksum(t *testing.T) {
	needLab(t)
	t.Parallel()
	l := build(t, "open")
	s := within(t, l, Server, func() (*net.IPConn, error) { return net.ListenIP("ip4:17", nil) })
	c := udpOn(t, l, Laptop, l.Addr(Laptop), 0)
	c.WriteToUDPAddrPort([]byte("odd"), ap(l.Addr(Server), 9))
	b, from, ok := next(s, patience)
	if !ok {
		t.Fatal("nothing arrived")
	}
	to, src := l.Addr(Server).As4(), from.As4()
	sum := uint32(17 + len(b))
	for _, part := range [][]byte{src[:], to[:], append(b, 0)[:(len(b)+1)&^1]} {
		for i := 0; i < len(part); i += 2 {
			sum += uint32(binary.BigEndian.Uint16(part[i:]))
		}
	}
	for sum > 0xffff {
		sum = sum>>16 + sum&0xffff
	}
	if sum != 0xffff {
		t.Errorf("got a UDP checksum that is off by %#x", 0xffff-sum)
	}
}
