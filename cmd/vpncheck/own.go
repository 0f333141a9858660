package main

import (
	"context"
	"io"
	"net/netip"
	"runtime"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"vpncheck/probe"
	"vpncheck/probe/sock"
	"vpncheck/probe/wire"
	"vpncheck/report"
)

// ownFlags say which VPN server of the person's own is to be asked, each called as its flag.
type ownFlags struct {
	to     string
	toPort []string

	ports map[string]uint16 // what toPort says
}

func (f *ownFlags) addOwn(cmd *cobra.Command) {
	fl := cmd.Flags()
	fl.StringVar(&f.to, "to", "", "also ask your own VPN server, `host`, without a name or a password; works without STRING too")
	fl.StringSliceVar(&f.toPort, "to-port", nil, "with --to: a `port` that is not the usual one, as openvpn-udp=1195")
	cmd.RegisterFlagCompletionFunc("to", cobra.NoFileCompletions)
	cmd.RegisterFlagCompletionFunc("to-port", cobra.NoFileCompletions)
}

// checkOwn refuses what is no host and no port, before anything is sent.
func (f *ownFlags) checkOwn(cmd *cobra.Command) error {
	if !cmd.Flags().Changed("to") {
		if len(f.toPort) > 0 {
			return wrongUsage("add --to HOST", "--to-port says where to ask a VPN server, and none is named")
		}
		return nil
	}
	host, err := ownHost(f.to)
	if err != nil {
		return err
	}
	f.to = host
	f.ports, err = ownPorts(f.toPort)
	return err
}

const ownHint = "give its name or address alone, as in: --to vpn.example.com"

// ownHost is a host name or an address. A connection string is a secret: it is refused without being repeated.
func ownHost(text string) (string, error) {
	text = strings.TrimSpace(text)
	if _, err := wire.ParseConnString(text); err == nil || strings.Contains(strings.ToLower(text), "vpncheck:") {
		return "", wrongUsage("the connection string stands alone, without --to", "--to takes the name of your own VPN server, not a connection string")
	}
	bare := strings.TrimSuffix(strings.TrimPrefix(text, "["), "]")
	if a, err := netip.ParseAddr(bare); err == nil {
		if a = a.Unmap(); a.IsUnspecified() || a.IsMulticast() || a == netip.AddrFrom4([4]byte{255, 255, 255, 255}) {
			return "", wrongUsage(ownHint, "--to: %s is no server's address", a)
		}
		return a.String(), nil
	}
	if _, err := netip.ParseAddrPort(text); err == nil {
		return "", wrongUsage("leave the port out; if it is not the usual one: --to-port openvpn-udp=1195", "--to %.80q has a port", text)
	}
	if name, port, ok := strings.Cut(text, ":"); ok && hostName(name) && number(port) {
		return "", wrongUsage("leave the port out; if it is not the usual one: --to-port openvpn-udp=1195", "--to %.80q has a port", text)
	}
	if !hostName(text) {
		return "", wrongUsage(ownHint, "--to %.80q is no host name", text)
	}
	return strings.TrimSuffix(text, "."), nil
}

func number(s string) bool {
	_, err := strconv.ParseUint(s, 10, 16)
	return err == nil
}

// hostName says whether a text can be a host's name (RFC 1123); an underscore is let in, as some have it.
func hostName(s string) bool {
	s = strings.TrimSuffix(s, ".")
	if s == "" || len(s) > 253 {
		return false
	}
	for _, label := range strings.Split(s, ".") {
		if label == "" || len(label) > 63 || label[0] == '-' || label[len(label)-1] == '-' {
			return false
		}
		for _, c := range label {
			if (c < 'a' || c > 'z') && (c < 'A' || c > 'Z') && (c < '0' || c > '9') && c != '-' && c != '_' {
				return false
			}
		}
	}
	return true
}

// ownPorts reads "openvpn-udp=1195".
func ownPorts(given []string) (map[string]uint16, error) {
	if len(given) == 0 {
		return nil, nil
	}
	out := make(map[string]uint16)
	for _, text := range given {
		id, port, ok := strings.Cut(text, "=")
		if !ok || !known(id, probe.OpeningIDs) {
			return nil, wrongUsage("give it as openvpn-udp=1195; the known ones are "+strings.Join(probe.OpeningIDs, ", "), "--to-port %.40q names nothing that is asked", text)
		}
		n, err := strconv.ParseUint(port, 10, 16)
		if err != nil || n == 0 {
			return nil, wrongUsage("give it as openvpn-udp=1195", "--to-port %.40q: the port is not between 1 and 65535", text)
		}
		out[id] = uint16(n)
	}
	return out, nil
}

// sayOwn says what will be done to a server that is not ours, before it is done.
func (f *ownFlags) sayOwn(errs io.Writer) {
	if f.to == "" {
		return
	}
	var names []string
	for _, id := range probe.OpeningIDs {
		n, _, _ := strings.Cut(report.OpeningName(id), " ")
		if !known(n, names) {
			names = append(names, n)
		}
	}
	says := &lines{w: errs, width: looks(errs).Width}
	last := len(names) - 1
	says.para("vpncheck: I shall send your VPN server " + f.to + " the first messages of " + strings.Join(names[:last], ", ") + " and " + names[last] +
		", without any name or password; it may log them")
	says.print("\n")
}

// ownConfig is how the person's own VPN server is to be asked; nil if it is not.
func (f *runFlags) ownConfig() *probe.OwnConfig {
	if f.to == "" {
		return nil
	}
	net := sock.Kernel{}
	cfg := &probe.OwnConfig{Net: net, Host: f.to, Ports: f.ports, Look: lookAround(net)}
	switch f.family {
	case "4":
		cfg.Family = 4
	case "6":
		cfg.Family = 6
	}
	return cfg
}

// alone asks the person's own VPN server without a test server: then nothing is said of the network but what an answer proves.
func (f *runFlags) alone(ctx context.Context, in io.Reader, out, errs io.Writer) error {
	if err := f.needString(map[string]bool{"--only": len(f.only) > 0, "--events": f.events != "", "--deep": f.deep, "--changed": f.changed != 0}); err != nil {
		return err
	}
	if f.format == "text" {
		f.ask(in, errs)
	}
	f.sayOwn(errs)
	if f.timeout > 0 {
		limited, cancel := context.WithTimeout(ctx, f.timeout)
		defer cancel()
		ctx = limited
	}
	show := newLive(errs, f.options(errs), nil)
	show.line("asking " + f.to + ": five seconds at most")
	started := time.Now()
	seen := probe.AskOwn(ctx, *f.ownConfig())
	show.clear()
	result := probe.Result{Started: started, Ended: time.Now(), Circumstances: probe.Circumstances{Laptop: f.laptop(seen)}}
	rep := report.New(result, nil, report.Tool{Name: "vpncheck", Version: version()}).WithOwn(seen)
	return f.finish(ctx, f.about(rep), out)
}

// laptop is what is known of this computer towards the person's own VPN server.
func (f *runFlags) laptop(seen probe.Own) probe.LaptopFacts {
	if !seen.Addr.IsValid() {
		return probe.LaptopFacts{OS: runtime.GOOS}
	}
	return lookAround(sock.Kernel{})(seen.Addr.Unmap())
}

// finish writes the report and ends with its exit status.
func (f *runFlags) finish(ctx context.Context, rep report.Report, out io.Writer) error {
	if err := f.write(out, judged{rep}); err != nil {
		return err
	}
	if interrupted(ctx) {
		return exit(exitInterrupted)
	}
	return exit(f.asked(rep).ExitCode())
}
