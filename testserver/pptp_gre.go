package testserver

import (
	"encoding/binary"
	"net/netip"
	"slices"

	"vpncheck/probe/sock"
	"vpncheck/probe/wire"
	"vpncheck/testserver/gate"
)

// packet handles what arrives on IP protocol 47, of which only version 1 is PPTP's (RFC 2637, section 4.1).
func (p *pptp) packet(conn sock.Conn, arrived wire.Sighting) {
	p.h.Arrived(arrived, wire.CarrierGRE, wire.CarrierGREv1)
	if v, err := wire.GREVersion(arrived.Bytes); err != nil || v != 1 {
		return
	}
	g, err := wire.ParseEnhancedGRE(arrived.Bytes)
	if err == nil && len(g.Payload) == 0 {
		return // a bare acknowledgement asks for nothing and proves nothing
	}
	var lcp wire.LCP
	if err == nil {
		lcp, err = parseLCPFrame(g.Payload)
	}
	if err != nil {
		p.h.Stray(wire.CarrierGREv1, arrived)
		return
	}
	e := &lcpExchange{p: p, conn: conn, arrived: arrived, gre: g, lcp: lcp, call: p.call(g.CallID)}
	if !e.handle() {
		p.h.Stray(wire.CarrierGREv1, arrived)
	}
}

func (p *pptp) call(own uint16) *call {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.calls[own]
}

func parseLCPFrame(frame []byte) (wire.LCP, error) {
	ppp, err := wire.ParsePPP(frame)
	if err != nil {
		return wire.LCP{}, err
	}
	if ppp.Protocol != wire.ProtocolLCP {
		return wire.LCP{}, wire.ErrFormat
	}
	return wire.ParseLCP(ppp.Information)
}

// An lcpExchange is one LCP packet of the client's on its way to an answer.
type lcpExchange struct {
	p       *pptp
	conn    sock.Conn
	arrived wire.Sighting
	gre     wire.EnhancedGRE
	lcp     wire.LCP
	call    *call // with the packet's Call ID, whosever it is; nil if there is none
	tag     wire.Tag
}

// handle says whether the packet was one with room for a token; whether that token is good is the gate's to say.
func (e *lcpExchange) handle() bool {
	var build func(*gate.Session) []byte
	var ok bool
	switch e.lcp.Code {
	case wire.ConfigureRequest:
		build, ok = e.configure()
	case wire.LCPEchoRequest:
		build, ok = e.echo()
	case wire.TerminateRequest:
		build, ok = e.terminate()
	case wire.ConfigureAck:
		return e.acknowledged()
	}
	if !ok {
		return false
	}
	q := Question{Carrier: wire.CarrierGREv1, Tag: e.tag, Arrived: e.arrived, Message: e.gre.Payload}
	e.p.h.Answer(q, Answerer{
		Build: func(s *gate.Session) ([]byte, string) {
			if !e.ours(s) {
				return nil, silentCallID
			}
			return build(s), ""
		},
		Send: e.send,
	})
	return true
}

func (e *lcpExchange) ours(s *gate.Session) bool { return e.call != nil && e.call.session == s }

// configure answers a Configure-Request (RFC 1661, section 5.1) with a Configure-Ack and a Configure-Request of our own. The token is
// in the Endpoint Discriminator, and the answer's in ours.
func (e *lcpExchange) configure() (func(*gate.Session) []byte, bool) {
	options, err := wire.ParseLCPOptions(e.lcp.Data)
	if err != nil {
		return nil, false
	}
	option, _ := options.Find(wire.OptionEndpointDiscriminator)
	class, address, _ := option.EndpointDiscriminator()
	if class != wire.ClassLocal || len(address) != wire.TokenSize {
		return nil, false
	}
	e.tag.Token = wire.Token(address)
	return func(s *gate.Session) []byte {
		token := s.Token(wire.CarrierGREv1, e.tag.Token.Exchange())
		own := wire.LCPOptions{
			wire.MRUOption(1400), // what fits behind GRE on a path of 1500
			wire.MagicNumberOption(e.call.magic),
			wire.EndpointDiscriminatorOption(wire.ClassLocal, token[:]),
		}
		return appendFrames(nil,
			wire.LCP{Code: wire.ConfigureAck, Identifier: e.lcp.Identifier, Data: e.lcp.Data},
			wire.LCP{Code: wire.ConfigureRequest, Identifier: e.call.nextIdent(), Data: own.Append(nil)})
	}, true
}

// echo answers an Echo-Request (RFC 1661, section 5.8), whose data starts with a tag.
func (e *lcpExchange) echo() (func(*gate.Session) []byte, bool) {
	echo, err := wire.ParseLCPEcho(e.lcp.Data)
	if err != nil || !e.tagged(echo.Data) {
		return nil, false
	}
	return func(s *gate.Session) []byte {
		reply := wire.LCPEcho{MagicNumber: e.call.magic, Data: e.answerData(s, echo.Data)}
		return appendFrames(nil, wire.LCP{Code: wire.LCPEchoReply, Identifier: e.lcp.Identifier, Data: reply.Append(nil)})
	}, true
}

// terminate answers a Terminate-Request (RFC 1661, section 5.5), whose data starts with a tag.
func (e *lcpExchange) terminate() (func(*gate.Session) []byte, bool) {
	if !e.tagged(e.lcp.Data) {
		return nil, false
	}
	return func(s *gate.Session) []byte {
		return appendFrames(nil,
			wire.LCP{Code: wire.TerminateAck, Identifier: e.lcp.Identifier, Data: e.answerData(s, e.lcp.Data)})
	}, true
}

func (e *lcpExchange) tagged(data []byte) bool {
	tag, err := wire.ParseTag(data)
	e.tag = tag
	return err == nil
}

// answerData is the question's data with the answer's tag at its start.
func (e *lcpExchange) answerData(s *gate.Session, data []byte) []byte {
	tag := wire.Tag{Token: s.Token(wire.CarrierGREv1, e.tag.Token.Exchange()), Nonce: s.Nonce(e.call.peer)}
	return append(tag.Append(nil), data[wire.TagSize:]...)
}

// acknowledged reports the client's Configure-Ack to a Configure-Request of ours. It repeats our options, our token among them.
func (e *lcpExchange) acknowledged() bool {
	if e.call == nil {
		return false
	}
	a, ok := e.call.find(e.lcp)
	if !ok {
		return false
	}
	e.call.receive(e.gre)
	e.p.h.Saw(e.call.session, wire.CarrierGREv1, wire.Saw{Exchange: a.exchange, Began: true, Arrived: e.arrived, Replied: a.sent})
	return true
}

// send sends the frames of an answer, each in a GRE packet with a sequence number of its own, also when they are sent again. The last
// one is the one that proves something.
func (e *lcpExchange) send(s *gate.Session, frames []byte) (sent wire.Sighting, silent string) {
	if !e.ours(s) {
		return wire.NotSeen(), silentCallID
	}
	e.call.receive(e.gre)
	for len(frames) > 0 && silent == "" {
		var frame []byte
		frame, frames = nextFrame(frames)
		out := sock.Out{Dst: netip.AddrPortFrom(e.call.peer, 0), Src: e.call.local, DF: true, Payload: e.call.wrap(frame)}
		sent, silent = e.p.h.Send(s, e.conn, out)
		if lcp, err := parseLCPFrame(frame); err == nil && lcp.Code == wire.ConfigureRequest && silent == "" {
			e.call.remember(asked{lcp.Identifier, e.tag.Token.Exchange(), slices.Clone(lcp.Data), sent})
		}
	}
	return sent, silent
}

// appendFrames appends PPP frames, each behind its length in two octets: how the answer of several packets is stored.
func appendFrames(b []byte, packets ...wire.LCP) []byte {
	for _, l := range packets {
		frame := wire.PPP{Protocol: wire.ProtocolLCP, Information: l.Append(nil)}.Append(nil)
		b = append(binary.BigEndian.AppendUint16(b, uint16(len(frame))), frame...)
	}
	return b
}

// nextFrame takes the first of what appendFrames has appended.
func nextFrame(b []byte) (frame, rest []byte) {
	n := 2 + int(binary.BigEndian.Uint16(b))
	return b[2:n], b[n:]
}
