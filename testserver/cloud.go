package testserver

import (
	"io"
	"io/fs"
	"slices"
	"strings"

	"vpncheck/probe/wire"
)

// A cloud is a provider as its firmware names it (DMI, SMBIOS), and what is known of its network (F17). Where nothing is known for sure, nothing
// is said: a carrier in neither list may pass or not.
type cloud struct {
	name   string
	file   string // of /sys/class/dmi/id
	says   string // the whole of it
	cannot []wire.Carrier
	ask    []wire.Carrier
}

var (
	anyGRE  = []wire.Carrier{wire.CarrierGRE, wire.CarrierGREv1} // one IP protocol
	anyESP  = []wire.Carrier{wire.CarrierESP, wire.CarrierAH}
	noPorts = slices.Concat(anyGRE, anyESP)
)

// clouds, with where each is from.
var clouds = []cloud{
	// The asset tag: cloud-init, tools/ds-identify, is_azure_chassis; Hyper-V elsewhere has the same vendor, and another tag.
	// GRE and IP in IP are blocked in virtual networks, ESP and AH want a rule: MicrosoftDocs/azure-docs, virtual-networks-faq.md.
	{name: "azure", file: "chassis_asset_tag", says: "7783-7084-3265-9085-8269-3286-77", cannot: anyGRE, ask: anyESP},
	// Product: cloud-init, dscheck_GCE. "Always blocked: GRE and anything but TCP, UDP, ICMP, AH, ESP, SCTP, IPIP": openshift-docs#24991,
	// jayendrapatil.com on VPC firewall rules.
	{name: "gcp", file: "product_name", says: "Google Compute Engine", cannot: anyGRE, ask: anyESP},
	// Vendor: systemd, src/basic/virt.c, dmi_vendor_table. Security groups and network ACLs go by protocol number: StreisandEffect/streisand#311.
	{name: "aws", file: "sys_vendor", says: "Amazon EC2", ask: noPorts},
	{name: "aws", file: "board_vendor", says: "Amazon EC2", ask: noPorts}, // bare metal
	{name: "aws", file: "bios_vendor", says: "Amazon EC2", ask: noPorts},
	// Vendor: cloud-init, dscheck_Hetzner. Its firewall's rules are by protocol.
	{name: "hetzner", file: "sys_vendor", says: "Hetzner", ask: noPorts},
	{name: "digitalocean", file: "sys_vendor", says: "DigitalOcean"},       // cloud-init, dscheck_DigitalOcean
	{name: "oracle", file: "chassis_asset_tag", says: "OracleCloud.com"},   // cloud-init, dscheck_Oracle
	{name: "vultr", file: "sys_vendor", says: "Vultr"},                     // cloud-init, dscheck_Vultr
	{name: "linode", file: "sys_vendor", says: "Linode"},                   // cloud-init, DataSourceAkamai
	{name: "linode", file: "sys_vendor", says: "Akamai"},                   // the same, by its new name
	{name: "alibaba", file: "product_name", says: "Alibaba Cloud ECS"},     // cloud-init, dscheck_AliYun
	{name: "scaleway", file: "sys_vendor", says: "Scaleway"},               // cloud-init, dscheck_Scaleway
	{name: "upcloud", file: "sys_vendor", says: "UpCloud"},                 // cloud-init, dscheck_UpCloud
	{name: "openstack", file: "product_name", says: "OpenStack Nova"},      // cloud-init, dscheck_OpenStack; OVH and many others
	{name: "openstack", file: "product_name", says: "OpenStack Compute"},   // the same
	{name: "openstack", file: "chassis_asset_tag", says: "OpenStack Nova"}, // the same
}

// CloudOf names the provider that a machine's firmware names; nil if it names none that is known. dmi is /sys/class/dmi/id.
func CloudOf(dmi fs.FS) *wire.Cloud {
	for _, c := range clouds {
		if firmware(dmi, c.file) == c.says {
			return c.told()
		}
	}
	return nil
}

// CloudNamed is a provider by the name that CloudOf gives it, for labs; nil if there is none of that name.
func CloudNamed(name string) *wire.Cloud {
	for _, c := range clouds {
		if c.name == name {
			return c.told()
		}
	}
	return nil
}

func (c cloud) told() *wire.Cloud {
	return &wire.Cloud{Name: c.name, Cannot: slices.Clone(c.cannot), Ask: slices.Clone(c.ask)}
}

// firmware is what one file says; "" if it cannot be read.
func firmware(dmi fs.FS, name string) string {
	f, err := dmi.Open(name)
	if err != nil {
		return ""
	}
	defer f.Close()
	b, _ := io.ReadAll(io.LimitReader(f, 256))
	return strings.TrimSpace(string(b))
}
