package testserver

import (
	"vpncheck/probe/sock"
	"vpncheck/probe/wire"
	"vpncheck/testserver/gate"
)

// A Question is a packet that says it is a session's.
type Question struct {
	Carrier wire.Carrier
	Tag     wire.Tag
	Arrived wire.Sighting
	Message []byte // what a retransmission repeats octet by octet
	// Check, if set, is the finding on an authenticated header: wire.Saw.ICV.
	Check func(*gate.Session) string
}

// An Answerer makes the answer to a question. Build returns it, or the reason to be silent; Send hands it to the kernel by
// Host.Send, at once or, for a retransmission, again.
type Answerer struct {
	Build func(*gate.Session) (message []byte, silent string)
	Send  func(s *gate.Session, message []byte) (replied wire.Sighting, silent string)
}

// Answer is the way of every question: the gate admits it, it is answered, the session is told.
func (h *Host) Answer(q Question, a Answerer) {
	d := h.gate.Admit(gate.Packet{
		Carrier: q.Carrier,
		From:    q.Arrived.Src.Addr(),
		Token:   q.Tag.Token,
		Nonce:   q.Tag.Nonce,
		Message: q.Message,
		Size:    packetSize(q.Arrived),
	})
	if d.Session == nil {
		h.Stray(q.Carrier, q.Arrived)
		return
	}
	h.delivered(h.links.of(d.Session), q.Carrier, q.Tag.Token.Exchange())
	saw := wire.Saw{Exchange: q.Tag.Token.Exchange(), Arrived: q.Arrived, Replied: wire.NotSeen(), Silent: d.Silent}
	if q.Check != nil {
		saw.ICV = q.Check(d.Session)
	}
	message := d.Stored
	if saw.Silent == "" && message == nil {
		message, saw.Silent = a.Build(d.Session)
		if saw.Silent == "" {
			d.Session.Store(q.Carrier, saw.Exchange, q.Message, message)
		}
	}
	if saw.Silent == "" {
		saw.Replied, saw.Silent = a.Send(d.Session, message)
	}
	h.Saw(d.Session, q.Carrier, saw)
}

// Send sends one packet of an answer if the session's credit allows it, and says why if it does not leave.
func (h *Host) Send(s *gate.Session, c sock.Conn, o sock.Out) (wire.Sighting, string) {
	size := ipHeaderSize(o.Dst.Addr()) + len(o.Payload)
	if c.Local().Port() != 0 {
		size += udpHeaderSize
	}
	if silent := s.Spend(o.Dst.Addr(), size); silent != "" {
		return wire.NotSeen(), silent
	}
	sent, err := c.Send(o)
	if err != nil {
		return wire.Sighting{State: wire.Absent, Why: err.Error()}, silentSend
	}
	h.count.answers.Add(1)
	if l := h.links.of(s); l != nil {
		l.flows.note(sent.Proto, sent.Src.Port(), sent.Dst)
	}
	return sent, ""
}
