package sock

import (
	"syscall"

	"golang.org/x/sys/windows"
)

// passingErrors are the kernel's words for ICMP errors, and for a packet larger than the buffer.
var passingErrors = []error{
	windows.WSAECONNRESET, windows.WSAENETRESET, windows.WSAECONNREFUSED, windows.WSAEHOSTUNREACH, windows.WSAENETUNREACH,
	windows.WSAEMSGSIZE, windows.WSAENETDOWN, windows.WSAEHOSTDOWN,
}

// asOnTheWire has nothing to do: the header is delivered as it came.
func asOnTheWire([]byte) {}

// The IPv4 and the IPv6 option have the same number (ws2ipdef.h: IP_DONTFRAGMENT, IPV6_DONTFRAG).
const dontFragment = 14

func setDF(c syscall.Conn, v4, on bool) error {
	level := windows.IPPROTO_IP
	if !v4 {
		level = windows.IPPROTO_IPV6
	}
	return control(c, func(fd uintptr) error {
		return windows.SetsockoptInt(windows.Handle(fd), level, dontFragment, truth(on))
	})
}
