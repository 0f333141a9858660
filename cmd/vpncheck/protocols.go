package main

import (
	"strings"

	"vpncheck/probe"
	"vpncheck/testserver"
)

// protocols is the one table that pairs each probe with the responder that answers it, in the order in which they are shown.
var protocols = []struct {
	probe     probe.Probe
	responder func() testserver.Responder
}{
	{probe.PPTP{}, testserver.PPTP},
	{probe.GRE{}, testserver.GRE},
	{probe.IKE{}, testserver.IKE},
	{probe.NATT{}, testserver.NATT},
	{probe.ESP{}, testserver.ESP},
	{probe.AH{}, testserver.AH},
	{probe.L2TP{}, testserver.L2TP},
	{probe.IKEv2(), nil}, // answered by those of IKE and NAT-T
	{probe.L2TPIPsec(), nil},
	{probe.SSTP{}, testserver.SSTP},
	{probe.OpenVPNUDP{}, testserver.OpenVPNUDP},
	{probe.OpenVPNTCP{}, testserver.OpenVPNTCP},
	{probe.WireGuard{}, testserver.WireGuard},
}

// responders are those of all protocols that have one of their own.
func responders() (out []testserver.Responder) {
	for _, p := range protocols {
		if p.responder != nil {
			out = append(out, p.responder())
		}
	}
	return out
}

func protocolIDs() []string {
	var ids []string
	for _, p := range protocols {
		ids = append(ids, p.probe.Info().ID)
	}
	return ids
}

// choose returns the probes of --only, all if it is empty, in the order of the table. Along are those that nobody named, but that a named
// one's reason needs.
func choose(only []string) (probes []probe.Probe, along []string, err error) {
	wanted := make(map[string]bool)
	for _, id := range only {
		wanted[strings.ToLower(strings.TrimSpace(id))] = false
	}
	for _, p := range protocols {
		if _, ok := wanted[p.probe.Info().ID]; ok {
			wanted[p.probe.Info().ID] = true
		}
	}
	for id, known := range wanted {
		if !known {
			return nil, nil, wrongUsage("the known ones are "+strings.Join(protocolIDs(), ", "), "--only: there is no protocol %.40q", id)
		}
	}
	needed := make(map[string]bool)
	for _, p := range protocols {
		if info := p.probe.Info(); wanted[info.ID] {
			for _, id := range info.With {
				needed[id] = true
			}
		}
	}
	for _, p := range protocols {
		id := p.probe.Info().ID
		if len(only) > 0 && !wanted[id] && !needed[id] {
			continue
		}
		probes = append(probes, p.probe)
		if len(only) > 0 && !wanted[id] {
			along = append(along, id)
		}
	}
	return probes, along, nil
}
