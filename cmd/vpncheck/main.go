// Vpncheck tells a person why a VPN does not connect: which protocols get through the routers on the way, how their packets are changed,
// who stops them, and what to do.
//
// There is one file for each command. protocols.go has the table that pairs each probe with its responder.
package main

import (
	"errors"
	"fmt"
	"os"
	"regexp"
	"runtime/debug"
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"vpncheck/testserver/netlab"
)

func main() {
	netlab.Main()
	os.Exit(status(newRoot().Execute(), os.Stderr))
}

const exitCodes = `Exit status:
  0    what was asked works
  1    could not run
  2    wrong usage, or a file that cannot be read or written
  3    something does not work
  4    something could not be decided, or there was no session with the server
  130  interrupted`

func newRoot() *cobra.Command {
	root := &cobra.Command{
		Use:   "vpncheck",
		Short: "Find out why a VPN does not connect",
		Long: `vpncheck finds out why a VPN does not connect.

It holds short, genuine conversations in VPN protocols with an echo server, and says of each protocol whether it got through, how its
packets were changed on the way, who stopped it, and what to do.

  vpncheck run STRING   on the laptop: test the way to a server ("vpncheck run" alone looks at this computer only)
  vpncheck serve        on a server: be the other end
  vpncheck demo         see it work, in a small internet inside this computer (Linux)

` + exitCodes,
		Version:                    version(),
		SilenceErrors:              true,
		SuggestionsMinimumDistance: 2,
		SilenceUsage:               true,
		Args:                       knownCommand,
		RunE:                       func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	root.SetVersionTemplate("vpncheck {{.Version}}\n")
	root.SetFlagErrorFunc(wrongFlag)
	root.AddCommand(newRun(), newServe(), newReport(), newDemo())
	narrow(root)
	root.SetUsageTemplate(strings.ReplaceAll(root.UsageTemplate(), ".FlagUsages |", ".FlagUsagesWrapped 80 |"))
	return root
}

var flagInError = regexp.MustCompile(`for "(?:-\w, )?--([a-z-]+)" flag`)

// wrongFlag says in words what is wrong with a flag or its value.
func wrongFlag(cmd *cobra.Command, err error) error {
	hint := `see "` + cmd.CommandPath() + ` --help"`
	var bad interface{ GetValue() string }
	name := flagInError.FindStringSubmatch(err.Error())
	if !errors.As(err, &bad) || name == nil {
		return wrongUsage(hint, "%w", err)
	}
	value := bad.GetValue()
	switch f := cmd.Flags().Lookup(name[1]); {
	case f == nil:
	case f.Value.Type() == "duration":
		days, err := strconv.ParseUint(strings.TrimSuffix(value, "d"), 10, 16)
		if err == nil && strings.HasSuffix(value, "d") {
			return wrongUsage(fmt.Sprintf("use %dh", days*24), "--%s %.40q: days are not known here", f.Name, value)
		}
		return wrongUsage("give it as 24h, 90m or 30s", "--%s %.40q is no duration", f.Name, value)
	case strings.HasPrefix(f.Value.Type(), "uint"):
		return wrongUsage("", "--%s %.40q is not between 1 and 65535", f.Name, value)
	}
	return wrongUsage(hint, "%w", err)
}

// knownCommand is only asked about what is no command.
func knownCommand(cmd *cobra.Command, args []string) error {
	if len(args) == 0 {
		return nil
	}
	hint := `see "vpncheck --help"`
	if near := cmd.SuggestionsFor(args[0]); len(near) > 0 {
		hint = "did you mean " + near[0] + "?"
	}
	return wrongUsage(hint, "there is no command %.40q", args[0])
}

// noArgs is for commands that take flags only.
func noArgs(cmd *cobra.Command, args []string) error {
	if len(args) > 0 {
		return wrongUsage(`see "`+cmd.CommandPath()+` --help"`, "%s takes no arguments, but got %.40q", cmd.CommandPath(), args[0])
	}
	return nil
}

// version is what the build knows of itself.
func version() string {
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return "unknown"
	}
	v := info.Main.Version
	if v != "" && v != "(devel)" {
		return v
	}
	v = "devel"
	for _, s := range info.Settings {
		switch {
		case s.Key == "vcs.revision":
			v += "-" + s.Value[:min(12, len(s.Value))]
		case s.Key == "vcs.modified" && s.Value == "true":
			v += "-modified"
		}
	}
	return v
}
