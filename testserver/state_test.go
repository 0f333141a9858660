package testserver

import (
	"bytes"
	"io/fs"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"vpncheck/probe/wire"
)

func TestStateSurvivesRestart(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "state")
	s, err := OpenState(dir, StateOptions{})
	if err != nil {
		t.Fatal(err)
	}
	at := time.Now()
	s.arrived(wire.CarrierGRE, otherAddr, at)
	if err := s.Save(); err != nil {
		t.Fatal(err)
	}
	os.WriteFile(filepath.Join(dir, "server.json.1.tmp"), []byte("{"), 0o600) // what a crash leaves
	again, err := OpenState(dir, StateOptions{})
	if err != nil {
		t.Fatal(err)
	}
	if got, want := again.ConnString("vps.example", 0).String(), s.ConnString("vps.example", 0).String(); got != want || got == "" {
		t.Errorf("got %s, want %s", got, want)
	}
	if p := again.Proofs()[wire.CarrierGRE]; !p.At.Equal(at) || p.From != otherAddr {
		t.Errorf("got %+v, want the proof", p)
	}
	if leaf := again.cert.Leaf; leaf.NotAfter.Before(at.AddDate(20, 0, 0)) {
		t.Errorf("the certificate ends in %v", leaf.NotAfter)
	}
	files := 0
	err = filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		info, err := d.Info()
		if err != nil {
			return err
		}
		if info.Mode().Perm()&0o077 != 0 {
			t.Errorf("%s is open to others: %v", path, info.Mode())
		}
		if !d.IsDir() {
			files++
		}
		return nil
	})
	if files != 2 || err != nil {
		t.Errorf("got %d files, %v, want 2", files, err)
	}
}

func TestDamagedState(t *testing.T) {
	for _, file := range []string{identityFile, proofsFile} {
		dir := t.TempDir()
		s, err := OpenState(dir, StateOptions{})
		if err != nil {
			t.Fatal(err)
		}
		s.arrived(wire.CarrierGRE, netip.Addr{}, time.Now())
		if err := s.Save(); err != nil {
			t.Fatal(err)
		}
		path := filepath.Join(dir, file)
		good, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		for _, bad := range [][]byte{nil, good[:len(good)/2], bytes.Replace(good, []byte(`"`), []byte(`'`), 1), []byte("[]")} {
			os.WriteFile(path, bad, 0o600)
			if _, err := OpenState(dir, StateOptions{}); err == nil || !strings.Contains(err.Error(), path) {
				t.Errorf("got %v for %.20q, want an error that names %s", err, bad, path)
			}
			if got, _ := os.ReadFile(path); !bytes.Equal(got, bad) {
				t.Errorf("the damaged %s was replaced", file)
			}
		}
	}
}

// A file whose JSON is good and whose content is not is damaged as well.
func TestMixedState(t *testing.T) {
	one, _ := newIdentity(time.Now())
	other, _ := newIdentity(time.Now())
	for name, id := range map[string]identity{
		"key":    {Key: other.Key, Certificate: one.Certificate, Access: one.Access},
		"none":   {Certificate: one.Certificate, Access: one.Access},
		"cert":   {Key: one.Key, Certificate: one.Certificate[:20], Access: one.Access},
		"access": {Key: one.Key, Certificate: one.Certificate, Access: one.Access[:15]},
	} {
		dir := t.TempDir()
		if err := writeJSON(filepath.Join(dir, identityFile), id); err != nil {
			t.Fatal(err)
		}
		if _, err := OpenState(dir, StateOptions{}); err == nil || !strings.Contains(err.Error(), identityFile) {
			t.Errorf("%s: got %v, want an error that names the file", name, err)
		}
	}
}

func TestAccess(t *testing.T) {
	now := time.Now()
	dir := t.TempDir()
	o := StateOptions{TTL: time.Hour, Now: func() time.Time { return now }}
	s, err := OpenState(dir, o)
	if err != nil {
		t.Fatal(err)
	}
	check := func(s *State, access []byte, want string) {
		t.Helper()
		if got := s.checkAccess(access); got != want {
			t.Errorf("got %q, want %q", got, want)
		}
	}
	first := s.ConnString("h", 0).Access
	check(s, first, "")
	check(s, first[:15], byeAccessWrong)
	check(s, nil, byeAccessWrong)
	now = now.Add(time.Hour)
	check(s, first, byeAccessExpired)
	for range pastAccess {
		if err := s.NewAccess(); err != nil {
			t.Fatal(err)
		}
	}
	check(s, first, byeAccessExpired)
	check(s, s.ConnString("h", 0).Access, "")
	// A start that does not say it again forgets nothing.
	o.TTL = 0
	if s, err = OpenState(dir, o); err != nil {
		t.Fatal(err)
	}
	check(s, first, byeAccessExpired)
	if got := s.AccessExpires(); !got.Equal(now.Add(time.Hour)) {
		t.Errorf("got %v, want an hour from now", got)
	}
	b, _ := os.ReadFile(filepath.Join(dir, identityFile))
	if text, _ := wire.Hex(first).MarshalText(); bytes.Contains(b, text) {
		t.Error("an earlier access token is kept in the clear")
	}
}

func TestLimiter(t *testing.T) {
	l := newLimiter(3, 2)
	var gone []string
	enter := func(name, addr string) func() {
		return l.enter(netip.MustParseAddr(addr), func() { gone = append(gone, name) })
	}
	want := func(names ...string) {
		t.Helper()
		if !slices.Equal(gone, names) || len(l.places) > 3 {
			t.Errorf("got %q gone, want %q; %d wait", gone, names, len(l.places))
		}
		gone = nil
	}
	first := enter("a", "2001:db8::1")
	enter("b", "2001:db8::2")
	want()
	enter("c", "2001:db8::3")
	want("a") // two for one /64
	enter("d", "192.0.2.1")
	want()
	enter("e", "192.0.2.2")
	want("b") // three in all: one of those who have the most
	first()   // is gone already
	enter("f", "192.0.2.3")
	want("c")
	enter("g", "192.0.2.3")()
	want("d")
	enter("h", "192.0.2.4")
	want()
	if l.enter(netip.Addr{}, nil) != nil {
		t.Error("want no place for no address")
	}
}
