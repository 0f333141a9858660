package probe

import "vpncheck/probe/wire"

// An lcpLink is the client's end of LCP (RFC 1661) on one link, as PPTP and L2TP carry it: the link is configured both ways, then kept alive by
// echoes.
type lcpLink struct {
	magic  uint32
	id     uint8 // Identifier
	opened bool
}

// request is what to ask next: to configure the link, and once it is configured, for an echo.
func (l *lcpLink) request(t wire.Tag) wire.LCP {
	l.id++
	if l.opened {
		return l.echo(t)
	}
	return l.configure(t)
}

// configure is RFC 1661, section 5.1. The token is the Endpoint-Discriminator (RFC 1990, section 5.1.3), the only option with room.
func (l *lcpLink) configure(t wire.Tag) wire.LCP {
	return wire.LCP{Code: wire.ConfigureRequest, Identifier: l.id, Data: wire.LCPOptions{
		wire.MRUOption(1400), wire.AsyncMapOption(0), wire.MagicNumberOption(l.magic),
		wire.EndpointDiscriminatorOption(wire.ClassLocal, t.Token[:]),
	}.Append(nil)}
}

// echo is RFC 1661, section 5.8.
func (l *lcpLink) echo(t wire.Tag) wire.LCP {
	return wire.LCP{Code: wire.LCPEchoRequest, Identifier: l.id, Data: wire.LCPEcho{MagicNumber: l.magic, Data: t.Append(nil)}.Append(nil)}
}

// answered takes the server's answer, if there is one. If it is its own Configure-Request, that is accepted as it stands, by the returned
// Configure-Ack, and LCP is open both ways; the number is the exchange that it belongs to.
func (l *lcpLink) answered(lcp wire.LCP, came bool) (n uint32, ack wire.LCP, ok bool) {
	if !came || l.opened {
		return 0, wire.LCP{}, false
	}
	l.opened = true
	if lcp.Code != wire.ConfigureRequest {
		return 0, wire.LCP{}, false
	}
	tag, _ := tagOf(lcp)
	lcp.Code = wire.ConfigureAck
	return tag.Token.Exchange(), lcp, true
}

// lcpFrame is a PPP frame with LCP in it.
func lcpFrame(lcp wire.LCP) []byte {
	return wire.PPP{Protocol: wire.ProtocolLCP, Information: lcp.Append(nil)}.Append(nil)
}

// lcpOf is the LCP in a PPP frame.
func lcpOf(frame []byte) (wire.LCP, bool) {
	ppp, err := wire.ParsePPP(frame)
	if err != nil || ppp.Protocol != wire.ProtocolLCP {
		return wire.LCP{}, false
	}
	lcp, err := wire.ParseLCP(ppp.Information)
	return lcp, err == nil
}

// tagOf finds the tag where LCP has room for one. A Configure-Ack mirrors our own and proves nothing.
func tagOf(lcp wire.LCP) (wire.Tag, bool) {
	switch lcp.Code {
	case wire.ConfigureRequest:
		options, err := wire.ParseLCPOptions(lcp.Data)
		if err != nil {
			return wire.Tag{}, true
		}
		o, ok := options.Find(wire.OptionEndpointDiscriminator)
		if !ok {
			return wire.Tag{}, true
		}
		_, address, _ := o.EndpointDiscriminator()
		t, _ := wire.TokenAt(address, 0)
		return wire.Tag{Token: t}, true
	case wire.LCPEchoReply:
		e, _ := wire.ParseLCPEcho(lcp.Data)
		t, _ := wire.ParseTag(e.Data)
		return t, true
	}
	return wire.Tag{}, false
}
