package wire

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/rand"
	"crypto/sha256"
	"crypto/x509"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"strings"
)

// A server answers plain HTTP on TCP port 80 with one small page. Who asks for /?challenge=HEX finds a PageProof in its body, and knows by it
// that the server itself answered and no sign-in page in its place. Nothing else that the page says is to be trusted.
const (
	PagePort      = 80
	PageQuery     = "challenge"
	PageChallenge = 16 // octets of a challenge

	pageLabel     = "vpncheck page 1\n"
	pageWord      = "vpncheck-page/1"
	maxPageKey    = 256 // octets; a P-256 key has 91
	maxPageSigned = 128 // octets; a P-256 signature has 72 at most
	maxPageBody   = 4 << 10
)

// A PageProof is the server's signature on a client's challenge. In the page it is one line:
//
//	vpncheck-page/1 KEY SIGNATURE
//
// in lower-case hexadecimal: the server's public key (SubjectPublicKeyInfo in DER, whose pin is in the connection string), and an ECDSA
// signature (ASN.1) on the SHA-256 of a label, the HTTP status in two octets and the challenge.
type PageProof struct {
	Key       []byte
	Signature []byte
}

// pageSum is what is signed. The label keeps the signature from being one on anything else: TLS signs octets that begin with spaces.
func pageSum(status int, challenge []byte) []byte {
	b := append([]byte(pageLabel), binary.BigEndian.AppendUint16(nil, uint16(status))...)
	sum := sha256.Sum256(append(b, challenge...))
	return sum[:]
}

// SignPage answers a challenge, of PageChallenge octets, with the key whose SubjectPublicKeyInfo is spki.
func SignPage(key *ecdsa.PrivateKey, spki []byte, status int, challenge []byte) (PageProof, error) {
	if len(challenge) != PageChallenge {
		return PageProof{}, fmt.Errorf("%w: a challenge of %d octets, want %d", ErrFormat, len(challenge), PageChallenge)
	}
	signature, err := ecdsa.SignASN1(rand.Reader, key, pageSum(status, challenge))
	if err != nil {
		return PageProof{}, fmt.Errorf("signing the page: %w", err)
	}
	return PageProof{spki, signature}, nil
}

// String is the proof's line, without its end.
func (p PageProof) String() string {
	return fmt.Sprintf("%s %x %x", pageWord, p.Key, p.Signature)
}

// ParsePageChallenge reads the challenge that a client put into its request.
func ParsePageChallenge(text string) ([]byte, error) {
	return pageHex(text, PageChallenge, PageChallenge)
}

// ParsePageProof finds the proof's line in a page. A page without one is ErrFormat.
func ParsePageProof(page []byte) (PageProof, error) {
	for line := range bytes.Lines(page[:min(len(page), maxPageBody)]) {
		fields := strings.Split(strings.TrimRight(string(line), "\r\n"), " ")
		if fields[0] == pageWord {
			return parsePageFields(fields[1:])
		}
	}
	return PageProof{}, fmt.Errorf("%w: the page holds no proof", ErrFormat)
}

func parsePageFields(fields []string) (p PageProof, err error) {
	if len(fields) != 2 {
		return p, fmt.Errorf("%w: the page's proof has %d fields", ErrFormat, len(fields))
	}
	if p.Key, err = pageHex(fields[0], 1, maxPageKey); err != nil {
		return p, err
	}
	p.Signature, err = pageHex(fields[1], 1, maxPageSigned)
	return p, err
}

// pageHex reads lower-case hexadecimal of least to most octets.
func pageHex(text string, least, most int) ([]byte, error) {
	if len(text) < 2*least || len(text) > 2*most || strings.ToLower(text) != text {
		return nil, fmt.Errorf("%w: %d hexadecimal digits", ErrFormat, len(text))
	}
	b, err := hex.DecodeString(text)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrFormat, err)
	}
	return b, nil
}

var errPageProof = errors.New("this page is not the server's")

// Check says whether the page that came with an HTTP status is the answer to a challenge of the server that has the pin.
func (p PageProof) Check(pin [20]byte, status int, challenge []byte) error {
	if PinOf(p.Key) != pin {
		return errPageProof
	}
	key, err := x509.ParsePKIXPublicKey(p.Key)
	if err != nil {
		return fmt.Errorf("%w: %w", errPageProof, err)
	}
	if public, ok := key.(*ecdsa.PublicKey); !ok || !ecdsa.VerifyASN1(public, pageSum(status, challenge), p.Signature) {
		return errPageProof
	}
	return nil
}
