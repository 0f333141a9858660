package main

import (
	"bytes"
	"net"
	"os"
	"strings"
	"testing"
	"time"

	"vpncheck/probe"
	"vpncheck/report"
	"vpncheck/report/view"
	"vpncheck/testserver/netlab"
)

// TestRunToInLab runs "vpncheck run --to" through a real NAT, with a server of vpncheck's beside a VPN server that is none: its UDP ports keep
// silent, and its TCP ports refuse.
func TestRunToInLab(t *testing.T) {
	if err := netlab.Available(); err != nil {
		if os.Getenv("CI") == "true" {
			t.Fatal(err)
		}
		t.Skip(err)
	}
	r, _ := netlab.Find("linux")
	p, err := stage(t.Context(), r, "", func(*netlab.Lab) {})
	if err != nil {
		t.Fatal(err)
	}
	defer p.close()
	host := p.lab.Addr(netlab.Neighbour)
	var sockets []*net.UDPConn
	err = p.lab.Do(netlab.Neighbour, func() error {
		for _, port := range []int{500, 1194, 1701} {
			c, err := net.ListenUDP("udp4", &net.UDPAddr{Port: port})
			if err != nil {
				return err
			}
			sockets = append(sockets, c)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		for _, c := range sockets {
			c.Close()
		}
	}()
	var f runFlags
	f.to = host.String()
	rep, err := p.laptop(t.Context(), f, func(probe.Event) {})
	if err != nil {
		t.Fatal(err)
	}
	if rep.To == nil || rep.To.Why != nil || rep.To.Host != f.to {
		t.Fatalf("it was not asked: %+v", rep.To)
	}
	for id, want := range map[string]struct {
		reason  probe.Reason
		culprit report.Culprit
	}{
		probe.OpeningIKEv2: {probe.OwnSilentCarried, report.CulpritVPNServer}, probe.OpeningIKEv1: {probe.OwnSilentCarried, report.CulpritVPNServer},
		probe.OpeningL2TP: {probe.OwnSilentByDesign, ""}, probe.OpeningOpenVPNUDP: {probe.OwnSilentByDesign, ""},
		probe.OpeningPPTP:       {probe.OwnRefused, ""}, // this router does not carry PPTP
		probe.OpeningOpenVPNTCP: {probe.OwnRefused, report.CulpritVPNServer}, probe.OpeningSSTP: {probe.OwnRefused, report.CulpritVPNServer},
	} {
		found := false
		for _, a := range rep.To.Answers {
			if a.ID != id {
				continue
			}
			if found = true; a.Reason != want.reason || a.Culprit != want.culprit {
				t.Errorf("%s: got %s by %q, want %s by %q", id, a.Reason, a.Culprit, want.reason, want.culprit)
			}
		}
		if !found {
			t.Errorf("%s was not asked", id)
		}
	}
	for _, x := range rep.Protocols {
		if want := r.Expect[x.ID]; want.Verdict != string(x.Verdict) {
			t.Errorf("%s beside it: got %s %s, want %s", x.ID, x.Verdict, x.Reason, want.Verdict)
		}
	}
	if d := rep.To.Ended.Sub(rep.To.Started); d > 6*time.Second {
		t.Errorf("it was asked for %v, want five seconds", d)
	}
	about := rep.For("ikev2", 809)
	if want := "This network carries IKEv2, but your VPN's server " + f.to + " does not answer it."; !strings.HasPrefix(about.Aim.Headline, want) || about.ExitCode() != exitUndecided {
		t.Errorf("got %q and exit status %d", about.Aim.Headline, about.ExitCode())
	}
	var text bytes.Buffer
	view.Text(&text, about, view.Options{})
	t.Logf("took %v\n%s", rep.Ended.Sub(rep.Started), &text)
}
