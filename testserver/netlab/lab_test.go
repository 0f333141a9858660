//go:build linux

package netlab

import (
	"bufio"
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"
)

// unavailable is why no lab can be built here; empty if it can.
var unavailable string

// role makes the test binary a program of the tests: there is no other binary in a lab.
const role = "NETLAB_TEST_ROLE"

func TestMain(m *testing.M) {
	Main()
	if err := Enter(); err != nil {
		unavailable = err.Error()
	}
	switch os.Getenv(role) {
	case "hang":
		fmt.Println(namespace("self"))
		select {}
	case "build":
		holdLab()
	}
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

func play(as string) *exec.Cmd {
	cmd := exec.Command("/proc/self/exe")
	cmd.Env = append(os.Environ(), role+"="+as)
	cmd.Stderr = os.Stderr
	return cmd
}

// startHanging starts a program on a host and returns it and its namespace, once it runs.
func startHanging(l *Lab, h Host) (cmd *exec.Cmd, ns string, err error) {
	cmd = play("hang")
	out, err := cmd.StdoutPipe()
	if err != nil {
		return nil, "", err
	}
	if err := l.Start(h, cmd); err != nil {
		return nil, "", err
	}
	ns, err = bufio.NewReader(out).ReadString('\n')
	return cmd, strings.TrimSpace(ns), err
}

// holdLab builds a lab with programs in it, says which namespaces they are in, and waits to be killed.
func holdLab() {
	r, _ := Find("linux-pptp")
	l, err := Build(context.Background(), r)
	for _, h := range []Host{Laptop, Home, ISP, Server, Neighbour} {
		if err == nil {
			var ns string
			_, ns, err = startHanging(l, h)
			fmt.Println(ns)
		}
	}
	if err != nil {
		fmt.Println(err)
		os.Exit(1)
	}
	fmt.Println("ready")
	select {}
}

func namespace(process string) string {
	ns, _ := os.Readlink("/proc/" + process + "/ns/net")
	return ns
}

// inUse counts the threads of all processes that are in one of the namespaces.
func inUse(namespaces []string) (n int) {
	links, _ := filepath.Glob("/proc/[0-9]*/task/*/ns/net")
	for _, l := range links {
		ns, _ := os.Readlink(l)
		for _, want := range namespaces {
			if ns == want {
				n++
			}
		}
	}
	return n
}

func untilUnused(t *testing.T, namespaces []string) {
	t.Helper()
	for end := time.Now().Add(patience); inUse(namespaces) > 0; time.Sleep(5 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("%d threads are still in the lab's namespaces", inUse(namespaces))
		}
	}
}

func TestCloseLeavesNothing(t *testing.T) {
	needLab(t)
	l := build(t, "portal")
	var spaces []string
	var cmds []*exec.Cmd
	for h := range l.machines {
		cmd, ns, err := startHanging(l, h)
		if err != nil {
			t.Fatal(err)
		}
		spaces, cmds = append(spaces, ns), append(cmds, cmd)
	}
	if own := namespace("self"); len(spaces) != 5 || inUse(spaces) == 0 || inUse([]string{own}) == 0 {
		t.Fatalf("got programs in %v, want five namespaces other than %v", spaces, own)
	}
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	for _, cmd := range cmds {
		cmd.Wait()
		if s := cmd.ProcessState.Sys().(syscall.WaitStatus); s.Signal() != syscall.SIGKILL {
			t.Errorf("got %v, want a program that was killed and can be waited for", cmd.ProcessState)
		}
	}
	untilUnused(t, spaces)
	if err := l.Close(); err != nil {
		t.Errorf("closing again: %v", err)
	}
	if err := l.Do(Laptop, func() error { return nil }); err == nil {
		t.Error("a closed lab still runs functions")
	}
	if err := l.Start(Laptop, play("hang")); err == nil {
		t.Error("a closed lab still starts programs")
	}
}

func TestKillLeavesNothing(t *testing.T) {
	needLab(t)
	cmd := play("build")
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	var spaces []string
	for s := bufio.NewScanner(out); s.Scan() && s.Text() != "ready"; {
		spaces = append(spaces, s.Text())
	}
	if len(spaces) != 5 || inUse(spaces) < 5 {
		t.Fatalf("got %q, want five namespaces with a program in each", spaces)
	}
	cmd.Process.Kill()
	cmd.Wait()
	untilUnused(t, spaces)
}

var culprits = []string{"laptop", "router", "second-nat", "isp", "server", "nobody"}

func TestCulprit(t *testing.T) {
	r := Router{Did: "isp", Named: map[string]string{"esp": "unknown"}, Expect: expect{"pptp": {"blocked-out", "x"}, "esp": {"blocked-out", "x"},
		"gre": passed, "ike": {"inconclusive", "port-clash"}, "natt": {"inconclusive", "server-firewall"}, "ah": {"altered", "ah-through-nat"}}}
	all := r
	all.Named = unnamed()
	for _, w := range []struct {
		router         Router
		id, did, named string
	}{
		{r, "pptp", "isp", "isp"}, {r, "esp", "isp", "unknown"}, {r, "gre", "", ""}, {r, "ike", "", ""}, {r, "natt", "isp", "isp"},
		{r, "ah", "nobody", "nobody"}, {all, "pptp", "isp", "unknown"}, {all, "ah", "nobody", "nobody"}, {all, "l2tp", "", ""},
	} {
		if did, named := w.router.Culprit(w.id); did != w.did || named != w.named {
			t.Errorf("%s: got %q, %q, want %q, %q", w.id, did, named, w.did, w.named)
		}
	}
}

func TestDeeper(t *testing.T) {
	r := Router{Expect: expect{"esp": passed, "gre": passed}, Deep: expect{"esp": {"stalled", "x"}}}
	if d := r.Deeper(); d.Expect["esp"].Verdict != "stalled" || d.Expect["gre"] != passed || r.Expect["esp"] != passed {
		t.Errorf("got %v, and left %v", d.Expect, r.Expect)
	}
}

func TestNames(t *testing.T) {
	seen := make(map[string]bool)
	for _, r := range Routers() {
		if seen[r.Name] || r.Says == "" || r.NeedsTUN != (r.Bump != nil) {
			t.Errorf("the row %q is not complete or not alone", r.Name)
		}
		for _, id := range []string{"pptp", "gre", "esp", "ah", "ike", "natt", "l2tp", "openvpn-udp", "openvpn-tcp"} {
			if r.Expect[id].Verdict == "" {
				t.Errorf("%s expects nothing of %s", r.Name, id)
			}
		}
		if !slices.Contains(culprits, r.Did) {
			t.Errorf("%s: did %q do it?", r.Name, r.Did)
		}
		for id, named := range r.Named {
			if !slices.Contains(culprits, named) && named != "unknown" || id != "all" && r.Expect[id].Verdict == "" || named == r.Did {
				t.Errorf("%s, %s: %q must be named?", r.Name, id, named)
			}
		}
		for id := range r.Parts {
			if protocol, part, _ := strings.Cut(id, "/"); r.Expect[protocol].Verdict == "" || part == "" {
				t.Errorf("%s expects something of %q", r.Name, id)
			}
		}
		for id, e := range r.Expect {
			if did, named := r.Culprit(id); e.Verdict != "passed" && named == "" && e.Verdict != "untested" && e.Verdict != "inconclusive" {
				t.Errorf("%s, %s: %s, and nobody did it (%s)", r.Name, id, e.Verdict, did)
			}
			if (e.Verdict == "passed") != (e.Reason == "" || e.Reason == "rate-limit") {
				t.Errorf("%s, %s: got reason %q for %s", r.Name, id, e.Reason, e.Verdict)
			}
		}
		seen[r.Name] = true
	}
	if _, ok := Find("no-such-router"); ok {
		t.Error("found a router that there is not")
	}
}

func BenchmarkBuild(b *testing.B) {
	needLab(b)
	for _, name := range []string{"linux-pptp", "outage", "portal"} {
		b.Run(name, func(b *testing.B) {
			for b.Loop() {
				l := build(b, name)
				b.StopTimer()
				l.Close()
				b.StartTimer()
			}
		})
	}
}
