package witness

import (
	"net/netip"
	"strings"
)

// A Machine says what this computer seems to be. Inside another one, its host's own NAT stands before the router.
type Machine struct {
	Look
	Hints []Hint `json:"hints,omitempty"`
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
	if g := p.gateway(false); g.Address == netip.AddrFrom4([4]byte{10, 0, 2, 2}) {
		add("vm", "the gateway is 10.0.2.2, as in the built-in NAT of VirtualBox and QEMU")
	}
	return m
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
