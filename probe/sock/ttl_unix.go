//go:build unix

package sock

import "golang.org/x/sys/unix"

// setTTL is the TTL of all that an IPv4 socket sends.
func setTTL(fd uintptr, ttl int) error {
	return unix.SetsockoptInt(int(fd), unix.IPPROTO_IP, unix.IP_TTL, ttl)
}
