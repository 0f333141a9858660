package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/spf13/cobra"

	"vpncheck/probe/sock"
	"vpncheck/probe/wire"
	"vpncheck/testserver"
)

// serveFlags are those of "vpncheck serve", each called as its flag.
type serveFlags struct {
	listen      []string
	linkPort    []uint
	controlPort uint16
	stateDir    string
	advertise   string
	tokenValid  time.Duration
	newToken    bool
	readyFile   string
	peer        []string
	noPage      bool
	cloud       string
	verbose     bool
}

func newServe() *cobra.Command {
	var f serveFlags
	cmd := &cobra.Command{
		Use:   "serve",
		Short: "Be the echo server at the other end",
		Long: `serve is the echo server that "vpncheck run" talks to. It runs on Linux, on a machine that the laptop reaches over the internet, and
prints the one line to run on the laptop.

It needs root, or: sudo setcap cap_net_raw,cap_net_bind_service+ep vpncheck. It answers only those who have its connection
string, and is silent to strangers but for one small page on TCP port 80: by the signature on it "run" tells this server from a hotel's
sign-in page. --no-page leaves it out.

Until packets have arrived here nobody's router can be blamed; "vpncheck run --prove" from a machine outside shows it. Two servers can do it for
each other: with --peer, each gets the other's connection string. That is a secret, and other users of this machine can read command lines:
better give it in a file, --peer @FILE, or in the environment variable ` + peerEnv + `.

Give it an address that no real VPN uses: a router may keep what a test leaves behind for ten minutes, and a real VPN to the same
address would suffer from it.`,
		Args: noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			ctx, stop := interruptible(cmd.Context())
			defer stop()
			if cmd.Flags().Changed("advertise") && f.advertise == "" {
				return wrongUsage("give the name or address that customers reach this server by", "--advertise is empty")
			}
			if cmd.Flags().Changed("token-valid") && f.tokenValid == 0 {
				f.tokenValid = forever
			}
			return serve(ctx, f, cmd.OutOrStdout(), cmd.ErrOrStderr())
		},
	}
	fl := cmd.Flags()
	fl.StringArrayVar(&f.listen, "listen", nil, "listen on this `address` only (repeatable; default all)")
	fl.UintSliceVar(&f.linkPort, "link-port", []uint{443, 8443}, "TCP `ports` of the side channel")
	fl.Uint16Var(&f.controlPort, "control-port", testserver.DefaultControlPort, "UDP `port` of the control")
	fl.StringVar(&f.stateDir, "state-dir", "", "keep key and proofs in this `directory` (default $STATE_DIRECTORY, /var/lib/vpncheck for root, else ~/.local/state/vpncheck)")
	fl.StringVar(&f.advertise, "advertise", "", "the `host` name or address that customers reach this server by (default its own public address)")
	fl.DurationVar(&f.tokenValid, "token-valid", 0, "the connection string expires after this `duration`, 0 for never (default: as before; at first never)")
	fl.StringArrayVar(&f.peer, "peer", nil, "test the way to another server, now and every hour, so that it knows what arrives: its connection `string`, or @FILE (repeatable)")
	fl.BoolVar(&f.noPage, "no-page", false, "show no page on TCP port 80")
	fl.BoolVar(&f.newToken, "new-token", false, "make a new connection string; the earlier ones expire")
	fl.BoolVarP(&f.verbose, "verbose", "v", false, "say what happens, on standard error")
	fl.StringVar(&f.readyFile, "ready-file", "", "write the connection string to this `file` when ready")
	fl.MarkHidden("ready-file")
	fl.StringVar(&f.cloud, "cloud", "", "the `provider` that this machine stands at, instead of what its firmware says; for labs, where it stands nowhere: none")
	fl.MarkHidden("cloud")
	return cmd
}

func serve(ctx context.Context, f serveFlags, out, errs io.Writer) error {
	if runtime.GOOS != "linux" {
		return cannot("run it on a Linux server", "serve needs Linux: no other system lets a program answer in all the protocols")
	}
	cfg, err := f.config(errs)
	if err != nil {
		return err
	}
	others, err := peerStrings(f.peer, os.Getenv(peerEnv))
	if err != nil {
		return err
	}
	place, err := whereabouts(sock.Kernel{}, f.advertise, cfg.Addresses)
	if err != nil {
		return err
	}
	dir := f.stateDir
	if dir == "" {
		dir = stateDir(os.Getenv, os.Geteuid())
	}
	if cfg.State, err = testserver.OpenState(dir, testserver.StateOptions{TTL: f.tokenValid}); err != nil {
		return cannot(stateHint(err), "%w", err)
	}
	if f.newToken {
		if err := cfg.State.NewAccess(); err != nil {
			return err
		}
	}
	server := testserver.New(cfg)
	if err := server.Start(context.WithoutCancel(ctx)); err != nil {
		_, _, hint, _ := sock.Refusal(err)
		return cannot(hint, "%w", err)
	}
	defer server.Close()
	link := cfg.State.ConnString(place.host, f.linkInString())
	if _, err := wire.ParseConnString(link.String()); err != nil {
		return wrongUsage("give a host name or an address, without a port", "--advertise %.80q is no host: %w", place.host, err)
	}
	if err := noSelf(others, link); err != nil {
		return err
	}
	place.vpn = sock.Tunnels()
	for _, c := range others {
		place.peers = append(place.peers, c.Host)
	}
	if err := tellReady(out, looks(out), server.Status(), place, cfg.State.AccessExpires(), link); err != nil {
		return err
	}
	if err := writeReady(f.readyFile, link.String()+"\n"); err != nil {
		return err
	}
	say := func(text string) { fmt.Fprintln(errs, "vpncheck: "+text) }
	tests := &peers{net: cfg.Net, others: others, look: lookAround(cfg.Net), sentTo: server.SentTo, say: say}
	var testing sync.WaitGroup
	testing.Go(func() { tests.run(ctx) })
	<-ctx.Done()
	say("stopping")
	testing.Wait()
	return server.Close()
}

func (f serveFlags) config(errs io.Writer) (testserver.Config, error) {
	cfg := testserver.Config{Net: sock.Kernel{}, ControlPort: f.controlPort, Build: version(), Log: slog.New(slog.DiscardHandler)}
	cfg.Owners, cfg.Cloud = testserver.MachineOwners, testserver.CloudNamed(f.cloud)
	if f.cloud == "" {
		cfg.Cloud = testserver.CloudOf(os.DirFS("/sys/class/dmi/id"))
	}
	if f.verbose {
		cfg.Log = slog.New(slog.NewTextHandler(errs, nil))
	}
	listen, err := f.addresses()
	if err != nil {
		return cfg, err
	}
	cfg.Addresses = listen
	if cfg.LinkPorts, err = f.ports(); err != nil {
		return cfg, err
	}
	if !f.noPage && !slices.Contains(cfg.LinkPorts, wire.PagePort) {
		cfg.PagePort = wire.PagePort
	}
	if f.tokenValid < 0 {
		return cfg, wrongUsage("0 is for a connection string that stays valid", "--token-valid %s lies in the past", f.tokenValid)
	}
	cfg.Responders = responders()
	return cfg, nil
}

// addresses are those of --listen, each once.
func (f serveFlags) addresses() ([]netip.Addr, error) {
	var out []netip.Addr
	for _, text := range f.listen {
		a, err := netip.ParseAddr(text)
		if err != nil {
			return nil, wrongUsage("give an address of this machine, as --listen 198.51.100.10", "--listen %.80q is no address", text)
		}
		a = a.Unmap()
		if c, err := net.ListenUDP("udp", net.UDPAddrFromAddrPort(netip.AddrPortFrom(a, 0))); err == nil {
			c.Close()
		} else if errors.Is(err, syscall.EADDRNOTAVAIL) {
			own, _ := ownAddresses(false)
			return nil, wrongUsage(has(own), "--listen: %s is no address of this machine", a)
		}
		out = append(out, a)
	}
	all := out
	return slices.DeleteFunc(distinct(out), func(a netip.Addr) bool { // the unspecified address has them all
		return !a.IsUnspecified() && slices.ContainsFunc(all, func(b netip.Addr) bool { return b.IsUnspecified() && b.Is4() == a.Is4() })
	}), nil
}

// has tells which addresses this machine has; "" if none.
func has(own []netip.Addr) string {
	if len(own) == 0 {
		return "it has no address but its loopback"
	}
	return "it has " + addressList(own)
}

// theirs are the ports that belong to a test.
var theirs = map[string]map[uint16]string{
	"UDP": {500: "IKE", 4500: "NAT-T", 1701: "L2TP", 1194: "OpenVPN", 51820: "WireGuard"},
	"TCP": {1723: "PPTP", 1194: "OpenVPN"},
}

// ports are those of --link-port, each once.
func (f serveFlags) ports() ([]uint16, error) {
	var out []uint16
	for _, p := range f.linkPort {
		if p == 0 || p > 65535 {
			return nil, wrongUsage("", "--link-port %d is not between 1 and 65535", p)
		}
		if whose := theirs["TCP"][uint16(p)]; whose != "" {
			return nil, wrongUsage("choose another", "--link-port: %d is %s's port", p, whose)
		}
		out = append(out, uint16(p))
	}
	if f.controlPort == 0 {
		return nil, wrongUsage("", "--control-port 0 is not between 1 and 65535")
	}
	if whose := theirs["UDP"][f.controlPort]; whose != "" {
		return nil, wrongUsage("choose another", "--control-port: %d is %s's port", f.controlPort, whose)
	}
	return distinct(out), nil
}

// forever is how long a connection string is valid that does not expire: OpenState takes 0 for "as before".
const forever = 200 * 365 * 24 * time.Hour

// stateHint helps where the directory is at fault. Another one would not help a damaged file: it would change the key.
func stateHint(err error) string {
	var path *fs.PathError
	switch {
	case errors.Is(err, fs.ErrPermission), errors.As(err, &path) && path.Op == "mkdir":
		return "choose another place with --state-dir"
	case strings.Contains(err.Error(), "damaged") && !strings.Contains(err.Error(), "remove it"):
		return "restore it from a backup, or remove it to begin anew with another connection string"
	}
	return ""
}

// linkInString is the port that the connection string must name: none if a client finds it by itself.
func (f serveFlags) linkInString() uint16 {
	for _, p := range f.linkPort {
		if p == 443 || p == 8443 {
			return 0
		}
	}
	if len(f.linkPort) == 0 {
		return 0
	}
	return uint16(f.linkPort[0])
}

// stateDir is where the state lives if nobody says otherwise.
func stateDir(env func(string) string, uid int) string {
	if dirs := env("STATE_DIRECTORY"); dirs != "" { // systemd
		return strings.Split(dirs, ":")[0]
	}
	if uid == 0 {
		return "/var/lib/vpncheck"
	}
	if dir := env("XDG_STATE_HOME"); filepath.IsAbs(dir) {
		return filepath.Join(dir, "vpncheck")
	}
	return filepath.Join(env("HOME"), ".local", "state", "vpncheck")
}

// writeReady tells whoever started us. A pipe is written to as it is, a file appears with all its content at once.
func writeReady(name, text string) error {
	if name == "" {
		return nil
	}
	if info, err := os.Stat(name); err == nil && !info.Mode().IsRegular() {
		f, err := os.OpenFile(name, os.O_WRONLY, 0)
		if err != nil {
			return fmt.Errorf("saying that we are ready: %w", err)
		}
		defer f.Close()
		_, err = io.WriteString(f, text)
		return err
	}
	return replaceFile(name, func(w io.Writer) error { _, err := io.WriteString(w, text); return err })
}
