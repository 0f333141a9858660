package testserver

import (
	"bytes"
	"net/netip"
	"testing"
	"testing/synctest"

	"vpncheck/probe/wire"
)

// Random octets on each port are answered in kind, told as what they are, and prove nothing of the port's protocol.
func TestRandom(t *testing.T) {
	for _, row := range []struct {
		carrier wire.Carrier
		port    uint16
	}{{wire.CarrierIKE, wire.IKEPort}, {wire.CarrierNATT, wire.NATTPort}, {wire.CarrierL2TP, wire.L2TPPort}} {
		t.Run(string(row.carrier), func(t *testing.T) {
			inWorld(t, func(_ *world, cfg *Config) { cfg.Responders = []Responder{IKE(), NATT(), L2TP()} }, func(w *world) {
				c := w.open(w.laptop, row.carrier, wire.CarrierRandom)
				conn, to := w.udp(w.laptop, laptopAddr), netip.AddrPortFrom(serverOther, row.port)
				b := wire.AppendRandom(nil, 464, wire.Tag{Token: c.token(wire.CarrierRandom)})
				copy(b, []byte{0, 0, 0, 0}) // on port 4500 this begins like IKE
				w.emit(conn, to, b)
				s := w.hear(conn)
				tag, err := wire.ParseRandom(s.Bytes)
				if err != nil || len(s.Bytes) != len(b) || bytes.Equal(s.Bytes[:200], b[:200]) || s.Src != to {
					t.Errorf("got %d octets from %v, %v; want as many others, from %v", len(s.Bytes), s.Src, err, to)
				}
				c.answered(wire.CarrierRandom, tag.Token)
				if saw := c.saw(); saw.Silent != "" || saw.Replied.State != wire.Seen {
					t.Errorf("got %+v", saw)
				}
				if proofs := w.state.Proofs(); len(proofs) != 0 {
					t.Errorf("got the proofs %v, want none", proofs)
				}
				w.emit(conn, to, append([]byte{1}, b...)) // the same token in other octets
				if saw := c.saw(); saw.Silent != "replay" {
					t.Errorf("got %+v, want no answer", saw)
				}
			})
		})
	}
}

// Strangers' random octets are nobody's, and an address that has not shown that it receives gets no more than it sent.
func TestRandomStrangers(t *testing.T) {
	inWorld(t, func(_ *world, cfg *Config) { cfg.Responders = []Responder{IKE(), NATT(), L2TP()} }, func(w *world) {
		c := w.open(w.laptop, wire.CarrierIKE, wire.CarrierRandom)
		other := w.udp(w.other, otherAddr)
		before := len(w.left())
		for _, port := range []uint16{wire.IKEPort, wire.NATTPort, wire.L2TPPort} {
			for _, token := range []wire.Token{
				{}, c.mint.Make(wire.Answer, wire.CarrierRandom, 1), c.mint.Make(wire.Question, wire.CarrierIKE, 1),
				wire.NewMint(c.session.ID, make([]byte, 32)).Make(wire.Question, wire.CarrierRandom, 1),
			} {
				b := wire.AppendRandom(nil, 100, wire.Tag{Token: token})
				b[0] |= 0x80 // of L2TP, not a data message
				w.emit(other, netip.AddrPortFrom(serverAddr, port), b)
			}
			w.emit(other, netip.AddrPortFrom(serverAddr, port), []byte{wire.NATKeepalive})
		}
		synctest.Wait()
		if n := len(w.left()) - before; n != 0 {
			t.Errorf("%d packets left the server for strangers, want none", n)
		}
		w.emit(other, netip.AddrPortFrom(serverAddr, wire.IKEPort), wire.AppendRandom(nil, 100, wire.Tag{Token: c.token(wire.CarrierRandom)}))
		if s := w.hear(other); len(s.Bytes) != 100 {
			t.Errorf("got %d octets for 100", len(s.Bytes))
		}
	})
}
