package probe

import (
	"bytes"
	"fmt"
	"net/netip"
	"strconv"

	"vpncheck/probe/wire"
)

// The two ways of a packet.
const (
	WayOut  = "out"
	WayBack = "back"
)

// Compare names what differs between the two sightings of each way, header field by header field and then the octets from `from` on, as
// far as both ends could see. It marks nothing as killing: what a protocol can live with, its probe knows.
func Compare(e Exchange, from int) []Change {
	var out []Change
	if e.Sent.State == wire.Seen && e.Arrived.State == wire.Seen {
		out = append(out, compare(e.ID, way(e, WayOut), e.Sent, e.Arrived, from)...)
	}
	if e.Replied.State == wire.Seen && e.Returned.State == wire.Seen {
		out = append(out, compare(e.ID, way(e, WayBack), e.Replied, e.Returned, from)...)
	}
	return out
}

// exact compares what must arrive octet by octet: whatever a router changes behind the headers kills.
func exact(e Exchange) []Change {
	out := Compare(e, 0)
	for i, ch := range out {
		if ch.Field == "payload" || ch.Field == "length" {
			out[i].Kills = PayloadAltered
		}
	}
	return out
}

// way turns the ways round for an exchange that the server began.
func way(e Exchange, w string) string {
	if e.From == Client {
		return w
	}
	if w == WayOut {
		return WayBack
	}
	return WayOut
}

func compare(id, way string, a, b wire.Sighting, from int) []Change {
	var out []Change
	add := func(field, before, after string) {
		out = append(out, Change{Exchange: id, Way: way, Field: field, Before: before, After: after})
	}
	endpoints := func(end string, a, b netip.AddrPort) {
		if a, b := a.Addr().Unmap(), b.Addr().Unmap(); a != b {
			add(end+" address", a.String(), b.String())
		}
		if a.Port() != b.Port() {
			add(end+" port", strconv.Itoa(int(a.Port())), strconv.Itoa(int(b.Port())))
		}
	}
	endpoints("source", a.Src, b.Src)
	endpoints("destination", a.Dst, b.Dst)
	field(add, "ttl", "%v", a.TTL, b.TTL)
	field(add, "dscp", "%v", a.DSCP, b.DSCP)
	field(add, "df", "%v", a.DF, b.DF)
	field(add, "ip-id", "%v", a.IPID, b.IPID)
	field(add, "checksum", "%#04x", a.Checksum, b.Checksum)
	if len(a.Bytes) == 0 || len(b.Bytes) == 0 {
		return out // a connection attempt: one end sees its SYN, the other does not
	}
	if len(a.Bytes) != len(b.Bytes) {
		add("length", strconv.Itoa(len(a.Bytes)), strconv.Itoa(len(b.Bytes)))
	}
	if ch, ok := comparePayload(id, way, a.Bytes, b.Bytes, from); ok {
		out = append(out, ch)
	}
	return out
}

// field adds a header field that both ends saw, if it differs.
func field[T comparable](add func(field, before, after string), name, format string, a, b *T) {
	if a != nil && b != nil && *a != *b {
		add(name, fmt.Sprintf(format, *a), fmt.Sprintf(format, *b))
	}
}

// comparePayload shows the first run of octets that differ, eight at most.
func comparePayload(id, way string, a, b []byte, from int) (Change, bool) {
	if from > min(len(a), len(b)) || bytes.Equal(a[from:], b[from:]) {
		return Change{}, false
	}
	i := from
	for i < len(a) && i < len(b) && a[i] == b[i] {
		i++
	}
	show := func(x []byte) string { return fmt.Sprintf("%x", x[min(i, len(x)):min(i+8, len(x))]) }
	return Change{Exchange: id, Way: way, Field: "payload", Before: show(a), After: show(b), Offset: i}, true
}
