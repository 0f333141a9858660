package wire

import (
	"errors"
	"fmt"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestNATTKind(t *testing.T) {
	for _, row := range []struct {
		name string
		b    []byte
		kind NATT
		err  error
	}{
		{"keepalive", []byte{0xFF}, NATTKeepalive, nil},
		{"ike", AppendNATTIKE(nil, []byte("IKE")), NATTIKE, nil},
		{"marker_alone", []byte{0, 0, 0, 0}, NATTIKE, nil},
		{"esp", []byte{0x7C, 0xFD, 0xAB, 0xFD, 0, 0, 0, 1}, NATTESP, nil},
		{"spi_like_keepalive", []byte{0xFF, 0xFF, 0xFF, 0xFF}, NATTESP, nil},
		{"empty", nil, "", ErrShort},
		{"another_octet", []byte{0xFE}, "", ErrShort},
		{"two_keepalives", []byte{0xFF, 0xFF}, "", ErrShort},
		{"short_marker", []byte{0, 0, 0}, "", ErrShort},
	} {
		t.Run(row.name, func(t *testing.T) {
			if kind, err := NATTKind(row.b); kind != row.kind || !errors.Is(err, row.err) {
				t.Errorf("got %q, %v, want %q, %v", kind, err, row.kind, row.err)
			}
		})
	}
}

func TestNATTIKE(t *testing.T) {
	want := []byte{0xAA, 0, 0, 0, 0, 1, 2, 3}
	b := AppendNATTIKE([]byte{0xAA}, []byte{1, 2, 3})
	if diff := cmp.Diff(want, b); diff != "" {
		t.Errorf("AppendNATTIKE differs (-want +got):\n%s", diff)
	}
	message, err := ParseNATTIKE(b[1:])
	same(t, []byte{1, 2, 3}, message, err)
	for i := range 4 {
		if _, err := ParseNATTIKE(b[1 : 1+i]); !errors.Is(err, ErrShort) {
			t.Errorf("of %d octets: got %v, want %v", i, err, ErrShort)
		}
	}
	if message, err := ParseNATTIKE([]byte{0, 0, 0, 1, 2}); !errors.Is(err, ErrFormat) {
		t.Errorf("got %x, %v, want %v", message, err, ErrFormat)
	}
}

// nattCaptures are strongSwan 5.9 at both ends, which finds a NAT on the way and carries pings in tunnel mode.
var nattCaptures = []struct {
	file string
	want []string // the datagrams on port 4500
}{
	{
		file: "testdata/ikev2-natt-esp.pcap",
		want: []string{
			"ike 288", "ike 272", "esp 7cfdabfd 1 136", "esp d9320785 1 136", "esp 7cfdabfd 2 136", "esp d9320785 2 136", "ike 80", "ike 80",
		},
	},
	{
		file: "testdata/ikev1-natt-esp.pcap",
		want: []string{
			"ike 108", "ike 76", "ike 92", "ike 92", "ike 188", "ike 188", "ike 76",
			"esp 1ac2e9f1 1 136", "esp 23e5f3c2 1 136", "esp 1ac2e9f1 2 136", "esp 23e5f3c2 2 136", "ike 92", "ike 108",
		},
	},
}

// What strongSwan sends over port 4500 is told apart, and ESP is read and written again as it was.
func TestNATTCaptures(t *testing.T) {
	for _, capture := range nattCaptures {
		t.Run(capture.file, func(t *testing.T) {
			var got []string
			for _, b := range capturedUDP(t, capture.file, NATTPort) {
				kind, err := NATTKind(b)
				if err != nil {
					t.Fatal(err)
				}
				if kind == NATTIKE {
					message, err := ParseNATTIKE(b)
					same(t, b, AppendNATTIKE(nil, message), err)
					got = append(got, fmt.Sprint("ike ", len(message)))
					continue
				}
				e, err := ParseESP(b)
				same(t, b, e.Append(nil), err)
				if len(b) != ESPSize(84) {
					t.Errorf("ESP with ping has %d octets, ESPSize says %d", len(b), ESPSize(84))
				}
				got = append(got, fmt.Sprintf("%s %08x %d %d", kind, e.SPI, e.SequenceNumber, len(b)))
			}
			if diff := cmp.Diff(capture.want, got); diff != "" {
				t.Errorf("datagrams differ (-want +got):\n%s", diff)
			}
		})
	}
}

// capturedUDP returns the payloads of a capture's datagrams to a port.
func capturedUDP(tb testing.TB, file string, port uint16) [][]byte {
	tb.Helper()
	var payloads [][]byte
	for _, packet := range captured(tb, file) {
		_, datagram, err := ParseIPv4(packet)
		if err != nil {
			tb.Fatal(err)
		}
		u, payload, err := ParseUDP(datagram)
		if err != nil {
			tb.Fatal(err)
		}
		if u.DstPort == port {
			payloads = append(payloads, payload)
		}
	}
	return payloads
}

func addCapturedNATT(f *testing.F) {
	for _, capture := range nattCaptures {
		for _, b := range capturedUDP(f, capture.file, NATTPort) {
			f.Add(b)
		}
	}
}

func FuzzNATTKind(f *testing.F) {
	f.Add([]byte{0xFF})
	f.Add([]byte{0, 0, 0})
	addCapturedNATT(f)
	f.Fuzz(func(t *testing.T, b []byte) {
		kind, err := NATTKind(b)
		message, ikeErr := ParseNATTIKE(b)
		if !refused(t, ikeErr) {
			same(t, b, AppendNATTIKE(nil, message), nil)
		}
		if refused(t, err) {
			return
		}
		if _, err := ParseESP(b); kind != NATTESP && !refused(t, err) {
			t.Fatalf("NATTKind says %q, ParseESP takes it", kind)
		}
		if (kind == NATTIKE) != (ikeErr == nil) {
			t.Fatalf("NATTKind says %q, ParseNATTIKE %v", kind, ikeErr)
		}
	})
}
