package probe

import (
	"bytes"
	"fmt"
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
		if before != after {
			out = append(out, Change{Exchange: id, Way: way, Field: field, Before: before, After: after})
		}
	}
	add("source address", a.Src.Addr().Unmap().String(), b.Src.Addr().Unmap().String())
	add("source port", strconv.Itoa(int(a.Src.Port())), strconv.Itoa(int(b.Src.Port())))
	add("destination address", a.Dst.Addr().Unmap().String(), b.Dst.Addr().Unmap().String())
	add("destination port", strconv.Itoa(int(a.Dst.Port())), strconv.Itoa(int(b.Dst.Port())))
	if a.TTL != nil && b.TTL != nil {
		add("ttl", fmt.Sprint(*a.TTL), fmt.Sprint(*b.TTL))
	}
	if a.DSCP != nil && b.DSCP != nil {
		add("dscp", fmt.Sprint(*a.DSCP), fmt.Sprint(*b.DSCP))
	}
	if a.DF != nil && b.DF != nil {
		add("df", fmt.Sprint(*a.DF), fmt.Sprint(*b.DF))
	}
	if a.IPID != nil && b.IPID != nil {
		add("ip-id", fmt.Sprint(*a.IPID), fmt.Sprint(*b.IPID))
	}
	if a.Checksum != nil && b.Checksum != nil {
		add("checksum", fmt.Sprintf("%#04x", *a.Checksum), fmt.Sprintf("%#04x", *b.Checksum))
	}
	if len(a.Bytes) == 0 || len(b.Bytes) == 0 {
		return out // a connection attempt: one end sees its SYN, the other does not
	}
	add("length", strconv.Itoa(len(a.Bytes)), strconv.Itoa(len(b.Bytes)))
	if ch, ok := comparePayload(id, way, a.Bytes, b.Bytes, from); ok {
		out = append(out, ch)
	}
	return out
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
