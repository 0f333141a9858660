package sock

import (
	"encoding/binary"
	"syscall"

	"golang.org/x/sys/unix"
)

// passingErrors are the kernel's words for ICMP errors, and an interface that is down for now.
var passingErrors = []error{
	unix.ECONNREFUSED, unix.EHOSTUNREACH, unix.ENETUNREACH, unix.ENOPROTOOPT, unix.EMSGSIZE, unix.EHOSTDOWN, unix.ENETDOWN,
	unix.ECONNRESET, unix.EINTR,
}

// asOnTheWire undoes what the kernel does to a received header: Total Length without the header and both it and the flags in the
// machine's order (F23).
func asOnTheWire(b []byte) {
	if len(b) < headerLen {
		return
	}
	binary.BigEndian.PutUint16(b[2:], uint16(len(b)))
	binary.BigEndian.PutUint16(b[6:], binary.NativeEndian.Uint16(b[6:]))
}

func setDF(c syscall.Conn, v4, on bool) error {
	return control(c, func(fd uintptr) error {
		if v4 {
			return unix.SetsockoptInt(int(fd), unix.IPPROTO_IP, unix.IP_DONTFRAG, truth(on))
		}
		return unix.SetsockoptInt(int(fd), unix.IPPROTO_IPV6, unix.IPV6_DONTFRAG, truth(on))
	})
}
