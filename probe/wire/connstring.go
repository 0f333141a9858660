package wire

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"net/netip"
	"strconv"
	"strings"
	"unicode"
)

// A ConnString is all that a client needs to reach a server and to be let in, on one line:
//
//	vpncheck://HOST[:PORT]/CODE
//
// CODE is 64 letters of lower-case base32: version (1 octet, 1), access token (16), pin (20) and checksum (3). The checksum, the
// first octets of SHA-256, covers what is before it, HOST and PORT, so that a mistyped host is noticed before anything is sent
// there. Later versions keep the version octet first and the checksum last.
//
// It is a secret: it belongs in no report and no log. See Redacted.
type ConnString struct {
	Host   string   // a name or an address, an IPv6 address without brackets
	Port   uint16   // 0: 443, then 8443
	Access []byte   // the access token, 16 octets
	Pin    [20]byte // PinOf the server's public key
}

const (
	connScheme    = "vpncheck://"
	connVersion   = 1
	accessSize    = 16
	connCheckSize = 3
	connCodeSize  = 1 + accessSize + 20 + connCheckSize
	connLetters   = connCodeSize * 8 / 5
	maxConnString = 1 << 10 // octets of input
)

// PinOf is the pin of a server's key: the SHA-256 of its SubjectPublicKeyInfo in DER, cut to 20 octets.
func PinOf(spki []byte) [20]byte {
	sum := sha256.Sum256(spki)
	return [20]byte(sum[:20])
}

// String writes the connection string. It is empty if Access is not 16 octets.
func (c ConnString) String() string {
	if len(c.Access) != accessSize {
		return ""
	}
	b := make([]byte, 0, connCodeSize)
	b = append(b, connVersion)
	b = append(b, c.Access...)
	b = append(b, c.Pin[:]...)
	b = append(b, connCheck(b, c.Host, c.Port)...)
	return c.place() + "/" + tokenText.EncodeToString(b)
}

// Redacted is the connection string without its secret, for people and logs.
func (c ConnString) Redacted() string { return c.place() + "/..." }

func (c ConnString) place() string {
	host := c.Host
	if strings.Contains(host, ":") {
		host = "[" + host + "]"
	}
	if c.Port != 0 {
		host += ":" + strconv.Itoa(int(c.Port))
	}
	return connScheme + host
}

func connCheck(b []byte, host string, port uint16) []byte {
	h := sha256.New()
	h.Write(b)
	h.Write([]byte(lowerASCII(host)))
	h.Write(binary.BigEndian.AppendUint16([]byte{0}, port))
	return h.Sum(nil)[:connCheckSize]
}

// ParseConnString reads a connection string as people hand it on: quoted, broken over lines by a mail program, in capitals, with the
// full stop of the sentence around it, or without vpncheck:// if it is unmistakable. Its errors are *ConnStringError.
func ParseConnString(s string) (ConnString, error) {
	if len(s) > maxConnString {
		return ConnString{}, &ConnStringError{Kind: ConnLong}
	}
	s = tidyConnString(s)
	if s == "" {
		return ConnString{}, &ConnStringError{Kind: ConnEmpty}
	}
	schemed := false
	if i := strings.LastIndex(lowerASCII(s), connScheme); i >= 0 {
		s, schemed = s[i+len(connScheme):], true
	}
	place, code, slash := strings.Cut(s, "/")
	if !slash && isConnCode(place) {
		return ConnString{}, &ConnStringError{Kind: ConnHost}
	}
	code = lowerASCII(code)
	if !schemed && !isConnCode(code) {
		return ConnString{}, &ConnStringError{Kind: ConnNotAString}
	}
	return parseConn(place, code)
}

func parseConn(place, code string) (ConnString, error) {
	var c ConnString
	var err *ConnStringError
	if c.Host, c.Port, err = parsePlace(place); err != nil {
		return ConnString{}, err
	}
	b, err := decodeConnCode(code)
	if err != nil {
		return ConnString{}, err
	}
	body, check := b[:len(b)-connCheckSize], b[len(b)-connCheckSize:]
	genuine := bytes.Equal(check, connCheck(body, c.Host, c.Port))
	switch {
	case genuine && body[0] != connVersion:
		return ConnString{}, &ConnStringError{Kind: ConnVersion}
	case len(b) > connCodeSize:
		return ConnString{}, &ConnStringError{Kind: ConnExtra, letters: len(code)}
	case !genuine:
		return ConnString{}, &ConnStringError{Kind: ConnMistyped}
	}
	c.Access = body[1 : 1+accessSize : 1+accessSize]
	c.Pin = [20]byte(body[1+accessSize:])
	return c, nil
}

// decodeConnCode returns connCodeSize octets or more.
func decodeConnCode(code string) ([]byte, *ConnStringError) {
	at := 0
	for _, r := range code {
		at++
		if !isBase32(r) {
			return nil, &ConnStringError{Kind: ConnMistyped, letter: r, at: at}
		}
	}
	if len(code) < connLetters {
		return nil, &ConnStringError{Kind: ConnCut, letters: len(code)}
	}
	b, err := tokenText.DecodeString(code)
	if err != nil || tokenText.EncodedLen(len(b)) != len(code) {
		return nil, &ConnStringError{Kind: ConnExtra, letters: len(code)}
	}
	return b, nil
}

// parsePlace reads HOST[:PORT], and an IPv6 address without its brackets if there is no port.
func parsePlace(s string) (string, uint16, *ConnStringError) {
	host, port, more := s, "", false
	if rest, ok := strings.CutPrefix(s, "["); ok {
		host, port, ok = strings.Cut(rest, "]")
		if a, err := netip.ParseAddr(host); !ok || err != nil || !a.Is6() {
			return "", 0, &ConnStringError{Kind: ConnHost}
		}
		if port, more = strings.CutPrefix(port, ":"); !more && port != "" {
			return "", 0, &ConnStringError{Kind: ConnHost}
		}
	} else if strings.Count(s, ":") < 2 {
		host, port, more = strings.Cut(s, ":")
	}
	host, ok := tidyHost(host)
	if !ok {
		return "", 0, &ConnStringError{Kind: ConnHost}
	}
	if !more {
		return host, 0, nil
	}
	n, err := strconv.ParseUint(port, 10, 16)
	if err != nil || n == 0 {
		return "", 0, &ConnStringError{Kind: ConnPort}
	}
	return host, uint16(n), nil
}

// tidyHost returns the one form of a host name or address, and whether it is one.
func tidyHost(s string) (string, bool) {
	if a, err := netip.ParseAddr(s); err == nil {
		return a.Unmap().String(), a.Zone() == "" && !a.IsUnspecified()
	}
	s = lowerASCII(strings.TrimSuffix(s, "."))
	if len(s) > 253 {
		return "", false
	}
	labels := strings.Split(s, ".")
	for _, l := range labels {
		if l == "" || len(l) > 63 || l[0] == '-' || l[len(l)-1] == '-' || strings.ContainsFunc(l, notHostLetter) {
			return "", false
		}
	}
	last := labels[len(labels)-1] // a name that ends in a number is an IPv4 address gone wrong
	return s, strings.ContainsFunc(last, func(r rune) bool { return r < '0' || r > '9' })
}

func notHostLetter(r rune) bool {
	return (r < 'a' || r > 'z') && (r < '0' || r > '9') && r != '-'
}

func isBase32(r rune) bool { return 'a' <= r && r <= 'z' || '2' <= r && r <= '7' }

func isConnCode(s string) bool {
	s = lowerASCII(s)
	return len(s) == connLetters && !strings.ContainsFunc(s, func(r rune) bool { return !isBase32(r) })
}

// tidyConnString takes out what a connection string never has and mail programs, chats and shells put in.
func tidyConnString(s string) string {
	s = strings.Map(func(r rune) rune {
		if unicode.IsSpace(r) || unicode.In(r, unicode.Cc, unicode.Cf) || strings.ContainsRune("\"'`´‘’‚‛“”„‟‹›«»<>*", r) {
			return -1
		}
		return r
	}, s)
	return strings.TrimLeft(strings.TrimRight(s, ".,;:!?)/"), "(")
}

// lowerASCII leaves other letters as they are: to lower case, the Kelvin sign would become a k.
func lowerASCII(s string) string {
	return strings.Map(func(r rune) rune {
		if 'A' <= r && r <= 'Z' {
			return r + 'a' - 'A'
		}
		return r
	}, s)
}

// A ConnStringError says what is wrong with a connection string: Error in one sentence, Hint what to do. Neither holds any part of
// the string but for a single letter.
type ConnStringError struct {
	Kind    string
	letter  rune // the one that base32 lacks, and its place counted from 1
	at      int
	letters int // how many the code has
}

// The kinds of ConnStringError.
const (
	ConnEmpty      = "empty"
	ConnNotAString = "not-a-string"
	ConnLong       = "long"  // far too much text
	ConnHost       = "host"  // missing, or not a host
	ConnPort       = "port"  // not a number from 1 to 65535
	ConnCut        = "cut"   // too few letters
	ConnExtra      = "extra" // too many letters
	ConnMistyped   = "mistyped"
	ConnVersion    = "version" // made by a newer vpncheck
)

func (e *ConnStringError) Error() string {
	switch e.Kind {
	case ConnEmpty:
		return "the connection string is empty"
	case ConnLong:
		return "this text is too long for a connection string"
	case ConnHost:
		return "the connection string has no valid server name or address"
	case ConnPort:
		return "the port in the connection string is not a number from 1 to 65535"
	case ConnCut:
		return "the connection string is cut short: its code has " + strconv.Itoa(e.letters) + " of " + strconv.Itoa(connLetters) + " letters"
	case ConnExtra:
		return "the connection string is too long: its code has " + strconv.Itoa(e.letters) + " letters, not " + strconv.Itoa(connLetters)
	case ConnMistyped:
		if e.at > 0 {
			return "the connection string is mistyped: letter " + strconv.Itoa(e.at) + " of its code is " +
				strconv.QuoteRuneToASCII(e.letter) + ", which no code has"
		}
		return "the connection string is mistyped: its checksum does not match"
	case ConnVersion:
		return "the connection string was made by a newer vpncheck"
	}
	return "this is not a connection string"
}

// Hint says what to do about it.
func (e *ConnStringError) Hint() string {
	switch e.Kind {
	case ConnEmpty, ConnNotAString, ConnLong:
		return "it is the line that starts with " + connScheme + ", printed by \"vpncheck serve\" on the server"
	case ConnHost:
		return "after " + connScheme + " comes the server's name or address (IPv6 in square brackets), then / and the code"
	case ConnPort:
		return "leave the port out to use 443, or 8443 if that does not answer"
	case ConnVersion:
		return "install the current vpncheck on this computer"
	case ConnMistyped:
		if e.at > 0 {
			return "a code has the letters a to z and the digits 2 to 7: what looks like 0, 1 or 8 is o, l or b; better copy and paste it"
		}
		return "one letter of the code, the server's name or the port is wrong; copy and paste the whole line"
	}
	return "copy the whole line again, from " + connScheme + " to its last letter"
}
