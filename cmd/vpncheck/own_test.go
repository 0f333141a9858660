package main

import (
	"bytes"
	"maps"
	"strings"
	"testing"

	"vpncheck/probe"
)

func TestOwnHost(t *testing.T) {
	for text, want := range map[string]string{
		"vpn.example.com": "vpn.example.com", " vpn.example.com. ": "vpn.example.com", "vpn_1.example": "vpn_1.example", "localhost": "localhost",
		"203.0.113.80": "203.0.113.80", "2001:db8::1": "2001:db8::1", "[2001:db8::1]": "2001:db8::1", "::ffff:203.0.113.80": "203.0.113.80",
	} {
		if got, err := ownHost(text); err != nil || got != want {
			t.Errorf("%q: got %q, %v, want %q", text, got, err, want)
		}
	}
	for text, want := range map[string]string{
		"": "no host name", "https://vpn.example.com/": "no host name", "vpn.example.com/x": "no host name", "a b": "no host name", "-x.example": "no host name",
		"x..example": "no host name", strings.Repeat("a.", 130): "no host name", strings.Repeat("a", 64) + ".example": "no host name", "vpn\x1b.example": "no host name",
		"vpn.example.com:1194": "has a port", "203.0.113.80:500": "has a port", "[2001:db8::1]:500": "has a port", "0.0.0.0": "no server's address",
		"224.0.0.1": "no server's address", "255.255.255.255": "no server's address", "ff02::1": "no server's address", "vpncheck://203.0.113.2/abcdefgh": "not a connection string",
	} {
		got, err := ownHost(text)
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: got %q, %v, want %q", text, got, err, want)
		}
	}
}

// A connection string is a secret: it is never repeated, not even where it stands in the wrong place.
func TestOwnHostKeepsTheSecret(t *testing.T) {
	for _, text := range []string{"vpncheck://203.0.113.2/abcdefgh", "VPNCHECK://host/secret", "vpncheck:secret"} {
		if _, err := ownHost(text); err == nil || strings.Contains(err.Error(), "secret") || strings.Contains(err.Error(), "abcdefgh") {
			t.Errorf("%q: %v", text, err)
		}
	}
}

func TestOwnPorts(t *testing.T) {
	got, err := ownPorts([]string{"openvpn-udp=1195", "sstp=8443"})
	if want := map[string]uint16{"openvpn-udp": 1195, "sstp": 8443}; err != nil || !maps.Equal(got, want) {
		t.Errorf("got %v, %v, want %v", got, err, want)
	}
	for _, bad := range []string{"", "openvpn-udp", "openvpn=1195", "openvpn-udp=0", "openvpn-udp=65536", "openvpn-udp=x", "=1"} {
		if got, err := ownPorts([]string{bad}); err == nil {
			t.Errorf("%q: got %v", bad, got)
		}
	}
}

// What will be sent is said before, and all of it.
func TestSayOwn(t *testing.T) {
	var buf bytes.Buffer
	(&ownFlags{to: "vpn.example.com"}).sayOwn(&buf)
	text := strings.Join(strings.Fields(buf.String()), " ")
	want := "vpncheck: I shall send your VPN server vpn.example.com the first messages of IKEv2, IKEv1, PPTP, L2TP, OpenVPN and SSTP, without any name or password; it may log them"
	if text != want {
		t.Errorf("got %q, want %q", text, want)
	}
	if len(probe.OpeningIDs) != 7 {
		t.Errorf("there are %d openings: does it say all of them?", len(probe.OpeningIDs))
	}
	buf.Reset()
	if (&ownFlags{}).sayOwn(&buf); buf.Len() > 0 {
		t.Errorf("nobody is asked, and it says %q", &buf)
	}
}
