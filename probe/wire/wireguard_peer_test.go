package wire

import (
	"bytes"
	"crypto/ecdh"
	"encoding/hex"
	"fmt"
	"net"
	"net/netip"
	"testing"
	"time"

	wgconn "golang.zx2c4.com/wireguard/conn"
	"golang.zx2c4.com/wireguard/device"
	"golang.zx2c4.com/wireguard/tun/tuntest"
)

// realWireGuard is wireguard-go on a port of loopback, with a tunnel in memory and one peer.
func realWireGuard(t *testing.T, own *ecdh.PrivateKey, peer []byte, endpoint string) (*tuntest.ChannelTUN, netip.AddrPort) {
	t.Helper()
	tunnel := tuntest.NewChannelTUN()
	d := device.NewDevice(tunnel.TUN(), wgconn.NewDefaultBind(), device.NewLogger(device.LogLevelError, "wireguard-go: "))
	t.Cleanup(d.Close)
	set := fmt.Sprintf("private_key=%x\nlisten_port=0\npublic_key=%x\nallowed_ip=0.0.0.0/0\n", own.Bytes(), peer)
	if endpoint != "" {
		set += "endpoint=" + endpoint + "\n"
	}
	if err := d.IpcSet(set); err != nil {
		t.Fatal(err)
	}
	if err := d.Up(); err != nil {
		t.Fatal(err)
	}
	got, err := d.IpcGet()
	if err != nil {
		t.Fatal(err)
	}
	var port uint16
	for line := range bytes.Lines([]byte(got)) {
		fmt.Sscanf(string(line), "listen_port=%d", &port)
	}
	return tunnel, netip.AddrPortFrom(netip.MustParseAddr("127.0.0.1"), port)
}

func wireGuardPacket(text string) []byte {
	src, dst := netip.MustParseAddrPort("10.68.0.2:9"), netip.MustParseAddrPort("10.68.0.1:9")
	return IPv4{TTL: 64, Protocol: IPProtoUDP, Src: src.Addr(), Dst: dst.Addr()}.AppendPacket(nil, AppendUDP(nil, src, dst, []byte(text)))
}

// within gives what is received from a socket or a channel some time.
func within(t *testing.T, c <-chan []byte) []byte {
	t.Helper()
	select {
	case b := <-c:
		return b
	case <-time.After(5 * time.Second):
		t.Fatal("nothing came")
		return nil
	}
}

// nextWireGuard receives messages of a type; a keepalive is none.
func nextWireGuard(t *testing.T, c *net.UDPConn, want WireGuardType) ([]byte, netip.AddrPort) {
	t.Helper()
	c.SetReadDeadline(time.Now().Add(5 * time.Second))
	for {
		b := make([]byte, 2048)
		n, from, err := c.ReadFromUDPAddrPort(b)
		if err != nil {
			t.Fatal(err)
		}
		if kind, _ := WireGuardKind(b[:n]); kind == want && n != wireGuardDataHead+wireGuardAEAD {
			return b[:n], from
		}
	}
}

func loopback(t *testing.T) *net.UDPConn {
	t.Helper()
	c, err := net.ListenUDP("udp4", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)})
	if err != nil {
		t.Skip(err)
	}
	t.Cleanup(func() { c.Close() })
	return c
}

// wireguard-go answers our initiation, takes our data for its tunnel's, and we understand its own.
func TestWireGuardAsClientOfARealOne(t *testing.T) {
	own, peer := NewWireGuardKey(), NewWireGuardKey()
	c := loopback(t)
	tunnel, at := realWireGuard(t, peer, own.PublicKey().Bytes(), "")
	o, err := OpenWireGuard(own, peer.PublicKey().Bytes(), 77, time.Now())
	if err != nil {
		t.Fatal(err)
	}
	c.WriteToUDPAddrPort(o.Message, at)
	response, _ := nextWireGuard(t, c, WireGuardResponse)
	mine, err := o.Answered(response)
	if err != nil {
		t.Fatalf("%v: %s", err, hex.EncodeToString(response))
	}
	out := wireGuardPacket("from our client")
	c.WriteToUDPAddrPort(mine.Seal(0, out), at)
	if got := within(t, tunnel.Inbound); !bytes.Equal(got, out) {
		t.Errorf("got %x, want %x", got, out)
	}
	back := wireGuardPacket("from its server")
	tunnel.Outbound <- back
	b, _ := nextWireGuard(t, c, WireGuardData)
	if got, err := mine.Open(b); err != nil || !bytes.HasPrefix(got, back) {
		t.Errorf("got %x, %v, want %x", got, err, back)
	}
}

// wireguard-go opens a tunnel with us, and data crosses it both ways.
func TestWireGuardAsServerOfARealOne(t *testing.T) {
	own, peer := NewWireGuardKey(), NewWireGuardKey()
	c := loopback(t)
	tunnel, _ := realWireGuard(t, peer, own.PublicKey().Bytes(), c.LocalAddr().String())
	out := wireGuardPacket("from its client")
	tunnel.Outbound <- out
	initiation, from := nextWireGuard(t, c, WireGuardInitiation)
	in, err := ReadWireGuard(own, initiation)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(in.Peer[:], peer.PublicKey().Bytes()) {
		t.Errorf("it is %x's", in.Peer)
	}
	response, mine, err := in.Answer(99)
	if err != nil {
		t.Fatal(err)
	}
	c.WriteToUDPAddrPort(response, from)
	b, _ := nextWireGuard(t, c, WireGuardData)
	if got, err := mine.Open(b); err != nil || !bytes.HasPrefix(got, out) {
		t.Errorf("got %x, %v, want %x", got, err, out)
	}
	back := wireGuardPacket("from our server")
	c.WriteToUDPAddrPort(mine.Seal(0, back), from)
	if got := within(t, tunnel.Inbound); !bytes.Equal(got, back) {
		t.Errorf("got %x, want %x", got, back)
	}
}
