package probe

import (
	"bytes"
	"fmt"
	"net/netip"
	"testing"

	"vpncheck/probe/wire"
)

var (
	ikeHome   = netip.MustParseAddrPort("192.168.1.11:500")
	ikeRouter = netip.MustParseAddrPort("203.0.113.2:20500")
	ikeServer = netip.MustParseAddrPort("198.51.100.10:500")
	ikeInside = netip.MustParseAddrPort("10.0.0.10:500") // the server's own address behind a one-to-one NAT

	ikeTag = wire.Tag{Token: wire.Token{1, 2, 3}, Nonce: [wire.NonceSize]byte{4, 5, 6}}
)

// What is sent has strongSwan's sizes, but for the token's Vendor ID of 24 octets, and a tag where it can be found.
func TestIKEMessages(t *testing.T) {
	answer := wire.IKEHeader{ResponderSPI: 7, MajorVersion: 2, Length: 28}.Append(nil)
	for _, c := range []struct {
		name  string
		sa    ikeSA
		sizes []int
	}{
		{"v2-curve25519", newIKEv2(wire.GroupCurve25519, ikeHome, ikeServer), []int{384 + 24, 288, 80, 80}},
		{"v2-modp2048", newIKEv2(wire.GroupMODP2048, ikeHome, ikeServer), []int{608 + 24, 288, 80, 80}},
		{"v1", newIKEv1(ikeHome, ikeServer), []int{180 + 24, 172, 108, 92, 92}},
	} {
		t.Run(c.name, func(t *testing.T) {
			first := c.sa.open(ikeTag)
			if c.sa.opened(nil) || c.sa.opened(first) || !c.sa.opened(answer) {
				t.Error("an answer is what has the responder's SPI, and nothing else is")
			}
			messages := [][]byte{first}
			for range c.sizes[1:] {
				messages = append(messages, c.sa.next(ikeTag))
				c.sa.answered()
			}
			for i, b := range messages {
				m, err := wire.ParseIKE(b)
				if err != nil || len(b) != c.sizes[i] {
					t.Fatalf("message %d: %d octets, %v, want %d", i, len(b), err, c.sizes[i])
				}
				if tag, err := m.Tag(); err != nil || tag.Token != ikeTag.Token {
					t.Errorf("message %d: got %x, %v", i, tag, err)
				}
				if m.Header.InitiatorSPI == 0 || (m.Header.ResponderSPI == 0) != (i == 0) {
					t.Errorf("message %d: SPIs %x, %x", i, m.Header.InitiatorSPI, m.Header.ResponderSPI)
				}
				if m.Header.MajorVersion == 2 && m.Header.MessageID != uint32(i) {
					t.Errorf("message %d: Message ID %d", i, m.Header.MessageID)
				}
			}
		})
	}
}

// A request that was not answered is made anew with its Message ID, but not with its octets.
func TestIKERepeats(t *testing.T) {
	sa := newIKEv2(wire.GroupCurve25519, ikeHome, ikeServer)
	sa.opened(wire.IKEHeader{ResponderSPI: 7, MajorVersion: 2, Length: 28}.Append(nil))
	a, b := sa.next(ikeTag), sa.next(ikeTag)
	if !bytes.Equal(a[:28], b[:28]) || bytes.Equal(a, b) {
		t.Errorf("got %x and %x", a, b)
	}
}

// ikeExchange is an opening as both ends see it, through NATs at either end.
func ikeExchange(client, server bool) Exchange {
	seenFrom, own := ikeHome, ikeServer
	if client {
		seenFrom = ikeRouter
	}
	if server {
		own = ikeInside
	}
	sight := func(src, dst netip.AddrPort, b []byte) wire.Sighting {
		return wire.Sighting{State: wire.Seen, Src: src, Dst: dst, Bytes: bytes.Clone(b)}
	}
	sa := newIKEv2(wire.GroupCurve25519, ikeHome, ikeServer)
	question := sa.open(ikeTag)
	answer := ikeAnswer(sa.initiator, 9, own, seenFrom)
	return Exchange{
		ID: "ike/1", Part: ikeV2Stock, Stage: ikeOpening, Flow: 1, From: Client,
		Sent: sight(ikeHome, ikeServer, question), Arrived: sight(seenFrom, own, question),
		Replied: sight(own, seenFrom, answer), Returned: sight(ikeServer, ikeHome, answer),
	}
}

// ikeAnswer is what counts in the answer to IKE_SA_INIT.
func ikeAnswer(initiator, responder uint64, own, peer netip.AddrPort) []byte {
	notify := func(typ uint16, a netip.AddrPort) wire.IKEPayload {
		n := wire.IKENotify{Type: typ, Data: wire.NATDetection(initiator, responder, a)}
		return wire.IKEPayload{Type: wire.IKEv2NotifyPayload, Body: n.Append(nil)}
	}
	return wire.IKEMessage{
		Header: wire.IKEHeader{
			InitiatorSPI: initiator, ResponderSPI: responder, MajorVersion: 2, ExchangeType: wire.IKESAInit, Flags: wire.IKEv2FlagResponse,
		},
		Payloads: []wire.IKEPayload{
			{Type: wire.IKEv2Nonce, Body: wire.IKENonce(ikeTag)},
			notify(wire.NotifyNATDetectionSourceIP, own), notify(wire.NotifyNATDetectionDestinationIP, peer),
		},
	}.Append(nil)
}

// NAT detection is judged at both ends, and each sees the whole truth (F39, T25).
func TestIKENATDetection(t *testing.T) {
	const unknown = "unknown"
	noQuestion := func(e *Exchange) { e.Arrived, e.Replied, e.Returned = wire.NotSeen(), wire.NotSeen(), wire.NotSeen() }
	noAnswer := func(e *Exchange) { e.Returned = wire.NotSeen() }
	onlyAnswer := func(e *Exchange) {
		e.Arrived, e.Replied = wire.CannotSee("the session ended"), wire.CannotSee("the session ended")
	}
	otherSPI := func(e *Exchange) { copy(e.Arrived.Bytes[4:8], "\xde\xad\xbe\xef") }
	otherSPIs := func(e *Exchange) { otherSPI(e); copy(e.Returned.Bytes, "\xde\xad\xbe\xef") }
	cut := func(e *Exchange) { e.Arrived.Bytes, e.Returned.Bytes = e.Arrived.Bytes[:300], nil }
	for _, c := range []struct {
		name           string
		client, server bool
		edit           func(*Exchange)
		want           string
	}{
		{"no-nat", false, false, nil, "false false"},
		{"client", true, false, nil, "true false"},
		{"server", false, true, nil, "false true"},
		{"both", true, true, nil, "true true"},
		{"both-by-question", true, true, noAnswer, "true true"},
		{"none-by-question", false, false, noAnswer, "false false"},
		{"server-by-question", false, true, noAnswer, "false true"},
		{"client-by-answer", true, false, onlyAnswer, "true false"},
		{"server-by-answer", false, true, onlyAnswer, "false true"},
		{"answer-where-the-question-was-rewritten", true, false, otherSPI, "true false"},
		{"rewritten-both-ways", false, false, otherSPIs, unknown},
		{"nothing-arrived", true, false, noQuestion, unknown},
		{"cut-short", true, false, cut, unknown},
	} {
		t.Run(c.name, func(t *testing.T) {
			e := ikeExchange(c.client, c.server)
			if c.edit != nil {
				c.edit(&e)
			}
			got := unknown
			for _, ev := range (IKE{}).Facts(Observation{Exchanges: []Exchange{e}}) {
				got = fmt.Sprint(ev.Args["client"], " ", ev.Args["server"])
				if ev.Reason != EvNATFound || len(ev.Exchanges) != 1 {
					t.Errorf("got %+v", ev)
				}
			}
			if got != c.want {
				t.Errorf("got %s, want %s", got, c.want)
			}
		})
	}
}

// What was rewritten is fatal and has its name; where a packet comes from is a NAT's to say.
func TestIKEChanges(t *testing.T) {
	flip := func(b []byte, at int) { b[at] ^= 0xFF }
	for _, c := range []struct {
		name  string
		edit  func(*Exchange)
		field string
		way   string
	}{
		{"initiator-spi", func(e *Exchange) { flip(e.Arrived.Bytes, 4) }, "initiator SPI", WayOut},
		{"responder-spi", func(e *Exchange) { flip(e.Returned.Bytes, 9) }, "responder SPI", WayBack},
		{"message-id", func(e *Exchange) { flip(e.Arrived.Bytes, 23) }, "message id", WayOut},
		{"sa", func(e *Exchange) { flip(e.Arrived.Bytes, 60) }, "SA payload", WayOut},
		{"nonce-back", func(e *Exchange) { flip(e.Returned.Bytes, 40) }, "nonce", WayBack},
		{"cut-short", func(e *Exchange) { e.Arrived.Bytes = e.Arrived.Bytes[:200] }, "length", WayOut},
	} {
		t.Run(c.name, func(t *testing.T) {
			e := ikeExchange(true, false)
			c.edit(&e)
			found := false
			for _, ch := range (IKE{}).Changes(Observation{}, e) {
				switch {
				case ch.Field == c.field && ch.Way == c.way && ch.Kills == PayloadAltered:
					found = true
				case ch.Kills != "" && c.field != "length":
					t.Errorf("got %+v", ch)
				}
			}
			if !found {
				t.Errorf("no change of the %s on the way %s", c.field, c.way)
			}
		})
	}
	for _, ch := range (IKE{}).Changes(Observation{}, ikeExchange(true, true)) {
		if ch.Kills != "" {
			t.Errorf("a NAT is no fault: %+v", ch)
		}
	}
}
