package main

import (
	"bufio"
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"math/big"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"vpncheck/probe"
	"vpncheck/probe/sock"
	"vpncheck/probe/wire"
	"vpncheck/testserver/netlab"
)

// askOwn is a program on the lab's laptop: it asks a VPN server, at other ports where they are given as openvpn-udp=1195.
func askOwn() {
	cfg := probe.OwnConfig{Net: sock.Kernel{}, Host: os.Args[1], Ports: map[string]uint16{}}
	for _, arg := range os.Args[2:] {
		id, port, _ := strings.Cut(arg, "=")
		var n uint16
		fmt.Sscan(port, &n)
		cfg.Ports[id] = n
	}
	json.NewEncoder(os.Stdout).Encode(probe.AskOwn(context.Background(), cfg))
}

// An ownLab is a lab on whose server real programs run.
type ownLab struct {
	*testing.T
	lab *netlab.Lab
	dir string
}

// buildOwnLab builds a lab. It skips the test where one of the programs is not installed: .ci/run installs them, and insists.
func buildOwnLab(t *testing.T, router string, programs ...string) *ownLab {
	t.Helper()
	for _, p := range programs {
		if _, err := os.Stat(p); err != nil {
			t.Skip("a program that this test needs is not installed: ", err)
		}
	}
	if err := netlab.Available(); err != nil {
		if os.Getenv("CI") == "true" {
			t.Fatal(err)
		}
		t.Skip(err)
	}
	r, ok := netlab.Find(router)
	if !ok {
		t.Fatalf("there is no router %q", router)
	}
	lab, err := netlab.Build(t.Context(), r)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { lab.Close() })
	return &ownLab{T: t, lab: lab, dir: t.TempDir()}
}

// file writes a file for a program of the server's.
func (l *ownLab) file(name, text string) string {
	l.Helper()
	path := filepath.Join(l.dir, name)
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		l.Fatal(err)
	}
	return path
}

// start starts a program on the server, and returns when it says that it is ready, or at once if it never does.
func (l *ownLab) start(ready string, cmd *exec.Cmd) {
	l.Helper()
	said := &saying{ready: []byte(ready), is: make(chan struct{})}
	cmd.Stdout, cmd.Stderr = said, said
	if err := l.lab.Start(netlab.Server, cmd); err != nil {
		l.Fatal(err)
	}
	gone := make(chan struct{})
	go func() { defer close(gone); cmd.Wait() }()
	l.Cleanup(func() {
		l.lab.Close()
		<-gone
		if l.Failed() {
			l.Logf("%s said:\n%s", cmd.Path, said.all.String())
		}
	})
	if ready == "" {
		return
	}
	select {
	case <-said.is:
	case <-gone:
		l.Fatalf("%s ended", cmd.Path)
	case <-time.After(entrance):
		l.Fatalf("%s is not ready", cmd.Path)
	}
}

// saying keeps what a program says. It is used by one goroutine.
type saying struct {
	all   bytes.Buffer
	ready []byte
	is    chan struct{}
}

func (s *saying) Write(b []byte) (int, error) {
	was := len(s.ready) == 0 || bytes.Contains(s.all.Bytes(), s.ready)
	s.all.Write(b)
	if !was && bytes.Contains(s.all.Bytes(), s.ready) {
		close(s.is)
	}
	return len(b), nil
}

// ask asks the server from the laptop.
func (l *ownLab) ask(host netip.Addr, args ...string) (own probe.Own) {
	l.Helper()
	cmd := &exec.Cmd{Path: "/proc/self/exe", Args: append([]string{"ask-own", host.String()}, args...), Stderr: l.Output()}
	out, err := cmd.StdoutPipe()
	if err := errors.Join(err, l.lab.Start(netlab.Laptop, cmd)); err != nil {
		l.Fatal(err)
	}
	defer cmd.Wait()
	if err := json.NewDecoder(out).Decode(&own); err != nil {
		l.Fatal(err)
	}
	if own.Why != nil || own.Ended.Sub(own.Started) > 6*time.Second {
		l.Errorf("nothing was asked: %+v in %v", own.Why, own.Ended.Sub(own.Started))
	}
	return own
}

// opening is one of them, with what is made of it.
func (l *ownLab) opening(own probe.Own, id string) (probe.Opening, probe.Answered) {
	l.Helper()
	i := slices.IndexFunc(own.Openings, func(o probe.Opening) bool { return o.ID == id })
	if i < 0 {
		l.Fatalf("%s was not asked", id)
	}
	o := own.Openings[i]
	a := probe.JudgeOpening(o, nil)
	l.Logf("%s: %s %s %v; told %v; server behind NAT %v, laptop %v", id, a.Verdict, a.Reason, a.Args, o.Told, said(o.ServerBehindNAT), said(o.ClientBehindNAT))
	if len(o.Strangers) > 0 {
		l.Errorf("%s: strangers %+v", id, o.Strangers)
	}
	return o, a
}

func said(b *bool) any {
	if b == nil {
		return "not told"
	}
	return *b
}

// want fails unless an opening came to that.
func (l *ownLab) want(own probe.Own, id string, v probe.Verdict, r probe.Reason) probe.Opening {
	l.Helper()
	o, a := l.opening(own, id)
	if a.Verdict != v || a.Reason != r {
		text, _ := json.MarshalIndent(o, "", " ")
		l.Errorf("%s: got %s %s, want %s %s\n%s", id, a.Verdict, a.Reason, v, r, text)
	}
	return o
}

func tells(o probe.Opening, what, text string) bool {
	return slices.ContainsFunc(o.Told, func(told probe.Told) bool { return told.What == what && strings.Contains(told.Text, text) })
}

const (
	unshareProgram = "/usr/bin/unshare"
	charonProgram  = "/usr/lib/ipsec/charon"
	swanctlProgram = "/usr/sbin/swanctl"
	pptpdProgram   = "/usr/sbin/pptpd"
	xl2tpdProgram  = "/usr/sbin/xl2tpd"
	openVPNProgram = "/usr/sbin/openvpn"
)

// charon starts strongSwan with one connection for anybody, whose settings for IKE are given.
func (l *ownLab) charon(settings string) {
	l.Helper()
	socket := "unix://" + filepath.Join(l.dir, "vici")
	conf := l.file("strongswan.conf", fmt.Sprintf(`charon {
  load = random nonce aes sha1 sha2 hmac pem pkcs1 x509 curve25519 gmp openssl kdf gcm kernel-netlink socket-default vici
  install_routes = no
  filelog { out { path = /dev/stdout
    default = 1
    flush_line = yes } }
  plugins { vici { socket = %s } }
}
swanctl { load = random }
`, socket))
	connections := l.file("swanctl.conf", fmt.Sprintf(`connections { anybody { %s
  local_addrs = %%any
  remote_addrs = %%any
  local { auth = psk }
  remote { auth = psk }
  children { net { local_ts = 0.0.0.0/0 } } } }
secrets { ike-anybody { secret = "no secret" } }
`, settings))
	env := append(os.Environ(), "STRONGSWAN_CONF="+conf)
	// It insists on a file of its own in /run, which another test's may hold.
	l.start("spawning 16 worker threads", &exec.Cmd{Path: unshareProgram, Env: env, Args: []string{
		"unshare", "--mount", "sh", "-c", "mount -t tmpfs none /run && exec " + charonProgram,
	}})
	load := &exec.Cmd{Path: swanctlProgram, Args: []string{"swanctl", "--load-all", "--uri", socket, "--file", connections}, Env: env}
	var said bytes.Buffer
	load.Stdout, load.Stderr = &said, &said
	for end := time.Now().Add(entrance); ; time.Sleep(50 * time.Millisecond) {
		if _, err := os.Stat(filepath.Join(l.dir, "vici")); err == nil {
			break
		}
		if time.Now().After(end) {
			l.Fatal("charon opens no socket")
		}
	}
	if err := l.lab.Start(netlab.Server, load); err != nil {
		l.Fatal(err)
	}
	if err := load.Wait(); err != nil {
		l.Fatal(err, said.String())
	}
}

// TestOwnStrongSwan asks a real strongSwan in both versions, behind the laptop's NAT.
func TestOwnStrongSwan(t *testing.T) {
	l := buildOwnLab(t, "linux", charonProgram, swanctlProgram, unshareProgram)
	l.charon("version = 0")
	own := l.ask(l.lab.Addr(netlab.Server))
	for id, proposal := range map[string]string{
		probe.OpeningIKEv1: "AES-CBC-256, SHA1, ECP-384, pre-shared key", probe.OpeningIKEv2: "AES-CBC-",
	} {
		o := l.want(own, id, probe.Passed, "")
		if o.ServerBehindNAT == nil || *o.ServerBehindNAT || o.ClientBehindNAT == nil || !*o.ClientBehindNAT {
			t.Errorf("%s: got a server behind NAT %v and a laptop %v, want false and true", id, said(o.ServerBehindNAT), said(o.ClientBehindNAT))
		}
		if !tells(o, probe.ToldProposal, proposal) {
			t.Errorf("%s: got %v, want a proposal with %s", id, o.Told, proposal)
		}
		if o.StandIn != nil {
			t.Errorf("%s: not from port 500: %+v", id, o.StandIn)
		}
	}
	for id := range map[string]bool{probe.OpeningPPTP: true, probe.OpeningOpenVPNTCP: true, probe.OpeningSSTP: true, probe.OpeningL2TP: true, probe.OpeningOpenVPNUDP: true} {
		if o := l.want(own, id, probe.BlockedOut, probe.OwnRefused); len(o.Stages) != 1 {
			t.Errorf("%s: went on after a refusal: %+v", id, o.Stages)
		}
	}
}

// TestOwnBehindNAT asks a strongSwan that stands behind a NAT of its own, as in a cloud: it says so by its NAT detection (F03).
func TestOwnBehindNAT(t *testing.T) {
	l := buildOwnLab(t, "server-nat", charonProgram, swanctlProgram, unshareProgram)
	l.charon("version = 0")
	own := l.ask(l.lab.Addr(netlab.Server))
	for _, id := range []string{probe.OpeningIKEv1, probe.OpeningIKEv2} {
		o := l.want(own, id, probe.Passed, "")
		if o.ServerBehindNAT == nil || !*o.ServerBehindNAT {
			t.Errorf("%s: got a server behind NAT %v, want true", id, said(o.ServerBehindNAT))
		}
	}
}

// TestOwnDeclines asks a strongSwan that has nothing in common with what is offered, and one that wants another group.
func TestOwnDeclines(t *testing.T) {
	l := buildOwnLab(t, "linux", charonProgram, swanctlProgram, unshareProgram)
	l.charon("version = 0\n  proposals = aes192-sha512-modp6144")
	own := l.ask(l.lab.Addr(netlab.Server))
	for id, said := range map[string]string{probe.OpeningIKEv1: "NO-PROPOSAL-CHOSEN", probe.OpeningIKEv2: "NO_PROPOSAL_CHOSEN"} {
		if o := l.want(own, id, probe.Passed, probe.OwnDeclined); o.Declined != said {
			t.Errorf("%s: got %q, want %q", id, o.Declined, said)
		}
	}
}

// TestOwnOtherGroup asks a strongSwan that wants a public value of another group: it is asked again.
func TestOwnOtherGroup(t *testing.T) {
	l := buildOwnLab(t, "linux", charonProgram, swanctlProgram, unshareProgram)
	l.charon("version = 2\n  proposals = aes256-sha384-ecp384")
	o := l.want(l.ask(l.lab.Addr(netlab.Server)), probe.OpeningIKEv2, probe.Passed, "")
	if !tells(o, probe.ToldProposal, "ECP-384") || len(o.Stages) != 1 || len(o.Stages[0].Exchanges) != 2 {
		t.Errorf("got %v after %d messages, want ECP-384 after two", o.Told, len(o.Stages[0].Exchanges))
	}
}

// TestOwnXL2TPD asks a real xl2tpd for a tunnel, and takes it down.
func TestOwnXL2TPD(t *testing.T) {
	l := buildOwnLab(t, "linux", xl2tpdProgram)
	conf := l.file("xl2tpd.conf", "[global]\nport = 1701\n[lns default]\nip range = 10.9.0.10-10.9.0.20\nlocal ip = 10.9.0.1\nname = a-vpn-server\n")
	l.start("Listening on IP address", &exec.Cmd{Path: xl2tpdProgram, Args: []string{
		"xl2tpd", "-D", "-c", conf, "-p", filepath.Join(l.dir, "pid"), "-C", filepath.Join(l.dir, "control"),
	}})
	o := l.want(l.ask(l.lab.Addr(netlab.Server)), probe.OpeningL2TP, probe.Passed, "")
	if !tells(o, probe.ToldVendor, "xelerance.com") || o.StandIn != nil {
		t.Errorf("got %v, from another port: %v", o.Told, o.StandIn)
	}
}

// TestOwnPPTPD asks a real pptpd for a call, in whose tunnel a program of ours plays pppd, which needs more of the kernel than a lab has.
func TestOwnPPTPD(t *testing.T) {
	for router, want := range map[string]struct {
		verdict probe.Verdict
		reason  probe.Reason
	}{
		"linux-pptp": {probe.Passed, ""},
		"linux":      {probe.Inconclusive, probe.OwnNoGRE}, // its NAT brings no answer home (F04)
	} {
		t.Run(router, func(t *testing.T) {
			l := buildOwnLab(t, router, pptpdProgram)
			self, err := os.Executable()
			ppp := filepath.Join(l.dir, "fake-ppp")
			if err := errors.Join(err, os.Symlink(self, ppp)); err != nil {
				t.Fatal(err)
			}
			conf := l.file("pptpd.conf", fmt.Sprintf("ppp %s\noption %s\nlocalip 10.9.0.1\nremoteip 10.9.0.10-20\nnoipparam\n", ppp, l.file("options", "")))
			l.start("", &exec.Cmd{Path: pptpdProgram, Args: []string{"pptpd", "-f", "-c", conf, "-p", filepath.Join(l.dir, "pid")}})
			l.listens("tcp4", 1723)
			o := l.want(l.ask(l.lab.Addr(netlab.Server)), probe.OpeningPPTP, want.verdict, want.reason)
			if !tells(o, probe.ToldVendor, "linux") {
				t.Errorf("got %v, want its vendor", o.Told)
			}
		})
	}
}

// listens waits until the server accepts connections.
func (l *ownLab) listens(network string, port uint16) {
	l.Helper()
	to := netip.AddrPortFrom(l.lab.Addr(netlab.Server), port).String()
	for end := time.Now().Add(entrance); ; time.Sleep(20 * time.Millisecond) {
		err := l.lab.Do(netlab.Laptop, func() error {
			c, err := net.DialTimeout(network, to, time.Second)
			if err == nil {
				c.Close()
			}
			return err
		})
		if err == nil {
			return
		}
		if time.Now().After(end) {
			l.Fatalf("nobody listens: %v", err)
		}
	}
}

// fakePPP plays pppd for pptpd, on a pseudo-terminal: it sends one Configure-Request after
// another, and acknowledges each that comes.
func fakePPP() {
	raw := exec.Command("stty", "raw", "-echo")
	raw.Stdin = os.Stdin
	if raw.Run() != nil {
		os.Exit(1)
	}
	say := func(m wire.LCP) {
		os.Stdout.Write(escapeHDLC(wire.PPP{Protocol: wire.ProtocolLCP, Information: m.Append(nil)}.Append(nil)))
	}
	go func() {
		for id := uint8(1); ; id++ { // nobody acknowledges it
			say(wire.LCP{Code: wire.ConfigureRequest, Identifier: id, Data: wire.LCPOptions{wire.MagicNumberOption(7)}.Append(nil)})
			time.Sleep(700 * time.Millisecond)
		}
	}()
	in := bufio.NewReader(os.Stdin)
	for {
		frame, err := in.ReadBytes(hdlcFlag)
		if err != nil {
			return
		}
		ppp, err := wire.ParsePPP(unescapeHDLC(frame[:len(frame)-1]))
		if err != nil || ppp.Protocol != wire.ProtocolLCP {
			continue
		}
		if lcp, err := wire.ParseLCP(ppp.Information); err == nil && lcp.Code == wire.ConfigureRequest {
			lcp.Code = wire.ConfigureAck
			say(lcp)
		}
	}
}

// HDLC-like framing (RFC 1662).
const (
	hdlcFlag   = 0x7E
	hdlcEscape = 0x7D
	hdlcBit    = 0x20
)

func unescapeHDLC(b []byte) (out []byte) {
	for i := 0; i < len(b); i++ {
		if b[i] == hdlcEscape && i+1 < len(b) {
			i++
			out = append(out, b[i]^hdlcBit)
			continue
		}
		out = append(out, b[i])
	}
	return out[:max(len(out)-2, 0)] // without the check sequence
}

func escapeHDLC(b []byte) []byte {
	sum := uint16(0xFFFF)
	for _, c := range b {
		sum ^= uint16(c)
		for range 8 {
			sum = sum>>1 ^ sum&1*0x8408
		}
	}
	b = append(b, byte(^sum), byte(^sum>>8))
	out := []byte{hdlcFlag}
	for _, c := range b {
		if c < hdlcBit || c == hdlcFlag || c == hdlcEscape {
			out = append(out, hdlcEscape)
			c ^= hdlcBit
		}
		out = append(out, c)
	}
	return append(out, hdlcFlag)
}

// TestOwnOpenVPN asks real OpenVPNs over UDP and TCP: some answer, and those with a TLS key keep silent.
func TestOwnOpenVPN(t *testing.T) {
	l := buildOwnLab(t, "linux", openVPNProgram)
	cert, key := l.certificate()
	secret := l.file("secret", openVPNKey())
	for _, s := range []struct {
		port  string
		proto string
		more  []string
	}{{"1194", "udp4", nil}, {"1194", "tcp4-server", nil}, {"1195", "udp4", []string{"--tls-auth", secret, "0"}}, {"1195", "tcp4-server", []string{"--tls-crypt", secret}}} {
		args := append([]string{"openvpn", "--mode", "server", "--tls-server", "--dev", "tun", "--ifconfig-noexec", "--route-noexec", "--proto", s.proto, "--port", s.port,
			"--ca", cert, "--cert", cert, "--key", key, "--dh", "none", "--keepalive", "10", "60"}, s.more...)
		l.start("Initialization Sequence Completed", &exec.Cmd{Path: openVPNProgram, Args: args})
	}
	own := l.ask(l.lab.Addr(netlab.Server))
	l.want(own, probe.OpeningOpenVPNUDP, probe.Passed, "")
	l.want(own, probe.OpeningOpenVPNTCP, probe.Passed, "")
	own = l.ask(l.lab.Addr(netlab.Server), "openvpn-udp=1195", "openvpn-tcp=1195")
	l.want(own, probe.OpeningOpenVPNUDP, probe.Inconclusive, probe.OwnSilentByDesign)
	l.want(own, probe.OpeningOpenVPNTCP, probe.Inconclusive, probe.OwnSilentByDesign)
}

// certificate makes a certificate that is its own authority, and its key.
func (l *ownLab) certificate() (cert, key string) {
	l.Helper()
	private, err1 := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "a VPN server"}, NotBefore: time.Now().Add(-time.Hour),
		NotAfter: time.Now().Add(time.Hour), IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign | x509.KeyUsageDigitalSignature,
	}
	der, err2 := x509.CreateCertificate(rand.Reader, template, template, private.Public(), private)
	b, err3 := x509.MarshalPKCS8PrivateKey(private)
	if err := errors.Join(err1, err2, err3); err != nil {
		l.Fatal(err)
	}
	encode := func(kind string, b []byte) string {
		return string(pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: b}))
	}
	return l.file("cert.pem", encode("CERTIFICATE", der)), l.file("key.pem", encode("PRIVATE KEY", b))
}

// openVPNKey is a key of tls-auth and tls-crypt.
func openVPNKey() string {
	var key [256]byte
	rand.Read(key[:])
	text := "-----BEGIN OpenVPN Static key V1-----\n"
	for i := 0; i < len(key); i += 16 {
		text += fmt.Sprintf("%x\n", key[i:i+16])
	}
	return text + "-----END OpenVPN Static key V1-----\n"
}

// TestOwnStrongSwan6 asks a real strongSwan over IPv6, where no NAT is on the way.
func TestOwnStrongSwan6(t *testing.T) {
	l := buildOwnLab(t, "linux", charonProgram, swanctlProgram, unshareProgram)
	l.charon("version = 0")
	own := l.ask(l.lab.Addr6(netlab.Server))
	for _, id := range []string{probe.OpeningIKEv1, probe.OpeningIKEv2} {
		o := l.want(own, id, probe.Passed, "")
		if o.ServerBehindNAT == nil || *o.ServerBehindNAT || o.ClientBehindNAT == nil || *o.ClientBehindNAT {
			t.Errorf("%s: got a server behind NAT %v and a laptop %v, want false twice", id, said(o.ServerBehindNAT), said(o.ClientBehindNAT))
		}
	}
	l.want(own, probe.OpeningPPTP, probe.Untested, probe.IPv4Only)
	for _, id := range []string{probe.OpeningL2TP, probe.OpeningOpenVPNUDP, probe.OpeningOpenVPNTCP} {
		l.want(own, id, probe.BlockedOut, probe.OwnRefused)
	}
}
