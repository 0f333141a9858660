package probe

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha1"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/binary"
	"errors"
	"io"
	"math/big"
	"net"
	"net/netip"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"vpncheck/probe/sock"
	"vpncheck/probe/wire"
)

var (
	ownLaptop = netip.MustParseAddr("192.168.1.11")
	ownPublic = netip.MustParseAddr("203.0.113.2")
	ownInside = netip.MustParseAddr("10.0.0.20") // what the host believes to be, behind a NAT of its own
)

// A vpnHost plays somebody's VPN server, for those openings that it is told to answer.
type vpnHost struct {
	*testing.T
	fake         *sock.Fake
	laptop, host *sock.FakeHost

	self    netip.Addr // in its NAT detection
	cookie  bool       // it wants its cookie back first
	cookies bool       // and another one, again and again
	group   uint16     // it wants a public value of this group
	decline bool
	forget  bool // it answers Main Mode's first message alone
	noGRE   bool
	foreign bool   // it answers GRE with another's Call-ID
	lcp     bool   // GRE begins with its own Configure-Request
	web     string // what it answers instead of SSTP
	said    sync.Mutex
	heard   []string // of TCP, in order
}

// askedOwn plays the host with these openings answered, and returns what AskOwn makes of it.
func askedOwn(t *testing.T, openings []string, change func(*vpnHost), then func(*vpnHost, Own)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		h := &vpnHost{T: t, fake: sock.NewFake(), self: ownHost}
		h.laptop, h.host = h.fake.Host(ownLaptop), h.fake.Host(ownHost)
		h.fake.Delay = 5 * time.Millisecond
		h.fake.Between = func(p sock.FakePacket) []sock.FakePacket {
			switch {
			case p.Src.Addr() == ownLaptop:
				p.Src = netip.AddrPortFrom(ownPublic, p.Src.Port())
			case p.Dst.Addr() == ownPublic:
				p.Dst = netip.AddrPortFrom(ownLaptop, p.Dst.Port())
			}
			return []sock.FakePacket{p}
		}
		change(h)
		h.serve(openings)
		cfg := OwnConfig{Net: h.laptop, Host: ownHost.String()}
		own := AskOwn(t.Context(), cfg)
		if d := own.Ended.Sub(own.Started); d > ownTime+hangUpTime {
			t.Errorf("it took %v", d)
		}
		then(h, own)
		synctest.Wait()
	})
}

func (h *vpnHost) serve(openings []string) {
	has := func(id string) bool { return slices.Contains(openings, id) }
	udp := func(port uint16, answer func(p wire.Sighting) [][]byte) {
		c, err := h.host.UDP(netip.AddrPortFrom(ownHost, port))
		if err != nil {
			h.Fatal(err)
		}
		h.Cleanup(func() { c.Close() })
		go func() {
			for {
				p, err := c.Recv()
				if err != nil {
					return
				}
				for _, b := range answer(p) {
					c.Send(sock.Out{Dst: p.Src, Payload: b})
				}
			}
		}()
	}
	udp(wire.IKEPort, func(p wire.Sighting) [][]byte {
		m, err := wire.ParseIKE(p.Bytes)
		switch {
		case err != nil:
			h.Errorf("IKE of the laptop's: %v", err)
		case m.Header.MajorVersion == 2 && has(OpeningIKEv2):
			return h.ikev2(m, p.Src)
		case m.Header.MajorVersion == 1 && has(OpeningIKEv1):
			return h.ikev1(m, p.Src)
		}
		return nil
	})
	udp(wire.L2TPPort, func(p wire.Sighting) [][]byte {
		if !has(OpeningL2TP) {
			return nil
		}
		return h.l2tp(p)
	})
	udp(wire.OpenVPNPort, func(p wire.Sighting) [][]byte {
		if !has(OpeningOpenVPNUDP) {
			return nil
		}
		m, err := wire.ParseOpenVPN(p.Bytes)
		if err != nil || m.Opcode != wire.OpenVPNHardResetClient {
			h.Errorf("OpenVPN of the laptop's: %+v, %v", m, err)
		}
		return [][]byte{reset(m).Append(nil)}
	})
	h.listen(pptpPort, has(OpeningPPTP), h.pptp)
	h.listen(wire.OpenVPNPort, has(OpeningOpenVPNTCP), h.openVPN)
	h.listen(443, has(OpeningSSTP) || h.web != "", h.sstp)
}

func reset(m wire.OpenVPN) wire.OpenVPN {
	r := wire.OpenVPN{Opcode: wire.OpenVPNHardResetServer, Acks: []uint32{m.PacketID}, Remote: m.Session}
	rand.Read(r.Session[:])
	return r
}

func (h *vpnHost) listen(port uint16, open bool, serve func(net.Conn)) {
	if !open {
		return
	}
	l, err := h.host.Listen(netip.AddrPortFrom(ownHost, port))
	if err != nil {
		h.Fatal(err)
	}
	h.Cleanup(func() { l.Close() })
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			go func() {
				defer c.Close()
				serve(c)
			}()
		}
	}()
}

func notification(typ uint16, data []byte) wire.IKEPayload {
	return wire.IKEPayload{Type: wire.IKEv2NotifyPayload, Body: wire.IKENotify{Type: typ, Data: data}.Append(nil)}
}

func (h *vpnHost) ikev2(m wire.IKEMessage, from netip.AddrPort) [][]byte {
	answer := func(spi uint64, payloads ...wire.IKEPayload) [][]byte {
		return [][]byte{wire.IKEMessage{Payloads: payloads, Header: wire.IKEHeader{InitiatorSPI: m.Header.InitiatorSPI, ResponderSPI: spi, MajorVersion: 2,
			ExchangeType: wire.IKESAInit, Flags: wire.IKEv2FlagResponse}}.Append(nil)}
	}
	if h.cookies {
		return answer(0, notification(wire.NotifyCookie, []byte("another")))
	}
	if n, ok := m.Notify(wire.NotifyCookie); h.cookie && (!ok || string(n.Data) != "bring this back") {
		return answer(0, notification(wire.NotifyCookie, []byte("bring this back")))
	}
	if h.decline {
		return answer(7, notification(wire.NotifyNoProposalChosen, nil))
	}
	p, _ := m.Find(wire.IKEv2KeyExchange)
	ke, err := wire.ParseIKEv2KE(p.Body)
	if err != nil {
		h.Error(err)
	}
	if h.group != 0 && ke.Group != h.group {
		return answer(0, notification(wire.NotifyInvalidKEPayload, binary.BigEndian.AppendUint16(nil, h.group)))
	}
	const spi = 0x1122334455667788
	chosen := wire.IKEv2SA{{Num: 1, ProtocolID: wire.ProtocolIDIKE, Transforms: []wire.IKEv2Transform{
		{Type: wire.TransformEncryption, ID: wire.EncryptionAESCBC, KeyLength: 256}, {Type: wire.TransformGroup, ID: ke.Group}}}}
	nat := func(a netip.AddrPort) []byte { return wire.NATDetection(m.Header.InitiatorSPI, spi, a) }
	return answer(spi, wire.IKEPayload{Type: wire.IKEv2SecurityAssociation, Body: chosen.Append(nil)},
		wire.IKEPayload{Type: wire.IKEv2KeyExchange, Body: wire.IKEv2KE{Group: ke.Group, Data: wire.IKEPublic(ke.Group)}.Append(nil)},
		wire.IKEPayload{Type: wire.IKEv2Nonce, Body: make([]byte, 32)},
		notification(wire.NotifyNATDetectionSourceIP, nat(netip.AddrPortFrom(h.self, wire.IKEPort))),
		notification(wire.NotifyNATDetectionDestinationIP, nat(from)),
		wire.IKEPayload{Type: wire.IKEv2VendorID, Body: []byte("A VPN server\x1b[31m")})
}

func (h *vpnHost) ikev1(m wire.IKEMessage, from netip.AddrPort) [][]byte {
	const cookie = 0x99
	answer := func(exchange uint8, payloads ...wire.IKEPayload) [][]byte {
		return [][]byte{wire.IKEMessage{Payloads: payloads, Header: wire.IKEHeader{InitiatorSPI: m.Header.InitiatorSPI, ResponderSPI: cookie,
			MajorVersion: 1, ExchangeType: exchange}}.Append(nil)}
	}
	p, first := m.Find(wire.IKEv1SecurityAssociation)
	switch {
	case first && h.decline:
		return answer(wire.IKEv1Informational, wire.IKEPayload{Type: wire.IKEv1Notification, Body: wire.IKEv1Notify{DOI: 1, ProtocolID: 1, Type: 14}.Append(nil)})
	case first:
		offer, err := wire.ParseIKEv1SA(p.Body)
		if err != nil {
			h.Error(err)
			return nil
		}
		chosen := wire.IKEv1SA{{Num: 1, ProtocolID: wire.ProtocolIDIKE, Transforms: offer[0].Transforms[4:5]}} // AES-256, SHA-1, MODP-2048
		return answer(wire.IKEIdentityProtection, wire.IKEPayload{Type: wire.IKEv1SecurityAssociation, Body: chosen.Append(nil)},
			wire.IKEPayload{Type: wire.IKEv1VendorID, Body: []byte(wire.VendorNATT)}, wire.IKEPayload{Type: wire.IKEv1VendorID, Body: []byte(wire.VendorNT5)})
	case h.forget:
		return nil
	}
	nat := func(a netip.AddrPort) wire.IKEPayload {
		return wire.IKEPayload{Type: wire.IKEv1NATD, Body: wire.NATDetectionV1(sha1.New, m.Header.InitiatorSPI, cookie, a)}
	}
	if ke, _ := m.Find(wire.IKEv1KeyExchange); len(ke.Body) != 256 || m.Header.ResponderSPI != cookie {
		h.Errorf("message 3 has a public value of %d octets and the cookie %x", len(ke.Body), m.Header.ResponderSPI)
	}
	return answer(wire.IKEIdentityProtection, wire.IKEPayload{Type: wire.IKEv1KeyExchange, Body: wire.IKEPublic(wire.GroupMODP2048)},
		wire.IKEPayload{Type: wire.IKEv1Nonce, Body: make([]byte, 16)}, nat(from), nat(netip.AddrPortFrom(h.self, wire.IKEPort)))
}

func (h *vpnHost) l2tp(p wire.Sighting) [][]byte {
	m, err := wire.ParseL2TP(p.Bytes)
	typ, _ := m.MessageType()
	switch {
	case err != nil:
		h.Error(err)
	case typ == wire.L2TPSCCRQ:
		id, _ := m.AVPs.Find(wire.AVPAssignedTunnelID)
		own, _ := id.Uint16()
		if h.decline {
			return [][]byte{wire.L2TPControl(own, 0, 0, 1, wire.AVP16(wire.AVPMessageType, wire.L2TPStopCCN),
				wire.L2TPResult{ResultCode: 4, ErrorMessage: "not you"}.AVP()).Append(nil)}
		}
		return [][]byte{
			wire.L2TPControl(own, 0, 0, 1).Append(nil), // some acknowledge before they reply
			wire.L2TPControl(own, 0, 0, 1, wire.AVP16(wire.AVPMessageType, wire.L2TPSCCRP), wire.NewAVP(wire.AVPHostName, []byte("a-host")),
				wire.NewAVP(wire.AVPVendorName, []byte("a vendor\r\n")), wire.AVP16(wire.AVPAssignedTunnelID, 4242)).Append(nil),
		}
	case typ == wire.L2TPStopCCN && m.TunnelID == 4242:
		h.hears("StopCCN")
		id, _ := m.AVPs.Find(wire.AVPAssignedTunnelID)
		own, _ := id.Uint16()
		return [][]byte{wire.L2TPControl(own, 0, 1, m.Ns+1).Append(nil)}
	}
	return nil
}

func (h *vpnHost) hears(what string) {
	h.said.Lock()
	defer h.said.Unlock()
	h.heard = append(h.heard, what)
}

// pptp serves one connection, and its tunnel.
func (h *vpnHost) pptp(c net.Conn) {
	var buf []byte
	chunk := make([]byte, 512)
	for {
		m, n, err := wire.ParsePPTP(buf)
		if errors.Is(err, wire.ErrShort) {
			k, err := c.Read(chunk)
			if buf = append(buf, chunk[:k]...); err != nil {
				return
			}
			continue
		}
		if err != nil {
			h.Error(err)
			return
		}
		buf = buf[n:]
		switch m := m.(type) {
		case wire.StartControlConnectionRequest:
			result := uint8(wire.PPTPConnected)
			if h.decline {
				result = 4
			}
			c.Write(wire.EchoRequest{Identifier: 3}.Append(nil)) // it may come at any time
			c.Write(wire.StartControlConnectionReply{ProtocolVersion: wire.PPTPVersion, ResultCode: result, HostName: "a-host", VendorName: "a vendor"}.Append(nil))
		case wire.OutgoingCallRequest:
			h.tunnel(m.CallID)
			c.Write(wire.OutgoingCallReply{CallID: 77, PeersCallID: m.CallID, ResultCode: wire.PPTPConnected}.Append(nil))
		case wire.CallClearRequest:
			h.hears("Call-Clear")
			c.Write(wire.CallDisconnectNotify{CallID: 77, ResultCode: 4}.Append(nil))
		case wire.StopControlConnectionRequest:
			h.hears("Stop")
			c.Write(wire.StopControlConnectionReply{ResultCode: 1}.Append(nil))
		}
	}
}

func (h *vpnHost) tunnel(peer uint16) {
	c, err := h.host.Raw(wire.IPProtoGRE, ownHost)
	if err != nil {
		h.Fatal(err)
	}
	h.Cleanup(func() { c.Close() })
	to := netip.AddrPortFrom(ownPublic, 0)
	if h.foreign {
		peer++
	}
	say := func(g wire.EnhancedGRE) { g.CallID = peer; c.Send(sock.Out{Dst: to, Payload: g.Append(nil)}) }
	if h.lcp {
		say(wire.EnhancedGRE{HasSeq: true, Payload: lcpFrame(wire.LCP{Code: wire.ConfigureRequest, Identifier: 1})})
	}
	go func() {
		for {
			p, err := c.Recv()
			if err != nil {
				return
			}
			g, err := wire.ParseEnhancedGRE(p.Bytes)
			lcp, ok := lcpIn(p.Bytes)
			if err != nil || !ok || g.CallID != 77 || lcp.Code != wire.ConfigureRequest {
				h.Errorf("GRE of the laptop's: %+v, %v", g, err)
			}
			if !h.noGRE {
				lcp.Code = wire.ConfigureAck
				say(wire.EnhancedGRE{HasSeq: true, Seq: 1, HasAck: true, Ack: g.Seq, Payload: lcpFrame(lcp)})
			}
		}
	}()
}

func (h *vpnHost) openVPN(c net.Conn) {
	b := make([]byte, 100)
	n, _ := io.ReadAtLeast(c, b, 16)
	m, _, err := wire.ParseOpenVPNStream(b[:n])
	if err != nil {
		h.Error(err)
	}
	c.Write(reset(m).AppendStream(nil))
	c.Read(b)
}

func (h *vpnHost) sstp(c net.Conn) {
	key, err1 := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	template := &x509.Certificate{SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "vpn.example"}, NotAfter: time.Now().Add(time.Hour)}
	der, err2 := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err := errors.Join(err1, err2); err != nil {
		h.Error(err)
		return
	}
	if h.web == "no TLS" {
		c.Write([]byte("SSH-2.0-OpenSSH_9.2\r\n"))
		io.ReadAll(c)
		return
	}
	s := tls.Server(c, &tls.Config{Certificates: []tls.Certificate{{Certificate: [][]byte{der}, PrivateKey: key}}})
	var b []byte
	for chunk := make([]byte, 512); ; {
		if _, _, err := wire.ParseSSTPRequest(b); err == nil {
			break
		}
		n, err := s.Read(chunk)
		if b = append(b, chunk[:n]...); err != nil {
			return
		}
	}
	if h.web != "" {
		io.WriteString(s, h.web)
	} else {
		s.Write(wire.AppendSSTPAccept(nil))
	}
	io.ReadAll(s)
}
