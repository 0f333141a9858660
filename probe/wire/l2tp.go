package wire

import "encoding/binary"

// L2TPPort is the UDP port of L2TP (RFC 2661, section 8.1). Its stock client sends from it too.
const L2TPPort = 1701

// Bits of the first two octets of an L2TP header.
const (
	l2tpControl     = 0x8000 // T
	l2tpLength      = 0x4000 // L
	l2tpSequence    = 0x0800 // S
	l2tpOffset      = 0x0200 // O
	l2tpPriority    = 0x0100 // P
	l2tpVersionMask = 0x000F
	l2tpVersion     = 2
)

const maxL2TP = 65535

// L2TP is a message of the Layer Two Tunneling Protocol, version 2 (RFC 2661, section 3.1):
//
//	 0                   1                   2                   3
//	 0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1
//	+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
//	|T|L|x|x|S|x|O|P|x|x|x|x|  Ver  |          Length (opt)         |
//	+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
//	|           Tunnel ID           |           Session ID          |
//	+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
//	|             Ns (opt)          |             Nr (opt)          |
//	+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
//	|      Offset Size (opt)        |    Offset pad... (opt)
//	+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
//
// A control message (T) always has L and S and never O and P; its body is AVPs, or nothing: a Zero-Length Body, which only
// acknowledges (section 5.8). A data message's body is a PPP frame, in Payload, and ends where the datagram ends. The bits x are sent as
// zero and not looked at. Both IDs are the receiver's.
type L2TP struct {
	Control    bool // T
	HasLength  bool // L: Append computes it, ParseL2TP verifies it; a control message has it anyway
	HasSeq     bool // S; a control message has it anyway
	HasOffset  bool // O, data only
	Priority   bool // P, data only
	TunnelID   uint16
	SessionID  uint16
	Ns         uint16 // 0 unless HasSeq
	Nr         uint16 // 0 unless HasSeq
	OffsetSize uint16 // 0 unless HasOffset; Append writes a pad of zeros, ParseL2TP does not look at it
	AVPs       AVPs   // of a control message
	Payload    []byte // of a data message; after parsing, a part of what was parsed
}

// L2TPControl is a control message with these AVPs, the Message Type first; without any it is a Zero-Length Body.
func L2TPControl(tunnel, session, ns, nr uint16, avps ...AVP) L2TP {
	return L2TP{
		Control: true, HasLength: true, HasSeq: true, TunnelID: tunnel, SessionID: session, Ns: ns, Nr: nr, AVPs: avps,
	}
}

// MessageType is the Message Type of a control message (RFC 2661, section 4.4.1). It is not ok for a Zero-Length Body and for data.
func (m L2TP) MessageType() (uint16, bool) {
	if !m.Control || len(m.AVPs) == 0 || !m.AVPs[0].is(AVPMessageType) {
		return 0, false
	}
	return m.AVPs[0].Uint16()
}

// Append appends the message. A payload that does not fit into 65535 octets is cut.
func (m L2TP) Append(b []byte) []byte {
	if m.Control {
		m.HasLength, m.HasSeq, m.HasOffset, m.Priority = true, true, false, false
	}
	start := len(b)
	b = binary.BigEndian.AppendUint16(b, m.flags())
	if m.HasLength {
		b = append(b, 0, 0) // filled in below
	}
	b = binary.BigEndian.AppendUint16(b, m.TunnelID)
	b = binary.BigEndian.AppendUint16(b, m.SessionID)
	if m.HasSeq {
		b = binary.BigEndian.AppendUint16(b, m.Ns)
		b = binary.BigEndian.AppendUint16(b, m.Nr)
	}
	if m.HasOffset {
		size := min(m.OffsetSize, uint16(maxL2TP-2-(len(b)-start)))
		b = binary.BigEndian.AppendUint16(b, size)
		b = append(b, make([]byte, size)...)
	}
	if m.Control {
		b = m.AVPs.Append(b)
	} else {
		b = append(b, cut(m.Payload, maxL2TP-(len(b)-start))...)
	}
	if m.HasLength {
		binary.BigEndian.PutUint16(b[start+2:], uint16(len(b)-start))
	}
	return b
}

func (m L2TP) flags() uint16 {
	flags := uint16(l2tpVersion)
	for _, f := range []struct {
		set bool
		bit uint16
	}{
		{m.Control, l2tpControl}, {m.HasLength, l2tpLength}, {m.HasSeq, l2tpSequence},
		{m.HasOffset, l2tpOffset}, {m.Priority, l2tpPriority},
	} {
		if f.set {
			flags |= f.bit
		}
	}
	return flags
}

// ParseL2TP reads a message, all of b: one datagram. It refuses other versions (1 is L2F, 3 is L2TPv3), a Length that is not the
// datagram's, and a control message that does not begin with a Message Type.
func ParseL2TP(b []byte) (L2TP, error) {
	m, rest, err := parseL2TPHeader(b)
	if err != nil {
		return L2TP{}, err
	}
	if !m.Control {
		m.Payload = some(rest)
		return m, nil
	}
	if m.AVPs, err = ParseAVPs(rest); err != nil {
		return L2TP{}, err
	}
	if _, ok := m.MessageType(); len(m.AVPs) > 0 && !ok {
		return L2TP{}, bad("L2TP control message begins with AVP %d, want a Message Type", m.AVPs[0].Type)
	}
	return m, nil
}

// parseL2TPHeader reads what is in front of the body, and returns the body.
func parseL2TPHeader(b []byte) (L2TP, []byte, error) {
	if err := need(b, 2, "L2TP flags and version"); err != nil {
		return L2TP{}, nil, err
	}
	flags := be16(b)
	if flags&l2tpVersionMask != l2tpVersion {
		return L2TP{}, nil, bad("L2TP version is %d, want %d", flags&l2tpVersionMask, l2tpVersion)
	}
	m := L2TP{
		Control: flags&l2tpControl != 0, HasLength: flags&l2tpLength != 0, HasSeq: flags&l2tpSequence != 0,
		HasOffset: flags&l2tpOffset != 0, Priority: flags&l2tpPriority != 0,
	}
	if m.Control && (!m.HasLength || !m.HasSeq || m.HasOffset || m.Priority) {
		return L2TP{}, nil, bad("L2TP flags of a control message are %#04x, want T, L and S", flags)
	}
	if m.HasLength {
		if err := l2tpWhole(b); err != nil {
			return L2TP{}, nil, err
		}
	}
	rest, err := m.parseFields(b[2:])
	return m, rest, err
}

// l2tpWhole compares the Length with what there is.
func l2tpWhole(b []byte) error {
	if err := need(b, 4, "L2TP Length"); err != nil {
		return err
	}
	length := int(be16(b[2:]))
	if err := need(b, length, "L2TP message"); err != nil {
		return err
	}
	if len(b) > length {
		return bad("L2TP Length is %d, the datagram has %d octets", length, len(b))
	}
	return nil
}

// parseFields reads what follows the flags, and returns what follows that.
func (m *L2TP) parseFields(b []byte) ([]byte, error) {
	n := 4
	for _, field := range []struct {
		present bool
		size    int
	}{{m.HasLength, 2}, {m.HasSeq, 4}, {m.HasOffset, 2}} {
		if field.present {
			n += field.size
		}
	}
	if err := m.enough(b, n); err != nil {
		return nil, err
	}
	if m.HasLength {
		b = b[2:]
	}
	m.TunnelID, m.SessionID, b = be16(b), be16(b[2:]), b[4:]
	if m.HasSeq {
		m.Ns, m.Nr, b = be16(b), be16(b[2:]), b[4:]
	}
	if m.HasOffset {
		m.OffsetSize, b = be16(b), b[2:]
		if err := m.enough(b, int(m.OffsetSize)); err != nil {
			return nil, err
		}
		b = b[m.OffsetSize:]
	}
	return b, nil
}

// enough is need, but for a message that says itself that there is no more.
func (m *L2TP) enough(b []byte, n int) error {
	if m.HasLength && len(b) < n {
		return bad("L2TP Length leaves %d octets for %d of the header", len(b), n)
	}
	return need(b, n, "L2TP header")
}
