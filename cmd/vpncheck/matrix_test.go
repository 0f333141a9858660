package main

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"vpncheck/probe"
	"vpncheck/report"
	"vpncheck/testserver/netlab"
)

func TestMatrix(t *testing.T) {
	router := netlab.Router{Name: "linux", Did: "router", Expect: map[string]netlab.Expect{"pptp": {Verdict: "blocked-back", Reason: "no-pptp-helper"}, "gre": {Verdict: "passed"}}}
	said := func(verdict probe.Verdict, reason probe.Reason) row {
		return row{router: router, rep: report.Report{Protocols: []report.Protocol{
			{ID: "pptp", Title: "PPTP", Verdict: verdict, Reason: reason}, {ID: "gre", Title: "GRE", Verdict: probe.Passed}}}}
	}
	unnamed := row{router: netlab.Router{Name: "new", Expect: map[string]netlab.Expect{"gre": {Verdict: "passed"}}},
		rep: said(probe.Passed, "").rep}
	blamed := func(who report.Culprit) row {
		r := said(probe.BlockedBack, probe.NoPPTPHelper)
		r.rep.Protocols[0].Diagnosis = &report.Diagnosis{Culprit: who}
		return r
	}
	noTUN := row{router: router, err: fmt.Errorf("building: %w", netlab.ErrNoTUN)}
	tests := []struct {
		name     string
		row      row
		code, ci int
		text     string
	}{
		{"right", said(probe.BlockedBack, probe.NoPPTPHelper), 0, 0, "router  PPTP  GRE     seconds\nlinux   back  passed  0.0\n    PPTP: no-pptp-helper\n"},
		{"wrong-verdict", said(probe.Passed, ""), 3, 3,
			"linux   passed!  passed  0.0\n    PPTP WRONG: said passed, expected blocked-back no-pptp-helper\n"},
		{"wrong-reason", said(probe.BlockedBack, probe.NoReturn), 3, 3, "WRONG: said blocked-back no-return, expected blocked-back no-pptp-helper"},
		{"unnamed", unnamed, 3, 3, "PPTP WRONG: said passed, expected nothing: not in its table\n"},
		{"named", blamed(report.CulpritRouter), 0, 0, "1 of 1 culprits named where the evidence tells (100.0 %), 0 wrongly blamed\n"},
		{"not-named", blamed(report.CulpritUnknown), 0, 0, "0 of 1 culprits named where the evidence tells (0.0 %), 0 wrongly blamed\n"},
		{"slandered", blamed(report.CulpritISP), 3, 3, "linux   back!  passed  0.0\n    PPTP: no-pptp-helper\n    PPTP WRONG: blamed isp, it was router\n"},
		{"no-tun", noTUN, 0, 1, "not built: linux: "},
		{"broken", row{router: router, err: errors.New("no lab")}, 1, 1, "could not run: linux: no lab"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			var m matrix
			m.add(tt.row)
			if m.code(false) != tt.code || m.code(true) != tt.ci {
				t.Errorf("got status %d, and %d in CI, want %d and %d", m.code(false), m.code(true), tt.code, tt.ci)
			}
			var out strings.Builder
			m.print(&out, time.Second)
			if !strings.Contains(out.String(), tt.text) {
				t.Errorf("got %q, want %q in it", out.String(), tt.text)
			}
		})
	}
}

// Nine protocols that all fare differently still fit, and so does the longest of the routers' names.
func TestMatrixFits(t *testing.T) {
	r := row{router: netlab.Router{Expect: map[string]netlab.Expect{}}, took: 12 * time.Second}
	for _, router := range netlab.Routers() {
		if len(router.Name) > len(r.router.Name) {
			r.router.Name = router.Name
		}
	}
	for i, title := range []string{"PPTP", "GRE", "IKE", "NAT-T", "ESP", "AH", "L2TP", "ov-udp", "ov-tcp"} {
		r.rep.Protocols = append(r.rep.Protocols, report.Protocol{ID: strings.ToLower(title), Title: title, Verdict: probe.Altered,
			Reason: probe.Reason(fmt.Sprintf("udp-zero-checksum-dropped-%d", i))})
		if i%2 == 0 {
			r.router.Expect[strings.ToLower(title)] = netlab.Expect{Verdict: "altered", Reason: fmt.Sprintf("udp-zero-checksum-dropped-%d", i)}
		}
	}
	var m matrix
	m.add(r)
	var out strings.Builder
	m.print(&out, time.Second)
	for _, l := range strings.Split(out.String(), "\n") {
		if len(l) > matrixWidth {
			t.Errorf("%d columns, want %d at most: %q", len(l), matrixWidth, l)
		}
	}
}

func TestChoose(t *testing.T) {
	ids := func(probes []probe.Probe) string {
		var out []string
		for _, p := range probes {
			out = append(out, p.Info().ID)
		}
		return strings.Join(out, " ")
	}
	tests := []struct{ only, probes, along string }{
		{"", strings.Join(protocolIDs(), " "), ""},
		{"pptp", "pptp gre", "gre"},
		{" GRE", "gre", ""},
		{"gre,pptp", "pptp gre", ""},
	}
	for _, tt := range tests {
		var only []string
		if tt.only != "" {
			only = strings.Split(tt.only, ",")
		}
		probes, along, err := choose(only)
		if err != nil || ids(probes) != tt.probes || strings.Join(along, " ") != tt.along {
			t.Errorf("%q: got %q, along %q (%v), want %q, along %q", tt.only, ids(probes), along, err, tt.probes, tt.along)
		}
	}
}
