package netlab

import (
	"encoding/binary"
	"time"
)

// odd is a router that knows a browser's TLS by the protocols that it offers inside (ALPN, RFC 7301), and is short with what offers none on
// port 443, as VPNs do that look like the web (F35).
type odd struct {
	after int           // packets that it lets pass, both directions counted; 0 is all
	held  time.Duration // how long it lets it last; 0 is for ever
}

func (o odd) bump() func() Edit { return func() Edit { return o.edit() } }

func (o odd) edit() Edit {
	type flow struct {
		packets int
		began   time.Time
		odd     bool
	}
	flows := make(map[uint16]*flow) // by the laptop's port
	return func(pkt []byte, toLaptop bool, now time.Time) []Passed {
		b, _, ok := carried(pkt, tcp, toLaptop)
		if !ok || len(b) < 20 {
			return pass(pkt)
		}
		from, to := binary.BigEndian.Uint16(b), binary.BigEndian.Uint16(b[2:])
		if toLaptop {
			from, to = to, from
		}
		if to != 443 {
			return pass(pkt)
		}
		const syn = 0x02
		f := flows[from]
		if f == nil || !toLaptop && b[13]&0x3f == syn {
			f = &flow{began: now}
			flows[from] = f
		}
		f.packets++
		if at := int(b[12]>>4) * 4; at <= len(b) && !toLaptop {
			if offers, hello := alpn(b[at:]); hello {
				f.odd = !offers
			}
		}
		if f.odd && (o.after > 0 && f.packets > o.after || o.held > 0 && now.Sub(f.began) > o.held) {
			return nil
		}
		return pass(pkt)
	}
}

// alpn says whether octets begin a TLS connection (RFC 8446, section 4.1.2), and whether they offer a protocol.
func alpn(b []byte) (offers, hello bool) {
	const record, handshake, fixed, extension = 5, 4, 2 + 32, 16
	if len(b) < record+handshake+fixed || b[0] != 22 || b[record] != 1 {
		return false, false
	}
	b = b[record+handshake+fixed:]
	for _, size := range []int{1, 2, 1} { // the session's ID, cipher suites, compression
		if len(b) < size {
			return false, true
		}
		n := int(b[size-1])
		if size == 2 {
			n |= int(b[0]) << 8
		}
		if b = b[size:]; len(b) < n {
			return false, true
		}
		b = b[n:]
	}
	if len(b) < 2 {
		return false, true
	}
	for b = b[2:]; len(b) >= 4; {
		if binary.BigEndian.Uint16(b) == extension {
			return true, true
		}
		n := 4 + int(binary.BigEndian.Uint16(b[2:]))
		if len(b) < n {
			break
		}
		b = b[n:]
	}
	return false, true
}
