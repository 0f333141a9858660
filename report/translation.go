package report

import (
	"cmp"
	"fmt"
	"net/netip"
	"slices"
	"strconv"
	"strings"

	"vpncheck/probe"
	"vpncheck/probe/wire"
)

// Row says what became of one header field, or of the payload, between two ends that could both see it. A field that one end cannot
// see has no row.
type Row struct {
	Over   string `json:"over"` // "TCP 1723", "GRE": what carried the packets
	Way    string `json:"way"`  // "out" or "back"
	Field  string `json:"field"`
	Before string `json:"before,omitempty"`
	After  string `json:"after,omitempty"`
	// Offset is the first byte that differs, where Field is "payload".
	Offset int `json:"offset,omitempty"`
	// Place is what the protocol calls the place of that byte.
	Place string `json:"place,omitempty"`
	Same  bool   `json:"same"`
	// Varies says that the field differs from packet to packet: Before and After are those of the example.
	Varies  bool   `json:"varies,omitempty"`
	Count   int    `json:"count"`
	Example string `json:"example"` // an exchange
	Text    string `json:"text"`
}

// The fields in the order of the report, named as probe.Change names them. What a probe's Changes name beside them comes last.
var fields = []string{"source address", "source port", "destination address", "destination port", "call-id", "ttl", "dscp", "df", "ip-id",
	"length", "checksum", "payload"}

// fieldName is a field's name in a sentence.
func fieldName(field string) string {
	switch field {
	case "call-id":
		return "Call-ID"
	case "server's call-id":
		return "server's Call-ID"
	case "ttl":
		return "TTL"
	case "dscp":
		return "DSCP mark"
	case "df":
		return "don't-fragment flag"
	case "ip-id":
		return "IP-ID"
	case "checksum":
		return "UDP checksum"
	}
	names := strings.Fields(Clean(field, 40))
	for i, word := range names {
		names[i] = cmp.Or(acronyms[word], word)
	}
	return strings.Join(names, " ")
}

// acronyms are the words in lower case of which probes make the names of fields.
var acronyms = map[string]string{"ah": "AH", "esp": "ESP", "icv": "ICV", "id": "ID", "ike": "IKE", "l2tp": "L2TP", "nat-d": "NAT-D", "spi": "SPI", "udp": "UDP"}

// A crossing is one field of one packet at both ends.
type crossing struct {
	over, way, field string
	before, after    string
	offset           int
	place            string
	same             bool
	exchange         string
}

// translation says how the packets of an observation were changed on the way; p is nil if the protocol is not known, and then bytes are
// compared as they are. Of a protocol that passed it says what was harmless.
func translation(p probe.Probe, o probe.Observation, v probe.Verdict) []Row {
	var all []crossing
	for _, e := range o.Exchanges {
		var changes []probe.Change
		if p != nil {
			changes = p.Changes(o, e)
		}
		out, back := probe.WayOut, probe.WayBack
		if e.From == probe.Server {
			out, back = back, out
		}
		all = append(all, cross(e, out, e.Sent, e.Arrived, p != nil, changes)...)
		all = append(all, cross(e, back, e.Replied, e.Returned, p != nil, changes)...)
	}
	out := rows(append(all, keptCallIDs(o, all)...))
	for i, r := range out {
		if v == probe.Passed && r.Field == "source port" && !r.Same {
			out[i].Text = harmless(r.Text)
		}
	}
	return out
}

// harmless joins a bracket that is there already.
func harmless(text string) string {
	if inside, ok := strings.CutSuffix(text, ")"); ok {
		return inside + "; harmless)"
	}
	return text + " (harmless)"
}

// cross compares the two sightings of one packet, as far as both ends saw it.
func cross(e probe.Exchange, way string, a, b wire.Sighting, known bool, changes []probe.Change) []crossing {
	if a.State != wire.Seen || b.State != wire.Seen {
		return nil
	}
	var out []crossing
	over := transport(way, a)
	add := func(field, before, after string) {
		out = append(out, crossing{over: over, way: way, field: field, before: before, after: after, same: before == after, exchange: e.ID})
	}
	addAddrs(add, a, b)
	addHeader(add, a, b)
	if a.Where == b.Where && len(a.Bytes) > 0 {
		add("length", strconv.Itoa(len(a.Bytes)), strconv.Itoa(len(b.Bytes)))
		if !known {
			changes = rawPayload(way, a.Bytes, b.Bytes)
		}
		out = append(out, payload(e, over, way, changes))
	}
	for _, c := range changes {
		if c.Way == way && (c.Field == "call-id" || !slices.Contains(fields, c.Field)) && !inPayload(c) {
			add(c.Field, c.Before, c.After)
		}
	}
	return out
}

func addAddrs(add func(field, before, after string), a, b wire.Sighting) {
	for _, end := range []struct {
		name          string
		before, after netip.AddrPort
	}{{"source", a.Src, b.Src}, {"destination", a.Dst, b.Dst}} {
		before, after := end.before.Addr().Unmap(), end.after.Addr().Unmap()
		if before.IsValid() && after.IsValid() && !before.IsUnspecified() && !after.IsUnspecified() {
			add(end.name+" address", before.String(), after.String())
		}
		if end.before.Port() != 0 && end.after.Port() != 0 {
			add(end.name+" port", strconv.Itoa(int(end.before.Port())), strconv.Itoa(int(end.after.Port())))
		}
	}
}

func addHeader(add func(field, before, after string), a, b wire.Sighting) {
	if a.TTL != nil && b.TTL != nil {
		add("ttl", fmt.Sprint(*a.TTL), fmt.Sprint(*b.TTL))
	}
	if a.DSCP != nil && b.DSCP != nil {
		add("dscp", fmt.Sprint(*a.DSCP), fmt.Sprint(*b.DSCP))
	}
	if a.DF != nil && b.DF != nil {
		add("df", onOff(*a.DF), onOff(*b.DF))
	}
	if a.IPID != nil && b.IPID != nil {
		add("ip-id", fmt.Sprint(*a.IPID), fmt.Sprint(*b.IPID))
	}
	if a.Checksum != nil && b.Checksum != nil {
		add("checksum", fmt.Sprintf("%#04x", *a.Checksum), fmt.Sprintf("%#04x", *b.Checksum))
	}
}

func onOff(b bool) string {
	if b {
		return "set"
	}
	return "not set"
}

// payload says whether the payload was kept, apart from what the protocol's probe names as changes of their own.
func payload(e probe.Exchange, over, way string, changes []probe.Change) crossing {
	out := crossing{over: over, way: way, field: "payload", same: true, exchange: e.ID}
	for _, c := range changes {
		if c.Way == way && inPayload(c) {
			out.before, out.after, out.offset, out.same = c.Before, c.After, c.Offset, false
			if c.Field != "payload" {
				out.place = c.Field
			}
			break
		}
	}
	return out
}

// inPayload says that a change begins at an octet of the payload, under whatever name: what follows that octet may have changed, too.
func inPayload(c probe.Change) bool {
	return c.Field == "payload" || c.Kills == probe.PayloadAltered && !slices.Contains(fields, c.Field)
}

func rawPayload(way string, a, b []byte) []probe.Change {
	n := min(len(a), len(b))
	for i := range n {
		if a[i] != b[i] {
			return []probe.Change{{Way: way, Field: "payload", Offset: i}}
		}
	}
	if len(a) != len(b) {
		return []probe.Change{{Way: way, Field: "payload", Offset: n}}
	}
	return nil
}

// keptCallIDs are the Call-IDs that arrived as they were sent: Changes name only what differs.
func keptCallIDs(o probe.Observation, seen []crossing) []crossing {
	var out []crossing
	for _, c := range seen {
		if c.field != "length" || c.way != probe.WayOut {
			continue
		}
		for _, e := range o.Exchanges {
			sent, ok1 := callID(e.Sent.Bytes)
			arrived, ok2 := callID(e.Arrived.Bytes)
			if e.ID == c.exchange && ok1 && ok2 && sent == arrived {
				out = append(out, crossing{over: c.over, way: c.way, field: "call-id", before: sent, after: sent, same: true, exchange: e.ID})
			}
		}
	}
	return out
}

// callID is the Call-ID that a PPTP client asks for, if this is that message.
func callID(b []byte) (string, bool) {
	m, _, err := wire.ParsePPTP(b)
	ask, ok := m.(wire.OutgoingCallRequest)
	return strconv.Itoa(int(ask.CallID)), ok && err == nil
}

// transport names what carries a packet, by the protocol and the server's port.
func transport(way string, s wire.Sighting) string {
	port := s.Dst.Port()
	if way == probe.WayBack {
		port = s.Src.Port()
	}
	name := map[uint8]string{6: "TCP", 17: "UDP", 47: "GRE", 50: "ESP", 51: "AH"}[s.Proto]
	switch {
	case s.Proto == 0:
		name = strings.ToUpper(Clean(s.Where, 20))
	case name == "":
		name = fmt.Sprintf("IP protocol %d", s.Proto)
	}
	if port == 0 {
		return name
	}
	return fmt.Sprintf("%s %d", name, port)
}
