package main

import (
	"context"
	"fmt"
	"io"
	"os"
	"os/signal"
	"slices"
	"syscall"

	"github.com/spf13/cobra"

	"vpncheck/report"
	"vpncheck/testserver/netlab"
)

// demoFlags are those of "vpncheck demo", each called as its flag.
type demoFlags struct {
	runFlags
	routers []string
	list    bool
	all     bool
	repeat  int
}

func newDemo() *cobra.Command {
	var f demoFlags
	cmd := &cobra.Command{
		Use:   "demo",
		Short: "See it work, in a small internet inside this computer",
		Long: `demo builds a small internet inside this computer: a laptop, a home router, a provider and a server, with the NAT of the Linux kernel.
It runs "vpncheck serve" and "vpncheck run" in it, and compares what they say with what is true of that router.

It needs Linux, and either root or a system that allows user namespaces. Nothing outside is changed, and nothing remains.

With --all it tries every router, and counts. --repeat does so several times over, and ends with two tables: which verdicts were
expected and which came, and who it was and who was named.

Exit status:
  0    every verdict is the expected one, and nobody was blamed who did not do it
  1    could not run
  2    wrong usage, or a file that cannot be read or written
  3    a verdict is not the expected one, or the wrong one was blamed
  130  interrupted`,
		Example: `  vpncheck demo
  vpncheck demo --router double-nat -o report.json
  vpncheck demo --all
  vpncheck demo --all --repeat 5`,
		Args: noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return f.demo(cmd) },
	}
	f.outputFlags.add(cmd)
	f.addAim(cmd)
	f.addOnly(cmd)
	fl := cmd.Flags()
	fl.StringSliceVar(&f.routers, "router", []string{"linux"}, "the `name` of the router between laptop and server; with --all of those to try, NAME,NAME")
	fl.BoolVar(&f.list, "list", false, "list the routers")
	fl.BoolVar(&f.all, "all", false, "try all routers, and show what was said against what is true")
	fl.IntVar(&f.repeat, "repeat", 0, "with --all: try each of them so `many` times, and count how often what was said")
	cmd.RegisterFlagCompletionFunc("router", func(*cobra.Command, []string, string) ([]string, cobra.ShellCompDirective) {
		var out []string
		for _, r := range netlab.Routers() {
			out = append(out, cobra.CompletionWithDesc(r.Name, r.Says))
		}
		return out, cobra.ShellCompDirectiveNoFileComp
	})
	return cmd
}

func (f *demoFlags) demo(cmd *cobra.Command) error {
	out, errs := cmd.OutOrStdout(), cmd.ErrOrStderr()
	if f.list {
		return listRouters(out)
	}
	routers, err := f.chosen(cmd.Flags().Changed("router"))
	if err != nil {
		return err
	}
	for i, r := range routers {
		if f.deep {
			routers[i] = r.Deeper()
		}
	}
	if err := f.checkGiven(cmd); err != nil {
		return err
	}
	if err := f.checkFamily(); err != nil {
		return err
	}
	if f.all && (f.family == "6" || f.timeout != 0 || f.changed != 0 || len(f.output) > 0 || f.events != "" || f.format != "text" || f.verbose || f.vpn != "" || f.code != "") {
		return wrongUsage("for a report, choose one router with --router", "--all goes only with --only, --router, --repeat and --deep")
	}
	if err := f.check(); err != nil {
		return err
	}
	if err := f.checkAim(); err != nil {
		return err
	}
	if _, _, err := choose(f.only); err != nil {
		return err
	}
	if err := netlab.Enter(); err != nil {
		return cannot("", "%w", err)
	}
	signal.Notify(make(chan os.Signal, 1), syscall.SIGPIPE) // else a reader that goes, as head does, leaves the server's key behind
	ctx, stop := interruptible(cmd.Context())
	defer stop()
	if f.all {
		return f.matrix(ctx, routers, out, errs)
	}
	return f.one(ctx, routers[0], out, errs)
}

// chosen returns the routers to try.
func (f *demoFlags) chosen(given bool) ([]netlab.Router, error) {
	switch {
	case f.repeat < 0 || f.repeat > 0 && !f.all:
		return nil, wrongUsage("give it as --all --repeat 5", "--repeat counts, and only with --all")
	case f.all && !given:
		return netlab.Routers(), nil
	case !f.all && len(f.routers) != 1:
		return nil, wrongUsage("to try several, add --all", "a report is of one router")
	}
	var out []netlab.Router
	for _, name := range f.routers {
		r, ok := netlab.Find(name)
		if !ok {
			return nil, wrongUsage("see them all with: vpncheck demo --list", "there is no router %.40q", name)
		}
		out = append(out, r)
	}
	return out, nil
}

func listRouters(w io.Writer) error {
	l := &lines{w: w, width: looks(w).Width}
	for _, r := range netlab.Routers() {
		l.wrap(fmt.Sprintf("%-16s ", r.Name), 17, r.Says)
	}
	return l.err
}

// one shows one router.
func (f *demoFlags) one(ctx context.Context, router netlab.Router, out, errs io.Writer) error {
	people := out // who may read along
	if f.format == "json" || f.events == "-" {
		people = errs
	}
	probes, along, err := choose(f.only)
	if err != nil {
		return err
	}
	ev, err := openEvents(f.events, out)
	if err != nil {
		return err
	}
	if f.events == "-" {
		out = errs
	}
	p, err := stage(ctx, router, f.family, func(lab *netlab.Lab) { draw(people, router, lab) })
	if err != nil {
		return ended(ctx, err)
	}
	defer p.close()
	show := newLive(people, f.options(people), probes)
	show.vpn = f.vpn
	rep, err := p.laptop(ctx, f.runFlags, both{ev, show}.on)
	show.clear()
	if err != nil {
		return ended(ctx, err)
	}
	rep = f.about(rep)
	show.end(rep, interrupted(ctx))
	if err := ev.end(); err != nil {
		return err
	}
	fmt.Fprintln(people)
	if err := f.write(out, judged{rep}); err != nil {
		return err
	}
	if interrupted(ctx) {
		return exit(exitInterrupted)
	}
	if f.family == "6" {
		fmt.Fprintf(people, "\nWhat is expected of this router is known for IPv4 only.\n")
		return nil
	}
	return exit(compare(people, router, rep, along))
}

// ended is err, or nothing to say if the user ended the demo.
func ended(ctx context.Context, err error) error {
	if interrupted(ctx) {
		return exit(exitInterrupted)
	}
	return err
}

// draw shows what was built.
func draw(w io.Writer, r netlab.Router, lab *netlab.Lab) {
	l := &lines{w: w, width: looks(w).Width}
	l.para("The demo's router: " + r.Says)
	fmt.Fprintln(w)
	fmt.Fprintf(w, "  laptop -------- router -------- ISP -------- server\n")
	fmt.Fprintf(w, "  %-15s %-15s %-14s %s\n", lab.Addr(netlab.Laptop), lab.WAN(), fork(r), lab.Addr(netlab.Server))
	if r.Neighbour {
		fmt.Fprintf(w, "  %-31s  +-- neighbour %s\n  %-31s      shows first that packets arrive\n", "", lab.Addr(netlab.Neighbour), "")
	}
	fmt.Fprintln(w)
}

func fork(r netlab.Router) string {
	text := ""
	if r.Neighbour {
		text = " |"
	}
	if r.ISP.Masquerade {
		text += " (NAT too)"
	}
	return text
}

// compare shows what was expected against what was said, and returns the exit status.
func compare(w io.Writer, r netlab.Router, rep report.Report, along []string) int {
	code := 0
	l := &lines{w: w, width: looks(w).Width}
	var said remarks
	for _, p := range rep.Protocols {
		if slices.Contains(along, p.ID) {
			continue
		}
		c := compared(r, p)
		if c.wrong() {
			code = exitNotAll
		}
		said.add(p.Name(), c.sentence())
	}
	fmt.Fprintf(w, "\nWhat is true of this router, and what vpncheck said:\n")
	said.print(l)
	if askedAll(rep) && !compareVPNs(l, r, rep) {
		code = exitNotAll
	}
	return code
}
