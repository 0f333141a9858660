package netlab

import (
	"encoding/binary"
	"time"
)

// greV1 returns where GRE begins in an IPv4 packet that carries GRE version 1, PPTP's.
func greV1(pkt []byte) (int, bool) {
	if len(pkt) < 20 || pkt[0]>>4 != 4 || pkt[9] != gre {
		return 0, false
	}
	at := int(pkt[0]&0xf) * 4
	return at, len(pkt) >= at+8 && pkt[at+1]&7 == 1
}

// outage makes a line that is dead for a second, from the fifth packet of PPTP data on.
func outage() Edit {
	const trigger, lasts = 5, time.Second
	var seen int
	var until time.Time
	return func(pkt []byte, toLaptop bool, now time.Time) [][]byte {
		if _, ok := greV1(pkt); ok && !toLaptop {
			if seen++; seen == trigger {
				until = now.Add(lasts)
			}
		}
		if now.Before(until) {
			return nil
		}
		return [][]byte{pkt}
	}
}

// wrongCallID makes a NAT that counts one too far: GRE has no checksum here, so nothing else changes.
func wrongCallID() Edit {
	return func(pkt []byte, toLaptop bool, _ time.Time) [][]byte {
		if at, ok := greV1(pkt); ok && toLaptop {
			id := pkt[at+6 : at+8]
			binary.BigEndian.PutUint16(id, binary.BigEndian.Uint16(id)+1)
		}
		return [][]byte{pkt}
	}
}
