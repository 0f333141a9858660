package wire

import (
	"encoding/json"
	"net/netip"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
)

var (
	moment   = time.Date(2026, 2, 3, 4, 5, 6, 789000000, time.UTC)
	compares = []cmp.Option{cmpopts.EquateComparable(netip.Addr{}, netip.AddrPort{})}
)

func fullSighting() Sighting {
	return Sighting{
		State:    Seen,
		Why:      "why",
		At:       moment,
		Where:    "raw",
		Src:      netip.MustParseAddrPort("192.0.2.1:500"),
		Dst:      netip.MustParseAddrPort("[2001:db8::1]:0"),
		Proto:    47,
		TTL:      new(uint8(0)),
		DSCP:     new(uint8(46)),
		DF:       new(false),
		IPID:     new(uint16(0)),
		Checksum: new(uint16(0)),
		Bytes:    Hex{0, 1, 0xfe, 0xff},
	}
}

func TestSightingJSON(t *testing.T) {
	for _, tt := range []struct {
		name string
		s    Sighting
		json string
	}{
		{"absent", NotSeen(), `{"state":"absent"}`},
		{"blind", CannotSee("no raw socket"), `{"state":"blind","why":"no raw socket"}`},
		// A field that is zero was seen to be zero; one that is absent was not seen.
		{"full", fullSighting(), `{"state":"seen","why":"why","at":"2026-02-03T04:05:06.789Z","where":"raw","src":"192.0.2.1:500",` +
			`"dst":"[2001:db8::1]:0","proto":47,"ttl":0,"dscp":46,"df":false,"ip_id":0,"checksum":0,"bytes":"0001feff"}`},
	} {
		t.Run(tt.name, func(t *testing.T) {
			b, err := json.Marshal(tt.s)
			if err != nil || string(b) != tt.json {
				t.Errorf("got %s, %v, want %s", b, err, tt.json)
			}
			var got Sighting
			if err := json.Unmarshal([]byte(tt.json), &got); err != nil {
				t.Fatal(err)
			}
			if d := cmp.Diff(tt.s, got, compares...); d != "" {
				t.Error(d)
			}
		})
	}
}

func TestHexJSON(t *testing.T) {
	for _, tt := range []struct {
		json string
		want Hex
		back string
		ok   bool
	}{
		{`""`, nil, `""`, true},
		{`"00"`, Hex{0}, `"00"`, true},
		{`"0aFf"`, Hex{0x0a, 0xff}, `"0aff"`, true},
		{`null`, nil, `""`, true},
		{`"0"`, nil, ``, false},
		{`"0g"`, nil, ``, false},
		{`"0a0"`, nil, ``, false},
		{`7`, nil, ``, false},
	} {
		var got Hex
		if err := json.Unmarshal([]byte(tt.json), &got); (err == nil) != tt.ok {
			t.Errorf("%s: got %v, want ok %v", tt.json, err, tt.ok)
		}
		if d := cmp.Diff(tt.want, got, cmpopts.EquateEmpty()); d != "" {
			t.Errorf("%s: %s", tt.json, d)
		}
		if b, err := json.Marshal(got); tt.ok && (err != nil || string(b) != tt.back) {
			t.Errorf("%s: wrote %s, %v, want %s", tt.json, b, err, tt.back)
		}
	}
}
