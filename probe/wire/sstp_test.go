package wire

import (
	"bytes"
	"errors"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

var sstpCorrelationRow = SSTPCorrelation{0x01, 0x23, 0x45, 0x67, 0x89, 0xAB, 0xCD, 0xEF, 0, 1, 2, 3, 4, 5, 6, 7}

// The request as Windows sends it (MS-SSTP, section 4.1).
const sstpHead = "SSTP_DUPLEX_POST /sra_{BA195980-CD49-458b-9E23-C84EE0ADCD75}/ HTTP/1.1\r\nHost: vpn.example.com\r\n" +
	"Content-Length: 18446744073709551615\r\nSSTPCORRELATIONID: {01234567-89AB-CDEF-0001-020304050607}\r\n\r\n"

func TestSSTPRequest(t *testing.T) {
	want := SSTPRequest{Host: "vpn.example.com", Correlation: sstpCorrelationRow}
	if got := string(want.Append(nil)); got != sstpHead {
		t.Errorf("got %q", got)
	}
	for _, head := range []string{sstpHead, strings.Replace(sstpHead, "SSTPCORRELATIONID: {0", "Via: 1.1 x\r\nSstpcorrelationid:{0", 1)} {
		got, n, err := ParseSSTPRequest([]byte(head + "rest"))
		if got != want || n != len(head) || err != nil {
			t.Errorf("got %+v, %d, %v", got, n, err)
		}
	}
	for i := range len(sstpHead) {
		if _, _, err := ParseSSTPRequest([]byte(sstpHead[:i])); !errors.Is(err, ErrShort) {
			t.Fatalf("%d octets: %v", i, err)
		}
	}
	for _, change := range [][2]string{
		{"SSTP_DUPLEX_POST", "POST"}, {"sra_", "srb_"}, {"18446744073709551615", "18446744073709551614"}, {"{0123", "{012x"}, {"HTTP/1.1", "HTTP/2"},
		{"SSTPCORRELATIONID", "X"}, {"-89AB", "_89AB"}, {"607}", "60}"}, {"Host", strings.Repeat("x", maxHTTPHead)},
	} {
		if _, _, err := ParseSSTPRequest([]byte(strings.Replace(sstpHead, change[0], change[1], 1))); !errors.Is(err, ErrFormat) {
			t.Errorf("%v: %v", change, err)
		}
	}
	get := SSTPRequest{Host: "192.0.2.1", Correlation: sstpCorrelationRow, GET: true}
	if got, _, err := ParseSSTPRequest(get.Append(nil)); got != get || err != nil {
		t.Errorf("got %+v, %v", got, err)
	}
}

func TestHTTPStatus(t *testing.T) {
	accept := AppendSSTPAccept(nil)
	s, n, err := ParseHTTPStatus(accept)
	if !s.Accepts() || n != len(accept) || err != nil {
		t.Errorf("got %+v, %d, %v", s, n, err)
	}
	s, _, err = ParseHTTPStatus([]byte("HTTP/1.1 407 Proxy Authentication Required\r\nserver: squid\r\nContent-Length: 0\r\n\r\n"))
	if want := (HTTPStatus{Code: 407, Text: "Proxy Authentication Required", Server: "squid", Length: "0"}); s != want || err != nil || s.Accepts() {
		t.Errorf("got %+v, %v", s, err)
	}
	for _, head := range []string{"HTTP/1.1 20 OK", "HTTP/1.1 x00 OK", "HTTP/1.1 2x0 OK", "HTTP/1.1 2000 OK", "HTTP/2 200 OK", "200 OK"} {
		if _, _, err := ParseHTTPStatus([]byte(head + "\r\n\r\n")); !errors.Is(err, ErrFormat) {
			t.Errorf("%q: %v", head, err)
		}
	}
	if s := (HTTPStatus{Code: 200, Length: "0"}); s.Accepts() {
		t.Error("a page is no tunnel")
	}
}

var sstpRows = []struct {
	p SSTP
	b []byte
}{
	// The messages of MS-SSTP, section 4.
	{SSTPConnect(), []byte{0x10, 1, 0, 0x0E, 0, 1, 0, 1, 0, 1, 0, 6, 0, 1}},
	{SSTPConnectAck([32]byte{31: 7}), append([]byte{0x10, 1, 0, 0x30, 0, 2, 0, 1, 0, 4, 0, 0x28, 0, 0, 0, 3}, append(make([]byte, 31), 7)...)},
	{SSTPDisconnect(false), []byte{0x10, 1, 0, 8, 0, 6, 0, 0}},
	{SSTPDisconnect(true), []byte{0x10, 1, 0, 8, 0, 7, 0, 0}},
	{SSTP{Data: []byte{0xFF, 3, 0xC0, 0x21, 9}}, []byte{0x10, 0, 0, 9, 0xFF, 3, 0xC0, 0x21, 9}},
	{SSTP{}, []byte{0x10, 0, 0, 4}},
}

func TestSSTP(t *testing.T) {
	for _, row := range sstpRows {
		if got := row.p.Append(nil); !bytes.Equal(got, row.b) {
			t.Errorf("got % x, want % x", got, row.b)
		}
		got, n, err := ParseSSTP(append(bytes.Clone(row.b), 1, 2, 3))
		if diff := cmp.Diff(row.p, got); diff != "" || n != len(row.b) || err != nil {
			t.Errorf("% x: %s, %d, %v", row.b, diff, n, err)
		}
		for i := range row.b {
			if _, _, err := ParseSSTP(row.b[:i]); !errors.Is(err, ErrShort) {
				t.Errorf("% x: %v", row.b[:i], err)
			}
		}
	}
	if nonce, ok := SSTPConnectAck([32]byte{7}).Nonce(); !ok || nonce[0] != 7 {
		t.Error("the nonce is lost")
	}
	if !SSTPConnect().Connects() || SSTPDisconnect(false).Connects() {
		t.Error("a Call Connect Request is not known")
	}
	for _, b := range [][]byte{
		{0x11, 0, 0, 4}, {0x10, 0, 0, 3}, {0x10, 1, 0, 7, 0, 6, 0}, {0x10, 1, 0, 8, 0, 6, 0, 1}, {0x10, 1, 0, 8, 0, 6, 0, 9},
		{0x10, 1, 0, 9, 0, 6, 0, 0, 0}, {0x10, 1, 0, 12, 0, 6, 0, 1, 0, 1, 0, 3}, {0x10, 1, 0, 12, 0, 6, 0, 1, 0, 1, 0, 5},
	} {
		if _, _, err := ParseSSTP(b); !errors.Is(err, ErrFormat) {
			t.Errorf("% x: %v", b, err)
		}
	}
	if b := (SSTP{Data: make([]byte, 5000)}).Append(nil); len(b) != maxSSTP {
		t.Errorf("%d octets", len(b))
	}
}

func FuzzParseSSTP(f *testing.F) {
	for _, row := range sstpRows {
		f.Add(row.b)
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		p, n, err := ParseSSTP(b)
		if refused(t, err) {
			return
		}
		if n > len(b) {
			t.Fatalf("length %d of %d", n, len(b))
		}
		for _, a := range p.Attributes {
			if len(a.Value) > 255 { // longer than any that there is
				return
			}
		}
		again, _, err := ParseSSTP(p.Append(nil))
		same(t, p, again, err)
	})
}

func FuzzParseSSTPRequest(f *testing.F) {
	f.Add([]byte(sstpHead))
	f.Add(SSTPRequest{GET: true}.Append(nil))
	f.Fuzz(func(t *testing.T, b []byte) {
		r, n, err := ParseSSTPRequest(b)
		if refused(t, err) {
			return
		}
		if n > len(b) {
			t.Fatalf("length %d of %d", n, len(b))
		}
		again, _, err := ParseSSTPRequest(r.Append(nil))
		same(t, r, again, err)
	})
}

func FuzzParseHTTPStatus(f *testing.F) {
	f.Add(AppendSSTPAccept(nil))
	f.Fuzz(func(t *testing.T, b []byte) {
		s, n, err := ParseHTTPStatus(b)
		if refused(t, err) {
			return
		}
		if n > len(b) || s.Code < 100 || s.Code > 999 {
			t.Fatalf("length %d of %d, code %d", n, len(b), s.Code)
		}
	})
}
