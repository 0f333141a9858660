package wire

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"errors"
	"slices"
	"strings"
	"testing"
)

func pageKey(t testing.TB) (*ecdsa.PrivateKey, []byte) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	spki, err := x509.MarshalPKIXPublicKey(&key.PublicKey)
	if err != nil {
		t.Fatal(err)
	}
	return key, spki
}

func TestPageProof(t *testing.T) {
	key, spki := pageKey(t)
	challenge := []byte("0123456789abcdef")
	p, err := SignPage(key, spki, 200, challenge)
	if err != nil {
		t.Fatal(err)
	}
	got, err := ParsePageProof([]byte("A server.\r\n" + p.String() + "\r\nmore"))
	if err != nil || got.String() != p.String() {
		t.Fatalf("got %v, %v, want %v", got, err, p)
	}
	pin := PinOf(spki)
	if err := got.Check(pin, 200, challenge); err != nil {
		t.Errorf("got %v, want it genuine", err)
	}
	other, otherSPKI := pageKey(t)
	forged, _ := SignPage(other, spki, 200, challenge) // the right key is shown, another has signed
	foreign, _ := SignPage(other, otherSPKI, 200, challenge)
	old, _ := SignPage(key, spki, 200, []byte("fedcba9876543210"))
	public, _, _ := ed25519.GenerateKey(rand.Reader)
	edwards, _ := x509.MarshalPKIXPublicKey(public)
	for name, err := range map[string]error{
		"another-pin":       got.Check([20]byte{1}, 200, challenge),
		"another-status":    got.Check(pin, 302, challenge),
		"another-challenge": got.Check(pin, 200, []byte("fedcba9876543210")),
		"another-key":       foreign.Check(pin, 200, challenge),
		"forged":            forged.Check(pin, 200, challenge),
		"replayed":          PageProof{spki, old.Signature}.Check(pin, 200, challenge),
		"no-key":            PageProof{[]byte("key"), p.Signature}.Check(PinOf([]byte("key")), 200, challenge),
		"not-ecdsa":         PageProof{edwards, p.Signature}.Check(PinOf(edwards), 200, challenge),
	} {
		if err == nil {
			t.Errorf("%s: taken for the server's", name)
		}
	}
	if _, err := SignPage(key, spki, 200, challenge[1:]); err == nil {
		t.Error("a short challenge was signed")
	}
}

func TestParsePageProofRefuses(t *testing.T) {
	key, spki := pageKey(t)
	p, _ := SignPage(key, spki, 200, []byte("0123456789abcdef"))
	line := p.String()
	for name, text := range map[string]string{
		"empty": "", "word-alone": pageWord, "capitals": pageWord + strings.ToUpper(line[len(pageWord):]), "more": line + " 00",
		"inside-a-line": "<p>" + line, "too-far-down": strings.Repeat("\n", maxPageBody) + line, "odd": line + "0",
		"long-key":       strings.Replace(line, strings.Fields(line)[1], strings.Repeat("00", maxPageKey+1), 1),
		"long-signature": strings.Replace(line, strings.Fields(line)[2], strings.Repeat("00", maxPageSigned+1), 1), "short": pageWord + " " + strings.Fields(line)[1],
	} {
		if _, err := ParsePageProof([]byte(text)); !errors.Is(err, ErrFormat) {
			t.Errorf("%s: got %v, want ErrFormat", name, err)
		}
	}
	// Every shorter one is refused, or is not signed.
	for n := range line {
		if short, err := ParsePageProof([]byte(line[:n])); err == nil && short.Check(PinOf(spki), 200, []byte("0123456789abcdef")) == nil {
			t.Fatalf("%d of %d letters are enough", n, len(line))
		}
	}
}

func FuzzParsePageProof(f *testing.F) {
	key, spki := pageKey(f)
	p, _ := SignPage(key, spki, 200, []byte("0123456789abcdef"))
	f.Add([]byte(p.String()))
	f.Add([]byte("HTTP/1.1 200 OK\r\n" + pageWord + " 00 00\n"))
	f.Add([]byte(pageWord + "\n" + p.String()))
	f.Fuzz(func(t *testing.T, b []byte) {
		before := slices.Clone(b)
		got, err := ParsePageProof(b)
		if !bytes.Equal(b, before) {
			t.Error("the page was changed")
		}
		if err != nil {
			return
		}
		if again, err := ParsePageProof([]byte(got.String())); err != nil || again.String() != got.String() {
			t.Errorf("got %v, %v again, want %v", again, err, got)
		}
		if genuine := got.Check(PinOf(spki), 200, []byte("0123456789abcdef")) == nil; genuine && !bytes.Equal(got.Key, spki) {
			t.Errorf("%v is taken for genuine", got)
		}
	})
}
