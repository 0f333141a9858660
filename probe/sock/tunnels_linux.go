package sock

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/vishvananda/netlink"
)

func tunnels() []string {
	var out []string
	states, policies := ipsec()
	if states > 0 {
		out = append(out, fmt.Sprintf("the kernel has %d IPsec security associations", states))
	}
	if policies > 0 {
		out = append(out, fmt.Sprintf("the kernel has %d IPsec policies", policies))
	}
	if links, err := netlink.LinkList(); err == nil {
		for _, l := range links {
			if kind := l.Type(); slices.Contains(tunnelKinds, kind) && !strings.HasSuffix(l.Attrs().Name, "0") || kind == "wireguard" || kind == "tuntap" {
				out = append(out, fmt.Sprintf("there is a tunnel interface, %s (%s)", l.Attrs().Name, kind))
			}
		}
	}
	return append(out, vpnDaemons("/proc")...)
}

// ipsec counts the kernel's security associations and policies.
func ipsec() (states, policies int) {
	if all, err := netlink.XfrmStateList(netlink.FAMILY_ALL); err == nil {
		states = len(all)
	}
	if all, err := netlink.XfrmPolicyList(netlink.FAMILY_ALL); err == nil {
		policies = len(all)
	}
	return states, policies
}

// tunnelKinds are the kinds of links that carry a VPN. The kernel makes gre0, tunl0 and the like by itself when it loads a module: those mean
// nothing.
var tunnelKinds = []string{"gre", "gretap", "ipip", "sit", "vti", "xfrm", "ppp", "ip6gre", "erspan"}

// daemons are programs that serve or use a VPN, by the name that the kernel has of them.
var daemons = []string{"charon", "charon-systemd", "pluto", "racoon", "iked", "openvpn", "xl2tpd", "pptpd", "pptp", "accel-pppd", "vpnserver", "ocserv", "wireguard-go", "tailscaled"}

// vpnDaemons looks through the processes.
func vpnDaemons(proc string) []string {
	names, err := filepath.Glob(filepath.Join(proc, "[0-9]*", "comm"))
	if err != nil {
		return nil
	}
	var out []string
	for _, name := range names {
		text, err := os.ReadFile(name)
		if comm := strings.TrimSpace(string(text)); err == nil && slices.Contains(daemons, comm) {
			out = append(out, fmt.Sprintf("%s is running (pid %s)", comm, filepath.Base(filepath.Dir(name))))
		}
	}
	return out
}
