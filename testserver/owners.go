package testserver

import (
	"bufio"
	"bytes"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"slices"
	"strconv"
	"strings"
	"time"

	"vpncheck/probe/sock"
	"vpncheck/probe/wire"
)

const (
	ownersEvery = 5 * time.Minute // how often it is looked for them
	maxProcFile = 1 << 20         // octets of a file in /proc that are read
	maxOwners   = 8               // of a carrier that are told: pptpd has a process for each customer, a link message an end
)

// modules of the Linux kernel that take packets for themselves; sockets of ours get a copy all the same. ip_gre answers GRE of a tunnel that
// it does not know with an ICMP error. The module gre only sorts for the others.
var modules = map[string][]wire.Carrier{
	"ip_gre":         {wire.CarrierGRE},
	"ip6_gre":        {wire.CarrierGRE},
	"pptp":           {wire.CarrierGREv1},
	"esp4":           {wire.CarrierESP},
	"esp6":           {wire.CarrierESP},
	"ah4":            {wire.CarrierAH},
	"ah6":            {wire.CarrierAH},
	"ip_vti":         {wire.CarrierESP, wire.CarrierAH},
	"ip6_vti":        {wire.CarrierESP, wire.CarrierAH},
	"xfrm_interface": {wire.CarrierESP, wire.CarrierAH},
}

// programs are VPN servers and clients, by the name that the kernel has of them.
var programs = map[string][]wire.Carrier{
	"charon": ipsec, "charon-systemd": ipsec, "charon-nm": ipsec, "pluto": ipsec, "racoon": ipsec, "iked": ipsec,
	"xl2tpd":     {wire.CarrierL2TP},
	"pptpd":      {wire.CarrierPPTP, wire.CarrierGREv1},
	"pptpctrl":   {wire.CarrierPPTP, wire.CarrierGREv1},
	"pptp":       {wire.CarrierGREv1},
	"openvpn":    {wire.CarrierOpenVPNUDP, wire.CarrierOpenVPNTCP},
	"accel-pppd": {wire.CarrierPPTP, wire.CarrierGREv1, wire.CarrierL2TP},
	"sstpd":      {wire.CarrierSSTP},
	"vpnserver":  {wire.CarrierIKE, wire.CarrierNATT, wire.CarrierESP, wire.CarrierL2TP, wire.CarrierOpenVPNUDP, wire.CarrierOpenVPNTCP}, // SoftEther
}

var ipsec = []wire.Carrier{wire.CarrierIKE, wire.CarrierNATT, wire.CarrierESP, wire.CarrierAH}

// MachineOwners says what else on this machine takes packets of a carrier, or answers them: modules and IPsec of its kernel, other programs
// (F26). It finds nothing where the system does not tell.
func MachineOwners() map[wire.Carrier][]string {
	owners := ownersIn(os.DirFS("/proc"))
	if states, policies := sock.IPsec(); states+policies > 0 {
		owners.add(fmt.Sprintf("the kernel's IPsec (%d associations, %d policies)", states, policies), wire.CarrierESP, wire.CarrierAH)
	}
	return owners
}

type owners map[wire.Carrier][]string

func (o owners) add(who string, carriers ...wire.Carrier) {
	for _, c := range carriers {
		if len(o[c]) < maxOwners && !slices.Contains(o[c], who) {
			o[c] = append(o[c], who)
		}
	}
}

// ownersIn looks through a /proc.
func ownersIn(proc fs.FS) owners {
	o := make(owners)
	eachLine(proc, "modules", func(field []string) {
		if carriers := modules[field[0]]; carriers != nil {
			o.add("kernel module "+field[0], carriers...)
		}
	})
	names, _ := fs.Glob(proc, "[0-9]*/comm") // the pattern is good
	for _, name := range names {
		comm := strings.TrimSpace(string(readProc(proc, name)))
		if carriers := programs[comm]; carriers != nil {
			o.add(fmt.Sprintf("%s (pid %s)", comm, path.Dir(name)), carriers...)
		}
	}
	o.rawSockets(proc)
	return o
}

// rawSockets adds other programs' raw sockets: pptpd's, say, or a tunnel's.
func (o owners) rawSockets(proc fs.FS) {
	ours := make(map[string]bool)
	fds, _ := fs.ReadDir(proc, "self/fd")
	for _, fd := range fds {
		if link, err := fs.ReadLink(proc, "self/fd/"+fd.Name()); err == nil {
			if inode, ok := strings.CutPrefix(link, "socket:["); ok {
				ours[strings.TrimSuffix(inode, "]")] = true
			}
		}
	}
	if len(ours) == 0 {
		return // they could all be ours
	}
	for _, table := range []string{"self/net/raw", "self/net/raw6"} {
		eachLine(proc, table, func(field []string) {
			// sl local_address:protocol rem_address st tx:rx tr:tm retrnsmt uid timeout inode ...
			if len(field) < 10 || ours[field[9]] {
				return
			}
			proto, err := strconv.ParseUint(field[1][strings.LastIndexByte(field[1], ':')+1:], 16, 8)
			if carriers := rawCarriers[uint8(proto)]; err == nil && carriers != nil {
				o.add("another program's raw socket", carriers...)
			}
		})
	}
}

var rawCarriers = map[uint8][]wire.Carrier{
	wire.IPProtoGRE: {wire.CarrierGRE, wire.CarrierGREv1},
	wire.IPProtoESP: {wire.CarrierESP},
	wire.IPProtoAH:  {wire.CarrierAH},
}

// eachLine calls f with the words of every line that has any.
func eachLine(proc fs.FS, name string, f func(field []string)) {
	for lines := bufio.NewScanner(bytes.NewReader(readProc(proc, name))); lines.Scan(); {
		if field := strings.Fields(lines.Text()); len(field) > 0 {
			f(field)
		}
	}
}

// readProc reads a file of /proc, or as much of it as is sane.
func readProc(proc fs.FS, name string) []byte {
	f, err := proc.Open(name)
	if err != nil {
		return nil
	}
	defer f.Close()
	b, _ := io.ReadAll(io.LimitReader(f, maxProcFile))
	return b
}

// lookForOwners remembers what Config.Owners finds now.
func (s *Server) lookForOwners() {
	if s.cfg.Owners != nil {
		o := s.cfg.Owners()
		s.host.owners.Store(&o)
	}
}

// ownersOf is what else takes a carrier's packets.
func (h *Host) ownersOf(c wire.Carrier) []string {
	if o := h.owners.Load(); o != nil {
		return (*o)[c]
	}
	return nil
}
