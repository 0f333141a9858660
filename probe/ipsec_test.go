package probe

import (
	"crypto/sha256"
	"encoding/binary"
	"net/netip"
	"slices"
	"testing"
	"time"

	"vpncheck/probe/wire"
)

// What goes on behind the opening has strongSwan's sizes: IKE_AUTH with certificates in three fragments of IKE's own (RFC 7383, section 2.5), or in
// one message; messages 5 of Main Mode and 1 and 3 of Quick Mode.
func TestWholeMessages(t *testing.T) {
	v2, v1 := newIKEv2(wire.GroupCurve25519, ikeHome, ikeServer), newIKEv1(ikeHome, ikeServer)
	v2.forget()
	v1.forget()
	if !v2.known() || !v1.known() {
		t.Error("an SA that was made up is not known")
	}
	five := v1.auth(0, ikeTag)
	quick := v1.auth(1, ikeTag)
	for _, c := range []struct {
		name     string
		b        []byte
		size     int
		exchange uint8
		payload  uint8
		inner    uint8
	}{
		{"fragment-1", v2.auth(0, ikeTag), 1236, wire.IKEAuth, wire.IKEv2EncryptedFragment, wire.IKEv2IDInitiator},
		{"fragment-2", v2.auth(1, ikeTag), 1236, wire.IKEAuth, wire.IKEv2EncryptedFragment, 0},
		{"fragment-3", v2.auth(2, ikeTag), 372, wire.IKEAuth, wire.IKEv2EncryptedFragment, 0},
		{"fragment-1-again", v2.auth(3, ikeTag), 1236, wire.IKEAuth, wire.IKEv2EncryptedFragment, wire.IKEv2IDInitiator},
		{"large", v2.large(ikeTag), 2704, wire.IKEAuth, wire.IKEv2Encrypted, wire.IKEv2IDInitiator},
		{"main-mode-5", five, 108, wire.IKEIdentityProtection, wire.IKEv1Identification, 0},
		{"quick-mode-1", quick, 188, wire.IKEQuickMode, wire.IKEv1Hash, 0},
		{"quick-mode-3", v1.commit(ikeTag), 76, wire.IKEQuickMode, wire.IKEv1Hash, 0},
	} {
		m, err := wire.ParseIKE(c.b)
		if err != nil || len(c.b) != c.size || m.Header.ExchangeType != c.exchange || len(m.Payloads) != 1 || m.Payloads[0].Type != c.payload ||
			m.Payloads[0].Inner != c.inner || m.Header.ResponderSPI == 0 {
			t.Errorf("%s: %d octets, %+v, %v", c.name, len(c.b), m.Header, err)
			continue
		}
		if tag, err := m.Tag(); err != nil || tag.Token != ikeTag.Token {
			t.Errorf("%s: tag %x, %v", c.name, tag, err)
		}
		if c.payload == wire.IKEv2EncryptedFragment {
			body := m.Payloads[0].Body
			if n, of := binary.BigEndian.Uint16(body), binary.BigEndian.Uint16(body[2:]); of != 3 || c.name[:10] != "fragment-"+string('0'+byte(n)) {
				t.Errorf("%s says that it is fragment %d of %d", c.name, n, of)
			}
		}
	}
	first, _ := wire.ParseIKE(quick)
	last, _ := wire.ParseIKE(v1.commit(ikeTag))
	if first.Header.MessageID == 0 || first.Header.MessageID != last.Header.MessageID {
		t.Errorf("Quick Mode has Message IDs %x and %x", first.Header.MessageID, last.Header.MessageID)
	}
	v1.auth(0, ikeTag)
	if next, _ := wire.ParseIKE(v1.auth(1, ikeTag)); next.Header.MessageID == first.Header.MessageID {
		t.Error("another Quick Mode has the same Message ID")
	}
}

// An initiator knows of a NAT by the two hashes in the answer, of either end (RFC 7296, section 2.23; RFC 3947, section 3.2).
func TestWholeNatted(t *testing.T) {
	natD := func(sa *ikev1SA, ends ...netip.AddrPort) []byte {
		m := wire.IKEMessage{Header: wire.IKEHeader{InitiatorSPI: sa.initiator, ResponderSPI: sa.responder, MajorVersion: 1, ExchangeType: wire.IKEIdentityProtection}}
		for _, a := range ends {
			m.Payloads = append(m.Payloads, wire.IKEPayload{Type: wire.IKEv1NATD, Body: wire.NATDetectionV1(sha256.New, sa.initiator, sa.responder, a)})
		}
		return m.Append(nil)
	}
	v1 := newIKEv1(ikeHome, ikeServer)
	v1.forget()
	for _, c := range []struct {
		name string
		b    []byte
		want bool
	}{
		{"none", natD(v1, ikeHome, ikeServer), false},
		{"client", natD(v1, ikeRouter, ikeServer), true},
		{"server", natD(v1, ikeHome, ikeInside), true},
		{"the-wrong-way-round", natD(v1, ikeServer, ikeHome), true},
		{"no-nat-detection", natD(v1), false},
		{"one-hash", natD(v1, ikeRouter), false},
		{"no-message", []byte("?"), false},
	} {
		if got := v1.natted(c.b); got != c.want {
			t.Errorf("version 1, %s: a NAT: %t, want %t", c.name, got, c.want)
		}
	}
	v2 := newIKEv2(wire.GroupCurve25519, ikeHome, ikeServer)
	for _, c := range []struct {
		name string
		b    []byte
		want bool
	}{
		{"none", ikeAnswer(v2.initiator, 9, ikeServer, ikeHome), false},
		{"client", ikeAnswer(v2.initiator, 9, ikeServer, ikeRouter), true},
		{"server", ikeAnswer(v2.initiator, 9, ikeInside, ikeHome), true},
		{"no-nat-detection", wire.IKEMessage{Header: wire.IKEHeader{InitiatorSPI: v2.initiator, ResponderSPI: 9, MajorVersion: 2, ExchangeType: wire.IKESAInit}}.Append(nil), false},
		{"no-message", nil, false},
	} {
		if got := v2.natted(c.b); got != c.want {
			t.Errorf("version 2, %s: a NAT: %t, want %t", c.name, got, c.want)
		}
	}
}

// A block of the whole has its reason from where it happened, and from what IKE and NAT-T met on the same port.
func TestWholeReason(t *testing.T) {
	beside := func(id string, n Tally) Circumstances { return Circumstances{Beside: map[string]Tally{id: n}} }
	open, dead, refused := Tally{Tries: 12, Arrived: 12, Returned: 12}, Tally{Tries: 6}, Tally{Tries: 6, Refused: 2}
	oneWay := Tally{Tries: 6, Arrived: 6}
	summed := func(n int) (o Observation) {
		for range n {
			o.Exchanges = append(o.Exchanges, Exchange{Part: wholeStock, Stage: wholeSummed, Returned: wire.Sighting{State: wire.Seen}})
		}
		return o
	}
	none := Circumstances{}
	for _, c := range []struct {
		name    string
		stage   string
		verdict Verdict
		o       Observation
		c       Circumstances
		want    Reason
	}{
		{"500-refused", wholeInit, BlockedOut, Observation{}, beside("ike", refused), UDPRefused},
		{"500-refused-once", wholeInit, BlockedOut, Observation{}, beside("ike", Tally{Tries: 6, Refused: 1}), ""},
		{"4500-refused", wholeAuth, BlockedOut, Observation{}, beside("natt", refused), UDPRefused},
		{"4500-refused-says-nothing-of-500", wholeInit, BlockedOut, Observation{}, beside("natt", refused), ""},
		{"500-open", wholeInit, BlockedOut, Observation{}, beside("ike", open), NoArrival},
		{"500-open-back", wholeInit, BlockedBack, Observation{}, beside("ike", open), NoReturn},
		{"500-open-one-way", wholeInit, BlockedBack, Observation{}, beside("ike", oneWay), ""},
		{"500-dead", wholeInit, BlockedOut, Observation{}, beside("ike", dead), ""},
		{"4500-open", wholeAuth, BlockedOut, Observation{}, beside("natt", open), NoArrival},
		{"4500-open-back", wholeAuth, BlockedBack, Observation{}, beside("natt", open), NoReturn},
		{"4500-of-which-500-says-nothing", wholeAuth, BlockedOut, Observation{}, beside("ike", open), ""},
		{"500-without-a-nat", wholeAuthIKE, BlockedOut, Observation{}, beside("ike", open), NoArrival},
		{"alone", wholeAuth, BlockedOut, Observation{}, none, ""},
		{"fragments", wholeBig, BlockedOut, Observation{}, none, IKEFragmentsDropped},
		{"fragments-on-500", wholeBigIKE, BlockedBack, Observation{}, none, IKEFragmentsDropped},
		{"plain-esp", wholeDataESP, BlockedOut, Observation{}, none, ESPOutDropped},
		{"plain-esp-back", wholeDataESP, BlockedBack, Observation{}, none, ESPBackDropped},
		{"data", wholeData, BlockedOut, Observation{}, none, NoArrival},
		{"data-back", wholeData, BlockedBack, summed(wholeFew - 1), none, NoReturn},
		{"checksum", wholeData, BlockedOut, summed(wholeFew), none, ZeroChecksum},
		{"checksum-back", wholeData, BlockedBack, summed(wholeFew), none, ZeroChecksum},
		{"stalled", wholeData, Stalled, summed(wholeFew), none, ""},
	} {
		p := wholeIPsec{}
		if got, _ := p.Reason(c.o, p.stage(c.stage), c.verdict, c.c); got != c.want {
			t.Errorf("%s: got %q, want %q", c.name, got, c.want)
		}
	}
}

// What IKE or NAT-T met before it, from the same port, a whole VPN meets too: a flow that was cut off is no port that somebody else holds (F13).
func TestWholeSpent(t *testing.T) {
	cut := func(id string) Circumstances { return Circumstances{Beside: map[string]Tally{id: {Stalled: true}}} }
	for _, c := range []struct {
		name, stage string
		info        Info
		c           Circumstances
		want        bool
	}{
		{"natt", wholeAuth, IKEv2().Info(), cut("natt"), true},
		{"natt-and-main-mode", wholeAuth, L2TPIPsec().Info(), cut("natt"), true},
		{"ike", wholeInit, IKEv2().Info(), cut("ike"), true},
		{"ike-says-nothing-of-4500", wholeAuth, IKEv2().Info(), cut("ike"), false},
		{"nothing-was-cut", wholeAuth, IKEv2().Info(), Circumstances{Beside: map[string]Tally{"natt": {}}}, false},
		{"nobody-came-before", nattOpening, NATT{}.Info(), cut("natt"), false},
	} {
		if got := spent(c.info, Finding{Stage: c.stage}, c.c); got != c.want {
			t.Errorf("%s: got %t, want %t", c.name, got, c.want)
		}
	}
}

// Whatever is changed is fatal, and has the name that it has where it stands: in IKE, behind the marker, or in ESP.
func TestWholeChanges(t *testing.T) {
	v2 := newIKEv2(wire.GroupCurve25519, ikeHome, ikeServer)
	v2.forget()
	auth, esp := v2.auth(0, ikeTag), newESPTunnel(true).packet(ikeTag)
	marked := wire.AppendNATTIKE(nil, auth)
	for _, c := range []struct {
		stage string
		port  uint16
		b     []byte
		at    int
		want  string
	}{
		{wholeInit, 500, v2.open(ikeTag), 2, "initiator SPI"},
		{wholeAuth, 4500, marked, 1, "marker"},
		{wholeAuth, 4500, marked, 13, "responder SPI"},
		{wholeAuthIKE, 500, auth, 13, "responder SPI"},
		{wholeBig, 4500, marked, 4, "initiator SPI"},
		{wholeBigIKE, 500, auth, 4, "initiator SPI"},
		{wholeCommit, 4500, marked, 0, "marker"},
		{wholeCommit, 500, auth, 0, "initiator SPI"},
		{wholeData, 4500, esp, 5, "sequence number"},
		{wholeSummed, 4500, esp, 0, "SPI"},
		{stageFull, 4500, esp, 0, "SPI"},
		{wholeDataESP, 0, esp, 0, "SPI"},
	} {
		e := Exchange{Stage: c.stage, From: Client, Sent: wire.Sighting{State: wire.Seen, Dst: netip.AddrPortFrom(ikeServer.Addr(), c.port), Bytes: c.b}}
		e.Arrived = e.Sent
		e.Arrived.Bytes = slices.Clone(c.b)
		e.Arrived.Bytes[c.at] ^= 1
		got := wholeIPsec{}.Changes(Observation{}, e)
		if len(got) != 1 || got[0].Field != c.want || got[0].Kills != PayloadAltered {
			t.Errorf("%s, octet %d: got %+v, want %s", c.stage, c.at, got, c.want)
		}
	}
}

// What NAT detection found is told by version 2's opening, and by no other message.
func TestWholeFacts(t *testing.T) {
	e := ikeExchange(true, false)
	for stage, want := range map[string]int{wholeInit: 1, wholeAuth: 0} {
		e.Stage = stage
		if got := (wholeIPsec{}).Facts(Observation{Exchanges: []Exchange{e}}); len(got) != want {
			t.Errorf("%s: got %+v", stage, got)
		}
		if got := (wholeIPsec{v1: true}).Facts(Observation{Exchanges: []Exchange{e}}); len(got) != 0 {
			t.Errorf("version 1, %s: got %+v", stage, got)
		}
	}
}

// A handshake that passes is no tunnel (T12): the data is held round after round, over time, in either form.
func TestWholeHoldsData(t *testing.T) {
	for _, p := range []wholeIPsec{{}, {v1: true}} {
		for _, id := range []string{wholeData, wholeDataESP} {
			if s := p.stage(id); s.Rounds < 12 || s.Span < time.Second {
				t.Errorf("%s, %s: %d rounds in %v", p.Info().ID, id, s.Rounds, s.Span)
			}
		}
	}
}

// What is in the tunnel has the sizes of what IKEv2 carries, or of L2TP (RFC 3193).
func TestWholeSizes(t *testing.T) {
	for _, c := range []struct {
		p    wholeIPsec
		want []int
	}{{wholeIPsec{}, inside[:]}, {wholeIPsec{v1: true}, insideL2TP[:]}} {
		k := &wholeTalk{wholeIPsec: c.p}
		if k.tunnel(); !slices.Equal(k.esp.sizes, c.want) {
			t.Errorf("%s: got %v, want %v", c.p.Info().ID, k.esp.sizes, c.want)
		}
	}
}

// Packets of full size are those of the data, whichever form it has, and of no stage that comes behind it.
func TestWholeFullSize(t *testing.T) {
	for _, c := range []struct {
		asked []string
		like  string
	}{
		{[]string{wholeInit, wholeAuth, wholeData, wholeBig, stageFull}, wholeData},
		{[]string{wholeInit, wholeAuthIKE, wholeDataESP, wholeBigIKE, stageFull}, wholeDataESP},
	} {
		for _, p := range []wholeIPsec{{}, {v1: true}} {
			var o Observation
			for _, s := range c.asked {
				o.Exchanges = append(o.Exchanges, Exchange{Part: wholeStock, Stage: s})
			}
			stages := stagesOf(p.Info(), o)
			last, like := stages[len(stages)-1], p.stage(c.like)
			if last.ID != stageFull || last.Carrier != like.Carrier || last.Port != like.Port || !last.of(wholeStock) || last.of(wholeFragments) && !p.v1 {
				t.Errorf("got %+v, want full size of %+v", last, like)
			}
		}
	}
}
