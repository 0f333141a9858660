package gate

import (
	"bytes"
	"net/netip"
	"testing"

	"vpncheck/probe/wire"
)

func numbered(i int) netip.Addr { return netip.AddrFrom4([4]byte{203, 0, 113, byte(i)}) }

func TestUnprovedAddressGetsNoMoreThanItSent(t *testing.T) {
	e := open(t, Limits{})
	e.spend(victim, 1, SilentUnproved) // it sent nothing
	e.admit(e.question(victim, 1), "")
	e.spend(victim, 101, SilentUnproved) // more octets
	e.spend(victim, 60, "")
	e.spend(victim, 1, SilentUnproved) // more packets
	e.admit(e.question(victim, 2), "")
	e.admit(e.question(victim, 3), "")
	e.spend(victim, 241, SilentUnproved)
	e.spend(victim, 240, "")
	e.spend(victim, 1, SilentUnproved)
	e.spend(victim, 0, "")
	e.spend(victim, 0, SilentUnproved)
}

func TestFourUnprovedAddresses(t *testing.T) {
	e := open(t, Limits{})
	for i := range 4 {
		e.admit(e.question(numbered(i), uint32(i)), "")
	}
	fifth := e.question(numbered(4), 4)
	e.admit(fifth, SilentUnproved)
	e.admit(e.question(numbered(3), 5), "")
	e.admit(e.question(home, 6), "")
	e.s.Prove(numbered(0)) // leaves room
	e.admit(fifth, "")
	e.admit(e.question(numbered(5), 7), SilentUnproved)
	e.s.Prove(numbered(5))
	e.admit(e.question(numbered(5), 7), "")
}

func TestNobodysAddress(t *testing.T) {
	e := open(t, Limits{})
	for _, a := range []netip.Addr{{}, netip.IPv4Unspecified(), netip.IPv6Unspecified(), netip.MustParseAddr("224.0.0.5"),
		netip.IPv6LinkLocalAllNodes(), netip.MustParseAddr("255.255.255.255"), netip.MustParseAddr("::ffff:255.255.255.255")} {
		e.admit(e.question(a, 1), SilentUnproved)
		e.s.Prove(a)
		e.spend(a, 1, SilentUnproved)
	}
	e.admit(e.question(home, 1), "")
}

func TestWaysToProveAnAddress(t *testing.T) {
	for _, tt := range []struct {
		name  string
		to    netip.Addr
		prove func(e *end)
		want  bool
	}{
		{"own", home, func(*end) {}, true},
		{"own-mapped", netip.MustParseAddr("::ffff:192.0.2.1"), func(*end) {}, true},
		{"none", cgn, func(*end) {}, false},
		{"tcp", cgn, func(e *end) { e.s.Prove(cgn) }, true},
		{"tcp-mapped", cgn, func(e *end) { e.s.Prove(netip.MustParseAddr("::ffff:192.0.2.2")) }, true},
		{"nonce", cgn, func(e *end) { e.returnNonce(cgn, true, e.s.Nonce(cgn)) }, true},
		{"nonce-mapped", cgn, func(e *end) { e.returnNonce(cgn, true, e.s.Nonce(netip.MustParseAddr("::ffff:192.0.2.2"))) }, true},
		{"nonce-never-sent", cgn, func(e *end) { e.returnNonce(cgn, false, e.s.Nonce(cgn)) }, false},
		{"nonce-of-another", cgn, func(e *end) { e.returnNonce(cgn, true, e.s.Nonce(home)) }, false},
		{"nonce-of-another-session", cgn, func(e *end) {
			other, _ := e.gate.Open(home)
			e.returnNonce(cgn, true, other.Nonce(cgn))
		}, false},
		{"nonce-zero", cgn, func(e *end) { e.returnNonce(cgn, true, [wire.NonceSize]byte{}) }, false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			e := open(t, Limits{})
			tt.prove(e)
			want := SilentUnproved
			if tt.want {
				want = ""
			}
			e.spend(tt.to, 5000, want)
			if got := e.s.Proved(tt.to); got != tt.want {
				t.Errorf("got proved %v, want %v", got, tt.want)
			}
		})
	}
}

// returnNonce plays a question, its answer if there is one, and a question that returns a nonce.
func (e *end) returnNonce(a netip.Addr, answered bool, n [wire.NonceSize]byte) {
	e.t.Helper()
	e.admit(e.question(a, 1), "")
	if answered {
		e.spend(a, 100, "")
	}
	p := e.question(a, 2)
	p.Nonce = n
	e.admit(p, "")
}

func TestSilentPacketProvesNothing(t *testing.T) {
	e := open(t, Limits{})
	p := e.question(cgn, 1)
	e.admit(p, "")
	e.spend(cgn, 100, "")
	p.Nonce = e.s.Nonce(cgn)
	e.admit(p, SilentReplay)
	p.Token[19] ^= 1
	e.admit(p, SilentToken)
	e.spend(cgn, 1, SilentUnproved)
}

func TestVeil(t *testing.T) {
	e := open(t, Limits{})
	n := e.s.Nonce(cgn)
	told := append(append([]byte("before"), n[:]...), "after"...)
	hidden := []byte("before\x00\x00\x00\x00\x00\x00\x00\x00after")
	before := bytes.Clone(told)
	if got := e.s.Veil(cgn, told); !bytes.Equal(got, hidden) || !bytes.Equal(told, before) {
		t.Errorf("got %q, want %q and the argument as it was", got, hidden)
	}
	e.s.Prove(cgn)
	if got := e.s.Veil(cgn, told); !bytes.Equal(got, told) {
		t.Errorf("got %q, want %q", got, told)
	}
}

func TestBudgetOut(t *testing.T) {
	e := open(t, Limits{Packets: 3, Bytes: 1000})
	e.spend(home, 1001, SilentBudget)
	e.spend(home, -1, SilentBudget)
	e.spend(home, 990, "")
	e.spend(home, 11, SilentBudget)
	e.spend(home, 10, "")
	e.spend(home, 0, "")
	e.spend(home, 0, SilentBudget)
}

func TestBudgetIn(t *testing.T) {
	e := open(t, Limits{Packets: 3, Bytes: 1000})
	sized := func(exchange uint32, size int) Packet {
		p := e.question(home, exchange)
		p.Size = size
		return p
	}
	e.admit(sized(1, 1001), SilentBudget)
	e.admit(sized(1, -1), SilentBudget)
	e.admit(sized(1, 1<<62), SilentBudget)
	e.admit(sized(1, 900), "")
	e.admit(sized(2, 101), SilentBudget)
	e.admit(sized(2, 100), "")
	e.admit(sized(3, 0), "")
	e.admit(sized(4, 0), SilentBudget)
	e.admit(sized(3, 0), SilentReplay)
}

func TestThreeTimesWhatCamePlus64KiB(t *testing.T) {
	e := open(t, Limits{})
	e.spend(home, 64<<10+1, SilentBudget)
	e.spend(home, 64<<10, "")
	e.spend(home, 1, SilentBudget)
	e.admit(e.question(home, 1), "")
	e.spend(home, 301, SilentBudget)
	e.spend(home, 300, "")
	e.s.Prove(cgn) // another address is no second head start
	e.spend(cgn, 1, SilentBudget)
}

func TestProvedAddressesAreBounded(t *testing.T) {
	e := open(t, Limits{})
	for i := range 100 {
		e.s.Prove(numbered(i))
	}
	e.spend(numbered(14), 1, "")
	e.spend(numbered(15), 1, SilentUnproved)
	if len(e.s.peers) != maxProved || len(e.gate.proved) != maxProved {
		t.Errorf("got %d and %d, want %d", len(e.s.peers), len(e.gate.proved), maxProved)
	}
}
