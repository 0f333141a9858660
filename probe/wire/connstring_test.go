package wire

import (
	"bytes"
	"crypto/sha256"
	"errors"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func counting(first byte, n int) []byte {
	b := make([]byte, n)
	for i := range b {
		b[i] = first + byte(i)
	}
	return b
}

var (
	conn     = ConnString{Host: "probe.example.net", Access: counting(1, 16), Pin: [20]byte(counting(0xa0, 20))}
	connCode = "aeaqeayeaudaocajbifqydiob4ikbincuoskljvhvcu2vk5mvwxk7mfrwkzsghvp"
)

func TestConnStringVectors(t *testing.T) {
	for _, tt := range []struct {
		host string
		port uint16
		want string
	}{
		{"probe.example.net", 0, "vpncheck://probe.example.net/" + connCode},
		{"probe.example.net", 8443, "vpncheck://probe.example.net:8443/aeaqeayeaudaocajbifqydiob4ikbincuoskljvhvcu2vk5mvwxk7mfrwkzx7j2v"},
		{"192.0.2.7", 443, "vpncheck://192.0.2.7:443/aeaqeayeaudaocajbifqydiob4ikbincuoskljvhvcu2vk5mvwxk7mfrwkz4ebfl"},
		{"2001:db8::7", 0, "vpncheck://[2001:db8::7]/aeaqeayeaudaocajbifqydiob4ikbincuoskljvhvcu2vk5mvwxk7mfrwkz6iz22"},
		{"2001:db8::7", 1, "vpncheck://[2001:db8::7]:1/aeaqeayeaudaocajbifqydiob4ikbincuoskljvhvcu2vk5mvwxk7mfrwkzqkfd6"},
	} {
		c := conn
		c.Host, c.Port = tt.host, tt.port
		if got := c.String(); got != tt.want {
			t.Errorf("%s port %d: got %s, want %s", tt.host, tt.port, got, tt.want)
		}
		got, err := ParseConnString(tt.want)
		if err != nil {
			t.Errorf("%s: %v", tt.want, err)
		} else if d := cmp.Diff(c, got); d != "" {
			t.Errorf("%s: %s", tt.want, d)
		}
	}
}

func TestConnStringWithoutAccessIsEmpty(t *testing.T) {
	if got := (ConnString{Host: "h"}).String(); got != "" {
		t.Errorf("got %q, want nothing", got)
	}
}

func TestConnStringRedacted(t *testing.T) {
	if got, want := conn.Redacted(), "vpncheck://probe.example.net/..."; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
}

func TestConnStringIsReadKindly(t *testing.T) {
	s := conn.String()
	for name, in := range map[string]string{
		"spaces":          "  " + s + " \t\r\n",
		"straight-quotes": `"` + s + `"`,
		"single-quotes":   "'" + s + "'",
		"backticks":       "`" + s + "`",
		"typographic":     "“" + s + "”",
		"german":          "„" + s + "“",
		"french":          "« " + s + " »",
		"angle":           "<" + s + ">",
		"bold":            "**" + s + "**",
		"parentheses":     "(" + s + ")",
		"full-stop":       s + ".",
		"comma":           s + ",",
		"quote-and-stop":  `"` + s + `."`,
		"slash":           s + "/",
		"upper":           strings.ToUpper(s),
		"upper-code":      "vpncheck://probe.example.net/" + strings.ToUpper(connCode),
		"no-scheme":       "probe.example.net/" + connCode,
		"root-dot":        "vpncheck://probe.example.net./" + connCode,
		"line-break":      s[:60] + "\r\n" + s[60:],
		"quoted-mail":     "> " + s[:60] + "\n> " + s[60:],
		"space":           s[:60] + " " + s[60:],
		"zero-width":      s[:60] + "\u200b" + s[60:] + "\ufeff",
		"soft-hyphen":     s[:60] + "\u00ad" + s[60:],
		"sentence":        "Server: " + s,
		"shell":           "VPNCHECK_SERVER='" + s + "'",
		"twice":           s + "\n" + s,
	} {
		got, err := ParseConnString(in)
		if err != nil {
			t.Errorf("%s: %v", name, err)
		} else if d := cmp.Diff(conn, got); d != "" {
			t.Errorf("%s: %s", name, d)
		}
	}
	six := conn
	six.Host = "2001:db8::7"
	for _, host := range []string{"[2001:db8::7]", "[2001:DB8:0:0::7]", "2001:db8::7"} {
		_, code, _ := strings.Cut(strings.TrimPrefix(six.String(), connScheme), "/")
		if got, err := ParseConnString(connScheme + host + "/" + code); err != nil || got.Host != six.Host {
			t.Errorf("%s: got %v, %v", host, got.Host, err)
		}
	}
}

func TestConnStringMistakes(t *testing.T) {
	s, place := conn.String(), "vpncheck://probe.example.net"
	newer := append([]byte{2}, counting(1, 36)...)
	newer = append(newer, connCheck(newer, conn.Host, 0)...)
	longer := append([]byte{2}, counting(1, 41)...)
	longer = append(longer, connCheck(longer, conn.Host, 0)...)
	for _, tt := range []struct{ name, in, kind string }{
		{"nothing", "", ConnEmpty},
		{"blank", " \n\"\" <>", ConnEmpty},
		{"word", "hello", ConnNotAString},
		{"scheme-only", "vpncheck://", ConnNotAString},
		{"web", "https://probe.example.net/", ConnNotAString},
		{"web-with-code", "https://probe.example.net/" + connCode, ConnNotAString},
		{"cut-in-front", s[3:], ConnNotAString},
		{"no-scheme-cut", s[11 : len(s)-1], ConnNotAString},
		{"long", s + strings.Repeat(" ", 1024), ConnLong},
		{"no-host", "vpncheck:///" + connCode, ConnHost},
		{"code-as-host", "vpncheck://" + connCode, ConnHost},
		{"code-alone", connCode, ConnHost},
		{"host-umlaut", "vpncheck://pröbe.example.net/" + connCode, ConnHost},
		{"host-underscore", "vpncheck://pro_be.example.net/" + connCode, ConnHost},
		{"host-dots", "vpncheck://probe..net/" + connCode, ConnHost},
		{"host-hyphen", "vpncheck://-probe.net/" + connCode, ConnHost},
		{"host-ipv4", "vpncheck://192.0.2.300/" + connCode, ConnHost},
		{"host-zero", "vpncheck://0.0.0.0/" + connCode, ConnHost},
		{"host-ipv6", "vpncheck://[2001:db8::g]/" + connCode, ConnHost},
		{"host-zone", "vpncheck://[fe80::1%eth0]/" + connCode, ConnHost},
		{"host-bracket", "vpncheck://[2001:db8::1/" + connCode, ConnHost},
		{"host-after-bracket", "vpncheck://[2001:db8::1]443/" + connCode, ConnHost},
		{"host-long", "vpncheck://" + strings.Repeat("a.", 127) + "net/" + connCode, ConnHost},
		{"port-word", place + ":https/" + connCode, ConnPort},
		{"port-none", place + ":/" + connCode, ConnPort},
		{"port-zero", place + ":0/" + connCode, ConnPort},
		{"port-large", place + ":65536/" + connCode, ConnPort},
		{"port-sign", place + ":+443/" + connCode, ConnPort},
		{"other-host", "vpncheck://prode.example.net/" + connCode, ConnMistyped},
		{"other-port", place + ":8443/" + connCode, ConnMistyped},
		{"swapped", place + "/" + connCode[:10] + "au" + connCode[12:], ConnMistyped},
		{"one", place + "/" + connCode[:63] + "1", ConnMistyped},
		{"slash-inside", place + "/" + connCode[:30] + "/" + connCode[30:], ConnMistyped},
		{"kelvin", place + "/" + connCode[:63] + "\u212a", ConnMistyped},
		{"not-utf8", place + "/" + connCode[:63] + "\xff", ConnMistyped},
		{"extra", s + "a", ConnExtra},
		{"extra-8", s + "aaaaaaaa", ConnExtra},
		{"newer", place + "/" + tokenText.EncodeToString(newer), ConnVersion},
		{"newer-and-longer", place + "/" + tokenText.EncodeToString(longer), ConnVersion},
	} {
		t.Run(tt.name, func(t *testing.T) { wantConnError(t, tt.in, tt.kind) })
	}
}

// wantConnError also holds the sentence to its rules: one line, no part of the code.
func wantConnError(t *testing.T, in, kind string) {
	t.Helper()
	_, err := ParseConnString(in)
	var e *ConnStringError
	if !errors.As(err, &e) || e.Kind != kind {
		t.Errorf("got %#v, want the kind %s", err, kind)
		return
	}
	said := e.Error() + e.Hint()
	if e.Error() == "" || e.Hint() == "" || strings.ContainsAny(said, "\n\x1b") {
		t.Errorf("got %q and %q", e.Error(), e.Hint())
	}
	for i := 0; i+8 <= len(connCode); i++ {
		if strings.Contains(said, connCode[i:i+8]) {
			t.Errorf("the error tells a part of the code: %q", said)
		}
	}
}

func TestConnStringNamesTheWrongLetter(t *testing.T) {
	_, err := ParseConnString("vpncheck://probe.example.net/" + connCode[:16] + "1" + connCode[17:])
	if want := "the connection string is mistyped: letter 17 of its code is '1', which no code has"; err == nil || err.Error() != want {
		t.Errorf("got %v, want %s", err, want)
	}
}

func TestConnStringEveryPrefixIsCut(t *testing.T) {
	s := conn.String()
	for n := len(s) - connLetters - 1; n < len(s); n++ {
		wantConnError(t, s[:n], ConnCut)
	}
}

func TestConnStringEverySubstitutionIsMistyped(t *testing.T) {
	at := len(conn.String()) - connLetters
	for i := range connLetters {
		for _, letter := range []byte("abcdefghijklmnopqrstuvwxyz234567" + "0189-_=+@%") {
			b := []byte(conn.String())
			if b[at+i] == letter {
				continue
			}
			b[at+i] = letter
			wantConnError(t, string(b), ConnMistyped)
		}
	}
}

func TestPinOf(t *testing.T) {
	sum := sha256.Sum256([]byte("key"))
	if got := PinOf([]byte("key")); !bytes.Equal(got[:], sum[:20]) {
		t.Errorf("got %x, want %x", got, sum[:20])
	}
}

func FuzzParseConnString(f *testing.F) {
	six := conn
	six.Host, six.Port = "2001:db8::7", 8443
	for _, s := range []string{"", conn.String(), six.String(), strings.ToUpper(conn.String()), "vpncheck://[::1", "vpncheck://::1:1/a"} {
		f.Add(s, "h", uint16(0))
	}
	f.Fuzz(func(t *testing.T, s, host string, port uint16) {
		roundTripConn(t, s)
		// A string with a good checksum over any host, so that the fuzzer reaches what is behind it.
		roundTripConn(t, ConnString{Host: host, Port: port, Access: conn.Access, Pin: conn.Pin}.String())
	})
}

func roundTripConn(t *testing.T, s string) {
	c, err := ParseConnString(s)
	if err != nil {
		return
	}
	again, err := ParseConnString(c.String())
	if err != nil {
		t.Fatalf("%q was read, but what it wrote was not: %v", s, err)
	}
	if d := cmp.Diff(c, again); d != "" {
		t.Fatalf("%q: %s", s, d)
	}
}
