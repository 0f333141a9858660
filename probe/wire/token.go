package wire

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base32"
	"encoding/binary"
	"fmt"
	"hash"
	"sync"
)

// A Token makes a packet ours: it names the session and the exchange, and proves with the session's key that one of the two
// ends wrote it. Layout: session (4 octets), exchange (4), HMAC-SHA-256 cut to 12.
//
// It does not cover the packet it travels in, because a NAT changes that lawfully; what was changed is found by comparing the
// two ends' sightings.
type Token [TokenSize]byte

// TokenSize fits the largest Endpoint-Discriminator address, the narrowest room we have (RFC 1990, section 5.1.3).
const TokenSize = 20

// NonceSize is the length of the octets by which an address proves that it receives: see gate.
const NonceSize = 8

// Direction tells a question from its answer, so that a mirror is not a server.
type Direction byte

const (
	Question Direction = 'q' // client to server
	Answer   Direction = 'a' // server to client
)

// A Carrier is what a token travels in. A token made for one carrier is not valid in another.
type Carrier string

const (
	CarrierControl Carrier = "udp-control" // UDP on the neutral port: the control leg
	CarrierPPTP    Carrier = "pptp"        // TCP 1723
	CarrierGRE     Carrier = "gre"         // IP protocol 47, version 0
	CarrierGREv1   Carrier = "gre-v1"      // IP protocol 47, version 1, carrying PPP
	CarrierIKE     Carrier = "ike"         // UDP 500
	CarrierNATT    Carrier = "natt"        // UDP 4500: IKE and ESP
	CarrierESP     Carrier = "esp"         // IP protocol 50
	CarrierAH      Carrier = "ah"          // IP protocol 51
	CarrierL2TP    Carrier = "l2tp"        // UDP 1701
	CarrierSSTP    Carrier = "sstp"        // TCP 443, inside TLS
	// OpenVPN, on UDP and TCP 1194
	CarrierOpenVPNUDP Carrier = "openvpn-udp"
	CarrierOpenVPNTCP Carrier = "openvpn-tcp"
	// WireGuard, on UDP 51820
	CarrierWireGuard Carrier = "wireguard"
	CarrierRandom    Carrier = "random"     // UDP 500, 4500, 1701, 1194 and 51820: octets without a form
	CarrierRandomTCP Carrier = "random-tcp" // the same at the beginning of a connection to TCP 443, 1194 and 1723
)

// TCP says that it is a connection of TCP's.
func (c Carrier) TCP() bool {
	switch c {
	case CarrierPPTP, CarrierSSTP, CarrierOpenVPNTCP, CarrierRandomTCP:
		return true
	}
	return false
}

var tokenText = base32.NewEncoding("abcdefghijklmnopqrstuvwxyz234567").WithPadding(base32.NoPadding)

// TokenTextSize is the length of a token written as text.
const TokenTextSize = 32

// Session and Exchange read the two numbers in the clear.
func (t Token) Session() uint32  { return binary.BigEndian.Uint32(t[0:]) }
func (t Token) Exchange() uint32 { return binary.BigEndian.Uint32(t[4:]) }

// String is the token in lower-case base32, 32 letters, for fields that hold names.
func (t Token) String() string { return tokenText.EncodeToString(t[:]) }

// ParseToken reads what String wrote.
func ParseToken(s string) (Token, error) {
	var t Token
	if len(s) != TokenTextSize {
		return t, fmt.Errorf("reading a token: %d letters, want %d", len(s), TokenTextSize)
	}
	n, err := tokenText.Decode(t[:], []byte(s))
	if err != nil {
		return Token{}, fmt.Errorf("reading a token: %w", err)
	}
	if n < TokenSize { // the decoder skips line breaks
		return Token{}, fmt.Errorf("reading a token: %d octets, want %d: %w", n, TokenSize, ErrShort)
	}
	return t, nil
}

// TokenAt takes the token that starts at b[at].
func TokenAt(b []byte, at int) (Token, error) {
	if at < 0 || len(b)-at < TokenSize {
		return Token{}, fmt.Errorf("reading a token at octet %d of %d: %w", at, len(b), ErrShort)
	}
	return Token(b[at : at+TokenSize]), nil
}

// A Mint makes and checks one session's tokens. It keeps its HMAC state, so that a packet costs no allocation. Its methods may be
// called from several goroutines.
type Mint struct {
	session uint32

	mu  sync.Mutex
	mac hash.Hash
	sum [sha256.Size]byte
	buf [64]byte
}

// NewMint returns the mint of a session; key is its secret of 32 octets.
func NewMint(session uint32, key []byte) *Mint {
	return &Mint{session: session, mac: hmac.New(sha256.New, key)}
}

// Make returns the token of an exchange.
func (m *Mint) Make(d Direction, c Carrier, exchange uint32) Token {
	var t Token
	binary.BigEndian.PutUint32(t[0:], m.session)
	binary.BigEndian.PutUint32(t[4:], exchange)
	m.mu.Lock()
	defer m.mu.Unlock()
	b := append(m.buf[:0], byte(d))
	b = append(b, t[:8]...)
	b = append(b, c...)
	m.mac.Reset()
	m.mac.Write(b)
	copy(t[8:], m.mac.Sum(m.sum[:0]))
	return t
}

// Valid reports whether t is this session's token for that direction and carrier.
func (m *Mint) Valid(d Direction, c Carrier, t Token) bool {
	if t.Session() != m.session {
		return false
	}
	want := m.Make(d, c, t.Exchange())
	return hmac.Equal(want[:], t[:])
}

// Derive returns a key of 32 octets for another use, named by a label of at most eight octets: what a token is made from is longer.
func (m *Mint) Derive(label string) []byte {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.mac.Reset()
	m.mac.Write([]byte(label))
	return m.mac.Sum(nil)
}
