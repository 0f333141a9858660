package testserver

import (
	"crypto/tls"
	"errors"
	"io"
	"net"
	"net/netip"
	"slices"
	"time"

	"vpncheck/probe/sock"
	"vpncheck/probe/wire"
)

const (
	maxHTTP      = 4 << 10
	defaultWeb   = 443
	httpNotFound = "HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"
)

// A visit is a connection to a link port: TLS with our key, and HTTP inside it unless it is a link.
type visit struct {
	conn            *tls.Conn
	client, own     netip.AddrPort
	hello, greeting []byte // the first flight of each end, as far as it is kept
	release         func() // gives back the place of a stranger
}

// webPort is the link port that SSTP's clients ask: 443, or the first where the server has not that.
func webPort(ports []uint16) uint16 {
	if slices.Contains(ports, defaultWeb) {
		return defaultWeb
	}
	return ports[0]
}

// HTTP has whoever speaks HTTP on a link port answered by handle, in a goroutine for each; the connection is closed when it returns. The link
// port that real clients ask carries these from now on.
func (h *Host) HTTP(handle func(*visit), carriers ...wire.Carrier) {
	h.mu.Lock()
	defer h.mu.Unlock()
	for i, l := range h.opened {
		if l.link && l.local.Port() == h.webPort {
			h.opened[i].carriers = append(h.opened[i].carriers, carriers...)
		}
	}
	h.visitors.Store(&handle)
}

// opening notes that TCP's handshake on a link port is done, whoever comes and for what.
func (h *Host) opening(v *visit) {
	if h.visitors.Load() != nil && v.own.Port() == h.webPort {
		h.Arrived(wire.Sighting{Src: v.client, Dst: v.own}, wire.CarrierSSTP)
	}
}

// unopenedWait is how long a handshake may take before its opening is handed over: the end of a connection may be lost like its answers.
const unopenedWait = 500 * time.Millisecond

// unopened hands over the opening of whoever did not get through TLS's handshake, if he was answered: it may be a session's, whose answers are
// lost.
func (h *Host) unopened(v *visit, f *sock.Flights) {
	if hello, answered := f.Kept(); h.visitors.Load() != nil && len(hello) > 0 && answered {
		h.Stray(wire.CarrierSSTP, h.streamed(v.client, v.own, hello))
	}
}

// noTLS answers whoever speaks no TLS on the link port that real clients ask, if it is a session's that wants to know whether anything but TLS
// gets there.
func (h *Host) noTLS(conn net.Conn, v *visit, f *sock.Flights, err error) {
	var record tls.RecordHeaderError
	if h.visitors.Load() != nil && v.own.Port() == h.webPort && errors.As(err, &record) {
		said, _ := f.Kept()
		h.randomStream(conn, v.client, v.own, said)
	}
}

// streamed is a message as it stands in a TCP connection.
func (h *Host) streamed(src, dst netip.AddrPort, b []byte) wire.Sighting {
	return wire.Sighting{State: wire.Seen, At: h.now(), Where: "tcp", Src: src, Dst: dst, Bytes: b}
}

// web answers HTTP.
func (h *Host) web(v *visit) {
	if handle := h.visitors.Load(); handle != nil {
		(*handle)(v)
		return
	}
	v.head()
	v.notFound()
}

// head reads the head of one request, or as much as there is of it. It returns what was read, and false if that is no request of a session's.
func (v *visit) head() (b []byte, r wire.SSTPRequest, ok bool) {
	for {
		chunk := make([]byte, maxHTTP-len(b))
		n, err := v.conn.Read(chunk)
		b = append(b, chunk[:n]...)
		r, size, bad := wire.ParseSSTPRequest(b)
		switch {
		case bad == nil:
			return b[:size], r, size == len(b) // what comes before the answer is not SSTP's
		case err != nil || !errors.Is(bad, wire.ErrShort) || len(b) >= maxHTTP:
			return b, r, false
		}
	}
}

// notFound answers as a web server with nothing to show.
func (v *visit) notFound() {
	v.conn.SetWriteDeadline(time.Now().Add(lingerWait))
	io.WriteString(v.conn, httpNotFound)
	linger(v.conn)
}
