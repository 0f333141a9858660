package witness

import (
	"encoding/binary"
	"encoding/hex"
	"net/netip"
	"strconv"
	"strings"
)

// A Route is one line of the kernel's table.
type Route struct {
	Dst       netip.Prefix
	Via       netip.Addr // unspecified: Dst is on the wire itself
	Interface string
	Metric    uint32
}

const (
	routeUp     = 0x1   // RTF_UP
	routeReject = 0x200 // RTF_REJECT
)

// parseRoutes4 reads Linux's /proc/net/route. Lines that it cannot read are left out: the columns have been the same since Linux 2.0.
func parseRoutes4(table string) []Route {
	var out []Route
	for line := range strings.Lines(table) {
		f := strings.Fields(line)
		if len(f) < 8 {
			continue
		}
		dst, ok1 := nativeAddr4(f[1])
		via, ok2 := nativeAddr4(f[2])
		flags, err1 := strconv.ParseUint(f[3], 16, 32)
		metric, err2 := strconv.ParseUint(f[6], 10, 32)
		mask, ok3 := nativeAddr4(f[7])
		bits, ok4 := maskBits(mask)
		if !ok1 || !ok2 || !ok3 || !ok4 || err1 != nil || err2 != nil || flags&routeUp == 0 || flags&routeReject != 0 {
			continue
		}
		out = append(out, Route{netip.PrefixFrom(dst, bits), via, printable(f[0], 32), uint32(metric)})
	}
	return out
}

// nativeAddr4 reads an address that the kernel printed as a number: its octets are in the machine's order.
func nativeAddr4(s string) (netip.Addr, bool) {
	n, err := strconv.ParseUint(s, 16, 32)
	if err != nil || len(s) != 8 {
		return netip.Addr{}, false
	}
	var b [4]byte
	binary.NativeEndian.PutUint32(b[:], uint32(n))
	return netip.AddrFrom4(b), true
}

func maskBits(mask netip.Addr) (int, bool) {
	if !mask.Is4() {
		return 0, false
	}
	b := mask.As4()
	m := binary.BigEndian.Uint32(b[:])
	for bits := range 33 {
		if m == uint32(uint64(0xffffffff)<<(32-bits)) {
			return bits, true
		}
	}
	return 0, false
}

// parseRoutes6 reads Linux's /proc/net/ipv6_route.
func parseRoutes6(table string) []Route {
	var out []Route
	for line := range strings.Lines(table) {
		f := strings.Fields(line)
		if len(f) < 10 {
			continue
		}
		dst, ok1 := addr6(f[0])
		bits, err1 := strconv.ParseUint(f[1], 16, 8)
		via, ok2 := addr6(f[4])
		metric, err2 := strconv.ParseUint(f[5], 16, 32)
		flags, err3 := strconv.ParseUint(f[8], 16, 32)
		if !ok1 || !ok2 || err1 != nil || err2 != nil || err3 != nil || bits > 128 || flags&routeUp == 0 || flags&routeReject != 0 {
			continue
		}
		out = append(out, Route{netip.PrefixFrom(dst, int(bits)), via, printable(f[9], 32), uint32(metric)})
	}
	return out
}

func addr6(s string) (netip.Addr, bool) {
	b, err := hex.DecodeString(s)
	if err != nil || len(b) != 16 {
		return netip.Addr{}, false
	}
	return netip.AddrFrom16([16]byte(b)), true
}

// routes reads one family's table. In a thread with a network namespace of its own that namespace's table counts.
func (p place) routes(v6 bool) ([]Route, error) {
	name, parse := "route", parseRoutes4
	if v6 {
		name, parse = "ipv6_route", parseRoutes6
	}
	table, err := p.read("proc/thread-self/net/" + name)
	if err != nil {
		table, err = p.read("proc/net/" + name)
	}
	if err != nil {
		return nil, err
	}
	return parse(table), nil
}
