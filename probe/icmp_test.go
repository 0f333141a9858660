package probe

import (
	"bytes"
	"fmt"
	"net/netip"
	"reflect"
	"testing"
	"time"

	"vpncheck/probe/sock"
	"vpncheck/probe/wire"
)

var (
	home    = netip.MustParseAddr("192.168.1.11")
	abroad  = netip.MustParseAddr("203.0.113.2")
	gateway = netip.MustParseAddr("192.168.1.1")
	vps     = netip.MustParseAddr("198.51.100.10")
)

// sentPacket is a sighting of a packet that left; port 0 is of a protocol without ports.
func sentPacket(proto uint8, port uint16, id uint16, payload []byte) wire.Sighting {
	s := wire.Sighting{State: wire.Seen, At: time.Now(), Proto: proto, Bytes: payload,
		Src: netip.AddrPortFrom(home, port), Dst: netip.AddrPortFrom(vps, port)}
	if id != 0 {
		s.IPID = &id
	}
	return s
}

// quoteOf is what an ICMP error quotes of a packet: so many octets behind its header.
func quoteOf(s wire.Sighting, octets int) wire.ICMPError {
	b := []byte(s.Bytes)
	if s.Proto == wire.IPProtoUDP {
		u := wire.UDP{SrcPort: s.Src.Port(), DstPort: s.Dst.Port(), Length: uint16(8 + len(b)), Checksum: sock.UDPChecksum(s)}
		b = append(u.Append(nil), b...)
	}
	if s.Proto == protoTCP {
		b = append(numbers(s.Src.Port(), s.Dst.Port()), make([]byte, 16)...)
	}
	h := wire.IPv4{TotalLength: uint16(20 + len(b)), TTL: 63, Protocol: s.Proto, Src: s.Src.Addr(), Dst: s.Dst.Addr()}
	if s.IPID != nil {
		h.ID = *s.IPID
	}
	return wire.ICMPError{Type: wire.ICMPUnreachable, Code: 13, Header: h, Quoted: b[:min(octets, len(b))]}
}

func numbers(ns ...uint16) (b []byte) {
	for _, n := range ns {
		b = append(b, byte(n>>8), byte(n))
	}
	return b
}

// talking is a link with conversations on it, without a network.
func talking(obs ...Observation) *Path {
	p := &Path{Server: vps, Local: home, link: &link{talks: map[string]*Conversation{}}}
	p.facts.Server.Client = netip.AddrPortFrom(abroad, 40000)
	for i, o := range obs {
		id := fmt.Sprintf("%s/%d", o.Protocol, i)
		p.link.talks[id] = &Conversation{path: p, id: id, info: infos[o.Protocol], obs: o}
	}
	return p
}

var infos = map[string]Info{"esp": ESP{}.Info(), "gre": GRE{}.Info(), "ike": IKE{}.Info(), "pptp": PPTP{}.Info()}

func espBytes(spi, seq uint32) []byte {
	return append(numbers(uint16(spi>>16), uint16(spi), uint16(seq>>16), uint16(seq)), make([]byte, 60)...)
}

// An ICMP error is filed under the packet that it quotes, not merely under the newest.
func TestICMPFindsItsPacket(t *testing.T) {
	question := func(id string, s wire.Sighting) Exchange {
		return Exchange{ID: id, From: Client, Stage: "esp", Sent: s}
	}
	ike := func(n byte) wire.Sighting {
		return sentPacket(wire.IPProtoUDP, 500, 0, bytes.Repeat([]byte{n}, 300))
	}
	path := func() *Path {
		return talking(
			Observation{Protocol: "esp", Exchanges: []Exchange{
				question("esp/1", sentPacket(wire.IPProtoESP, 0, 0, espBytes(0xabcd1234, 1))),
				question("esp/2", sentPacket(wire.IPProtoESP, 0, 0, espBytes(0xabcd1234, 2))),
				question("esp/3", sentPacket(wire.IPProtoESP, 0, 0, espBytes(0x12345678, 900))),
			}},
			Observation{Protocol: "gre", Exchanges: []Exchange{
				question("gre/1", sentPacket(wire.IPProtoGRE, 0, 701, make([]byte, 80))),
				question("gre/2", sentPacket(wire.IPProtoGRE, 0, 702, make([]byte, 80))),
			}},
			Observation{Protocol: "ike", Exchanges: []Exchange{question("ike/1", ike(1)), question("ike/2", ike(2))}},
			Observation{Protocol: "pptp", Exchanges: []Exchange{
				question("pptp/1", wire.Sighting{State: wire.Seen, At: time.Now(), Proto: protoTCP, Src: netip.AddrPortFrom(home, 0), Dst: netip.AddrPortFrom(vps, 1723)}),
			}},
		)
	}
	syn := sentPacket(protoTCP, 1723, 0, nil)
	syn.Src = netip.AddrPortFrom(home, 40123)
	untranslated := sentPacket(wire.IPProtoESP, 0, 0, espBytes(0x12345678, 900))
	untranslated.Src = netip.AddrPortFrom(abroad, 0)
	another := sentPacket(wire.IPProtoESP, 0, 0, espBytes(0x12345678, 900))
	another.Src = netip.AddrPortFrom(netip.MustParseAddr("192.168.1.99"), 0)
	elsewhere := sentPacket(wire.IPProtoESP, 0, 0, espBytes(0x12345678, 900))
	elsewhere.Dst = netip.AddrPortFrom(abroad, 0)
	otherPort := ike(1)
	otherPort.Src = netip.AddrPortFrom(home, 501)
	for _, c := range []struct {
		name string
		m    wire.ICMPError
		want string
	}{
		{"by-sequence-number", quoteOf(sentPacket(wire.IPProtoESP, 0, 0, espBytes(0xabcd1234, 1)), 8), "esp/1"},
		{"by-spi", quoteOf(sentPacket(wire.IPProtoESP, 0, 0, espBytes(0x12345678, 900)), 8), "esp/3"},
		{"another-spi", quoteOf(sentPacket(wire.IPProtoESP, 0, 0, espBytes(0x99999999, 0xffffffff)), 8), ""},
		{"not-translated-back", quoteOf(untranslated, 8), "esp/3"},
		{"another-address", quoteOf(elsewhere, 8), ""},
		{"another-laptop", quoteOf(another, 8), ""},
		{"by-ip-id", quoteOf(sentPacket(wire.IPProtoGRE, 0, 701, make([]byte, 80)), 8), "gre/1"},
		{"the-newest-of-equals", quoteOf(sentPacket(wire.IPProtoGRE, 0, 0, make([]byte, 80)), 8), "gre/2"},
		{"another-protocol", quoteOf(sentPacket(wire.IPProtoAH, 0, 701, make([]byte, 80)), 8), ""},
		{"by-checksum", quoteOf(ike(1), 8), "ike/1"},
		{"by-payload", quoteOf(ike(1), 128), "ike/1"},
		{"another-port", quoteOf(otherPort, 128), ""},
		{"another-length", quoteOf(sentPacket(wire.IPProtoUDP, 500, 0, make([]byte, 20)), 8), ""},
		{"tcp", quoteOf(syn, 8), "pptp/1"},
	} {
		t.Run(c.name, func(t *testing.T) {
			p := path()
			ttl := uint8(64)
			p.hear(heardICMP{c.m, wire.Sighting{At: time.Now(), TTL: &ttl, Src: netip.AddrPortFrom(gateway, 0), Bytes: c.m.Append(nil)}})
			got := ""
			for _, talk := range p.link.all() {
				for _, e := range talk.snapshot().Exchanges {
					for _, i := range e.ICMPAtClient {
						got += e.ID
						if i.From != gateway || i.TTL != 64 || i.Type != 3 || i.Code != 13 || !bytes.HasPrefix(c.m.Append(nil)[8:], i.Quote) {
							t.Errorf("got %+v, want what was heard", i)
						}
						if e.Refused != "icmp 3/13 from 192.168.1.1" {
							t.Errorf("refused: got %q", e.Refused)
						}
					}
				}
			}
			if got != c.want {
				t.Errorf("filed under %q, want %q", got, c.want)
			}
			if unread := len(p.ear.unread); unread != truth(c.want == "") {
				t.Errorf("%d kept unread", unread)
			}
		})
	}
}

// What is kept is bounded, and only what refuses is a refusal.
func TestICMPIsBounded(t *testing.T) {
	sent := sentPacket(wire.IPProtoESP, 0, 7, append(espBytes(0x1000, 1), make([]byte, 500)...))
	p := talking(Observation{Protocol: "esp", Exchanges: []Exchange{{ID: "esp/1", From: Client, Sent: sent}}})
	hear := func(typ, code uint8, s wire.Sighting) Exchange {
		m := quoteOf(s, 600)
		m.Type, m.Code = typ, code
		p.hear(heardICMP{m, wire.Sighting{At: time.Now(), Src: netip.AddrPortFrom(vps, 0), Bytes: m.Append(nil)}})
		return p.link.all()[0].snapshot().Exchanges[0]
	}
	for _, c := range [][2]uint8{{wire.ICMPUnreachable, tooBig}, {wire.ICMPTimeExceeded, 0}} {
		if e := hear(c[0], c[1], sent); e.Refused != "" || len(e.ICMPAtClient) == 0 {
			t.Errorf("ICMP %v: got %+v, want it filed, and no refusal", c, e)
		}
	}
	var e Exchange
	for range 2 * maxICMP {
		e = hear(wire.ICMPUnreachable, 2, sent)
	}
	if len(e.ICMPAtClient) != maxICMP || e.Refused != "icmp 3/2 from 198.51.100.10" {
		t.Errorf("%d kept (%s), want %d", len(e.ICMPAtClient), e.Refused, maxICMP)
	}
	for range 2 * maxUnread {
		hear(wire.ICMPUnreachable, 2, sentPacket(wire.IPProtoGRE, 0, 0, make([]byte, 9)))
	}
	if len(p.ear.unread) != maxUnread {
		t.Errorf("%d unread kept, want %d", len(p.ear.unread), maxUnread)
	}
	for _, i := range e.ICMPAtClient {
		if len(i.Quote) != maxQuote {
			t.Errorf("a quote of %d octets", len(i.Quote))
		}
	}
}

// Which hop answered is said only where it is sure: a quote may fit packets of several TTLs.
func TestTimeExceededIsSure(t *testing.T) {
	hop := func(n int, ttl uint8, id uint16) Exchange {
		s := sentPacket(wire.IPProtoGRE, 0, id, make([]byte, 80))
		s.TTL = &ttl
		return Exchange{ID: fmt.Sprintf("gre/%d", n), From: Client, Stage: StageHop, Sent: s}
	}
	for _, c := range []struct {
		name string
		sent []Exchange
		of   int // whose packet is quoted
		want int // filed under
	}{
		{"by-ip-id", []Exchange{hop(1, 1, 11), hop(2, 2, 12)}, 0, 0},
		{"one-ttl", []Exchange{hop(1, 2, 0), hop(2, 2, 0)}, 0, 1},
		{"two-ttls", []Exchange{hop(1, 1, 0), hop(2, 2, 0)}, 0, -1},
		{"three", []Exchange{hop(1, 1, 0), hop(2, 2, 0), hop(3, 2, 0)}, 0, -1},
	} {
		t.Run(c.name, func(t *testing.T) {
			p := talking(Observation{Protocol: "gre", Exchanges: c.sent})
			m := quoteOf(c.sent[c.of].Sent, 8)
			m.Type, m.Code = wire.ICMPTimeExceeded, 0
			p.hear(heardICMP{m, wire.Sighting{At: time.Now(), Src: netip.AddrPortFrom(gateway, 0), Bytes: m.Append(nil)}})
			o := p.link.all()[0].snapshot()
			for i, e := range o.Exchanges {
				if len(e.ICMPAtClient) != truth(i == c.want) {
					t.Errorf("%s: %d filed", e.ID, len(e.ICMPAtClient))
				}
			}
			answers := 0
			for _, h := range hopsOf(o, false) {
				answers += len(h.Answers)
			}
			if answers != truth(c.want >= 0) {
				t.Errorf("%d answers", answers)
			}
		})
	}
}

// What came of the hops is counted from their packets, and of their ICMP only what says that a TTL has ended on the way.
func TestHopsOf(t *testing.T) {
	hop := func(ttl uint8, stage string, arrived bool, icmp ...wire.ICMPSighting) Exchange {
		e := Exchange{Stage: stage, Sent: wire.Sighting{State: wire.Seen, TTL: &ttl}, ICMPAtClient: icmp, Arrived: wire.NotSeen()}
		if arrived {
			e.Arrived.State = wire.Seen
		}
		return e
	}
	exceeded := wire.ICMPSighting{Type: wire.ICMPTimeExceeded}
	unsent := hop(1, StageHop, false)
	unsent.Sent.State = wire.Absent
	got := hopsOf(Observation{Exchanges: []Exchange{
		hop(2, StageHop, false, wire.ICMPSighting{Type: wire.ICMPTimeExceeded, Code: 1}, wire.ICMPSighting{Type: wire.ICMPUnreachable, Code: 13}),
		hop(1, StageHop, false, exceeded), hop(1, StageTrain, false, exceeded), unsent, hop(3, StageHop, true), hop(2, StageHop, false),
	}}, true)
	want := []Hop{
		{TTL: 1, Control: true, Asked: 1, Answers: []wire.ICMPSighting{exceeded}}, {TTL: 2, Control: true, Asked: 2}, {TTL: 3, Control: true, Asked: 1, Arrived: 1},
	}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("got %+v, want %+v", got, want)
	}
	for ttl, want := range map[int]bool{1: false, 2: true, 3: false, 4: false} {
		if wantsHop(got, ttl) != want {
			t.Errorf("hop %d is asked again: %v", ttl, !want)
		}
	}
}

// A router at hand answers before this end has filed what it sent: what fits nothing yet is read again, for a moment.
func TestICMPBeforeItsPacket(t *testing.T) {
	for late, want := range map[time.Duration]int{0: 1, 2 * unreadFor: 0} {
		sent := sentPacket(wire.IPProtoESP, 0, 7, espBytes(0x1000, 1))
		p := talking(Observation{Protocol: "esp", Exchanges: []Exchange{{ID: "esp/1", From: Client, Sent: wire.Sighting{At: sent.At}}}})
		m := quoteOf(sent, 8)
		p.hear(heardICMP{m, wire.Sighting{At: time.Now().Add(-late), Src: netip.AddrPortFrom(vps, 0), Bytes: m.Append(nil)}})
		c := p.link.all()[0]
		c.editAt(0, func(e *Exchange) { e.Sent = sent })
		p.rehear()
		if e := c.snapshot().Exchanges[0]; len(e.ICMPAtClient) != want || len(p.ear.unread) != 0 {
			t.Errorf("%v late: got %+v, and %d unread", late, e.ICMPAtClient, len(p.ear.unread))
		}
	}
}

// What the server hears is about its answers, and late or not, it is filed.
func TestICMPAtServer(t *testing.T) {
	answer := func(seq uint32) wire.Sighting {
		s := sentPacket(wire.IPProtoESP, 0, 0, espBytes(0x7777, seq))
		s.Src, s.Dst = netip.AddrPortFrom(vps, 0), netip.AddrPortFrom(abroad, 0)
		return s
	}
	obs := Observation{Protocol: "esp", Exchanges: []Exchange{
		{ID: "esp/1", From: Client, Stage: espTalk, Replied: answer(1)},
		{ID: "esp/2", From: Client, Stage: espTalk, Replied: answer(2)},
		{ID: "esp/3", From: Client, Stage: espTalk, Replied: wire.NotSeen()},
	}}
	for _, c := range []struct {
		name  string
		quote []byte
		of    string
		want  int
	}{
		{"quoted", quoteOf(answer(1), 8).Append(nil)[8:], "esp/0", 0},
		{"damaged-quote", []byte{0x45}, "esp/0", 1},
		{"another-packet", quoteOf(answer(0xffffff), 8).Append(nil)[8:], "esp/0", -1},
		{"unknown-conversation", []byte{0x45}, "esp/9", -1},
		{"another-carrier", []byte{0x45}, "esp/0", -1},
	} {
		t.Run(c.name, func(t *testing.T) {
			o := obs
			o.Exchanges = append([]Exchange(nil), obs.Exchanges...)
			p := talking(o)
			judged := Observation{Exchanges: append([]Exchange(nil), obs.Exchanges...)}
			carrier := wire.CarrierESP
			if c.name == "another-carrier" {
				carrier = wire.CarrierAH
			}
			p.link.came(wire.Came{Conversation: c.of, Carrier: carrier, ICMP: wire.ICMPSighting{From: abroad, Type: 3, Code: 2, Quote: c.quote}})
			p.link.lateICMP(&judged)
			for i, e := range judged.Exchanges {
				if got := len(e.ICMPAtServer); got != truth(i == c.want) {
					t.Errorf("%s: %d filed", e.ID, got)
				}
			}
		})
	}
}

// Whatever somebody quotes, it harms nobody.
func FuzzQuotes(f *testing.F) {
	f.Add(quoteOf(sentPacket(wire.IPProtoESP, 0, 9, espBytes(1, 2)), 8).Append(nil)[8:])
	f.Add(quoteOf(sentPacket(wire.IPProtoUDP, 500, 0, make([]byte, 40)), 28).Append(nil)[8:])
	f.Add(quoteOf(sentPacket(protoTCP, 1723, 0, nil), 8).Append(nil)[8:])
	f.Add([]byte{0x45})
	f.Fuzz(func(t *testing.T, b []byte) {
		p := talking(Observation{Protocol: "esp", Exchanges: []Exchange{
			{ID: "esp/1", From: Client, Stage: espTalk, Sent: sentPacket(wire.IPProtoESP, 0, 9, espBytes(1, 2))},
			{ID: "esp/2", From: Client, Stage: espTalk, Sent: sentPacket(wire.IPProtoUDP, 500, 0, make([]byte, 40))},
			{ID: "esp/3", From: Client, Stage: espTalk, Sent: sentPacket(protoTCP, 1723, 0, nil)},
		}})
		if q, err := wire.ParseICMPQuote(b); err == nil {
			p.hear(heardICMP{q, wire.Sighting{}})
		}
		p.link.came(wire.Came{Conversation: "esp/0", Carrier: wire.CarrierESP, ICMP: wire.ICMPSighting{Quote: b}})
	})
}
