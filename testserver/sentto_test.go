package testserver

import (
	"net/netip"
	"os"
	"path/filepath"
	"testing"
	"time"

	"vpncheck/probe/wire"
)

// What comes from where this machine has sent packets itself is no proof on carriers without ports, for a while, restarts included.
func TestSentTo(t *testing.T) {
	dir := t.TempDir()
	now := time.Date(2026, 2, 3, 4, 5, 6, 0, time.UTC)
	open := func() *State {
		t.Helper()
		s, err := OpenState(dir, StateOptions{Now: func() time.Time { return now }})
		if err != nil {
			t.Fatal(err)
		}
		return s
	}
	peer, mapped, other := netip.MustParseAddr("203.0.113.77"), netip.MustParseAddr("::ffff:203.0.113.77"), netip.MustParseAddr("203.0.113.78")
	if err := open().noteSentTo([]netip.Addr{mapped, {}}); err != nil {
		t.Fatal(err)
	}
	s := open()
	for c, want := range map[wire.Carrier]bool{
		wire.CarrierESP: true, wire.CarrierAH: true, wire.CarrierGRE: true, wire.CarrierGREv1: true,
		wire.CarrierIKE: false, wire.CarrierNATT: false, wire.CarrierL2TP: false, wire.CarrierPPTP: false, wire.CarrierControl: false,
	} {
		if got := s.provesNothing(c, peer); got != want {
			t.Errorf("%s: got %v, want %v", c, got, want)
		}
		if s.provesNothing(c, other) {
			t.Errorf("%s: the packets of somebody else do not count", c)
		}
	}
	now = now.Add(sentToFor)
	if s.provesNothing(wire.CarrierESP, peer) {
		t.Error("it lasts for ever")
	}
	if s.noteSentTo([]netip.Addr{other}); len(s.sentTo) != 1 {
		t.Errorf("got %v, want what is over forgotten", s.sentTo)
	}
	var many []netip.Addr
	for a := other; len(many) < 2*sentToMost; a = a.Next() {
		many = append(many, a)
	}
	if s.noteSentTo(many); len(s.sentTo) > sentToMost {
		t.Errorf("%d addresses are remembered", len(s.sentTo))
	}
	if err := os.WriteFile(filepath.Join(dir, sentToFile), []byte("{"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := OpenState(dir, StateOptions{}); err == nil {
		t.Error("a damaged file is taken for none")
	}
}
