package probe

import (
	"net/netip"
	"slices"
	"testing"

	"vpncheck/probe/wire"
)

func TestJudgeNATT(t *testing.T) {
	held := &Refusal{Reason: PortHeld, Why: "UDP 4500 is held by charon"}
	bare := &Refusal{Reason: OSRefuses, Why: "leaving out the checksum: unsupported operation"}
	for _, c := range []struct {
		name                 string
		zero, sum, ephemeral string
		refused              map[string]*Refusal
		verdict              Verdict
		reason               Reason
	}{
		{"passed", twelve, "pppp", "pppp", nil, Passed, ""},
		{"no-arrival", "oooooo", "oooooo", "oooooo", nil, BlockedOut, NoArrival},
		{"no-return", "bbbbbb", "bbbbbb", "bbbbbb", nil, BlockedBack, NoReturn},
		{"zero-out", "oooooo", "pppp", "oooooo", nil, BlockedOut, ZeroChecksum},
		{"zero-back", "bbbbbb", "pppp", "bbbbbb", nil, BlockedBack, ZeroChecksum},
		{"port-clash", "oooooo", "oooooo", "pppp", nil, Inconclusive, PortClash},
		{"port-held", "", "", twelve, map[string]*Refusal{nattZero: held, nattSum: held}, Passed, ""},
		{"four-rounds-do-not-stand-in", "", "", "pppp", map[string]*Refusal{nattZero: held, nattSum: held}, Inconclusive, TimeUp},
		{"no-bare-checksum", "", twelve, "pppp", map[string]*Refusal{nattZero: bare}, Passed, ""},
		{"no-bare-checksum-out", "", "oooooo", "oooooo", map[string]*Refusal{nattZero: bare}, BlockedOut, NoArrival},
		{"no-bare-checksum-clash", "", "oooooo", "pppp", map[string]*Refusal{nattZero: bare}, Inconclusive, PortClash},
		{"nothing-could-be-asked", "", "", "", map[string]*Refusal{nattZero: held, nattSum: held, nattEphemeral: bare}, Untested, PortHeld},
	} {
		t.Run(c.name, func(t *testing.T) {
			o := talks(nattESP, map[string]string{nattZero: c.zero, nattSum: c.sum, nattEphemeral: c.ephemeral})
			o.Parts = slices.Clone(NATT{}.Info().Parts)
			for i, part := range o.Parts {
				if o.Parts[i].Refused = c.refused[part.ID]; o.Parts[i].Refused == nil {
					opening := heldESP(part.ID, nattOpening, 1)
					o.Exchanges = append(o.Exchanges, opening, heldESP(part.ID, nattAuth, 1))
				}
			}
			f := Judge(NATT{}, o, provenFor(wire.CarrierNATT))
			if f.Verdict != c.verdict || f.Reason != c.reason {
				t.Errorf("got %s (%s), want %s (%s): %+v", f.Verdict, f.Reason, c.verdict, c.reason, f.Parts)
			}
		})
	}
}

// The marker and the fields of IKE behind it are named.
func TestNATTOpeningChanges(t *testing.T) {
	sa := newIKEv2(wire.GroupCurve25519, netip.MustParseAddrPort("192.168.1.11:4500"), netip.MustParseAddrPort("198.51.100.10:4500"))
	b := wire.AppendNATTIKE(nil, sa.open(wire.Tag{}))
	for at, want := range map[int]string{0: "marker", 3: "marker", 4: "initiator SPI", 12: "responder SPI", 24: "message id", len(b) - 1: "vendor id"} {
		e := Exchange{Stage: nattOpening, From: Client, Sent: wire.Sighting{State: wire.Seen, Bytes: b}}
		e.Arrived = wire.Sighting{State: wire.Seen, Bytes: slices.Clone(b)}
		e.Arrived.Bytes[at] ^= 1
		got := NATT{}.Changes(Observation{}, e)
		if len(got) != 1 || got[0].Field != want || got[0].Kills != PayloadAltered {
			t.Errorf("octet %d: got %+v, want %s", at, got, want)
		}
	}
}

func TestReadNATT(t *testing.T) {
	tag := wire.Tag{Token: wire.Token{1, 2, 3}, Nonce: [wire.NonceSize]byte{4, 5, 6}}
	sa := newIKEv2(wire.GroupCurve25519, netip.MustParseAddrPort("192.168.1.11:4500"), netip.MustParseAddrPort("198.51.100.10:4500"))
	for name, row := range map[string]struct {
		b    []byte
		want wire.Tag
		ok   bool
	}{
		"ike":            {wire.AppendNATTIKE(nil, sa.open(tag)), tag, true},
		"esp":            {newESPTunnel(true).packet(tag), tag, true},
		"keepalive":      {[]byte{wire.NATKeepalive}, wire.Tag{}, false},
		"broken-ike":     {make([]byte, 32), wire.Tag{}, true},
		"marker-alone":   {make([]byte, 4), wire.Tag{}, true},
		"broken-esp":     {[]byte{1, 2, 3, 4, 5}, wire.Tag{}, true},
		"nearly-nothing": {[]byte{1}, wire.Tag{}, true},
		"nothing-at-all": {nil, wire.Tag{}, true},
	} {
		if got, ok := readNATT(wire.Sighting{Bytes: row.b}); got != row.want || ok != row.ok {
			t.Errorf("%s: got %x, %t, want %x, %t", name, got, ok, row.want, row.ok)
		}
	}
}
