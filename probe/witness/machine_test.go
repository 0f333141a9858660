package witness

import (
	"encoding/binary"
	"fmt"
	"maps"
	"net/netip"
	"strings"
	"testing"
)

func TestInside(t *testing.T) {
	tests := []struct {
		name  string
		files map[string]string
		kinds string
	}{
		{"metal", map[string]string{"proc/version": "Linux version 6.1.0-18-amd64 (debian-kernel@lists.debian.org)",
			"sys/class/dmi/id/product_name": "ThinkPad X1\n"}, ""},
		{"wsl", map[string]string{"proc/version": "Linux version 5.15.90.1-microsoft-standard-WSL2 (oe-user@oe-host)"}, "wsl"},
		{"virtualbox", map[string]string{"sys/class/dmi/id/product_name": "VirtualBox\n",
			"proc/net/route": "eth0 00000000 0202000A 0003 0 0 0 00000000 0 0 0\n"}, "vm vm"},
		{"qemu", map[string]string{"sys/class/dmi/id/product_name": "Standard PC (Q35 + ICH9, 2009)\n"}, "vm"},
		{"docker", map[string]string{".dockerenv": ""}, "container"},
		{"rude", map[string]string{"sys/class/dmi/id/sys_vendor": "QEMU\x1b[2J" + strings.Repeat("x", 999)}, "vm"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			m := at("linux", tt.files).inside()
			var kinds []string
			for _, h := range m.Hints {
				kinds = append(kinds, h.Kind)
				if h.Sign != printable(h.Sign, 200) {
					t.Errorf("got sign %q, want it printable", h.Sign)
				}
			}
			if got := strings.Join(kinds, " "); got != tt.kinds || !m.Looked {
				t.Errorf("got %q (%+v), want %q", got, m, tt.kinds)
			}
		})
	}
	if m := at("darwin", nil).inside(); m.Looked || m.Why == "" {
		t.Errorf("got %+v, want a reason", m)
	}
}

// gatewayRoute is a default route as Linux prints it; the address is in the order of a little-endian machine.
func gatewayRoute(dev, gateway string) string {
	a := netip.MustParseAddr(gateway).As4()
	return fmt.Sprintf("%s 00000000 %08X 0003 0 0 0 00000000 0 0 0\n", dev, binary.NativeEndian.Uint32(a[:]))
}

// Whether the NAT of a host stands before the router is told by the network that the gateway is in, and only inside something.
func TestHostNAT(t *testing.T) {
	vm := map[string]string{"sys/class/dmi/id/product_name": "KVM\n"}
	vmware := map[string]string{"sys/class/dmi/id/product_name": "VMware Virtual Platform\n"}
	hyperV := map[string]string{"sys/class/dmi/id/product_name": "Virtual Machine\n"}
	wsl := map[string]string{"proc/version": "Linux version 5.15.90.1-microsoft-standard-WSL2"}
	docker := map[string]string{".dockerenv": ""}
	for _, c := range []struct {
		name     string
		files    map[string]string
		own, via string
		want     string
	}{
		{"metal", nil, "192.168.1.11/24", "192.168.1.1", ""},
		{"metal-in-such-a-network", nil, "172.17.0.5/16", "172.17.0.1", ""},
		{"metal-with-libvirts-network", nil, "192.168.122.5/24", "192.168.122.1", ""},
		{"virtualbox", vm, "10.0.2.15/24", "10.0.2.2", "the built-in NAT of VirtualBox or QEMU"},
		{"gateway-alone", nil, "10.0.2.15/24", "10.0.2.2", ""},
		{"nat-network", vm, "10.0.2.15/24", "10.0.2.1", "VirtualBox's NAT network"},
		{"libvirt", vm, "192.168.122.77/24", "192.168.122.1", "libvirt's NAT"},
		{"bridged-vm", vm, "192.168.1.77/24", "192.168.1.1", ""},
		{"other-gateway-there", vm, "192.168.122.77/24", "192.168.122.254", ""},
		{"vmware", vmware, "192.168.233.128/24", "192.168.233.2", "VMware's NAT"},
		{"another-vm-with-such-a-gateway", vm, "192.168.233.128/24", "192.168.233.2", ""},
		{"hyper-v", hyperV, "172.27.160.9/20", "172.27.160.1", "the default switch of Hyper-V"},
		{"wsl", wsl, "172.27.160.9/20", "172.27.160.1", "the NAT of WSL"},
		{"wsl-mirrored", wsl, "192.168.1.11/24", "192.168.1.1", ""},
		{"docker", docker, "172.17.0.5/16", "172.17.0.1", "a bridge of Docker's"},
		{"docker-compose", docker, "192.168.48.3/20", "192.168.48.1", "a bridge of Docker's"},
		{"docker-on-the-hosts-network", docker, "192.168.1.11/24", "192.168.1.1", ""},
		{"docker-in-a-large-network", docker, "172.17.0.5/20", "172.17.0.1", ""},
		{"podman", docker, "10.88.0.7/16", "10.88.0.1", "Podman's bridge"},
		{"no-gateway", docker, "172.17.0.5/16", "", ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			files := maps.Clone(c.files)
			if files == nil {
				files = map[string]string{}
			}
			if c.via != "" {
				files["proc/net/route"] = gatewayRoute("eth0", c.via)
			}
			if got := at("linux", files, iface("eth0", c.own)).inside().NAT; got != c.want {
				t.Errorf("got %q, want %q", got, c.want)
			}
		})
	}
}
