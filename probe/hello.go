package probe

import (
	"cmp"
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"crypto/tls"
	"encoding/binary"
	"errors"
	"net/netip"
	"slices"
	"time"

	"vpncheck/probe/wire"
	"vpncheck/probe/witness"
)

// open speaks the side channel's opening: Hello both ways, then Open for Session.
func (p *Path) open(ctx context.Context, cfg Config, conn *tls.Conn) *NoSessionFacts {
	stop := context.AfterFunc(ctx, func() { conn.SetDeadline(time.Now()) })
	defer stop()
	bad := func(err error) *NoSessionFacts {
		return &NoSessionFacts{Reason: BadLink, Args: map[string]any{"why": err.Error()}}
	}
	if err := wire.WriteMessage(conn, wire.Message{Hello: &wire.Hello{Versions: []int{wire.LinkVersion}, Build: cfg.Build}}); err != nil {
		return bad(err)
	}
	if err := wire.WriteMessage(conn, wire.Message{Open: &wire.Open{Access: cfg.Access, Prove: cfg.Prove, Laptop: laptopMark(cfg.Access, p.Local, witness.Mark())}}); err != nil {
		return bad(err)
	}
	for {
		m, err := wire.ReadMessage(conn)
		switch {
		case err != nil:
			return bad(err)
		case m.Hello != nil:
			p.facts.Server.Build = m.Hello.Build
			if !slices.Contains(m.Hello.Versions, wire.LinkVersion) {
				return &NoSessionFacts{Reason: NoCommonVersion, Args: map[string]any{"server": m.Hello.Build, "client": cfg.Build}}
			}
		case m.Bye != nil:
			return &NoSessionFacts{Reason: Reason(m.Bye.Reason), Args: map[string]any{"why": m.Bye.Why}}
		case m.Session != nil:
			if len(m.Session.Key) != 32 {
				return bad(errors.New("the session has no key"))
			}
			p.begin(conn, *m.Session)
			return nil
		}
	}
}

// laptopMark is what tells this laptop from others behind the same public address, keyed so that no other server could compare it. With another
// local address it is another laptop: to a NAT it is one (F11).
func laptopMark(access []byte, local netip.Addr, machine string) wire.Hex {
	mac := hmac.New(sha256.New, access)
	mac.Write(append(binary.BigEndian.AppendUint16(nil, uint16(len(local.AsSlice()))), local.AsSlice()...))
	mac.Write([]byte(machine))
	return mac.Sum(nil)[:8]
}

// begin starts the session's life: the link's reader and the control in both legs.
func (p *Path) begin(conn *tls.Conn, s wire.Session) {
	f := &p.facts.Server
	f.Control, f.Second, f.Carriers = s.Control, s.Second, s.Carriers
	f.Others, f.Cloud = s.Others, s.Cloud
	f.Client = netip.AddrPortFrom(s.Client.Addr().Unmap(), s.Client.Port())
	f.Own = s.Server.Addr().Unmap()
	p.Local = tcpAddr(conn.LocalAddr()).Addr()
	p.facts.Laptop.Local = p.Local
	if Hairpin(p.facts) {
		p.stop(ServerHairpin, hairpinArgs(p.facts))
	}
	p.budget = min(cmp.Or(s.Packets, maxPackets), maxPackets)
	p.mint = wire.NewMint(s.ID, s.Key)
	p.wireGuard.begin(p.mint)
	p.heart = newHeart(p.mint, p.number, p.beat, netip.AddrPortFrom(p.Server, s.Control))
	conn.SetDeadline(time.Time{})
	p.link = newLink(conn, p.heart.pong)
}

// maxPackets is what a run sends at most, whatever the server would allow (DESIGN, a guest's manners).
const maxPackets = 2000

// noSession names what was found instead of the server, from what each port answered.
func (p *Path) noSession(ctx context.Context, cfg Config, tried []Attempt) *NoSessionFacts {
	n := &NoSessionFacts{Reason: NoAnswer, Args: map[string]any{"host": cfg.Host, "address": p.Server.String()}, Tried: tried}
	results := map[string]string{}
	for _, a := range tried {
		results[a.Result] = a.Detail
	}
	for _, x := range []struct {
		result string
		reason Reason
	}{
		{"other-key", WrongPin}, {"other-certificate", TLSIntercepted}, {"not-tls", NotTLS}, {"laptop-firewall", LaptopFirewall},
		{"refused", NothingListening}, {"unreachable", NoRoute},
	} {
		if detail, ok := results[x.result]; ok {
			n.Reason, n.Args["why"] = x.reason, detail
			break
		}
	}
	// A portal answers for everybody. Where nothing answered at all there is nothing to ask; a key that is ours but not this one's is
	// no portal's.
	if n.Reason != WrongPin && cfg.Portal != nil {
		// The portal is asked even if the time for the session is over.
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), 3*time.Second)
		defer cancel()
		switch s := cfg.Portal(ctx, cfg.Host); {
		case s.Portal:
			n.Reason = CaptivePortal
			n.Args["sign_in"] = s.Location
		case s.Genuine:
			n.Page = true
		}
	}
	return n
}
