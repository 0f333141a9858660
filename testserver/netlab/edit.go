package netlab

import (
	"encoding/binary"
	"math/rand/v2"
	"time"
)

// carried returns what an IPv4 packet of one protocol carries, if that is 8 octets or more, and the far end's address.
func carried(pkt []byte, proto byte, toLaptop bool) (b []byte, far [4]byte, ok bool) {
	if len(pkt) < 20 || pkt[0]>>4 != 4 || pkt[9] != proto {
		return nil, far, false
	}
	at := int(pkt[0]&0xf) * 4
	if at < 20 || len(pkt) < at+8 {
		return nil, far, false
	}
	if toLaptop {
		return pkt[at:], [4]byte(pkt[12:16]), true
	}
	return pkt[at:], [4]byte(pkt[16:20]), true
}

// greV1 returns PPTP's GRE.
func greV1(pkt []byte, toLaptop bool) ([]byte, bool) {
	b, _, ok := carried(pkt, gre, toLaptop)
	return b, ok && b[1]&7 == 1
}

// pass lets a packet through at once.
func pass(pkt []byte) []Passed { return []Passed{{Packet: pkt}} }

// outage makes a line that is dead for a second, from the fifth packet of PPTP data on.
func outage() Edit {
	const trigger, lasts = 5, time.Second
	var seen int
	var until time.Time
	return func(pkt []byte, toLaptop bool, now time.Time) []Passed {
		if _, ok := greV1(pkt, toLaptop); ok && !toLaptop {
			if seen++; seen == trigger {
				until = now.Add(lasts)
			}
		}
		if now.Before(until) {
			return nil
		}
		return pass(pkt)
	}
}

// cutsOff makes a line that dies for good once WireGuard was spoken on it.
func cutsOff() Edit {
	const port = 51820
	dead := false
	return func(pkt []byte, toLaptop bool, _ time.Time) []Passed {
		if b, _, ok := carried(pkt, udp, toLaptop); ok && !toLaptop && binary.BigEndian.Uint16(b[2:]) == port {
			dead = true
		}
		if dead {
			return nil
		}
		return pass(pkt)
	}
}

// wrongCallID makes a NAT that counts one too far: GRE has no checksum here, so nothing else changes.
func wrongCallID() Edit {
	return func(pkt []byte, toLaptop bool, _ time.Time) []Passed {
		if b, ok := greV1(pkt, toLaptop); ok && toLaptop {
			id := b[6:8]
			binary.BigEndian.PutUint16(id, binary.BigEndian.Uint16(id)+1)
		}
		return pass(pkt)
	}
}

// spiTracking makes a router that can tell ESP flows apart by guessing only: it knows the newest SPI on its way out to each address, and
// takes the first SPI that comes back from there for its answer.
func spiTracking() Edit {
	type flow struct {
		out, in uint32
		paired  bool
	}
	known := make(map[[4]byte]*flow)
	return func(pkt []byte, toLaptop bool, _ time.Time) []Passed {
		b, far, ok := carried(pkt, esp, toLaptop)
		if !ok {
			return pass(pkt)
		}
		spi, f := binary.BigEndian.Uint32(b), known[far]
		switch {
		case !toLaptop:
			if f == nil || f.out != spi {
				known[far] = &flow{out: spi}
			}
		case f == nil || f.paired && f.in != spi:
			return nil
		default:
			f.in, f.paired = spi, true
		}
		return pass(pkt)
	}
}

// ikeFirst makes a router that lets ESP through, both ways, only where IKE was answered before.
func ikeFirst() Edit {
	const port = 500
	asked, answered := make(map[[4]byte]bool), make(map[[4]byte]bool)
	return func(pkt []byte, toLaptop bool, _ time.Time) []Passed {
		if b, far, ok := carried(pkt, udp, toLaptop); ok {
			switch from, to := binary.BigEndian.Uint16(b), binary.BigEndian.Uint16(b[2:]); {
			case !toLaptop && to == port:
				asked[far] = true
			case toLaptop && from == port && asked[far]:
				answered[far] = true
			}
		}
		if _, far, ok := carried(pkt, esp, toLaptop); ok && !answered[far] {
			return nil
		}
		return pass(pkt)
	}
}

// A line is what a bad line does to packets, alike in both directions.
type line struct {
	takes, jitter time.Duration // one way: so long, and up to so much longer, without overtaking
	loses         float64       // the share of packets that are lost, each by itself
	dead, alive   time.Duration // and all of them for so long at a time, after being alive for so long on average
	holds         float64       // the share of packets that are overtaken by those of the next 40 ms
	doubles       float64       // the share of packets that come twice
}

func (l line) bump() func() Edit { return func() Edit { return l.edit() } }

func (l line) edit() Edit {
	const held = 40 * time.Millisecond
	var dies time.Time // when it is dead next
	var last [2]time.Time
	return func(pkt []byte, toLaptop bool, now time.Time) []Passed {
		if l.dead > 0 {
			if dies.IsZero() || now.After(dies.Add(l.dead)) {
				dies = now.Add(time.Duration(rand.ExpFloat64() * float64(l.alive)))
			}
			if !now.Before(dies) {
				return nil
			}
		}
		if rand.Float64() < l.loses {
			return nil
		}
		way := 0
		if toLaptop {
			way = 1
		}
		at := now.Add(l.takes)
		if l.jitter > 0 {
			at = at.Add(rand.N(l.jitter))
		}
		if at.Before(last[way]) {
			at = last[way]
		}
		last[way] = at
		out := []Passed{{pkt, at.Sub(now)}}
		if rand.Float64() < l.holds {
			out[0].Late += held
		}
		if rand.Float64() < l.doubles {
			out = append(out, out[0])
		}
		return out
	}
}
