package testserver

import (
	"slices"
	"strings"
	"testing"
	"testing/fstest"

	"vpncheck/probe/wire"
)

func TestCloudOf(t *testing.T) {
	for _, tt := range []struct {
		name        string
		dmi         map[string]string
		want        string
		cannot, ask []wire.Carrier
	}{
		{"azure", map[string]string{"sys_vendor": "Microsoft Corporation", "product_name": "Virtual Machine", "chassis_asset_tag": "7783-7084-3265-9085-8269-3286-77\n"},
			"azure", []wire.Carrier{"gre", "gre-v1"}, []wire.Carrier{"esp", "ah"}},
		{"hyper-v-at-home", map[string]string{"sys_vendor": "Microsoft Corporation", "product_name": "Virtual Machine", "chassis_asset_tag": "1234"}, "", nil, nil},
		{"gcp", map[string]string{"sys_vendor": "Google\n", "product_name": "Google Compute Engine\n"}, "gcp", []wire.Carrier{"gre", "gre-v1"}, []wire.Carrier{"esp", "ah"}},
		{"aws", map[string]string{"sys_vendor": "Amazon EC2\n"}, "aws", nil, []wire.Carrier{"gre", "gre-v1", "esp", "ah"}},
		{"aws-bios", map[string]string{"bios_vendor": "Amazon EC2"}, "aws", nil, []wire.Carrier{"gre", "gre-v1", "esp", "ah"}},
		{"hetzner", map[string]string{"sys_vendor": "Hetzner"}, "hetzner", nil, []wire.Carrier{"gre", "gre-v1", "esp", "ah"}},
		{"oracle", map[string]string{"chassis_asset_tag": "OracleCloud.com"}, "oracle", nil, nil},
		{"openstack", map[string]string{"product_name": "OpenStack Nova"}, "openstack", nil, nil},
		{"digitalocean", map[string]string{"sys_vendor": "DigitalOcean"}, "digitalocean", nil, nil},
		{"a-pc", map[string]string{"sys_vendor": "LENOVO", "product_name": "ThinkPad"}, "", nil, nil},
		{"only-the-beginning", map[string]string{"sys_vendor": "Amazon EC2" + strings.Repeat("x", 5000)}, "", nil, nil},
		{"nothing", nil, "", nil, nil},
	} {
		t.Run(tt.name, func(t *testing.T) {
			dmi := fstest.MapFS{}
			for file, text := range tt.dmi {
				dmi[file] = &fstest.MapFile{Data: []byte(text)}
			}
			got := CloudOf(dmi)
			if got == nil {
				got = &wire.Cloud{}
			}
			if got.Name != tt.want || !slices.Equal(got.Cannot, tt.cannot) || !slices.Equal(got.Ask, tt.ask) {
				t.Errorf("got %+v", got)
			}
		})
	}
	if c := CloudNamed("azure"); c == nil || c.Name != "azure" || CloudNamed("none") != nil {
		t.Errorf("got %+v", c)
	}
}

// A session is told of the cloud, and so is the administrator.
func TestCloudTold(t *testing.T) {
	inWorld(t, func(_ *world, c *Config) { c.Cloud = CloudNamed("gcp") }, func(w *world) {
		if c := w.open(w.laptop).session.Cloud; c == nil || c.Name != "gcp" {
			t.Errorf("got %+v", c)
		}
		if c := w.srv.Status().Cloud; c == nil || c.Name != "gcp" {
			t.Errorf("got %+v", c)
		}
	})
}
