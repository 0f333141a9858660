package probe

import "vpncheck/probe/wire"

// message is a control message. Its tag is in a Random Vector, which stands in front of what it could hide (RFC 2661, section 4.4.1).
func (k *l2tpTunnel) message(t wire.Tag, session, typ uint16, avps ...wire.AVP) []byte {
	all := []wire.AVP{wire.AVP16(wire.AVPMessageType, typ), wire.NewAVP(wire.AVPRandomVector, t.Append(nil))}
	return wire.L2TPControl(k.peer, session, k.ns, k.nr, append(all, avps...)...).Append(nil)
}

// opening is what a Start-Control-Connection-Request says (section 6.1), in xl2tpd's order and words.
func (k *l2tpTunnel) opening() []wire.AVP {
	return []wire.AVP{
		wire.AVP16(wire.AVPProtocolVersion, 0x0100), wire.AVP32(wire.AVPFramingCapabilities, 3), wire.AVP32(wire.AVPBearerCapabilities, 0),
		wire.AVP16(wire.AVPFirmwareRevision, 0x0690), wire.NewAVP(wire.AVPHostName, []byte("vpncheck")),
		wire.NewAVP(wire.AVPVendorName, []byte("xelerance.com")), wire.AVP16(wire.AVPAssignedTunnelID, k.own),
		wire.AVP16(wire.AVPReceiveWindowSize, 4),
	}
}

// calling is what an Incoming-Call-Request says (section 6.6).
func (k *l2tpTunnel) calling() []wire.AVP {
	return []wire.AVP{
		wire.AVP16(wire.AVPAssignedSessionID, k.ownCall), wire.AVP32(wire.AVPCallSerialNumber, 1), wire.AVP32(wire.AVPBearerType, 0),
	}
}

// connected is what an Incoming-Call-Connected says (section 6.8).
func (k *l2tpTunnel) connected() []wire.AVP {
	return []wire.AVP{wire.AVP32(wire.AVPTxConnectSpeed, 0), wire.AVP32(wire.AVPFramingType, 1), wire.AVP32(wire.AVPRxConnectSpeed, 0)}
}

// ending is what a Stop-Control-Connection-Notification says (section 6.4): that all is well.
func (k *l2tpTunnel) ending() []wire.AVP {
	return []wire.AVP{wire.AVP16(wire.AVPAssignedTunnelID, k.own), wire.L2TPResult{ResultCode: 1}.AVP()}
}

// data is a data message. It has none of the optional fields.
func (k *l2tpTunnel) data(lcp wire.LCP) []byte {
	return wire.L2TP{TunnelID: k.peer, SessionID: k.peerCall, Payload: lcpFrame(lcp)}.Append(nil)
}

// l2tpLCP is the LCP in a data message.
func l2tpLCP(message []byte) (wire.LCP, bool) {
	m, err := wire.ParseL2TP(message)
	if err != nil || m.Control {
		return wire.LCP{}, false
	}
	return lcpOf(m.Payload)
}

// reply reads the ID that the answer to an exchange assigns, if there is one of that type. It is the server's: it had a token.
func (k *l2tpTunnel) reply(exchange uint32, typ, id uint16) (uint16, bool) {
	m, err := wire.ParseL2TP(k.c.exchange(exchange).Returned.Bytes)
	if got, ok := m.MessageType(); err != nil || !ok || got != typ {
		return 0, false
	}
	assigned, _ := m.AVPs.Find(id)
	n, _ := assigned.Uint16()
	k.nr = m.Ns + 1
	return n, n != 0
}

// read takes the tag out of a message. What cannot be read is somebody's, or damaged.
func (t *l2tpTalk) read(s wire.Sighting) (wire.Tag, bool) {
	m, err := wire.ParseL2TP(s.Bytes)
	if err != nil {
		return wire.Tag{}, true
	}
	if !m.Control {
		lcp, ok := lcpOf(m.Payload)
		if !ok {
			return wire.Tag{}, true
		}
		return tagOf(lcp)
	}
	if len(m.AVPs) == 0 {
		return wire.Tag{}, !t.acknowledged(m, s)
	}
	vector, _ := m.AVPs.Find(wire.AVPRandomVector)
	tag, _ := wire.ParseTag(vector.Value)
	return tag, true
}

// acknowledged files a Zero-Length Body under what it acknowledges. It has no room for a token: that it is for a tunnel that was opened with
// one vouches for it.
func (t *l2tpTalk) acknowledged(m wire.L2TP, s wire.Sighting) bool {
	t.mu.Lock()
	k := t.tunnels[m.TunnelID]
	open := k != nil && k.open
	var n uint32
	if open {
		n = k.acks[m.Nr]
	}
	t.mu.Unlock()
	if n != 0 {
		t.c.returned(n, s, [wire.NonceSize]byte{})
	}
	return open
}
