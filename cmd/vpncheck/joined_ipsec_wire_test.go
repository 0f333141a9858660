package main

import (
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/gopacket"
	"github.com/google/gopacket/layers"
	"github.com/google/gopacket/pcapgo"

	"vpncheck/probe"
	"vpncheck/probe/sock"
	"vpncheck/probe/wire"
)

// What the two whole VPNs put on the wire is what tshark takes for IKE and ESP, with nothing to complain about, and goes in the order in which
// strongSwan's conversations go (RFC 7296, section 1.2; RFC 2409, sections 5 and 5.5; RFC 3947, section 4).
func TestJoinedIPsecAgainstTshark(t *testing.T) {
	if _, err := exec.LookPath("tshark"); err != nil {
		t.Skip(err)
	}
	// Exchange type, Message ID, and types of payloads, to the server and from it.
	const opens = "500 34 0x00000000 33,34,0,3,3,3,"
	for _, c := range []struct {
		probe probe.Probe
		want  []string // what must be among it, in this order
	}{
		{probe.IKEv2(), []string{opens, opens, "4500 35 0x00000001 53,35", "4500 35 0x00000001 53,36",
			"4500 35 0x00000001 53,0", "4500 35 0x00000001 53,0", "4500 35 0x00000001 53,0", "4500 35 0x00000001 53,0",
			"4500 ESP", "4500 ESP"}},
		{probe.L2TPIPsec(), []string{"500 2 0x00000000 1,13,", "500 2 0x00000000 1,13,", "500 2 0x00000000 4,10,20,20,0", "500 2 0x00000000 4,10,20,20",
			"4500 2 0x00000000 5", "4500 2 0x00000000 ", "4500 32 0x", "4500 32 0x", "4500 32 0x", "4500 ESP", "4500 ESP"}},
	} {
		t.Run(c.probe.Info().ID, func(t *testing.T) {
			t.Parallel()
			file := filepath.Join(t.TempDir(), "ipsec.pcap")
			join(t, nat(always), func(j *joined) {
				var caught []sock.FakePacket
				behind := j.fake.Between
				j.fake.Between = func(p sock.FakePacket) []sock.FakePacket {
					caught = append(caught, p)
					return behind(p)
				}
				p := probe.Open(j.Context(), probe.Config{Net: j.laptop, Host: j.cs.Host, Access: j.cs.Access, Pin: j.cs.Pin, Build: "test"})
				j.want(probe.Run(j.Context(), p, []probe.Probe{c.probe}, nil), map[string]string{c.probe.Info().ID: "passed"})
				writePcap(t, file, caught)
			})
			out := tshark(t, "-r", file, "-T", "fields", "-E", "separator= ", "-E", "occurrence=a",
				"-e", "udp.dstport", "-e", "isakmp.exchangetype", "-e", "isakmp.messageid", "-e", "isakmp.nextpayload", "-e", "esp.sequence")
			rest := c.want
			for _, line := range strings.Split(out, "\n") {
				words := strings.Fields(line)
				if len(words) == 2 {
					words[1] = "ESP"
				}
				if len(rest) > 0 && strings.HasPrefix(strings.Join(words, " "), rest[0]) {
					rest = rest[1:]
				}
			}
			if len(rest) > 0 {
				t.Errorf("no %q in\n%s", rest, out)
			}
			if complaints := tshark(t, "-r", file, "-Y", "_ws.malformed || (isakmp || esp) && _ws.expert.severity >= 0x600000"); complaints != "" {
				t.Errorf("tshark complains of:\n%s", complaints)
			}
		})
	}
}

func tshark(t *testing.T, args ...string) string {
	t.Helper()
	cmd := exec.Command("tshark", args...)
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("%v: %v", cmd, err)
	}
	return string(out)
}

// writePcap writes the packets to and from ports 500 and 4500 as they came to the router. The control's are random octets, of which tshark makes
// all sorts of things.
func writePcap(t *testing.T, file string, packets []sock.FakePacket) {
	t.Helper()
	f, err := os.Create(file)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	w := pcapgo.NewWriter(f)
	if err := w.WriteFileHeader(65535, layers.LinkTypeRaw); err != nil {
		t.Fatal(err)
	}
	for i, p := range slices.DeleteFunc(packets, func(p sock.FakePacket) bool {
		return !onPort(p, wire.IKEPort) && !onPort(p, wire.NATTPort)
	}) {
		src, dst := p.Src, p.Dst
		packet := wire.IPv4{TTL: 64, Protocol: wire.IPProtoUDP, Src: src.Addr(), Dst: dst.Addr()}.AppendPacket(nil, wire.AppendUDP(nil, src, dst, p.Payload))
		info := gopacket.CaptureInfo{Timestamp: time.Unix(int64(i), 0), CaptureLength: len(packet), Length: len(packet)}
		if err := w.WritePacket(info, packet); err != nil {
			t.Fatal(err)
		}
	}
}
