package probe

import (
	"context"
	"net/netip"
	"time"

	"vpncheck/probe/sock"
	"vpncheck/probe/wire"
)

// Own is what came of asking the person's own VPN server, with the first messages of a stock client and without a name or a password. It is
// plain JSON, to be judged again. Nothing of ours runs there: what arrived is never known, and only an answer proves anything.
type Own struct {
	Host    string       `json:"host"`
	Addrs   []netip.Addr `json:"addresses,omitempty"` // all that the name has, the one that was asked first
	Addr    netip.Addr   `json:"address,omitzero"`
	Local   netip.Addr   `json:"local,omitzero"`    // the laptop's own, towards it
	OnLink  bool         `json:"on_link,omitempty"` // it is in the laptop's own network: no router is crossed (F57)
	Started time.Time    `json:"started,omitzero"`
	Ended   time.Time    `json:"ended,omitzero"`
	// Why says why nothing was asked at all: unknown-host, no-address-of-family, active-vpn, no-route, could-not-ask.
	Why      *Refusal  `json:"why,omitempty"`
	Openings []Opening `json:"openings"`
}

// OpeningIDs are the openings, in the order in which they are shown.
var OpeningIDs = []string{OpeningIKEv2, OpeningIKEv1, OpeningPPTP, OpeningL2TP, OpeningOpenVPNUDP, OpeningOpenVPNTCP, OpeningSSTP}

const (
	OpeningIKEv2      = "ikev2"       // IKE_SA_INIT, UDP 500
	OpeningIKEv1      = "ikev1"       // Main Mode 1 to 4, UDP 500
	OpeningPPTP       = "pptp"        // control on TCP 1723, then LCP in GRE
	OpeningL2TP       = "l2tp"        // SCCRQ, UDP 1701, without IPsec
	OpeningOpenVPNUDP = "openvpn-udp" // hard reset, UDP 1194
	OpeningOpenVPNTCP = "openvpn-tcp" // hard reset, TCP 1194
	OpeningSSTP       = "sstp"        // TLS and the request, TCP 443
)

// An Opening is the first messages of one protocol, and what the server said to them.
type Opening struct {
	ID    string `json:"id"`
	Title string `json:"title"` // "IKEv1 (Main Mode)"
	// Port is the server's, Over "udp" or "tcp".
	Port uint16 `json:"port"`
	Over string `json:"over"`
	// Needs are the protocols of the companion whose pass shows that this network carries the opening; "ike/v1-from-500" is a part of one.
	// Carried has the verdicts on both.
	Needs []string `json:"needs"`
	// Stages in order. One that was not reached is left out.
	Stages  []OpeningStage `json:"stages,omitempty"`
	Refused *Refusal       `json:"refused,omitempty"` // it could not be asked: no-privilege, port-held, os-refuses, ipv4-only
	// StandIn says why it was asked from a port of the kernel's choice, and not from the stock client's (500, 1701).
	StandIn *Refusal `json:"stands_in,omitempty"`
	// ServerBehindNAT and ClientBehindNAT are what the server's own NAT detection says (RFC 7296, section 2.23; RFC 3947, section 3.2): nil if
	// it told nothing. The server stands behind a NAT if the hash of its own address is not that of the address that was asked (F03).
	ServerBehindNAT *bool `json:"server_behind_nat,omitempty"`
	ClientBehindNAT *bool `json:"client_behind_nat,omitempty"`
	// ControlOnly says of PPTP why its tunnel, GRE, was not asked, only the connection that sets it up.
	ControlOnly *Refusal `json:"control_only,omitempty"`
	// Another is what answers at the port and does not speak the protocol: "HTTP 404", "not TLS".
	Another string `json:"another,omitempty"`
	// Declined is the server's own no, in its protocol's words: "NO_PROPOSAL_CHOSEN". It answered, and so both ways are open.
	Declined string `json:"declined,omitempty"`
	// Told is what the server said of itself, printable and short.
	Told []Told `json:"told,omitempty"`
	// Strangers are packets in the server's name that are no answer to what was asked: four at most.
	Strangers []wire.Sighting `json:"strangers,omitempty"`
}

// Told is one thing that a server said of itself. What is one of the Told... words.
type Told struct {
	What string `json:"what"`
	Text string `json:"text"`
}

// What a server may tell of itself.
const (
	ToldVendorID = "vendor-id" // of IKE: its name where it is known, else hexadecimal
	ToldProposal = "proposal"  // that it chose: "AES-CBC-256, HMAC-SHA2-256, MODP-2048"
	ToldNotify   = "notify"    // of IKE, by its RFC's name
	ToldVendor   = "vendor"    // Vendor Name or String of PPTP and L2TP
	ToldHost     = "host-name" // Host Name of PPTP and L2TP
	ToldFirmware = "firmware"
	ToldCert     = "certificate" // of TLS: to whom it is issued, and by whom
	ToldServer   = "server"      // of HTTP
	ToldStatus   = "status"      // of HTTP
)

// An OpeningStage is one step of an opening. It is answered if an exchange of it has Returned seen.
type OpeningStage struct {
	ID    string `json:"id"`
	Title string `json:"title"`
	// Exchanges are all from the client, a retransmission each its own. Arrived and Replied are blind: the VPN server is not ours.
	Exchanges []Exchange `json:"exchanges"`
}

// Answered says whether the server answered this step.
func (s OpeningStage) Answered() bool {
	for _, e := range s.Exchanges {
		if e.Returned.State == wire.Seen {
			return true
		}
	}
	return false
}

// refused is the first refusal of this step, "" if there is none.
func (s OpeningStage) refused() string {
	for _, e := range s.Exchanges {
		if e.Refused != "" {
			return e.Refused
		}
	}
	return ""
}

// An Answered is what JudgeOpening makes of an opening.
type Answered struct {
	ID      string         `json:"id"`
	Verdict Verdict        `json:"verdict"` // passed, blocked-out, inconclusive or untested
	Reason  Reason         `json:"reason,omitempty"`
	Args    map[string]any `json:"args,omitempty"`
	Stage   string         `json:"stage,omitempty"` // the first that was not answered
	// Culprit is "vpn-server", "laptop", or empty where the evidence names nobody.
	Culprit string     `json:"culprit,omitempty"`
	Because []Evidence `json:"because,omitempty"`
}

// CulpritVPNServer is the person's own VPN server, or what stands in its name: its firewall, its cloud's rules, its own NAT.
const CulpritVPNServer = "vpn-server"

// OwnConfig is how the person's own VPN server is asked.
type OwnConfig struct {
	Net    sock.Net
	Host   string // a name or an address
	Family int    // 4, 6, or 0 for IPv4 if the host has it
	// Ports of the server that are not the usual ones, by opening.
	Ports map[string]uint16
	// Only these openings; nil for all.
	Only []string
	// Look gathers what the laptop knows of itself towards an address; nil looks at nothing.
	Look func(server netip.Addr) LaptopFacts
	// Resolve looks a host name up; nil means the system's resolver.
	Resolve func(ctx context.Context, network, host string) ([]netip.Addr, error)

	clear func(context.Context) bool // waits for leave to send a packet; nil: a pace of its own
}
