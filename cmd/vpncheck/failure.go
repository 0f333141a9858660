package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"syscall"

	"vpncheck/report"
)

// The exit statuses. exitCodes tells the user.
const (
	exitFailed      = 1
	exitUsage       = 2
	exitNotAll      = 3
	exitUndecided   = 4
	exitInterrupted = 130
)

// A failure ends the program with an exit status. Without an err there is nothing left to say.
type failure struct {
	code int
	err  error
	hint string
}

func (f *failure) Error() string {
	if f.err == nil {
		return fmt.Sprintf("exit status %d", f.code)
	}
	return f.err.Error()
}

func (f *failure) Unwrap() error { return f.err }

// exit ends the program with a status; 0 is no failure.
func exit(code int) error {
	if code == 0 {
		return nil
	}
	return &failure{code: code}
}

func wrongUsage(hint, format string, args ...any) error {
	return &failure{exitUsage, fmt.Errorf(format, args...), hint}
}

func cannot(hint, format string, args ...any) error {
	return &failure{exitFailed, fmt.Errorf(format, args...), hint}
}

// status prints an error as people are shown it, and returns its exit status.
func status(err error, w io.Writer) int {
	if err == nil {
		return 0
	}
	f := &failure{code: exitFailed, err: err}
	errors.As(err, &f)
	if f.err != nil {
		fmt.Fprintf(w, "vpncheck: error: %s\n", report.Clean(f.err.Error(), maxLine))
	}
	if f.hint != "" {
		fmt.Fprintf(w, "vpncheck: hint: %s\n", report.Clean(f.hint, maxLine))
	}
	return f.code
}

const maxLine = 1000 // characters of an error or a hint

var errInterrupted = errors.New("interrupted")

// untilEOF is set for the programs that the demo starts: they leave Ctrl-C to the demo and end when it closes their standard input, or
// dies.
const untilEOF = "VPNCHECK_UNTIL_EOF"

// interruptible is done at the first SIGINT, SIGTERM or SIGHUP, so that what is under way can end well; the second one ends the program,
// and leaves nothing of a demo behind.
func interruptible(parent context.Context) (context.Context, func()) {
	ctx, cancel := context.WithCancelCause(parent)
	signals := make(chan os.Signal, 2)
	signal.Notify(signals, os.Interrupt, syscall.SIGTERM)
	if !signal.Ignored(syscall.SIGHUP) { // nohup
		signal.Notify(signals, syscall.SIGHUP)
	}
	if os.Getenv(untilEOF) != "" {
		signal.Ignore(os.Interrupt)
		go func() {
			io.Copy(io.Discard, os.Stdin)
			cancel(errInterrupted)
		}()
	}
	go func() {
		<-signals
		cancel(errInterrupted)
		<-signals
		abandonPlays()
		os.Exit(exitInterrupted)
	}()
	return ctx, func() { signal.Stop(signals); cancel(nil) }
}

func interrupted(ctx context.Context) bool { return errors.Is(context.Cause(ctx), errInterrupted) }
