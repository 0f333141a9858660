package testserver

import (
	"context"
	"net"
	"net/netip"
	"testing"
	"testing/synctest"
	"time"

	"vpncheck/probe/wire"
)

// Who has the connection string, and holds connections with all the sessions that he may have, leaves file descriptors for the links of others.
func TestHeldConnections(t *testing.T) {
	change := func(_ *world, cfg *Config) { cfg.Responders = []Responder{PPTP(), OpenVPNTCP(), SSTP()} }
	inWorld(t, change, func(w *world) {
		var conns []net.Conn
		dial := func(port uint16, b []byte) {
			t.Helper()
			conn, err := w.laptop.Dial(context.Background(), netip.Addr{}, netip.AddrPortFrom(serverAddr, port))
			if err != nil {
				t.Fatal(err)
			}
			conn.Write(b)
			conns = append(conns, conn)
			synctest.Wait()
		}
		for range 4 {
			c := w.open(w.laptop)
			head := c.sstpHead(false)
			tunnel, _ := w.request(w.laptop, head)
			conns = append(conns, tunnel)
			for range 16 {
				dial(wire.OpenVPNPort, c.reset(wire.CarrierOpenVPNTCP).AppendStream(nil))
				dial(1723, wire.StartControlConnectionRequest{HostName: c.token(wire.CarrierPPTP).String()}.Append(nil))
			}
		}
		if len(conns) <= heldEach {
			t.Fatal("too few connections for this test")
		}
		open := 0
		for _, conn := range conns {
			conn.SetReadDeadline(time.Now().Add(time.Millisecond))
			b := make([]byte, 4096)
			_, err := conn.Read(b)
			for err == nil {
				_, err = conn.Read(b)
			}
			if isTimeout(err) {
				open++
			}
		}
		if open != heldEach {
			t.Errorf("%d connections are open, want %d", open, heldEach)
		}
		for _, conn := range conns {
			conn.Close()
		}
		synctest.Wait()
		if h := w.srv.host.held; h.total != heldTotal || len(h.places)+len(h.from) != 0 {
			t.Errorf("%d places are left taken, of %d", len(h.places), h.total)
		}
	})
}
