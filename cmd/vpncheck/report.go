package main

import (
	"errors"
	"io"
	"io/fs"
	"os"

	"github.com/spf13/cobra"

	"vpncheck/report"
)

func newReport() *cobra.Command {
	var f struct {
		outputFlags
		aimFlags
	}
	cmd := &cobra.Command{
		Use:   "report FILE",
		Short: "Show a report again",
		Long: `report shows a JSON report, one that "vpncheck run -o report.json" wrote, as text. FILE - is standard input.
With --vpn and --error it answers about one VPN, and about an error that Windows showed, from what is in the report.`,
		Args: func(cmd *cobra.Command, args []string) error {
			if len(args) != 1 {
				return wrongUsage(`write it as: vpncheck report FILE`, "report takes one file, but got %d", len(args))
			}
			return nil
		},
		RunE: func(cmd *cobra.Command, args []string) error {
			if err := f.check(); err != nil {
				return err
			}
			if err := f.checkAim(); err != nil {
				return err
			}
			r, err := readReport(args[0], cmd.InOrStdin())
			if err != nil {
				return wrongUsage(`give a file that "vpncheck run -o report.json" wrote`, "%.200s: %w", args[0], err)
			}
			return f.write(cmd.OutOrStdout(), judged{f.about(r)})
		},
		ValidArgsFunction: func(*cobra.Command, []string, string) ([]string, cobra.ShellCompDirective) {
			return []string{"json"}, cobra.ShellCompDirectiveFilterFileExt
		},
	}
	f.add(cmd)
	f.addAim(cmd)
	return cmd
}

func readReport(name string, in io.Reader) (report.Report, error) {
	if name == "-" {
		return report.Read(in)
	}
	f, err := os.Open(name)
	if err != nil {
		var path *fs.PathError
		if errors.As(err, &path) {
			err = path.Err // the name is known
		}
		return report.Report{}, err
	}
	defer f.Close()
	return report.Read(f)
}
