package probe

import (
	"crypto/sha1"
	"net/netip"
	"testing"
	"time"

	"vpncheck/probe/wire"
)

// FuzzOwnAnswers lets a server of somebody else's say anything: nothing panics, what is kept of it is short and printable, and the judge has a
// word for it.
func FuzzOwnAnswers(f *testing.F) {
	h := &vpnHost{self: ownInside}
	first, err := wire.ParseIKE(newOwnSA(netip.AddrPort{}, netip.AddrPort{}).init())
	if err != nil {
		f.Fatal(err)
	}
	for _, b := range h.ikev2(first, netip.AddrPort{}) {
		f.Add(b)
	}
	main := &ownMain{spi: 1, peer: 0x99, hash: sha1.New, natT: true, public: make([]byte, 256), nonce: make([]byte, 32)}
	for _, b := range [][]byte{main.first(), main.third()} {
		m, err := wire.ParseIKE(b)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(b)
		for _, b := range h.ikev1(m, netip.AddrPort{}) {
			f.Add(b)
		}
	}
	f.Add(wire.L2TPControl(1, 0, 0, 1, wire.AVP16(wire.AVPMessageType, wire.L2TPStopCCN), wire.L2TPResult{ResultCode: 2, ErrorMessage: "\x1b[2J"}.AVP()).Append(nil))
	f.Add(wire.StartControlConnectionReply{ResultCode: 1, HostName: "a\r\nhost", VendorName: "\xff"}.Append(nil))
	f.Add(wire.EnhancedGRE{CallID: 7, HasSeq: true, HasAck: true, Ack: 1, Payload: lcpFrame(wire.LCP{Code: wire.ConfigureRequest})}.Append(nil))
	f.Fuzz(func(t *testing.T, b []byte) {
		talk := &ownTalk{a: &asker{addr: ownHost, local: ownLaptop}, o: opened(OpeningIKEv2, "answered")}
		s := wire.Sighting{State: wire.Seen, Bytes: b}
		sa := newOwnSA(netip.AddrPort{}, netip.AddrPort{})
		sa.reads(2)(s)
		if sa.heard(talk, b) && len(sa.init()) > 2000 {
			t.Errorf("it is asked again with %d octets", len(sa.init()))
		}
		main := &ownMain{spi: 1, hash: sha1.New}
		if main.chosen(talk, b) && len(main.third()) > 2000 {
			t.Errorf("it is asked again with %d octets", len(main.third()))
		}
		main.tells(talk, b)
		call := &ownCall{t: talk, own: 7, seq: 1}
		call.read(s)
		if m, err := wire.ParseL2TP(b); err == nil {
			talk.stoppedL2TP(m)
		}
		if m, _, err := wire.ParsePPTP(b); err == nil {
			if reply, ok := m.(wire.StartControlConnectionReply); ok {
				talk.greeted(reply)
			}
		}
		talk.stranger(wire.Sighting{State: wire.Seen, At: time.Now(), Bytes: b})
		for _, told := range append(talk.o.Told, Told{"declined", talk.o.Declined}) {
			if len(told.Text) > maxToldText || ownText(told.Text) != told.Text {
				t.Errorf("kept %q of %s", told.Text, told.What)
			}
		}
		if len(talk.o.Told) > maxTold || len(talk.o.Strangers[0].Bytes) > 256 {
			t.Errorf("kept %d things, %d octets", len(talk.o.Told), len(talk.o.Strangers[0].Bytes))
		}
		if a := JudgeOpening(talk.o, nil); a.Verdict != Passed {
			t.Errorf("got %+v of what was answered", a)
		}
	})
}
