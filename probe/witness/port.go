package witness

import (
	"net/netip"

	"vpncheck/probe/sock"
)

// A Port is one that a VPN client of this laptop would want for itself. Holder may be unknown though it is held.
type Port struct {
	Look
	Port   uint16 `json:"port"`
	Held   bool   `json:"held"`
	Holder string `json:"holder,omitempty"` // "charon (pid 812)"
	// Hint is what would let us look, or free the port.
	Hint string `json:"hint,omitempty"`
}

// Holders tries to take the UDP ports of IKE, of IPsec through NAT and of L2TP, each for a moment.
func Holders(n sock.Net) []Port {
	var out []Port
	for _, port := range []uint16{500, 4500, 1701} {
		out = append(out, holder(n, port, sock.Holder))
	}
	return out
}

func holder(n sock.Net, port uint16, who func(proto string, port uint16) (string, bool)) Port {
	c, err := n.UDP(netip.AddrPortFrom(netip.IPv4Unspecified(), port))
	if err == nil {
		c.Close()
		return Port{Look: looked, Port: port}
	}
	reason, why, hint, _ := sock.Refusal(err)
	name, known := who("udp", port)
	if reason == sock.PortHeld || known { // the kernel asks for our privilege first, but lists who is there
		return Port{Look: looked, Port: port, Held: true, Holder: name, Hint: hint}
	}
	if why == "" {
		why = err.Error()
	}
	return Port{Look: blind("%s", why), Port: port, Hint: hint}
}
