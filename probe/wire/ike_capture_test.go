package wire

import (
	"bytes"
	"crypto/sha1"
	"crypto/sha256"
	"fmt"
	"hash"
	"net/netip"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// ikeCaptures are conversations of strongSwan 5.9 with itself, seen at a laptop behind a NAT.
var ikeCaptures = []struct {
	file     string
	messages []string // port, size, exchange, types of the payloads
}{
	{
		file: "testdata/ikev2-natt-esp.pcap",
		messages: []string{
			"500 384 34 [33 34 40 41 41 41 41 41]", "500 248 34 [33 34 40 41 41 41 41 41 41]",
			"4500 288 35 [46]", "4500 272 35 [46]", "4500 80 37 [46]", "4500 80 37 [46]",
		},
	},
	{
		file: "testdata/ikev1-natt-esp.pcap",
		messages: []string{
			"500 180 2 [1 13 13 13 13 13]", "500 160 2 [1 13 13 13 13]", "500 172 2 [4 10 20 20]", "500 172 2 [4 10 20 20]",
			"4500 108 2 [5]", "4500 76 2 [5]", "4500 92 6 [8]", "4500 92 6 [8]", "4500 188 32 [8]", "4500 188 32 [8]", "4500 76 32 [8]",
			"4500 92 5 [8]", "4500 108 5 [8]",
		},
	},
}

// Every IKE message in the captures is read, and written again as it was, and so is every body.
func TestIKECaptures(t *testing.T) {
	for _, capture := range ikeCaptures {
		t.Run(capture.file, func(t *testing.T) {
			var messages []string
			for _, c := range capturedIKE(t, capture.file) {
				m, err := ParseIKE(c.b)
				if err != nil {
					t.Fatal(err)
				}
				if diff := cmp.Diff(c.b, m.Append(nil)); diff != "" {
					t.Errorf("message differs (-captured +written):\n%s", diff)
				}
				var types []uint
				for _, p := range m.Payloads {
					types = append(types, uint(p.Type))
					capturedBody(t, m.Header, p)
				}
				messages = append(messages, fmt.Sprint(c.dst.Port(), " ", len(c.b), " ", m.Header.ExchangeType, " ", types))
			}
			if diff := cmp.Diff(capture.messages, messages); diff != "" {
				t.Errorf("messages differ (-want +got):\n%s", diff)
			}
		})
	}
}

// ikeCaptured is an IKE message without its marker, and its addresses at the laptop.
type ikeCaptured struct {
	src, dst netip.AddrPort
	b        []byte
}

func capturedIKE(tb testing.TB, file string) []ikeCaptured {
	tb.Helper()
	var messages []ikeCaptured
	for _, packet := range captured(tb, file) {
		ip, payload, err := ParseIPv4(packet)
		if err != nil {
			tb.Fatal(err)
		}
		udp, b, err := ParseUDP(payload)
		if err != nil {
			tb.Fatal(err)
		}
		if udp.DstPort != IKEPort {
			if !bytes.HasPrefix(b, []byte{0, 0, 0, 0}) {
				continue // ESP
			}
			b = b[4:]
		}
		messages = append(messages, ikeCaptured{netip.AddrPortFrom(ip.Src, udp.SrcPort), netip.AddrPortFrom(ip.Dst, udp.DstPort), b})
	}
	return messages
}

// capturedBody reads the body of a payload that has a structure, and writes it again.
func capturedBody(t *testing.T, h IKEHeader, p IKEPayload) {
	t.Helper()
	if h.encrypted() {
		return
	}
	var body appender
	var err error
	switch {
	case h.MajorVersion == 2 && p.Type == IKEv2SecurityAssociation:
		body, err = ParseIKEv2SA(p.Body)
	case h.MajorVersion == 2 && p.Type == IKEv2KeyExchange:
		body, err = ParseIKEv2KE(p.Body)
	case h.MajorVersion == 2 && p.Type == IKEv2NotifyPayload:
		body, err = ParseIKENotify(p.Body)
	case p.Type == IKEv2Nonce || p.Type == IKEv1Nonce:
		_, err = ParseIKENonce(p.Body, h.MajorVersion)
	case h.MajorVersion == 1 && p.Type == IKEv1SecurityAssociation:
		body, err = ParseIKEv1SA(p.Body)
	case h.MajorVersion == 1 && p.Type == IKEv1KeyExchange:
		_, err = ParseIKEv1KE(p.Body, GroupCurve25519)
	case h.MajorVersion == 1 && p.Type == IKEv1NATD:
		_, err = ParseIKEv1NATD(p.Body, sha256.Size)
	}
	if err != nil {
		t.Errorf("payload %d: %v", p.Type, err)
		return
	}
	if body == nil {
		return
	}
	if diff := cmp.Diff(p.Body, body.Append(nil)); diff != "" {
		t.Errorf("payload %d differs (-captured +written):\n%s", p.Type, diff)
	}
}

// What the codec builds for strongSwan's proposals is what strongSwan sent.
func TestIKECapturedProposals(t *testing.T) {
	for file, want := range map[string]appender{
		"testdata/ikev2-natt-esp.pcap": strongSwanProposal,
		"testdata/ikev1-natt-esp.pcap": strongSwanV1SA,
	} {
		m, err := ParseIKE(capturedIKE(t, file)[0].b)
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(m.Payloads[0].Body, want.Append(nil)); diff != "" {
			t.Errorf("%s: differs (-captured +written):\n%s", file, diff)
		}
	}
}

// strongSwan was told to encapsulate whether there is a NAT or not, so both ends send a false hash of their own address: no source
// matches anything. The destinations are true: the laptop's is the server, the server's is the router's outside, which is what it saw.
func TestNATDetectionCaptures(t *testing.T) {
	router := netip.MustParseAddrPort("203.0.113.2:500")
	for _, row := range []struct {
		file    string
		message int
		source  []netip.AddrPort // none of these
		dest    netip.AddrPort
		notDest netip.AddrPort
		hash    func() hash.Hash
	}{
		{file: "ikev2", message: 0, source: []netip.AddrPort{ikeLaptop, router}, dest: ikeServer, notDest: router, hash: sha1.New},
		{file: "ikev2", message: 1, source: []netip.AddrPort{ikeServer}, dest: router, notDest: ikeLaptop, hash: sha1.New},
		{file: "ikev1", message: 2, source: []netip.AddrPort{ikeLaptop, router}, dest: ikeServer, notDest: router, hash: sha256.New},
		{file: "ikev1", message: 3, source: []netip.AddrPort{ikeServer}, dest: router, notDest: ikeLaptop, hash: sha256.New},
	} {
		t.Run(fmt.Sprint(row.file, "_", row.message), func(t *testing.T) {
			m, err := ParseIKE(capturedIKE(t, "testdata/"+row.file+"-natt-esp.pcap")[row.message].b)
			if err != nil {
				t.Fatal(err)
			}
			source, dest := natDetections(t, m)
			of := func(a netip.AddrPort) []byte {
				return NATDetectionV1(row.hash, m.Header.InitiatorSPI, m.Header.ResponderSPI, a)
			}
			if !bytes.Equal(dest, of(row.dest)) {
				t.Errorf("destination is not %v", row.dest)
			}
			if bytes.Equal(dest, of(row.notDest)) {
				t.Errorf("destination is %v", row.notDest)
			}
			for _, a := range row.source {
				if bytes.Equal(source, of(a)) {
					t.Errorf("source is %v", a)
				}
			}
		})
	}
}

// natDetections returns the two hashes of a message.
func natDetections(t *testing.T, m IKEMessage) (source, dest []byte) {
	t.Helper()
	if m.Header.MajorVersion == 2 {
		s, okS := m.Notify(NotifyNATDetectionSourceIP)
		d, okD := m.Notify(NotifyNATDetectionDestinationIP)
		if !okS || !okD {
			t.Fatal("no NAT detection")
		}
		return s.Data, d.Data
	}
	n := len(m.Payloads)
	if m.Payloads[n-2].Type != IKEv1NATD || m.Payloads[n-1].Type != IKEv1NATD {
		t.Fatal("no NAT-D")
	}
	return m.Payloads[n-1].Body, m.Payloads[n-2].Body
}

func TestNATDetection(t *testing.T) {
	spis := octetsOf([]byte{1, 2, 3, 4, 5, 6, 7, 8}, []byte{0x11, 0x12, 0x13, 0x14, 0x15, 0x16, 0x17, 0x18})
	for addr, octets := range map[string][]byte{
		"192.0.2.1:500":          {192, 0, 2, 1, 0x01, 0xF4},
		"[::ffff:192.0.2.1]:500": {192, 0, 2, 1, 0x01, 0xF4},
		"[2001:db8::1]:4500":     {0x20, 0x01, 0x0D, 0xB8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 0x11, 0x94},
		"[fe80::1%eth0]:4500":    {0xFE, 0x80, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 0x11, 0x94},
	} {
		want := sha1.Sum(octetsOf(spis, octets))
		if got := NATDetection(ikeInitiator, ikeResponder, netip.MustParseAddrPort(addr)); !bytes.Equal(got, want[:]) {
			t.Errorf("%s: got %x, want %x", addr, got, want)
		}
		want256 := sha256.Sum256(octetsOf(spis, octets))
		if got := NATDetectionV1(sha256.New, ikeInitiator, ikeResponder, netip.MustParseAddrPort(addr)); !bytes.Equal(got, want256[:]) {
			t.Errorf("%s with SHA-256: got %x, want %x", addr, got, want256)
		}
	}
	if got := NATDetection(1, 2, netip.AddrPort{}); len(got) != sha1.Size {
		t.Errorf("of no address: got %x", got)
	}
}
