package testserver

import (
	"io/fs"
	"slices"
	"strconv"
	"sync/atomic"
	"testing"
	"testing/fstest"
	"time"

	"github.com/google/go-cmp/cmp"

	"vpncheck/probe/wire"
)

func TestOwners(t *testing.T) {
	file := func(text string) *fstest.MapFile { return &fstest.MapFile{Data: []byte(text)} }
	link := func(to string) *fstest.MapFile { return &fstest.MapFile{Data: []byte(to), Mode: fs.ModeSymlink} }
	proc := fstest.MapFS{
		"modules": file("ip_gre 32768 0 - Live 0x0000000000000000\ngre 16384 1 ip_gre, Live 0x0\nesp4 28672 2 - Live 0x0\next4 1 1 - Live 0x0\n\n"),
		"1/comm":  file("systemd\n"), "812/comm": file("pptpd\n"), "77/comm": file("charon\n"), "self/comm": file("pptpd\n"),
		"self/fd/3": link("socket:[100]"), "self/fd/4": link("/dev/null"),
		"self/net/raw": file("  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode ref pointer drops\n" +
			"   47: 00000000:002F 00000000:0000 07 00000000:00000000 00:00000000 00000000     0        0 100 2 0000000000000000 0\n" +
			"   51: 00000000:0033 00000000:0000 07 00000000:00000000 00:00000000 00000000     0        0 200 2 0000000000000000 0\n" +
			"    1: 00000000:0001 00000000:0000 07 00000000:00000000 00:00000000 00000000     0        0 300 2 0000000000000000 0\n   9: x\n"),
	}
	want := owners{
		wire.CarrierGRE:   {"kernel module ip_gre"},
		wire.CarrierGREv1: {"pptpd (pid 812)"},
		wire.CarrierPPTP:  {"pptpd (pid 812)"},
		wire.CarrierIKE:   {"charon (pid 77)"},
		wire.CarrierNATT:  {"charon (pid 77)"},
		wire.CarrierESP:   {"kernel module esp4", "charon (pid 77)"},
		wire.CarrierAH:    {"charon (pid 77)", "another program's raw socket"},
	}
	if d := cmp.Diff(want, ownersIn(proc)); d != "" {
		t.Error(d)
	}
	delete(proc, "self/fd/3") // nobody knows what is ours
	if got := ownersIn(proc)[wire.CarrierAH]; slices.Contains(got, "another program's raw socket") {
		t.Errorf("got %q", got)
	}
	if got := ownersIn(fstest.MapFS{}); len(got) != 0 {
		t.Errorf("got %v of nothing", got)
	}
	MachineOwners() // whatever this machine has
}

// A busy PPTP server has a process for each customer: were all of them told, no message could hold them, and no session could begin.
func TestManyOwners(t *testing.T) {
	proc := make(fstest.MapFS)
	for pid := range 2000 {
		proc[strconv.Itoa(10000+pid)+"/comm"] = &fstest.MapFile{Data: []byte("pptpctrl\n")}
	}
	proc["1/comm"] = &fstest.MapFile{Data: []byte("xl2tpd\n")}
	many := ownersIn(proc)
	if got := many[wire.CarrierPPTP]; len(got) != maxOwners {
		t.Errorf("%d are told, want %d", len(got), maxOwners)
	}
	if got := many[wire.CarrierL2TP]; len(got) != 1 {
		t.Errorf("got %q", got)
	}
	inWorld(t, func(_ *world, c *Config) { c.Owners = func() map[wire.Carrier][]string { return many } }, func(w *world) {
		w.open(w.laptop)
	})
}

// A session and the administrator are told, and of what comes later as well.
func TestOwnersTold(t *testing.T) {
	var now atomic.Pointer[map[wire.Carrier][]string]
	now.Store(&map[wire.Carrier][]string{wire.CarrierGRE: {"kernel module ip_gre"}})
	inWorld(t, func(_ *world, c *Config) { c.Owners = func() map[wire.Carrier][]string { return *now.Load() } }, func(w *world) {
		told := func() (out []string) {
			for _, s := range append(w.open(w.laptop).session.Carriers, w.srv.Status().Carriers[3].CarrierState) {
				if s.Carrier == wire.CarrierGRE {
					out = append(out, s.Owners...)
				} else if s.Owners != nil {
					t.Errorf("%s: got %q", s.Carrier, s.Owners)
				}
			}
			return out
		}
		if got := told(); len(got) != 2 {
			t.Errorf("got %q, want both told", got)
		}
		now.Store(new(map[wire.Carrier][]string))
		time.Sleep(ownersEvery + time.Minute)
		if got := told(); len(got) != 0 {
			t.Errorf("got %q, want none any more", got)
		}
	})
}
