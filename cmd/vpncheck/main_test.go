package main

import (
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"strconv"
	"testing"

	"github.com/rogpeppe/go-internal/testscript"

	"vpncheck/probe/wire"
	"vpncheck/testserver/netlab"
)

func TestMain(m *testing.M) {
	netlab.Main()
	testscript.Main(m, map[string]func(){"vpncheck": main, "ask-router": askRouter, "ask-own": askOwn, "fake-ppp": fakePPP})
}

// TestScripts runs vpncheck as people do. The scripts know: $LINK, the connection string of a server at 127.0.0.1:1, where nobody listens;
// $CODE, its secret part; $NOWHERE, a connection string with a name that cannot exist; $OPEN and $PORTAL, pages of a network without and with a
// sign-in page.
func TestScripts(t *testing.T) {
	page := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { fmt.Fprintln(w, "success") }))
	t.Cleanup(page.Close) // the scripts run beside each other, after this function
	portal := httptest.NewServer(http.RedirectHandler("http://login.example/sign/in?mac=00:11:22:33:44:55", http.StatusFound))
	t.Cleanup(portal.Close)
	link := wire.ConnString{Host: "127.0.0.1", Port: 1, Access: make([]byte, 16)}
	nowhere := wire.ConnString{Host: "vpn.invalid", Access: make([]byte, 16)}
	text := link.String()
	testscript.Run(t, testscript.Params{
		Dir:                 "testdata/script",
		RequireExplicitExec: true,
		UpdateScripts:       os.Getenv("UPDATE") != "",
		Cmds:                map[string]func(*testscript.TestScript, bool, []string){"exits": exits},
		Condition: func(cond string) (bool, error) {
			if cond != "lab" {
				return false, fmt.Errorf("unknown condition %q", cond)
			}
			err := netlab.Available()
			if err != nil && os.Getenv("CI") == "true" {
				return false, err
			}
			return err == nil, nil
		},
		Setup: func(e *testscript.Env) error {
			e.Setenv("LINK", text)
			e.Setenv("CODE", text[len("vpncheck://127.0.0.1:1/"):])
			e.Setenv("NOWHERE", nowhere.String())
			e.Setenv("OPEN", page.URL)
			e.Setenv("PORTAL", portal.URL)
			return nil
		},
	})
}

// exits is "exits STATUS PROGRAM ARGS...": exec, with the exit status that is wanted.
func exits(ts *testscript.TestScript, neg bool, args []string) {
	want, err := strconv.Atoi(args[0])
	ts.Check(err)
	got := 0
	var exit *exec.ExitError
	if err := ts.Exec(args[1], args[2:]...); errors.As(err, &exit) {
		got = exit.ExitCode()
	} else {
		ts.Check(err)
	}
	if got != want || neg {
		ts.Fatalf("got exit status %d, want %d", got, want)
	}
}
