package testserver

import (
	"bytes"
	"crypto/sha256"
	"net/netip"
	"testing"
	"testing/synctest"

	"vpncheck/probe/sock"
	"vpncheck/probe/wire"
)

const ikeClientSPI = 0x0102030405060708

func withIKE(_ *world, cfg *Config) { cfg.Responders = []Responder{IKE()} }

// ikev2Opening is an IKE_SA_INIT with what an answer needs.
func ikev2Opening(t wire.Tag, group uint16) []byte {
	sa := wire.IKEv2SA{{Num: 1, ProtocolID: wire.ProtocolIDIKE, Transforms: []wire.IKEv2Transform{
		{Type: wire.TransformEncryption, ID: wire.EncryptionAESCBC, KeyLength: 128},
		{Type: wire.TransformEncryption, ID: wire.EncryptionAESCBC, KeyLength: 256},
		{Type: wire.TransformIntegrity, ID: wire.IntegrityHMACSHA256}, {Type: wire.TransformPRF, ID: wire.PRFHMACSHA256},
		{Type: wire.TransformGroup, ID: wire.GroupMODP3072}, {Type: wire.TransformGroup, ID: group},
	}}}
	return wire.IKEMessage{
		Header: wire.IKEHeader{InitiatorSPI: ikeClientSPI, MajorVersion: 2, ExchangeType: wire.IKESAInit, Flags: wire.IKEv2FlagInitiator},
		Payloads: []wire.IKEPayload{
			{Type: wire.IKEv2SecurityAssociation, Body: sa.Append(nil)},
			{Type: wire.IKEv2KeyExchange, Body: wire.IKEv2KE{Group: group, Data: wire.IKEPublic(group)}.Append(nil)},
			{Type: wire.IKEv2Nonce, Body: wire.IKENonce(t)},
			{Type: wire.IKEv2VendorID, Body: make([]byte, 100)}, // as long as the rest of a real one
		},
	}.Append(nil)
}

func ikev1Message(responder uint64, h wire.IKEHeader, payloads ...wire.IKEPayload) []byte {
	h.InitiatorSPI, h.ResponderSPI, h.MajorVersion = ikeClientSPI, responder, 1
	return wire.IKEMessage{Header: h, Payloads: payloads}.Append(nil)
}

func mainMode1(t wire.Tag) []byte {
	sa := wire.IKEv1SA{{Num: 1, ProtocolID: wire.ProtocolIDIKE, Transforms: []wire.IKEv1Transform{
		{Num: 1, ID: wire.IKEv1KeyIKE, Attributes: []wire.IKEv1Attribute{{Type: wire.AttributeHash, Value: wire.IKEv1HashSHA256}}},
		{Num: 2, ID: wire.IKEv1KeyIKE, Attributes: []wire.IKEv1Attribute{{Type: wire.AttributeHash, Value: wire.IKEv1HashSHA1}}},
	}}}
	return ikev1Message(0, wire.IKEHeader{ExchangeType: wire.IKEIdentityProtection},
		wire.IKEPayload{Type: wire.IKEv1SecurityAssociation, Body: sa.Append(nil)},
		wire.IKEPayload{Type: wire.IKEv1VendorID, Body: []byte(wire.VendorFragmentation2)},
		wire.IKEPayload{Type: wire.IKEv1VendorID, Body: t.Token[:]})
}

func mainMode3(t wire.Tag, responder uint64) []byte {
	natD := wire.IKEPayload{Type: wire.IKEv1NATD, Body: make([]byte, sha256.Size)}
	return ikev1Message(responder, wire.IKEHeader{ExchangeType: wire.IKEIdentityProtection},
		wire.IKEPayload{Type: wire.IKEv1KeyExchange, Body: wire.IKEPublic(wire.GroupCurve25519)},
		wire.IKEPayload{Type: wire.IKEv1Nonce, Body: wire.IKENonce(t)}, natD, natD)
}

// askIKE sends a message with the tag of the next exchange, and returns it with its answer.
func (c *client) askIKE(conn sock.Conn, message func(wire.Tag) []byte) (question []byte, answer wire.IKEMessage, s wire.Sighting) {
	c.t.Helper()
	question = message(wire.Tag{Token: c.token(wire.CarrierIKE)})
	c.emit(conn, netip.AddrPortFrom(serverOther, wire.IKEPort), question)
	s = c.hear(conn)
	answer, err := wire.ParseIKE(s.Bytes)
	if err != nil {
		c.t.Fatal(err)
	}
	tag, err := answer.Tag()
	if err != nil {
		c.t.Fatal(err)
	}
	c.answered(wire.CarrierIKE, tag.Token)
	if saw := c.saw(); saw.Exchange != c.number || saw.Replied.State != wire.Seen || !bytes.Equal(saw.Replied.Bytes, s.Bytes) {
		c.t.Errorf("got %+v, want the exchange", saw)
	}
	return question, answer, s
}

func TestIKEv2(t *testing.T) {
	for group, size := range map[uint16]int{wire.GroupCurve25519: 248 + 24, wire.GroupMODP2048: 472 + 24} {
		inWorld(t, withIKE, func(w *world) {
			c, conn := w.open(w.laptop, wire.CarrierIKE), w.udp(w.laptop, laptopAddr)
			_, m, s := c.askIKE(conn, func(t wire.Tag) []byte { return ikev2Opening(t, group) })
			h := m.Header
			if len(s.Bytes) != size || h.Flags != wire.IKEv2FlagResponse || h.InitiatorSPI != ikeClientSPI || h.ResponderSPI == 0 {
				t.Errorf("got %+v in %d octets, want %d", h, len(s.Bytes), size)
			}
			p, _ := m.Find(wire.IKEv2KeyExchange)
			if ke, err := wire.ParseIKEv2KE(p.Body); err != nil || ke.Group != group {
				t.Errorf("got %+v, %v, want a key of group %d", ke, err, group)
			}
			p, _ = m.Find(wire.IKEv2SecurityAssociation)
			if sa, err := wire.ParseIKEv2SA(p.Body); err != nil || len(sa) != 1 || len(sa[0].Transforms) != 4 || sa[0].Transforms[3].ID != group {
				t.Errorf("got %+v, %v, want one transform of each type", sa, err)
			}
			source, _ := m.Notify(wire.NotifyNATDetectionSourceIP)
			destination, _ := m.Notify(wire.NotifyNATDetectionDestinationIP)
			if !bytes.Equal(source.Data, wire.NATDetection(h.InitiatorSPI, h.ResponderSPI, s.Src)) ||
				!bytes.Equal(destination.Data, wire.NATDetection(h.InitiatorSPI, h.ResponderSPI, conn.Local())) {
				t.Error("NAT detection is not of what the server sees")
			}
			question, m, s := c.askIKE(conn, func(t wire.Tag) []byte {
				h := wire.IKEHeader{InitiatorSPI: ikeClientSPI, ResponderSPI: h.ResponderSPI, MajorVersion: 2, ExchangeType: wire.IKEAuth,
					Flags: wire.IKEv2FlagInitiator, MessageID: 1}
				p := wire.IKEPayload{Type: wire.IKEv2Encrypted, Inner: wire.IKEv2IDInitiator, Body: wire.IKESealed(t, 256)}
				return wire.IKEMessage{Header: h, Payloads: []wire.IKEPayload{p}}.Append(nil)
			})
			if len(s.Bytes) != len(question) || m.Header.ResponderSPI != h.ResponderSPI || m.Header.MessageID != 1 ||
				m.Header.Flags != wire.IKEv2FlagResponse || m.Payloads[0].Inner != wire.IKEv2IDResponder {
				t.Errorf("got %+v in %d octets", m.Header, len(s.Bytes))
			}
		})
	}
}

func TestIKEv1(t *testing.T) {
	inWorld(t, withIKE, func(w *world) {
		c, conn := w.open(w.laptop, wire.CarrierIKE), w.udp(w.laptop, laptopAddr)
		question, m, s := c.askIKE(conn, mainMode1)
		responder := m.Header.ResponderSPI
		p, _ := m.Find(wire.IKEv1SecurityAssociation)
		sa, err := wire.ParseIKEv1SA(p.Body)
		if err != nil || responder == 0 || len(sa[0].Transforms) != 1 || !m.HasVendor(wire.VendorNATT) {
			t.Errorf("got %+v for %d octets, %v", m.Header, len(question), err)
		}
		question, m, s = c.askIKE(conn, func(t wire.Tag) []byte { return mainMode3(t, responder) })
		natD, _ := m.Find(wire.IKEv1NATD)
		if len(s.Bytes) != len(question) || m.Header.ResponderSPI != responder || len(m.Payloads) != 4 ||
			!bytes.Equal(natD.Body, wire.NATDetectionV1(sha256.New, ikeClientSPI, responder, conn.Local())) ||
			!bytes.Equal(m.Payloads[3].Body, wire.NATDetectionV1(sha256.New, ikeClientSPI, responder, s.Src)) {
			t.Errorf("got %+v in %d octets", m, len(s.Bytes))
		}
		for _, exchange := range []uint8{wire.IKEIdentityProtection, wire.IKEQuickMode, wire.IKEv1Informational} {
			h := wire.IKEHeader{ExchangeType: exchange, Flags: wire.IKEv1FlagEncryption, MessageID: 5}
			question, m, s = c.askIKE(conn, func(t wire.Tag) []byte {
				return ikev1Message(responder, h, wire.IKEPayload{Type: wire.IKEv1Hash, Body: wire.IKESealed(t, 64)})
			})
			same := m.Header.MessageID == 5
			if len(s.Bytes) != len(question) || m.Header.Flags != wire.IKEv1FlagEncryption || same == (exchange == wire.IKEv1Informational) {
				t.Errorf("exchange %d: got %+v in %d octets", exchange, m.Header, len(s.Bytes))
			}
		}
	})
}

// The newest answered message says where ESP goes, until the session ends.
func TestIKEPeer(t *testing.T) {
	inWorld(t, withIKE, func(w *world) {
		c := w.open(w.laptop, wire.CarrierIKE)
		s := w.srv.gate.SessionsFrom(laptopAddr)[0]
		if from, ok := w.srv.host.ikePeer(s); ok {
			t.Errorf("got %v before any IKE", from)
		}
		for range 2 {
			conn := w.udp(w.laptop, laptopAddr)
			c.askIKE(conn, mainMode1)
			if from, ok := w.srv.host.ikePeer(s); !ok || from != conn.Local() {
				t.Errorf("got %v, want %v", from, conn.Local())
			}
		}
		w.emit(w.udp(w.other, otherAddr), netip.AddrPortFrom(serverAddr, wire.IKEPort), mainMode1(wire.Tag{}))
		c.conn.Close()
		synctest.Wait()
		w.srv.host.setIKEPeer(s, netip.AddrPort{}) // too late
		if from, ok := w.srv.host.ikePeer(s); ok || len(w.srv.host.ikePeers.by) != 0 {
			t.Errorf("got %v after the session's end", from)
		}
	})
}

// ikeUnanswerable are messages that no responder answers, though the token be good.
func ikeUnanswerable(t wire.Tag) map[string][]byte {
	response := ikev2Opening(t, wire.GroupCurve25519)
	response[19] |= wire.IKEv2FlagResponse
	noNATD := ikev1Message(7, wire.IKEHeader{ExchangeType: wire.IKEIdentityProtection},
		wire.IKEPayload{Type: wire.IKEv1KeyExchange, Body: make([]byte, 32)}, wire.IKEPayload{Type: wire.IKEv1Nonce, Body: wire.IKENonce(t)})
	group := ikev2Opening(t, wire.GroupCurve25519)
	group[28+68+4+1] = 99 // behind the SA, in the key exchange
	return map[string][]byte{
		"nothing": nil, "short": response[:40], "response": response, "no-nat-d": noNATD, "group": group,
		"aggressive": ikev1Message(0, wire.IKEHeader{ExchangeType: wire.IKEAggressive}, wire.IKEPayload{Type: wire.IKEv1Nonce, Body: wire.IKENonce(t)}),
		"no-sa":      ikev1Message(0, wire.IKEHeader{ExchangeType: wire.IKEIdentityProtection}, wire.IKEPayload{Type: wire.IKEv1Nonce, Body: wire.IKENonce(t)}),
		"only-nonce": wire.IKEMessage{Header: wire.IKEHeader{MajorVersion: 2, ExchangeType: wire.IKESAInit},
			Payloads: []wire.IKEPayload{{Type: wire.IKEv2Nonce, Body: wire.IKENonce(t)}}}.Append(nil),
	}
}

func TestIKEUnanswerable(t *testing.T) {
	inWorld(t, withIKE, func(w *world) {
		c, conn := w.open(w.laptop, wire.CarrierIKE), w.udp(w.laptop, laptopAddr)
		for name, b := range ikeUnanswerable(wire.Tag{Token: c.token(wire.CarrierIKE)}) {
			w.emit(conn, netip.AddrPortFrom(serverAddr, wire.IKEPort), b)
			if s := c.stray(); s.Carrier != wire.CarrierIKE {
				t.Errorf("%s: got %+v, want a stray", name, s)
			}
		}
		if n := len(w.left()); n != 0 {
			t.Errorf("%d packets left the server, want none", n)
		}
	})
}

// FuzzIKEStranger gives any octets to the responder: nothing may leave, nothing may panic.
func FuzzIKEStranger(f *testing.F) {
	for _, b := range ikeUnanswerable(wire.Tag{}) {
		f.Add(b)
	}
	f.Add(ikev2Opening(wire.Tag{}, wire.GroupMODP2048))
	f.Add(mainMode1(wire.Tag{}))
	f.Add(mainMode3(wire.Tag{}, 7))
	host := sock.NewFake().Host(serverAddr)
	state, err := OpenState(f.TempDir(), StateOptions{})
	if err != nil {
		f.Fatal(err)
	}
	srv := New(Config{Net: host, Addresses: []netip.Addr{serverAddr}, Responders: []Responder{IKE()}, State: state})
	if err := srv.Start(f.Context()); err != nil {
		f.Fatal(err)
	}
	f.Cleanup(func() { srv.Close() })
	conn, err := host.UDP(netip.AddrPortFrom(serverAddr, 0))
	if err != nil {
		f.Fatal(err)
	}
	session, err := srv.gate.Open(otherAddr)
	if err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		arrived := wire.Sighting{State: wire.Seen, Src: netip.AddrPortFrom(otherAddr, 500), Dst: netip.AddrPortFrom(serverAddr, 500), Bytes: b}
		ikePacket(srv.host, conn, arrived)
		if len(host.Sent()) != 0 {
			t.Errorf("a stranger was answered: %x", b)
		}
		// What could be answered, were the token good, must not panic either, nor become what cannot be read.
		if q, err := parseIKE(wire.CarrierIKE, arrived, b); err == nil {
			if _, err := wire.ParseIKE(q.answer(session)); err != nil {
				t.Errorf("the answer to %x: %v", b, err)
			}
		}
	})
}
