package main

import (
	"bytes"
	"encoding/json"
	"net/netip"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"

	"vpncheck/testserver/netlab"
)

// TestLocalInLab looks around without a server, behind a router that says who it is, whose outside is a provider's NAT, and which sends IKE to
// another machine.
func TestLocalInLab(t *testing.T) {
	if err := netlab.Available(); err != nil {
		if os.Getenv("CI") == "true" {
			t.Fatal(err)
		}
		t.Skip(err)
	}
	router, ok := netlab.Find("double-nat")
	if !ok {
		t.Fatal("no router")
	}
	router.Home.IGD = &netlab.IGD{Maker: "Example", Model: "Lab Router", Forwards: []netlab.Forward{{Proto: "UDP", External: 500, To: netip.MustParseAddr("192.168.1.77"), Says: "NAS"}}}
	lab, err := netlab.Build(t.Context(), router)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { lab.Close() })
	look := func(args ...string) string {
		t.Helper()
		var out bytes.Buffer
		cmd := &exec.Cmd{Path: "/proc/self/exe", Args: append([]string{"vpncheck", "run", "--portal-url", "http://192.168.1.1:9/"}, args...), Stdout: &out, Stderr: t.Output()}
		if err := lab.Start(netlab.Laptop, cmd); err != nil {
			t.Fatal(err)
		}
		late := time.AfterFunc(entrance, func() { cmd.Process.Kill() })
		defer late.Stop()
		if err := cmd.Wait(); err != nil {
			t.Fatalf("%v: %s", err, out.String())
		}
		return out.String()
	}
	text := look()
	for _, want := range []string{"Router:", "Example Lab Router", "Outer address:", "(CGNAT)", "Port forward:", "UDP port 500 goes to 192.168.1.77"} {
		if !strings.Contains(strings.Join(strings.Fields(text), " "), want) {
			t.Errorf("got no %q in:\n%s", want, text)
		}
	}
	var l local
	if err := json.Unmarshal([]byte(look("--no-router", "--format", "json")), &l); err != nil || l.Router != nil {
		t.Errorf("got %+v, %v, want nobody asked", l.Router, err)
	}
	t.Log(text)
}
