package witness

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestMachineID(t *testing.T) {
	path := filepath.Join(t.TempDir(), "machine-id")
	if got := machineID(path); got != "" {
		t.Errorf("got %q of no file", got)
	}
	for in, want := range map[string]string{"7c0f\n": "7c0f", "": "", strings.Repeat("a", 1000): strings.Repeat("a", 64)} {
		os.WriteFile(path, []byte(in), 0o600)
		if got := machineID(path); got != want {
			t.Errorf("got %q, want %q", got, want)
		}
	}
	if first := Mark(); first != Mark() {
		t.Error("it does not stay the same")
	}
}
