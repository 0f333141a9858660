package sock

import (
	"errors"
	"net"
	"os"
	"syscall"

	"golang.org/x/sys/windows"
)

// Each list has the word of package syscall too, which Fake and the tests use on every system.
var (
	// Errno.Is does not count WSAEACCES as os.ErrPermission.
	privilegeErrors = []error{os.ErrPermission, windows.WSAEACCES}
	refusedErrors   = []error{
		windows.WSAEPROTONOSUPPORT, windows.WSAEOPNOTSUPP, windows.WSAEAFNOSUPPORT, windows.WSAESOCKTNOSUPPORT,
		windows.WSAENOPROTOOPT, errors.ErrUnsupported,
	}
	firewallErrors = []error{windows.WSAEACCES, syscall.EPERM, syscall.EACCES}
	routeErrors    = []error{
		windows.WSAENETUNREACH, windows.WSAEHOSTUNREACH, windows.WSAENETDOWN, windows.WSAEHOSTDOWN, syscall.ENETUNREACH, syscall.EHOSTUNREACH,
	}
	sizeErrors = []error{windows.WSAEMSGSIZE, syscall.EMSGSIZE}
)

// isHeld knows that a UDP or TCP port needs no privilege on Windows: WSAEACCES says that its holder (often the system's own IKE
// service) does not share it.
func isHeld(err error) bool {
	if errors.Is(err, windows.WSAEADDRINUSE) || errors.Is(err, syscall.EADDRINUSE) {
		return true
	}
	var op *net.OpError
	if !errors.Is(err, windows.WSAEACCES) || !errors.As(err, &op) || op.Op != "listen" {
		return false
	}
	switch op.Addr.(type) {
	case *net.UDPAddr, *net.TCPAddr:
		return true
	}
	return false
}
