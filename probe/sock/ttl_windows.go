package sock

import "golang.org/x/sys/windows"

// setTTL is the TTL of all that an IPv4 socket sends.
func setTTL(fd uintptr, ttl int) error {
	return windows.SetsockoptInt(windows.Handle(fd), windows.IPPROTO_IP, windows.IP_TTL, ttl)
}
