package view

import (
	"strings"
	"testing"

	"vpncheck/report"
)

// The answer about one VPN comes first, and what that VPN does not need is one line without hints.
func TestAim(t *testing.T) {
	for name, x := range map[string]struct {
		world, vpn string
		code       int
	}{
		"aim-works":        {"seven-no-helper", "l2tp-ipsec", 809},
		"aim-fails":        {"seven-no-helper", "pptp", 721},
		"aim-no-privilege": {"seven-no-privilege", "ikev2", 0},
		"aim-error-alone":  {"seven-natt-out", "", 809},
		"aim-portal":       {"portal", "ikev2", 0},
	} {
		t.Run(name, func(t *testing.T) {
			r := fixture(everyWorld()[x.world]).For(x.vpn, x.code)
			text := render(t, r, Options{})
			golden(t, name+".txt", text)
			first, _, _ := strings.Cut(strings.Join(strings.Fields(text), " "), ".")
			if !strings.HasPrefix(strings.Join(strings.Fields(r.Aim.Headline), " "), first) {
				t.Errorf("the first line is %q, want it about %s %d", first, x.vpn, x.code)
			}
		})
	}
}

func TestGreyLineHasNoHints(t *testing.T) {
	r := fixture(everyWorld()["seven-no-privilege"]).For("ikev2", 0)
	text := strings.Join(strings.Fields(render(t, r, Options{})), " ")
	for _, bad := range []string{"setcap", "GRE: not tried", "IP protocol 47:"} {
		if strings.Contains(text, bad) {
			t.Errorf("a protocol that IKEv2 does not need says %q:\n%s", bad, text)
		}
	}
	if n := strings.Count(text, "Not needed for IKEv2: "); n != 1 {
		t.Errorf("what is not needed is told %d times, want once:\n%s", n, text)
	}
	if all := strings.Join(strings.Fields(render(t, r, Options{Verbose: true})), " "); !strings.Contains(all, "GRE: not tried") {
		t.Errorf("--verbose leaves it out:\n%s", all)
	}
}

// One line for each VPN, in 80 columns, at the very beginning.
func TestTableIsFirst(t *testing.T) {
	for _, name := range []string{"seven", "seven-no-nat", "seven-natt-out", "seven-udp-filtered", "seven-no-helper", "thirteen", "thirteen-only-443", "thirteen-all-fail"} {
		r := fixture(everyWorld()[name])
		lines := strings.Split(render(t, r, Options{}), "\n")
		n := 1
		for _, v := range r.VPNs {
			if len(v.Because) == 0 && v.Works == report.WorksUnknown {
				continue
			}
			if !strings.HasPrefix(lines[n], "  "+v.Title+" ") || !strings.HasSuffix(lines[n], v.Sentence) {
				t.Errorf("%s: line %d is %q, want %s: %s", name, n, lines[n], v.Title, v.Sentence)
			}
			n++
		}
	}
}
