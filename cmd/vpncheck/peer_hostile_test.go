package main

import (
	"strings"
	"testing"

	"vpncheck/probe"
	"vpncheck/probe/wire"
	"vpncheck/report"
)

// What another server says of itself goes to this one's terminal and log: it is cleaned, and short.
func TestHostilePeerSays(t *testing.T) {
	nasty := "\x1b[2J\u202e\u009b31m" + strings.Repeat("x", 5000) + "\nvpncheck: error: this server is broken"
	probes, _, _ := choose(nil)
	answered := probe.Exchange{Stage: probes[0].Info().Stages[0].ID, From: probe.Client, Returned: wire.Sighting{State: wire.Seen}}
	proof := &wire.Proof{}
	ready := probe.Result{Observations: make([]probe.Observation, len(probes))}
	ready.Observations[0].Exchanges = []probe.Exchange{answered}
	var unready []wire.CarrierState
	for _, p := range probes[1:] {
		for _, c := range p.Info().Carriers {
			unready = append(unready, wire.CarrierState{Carrier: c, Why: nasty + string(c)})
		}
	}
	ready.Circumstances.Server = probe.ServerFacts{Host: "peer.example", Carriers: append(unready, wire.CarrierState{
		Carrier: probes[0].Info().Stages[0].Carrier, Ready: true, Proof: proof,
	})}
	refused := probe.Result{Observations: make([]probe.Observation, len(probes)), Findings: make([]probe.Finding, len(probes))}
	refused.Circumstances.NoSession = &probe.NoSessionFacts{Reason: probe.Reason(nasty), Args: map[string]any{"why": nasty}}
	lost := probe.Result{Observations: make([]probe.Observation, len(probes)), Findings: make([]probe.Finding, len(probes))}
	lost.Circumstances.Stop = &probe.Stop{Reason: probe.SessionLost, Args: map[string]any{"why": nasty}}
	for name, r := range map[string]probe.Result{"unready": ready, "refused": refused, "lost": lost} {
		says := outcomeOf(r, probes).says
		if says == "" || len(says) > maxSays+len("...") || report.Clean(says, len(says)) != says {
			t.Errorf("%s: got %d octets: %.300q", name, len(says), says)
		}
	}
}
