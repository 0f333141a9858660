package wire

import (
	"errors"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// Whatever a parser accepts, it accepts again after Append, as the same value; whatever it refuses has one of the two errors.

func FuzzParsePPTP(f *testing.F) {
	for _, row := range pptpRows {
		f.Add(row.b)
	}
	for _, capture := range pptpCaptures {
		for _, packet := range captured(f, capture.file) {
			f.Add(packet[min(52, len(packet)):]) // behind IP's and TCP's headers, or in the middle of a GRE packet
		}
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		m, n, err := ParsePPTP(b)
		if refused(t, err) {
			return
		}
		if n > len(b) || len(m.Append(nil)) != n {
			t.Fatalf("length %d of %d, written again %d", n, len(b), len(m.Append(nil)))
		}
		again, _, err := ParsePPTP(m.Append(nil))
		same(t, m, again, err)
	})
}

func FuzzParseGRE(f *testing.F) {
	for _, row := range greRows {
		f.Add(row.b)
	}
	addCapturedGRE(f)
	f.Fuzz(func(t *testing.T, b []byte) {
		g, err := ParseGRE(b)
		if refused(t, err) {
			return
		}
		if version, err := GREVersion(b); version != 0 || err != nil {
			t.Fatalf("version %d, %v", version, err)
		}
		again, err := ParseGRE(g.Append(nil))
		same(t, g, again, err)
	})
}

func FuzzParseEnhancedGRE(f *testing.F) {
	for _, row := range enhancedGRERows {
		f.Add(row.b)
	}
	addCapturedGRE(f)
	f.Fuzz(func(t *testing.T, b []byte) {
		g, err := ParseEnhancedGRE(b)
		if refused(t, err) {
			return
		}
		same(t, b, g.Append(nil), nil) // nothing is tolerated, so nothing is lost
		second, err := gopacketEnhancedGRE(b)
		same(t, g, second, err)
	})
}

// FuzzParseLCP reads a PPP frame, the LCP packet in it, and its data both as options and as an echo.
func FuzzParseLCP(f *testing.F) {
	for _, row := range lcpRows {
		f.Add(PPP{Protocol: ProtocolLCP, Information: row.b}.Append(nil))
		f.Add(PPP{Protocol: ProtocolLCP, Information: row.b}.Append(nil)[2:])
	}
	for _, capture := range pptpCaptures {
		for _, packet := range captured(f, capture.file) {
			f.Add(packet[min(32, len(packet)):]) // behind IP's header and GRE's with a sequence number
		}
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		p, err := ParsePPP(b)
		if refused(t, err) {
			return
		}
		frame, err := ParsePPP(p.Append(nil))
		same(t, p, frame, err)
		l, err := ParseLCP(p.Information)
		if refused(t, err) {
			return
		}
		packet, err := ParseLCP(l.Append(nil))
		same(t, l, packet, err)
		if o, err := ParseLCPOptions(l.Data); !refused(t, err) {
			same(t, some(l.Data), some(o.Append(nil)), nil)
			for _, option := range o {
				option.MRU()
				option.AsyncMap()
				option.MagicNumber()
				option.EndpointDiscriminator()
			}
		}
		if e, err := ParseLCPEcho(l.Data); !refused(t, err) {
			same(t, l.Data, e.Append(nil), nil)
		}
	})
}

// FuzzParseIPv4 reads an IPv4 packet and the UDP datagram in it.
func FuzzParseIPv4(f *testing.F) {
	for _, row := range ipv4Rows {
		f.Add(row.b)
	}
	for _, capture := range pptpCaptures {
		for _, packet := range captured(f, capture.file) {
			f.Add(packet)
		}
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		if quoted, n, err := ParseIPv4Header(b); !refused(t, err) && n != len(quoted.Append(nil)) {
			t.Fatalf("header has %d octets, written again %d", n, len(quoted.Append(nil)))
		}
		h, payload, err := ParseIPv4(b)
		if refused(t, err) {
			return
		}
		again, rest, err := ParseIPv4(h.AppendPacket(nil, payload))
		same(t, h, again, err)
		same(t, payload, rest, nil)
		u, data, err := ParseUDP(payload)
		if refused(t, err) {
			return
		}
		UDPChecksum(h.Src, h.Dst, payload)
		datagram, rest, err := ParseUDP(append(u.Append(nil), data...))
		same(t, u, datagram, err)
		same(t, data, rest, nil)
	})
}

func addCapturedGRE(f *testing.F) {
	for _, capture := range pptpCaptures {
		for _, packet := range captured(f, capture.file) {
			f.Add(packet[20:])
		}
	}
}

func refused(t *testing.T, err error) bool {
	t.Helper()
	if err != nil && !errors.Is(err, ErrShort) && !errors.Is(err, ErrFormat) {
		t.Fatalf("got %v, want %v or %v", err, ErrShort, ErrFormat)
	}
	return err != nil
}

func same[T any](t *testing.T, want, got T, err error) {
	t.Helper()
	if diff := cmp.Diff(want, got, compareIP); err != nil || diff != "" {
		t.Fatalf("%v, differs (-want +got):\n%s", err, diff)
	}
}
