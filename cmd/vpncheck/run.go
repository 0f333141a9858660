package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"vpncheck/probe"
	"vpncheck/probe/sock"
	"vpncheck/probe/wire"
	"vpncheck/report"
	"vpncheck/report/view"
)

// runFlags are those of "vpncheck run", each called as its flag.
type runFlags struct {
	outputFlags
	aimFlags
	ownFlags
	only      []string
	family    string
	timeout   time.Duration
	events    string
	prove     bool
	deep      bool
	changed   time.Duration
	noRouter  bool
	portalURL string
}

const connEnv = "VPNCHECK_SERVER"

func newRun() *cobra.Command {
	var f runFlags
	cmd := &cobra.Command{
		Use:   "run [STRING]",
		Short: "Test the way from this computer to a server",
		Long: `run tests the way from this computer to a server on which "vpncheck serve" runs, and says of each VPN protocol what became of it.

STRING is the connection string that "vpncheck serve" prints, vpncheck://HOST/CODE. It can also come from the environment variable
` + connEnv + `, or with - from standard input. It is a secret: it is never printed and is in no report.

With --vpn the first lines and the exit status are about that VPN alone, and --error weighs what Windows said against what is seen.

With --to it also asks your own VPN server, HOST, with the first messages that any VPN client sends: without a name or a password, and after
saying so, for it may log them. What it answers gets through, both ways. Silence proves nothing, unless the same got through to the server of
STRING: then it is HOST that did not answer. This works without STRING too, with less to say. Ask only a server that is yours to use.

Without STRING and --to, run looks at this computer and its network only.

If you have just changed a setting of the router, say how long ago with --changed: without a restart a router may go on as before for ten
minutes.

With --prove it comes only to show the server that packets arrive: a server that nobody's packets have reached blames nobody's router. Run it
from any machine outside that is not behind the same firewall, another server say. Its exit status is 0 if all that this machine could send
arrived, 4 if something did not.

It needs root, or on Linux: sudo setcap cap_net_raw,cap_net_bind_service+ep vpncheck. Without, it says what it could not ask.

` + exitCodes,
		Example: `  sudo vpncheck run 'vpncheck://vpn.example.com/CODE'
  sudo vpncheck run -o report.json 'vpncheck://vpn.example.com/CODE'
  sudo vpncheck run --vpn l2tp-ipsec --error 809 'vpncheck://HOST/CODE'
  sudo vpncheck run --to vpn.company.example --vpn ikev2 'vpncheck://HOST/CODE'
  sudo vpncheck run --to vpn.company.example
  sudo vpncheck run --prove 'vpncheck://vpn.example.com/CODE'
  vpncheck run`,
		RunE: func(cmd *cobra.Command, args []string) error {
			ctx, stop := interruptible(cmd.Context())
			defer stop()
			if err := f.checkGiven(cmd); err != nil {
				return err
			}
			if err := f.checkOwn(cmd); err != nil {
				return err
			}
			return f.run(ctx, args, cmd.InOrStdin(), cmd.OutOrStdout(), cmd.ErrOrStderr())
		},
	}
	f.add(cmd)
	f.addAim(cmd)
	f.addOwn(cmd)
	fl := cmd.Flags()
	f.addOnly(cmd)
	fl.BoolVar(&f.prove, "prove", false, "come only to prove to the server that packets arrive, from a machine outside; there are no verdicts")
	fl.BoolVar(&f.noRouter, "no-router", false, "do not ask the router about itself (UPnP, NAT-PMP)")
	fl.StringVar(&f.portalURL, "portal-url", knownPage, "without STRING: the `page` that says whether a sign-in page stands in the way")
	fl.MarkHidden("portal-url")
	return cmd
}

// addOnly adds the flags that demo has too.
func (f *runFlags) addOnly(cmd *cobra.Command) {
	fl := cmd.Flags()
	fl.StringSliceVar(&f.only, "only", nil, "test these `protocols` only, with commas between them: "+strings.Join(protocolIDs(), ", "))
	fl.StringVar(&f.events, "events", "", "write what happens to this `file`, as JSON lines; with - to standard output, and the text to standard error")
	fl.StringVar(&f.family, "family", "", "use IPv`4|6` only (default IPv4 if the server has it)")
	fl.DurationVar(&f.changed, "changed", 0, "a setting of the router was changed this `long` ago, as 5m: it may still act by the old one")
	fl.BoolVar(&f.deep, "deep", false, "play more rounds, full-sized packets too: it takes longer")
	fl.DurationVar(&f.timeout, "timeout", 0, "end after this `duration` with what is known by then")
	cmd.RegisterFlagCompletionFunc("family", cobra.FixedCompletions([]string{"4", "6"}, cobra.ShellCompDirectiveNoFileComp))
	cmd.RegisterFlagCompletionFunc("only", cobra.FixedCompletions(protocolIDs(), cobra.ShellCompDirectiveNoFileComp))
}

// checkGiven refuses what was given and says nothing.
func (f *runFlags) checkGiven(cmd *cobra.Command) error {
	if cmd.Flags().Changed("timeout") && f.timeout <= 0 {
		return wrongUsage("give it as 30s, or leave it out", "--timeout %s leaves no time", f.timeout)
	}
	if cmd.Flags().Changed("changed") && f.changed <= 0 {
		return wrongUsage("give it as 5m, or leave it out", "--changed %s is no time ago", f.changed)
	}
	if f.prove && f.deep {
		return wrongUsage("leave one of them out", "--prove asks each question once: --deep does not go with it")
	}
	if f.prove && (f.vpn != "" || f.code != "") {
		return wrongUsage("leave one of them out", "--prove gives no verdicts: --vpn and --error do not go with it")
	}
	if f.prove && f.to != "" {
		return wrongUsage("leave one of them out", "--prove comes only to prove to a server of vpncheck's: --to does not go with it")
	}
	if f.prove && (len(f.output) > 0 || f.format != "text") {
		return wrongUsage("leave one of them out", "--prove makes no report: -o and --format do not go with it")
	}
	if cmd.Flags().Changed("only") && len(f.only) == 0 {
		return wrongUsage("the known ones are "+strings.Join(protocolIDs(), ", "), "--only names no protocol")
	}
	return nil
}

func (f *runFlags) checkFamily() error {
	if f.family != "" && f.family != "4" && f.family != "6" {
		return wrongUsage("the known ones are 4, 6", "--family: there is no IPv%.20s", f.family)
	}
	return nil
}

func (f *runFlags) run(ctx context.Context, args []string, in io.Reader, out, errs io.Writer) error {
	if err := f.check(); err != nil {
		return err
	}
	if err := f.checkAim(); err != nil {
		return err
	}
	probes, along, err := choose(f.only)
	if err != nil {
		return err
	}
	if err := f.checkFamily(); err != nil {
		return err
	}
	link, given, err := connString(args, os.Getenv(connEnv), in)
	if err != nil {
		return err
	}
	if !given && f.to == "" && (f.vpn != "" || f.code != "") {
		return wrongUsage(`give the connection string that "vpncheck serve" prints, or your own VPN server with --to`, "without a server nothing can be said of a VPN: --vpn and --error need one")
	}
	if !given {
		if f.to != "" {
			return f.alone(ctx, in, out, errs)
		}
		return f.local(ctx, out, errs)
	}
	if f.to != "" && strings.EqualFold(f.to, link.Host) {
		return wrongUsage("leave --to out, or name the server that your VPN connects to", "--to names the server of the connection string itself, which is asked anyway")
	}
	if !f.prove && f.format == "text" && len(f.only) == 0 {
		f.ask(in, errs)
	}
	if len(along) > 0 {
		fmt.Fprintf(errs, "vpncheck: testing %s too: the reasons of what you asked for depend on it\n", strings.Join(along, ", "))
	}
	f.sayOwn(errs)
	return f.session(ctx, link, probes, out, errs)
}

// connString takes the connection string from the command line or the environment. A mail program's line break in it makes more than one
// argument of it.
func connString(args []string, env string, in io.Reader) (c wire.ConnString, given bool, err error) {
	text := env
	if len(args) > 0 {
		text = strings.Join(args, " ")
		if several(args) {
			return c, false, wrongUsage("give one of them", "there are two connection strings on the command line")
		}
		if _, err := wire.ParseConnString(args[0]); err == nil && len(distinct(args)) == 1 {
			text = args[0]
		}
	} else if env == "" {
		return c, false, nil
	}
	if text == "-" {
		b, err := io.ReadAll(io.LimitReader(in, 4<<10))
		if err != nil {
			return c, false, cannot("", "reading the connection string from standard input: %w", err)
		}
		text = string(b)
	}
	c, err = wire.ParseConnString(text)
	var bad *wire.ConnStringError
	if errors.As(err, &bad) {
		return c, false, &failure{exitUsage, bad, bad.Hint()}
	}
	return c, true, err
}

// several says whether the arguments are more than one connection string, or one broken over lines.
func several(args []string) bool {
	var begun []string
	for _, a := range args {
		if _, err := wire.ParseConnString(a); err == nil || strings.Contains(strings.ToLower(a), "vpncheck://") {
			begun = append(begun, a)
		}
	}
	return len(distinct(begun)) > 1
}

// session tests the way to the server, and shows what came of it.
func (f *runFlags) session(ctx context.Context, link wire.ConnString, probes []probe.Probe, out, errs io.Writer) error {
	ev, err := openEvents(f.events, out)
	if err != nil {
		return err
	}
	if f.events == "-" {
		out = errs
	}
	show := newLive(errs, f.options(errs), probes)
	show.vpn = f.vpn
	show.silent = f.prove // what is asked only once decides nothing
	show.line("connecting to " + report.Clean(link.Host, 60))
	if f.timeout > 0 {
		limited, cancel := context.WithTimeout(ctx, f.timeout)
		defer cancel()
		ctx = limited
	}
	on := func(e probe.Event) { ev.on(e); show.on(e) }
	result, early := f.hold(ctx, link, probes, on)
	rep := report.New(result, probes, report.Tool{Name: "vpncheck", Version: version()})
	if result.Own != nil {
		rep = rep.WithOwn(*result.Own)
	}
	rep = f.about(rep)
	show.clear()
	if err := ev.end(); err != nil {
		return err
	}
	if f.prove {
		err := tellProof(out, f.options(out), rep, result, probes)
		if interrupted(ctx) {
			return exit(exitInterrupted)
		}
		return err
	}
	show.end(rep, early)
	if f.format == "text" && show.said {
		fmt.Fprintln(errs)
	}
	return f.finish(ctx, rep, out)
}

// hold is the whole of the core, from a connection string to a result, and says whether it ended before it was done.
func (f *runFlags) hold(ctx context.Context, link wire.ConnString, probes []probe.Probe, on func(probe.Event)) (r probe.Result, early bool) {
	net := sock.Kernel{}
	cfg := probe.Config{
		Net: net, Host: link.Host, Port: link.Port, Access: link.Access, Pin: link.Pin, Build: version(), Prove: f.prove,
		Deep: f.deep, Changed: f.changed,
		Look: lookAround(net), Router: f.asker(net), Portal: signIn(link.Pin), Own: f.ownConfig(),
	}
	switch f.family {
	case "4":
		cfg.Family = 4
	case "6":
		cfg.Family = 6
	}
	r = probe.Run(ctx, probe.Open(ctx, cfg), probes, on)
	return r, ctx.Err() != nil
}

// asked is the report without the protocols that were only tested along.
func (f *runFlags) asked(r report.Report) report.Report {
	if len(f.only) == 0 {
		return r
	}
	r.Protocols = slices.DeleteFunc(slices.Clone(r.Protocols), func(p report.Protocol) bool {
		return !slices.ContainsFunc(f.only, func(id string) bool { return strings.EqualFold(strings.TrimSpace(id), p.ID) })
	})
	return r
}

// judged is a report with verdicts.
type judged struct{ report.Report }

func (j judged) writeText(w io.Writer, o view.Options) error { return view.Text(w, j.Report, o) }
func (j judged) writeJSON(w io.Writer) error                 { return j.WriteJSON(w) }
