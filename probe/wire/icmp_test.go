package wire

import (
	"errors"
	"net/netip"
	"reflect"
	"testing"
)

// A port unreachable about a datagram to UDP 500, as a router sends it.
func portUnreachable() ICMPError {
	return ICMPError{
		Type: ICMPUnreachable, Code: 3,
		Header: IPv4{TotalLength: 40, ID: 0x1234, TTL: 63, Protocol: IPProtoUDP,
			Src: netip.MustParseAddr("192.168.1.11"), Dst: netip.MustParseAddr("198.51.100.10")},
		Quoted: []byte{0x01, 0xF4, 0x01, 0xF4, 0x00, 0x14, 0xAB, 0xCD},
	}
}

func TestICMPError(t *testing.T) {
	m := portUnreachable()
	b := m.Append(nil)
	got, err := ParseICMPError(b)
	if err != nil {
		t.Fatal(err)
	}
	if !reflect.DeepEqual(got, m) {
		t.Errorf("got %+v, want %+v", got, m)
	}
	if src, dst := got.QuotedPorts(); src != 500 || dst != 500 {
		t.Errorf("got ports %d and %d, want 500 and 500", src, dst)
	}
	for i := range b {
		if _, err := ParseICMPError(b[:i]); err == nil {
			t.Errorf("a prefix of %d octets was read", i)
		}
	}
	b[2] ^= 1
	if _, err := ParseICMPError(b); !errors.Is(err, ErrFormat) {
		t.Errorf("wrong checksum: got %v, want %v", err, ErrFormat)
	}
	echo := []byte{8, 0, 0, 0, 0, 1, 0, 1, 1, 2, 3, 4}
	if _, err := ParseICMPError(echo); !errors.Is(err, ErrFormat) {
		t.Errorf("an echo request: got %v, want %v", err, ErrFormat)
	}
}

func TestICMPQuote(t *testing.T) {
	m := portUnreachable()
	b := m.Append(nil)[8:]
	got, err := ParseICMPQuote(b)
	if err != nil || !reflect.DeepEqual(got, ICMPError{Header: m.Header, Quoted: m.Quoted}) {
		t.Errorf("got %+v (%v), want the header and what it quotes", got, err)
	}
	for i := range b {
		if _, err := ParseICMPQuote(b[:i]); err == nil {
			t.Errorf("a prefix of %d octets was read", i)
		}
	}
}

func FuzzParseICMPError(f *testing.F) {
	f.Add(portUnreachable().Append(nil))
	f.Add([]byte{3, 3, 0, 0, 0, 0, 0, 0, 0x45})
	f.Fuzz(func(t *testing.T, b []byte) {
		m, err := ParseICMPError(b)
		if err != nil {
			return
		}
		m.QuotedPorts()
		again, err := ParseICMPError(m.Append(nil))
		if err != nil || !reflect.DeepEqual(again, m) {
			t.Errorf("got %+v (%v), want %+v", again, err, m)
		}
	})
}
