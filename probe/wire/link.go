package wire

import (
	"encoding/binary"
	"encoding/json"
	"fmt"
	"io"
	"net/netip"
	"time"
)

// The side channel: TLS 1.3, pinned by the server's public key, ALPN LinkProtocol; JSON messages, each behind its length in four
// octets. It carries what the server saw to where no router can repair it.
//
//	client                             server
//	Hello                  ->
//	                       <-          Hello
//	Open                   ->
//	                       <-          Session
//	Declare                ->
//	                       <-          Ready
//	(packets of the conversation go their own way; Saw and Stray come as they are seen)
//	                       <-          Saw, Stray ...
//	Finish                 ->
//	                       <-          Settled
//	Ping                   ->          (at any time: the second leg of the control)
//	                       <-          Pong
//	Bye                    ->
const (
	LinkProtocol = "vpncheck/1" // ALPN (RFC 7301)
	LinkVersion  = 1
	MaxMessage   = 64 << 10 // octets of JSON
)

// A Message is an envelope: exactly one field is set. Unknown fields are ignored, so that an older end can talk to a newer one.
type Message struct {
	Hello   *Hello   `json:"hello,omitempty"`
	Open    *Open    `json:"open,omitempty"`
	Session *Session `json:"session,omitempty"`
	Declare *Declare `json:"declare,omitempty"`
	Ready   *Ready   `json:"ready,omitempty"`
	Saw     *Saw     `json:"saw,omitempty"`
	Stray   *Stray   `json:"stray,omitempty"`
	Finish  *Finish  `json:"finish,omitempty"`
	Settled *Settled `json:"settled,omitempty"`
	Ping    *Ping    `json:"ping,omitempty"`
	Pong    *Ping    `json:"pong,omitempty"`
	Bye     *Bye     `json:"bye,omitempty"`
	Turn    *Turn    `json:"turn,omitempty"`
	Came    *Came    `json:"came,omitempty"`
}

// Hello opens the link in both directions. No common version ends it in one sentence.
type Hello struct {
	Versions []int  `json:"versions"`
	Build    string `json:"build"`
}

// Open asks for a session with the access token of the connection string.
type Open struct {
	Access Hex `json:"access"`
	// Prove says that the client comes only to show that packets arrive, not to be told a verdict.
	Prove bool `json:"prove,omitempty"`
	// Laptop tells this laptop from others behind the same public address, and is worth nothing to anybody else: eight octets of a hash of
	// what it knows of itself, keyed with the access token.
	Laptop Hex `json:"laptop,omitempty"`
}

// Session is the server's answer to Open.
type Session struct {
	ID      uint32         `json:"id"`
	Key     Hex            `json:"key"`    // 32 octets; the session's tokens are made with it
	Client  netip.AddrPort `json:"client"` // where the server sees this connection come from
	Server  netip.AddrPort `json:"server"` // the server's own end of this connection
	Control uint16         `json:"control"`
	// Second is another address of the server that answers too, if it has one.
	Second   netip.Addr     `json:"second,omitzero"`
	Carriers []CarrierState `json:"carriers"`
	// Others tells of other runs with the same access token behind the same public address; nil if there were none of late.
	Others *Others `json:"others,omitempty"`
	// Cloud is where the server's machine stands, as far as its firmware says; nil if it does not.
	Cloud   *Cloud `json:"cloud,omitempty"`
	Packets int    `json:"packets"` // the session's budget
	Bytes   int    `json:"bytes"`
}

// Others are other laptops' runs of the last ten minutes with this session's access token from this session's public address: what they left in a NAT may
// stand in the way (F11, T05). Nothing is told of other tokens' runs.
type Others struct {
	Count   int       `json:"count"`             // laptops whose runs have ended, in the last ten minutes
	Last    time.Time `json:"last,omitzero"`     // when the last of them sent its last packet
	Running int       `json:"running,omitempty"` // under way now: they and this one take turns on the carriers without ports
}

// Cloud is a provider that the server's firmware (DMI) names, and what its network is known not to carry (F17).
type Cloud struct {
	Name string `json:"name"`
	// Cannot are carriers that this provider's network drops whatever rules are set.
	Cannot []Carrier `json:"cannot,omitempty"`
	// Ask are carriers that pass only where a rule of the provider's firewall lets their protocol in.
	Ask []Carrier `json:"ask,omitempty"`
}

// CarrierState says whether the server listens for a carrier, and when one last arrived from anyone (DESIGN, law 7).
type CarrierState struct {
	Carrier Carrier `json:"carrier"`
	Ready   bool    `json:"ready"`
	Why     string  `json:"why,omitempty"` // if not ready: "TCP 1723 is held by pptpd (pid 812)"
	Proof   *Proof  `json:"proof,omitempty"`
	// NIC says that the server sees this carrier's packets at its network card as well, before its own firewall (F01, F27, T16).
	NIC bool `json:"nic,omitempty"`
	// Owners are the machine's kernel modules and programs that take this carrier's packets as well, or answer them (F26).
	Owners []string `json:"owners,omitempty"`
	// SYNs says, of a TCP carrier, that the server sees connection attempts before any handshake.
	SYNs bool `json:"syns,omitempty"`
}

// Proof is the last arrival of a carrier at the server.
type Proof struct {
	At time.Time `json:"at"`
	// Own says that it came from the address this session comes from. Nothing else is told of who sent it.
	Own bool `json:"own,omitempty"`
}

// Declare says, before a packet leaves, what conversation is to come.
type Declare struct {
	Conversation string    `json:"conversation"` // unique in the session
	Protocol     string    `json:"protocol"`
	Carriers     []Carrier `json:"carriers"`
	// Key is the client's static public key of WireGuard, 32 octets, where that is one of the carriers: the server knows it until Finish.
	Key Hex `json:"key,omitempty"`
}

// Ready answers Declare.
type Ready struct {
	Conversation string `json:"conversation"`
	// Refused is a reason if the server cannot hold this conversation, and Why says it in words.
	Refused string `json:"refused,omitempty"`
	Why     string `json:"why,omitempty"`
	// Key is the server's own static public key of WireGuard, if Declare had one.
	Key Hex `json:"key,omitempty"`
}

// Turn says that another run holds the carriers of a declared conversation, and that Ready will come when it has ended.
type Turn struct {
	Conversation string        `json:"conversation"`
	Ahead        int           `json:"ahead"`      // runs that have the turn before this one
	AtMost       time.Duration `json:"at_most_ns"` // until Ready, as the server reckons
}

// Came is an ICMP error that reached the server about a packet that it sent in this session: what stands in the client's name on the way
// back has no mapping for it (RFC 792).
type Came struct {
	Conversation string       `json:"conversation"`
	Carrier      Carrier      `json:"carrier"`
	ICMP         ICMPSighting `json:"icmp"`
}

// SilentFirewall is Saw.Silent of a packet that the server's network card saw and no socket of its got: the machine's own firewall or its
// reverse-path filter dropped it. Arrived.Where is "nic" then.
const SilentFirewall = "server-firewall"

// Saw is the server's part of an exchange: how the client's message arrived and what was answered. For a message that the server
// began (Began), Replied is that message as it left and Arrived is the client's answer to it.
type Saw struct {
	Conversation string   `json:"conversation"`
	Exchange     uint32   `json:"exchange"`
	Began        bool     `json:"began,omitempty"`
	Arrived      Sighting `json:"arrived"`
	Replied      Sighting `json:"replied"`
	// ICV is the server's finding on an authenticated header: "valid" or "invalid" (RFC 4302).
	ICV string `json:"icv,omitempty"`
	// Silent is the reason why a packet that arrived was not answered: "token", "replay", "budget", "unproved-source".
	Silent string `json:"silent,omitempty"`
}

// Stray is a packet from the session's address on a declared carrier whose token failed.
type Stray struct {
	Carrier Carrier  `json:"carrier"`
	Arrived Sighting `json:"arrived"`
}

// Finish asks the server to report all that is left of a conversation and to forget it.
type Finish struct {
	Conversation string `json:"conversation"`
}

// Settled says that every Saw and Stray of the conversation has been sent.
type Settled struct {
	Conversation string         `json:"conversation"`
	Carriers     []CarrierState `json:"carriers"`
	// Others is Session.Others as it stands now.
	Others *Others `json:"others,omitempty"`
}

// Ping and its echo are the TLS leg of the control.
type Ping struct {
	N uint32 `json:"n"`
}

// Bye ends a link from either side; Why and Hint are empty in a good end.
type Bye struct {
	Reason string `json:"reason,omitempty"` // "version", "access-wrong", "access-expired", "busy", "time", "stopping", "protocol"
	Why    string `json:"why,omitempty"`
}

// WriteMessage writes one message in one write.
func WriteMessage(w io.Writer, m Message) error {
	body, err := json.Marshal(m)
	if err != nil {
		return fmt.Errorf("writing a link message: %w", err)
	}
	if len(body) > MaxMessage {
		return fmt.Errorf("writing a link message: %d octets, at most %d", len(body), MaxMessage)
	}
	b := binary.BigEndian.AppendUint32(make([]byte, 0, 4+len(body)), uint32(len(body)))
	if _, err := w.Write(append(b, body...)); err != nil {
		return fmt.Errorf("writing a link message: %w", err)
	}
	return nil
}

// ReadMessage reads one message. io.EOF means that the link ended between messages.
func ReadMessage(r io.Reader) (Message, error) {
	var head [4]byte
	if _, err := io.ReadFull(r, head[:]); err != nil {
		if err == io.EOF {
			return Message{}, err
		}
		return Message{}, fmt.Errorf("reading a link message: %w", err)
	}
	n := binary.BigEndian.Uint32(head[:])
	if n > MaxMessage {
		return Message{}, fmt.Errorf("reading a link message: %d octets, at most %d", n, MaxMessage)
	}
	body := make([]byte, n)
	if _, err := io.ReadFull(r, body); err != nil {
		if err == io.EOF {
			err = io.ErrUnexpectedEOF
		}
		return Message{}, fmt.Errorf("reading a link message of %d octets: %w", n, err)
	}
	var m Message
	if err := json.Unmarshal(body, &m); err != nil {
		return Message{}, fmt.Errorf("reading a link message: %w", err)
	}
	return m, nil
}
