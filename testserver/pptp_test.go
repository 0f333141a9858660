package testserver

import (
	"bytes"
	"io"
	"net/netip"
	"testing"
	"testing/synctest"
	"time"

	"vpncheck/probe/sock"
	"vpncheck/probe/wire"
)

func TestPPTP(t *testing.T) {
	inWorld(t, nil, func(w *world) {
		c := w.open(w.laptop, wire.CarrierPPTP, wire.CarrierGREv1)
		k := c.call(w.laptop)
		k.conn.Write(wire.SetLinkInfo{PeersCallID: k.server, SendACCM: 1, ReceiveACCM: 2}.Append(nil))
		if s := c.saw(); s.Exchange != k.exchange+1 || s.Replied.State != wire.Absent || s.Replied.Why != pptpNoAnswer {
			t.Errorf("got %+v, want Set-Link-Info seen", s)
		}
		c.lcpRound(k)
		if m, ok := c.ask(k.conn, wire.EchoRequest{Identifier: 77}).(wire.EchoReply); !ok || m.Identifier != 77 {
			t.Errorf("got %+v, want an Echo-Reply", m)
		}
		if s := c.saw(); s.Exchange != 77 {
			t.Errorf("got exchange %d, want the Identifier", s.Exchange)
		}
		if m, ok := c.ask(k.conn, wire.CallClearRequest{CallID: k.theirs}).(wire.CallDisconnectNotify); !ok || m.CallID != k.server {
			t.Errorf("got %+v, want Call-Disconnect-Notify", m)
		}
		if s := c.saw(); s.Exchange != k.exchange+2 {
			t.Errorf("got exchange %d, want m+2", s.Exchange)
		}
		if m, ok := c.ask(k.conn, wire.StopControlConnectionRequest{Reason: 1}).(wire.StopControlConnectionReply); !ok || m.ResultCode != 1 {
			t.Errorf("got %+v, want Stop-Control-Connection-Reply", m)
		}
		if s := c.saw(); s.Exchange != k.exchange+3 {
			t.Errorf("got exchange %d, want m+3", s.Exchange)
		}
		if _, err := k.conn.Read(make([]byte, 1)); err != io.EOF {
			t.Errorf("got %v, want the end", err)
		}
	})
}

// lcpRound goes through LCP as a client does, from an address that is not the control connection's.
func (c *client) lcpRound(k *pptpCall) {
	t := c.t
	t.Helper()
	gre := c.raw(c.laptop, laptopAddr)
	to := netip.AddrPortFrom(serverAddr, 0)
	request := configureRequest(c.token(wire.CarrierGREv1))
	c.emit(gre, to, lcp(k.server, 5, request))
	g, ack, _ := c.hearLCP(gre)
	if ack.Code != wire.ConfigureAck || !bytes.Equal(ack.Data, request.Data) || g.CallID != k.theirs || g.Seq != 0 || g.Ack != 5 {
		t.Errorf("got %+v in %+v, want a Configure-Ack", ack, g)
	}
	g, ours, _ := c.hearLCP(gre)
	options, _ := wire.ParseLCPOptions(ours.Data)
	option, _ := options.Find(wire.OptionEndpointDiscriminator)
	_, token, _ := option.EndpointDiscriminator()
	if ours.Code != wire.ConfigureRequest || g.Seq != 1 || len(token) != wire.TokenSize {
		t.Fatalf("got %+v in %+v, want a Configure-Request", ours, g)
	}
	c.answered(wire.CarrierGREv1, wire.Token(token))
	s := c.saw()
	if s.Exchange != c.number || !bytes.HasSuffix(s.Replied.Bytes, ours.Data) || s.Began {
		t.Errorf("got %+v, want the Configure-Request reported", s)
	}
	c.emit(gre, to, lcp(k.server, 6, wire.LCP{Code: wire.ConfigureAck, Identifier: ours.Identifier, Data: ours.Data}))
	if b := c.saw(); !b.Began || b.Exchange != c.number || !bytes.Equal(b.Replied.Bytes, s.Replied.Bytes) {
		t.Errorf("got %+v, want the Configure-Ack", b)
	}
	// An Ack to what was never asked is nobody's.
	c.emit(gre, to, lcp(k.server, 7, wire.LCP{Code: wire.ConfigureAck, Identifier: ours.Identifier + 1, Data: ours.Data}))
	c.stray()

	tag := wire.Tag{Token: c.token(wire.CarrierGREv1)}
	echo := wire.LCPEcho{MagicNumber: 7, Data: append(tag.Append(nil), "rest"...)}
	c.emit(gre, to, lcp(k.server, 8, wire.LCP{Code: wire.LCPEchoRequest, Identifier: 9, Data: echo.Append(nil)}))
	g, reply, _ := c.hearLCP(gre)
	got, err := wire.ParseLCPEcho(reply.Data)
	if err != nil || reply.Code != wire.LCPEchoReply || reply.Identifier != 9 || len(got.Data) != len(echo.Data) || g.Ack != 8 ||
		!bytes.HasSuffix(got.Data, []byte("rest")) || got.MagicNumber == 7 {
		t.Fatalf("got %+v in %+v, %v, want an Echo-Reply", reply, g, err)
	}
	answer, _ := wire.ParseTag(got.Data)
	c.answered(wire.CarrierGREv1, answer.Token)
	c.saw()
	c.emit(gre, to, wire.EnhancedGRE{CallID: k.server, HasAck: true, Ack: 2}.Append(nil))
	c.quiet()

	tag.Token = c.token(wire.CarrierGREv1)
	c.emit(gre, to, lcp(k.server, 9, wire.LCP{Code: wire.TerminateRequest, Identifier: 10, Data: tag.Append(nil)}))
	if _, l, _ := c.hearLCP(gre); l.Code != wire.TerminateAck || l.Identifier != 10 {
		t.Errorf("got %+v, want a Terminate-Ack", l)
	}
	c.saw()
}

// GRE is answered where the control connection is, though a router sends it from another of its addresses.
func TestGREGoesToControlConnection(t *testing.T) {
	inWorld(t, nil, func(w *world) {
		w.fake.Between = func(p sock.FakePacket) []sock.FakePacket {
			if p.Proto == wire.IPProtoGRE && p.Src.Addr() == laptopAddr {
				p.Src = netip.AddrPortFrom(otherAddr, 0)
			}
			return []sock.FakePacket{p}
		}
		c := w.open(w.laptop, wire.CarrierPPTP, wire.CarrierGREv1)
		k := c.call(w.laptop)
		gre := w.raw(w.laptop, laptopAddr)
		w.emit(gre, netip.AddrPortFrom(serverOther, 0), lcp(k.server, 0, configureRequest(c.token(wire.CarrierGREv1))))
		_, _, s := c.hearLCP(gre)
		if s.Src.Addr() != serverAddr || s.Dst.Addr() != laptopAddr {
			t.Errorf("got %v to %v, want the ends of the control connection", s.Src, s.Dst)
		}
		if s := c.saw(); s.Arrived.Src.Addr() != otherAddr || s.Arrived.Dst.Addr() != serverOther {
			t.Errorf("got %v to %v, want the real ends", s.Arrived.Src, s.Arrived.Dst)
		}
	})
}

func TestCallID(t *testing.T) {
	inWorld(t, nil, func(w *world) {
		c := w.open(w.laptop, wire.CarrierPPTP, wire.CarrierGREv1)
		k := c.call(w.laptop)
		gre := w.raw(w.laptop, laptopAddr)
		to := netip.AddrPortFrom(serverAddr, 0)
		before := len(w.left())
		w.emit(gre, to, lcp(k.server+1, 0, configureRequest(c.token(wire.CarrierGREv1))))
		if s := c.saw(); s.Silent != silentCallID || s.Replied.State != wire.Absent {
			t.Errorf("got %+v, want call-id", s)
		}
		k.conn.Close()
		synctest.Wait()
		w.emit(gre, to, lcp(k.server, 0, configureRequest(c.token(wire.CarrierGREv1))))
		if s := c.saw(); s.Silent != silentCallID {
			t.Errorf("got %+v, want call-id after the end of the call", s)
		}
		if n := len(w.left()) - before; n != 0 {
			t.Errorf("%d packets left the server, want none", n)
		}
	})
}

// A retransmitted Configure-Request gets the same frames again, in GRE packets of their own.
func TestRetransmittedLCP(t *testing.T) {
	inWorld(t, nil, func(w *world) {
		c := w.open(w.laptop, wire.CarrierPPTP, wire.CarrierGREv1)
		k := c.call(w.laptop)
		gre := w.raw(w.laptop, laptopAddr)
		request := configureRequest(c.token(wire.CarrierGREv1))
		var last wire.LCP
		for i := range uint32(3) {
			w.emit(gre, netip.AddrPortFrom(serverAddr, 0), lcp(k.server, i, request))
			c.hearLCP(gre)
			g, l, _ := c.hearLCP(gre)
			if g.Seq != 2*i+1 || g.Ack != i || i > 0 && !bytes.Equal(l.Append(nil), last.Append(nil)) {
				t.Errorf("try %d: got %+v with Seq %d Ack %d", i, l, g.Seq, g.Ack)
			}
			last = l
			if s := c.saw(); s.Silent != "" || s.Exchange != c.number {
				t.Errorf("try %d: got %+v", i, s)
			}
		}
		w.emit(gre, netip.AddrPortFrom(serverAddr, 0),
			lcp(k.server, 9, wire.LCP{Code: wire.ConfigureAck, Identifier: last.Identifier, Data: last.Data}))
		if s := c.saw(); !s.Began || s.Exchange != c.number {
			t.Errorf("got %+v, want Began", s)
		}
	})
}

func TestPPTPEndsWithSession(t *testing.T) {
	inWorld(t, nil, func(w *world) {
		c := w.open(w.laptop, wire.CarrierPPTP)
		k := c.call(w.laptop)
		c.conn.Close()
		if _, err := k.conn.Read(make([]byte, 1)); err == nil {
			t.Error("the control connection outlived its session")
		}
	})
}

func TestDamagedPPTP(t *testing.T) {
	inWorld(t, nil, func(w *world) {
		c := w.open(w.laptop, wire.CarrierPPTP)
		conn := c.dialPPTP(w.laptop)
		if s := c.stray(); s.Carrier != wire.CarrierPPTP || s.Arrived.Src != addrPort(conn.LocalAddr()) {
			t.Errorf("got %+v, want the SYN", s)
		}
		token := c.token(wire.CarrierPPTP)
		token[19] ^= 1
		b := wire.StartControlConnectionRequest{HostName: token.String()}.Append(nil)
		conn.Write(b)
		if s := c.stray(); !bytes.Equal(s.Arrived.Bytes, b) {
			t.Errorf("got %x, want the damaged message", s.Arrived.Bytes)
		}
		if n, err := conn.Read(make([]byte, 1)); n != 0 || err == nil {
			t.Error("a damaged token was answered")
		}
	})
}

// A message that comes in pieces is read; one that never ends is given up.
func TestSlowPPTP(t *testing.T) {
	inWorld(t, nil, func(w *world) {
		c := w.open(w.laptop, wire.CarrierPPTP)
		conn := c.dialPPTP(w.laptop)
		c.stray()
		for _, b := range (wire.StartControlConnectionRequest{HostName: c.token(wire.CarrierPPTP).String()}).Append(nil) {
			conn.Write([]byte{b})
		}
		if _, ok := c.hearPPTP(conn).(wire.StartControlConnectionReply); !ok {
			t.Error("no reply to a message in pieces")
		}
		c.saw()
		slow := c.dialPPTP(w.laptop)
		c.stray()
		began := time.Now()
		for {
			if _, err := slow.Write([]byte{0}); err != nil || time.Since(began) > time.Minute {
				break
			}
			time.Sleep(time.Second)
		}
		if d := time.Since(began); d > 12*time.Second {
			t.Errorf("a stranger held a connection for %v", d)
		}
	})
}
