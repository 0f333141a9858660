package witness

import (
	"io"
	"os"
	"strings"
)

// Mark is what tells this machine from others, as far as it says: its name and the number that its system gave it. It is for a keyed
// hash and for nothing else; nobody but this machine is told it.
func Mark() string {
	name, _ := os.Hostname()
	return name + "\x00" + machineID("/etc/machine-id")
}

// machineID is what a file of one line says (systemd, machine-id(5)); empty where there is none.
func machineID(path string) string {
	f, err := os.Open(path)
	if err != nil {
		return ""
	}
	defer f.Close()
	b, _ := io.ReadAll(io.LimitReader(f, 64))
	return strings.TrimSpace(string(b))
}
