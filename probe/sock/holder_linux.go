package sock

import (
	"bufio"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"unicode"
)

// Holder names the program that holds a port of "tcp" or "udp", as "pptpd (pid 812)". It is not known if the port is free, or if
// the program belongs to another user and we are not root. Another program comes before this one, which may hold the port of another address.
func Holder(proto string, port uint16) (string, bool) {
	inodes := map[string]bool{}
	for _, table := range []string{proto, proto + "6"} {
		socketsOn("/proc/thread-self/net/"+table, proto == "tcp", port, inodes)
	}
	if len(inodes) == 0 {
		return "", false
	}
	own := ""
	fds, _ := filepath.Glob("/proc/[0-9]*/fd/[0-9]*") // the pattern is good
	for _, fd := range fds {
		link, err := os.Readlink(fd)
		if err != nil {
			continue
		}
		inode, ok := strings.CutPrefix(link, "socket:[")
		if !ok || !inodes[strings.TrimSuffix(inode, "]")] {
			continue
		}
		pid := strings.Split(fd, "/")[2]
		comm, err := os.ReadFile("/proc/" + pid + "/comm")
		if err != nil {
			continue
		}
		holder := fmt.Sprintf("%s (pid %s)", printable(strings.TrimSuffix(string(comm), "\n")), pid)
		if pid != strconv.Itoa(os.Getpid()) {
			return holder, true
		}
		own = holder
	}
	// A socket of the kernel's own (WireGuard, L2TP) has no inode and no program.
	if inodes["0"] {
		return "the kernel", true
	}
	return own, own != ""
}

// socketsOn adds the inodes of the sockets on a port, of TCP only those that listen.
func socketsOn(table string, listening bool, port uint16, inodes map[string]bool) {
	f, err := os.Open(table)
	if err != nil {
		return
	}
	defer f.Close()
	for lines := bufio.NewScanner(f); lines.Scan(); {
		// sl local_address rem_address st tx:rx tr:tm retrnsmt uid timeout inode ...
		field := strings.Fields(lines.Text())
		if len(field) < 10 || listening && field[3] != "0A" {
			continue
		}
		at := strings.LastIndexByte(field[1], ':')
		if n, err := strconv.ParseUint(field[1][at+1:], 16, 16); err == nil && uint16(n) == port {
			inodes[field[9]] = true
		}
	}
}

// printable makes a program's name, which the program chose, harmless on a terminal.
func printable(name string) string {
	return strings.Map(func(r rune) rune {
		if !unicode.IsPrint(r) {
			return '?'
		}
		return r
	}, name)
}
