package wire

import (
	"bytes"
	"crypto/ecdh"
	"errors"
	"testing"
	"time"
)

// wireGuardPair is a handshake that has been held.
func wireGuardPair(t testing.TB) (client, server *ecdh.PrivateKey, o *WireGuardOpening, response []byte, at, from *WireGuardTunnel) {
	t.Helper()
	client, server = NewWireGuardKey(), NewWireGuardKey()
	o, err := OpenWireGuard(client, server.PublicKey().Bytes(), 0x01020304, time.Unix(1e9, 0))
	if err != nil {
		t.Fatal(err)
	}
	in, err := ReadWireGuard(server, o.Message)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(in.Peer[:], client.PublicKey().Bytes()) || in.Sender != 0x01020304 {
		t.Errorf("the initiation is %x's with the index %#x", in.Peer, in.Sender)
	}
	if response, at, err = in.Answer(0x0a0b0c0d); err != nil {
		t.Fatal(err)
	}
	if from, err = o.Answered(response); err != nil {
		t.Fatal(err)
	}
	return client, server, o, response, at, from
}

func TestWireGuard(t *testing.T) {
	_, _, o, response, server, client := wireGuardPair(t)
	if len(o.Message) != 148 || !bytes.HasPrefix(o.Message, []byte{1, 0, 0, 0, 4, 3, 2, 1}) {
		t.Errorf("the initiation is %d octets, %x...", len(o.Message), o.Message[:8])
	}
	if len(response) != 92 || !bytes.HasPrefix(response, []byte{2, 0, 0, 0, 0x0d, 0x0c, 0x0b, 0x0a, 4, 3, 2, 1}) {
		t.Errorf("the response is %d octets, %x...", len(response), response[:12])
	}
	for _, w := range []struct{ from, to *WireGuardTunnel }{{client, server}, {server, client}} {
		for size, want := range map[int]int{0: 32, 1: 48, 16: 48, 92: 128, 1420: 1452, 1421: 1424 + 32} {
			packet := bytes.Repeat([]byte{7}, size)
			b := w.from.Seal(5, packet)
			got, err := w.to.Open(b)
			if err != nil || !bytes.HasPrefix(got, packet) || len(b) != want {
				t.Errorf("%d octets became %d, want %d, and came out as %d: %v", size, len(b), want, len(got), err)
			}
			if _, err := w.from.Open(b); err == nil {
				t.Error("our own data opened")
			}
		}
	}
}

// Any octet changed, or missing, is found: in the handshake and in data.
func TestWireGuardDamaged(t *testing.T) {
	_, key, o, response, server, client := wireGuardPair(t)
	data := client.Seal(0, []byte("packet"))
	for name, w := range map[string]struct {
		b    []byte
		read func([]byte) error
		skip int // mac2, of which nobody asks anything
	}{
		"initiation": {o.Message, func(b []byte) error { _, err := ReadWireGuard(key, b); return err }, 16},
		"response":   {response, func(b []byte) error { _, err := o.Answered(b); return err }, 16},
		"data":       {data, func(b []byte) error { _, err := server.Open(b); return err }, 0},
	} {
		if err := w.read(w.b); err != nil {
			t.Errorf("%s: %v", name, err)
		}
		for i := range len(w.b) - w.skip {
			b := bytes.Clone(w.b)
			b[i] ^= 1
			if w.read(b) == nil {
				t.Errorf("%s: octet %d changed, and nobody saw", name, i)
			}
		}
		for n := range len(w.b) {
			if err := w.read(w.b[:n]); !errors.Is(err, ErrShort) && !errors.Is(err, ErrFormat) {
				t.Errorf("%s: %d octets: %v", name, n, err)
			}
		}
	}
}

// mac1 cannot be made without the receiver's public key, and an initiation to one is no other's.
func TestWireGuardStrangers(t *testing.T) {
	_, key, o, response, _, _ := wireGuardPair(t)
	if !WireGuardForUs(key.PublicKey().Bytes(), o.Message) || WireGuardForUs(NewWireGuardKey().PublicKey().Bytes(), o.Message) {
		t.Error("mac1 is any key's, or none's")
	}
	if _, err := ReadWireGuard(NewWireGuardKey(), o.Message); !errors.Is(err, ErrFormat) {
		t.Errorf("an initiation to another: %v", err)
	}
	other, _ := OpenWireGuard(NewWireGuardKey(), key.PublicKey().Bytes(), o.Sender, time.Unix(1e9, 0))
	if _, err := other.Answered(response); !errors.Is(err, ErrFormat) {
		t.Errorf("a response to another: %v", err)
	}
	for _, peer := range [][]byte{nil, make([]byte, 31), make([]byte, 32)} { // the last is of low order
		if _, err := OpenWireGuard(NewWireGuardKey(), peer, 1, time.Unix(1e9, 0)); err == nil {
			t.Errorf("a key of %d octets passed for one", len(peer))
		}
	}
}

func TestWireGuardTimestamps(t *testing.T) {
	at := time.Unix(1_000_000_000, 999_999_999)
	if got := tai64n(at); !bytes.Equal(got, []byte{0x40, 0, 0, 0, 0x3b, 0x9a, 0xca, 0x0a, 0x3b, 0, 0, 0}) {
		t.Errorf("got %x", got)
	}
	if a, b := tai64n(at), tai64n(at.Add(WireGuardTick)); bytes.Compare(a, b) >= 0 {
		t.Errorf("%x is not before %x", a, b)
	}
}

func FuzzWireGuard(f *testing.F) {
	_, key, o, response, server, client := wireGuardPair(f)
	for _, b := range [][]byte{nil, o.Message, response, client.Seal(0, nil), server.Seal(1, []byte("packet")), {1, 0, 0, 0}, append([]byte{3, 0, 0, 0}, make([]byte, 60)...)} {
		f.Add(b)
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		kind, err := WireGuardKind(b)
		if err != nil && (WireGuardSender(b) != 0 || WireGuardReceiver(b) != 0) {
			t.Error("no message has an index")
		}
		if _, err := ReadWireGuard(key, b); err == nil && kind != WireGuardInitiation {
			t.Error("no initiation was read as one")
		}
		o.Answered(b)
		server.Open(b)
		client.Open(b)
	})
}

// What an initiation costs the server, a stranger's whose mac1 is wrong, and a peer's that is answered; and a packet of the tunnel's.
func BenchmarkWireGuard(b *testing.B) {
	client, server := NewWireGuardKey(), NewWireGuardKey()
	own := server.PublicKey().Bytes()
	o, err := OpenWireGuard(client, own, 1, time.Unix(1e9, 0))
	if err != nil {
		b.Fatal(err)
	}
	stranger := bytes.Clone(o.Message)
	stranger[len(stranger)-32] ^= 1 // mac1
	b.Run("stranger", func(b *testing.B) {
		for b.Loop() {
			if WireGuardForUs(own, stranger) {
				b.Fatal("it is for us")
			}
		}
	})
	b.Run("answered", func(b *testing.B) {
		for b.Loop() {
			in, err := ReadWireGuard(server, o.Message)
			if err != nil {
				b.Fatal(err)
			}
			if _, _, err := in.Answer(2); err != nil {
				b.Fatal(err)
			}
		}
	})
	_, _, _, _, at, from := wireGuardPair(b)
	packet := at.Seal(1, make([]byte, 84))
	b.Run("data", func(b *testing.B) {
		for b.Loop() {
			if _, err := from.Open(packet); err != nil {
				b.Fatal(err)
			}
		}
	})
}
