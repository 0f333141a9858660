package witness

import (
	"net/netip"
	"strings"
)

// A Machine says what this computer seems to be. Inside another one, its host's own NAT stands before the router.
type Machine struct {
	Look
	Hints []Hint `json:"hints,omitempty"`
	// NAT says whose network the default gateway is in, if that is one which the host's own NAT makes; empty if none was recognised.
	NAT string `json:"nat,omitempty"`
}

// A Hint is one sign that this is no computer of its own: Kind is "wsl", "vm" or "container", Sign where that was read.
type Hint struct {
	Kind string `json:"kind"`
	Sign string `json:"sign"`
}

// Inside looks for the marks that WSL, virtual machines and containers leave.
func Inside() Machine { return here().inside() }

func (p place) inside() Machine {
	if p.os != "linux" {
		return Machine{Look: blind("vpncheck knows the marks of virtual machines on Linux only")}
	}
	m := Machine{Look: looked}
	add := func(kind, sign string) { m.Hints = append(m.Hints, Hint{kind, sign}) }
	if strings.Contains(strings.ToLower(p.word("proc/version")), "microsoft") {
		add("wsl", "the kernel is Microsoft's for WSL")
	}
	for _, f := range []string{"sys/class/dmi/id/product_name", "sys/class/dmi/id/sys_vendor"} {
		if s := p.word(f); isVirtual(s) {
			add("vm", "the hardware calls itself "+s)
			break
		}
	}
	for _, f := range []string{".dockerenv", "run/.containerenv", "run/systemd/container"} {
		if p.exists(f) {
			add("container", "there is a file /"+f)
			break
		}
	}
	m.NAT = p.hostNAT(m.Hints) // by other hints than the gateway's address itself
	if g := p.gateway(false); g.Address == netip.AddrFrom4([4]byte{10, 0, 2, 2}) {
		add("vm", "the gateway is 10.0.2.2, as in the built-in NAT of VirtualBox and QEMU")
	}
	return m
}

// A hostNet is a network that the host of a virtual machine makes for it, with a NAT towards its own: the gateway is the host.
type hostNet struct {
	kind    string // of a hint that must be there
	maker   string // part of the hint's sign, in lower case; empty for any
	within  string // the network is in here,
	bits    int    // and has this length
	gateway byte   // how far the gateway is from the network's first address
	whose   string
}

// hostNets are the networks as the makers' programs have them before anybody changes them.
var hostNets = []hostNet{
	{"vm", "", "10.0.2.0/24", 24, 2, "the built-in NAT of VirtualBox or QEMU"},
	{"vm", "", "10.0.2.0/24", 24, 1, "VirtualBox's NAT network"},
	{"vm", "", "192.168.122.0/24", 24, 1, "libvirt's NAT"},
	{"vm", "", "10.211.55.0/24", 24, 1, "Parallels' shared network"},
	{"vm", "", "192.168.64.0/24", 24, 1, "the shared network of virtual machines on macOS"},
	{"vm", "vmware", "192.168.0.0/16", 24, 2, "VMware's NAT"},
	{"vm", "virtual machine", "172.16.0.0/12", 20, 1, "the default switch of Hyper-V"},
	{"wsl", "", "172.16.0.0/12", 20, 1, "the NAT of WSL"},
	{"container", "", "172.16.0.0/12", 16, 1, "a bridge of Docker's"},
	{"container", "", "192.168.0.0/16", 20, 1, "a bridge of Docker's"},
	{"container", "", "10.88.0.0/16", 16, 1, "Podman's bridge"},
	{"container", "", "10.0.3.0/24", 24, 1, "LXC's bridge"},
	{"container", "", "10.0.2.0/24", 24, 2, "the NAT of a container without privileges (slirp4netns)"},
}

// hostNAT says whose NAT the gateway is of; "" if it is none that is known, or nothing hints at a host at all.
func (p place) hostNAT(hints []Hint) string {
	gw := p.gateway(false)
	own, ok := p.networkOf(gw)
	if !ok {
		return ""
	}
	for _, n := range hostNets {
		at := own.Masked().Addr()
		for range n.gateway {
			at = at.Next()
		}
		if own.Bits() != n.bits || at != gw.Address || !netip.MustParsePrefix(n.within).Contains(gw.Address) {
			continue
		}
		for _, h := range hints {
			if h.Kind == n.kind && strings.Contains(strings.ToLower(h.Sign), n.maker) {
				return n.whose
			}
		}
	}
	return ""
}

// networkOf is the prefix of the interface towards a gateway that the gateway is in.
func (p place) networkOf(gw Default) (netip.Prefix, bool) {
	all, err := p.interfaces()
	if err != nil || !gw.Address.IsValid() {
		return netip.Prefix{}, false
	}
	for _, i := range all {
		for _, prefix := range i.Prefixes {
			if i.Name == gw.Interface && prefix.Contains(gw.Address) {
				return prefix, true
			}
		}
	}
	return netip.Prefix{}, false
}

// isVirtual knows the makers of machines that do not exist.
func isVirtual(name string) bool {
	name = strings.ToLower(name)
	for _, maker := range []string{
		"virtualbox", "vmware", "kvm", "qemu", "virtual machine", "standard pc", "parallels", "bhyve", "bochs", "xen", "hvm domu",
		"google compute engine", "amazon ec2", "droplet", "openstack", "apple virtualization",
	} {
		if strings.Contains(name, maker) {
			return true
		}
	}
	return false
}
