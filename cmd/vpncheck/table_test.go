package main

import (
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"vpncheck/probe"
	"vpncheck/report"
	"vpncheck/testserver/netlab"
)

// TestVPNRows is the table of what counts as right in the table of VPNs.
func TestVPNRows(t *testing.T) {
	router := func(ike, best string, lossy bool) netlab.Router {
		return netlab.Router{Name: "x", Lossy: lossy, VPNs: map[string]string{"ikev2": ike, netlab.Best: best}}
	}
	for _, x := range []struct {
		name   string
		router netlab.Router
		works  report.Works
		reason probe.Reason
		best   string
		right  string // of the row, and of the recommendation
	}{
		{"right", router("works", "ikev2", false), report.WorksYes, "", "ikev2", "yes yes"},
		{"none-is-right", router("no", "", false), report.WorksNo, probe.UDPFiltered, "", "yes yes"},
		{"wrong", router("works", "ikev2", false), report.WorksNo, probe.UDPFiltered, "", "no no"},
		{"worse", router("works", "ikev2", false), report.WorksBut, probe.RateLimit, "ikev2", "no yes"},
		{"recommends-another", router("works", "ikev2", false), report.WorksYes, "", "wireguard", "yes no"},
		{"recommends-where-none-is", router("no", "", false), report.WorksNo, probe.UDPFiltered, "sstp", "yes no"},
		{"unnamed", netlab.Router{VPNs: map[string]string{}}, report.WorksYes, "", "", "no yes"},
		{"gave-up", router("works", "ikev2", true), report.WorksUnknown, probe.TooLossy, "sstp", "yes yes"},
		{"gave-up-on-a-good-line", router("works", "ikev2", false), report.WorksUnknown, probe.TooLossy, "sstp", "no no"},
		{"gave-up-for-another-reason", router("works", "ikev2", true), report.WorksUnknown, probe.PortClash, "sstp", "no no"},
		{"wrong-on-a-bad-line", router("works", "ikev2", true), report.WorksNo, probe.NoArrival, "sstp", "no no"},
	} {
		t.Run(x.name, func(t *testing.T) {
			rep := report.Report{VPNs: []report.VPN{{ID: "ikev2", Title: "IKEv2", Works: x.works, Reason: x.reason}}}
			if x.best != "" {
				rep.Recommendation = &report.Recommendation{VPN: x.best}
			}
			rows := vpnRows(x.router, rep)
			var got []string
			for _, v := range rows {
				got = append(got, map[bool]string{true: "yes", false: "no"}[v.right()])
				if wrong := strings.Contains(v.mistake(), "WRONG"); wrong == v.right() || wrong != strings.Contains(v.sentence(), "WRONG") {
					t.Errorf("right is %v, but the words are %q and %q", v.right(), v.mistake(), v.sentence())
				}
			}
			if strings.Join(got, " ") != x.right {
				t.Errorf("got %v, want %s", got, x.right)
			}
		})
	}
}

// A wrong row makes the matrix fail, is named and is counted.
func TestMatrixCountsVPNs(t *testing.T) {
	rep := report.Report{VPNs: []report.VPN{{ID: "pptp", Title: "PPTP", Works: report.WorksNo, Reason: probe.NoPPTPHelper}, {ID: "sstp", Title: "SSTP", Works: report.WorksYes}}}
	expect := make(map[string]netlab.Expect)
	for _, id := range protocolIDs() {
		rep.Protocols = append(rep.Protocols, report.Protocol{ID: id, Title: strings.ToUpper(id), Verdict: probe.Passed})
		expect[id] = netlab.Expect{Verdict: "passed"}
	}
	router := netlab.Router{Name: "x", Expect: expect, VPNs: map[string]string{"pptp": "works-but", "sstp": "works", netlab.Best: ""}}
	var m matrix
	m.add(row{router: router, rep: rep})
	var out strings.Builder
	m.print(&out, time.Second)
	for _, want := range []string{"    the table's PPTP WRONG: said no no-pptp-helper, expected works-but\n", "2 of 3 rows of the VPN tables as expected\n"} {
		if !strings.Contains(out.String(), want) {
			t.Errorf("got %q, want %q in it", out.String(), want)
		}
	}
	if m.code(false) != exitNotAll {
		t.Errorf("got status %d, want %d", m.code(false), exitNotAll)
	}
	rep.Protocols = rep.Protocols[1:]
	m = matrix{}
	m.add(row{router: router, rep: rep})
	if m.tally.vpns != 0 || m.code(false) != 0 {
		t.Errorf("got %d rows of a table of which not all was asked, status %d", m.tally.vpns, m.code(false))
	}
}

// Every router says what the table must say of it, of every kind of VPN, in the words of the table; and what it recommends works there.
func TestRoutersNameVPNs(t *testing.T) {
	for _, r := range netlab.Routers() {
		for name, r := range map[string]netlab.Router{r.Name: r, r.Name + "-deep": r.Deeper()} {
			best, ok := r.VPNs[netlab.Best]
			got := []string{}
			for _, id := range report.VPNs() {
				switch w := report.Works(r.VPNs[id]); w {
				case report.WorksYes, report.WorksBut, report.WorksNo, report.WorksUnknown:
					got = append(got, id)
				default:
					t.Errorf("%s: %s is %q", name, id, w)
				}
			}
			if diff := cmp.Diff(report.VPNs(), got); diff != "" || !ok || len(r.VPNs) != len(got)+1 {
				t.Errorf("%s names %d, want all VPNs and the best: %s", name, len(r.VPNs), diff)
			}
			if w := report.Works(r.VPNs[best]); best != "" && w != report.WorksYes && w != report.WorksBut {
				t.Errorf("%s: the best is %s, and that is %q", name, best, w)
			}
		}
	}
}
