package probe

import (
	"bytes"

	"vpncheck/probe/wire"
)

// Changes implements Probe. The key exchange vouches for every octet of its first messages, the SPIs in front included, and so does each
// later message for its own (RFC 7296, sections 2.14, 2.15 and 3.14): whatever a helper rewrites is fatal (F14). Another source port is a
// NAT's right (F16, T23).
func (IKE) Changes(_ Observation, e Exchange) []Change { return sealed(e, ikeField) }

// Reason implements Probe: the port's fate is all there is.
func (IKE) Reason(Observation, Stage, Verdict, Circumstances) (Reason, []Evidence) { return "", nil }

// Facts implements Witness: what NAT detection found, whatever the verdict (F39, T25).
func (IKE) Facts(o Observation) []Evidence {
	for _, e := range o.Exchanges {
		if e.Stage != ikeOpening {
			continue
		}
		if client, server, known := natFound(e); known {
			return []Evidence{{Reason: EvNATFound, Args: map[string]any{"client": client, "server": server}, Exchanges: []string{e.ID}}}
		}
	}
	return nil
}

// natFound is what NAT detection says of an IKE_SA_INIT and its answer, whose Bytes begin with the header (RFC 7296, section 2.23). Each
// end compares the hashes in what came with the addresses that it sees itself: the sender's own, and the one that was dialled or that the
// packet came in at. One that differs at either end is a NAT. It is not known where a message was not seen, or has no such hashes, or came
// with other SPIs, of which the hashes are made, too.
func natFound(e Exchange) (client, server, known bool) {
	if m, ok := detecting(e.Sent, e.Arrived); ok {
		client = !natMatch(m, wire.NotifyNATDetectionSourceIP, e.Arrived)
		server = !natMatch(m, wire.NotifyNATDetectionDestinationIP, e.Arrived)
		known = true
	}
	if m, ok := detecting(e.Replied, e.Returned); ok {
		dialled := wire.Sighting{Src: e.Sent.Dst, Dst: e.Sent.Src}
		server = server || !natMatch(m, wire.NotifyNATDetectionSourceIP, dialled)
		client = client || !natMatch(m, wire.NotifyNATDetectionDestinationIP, dialled)
		known = true
	}
	return client, server, known
}

// detecting reads a message that takes part in NAT detection and has the SPIs that it left with.
func detecting(left, came wire.Sighting) (wire.IKEMessage, bool) {
	const spis = 16
	if came.State != wire.Seen || left.State == wire.Seen && (len(left.Bytes) < spis || !bytes.HasPrefix(came.Bytes, left.Bytes[:spis])) {
		return wire.IKEMessage{}, false
	}
	m, err := wire.ParseIKE(came.Bytes)
	_, source := m.Notify(wire.NotifyNATDetectionSourceIP)
	_, destination := m.Notify(wire.NotifyNATDetectionDestinationIP)
	return m, err == nil && source && destination
}

// natMatch says whether a hash in a message is of the end that it should be of, as s shows the ends.
func natMatch(m wire.IKEMessage, hash uint16, s wire.Sighting) bool {
	end := s.Src
	if hash == wire.NotifyNATDetectionDestinationIP {
		end = s.Dst
	}
	n, _ := m.Notify(hash)
	return bytes.Equal(n.Data, wire.NATDetection(m.Header.InitiatorSPI, m.Header.ResponderSPI, end))
}
