package report

import (
	"net/netip"

	"vpncheck/probe"
)

// A Culprit is who stopped a protocol.
type Culprit string

const (
	CulpritLaptop    Culprit = "laptop"
	CulpritRouter    Culprit = "router"     // the first NAT, as a rule the home router
	CulpritSecondNAT Culprit = "second-nat" // a NAT behind it: the provider's, or a second router
	CulpritISP       Culprit = "isp"        // anyone between the outermost NAT and the server
	CulpritServer    Culprit = "server"     // its machine, or its provider's firewall
	CulpritNobody    Culprit = "nobody"     // it cannot work, and nothing is wrong: AH behind a NAT
	CulpritUnknown   Culprit = "unknown"
)

// Confidence is how sure a diagnosis is of its culprit.
type Confidence string

const (
	Certain  Confidence = "certain"  // it was seen
	Likely   Confidence = "likely"   // nothing else that was seen explains it
	Possible Confidence = "possible" // one of the Suspects
)

// A Diagnosis says who stopped a protocol, or the run. Reason and Args are data, Sentence is made of them in the catalogue; it is one that
// a person can repeat to a help desk.
type Diagnosis struct {
	Protocol   string         `json:"protocol,omitempty"` // in the run's diagnosis: whose it is
	Culprit    Culprit        `json:"culprit"`
	Confidence Confidence     `json:"confidence"`
	Suspects   []Culprit      `json:"suspects,omitempty"` // where the culprit is unknown
	Reason     probe.Reason   `json:"reason"`
	Args       map[string]any `json:"args,omitempty"`
	Sentence   string         `json:"sentence"`
	Evidence   []Note         `json:"evidence,omitempty"` // in order of weight
	Next       string         `json:"next,omitempty"`
}

// NATs is the sheet of what translates addresses between the laptop and the server.
type NATs struct {
	Kind  string     `json:"kind"` // "none", "one", "double" (two private ones), "cgnat" (the provider's, RFC 6598), "unknown"
	Local netip.Addr `json:"local,omitzero"`
	// RouterWAN is the router's outer address in its own word; Seen is the address that the server sees.
	RouterWAN netip.Addr `json:"router_wan,omitzero"`
	Seen      netip.Addr `json:"seen,omitzero"`
	// Hops are the routers on the way that answered, nearest first; the zero Addr for one that did not.
	Hops  []netip.Addr `json:"hops,omitempty"`
	Whose Culprit      `json:"whose,omitempty"` // the outermost NAT: "router" or "second-nat"
	Text  string       `json:"text"`
}
