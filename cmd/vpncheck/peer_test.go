package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"vpncheck/probe/wire"
)

func TestPeerStrings(t *testing.T) {
	link := func(host string) string {
		return wire.ConnString{Host: host, Access: make([]byte, 16)}.String()
	}
	dir := t.TempDir()
	file := func(name, text string) string {
		name = filepath.Join(dir, name)
		if err := os.WriteFile(name, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		return "@" + name
	}
	a, b := link("a.example"), link("b.example")
	var many []string
	for i := range maxPeers + 1 {
		many = append(many, link(string(rune('a'+i))+".example"))
	}
	for _, c := range []struct {
		name  string
		given []string
		env   string
		hosts string // or the error
	}{
		{"none", nil, "", ""},
		{"given", []string{a, b, a}, "", "a.example b.example"},
		{"environment", nil, a + "\n" + b, "a.example b.example"},
		{"file", []string{file("both", "# the others\n"+a+" # in Paris\n\n"+b+"\n")}, "", "a.example b.example"},
		{"file-and-environment", []string{file("one", a)}, b, "a.example b.example"},
		{"cut", []string{a[:60]}, "", "--peer: the connection string is cut short"},
		{"cut-in-file", []string{file("cut", a+"\n"+b[:60])}, "", "cut: the connection string is cut short"},
		{"cut-in-environment", nil, a[:60], "VPNCHECK_PEER: the connection string is cut short"},
		{"empty-file", []string{file("empty", "# nothing\n")}, "", "holds no connection string"},
		{"no-file", []string{"@" + dir + "/missing"}, "", "no such file"},
		{"endless-file", []string{"@/dev/zero"}, "", "more than 65536 octets"},
		{"too-many", many, "", "17 other servers are too many"},
	} {
		t.Run(c.name, func(t *testing.T) {
			got, err := peerStrings(c.given, c.env)
			var hosts []string
			for _, o := range got {
				hosts = append(hosts, o.Host)
			}
			text := strings.Join(hosts, " ")
			if err != nil {
				text = err.Error()
			}
			if err == nil && text != c.hosts || !strings.Contains(text, c.hosts) {
				t.Errorf("got %q, want %q", text, c.hosts)
			}
			if strings.Contains(text, a[len(a)-60:len(a)-20]) {
				t.Errorf("%q holds the secret", text)
			}
		})
	}
	own, _ := wire.ParseConnString(a)
	if err := noSelf([]wire.ConnString{own}, own); err == nil {
		t.Error("a server may test itself")
	}
}
