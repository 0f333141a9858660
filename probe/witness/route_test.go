package witness

import (
	"net/netip"
	"strings"
	"testing"
)

const table4 = `Iface	Destination	Gateway 	Flags	RefCnt	Use	Metric	Mask		MTU	Window	IRTT
wlan0	00000000	FE01A8C0	0003	0	0	600	00000000	0	0	0
eth0	00000000	0101A8C0	0003	0	0	100	00000000	0	0	0
eth0	0001A8C0	00000000	0001	0	0	100	00FFFFFF	0	0	0
*	0000000A	00000000	0200	0	0	0	000000FF	0	0	0
down0	00000000	0101A8C0	0002	0	0	0	00000000	0	0	0
`

const table6 = `20010db8000100000000000000000000 40 00000000000000000000000000000000 00 00000000000000000000000000000000 00000100 00000001 00000000 00000001     eth0
00000000000000000000000000000000 00 00000000000000000000000000000000 00 fe800000000000000000000000000001 00000400 00000002 00000000 00000003     eth0
00000000000000000000000000000000 00 00000000000000000000000000000000 00 00000000000000000000000000000000 ffffffff 00000001 00000000 00200200       lo
`

func TestGateway(t *testing.T) {
	tests := []struct {
		name   string
		p      place
		v4, v6 Default
	}{
		{"both", at("linux", map[string]string{"proc/net/route": table4, "proc/net/ipv6_route": table6}),
			Default{looked, netip.MustParseAddr("192.168.1.1"), "eth0"}, Default{looked, netip.MustParseAddr("fe80::1"), "eth0"}},
		{"own-namespace-first", at("linux", map[string]string{"proc/thread-self/net/route": table4, "proc/net/route": halves}),
			Default{looked, netip.MustParseAddr("192.168.1.1"), "eth0"}, Default{Look: looked}},
		{"none", at("linux", map[string]string{"proc/net/route": "Iface\n", "proc/net/ipv6_route": ""}), Default{Look: looked}, Default{Look: looked}},
		{"straight-onto-a-line", at("linux", map[string]string{"proc/net/route": "ppp0 00000000 00000000 0001 0 0 0 00000000 0 0 0\n"}),
			Default{looked, netip.Addr{}, "ppp0"}, Default{Look: looked}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if got := tt.p.gateways(); got.V4 != tt.v4 || got.V6 != tt.v6 {
				t.Errorf("got %+v, want %+v and %+v", got, tt.v4, tt.v6)
			}
		})
	}
}

func TestGatewaySaysWhyItCannotLook(t *testing.T) {
	for _, system := range []string{"linux", "darwin", "windows"} {
		if got := at(system, nil).gateways(); got.V4.Looked || got.V4.Why == "" {
			t.Errorf("%s: got %+v, want a reason", system, got)
		}
	}
}

func TestRoutesTooLong(t *testing.T) {
	p := at("linux", map[string]string{"proc/net/route": strings.Repeat("x", 2*maxFile)})
	if s, err := p.read("proc/net/route"); err != nil || len(s) != maxFile {
		t.Errorf("got %d octets and %v, want %d", len(s), err, maxFile)
	}
}

func FuzzRoute(f *testing.F) {
	f.Add(table4)
	f.Add(table6)
	f.Add(halves)
	f.Add("a 00000000 00000000 0001 0 0 0 00FF00FF\n")
	f.Fuzz(func(t *testing.T, table string) {
		for _, r := range append(parseRoutes4(table), parseRoutes6(table)...) {
			if !r.Dst.IsValid() || !r.Via.IsValid() || r.Dst.Addr().Is4() != r.Via.Is4() {
				t.Errorf("got %+v, want one valid family", r)
			}
			if r.Interface != printable(r.Interface, 32) {
				t.Errorf("got interface %q, want it printable", r.Interface)
			}
		}
	})
}
