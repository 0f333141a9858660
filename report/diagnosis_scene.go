package report

import (
	"net/netip"
	"regexp"
	"slices"
	"strings"

	"vpncheck/probe"
	"vpncheck/probe/wire"
	"vpncheck/probe/witness"
)

// A scene is what the rules look at: a finding, the exchanges that it was counted from, and what stands around them.
type scene struct {
	info  probe.Info
	f     probe.Finding
	o     probe.Observation
	c     probe.Circumstances
	stage probe.Stage      // that decided
	tries []probe.Exchange // that the verdict was counted from
	tally []probe.Evidence // the finding's own count of them: one, or none
	nats  NATs
}

func sceneOf(info probe.Info, f probe.Finding, o probe.Observation, c probe.Circumstances) scene {
	s := scene{info: info, f: f, o: o, c: c, nats: findNATs(c, []probe.Observation{o}, f.Reason)}
	for _, stage := range info.Stages {
		if stage.ID == f.Stage {
			s.stage = stage
		}
	}
	for _, e := range f.Because {
		if e.Reason == probe.EvTries {
			s.tally = []probe.Evidence{e} // the last one is that of the stage that decided
		}
	}
	for _, t := range s.tally {
		for _, e := range o.Exchanges {
			if slices.Contains(t.Exchanges, e.ID) {
				s.tries = append(s.tries, e)
			}
		}
	}
	return s
}

// about are the args of every diagnosis: what its sentence is about.
func (s scene) about() args {
	a := args{"title": name(s.info.Title), "packets": s.packets(), "verdict": string(s.f.Verdict)}
	for _, t := range s.tally {
		for _, key := range []string{"tries", "arrived", "replied", "returned"} {
			if n, ok := args(t.Args).number(key); ok {
				a[key] = int(n)
			}
		}
	}
	if r := RouterName(s.c); r != "" {
		a["router"] = r
	}
	if s.nats.Kind == kindCGNAT {
		a["shared"] = true
	}
	if s.f.Reason == probe.FullSizeDropped {
		a["full_size"] = true
	}
	return a
}

// packets is what a help desk calls them.
func (s scene) packets() string {
	if s.f.Reason == probe.ZeroChecksum {
		return name(s.info.Title) + " packets without a checksum (" + carriers[s.stage.Carrier] + ")"
	}
	switch s.stage.Carrier {
	case wire.CarrierPPTP:
		return "PPTP packets (TCP port 1723)"
	case wire.CarrierSSTP:
		return "SSTP packets (TCP port 443)"
	case wire.CarrierGREv1:
		return "PPTP data packets (GRE)"
	case wire.CarrierGRE:
		return "plain GRE packets"
	case wire.CarrierIKE, wire.CarrierNATT, wire.CarrierL2TP, wire.CarrierOpenVPNUDP, wire.CarrierOpenVPNTCP, wire.CarrierWireGuard:
		return name(s.info.Title) + " packets (" + carriers[s.stage.Carrier] + ")"
	}
	return name(s.info.Title) + " packets"
}

// nothingArrived says that the server saw none of it, whatever that proves.
func (s scene) nothingArrived() bool {
	return s.f.Verdict == probe.BlockedOut || s.f.Verdict == probe.Inconclusive && s.f.Reason == probe.ServerUnproven
}

// suspects are those who may have done it, nearest first.
func (s scene) suspects(all ...Culprit) []Culprit {
	if len(all) == 0 {
		all = []Culprit{CulpritRouter, CulpritISP}
		if s.f.Verdict == probe.BlockedBack && !s.card() {
			all = slices.Insert(all, 0, CulpritLaptop)
		}
		if s.f.Reason == probe.TCP1723Dropped && !s.left() {
			all = slices.Insert(all, 0, CulpritLaptop)
		}
		if s.f.Reason == probe.HTTPRefused {
			all = slices.Insert(all, 0, CulpritLaptop) // security software on it may be that proxy
		}
	}
	at := slices.Index(all, CulpritISP)
	if s.nats.second() && at >= 0 && !slices.Contains(all, CulpritSecondNAT) {
		all = slices.Insert(slices.Clone(all), at, CulpritSecondNAT)
	}
	return all
}

// left says that packets of the protocol were seen beyond the laptop: a router answered some. A firewall that drops the first packet of a TCP
// connection tells nobody, not even who sends it (F21).
func (s scene) left() bool {
	return slices.ContainsFunc(s.o.Hops, func(h probe.Hop) bool { return !h.Control && (len(h.Answers) > 0 || h.Arrived > 0) })
}

// card says that an answer that came as far as the laptop's network card would have been seen there.
func (s scene) card() bool {
	return s.o.Card && !s.stage.Carrier.TCP()
}

// nothingCrossed says of a TTL, as it arrived, that the packet crossed no router: it still is what systems begin with. A TTL of zero is not
// known.
func nothingCrossed(ttl uint8) bool { return ttl == 64 || ttl == 128 || ttl == 255 }

// ttlTells says that TTLs tell how near a sender is: not if the server's own answers come as if they had crossed no router, which a NAT that
// makes every packet anew (that of a virtual machine) does.
func (s scene) ttlTells() bool {
	return !slices.ContainsFunc(s.o.Exchanges, func(e probe.Exchange) bool {
		return e.Returned.State == wire.Seen && e.Returned.TTL != nil && nothingCrossed(*e.Returned.TTL)
	})
}

// hopsOut is how many routers the client's packets crossed to the server; false if that is not known, or differs.
func (s scene) hopsOut() (int, bool) {
	hops := -1
	for _, e := range s.tries {
		if e.Sent.TTL == nil || e.Arrived.TTL == nil || e.Arrived.State != wire.Seen {
			continue
		}
		n := int(*e.Sent.TTL) - int(*e.Arrived.TTL)
		if n < 0 || hops >= 0 && n != hops {
			return 0, false
		}
		hops = n
	}
	return hops, hops >= 0
}

// crossed is how many routers a packet crossed that arrived with this TTL, if its system began with a usual one.
func crossed(ttl uint8) (int, bool) {
	for _, first := range []int{64, 128, 255} {
		if n := first - int(ttl); n >= 0 {
			return n, ttl > 0 && n < maxHops
		}
	}
	return 0, false
}

// sources are the addresses that the server sees this laptop under.
func (s scene) sources() []netip.Addr {
	out := []netip.Addr{s.c.Server.Client.Addr().Unmap()}
	for _, e := range s.tries {
		if a := e.Arrived.Src.Addr().Unmap(); e.Arrived.State == wire.Seen && !slices.Contains(out, a) {
			out = append(out, a)
		}
	}
	return out
}

// near says whether an address is in the server's own neighbourhood: its provider's, as like as not.
func (s scene) near(a netip.Addr) bool {
	server := s.c.Server.Address.Unmap()
	bits := 24
	if server.Is6() {
		bits = 48
	}
	p, err := server.Prefix(bits)
	return err == nil && p.Contains(a.Unmap())
}

// few is how many ICMP errors say something: one alone may be about anything.
const few = 2

// unreachable are the errors of a list that say that a packet was not let through (RFC 792, type 3). Too big (code 4) is no refusal.
func unreachable(list []wire.ICMPSighting) (out []wire.ICMPSighting) {
	for _, i := range list {
		if i.Type == wire.ICMPUnreachable && i.Code != 4 {
			out = append(out, i)
		}
	}
	return out
}

// refusals are the errors that came to one end about exchanges.
func refusals(es []probe.Exchange, of func(probe.Exchange) []wire.ICMPSighting) (out []wire.ICMPSighting) {
	for _, e := range es {
		out = append(out, unreachable(of(e))...)
	}
	return out
}

func atClient(e probe.Exchange) []wire.ICMPSighting { return e.ICMPAtClient }

func atServer(e probe.Exchange) []wire.ICMPSighting { return e.ICMPAtServer }

// sameStage are the questions of the stage that decided, in whatever form, that were lost as well.
func (s scene) sameStage() (out []probe.Exchange) {
	for _, e := range s.o.Exchanges {
		if e.Stage == s.f.Stage && e.From == probe.Client && e.Arrived.State != wire.Seen && e.Returned.State != wire.Seen {
			out = append(out, e)
		}
	}
	return out
}

// icmpNote tells of the errors that one end heard about some of the exchanges. Their TTL is told where all have the same, and it is known.
func icmpNote(list []wire.ICMPSighting, about []probe.Exchange, of func(probe.Exchange) []wire.ICMPSighting, at string, forged bool) probe.Evidence {
	a := map[string]any{
		"from": list[0].From.Unmap().String(), "type": int(list[0].Type), "code": int(list[0].Code), "count": len(list), "at": at, "forged": forged,
	}
	ttl := list[0].TTL
	if ttl > 0 && !slices.ContainsFunc(list, func(i wire.ICMPSighting) bool { return i.TTL != ttl }) {
		a["ttl"] = int(ttl)
	}
	return probe.Evidence{Reason: probe.EvICMP, Args: a, Exchanges: ids(about, func(e probe.Exchange) bool { return len(unreachable(of(e))) > 0 })}
}

// ids are those of the exchanges that a piece of evidence was counted from.
func ids(es []probe.Exchange, counted func(probe.Exchange) bool) (out []string) {
	for _, e := range es {
		if counted(e) {
			out = append(out, e.ID)
		}
	}
	return out
}

// A share is how much of a train a counter counted.
type share int

const (
	unclear share = iota
	none          // hardly any
	all           // about all
)

// minTrain is the least number of packets that stands out from what else a router sends.
const minTrain = 20

func shareOf(counted, sent int) share {
	switch {
	case sent < minTrain:
		return unclear
	case 5*counted <= sent:
		return none
	case 5*counted >= 4*sent && counted <= 2*sent:
		return all
	}
	return unclear
}

// A train is probe.Train with its counts; the zero train says nothing.
type train struct {
	probe.Train
	out, back int
	counted   bool
}

func trainOf(o probe.Observation) train {
	if o.Train == nil {
		return train{}
	}
	t := train{Train: *o.Train}
	t.out, t.back, t.counted = t.Counted()
	return t
}

// left says how much of what was sent the router's own counter counted on its way out.
func (t train) left() share {
	if !t.counted {
		return unclear
	}
	return shareOf(t.out, t.Sent)
}

// cameBack says the same of the server's answers on their way in.
func (t train) cameBack() share {
	if !t.counted {
		return unclear
	}
	return shareOf(t.back, t.Replied)
}

var plainName = regexp.MustCompile(`^[A-Za-z][A-Za-z0-9 .!+_/()-]{2,39}$`)

// gateway is what the laptop's own gateway says of itself; nil if it says nothing, or if another device was asked.
func gateway(c probe.Circumstances) *witness.Router {
	r := c.Router
	if r == nil || !r.Looked || r.Address.IsValid() && c.Laptop.Gateway.IsValid() && r.Address.Unmap() != c.Laptop.Gateway.Unmap() {
		return nil
	}
	return r
}

// RouterName is what the router calls itself, "FRITZ!Box 7590", if that looks like a name. It is the router's own word, and stands in
// sentences.
func RouterName(c probe.Circumstances) string {
	r := gateway(c)
	if r == nil {
		return ""
	}
	maker, _, _ := strings.Cut(strings.TrimSpace(r.Maker), " ")
	model, number := strings.TrimSpace(r.Model), strings.TrimSpace(r.Number)
	if len(number) > 3 && !digits(model) && digits(number) {
		model += " " + number
	}
	if !plainName.MatchString(model) || generic(model) {
		return ""
	}
	if !strings.Contains(model, " ") && plainName.MatchString(maker) && !strings.HasPrefix(strings.ToLower(model), strings.ToLower(maker)) {
		model = maker + " " + model
	}
	return model
}

func digits(s string) bool { return strings.ContainsAny(s, "0123456789") }

// generic says of a model that it names a program or a standard, as many routers do.
func generic(model string) bool {
	m := strings.ToLower(model)
	return slices.ContainsFunc([]string{"miniupnp", "gateway", "igd", "upnp", "router", "linux", "windows"}, func(word string) bool { return strings.Contains(m, word) })
}
