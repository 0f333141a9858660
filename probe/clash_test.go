package probe

import (
	"net/netip"
	"testing"
	"time"

	"vpncheck/probe/wire"
	"vpncheck/probe/witness"
)

// shared is a toy of a carrier, with a second form to the server's other address that may be asked in doubt alone.
type shared struct {
	toy
	carrier wire.Carrier
	inDoubt bool
}

func (p shared) Info() Info {
	i := toy{}.Info()
	i.Parts = append(i.Parts, Part{ID: "second", Title: "to the second address", Second: true, InDoubt: p.inDoubt, Rounds: 3})
	i.Stages[0].Carrier = p.carrier
	return i
}

// Another laptop behind the same address may be the cause of what looks like a block, of a protocol without ports (F11, T05).
func TestJudgeOthers(t *testing.T) {
	one := &wire.Others{Count: 1, Last: runStart.Add(-3 * time.Minute)}
	for _, c := range []struct {
		name          string
		carrier       wire.Carrier
		inDoubt       bool
		tries, second string
		others        *wire.Others
		verdict       Verdict
		reason        Reason
	}{
		{"nobody-else", wire.CarrierESP, false, "o,o,o,o,o,o", "", nil, BlockedOut, NoArrival},
		{"nobody-of-late", wire.CarrierESP, false, "o,o,o,o,o,o", "", &wire.Others{}, BlockedOut, NoArrival},
		{"out", wire.CarrierESP, false, "o,o,o,o,o,o", "", one, Inconclusive, StateClash},
		{"back", wire.CarrierGRE, false, "b,b,b,b,b,b", "", one, Inconclusive, StateClash},
		{"under-way", wire.CarrierAH, true, "o,o,o,o,o,o", "", &wire.Others{Running: 1}, Inconclusive, StateClash},
		{"passed-stays", wire.CarrierESP, false, "pppppppppppp", "", one, Passed, ""},
		{"altered-stays", wire.CarrierAH, true, "k,k,k", "", one, Altered, PayloadAltered},
		{"has-ports", wire.CarrierIKE, false, "o,o,o,o,o,o", "", one, BlockedOut, NoArrival},
		{"has-call-ids", wire.CarrierGREv1, false, "o,o,o,o,o,o", "", one, BlockedOut, NoArrival},
		{"second-dies-where-nobody-was", wire.CarrierAH, true, "o,o,o,o,o,o", "o,o,o,o,o,o", one, BlockedOut, NoArrival},
		{"second-dies-where-two-may-have-been", wire.CarrierAH, true, "o,o,o,o,o,o", "o,o,o,o,o,o", &wire.Others{Count: 2}, Inconclusive, StateClash},
		{"second-dies-where-everybody-goes", wire.CarrierESP, false, "o,o,o,o,o,o", "o,o,o,o,o,o", one, Inconclusive, StateClash},
		{"second-passes", wire.CarrierAH, true, "o,o,o,o,o,o", "ppp", one, Inconclusive, StateClash},
	} {
		t.Run(c.name, func(t *testing.T) {
			o := drawn(c.tries)
			for _, e := range drawn(c.second).Exchanges {
				e.ID, e.Part = e.ID+"b", "second"
				o.Exchanges = append(o.Exchanges, e)
			}
			with := proven()
			with.Server.Carriers = append(with.Server.Carriers, wire.CarrierState{Carrier: c.carrier, Ready: true, Proof: &wire.Proof{At: runStart}})
			with.Server.Others = c.others
			f := Judge(shared{carrier: c.carrier, inDoubt: c.inDoubt}, o, with)
			if f.Verdict != c.verdict || f.Reason != c.reason {
				t.Errorf("got %s (%s), want %s (%s)", f.Verdict, f.Reason, c.verdict, c.reason)
			}
		})
	}
	if e := OthersEvidence(Circumstances{Server: ServerFacts{Others: one}, Control: Control{Started: runStart}}); e.Args["count"] != 1 || e.Args["minutes"] != 4 {
		t.Errorf("got %+v", e)
	}
}

// A server behind the laptop's own router is not tested over the internet (F57).
func TestHairpin(t *testing.T) {
	for _, c := range []struct {
		name                           string
		local, client, server, gateway string
		wan                            string
		want                           bool
	}{
		{"behind-a-nat", "192.168.1.11", "203.0.113.2", "198.51.100.10", "192.168.1.1", "203.0.113.2", false},
		{"no-nat", "203.0.113.2", "203.0.113.2", "198.51.100.10", "203.0.113.1", "", false},
		{"no-nat-inside", "10.1.0.5", "10.1.0.5", "10.2.0.10", "10.1.0.1", "", false},
		{"seen-from-the-servers-own-address", "192.168.1.11", "198.51.100.10", "198.51.100.10", "192.168.1.1", "", true},
		{"seen-from-the-gateway", "192.168.1.11", "192.168.1.1", "198.51.100.10", "192.168.1.1", "", true},
		{"the-routers-own-address", "192.168.1.11", "203.0.113.2", "198.51.100.10", "192.168.1.1", "198.51.100.10", true},
		{"nothing-is-known", "", "", "198.51.100.10", "", "", false},
		{"no-session-yet", "192.168.1.11", "", "", "", "", false},
	} {
		t.Run(c.name, func(t *testing.T) {
			addr := func(s string) netip.Addr { a, _ := netip.ParseAddr(s); return a }
			with := proven()
			with.Server.Address, with.Server.Client = addr(c.server), netip.AddrPortFrom(addr(c.client), 40000)
			with.Laptop.Local, with.Laptop.Gateway = addr(c.local), addr(c.gateway)
			if c.wan != "" {
				with.Router = &witness.Router{WAN: addr(c.wan)}
			}
			if got := Hairpin(with); got != c.want {
				t.Errorf("got %v, want %v", got, c.want)
			}
			want := BlockedOut
			if c.want {
				want = Untested
			}
			if f := Judge(toy{}, drawn("o,o,o,o,o,o"), with); f.Verdict != want || c.want && f.Reason != ServerHairpin {
				t.Errorf("got %s (%s), want %s", f.Verdict, f.Reason, want)
			}
		})
	}
}

// follower is a toy that comes after NAT-T's own conversation and has its port, and another form from another port.
type follower struct {
	toy
	port uint16
}

func (p follower) Info() Info {
	i := toy{}.Info()
	i.After = []string{"ike", "natt"}
	i.Parts = append(i.Parts, Part{ID: "other", Title: "from another port", StandsIn: true, Rounds: 3})
	i.Stages[0].Port = p.port
	return i
}

// What another conversation from the same stock port spent of a flow is no other device's doing (F13, F15).
func TestJudgeSpent(t *testing.T) {
	for _, c := range []struct {
		name    string
		port    uint16
		other   string
		beside  map[string]Tally
		verdict Verdict
		reason  Reason
	}{
		{"spent", 4500, "ppp", map[string]Tally{"natt": {Stalled: true}}, Stalled, StoppedAfterN},
		{"another-ports", 4500, "ppp", map[string]Tally{"ike": {Stalled: true}}, Inconclusive, PortClash},
		{"of-ike", 500, "ppp", map[string]Tally{"ike": {Stalled: true}}, Stalled, StoppedAfterN},
		{"not-stalled", 4500, "ppp", map[string]Tally{"natt": {Tries: 30, Returned: 30}}, Inconclusive, PortClash},
		{"nobody-was-asked", 4500, "ppp", nil, Inconclusive, PortClash},
		{"dead-from-everywhere", 4500, "o,o,o,o,o,o", map[string]Tally{"natt": {Stalled: true}}, BlockedOut, UDPPortDropped},
	} {
		t.Run(c.name, func(t *testing.T) {
			o := drawn("o,o,o,o,o,o")
			for _, e := range drawn(c.other).Exchanges {
				e.ID, e.Part = e.ID+"b", "other"
				o.Exchanges = append(o.Exchanges, e)
			}
			with := proven()
			with.Beside = c.beside
			f := Judge(follower{port: c.port}, o, with)
			if f.Verdict != c.verdict || f.Reason != c.reason {
				t.Errorf("got %s (%s), want %s (%s)\n%+v", f.Verdict, f.Reason, c.verdict, c.reason, f)
			}
		})
	}
}
