package probe

import (
	"net/netip"
	"testing"

	"vpncheck/probe/wire"
)

// ahSeen is a packet of AH between two addresses as one end sees it.
func ahSeen(from, to string, id uint16, b ...byte) wire.Sighting {
	ttl, df := uint8(64), true
	return wire.Sighting{
		State: wire.Seen, Proto: wire.IPProtoAH, TTL: &ttl, DF: &df, IPID: &id, Bytes: b,
		Src: netip.AddrPortFrom(netip.MustParseAddr(from), 0), Dst: netip.AddrPortFrom(netip.MustParseAddr(to), 0),
	}
}

// What the ICV covers kills, whether a change can be seen or only the receiver's check tells of it.
func TestAHChanges(t *testing.T) {
	const laptop, public, server, inside = "192.168.1.11", "203.0.113.2", "198.51.100.10", "10.0.0.5"
	sent := ahSeen(laptop, server, 7, 1, 2, 3)
	otherTTL := ahSeen(laptop, server, 7, 1, 2, 3)
	otherTTL.TTL, otherTTL.DF = new(uint8), new(bool)
	for _, row := range []struct {
		name    string
		arrived wire.Sighting
		icv     string
		kills   Reason
	}{
		{"as-sent", sent, "valid", ""},
		{"as-sent-unchecked", sent, "", ""},
		{"mutable", otherTTL, "valid", ""},
		{"nat", ahSeen(public, server, 7, 1, 2, 3), "invalid", AHThroughNAT},
		{"nat-at-the-server", ahSeen(laptop, inside, 7, 1, 2, 3), "invalid", AHThroughNAT},
		{"ip-id", ahSeen(laptop, server, 8, 1, 2, 3), "invalid", PayloadAltered},
		{"payload", ahSeen(laptop, server, 7, 1, 2, 4), "invalid", PayloadAltered},
		{"length", ahSeen(laptop, server, 7, 1, 2), "invalid", PayloadAltered},
		{"nothing-to-see", sent, "invalid", PayloadAltered},
		{"lost", wire.NotSeen(), "", ""},
	} {
		t.Run(row.name, func(t *testing.T) {
			var got Reason
			n := 0
			for _, ch := range (AH{}).Changes(Observation{}, Exchange{From: Client, Sent: sent, Arrived: row.arrived, ICV: row.icv}) {
				if ch.Kills != "" {
					got, n = ch.Kills, n+1
				}
			}
			if got != row.kills {
				t.Errorf("got %q (%d changes kill), want %q", got, n, row.kills)
			}
		})
	}
}

// The way back kills as well: the laptop would check an ICV, too.
func TestAHChangesBack(t *testing.T) {
	e := Exchange{From: Client, Replied: ahSeen("198.51.100.10", "203.0.113.2", 7, 1), Returned: ahSeen("198.51.100.10", "192.168.1.11", 7, 1)}
	for _, ch := range (AH{}).Changes(Observation{}, e) {
		if ch.Way != WayBack || ch.Field != "destination address" || ch.Kills != AHThroughNAT {
			t.Errorf("got %+v, want the destination's address", ch)
		}
	}
}

func TestAHFacts(t *testing.T) {
	seen := wire.Sighting{State: wire.Seen}
	o := Observation{Exchanges: []Exchange{
		{ID: "ah/1", Arrived: seen, ICV: "valid"}, {ID: "ah/2", Arrived: seen, ICV: "invalid"}, {ID: "ah/3", Arrived: seen, ICV: "valid"},
		{ID: "ah/4", Arrived: seen}, {ID: "ah/5", Arrived: wire.NotSeen()},
	}}
	got := AH{}.Facts(o)
	if len(got) != 2 || got[0].Args["valid"] != true || got[0].Args["count"] != 2 || got[1].Args["valid"] != false || len(got[1].Exchanges) != 1 {
		t.Errorf("got %+v, want two valid and one invalid", got)
	}
	if got := (AH{}).Facts(Observation{}); len(got) != 0 {
		t.Errorf("got %+v of nothing", got)
	}
}
