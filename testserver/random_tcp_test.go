package testserver

import (
	"bytes"
	"context"
	"io"
	"net/netip"
	"testing"
	"testing/synctest"
	"time"

	"vpncheck/probe/sock"
	"vpncheck/probe/wire"
)

func withStreams(_ *world, cfg *Config) { cfg.Responders = []Responder{OpenVPNTCP(), PPTP(), SSTP()} }

var streamPorts = []struct {
	carrier wire.Carrier
	port    uint16
	octets  int // of the protocol's opening
}{{wire.CarrierOpenVPNTCP, wire.OpenVPNPort, 16}, {wire.CarrierPPTP, 1723, 156}, {wire.CarrierSSTP, 443, 230}}

// said writes octets on a new connection, and returns all that comes back until it ends, or nothing more does.
func (w *world) said(from *sock.FakeHost, port uint16, b []byte) []byte {
	w.t.Helper()
	conn, err := from.Dial(context.Background(), netip.Addr{}, netip.AddrPortFrom(serverOther, port))
	if err != nil {
		w.t.Fatal(err)
	}
	defer conn.Close()
	conn.Write(b)
	conn.SetReadDeadline(time.Now().Add(time.Second))
	got, _ := io.ReadAll(conn)
	return got
}

// noise is as many octets without a form, with a token of some carrier at their end.
func (c *client) noise(carrier wire.Carrier, octets int) []byte {
	if octets < wire.RandomSize {
		c.number++
		return wire.AppendBriefRandom(nil, octets, c.mint.Brief(wire.Question, carrier, c.number))
	}
	b := wire.AppendRandom(nil, octets, wire.Tag{Token: c.token(carrier)})
	b[0] = 0xFF // no record of TLS
	return b
}

// Random octets at the beginning of a connection are answered in kind, and told as what they are.
func TestRandomStream(t *testing.T) {
	for _, row := range streamPorts {
		t.Run(string(row.carrier), func(t *testing.T) {
			inWorld(t, withStreams, func(w *world) {
				c := w.open(w.laptop, row.carrier, wire.CarrierRandomTCP)
				b := c.noise(wire.CarrierRandomTCP, row.octets)
				got := w.said(w.laptop, row.port, b)
				if len(got) != len(b) || bytes.Equal(got[:8], b[:8]) {
					t.Fatalf("got %d octets, want %d others", len(got), len(b))
				}
				if brief, err := wire.ParseBriefRandom(got); err == nil {
					if n, ok := c.mint.ReadBrief(wire.Answer, wire.CarrierRandomTCP, brief); !ok || n != c.number {
						t.Error("it has no token")
					}
				} else if tag, err := wire.ParseRandom(got); err != nil {
					t.Error(err)
				} else {
					c.answered(wire.CarrierRandomTCP, tag.Token)
				}
				if saw := c.nextSaw(); saw.Silent != "" || saw.Exchange != c.number || !bytes.Equal(saw.Arrived.Bytes, b) || !bytes.Equal(saw.Replied.Bytes, got) {
					t.Errorf("got %+v", saw)
				}
				w.said(w.laptop, row.port, append([]byte{0xFF}, b...)) // the same token in other octets
				if saw := c.nextSaw(); saw.Silent != "replay" {
					t.Errorf("got %+v, want no answer", saw)
				}
			})
		})
	}
}

// Nobody gets an answer whose token is not for this: the server is silent as it would be to anybody.
func TestRandomStreamStrangers(t *testing.T) {
	inWorld(t, withStreams, func(w *world) {
		c := w.open(w.laptop, wire.CarrierOpenVPNTCP, wire.CarrierRandomTCP)
		for _, row := range streamPorts {
			for _, b := range [][]byte{
				c.noise(wire.CarrierRandom, row.octets), c.noise(row.carrier, row.octets), bytes.Repeat([]byte{0xFF}, row.octets), {0xFF},
				wire.AppendRandom(nil, 100, wire.Tag{Token: wire.NewMint(c.session.ID, make([]byte, 32)).Make(wire.Question, wire.CarrierRandomTCP, 1)}),
			} {
				b[0] |= 0x80
				if got := w.said(w.laptop, row.port, b); len(got) > 0 {
					t.Errorf("TCP port %d answered %x with %x", row.port, b, got)
				}
			}
		}
		if got := w.said(w.laptop, 8443, c.noise(wire.CarrierRandomTCP, 230)); len(got) > 0 { // SSTP is not asked there
			t.Errorf("the other link port answered %x", got)
		}
		synctest.Wait()
		if got := w.said(w.other, wire.OpenVPNPort, c.noise(wire.CarrierRandomTCP, 16)); len(got) != 16 { // a provider's NAT may send it from elsewhere
			t.Errorf("got %d octets for 16", len(got))
		}
	})
}
