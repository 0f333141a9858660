package main

import (
	"bufio"
	"fmt"
	"io"
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"vpncheck/report"
)

// anyVPN is what --vpn says of somebody who does not know.
const anyVPN = "any"

// aimFlags say what the person wants to know, each called as its flag.
type aimFlags struct {
	vpn  string
	code string // of --error
}

// addAim adds them; run alone exits by the answer, and asks a person.
func (f *aimFlags) addAim(cmd *cobra.Command) {
	fl := cmd.Flags()
	first, last := "answer about this `vpn` first: ", ", or any"
	if cmd.Name() == "run" {
		first, last = "answer about this `vpn` first, and exit by it alone: ", ", or any (asked on a terminal)"
	}
	fl.StringVar(&f.vpn, "vpn", "", first+strings.Join(report.VPNs(), ", ")+last)
	fl.StringVar(&f.code, "error", "", "weigh the `code` of the error that Windows showed, as 809")
	cmd.RegisterFlagCompletionFunc("vpn", cobra.FixedCompletions(append(report.VPNs(), anyVPN), cobra.ShellCompDirectiveNoFileComp))
	cmd.RegisterFlagCompletionFunc("error", cobra.FixedCompletions(knownErrors(), cobra.ShellCompDirectiveNoFileComp))
}

func knownErrors() []string {
	var out []string
	for _, code := range report.WindowsErrors() {
		out = append(out, strconv.Itoa(code))
	}
	return out
}

// checkAim refuses a VPN and an error that nobody knows.
func (f *aimFlags) checkAim() error {
	vpn := strings.ToLower(strings.TrimSpace(f.vpn))
	if vpn != "" && vpn != anyVPN && !known(vpn, report.VPNs()) {
		return wrongUsage("the known ones are "+strings.Join(report.VPNs(), ", ")+", any", "--vpn: there is no VPN %.40q", f.vpn)
	}
	f.vpn = vpn
	code := strings.TrimSpace(f.code)
	if code != "" && !known(code, knownErrors()) {
		return wrongUsage("the known ones are "+strings.Join(knownErrors(), ", ")+"; without --error the check is the same", "--error: vpncheck does not know %.40q", f.code)
	}
	f.code = code
	return nil
}

func known(s string, all []string) bool {
	for _, x := range all {
		if x == s {
			return true
		}
	}
	return false
}

// about is the report with the answer that was asked for.
func (f *aimFlags) about(r report.Report) report.Report {
	if f.vpn == "" && f.code == "" {
		return r
	}
	code, _ := strconv.Atoi(f.code) // checkAim knows it
	vpn := f.vpn
	if vpn == anyVPN {
		vpn = ""
	}
	return r.For(vpn, code)
}

// ask asks which VPN it is about, if a person sits there who was not asked anything yet.
func (f *aimFlags) ask(in io.Reader, errs io.Writer) {
	if f.vpn != "" || f.code != "" {
		return
	}
	if _, ok := terminalIn(in); !ok {
		return
	}
	if _, ok := terminal(errs); !ok {
		return
	}
	f.vpn = askVPN(in, errs)
}

// askVPN asks until it understands, three times at most; then it is any.
func askVPN(in io.Reader, out io.Writer) string {
	ids := report.VPNs()
	fmt.Fprintln(out, "Which VPN is it about? L2TP of Windows, macOS and phones is l2tp-ipsec.")
	for i, id := range ids {
		fmt.Fprintf(out, "  %d  %-11s  %s\n", i+1, id, report.TitleOf(id))
	}
	lines := bufio.NewScanner(io.LimitReader(in, 4<<10))
	for range 3 {
		fmt.Fprint(out, "Its number or name, or just Enter for any: ")
		if !lines.Scan() {
			fmt.Fprintln(out)
			return anyVPN
		}
		text := strings.ToLower(strings.TrimSpace(lines.Text()))
		n, err := strconv.Atoi(text)
		switch {
		case text == "" || text == anyVPN:
			return anyVPN
		case err == nil && n >= 1 && n <= len(ids):
			return ids[n-1]
		case known(text, ids):
			return text
		}
	}
	return anyVPN
}
