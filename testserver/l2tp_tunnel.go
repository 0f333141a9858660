package testserver

import (
	"math/rand/v2"

	"vpncheck/probe/wire"
	"vpncheck/testserver/gate"
)

// An l2tpTunnel is a tunnel of a session. The responder's mutex guards it.
type l2tpTunnel struct {
	session     *gate.Session
	own, theirs uint16 // Tunnel IDs
	nr          uint16 // of the next message: the Ns that is expected (RFC 2661, section 5.8)
	ns          uint16 // of the next message that has an Ns of its own
	calls       []*l2tpCall
}

// An l2tpCall is a call in a tunnel.
type l2tpCall struct {
	own, theirs uint16 // Session IDs
	ns          uint16 // of the Incoming-Call-Reply
	lcp         lcpLink
}

// message is a control message of ours, with its tag in front of all else, as in the client's.
func (t *l2tpTunnel) message(session, ns uint16, tag wire.Tag, typ uint16, avps ...wire.AVP) wire.L2TP {
	all := []wire.AVP{wire.AVP16(wire.AVPMessageType, typ), wire.NewAVP(wire.AVPRandomVector, tag.Append(nil))}
	return wire.L2TPControl(t.theirs, session, ns, t.nr, append(all, avps...)...)
}

// sccrp is the Start-Control-Connection-Reply (section 6.2), with xl2tpd's values.
func (t *l2tpTunnel) sccrp(tag wire.Tag) wire.L2TP {
	t.ns = 1
	return t.message(0, 0, tag, wire.L2TPSCCRP,
		wire.AVP16(wire.AVPProtocolVersion, 0x0100), wire.AVP32(wire.AVPFramingCapabilities, 3), wire.AVP32(wire.AVPBearerCapabilities, 0),
		wire.AVP16(wire.AVPFirmwareRevision, 0x0690), wire.NewAVP(wire.AVPHostName, []byte("vpncheck")),
		wire.NewAVP(wire.AVPVendorName, []byte("xelerance.com")), wire.AVP16(wire.AVPAssignedTunnelID, t.own),
		wire.AVP16(wire.AVPReceiveWindowSize, 4))
}

// icrp is the Incoming-Call-Reply (section 6.7), the same for the same call, or the reason why there is none.
func (t *l2tpTunnel) icrp(m wire.L2TP, tag wire.Tag) (wire.L2TP, string) {
	id, _ := m.AVPs.Find(wire.AVPAssignedSessionID)
	theirs, _ := id.Uint16()
	if theirs == 0 {
		return wire.L2TP{}, silentMessage
	}
	k := t.find(func(k *l2tpCall) bool { return k.theirs == theirs })
	if k == nil {
		if k = t.begin(theirs); k == nil {
			return wire.L2TP{}, gate.SilentBudget
		}
	}
	return t.message(theirs, k.ns, tag, wire.L2TPICRP, wire.AVP16(wire.AVPAssignedSessionID, k.own)), ""
}

// begin begins a call, unless there are too many.
func (t *l2tpTunnel) begin(theirs uint16) *l2tpCall {
	if len(t.calls) >= l2tpCalls {
		return nil
	}
	k := &l2tpCall{theirs: theirs, ns: t.ns, lcp: lcpLink{magic: rand.Uint32()}}
	for k.own == 0 || k.own == theirs || t.call(k.own) != nil {
		k.own = uint16(rand.Uint32())
	}
	t.ns++
	t.calls = append(t.calls, k)
	return k
}

// call is the one with a Session ID of ours; nil if there is none.
func (t *l2tpTunnel) call(own uint16) *l2tpCall {
	return t.find(func(k *l2tpCall) bool { return k.own == own })
}

func (t *l2tpTunnel) find(is func(*l2tpCall) bool) *l2tpCall {
	for _, k := range t.calls {
		if is(k) {
			return k
		}
	}
	return nil
}

// acknowledge is a Zero-Length Body (section 5.8), of the call that the message was for.
func (t *l2tpTunnel) acknowledge(own uint16) wire.L2TP {
	session := uint16(0)
	if k := t.call(own); k != nil {
		session = k.theirs
	}
	return wire.L2TPControl(t.theirs, session, t.ns, t.nr)
}
