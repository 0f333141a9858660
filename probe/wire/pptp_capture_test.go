package wire

import (
	"fmt"
	"io"
	"os"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/gopacket/layers"
	"github.com/google/gopacket/pcapgo"
)

// pptpCaptures are conversations of pptp-linux 1.10 and pptpd 1.4, seen at the laptop and at the server.
var pptpCaptures = []struct {
	file    string
	control []string // the messages on TCP 1723, in order
	gre     []string // the GRE packets: where to, and what is in them
}{
	{
		file:    "testdata/pptp-through-helper-laptop.pcap",
		control: []string{"start request", "start reply", "call request 7110", "call reply 0 7110", "clear 7110"},
		gre: []string{
			"call 0 seq 1 lcp 1", "call 0 seq 2 lcp 1", "call 7110 seq 0 lcp 1",
			"call 7110 seq 1 ack 2 lcp 1", "call 7110 seq 2 lcp 1", "call 0 ack 2",
		},
	},
	{
		// The router has put the TCP port in the place of the client's Call ID.
		file:    "testdata/pptp-through-helper-server.pcap",
		control: []string{"start request", "start reply", "call request 34898", "call reply 128 34898", "clear 34898"},
		gre: []string{
			"call 128 seq 1 lcp 1", "call 128 seq 2 lcp 1", "call 34898 seq 0 lcp 1",
			"call 34898 seq 1 ack 2 lcp 1", "call 34898 seq 2 lcp 1", "call 128 ack 2",
		},
	},
	{
		file:    "testdata/pptp-no-helper-server.pcap",
		control: []string{"start request", "start reply", "call request 63886", "call reply 256 63886", "clear 63886"},
		gre:     []string{"call 256 seq 1 lcp 1", "call 256 seq 2 lcp 1", "call 63886 seq 0 lcp 1"},
	},
}

// Every control message, GRE packet, PPP frame and IP header in the captures is read, and written again as it was.
func TestPPTPCaptures(t *testing.T) {
	for _, capture := range pptpCaptures {
		t.Run(capture.file, func(t *testing.T) {
			var control, gre []string
			for _, packet := range captured(t, capture.file) {
				ip, payload := capturedIPv4(t, packet)
				switch ip.Protocol {
				case 6:
					if data := payload[int(payload[12]>>4)*4:]; len(data) > 0 { // behind TCP's header
						control = append(control, capturedControl(t, data))
					}
				case IPProtoGRE:
					gre = append(gre, capturedGRE(t, payload))
				}
			}
			if diff := cmp.Diff(capture.control, control); diff != "" {
				t.Errorf("control messages differ (-want +got):\n%s", diff)
			}
			if diff := cmp.Diff(capture.gre, gre); diff != "" {
				t.Errorf("GRE packets differ (-want +got):\n%s", diff)
			}
		})
	}
}

// captured returns the IPv4 packets of a capture file, with whatever Ethernet put behind them.
func captured(tb testing.TB, file string) [][]byte {
	tb.Helper()
	f, err := os.Open(file)
	if err != nil {
		tb.Fatal(err)
	}
	defer f.Close()
	r, err := pcapgo.NewReader(f)
	if err != nil {
		tb.Fatal(err)
	}
	if r.LinkType() != layers.LinkTypeEthernet {
		tb.Fatalf("link type is %v", r.LinkType())
	}
	var packets [][]byte
	for {
		frame, _, err := r.ReadPacketData()
		if err == io.EOF {
			return packets
		}
		if err != nil {
			tb.Fatal(err)
		}
		packets = append(packets, frame[14:])
	}
}

func capturedIPv4(t *testing.T, packet []byte) (IPv4, []byte) {
	t.Helper()
	h, payload, err := ParseIPv4(packet)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(packet, h.AppendPacket(nil, payload)); diff != "" {
		t.Errorf("IPv4 differs (-captured +written):\n%s", diff)
	}
	return h, payload
}

func capturedControl(t *testing.T, data []byte) string {
	t.Helper()
	m, n, err := ParsePPTP(data)
	if err != nil || n != len(data) { // in the captures every segment is one message
		t.Fatalf("got length %d of %d, %v", n, len(data), err)
	}
	if diff := cmp.Diff(data, m.Append(nil)); diff != "" {
		t.Errorf("%T differs (-captured +written):\n%s", m, diff)
	}
	switch m := m.(type) {
	case StartControlConnectionRequest:
		return "start request"
	case StartControlConnectionReply:
		return "start reply"
	case OutgoingCallRequest:
		return fmt.Sprint("call request ", m.CallID)
	case OutgoingCallReply:
		return fmt.Sprintf("call reply %d %d", m.CallID, m.PeersCallID)
	case CallClearRequest:
		return fmt.Sprint("clear ", m.CallID)
	}
	return fmt.Sprintf("%T", m)
}

func capturedGRE(t *testing.T, packet []byte) string {
	t.Helper()
	g, err := ParseEnhancedGRE(packet)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(packet, g.Append(nil)); diff != "" {
		t.Errorf("GRE differs (-captured +written):\n%s", diff)
	}
	second, err := gopacketEnhancedGRE(packet)
	if diff := cmp.Diff(g, second); err != nil || diff != "" {
		t.Errorf("%v, gopacket differs (-ours +gopacket):\n%s", err, diff)
	}
	s := fmt.Sprint("call ", g.CallID)
	if g.HasSeq {
		s += fmt.Sprint(" seq ", g.Seq)
	}
	if g.HasAck {
		s += fmt.Sprint(" ack ", g.Ack)
	}
	if len(g.Payload) > 0 {
		s += fmt.Sprint(" lcp ", capturedLCP(t, g.Payload).Code)
	}
	return s
}

func capturedLCP(t *testing.T, frame []byte) LCP {
	t.Helper()
	p, err := ParsePPP(frame)
	if err != nil {
		t.Fatal(err)
	}
	l, err := ParseLCP(p.Information)
	if err != nil || p.Protocol != ProtocolLCP {
		t.Fatalf("protocol %#x, %v", p.Protocol, err)
	}
	options, err := ParseLCPOptions(l.Data)
	if err != nil {
		t.Fatal(err)
	}
	l.Data = options.Append(nil)
	p.Information = l.Append(nil)
	if diff := cmp.Diff(frame, p.Append(nil)); diff != "" {
		t.Errorf("PPP differs (-captured +written):\n%s", diff)
	}
	return l
}
