package netlab

import (
	"bytes"
	"encoding/binary"
	"net"
)

// ipsecImpostor is an IPsec and L2TP server of the router's own. It has no state: each datagram gets an answer that could be true.
func (l *Lab) ipsecImpostor() error {
	for port, answer := range map[int]func([]byte) []byte{500: isakmpAnswer, 4500: nattAnswer, 1701: l2tpAnswer} {
		var c *net.UDPConn
		err := l.Do(Home, func() (err error) {
			c, err = net.ListenUDP("udp4", &net.UDPAddr{Port: port})
			return err
		})
		if err != nil {
			return err
		}
		l.keep(c)
		go func() {
			buf := make([]byte, 1<<16)
			for {
				n, from, err := c.ReadFromUDPAddrPort(buf)
				if err != nil {
					return
				}
				if b := answer(buf[:n]); len(b) > 0 {
					c.WriteToUDPAddrPort(b, from)
				}
			}
		}()
	}
	return nil
}

// own are octets of the impostor's, where nobody can tell what they should be.
func own(n int) []byte { return bytes.Repeat([]byte{0x5a}, n) }

// isakmpAnswer has the request's header (RFC 7296, 3.1; RFC 2408, 3.1), and payloads of its own: those of the first answer of IKEv2 or of
// IKEv1's main mode, and else one of the request's type and length.
func isakmpAnswer(req []byte) []byte {
	const header, saInit, mainMode, response = 28, 34, 2, 0x20
	if len(req) < header {
		return nil
	}
	b := bytes.Clone(req[:header])
	if bytes.Equal(b[8:16], make([]byte, 8)) {
		copy(b[8:16], own(8)) // the responder's SPI
	}
	if v2 := b[17]>>4 == 2; v2 {
		b[19] = response
	}
	payload := func(next byte, body []byte) {
		b = append(b, next, 0)
		b = binary.BigEndian.AppendUint16(b, uint16(4+len(body)))
		b = append(b, body...)
	}
	switch {
	case b[18] == saInit:
		b[16] = 33          // SA
		payload(34, []byte{ // then the key exchange
			0, 0, 0, 44, 1, 1, 0, 4, // one proposal for IKE, of four transforms:
			3, 0, 0, 12, 1, 0, 0, 12, 0x80, 14, 1, 0, // AES-CBC with 256 bits
			3, 0, 0, 8, 2, 0, 0, 5, // PRF_HMAC_SHA2_256
			3, 0, 0, 8, 3, 0, 0, 12, // AUTH_HMAC_SHA2_256_128
			0, 0, 0, 8, 4, 0, 0, 14}) // 2048-bit MODP
		payload(40, append([]byte{0, 14, 0, 0}, own(256)...)) // then the nonce
		payload(0, own(32))
	case b[18] == mainMode && b[16] == 1:
		payload(13, []byte{0, 0, 0, 1, 0, 0, 0, 1, // SA, then a vendor ID
			0, 0, 0, 36, 1, 1, 0, 1, // one proposal for ISAKMP, of one transform:
			0, 0, 0, 28, 1, 1, 0, 0, 0x80, 1, 0, 7, 0x80, 14, 1, 0, // AES with 256 bits
			0x80, 2, 0, 2, 0x80, 3, 0, 1, 0x80, 4, 0, 14}) // SHA, a pre-shared key, 2048-bit MODP
		payload(0, own(16))
	default:
		payload(0, own(max(0, len(req)-header-4)))
	}
	binary.BigEndian.PutUint32(b[24:], uint32(len(b)))
	return b
}

// nattAnswer answers IKE behind four zero octets, and ESP (RFC 3948). A keepalive gets no answer.
func nattAnswer(req []byte) []byte {
	if len(req) < 8 {
		return nil
	}
	marker := req[:4]
	if binary.BigEndian.Uint32(marker) != 0 {
		b := own(len(req))
		copy(b[4:8], req[4:8]) // the sequence number
		return b
	}
	if b := isakmpAnswer(req[4:]); b != nil {
		return append(bytes.Clone(marker), b...)
	}
	return nil
}

// l2tpAnswer answers control messages (RFC 2661) with Stop-Control-Connection-Notification. Data and bare acknowledgements get no answer.
func l2tpAnswer(req []byte) []byte {
	const header, control, stop, generalError = 12, 0x80, 4, 2
	if len(req) <= header || req[0]&control == 0 {
		return nil
	}
	b := []byte{0xc8, 2, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0}
	copy(b[4:6], assignedTunnel(req[header:]))
	binary.BigEndian.PutUint16(b[10:], binary.BigEndian.Uint16(req[8:])+1) // Nr: all up to this one was received
	for _, avp := range []struct{ kind, value uint16 }{{0, stop}, {9, 0x5a5a}, {1, generalError}} {
		b = append(b, 0x80, 8, 0, 0)
		b = binary.BigEndian.AppendUint16(b, avp.kind)
		b = binary.BigEndian.AppendUint16(b, avp.value)
	}
	binary.BigEndian.PutUint16(b[2:], uint16(len(b)))
	return b
}

// assignedTunnel returns the ID that the sender of these AVPs wants to be called by.
func assignedTunnel(avps []byte) []byte {
	for len(avps) >= 8 {
		length := int(binary.BigEndian.Uint16(avps) & 0x3ff)
		if binary.BigEndian.Uint32(avps[2:]) == 9 { // of no vendor, type 9
			return avps[6:8]
		}
		if length < 6 || length > len(avps) {
			break
		}
		avps = avps[length:]
	}
	return nil
}
