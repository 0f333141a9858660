package testserver

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"crypto/subtle"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"math/big"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"time"

	"vpncheck/probe/wire"
)

const (
	identityFile = "server.json" // the key, the certificate, the access token: all that must never change unasked
	proofsFile   = "proofs.json" // when each carrier last arrived

	accessSize      = 16
	pastAccess      = 64 // how many earlier access tokens are told "expired" instead of "wrong"
	certificateAge  = 30 * 365 * 24 * time.Hour
	certificateSkew = 24 * time.Hour // a client's clock may be behind
)

// StateOptions say how a State behaves; the zero value is what an administrator gets who asks for nothing.
type StateOptions struct {
	// TTL is how long an access token opens the door. It is remembered; 0 leaves what is remembered, and at the first start means for
	// ever.
	TTL time.Duration
	Now func() time.Time
}

// State is what a server remembers across restarts. It lives in two files of one directory that only its owner can read.
type State struct {
	dir  string
	now  func() time.Time
	cert tls.Certificate
	spki []byte

	mu       sync.Mutex
	identity identity
	proofs   map[wire.Carrier]ProofRecord
	dirty    bool
	sentTo   map[netip.Addr]time.Time
	drops    map[wire.Carrier]time.Time // by this machine's own firewall, since the start
}

// identity is server.json.
type identity struct {
	Key         wire.Hex   `json:"key"`         // PKCS #8
	Certificate wire.Hex   `json:"certificate"` // DER; the client pins its public key
	Access      wire.Hex   `json:"access"`
	Issued      time.Time  `json:"issued"`
	Valid       string     `json:"valid,omitempty"` // a time.Duration from Issued on; empty is for ever
	Past        []wire.Hex `json:"past,omitempty"`  // SHA-256 of earlier access tokens
}

// OpenState reads the state in dir, or makes it there at the first start. A damaged file is an error that names it: a server
// that quietly made itself a new key would lock all its users out.
func OpenState(dir string, o StateOptions) (*State, error) {
	if o.Now == nil {
		o.Now = time.Now
	}
	s := &State{dir: dir, now: o.Now}
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, fmt.Errorf("making the state directory: %w", err)
	}
	if names, err := os.ReadDir(dir); err == nil && len(names) == 0 { // else it may be somebody else's as well: /tmp, say
		if err := os.Chmod(dir, 0o700); err != nil {
			return nil, fmt.Errorf("closing the state directory to others: %w", err)
		}
	}
	if err := s.openIdentity(); err != nil {
		return nil, err
	}
	if valid := o.TTL.String(); o.TTL > 0 && s.identity.Valid != valid {
		s.identity.Valid = valid
		if err := writeJSON(filepath.Join(dir, identityFile), s.identity); err != nil {
			return nil, err
		}
	}
	if err := s.openSentTo(); err != nil {
		return nil, err
	}
	return s, s.openProofs()
}

func (s *State) openIdentity() error {
	path := filepath.Join(s.dir, identityFile)
	err := readJSON(path, &s.identity)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		if s.identity, err = newIdentity(s.now()); err != nil {
			return err
		}
		if err := writeJSON(path, s.identity); err != nil {
			return err
		}
	case err != nil:
		return err
	}
	return s.load(path)
}

// load checks what was read, and makes the certificate ready for use.
func (s *State) load(path string) error {
	damaged := func(err error) error {
		return fmt.Errorf("the state file %s is damaged: %w; restore it from a backup, or remove it to begin anew with another "+
			"connection string", path, err)
	}
	if len(s.identity.Access) != accessSize {
		return damaged(fmt.Errorf("its access token has %d octets, want %d", len(s.identity.Access), accessSize))
	}
	if _, err := s.identity.valid(); err != nil {
		return damaged(err)
	}
	key, err := x509.ParsePKCS8PrivateKey(s.identity.Key)
	if err != nil {
		return damaged(fmt.Errorf("reading its key: %w", err))
	}
	leaf, err := x509.ParseCertificate(s.identity.Certificate)
	if err != nil {
		return damaged(fmt.Errorf("reading its certificate: %w", err))
	}
	private, ok := key.(*ecdsa.PrivateKey)
	if !ok || !private.PublicKey.Equal(leaf.PublicKey) {
		return damaged(errors.New("its key and its certificate do not belong together"))
	}
	s.cert = tls.Certificate{Certificate: [][]byte{leaf.Raw}, PrivateKey: private, Leaf: leaf}
	s.spki = leaf.RawSubjectPublicKeyInfo
	return nil
}

// newIdentity makes a key of ECDSA P-256, which every TLS stack speaks, a certificate that outlives the server, and a token.
func newIdentity(now time.Time) (identity, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return identity{}, fmt.Errorf("making the server's key: %w", err)
	}
	serial, err := rand.Int(rand.Reader, new(big.Int).Lsh(big.NewInt(1), 120))
	if err != nil {
		return identity{}, fmt.Errorf("making the server's certificate: %w", err)
	}
	template := &x509.Certificate{
		SerialNumber: serial,
		Subject:      pkix.Name{CommonName: "vpncheck"},
		DNSNames:     []string{"vpncheck"},
		NotBefore:    now.Add(-certificateSkew),
		NotAfter:     now.Add(certificateAge),
		KeyUsage:     x509.KeyUsageDigitalSignature,
		ExtKeyUsage:  []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
	}
	cert, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		return identity{}, fmt.Errorf("making the server's certificate: %w", err)
	}
	pkcs8, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		return identity{}, fmt.Errorf("writing the server's key: %w", err)
	}
	return identity{Key: pkcs8, Certificate: cert, Access: newAccess(), Issued: now.UTC()}, nil
}

func newAccess() wire.Hex {
	b := make([]byte, accessSize)
	rand.Read(b) // never fails: crypto/rand ends the program instead
	return b
}

// NewAccess replaces the access token. Holders of the old one are told that it has expired.
func (s *State) NewAccess() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	next := s.identity
	old := sha256.Sum256(next.Access)
	next.Past = append(slices.Clone(next.Past), old[:])
	next.Past = next.Past[max(0, len(next.Past)-pastAccess):]
	next.Access, next.Issued = newAccess(), s.now().UTC()
	if err := writeJSON(filepath.Join(s.dir, identityFile), next); err != nil {
		return err
	}
	s.identity = next
	return nil
}

// AccessExpires says when the access token expires; the zero time is never.
func (s *State) AccessExpires() time.Time {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.expires()
}

func (s *State) expires() time.Time {
	valid, _ := s.identity.valid() // load has checked it
	if valid <= 0 {
		return time.Time{}
	}
	return s.identity.Issued.Add(valid)
}

// valid is how long the access token opens the door, 0 for ever.
func (i identity) valid() (time.Duration, error) {
	if i.Valid == "" {
		return 0, nil
	}
	d, err := time.ParseDuration(i.Valid)
	if err != nil {
		return 0, fmt.Errorf("reading how long its access token is valid: %w", err)
	}
	return d, nil
}

// checkAccess returns "" if access opens the door, else the reason to refuse. Its time does not depend on how much is right.
func (s *State) checkAccess(access []byte) string {
	s.mu.Lock()
	defer s.mu.Unlock()
	got, want := sha256.Sum256(access), sha256.Sum256(s.identity.Access)
	past := 0
	for _, p := range s.identity.Past {
		past |= subtle.ConstantTimeCompare(got[:], p)
	}
	current := subtle.ConstantTimeCompare(got[:], want[:]) == 1
	expires := s.expires()
	switch {
	case current && (expires.IsZero() || s.now().Before(expires)):
		return ""
	case current || past == 1:
		return byeAccessExpired
	}
	return byeAccessWrong
}

// ConnString is the connection string that an administrator hands out.
func (s *State) ConnString(host string, port uint16) wire.ConnString {
	s.mu.Lock()
	defer s.mu.Unlock()
	return wire.ConnString{Host: host, Port: port, Access: slices.Clone(s.identity.Access), Pin: wire.PinOf(s.spki)}
}

// writeJSON replaces a file at once: whoever reads it, also after a crash, finds the old content or the new one.
func writeJSON(path string, v any) error {
	b, err := json.MarshalIndent(v, "", "\t")
	if err != nil {
		return fmt.Errorf("writing %s: %w", path, err)
	}
	f, err := os.CreateTemp(filepath.Dir(path), filepath.Base(path)+".*.tmp") // 0600
	if err != nil {
		return fmt.Errorf("writing %s: %w", path, err)
	}
	defer os.Remove(f.Name()) // gone already if all went well
	_, err = f.Write(append(b, '\n'))
	if err := errors.Join(err, f.Sync(), f.Close()); err != nil {
		return fmt.Errorf("writing %s: %w", path, err)
	}
	if err := os.Rename(f.Name(), path); err != nil {
		return fmt.Errorf("writing %s: %w", path, err)
	}
	return syncDir(filepath.Dir(path))
}

// syncDir makes a rename survive a power cut. Not every file system can; the rename itself has happened.
func syncDir(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return fmt.Errorf("opening %s: %w", dir, err)
	}
	d.Sync()
	return d.Close()
}

const maxStateFile = 1 << 20

func readJSON(path string, v any) error {
	info, err := os.Stat(path)
	if err != nil {
		return fmt.Errorf("reading %s: %w", path, err)
	}
	if info.Size() > maxStateFile {
		return fmt.Errorf("the state file %s is damaged: it has %d octets", path, info.Size())
	}
	b, err := os.ReadFile(path)
	if err != nil {
		return fmt.Errorf("reading %s: %w", path, err)
	}
	if err := json.Unmarshal(b, v); err != nil {
		return fmt.Errorf("the state file %s is damaged: %w", path, err)
	}
	return nil
}
