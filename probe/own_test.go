package probe

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"vpncheck/probe/sock"
	"vpncheck/probe/wire"
)

func (own Own) opening(id string) Opening {
	for _, o := range own.Openings {
		if o.ID == id {
			return o
		}
	}
	return Opening{}
}

// wants fails unless each opening came to "verdict reason".
func (h *vpnHost) wants(own Own, want map[string]string) {
	h.Helper()
	if own.Why != nil || len(own.Openings) != len(OpeningIDs) {
		h.Fatalf("got %d openings, %+v", len(own.Openings), own.Why)
	}
	for _, a := range own.Judge(nil) {
		got := string(a.Verdict)
		if a.Reason != "" {
			got += " " + string(a.Reason)
		}
		w, ok := want[a.ID]
		if !ok {
			w = want[""]
		}
		if got != w {
			h.Errorf("%s: got %q %v, want %q", a.ID, got, a.Args, w)
		}
	}
}

// What a server says that answers everything, and what is sent to it.
func TestOwnAnswersAll(t *testing.T) {
	askedOwn(t, OpeningIDs, func(h *vpnHost) { h.lcp = true }, func(h *vpnHost, own Own) {
		h.wants(own, map[string]string{"": "passed"})
		for _, o := range own.Openings {
			if len(o.Strangers) > 0 || o.StandIn != nil {
				t.Errorf("%s: strangers %v, from another port %v", o.ID, o.Strangers, o.StandIn)
			}
		}
		for _, id := range []string{OpeningIKEv1, OpeningIKEv2} {
			o := own.opening(id)
			if diff := cmp.Diff([]*bool{new(false), new(true)}, []*bool{o.ServerBehindNAT, o.ClientBehindNAT}); diff != "" {
				t.Errorf("%s: behind a NAT (-want +got):\n%s", id, diff)
			}
		}
		for id, want := range map[string][]Told{
			OpeningIKEv2: {{ToldProposal, "AES-CBC-256, MODP-2048"}, {ToldVendorID, "4120"}},
			OpeningIKEv1: {{ToldVendorID, "NAT-T (RFC 3947)"}, {ToldVendorID, "Windows (MS NT5 ISAKMPOAKLEY)"}, {ToldProposal, "AES-CBC-256, SHA1, MODP-2048, pre-shared key"}},
			OpeningPPTP:  {{ToldHost, "a-host"}, {ToldVendor, "a vendor"}},
			OpeningL2TP:  {{ToldHost, "a-host"}, {ToldVendor, "a vendor"}},
			OpeningSSTP:  {{ToldCert, "issued to vpn.example by vpn.example"}, {ToldStatus, "HTTP 200 OK"}, {ToldServer, "Microsoft-HTTPAPI/2.0"}},
		} {
			got := own.opening(id).Told
			for i, w := range got {
				if w.What == ToldVendorID && id == OpeningIKEv2 {
					got[i].Text = w.Text[:4] // what is not printable is hexadecimal
				}
			}
			slices.SortFunc(got, func(a, b Told) int { return slices.Index(told(want), a) - slices.Index(told(want), b) })
			if diff := cmp.Diff(want, got); diff != "" {
				t.Errorf("%s told (-want +got):\n%s", id, diff)
			}
		}
		slices.Sort(h.heard)
		if fmt.Sprint(h.heard) != "[Call-Clear Stop StopCCN]" {
			t.Errorf("got %v, want a client's leave", h.heard)
		}
		if n := len(h.laptop.Sent()); n > 15 {
			t.Errorf("it took %d packets", n)
		}
	})
}

func told(t []Told) []Told { return t }

// paced fails if more than 60 packets a second left.
func (own Own) paced(t *testing.T) {
	t.Helper()
	var at []time.Time
	for _, o := range own.Openings {
		for _, s := range o.Stages {
			for _, e := range s.Exchanges {
				if e.From == Client {
					at = append(at, e.Sent.At)
				}
			}
		}
	}
	slices.SortFunc(at, time.Time.Compare)
	for i := 1; i < len(at); i++ {
		if gap := at[i].Sub(at[i-1]); gap < pace-time.Millisecond {
			t.Errorf("two packets left %v apart", gap)
		}
	}
}

// Each opening that alone is answered, and all the others in silence.
func TestOwnSilence(t *testing.T) {
	silence := map[string]string{"": "inconclusive own-silent", OpeningL2TP: "inconclusive own-silent-by-design", OpeningOpenVPNUDP: "inconclusive own-silent-by-design"}
	for _, id := range append([]string{"none"}, OpeningIDs...) {
		t.Run(id, func(t *testing.T) {
			askedOwn(t, []string{id}, func(h *vpnHost) {
				between := h.fake.Between
				h.fake.Between = func(p sock.FakePacket) []sock.FakePacket {
					open := map[uint16]string{1723: OpeningPPTP, 1194: OpeningOpenVPNTCP, 443: OpeningSSTP}[p.Dst.Port()]
					if p.Proto == protoTCP && open != "" && open != id {
						return nil // nobody refuses
					}
					return between(p)
				}
			}, func(h *vpnHost, own Own) {
				want := map[string]string{id: "passed"}
				for k, v := range silence {
					if k != id {
						want[k] = v
					}
				}
				h.wants(own, want)
				if d := own.Ended.Sub(own.Started); d < 4*time.Second {
					t.Errorf("it gave up after %v", d)
				}
				for _, o := range own.Openings {
					if n := len(o.Stages[0].Exchanges); o.ID != id && o.Over == "udp" && n != 3 {
						t.Errorf("%s: asked %d times, want 3", o.ID, n)
					}
				}
				own.paced(t)
				if n := len(h.laptop.Sent()); n > 30 {
					t.Errorf("it took %d packets", n)
				}
			})
		})
	}
}

func TestOwnOutcomes(t *testing.T) {
	for _, tt := range []struct {
		name   string
		only   string
		change func(*vpnHost)
		want   string
		check  func(*testing.T, Opening)
	}{
		{"cookie", OpeningIKEv2, func(h *vpnHost) { h.cookie = true }, "passed", messages(2)},
		{"cookies", OpeningIKEv2, func(h *vpnHost) { h.cookies = true }, "passed", messages(2)},
		{"other-group", OpeningIKEv2, func(h *vpnHost) { h.group = wire.GroupECP256 }, "passed", messages(2)},
		{"cookie-and-group", OpeningIKEv2, func(h *vpnHost) { h.cookie, h.group = true, wire.GroupCurve25519 }, "passed", messages(3)},
		{"unknown-group", OpeningIKEv2, func(h *vpnHost) { h.group = 99 }, "passed own-declined", messages(1)},
		{"ikev2-declined", OpeningIKEv2, func(h *vpnHost) { h.decline = true }, "passed own-declined", says("NO_PROPOSAL_CHOSEN")},
		{"ikev1-declined", OpeningIKEv1, func(h *vpnHost) { h.decline = true }, "passed own-declined", says("NO-PROPOSAL-CHOSEN")},
		{"pptp-declined", OpeningPPTP, func(h *vpnHost) { h.decline = true }, "passed own-declined", says("Start-Control-Connection-Reply with result 4, error 0")},
		{"l2tp-declined", OpeningL2TP, func(h *vpnHost) { h.decline = true }, "passed own-declined", says("StopCCN with result 4, error 0 not you")},
		{"server-behind-nat", OpeningIKEv2, func(h *vpnHost) { h.self = ownInside }, "passed", behind(true)},
		{"server-behind-nat-v1", OpeningIKEv1, func(h *vpnHost) { h.self = ownInside }, "passed", behind(true)},
		{"main-mode-stops", OpeningIKEv1, func(h *vpnHost) { h.forget = true }, "inconclusive own-stopped", nil},
		{"gre-lost", OpeningPPTP, func(h *vpnHost) { h.noGRE = true }, "inconclusive own-no-gre", nil},
		{"gre-one-way", OpeningPPTP, func(h *vpnHost) { h.noGRE, h.lcp = true, true }, "inconclusive own-gre-one-way", nil},
		{"gre-of-another-call", OpeningPPTP, func(h *vpnHost) { h.foreign = true }, "inconclusive own-no-gre", func(t *testing.T, o Opening) {
			if len(o.Strangers) == 0 {
				t.Error("got no strangers")
			}
		}},
		{"no-raw-socket", OpeningPPTP, func(h *vpnHost) { h.laptop.Deny = map[string]error{"raw": syscall.EPERM} }, "inconclusive own-control-only", nil},
		{"web-server", OpeningSSTP, func(h *vpnHost) { h.web = "HTTP/1.1 404 Not Found\r\n\r\n" }, "inconclusive own-another", another("HTTP 404 Not Found")},
		{"no-tls", OpeningSSTP, func(h *vpnHost) { h.web = "no TLS" }, "inconclusive own-another", another("not TLS")},
		{"port-held", OpeningIKEv2, func(h *vpnHost) { h.laptop.Deny = map[string]error{"udp/500": syscall.EADDRINUSE} }, "passed", func(t *testing.T, o Opening) {
			if o.StandIn == nil || o.StandIn.Reason != PortHeld {
				t.Errorf("got %+v, want a port that is held", o.StandIn)
			}
		}},
		{"no-socket", OpeningIKEv2, func(h *vpnHost) { h.laptop.Deny = map[string]error{"udp": syscall.EPERM} }, "untested no-privilege", nil},
		{"own-firewall", OpeningL2TP, func(h *vpnHost) { h.laptop.Deny = map[string]error{"send": syscall.EPERM} }, "blocked-out laptop-firewall", nil},
		{"refused", OpeningOpenVPNTCP, func(h *vpnHost) {}, "passed", nil},
	} {
		t.Run(tt.name, func(t *testing.T) {
			askedOwn(t, []string{tt.only}, tt.change, func(h *vpnHost, own Own) {
				o := own.opening(tt.only)
				a := JudgeOpening(o, nil)
				got := string(a.Verdict)
				if a.Reason != "" {
					got += " " + string(a.Reason)
				}
				if got != tt.want {
					t.Errorf("got %q, want %q: %+v", got, tt.want, o)
				}
				if tt.check != nil {
					tt.check(t, o)
				}
			})
		})
	}
}

func messages(n int) func(*testing.T, Opening) {
	return func(t *testing.T, o Opening) {
		if got := len(o.Stages[0].Exchanges); got != n {
			t.Errorf("got %d messages, want %d", got, n)
		}
	}
}

func says(what string) func(*testing.T, Opening) {
	return func(t *testing.T, o Opening) {
		if o.Declined != what {
			t.Errorf("got %q, want %q", o.Declined, what)
		}
	}
}

func another(what string) func(*testing.T, Opening) {
	return func(t *testing.T, o Opening) {
		if o.Another != what {
			t.Errorf("got %q, want %q", o.Another, what)
		}
	}
}

func behind(server bool) func(*testing.T, Opening) {
	return func(t *testing.T, o Opening) {
		if o.ServerBehindNAT == nil || *o.ServerBehindNAT != server {
			t.Errorf("got %v, want %v", o.ServerBehindNAT, server)
		}
	}
}

// Nobody listens: TCP is refused by a reset, UDP by ICMP, which the laptop hears, or where it may not, its sockets.
func TestOwnRefused(t *testing.T) {
	nobody := func(*vpnHost) {}
	for name, tt := range map[string]struct {
		change func(*vpnHost)
		once   bool // systems send few ICMP errors
		how    string
		heard  int
	}{
		"heard":      {nobody, false, "icmp 3/3 from 198.51.100.20", 1},
		"heard-once": {nobody, true, "icmp 3/3 from 198.51.100.20", 1},
		"deaf":       {func(h *vpnHost) { h.laptop.Deny = map[string]error{"raw": syscall.EPERM} }, false, "by ICMP: port unreachable", 0},
	} {
		t.Run(name, func(t *testing.T) {
			askedOwn(t, nil, func(h *vpnHost) { tt.change(h); h.refuseUDP(tt.once) }, func(h *vpnHost, own Own) {
				h.wants(own, map[string]string{"": "blocked-out own-refused"})
				if d := own.Ended.Sub(own.Started); d > 2*time.Second {
					t.Errorf("it took %v: two refusals are enough", d)
				}
				for _, o := range own.Openings {
					if o.Over == "udp" && len(o.Stages[0].Exchanges) != 2 {
						t.Errorf("%s: asked %d times, want 2", o.ID, len(o.Stages[0].Exchanges))
					}
					for i, e := range o.Stages[0].Exchanges {
						if o.Over == "udp" && !(tt.once && i > 0) && (len(e.ICMPAtClient) != tt.heard || e.Refused != tt.how) {
							t.Errorf("%s: got %q, %v", e.ID, e.Refused, e.ICMPAtClient)
						}
					}
				}
			})
		})
	}
}

// refuseUDP answers the laptop's datagrams by ICMP, as a machine where nobody listens, or only the first ones, and drops the others.
func (h *vpnHost) refuseUDP(once bool) {
	between, began := h.fake.Between, time.Now()
	h.fake.Between = func(p sock.FakePacket) []sock.FakePacket {
		if p.Proto != wire.IPProtoUDP || p.Src.Addr() != ownLaptop {
			return between(p)
		}
		if once && time.Since(began) > time.Second/2 {
			return nil
		}
		u := wire.UDP{SrcPort: p.Src.Port(), DstPort: p.Dst.Port(), Length: uint16(8 + len(p.Payload))}
		icmp := wire.ICMPError{Type: wire.ICMPUnreachable, Code: 3, Quoted: append(u.Append(nil), p.Payload...)[:16], Header: wire.IPv4{
			TotalLength: uint16(28 + len(p.Payload)), ID: p.IPID, TTL: 60, Protocol: wire.IPProtoUDP, Src: ownLaptop, Dst: ownHost}}
		return []sock.FakePacket{{Proto: wire.IPProtoICMP, Src: netip.AddrPortFrom(ownHost, 0), Dst: netip.AddrPortFrom(ownLaptop, 0), TTL: 64, Payload: icmp.Append(nil)}}
	}
}

// Without the privilege to hear ICMP the openings are answered all the same.
func TestOwnDeaf(t *testing.T) {
	askedOwn(t, OpeningIDs, func(h *vpnHost) { h.laptop.Deny = map[string]error{"raw": syscall.EPERM} }, func(h *vpnHost, own Own) {
		h.wants(own, map[string]string{"": "passed", OpeningPPTP: "inconclusive own-control-only"})
	})
}

// A stranger in the server's name answers nothing: what counts is the SPI, the Tunnel ID, the session ID.
func TestOwnStrangers(t *testing.T) {
	askedOwn(t, OpeningIDs, func(h *vpnHost) {
		between := h.fake.Between
		h.fake.Between = func(p sock.FakePacket) []sock.FakePacket {
			if p.Proto == wire.IPProtoUDP && p.Src.Addr() == ownHost && len(p.Payload) > 20 {
				p.Payload[map[uint16]int{500: 3, 1701: 5, 1194: 15}[p.Src.Port()]] ^= 0x55
			}
			return append(between(p), between(p)...)
		}
	}, func(h *vpnHost, own Own) {
		for _, id := range []string{OpeningIKEv1, OpeningIKEv2, OpeningL2TP, OpeningOpenVPNUDP} {
			o := own.opening(id)
			if a := JudgeOpening(o, nil); a.Verdict != Inconclusive || len(o.Strangers) == 0 || len(o.Strangers) > maxStrangers {
				t.Errorf("%s: got %s %s with %d strangers", id, a.Verdict, a.Reason, len(o.Strangers))
			}
		}
	})
}

// What was seen survives the report: judged again it is the same.
func TestOwnSurvivesJSON(t *testing.T) {
	askedOwn(t, []string{OpeningIKEv2, OpeningPPTP, OpeningSSTP}, func(h *vpnHost) { h.self = ownInside }, func(h *vpnHost, own Own) {
		b, err := json.Marshal(own)
		var again Own
		if err := errors.Join(err, json.Unmarshal(b, &again)); err != nil {
			t.Fatal(err)
		}
		for _, carried := range []map[string]Verdict{nil, {"ike": Passed, "l2tp": BlockedOut}} {
			if diff := cmp.Diff(own.Judge(carried), again.Judge(carried), cmpopts.EquateComparable(netip.Addr{})); diff != "" {
				t.Error(diff)
			}
		}
	})
}

func TestOwnFinds(t *testing.T) {
	v4, v6 := netip.MustParseAddr("198.51.100.20"), netip.MustParseAddr("2001:db8::20")
	for _, tt := range []struct {
		name   string
		host   string
		family int
		found  []netip.Addr
		err    error
		look   LaptopFacts
		addr   netip.Addr
		why    Reason
	}{
		{"address", "198.51.100.20", 0, nil, nil, LaptopFacts{}, v4, ""},
		{"name", "vpn.example", 0, []netip.Addr{v6, v4}, nil, LaptopFacts{}, v4, ""},
		{"name-of-6", "vpn.example", 6, []netip.Addr{v4, v6}, nil, LaptopFacts{}, v6, ""},
		{"name-without-4", "vpn.example", 4, []netip.Addr{v6}, nil, LaptopFacts{}, netip.Addr{}, NoAddress},
		{"name-without-any", "vpn.example", 0, nil, nil, LaptopFacts{}, netip.Addr{}, NoAddress},
		{"no-such-name", "vpn.example", 0, nil, errors.New("no such host"), LaptopFacts{}, netip.Addr{}, UnknownHost},
		{"multicast", "224.0.0.1", 0, nil, nil, LaptopFacts{}, netip.Addr{}, CouldNotAsk},
		{"everybody", "255.255.255.255", 0, nil, nil, LaptopFacts{}, netip.Addr{}, CouldNotAsk},
		{"nobody", "0.0.0.0", 0, nil, nil, LaptopFacts{}, netip.Addr{}, CouldNotAsk},
		{"active-vpn", "198.51.100.20", 0, nil, nil, LaptopFacts{VPN: "tun0"}, v4, ActiveVPN},
		{"on-link", "198.51.100.20", 0, nil, nil, LaptopFacts{OnLink: true}, v4, ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			laptop := sock.NewFake().Host(ownLaptop, netip.MustParseAddr("2001:db8:1::11"))
			own := AskOwn(t.Context(), OwnConfig{
				Net: laptop, Host: tt.host, Family: tt.family, Only: []string{},
				Look:    func(netip.Addr) LaptopFacts { return tt.look },
				Resolve: func(context.Context, string, string) ([]netip.Addr, error) { return tt.found, tt.err },
			})
			var why Reason
			if own.Why != nil {
				why = own.Why.Reason
			}
			if own.Addr != tt.addr || why != tt.why || own.OnLink != tt.look.OnLink || len(own.Openings) != 0 || own.Ended.IsZero() {
				t.Errorf("got %+v (%s), want %v (%s)", own, why, tt.addr, tt.why)
			}
		})
	}
}

// On a laptop that is in no network, a name that is not found is no fault of the name.
func TestNamelessWithoutNetwork(t *testing.T) {
	find := func(context.Context, string, string) ([]netip.Addr, error) { return nil, errors.New("no such host") }
	for want, laptop := range map[Reason]*sock.FakeHost{
		NoRoute: sock.NewFake().Host(), UnknownHost: sock.NewFake().Host(netip.MustParseAddr("2001:db8:1::11")),
	} {
		own := AskOwn(t.Context(), OwnConfig{Net: laptop, Host: "vpn.example", Only: []string{}, Resolve: find})
		_, _, none := resolve(t.Context(), Config{Net: laptop, Host: "test.example", Resolve: find})
		if own.Why == nil || own.Why.Reason != want || none == nil || none.Reason != want {
			t.Errorf("got %+v and %+v, want %s", own.Why, none, want)
		}
	}
}

// Called off, what was not answered by then was not asked.
func TestOwnCalledOff(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	own := AskOwn(ctx, OwnConfig{Net: sock.NewFake().Host(ownLaptop), Host: ownHost.String()})
	for _, a := range own.Judge(nil) {
		if a.Verdict != Untested || a.Reason != Interrupted {
			t.Errorf("%s: got %s %s", a.ID, a.Verdict, a.Reason)
		}
	}
}

// An answer from another address, or another port, is not the server's.
func TestOwnOtherAddress(t *testing.T) {
	for name, from := range map[string]netip.AddrPort{"address": netip.AddrPortFrom(ownInside, 0), "port": netip.AddrPortFrom(ownHost, 4500)} {
		t.Run(name, func(t *testing.T) {
			askedOwn(t, OpeningIDs, func(h *vpnHost) {
				between := h.fake.Between
				h.fake.Between = func(p sock.FakePacket) []sock.FakePacket {
					if p.Proto == wire.IPProtoUDP && p.Src.Addr() == ownHost {
						if p.Src = netip.AddrPortFrom(from.Addr(), p.Src.Port()); from.Port() != 0 {
							p.Src = from
						}
					}
					return between(p)
				}
			}, func(h *vpnHost, own Own) {
				for _, id := range []string{OpeningIKEv1, OpeningIKEv2, OpeningL2TP, OpeningOpenVPNUDP} {
					if a := JudgeOpening(own.opening(id), nil); a.Verdict != Inconclusive {
						t.Errorf("%s: got %s %s", a.ID, a.Verdict, a.Reason)
					}
				}
			})
		})
	}
}
