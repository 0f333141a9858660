package wire

import (
	"encoding/hex"
	"fmt"
	"net/netip"
	"time"
)

// State says whether a packet was sighted. The difference between Absent and Blind is the difference between "it did not
// come" and "nobody could have known": only Absent may ever lead to a verdict.
type State string

const (
	Seen   State = "seen"   // the kernel took it, or delivered it
	Absent State = "absent" // we looked, and it was not there
	Blind  State = "blind"  // we could not look; Why says what stood in the way
)

// A Sighting is one packet as one end's kernel took or delivered it, or why there is none. A pointer that is nil is a header
// field which that end cannot see (on TCP all of them; on UDP, DF and IP-ID).
type Sighting struct {
	State State          `json:"state"`
	Why   string         `json:"why,omitempty"`
	At    time.Time      `json:"at,omitzero"`
	Where string         `json:"where,omitempty"` // "raw", "udp" or "tcp": the kind of socket
	Src   netip.AddrPort `json:"src,omitzero"`    // port 0 for protocols that have none
	Dst   netip.AddrPort `json:"dst,omitzero"`
	Proto uint8          `json:"proto,omitempty"` // IP protocol number
	TTL   *uint8         `json:"ttl,omitempty"`   // or IPv6 hop limit
	DSCP  *uint8         `json:"dscp,omitempty"`  // 0..63, RFC 2474
	DF    *bool          `json:"df,omitempty"`
	IPID  *uint16        `json:"ip_id,omitempty"`
	// Checksum is the transport's, where its socket shows it (UDP).
	Checksum *uint16 `json:"checksum,omitempty"`
	// Bytes is what follows the IP header on a raw socket, the payload on UDP, one protocol message on TCP.
	Bytes Hex `json:"bytes,omitempty"`
}

// An ICMPSighting is an ICMP error (RFC 792) as one end's kernel delivered it. Who sent it is what its IP header says: anybody nearby can
// forge that.
type ICMPSighting struct {
	At   time.Time  `json:"at,omitzero"`
	From netip.Addr `json:"from"`
	TTL  uint8      `json:"ttl"` // as it arrived
	Type uint8      `json:"type"`
	Code uint8      `json:"code"`
	// Quote is the packet that the error is about, as it stood where the error was made: IP header and eight octets or more.
	Quote Hex `json:"quote,omitempty"`
}

// NotSeen is the sighting of a packet that we looked for and that was not there.
func NotSeen() Sighting { return Sighting{State: Absent} }

// CannotSee is the sighting by an end that could not look, and why.
func CannotSee(why string) Sighting { return Sighting{State: Blind, Why: why} }

// Hex is a byte string that reads as hexadecimal in JSON.
type Hex []byte

// MarshalText writes lower-case hexadecimal.
func (h Hex) MarshalText() ([]byte, error) { return hex.AppendEncode(nil, h), nil }

// UnmarshalText reads hexadecimal of either case.
func (h *Hex) UnmarshalText(text []byte) error {
	b, err := hex.AppendDecode(nil, text)
	if err != nil {
		return fmt.Errorf("reading hexadecimal: %w", err)
	}
	*h = b
	return nil
}
