package netlab

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"runtime"
	"syscall"

	"golang.org/x/sys/unix"
)

const (
	trialName = "netlab-trial"           // argv[0] of the helper that tries a user namespace
	entered   = "VPNCHECK_LAB_IN_USERNS" // set for the program that Enter started again
)

// Main must be the first line of main and of TestMain: in a process that is one of the lab's own helpers it never returns.
func Main() {
	if os.Args[0] != trialName {
		return
	}
	if err := Available(); err != nil {
		fmt.Print(err)
		os.Exit(1)
	}
	os.Exit(0)
}

// Enter makes sure that this process can build labs. If it cannot by itself, as when it is not root, Enter starts the whole program again
// in a new user namespace, with the same arguments, environment and standard files, and ends with its exit status. The error says why
// that is not possible, and what to do.
func Enter() error {
	err := Available()
	if os.Getenv(entered) != "" {
		os.Unsetenv(entered) // the namespaces that the program makes further down are its own affair
		return err
	}
	if err == nil || !errors.Is(err, os.ErrPermission) {
		return err
	}
	runtime.LockOSThread() // the child dies with the thread that started it, so this one must last
	trial := inUserNamespace(trialName)
	if out, err := trial.Output(); err != nil {
		return refused(err, string(out))
	}
	again := inUserNamespace(os.Args[0], os.Args[1:]...)
	again.Env = append(os.Environ(), entered+"=1")
	again.Stdin, again.Stdout, again.Stderr = os.Stdin, os.Stdout, os.Stderr
	signals := make(chan os.Signal, 16)
	signal.Notify(signals, unix.SIGTERM, unix.SIGHUP, unix.SIGINT, unix.SIGQUIT, unix.SIGUSR1, unix.SIGUSR2)
	if err := again.Start(); err != nil {
		signal.Stop(signals)
		return refused(err, "")
	}
	go func() {
		for s := range signals {
			if fromKeyboard := (s == unix.SIGINT || s == unix.SIGQUIT) && foreground(); !fromKeyboard {
				again.Process.Signal(s)
			}
		}
	}()
	again.Wait()
	if w := again.ProcessState.Sys().(syscall.WaitStatus); w.Signaled() {
		os.Exit(128 + int(w.Signal()))
	}
	os.Exit(again.ProcessState.ExitCode())
	return nil
}

func inUserNamespace(name string, args ...string) *exec.Cmd {
	return &exec.Cmd{Path: "/proc/self/exe", Args: append([]string{name}, args...), SysProcAttr: &syscall.SysProcAttr{
		Cloneflags:  syscall.CLONE_NEWUSER | syscall.CLONE_NEWNET,
		UidMappings: []syscall.SysProcIDMap{{ContainerID: 0, HostID: os.Getuid(), Size: 1}},
		GidMappings: []syscall.SysProcIDMap{{ContainerID: 0, HostID: os.Getgid(), Size: 1}},
		Pdeathsig:   syscall.SIGKILL,
	}}
}

// foreground reports whether the terminal's keys go to this process, and so to the one that it started, too: a second signal for one
// Ctrl-C would mean impatience.
func foreground() bool {
	tty, err := os.Open("/dev/tty")
	if err != nil {
		return false
	}
	defer tty.Close()
	group, err := unix.IoctlGetInt(int(tty.Fd()), unix.TIOCGPGRP)
	return err == nil && group == unix.Getpgrp()
}

// refused explains why there is no user namespace for us. said is what the trial printed, if it ever ran.
func refused(err error, said string) error {
	const sudo = "run it with sudo"
	var exit *exec.ExitError
	switch {
	case errors.Is(err, unix.ENOSPC):
		return fmt.Errorf("this system allows no more user namespaces (user.max_user_namespaces): %s, or: "+
			"sudo sysctl user.max_user_namespaces=10000: %w", sudo, err)
	case setting("kernel/unprivileged_userns_clone") == "0":
		return fmt.Errorf("this system allows user namespaces to root only: %s, or: sudo sysctl kernel.unprivileged_userns_clone=1: %w", sudo, err)
	case setting("kernel/apparmor_restrict_unprivileged_userns") == "1":
		return fmt.Errorf("AppArmor lets programs have no user namespace of their own: %s, or: "+
			"sudo sysctl kernel.apparmor_restrict_unprivileged_userns=0: %w", sudo, withText(err, said))
	case errors.As(err, &exit) && said != "":
		return fmt.Errorf("a user namespace is not enough here: %s: %w", sudo, errors.New(said))
	}
	return fmt.Errorf("this system gives no user namespace: %s; in a container, run it on the host or give the container "+
		"CAP_SYS_ADMIN and CAP_NET_ADMIN (docker run --privileged): %w", sudo, withText(err, said))
}

func withText(err error, said string) error {
	if said == "" {
		return err
	}
	return fmt.Errorf("%s (%w)", said, err)
}

func setting(name string) string {
	b, err := os.ReadFile("/proc/sys/" + name)
	if err != nil {
		return ""
	}
	return string(bytes.TrimSpace(b))
}

// Available reports whether labs can be built by this process, nil or the reason, by trying what they need in a namespace that lives
// for a moment.
func Available() error {
	a, err := newMachine()
	if err != nil {
		return inTrial("making a network namespace", err)
	}
	defer a.close()
	b, err := newMachine()
	if err != nil {
		return inTrial("making a second network namespace", err)
	}
	defer b.close()
	if err := a.run(func() error { return setUp(true) }); err != nil {
		return inTrial("changing a setting inside a network namespace", err)
	}
	w := link{a: end{name: "a0"}, b: end{name: "b0"}}
	if err := a.run(func() error { return veth(w, b.ns) }); err != nil {
		return inTrial("making a veth pair", err)
	}
	if err := a.run(masqueradeTrial); err != nil {
		return inTrial("loading a NAT rule by nftables", err)
	}
	return nil
}

func masqueradeTrial() error {
	return install(Box{Masquerade: true}, homeSide)
}

// inTrial says what to do about a step that failed.
func inTrial(step string, err error) error {
	hint := ""
	switch {
	case errors.Is(err, unix.EROFS):
		hint = "; /proc/sys is read-only, as in most containers: run it on the host, or give the container --privileged"
	case errors.Is(err, os.ErrPermission):
		hint = "; it needs CAP_SYS_ADMIN and CAP_NET_ADMIN: run it with sudo"
	case errors.Is(err, unix.EOPNOTSUPP), errors.Is(err, unix.ENOENT), errors.Is(err, unix.EPROTONOSUPPORT):
		hint = "; the kernel lacks a module: sudo modprobe -a veth nf_tables nf_nat nft_masq nft_ct"
	}
	return fmt.Errorf("no lab here: %s: %w%s", step, err, hint)
}
