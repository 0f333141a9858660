package witness

import (
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
