package report

import (
	"bytes"
	"context"
	"errors"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"vpncheck/probe"
	"vpncheck/probe/wire"
)

// fake is a probe that has been told what changed.
type fake struct {
	info    probe.Info
	changes []probe.Change
}

func (f fake) Info() probe.Info { return f.info }
func (fake) Observe(context.Context, *probe.Path) (probe.Observation, error) {
	return probe.Observation{}, nil
}
func (f fake) Changes(_ probe.Observation, e probe.Exchange) (out []probe.Change) {
	for _, c := range f.changes {
		if c.Exchange == e.ID {
			out = append(out, c)
		}
	}
	return out
}
func (fake) Reason(probe.Observation, probe.Stage, probe.Verdict, probe.Circumstances) (probe.Reason, []probe.Evidence) {
	return "", nil
}

var began = time.Date(2025, 6, 3, 9, 30, 0, 0, time.UTC)

func seen(src, dst string, ttl uint8, id uint16, b ...byte) wire.Sighting {
	return wire.Sighting{State: wire.Seen, At: began, Where: "raw", Proto: 47, Src: netip.MustParseAddrPort(src), Dst: netip.MustParseAddrPort(dst),
		TTL: &ttl, IPID: &id, Bytes: b}
}

// sample is a run of a made-up protocol: two packets out and one back.
func sample() (probe.Result, []probe.Probe) {
	client, public, server := "192.168.1.10:0", "198.51.100.7:0", "203.0.113.2:0"
	p := fake{info: probe.Info{ID: "x", Title: "XTP", Weak: "anyone can read it", Stages: []probe.Stage{{ID: "data", Title: "the data"}}},
		changes: []probe.Change{
			{Exchange: "x/2", Way: "out", Field: "payload", Before: "03", After: "07", Offset: 2},
			{Exchange: "x/1", Way: "back", Field: "call-id", Before: "7", After: "9"},
		}}
	o := probe.Observation{Protocol: "x", Card: true, Exchanges: []probe.Exchange{
		{ID: "x/1", Stage: "data", From: probe.Client, Flow: 1, Sent: seen(client, server, 64, 1, 1, 2, 3), Arrived: seen(public, server, 62, 1, 1, 2, 3),
			Replied: seen(server, public, 64, 8, 7, 7), Returned: seen(server, client, 61, 9, 9, 7)},
		{ID: "x/2", Stage: "data", From: probe.Client, Flow: 1, Sent: seen(client, server, 64, 2, 1, 2, 3), Arrived: seen(public, server, 62, 5, 1, 2, 7),
			Replied: seen(server, public, 64, 8, 7, 7), Returned: wire.NotSeen()},
	}}
	f := probe.Finding{Protocol: "x", Verdict: probe.BlockedBack, Reason: probe.NoReturn, Stage: "data", Because: []probe.Evidence{
		{Reason: probe.EvTries, Exchanges: []string{"x/1", "x/2"}, Args: map[string]any{"stage": "the data", "tries": 2, "arrived": 2, "replied": 2, "returned": 1, "seconds": 1.5}},
	}}
	c := probe.Circumstances{
		Server: probe.ServerFacts{Host: "vpn.example", Address: netip.MustParseAddr("203.0.113.2"), Client: netip.MustParseAddrPort("198.51.100.7:5000")},
		Laptop: probe.LaptopFacts{OS: "linux", Local: netip.MustParseAddr("192.168.1.10")},
	}
	return probe.Result{Started: began, Ended: began.Add(time.Second), Observations: []probe.Observation{o}, Findings: []probe.Finding{f}, Circumstances: c},
		[]probe.Probe{p}
}

func TestNew(t *testing.T) {
	res, probes := sample()
	r := New(res, probes, Tool{"vpncheck", "test"})
	x := r.Protocols[0]
	want := Protocol{
		ID: "x", Title: "XTP", Verdict: probe.BlockedBack, Reason: probe.NoReturn, Stage: "data", Observation: res.Observations[0],
		Sentence: "XTP reaches the server, but the answers do not come back (1 of 2 answers; 2 of 2 arrived at the server). Your router or your internet provider stops them.",
		Because:  []Note{{probe.EvTries, res.Findings[0].Because[0].Args, "The data: 2 tries in 1.5 seconds; at the server 2 arrived and 2 were answered; 1 answer came back.", []string{"x/1", "x/2"}}},
		Stages:   map[string]string{"data": "the data"}, Next: x.Next, Translation: x.Translation, Diagnosis: x.Diagnosis,
		Weak: "Anyone can read it. Use IKEv2, WireGuard or OpenVPN (not tested here) instead.",
	}
	if diff := cmp.Diff(want, x, cmp.Comparer(func(a, b netip.Addr) bool { return a == b }), cmp.Comparer(func(a, b netip.AddrPort) bool { return a == b })); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
	sum := Summary{Works: []string{}, Fails: []string{"x"}, Undecided: []string{}, Headline: "XTP does not work: the answers do not come back.",
		Advice: "Look in your router for a setting that concerns XTP."}
	if diff := cmp.Diff(sum, r.Summary); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
	if len(r.Notes) != 1 || r.Notes[0].Reason != probe.BehindNAT {
		t.Errorf("got notes %v, want one, about NAT", r.Notes)
	}
}

func TestTranslation(t *testing.T) {
	res, probes := sample()
	var got []string
	for _, r := range New(res, probes, Tool{}).Protocols[0].Translation {
		got = append(got, strings.Join([]string{r.Over, r.Way, r.Text, r.Example}, " | "))
	}
	want := []string{
		"GRE | out | source address 192.168.1.10 became 198.51.100.7 | x/1",
		"GRE | out | destination address kept (203.0.113.2) | x/1",
		"GRE | out | 2 hops (TTL 64 became 62) | x/1",
		"GRE | out | IP-ID 2 became 5 | x/2",
		"GRE | out | IP-ID kept (1) | x/1",
		"GRE | out | length kept (3) | x/1",
		"GRE | out | payload changed, from byte 2 on | x/2",
		"GRE | out | payload kept byte for byte | x/1",
		"GRE | back | source address kept (203.0.113.2) | x/1",
		"GRE | back | destination address 198.51.100.7 became 192.168.1.10 | x/1",
		"GRE | back | Call-ID 7 became 9 | x/1",
		"GRE | back | 3 hops (TTL 64 became 61) | x/1",
		"GRE | back | IP-ID 8 became 9 | x/1",
		"GRE | back | length kept (2) | x/1",
		"GRE | back | rest of the payload kept byte for byte | x/1",
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
}

// The server's messages go the other way round.
func TestTranslationOfServersMessage(t *testing.T) {
	o := probe.Observation{Exchanges: []probe.Exchange{{ID: "x/1s", From: probe.Server,
		Sent: seen("203.0.113.2:0", "198.51.100.7:0", 64, 1, 1), Arrived: seen("203.0.113.2:0", "192.168.1.10:0", 62, 1, 1),
		Replied: wire.CannotSee("no"), Returned: wire.NotSeen()}}}
	rows := translation(nil, o, probe.Passed)
	if len(rows) == 0 {
		t.Fatal("got no rows")
	}
	for _, r := range rows {
		if r.Way != probe.WayBack {
			t.Errorf("got %+v, want the way back alone", r)
		}
	}
}

func TestReadWrite(t *testing.T) {
	res, probes := sample()
	res.Circumstances.Server.Host = "evil\u009b31m\x1b[2J\u202e\U000e0041.example"
	var once, twice bytes.Buffer
	if err := New(res, probes, Tool{"vpncheck", "test"}).WriteJSON(&once); err != nil {
		t.Fatal(err)
	}
	for _, c := range once.String() {
		if c != '\n' && (c < 0x20 || c >= 0x7f) {
			t.Fatalf("the JSON has %U in it", c)
		}
	}
	r, err := Read(bytes.NewReader(once.Bytes()))
	if err != nil {
		t.Fatal(err)
	}
	if got, want := r.Circumstances.Server.Host, res.Circumstances.Server.Host; got != want {
		t.Errorf("got host %q, want %q", got, want)
	}
	if err := r.WriteJSON(&twice); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(once.String(), twice.String()); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
}

func TestReadErrors(t *testing.T) {
	for _, x := range []struct {
		name, text string
		want       error
	}{
		{"empty", "", ErrNotJSON},
		{"text", "PPTP works", ErrNotJSON},
		{"cut", `{"schema": "vpncheck-report/1", "tool": {"na`, ErrNotJSON},
		{"array", `[1, 2]`, ErrNotReport},
		{"null", `null`, ErrNotReport},
		{"other", `{"schema": "https://json-schema.org"}`, ErrNotReport},
		{"none", `{"name": "x"}`, ErrNotReport},
		{"version", `{"schema": "vpncheck-report/one"}`, ErrNotReport},
		{"newer", `{"schema": "vpncheck-report/2"}`, ErrNewer},
		{"types", `{"schema": "vpncheck-report/1", "protocols": 7}`, ErrNotReport},
		{"local", `{"schema": "vpncheck-local/1"}`, ErrLocal},
		{"large", strings.Repeat(" ", MaxSize) + "{}", ErrTooLarge},
		{"minor", `{"schema": "vpncheck-report/1.7", "colour": "green"}`, nil},
		{"mark", "\ufeff" + `{"schema": "vpncheck-report/1"}`, nil},
	} {
		t.Run(x.name, func(t *testing.T) {
			_, err := Read(strings.NewReader(x.text))
			if !errors.Is(err, x.want) || (err == nil) != (x.want == nil) {
				t.Errorf("got %v, want %v", err, x.want)
			}
		})
	}
}

// Where the server is blind to what arrives, a tally's zero is not "0 of 5 arrived".
func TestBlindIsNotAbsent(t *testing.T) {
	res, probes := sample()
	for i := range res.Observations[0].Exchanges {
		e := &res.Observations[0].Exchanges[i]
		e.Arrived, e.Replied, e.Returned = wire.CannotSee("no view"), wire.CannotSee("no view"), wire.NotSeen()
	}
	res.Findings[0].Verdict, res.Findings[0].Reason = probe.Inconclusive, probe.NotEnoughTries
	res.Findings[0].Because[0].Args = map[string]any{"stage": "the data", "tries": 2, "arrived": 0, "replied": 0, "returned": 0}
	x := New(res, probes, Tool{}).Protocols[0]
	if text := x.Sentence + x.Because[0].Text; strings.Contains(text, "0 of 2 arrived") || strings.Contains(text, "0 arrived") {
		t.Errorf("got %q", text)
	}
}

func FuzzRead(f *testing.F) {
	res, probes := sample()
	var buf bytes.Buffer
	if err := New(res, probes, Tool{"vpncheck", "test"}).WriteJSON(&buf); err != nil {
		f.Fatal(err)
	}
	f.Add(buf.Bytes())
	f.Add([]byte(`{"schema":"vpncheck-report/1","protocols":[{"verdict":"\u001b","because":[{"args":{"p":1e308}}]}],"notes":[{}]}`))
	f.Add([]byte(`{"schema":"vpncheck-report/1","circumstances":{"control":{"every_ns":-1,"tls":[[null,1],[9223372036854775807,-1]]}}}`))
	f.Fuzz(func(t *testing.T, b []byte) {
		r, err := Read(bytes.NewReader(b))
		if err != nil {
			return
		}
		r.ExitCode()
		var once, twice bytes.Buffer
		if err := r.WriteJSON(&once); err != nil {
			t.Skip(err) // a time beyond the year 9999
		}
		again, err := Read(bytes.NewReader(once.Bytes()))
		if err != nil {
			t.Fatalf("cannot read what was written: %v", err)
		}
		if err := again.WriteJSON(&twice); err != nil || !bytes.Equal(once.Bytes(), twice.Bytes()) {
			t.Fatalf("%v, or differs:\n%s\n%s", err, once.Bytes(), twice.Bytes())
		}
	})
}

// A form whose opening arrived, and whose next stage did not, is not one of which nothing reaches the server.
func TestFormThatBegan(t *testing.T) {
	for _, arrived := range []bool{false, true} {
		res, probes := sample()
		o := &res.Observations[0]
		o.Parts = []probe.Part{{ID: "stock", Title: "as clients send it", Deciding: true}, {ID: "other", Title: "from other ports"}}
		for i, stage := range []string{"init", "data"} {
			e := &o.Exchanges[i]
			e.Part, e.Stage, e.Returned = "stock", stage, wire.NotSeen()
			if stage == "data" || !arrived {
				e.Arrived, e.Replied = wire.NotSeen(), wire.NotSeen()
			}
		}
		res.Findings[0].Parts = []probe.PartFinding{{Part: "stock", Verdict: probe.BlockedOut, Reason: probe.NoArrival}, {Part: "other", Verdict: probe.Passed}}
		want := "Nothing of it reaches the server."
		if arrived {
			want = "Its beginning reaches the server, and what follows does not."
		}
		if got := New(res, probes, Tool{}).Protocols[0].Parts[0].Sentence; got != want {
			t.Errorf("got %q, want %q", got, want)
		}
	}
}

// The longest title of a stage stands in its evidence uncut.
func TestLongStage(t *testing.T) {
	const stage = "IKE_AUTH with certificates on UDP port 4500"
	if got := evidence(probe.EvTries, map[string]any{"stage": stage, "tries": 1}, newFacts("IKEv2")); !strings.HasPrefix(got, stage+": ") {
		t.Errorf("got %q", got)
	}
}
