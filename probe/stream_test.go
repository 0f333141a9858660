package probe

import (
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"net"
	"strings"
	"testing"

	"vpncheck/probe/wire"
)

// Who stands in the server's place, and sends packets without end of which none is the answer, does not fill the memory.
func TestStreamBounded(t *testing.T) {
	near, far := net.Pipe()
	defer near.Close()
	sent := make(chan int)
	go func() {
		n, chunk := 0, make([]byte, 2048)
		for n < 100*streamMost {
			k, err := far.Write(chunk)
			if n += k; err != nil {
				break
			}
		}
		far.Close()
		sent <- n
	}()
	c := &Conversation{}
	s := &Stream{c: c, conn: near}
	most := 0
	s.receive(1, func(b []byte) (int, bool, error) {
		most = max(most, len(b))
		return len(b), false, wire.ErrShort
	})
	near.Close()
	if n := <-sent; most > 2*streamMost || n > 2*streamMost || len(s.buf) > 0 {
		t.Errorf("%d octets were taken, %d held", n, most)
	}
	if len(c.damaged) != 1 || len(c.damaged[0].Bytes) > 256 {
		t.Errorf("got %d strangers, want one, and the beginning of what he sent", len(c.damaged))
	}
}

// Who ends TLS's opening with an alert speaks TLS, and who says something else does not.
func TestAlerted(t *testing.T) {
	for _, row := range []struct {
		says    string
		alerted bool
		words   string
		result  string
	}{
		{"\x15\x03\x03\x00\x02\x02\x28", true, "remote error: tls: handshake failure", "other-certificate"},
		{"HTTP/1.1 400 Bad Request\r\n\r\n", false, "not TLS", "not-tls"},
	} {
		near, far := net.Pipe()
		go func() {
			far.Read(make([]byte, 4096))
			far.Write([]byte(row.says))
			far.Close()
		}()
		err := tls.Client(near, &tls.Config{InsecureSkipVerify: true}).Handshake()
		if !notTLS(err) || alerted(err) != row.alerted || notTLSWords(err) != row.words || handshakeResult(err) != row.result {
			t.Errorf("%q: got %v, %q, %q", row.says, alerted(err), notTLSWords(err), handshakeResult(err))
		}
		near.Close()
	}
}

// Nor does who shows a certificate with a name of 100,000 letters fill the report.
func TestLongCertificate(t *testing.T) {
	long := pkix.Name{CommonName: strings.Repeat("x", 100_000)}
	if n := len(notPinned(&x509.Certificate{Subject: long, Issuer: long}).Error()); n > 400 {
		t.Errorf("the error has %d octets", n)
	}
}
