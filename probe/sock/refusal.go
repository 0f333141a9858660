package sock

import (
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"runtime"
	"strings"
)

// Reasons why a socket could not be opened: the question was not asked, which is "untested" and never "blocked".
const (
	NoPrivilege = "no-privilege"
	PortHeld    = "port-held"
	OSRefuses   = "os-refuses"
)

// Reasons why a packet could not be sent.
const (
	LaptopFirewall = "laptop-firewall" // a real VPN client's packet dies there too
	NoRoute        = "no-route"
	TooBig         = "too-big"
)

// Refusal turns an error of opening a socket into data: a reason, why in words, and what to do about it (which may be empty). It is
// not ok if the error is something else.
func Refusal(err error) (reason, why, hint string, ok bool) {
	switch {
	case err == nil:
		return "", "", "", false
	case isHeld(err):
		why, hint = held(err)
		return PortHeld, why, hint, true
	case isAny(err, privilegeErrors):
		return NoPrivilege, notAllowed(err), privilegeHint(runtime.GOOS, program()), true
	case isAny(err, refusedErrors):
		return OSRefuses, err.Error(), "", true
	}
	return "", "", "", false
}

// SendRefusal names an error of sending a packet, or is empty.
func SendRefusal(err error) string {
	switch {
	case isAny(err, firewallErrors):
		return LaptopFirewall
	case isAny(err, routeErrors):
		return NoRoute
	case isAny(err, sizeErrors):
		return TooBig
	}
	return ""
}

func isAny(err error, targets []error) bool {
	for _, t := range targets {
		if errors.Is(err, t) {
			return true
		}
	}
	return false
}

func privilegeHint(system, program string) string {
	switch system {
	case "linux":
		return fmt.Sprintf("run with sudo, or: sudo setcap cap_net_raw,cap_net_bind_service+ep %s", program)
	case "windows":
		return "run as Administrator"
	}
	return "run with sudo"
}

// program is this program as a person would type it, wherever he is; setcap does not follow links.
func program() string {
	path, err := os.Executable()
	if err != nil {
		return "./vpncheck"
	}
	if real, err := filepath.EvalSymlinks(path); err == nil {
		path = real
	}
	if strings.ContainsAny(path, " '\"$&;()*?\\`") && runtime.GOOS != "windows" {
		return "'" + strings.ReplaceAll(path, "'", `'\''`) + "'"
	}
	return path
}

// notAllowed says without the names of system calls what this user may not open.
func notAllowed(err error) string {
	var op *net.OpError
	if !errors.As(err, &op) {
		if what, _, ok := strings.Cut(err.Error(), ": "); ok && strings.HasPrefix(what, "opening ") {
			return what + " is not allowed for this user"
		}
		return err.Error()
	}
	switch {
	case strings.HasPrefix(op.Net, "ip"):
		return "opening a raw socket is not allowed for this user"
	case strings.HasPrefix(op.Net, "udp") && op.Addr != nil:
		return fmt.Sprintf("opening UDP port %d is not allowed for this user", localAddr(op.Addr).Port())
	case strings.HasPrefix(op.Net, "tcp") && op.Addr != nil:
		return fmt.Sprintf("opening TCP port %d is not allowed for this user", localAddr(op.Addr).Port())
	}
	return err.Error()
}

// held says who holds a port.
func held(err error) (why, hint string) {
	var op *net.OpError
	if !errors.As(err, &op) || op.Addr == nil {
		return err.Error(), ""
	}
	proto, port := "tcp", localAddr(op.Addr).Port()
	if _, ok := op.Addr.(*net.UDPAddr); ok {
		proto = "udp"
	}
	name := map[string]string{"tcp": "TCP", "udp": "UDP"}[proto]
	holder, ok := Holder(proto, port)
	if !ok {
		return fmt.Sprintf("%s %d is held by another program", name, port), ""
	}
	why = fmt.Sprintf("%s %d is held by %s", name, port, holder)
	if strings.HasSuffix(holder, fmt.Sprintf("(pid %d)", os.Getpid())) {
		return why, "" // it is us
	}
	return why, fmt.Sprintf("stop %s while the test runs", holder)
}
