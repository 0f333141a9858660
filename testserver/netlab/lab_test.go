//go:build linux

package netlab

import (
	"fmt"
	"os"
	"testing"
)

// unavailable is why no lab can be built here; empty if it can.
var unavailable string

func TestMain(m *testing.M) {
	Main()
	if err := Enter(); err != nil {
		unavailable = err.Error()
	} else if err := Available(); err != nil {
		unavailable = err.Error()
	}
	play(os.Getenv("NETLAB_TEST_ROLE"))
	os.Exit(m.Run())
}

func needLab(t testing.TB) {
	t.Helper()
	if unavailable == "" {
		return
	}
	if os.Getenv("CI") == "true" {
		t.Fatal(unavailable)
	}
	t.Skip(unavailable)
}

// TestRouters asks every router the same questions with raw sockets.
func TestRouters(t *testing.T) {
	needLab(t)
	for _, r := range Routers() {
		t.Run(r.Name, func(t *testing.T) {
			t.Parallel()
			fmt.Printf("%q: %+v\n", r.Name, measure(t, build(t, r.Name)))
		})
	}
}
func play(string) {}
