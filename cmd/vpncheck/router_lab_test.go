package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"vpncheck/probe/sock"
	"vpncheck/probe/witness"
	"vpncheck/testserver/netlab"
)

// askRouter is a program on the lab's laptop: it asks the gateway about itself, and reads its counters once for each line that it is sent.
func askRouter() {
	gateway := netip.MustParseAddr(os.Args[1])
	local, err := sock.Kernel{}.Source(gateway)
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	asker, out := witness.NewRouterAsker(local, gateway), json.NewEncoder(os.Stdout)
	out.Encode(asker.Router(context.Background()))
	for in := bufio.NewScanner(os.Stdin); in.Scan(); {
		c, err := asker.Counters(context.Background())
		if err != nil {
			fmt.Fprintln(os.Stderr, err)
		}
		out.Encode(c)
	}
}

// A routerLab is a lab whose laptop asks its router.
type routerLab struct {
	*testing.T
	lab    *netlab.Lab
	router witness.Router
	took   time.Duration
	ask    io.Writer
	says   *json.Decoder
}

// buildRouterLab builds a lab, calls ready once it stands, and lets the laptop ask.
func buildRouterLab(t *testing.T, r netlab.Router, ready func(*netlab.Lab)) *routerLab {
	t.Helper()
	if err := netlab.Available(); err != nil {
		if os.Getenv("CI") == "true" {
			t.Fatal(err)
		}
		t.Skip(err)
	}
	lab, err := netlab.Build(t.Context(), r)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { lab.Close() })
	ready(lab)
	cmd := &exec.Cmd{Path: "/proc/self/exe", Args: []string{"ask-router", lab.Addr(netlab.Home).String()}, Stderr: t.Output()}
	in, err1 := cmd.StdinPipe()
	out, err2 := cmd.StdoutPipe()
	if err := errors.Join(err1, err2, lab.Start(netlab.Laptop, cmd)); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { in.Close(); lab.Close(); cmd.Wait() })
	l := &routerLab{T: t, lab: lab, ask: in, says: json.NewDecoder(out)}
	began := time.Now()
	if err := l.says.Decode(&l.router); err != nil {
		t.Fatal(err)
	}
	l.took = time.Since(began)
	return l
}

func (l *routerLab) counters() (c witness.Counters) {
	l.Helper()
	fmt.Fprintln(l.ask)
	if err := l.says.Decode(&c); err != nil {
		l.Fatal(err)
	}
	return c
}

// train sends n packets from the laptop to the server, and as many back.
func (l *routerLab) train(n int) {
	l.Helper()
	open := func(h netlab.Host, f func() (*net.UDPConn, error)) (c *net.UDPConn) {
		if err := l.lab.Do(h, func() (err error) { c, err = f(); return err }); err != nil {
			l.Fatal(err)
		}
		return c
	}
	server := open(netlab.Server, func() (*net.UDPConn, error) { return net.ListenUDP("udp4", &net.UDPAddr{}) })
	defer server.Close()
	to := netip.AddrPortFrom(l.lab.Addr(netlab.Server), server.LocalAddr().(*net.UDPAddr).AddrPort().Port())
	laptop := open(netlab.Laptop, func() (*net.UDPConn, error) { return net.DialUDP("udp4", nil, net.UDPAddrFromAddrPort(to)) })
	defer laptop.Close()
	for _, c := range []*net.UDPConn{server, laptop} {
		c.SetDeadline(time.Now().Add(entrance))
	}
	b := make([]byte, 10)
	for range n {
		laptop.Write(b)
		_, from, err := server.ReadFrom(b)
		if err == nil {
			server.WriteTo(b, from)
			_, err = laptop.Read(b)
		}
		if err != nil {
			l.Fatal(err)
		}
	}
}

// counts says by how much the counters rise with a train.
func (l *routerLab) counts(n int) (sent, received int) {
	l.Helper()
	l.train(1) // everybody knows everybody's hardware address now
	before := l.counters()
	l.train(n)
	after := l.counters()
	return int(after.Sent - before.Sent), int(after.Received - before.Received)
}

// TestRouterInLab asks the lab's own router, whose program shares nothing with the witness.
func TestRouterInLab(t *testing.T) {
	const train = 50
	var igd = netlab.IGD{Version: 2, Maker: "Example", Model: "Lab Router", Forwards: []netlab.Forward{
		{Proto: "TCP", External: 80, To: netip.MustParseAddr("192.168.1.40"), Says: "a web server"},
		{Proto: "UDP", External: 4500, To: netip.MustParseAddr("192.168.1.50"), Says: "NAS"},
	}}
	good := witness.Router{Look: witness.Look{Looked: true}, Address: netip.MustParseAddr("192.168.1.1"), Gateways: 1, Maker: "Example", Model: "Lab Router",
		Number: "1", Firmware: "lab/1.0 UPnP/1.1 netlab/1.0", Name: "The lab's router", WAN: netip.MustParseAddr("203.0.113.2"), WANBy: "upnp", Counts: true,
		Forwards: []witness.Forward{{Proto: "UDP", External: 4500, Internal: 4500, To: netip.MustParseAddr("192.168.1.50"), Says: "NAS"}}}
	for _, tt := range []struct {
		name   string
		change func(*netlab.Router)
		want   func(*witness.Router)
		counts int
	}{
		{"version-2", func(*netlab.Router) {}, func(*witness.Router) {}, train},
		{"version-1", func(r *netlab.Router) { r.Home.IGD.Version = 1 }, func(*witness.Router) {}, train},
		{"second-nat", func(r *netlab.Router) { r.ISP.Masquerade = true }, func(r *witness.Router) { r.WAN = netip.MustParseAddr("100.64.0.2") }, train},
		{"constant", func(r *netlab.Router) { r.Home.IGD.Constant = true }, func(*witness.Router) {}, 0},
		{"stateful-laptop", func(r *netlab.Router) { r.Laptop.Stateful = true }, func(*witness.Router) {}, train},
		{"no-counters", func(r *netlab.Router) { r.Home.IGD.NoCounters = true },
			func(r *witness.Router) { r.Counts, r.CountsWhy = false, "the router's counters: it has none" }, -1},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			says, want := igd, good
			r := netlab.Router{Name: tt.name, Home: netlab.Box{Masquerade: true, IGD: &says}}
			tt.change(&r)
			tt.want(&want)
			l := buildRouterLab(t, r, func(*netlab.Lab) {})
			if diff := cmp.Diff(want, l.router, cmpopts.EquateComparable(netip.Addr{}), cmpopts.IgnoreFields(witness.Router{}, "Uptime")); diff != "" {
				t.Error(diff)
			}
			if l.router.Uptime <= 0 || l.router.Uptime > time.Minute || l.took > 3*time.Second {
				t.Errorf("up for %v, it took %v", l.router.Uptime, l.took)
			}
			if tt.counts < 0 {
				return
			}
			// The hardware addresses may be asked for at any time.
			if out, in := l.counts(train); out < tt.counts || out > tt.counts+5 || in < tt.counts || in > tt.counts+5 {
				t.Errorf("counted %d out and %d in, want %d each", out, in, tt.counts)
			}
		})
	}
	t.Run("nat-pmp-only", func(t *testing.T) {
		t.Parallel()
		l := buildRouterLab(t, netlab.Router{Name: "linux", Home: netlab.Box{Masquerade: true}}, func(*netlab.Lab) {})
		if l.router.Looked || l.router.Why != "the gateway 192.168.1.1 does not answer UPnP" {
			t.Errorf("got %+v of a router that says nothing", l.router)
		}
	})
}

// TestMiniupnpd asks a program that many real routers have. It is left out where it is not installed.
func TestMiniupnpd(t *testing.T) {
	program, err := exec.LookPath("miniupnpd")
	if err != nil {
		program = "/usr/sbin/miniupnpd"
	}
	if _, err := os.Stat(program); err != nil {
		t.Skip("miniupnpd is not installed: ", err)
	}
	// A rule that nothing meets makes the chain in which it keeps its forwards.
	r := netlab.Router{Name: "miniupnpd", Home: netlab.Box{Masquerade: true, Rules: []netlab.Rule{{Do: netlab.Redirect, Way: netlab.In, Proto: 17, Ports: []uint16{9}}}}}
	l := buildRouterLab(t, r, func(lab *netlab.Lab) { startMiniupnpd(t, lab, program) })
	got := l.router
	t.Logf("%+v", got)
	if !got.Looked || got.Gateways != 1 || got.Maker != "Example Maker" || got.Model != "Example Model" || got.Number != "7" || got.Name != "Example Name" ||
		got.Firmware == "" || got.WAN.String() != "1.2.3.4" || got.WANBy != "upnp" || !got.Counts || got.CountsWhy != "" {
		t.Errorf("got %+v", got)
	}
	want := []witness.Forward{{Proto: "UDP", External: 500, Internal: 500, To: netip.MustParseAddr("192.168.1.50"), Says: "a forward of the test"}}
	if diff := cmp.Diff(want, got.Forwards, cmpopts.EquateComparable(netip.Addr{})); diff != "" || got.ForwardsWhy != "" {
		t.Error(diff, got.ForwardsWhy)
	}
	const train = 50
	if out, in := l.counts(train); out < train || out > train+5 || in < train || in > train+5 {
		t.Errorf("counted %d out and %d in, want %d each", out, in, train)
	}
}

func startMiniupnpd(t *testing.T, lab *netlab.Lab, program string) {
	t.Helper()
	dir := t.TempDir()
	leases, conf := filepath.Join(dir, "leases"), filepath.Join(dir, "conf")
	err1 := os.WriteFile(leases, []byte("UDP:500:192.168.1.50:500:0:a forward of the test\n"), 0o644)
	// It refuses the lab's own outer address, as one that is for documentation only.
	err2 := os.WriteFile(conf, fmt.Appendf(nil, `ext_ifname=wan0
ext_ip=1.2.3.4
listening_ip=lan0
port=5000
enable_natpmp=yes
enable_upnp=yes
friendly_name=Example Name
manufacturer_name=Example Maker
model_name=Example Model
model_number=7
uuid=6f2b2c5e-9a3e-4e1f-8a55-2f1a6f0d7c11
secure_mode=yes
upnp_table_name=lab
upnp_nat_table_name=lab
upnp_forward_chain=forward
upnp_nat_chain=dstnat
upnp_nat_postrouting_chain=srcnat
lease_file=%s
allow 1-65535 192.168.1.0/24 1-65535
`, leases), 0o644)
	var said bytes.Buffer
	cmd := &exec.Cmd{Path: program, Args: []string{"miniupnpd", "-d", "-f", conf, "-P", filepath.Join(dir, "pid")}, Stdout: &said, Stderr: &said}
	if err := errors.Join(err1, err2, lab.Start(netlab.Home, cmd)); err != nil {
		t.Fatal(err)
	}
	gone := make(chan struct{})
	go func() { defer close(gone); cmd.Wait() }()
	t.Cleanup(func() {
		lab.Close()
		<-gone
		if t.Failed() {
			t.Logf("miniupnpd said:\n%s", said.String())
		}
	})
	for end := time.Now().Add(entrance); ; time.Sleep(20 * time.Millisecond) {
		select {
		case <-gone:
			t.Fatal("miniupnpd ended")
		default:
		}
		err := lab.Do(netlab.Laptop, func() error {
			c, err := net.DialTimeout("tcp4", netip.AddrPortFrom(lab.Addr(netlab.Home), 5000).String(), time.Second)
			if err == nil {
				c.Close()
			}
			return err
		})
		if err == nil {
			return
		}
		if time.Now().After(end) {
			t.Fatalf("miniupnpd is not ready: %v", err)
		}
	}
}
