//go:build linux

package netlab

import (
	"encoding/binary"
	"errors"
	"net"
	"net/netip"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// facts are what a router does, in words that fit into a table.
type facts struct {
	TCP      string // "ok", "reset", "silent", "another"
	CallID   string // of the laptop as the server sees it: "kept", "rewritten"
	V1, V0   string // GRE of PPTP and plain GRE: "both", "out" (only), "none", with what was changed
	UDP      string
	IPsec    string // IKE, UDP 4500 with a checksum and without, ESP after IKE, AH
	L2TP     string
	Sources  string // which addresses the server sees: of TCP, PPTP's GRE, plain GRE, ESP
	Internet bool   // TCP to some port
}

func measure(t *testing.T, l *Lab) facts {
	t.Helper()
	var f facts
	atLaptop, atServer := raw(t, l, Laptop, gre), raw(t, l, Server, gre)
	k, err := pptp(t, l, 0)
	var froms [4]netip.Addr
	switch {
	case errors.Is(err, syscall.ECONNREFUSED):
		f.TCP = "reset"
	case err != nil && k == nil:
		f.TCP = "silent"
	case err != nil:
		f.TCP = "another"
	default:
		f.TCP, f.CallID = "ok", "kept"
		froms[0] = k.from
		if k.seen != k.laptopID {
			f.CallID = "rewritten"
		}
		f.V1, froms[1] = echoV1(t, l, k, atLaptop, atServer)
	}
	f.V0, froms[2] = echo(t, atLaptop, atServer, l.Addr(Server), gre0())
	f.UDP = udpPair(t, l, 0, 8443, l.Addr(Server)).talk(t)
	f.IPsec = udpPair(t, l, 500, 500, l.Addr(Server)).talk(t)
	natt := udpPair(t, l, 4500, 4500, l.Addr(Server))
	f.IPsec += " " + natt.talk(t)
	natt.noChecksum(t)
	f.IPsec += " " + natt.talk(t)
	for i, p := range []int{esp, ah} {
		got, from := echo(t, raw(t, l, Laptop, p), raw(t, l, Server, p), l.Addr(Server), security())
		if f.IPsec += " " + got; i == 0 {
			froms[3] = from
		}
	}
	f.L2TP = udpPair(t, l, 1701, 1701, l.Addr(Server)).talk(t)
	for i, a := range froms {
		if i > 0 {
			f.Sources += " "
		}
		if a.IsValid() {
			f.Sources += a.String()
		}
	}
	within(t, l, Server, func() (*net.TCPListener, error) { return net.ListenTCP("tcp4", &net.TCPAddr{Port: 8443}) })
	if c, err := dial(l, l.Addr(Server), 8443); err == nil {
		c.Close()
		f.Internet = true
	}
	return f
}

// echoV1 sends PPTP's GRE as the two ends of the call would: the server answers to the address of the control connection.
func echoV1(t *testing.T, l *Lab, k *call, atLaptop, atServer *net.IPConn) (string, netip.Addr) {
	t.Helper()
	sent := gre1(k.told)
	send(t, atLaptop, l.Addr(Server), sent)
	b, from, ok := next(atServer, silence)
	if !ok {
		return "none", from
	}
	note := ""
	if binary.BigEndian.Uint16(b[6:]) != k.serverID {
		note = " call-id-wrong-out"
	}
	if string(b[8:]) != string(sent[8:]) {
		note += " damaged"
	}
	send(t, atServer, k.from, gre1(k.seen))
	b, _, ok = next(atLaptop, silence)
	if !ok {
		return "out" + note, from
	}
	if binary.BigEndian.Uint16(b[6:]) != k.laptopID {
		note += " call-id-wrong"
	}
	return "both" + note, from
}

// echo sends a raw packet to one of the server's addresses, which answers to the address that it sees.
func echo(t *testing.T, atLaptop, atServer *net.IPConn, to netip.Addr, b []byte) (string, netip.Addr) {
	t.Helper()
	send(t, atLaptop, to, b)
	_, from, ok := next(atServer, silence)
	if !ok {
		return "none", from
	}
	send(t, atServer, from, b)
	if _, _, ok := next(atLaptop, silence); !ok {
		return "out", from
	}
	return "both", from
}

// security is a packet of ESP, or of AH: as no router looks further than the SPI, it is at the place of either.
func security() []byte {
	return append([]byte{0xc0, 0, 0, 1, 0xc0, 0, 0, 1, 0, 0, 0, 1}, make([]byte, 52)...)
}

// A pair is a UDP socket of the laptop, connected to one of the server.
type pair struct{ c, s *net.UDPConn }

func udpPair(t *testing.T, l *Lab, from, port int, to netip.Addr) pair {
	t.Helper()
	return pair{s: udpOn(t, l, Server, l.Inside(to), port), c: within(t, l, Laptop, func() (*net.UDPConn, error) {
		return net.DialUDP("udp4", net.UDPAddrFromAddrPort(ap(l.Addr(Laptop), from)), net.UDPAddrFromAddrPort(ap(to, port)))
	})}
}

// noChecksum makes the laptop send as IPsec over UDP does.
func (p pair) noChecksum(t *testing.T) {
	t.Helper()
	rc, err := p.c.SyscallConn()
	if err != nil {
		t.Fatal(err)
	}
	rc.Control(func(fd uintptr) { err = unix.SetsockoptInt(int(fd), unix.SOL_SOCKET, unix.SO_NO_CHECK, 1) })
	if err != nil {
		t.Fatal(err)
	}
}

// talk sends a datagram, has it answered, and returns what became of it: "both", "out" (only), "changed" (on the way out), "refused",
// "unreachable", "forbidden" (by the laptop itself), "another" (answered), "none".
func (p pair) talk(t *testing.T) string {
	t.Helper()
	const text = "\xc8\x02, which L2TP starts with, and as long as IKE's header"
	if _, err := p.c.Write([]byte(text)); errors.Is(err, syscall.EPERM) {
		return "forbidden"
	} else if err != nil {
		t.Fatal(err)
	}
	buf := make([]byte, 2048)
	p.s.SetReadDeadline(time.Now().Add(silence))
	n, from, err := p.s.ReadFromUDPAddrPort(buf)
	word, wait := "both", silence
	if err != nil {
		word, wait = "another", silence/10 // it had as long as the server
	} else {
		if string(buf[:n]) != text {
			word = "changed"
		}
		p.s.WriteToUDPAddrPort([]byte("an answer"), from)
	}
	p.c.SetReadDeadline(time.Now().Add(wait))
	switch _, err := p.c.Read(buf); {
	case err == nil:
		return word
	case errors.Is(err, syscall.ECONNREFUSED):
		return "refused"
	case errors.Is(err, syscall.EHOSTUNREACH):
		return "unreachable"
	case word == "another":
		return "none"
	}
	return "out"
}
