// Package witness looks around the laptop: its gateway, its own networks, a VPN that is already up, a sign-in page in the way, who
// holds the ports that a VPN needs. A witness says what it saw, or why it could not look. It has no opinion: what follows from it is
// for others to say.
//
// There is one file for each witness. Those that need the system's own files read them where they are, and elsewhere say so.
package witness

import (
	"fmt"
	"io"
	"io/fs"
	"net"
	"net/netip"
	"os"
	"runtime"
	"strings"
)

// A Look says whether a witness could look at all. If not, Why says what stood in the way, and the rest of what it returns is empty.
type Look struct {
	Looked bool   `json:"looked"`
	Why    string `json:"why,omitempty"`
}

var looked = Look{Looked: true}

func blind(format string, args ...any) Look { return Look{Why: fmt.Sprintf(format, args...)} }

// A place is where the witnesses look: this machine, or a test's.
type place struct {
	os         string // runtime.GOOS
	files      fs.FS  // from the root
	interfaces func() ([]Interface, error)
}

func here() place {
	return place{os: runtime.GOOS, files: os.DirFS("/"), interfaces: Interfaces}
}

const maxFile = 1 << 20 // a full internet routing table does not fit; a laptop's does

// read returns at most maxFile octets of a file.
func (p place) read(name string) (string, error) {
	f, err := p.files.Open(name)
	if err != nil {
		return "", err
	}
	defer f.Close()
	b, err := io.ReadAll(io.LimitReader(f, maxFile))
	return string(b), err
}

// word is the content of a file of one line, printable and bounded; "" if there is none.
func (p place) word(name string) string {
	s, err := p.read(name)
	if err != nil {
		return ""
	}
	s, _, _ = strings.Cut(strings.TrimSpace(s), "\n")
	return printable(s, 80)
}

func (p place) exists(name string) bool {
	_, err := fs.Stat(p.files, name)
	return err == nil
}

// printable keeps what a terminal shows as itself, and no more than n characters of it.
func printable(s string, n int) string {
	s = strings.Map(func(r rune) rune {
		if r < ' ' || r > '~' {
			return -1
		}
		return r
	}, s)
	return s[:min(n, len(s))]
}

// An Interface is one of the laptop's own, as far as it is up.
type Interface struct {
	Name         string         `json:"name"`
	Prefixes     []netip.Prefix `json:"prefixes"`
	PointToPoint bool           `json:"point_to_point,omitempty"`
	Loopback     bool           `json:"loopback,omitempty"`
}

// Interfaces returns this machine's interfaces that are up and have an address.
func Interfaces() ([]Interface, error) {
	all, err := net.Interfaces()
	if err != nil {
		return nil, fmt.Errorf("listing the network interfaces: %w", err)
	}
	var out []Interface
	for _, i := range all {
		addrs, err := i.Addrs()
		if err != nil || i.Flags&net.FlagUp == 0 {
			continue // it went away while we looked, or carries nothing
		}
		own := Interface{
			Name:         i.Name,
			PointToPoint: i.Flags&net.FlagPointToPoint != 0,
			Loopback:     i.Flags&net.FlagLoopback != 0,
		}
		for _, a := range addrs {
			if p, ok := prefix(a); ok {
				own.Prefixes = append(own.Prefixes, p)
			}
		}
		if len(own.Prefixes) > 0 {
			out = append(out, own)
		}
	}
	return out, nil
}

func prefix(a net.Addr) (netip.Prefix, bool) {
	n, ok := a.(*net.IPNet)
	if !ok {
		return netip.Prefix{}, false
	}
	ip, ok := netip.AddrFromSlice(n.IP)
	ones, bits := n.Mask.Size()
	ip = ip.Unmap()
	if !ok || bits == 0 {
		return netip.Prefix{}, false
	}
	return netip.PrefixFrom(ip, max(0, ones-(bits-ip.BitLen()))), true
}

// has says whether a is one of the interface's own addresses.
func (i Interface) has(a netip.Addr) bool {
	for _, p := range i.Prefixes {
		if p.Addr() == a.Unmap().WithZone("") {
			return true
		}
	}
	return false
}

// routable says whether the interface has an address that could carry traffic beyond its own wire.
func (i Interface) routable() bool {
	for _, p := range i.Prefixes {
		if a := p.Addr(); !a.IsLoopback() && !a.IsLinkLocalUnicast() {
			return true
		}
	}
	return false
}
