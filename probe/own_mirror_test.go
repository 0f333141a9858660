package probe

import (
	"testing"

	"vpncheck/probe/wire"
)

// What comes back as it was sent is no answer (T14). A no without a cookie of the server's own is one.
func TestOwnMirror(t *testing.T) {
	const spi, peer = 0x1122334455667788, 0x99aabbccddeeff00
	header := func(version uint8, exchange, flags uint8, responder uint64) wire.Sighting {
		m := wire.IKEMessage{Header: wire.IKEHeader{InitiatorSPI: spi, ResponderSPI: responder, MajorVersion: version, ExchangeType: exchange, Flags: flags}}
		return wire.Sighting{State: wire.Seen, Bytes: m.Append(nil)}
	}
	for _, x := range []struct {
		name    string
		version uint8
		s       wire.Sighting
		want    ownSays
	}{
		{"v1-mirror", 1, header(1, wire.IKEIdentityProtection, 0, 0), strange},
		{"v1-answer", 1, header(1, wire.IKEIdentityProtection, 0, peer), theReply},
		{"v1-no", 1, header(1, wire.IKEv1Informational, 0, 0), theReply},
		{"v2-mirror", 2, header(2, wire.IKESAInit, wire.IKEv2FlagInitiator, 0), strange},
		{"v2-answer", 2, header(2, wire.IKESAInit, wire.IKEv2FlagResponse, peer), theReply},
	} {
		if got := ownIKEReader(spi, x.version)(x.s); got != x.want {
			t.Errorf("%s: got %v, want %v", x.name, got, x.want)
		}
	}
}
