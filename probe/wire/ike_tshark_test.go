package wire

import (
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/gopacket"
	"github.com/google/gopacket/layers"
	"github.com/google/gopacket/pcapgo"
)

// ikeConversation is a message of every kind, and what tshark reads in it: exchange, message ID, types of payloads and what is in them,
// group, notifications; of version 1 encryption, hash, group and authentication of every transform.
var ikeConversation = []struct {
	port uint16
	m    IKEMessage
	want string
}{
	{500, saInit(strongSwanProposal, GroupCurve25519),
		"34|0x00000000|33,34,0,3,3,3,3,3,3,3,3,3,3,3,3,3,3,3,3,3,3,3,3,0,40,41,41,41,41,41,0|31|16388,16389,16430,16431,16406||||"},
	{500, saInit(strongSwanProposal, GroupMODP2048),
		"34|0x00000000|33,34,0,3,3,3,3,3,3,3,3,3,3,3,3,3,3,3,3,3,3,3,3,0,40,41,41,41,41,41,0|14|16388,16389,16430,16431,16406||||"},
	{500, windowsSAInit(GroupMODP2048),
		"34|0x00000000|33,34,2,3,3,3,0,2,3,3,3,0,0,3,3,3,0,40,41,41,41,43,43,43,43,0|14|16430,16388,16389||||"},
	{500, ikeCookie(), "34|0x00000000|41,0||16390||||"},
	{4500, ikeSealed(2, IKEAuth, IKEv2FlagInitiator, 1, IKEPayload{Type: IKEv2Encrypted, Inner: IKEv2IDInitiator}, 256),
		"35|0x00000001|46,35||||||"},
	{4500, ikeSealed(2, IKEAuth, IKEv2FlagResponse, 1, IKEPayload{Type: IKEv2Encrypted, Inner: IKEv2IDResponder}, 240),
		"35|0x00000001|46,36||||||"},
	{4500, ikeSealed(2, IKEv2Informational, IKEv2FlagInitiator, 2, IKEPayload{Type: IKEv2Encrypted}, 48), "37|0x00000002|46,0||||||"},
	{500, mainMode1(), "2|0x00000000|1,13,0,0,13,13,13,13,0|||7|4|31|1"},
	{500, windowsMainMode1(),
		"2|0x00000000|1,13,0,3,3,3,3,0,13,13,13,13,13,13,13,0|||7,7,7,5,5|2,2,2,2,2|20,19,14,14,2|1,1,1,1,1"},
	{500, mainMode2(), "2|0x00000000|1,13,0,0,13,13,13,0|||7|4|31|1"},
	{500, mainMode3(GroupCurve25519, 32), "2|0x00000000|4,10,20,20,0||||||"},
	{500, windowsMainMode3(), "2|0x00000000|4,10,20,20,0||||||"}, // Main Mode 4 is the same
	{4500, ikeSealed(1, IKEIdentityProtection, IKEv1FlagEncryption, 0, IKEPayload{Type: IKEv1Identification}, 48), "2|0x00000000|5||||||"},
	{4500, ikeSealed(1, IKEQuickMode, IKEv1FlagEncryption, 0xCAFEBABE, IKEPayload{Type: IKEv1Hash}, 160), "32|0xcafebabe|8||||||"},
}

func ikeCookie() IKEMessage {
	return IKEMessage{
		Header:   IKEHeader{InitiatorSPI: ikeInitiator, MajorVersion: 2, ExchangeType: IKESAInit, Flags: IKEv2FlagResponse},
		Payloads: []IKEPayload{notifyPayload(NotifyCookie, counting(1, 20))},
	}
}

// ikeSealed is a message with a body that looks like nothing.
func ikeSealed(major, exchange, flags uint8, id uint32, p IKEPayload, size int) IKEMessage {
	p.Body = counting(0x5A, size)
	return IKEMessage{
		Header: IKEHeader{
			InitiatorSPI: ikeInitiator, ResponderSPI: ikeResponder, MajorVersion: major, ExchangeType: exchange, Flags: flags, MessageID: id,
		},
		Payloads: []IKEPayload{p},
	}
}

// tshark reads what the codec writes, and has nothing to complain about.
func TestIKEAgainstTshark(t *testing.T) {
	if _, err := exec.LookPath("tshark"); err != nil {
		t.Skip(err)
	}
	file := filepath.Join(t.TempDir(), "ike.pcap")
	writeIKEPcap(t, file)
	out := tshark(t, "-r", file, "-T", "fields", "-E", "separator=|",
		"-e", "isakmp.exchangetype", "-e", "isakmp.messageid", "-e", "isakmp.nextpayload", "-e", "isakmp.key_exchange.dh_group",
		"-e", "isakmp.notify.msgtype", "-e", "isakmp.ike.attr.encryption_algorithm", "-e", "isakmp.ike.attr.hash_algorithm",
		"-e", "isakmp.ike.attr.group_description", "-e", "isakmp.ike.attr.authentication_method")
	var want []string
	for _, row := range ikeConversation {
		want = append(want, row.want)
	}
	if diff := cmp.Diff(want, strings.Split(strings.TrimRight(out, "\n"), "\n")); diff != "" {
		t.Errorf("differs (-want +tshark):\n%s", diff)
	}
	complaints := tshark(t, "-r", file, "-o", "udp.check_checksum:TRUE", "-Y", "_ws.malformed || _ws.expert.severity >= 0x400000")
	if complaints != "" {
		t.Errorf("tshark complains of:\n%s", complaints)
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

func writeIKEPcap(t *testing.T, file string) {
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
	for i, row := range ikeConversation {
		var payload []byte
		if row.port == 4500 {
			payload = make([]byte, 4)
		}
		src, dst := netip.AddrPortFrom(ikeLaptop.Addr(), row.port), netip.AddrPortFrom(ikeServer.Addr(), row.port)
		datagram := AppendUDP(nil, src, dst, row.m.Append(payload))
		packet := IPv4{TTL: 64, Protocol: IPProtoUDP, Src: src.Addr(), Dst: dst.Addr()}.AppendPacket(nil, datagram)
		info := gopacket.CaptureInfo{Timestamp: time.Unix(int64(i), 0), CaptureLength: len(packet), Length: len(packet)}
		if err := w.WritePacket(info, packet); err != nil {
			t.Fatal(err)
		}
	}
}
