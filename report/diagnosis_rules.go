package report

import (
	"maps"
	"net/netip"
	"slices"

	"vpncheck/probe"
	"vpncheck/probe/wire"
)

// A charge is what a rule found: the reason, which has its culprit in the table of accusations, and what it rests on, in order of weight.
type charge struct {
	reason     probe.Reason
	confidence Confidence
	suspects   []Culprit // where the reason's culprit is unknown
	args       args
	evidence   []probe.Evidence
}

// A rule says who did it if it finds the evidence that it needs, and else nothing. It may fall silent; it must not guess.
type rule struct {
	needs string
	finds func(scene) (charge, bool)
}

// rules are asked in this order: what was seen before what was counted, what was counted before what was concluded. The last one always
// answers.
var rules = []rule{
	{"the laptop's system refused to send every one of the packets", laptopRefused},
	{"most of the answers at the laptop's network card, and none at the program", laptopDropped},
	{"most of the packets at the server's network card, and none at the program", serverDropped},
	{"AH arrived through a NAT", ahBehindNAT},
	{"packets at the server with the laptop's own private address", untranslated},
	{"nothing arrived, and two or more ICMP errors at the laptop", refusedOut},
	{"answers lost, and two or more ICMP errors at the server", refusedBack},
	{"answers in the server's name that are not the server's", answeredByAnother},
	{"nothing arrived from anyone, and a provider of the server's whose network is known not to carry it", cloudDropped},
	{"a train with the router's own counts of it", counted},
	{"nothing arrived, and an answer from the second router or a later one to this protocol's packets with a limited TTL", crossedRouter},
	{"PPTP's call numbers, translated or not", pptpHelper},
	{"the data of a protocol from another address than its set-up", addressesDiffer},
	{"answers lost, and a forwarding in the router of the very port that they come to", forwarded},
	{"nothing arrived, and nothing of the kind from anyone", unproven},
	{"nothing", undecidedWho},
}

func laptopRefused(s scene) (charge, bool) {
	at := slices.IndexFunc(s.f.Because, func(e probe.Evidence) bool { return e.Reason == probe.EvSendErr })
	if s.f.Verdict != probe.BlockedOut || at < 0 {
		return charge{}, false
	}
	return charge{reason: laptopRefuses, confidence: Certain, evidence: s.f.Because[at : at+1]}, true
}

func laptopDropped(s scene) (charge, bool) {
	dropped := ids(s.tries, func(e probe.Exchange) bool { return e.AtNIC != nil && e.Returned.State != wire.Seen })
	n := len(dropped)
	if s.f.Reason != probe.LaptopDropsAnswers {
		return charge{}, false
	}
	seen := probe.Evidence{Reason: probe.EvAtNIC, Args: map[string]any{"count": n, "tries": len(s.tries)}, Exchanges: dropped}
	return charge{reason: laptopDrops, confidence: Certain, args: args{"count": n}, evidence: []probe.Evidence{seen}}, true
}

func serverDropped(s scene) (charge, bool) {
	if s.f.Reason != probe.ServerFirewall {
		return charge{}, false
	}
	silent := ids(s.tries, func(e probe.Exchange) bool { return e.Silent == wire.SilentFirewall })
	n := len(silent)
	seen := probe.Evidence{Reason: probe.EvSilent, Args: map[string]any{"why": wire.SilentFirewall, "count": n}, Exchanges: silent}
	return charge{reason: serverDrops, confidence: Certain, args: args{"count": n}, evidence: append([]probe.Evidence{seen}, s.owners()...)}, true
}

// owners are what else at the server takes this carrier's packets (F26).
func (s scene) owners() (out []probe.Evidence) {
	for _, owner := range s.c.Server.Carrier(s.stage.Carrier).Owners {
		out = append(out, probe.Evidence{Reason: probe.EvOwner, Args: map[string]any{"carrier": string(s.stage.Carrier), "owner": owner}})
	}
	return out
}

func ahBehindNAT(s scene) (charge, bool) {
	if s.f.Reason != probe.AHThroughNAT {
		return charge{}, false
	}
	return charge{reason: ahAndNAT, confidence: Certain, evidence: []probe.Evidence{s.nats.note()}}, true
}

// untranslated: the router let packets out as they were (F48, F49), and no answer finds its way back.
func untranslated(s scene) (charge, bool) {
	local := s.nats.Local
	if s.f.Verdict != probe.BlockedBack || !inner(local) || s.nats.Kind == kindNone || inner(s.nats.Seen) {
		return charge{}, false
	}
	arrived, raw := 0, 0
	for _, e := range s.tries {
		if e.Arrived.State == wire.Seen {
			if arrived++; e.Arrived.Src.Addr().Unmap() == local {
				raw++
			}
		}
	}
	if raw == 0 || raw < arrived {
		return charge{}, false
	}
	return charge{reason: leaked, confidence: Certain, args: args{"from": local.String()}}, true
}

// refusedOut: who refuses is told by the sender's address, as far as its TTL does not show it to be forged (T17). The server's own refusals come
// with packets that its network card saw, and those are serverDropped's.
func refusedOut(s scene) (charge, bool) {
	asked := s.tries
	list := refusals(asked, atClient)
	if len(list) < few {
		asked = s.sameStage()
		list = refusals(asked, atClient) // routers tell one refusal a second, and the others are of other forms
	}
	if len(list) < few || !s.nothingArrived() {
		return charge{}, false
	}
	from := list[0].From.Unmap()
	if slices.ContainsFunc(list, func(i wire.ICMPSighting) bool { return i.From.Unmap() != from }) {
		return charge{}, false // refused by several, or by one with several names
	}
	crossedNone := s.ttlTells() && !slices.ContainsFunc(list, func(i wire.ICMPSighting) bool { return !nothingCrossed(i.TTL) })
	isServer := from == s.c.Server.Address.Unmap()
	ch := charge{args: args{"from": from.String(), "count": len(list), "tries": len(asked), "says": icmpSays(int(list[0].Type), int(list[0].Code))}}
	ch.evidence = []probe.Evidence{icmpNote(list, asked, atClient, "client", isServer && crossedNone)}
	switch {
	case from == s.nats.Local:
		ch.reason, ch.confidence = refusedByLaptop, Certain
	case isServer && crossedNone:
		ch.reason, ch.confidence = refusedNearby, Likely
	case isServer && s.c.Server.Carrier(s.stage.Carrier).NIC:
		ch.reason, ch.suspects = refusedSomewhere, s.suspects()
	case isServer:
		ch.reason, ch.suspects = refusedSomewhere, s.suspects(CulpritRouter, CulpritISP, CulpritServer)
	case s.firstHop(from) || inner(from) && crossedNone:
		ch.reason, ch.confidence = refusedByRouter, Certain
	case crossedNone:
		ch.reason, ch.confidence = refusedByRouter, Likely
	case slices.Contains(s.sources(), from):
		ch.reason, ch.suspects = refusedSomewhere, []Culprit{CulpritRouter, CulpritSecondNAT}
	case inner(from):
		ch.reason, ch.suspects = refusedSomewhere, []Culprit{CulpritRouter, CulpritSecondNAT, CulpritISP}
	case s.near(from):
		ch.reason, ch.suspects = refusedSomewhere, []Culprit{CulpritISP, CulpritServer}
	default:
		ch.reason, ch.confidence = refusedByISP, Likely
	}
	return ch, true
}

// firstHop says whether an address is the gateway's, or that of the first router on the way.
func (s scene) firstHop(a netip.Addr) bool {
	return a == s.c.Laptop.Gateway.Unmap() || len(s.nats.Hops) > 0 && a == s.nats.Hops[0]
}

// refusedBack: the server's answers came as far as the one who refused them. One in the laptop's name is told from the others by the routers
// that its ICMP error crossed: the place of its sender on the way is the client's hops less those.
func refusedBack(s scene) (charge, bool) {
	list := refusals(s.tries, atServer)
	if len(list) < few || s.f.Verdict != probe.BlockedBack {
		return charge{}, false
	}
	from := list[0].From.Unmap()
	place, known := s.place(list)
	ch := charge{args: args{"from": from.String(), "count": len(list), "says": icmpSays(int(list[0].Type), int(list[0].Code))}}
	ch.evidence = []probe.Evidence{icmpNote(list, s.tries, atServer, "server", false)}
	atNIC := slices.ContainsFunc(s.tries, func(e probe.Exchange) bool { return e.AtNIC != nil })
	switch {
	case slices.ContainsFunc(list, func(i wire.ICMPSighting) bool { return i.From.Unmap() != from }):
		return charge{}, false
	case !slices.Contains(s.sources(), from):
		if inner(from) || s.near(from) || from == s.c.Server.Own.Unmap() {
			return charge{}, false
		}
		ch.reason, ch.confidence = refusedBackByISP, Likely
	case !known || atNIC && place > 0:
		return charge{}, false
	case place == 0:
		ch.reason, ch.confidence = laptopRefusesAnswers, Likely
		if atNIC {
			ch.confidence = Certain
		}
	case place == 1:
		ch.reason, ch.confidence = noMappingInRouter, Certain
	case s.nats.Kind == kindOne && s.nats.Confidence == Certain:
		return charge{}, false // there is nobody there who could speak in that name
	default:
		ch.reason, ch.confidence = noMappingInSecondNAT, Likely
	}
	ch.evidence = append(ch.evidence, s.callID()...)
	return ch, true
}

// place is where on the way the sender of ICMP errors stands: 0 is the laptop, 1 the first router. All must agree.
func (s scene) place(list []wire.ICMPSighting) (int, bool) {
	hops, known := s.hopsOut()
	place := -1
	for _, i := range list {
		n, ok := crossed(i.TTL)
		if p := hops - n; !known || !ok || p < 0 || place >= 0 && p != place {
			return 0, false
		} else {
			place = p
		}
	}
	return place, place >= 0
}

// callID is what the finding says of PPTP's call numbers.
func (s scene) callID() (out []probe.Evidence) {
	for _, e := range s.f.Because {
		if e.Reason == probe.EvCallID {
			out = append(out, e)
		}
	}
	return out
}

func answeredByAnother(s scene) (charge, bool) {
	if s.f.Verdict != probe.Hijacked {
		return charge{}, false
	}
	tells, near := s.ttlTells(), 0
	for _, x := range s.o.Strangers {
		if x.TTL == nil || !nothingCrossed(*x.TTL) {
			tells = false
		}
		near++
	}
	ch := charge{reason: answeredSomewhere, suspects: s.suspects(), args: args{"count": near}}
	if tells && near >= few {
		ch.reason, ch.confidence, ch.suspects = answeredNearby, Likely, nil
	}
	for _, e := range s.f.Because {
		if e.Reason == probe.EvStranger {
			ch.evidence = append(ch.evidence, e)
		}
	}
	return ch, true
}

// counted holds the router's own counter against both ends: what it counted had reached its outer side.
func counted(s scene) (charge, bool) {
	t := trainOf(s.o)
	note := func(way string, sent, counted, arrived int) []probe.Evidence {
		return []probe.Evidence{{Reason: probe.EvTrain, Args: map[string]any{"way": way, "sent": sent, "counted": max(0, counted), "arrived": arrived},
			Exchanges: ids(s.o.Exchanges, func(e probe.Exchange) bool {
				return e.Stage == probe.StageTrain && e.Sent.State == wire.Seen && (way == probe.WayOut || e.Replied.State == wire.Seen)
			})}}
	}
	ch := charge{confidence: Likely}
	switch {
	case s.nothingArrived() && t.Arrived == 0 && t.left() == all:
		ch.reason, ch.args, ch.evidence = countedOut, args{"sent": t.Sent, "counted": t.out}, note(probe.WayOut, t.Sent, t.out, t.Arrived)
		return s.beyond(ch, countedOutBeyond), true
	case s.nothingArrived() && t.Arrived == 0 && t.left() == none:
		ch.reason, ch.args, ch.evidence = notCountedOut, args{"sent": t.Sent, "counted": max(0, t.out)}, note(probe.WayOut, t.Sent, t.out, t.Arrived)
		if s.c.Laptop.OS != "linux" { // where a firewall may drop what programs believe to be sent
			ch.reason, ch.suspects = notCountedOutUnwatched, []Culprit{CulpritLaptop, CulpritRouter}
		}
		return ch, true
	case s.f.Verdict == probe.BlockedBack && t.Returned == 0 && t.cameBack() == all:
		ch.reason, ch.args, ch.evidence = countedIn, args{"sent": t.Replied, "counted": t.back}, note(probe.WayBack, t.Replied, t.back, t.Returned)
		if !s.card() {
			ch.reason, ch.suspects = countedInUnwatched, []Culprit{CulpritLaptop, CulpritRouter}
		}
		return ch, true
	case s.f.Verdict == probe.BlockedBack && t.Returned == 0 && t.cameBack() == none:
		ch.reason, ch.args, ch.evidence = notCountedIn, args{"sent": t.Replied, "counted": max(0, t.back)}, note(probe.WayBack, t.Replied, t.back, t.Returned)
		return s.beyond(ch, notCountedInBeyond), true
	}
	return charge{}, false
}

// beyond is a charge against whoever stands behind the first router. Where there may be a second NAT, that may be it or the provider; where
// nothing proves the server, the server too.
func (s scene) beyond(ch charge, open probe.Reason) charge {
	suspects := s.suspects(CulpritISP)
	if s.f.Reason == probe.ServerUnproven {
		suspects = append(slices.Clone(suspects), CulpritServer)
	}
	if len(suspects) > 1 {
		ch.reason, ch.suspects = open, suspects
		if s.nats.second() {
			ch.evidence = append(ch.evidence, s.nats.note())
		}
	}
	return ch
}

// crossedRouter: Linux answers a packet whose TTL ends before it drops it (T08), so that a router's answer speaks only for those before it.
// Silence says nothing.
func crossedRouter(s scene) (charge, bool) {
	far := s.farthest()
	through := slices.ContainsFunc(s.o.Hops, func(h probe.Hop) bool { return !h.Control && h.Arrived > 0 })
	if far == nil || through || !s.nothingArrived() {
		return charge{}, false
	}
	from := far.Answers[0].From.Unmap()
	ch := charge{reason: passedRouter, confidence: Likely, args: args{"ttl": far.TTL, "from": from.String()}}
	ch.evidence = []probe.Evidence{{Reason: probe.EvHop, Args: map[string]any{"ttl": far.TTL, "from": from.String(), "answers": len(far.Answers), "asked": far.Asked},
		Exchanges: ids(s.o.Exchanges, func(e probe.Exchange) bool {
			return e.Stage == probe.StageHop && e.Sent.State == wire.Seen && e.Sent.TTL != nil && int(*e.Sent.TTL) == far.TTL
		})}}
	if inner(from) && s.nats.second() && s.last(far.TTL) && s.f.Reason != probe.ServerUnproven {
		ch.reason, ch.evidence = lastIsSecondNAT, append(ch.evidence, s.nats.note())
		return ch, true
	}
	return s.beyond(ch, passedRouterBeyond), true
}

// farthest is the last router beyond the first that answered for the protocol.
func (s scene) farthest() (far *probe.Hop) {
	for i, h := range s.o.Hops {
		if h.TTL >= 2 && !h.Control && len(h.Answers) > 0 && s.beyondRouter(h.Answers[0].From.Unmap()) && (far == nil || h.TTL > far.TTL) {
			far = &s.o.Hops[i]
		}
	}
	return far
}

// last says that the router at this place is the last before the server: the control's packets arrive that may cross one router more than come
// before it.
func (s scene) last(ttl int) bool {
	return slices.ContainsFunc(s.o.Hops, func(h probe.Hop) bool { return h.Control && h.TTL == ttl+1 && h.Arrived > 0 })
}

// beyondRouter says of an address on the way that it is not the first router's, nor one of those that the run's ends have.
func (s scene) beyondRouter(a netip.Addr) bool {
	return a.IsValid() && !s.firstHop(a) && a != s.nats.RouterWAN && a != s.nats.Local && !slices.Contains(s.sources(), a) && a != s.c.Server.Address.Unmap()
}

// pptpHelper: nobody translates PPTP's call numbers, or somebody does and another one does not (F04, F19).
func pptpHelper(s scene) (charge, bool) {
	ch := charge{confidence: Likely, evidence: s.callID()}
	switch {
	case s.f.Reason == probe.NoPPTPHelper && s.nats.second():
		ch.reason, ch.suspects = noHelperAnywhere, []Culprit{CulpritRouter, CulpritSecondNAT}
		ch.evidence = append(ch.evidence, s.nats.note())
	case s.f.Reason == probe.NoPPTPHelper:
		ch.reason = noHelper
	case s.f.Reason == probe.SecondNATNoHelper && s.nats.Kind == kindOne && s.nats.Confidence == Certain:
		return charge{}, false // then the router has the helper, and something else is wrong
	case s.f.Reason == probe.SecondNATNoHelper:
		ch.reason = noHelperInSecond
	default:
		return charge{}, false
	}
	return ch, true
}

func addressesDiffer(s scene) (charge, bool) {
	if s.f.Reason != probe.AddressesDiffer {
		return charge{}, false
	}
	ch := charge{reason: twoAddresses, suspects: s.suspects()}
	for _, e := range s.f.Because {
		if e.Reason == probe.EvChange {
			ch.evidence = append(ch.evidence, e)
		}
	}
	if outer := s.nats.RouterWAN; outer.IsValid() && !slices.Contains(s.sources(), outer) {
		ch.reason, ch.confidence, ch.suspects = twoAddressesBeyond, Likely, nil
		ch.args = args{"outer": outer.String()}
		ch.evidence = append(ch.evidence, s.nats.note())
	}
	return ch, true
}

// forwarded: answers come to the outside port that the server saw. A forwarding of another port does not touch them (F32).
func forwarded(s scene) (charge, bool) {
	r := gateway(s.c)
	if r == nil || s.f.Verdict != probe.BlockedBack || s.stage.Port == 0 {
		return charge{}, false
	}
	for _, fw := range r.Forwards {
		steals := func(e probe.Exchange) bool {
			return e.Arrived.State == wire.Seen && (fw.External == 0 || fw.External == e.Arrived.Src.Port())
		}
		if fw.Proto != "UDP" || fw.To.Unmap() == s.nats.Local || !slices.ContainsFunc(s.tries, steals) {
			continue
		}
		a := args{"proto": fw.Proto, "port": int(fw.External), "to": fw.To.Unmap().String()}
		return charge{reason: forwardedElsewhere, confidence: Likely, args: a, evidence: []probe.Evidence{{Reason: probe.EvForward, Args: a}}}, true
	}
	return charge{}, false
}

// cloudDropped: there are networks that carry no GRE, whatever their firewall says (F17).
func cloudDropped(s scene) (charge, bool) {
	cloud, carrier := s.c.Server.Cloud, s.stage.Carrier
	if s.f.Reason != probe.ServerUnproven || cloud == nil || !slices.Contains(cloud.Cannot, carrier) {
		return charge{}, false
	}
	a := args{"name": Clean(cloud.Name, 40), "carrier": string(carrier), "cannot": true}
	return charge{reason: cloudCannot, confidence: Likely, args: a, evidence: []probe.Evidence{{Reason: probe.EvCloud, Args: a}}}, true
}

// unproven: nothing says that the server can be reached with it at all (F01).
func unproven(s scene) (charge, bool) {
	if s.f.Reason != probe.ServerUnproven {
		return charge{}, false
	}
	ch := charge{reason: unprovenServer, suspects: s.suspects(CulpritServer, CulpritRouter, CulpritISP)}
	if cloud, carrier := s.c.Server.Cloud, s.stage.Carrier; cloud != nil && slices.Contains(cloud.Ask, carrier) {
		a := map[string]any{"name": Clean(cloud.Name, 40), "carrier": string(carrier), "cannot": false}
		ch.evidence = []probe.Evidence{{Reason: probe.EvCloud, Args: a}}
	}
	ch.evidence = append(ch.evidence, s.owners()...)
	for _, e := range s.f.Because {
		if e.Reason == probe.EvUnproven {
			ch.evidence = append(ch.evidence, e)
		}
	}
	return ch, true
}

func undecidedWho(s scene) (charge, bool) {
	ch := charge{reason: unknownWho, suspects: s.suspects()}
	if s.nats.second() {
		ch.evidence = []probe.Evidence{s.nats.note()}
	}
	for _, e := range s.f.Because {
		if e.Reason == probe.EvRandom || e.Reason == probe.EvStopped {
			ch.evidence = append(ch.evidence, e)
		}
	}
	return ch, true
}

// inside takes back what a rule says of the router, and of the provider by way of the router: where the NAT of this machine's own host stands
// before it (F24), the first router is that host, and its NAT as good a suspect. Who was seen by a public address of his own stays accused.
func (s scene) inside(ch charge) charge {
	whose := probe.HostNAT(s.c)
	if whose == "" {
		return ch
	}
	seen := probe.Evidence{Reason: probe.EvInside, Args: map[string]any{"nat": whose}}
	switch culprit := accusations[ch.reason].culprit; {
	case culprit == CulpritUnknown && slices.Contains(ch.suspects, CulpritLaptop):
	case culprit == CulpritUnknown:
		ch.suspects = append([]Culprit{CulpritLaptop}, ch.suspects...)
	case culprit == CulpritRouter, culprit == CulpritSecondNAT, culprit == CulpritISP && ch.reason != refusedByISP && ch.reason != refusedBackByISP:
		ch.reason, ch.suspects = hostsNAT, []Culprit{CulpritLaptop, CulpritRouter, CulpritISP}
	default:
		return ch
	}
	ch.args = maps.Clone(ch.args)
	if ch.args == nil {
		ch.args = args{}
	}
	ch.args["inside"] = true
	ch.evidence = append([]probe.Evidence{seen}, ch.evidence...)
	return ch
}
