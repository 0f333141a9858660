package sock

import (
	"os"
	"path/filepath"
	"slices"
	"testing"
)

func TestVPNDaemons(t *testing.T) {
	proc := t.TempDir()
	for pid, comm := range map[string]string{"7": "charon\n", "812": "pptpd\n", "9": "bash\n", "self": "charon\n"} {
		if err := os.Mkdir(filepath.Join(proc, pid), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(proc, pid, "comm"), []byte(comm), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	got := vpnDaemons(proc)
	slices.Sort(got)
	if want := []string{"charon is running (pid 7)", "pptpd is running (pid 812)"}; !slices.Equal(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
	if got := vpnDaemons(filepath.Join(proc, "nowhere")); len(got) != 0 {
		t.Errorf("got %q where there is nothing", got)
	}
}
