package wire

import (
	"fmt"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// Everything that xl2tpd 1.3 says at both ends is read, and written again as it was.
func TestL2TPCapture(t *testing.T) {
	want := []string{
		"1 0/0 ns 0 nr 0 avps 0 2 3 4 6 7 8 9 10",
		"2 40377/0 ns 0 nr 1 avps 0 2 3 4 6 7 8 9 10",
		"3 16028/0 ns 1 nr 1 avps 0",
		"10 16028/0 ns 2 nr 1 avps 0 14 15 18",
		"zlb 40377/0 ns 1 nr 2",
		"11 40377/38942 ns 1 nr 3 avps 0 14",
		"zlb 40377/0 ns 2 nr 3",
		"12 16028/27142 ns 3 nr 2 avps 0 24 19 38",
		"zlb 40377/38942 ns 2 nr 4",
		"data 40377/38942 lcp 1",
		"data 16028/27142 lcp 1",
		"data 40377/38942 lcp 1",
		"14 16028/27142 ns 4 nr 2 avps 0 1 14",
		"zlb 40377/38942 ns 2 nr 5",
	}
	var got []string
	for _, b := range capturedUDP(t, "testdata/l2tp.pcap", L2TPPort) {
		m, err := ParseL2TP(b)
		same(t, b, m.Append(nil), err)
		got = append(got, describeL2TP(t, m))
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("messages differ (-want +got):\n%s", diff)
	}
}

func describeL2TP(t *testing.T, m L2TP) string {
	t.Helper()
	s := fmt.Sprintf("%d/%d", m.TunnelID, m.SessionID)
	if !m.Control {
		return fmt.Sprintf("data %s lcp %d", s, capturedLCP(t, m.Payload).Code)
	}
	s += fmt.Sprintf(" ns %d nr %d", m.Ns, m.Nr)
	typ, ok := m.MessageType()
	if !ok {
		return "zlb " + s
	}
	s += " avps"
	for _, a := range m.AVPs {
		if want := NewAVP(a.Type, nil).Mandatory; a.Mandatory != want {
			t.Errorf("AVP %d has M %v, NewAVP says %v", a.Type, a.Mandatory, want)
		}
		s += fmt.Sprint(" ", a.Type)
	}
	return fmt.Sprint(typ, " ", s)
}

func FuzzParseL2TP(f *testing.F) {
	for _, row := range l2tpRows {
		f.Add(row.b)
	}
	for _, b := range capturedUDP(f, "testdata/l2tp.pcap", L2TPPort) {
		f.Add(b)
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		m, err := ParseL2TP(b)
		if refused(t, err) {
			return
		}
		if len(b) > 65535 { // no datagram is so long, and Append cuts
			return
		}
		again, err := ParseL2TP(m.Append(nil))
		same(t, m, again, err)
		m.MessageType()
		for _, a := range m.AVPs {
			a.Uint16()
			a.Uint32()
			a.Result()
		}
	})
}
