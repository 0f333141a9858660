package witness

import (
	"context"
	"io/fs"
	"net"
	"net/netip"
	"syscall"
	"testing"

	"vpncheck/probe/sock"
)

func TestHolder(t *testing.T) {
	nobody := func(string, uint16) (string, bool) { return "", false }
	charon := func(string, uint16) (string, bool) { return "charon (pid 812)", true }
	listen := func(err error) error {
		return &net.OpError{Op: "listen", Net: "udp4", Addr: &net.UDPAddr{Port: 500}, Err: err}
	}
	tests := []struct {
		name   string
		err    error
		who    func(string, uint16) (string, bool)
		looked bool
		held   bool
	}{
		{"held", listen(syscall.EADDRINUSE), charon, true, true},
		{"held-by-who-knows", listen(syscall.EADDRINUSE), nobody, true, true},
		{"no-privilege", listen(fs.ErrPermission), nobody, false, false},
		{"no-privilege-but-listed", listen(fs.ErrPermission), charon, true, true},
		{"odd", context.Canceled, nobody, false, false},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got := holder(refusing{err: tt.err}, 500, tt.who)
			if got.Looked != tt.looked || got.Held != tt.held || !got.Looked && got.Why == "" {
				t.Errorf("got %+v, want looked %v, held %v", got, tt.looked, tt.held)
			}
		})
	}
}

type refusing struct {
	sock.Net
	err error
}

func (r refusing) UDP(netip.AddrPort) (sock.Conn, error) { return nil, r.err }

func TestHolderOfThisMachine(t *testing.T) {
	c, err := sock.Kernel{}.UDP(netip.MustParseAddrPort("0.0.0.0:0"))
	if err != nil {
		t.Fatal(err)
	}
	port := c.Local().Port()
	if got := holder(sock.Kernel{}, port, sock.Holder); !got.Held {
		t.Errorf("got %+v, want held", got)
	}
	c.Close()
	if got := holder(sock.Kernel{}, port, sock.Holder); got.Held || !got.Looked {
		t.Errorf("got %+v, want free", got)
	}
}
