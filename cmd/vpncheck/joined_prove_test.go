package main

import (
	"errors"
	"net/netip"
	"strings"
	"syscall"
	"testing"

	"vpncheck/probe"
	"vpncheck/probe/sock"
	"vpncheck/probe/wire"
	"vpncheck/report"
	"vpncheck/report/view"
)

// proveFrom comes only to show that packets arrive, and returns what is said of it, and the exit status.
func (j *joined) proveFrom(from *sock.FakeHost, change func(*probe.Config)) (said string, code int) {
	j.Helper()
	cfg := probe.Config{Net: from, Host: j.cs.Host, Access: j.cs.Access, Pin: j.cs.Pin, Build: "test", Prove: true}
	if change != nil {
		change(&cfg)
	}
	r := probe.Run(j.Context(), probe.Open(j.Context(), cfg), allProbes(), nil)
	var out strings.Builder
	err := tellProof(&out, view.Options{Width: 1000}, report.New(r, allProbes(), report.Tool{}), r, allProbes())
	var f *failure
	if errors.As(err, &f) {
		code = f.code
	} else if err != nil {
		j.Fatal(err)
	}
	return out.String(), code
}

// What was proved, what could not be sent, and what did not arrive are three different things.
func TestJoinedProve(t *testing.T) {
	t.Parallel()
	noESP := func(p sock.FakePacket) []sock.FakePacket {
		if p.Proto == wire.IPProtoESP {
			return nil
		}
		return nat(always)(p)
	}
	const all = "Proved: UDP control, TCP 1723 (PPTP), GRE (IP protocol 47), UDP 500 (IKE), UDP 4500 (NAT-T), ESP (IP protocol 50), AH (IP protocol 51), UDP 1701 (L2TP), TCP 443 (SSTP), UDP 1194 (OpenVPN), TCP 1194 (OpenVPN) and UDP 51820 (WireGuard) reach 198.51.100.10.\n"
	for _, c := range []struct {
		name  string
		route func(sock.FakePacket) []sock.FakePacket
		deny  map[string]error
		cfg   func(*probe.Config)
		want  []string
		code  int
	}{
		{"all", nat(always), nil, nil, []string{all}, 0},
		{"through-a-vpn", nat(always), nil, func(cfg *probe.Config) {
			cfg.Look = func(netip.Addr) probe.LaptopFacts { return probe.LaptopFacts{VPN: "wg0"} }
		}, []string{all}, 0},
		{"unprivileged", nat(always), map[string]error{"raw": syscall.EPERM}, nil, []string{
			"Proved: UDP control, TCP 1723 (PPTP), UDP 500 (IKE), UDP 4500 (NAT-T), UDP 1701 (L2TP), TCP 443 (SSTP), UDP 1194 (OpenVPN), TCP 1194 (OpenVPN) and UDP 51820 (WireGuard) reach",
			"Could not be sent from here: GRE (IP protocol 47), ESP (IP protocol 50) and AH (IP protocol 51): raw sockets are not allowed here.\n  run with sudo"}, 0},
		{"on-link", nat(always), nil, func(cfg *probe.Config) {
			cfg.Look = func(netip.Addr) probe.LaptopFacts { return probe.LaptopFacts{OnLink: true} }
		}, []string{"No check was possible: "}, exitUndecided},
		{"no-esp", noESP, nil, nil, []string{"Proved: UDP control, ", "Sent, and not seen to arrive: ESP (IP protocol 50). "}, exitUndecided},
		{"server-drops-ah", nat(always), nil, func(cfg *probe.Config) {}, []string{"Proved: ", "and to no program there: AH (IP protocol 51). "}, exitUndecided},
		{"no-session", nat(always), nil, func(cfg *probe.Config) { cfg.Pin[0] ^= 1 }, []string{"another key"}, exitUndecided},
	} {
		t.Run(c.name, func(t *testing.T) {
			join(t, c.route, func(j *joined) {
				j.laptop.Deny = c.deny
				if c.name == "server-drops-ah" {
					j.server.Input = func(p sock.FakePacket) bool { return p.Proto != wire.IPProtoAH }
				}
				said, code := j.proveFrom(j.laptop, c.cfg)
				for _, want := range c.want {
					if !strings.Contains(said, want) {
						t.Errorf("got %q, want %q in it", said, want)
					}
				}
				if code != c.code || strings.Count(said, "\n") > 5 && c.name != "no-session" {
					t.Errorf("got exit status %d, want %d:\n%s", code, c.code, said)
				}
				t.Log(said)
			})
		})
	}
}

// A carrier that the server does not listen for, and one whose arrival it does not count, are neither proved nor this computer's doing.
func TestTellProof(t *testing.T) {
	seen := wire.Sighting{State: wire.Seen}
	r := probe.Result{Observations: []probe.Observation{
		{Protocol: "gre", Exchanges: []probe.Exchange{{Stage: "echo", From: probe.Client, Sent: seen, Arrived: seen}}},
		{Protocol: "ah", Refused: &probe.Refusal{Reason: probe.ServerNotListening}},
	}}
	r.Circumstances.Server = probe.ServerFacts{Host: "vpn.example.com", Carriers: []wire.CarrierState{
		{Carrier: wire.CarrierGRE, Ready: true}, {Carrier: wire.CarrierAH, Why: "IP protocol 51 is held"}, {Carrier: wire.CarrierESP, Ready: true},
	}}
	probes := []probe.Probe{probe.GRE{}, probe.AH{}}
	var out strings.Builder
	tellProof(&out, view.Options{Width: 1000}, report.New(r, probes, report.Tool{}), r, probes)
	for _, want := range []string{"Nothing was proved", "Arrived, but proves nothing now: GRE (IP protocol 47).", "does not listen for AH (IP protocol 51): IP protocol 51 is held."} {
		if !strings.Contains(out.String(), want) {
			t.Errorf("got %q, want %q in it", out.String(), want)
		}
	}
	if strings.Contains(out.String(), "ESP") {
		t.Errorf("got %q, want nothing of what nobody asked", out.String())
	}
}
