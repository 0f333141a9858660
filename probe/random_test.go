package probe

import (
	"fmt"
	"net/netip"
	"slices"
	"testing"
	"time"

	"vpncheck/probe/wire"
)

// fared draws how questions of a kind fared: p passed, b lost on the way back, o lost on the way out, ? the server could not tell.
func fared(part, tries string) (out []Exchange) {
	at := runStart.Add(4 * time.Second)
	for i, c := range tries {
		e := drawnTry(c, 1, i+1, at.Add(time.Duration(i)*randomEvery))
		e.ID, e.Part, e.Sent.Dst = fmt.Sprintf("ike/%s%d", part, i), part, netip.MustParseAddrPort("198.51.100.10:500")
		out = append(out, e)
	}
	return out
}

// Only octets without a form that pass at the same time at which openings do not tell of inspection (F12).
func TestContrast(t *testing.T) {
	for _, c := range []struct {
		name                  string
		stock, fresh, opening string
		verdict               Verdict
		want                  Reason
	}{
		{"inspection", "ppppp", "ppppp", "ooooo", BlockedOut, UDPContentDropped},
		{"inspection-that-remembers", "ooooo", "ppppp", "ooooo", BlockedOut, UDPContentDropped},
		{"answers-need-not-come-back", "bbbbb", "bbbbb", "ooooo", BlockedOut, UDPContentDropped},
		{"a-lossy-line", "popop", "poopp", "ooooo", BlockedOut, UDPContentDropped},
		{"no-stock-port", "", "ppppp", "ooooo", BlockedOut, UDPContentDropped},
		{"of-the-answers", "ppppp", "ppppp", "bbbbb", BlockedBack, UDPContentBackDropped},
		{"answers-lost-all", "bbbbb", "bbbbb", "bbbbb", BlockedBack, ""},
		{"port", "ooooo", "ooooo", "ooooo", BlockedOut, ""},
		{"few-passed", "ppooo", "oooop", "ooooo", BlockedOut, ""},
		{"cut-short", "pp", "pp", "ooooo", BlockedOut, ""},
		{"openings-pass-by-now", "ppppp", "ppppp", "ooppp", BlockedOut, ""},
		{"answers-come-back-by-now", "ppppp", "ppppp", "bbbbp", BlockedBack, ""},
		{"openings-were-not-asked", "ppppp", "ppppp", "", BlockedOut, ""},
		{"two-openings-are-few", "ppppp", "ppppp", "oo", BlockedOut, ""},
		{"openings-nobody-could-see", "ppppp", "ppppp", "oo???", BlockedOut, ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			o := Observation{Random: append(append(fared(randomStock, c.stock), fared(randomFresh, c.fresh)...), fared(randomOpening, c.opening)...)}
			got, because := inspected(contrastOf(o, controlOf(clean, clean)), c.verdict)
			if got != c.want || len(because) != 1 || because[0].Args["port"] != 500 || because[0].Args["content"] != (c.want != "") {
				t.Errorf("got %q, %+v, want %q", got, because, c.want)
			}
		})
	}
	if got, because := inspected(contrastOf(Observation{}, controlOf(clean, clean)), BlockedOut); got != "" || because != nil {
		t.Errorf("nothing was asked: got %q, %+v", got, because)
	}
}

// Where small random octets pass, and not one packet of an opening's size, with its form or without, it is the size (F08).
func TestContrastSize(t *testing.T) {
	for _, c := range []struct {
		name                         string
		stock, fresh, small, opening string
		verdict                      Verdict
		want                         Reason
	}{
		{"size", "ooooo", "ooooo", "ppppp", "ooooo", BlockedOut, FullSizeDropped},
		{"size-back", "bbbbb", "bbbbb", "ppppp", "bbbbb", BlockedBack, FullSizeDropped},
		{"no-stock-port", "", "ooooo", "popop", "ooooo", BlockedOut, FullSizeDropped},
		{"port", "ooooo", "ooooo", "ooooo", "ooooo", BlockedOut, ""},
		{"few-small-ones", "ooooo", "ooooo", "ppooo", "ooooo", BlockedOut, ""},
		{"a-large-one", "ooooo", "oopoo", "ppppp", "ooooo", BlockedOut, ""},
		{"a-large-one-from-the-stock-port", "opooo", "ooooo", "ppppp", "ooooo", BlockedOut, ""},
		{"an-opening", "ooooo", "ooooo", "ppppp", "oooop", BlockedOut, ""},
		{"openings-were-not-asked", "ooooo", "ooooo", "ppppp", "", BlockedOut, ""},
		{"large-ones-were-not-asked", "", "", "ppppp", "ooooo", BlockedOut, ""},
		{"only-from-the-stock-port", "ooooo", "oo", "ppppp", "ooooo", BlockedOut, ""},
		{"content", "ppppp", "ppppp", "ppppp", "ooooo", BlockedOut, UDPContentDropped},
	} {
		t.Run(c.name, func(t *testing.T) {
			o := Observation{Random: slices.Concat(fared(randomStock, c.stock), fared(randomFresh, c.fresh), fared(randomSmall, c.small), fared(randomOpening, c.opening))}
			for i := range o.Random {
				o.Random[i].Sent.Proto = wire.IPProtoUDP
				if o.Random[i].Part != randomSmall {
					o.Random[i].Sent.Bytes = make([]byte, 1240)
				}
			}
			got, because := inspected(contrastOf(o, controlOf(clean, clean)), c.verdict)
			if got != c.want {
				t.Fatalf("got %q, want %q: %+v", got, c.want, because)
			}
			if got == FullSizeDropped && (because[1].Args["octets"] != 1268 || because[1].Args["way"] != map[Verdict]string{BlockedOut: WayOut, BlockedBack: WayBack}[c.verdict]) {
				t.Errorf("got %+v", because[1])
			}
		})
	}
}

// A whole VPN borrows what IKE and NAT-T asked of the port that it died on, and no other's.
func TestContrastBorrowed(t *testing.T) {
	asked := func(id string, port uint16) map[string]Tally {
		return map[string]Tally{id: {Random: &Contrast{Port: port, Fresh: Tally{Tries: 5, Arrived: 5}, Opening: Tally{Tries: 5}}}}
	}
	for _, c := range []struct {
		name, stage string
		beside      map[string]Tally
		want        bool
	}{
		{"ike-at-the-opening", wholeInit, asked("ike", 500), true},
		{"the-other-whole-at-the-opening", wholeInit, asked("l2tp-ipsec", 500), true},
		{"natt-behind-it", wholeAuth, asked("natt", 4500), true},
		{"another-port", wholeAuth, asked("natt", 500), false},
		{"ike-behind-it", wholeAuth, asked("ike", 4500), false},
		{"the-other-whole-behind-it", wholeAuth, asked("l2tp-ipsec", 4500), false},
		{"nobody", wholeInit, nil, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			w, ok := asksRandom(IKEv2(), Finding{Verdict: BlockedOut, Reason: UDPPortDropped, Stage: c.stage})
			if !ok {
				t.Fatal("it asks no random octets")
			}
			if got := w.contrast(Observation{}, Circumstances{Beside: c.beside}, Control{}); (got != nil) != c.want {
				t.Errorf("got %+v", got)
			}
		})
	}
	own := Observation{Random: fared(randomFresh, "ooooo")}
	w, _ := asksRandom(IKEv2(), Finding{Verdict: BlockedOut, Reason: UDPPortDropped, Stage: wholeInit})
	if got := w.contrast(own, Circumstances{Beside: asked("ike", 500)}, controlOf(clean, clean)); got.Fresh.Arrived != 0 {
		t.Errorf("its own were asked, and it borrows: %+v", got)
	}
	if _, ok := asksRandom(IKEv2(), Finding{Verdict: BlockedOut, Reason: NoArrival, Stage: wholeData}); ok {
		t.Error("random octets are asked where the key exchange passed")
	}
}

// On TCP nothing but connections that opened are counted, and what is lost of all alike was not lost for what is in it (T14).
func TestStreamed(t *testing.T) {
	for _, c := range []struct {
		name, random, opening string
		verdict               Verdict
		want                  Reason
		content               bool
	}{
		{"inspection", "pppp", "oooo", BlockedOut, "", true},
		{"answers-need-not-come-back", "bbbb", "oooo", BlockedOut, "", true},
		{"a-lossy-line", "poop", "ooo", BlockedOut, "", true},
		{"of-the-answers", "pppp", "bbbb", BlockedBack, TCPContentBackDropped, true},
		{"answers-lost-all", "bbbb", "bbbb", BlockedBack, "", false},
		{"nothing-passes", "oooo", "oooo", BlockedOut, TCPConnectOnly, false},
		{"one-passed", "pooo", "oooo", BlockedOut, "", false},
		{"openings-pass-by-now", "oooo", "ooop", BlockedOut, "", false},
		{"both-pass-by-now", "pppp", "opoo", BlockedOut, "", false},
		{"two-are-few", "oo", "oooo", BlockedOut, "", false},
		{"one-opening-is-few", "pppp", "o", BlockedOut, "", false},
		{"nobody-could-see", "????", "????", BlockedOut, "", false},
	} {
		t.Run(c.name, func(t *testing.T) {
			o := Observation{Random: append(fared(randomFresh, c.random), fared(randomOpening, c.opening)...)}
			connects := fared(randomFresh, "ppppp")
			for i := range connects {
				connects[i].Stage = stageConnect
			}
			o.Random = append(o.Random, connects...)
			got, because := streamed(contrastOf(o, controlOf(clean, clean)), c.verdict)
			if c.random == "????" {
				if got != "" || because != nil {
					t.Errorf("got %q, %+v", got, because)
				}
				return
			}
			if got != c.want || len(because) != 1 || because[0].Args["over"] != "tcp" || because[0].Args["content"] != c.content || because[0].Args["asked"] != len(c.random) {
				t.Errorf("got %q, %+v, want %q", got, because, c.want)
			}
		})
	}
	if got, because := streamed(nil, BlockedOut); got != "" || because != nil {
		t.Errorf("nothing was asked: got %q, %+v", got, because)
	}
	dead := controlOf(outageFrom(18, 50), lateFrom(18, 50)) // from 3.6 s on
	o := Observation{Random: append(fared(randomFresh, "pppp"), fared(randomOpening, "oooo")...)}
	if got, _ := streamed(contrastOf(o, dead), BlockedBack); got != "" {
		t.Errorf("openings that fell into an outage: got %q", got)
	}
	o = Observation{Random: append(fared(randomFresh, "oooo"), fared(randomOpening, "oooo")...)}
	if got, _ := streamed(contrastOf(o, dead), BlockedOut); got != "" {
		t.Errorf("all that fell into an outage: got %q", got)
	}
}

// What one has asked already another does not ask again, where it is of the same port.
func TestBorrows(t *testing.T) {
	at := func(p Probe, stage string) withRandom {
		w, ok := asksRandom(p, Finding{Verdict: BlockedOut, Reason: UDPPortDropped, Stage: stage})
		if !ok {
			t.Fatalf("%s asks no random octets at %s", p.Info().ID, stage)
		}
		return w
	}
	for _, c := range []struct {
		name        string
		who, before withRandom
		want        bool
	}{
		{"ike", at(IKEv2(), wholeInit), at(IKE{}, ikeOpening), true},
		{"natt", at(L2TPIPsec(), wholeAuth), at(NATT{}, nattOpening), true},
		{"the-other-whole", at(L2TPIPsec(), wholeInit), at(IKEv2(), wholeInit), true},
		{"the-other-whole-further-on", at(L2TPIPsec(), wholeInit), at(IKEv2(), wholeAuth), false},
		{"both-further-on", at(L2TPIPsec(), wholeAuth), at(IKEv2(), wholeAuth), false},
		{"another-port", at(IKEv2(), wholeAuth), at(IKE{}, ikeOpening), false},
		{"l2tp", at(IKEv2(), wholeInit), at(L2TP{}, l2tpTunnelStage), false},
		{"nobody-borrows-of-a-whole", at(IKE{}, ikeOpening), at(IKEv2(), wholeInit), false},
	} {
		if got := c.who.borrows(c.before); got != c.want {
			t.Errorf("%s: got %t, want %t", c.name, got, c.want)
		}
	}
}

// Openings that fell into an outage were not dropped for what is in them.
func TestContrastOutage(t *testing.T) {
	dead := controlOf(outageFrom(18, 50), lateFrom(18, 50)) // from 3.6 s on
	o := Observation{Random: append(fared(randomFresh, "ppppp"), fared(randomOpening, "ooooo")...)}
	if got, _ := inspected(contrastOf(o, dead), BlockedOut); got != "" {
		t.Errorf("got %q, want no reason", got)
	}
}

// What befalls the line or the run after the last conversation is no part of its circumstances.
func TestAfterwards(t *testing.T) {
	c := proven()
	c.Control = controlOf(outageFrom(26, 50), lateFrom(26, 50))
	o := drawn("o,o,o,o,o,o")
	last := o.Exchanges[len(o.Exchanges)-1].Sent.At
	c.Over = last.Add(250 * time.Millisecond)
	if f := Judge(toy{}, o, c); f.Verdict != BlockedOut {
		t.Errorf("a line that dies at once afterwards: got %s (%s)", f.Verdict, f.Reason)
	}
	for _, x := range []struct {
		stop time.Time
		want Reason
	}{{c.Over.Add(time.Second), TooLossy}, {c.Over.Add(-time.Second), Interrupted}} {
		c := proven()
		c.Over, c.Stop = last.Add(250*time.Millisecond), &Stop{Reason: Interrupted, At: x.stop}
		if f := Judge(toy{}, drawn("ppopp"), c); f.Verdict != Inconclusive || f.Reason != x.want {
			t.Errorf("a run that ends at %v: got %s (%s), want %s", x.stop, f.Verdict, f.Reason, x.want)
		}
	}
}

func TestControlUntil(t *testing.T) {
	c := controlOf(clean, lateFrom(10, 50))
	got := c.until(runStart.Add(time.Second))
	if len(got.UDP) != 5 || len(got.TLS) != 5 {
		t.Errorf("got %d and %d beats of the first second, want 5 and 5", len(got.UDP), len(got.TLS))
	}
	if len(c.UDP) != 50 {
		t.Error("the whole was changed")
	}
	if all := c.until(runStart.Add(time.Hour)); len(all.UDP) != 50 || len(all.TLS) != 50 {
		t.Errorf("got %d and %d beats, want all", len(all.UDP), len(all.TLS))
	}
}
