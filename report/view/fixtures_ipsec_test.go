package view

import (
	"cmp"
	"context"
	"fmt"
	"net/netip"
	"slices"
	"time"

	"vpncheck/probe"
	"vpncheck/probe/wire"
)

// An ipsec world has five more protocols, each of one stage and short conversations.
type ipsec struct {
	drop   []string // protocols that do not get out
	bare   bool     // UDP without a checksum does not get out
	held   string   // the protocol whose own port another device holds
	clash  []string // protocols whose place at the first address another device holds
	noLow  bool     // ports below 1024 cannot be opened
	modern bool     // six more
	moved  uint16   // the NAT's outside port instead of the laptop's own; 0 keeps it
}

// toy is a probe of one stage that every change of the payload kills.
type toy struct {
	info  probe.Info
	proto uint8
	tcp   uint16 // the server's port, of TCP
}

func (t toy) Info() probe.Info { return t.info }
func (toy) Observe(context.Context, *probe.Path) (probe.Observation, error) {
	return probe.Observation{}, nil
}

func (t toy) Changes(_ probe.Observation, e probe.Exchange) []probe.Change {
	out := probe.Compare(e, 0)
	for i, ch := range out {
		switch {
		case ch.Field == "payload":
			out[i].Kills = probe.PayloadAltered
		case t.info.ID == "ah" && ch.Field == "source address":
			out[i].Kills = probe.AHThroughNAT
		}
	}
	return out
}

func (t toy) Reason(o probe.Observation, _ probe.Stage, v probe.Verdict, _ probe.Circumstances) (probe.Reason, []probe.Evidence) {
	switch {
	case t.info.ID == "natt" && v == probe.BlockedOut && slices.ContainsFunc(o.Exchanges, func(e probe.Exchange) bool {
		return e.Part == "summed" && e.Returned.State == wire.Seen
	}):
		return probe.ZeroChecksum, nil
	case t.info.ID == "esp" && v == probe.BlockedOut:
		return probe.ESPOutDropped, nil
	case t.info.ID == "ah" && v == probe.BlockedOut:
		return probe.AHOutDropped, nil
	case t.tcp != 0 && v == probe.BlockedOut:
		return probe.TCPPortDropped, []probe.Evidence{{Reason: probe.EvPort, Args: map[string]any{"port": t.tcp, "over": "tcp"}}}
	}
	return "", nil
}

// toys are the five, with the forms that they are asked in: the first decides.
var toys = []toy{
	udp("ike", "IKE (UDP 500)", 500, probe.Part{ID: "own", Title: "IKEv2 from port 500"}, probe.Part{ID: "other", Title: "IKEv2 from another port", StandsIn: true},
		probe.Part{ID: "v1-from-500", Title: "IKEv1 from port 500"}),
	udp("natt", "NAT-T (UDP 4500)", 4500, probe.Part{ID: "bare", Title: "ESP in UDP from port 4500, checksum zero as real clients send it"}, probe.Part{ID: "summed", Title: "ESP in UDP from port 4500, with a checksum"}),
	portless("esp", "ESP", wire.IPProtoESP, wire.CarrierESP),
	portless("ah", "AH", wire.IPProtoAH, wire.CarrierAH),
	udp("l2tp", "L2TP without IPsec (UDP 1701)", 1701, probe.Part{ID: "own", Title: "from port 1701"}, probe.Part{ID: "other", Title: "from another port", StandsIn: true}),
}

func udp(id, title string, port uint16, parts ...probe.Part) toy {
	carrier := map[uint16]wire.Carrier{500: wire.CarrierIKE, 4500: wire.CarrierNATT, 1701: wire.CarrierL2TP}[port]
	return made(id, title, wire.IPProtoUDP, probe.Stage{ID: "talk", Title: "the talk on UDP " + fmt.Sprint(port), Carrier: carrier, Rounds: 4, Port: port}, parts)
}

func portless(id, title string, proto uint8, carrier wire.Carrier) toy {
	return made(id, title, proto, probe.Stage{ID: "talk", Title: "packets of " + title, Carrier: carrier, Rounds: 4},
		[]probe.Part{{ID: "first", Title: "to the first address"}, {ID: "second", Title: "to the second address", Second: true}})
}

func made(id, title string, proto uint8, stage probe.Stage, parts []probe.Part) toy {
	parts[0].Deciding = true
	return toy{probe.Info{ID: id, Title: title, Parts: parts, Stages: []probe.Stage{stage}, Carriers: []wire.Carrier{stage.Carrier}}, proto, 0}
}

// observe holds a toy's conversation in the world.
func (w world) observe(t toy) probe.Observation {
	o := probe.Observation{Protocol: t.info.ID, Parts: slices.Clone(t.info.Parts), Started: start, Ended: start.Add(9 * time.Second)}
	if t.proto != wire.IPProtoUDP && w.noRaw {
		o.Refused = refusal(fmt.Sprintf("opening a raw socket for IP protocol %d: operation not permitted", t.proto))
		return o
	}
	for i, part := range t.info.Parts {
		switch port := t.info.Stages[0].Port; {
		case t.proto == wire.IPProtoUDP && w.ipsec.noLow && part.ID != "other" && port < 4500:
			o.Parts[i].Refused = refusal(fmt.Sprintf("opening UDP port %d: permission denied", port))
		case part.Second && !slices.Contains(w.ipsec.clash, t.info.ID):
		default:
			o.Exchanges = append(o.Exchanges, w.talk(t, part, i)...)
		}
	}
	return o
}

func refusal(why string) *probe.Refusal {
	return &probe.Refusal{Reason: probe.NoPrivilege, Why: why, Hint: "sudo setcap cap_net_raw,cap_net_bind_service+ep ./vpncheck"}
}

func (w world) lost(t toy, part probe.Part) bool {
	return w.udpFiltered && t.proto == wire.IPProtoUDP || slices.Contains(w.ipsec.drop, t.info.ID) || w.ipsec.bare && part.ID == "bare" ||
		w.ipsec.held == t.info.ID && part.ID != "other" || slices.Contains(w.ipsec.clash, t.info.ID) && !part.Second
}

// talk is a part's conversation: four rounds, or six tries.
func (w world) talk(t toy, part probe.Part, n int) (out []probe.Exchange) {
	rounds, every := 4, 150*time.Millisecond
	lost := w.lost(t, part)
	if lost {
		rounds, every = 6, 600*time.Millisecond
	}
	for i := range rounds {
		at := time.Second + time.Duration(i)*every
		e := probe.Exchange{ID: id(t.info.ID, n*100+i), Part: part.ID, Stage: "talk", Flow: 1, From: probe.Client,
			Sent: w.packet(t, part, false, true, at), Arrived: w.packet(t, part, true, true, at+10*time.Millisecond),
			Replied: w.packet(t, part, true, false, at+11*time.Millisecond), Returned: w.packet(t, part, false, false, at+21*time.Millisecond)}
		if lost {
			e.Arrived, e.Replied, e.Returned = wire.NotSeen(), wire.NotSeen(), wire.NotSeen()
		}
		out = append(out, e)
	}
	return out
}

// packet is a question or an answer, as one end sees it.
func (w world) packet(t toy, part probe.Part, far, question bool, at time.Duration) wire.Sighting {
	port := cmp.Or(t.info.Stages[0].Port, t.tcp)
	own, sum, ttl := port, uint16(0x2b1d), uint8(64)
	if part.ID == "other" || t.tcp != 0 {
		own = 40217
	}
	here, there := netip.AddrPortFrom(laptop, own), netip.AddrPortFrom(server, port)
	if far {
		here = netip.AddrPortFrom(w.source(), own)
		if w.nat {
			sum = 0x8e70
		}
		if own != 0 && w.ipsec.moved != 0 {
			here = netip.AddrPortFrom(here.Addr(), w.ipsec.moved)
		}
	}
	if part.ID == "bare" {
		sum = 0
	}
	if far == question {
		ttl = 62
	}
	s := wire.Sighting{State: wire.Seen, At: start.Add(at), Where: "raw", Proto: t.proto, Src: here, Dst: there, TTL: &ttl, Bytes: []byte{1, 2, 3, 4, 5, 6, 7, 8}}
	if !question {
		s.Src, s.Dst = there, here
	}
	if t.proto == wire.IPProtoUDP {
		s.Where, s.Checksum = "udp", &sum
	}
	if t.tcp != 0 {
		s.Where, s.TTL = "tcp", nil
	}
	return s
}

// ipsecWorlds are golden files with seven protocols.
var ipsecWorlds = map[string]world{
	"seven":              {nat: true, helper: true, ipsec: &ipsec{}},
	"seven-no-nat":       {ipsec: &ipsec{drop: []string{"esp"}}},
	"seven-no-helper":    {nat: true, v1Back: true, ipsec: &ipsec{moved: 61007}},
	"seven-ipsec-off":    {nat: true, helper: true, ipsec: &ipsec{drop: []string{"ike", "esp", "ah"}}},
	"seven-natt-out":     {nat: true, helper: true, ipsec: &ipsec{drop: []string{"natt", "l2tp"}}},
	"seven-checksum0":    {nat: true, helper: true, ipsec: &ipsec{bare: true}},
	"seven-port-clash":   {nat: true, helper: true, ipsec: &ipsec{held: "ike"}},
	"seven-state-clash":  {nat: true, helper: true, ipsec: &ipsec{clash: []string{"esp", "ah"}}},
	"seven-no-privilege": {nat: true, helper: true, noRaw: true, ipsec: &ipsec{noLow: true}},
	"seven-udp-filtered": {nat: true, helper: true, udpFiltered: true, ipsec: &ipsec{}},
}
