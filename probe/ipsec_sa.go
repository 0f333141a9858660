package probe

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"

	"vpncheck/probe/wire"
)

// A wholeSA is an ikeSA that goes on to where a tunnel has its keys.
type wholeSA interface {
	ikeSA
	// known says that the responder's SPI was learned, and forget makes one up.
	known() bool
	forget()
	// natted says whether an answer of the opening tells of a NAT, by what an initiator can know of it.
	natted(answer []byte) bool
	// auth is message number n, from 0, of those that follow the opening and are answered; each of its own.
	auth(n int, t wire.Tag) []byte
	// commit is the message that follows them and has no answer, and large is all of auth as one: nil where there is none.
	commit(t wire.Tag) []byte
	large(t wire.Tag) []byte
}

func (p wholeIPsec) begin(f *Flow) wholeSA {
	if p.v1 {
		return newIKEv1(f.Local(), f.to)
	}
	return newIKEv2(wire.GroupCurve25519, f.Local(), f.to)
}

// Sizes of strongSwan's fragments of an IKE_AUTH with a certificate and the request for one, as the IP packets of 1,280 octets that it cuts them to
// by default hold them: the body of the Encrypted Fragment payload, the fragment's numbers included (RFC 7383, section 2.5).
var ikeFragments = [...]int{1204, 1204, 340}

// ikeLargeBody is what the same has without fragments of IKE's own.
const ikeLargeBody = 2672

// ikev1QuickBody and ikev1CommitBody are messages 1 and 3 of Quick Mode, of 188 and 76 octets.
const (
	ikev1QuickBody  = 160
	ikev1CommitBody = 48
)

func (sa *ikev2SA) known() bool { return sa.responder != 0 }
func (sa *ikev2SA) forget()     { sa.responder, sa.id = randomSPI(), 1 }

// natted implements wholeSA (RFC 7296, section 2.23). An answer without NAT detection is one of a server that cannot do it.
func (sa *ikev2SA) natted(answer []byte) bool {
	m, err := wire.ParseIKE(answer)
	_, source := m.Notify(wire.NotifyNATDetectionSourceIP)
	_, destination := m.Notify(wire.NotifyNATDetectionDestinationIP)
	seen := wire.Sighting{Src: sa.remote, Dst: sa.local}
	return err == nil && source && destination &&
		!(natMatch(m, wire.NotifyNATDetectionSourceIP, seen) && natMatch(m, wire.NotifyNATDetectionDestinationIP, seen))
}

// auth is a fragment of IKE_AUTH. Only the first says what the whole begins with.
func (sa *ikev2SA) auth(n int, t wire.Tag) []byte {
	n %= len(ikeFragments)
	p := wire.IKEPayload{Type: wire.IKEv2EncryptedFragment, Body: wire.IKESealed(t, ikeFragments[n])}
	binary.BigEndian.PutUint16(p.Body, uint16(n+1))
	binary.BigEndian.PutUint16(p.Body[2:], uint16(len(ikeFragments)))
	if n == 0 {
		p.Inner = wire.IKEv2IDInitiator
	}
	return sa.message(wire.IKEAuth, p)
}

func (sa *ikev2SA) commit(wire.Tag) []byte { return nil }

func (sa *ikev2SA) large(t wire.Tag) []byte {
	return sa.message(wire.IKEAuth, wire.IKEPayload{Type: wire.IKEv2Encrypted, Inner: wire.IKEv2IDInitiator, Body: wire.IKESealed(t, ikeLargeBody)})
}

func (sa *ikev1SA) known() bool { return sa.responder != 0 }
func (sa *ikev1SA) forget()     { sa.responder = randomSPI() }

// natted implements wholeSA (RFC 3947, section 3.2): the first NAT-D is of where the answer was sent, the second of where from.
func (sa *ikev1SA) natted(answer []byte) bool {
	m, err := wire.ParseIKE(answer)
	if err != nil {
		return false
	}
	var found [][]byte
	for _, p := range m.Payloads {
		if p.Type == wire.IKEv1NATD {
			found = append(found, p.Body)
		}
	}
	own := func(b []byte, local bool) bool {
		end := sa.remote
		if local {
			end = sa.local
		}
		return bytes.Equal(b, wire.NATDetectionV1(sha256.New, sa.initiator, sa.responder, end))
	}
	return len(found) == 2 && !(own(found[0], true) && own(found[1], false))
}

// auth is message 5 of Main Mode, and message 1 of Quick Mode (RFC 2409, sections 5 and 5.5).
func (sa *ikev1SA) auth(n int, t wire.Tag) []byte {
	if n%2 == 0 {
		sa.quick = randomMagic()
		return sa.secret(wire.IKEIdentityProtection, 0, wire.IKEv1Identification, ikev1IDBody, t)
	}
	return sa.secret(wire.IKEQuickMode, sa.quick, wire.IKEv1Hash, ikev1QuickBody, t)
}

// commit is message 3 of Quick Mode.
func (sa *ikev1SA) commit(t wire.Tag) []byte {
	return sa.secret(wire.IKEQuickMode, sa.quick, wire.IKEv1Hash, ikev1CommitBody, t)
}

func (sa *ikev1SA) large(wire.Tag) []byte { return nil }

func (sa *ikev1SA) secret(exchange uint8, id uint32, first uint8, size int, t wire.Tag) []byte {
	return sa.message(wire.IKEHeader{ExchangeType: exchange, Flags: wire.IKEv1FlagEncryption, MessageID: id},
		wire.IKEPayload{Type: first, Body: wire.IKESealed(t, size)})
}
