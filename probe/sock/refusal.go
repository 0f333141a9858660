package sock

import (
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"runtime"
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
		return NoPrivilege, err.Error(), privilegeHint(runtime.GOOS, program()), true
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

// program is this program as a person would type it.
func program() string {
	path, err := os.Executable()
	if err != nil {
		return "./vpncheck"
	}
	return "./" + filepath.Base(path)
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
	return fmt.Sprintf("%s %d is held by %s", name, port, holder), fmt.Sprintf("stop %s while the test runs", holder)
}
