package main

import (
	"bytes"
	"cmp"
	"fmt"
	"maps"
	"math"
	"math/rand/v2"
	"net/netip"
	"os"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"vpncheck/probe"
	"vpncheck/probe/sock"
	"vpncheck/probe/wire"
	"vpncheck/report"
)

// How oftwelve the tool is wrong, and how oftwelve it cannot tell, on lines that lose much: twelve protocols a run, half of them blocked, out or
// back. docs/accuracy.md has the numbers, and says how to count longer:
//
//	VPNCHECK_ACCURACY=1000 go test ./cmd/vpncheck -run JoinedAccuracy -v -timeout 1h

// A badLine loses packets: each by itself, and all of them in bursts, those of TCP too.
type badLine struct {
	name  string
	loss  float64       // of each packet
	burst time.Duration // the mean length
	every time.Duration // the mean time between two; zero is never
	// What must come out of many runs.
	undecided float64
	longest   time.Duration
}

var accuracyLines = []badLine{
	{name: "loss-10-bursts", loss: 0.10, burst: time.Second, every: 9 * time.Second, undecided: 0.02, longest: time.Minute},
	{name: "loss-25", loss: 0.25, undecided: 0.20, longest: time.Minute},
}

// A weather is one run's line: its bursts are settled beforehand, so that TCP can know when a retransmission would get through.
type weather struct {
	badLine
	mu   sync.Mutex
	dice map[uint32]*rand.Rand // each protocol has its own
	seed uint64
	dead [][2]time.Duration // from and to, since t0
	t0   time.Time
	// under is until when each way of a TCP connection repeats something.
	under map[[2]netip.AddrPort]time.Duration
}

func newWeather(l badLine, seed uint64) *weather {
	w := &weather{badLine: l, seed: seed, dice: map[uint32]*rand.Rand{}, under: map[[2]netip.AddrPort]time.Duration{}}
	r := rand.New(rand.NewPCG(seed, 0))
	for at := time.Duration(0); l.every > 0 && at < 2*time.Minute; {
		at += time.Duration(r.ExpFloat64() * float64(l.every))
		to := at + min(3*l.burst, time.Duration(r.ExpFloat64()*float64(l.burst)))
		w.dead = append(w.dead, [2]time.Duration{at, to})
		at = to
	}
	return w
}

// begin is called within the bubble, whose time this is.
func (w *weather) begin() { w.t0 = time.Now() }

// lost says whether a packet is, at a time from now.
func (w *weather) lost(p sock.FakePacket, in time.Duration) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	at := time.Since(w.t0) + in
	for _, d := range w.dead {
		if at >= d[0] && at < d[1] {
			return true
		}
	}
	own := uint32(p.Proto)<<16 | uint32(min(p.Src.Port(), p.Dst.Port()))
	if w.dice[own] == nil {
		w.dice[own] = rand.New(rand.NewPCG(w.seed, uint64(own)))
	}
	return w.dice[own].Float64() < w.loss
}

// lag is how long TCP takes to get something through: it repeats what is lost, after a fifth of a second and then twice as long each time.
// What is written meanwhile goes along with it.
func (w *weather) lag(p sock.FakePacket) (lag time.Duration) {
	if p.Proto != 6 || !crosses(p) {
		return 0
	}
	way := [2]netip.AddrPort{p.Src, p.Dst}
	now := time.Since(w.t0)
	w.mu.Lock()
	under := w.under[way]
	w.mu.Unlock()
	if under > now {
		return under - now
	}
	for again := 220 * time.Millisecond; w.lost(p, lag); again *= 2 {
		lag += again
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	w.under[way] = now + lag
	return lag
}

// crosses says whether a packet is the laptop's or for it.
func crosses(p sock.FakePacket) bool {
	return p.Src.Addr() == atHome || p.Dst.Addr() == atHome || p.Src.Addr() == public || p.Dst.Addr() == public
}

// route puts the weather in front of a router.
func (w *weather) route(router func(sock.FakePacket) []sock.FakePacket) func(sock.FakePacket) []sock.FakePacket {
	return func(p sock.FakePacket) []sock.FakePacket {
		if crosses(p) {
			lost := w.lost(p, 0)
			if p.Proto == 6 { // a connect is one packet here: its answer may be lost as well
				lost = w.lost(p, 0) || lost
			}
			if lost {
				return nil
			}
		}
		return router(p)
	}
}

// What each protocol's packets are, out and back; PPTP has two that may be blocked.
var carries = map[string]func(p sock.FakePacket, out bool) bool{
	"pptp":        func(p sock.FakePacket, _ bool) bool { return isGRE(p, 1) },
	"connect":     func(p sock.FakePacket, out bool) bool { return p.Proto == 6 && out && p.Dst.Port() == 1723 },
	"gre":         func(p sock.FakePacket, _ bool) bool { return isGRE(p, 0) },
	"ike":         func(p sock.FakePacket, out bool) bool { return toPort(p, out, wire.IKEPort) },
	"natt":        func(p sock.FakePacket, out bool) bool { return toPort(p, out, wire.NATTPort) },
	"esp":         func(p sock.FakePacket, _ bool) bool { return isESP(p) },
	"ah":          func(p sock.FakePacket, _ bool) bool { return isAH(p) },
	"l2tp":        func(p sock.FakePacket, out bool) bool { return toPort(p, out, wire.L2TPPort) },
	"openvpn-udp": func(p sock.FakePacket, out bool) bool { return toPort(p, out, wire.OpenVPNPort) },
	"openvpn-tcp": func(p sock.FakePacket, out bool) bool { return p.Proto == 6 && out && p.Dst.Port() == wire.OpenVPNPort },
	"wireguard":   func(p sock.FakePacket, out bool) bool { return toPort(p, out, wire.WireGuardPort) },
	// The session goes to another port then.
	"sstp": func(p sock.FakePacket, out bool) bool { return p.Proto == 6 && out && p.Dst.Port() == 443 },
}

// begins are the first octets of what goes over TCP, which may be blocked inside a connection.
var begins = map[string]func(b []byte) bool{
	"openvpn-tcp": func(b []byte) bool { return opens(b) == wire.OpenVPNPort },
	"sstp": func(b []byte) bool {
		return len(b) > 5 && b[0] == 0x16 && b[5] == 1 && !bytes.Contains(b, []byte(wire.LinkProtocol))
	},
}

const inside = " inside" // a connection: it opens

// lag is the weather's, and that of what is blocked inside connections, which never comes.
func (b blocks) lag(w *weather) func(sock.FakePacket) time.Duration {
	return func(p sock.FakePacket) time.Duration {
		for id, begin := range begins {
			if b[id+inside] != "" && p.Src.Addr() == atHome && begin(p.Payload) {
				return time.Hour
			}
		}
		return w.lag(p)
	}
}

// alone is what of a whole IPsec VPN may be blocked while IKE and NAT-T, which have its ports, pass.
var alone = map[string]func(p sock.FakePacket) bool{
	"ikev2": func(p sock.FakePacket) bool {
		m, ok := markedIKE(p)
		return ok && len(m.Payloads) == 1 && m.Payloads[0].Type == wire.IKEv2EncryptedFragment
	},
	"l2tp-ipsec": func(p sock.FakePacket) bool {
		m, ok := markedIKE(p)
		return ok && m.Header.MajorVersion == 1
	},
}

// blocks are what a run's router blocks, by protocol.
type blocks map[string]probe.Verdict

func drawBlocks(r *rand.Rand) blocks {
	b := blocks{}
	for _, id := range protocolIDs() {
		if carries[id] == nil {
			continue
		}
		switch r.IntN(4) {
		case 0:
			b[id] = probe.BlockedOut
			if id == "pptp" && r.IntN(2) == 0 {
				b["connect"] = probe.BlockedOut
			}
		case 1:
			b[id] = probe.BlockedBack
			if begins[id] != nil { // the answer to a connect is no packet of its own here
				b[id] = probe.BlockedOut
				b[id+inside] = probe.BlockedOut
			}
		}
	}
	for _, id := range []string{"ikev2", "l2tp-ipsec"} {
		if v := r.IntN(6); v < 2 {
			b[id] = []probe.Verdict{probe.BlockedOut, probe.BlockedBack}[v]
		}
	}
	return b
}

func (b blocks) middlebox() middlebox {
	return drop(func(p sock.FakePacket, out bool) bool {
		for id, v := range b {
			if alone[id] != nil && (v == probe.BlockedOut) == out && alone[id](p) {
				return true
			}
			if carries[id] == nil || b[id+inside] != "" {
				continue
			}
			if (v == probe.BlockedOut) == out && carries[id](p, out) {
				return true
			}
		}
		return false
	})
}

// truth is the verdict that a protocol must get.
func (b blocks) truth(id string) probe.Verdict {
	if alone[id] != nil {
		for _, first := range []string{"natt", "ike"} { // a whole VPN has their ports
			if b[first] != "" && !(first == "natt" && b[id] == probe.BlockedOut) { // what does not arrive is not answered
				id = first
			}
		}
	}
	switch {
	case id == "ah" && b[id] != probe.BlockedOut:
		return probe.Altered // behind a NAT, whatever comes back
	case b[id] != "":
		return b[id]
	}
	return probe.Passed
}

// A confusion counts protocol runs by truth and by what was said.
type confusion struct {
	said    map[string]int // "pptp blocked-back: inconclusive too-lossy"
	wrong   []string
	runs    int
	open    int
	longest time.Duration
}

func (m *confusion) add(seed uint64, b blocks, r probe.Result) {
	m.longest = max(m.longest, r.Ended.Sub(r.Started))
	rep := report.New(r, allProbes(), report.Tool{Name: "vpncheck", Version: "test"})
	for i, f := range r.Findings {
		m.runs++
		m.name(seed, b, rep.Protocols[i])
		right, got := b.truth(f.Protocol), words(string(f.Verdict), string(f.Reason))
		m.said[fmt.Sprintf("%-11s %-12s -> %s", f.Protocol, right, got)]++
		switch {
		case f.Verdict == probe.Inconclusive || f.Verdict == probe.Untested:
			m.open++
		case f.Verdict != right || f.Reason == probe.RateLimit:
			m.wrong = append(m.wrong, fmt.Sprintf("seed %d: %s is %s, want %s (%v)\n%+v", seed, f.Protocol, got, right, b, f.Because))
		}
	}
}

// name counts who was named for what. What is blocked here is the router's doing, which a provider's looks like: nobody else may be named.
func (m *confusion) name(seed uint64, b blocks, p report.Protocol) {
	if p.Diagnosis == nil {
		return
	}
	did := report.CulpritRouter
	if b.truth(p.ID) == probe.Altered {
		did = report.CulpritNobody
	}
	m.said[fmt.Sprintf("named: %-7s -> %s, %s", did, p.Diagnosis.Culprit, p.Diagnosis.Confidence)]++
	if got := p.Diagnosis.Culprit; got != did && got != report.CulpritUnknown {
		m.wrong = append(m.wrong, fmt.Sprintf("seed %d: %s is named for %s (%s), want %s (%v)", seed, got, p.ID, p.Reason, did, b))
	}
}

func (m *confusion) String() string {
	keys := slices.SortedFunc(maps.Keys(m.said), func(a, b string) int { return cmp.Compare(a, b) })
	var b strings.Builder
	for _, k := range keys {
		fmt.Fprintf(&b, "%5d  %s\n", m.said[k], k)
	}
	fmt.Fprintf(&b, "%d protocol runs: %d wrong, %d undecided (%.1f %%), the longest run took %.1f s", m.runs, len(m.wrong), m.open,
		100*float64(m.open)/float64(max(1, m.runs)), m.longest.Seconds())
	return b.String()
}

// TestJoinedAccuracy is short unless VPNCHECK_ACCURACY says how many protocol runs of each line there are to be.
func TestJoinedAccuracy(t *testing.T) {
	t.Parallel()
	runs := 70
	if n, err := strconv.Atoi(os.Getenv("VPNCHECK_ACCURACY")); err == nil {
		runs = n
	}
	first := uint64(1) // other seeds tell whether what was tuned on some holds for all
	if n, err := strconv.ParseUint(os.Getenv("VPNCHECK_SEED"), 10, 64); err == nil {
		first = n
	}
	for _, l := range accuracyLines {
		t.Run(l.name, func(t *testing.T) {
			m := &confusion{said: map[string]int{}}
			for seed := first; m.runs < runs; seed++ {
				l.play(t, seed, m)
			}
			t.Log("\n" + m.String())
			for _, w := range m.wrong {
				t.Error(w)
			}
			most := l.undecided * float64(m.runs)
			if m.runs < 1000 {
				most += 2 * math.Sqrt(most) // few runs vary
			}
			if float64(m.open) > most {
				t.Errorf("%d of %d undecided, want %.1f at most", m.open, m.runs, most)
			}
			if m.longest > l.longest {
				t.Errorf("the longest run took %v, want %v at most", m.longest, l.longest)
			}
		})
	}
}

// play holds one run on a line.
func (l badLine) play(t *testing.T, seed uint64, m *confusion) {
	b, w := drawBlocks(rand.New(rand.NewPCG(seed, 7))), newWeather(l, seed)
	join(t, w.route(b.middlebox().route()), func(j *joined) {
		w.begin()
		p := probe.Open(j.Context(), probe.Config{Net: j.other, Host: j.cs.Host, Access: j.cs.Access, Pin: j.cs.Pin, Build: "test", Prove: true})
		probe.Run(j.Context(), p, allProbes(), nil)
		j.fake.SetLag(b.lag(w))
		m.add(seed, b, j.run(j.Context(), j.laptop))
	})
}
