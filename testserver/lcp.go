package testserver

import (
	"bytes"
	"encoding/binary"
	"slices"
	"sync"

	"vpncheck/probe/wire"
)

// lcpAsked is how many of its own Configure-Requests a link remembers.
const lcpAsked = 16

// An lcpLink is our end of LCP (RFC 1661) on one link, as PPTP and L2TP carry it.
type lcpLink struct {
	magic uint32 // Magic-Number

	mu    sync.Mutex
	ident uint8 // Identifier of our newest Configure-Request
	asked []asked
}

// asked is a Configure-Request of ours, whose Configure-Ack the client is to send.
type asked struct {
	ident    uint8
	exchange uint32
	options  []byte
	sent     wire.Sighting
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

// lcpTag says whether a packet asks for something, and has the tag that it must have for that: a Configure-Request in its Endpoint
// Discriminator, where only the token finds room (RFC 1990, section 5.1.3), Echo-Request and Terminate-Request at the start of their
// data.
func lcpTag(l wire.LCP) (tag wire.Tag, ok bool) {
	data := l.Data
	switch l.Code {
	case wire.ConfigureRequest:
		options, err := wire.ParseLCPOptions(l.Data)
		if err != nil {
			return tag, false
		}
		option, _ := options.Find(wire.OptionEndpointDiscriminator)
		class, address, _ := option.EndpointDiscriminator()
		if class != wire.ClassLocal || len(address) != wire.TokenSize {
			return tag, false
		}
		return wire.Tag{Token: wire.Token(address)}, true
	case wire.LCPEchoRequest:
		echo, err := wire.ParseLCPEcho(l.Data)
		if err != nil {
			return tag, false
		}
		data = echo.Data
	case wire.TerminateRequest:
	default:
		return tag, false
	}
	tag, err := wire.ParseTag(data)
	return tag, err == nil
}

// answer is what a packet that lcpTag takes is answered with, under the answer's tag. The last packet is the one that proves something.
func (k *lcpLink) answer(l wire.LCP, tag wire.Tag) []wire.LCP {
	switch l.Code {
	case wire.ConfigureRequest: // section 5.1: accepted, and asked in turn
		own := wire.LCPOptions{
			wire.MRUOption(1400), // what fits behind GRE on a path of 1500
			wire.MagicNumberOption(k.magic),
			wire.EndpointDiscriminatorOption(wire.ClassLocal, tag.Token[:]),
		}
		return []wire.LCP{
			{Code: wire.ConfigureAck, Identifier: l.Identifier, Data: l.Data},
			{Code: wire.ConfigureRequest, Identifier: k.nextIdent(), Data: own.Append(nil)},
		}
	case wire.LCPEchoRequest: // section 5.8
		data := binary.BigEndian.AppendUint32(nil, k.magic)
		data = append(tag.Append(data), l.Data[len(data)+wire.TagSize:]...)
		return []wire.LCP{{Code: wire.LCPEchoReply, Identifier: l.Identifier, Data: data}}
	default: // Terminate-Request, section 5.5
		data := append(tag.Append(nil), l.Data[wire.TagSize:]...)
		return []wire.LCP{{Code: wire.TerminateAck, Identifier: l.Identifier, Data: data}}
	}
}

func (k *lcpLink) nextIdent() uint8 {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.ident++
	return k.ident
}

// left notes a frame of the answer to an exchange as it was sent: a Configure-Request is remembered, instead of an earlier sending of the
// same.
func (k *lcpLink) left(frame []byte, exchange uint32, sent wire.Sighting) {
	l, err := parseLCPFrame(frame)
	if err != nil || l.Code != wire.ConfigureRequest {
		return
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	k.asked = slices.DeleteFunc(k.asked, func(o asked) bool { return o.ident == l.Identifier })
	k.asked = append(k.asked, asked{l.Identifier, exchange, slices.Clone(l.Data), sent})
	k.asked = k.asked[max(0, len(k.asked)-lcpAsked):]
}

// find returns the Configure-Request that a Configure-Ack acknowledges: the same Identifier, the same options (RFC 1661, section
// 5.2), our token among them.
func (k *lcpLink) find(ack wire.LCP) (asked, bool) {
	k.mu.Lock()
	defer k.mu.Unlock()
	for _, a := range k.asked {
		if a.ident == ack.Identifier && bytes.Equal(a.options, ack.Data) {
			return a, true
		}
	}
	return asked{}, false
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
