package main

import (
	"cmp"
	"context"
	"fmt"
	"io"
	"os"
	"os/signal"
	"slices"
	"strings"
	"syscall"

	"github.com/spf13/cobra"

	"vpncheck/probe"
	"vpncheck/report"
	"vpncheck/testserver/netlab"
)

// demoFlags are those of "vpncheck demo", each called as its flag.
type demoFlags struct {
	runFlags
	router string
	list   bool
	all    bool
}

func newDemo() *cobra.Command {
	var f demoFlags
	cmd := &cobra.Command{
		Use:   "demo",
		Short: "See it work, in a small internet inside this computer",
		Long: `demo builds a small internet inside this computer: a laptop, a home router, a provider and a server, with the NAT of the Linux kernel.
It runs "vpncheck serve" and "vpncheck run" in it, and compares what they say with what is true of that router.

It needs Linux, and either root or a system that allows user namespaces. Nothing outside is changed, and nothing remains.

Exit status:
  0    every verdict is the expected one
  1    could not run
  2    wrong usage, or a file that cannot be read or written
  3    a verdict is not the expected one
  130  interrupted`,
		Example: `  vpncheck demo
  vpncheck demo --router double-nat -o report.json
  vpncheck demo --all`,
		Args: noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return f.demo(cmd) },
	}
	f.outputFlags.add(cmd)
	f.addOnly(cmd)
	fl := cmd.Flags()
	fl.StringVar(&f.router, "router", "linux", "the `name` of the router between laptop and server")
	fl.BoolVar(&f.list, "list", false, "list the routers")
	fl.BoolVar(&f.all, "all", false, "try all routers, and show what was said against what was expected")
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
	router, ok := netlab.Find(f.router)
	if !ok {
		return wrongUsage("see them all with: vpncheck demo --list", "there is no router %.40q", f.router)
	}
	if err := f.checkGiven(cmd); err != nil {
		return err
	}
	if err := f.checkFamily(); err != nil {
		return err
	}
	if f.all && (f.family == "6" || f.timeout != 0 || cmd.Flags().Changed("router") || len(f.output) > 0 || f.events != "" || f.format != "text" || f.verbose) {
		return wrongUsage("for a report, choose one router with --router", "--all goes only with --only")
	}
	if err := f.check(); err != nil {
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
		return f.matrix(ctx, out, errs)
	}
	return f.one(ctx, router, out, errs)
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
	rep, err := p.laptop(ctx, f.runFlags, both{ev, show}.on)
	show.clear()
	if err != nil {
		return ended(ctx, err)
	}
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
	fmt.Fprintf(w, "\nWhat is true of this router, and what vpncheck said:\n")
	for _, p := range rep.Protocols {
		if slices.Contains(along, p.ID) {
			continue
		}
		c := compared(r, p)
		if !c.right {
			code = exitNotAll
		}
		said := "said the same"
		if !c.right {
			said = "said " + c.said + ": WRONG"
		}
		fmt.Fprintf(w, "  %-8s expected %s; %s\n", p.Name(), c.expected, said)
	}
	return code
}

// A comparison is what was said of one protocol, against what is true of the router.
type comparison struct {
	said, expected string
	right          bool
}

// compared takes a protocol that the router's table does not name for wrong: nothing goes unchecked.
func compared(r netlab.Router, p report.Protocol) comparison {
	said := words(string(p.Verdict), string(p.Reason))
	e, ok := r.Expect[p.ID]
	if !ok {
		return comparison{said, "nothing: not in its table", false}
	}
	expected := words(e.Verdict, e.Reason)
	return comparison{said, expected, said == expected}
}

// words are a verdict and its reason; passed needs none.
func words(verdict, reason string) string {
	return strings.TrimSuffix(verdict+" "+reason, " ")
}

func (c comparison) String() string {
	if c.right {
		return c.said
	}
	return fmt.Sprintf("WRONG: said %s, expected %s", c.said, c.expected)
}

// short is the cell of the matrix.
func (c comparison) short(v probe.Verdict) string {
	text := cmp.Or(short[v], report.Clean(string(v), 12))
	if !c.right {
		text += "!"
	}
	return text
}
