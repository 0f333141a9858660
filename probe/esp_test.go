package probe

import (
	"fmt"
	"net/netip"
	"slices"
	"testing"
	"time"

	"vpncheck/probe/wire"
)

// heldESP is an exchange of a protocol whose packets are ESP, seen everywhere.
func heldESP(part, stage string, n int) Exchange {
	packet := func(spi, seq uint32) wire.Hex {
		return wire.ESP{SPI: spi, SequenceNumber: seq, Payload: make([]byte, wire.ESPPayload(84))}.Append(nil)
	}
	at := runStart.Add(2*time.Second + time.Duration(n)*150*time.Millisecond)
	see := func(b wire.Hex) wire.Sighting {
		return wire.Sighting{State: wire.Seen, At: at, Where: "raw", Bytes: slices.Clone(b)}
	}
	out, back := packet(0x01020304, uint32(n)), packet(0x0a0b0c0d, uint32(n))
	return Exchange{ID: fmt.Sprint(part, "/", n), Part: part, Stage: stage, Flow: 1, From: Client,
		Sent: see(out), Arrived: see(out), Replied: see(back), Returned: see(back)}
}

func TestESPChanges(t *testing.T) {
	for _, c := range []struct {
		name   string
		damage func(e *Exchange)
		want   []Change // but for the exchange
	}{
		{"nothing", func(*Exchange) {}, nil},
		{"spi-out", func(e *Exchange) { e.Arrived.Bytes[2] = 9 },
			[]Change{{Way: WayOut, Field: "SPI", Before: "01020304", After: "01020904", Offset: 2, Kills: PayloadAltered}}},
		{"number-back", func(e *Exchange) { e.Returned.Bytes[7] = 9 },
			[]Change{{Way: WayBack, Field: "sequence number", Before: "00000001", After: "00000009", Offset: 7, Kills: PayloadAltered}}},
		{"payload", func(e *Exchange) { e.Arrived.Bytes[30] = 9 },
			[]Change{{Way: WayOut, Field: "payload", Before: "0000000000000000", After: "0900000000000000", Offset: 30, Kills: PayloadAltered}}},
		{"cut-short", func(e *Exchange) { e.Arrived.Bytes = e.Arrived.Bytes[:40] },
			[]Change{{Way: WayOut, Field: "length", Before: "136", After: "40", Kills: PayloadAltered},
				{Way: WayOut, Field: "payload", Before: "0000000000000000", After: "", Offset: 40, Kills: PayloadAltered}}},
		{"cut-to-nearly-nothing", func(e *Exchange) { e.Arrived.Bytes = e.Arrived.Bytes[:2] },
			[]Change{{Way: WayOut, Field: "length", Before: "136", After: "2", Kills: PayloadAltered},
				{Way: WayOut, Field: "SPI", Before: "0304000000010000", After: "", Offset: 2, Kills: PayloadAltered}}},
	} {
		t.Run(c.name, func(t *testing.T) {
			for probe, part := range map[Probe]string{ESP{}: espWarm, NATT{}: nattZero} {
				e := heldESP(part, espTalk, 1)
				c.damage(&e)
				got := probe.Changes(Observation{Exchanges: []Exchange{e}}, e)
				for i := range got {
					got[i].Exchange = ""
				}
				if !slices.Equal(got, c.want) {
					t.Errorf("%s: got %+v, want %+v", probe.Info().ID, got, c.want)
				}
			}
		})
	}
}

func TestESPAddressesDiffer(t *testing.T) {
	one, other := netip.MustParseAddrPort("203.0.113.2:0"), netip.MustParseAddrPort("203.0.113.3:0")
	opening := Exchange{Part: espWarm, Stage: espOpening, Flow: 1, From: Client, Arrived: wire.Sighting{State: wire.Seen, Src: netip.AddrPortFrom(one.Addr(), 500)}}
	for _, c := range []struct {
		name              string
		esp, replied      netip.AddrPort
		withOpening, want bool
	}{
		{"same", one, one, true, false},
		{"another", other, one, true, true},
		{"another-unanswered", other, netip.AddrPort{}, true, true},
		{"opening-lost", other, one, false, true},
		{"no-ike-at-all", other, other, false, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			e := heldESP(espWarm, espTalk, 1)
			e.Sent.Src, e.Arrived.Src, e.Replied.Dst, e.Returned.Dst = c.esp, c.esp, c.replied, c.replied
			if !c.replied.IsValid() {
				e.Replied, e.Returned = wire.NotSeen(), wire.NotSeen()
			}
			o := Observation{Exchanges: []Exchange{e}}
			if c.withOpening {
				o.Exchanges = append(o.Exchanges, opening)
			}
			got := slices.ContainsFunc(ESP{}.Changes(o, e), func(ch Change) bool { return ch.Kills == AddressesDiffer })
			if got != c.want {
				t.Errorf("got %t, want %t", got, c.want)
			}
		})
	}
}

// talks draws the tries of several parts: p passed, o lost out, b lost back, half a second apart.
func talks(stage string, parts map[string]string) (o Observation) {
	for part, tries := range parts {
		for i, c := range tries {
			e := heldESP(part, stage, i*4+1)
			switch c {
			case 'o':
				e.Arrived, e.Replied, e.Returned = wire.NotSeen(), wire.NotSeen(), wire.NotSeen()
			case 'b':
				e.Returned = wire.NotSeen()
			}
			o.Exchanges = append(o.Exchanges, e)
		}
	}
	return o
}

const twelve = "pppppppppppp"

func provenFor(carriers ...wire.Carrier) Circumstances {
	c := proven()
	for _, x := range carriers {
		c.Server.Carriers = append(c.Server.Carriers, wire.CarrierState{Carrier: x, Ready: true, Proof: &wire.Proof{At: runStart}})
	}
	return c
}

func TestJudgeESP(t *testing.T) {
	for _, c := range []struct {
		name       string
		warm, cold string
		verdict    Verdict
		reason     Reason
		coldReason Reason
	}{
		{"passed", twelve, "ppppp", Passed, "", ""},
		{"cold-not-asked", twelve, "", Passed, "", ""},
		{"out", "oooooo", "oooooo", BlockedOut, ESPOutDropped, ESPOutDropped},
		{"back", "bbbbbb", "bbbbbb", BlockedBack, ESPBackDropped, ESPBackDropped},
		{"clash-out", "oooooo", "ppppp", Inconclusive, StateClash, ""},
		{"clash-back", "bbbbbb", "ppppp", Inconclusive, StateClash, ""},
		{"needs-ike", twelve, "oooooo", Passed, "", ESPAfterIKE},
		{"needs-ike-back", twelve, "bbbbbb", Passed, "", ESPAfterIKE},
	} {
		t.Run(c.name, func(t *testing.T) {
			o := talks(espTalk, map[string]string{espWarm: c.warm, espCold: c.cold})
			f := Judge(ESP{}, o, provenFor(wire.CarrierESP))
			if f.Verdict != c.verdict || f.Reason != c.reason {
				t.Errorf("got %s (%s), want %s (%s)", f.Verdict, f.Reason, c.verdict, c.reason)
			}
			for _, p := range f.Parts {
				if p.Part == espCold && p.Reason != c.coldReason {
					t.Errorf("cold: got %s (%s), want %s", p.Verdict, p.Reason, c.coldReason)
				}
			}
		})
	}
}
