package wire

import (
	"bytes"
	"crypto/cipher"
	"crypto/ecdh"
	"crypto/hmac"
	"crypto/rand"
	"encoding/binary"
	"fmt"
	"time"
)

// WireGuard (Jason A. Donenfeld, "WireGuard: Next Generation Kernel Network Tunnel", NDSS 2017; sections in comments are the paper's), without
// a preshared key. The initiation, 148 octets (section 5.4.2):
//
//	+----------+--------------+--------------------+-------------------+---------------------+-----------+-----------+
//	| type (4) |  sender (4)  |   ephemeral (32)   |  static (32+16)   |  timestamp (12+16)  | mac1 (16) | mac2 (16) |
//	+----------+--------------+--------------------+-------------------+---------------------+-----------+-----------+
//
// The response, 92 octets (section 5.4.3):
//
//	+----------+--------------+--------------+--------------------+--------------+-----------+-----------+
//	| type (4) |  sender (4)  | receiver (4) |   ephemeral (32)   |  empty (16)  | mac1 (16) | mac2 (16) |
//	+----------+--------------+--------------+--------------------+--------------+-----------+-----------+
//
// Transport data (section 5.4.6):
//
//	+----------+--------------+--------------+------------------------+
//	| type (4) | receiver (4) | counter (8)  |  packet (padded + 16)  |
//	+----------+--------------+--------------+------------------------+
//
// The type is one octet and three of zero; numbers are little-endian.
const (
	WireGuardPort           = 51820
	WireGuardInitiationSize = 148
	WireGuardResponseSize   = 92
	WireGuardKeySize        = 32
	// WireGuardMTU is that of the tunnel as wg-quick sets it on a path of 1500 octets.
	WireGuardMTU = 1420

	// WireGuardIndexLabel derives the key (Mint.Derive) whose first four octets mask the exchange in an initiation's sender index.
	WireGuardIndexLabel = "wg-index"

	wireGuardMAC      = 16
	wireGuardAEAD     = 16
	wireGuardDataHead = 16
	wireGuardPadding  = 16
)

// A WireGuardType is the first octet of a message.
type WireGuardType uint8

// The messages.
const (
	WireGuardInitiation WireGuardType = 1
	WireGuardResponse   WireGuardType = 2
	WireGuardCookie     WireGuardType = 3
	WireGuardData       WireGuardType = 4
)

// WireGuardKind reads a message's type, and checks that its length may be one of that type.
func WireGuardKind(b []byte) (WireGuardType, error) {
	if err := need(b, 4, "WireGuard message"); err != nil {
		return 0, err
	}
	t := WireGuardType(b[0])
	sizes := map[WireGuardType]int{WireGuardInitiation: WireGuardInitiationSize, WireGuardResponse: WireGuardResponseSize, WireGuardCookie: 64}
	switch {
	case b[1]|b[2]|b[3] != 0:
		return 0, bad("WireGuard's reserved octets are %x", b[1:4])
	case t == WireGuardData:
		return t, need(b, wireGuardDataHead+wireGuardAEAD, "WireGuard transport data")
	case sizes[t] == 0:
		return 0, bad("WireGuard has no type %d", t)
	case len(b) != sizes[t]:
		return 0, bad("WireGuard message of type %d has %d octets, want %d", t, len(b), sizes[t])
	}
	return t, nil
}

// WireGuardSender is the sender's index in an initiation or a response; WireGuardReceiver is the receiver's in a response or in data. They
// are 0 of what is too short, or has none.
func WireGuardSender(b []byte) uint32 {
	switch t, err := WireGuardKind(b); {
	case err != nil, t != WireGuardInitiation && t != WireGuardResponse:
		return 0
	}
	return binary.LittleEndian.Uint32(b[4:])
}

// WireGuardReceiver is described at WireGuardSender.
func WireGuardReceiver(b []byte) uint32 {
	switch t, err := WireGuardKind(b); {
	case err != nil:
		return 0
	case t == WireGuardResponse:
		return binary.LittleEndian.Uint32(b[8:])
	case t == WireGuardData:
		return binary.LittleEndian.Uint32(b[4:])
	}
	return 0
}

// NewWireGuardKey makes a static or an ephemeral key.
func NewWireGuardKey() *ecdh.PrivateKey {
	k, err := ecdh.X25519().GenerateKey(rand.Reader)
	if err != nil {
		panic(err) // the system has no random numbers: nothing here works
	}
	return k
}

// A WireGuardOpening is an initiation that was sent, at its sender.
type WireGuardOpening struct {
	Sender  uint32
	Message []byte

	own, ephemeral *ecdh.PrivateKey
	noise          noise
}

// OpenWireGuard makes an initiation (section 5.4.2). at must be later than that of any before with the same key. It fails if the peer's
// key is none.
func OpenWireGuard(own *ecdh.PrivateKey, peer []byte, sender uint32, at time.Time) (*WireGuardOpening, error) {
	remote, err := ecdh.X25519().NewPublicKey(peer)
	if err != nil {
		return nil, bad("WireGuard's static key: %v", err)
	}
	o := &WireGuardOpening{Sender: sender, own: own, ephemeral: NewWireGuardKey(), noise: newNoise(peer)}
	b := binary.LittleEndian.AppendUint32([]byte{byte(WireGuardInitiation), 0, 0, 0}, sender)
	e := o.ephemeral.PublicKey().Bytes()
	b = append(b, e...)
	o.noise.mix(e)
	o.noise.hash(e)
	if err := o.noise.secret(o.ephemeral, remote); err != nil {
		return nil, err
	}
	b = o.noise.seal(b, own.PublicKey().Bytes())
	if err := o.noise.secret(own, remote); err != nil {
		return nil, err
	}
	b = o.noise.seal(b, tai64n(at))
	o.Message = appendMACs(b, peer)
	return o, nil
}

// Answered reads the response (section 5.4.3), and returns the tunnel that it makes. It may be called again.
func (o *WireGuardOpening) Answered(response []byte) (*WireGuardTunnel, error) {
	t, err := WireGuardKind(response)
	if err != nil {
		return nil, err
	}
	if t != WireGuardResponse || WireGuardReceiver(response) != o.Sender || !validMAC1(response, o.own.PublicKey().Bytes()) {
		return nil, bad("not the response to this WireGuard initiation")
	}
	n := o.noise
	e, err := ecdh.X25519().NewPublicKey(response[12:44])
	if err != nil {
		return nil, bad("WireGuard's ephemeral key: %v", err)
	}
	if err := n.respond(e.Bytes(), [2]*ecdh.PrivateKey{o.ephemeral, o.own}, [2]*ecdh.PublicKey{e, e}); err != nil {
		return nil, err
	}
	if _, err := n.open(response[44:60]); err != nil {
		return nil, err
	}
	send, receive := n.split()
	return &WireGuardTunnel{Local: o.Sender, Remote: WireGuardSender(response), send: send, receive: receive}, nil
}

// A WireGuardOpened is an initiation as its receiver understood it: it is genuine, whoever sent it.
type WireGuardOpened struct {
	Sender    uint32
	Peer      [WireGuardKeySize]byte // the static key that its sender has proved to have
	Timestamp [12]byte               // TAI64N; no two initiations of a peer have the same

	ephemeral *ecdh.PublicKey
	noise     noise
}

// WireGuardForUs says whether mac1 of an initiation is right, which takes the receiver's public key and little time (section 5.3).
func WireGuardForUs(own, initiation []byte) bool {
	t, err := WireGuardKind(initiation)
	return err == nil && t == WireGuardInitiation && validMAC1(initiation, own)
}

// ReadWireGuard reads an initiation. It fails for what is none, and what is damaged, forged or another's.
func ReadWireGuard(own *ecdh.PrivateKey, b []byte) (*WireGuardOpened, error) {
	public := own.PublicKey().Bytes()
	if !WireGuardForUs(public, b) {
		return nil, bad("not a WireGuard initiation to this key")
	}
	o := &WireGuardOpened{Sender: WireGuardSender(b), noise: newNoise(public)}
	var err error
	if o.ephemeral, err = ecdh.X25519().NewPublicKey(b[8:40]); err != nil {
		return nil, bad("WireGuard's ephemeral key: %v", err)
	}
	o.noise.mix(b[8:40])
	o.noise.hash(b[8:40])
	if err := o.noise.secret(own, o.ephemeral); err != nil {
		return nil, err
	}
	static, err := o.noise.open(b[40:88])
	if err != nil {
		return nil, err
	}
	o.Peer = [WireGuardKeySize]byte(static)
	peer, err := ecdh.X25519().NewPublicKey(static)
	if err != nil {
		return nil, bad("WireGuard's static key: %v", err)
	}
	if err := o.noise.secret(own, peer); err != nil {
		return nil, err
	}
	stamp, err := o.noise.open(b[88:116])
	if err != nil {
		return nil, err
	}
	o.Timestamp = [12]byte(stamp)
	return o, nil
}

// Answer makes the response and the tunnel. sender is the index by which the peer will name the tunnel.
func (o *WireGuardOpened) Answer(sender uint32) ([]byte, *WireGuardTunnel, error) {
	n, ephemeral := o.noise, NewWireGuardKey()
	peer, err := ecdh.X25519().NewPublicKey(o.Peer[:])
	if err != nil {
		return nil, nil, bad("WireGuard's static key: %v", err)
	}
	b := binary.LittleEndian.AppendUint32([]byte{byte(WireGuardResponse), 0, 0, 0}, sender)
	b = binary.LittleEndian.AppendUint32(b, o.Sender)
	b = append(b, ephemeral.PublicKey().Bytes()...)
	err = n.respond(ephemeral.PublicKey().Bytes(), [2]*ecdh.PrivateKey{ephemeral, ephemeral}, [2]*ecdh.PublicKey{o.ephemeral, peer})
	if err != nil {
		return nil, nil, err
	}
	b = n.seal(b, nil)
	receive, send := n.split()
	return appendMACs(b, o.Peer[:]), &WireGuardTunnel{Local: sender, Remote: o.Sender, send: send, receive: receive}, nil
}

// A WireGuardTunnel seals and opens transport data. Its methods may be called from several goroutines.
type WireGuardTunnel struct {
	Local, Remote uint32 // the indices by which either end names it

	send, receive cipher.AEAD
}

// Seal makes transport data of an IP packet, padded as WireGuard does, but not beyond its MTU (section 5.4.6). No two have the same counter.
func (t *WireGuardTunnel) Seal(counter uint64, packet []byte) []byte {
	b := binary.LittleEndian.AppendUint32([]byte{byte(WireGuardData), 0, 0, 0}, t.Remote)
	b = binary.LittleEndian.AppendUint64(b, counter)
	padded := (len(packet) + wireGuardPadding - 1) / wireGuardPadding * wireGuardPadding
	if len(packet) <= WireGuardMTU {
		padded = min(padded, WireGuardMTU)
	}
	plain := append(bytes.Clone(packet), make([]byte, padded-len(packet))...)
	return t.send.Seal(b, wireGuardNonce(counter), plain, nil)
}

// Open returns the IP packet of transport data, with the padding behind it; nothing of a keepalive. It fails for what the other end did not
// write for this tunnel.
func (t *WireGuardTunnel) Open(b []byte) ([]byte, error) {
	if kind, err := WireGuardKind(b); err != nil {
		return nil, err
	} else if kind != WireGuardData || WireGuardReceiver(b) != t.Local {
		return nil, bad("not data of this WireGuard tunnel")
	}
	plain, err := t.receive.Open(nil, wireGuardNonce(binary.LittleEndian.Uint64(b[8:])), b[wireGuardDataHead:], nil)
	if err != nil {
		return nil, fmt.Errorf("opening WireGuard data: %w: %w", err, ErrFormat)
	}
	return plain, nil
}

// wireGuardNonce is ChaCha20-Poly1305's: four octets of zero, and the counter.
func wireGuardNonce(counter uint64) []byte {
	return binary.LittleEndian.AppendUint64(make([]byte, 4, 12), counter)
}

// tai64n is a time of the label TAI64N, made coarse as real peers make it, who do not tell the world their clock.
func tai64n(t time.Time) []byte {
	b := binary.BigEndian.AppendUint64(make([]byte, 0, 12), 0x400000000000000a+uint64(t.Unix()))
	return binary.BigEndian.AppendUint32(b, uint32(t.Nanosecond())&^(1<<24-1))
}

// WireGuardTick is the least time between two initiations of a peer: its timestamps are no finer.
const WireGuardTick = 1 << 24 * time.Nanosecond

// appendMACs appends mac1, and mac2 of a sender who was given no cookie (section 5.4.4).
func appendMACs(b, receiver []byte) []byte {
	return append(append(b, mac1(b, receiver)...), make([]byte, wireGuardMAC)...)
}

func validMAC1(b, receiver []byte) bool {
	at := len(b) - 2*wireGuardMAC
	return hmac.Equal(mac1(b[:at], receiver), b[at:at+wireGuardMAC])
}
