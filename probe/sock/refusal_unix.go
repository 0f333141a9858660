//go:build !windows

package sock

import (
	"errors"
	"os"

	"golang.org/x/sys/unix"
)

var (
	privilegeErrors = []error{os.ErrPermission}
	refusedErrors   = []error{
		unix.EPROTONOSUPPORT, unix.EOPNOTSUPP, unix.EAFNOSUPPORT, unix.ESOCKTNOSUPPORT, unix.ENOPROTOOPT, errors.ErrUnsupported,
	}
	firewallErrors = []error{unix.EPERM, unix.EACCES}
	routeErrors    = []error{unix.ENETUNREACH, unix.EHOSTUNREACH, unix.ENETDOWN, unix.EHOSTDOWN}
	sizeErrors     = []error{unix.EMSGSIZE}
)

func isHeld(err error) bool { return errors.Is(err, unix.EADDRINUSE) }
