package main

import (
	"bufio"
	"context"
	"crypto/tls"
	"encoding/binary"
	"fmt"
	"io"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"vpncheck/probe/wire"
	"vpncheck/testserver/netlab"
)

// TestStrangersInLab sends a running server what strangers send, over real sockets, and looks at every packet that comes back. There may be
// none but TCP's own segments without payload, the kernel's ICMP, on the ports of the side channel a TLS alert or a plain 404, and on port 80 the
// page.
func TestStrangersInLab(t *testing.T) {
	if err := netlab.Available(); err != nil {
		if os.Getenv("CI") == "true" {
			t.Fatal(err)
		}
		t.Skip(err)
	}
	router, _ := netlab.Find("linux")
	lab, err := netlab.Build(t.Context(), router)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { lab.Close() })
	end := serveInLab(t, lab)
	s := &stranger{T: t, lab: lab, server: []netip.Addr{lab.Addr(netlab.Server), lab.Second(), lab.Addr6(netlab.Server)}}
	s.capture()
	for _, to := range s.server {
		s.packets(to)
		s.pptp(to)
		s.web(to)
		s.page(to)
	}
	s.end()
	proofs := end()
	for _, c := range []wire.Carrier{wire.CarrierControl, wire.CarrierPPTP, wire.CarrierGRE, wire.CarrierGREv1} {
		if !strings.Contains(proofs, `"`+string(c)+`"`) {
			t.Errorf("got proofs %s, want one of %s: the silence proves nothing", proofs, c)
		}
	}
}

// serveInLab starts "vpncheck serve" on the lab's server, and returns when it is ready. end stops it and returns its file of proofs.
func serveInLab(t *testing.T, lab *netlab.Lab) (end func() string) {
	state := filepath.Join(t.TempDir(), "state")
	ready, write, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer ready.Close()
	cmd := &exec.Cmd{
		Path: "/proc/self/exe", ExtraFiles: []*os.File{write}, Stderr: t.Output(),
		Args: []string{"vpncheck", "serve", "--advertise", "192.0.2.1", "--state-dir", state, "--ready-file", "/dev/fd/3"},
	}
	err = lab.Start(netlab.Server, cmd)
	write.Close()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { lab.Close(); cmd.Wait() })
	ready.SetReadDeadline(time.Now().Add(entrance))
	if _, err := bufio.NewReader(ready).ReadString('\n'); err != nil {
		t.Fatalf("the server is not ready: %v", err)
	}
	return func() string {
		cmd.Process.Signal(os.Interrupt)
		cmd.Wait()
		b, err := os.ReadFile(filepath.Join(state, "proofs.json"))
		if err != nil {
			t.Error(err)
		}
		return string(b)
	}
}

// A stranger lives at the neighbour's.
type stranger struct {
	*testing.T
	lab      *netlab.Lab
	server   []netip.Addr
	captures []*net.IPConn
	looking  sync.WaitGroup
	segments atomic.Int64 // of TCP, captured
}

const protoTCP = 6

func (s *stranger) do(f func() error) {
	s.Helper()
	if err := s.lab.Do(netlab.Neighbour, f); err != nil {
		s.Fatal(err)
	}
}

// tokens are well formed, and of no session.
func (s *stranger) tokens() []wire.Token {
	return []wire.Token{{}, wire.NewMint(1, make([]byte, 32)).Make(wire.Question, wire.CarrierGRE, 1)}
}

// packets sends datagrams and raw packets of every kind, those without a responder too.
func (s *stranger) packets(to netip.Addr) {
	many := [][]byte{{}, {0}, make([]byte, 1400), []byte(strings.Repeat("\xff", 200))}
	inner := wire.IPv4{TTL: 64, Protocol: wire.IPProtoUDP, Src: netip.MustParseAddr("10.99.0.1"), Dst: netip.MustParseAddr("10.99.0.2")}
	src, dst := netip.AddrPortFrom(inner.Src, 4000), netip.AddrPortFrom(inner.Dst, 7)
	for _, token := range s.tokens() {
		tag := wire.Tag{Token: token}.Append(nil)
		options := wire.LCPOptions{wire.EndpointDiscriminatorOption(wire.ClassLocal, token[:])}.Append(nil)
		frame := wire.PPP{Protocol: wire.ProtocolLCP, Information: wire.LCP{Code: wire.ConfigureRequest, Data: options}.Append(nil)}.Append(nil)
		tunnelled := wire.GRE{ProtocolType: wire.ProtocolTypeIPv4, Payload: inner.AppendPacket(nil, wire.AppendUDP(nil, src, dst, tag))}
		many = append(many, tag, tunnelled.Append(nil), wire.EnhancedGRE{CallID: 1, HasSeq: true, Payload: frame}.Append(nil))
	}
	s.do(func() error {
		for _, port := range []uint16{500, 1194, 1701, 4500, 8443, 51820} {
			if err := sendAll("udp", netip.AddrPortFrom(to, port).String(), many); err != nil {
				return err
			}
		}
		for _, proto := range []int{47, 50, 51, 115} {
			if err := sendAll(fmt.Sprintf("ip:%d", proto), to.String(), many); err != nil {
				return err
			}
		}
		return nil
	})
}

func sendAll(network, to string, many [][]byte) error {
	c, err := net.Dial(network, to)
	if err != nil {
		return err
	}
	defer c.Close()
	for _, b := range many {
		c.Write(b) // an ICMP error of the packet before is none of ours
	}
	return nil
}

func (s *stranger) dial(to netip.Addr, port uint16) (c net.Conn) {
	s.Helper()
	s.do(func() (err error) {
		c, err = net.DialTimeout("tcp", netip.AddrPortFrom(to, port).String(), entrance)
		return err
	})
	c.SetDeadline(time.Now().Add(entrance))
	return c
}

// pptp checks that nobody without a token is answered on TCP 1723.
func (s *stranger) pptp(to netip.Addr) {
	said := [][]byte{
		[]byte("GET / HTTP/1.1\r\n\r\n"), make([]byte, 600), wire.EchoRequest{Identifier: 1}.Append(nil),
		wire.StartControlConnectionRequest{ProtocolVersion: wire.PPTPVersion, HostName: "local"}.Append(nil),
	}
	for _, token := range s.tokens() {
		said = append(said, wire.StartControlConnectionRequest{ProtocolVersion: wire.PPTPVersion, HostName: token.String()}.Append(nil),
			wire.OutgoingCallRequest{CallID: 7, Subaddress: token.String()}.Append(nil))
	}
	for _, b := range said {
		if got := s.talk(to, 1723, b); len(got) > 0 {
			s.Errorf("a stranger who said %.40x on TCP 1723 was answered %x", b, got)
		}
	}
}

// talk says something and returns all that is answered.
func (s *stranger) talk(to netip.Addr, port uint16, b []byte) []byte {
	c := s.dial(to, port)
	defer c.Close()
	c.Write(b)
	c.(*net.TCPConn).CloseWrite()
	got, _ := io.ReadAll(c) // a reset is silence too
	return got
}

// web checks that the ports of the side channel look like a web server's.
func (s *stranger) web(to netip.Addr) {
	for _, port := range []uint16{443, 8443} {
		for _, b := range [][]byte{{}, []byte("GET / HTTP/1.1\r\nHost: x\r\n\r\n"), make([]byte, 600), []byte("\x16\x03\x01\x40\x00")} {
			if got := s.talk(to, port, b); len(got) > 0 && (len(got) != 7 || got[0] != 21) {
				s.Errorf("a stranger who said %.40q on TCP %d was answered %q, want a TLS alert or nothing", b, port, got)
			}
		}
		c := tls.Client(s.dial(to, port), &tls.Config{InsecureSkipVerify: true})
		if err := c.HandshakeContext(context.Background()); err != nil {
			s.Fatal(err)
		}
		io.WriteString(c, "GET / HTTP/1.1\r\nHost: x\r\n\r\n")
		if got, _ := io.ReadAll(c); !strings.HasPrefix(string(got), "HTTP/1.1 404 Not Found\r\n") || len(got) > 100 {
			s.Errorf("a stranger's browser was answered %q, want a plain 404", got)
		}
		c.Close()
	}
}

// page checks that TCP port 80 shows everybody the same small page, or says that it does not understand.
func (s *stranger) page(to netip.Addr) {
	for text, want := range map[string]string{
		"":                            "",
		"GET /x HTTP/1.1\r\n\r\n":     "HTTP/1.1 200 OK\r\n",
		"POST / HTTP/1.1\r\n\r\n":     "HTTP/1.1 405 ",
		strings.Repeat("\xff", 1<<16): "HTTP/1.1 400 ",
		"GET /?challenge=" + strings.Repeat("0", 32) + " HTTP/1.1\r\n\r\n": "HTTP/1.1 200 OK\r\n",
	} {
		if got := s.talk(to, wire.PagePort, []byte(text)); !strings.HasPrefix(string(got), want) || len(got) > 1000 || want == "" && len(got) > 0 {
			s.Errorf("a stranger who said %.40q on TCP 80 was answered %q, want %q", text, got, want)
		}
	}
}

// capture begins to look at every packet that comes to the neighbour.
func (s *stranger) capture() {
	for _, family := range []string{"ip4", "ip6"} {
		for _, proto := range []int{protoTCP, 17, 47, 50, 51, 115} {
			var c *net.IPConn
			s.do(func() (err error) {
				c, err = net.ListenIP(fmt.Sprintf("%s:%d", family, proto), nil)
				return err
			})
			s.captures = append(s.captures, c)
			s.looking.Go(func() { s.look(c, proto) })
		}
	}
}

// look judges every packet of one protocol that comes from the server.
func (s *stranger) look(c *net.IPConn, proto int) {
	b := make([]byte, 1<<16)
	for {
		n, from, err := c.ReadFromIP(b)
		if err != nil {
			return
		}
		src, _ := netip.AddrFromSlice(from.IP)
		if !slices.Contains(s.server, src.Unmap()) {
			continue
		}
		if proto != protoTCP {
			s.Errorf("a packet of IP protocol %d came from %v: %x", proto, src, b[:n])
			continue
		}
		s.segments.Add(1)
		port, header := binary.BigEndian.Uint16(b), int(b[12]>>4)*4
		if n > header && port != 443 && port != 8443 && port != wire.PagePort {
			s.Errorf("a TCP segment from port %d carries %x", port, b[header:n])
		}
	}
}

// end looks for a little longer, for what is not to come.
func (s *stranger) end() {
	time.Sleep(300 * time.Millisecond)
	for _, c := range s.captures {
		c.Close()
	}
	s.looking.Wait()
	if n := s.segments.Load(); n < 100 {
		s.Errorf("captured %d TCP segments, want those of all the connections", n)
	}
}
