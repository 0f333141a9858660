package probe

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/binary"
	"fmt"
	"hash"
	"net/netip"
	"strings"

	"vpncheck/probe/wire"
)

// Steps of the openings of IKE.
const (
	ownSAInit    = "sa-init"
	ownMainSA    = "main-mode-sa"
	ownMainKeys  = "main-mode-keys"
	ownReinits   = 2 // further IKE_SA_INITs, with the cookie or the group that the server asked for
	ownNonceSize = 32
)

// askIKEv2 sends IKE_SA_INIT (RFC 7296, section 1.2), and sends it anew with the cookie or the group that the server asks for (sections 1.2 and
// 2.6). What would follow is encrypted, a deletion too: the server forgets the opening by itself.
func (t *ownTalk) askIKEv2(ctx context.Context) {
	s, ear, ok := t.open(wire.IKEPort)
	if !ok {
		return
	}
	t.stage(ownSAInit, fmt.Sprintf("IKE_SA_INIT on UDP port %d", t.o.Port))
	sa := newOwnSA(netip.AddrPortFrom(t.a.local, s.conn.Local().Port()), t.server())
	for range 1 + ownReinits {
		answer, ok := t.ask(ctx, s, ear, t.server(), sa.init, sa.reads(2))
		if !ok || !sa.heard(t, answer.Bytes) {
			return
		}
	}
}

// An ownSA is an opening of IKEv2 with somebody else's server.
type ownSA struct {
	local, remote netip.AddrPort
	spi           uint64
	group         uint16
	public, nonce []byte
	cookie        []byte
}

func newOwnSA(local, remote netip.AddrPort) *ownSA {
	sa := &ownSA{local: local, remote: remote, spi: randomSPI(), nonce: make([]byte, ownNonceSize)}
	rand.Read(sa.nonce)
	sa.choose(wire.GroupMODP2048) // most servers have it
	return sa
}

func (sa *ownSA) choose(group uint16) { sa.group, sa.public = group, wire.IKEPublic(group) }

// ownIKEv2Offer is what strongSwan offers, with the old algorithms that Windows' own server is set up with, and AES-GCM in a proposal of its own
// (RFC 5282, section 8).
func ownIKEv2Offer(first uint16) wire.IKEv2SA {
	groups := []uint16{
		first, wire.GroupCurve25519, wire.GroupECP256, wire.GroupECP384, wire.GroupMODP2048, wire.GroupMODP3072, wire.GroupMODP4096, wire.GroupMODP1024,
	}
	prfs := []uint16{wire.PRFHMACSHA256, wire.PRFHMACSHA384, wire.PRFHMACSHA512, wire.PRFHMACSHA1}
	var cbc, gcm []wire.IKEv2Transform
	for _, bits := range []uint16{256, 128, 192} {
		cbc = append(cbc, wire.IKEv2Transform{Type: wire.TransformEncryption, ID: wire.EncryptionAESCBC, KeyLength: bits})
		gcm = append(gcm, wire.IKEv2Transform{Type: wire.TransformEncryption, ID: wire.EncryptionAESGCM16, KeyLength: bits})
	}
	cbc = append(cbc, wire.IKEv2Transform{Type: wire.TransformEncryption, ID: wire.Encryption3DES})
	for _, id := range []uint16{wire.IntegrityHMACSHA256, wire.IntegrityHMACSHA384, wire.IntegrityHMACSHA512, wire.IntegrityHMACSHA1} {
		cbc = append(cbc, wire.IKEv2Transform{Type: wire.TransformIntegrity, ID: id})
	}
	for _, id := range prfs {
		cbc = append(cbc, wire.IKEv2Transform{Type: wire.TransformPRF, ID: id})
		gcm = append(gcm, wire.IKEv2Transform{Type: wire.TransformPRF, ID: id})
	}
	for i, id := range groups {
		if i > 0 && id == first {
			continue
		}
		cbc = append(cbc, wire.IKEv2Transform{Type: wire.TransformGroup, ID: id})
		gcm = append(gcm, wire.IKEv2Transform{Type: wire.TransformGroup, ID: id})
	}
	return wire.IKEv2SA{{Num: 1, ProtocolID: wire.ProtocolIDIKE, Transforms: cbc}, {Num: 2, ProtocolID: wire.ProtocolIDIKE, Transforms: gcm}}
}

// init is IKE_SA_INIT, with strongSwan's notifications.
func (sa *ownSA) init() []byte {
	notify := func(typ uint16, data []byte) wire.IKEPayload {
		return wire.IKEPayload{Type: wire.IKEv2NotifyPayload, Body: wire.IKENotify{Type: typ, Data: data}.Append(nil)}
	}
	var payloads []wire.IKEPayload
	if sa.cookie != nil {
		payloads = append(payloads, notify(wire.NotifyCookie, sa.cookie)) // first of all (section 2.6)
	}
	payloads = append(payloads,
		wire.IKEPayload{Type: wire.IKEv2SecurityAssociation, Body: ownIKEv2Offer(sa.group).Append(nil)},
		wire.IKEPayload{Type: wire.IKEv2KeyExchange, Body: wire.IKEv2KE{Group: sa.group, Data: sa.public}.Append(nil)},
		wire.IKEPayload{Type: wire.IKEv2Nonce, Body: sa.nonce},
		notify(wire.NotifyNATDetectionSourceIP, wire.NATDetection(sa.spi, 0, sa.local)),
		notify(wire.NotifyNATDetectionDestinationIP, wire.NATDetection(sa.spi, 0, sa.remote)),
		notify(wire.NotifyFragmentationSupported, nil),
		notify(wire.NotifySignatureHashAlgorithms, []byte{0, 2, 0, 3, 0, 4, 0, 5}),
		notify(wire.NotifyRedirectSupported, nil))
	return wire.IKEMessage{Payloads: payloads, Header: wire.IKEHeader{
		InitiatorSPI: sa.spi, MajorVersion: 2, ExchangeType: wire.IKESAInit, Flags: wire.IKEv2FlagInitiator,
	}}.Append(nil)
}

// reads recognises an answer by the SPI that it was asked with, which is random: whatever else is in it, both ways are open.
func (sa *ownSA) reads(version uint8) func(wire.Sighting) ownSays {
	return ownIKEReader(sa.spi, version)
}

func ownIKEReader(spi uint64, version uint8) func(wire.Sighting) ownSays {
	return func(s wire.Sighting) ownSays {
		h, err := wire.ParseIKEHeader(s.Bytes)
		switch {
		case err != nil && version == 2:
			return strange // one of the two notes it
		case err != nil:
			return notMine
		case h.InitiatorSPI == spi && h.MajorVersion == 1 && h.ResponderSPI == 0 && h.ExchangeType == wire.IKEIdentityProtection:
			return strange // our own first message: a mirror is not a server (T14)
		case h.InitiatorSPI == spi && (h.MajorVersion != 2 || h.Flags&wire.IKEv2FlagResponse != 0):
			return theReply
		case h.MajorVersion == version:
			return strange
		}
		return notMine
	}
}

// heard notes what the server says, and returns true if it wants to be asked in another way.
func (sa *ownSA) heard(t *ownTalk, b []byte) (again bool) {
	m, err := wire.ParseIKE(b)
	if err != nil || m.Header.MajorVersion != 2 {
		return false // it answered: what, is not for us to know
	}
	if n, ok := m.Notify(wire.NotifyCookie); ok && sa.cookie == nil && len(n.Data) <= 64 && m.Header.ResponderSPI == 0 {
		sa.cookie = bytes.Clone(n.Data)
		return true
	}
	if n, ok := m.Notify(wire.NotifyInvalidKEPayload); ok && len(n.Data) == 2 {
		group := binary.BigEndian.Uint16(n.Data)
		if group == sa.group || wire.IKEGroupLen(group) == 0 {
			t.edit(func(o *Opening) { o.Declined = "INVALID_KE_PAYLOAD" })
			return false
		}
		sa.choose(group)
		return true
	}
	sa.tells(t, m)
	return false
}

// tells notes what the server says of itself.
func (sa *ownSA) tells(t *ownTalk, m wire.IKEMessage) {
	var sources, dests [][]byte
	for _, p := range m.Payloads {
		switch p.Type {
		case wire.IKEv2VendorID:
			t.told(ToldVendorID, vendorName(p.Body))
		case wire.IKEv2SecurityAssociation:
			if chosen, err := wire.ParseIKEv2SA(p.Body); err == nil {
				t.told(ToldProposal, wire.IKEv2ProposalName(chosen[0]))
			}
		case wire.IKEv2NotifyPayload:
			n, err := wire.ParseIKENotify(p.Body)
			if err != nil {
				continue
			}
			switch n.Type {
			case wire.NotifyNATDetectionSourceIP:
				sources = append(sources, n.Data)
				continue
			case wire.NotifyNATDetectionDestinationIP:
				dests = append(dests, n.Data)
				continue
			}
			t.told(ToldNotify, wire.IKENotifyName(n.Type))
			if n.Type < wire.NotifyStatus {
				t.edit(func(o *Opening) { o.Declined = ownText(wire.IKENotifyName(n.Type)) })
			}
		}
	}
	t.natDetected(sources, dests, func(a netip.AddrPort) []byte {
		return wire.NATDetection(m.Header.InitiatorSPI, m.Header.ResponderSPI, a)
	}, netip.AddrPortFrom(t.a.local, sa.local.Port()))
}

// natDetected compares the server's hashes of the two addresses with those that this end knows: where none of the first is that of the address
// that was asked, the server stands behind a NAT (F03), or says so on purpose, to have all in UDP; where none of the second is the laptop's
// own, the laptop does.
func (t *ownTalk) natDetected(ofServer, ofClient [][]byte, hash func(netip.AddrPort) []byte, local netip.AddrPort) {
	behind := func(hashes [][]byte, a netip.AddrPort) *bool {
		if len(hashes) == 0 {
			return nil
		}
		want := hash(a)
		for _, h := range hashes {
			if bytes.Equal(h, want) {
				return new(false)
			}
		}
		return new(true)
	}
	t.edit(func(o *Opening) {
		o.ServerBehindNAT = behind(ofServer, netip.AddrPortFrom(t.a.addr, o.Port))
		o.ClientBehindNAT = behind(ofClient, local)
	})
}

// askIKEv1 sends Main Mode's messages 1 and 3 (RFC 2409, section 5), as L2TP over IPsec begins. With message 5 a name would be told, so it ends
// here; the server forgets it by itself.
func (t *ownTalk) askIKEv1(ctx context.Context) {
	s, ear, ok := t.open(wire.IKEPort)
	if !ok {
		return
	}
	local := netip.AddrPortFrom(t.a.local, s.conn.Local().Port())
	sa := &ownMain{spi: randomSPI(), local: local, remote: t.server(), nonce: make([]byte, ownNonceSize)}
	rand.Read(sa.nonce)
	t.stage(ownMainSA, fmt.Sprintf("Main Mode's first two messages on UDP port %d", t.o.Port))
	answer, ok := t.ask(ctx, s, ear, t.server(), sa.first, ownIKEReader(sa.spi, 1))
	if !ok || !sa.chosen(t, answer.Bytes) {
		return
	}
	t.stage(ownMainKeys, "Main Mode's key exchange")
	answer, ok = t.ask(ctx, s, ear, t.server(), sa.third, func(s wire.Sighting) ownSays {
		if m, err := wire.ParseIKE(s.Bytes); err == nil && m.Header.InitiatorSPI == sa.spi && m.Header.ExchangeType == wire.IKEIdentityProtection {
			if _, ok := m.Find(wire.IKEv1SecurityAssociation); ok {
				return notMine // message 2 again
			}
		}
		return ownIKEReader(sa.spi, 1)(s)
	})
	if ok {
		sa.tells(t, answer.Bytes)
	}
}

// An ownMain is a Main Mode with somebody else's server.
type ownMain struct {
	local, remote netip.AddrPort
	spi, peer     uint64 // cookies
	group         uint16
	hash          func() hash.Hash
	natT          bool // the server speaks RFC 3947
	public, nonce []byte
}

// ownIKEv1Offer is what a client of Windows offers for L2TP over IPsec, with what strongSwan and the old servers have, for both kinds of
// authentication: what is chosen is the server's to say.
func ownIKEv1Offer() wire.IKEv1SA {
	p := wire.IKEv1Proposal{Num: 1, ProtocolID: wire.ProtocolIDIKE}
	for _, auth := range []uint16{wire.IKEv1AuthPSK, wire.IKEv1AuthRSA} {
		for _, o := range []struct{ cipher, bits, hash, group uint16 }{
			{wire.IKEv1EncryptionAESCBC, 256, wire.IKEv1HashSHA1, wire.GroupECP384},
			{wire.IKEv1EncryptionAESCBC, 128, wire.IKEv1HashSHA1, wire.GroupECP256},
			{wire.IKEv1EncryptionAESCBC, 256, wire.IKEv1HashSHA256, wire.GroupMODP2048},
			{wire.IKEv1EncryptionAESCBC, 128, wire.IKEv1HashSHA256, wire.GroupMODP3072},
			{wire.IKEv1EncryptionAESCBC, 256, wire.IKEv1HashSHA1, wire.GroupMODP2048},
			{wire.IKEv1EncryptionAESCBC, 128, wire.IKEv1HashSHA1, wire.GroupMODP1024},
			{wire.IKEv1Encryption3DES, 0, wire.IKEv1HashSHA1, wire.GroupMODP2048},
			{wire.IKEv1Encryption3DES, 0, wire.IKEv1HashSHA1, wire.GroupMODP1024},
		} {
			attributes := []wire.IKEv1Attribute{{Type: wire.AttributeEncryption, Value: o.cipher}}
			if o.bits != 0 {
				attributes = append(attributes, wire.IKEv1Attribute{Type: wire.AttributeKeyLength, Value: o.bits})
			}
			attributes = append(attributes, wire.IKEv1Attribute{Type: wire.AttributeHash, Value: o.hash},
				wire.IKEv1Attribute{Type: wire.AttributeGroup, Value: o.group}, wire.IKEv1Attribute{Type: wire.AttributeAuth, Value: auth},
				wire.IKEv1Attribute{Type: wire.AttributeLifeType, Value: wire.IKEv1LifeSeconds},
				wire.IKEv1Attribute{Type: wire.AttributeLifeDuration, Value: 28800})
			p.Transforms = append(p.Transforms, wire.IKEv1Transform{Num: uint8(len(p.Transforms) + 1), ID: wire.IKEv1KeyIKE, Attributes: attributes})
		}
	}
	return wire.IKEv1SA{p}
}

func (sa *ownMain) first() []byte {
	payloads := []wire.IKEPayload{{Type: wire.IKEv1SecurityAssociation, Body: ownIKEv1Offer().Append(nil)}}
	for _, id := range []string{wire.VendorNATT, wire.VendorNATTDraft02, wire.VendorFragmentation, wire.VendorDPD} {
		payloads = append(payloads, wire.IKEPayload{Type: wire.IKEv1VendorID, Body: []byte(id)})
	}
	return sa.message(payloads...)
}

// third is message 3, with NAT-D if the server speaks of it (RFC 3947, section 3.2).
func (sa *ownMain) third() []byte {
	payloads := []wire.IKEPayload{{Type: wire.IKEv1KeyExchange, Body: sa.public}, {Type: wire.IKEv1Nonce, Body: sa.nonce}}
	if sa.natT {
		payloads = append(payloads, wire.IKEPayload{Type: wire.IKEv1NATD, Body: sa.natD(sa.remote)}, wire.IKEPayload{Type: wire.IKEv1NATD, Body: sa.natD(sa.local)})
	}
	return sa.message(payloads...)
}

func (sa *ownMain) natD(a netip.AddrPort) []byte {
	return wire.NATDetectionV1(sa.hash, sa.spi, sa.peer, a)
}

func (sa *ownMain) message(payloads ...wire.IKEPayload) []byte {
	return wire.IKEMessage{Payloads: payloads, Header: wire.IKEHeader{
		InitiatorSPI: sa.spi, ResponderSPI: sa.peer, MajorVersion: 1, ExchangeType: wire.IKEIdentityProtection,
	}}.Append(nil)
}

// chosen reads message 2, and says whether it can be followed by message 3.
func (sa *ownMain) chosen(t *ownTalk, b []byte) bool {
	m, err := wire.ParseIKE(b)
	if err != nil || m.Header.MajorVersion != 1 {
		return false
	}
	sa.vendors(t, m)
	if m.Header.ExchangeType == wire.IKEv1Informational {
		sa.notified(t, m)
		return false
	}
	p, ok := m.Find(wire.IKEv1SecurityAssociation)
	if !ok {
		return false
	}
	chosen, err := wire.ParseIKEv1SA(p.Body)
	if err != nil || len(chosen) == 0 || len(chosen[0].Transforms) == 0 || m.Header.ResponderSPI == 0 {
		return false
	}
	transform := chosen[0].Transforms[0]
	t.told(ToldProposal, wire.IKEv1TransformName(transform))
	group, _ := transform.Find(wire.AttributeGroup)
	named, _ := transform.Find(wire.AttributeHash)
	sa.peer, sa.group, sa.hash, sa.natT = m.Header.ResponderSPI, group.Value, wire.IKEv1HashFunc(named.Value), m.HasVendor(wire.VendorNATT)
	sa.public = wire.IKEPublic(sa.group)
	return sa.public != nil && sa.hash != nil
}

func (sa *ownMain) vendors(t *ownTalk, m wire.IKEMessage) {
	for _, p := range m.Payloads {
		if p.Type == wire.IKEv1VendorID {
			t.told(ToldVendorID, vendorName(p.Body))
		}
	}
}

func (sa *ownMain) notified(t *ownTalk, m wire.IKEMessage) {
	p, ok := m.Find(wire.IKEv1Notification)
	if !ok {
		return
	}
	if n, err := wire.ParseIKEv1Notify(p.Body); err == nil {
		t.edit(func(o *Opening) { o.Declined = ownText(wire.IKEv1NotifyName(n.Type)) })
	}
}

// tells reads message 4: the first NAT-D is of the address that the server saw, those behind it are of its own (RFC 3947, section 3.2).
func (sa *ownMain) tells(t *ownTalk, b []byte) {
	m, err := wire.ParseIKE(b)
	if err != nil || m.Header.MajorVersion != 1 {
		return
	}
	sa.vendors(t, m)
	if m.Header.ExchangeType == wire.IKEv1Informational {
		sa.notified(t, m)
		return
	}
	var hashes [][]byte
	for _, p := range m.Payloads {
		if p.Type == wire.IKEv1NATD {
			hashes = append(hashes, p.Body)
		}
	}
	if len(hashes) > 1 {
		t.natDetected(hashes[1:], hashes[:1], sa.natD, sa.local)
	}
}

// vendorName is what a Vendor ID says, where it is known.
func vendorName(id []byte) string {
	if name := wire.VendorName(id); name != "" {
		return name
	}
	printable := strings.Trim(ownText(string(id)), " ")
	if len(printable) == len(id) && len(id) >= 6 {
		return printable
	}
	return fmt.Sprintf("%x", id[:min(len(id), 20)])
}
