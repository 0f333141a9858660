package netlab

import (
	"errors"
	"fmt"
	"slices"

	"github.com/google/nftables"
	"github.com/google/nftables/expr"
	"golang.org/x/sys/unix"
)

// A side is where a box stands: the names of its interfaces, and whether it is a home router.
type side struct {
	lan, wan string // how the names of those inside begin, and the one outside
	firewall bool
}

var (
	homeSide = side{"lan", "wan0", true}
	ispSide  = side{"home0", "srv0", false}
)

// A ruleset is a box's nftables while they are written.
type ruleset struct {
	side
	c     *nftables.Conn
	inet  *nftables.Table
	chain map[string]*nftables.Chain
}

// install loads a box's rules into the namespace of the thread that calls it.
func install(b Box, s side) error {
	c, err := nftables.New()
	if err != nil {
		return fmt.Errorf("opening nftables: %w", err)
	}
	rs := ruleset{side: s, c: c, inet: c.AddTable(&nftables.Table{Name: "lab", Family: nftables.TableFamilyINet}),
		chain: make(map[string]*nftables.Chain)}
	open := s.firewall && !b.Masquerade
	for _, r := range b.Rules {
		if !r.New {
			rs.add(r)
		}
	}
	if b.PPTPHelper {
		rs.helper()
	}
	if s.firewall && !open {
		rs.homeFirewall(b)
	}
	if !s.firewall {
		rs.ispFilter(b)
	}
	if b.Masquerade {
		rs.nat(b)
	}
	if b.ServerNAT {
		rs.serverNAT()
	}
	if err := c.Flush(); err != nil {
		if b.PPTPHelper && errors.Is(err, unix.ENOENT) {
			return fmt.Errorf("this kernel has no PPTP helper (as root: modprobe nf_nat_pptp): %w", err)
		}
		return fmt.Errorf("loading nftables rules: %w", err)
	}
	return nil
}

// forbid loads a box's rules for new flows: those that there are already stay as they are (F51).
func forbid(b Box, s side) error {
	c, err := nftables.New()
	if err != nil {
		return fmt.Errorf("opening nftables: %w", err)
	}
	rs := ruleset{side: s, c: c, inet: c.AddTable(&nftables.Table{Name: "changed", Family: nftables.TableFamilyINet}),
		chain: make(map[string]*nftables.Chain)}
	for _, r := range b.Rules {
		if r.New {
			rs.add(r)
		}
	}
	if err := c.Flush(); err != nil {
		return fmt.Errorf("loading nftables rules: %w", err)
	}
	return nil
}

// installHost loads the firewall of a host at the end of a wire.
func installHost(f Firewall) error {
	c, err := nftables.New()
	if err != nil {
		return fmt.Errorf("opening nftables: %w", err)
	}
	rs := ruleset{c: c, inet: c.AddTable(&nftables.Table{Name: "lab", Family: nftables.TableFamilyINet}), chain: make(map[string]*nftables.Chain)}
	for _, r := range f.In {
		for _, match := range r.matches(iif("eth0")) {
			rs.stop("input", r.Do, match)
		}
	}
	if f.Stateful {
		rs.rule("input", state(expr.CtStateBitESTABLISHED|expr.CtStateBitRELATED), verdict(expr.VerdictAccept))
		rs.rule("input", iif("eth0"), v4(), verdict(expr.VerdictDrop))
	}
	for _, r := range f.Out {
		for _, match := range r.matches(oif("eth0")) {
			rs.stop("output", r.Do, match)
		}
	}
	if err := c.Flush(); err != nil {
		return fmt.Errorf("loading nftables rules: %w", err)
	}
	return nil
}

// hooks are the chains there may be. Each is made when the first rule needs it.
var hooks = map[string]struct {
	typ      nftables.ChainType
	hook     *nftables.ChainHook
	priority nftables.ChainPriority
}{
	"raw":     {nftables.ChainTypeFilter, nftables.ChainHookPrerouting, -450}, // before fragments are put together for it
	"early":   {nftables.ChainTypeFilter, nftables.ChainHookPrerouting, -300}, // before connection tracking
	"helper":  {nftables.ChainTypeFilter, nftables.ChainHookPrerouting, 0},    // after it
	"forward": {nftables.ChainTypeFilter, nftables.ChainHookForward, 0},
	"input":   {nftables.ChainTypeFilter, nftables.ChainHookInput, 0},
	"output":  {nftables.ChainTypeFilter, nftables.ChainHookOutput, 0},
	"dstnat":  {nftables.ChainTypeNAT, nftables.ChainHookPrerouting, -100},
	"srcnat":  {nftables.ChainTypeNAT, nftables.ChainHookPostrouting, 100},
}

func (rs *ruleset) rule(chain string, parts ...[]expr.Any) {
	if rs.chain[chain] == nil {
		h := hooks[chain]
		rs.chain[chain] = rs.c.AddChain(&nftables.Chain{Name: chain, Table: rs.inet, Type: h.typ, Hooknum: h.hook, Priority: &h.priority})
	}
	var all []expr.Any
	for _, p := range parts {
		all = append(all, p...)
	}
	rs.c.AddRule(&nftables.Rule{Table: rs.inet, Chain: rs.chain[chain], Exprs: all})
}

// add writes one of the router's own rules, for each direction and port one in nftables.
func (rs *ruleset) add(r Rule) {
	out, in := iif(rs.lan), iif(rs.wan)
	if r.Do.forwards() { // there the way out of the box is known: not what is the neighbour's, unless the rule is for all
		in = append(in, oif(rs.lan)...)
		if r.All {
			out, in = oif(rs.wan), iif(rs.wan)
		}
	}
	ways := [][]expr.Any{out, in}
	switch r.Way {
	case Out:
		ways = ways[:1]
	case In:
		ways = ways[1:]
	}
	for _, way := range ways {
		for _, match := range r.matches(way) {
			rs.act(r, match)
		}
	}
}

// matches returns what a rule matches beyond a direction: it applies where any one of them does.
func (r Rule) matches(way []expr.Any) (out [][]expr.Any) {
	and := func(more ...[]expr.Any) []expr.Any { return slices.Concat(slices.Insert(more, 0, way)...) }
	match := and()
	for _, m := range []struct {
		set  bool
		expr []expr.Any
	}{
		{r.Proto != 0, proto(r.Proto)},
		{len(r.Other) > 0, otherPorts(r.Other)},
		{r.Bare, slices.Concat(proto(udp), bare())},
		{r.WireGuard, initiation()},
		{r.Fragment, fragment()},
		{r.Above != 0, above(r.Above)},
		{r.New, state(expr.CtStateBitNEW)},
		{r.After != 0, after(r.After)},
	} {
		if m.set {
			match = append(match, m.expr...)
		}
	}
	var ends [][]expr.Any
	for _, p := range r.Ports {
		ends = append(ends, dport(p))
	}
	for _, p := range r.From {
		ends = append(ends, sport(p))
	}
	if r.IKE {
		ends = openings()
	}
	if r.OpenVPN {
		ends = openVPN()
	}
	if len(ends) == 0 {
		ends = [][]expr.Any{nil}
	}
	for _, e := range ends {
		m := slices.Concat(match, e)
		if r.OneIn != 0 { // what counts comes last: it counts only what is meant
			m = append(m, oneIn(r.OneIn)...)
		}
		if r.Over != (Pace{}) {
			m = append(m, over(r.Over)...)
		}
		out = append(out, m)
	}
	return out
}

// forwards says whether an action is taken where the box knows already by which interface a packet will leave.
func (a Action) forwards() bool { return a != DropEarly && a != Redirect }

// refusals are the codes of ICMP's "destination unreachable".
var refusals = map[Action]uint8{NoProtocol: 2, NoPort: 3, Prohibited: 13}

// stop drops, or refuses by ICMP.
func (rs *ruleset) stop(chain string, do Action, match []expr.Any) {
	if code, ok := refusals[do]; ok {
		rs.rule(chain, match, v4(), []expr.Any{&expr.Reject{Type: unix.NFT_REJECT_ICMP_UNREACH, Code: code}})
		return
	}
	rs.rule(chain, match, verdict(expr.VerdictDrop))
}

func (rs *ruleset) act(r Rule, match []expr.Any) {
	switch do := r.Do; do {
	case Drop, NoProtocol, NoPort, Prohibited:
		rs.stop("forward", do, match)
	case DropEarly:
		if r.Fragment {
			rs.rule("raw", match, verdict(expr.VerdictDrop))
			return
		}
		rs.rule("early", match, verdict(expr.VerdictDrop))
	case Reset:
		rs.rule("forward", match, []expr.Any{&expr.Reject{Type: unix.NFT_REJECT_TCP_RST}})
	case Redirect:
		rs.rule("dstnat", match, v4(), []expr.Any{&expr.Redir{}})
	case Damage:
		rs.rule("forward", match, v4(), damage())
	case Rewrite:
		rs.rule("forward", match, v4(), rewrite())
	}
}

// helper lets the kernel read the PPTP control connection. No kernel since 6.0 does so unasked.
func (rs *ruleset) helper() {
	rs.c.AddObj(&nftables.NamedObj{Table: rs.inet, Name: "pptp", Type: nftables.ObjTypeCtHelper,
		Obj: &expr.CtHelper{Name: "pptp", L3Proto: unix.NFPROTO_IPV4, L4Proto: unix.IPPROTO_TCP}})
	rs.rule("helper", v4(), proto(tcp), dport(1723), []expr.Any{&expr.Objref{Type: int(nftables.ObjTypeCtHelper), Name: "pptp"}})
}

func (rs *ruleset) homeFirewall(b Box) {
	const known = expr.CtStateBitESTABLISHED | expr.CtStateBitRELATED
	rs.rule("forward", state(known), verdict(expr.VerdictAccept))
	rs.rule("forward", iif(rs.lan), state(expr.CtStateBitNEW), verdict(expr.VerdictAccept))
	rs.rule("forward", verdict(expr.VerdictDrop))
	if b.Answers {
		return
	}
	rs.rule("input", state(known|expr.CtStateBitUNTRACKED), verdict(expr.VerdictAccept)) // untracked is IPv6 neighbour discovery
	rs.rule("input", iif(rs.wan), verdict(expr.VerdictDrop))
}

// ispFilter keeps private sources from the internet, and a provider's NAT from answering in its own name what belongs to no flow.
func (rs *ruleset) ispFilter(b Box) {
	private := [][2][]byte{{{10}, {255}}, {{172, 16}, {255, 240}}, {{192, 168}, {255, 255}}}
	if !b.Masquerade {
		private = append(private, [2][]byte{{100, 64}, {255, 192}})
	}
	for _, p := range private {
		rs.rule("forward", iif(rs.lan), v4(), from(p[0], p[1]), verdict(expr.VerdictDrop))
	}
	if b.Masquerade && !b.Answers {
		rs.rule("input", state(expr.CtStateBitESTABLISHED|expr.CtStateBitRELATED|expr.CtStateBitUNTRACKED), verdict(expr.VerdictAccept))
		rs.rule("input", iif(rs.wan), verdict(expr.VerdictDrop))
	}
}

func (rs *ruleset) nat(b Box) {
	match := append(oif(rs.wan), v4()...)
	if !rs.firewall {
		match = append(match, from([]byte{100, 64}, []byte{255, 192})...) // the neighbour has a public address
	}
	if b.PortlessFrom.IsValid() {
		for _, p := range []byte{gre, esp, ah} {
			rs.rule("srcnat", match, proto(p), toAddress(expr.NATTypeSourceNAT, b.PortlessFrom))
		}
	}
	if b.Static.IsValid() {
		rs.rule("srcnat", match, proto(udp), sport(b.Static.Port()), toAddrPort(expr.NATTypeSourceNAT, b.Static))
	}
	rs.rule("srcnat", match, []expr.Any{&expr.Masq{FullyRandom: b.FullyRandom}})
}

// serverNAT gives the server its public addresses, for all protocols and whoever begins.
func (rs *ruleset) serverNAT() {
	for _, a := range serverAddrs {
		rs.rule("dstnat", v4(), to(a.public), toAddress(expr.NATTypeDestNAT, a.private))
		rs.rule("srcnat", v4(), from(a.private.AsSlice(), []byte{255, 255, 255, 255}), toAddress(expr.NATTypeSourceNAT, a.public))
	}
}
