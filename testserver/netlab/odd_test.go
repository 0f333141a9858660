package netlab

import (
	"crypto/tls"
	"encoding/binary"
	"net"
	"testing"
	"time"
)

// firstWords are what a TLS client begins with.
func firstWords(t *testing.T, offers ...string) []byte {
	client, server := net.Pipe()
	defer server.Close()
	go func() {
		tls.Client(client, &tls.Config{ServerName: "example.com", NextProtos: offers}).Handshake()
		client.Close()
	}()
	b := make([]byte, 4096)
	n, err := server.Read(b)
	if err != nil {
		t.Fatal(err)
	}
	return b[:n]
}

func TestALPN(t *testing.T) {
	for _, c := range []struct {
		name          string
		b             []byte
		offers, hello bool
	}{
		{"browser", firstWords(t, "h2", "http/1.1"), true, true},
		{"vpn", firstWords(t), false, true},
		{"http", []byte("GET / HTTP/1.1\r\nHost: example.com\r\nConnection: close\r\n\r\n"), false, false},
		{"nothing", nil, false, false},
	} {
		if offers, hello := alpn(c.b); offers != c.offers || hello != c.hello {
			t.Errorf("%s: got %v, %v", c.name, offers, hello)
		}
	}
	for whole, i := firstWords(t, "h2"), 0; i < len(whole); i++ { // no part of it is more than there is
		alpn(whole[:i])
	}
}

// segment is a TCP segment between the laptop and port 443.
func segment(port uint16, flags byte, toLaptop bool, payload []byte) []byte {
	b := make([]byte, 40, 40+len(payload))
	b[0], b[9], b[32], b[33] = 0x45, tcp, 5<<4, flags
	from, to := port, uint16(443)
	if toLaptop {
		from, to = to, from
	}
	binary.BigEndian.PutUint16(b[20:], from)
	binary.BigEndian.PutUint16(b[22:], to)
	return append(b, payload...)
}

// What offers no protocol inside TLS is cut off by its count or by the clock, each connection for itself, and all else is let through.
func TestOdd(t *testing.T) {
	const syn, ack = 0x02, 0x10
	for _, c := range []struct {
		name   string
		odd    odd
		offers []string
		later  time.Duration // between two packets
		passes int           // of twelve
	}{
		{"by-count", odd{after: 6}, nil, 0, 6},
		{"by-time", odd{held: 5 * time.Second}, nil, time.Second, 6},
		{"browser-by-count", odd{after: 6}, []string{"h2"}, 0, 12},
		{"browser-by-time", odd{held: 5 * time.Second}, []string{"h2"}, time.Second, 12},
	} {
		t.Run(c.name, func(t *testing.T) {
			edit, now := c.odd.edit(), time.Now()
			for range 2 { // the port is used again
				passed := 0
				for i := range 12 {
					pkt := segment(50000, ack, i%2 == 1, []byte("x"))
					switch i {
					case 0:
						pkt = segment(50000, syn, false, nil)
					case 2:
						pkt = segment(50000, ack, false, firstWords(t, c.offers...))
					}
					passed += len(edit(pkt, i%2 == 1, now))
					now = now.Add(c.later)
				}
				if passed != c.passes {
					t.Errorf("got %d packets through, want %d", passed, c.passes)
				}
			}
			for _, other := range [][]byte{{0x60}, segment(50001, ack, false, []byte("x")), segment(50000, ack, false, nil)[:30]} {
				if len(edit(other, false, now)) != 1 {
					t.Errorf("%x was dropped", other)
				}
			}
		})
	}
}
