package report

import (
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"vpncheck/probe"
	"vpncheck/probe/wire"
	"vpncheck/probe/witness"
)

const (
	theLaptop  = "192.168.1.10"
	theGateway = "192.168.1.1"
	thePublic  = "198.51.100.7"
	theServer  = "203.0.113.2"
	backbone   = "192.0.2.33" // a router out on the internet
)

// A change makes of an exchange that went well one that did not.
type change func(*probe.Exchange)

func lost(e *probe.Exchange) {
	e.Arrived, e.Replied, e.Returned = wire.NotSeen(), wire.NotSeen(), wire.NotSeen()
}
func unreturned(e *probe.Exchange) { e.Returned = wire.NotSeen() }
func unsent(e *probe.Exchange) {
	lost(e)
	e.Sent, e.SendErr, e.SendReason = wire.NotSeen(), "sendmsg: operation not permitted", "laptop-firewall"
	e.Sent.At = began
}

// firewalled is what only the server's network card saw.
func firewalled(e *probe.Exchange) {
	e.Replied, e.Returned = wire.NotSeen(), wire.NotSeen()
	e.Arrived.Where, e.Silent = "nic", wire.SilentFirewall
}

// unnatted arrives from the laptop's own address.
func unnatted(e *probe.Exchange) {
	e.Arrived.Src = netip.AddrPortFrom(netip.MustParseAddr(theLaptop), e.Arrived.Src.Port())
}

func atNIC(e *probe.Exchange) { e.AtNIC = &wire.Sighting{State: wire.Seen} }

func icmp(from string, ttl, code uint8) wire.ICMPSighting {
	return wire.ICMPSighting{At: began, From: netip.MustParseAddr(from), TTL: ttl, Type: wire.ICMPUnreachable, Code: code}
}

// refused is told to the laptop by ICMP.
func refused(from string, ttl, code uint8) change {
	return func(e *probe.Exchange) { e.ICMPAtClient = append(e.ICMPAtClient, icmp(from, ttl, code)) }
}

// returned is told to the server by ICMP.
func refusedAnswer(from string, ttl, code uint8) change {
	return func(e *probe.Exchange) { e.ICMPAtServer = append(e.ICMPAtServer, icmp(from, ttl, code)) }
}

// A world is what stands around the conversation.
type world func(*probe.Observation, *probe.Circumstances)

func unprovenFor(id wire.Carrier) world {
	return func(_ *probe.Observation, c *probe.Circumstances) {
		for i := range c.Server.Carriers {
			if c.Server.Carriers[i].Carrier == id {
				c.Server.Carriers[i].Proof = nil
			}
		}
	}
}

func serverSeesNIC(_ *probe.Observation, c *probe.Circumstances) {
	for i := range c.Server.Carriers {
		c.Server.Carriers[i].NIC = true
	}
}

func routerWAN(outer string) world {
	return func(_ *probe.Observation, c *probe.Circumstances) { known(c).WAN = netip.MustParseAddr(outer) }
}

// known is the router that answers; the same for all worlds of a row.
func known(c *probe.Circumstances) *witness.Router {
	if c.Router == nil {
		c.Router = &witness.Router{Look: witness.Look{Looked: true}, Address: netip.MustParseAddr(theGateway)}
	}
	return c.Router
}

func forward(proto string, port uint16, to string) world {
	return func(_ *probe.Observation, c *probe.Circumstances) {
		r := known(c)
		r.Forwards = append(r.Forwards, witness.Forward{Proto: proto, External: port, To: netip.MustParseAddr(to)})
	}
}

func cloud(name string, cannot, ask []wire.Carrier) world {
	return func(_ *probe.Observation, c *probe.Circumstances) {
		c.Server.Cloud = &wire.Cloud{Name: name, Cannot: cannot, Ask: ask}
	}
}

// hop is what a router at that distance answered; empty for silence.
func hop(ttl int, from string, control bool) world {
	return func(o *probe.Observation, _ *probe.Circumstances) {
		h := probe.Hop{TTL: ttl, Control: control, Asked: 2}
		if from != "" {
			h.Answers = []wire.ICMPSighting{{From: netip.MustParseAddr(from), Type: 11}}
		}
		o.Hops = append(o.Hops, h)
	}
}

// nearer says that the server is nearer than that many routers: the control's packets arrived.
func nearer(ttl int) world {
	return func(o *probe.Observation, _ *probe.Circumstances) {
		o.Hops = append(o.Hops, probe.Hop{TTL: ttl, Control: true, Asked: 1, Arrived: 1})
	}
}

// counters are those of the router before and after a train.
func counters(sent, arrived, replied, out, in int) world {
	return func(o *probe.Observation, _ *probe.Circumstances) {
		const idle = 10 // packets a second
		read := func(second, more, back int) witness.Counters {
			return witness.Counters{At: began.Add(time.Duration(second) * time.Second), Sent: uint32(1000 + idle*second + more), Received: uint32(5000 + idle*second + back)}
		}
		at := func(s int) time.Time { return began.Add(time.Duration(s) * time.Second) }
		// What the server tells of each arrival over the session comes in as well.
		o.Train = &probe.Train{Sent: sent, Arrived: arrived, Replied: replied, Began: at(2), Ended: at(3),
			Readings: []witness.Counters{read(0, 0, 0), read(1, 0, 0), read(4, out, in+arrived), read(5, out, in+arrived)}}
	}
}

// unwatched is a run in which nobody could look at the laptop's network card.
func unwatched(o *probe.Observation, _ *probe.Circumstances) { o.Card = false }

func onWindows(_ *probe.Observation, c *probe.Circumstances) { c.Laptop.OS = "windows" }

// stranger is what answered in the server's name.
func stranger(ttl uint8) world {
	return func(o *probe.Observation, _ *probe.Circumstances) {
		s := wire.Sighting{State: wire.Seen, At: began, Where: "raw", Src: netip.AddrPortFrom(netip.MustParseAddr(theServer), 0), Bytes: wire.Hex{9}, TTL: &ttl}
		if ttl == 0 {
			s.TTL = nil
		}
		o.Strangers = append(o.Strangers, s)
	}
}

// sent are n exchanges, half a second apart, all of which suffer the changes.
func sent(p fake, n int, changes ...change) (out []probe.Exchange) {
	stage := p.info.Stages[len(p.info.Stages)-1]
	port := stage.Port
	for i := range n {
		at := began.Add(time.Duration(i) * 500 * time.Millisecond)
		s := func(src, dst string, ttl uint8) wire.Sighting {
			return wire.Sighting{State: wire.Seen, At: at, Where: "raw", Src: netip.AddrPortFrom(netip.MustParseAddr(src), port),
				Dst: netip.AddrPortFrom(netip.MustParseAddr(dst), port), TTL: &ttl, Bytes: wire.Hex{1, 2, 3, 4, 5, 6, 7, 8}}
		}
		e := probe.Exchange{ID: p.info.ID + "/" + string(rune('1'+i)), Part: p.info.ID, Stage: stage.ID, Flow: 1, From: probe.Client,
			Sent: s(theLaptop, theServer, 64), Arrived: s(thePublic, theServer, 62), Replied: s(theServer, thePublic, 64), Returned: s(theServer, theLaptop, 62)}
		for _, ch := range changes {
			ch(&e)
		}
		out = append(out, e)
	}
	return out
}

// talker is a probe of one stage.
func talker(id, title string, carrier wire.Carrier, port uint16) fake {
	return fake{info: probe.Info{ID: id, Title: title, Carriers: []wire.Carrier{carrier}, Parts: []probe.Part{{ID: id, Title: title, Deciding: true}},
		Stages: []probe.Stage{{ID: "talk", Title: "the talk", Carrier: carrier, Rounds: 5, Port: port}}}}
}

var (
	theESP = talker("esp", "ESP", wire.CarrierESP, 0)
	theGRE = talker("gre", "GRE", wire.CarrierGRE, 0)
	theIKE = talker("ike", "IKE (UDP 500)", wire.CarrierIKE, 500)
	theAH  = talker("ah", "AH", wire.CarrierAH, 0)
)

// around are circumstances in which everything is proven: a laptop behind one NAT.
func around() probe.Circumstances {
	c := onLinux()
	c.Laptop.Gateway = netip.MustParseAddr(theGateway)
	c.Server.Own = c.Server.Address
	c.Control = line(0, 0)
	for carrier := range carriers {
		c.Server.Carriers = append(c.Server.Carriers, wire.CarrierState{Carrier: carrier, Ready: true, SYNs: true, Proof: &wire.Proof{At: began}})
	}
	return c
}

// Section 4 of docs/failures.md, and each rule, with and without what it needs: what is seen, what Judge makes of it, and who did it.
func TestDiagnose(t *testing.T) {
	two := func(c Culprit) []Culprit { return []Culprit{CulpritRouter, c} }
	undecided := []Culprit{CulpritRouter, CulpritISP}
	inVM := []Culprit{CulpritLaptop, CulpritRouter, CulpritISP}
	withSecond := []Culprit{CulpritRouter, CulpritSecondNAT, CulpritISP}
	told := map[probe.Reason]bool{}
	for _, x := range []struct {
		name    string
		p       fake
		changes []change
		worlds  []world
		verdict probe.Verdict
		reason  probe.Reason // of the diagnosis
		culprit Culprit
		sure    Confidence
		who     []Culprit // suspects
	}{
		// Section 4, in its order.
		{"outbound-lost", theESP, []change{lost}, nil, probe.BlockedOut, unknownWho, CulpritUnknown, Possible, undecided},
		{"rejected-by-the-gateway", theESP, []change{lost, refused(theGateway, 64, 13)}, nil, probe.BlockedOut, refusedByRouter, CulpritRouter, Certain, nil},
		{"rejected-by-the-gateway-port", theESP, []change{lost, refused(theGateway, 64, 3)}, nil, probe.BlockedOut, refusedByRouter, CulpritRouter, Certain, nil},
		{"rejected-by-the-gateway-protocol", theESP, []change{lost, refused(theGateway, 64, 2)}, nil, probe.BlockedOut, refusedByRouter, CulpritRouter, Certain, nil},
		{"rejected-by-a-public-hop", theESP, []change{lost, refused(backbone, 62, 13)}, nil, probe.BlockedOut, refusedByISP, CulpritISP, Likely, nil},
		{"refused-at-the-server", theESP, []change{firewalled, refused(theServer, 62, 10)}, nil, probe.Inconclusive, serverDrops, CulpritServer, Certain, nil},
		{"never-left", theESP, []change{unsent}, nil, probe.BlockedOut, laptopRefuses, CulpritLaptop, Certain, nil},
		{"un-natted", theESP, []change{unreturned, unnatted}, nil, probe.BlockedBack, leaked, CulpritRouter, Certain, nil},
		{"un-natted-once", theESP, []change{unreturned, once(unnatted)}, nil, probe.BlockedBack, unknownWho, CulpritUnknown, Possible, undecided},
		{"un-natted-twice", theESP, []change{unreturned, once(unnatted), fourth(unnatted)}, nil, probe.BlockedBack, unknownWho, CulpritUnknown, Possible, undecided},
		{"un-natted-and-altered", with(theESP, probe.Change{Field: "payload", Kills: probe.PayloadAltered}), []change{unnatted}, nil, probe.Altered, unknownWho, CulpritUnknown, Possible, undecided},
		{"host-dropped", theESP, []change{firewalled}, nil, probe.Inconclusive, serverDrops, CulpritServer, Certain, nil},
		{"no-mapping-protocol", theESP, []change{unreturned, refusedAnswer(thePublic, 63, 2)}, nil, probe.BlockedBack, noMappingInRouter, CulpritRouter, Certain, nil},
		{"no-mapping-port", theIKE, []change{unreturned, refusedAnswer(thePublic, 254, 3)}, nil, probe.BlockedBack, noMappingInRouter, CulpritRouter, Certain, nil},
		{"inbound-lost", theESP, []change{unreturned}, nil, probe.BlockedBack, unknownWho, CulpritUnknown, Possible, undecided},
		{"local-firewall", theESP, []change{unreturned, atNIC}, nil, probe.BlockedBack, laptopDrops, CulpritLaptop, Certain, nil},
		{"impostor", theESP, []change{lost}, []world{stranger(63), stranger(63)}, probe.Hijacked, answeredSomewhere, CulpritUnknown, Possible, undecided},
		{"passed", theESP, nil, nil, probe.Passed, "", "", "", nil},

		// ICMP at the laptop.
		{"rejected-by-the-laptop", theESP, []change{lost, refused(theLaptop, 64, 3)}, nil, probe.BlockedOut, refusedByLaptop, CulpritLaptop, Certain, nil},
		{"one-icmp-may-be-about-anything", theESP, []change{lost, once(refused(theGateway, 64, 13))}, nil, probe.BlockedOut, unknownWho, CulpritUnknown, Possible, undecided},
		{"one-icmp-and-one-about-another-form", theESP, []change{lost, once(refused(theGateway, 64, 13))}, []world{otherForm(refused(theGateway, 64, 13), lost)}, probe.BlockedOut, refusedByRouter, CulpritRouter, Certain, nil},
		{"one-icmp-and-one-about-another-form-that-arrived", theESP, []change{lost, once(refused(theGateway, 64, 13))}, []world{otherForm(refused(theGateway, 64, 13))}, probe.BlockedOut, unknownWho, CulpritUnknown, Possible, undecided},
		{"too-big-is-no-refusal", theESP, []change{lost, refused(theGateway, 64, 4)}, nil, probe.BlockedOut, unknownWho, CulpritUnknown, Possible, undecided},
		{"time-exceeded-is-no-refusal", theESP, []change{lost, func(e *probe.Exchange) {
			e.ICMPAtClient = []wire.ICMPSighting{{From: netip.MustParseAddr(theGateway), TTL: 64, Type: 11}}
		}}, nil, probe.BlockedOut, unknownWho, CulpritUnknown, Possible, undecided},
		{"refused-but-answers-are-lost", theESP, []change{unreturned, refused(theGateway, 64, 13)}, nil, probe.BlockedBack, unknownWho, CulpritUnknown, Possible, undecided},
		{"private-and-next-to-the-laptop", theESP, []change{lost, refused("10.9.9.9", 255, 13)}, nil, probe.BlockedOut, refusedByRouter, CulpritRouter, Certain, nil},
		{"first-hop-by-its-answer", theESP, []change{lost, refused("10.9.9.9", 60, 13)}, []world{hop(1, "10.9.9.9", true)}, probe.BlockedOut, refusedByRouter, CulpritRouter, Certain, nil},
		{"private-further-away", theESP, []change{lost, refused("10.9.9.9", 63, 13)}, nil, probe.BlockedOut, refusedSomewhere, CulpritUnknown, Possible, withSecond},
		{"public-and-next-to-the-laptop", theESP, []change{lost, refused(backbone, 64, 13)}, nil, probe.BlockedOut, refusedByRouter, CulpritRouter, Likely, nil},
		{"in-the-laptops-public-name", theESP, []change{lost, refused(thePublic, 63, 13)}, nil, probe.BlockedOut, refusedSomewhere, CulpritUnknown, Possible, two(CulpritSecondNAT)},
		{"near-the-server", theESP, []change{lost, refused("203.0.113.1", 60, 13)}, nil, probe.BlockedOut, refusedSomewhere, CulpritUnknown, Possible, []Culprit{CulpritISP, CulpritServer}},
		{"forged-nearby", theESP, []change{lost, refused(theServer, 64, 2)}, []world{serverSeesNIC}, probe.BlockedOut, refusedNearby, CulpritRouter, Likely, nil},
		{"forged-somewhere", theESP, []change{lost, refused(theServer, 61, 2)}, []world{serverSeesNIC}, probe.BlockedOut, refusedSomewhere, CulpritUnknown, Possible, undecided},
		{"in-the-servers-name-and-nobody-looked", theESP, []change{lost, refused(theServer, 61, 2)}, nil, probe.BlockedOut, refusedSomewhere, CulpritUnknown, Possible,
			[]Culprit{CulpritRouter, CulpritISP, CulpritServer}},
		{"ttl-not-known", theESP, []change{lost, refused(theServer, 0, 2)}, []world{serverSeesNIC}, probe.BlockedOut, refusedSomewhere, CulpritUnknown, Possible, undecided},
		{"ttl-tells-nothing-in-a-virtual-machine", theESP, []change{lost, refused(theServer, 64, 2)}, []world{serverSeesNIC, answersAsIfNear}, probe.BlockedOut,
			refusedSomewhere, CulpritUnknown, Possible, undecided},
		{"refused-by-two", theESP, []change{lost, refused(backbone, 62, 13), refused("192.0.2.99", 61, 13)}, nil, probe.BlockedOut, unknownWho, CulpritUnknown, Possible, undecided},
		{"rejected-though-unproven", theESP, []change{lost, refused(theGateway, 64, 13)}, []world{unprovenFor(wire.CarrierESP)}, probe.Inconclusive, refusedByRouter, CulpritRouter, Certain, nil},

		// ICMP at the server.
		{"one-icmp-at-the-server", theESP, []change{unreturned, once(refusedAnswer(thePublic, 63, 2))}, nil, probe.BlockedBack, unknownWho, CulpritUnknown, Possible, undecided},
		{"the-laptop-said-it", theESP, []change{unreturned, refusedAnswer(thePublic, 62, 2)}, nil, probe.BlockedBack, laptopRefusesAnswers, CulpritLaptop, Likely, nil},
		{"the-laptop-said-it-and-its-card-saw-some", theESP, []change{unreturned, refusedAnswer(thePublic, 62, 2), fourth(atNIC)}, nil, probe.BlockedBack, laptopRefusesAnswers, CulpritLaptop, Certain, nil},
		{"the-router-said-it-but-the-card-saw-some", theESP, []change{unreturned, refusedAnswer(thePublic, 63, 2), fourth(atNIC)}, nil, probe.BlockedBack, unknownWho, CulpritUnknown, Possible, undecided},
		{"the-second-nat-said-it", theESP, []change{unreturned, refusedAnswer(thePublic, 64, 2)}, []world{routerWAN("100.64.1.2")}, probe.BlockedBack, noMappingInSecondNAT, CulpritSecondNAT, Likely, nil},
		{"the-router-said-it-behind-a-second-nat", theESP, []change{unreturned, refusedAnswer(thePublic, 63, 2)}, []world{routerWAN("100.64.1.2")}, probe.BlockedBack, noMappingInRouter, CulpritRouter, Certain, nil},
		{"there-is-no-second-nat", theESP, []change{unreturned, refusedAnswer(thePublic, 64, 2)}, []world{routerWAN(thePublic)}, probe.BlockedBack, unknownWho, CulpritUnknown, Possible, undecided},
		{"from-beyond-the-laptop", theESP, []change{unreturned, refusedAnswer(thePublic, 61, 2)}, nil, probe.BlockedBack, unknownWho, CulpritUnknown, Possible, undecided},
		{"one-from-beyond-the-laptop", theESP, []change{unreturned, refusedAnswer(thePublic, 61, 2), refusedAnswer(thePublic, 63, 2)}, nil, probe.BlockedBack, unknownWho, CulpritUnknown, Possible, undecided},
		{"first-from-beyond-the-laptop", theESP, []change{unreturned, once(refusedAnswer(thePublic, 61, 2)), fourth(refusedAnswer(thePublic, 63, 2))}, nil, probe.BlockedBack, unknownWho, CulpritUnknown, Possible, undecided},
		{"two-senders-in-one-name", theESP, []change{unreturned, refusedAnswer(thePublic, 63, 2), refusedAnswer(thePublic, 62, 2)}, nil, probe.BlockedBack, unknownWho, CulpritUnknown, Possible, undecided},
		{"the-clients-ttl-is-not-known", theESP, []change{unreturned, refusedAnswer(thePublic, 63, 2), func(e *probe.Exchange) { e.Arrived.TTL = nil }}, nil, probe.BlockedBack, unknownWho, CulpritUnknown, Possible, undecided},
		{"answers-refused-out-there", theESP, []change{unreturned, refusedAnswer(backbone, 63, 13)}, nil, probe.BlockedBack, refusedBackByISP, CulpritISP, Likely, nil},
		{"answers-refused-by-a-private-address", theESP, []change{unreturned, refusedAnswer("10.1.1.1", 60, 13)}, nil, probe.BlockedBack, unknownWho, CulpritUnknown, Possible, undecided},
		{"answers-refused-by-the-server-s-own-machine", theESP, []change{unreturned, refusedAnswer("198.18.0.9", 64, 13)}, []world{func(_ *probe.Observation, c *probe.Circumstances) { c.Server.Own = netip.MustParseAddr("198.18.0.9") }},
			probe.BlockedBack, unknownWho, CulpritUnknown, Possible, undecided},
		{"answers-refused-near-the-server", theESP, []change{unreturned, refusedAnswer("203.0.113.1", 64, 13)}, nil, probe.BlockedBack, unknownWho, CulpritUnknown, Possible, undecided},

		// Somebody else's answers.
		{"impostor-nearby", theESP, []change{lost}, []world{stranger(64), stranger(64)}, probe.Hijacked, answeredNearby, CulpritRouter, Likely, nil},
		{"impostor-nearby-as-all-is", theESP, []change{lost}, []world{stranger(64), stranger(64), answersAsIfNear}, probe.Hijacked, answeredSomewhere, CulpritUnknown, Possible, undecided},
		{"impostors-differ", theESP, []change{lost}, []world{stranger(64), stranger(61)}, probe.Hijacked, answeredSomewhere, CulpritUnknown, Possible, undecided},
		{"impostor-on-tcp", theESP, []change{lost}, []world{stranger(0), stranger(0)}, probe.Hijacked, answeredSomewhere, CulpritUnknown, Possible, undecided},

		// The router's counters.
		{"counted-out", theESP, []change{lost}, []world{counters(60, 0, 0, 62, 3)}, probe.BlockedOut, countedOut, CulpritISP, Likely, nil},
		{"counted-out-two-nats", theESP, []change{lost}, []world{counters(60, 0, 0, 62, 3), routerWAN("10.1.1.1")}, probe.BlockedOut, countedOutBeyond, CulpritUnknown, Possible, []Culprit{CulpritSecondNAT, CulpritISP}},
		{"counted-out-unproven", theESP, []change{lost}, []world{counters(60, 0, 0, 62, 3), unprovenFor(wire.CarrierESP)}, probe.Inconclusive, countedOutBeyond, CulpritUnknown, Possible, []Culprit{CulpritISP, CulpritServer}},
		{"counted-out-but-answers-are-lost", theESP, []change{unreturned}, []world{counters(60, 0, 0, 62, 3)}, probe.BlockedBack, unknownWho, CulpritUnknown, Possible, undecided},
		{"not-counted-out", theESP, []change{lost}, []world{counters(60, 0, 0, 2, 3)}, probe.BlockedOut, notCountedOut, CulpritRouter, Likely, nil},
		{"half-counted-out", theESP, []change{lost}, []world{counters(60, 0, 0, 30, 3)}, probe.BlockedOut, unknownWho, CulpritUnknown, Possible, undecided},
		{"far-too-many-counted-out", theESP, []change{lost}, []world{counters(60, 0, 0, 400, 3)}, probe.BlockedOut, unknownWho, CulpritUnknown, Possible, undecided},
		{"too-short-a-train", theESP, []change{lost}, []world{counters(10, 0, 0, 10, 3)}, probe.BlockedOut, unknownWho, CulpritUnknown, Possible, undecided},
		{"the-train-arrived", theESP, []change{lost}, []world{counters(60, 60, 60, 62, 3)}, probe.BlockedOut, unknownWho, CulpritUnknown, Possible, undecided},
		{"no-counters", theESP, []change{lost}, []world{counters(60, 0, 0, 62, 3), func(o *probe.Observation, _ *probe.Circumstances) { o.Train.Readings = nil }}, probe.BlockedOut, unknownWho, CulpritUnknown, Possible, undecided},
		{"counted-in", theESP, []change{unreturned}, []world{counters(60, 60, 60, 62, 61)}, probe.BlockedBack, countedIn, CulpritRouter, Likely, nil},
		{"not-counted-in", theESP, []change{unreturned}, []world{counters(60, 60, 60, 62, 2)}, probe.BlockedBack, notCountedIn, CulpritISP, Likely, nil},
		{"not-counted-in-two-nats", theESP, []change{unreturned}, []world{counters(60, 60, 60, 62, 2), routerWAN("100.64.1.2")}, probe.BlockedBack, notCountedInBeyond, CulpritUnknown, Possible, []Culprit{CulpritSecondNAT, CulpritISP}},
		{"counted-in-and-the-card-not-watched", theESP, []change{unreturned}, []world{counters(60, 60, 60, 62, 61), unwatched}, probe.BlockedBack, countedInUnwatched, CulpritUnknown, Possible, []Culprit{CulpritLaptop, CulpritRouter}},
		{"not-counted-out-of-windows", theESP, []change{lost}, []world{counters(60, 0, 0, 2, 3), onWindows}, probe.BlockedOut, notCountedOutUnwatched, CulpritUnknown, Possible, []Culprit{CulpritLaptop, CulpritRouter}},
		{"half-counted-in", theESP, []change{unreturned}, []world{counters(60, 60, 60, 62, 30)}, probe.BlockedBack, unknownWho, CulpritUnknown, Possible, undecided},

		// Packets with a limited TTL.
		{"second-router-answers", theESP, []change{lost}, []world{hop(1, theGateway, false), hop(2, backbone, false)}, probe.BlockedOut, passedRouter, CulpritISP, Likely, nil},
		{"first-router-says-nothing-by-answering", theESP, []change{lost}, []world{hop(1, theGateway, false)}, probe.BlockedOut, unknownWho, CulpritUnknown, Possible, undecided},
		{"the-first-router-has-two-addresses", theESP, []change{lost}, []world{hop(1, theGateway, true), hop(1, "10.9.9.9", false)}, probe.BlockedOut, unknownWho, CulpritUnknown, Possible, undecided},
		{"hops-are-silent", theESP, []change{lost}, []world{hop(1, "", false), hop(2, "", false)}, probe.BlockedOut, unknownWho, CulpritUnknown, Possible, undecided},
		{"only-the-controls-hops-answer", theESP, []change{lost}, []world{hop(1, theGateway, true), hop(2, backbone, true)}, probe.BlockedOut, unknownWho, CulpritUnknown, Possible, undecided},
		{"the-gateway-answers-twice", theESP, []change{lost}, []world{hop(1, theGateway, false), hop(2, theGateway, false)}, probe.BlockedOut, unknownWho, CulpritUnknown, Possible, undecided},
		{"the-routers-outside-answers", theESP, []change{lost}, []world{hop(2, thePublic, false)}, probe.BlockedOut, unknownWho, CulpritUnknown, Possible, undecided},
		{"hops-say-nothing-of-the-way-back", theESP, []change{unreturned}, []world{hop(2, backbone, false)}, probe.BlockedBack, unknownWho, CulpritUnknown, Possible, undecided},
		{"second-router-answers-two-nats", theESP, []change{lost}, []world{hop(2, backbone, false), routerWAN("10.1.1.1")}, probe.BlockedOut, passedRouterBeyond, CulpritUnknown, Possible, []Culprit{CulpritSecondNAT, CulpritISP}},
		{"a-private-second-hop", theESP, []change{lost}, []world{hop(1, theGateway, false), hop(2, "10.1.1.1", false)}, probe.BlockedOut, passedRouterBeyond, CulpritUnknown, Possible, []Culprit{CulpritSecondNAT, CulpritISP}},
		{"second-router-answers-unproven", theESP, []change{lost}, []world{hop(2, backbone, false), unprovenFor(wire.CarrierESP)}, probe.Inconclusive, passedRouterBeyond, CulpritUnknown, Possible, []Culprit{CulpritISP, CulpritServer}},

		{"afterwards-it-arrives", theESP, []change{lost}, []world{hop(2, backbone, false), func(o *probe.Observation, _ *probe.Circumstances) {
			o.Hops = append(o.Hops, probe.Hop{TTL: 3, Asked: 1, Arrived: 1})
		}}, probe.BlockedOut, unknownWho, CulpritUnknown, Possible, undecided},
		{"as-far-as-the-second-nat", theESP, []change{lost}, []world{hop(1, theGateway, false), hop(2, "100.64.0.1", false), nearer(3)}, probe.BlockedOut, lastIsSecondNAT, CulpritSecondNAT, Likely, nil},
		{"there-are-more-routers", theESP, []change{lost}, []world{hop(1, theGateway, false), hop(2, "100.64.0.1", false), hop(3, backbone, true), nearer(4)}, probe.BlockedOut, passedRouterBeyond, CulpritUnknown, Possible, []Culprit{CulpritSecondNAT, CulpritISP}},
		{"the-last-router-is-public", theESP, []change{lost}, []world{hop(2, backbone, false), nearer(3), routerWAN("100.64.1.2")}, probe.BlockedOut, passedRouterBeyond, CulpritUnknown, Possible, []Culprit{CulpritSecondNAT, CulpritISP}},
		{"as-far-as-the-second-nat-unproven", theESP, []change{lost}, []world{hop(2, "100.64.0.1", false), nearer(3), unprovenFor(wire.CarrierESP)}, probe.Inconclusive, passedRouterBeyond, CulpritUnknown, Possible,
			[]Culprit{CulpritSecondNAT, CulpritISP, CulpritServer}},
		{"the-last-router-and-one-nat", theESP, []change{lost}, []world{hop(2, "10.0.0.1", false), nearer(3), routerWAN(thePublic)}, probe.BlockedOut, passedRouter, CulpritISP, Likely, nil},

		// Forwardings.
		{"forwarded", theIKE, []change{unreturned}, []world{forward("UDP", 500, "192.168.1.77")}, probe.BlockedBack, forwardedElsewhere, CulpritRouter, Likely, nil},
		{"forwarded-all", theIKE, []change{unreturned}, []world{forward("UDP", 0, "192.168.1.77")}, probe.BlockedBack, forwardedElsewhere, CulpritRouter, Likely, nil},
		{"forwarded-to-this-laptop", theIKE, []change{unreturned}, []world{forward("UDP", 500, theLaptop)}, probe.BlockedBack, unknownWho, CulpritUnknown, Possible, undecided},
		{"another-port-forwarded", theIKE, []change{unreturned}, []world{forward("UDP", 4500, "192.168.1.77")}, probe.BlockedBack, unknownWho, CulpritUnknown, Possible, undecided},
		{"tcp-forwarded", theIKE, []change{unreturned}, []world{forward("TCP", 500, "192.168.1.77")}, probe.BlockedBack, unknownWho, CulpritUnknown, Possible, undecided},
		{"the-nat-moved-the-port", theIKE, []change{unreturned, func(e *probe.Exchange) { e.Arrived.Src = netip.MustParseAddrPort(thePublic + ":61007") }}, []world{forward("UDP", 500, "192.168.1.77")},
			probe.BlockedBack, unknownWho, CulpritUnknown, Possible, undecided},
		{"forwarded-but-nothing-arrives", theIKE, []change{lost}, []world{forward("UDP", 500, "192.168.1.77")}, probe.BlockedOut, unknownWho, CulpritUnknown, Possible, undecided},
		{"forwarded-but-altered", with(theIKE, probe.Change{Field: "payload", Kills: probe.PayloadAltered}), nil, []world{forward("UDP", 500, "192.168.1.77")}, probe.Altered, unknownWho, CulpritUnknown, Possible, undecided},
		{"another-device-forwards", theIKE, []change{unreturned}, []world{forward("UDP", 500, "192.168.1.77"), func(_ *probe.Observation, c *probe.Circumstances) {
			c.Router.Address = netip.MustParseAddr("192.168.1.250")
		}},
			probe.BlockedBack, unknownWho, CulpritUnknown, Possible, undecided},

		// The server's provider.
		{"unproven", theGRE, []change{lost}, []world{unprovenFor(wire.CarrierGRE)}, probe.Inconclusive, unprovenServer, CulpritUnknown, Possible, []Culprit{CulpritServer, CulpritRouter, CulpritISP}},
		{"cloud-cannot", theGRE, []change{lost}, []world{unprovenFor(wire.CarrierGRE), cloud("Microsoft Azure", []wire.Carrier{wire.CarrierGRE}, nil)}, probe.Inconclusive, cloudCannot, CulpritServer, Likely, nil},
		{"cloud-cannot-something-else", theGRE, []change{lost}, []world{unprovenFor(wire.CarrierGRE), cloud("Microsoft Azure", []wire.Carrier{wire.CarrierESP}, nil)}, probe.Inconclusive, unprovenServer, CulpritUnknown, Possible,
			[]Culprit{CulpritServer, CulpritRouter, CulpritISP}},
		{"cloud-asks", theGRE, []change{lost}, []world{unprovenFor(wire.CarrierGRE), cloud("Amazon EC2", nil, []wire.Carrier{wire.CarrierGRE})}, probe.Inconclusive, unprovenServer, CulpritUnknown, Possible,
			[]Culprit{CulpritServer, CulpritRouter, CulpritISP}},
		{"cloud-cannot-but-it-arrived", theGRE, []change{lost}, []world{cloud("Microsoft Azure", []wire.Carrier{wire.CarrierGRE}, nil)}, probe.BlockedOut, unknownWho, CulpritUnknown, Possible, undecided},

		// What remains.
		{"inbound-lost-and-the-card-not-watched", theESP, []change{unreturned}, []world{unwatched}, probe.BlockedBack, unknownWho, CulpritUnknown, Possible, []Culprit{CulpritLaptop, CulpritRouter, CulpritISP}},
		{"outbound-lost-and-the-card-not-watched", theESP, []change{lost}, []world{unwatched}, probe.BlockedOut, unknownWho, CulpritUnknown, Possible, undecided},
		{"inbound-lost-over-tcp", talker("pptp", "PPTP", wire.CarrierPPTP, 1723), []change{unreturned}, nil, probe.BlockedBack, unknownWho, CulpritUnknown, Possible, []Culprit{CulpritLaptop, CulpritRouter, CulpritISP}},
		{"vm-and-the-card-not-watched", theESP, []change{unreturned}, []world{insideNAT, unwatched}, probe.BlockedBack, unknownWho, CulpritUnknown, Possible, inVM},
		{"two-nats-undecided", theESP, []change{lost}, []world{routerWAN("100.64.1.2")}, probe.BlockedOut, unknownWho, CulpritUnknown, Possible, withSecond},
		{"ah-through-nat", with(theAH, probe.Change{Field: "source address", Kills: probe.AHThroughNAT}), nil, nil, probe.Altered, ahAndNAT, CulpritNobody, Certain, nil},
		{"altered", with(theESP, probe.Change{Field: "payload", Kills: probe.PayloadAltered}), nil, nil, probe.Altered, unknownWho, CulpritUnknown, Possible, undecided},
		{"addresses-differ", with(theESP, probe.Change{Field: "source address", Kills: probe.AddressesDiffer}), nil, nil, probe.Altered, twoAddresses, CulpritUnknown, Possible, undecided},
		{"addresses-differ-behind-the-router", with(theESP, probe.Change{Field: "source address", Kills: probe.AddressesDiffer}), nil, []world{routerWAN("100.64.1.2")}, probe.Altered, twoAddressesBeyond, CulpritSecondNAT, Likely, nil},
		// Inside a virtual machine the first router is its host (F24).
		{"vm", theESP, []change{lost}, []world{insideNAT}, probe.BlockedOut, unknownWho, CulpritUnknown, Possible, inVM},
		{"vm-refused-by-the-gateway", theESP, []change{lost, refused(theGateway, 64, 13)}, []world{insideNAT}, probe.BlockedOut, hostsNAT, CulpritUnknown, Possible, inVM},
		{"vm-answers-lost-at-the-router", theESP, []change{unreturned, refusedAnswer(thePublic, 63, 2)}, []world{insideNAT}, probe.BlockedBack, hostsNAT, CulpritUnknown, Possible, inVM},
		{"vm-crossed-its-host", theESP, []change{lost}, []world{insideNAT, hop(2, backbone, false)}, probe.BlockedOut, hostsNAT, CulpritUnknown, Possible, inVM},
		{"vm-refused-out-on-the-internet", theESP, []change{lost, refused(backbone, 60, 13)}, []world{insideNAT}, probe.BlockedOut, refusedByISP, CulpritISP, Likely, nil},
		{"vm-second-nat", theESP, []change{unreturned, refusedAnswer(thePublic, 64, 2)}, []world{insideNAT, routerWAN("100.64.1.2")}, probe.BlockedBack, hostsNAT, CulpritUnknown, Possible, inVM},
		{"vm-answers-refused-out-there", theESP, []change{unreturned, refusedAnswer(backbone, 63, 13)}, []world{insideNAT}, probe.BlockedBack, refusedBackByISP, CulpritISP, Likely, nil},
		{"vm-firewall", theESP, []change{unsent}, []world{insideNAT}, probe.BlockedOut, laptopRefuses, CulpritLaptop, Certain, nil},
		{"vm-on-the-network-itself", theESP, []change{lost, refused(theGateway, 64, 13)}, []world{insideBridged}, probe.BlockedOut, refusedByRouter, CulpritRouter, Certain, nil},
		{"vm-over-ipv6", theESP, []change{lost, refused(theGateway, 64, 13)}, []world{insideNAT, overIPv6}, probe.BlockedOut, refusedByRouter, CulpritRouter, Certain, nil},
		{"addresses-differ-at-the-router", with(theESP, probe.Change{Field: "source address", Kills: probe.AddressesDiffer}), nil, []world{routerWAN(thePublic)}, probe.Altered, twoAddresses, CulpritUnknown, Possible, undecided},
	} {
		t.Run(x.name, func(t *testing.T) {
			o, c := probe.Observation{Protocol: x.p.info.ID, Parts: x.p.info.Parts, Exchanges: sent(x.p, 6, x.changes...), Card: true}, around()
			for _, w := range x.worlds {
				w(&o, &c)
			}
			f := probe.Judge(x.p, o, c)
			if f.Verdict != x.verdict {
				t.Fatalf("got verdict %s %s, want %s", f.Verdict, f.Reason, x.verdict)
			}
			d := Diagnose(x.p.info, f, o, c)
			if x.culprit == "" {
				if d != nil {
					t.Fatalf("got %+v, want nobody", d)
				}
				return
			}
			if d == nil {
				t.Fatal("got nobody")
			}
			got := Diagnosis{Culprit: d.Culprit, Confidence: d.Confidence, Suspects: d.Suspects, Reason: d.Reason}
			if diff := cmp.Diff(Diagnosis{Culprit: x.culprit, Confidence: x.sure, Suspects: x.who, Reason: x.reason}, got); diff != "" {
				t.Errorf("%s\n-want +got:\n%s", d.Sentence, diff)
			}
			told[d.Reason] = true
			supported(t, *d)
		})
	}
	for _, row := range pptpRows(t) {
		told[row] = true
	}
	for r := range accusations {
		if !told[r] {
			t.Errorf("%s: no row of the table has it", r)
		}
	}
}

// insideNAT is a virtual machine behind its host's NAT, insideBridged one that is in the network itself.
func insideNAT(_ *probe.Observation, c *probe.Circumstances) {
	c.Laptop.Inside = &witness.Machine{Hints: []witness.Hint{{Kind: "vm", Sign: "KVM"}}, NAT: "libvirt's NAT"}
}

func insideBridged(_ *probe.Observation, c *probe.Circumstances) {
	c.Laptop.Inside = &witness.Machine{Hints: []witness.Hint{{Kind: "vm", Sign: "KVM"}}}
}

func overIPv6(_ *probe.Observation, c *probe.Circumstances) {
	c.Server.Address = netip.MustParseAddr("2001:db8:5::10")
}

// once suffers a change in the first exchange alone, fourth in the fourth.
func once(ch change) change   { return at("1", ch) }
func fourth(ch change) change { return at("4", ch) }

func at(number string, ch change) change {
	return func(e *probe.Exchange) {
		if strings.HasSuffix(e.ID, number) {
			ch(e)
		}
	}
}

// with is the probe to which this change happens in each exchange.
func with(p fake, ch probe.Change) fake {
	for i := range 6 {
		ch.Exchange = p.info.ID + "/" + string(rune('1'+i))
		p.changes = append(p.changes, ch)
	}
	return p
}

// answersAsIfNear adds an answer of the server's that came with a TTL as if there were no router.
func answersAsIfNear(o *probe.Observation, _ *probe.Circumstances) {
	e := sent(theESP, 1)[0]
	near := uint8(64)
	e.ID, e.Part, e.Returned.TTL = "esp/0", "other", &near
	o.Exchanges = append(o.Exchanges, e)
}

// otherForm is a question of another form of the protocol.
func otherForm(changes ...change) world {
	return func(o *probe.Observation, _ *probe.Circumstances) {
		e := sent(theESP, 1, changes...)[0]
		e.ID, e.Part = "esp/0", "other"
		o.Exchanges = append(o.Exchanges, e)
	}
}

// pptpRows play PPTP itself, whose call numbers tell more than its packets' fate (F04, F19, T22). It returns the reasons that it saw.
func pptpRows(t *testing.T) (seen []probe.Reason) {
	const own, peer, mapped = 21, 3344, 40412
	for _, x := range []struct {
		name       string
		rewritten  bool
		icmp       uint8 // TTL of the ICMP errors at the server; 0: there are none
		worlds     []world
		judged     probe.Reason
		reason     probe.Reason
		culprit    Culprit
		confidence Confidence
	}{
		{"no-helper", false, 0, nil, probe.NoPPTPHelper, noHelper, CulpritRouter, Likely},
		{"no-helper-and-it-said-so", false, 63, nil, probe.NoPPTPHelper, noMappingInRouter, CulpritRouter, Certain},
		{"no-helper-and-the-second-said-so", false, 64, []world{routerWAN("10.1.1.1")}, probe.NoPPTPHelper, noMappingInSecondNAT, CulpritSecondNAT, Likely},
		{"no-helper-in-either", false, 0, []world{routerWAN("10.1.1.1")}, probe.NoPPTPHelper, noHelperAnywhere, CulpritUnknown, Possible},
		{"no-helper-in-the-second", true, 0, nil, probe.SecondNATNoHelper, noHelperInSecond, CulpritSecondNAT, Likely},
		{"no-helper-in-the-first", true, 63, nil, probe.SecondNATNoHelper, noMappingInRouter, CulpritRouter, Certain},
		{"helper-and-one-nat", true, 0, []world{routerWAN(thePublic)}, probe.SecondNATNoHelper, unknownWho, CulpritUnknown, Possible},
		{"answers-never-came-to-the-router", false, 0, []world{counters(60, 60, 60, 61, 1)}, probe.NoPPTPHelper, notCountedIn, CulpritISP, Likely},
	} {
		t.Run(x.name, func(t *testing.T) {
			p := probe.PPTP{}
			o, c := probe.Observation{Protocol: "pptp", Parts: p.Info().Parts, Card: true}, around()
			c.Beside = map[string]probe.Tally{"gre": {Tries: 6, Arrived: 6, Replied: 6, Returned: 6}}
			there := uint16(own)
			if x.rewritten {
				there = mapped
			}
			tcp := talker("pptp", "PPTP", wire.CarrierPPTP, 1723)
			for i, stage := range []string{"connect", "start", "call"} {
				e := sent(tcp, 1)[0]
				e.ID, e.Part, e.Stage = "pptp/"+string(rune('a'+i)), "pptp", stage
				if stage == "call" {
					e.Sent.Bytes, e.Arrived.Bytes = wire.OutgoingCallRequest{CallID: own}.Append(nil), wire.OutgoingCallRequest{CallID: there}.Append(nil)
					e.Replied.Bytes = wire.OutgoingCallReply{CallID: peer, PeersCallID: there, ResultCode: 1}.Append(nil)
					e.Returned.Bytes = wire.OutgoingCallReply{CallID: peer, PeersCallID: own, ResultCode: 1}.Append(nil)
				}
				o.Exchanges = append(o.Exchanges, e)
			}
			for _, e := range sent(talker("pptp", "PPTP", wire.CarrierGREv1, 0), 6, unreturned) {
				e.Stage = "gre"
				e.Sent.Bytes = wire.EnhancedGRE{CallID: peer, HasSeq: true, Payload: []byte{1}}.Append(nil)
				e.Arrived.Bytes = e.Sent.Bytes
				if x.icmp > 0 {
					refusedAnswer(thePublic, x.icmp, 2)(&e)
				}
				o.Exchanges = append(o.Exchanges, e)
			}
			for _, w := range x.worlds {
				w(&o, &c)
			}
			f := probe.Judge(p, o, c)
			if f.Verdict != probe.BlockedBack || f.Reason != x.judged {
				t.Fatalf("got %s %s, want blocked-back %s", f.Verdict, f.Reason, x.judged)
			}
			d := Diagnose(p.Info(), f, o, c)
			if d.Culprit != x.culprit || d.Confidence != x.confidence || d.Reason != x.reason {
				t.Errorf("got %s %s %s, want %s %s %s: %s", d.Culprit, d.Confidence, d.Reason, x.culprit, x.confidence, x.reason, d.Sentence)
			}
			seen = append(seen, d.Reason)
			supported(t, *d)
		})
	}
	return seen
}

// names are how each culprit is called in a sentence.
var names = map[Culprit]string{CulpritLaptop: "this laptop itself", CulpritRouter: "your router", CulpritSecondNAT: "a second NAT", CulpritISP: "your internet provider",
	CulpritServer: "the server's own side", CulpritNobody: "nobody"}

// supported fails if a diagnosis says more than its culprit: its accusation, which stands before the colon, names the culprit alone, or all the
// suspects and that it is not known; and what follows accuses nobody.
func supported(t *testing.T, d Diagnosis) {
	t.Helper()
	well(t, string(d.Reason), d.Sentence, d.Next)
	accusation, facts, ok := strings.Cut(d.Sentence, ": ")
	if !ok {
		t.Fatalf("%q has no facts", d.Sentence)
	}
	accusation = strings.ToLower(accusation)
	for c, name := range names {
		accused := strings.Contains(strings.ReplaceAll(accusation, "a second nat beyond your router", "a second nat"), strings.ToLower(name))
		if want := c == d.Culprit || d.Culprit == CulpritUnknown && slices.Contains(d.Suspects, c); accused != want {
			t.Errorf("%q: accuses %s: %v, want %v (%s, %v)", d.Sentence, c, accused, want, d.Culprit, d.Suspects)
		}
	}
	if open := strings.Contains(accusation, "is not known"); open != (d.Culprit == CulpritUnknown) {
		t.Errorf("%q: the culprit is %s", d.Sentence, d.Culprit)
	}
	if likely := strings.HasPrefix(accusation, "most likely"); likely != (d.Confidence == Likely) {
		t.Errorf("%q is %s", d.Sentence, d.Confidence)
	}
	for _, word := range []string{"stops", "stopped", "drops", "dropped", "blocks", "blocked", "fault", "blame", "cuts"} {
		if slices.Contains(strings.Fields(strings.Trim(facts, ".")), word) {
			t.Errorf("%q: the facts accuse somebody (%s)", d.Sentence, word)
		}
	}
	if strings.Contains(d.Next, "your router") && d.Culprit != CulpritRouter && !strings.Contains(d.Next, "not to blame") && !slices.Contains(d.Suspects, CulpritRouter) {
		t.Errorf("%s: %q sends people to the router", d.Culprit, d.Next)
	}
	if len(d.Evidence) == 0 {
		t.Errorf("%q rests on nothing", d.Sentence)
	}
}
