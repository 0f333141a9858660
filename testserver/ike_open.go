package testserver

import (
	"vpncheck/probe/wire"
)

// saInit reads IKE_SA_INIT (RFC 7296, section 1.2).
func (q *ikeQuestion) saInit() error {
	sa, _ := q.m.Find(wire.IKEv2SecurityAssociation)
	offer, err := wire.ParseIKEv2SA(sa.Body)
	if err != nil {
		return err
	}
	p, _ := q.m.Find(wire.IKEv2KeyExchange)
	ke, err := wire.ParseIKEv2KE(p.Body)
	if err != nil {
		return err
	}
	if wire.IKEGroupLen(ke.Group) == 0 {
		return wire.ErrFormat
	}
	q.group, q.chosen, q.reply = ke.Group, ikev2Choice(offer[0], ke.Group), ikeQuestion.saInitReply
	return nil
}

// ikev2Choice takes the first transform of each type, and of the groups the one whose key came along (section 2.7).
func ikev2Choice(p wire.IKEv2Proposal, group uint16) wire.IKEv2SA {
	var chosen []wire.IKEv2Transform
	had := make(map[uint8]bool)
	for _, t := range p.Transforms {
		if had[t.Type] || t.Type == wire.TransformGroup && t.ID != group {
			continue
		}
		had[t.Type] = true
		chosen = append(chosen, t)
	}
	return wire.IKEv2SA{{Num: p.Num, ProtocolID: p.ProtocolID, Transforms: chosen}}
}

// saInitReply is strongSwan's, and behind it a Vendor ID, which is the token. NAT detection is of what this end sees itself: its own
// address, which the client may know under another (F39), and where the packet came from (section 2.23).
func (q ikeQuestion) saInitReply(h wire.IKEHeader, t wire.Tag) []wire.IKEPayload {
	notify := func(typ uint16, data []byte) wire.IKEPayload {
		return wire.IKEPayload{Type: wire.IKEv2NotifyPayload, Body: wire.IKENotify{Type: typ, Data: data}.Append(nil)}
	}
	return []wire.IKEPayload{
		{Type: wire.IKEv2SecurityAssociation, Body: q.chosen.Append(nil)},
		{Type: wire.IKEv2KeyExchange, Body: wire.IKEv2KE{Group: q.group, Data: wire.IKEPublic(q.group)}.Append(nil)},
		{Type: wire.IKEv2Nonce, Body: wire.IKENonce(t)},
		notify(wire.NotifyNATDetectionSourceIP, wire.NATDetection(h.InitiatorSPI, h.ResponderSPI, q.arrived.Dst)),
		notify(wire.NotifyNATDetectionDestinationIP, wire.NATDetection(h.InitiatorSPI, h.ResponderSPI, q.arrived.Src)),
		notify(wire.NotifyFragmentationSupported, nil),
		notify(wire.NotifySignatureHashAlgorithms, []byte{0, 2, 0, 3, 0, 4, 0, 5}),
		notify(wire.NotifyChildlessIKEv2Supported, nil),
		notify(wire.NotifyMultipleAuthSupported, nil),
		{Type: wire.IKEv2VendorID, Body: t.Token[:]},
	}
}

// mainMode reads message 1 or 3 of Main Mode (RFC 2409, section 5).
func (q *ikeQuestion) mainMode() error {
	if sa, ok := q.m.Find(wire.IKEv1SecurityAssociation); ok {
		offer, err := wire.ParseIKEv1SA(sa.Body)
		if err != nil {
			return err
		}
		p := offer[0] // the only one there is; of its transforms the first (section 5)
		p.Transforms = p.Transforms[:1]
		q.chosen1, q.reply = wire.IKEv1SA{p}, ikeQuestion.mainMode2
		return nil
	}
	ke, hasKE := q.m.Find(wire.IKEv1KeyExchange)
	natD, hasNATD := q.m.Find(wire.IKEv1NATD)
	_, hasNonce := q.m.Find(wire.IKEv1Nonce)
	q.group, q.newHash, q.reply = ikev1Group(len(ke.Body)), ikeHashes[len(natD.Body)], ikeQuestion.mainMode4
	if !hasKE || !hasNonce || !hasNATD || q.group == 0 || q.newHash == nil {
		return wire.ErrFormat
	}
	return nil
}

// ikev1Group is a group whose public values have that length: message 3 does not name it, message 1 did.
func ikev1Group(length int) uint16 {
	for _, g := range []uint16{wire.GroupCurve25519, wire.GroupMODP2048, wire.GroupMODP1024, wire.GroupMODP3072, wire.GroupMODP4096,
		wire.GroupECP256, wire.GroupECP384} {
		if wire.IKEGroupLen(g) == length {
			return g
		}
	}
	return 0
}

// mainMode2 is strongSwan's. It has no nonce: the last Vendor ID is the token.
func (q ikeQuestion) mainMode2(_ wire.IKEHeader, t wire.Tag) []wire.IKEPayload {
	payloads := []wire.IKEPayload{{Type: wire.IKEv1SecurityAssociation, Body: q.chosen1.Append(nil)}}
	for _, id := range []string{wire.VendorXAUTH, wire.VendorDPD, wire.VendorFragmentation2, wire.VendorNATT, string(t.Token[:])} {
		payloads = append(payloads, wire.IKEPayload{Type: wire.IKEv1VendorID, Body: []byte(id)})
	}
	return payloads
}

// mainMode4 has NAT-D of the destination first, then of the source (RFC 3947, section 3.2).
func (q ikeQuestion) mainMode4(h wire.IKEHeader, t wire.Tag) []wire.IKEPayload {
	return []wire.IKEPayload{
		{Type: wire.IKEv1KeyExchange, Body: wire.IKEPublic(q.group)},
		{Type: wire.IKEv1Nonce, Body: wire.IKENonce(t)},
		{Type: wire.IKEv1NATD, Body: wire.NATDetectionV1(q.newHash, h.InitiatorSPI, h.ResponderSPI, q.arrived.Src)},
		{Type: wire.IKEv1NATD, Body: wire.NATDetectionV1(q.newHash, h.InitiatorSPI, h.ResponderSPI, q.arrived.Dst)},
	}
}
