package report

import (
	"go/ast"
	"go/parser"
	"go/token"
	"strconv"
	"strings"
	"testing"
	"unicode"

	"vpncheck/probe"
)

// reasons reads every constant of type Reason from the source, so that none can be forgotten here.
func reasons(t *testing.T) map[string]probe.Reason {
	t.Helper()
	out := make(map[string]probe.Reason)
	for _, name := range []string{"../probe/reason.go", "../probe/own_reason.go"} {
		file, err := parser.ParseFile(token.NewFileSet(), name, nil, 0)
		if err != nil {
			t.Fatal(err)
		}
		reasonsIn(t, file, out)
	}
	if len(out) < 50 {
		t.Fatalf("got %d reasons, want more: has reason.go moved?", len(out))
	}
	return out
}

func reasonsIn(t *testing.T, file *ast.File, out map[string]probe.Reason) {
	t.Helper()
	ast.Inspect(file, func(n ast.Node) bool {
		spec, ok := n.(*ast.ValueSpec)
		if !ok {
			return true
		}
		if typ, ok := spec.Type.(*ast.Ident); !ok || typ.Name != "Reason" {
			return true
		}
		for i, name := range spec.Names {
			value, err := strconv.Unquote(spec.Values[i].(*ast.BasicLit).Value)
			if err != nil {
				t.Fatal(err)
			}
			out[name.Name] = probe.Reason(value)
		}
		return true
	})
}

func TestEveryReasonHasWords(t *testing.T) {
	for name, r := range reasons(t) {
		w, ok := catalogue(r)
		if _, isEvidence := sayer(r); isEvidence && !ok {
			continue
		}
		if !ok {
			t.Errorf("%s (%s): there are no words for it", name, r)
			continue
		}
		if w.Short == "" || w.Sentence == "" || w.Do == "" {
			t.Errorf("%s (%s): short, sentence and do are needed, got %+v", name, r, w)
		}
	}
	for _, v := range probe.Verdicts {
		if verdictWords[v].Sentence == "" {
			t.Errorf("verdict %s has no words", v)
		}
	}
}

func TestWordsFitTheirPlace(t *testing.T) {
	for name, r := range reasons(t) {
		w, ok := ExplainReason(r)
		if !ok {
			continue
		}
		if len(w.Short) > 62 || strings.HasSuffix(w.Short, ".") || strings.HasPrefix(w.Short, "it ") || strings.HasPrefix(w.Short, "its ") {
			t.Errorf("%s: %q does not complete a headline about several protocols", name, w.Short)
		}
		if len("What to do: "+w.Do+".") > 85 || strings.HasSuffix(w.Do, ".") {
			t.Errorf("%s: %q (%d) is not one line", name, w.Do, len(w.Do))
		}
		for _, s := range []string{w.Sentence, w.Next} {
			if !strings.HasSuffix(s, ".") || !unicode.IsUpper([]rune(s)[0]) && !strings.HasPrefix(s, "vpncheck") {
				t.Errorf("%s: %q is not a sentence", name, s)
			}
		}
		well(t, name, w.Short, w.Sentence, w.Do, w.Next)
	}
}

// well fails if a text shows that something was missing when it was made.
func well(t *testing.T, name string, texts ...string) {
	t.Helper()
	for _, s := range texts {
		for _, bad := range []string{"<no value>", "%!", "{", "}", "  ", " .", " ,", "<nil>", "..", "()"} {
			if strings.Contains(s, bad) {
				t.Errorf("%s: %q has %q in it", name, s, bad)
			}
		}
		for _, c := range s {
			if !unicode.IsPrint(c) {
				t.Errorf("%s: %q has %U in it", name, s, c)
			}
		}
	}
}

// argsOf are the args that reason.go promises, for each reason of evidence.
var argsOf = map[probe.Reason]map[string]any{
	probe.EvTries:     {"stage": "gre", "tries": 8, "arrived": 8, "replied": 8, "returned": 0, "seconds": 4.2},
	probe.EvChance:    {"p": 6.4e-5, "tries": 5, "control": 15, "lost": 0},
	probe.EvProof:     {"carrier": "gre-v1", "at": "2025-06-03T07:30:00Z", "own": true},
	probe.EvUnproven:  {"carrier": "gre-v1"},
	probe.EvCallID:    {"rewritten": true, "sent": 21, "arrived": 40412},
	probe.EvGREv0:     {"asked": 8, "returned": 8},
	probe.EvChange:    {"way": "out", "field": "payload", "before": "00", "after": "ff", "offset": 12},
	probe.EvStopped:   {"flow": 1, "after": 6, "seconds": 10.4},
	probe.EvStranger:  {"bytes": "0a0b0c", "from": "203.0.113.2:1723", "count": 2},
	probe.EvRefused:   {"how": "reset", "tries": 5},
	probe.EvSendErr:   {"error": "sendmsg: operation not permitted"},
	probe.EvVoid:      {"tries": 3, "seconds": 1.2},
	probe.EvSilent:    {"why": "token", "count": 8},
	probe.EvPage:      {},
	probe.EvHTTP:      {"status": 405, "text": "Method Not Allowed", "server": "a proxy", "tries": 3},
	probe.EvTLS:       {"why": "the certificate is not the server's: issued to \"x\" by \"y\""},
	probe.EvOtherPort: {"port": 9443},
	probe.EvWhy:       {"why": "no raw sockets", "hint": "use sudo"},
	probe.OutageSeen:  {"count": 2, "seconds": 1.5},
	probe.LossSeen:    {"lost": 3, "sent": 46},
	probe.NoNAT:       {"local": "198.51.100.7", "public": "198.51.100.7"},
	probe.BehindNAT:   {"local": "192.168.1.10", "public": "198.51.100.7"},
	probe.UDPFiltered: {"sent": 46},
	probe.EvPort:      {"port": 500},
	probe.EvStandsIn:  {"part": "from another port", "why": "permission denied", "hint": "use sudo"},
	probe.EvOtherPart: {"part": "from another port"},
	probe.EvNATFound:  {"client": true, "server": true},
	probe.EvICV:       {"valid": false, "count": 6},
	probe.EvAtNIC:     {"count": 5, "tries": 6},
	probe.EvLater:     {"stage": "the rounds on UDP 500"},
	probe.EvICMP:      {"from": "192.0.2.1", "type": 3, "code": 13, "count": 5, "at": "client", "forged": true},
	probe.EvHop:       {"ttl": 2, "from": "192.0.2.1", "answers": 3, "asked": 3},
	probe.EvTrain:     {"sent": 60, "counted": 61, "arrived": 0, "way": "out"},
	probe.EvForward:   {"proto": "UDP", "port": 500, "to": "192.168.1.77"},
	probe.EvCloud:     {"name": "Microsoft Azure", "carrier": "gre", "cannot": true},
	probe.EvOwner:     {"carrier": "esp", "owner": "esp4 (kernel)"},
	probe.EvInside:    {"kind": "wsl", "nat": "the NAT of WSL"},
	probe.EvFamily:    {"used": "IPv4", "other": "IPv6"},
	probe.EvSources:   {"addresses": "203.0.113.2: PPTP; 203.0.113.3: ESP"},
	probe.EvSixToFour: {"address": "192.0.0.1"},
	probe.EvRandom:    {"port": 500, "asked": 5, "returned": 5, "arrived": 5, "openings": 5, "openings_arrived": 0, "openings_returned": 0, "content": true},
	probe.EvLinkPort:  {"port": 443},
	probe.EvPace:      {"asked": 6, "returned": 6},
	probe.EvFullSize:  {"octets": 1412, "way": "back", "tries": 6},
	probe.EvUneven:    {"lost": 6, "tries": 12, "control_lost": 1, "control": 60},
	probe.EvTooEarly:  {"minutes": 3},
	probe.EvOthers:    {"count": 2, "minutes": 4},
	probe.EvNATs:      {"kind": "cgnat", "local": "192.168.1.10", "router_wan": "100.64.3.4", "seen": "198.51.100.7"},
}

var hostile = map[string]any{
	"esc": "\x1b[2Jgone\x07", "c1": "a\u009b31mb", "bidi": "abc\u202egnp.exe", "nul": "a\x00b", "lines": "a\nb\r\nc\td", "bytes": "\xff\xfe",
	"zalgo": "z\u0301\u0302\u0303", "tag": "\U000e0041", "brace": "{title}{why}", "format": "%s%d%!v(MISSING)", "long": strings.Repeat("x", 1<<20),
	"huge": 1e300, "negative": -1.0, "list": []any{"a", 1.0, nil}, "object": map[string]any{"a": "\x1b"}, "null": nil, "bool": true,
}

func TestEvidenceSaysEveryArgument(t *testing.T) {
	fa := newFacts("PPTP")
	for _, r := range reasons(t) {
		if _, ok := sayer(r); !ok {
			continue
		}
		data, ok := argsOf[r]
		if !ok {
			data, ok = ownArgsOf[r]
		}
		if !ok {
			t.Errorf("%s: this test knows no args for it", r)
			continue
		}
		well(t, string(r), evidence(r, data, fa), evidence(r, nil, fa), evidence(r, floats(data), fa))
		if a, b := evidence(r, data, fa), evidence(r, floats(data), fa); a != b {
			t.Errorf("%s: %q, but after JSON %q", r, a, b)
		}
		for key := range data {
			for name, bad := range hostile {
				damaged := map[string]any{}
				for k, v := range data {
					damaged[k] = v
				}
				damaged[key] = bad
				text := evidence(r, damaged, fa)
				if len(text) > 1200 {
					t.Errorf("%s with %s in %s: %d octets long", r, name, key, len(text))
				}
				for _, c := range text {
					if !unicode.IsPrint(c) || unicode.Is(unicode.M, c) {
						t.Fatalf("%s with %s in %s: %q", r, name, key, text)
					}
				}
			}
		}
	}
}

// floats are the args as they come from JSON.
func floats(data map[string]any) map[string]any {
	out := make(map[string]any)
	for k, v := range data {
		if n, ok := v.(int); ok {
			v = float64(n)
		}
		out[k] = v
	}
	return out
}

func TestUnknownReason(t *testing.T) {
	f := probe.Finding{Protocol: "x", Verdict: probe.BlockedBack, Reason: "\x1b[31mnew", Because: []probe.Evidence{{Reason: "newer-still"}}}
	w := Explain("PPTP", f)
	if want := verdictWords[probe.BlockedBack].Short; w.Short != want {
		t.Errorf("got %q, want %q", w.Short, want)
	}
	well(t, "unknown", w.Sentence, evidence("newer\x1b[0m", nil, newFacts("PPTP")))
	w = Explain("PPTP", probe.Finding{Verdict: "\x1b]0;x\x07"})
	well(t, "unknown verdict", w.Short, w.Sentence, w.Do, w.Next)
}

func TestClean(t *testing.T) {
	for _, x := range []struct{ in, want string }{
		{"plain, ä ü 日本", "plain, ä ü 日本"},
		{"a\x1b[31mb", `a\x1b[31mb`},
		{"a\nb\tc", "a b c"},
		{"\u202e\u200b", `\u{202e}\u{200b}`},
		{"\xff\ufffd", `\xff` + "\ufffd"},
		{"\u009b", `\u{9b}`},
		{"12345678901", "1234567890..."},
	} {
		if got := Clean(x.in, 10); len(x.in) <= 11 && x.want != got && !strings.HasSuffix(got, "...") {
			t.Errorf("%q: got %q, want %q", x.in, got, x.want)
		}
		if got := Clean(x.in, 100); x.in != "12345678901" && got != x.want {
			t.Errorf("%q: got %q, want %q", x.in, got, x.want)
		}
	}
	if got := Clean("12345678901", 10); got != "1234567890..." {
		t.Errorf("got %q", got)
	}
}
