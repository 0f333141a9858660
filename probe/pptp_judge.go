package probe

import (
	"encoding/binary"
	"net/netip"
	"slices"
	"strconv"

	"vpncheck/probe/wire"
)

// Changes implements Probe. A NAT may rewrite the client's Call-ID on the way out, if it gives it back on the way home.
func (PPTP) Changes(o Observation, e Exchange) []Change {
	ids := callIDsOf(o, e.Flow)
	out := Compare(masked(e), 0)
	for i := range out {
		if (out[i].Field == "payload" || out[i].Field == "length") && !harmless(e, out[i]) {
			out[i].Kills = PayloadAltered
		}
	}
	out = append(out, callIDChanges(e, ids)...)
	if (e.Stage == stageGRE || e.Stage == stageFull) && e.From == Client && e.Arrived.State == wire.Seen {
		// A server takes GRE only from where the control connection comes from, and answers there.
		if src := e.Arrived.Src.Addr().Unmap(); ids.source.IsValid() && src != ids.source {
			out = append(out, Change{
				Exchange: e.ID, Way: WayOut, Field: "source address (call, tunnel)", Before: ids.source.String(), After: src.String(), Kills: AddressesDiffer,
			})
		}
	}
	return out
}

// callIDs are the Call-IDs of a call, as each end knows them; zero where the observation does not tell.
type callIDs struct {
	own      uint16     // the client's, as sent
	ownSeen  uint16     // the client's, as the server knows it
	peer     uint16     // the server's, as sent
	peerSeen uint16     // the server's, as the client knows it
	source   netip.Addr // where the server saw the control connection come from
}

// callIDsOf reads them from the exchange that set up the call (RFC 2637, sections 2.7 and 2.8).
func callIDsOf(o Observation, flow int) callIDs {
	ids := callIDs{source: controlSource(o, flow)}
	for _, e := range o.Exchanges {
		if e.Flow == flow && e.Stage == stageCall {
			ids.own = u16(e.Sent.Bytes, wire.PPTPCallIDOffset)
			ids.ownSeen = u16(e.Arrived.Bytes, wire.PPTPCallIDOffset)
			ids.peer = u16(e.Replied.Bytes, wire.PPTPCallIDOffset)
			ids.peerSeen = u16(e.Returned.Bytes, wire.PPTPCallIDOffset)
		}
	}
	return ids
}

// u16 is the number at an offset, zero if the octets do not reach that far.
func u16(b []byte, at int) uint16 {
	if len(b) < at+2 {
		return 0
	}
	return binary.BigEndian.Uint16(b[at:])
}

// callIDFields says where the Call-IDs are in a stage's messages: in the question, and in the answer.
func callIDFields(e Exchange) (question, answer []int) {
	switch e.Stage {
	case stageCall:
		return []int{wire.PPTPCallIDOffset}, []int{wire.PPTPCallIDOffset, wire.PPTPReplyPeerCallIDOffset}
	case stageLink:
		return []int{wire.PPTPLinkPeerCallIDOffset}, nil
	case stageClear:
		if len(e.Sent.Bytes) == 16 && u16(e.Sent.Bytes, 8) == wire.TypeCallClearRequest {
			return []int{wire.PPTPCallIDOffset}, []int{wire.PPTPCallIDOffset}
		}
	case stageGRE, stageFull:
		return []int{wire.EnhancedGRECallIDOffset}, []int{wire.EnhancedGRECallIDOffset}
	}
	return nil, nil
}

// masked is the exchange with the Call-IDs blanked out, so that Compare finds what else was changed.
func masked(e Exchange) Exchange {
	question, answer := callIDFields(e)
	e.Sent, e.Arrived = blank(e.Sent, question), blank(e.Arrived, question)
	e.Replied, e.Returned = blank(e.Replied, answer), blank(e.Returned, answer)
	return e
}

func blank(s wire.Sighting, offsets []int) wire.Sighting {
	if len(offsets) == 0 || len(s.Bytes) == 0 {
		return s
	}
	s.Bytes = append(wire.Hex(nil), s.Bytes...)
	for _, at := range offsets {
		if len(s.Bytes) >= at+2 {
			s.Bytes[at], s.Bytes[at+1] = 0, 0
		}
	}
	return s
}

// callIDChanges names the Call-IDs that were rewritten. Kills marks those that the receiver does not know as its own.
func callIDChanges(e Exchange, ids callIDs) (out []Change) {
	add := func(way, field string, before, after, must uint16) {
		ch := Change{Exchange: e.ID, Way: way, Field: field, Before: strconv.Itoa(int(before)), After: strconv.Itoa(int(after))}
		if must != 0 && after != must {
			ch.Kills = CallIDWrong
		}
		if before != after || ch.Kills != "" {
			out = append(out, ch)
		}
	}
	arrived, returned := e.Arrived.State == wire.Seen, e.Returned.State == wire.Seen
	switch {
	case e.Stage == stageCall:
		if arrived {
			add(WayOut, "call-id", ids.own, ids.ownSeen, 0)
		}
		if returned && e.Replied.State == wire.Seen {
			add(WayBack, "server's call-id", ids.peer, ids.peerSeen, 0)
			add(WayBack, "call-id", u16(e.Replied.Bytes, wire.PPTPReplyPeerCallIDOffset), u16(e.Returned.Bytes, wire.PPTPReplyPeerCallIDOffset), ids.own)
		}
	case e.Stage == stageLink && arrived:
		add(WayOut, "server's call-id", u16(e.Sent.Bytes, wire.PPTPLinkPeerCallIDOffset), u16(e.Arrived.Bytes, wire.PPTPLinkPeerCallIDOffset), ids.peer)
	case (e.Stage == stageGRE || e.Stage == stageFull) && e.From == Client:
		at := wire.EnhancedGRECallIDOffset
		if arrived {
			add(WayOut, "server's call-id", u16(e.Sent.Bytes, at), u16(e.Arrived.Bytes, at), ids.peer)
		}
		if returned && e.Replied.State == wire.Seen {
			add(WayBack, "call-id", u16(e.Replied.Bytes, at), u16(e.Returned.Bytes, at), ids.own)
		}
	}
	return out
}

// Reason implements Probe. Three facts tell what is wrong with the way back of the tunnel: was the Call-ID rewritten on arrival, did the
// tunnel's answers come, did the answers of plain GRE come (F04, F19, T22).
func (PPTP) Reason(o Observation, stage Stage, v Verdict, c Circumstances) (Reason, []Evidence) {
	switch {
	case v == BlockedOut && stage.ID == stageConnect:
		return connectReason(o, TCP1723Dropped), nil
	case v == BlockedOut && stage.ID == stageGRE:
		return GREOutDropped, nil
	case v == BlockedOut:
		return TCPContentDropped, []Evidence{{Reason: EvPort, Args: map[string]any{"port": pptpPort, "over": "tcp"}}}
	case v == BlockedBack && stage.ID != stageConnect && stage.ID != stageGRE:
		return "", []Evidence{{Reason: EvPort, Args: map[string]any{"port": pptpPort, "over": "tcp"}}}
	case v == BlockedBack && stage.ID == stageGRE:
		return greBackReason(o, c)
	}
	return "", nil
}

// connectReason tells a reset from a refusal by ICMP, which the socket takes for one and the same if it is 3/3; and both from silence, for
// which there is a reason already.
func connectReason(o Observation, reason Reason) Reason {
	for _, e := range o.Exchanges {
		switch {
		case e.Stage != stageConnect || e.Refused == "":
		case e.Refused != "reset", slices.ContainsFunc(e.ICMPAtClient, func(i wire.ICMPSighting) bool { return i.Type == wire.ICMPUnreachable }):
			return TCPRefused
		default:
			reason = TCPReset
		}
	}
	return reason
}

func greBackReason(o Observation, c Circumstances) (Reason, []Evidence) {
	plain := c.Beside["gre"]
	sent, arrived, known := callIDThere(o)
	var facts []Evidence
	if known {
		facts = append(facts, Evidence{Reason: EvCallID, Args: map[string]any{"rewritten": sent != arrived, "sent": int(sent), "arrived": int(arrived)}})
	}
	facts = append(facts, Evidence{Reason: EvGREv0, Args: map[string]any{"asked": plain.Tries, "returned": plain.Returned}})
	switch {
	case plain.Replied >= minTries && plain.Returned == 0:
		return GREBackDropped, facts
	case plain.Returned == 0 || !known:
		return NoReturn, facts
	case sent != arrived:
		return SecondNATNoHelper, facts
	case behindNAT(c):
		return NoPPTPHelper, facts
	}
	return NoReturn, facts
}

// callIDThere is the client's Call-ID as it left and as the server saw it, if that is known.
func callIDThere(o Observation) (sent, arrived uint16, known bool) {
	for _, e := range o.Exchanges {
		if e.Stage == stageCall && e.Arrived.State == wire.Seen {
			return u16(e.Sent.Bytes, wire.PPTPCallIDOffset), u16(e.Arrived.Bytes, wire.PPTPCallIDOffset), true
		}
	}
	return 0, 0, false
}

// harmless says that neither client nor server acts on what was changed. A control message that was still understood lives; a result that
// is no longer "connected", a wrong Call-ID, a token that is gone are seen elsewhere. What is in the tunnel is the user's: every octet
// counts.
func harmless(e Exchange, ch Change) bool {
	switch {
	case e.Stage == stageGRE || e.Stage == stageFull || ch.Field == "length":
		return false
	case ch.Way == WayOut:
		return e.Replied.State == wire.Seen
	}
	return e.Returned.State == wire.Seen && len(e.Returned.Bytes) == len(e.Replied.Bytes)
}
