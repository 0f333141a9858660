package probe

import (
	"net/netip"
	"time"

	"vpncheck/probe/wire"
	"vpncheck/probe/witness"
)

// Circumstances are what Judge may know besides the observation: plain data, kept in the report.
type Circumstances struct {
	Server  ServerFacts `json:"server"`
	Laptop  LaptopFacts `json:"laptop"`
	Control Control     `json:"control"`
	// Beside is how the run's other protocols fared, by id: some reasons need it.
	Beside map[string]Tally `json:"beside,omitempty"`
	// Router is what the laptop's gateway says of itself; nil if nobody asked it.
	Router *witness.Router `json:"router,omitempty"`
	// Changed is how long before the run a setting of the router was changed, as the person said (T26); zero if none was.
	Changed time.Duration `json:"changed_ns,omitempty"`
	// Over is when the last conversation had ended. What the line does to the witnesses that are asked afterwards is no part of the
	// conversations' circumstances.
	Over time.Time `json:"over,omitzero"`
	// Calm is when the last of those conversations had ended that are not late (Info.Late), if there were others: their verdicts rest on what
	// was known by then.
	Calm time.Time `json:"calm,omitzero"`
	// Stop is set if no verdict can be given, or if the run ended before its time.
	Stop *Stop `json:"stop,omitempty"`
	// NoSession is set if the server could not be reached at all.
	NoSession *NoSessionFacts `json:"no_session,omitempty"`
}

// during are the circumstances as they were while the conversations were held, or while those were that are not late.
func (c Circumstances) during(late bool) Circumstances {
	over := c.Over
	if !late && !c.Calm.IsZero() {
		over = c.Calm
	}
	if over.IsZero() {
		return c
	}
	c.Control = c.Control.until(over)
	if c.Stop != nil && c.Stop.At.After(over) {
		c.Stop = nil
	}
	return c
}

// Hairpin says that the server stands behind the laptop's own router (F57), or the way to it leads through the server itself: it sees the laptop
// come from its own address or from the laptop's gateway, or its address is the router's own. What is tested so is not the way over the internet.
func Hairpin(c Circumstances) bool {
	server, client, gateway := c.Server.Address.Unmap(), c.Server.Client.Addr().Unmap(), c.Laptop.Gateway.Unmap()
	switch {
	case !server.IsValid():
		return false
	case c.Router != nil && c.Router.WAN.Unmap() == server:
		return true
	}
	return client.IsValid() && (client == server || client == gateway)
}

// HostNAT says whose NAT stands before the router because this machine is inside another one (F24); "" if none is known to. What it says is of
// IPv4. Nothing that was seen from here can be laid at the router's door then.
func HostNAT(c Circumstances) string {
	if c.Laptop.Inside == nil || !c.Server.Address.Unmap().Is4() {
		return ""
	}
	return c.Laptop.Inside.NAT
}

// hairpinArgs are who the server sees.
func hairpinArgs(c Circumstances) map[string]any {
	args := map[string]any{"server": c.Server.Address.Unmap().String()}
	if client := c.Server.Client.Addr(); client.IsValid() {
		args["public"] = client.Unmap().String()
	}
	return args
}

// ServerFacts is what the server told when the session opened, and its last word on each carrier.
type ServerFacts struct {
	Host    string         `json:"host,omitempty"` // as in the connection string
	Address netip.Addr     `json:"address,omitzero"`
	Link    uint16         `json:"link,omitempty"`    // TCP port of the side channel
	Control uint16         `json:"control,omitempty"` // UDP port of the control
	Build   string         `json:"build,omitempty"`
	Client  netip.AddrPort `json:"client,omitzero"` // the laptop as the server sees it
	Own     netip.Addr     `json:"own,omitzero"`    // the server's own end: differs from Address behind a 1:1 NAT
	Second  netip.Addr     `json:"second,omitzero"`
	// Other is the host's address of the other family, which was not asked (T37).
	Other    netip.Addr          `json:"other,omitzero"`
	Others   *wire.Others        `json:"others,omitempty"` // other runs behind the same public address
	Cloud    *wire.Cloud         `json:"cloud,omitempty"`
	Carriers []wire.CarrierState `json:"carriers,omitempty"`
}

// Carrier returns the state of a carrier; the zero state if the server did not mention it.
func (s ServerFacts) Carrier(c wire.Carrier) wire.CarrierState {
	for _, st := range s.Carriers {
		if st.Carrier == c {
			return st
		}
	}
	return wire.CarrierState{Carrier: c}
}

// LaptopFacts is what the laptop knows of itself.
type LaptopFacts struct {
	OS        string     `json:"os"`
	Local     netip.Addr `json:"local,omitzero"` // towards the server
	Interface string     `json:"interface,omitempty"`
	Gateway   netip.Addr `json:"gateway,omitzero"`
	// Inside is set where this machine seems to be inside another one: virtual, WSL or a container (F24).
	Inside *witness.Machine `json:"inside,omitempty"`
	// VPN names the interface of an active VPN that carries the way to the server; everything would pass inside it (T24).
	VPN string `json:"vpn,omitempty"`
	// OnLink says that the server is in the laptop's own network: no router stands between (F57).
	OnLink bool `json:"on_link,omitempty"`
}

// A Stop says why a run has no verdicts, or why it ended early; verdicts under way at At are void.
type Stop struct {
	Reason Reason         `json:"reason"`
	Args   map[string]any `json:"args,omitempty"`
	At     time.Time      `json:"at,omitzero"`
}

// NoSessionFacts is what was found instead of the server.
type NoSessionFacts struct {
	Reason Reason         `json:"reason"`
	Args   map[string]any `json:"args,omitempty"`
	Tried  []Attempt      `json:"tried,omitempty"`
	// Page says that the server's own page on TCP port 80 answered, and bore its signature: it is up, and web pages get through.
	Page bool `json:"page,omitempty"`
}

// An Attempt is one try to reach the server for a session.
type Attempt struct {
	Address netip.AddrPort `json:"address"`
	Result  string         `json:"result"` // "refused", "timeout", "unreachable", "not-tls", "other-certificate", "open"
	Detail  string         `json:"detail,omitempty"`
	Seconds float64        `json:"seconds"`
}

// A Tally counts the tries of a stage or a protocol by how far they came.
type Tally struct {
	Tries    int `json:"tries"`
	Arrived  int `json:"arrived"`
	Replied  int `json:"replied"`
	Returned int `json:"returned"`
	// What is counted beside has three more: refusals by ICMP in the server's name, how random octets fared, and whether it began and stopped.
	Refused int       `json:"refused,omitempty"`
	Random  *Contrast `json:"random,omitempty"`
	Stalled bool      `json:"stalled,omitempty"`
}
