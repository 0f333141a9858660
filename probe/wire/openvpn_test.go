package wire

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"net/netip"

	"github.com/google/go-cmp/cmp"
	"github.com/google/gopacket"
	"github.com/google/gopacket/layers"
	"github.com/google/gopacket/pcapgo"
)

var (
	openVPNOwn  = Brief{1, 2, 3, 4, 5, 6, 7, 8}
	openVPNPeer = Brief{9, 10, 11, 12, 13, 14, 15, 16}
)

var openVPNRows = []struct {
	name string
	b    []byte
	p    OpenVPN
}{
	{"reset", unhex("38 0102030405060708 00 00000000"), OpenVPN{Opcode: OpenVPNHardResetClient, Session: openVPNOwn}},
	{"reset of the server", unhex("40 090a0b0c0d0e0f10 01 00000000 0102030405060708 00000000"),
		OpenVPN{Opcode: OpenVPNHardResetServer, Session: openVPNPeer, Acks: []uint32{0}, Remote: openVPNOwn}},
	{"control", unhex("22 0102030405060708 02 00000001 00000000 090a0b0c0d0e0f10 00000002 160301"),
		OpenVPN{Opcode: OpenVPNControl, KeyID: 2, Session: openVPNOwn, Acks: []uint32{1, 0}, Remote: openVPNPeer, PacketID: 2,
			Payload: []byte{0x16, 3, 1}}},
	{"acknowledgment", unhex("28 0102030405060708 01 00000003 090a0b0c0d0e0f10"),
		OpenVPN{Opcode: OpenVPNAck, Session: openVPNOwn, Acks: []uint32{3}, Remote: openVPNPeer}},
	{"data", append(unhex("49 010203 00000005"), counting(7, 20)...),
		OpenVPN{Opcode: OpenVPNData, KeyID: 1, PeerID: 0x010203, PacketID: 5, Payload: counting(7, 20)}},
}

func TestOpenVPN(t *testing.T) {
	for _, row := range openVPNRows {
		got, err := ParseOpenVPN(row.b)
		if diff := cmp.Diff(row.p, got); err != nil || diff != "" {
			t.Errorf("%s: %v (-want +got):\n%s", row.name, err, diff)
		}
		if diff := cmp.Diff(row.b, row.p.Append(nil)); diff != "" {
			t.Errorf("%s written (-want +got):\n%s", row.name, diff)
		}
		stream := row.p.AppendStream([]byte{1})[1:]
		if p, n, err := ParseOpenVPNStream(append(stream, 7)); err != nil || n != len(stream) || !cmp.Equal(p, row.p) {
			t.Errorf("%s on TCP: got %+v, %d, %v", row.name, p, n, err)
		}
		for i := range stream {
			if _, _, err := ParseOpenVPNStream(stream[:i]); !errors.Is(err, ErrShort) {
				t.Errorf("%s on TCP, %d of %d octets: got %v, want %v", row.name, i, len(stream), err, ErrShort)
			}
		}
	}
}

func TestOpenVPNRefused(t *testing.T) {
	for _, row := range []struct {
		name string
		b    []byte
		want error
	}{
		{"nothing", nil, ErrShort},
		{"cut session", unhex("38 01020304050607"), ErrShort},
		{"cut packet ID", unhex("38 0102030405060708 00 000000"), ErrShort},
		{"cut acks", unhex("40 090a0b0c0d0e0f10 ff 00000000 0102030405060708 00000000"), ErrShort},
		{"cut data", unhex("48 010203 00000005 0000"), ErrShort},
		{"opcode", unhex("50 0102030405060708 00 00000000"), ErrFormat},
		{"ack of nothing", unhex("28 0102030405060708 00"), ErrFormat},
		{"octets behind an ack", unhex("28 0102030405060708 01 00000003 090a0b0c0d0e0f10 00"), ErrFormat},
	} {
		if _, err := ParseOpenVPN(row.b); !errors.Is(err, row.want) {
			t.Errorf("%s: got %v, want %v", row.name, err, row.want)
		}
	}
	if _, _, err := ParseOpenVPNStream([]byte{0, 0}); !errors.Is(err, ErrFormat) || errors.Is(err, ErrShort) {
		t.Errorf("an empty packet on TCP: got %v, want %v", err, ErrFormat)
	}
}

func FuzzParseOpenVPN(f *testing.F) {
	for _, row := range openVPNRows {
		f.Add(row.b)
	}
	for _, packet := range openVPNCaptured(f, "testdata/openvpn-udp-tls.pcap") {
		f.Add(packet)
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		p, err := ParseOpenVPN(b)
		if refused(t, err) {
			return
		}
		again, err := ParseOpenVPN(p.Append(nil))
		same(t, p, again, err)
	})
}

func FuzzParseOpenVPNStream(f *testing.F) {
	for _, row := range openVPNRows {
		f.Add(row.p.AppendStream(nil))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		p, n, err := ParseOpenVPNStream(b)
		if refused(t, err) {
			return
		}
		if n > len(b) || len(p.AppendStream(nil)) != n {
			t.Fatalf("length %d of %d, written again %d", n, len(b), len(p.AppendStream(nil)))
		}
	})
}

// openVPNCaptured are the packets of OpenVPN 2.6 in a capture, of its UDP or its TCP.
func openVPNCaptured(tb testing.TB, file string) (out [][]byte) {
	tb.Helper()
	for _, packet := range captured(tb, file) {
		ip, _, err := ParseIPv4(packet)
		if err != nil {
			tb.Fatal(err)
		}
		payload := packet[20:ip.TotalLength] // without options, as Linux sends them
		if ip.Protocol == IPProtoUDP {
			out = append(out, payload[8:])
		} else if data := payload[int(payload[12]>>4)*4:]; len(data) > 0 {
			out = append(out, data)
		}
	}
	return out
}

// openVPNLine is a packet in few words: opcode, packet ID, acknowledgments, size.
func openVPNLine(p OpenVPN) string {
	if p.Opcode == OpenVPNData {
		return fmt.Sprintf("data %d", len(p.Append(nil)))
	}
	return fmt.Sprintf("%d id %d acks %v %d", p.Opcode, p.PacketID, p.Acks, len(p.Append(nil)))
}

// openVPNTalk is the conversation of both captures, and of ours up to the data.
var openVPNTalk = []string{
	"7 id 0 acks [] 14", "8 id 0 acks [0] 26", "4 id 1 acks [0] 303", "4 id 1 acks [1 0] 836", "4 id 2 acks [1 0] 973",
	"4 id 2 acks [2 1 0] 192", "4 id 3 acks [2 1 0] 344", "5 id 0 acks [2 1 0] 30", "5 id 0 acks [3 2 1 0] 34",
}

// Every packet of OpenVPN 2.6 in the captures is read, and written again as it was.
func TestOpenVPNCaptures(t *testing.T) {
	var lines []string
	for _, b := range openVPNCaptured(t, "testdata/openvpn-udp-tls.pcap") {
		p, err := ParseOpenVPN(b)
		if err != nil {
			t.Fatalf("%x: %v", b, err)
		}
		if diff := cmp.Diff(b, p.Append(nil)); diff != "" {
			t.Errorf("written again (-want +got):\n%s", diff)
		}
		lines = append(lines, openVPNLine(p))
	}
	want := append(openVPNTalk[:len(openVPNTalk):len(openVPNTalk)], "data 72", "data 108", "data 108")
	if diff := cmp.Diff(want, lines); diff != "" {
		t.Errorf("on UDP (-want +got):\n%s", diff)
	}
	lines = nil
	for _, b := range openVPNCaptured(t, "testdata/openvpn-tcp-tls.pcap") {
		for len(b) > 0 {
			p, n, err := ParseOpenVPNStream(b)
			if err != nil {
				t.Fatalf("%x: %v", b, err)
			}
			if diff := cmp.Diff(b[:n], p.AppendStream(nil)); diff != "" {
				t.Errorf("written again (-want +got):\n%s", diff)
			}
			lines, b = append(lines, openVPNLine(p)), b[n:]
		}
	}
	if len(lines) != 12 || lines[0] != openVPNTalk[0] || lines[1] != openVPNTalk[1] || lines[2] != openVPNTalk[2] {
		t.Errorf("on TCP: got %q", lines)
	}
}

// openVPNOurs is a conversation as we write it.
func openVPNOurs(tag Tag) []OpenVPN {
	control := func(own, peer Brief, id uint32, acks []uint32, tls []byte) OpenVPN {
		return OpenVPN{Opcode: OpenVPNControl, Session: own, Acks: acks, Remote: peer, PacketID: id, Payload: tls}
	}
	c, s := openVPNOwn, openVPNPeer
	return []OpenVPN{
		{Opcode: OpenVPNHardResetClient, Session: c},
		{Opcode: OpenVPNHardResetServer, Session: s, Acks: []uint32{0}, Remote: c},
		control(c, s, 1, []uint32{0}, AppendOpenVPNClientHello(nil, tag)),
		control(s, c, 1, []uint32{1, 0}, AppendOpenVPNServerFlight(nil, 2000, tag)),
		control(c, s, 2, []uint32{1, 0}, AppendOpenVPNClientFlight(nil, tag)),
		control(s, c, 2, []uint32{2, 1, 0}, AppendOpenVPNTickets(nil)),
		control(s, c, 3, []uint32{2, 1, 0}, AppendOpenVPNKeyMethod(nil, tag)),
		{Opcode: OpenVPNAck, Session: c, Acks: []uint32{2, 1, 0}, Remote: s},
		{Opcode: OpenVPNAck, Session: c, Acks: []uint32{3, 2, 1, 0}, Remote: s},
		{Opcode: OpenVPNData, PeerID: 77, PacketID: 1, Payload: AppendRandom(nil, 100, tag)},
	}
}

// Ours is as OpenVPN's, packet for packet, and every flight ends with its tag.
func TestOpenVPNSizes(t *testing.T) {
	tag := Tag{Token: Token(counting(40, TokenSize)), Nonce: [NonceSize]byte(counting(90, NonceSize))}
	var lines []string
	for _, p := range openVPNOurs(tag) {
		lines = append(lines, openVPNLine(p))
		if len(p.Payload) == 0 || p.Opcode == OpenVPNControl && len(p.Payload) == 158 {
			continue
		}
		if got, err := ParseRandom(p.Payload); err != nil || got != tag {
			t.Errorf("%s: got tag %x, %v", openVPNLine(p), got, err)
		}
	}
	if diff := cmp.Diff(append(openVPNTalk[:len(openVPNTalk):len(openVPNTalk)], "data 108"), lines); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	real, err := ParseOpenVPN(openVPNCaptured(t, "testdata/openvpn-udp-tls.pcap")[2])
	if err != nil {
		t.Fatal(err)
	}
	for i, octet := range AppendOpenVPNClientHello(nil, tag) {
		random := i >= 11 && i < 43 || i >= 44 && i < 76 || i >= 245
		if !random && octet != real.Payload[i] {
			t.Errorf("octet %d of the ClientHello is %#x, and OpenVPN's is %#x", i, octet, real.Payload[i])
		}
	}
	for _, most := range []int{0, 127, 277, 500, 809, 810} {
		flight := AppendOpenVPNServerFlight(nil, most, tag)
		if got, err := ParseRandom(flight); len(flight) > max(most, 127) || err != nil || got != tag {
			t.Errorf("a flight of %d octets at most has %d, tag %x, %v", most, len(flight), got, err)
		}
	}
}

// tshark reads what we write as OpenVPN and TLS, and has nothing to complain about.
func TestOpenVPNAgainstTshark(t *testing.T) {
	if _, err := exec.LookPath("tshark"); err != nil {
		t.Skip(err)
	}
	file := filepath.Join(t.TempDir(), "openvpn.pcap")
	f, err := os.Create(file)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	w := pcapgo.NewWriter(f)
	if err := w.WriteFileHeader(65535, layers.LinkTypeRaw); err != nil {
		t.Fatal(err)
	}
	laptop, server := netip.AddrPortFrom(ikeLaptop.Addr(), 41000), netip.AddrPortFrom(ikeServer.Addr(), OpenVPNPort)
	for i, p := range openVPNOurs(Tag{}) {
		src, dst := laptop, server
		if p.Session == openVPNPeer {
			src, dst = server, laptop
		}
		packet := IPv4{TTL: 64, Protocol: IPProtoUDP, Src: src.Addr(), Dst: dst.Addr()}.AppendPacket(nil, AppendUDP(nil, src, dst, p.Append(nil)))
		info := gopacket.CaptureInfo{Timestamp: time.Unix(int64(i), 0), CaptureLength: len(packet), Length: len(packet)}
		if err := w.WritePacket(info, packet); err != nil {
			t.Fatal(err)
		}
	}
	out := tshark(t, "-r", file, "-T", "fields", "-E", "separator=|", "-e", "openvpn.opcode", "-e", "openvpn.mpid", "-e", "tls.handshake.type", "-e", "tls.record.content_type")
	want := "0x07|0||\n0x08|0||\n0x04|1|1|22\n0x04|1|2|22,20\n0x04|2||20\n0x04|2||\n0x04|3||\n0x05|||\n0x05|||\n0x09|||\n"
	if diff := cmp.Diff(strings.Split(want, "\n"), strings.Split(out, "\n")); diff != "" {
		t.Errorf("differs (-want +tshark):\n%s", diff)
	}
	if complaints := tshark(t, "-r", file, "-o", "udp.check_checksum:TRUE", "-Y", "_ws.malformed || _ws.expert.severity >= 0x600000"); complaints != "" {
		t.Errorf("tshark complains of:\n%s", complaints)
	}
}
