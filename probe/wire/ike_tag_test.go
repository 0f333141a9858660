package wire

import (
	"errors"
	"testing"
)

func TestIKETag(t *testing.T) {
	tag := Tag{Token: Token(counting(0x30, TokenSize)), Nonce: [NonceSize]byte(counting(0x70, NonceSize))}
	alone := Tag{Token: tag.Token}
	nonce := append(tag.Append(nil), 1, 2, 3, 4)
	sealed := append(counting(1, IKETagOffset), append(tag.Append(nil), 5, 6, 7, 8)...)
	v2, v1 := IKEHeader{MajorVersion: 2, ExchangeType: IKESAInit}, IKEHeader{MajorVersion: 1, ExchangeType: IKEIdentityProtection}
	secret := IKEHeader{MajorVersion: 1, Flags: IKEv1FlagEncryption, ExchangeType: IKEQuickMode}
	for name, row := range map[string]struct {
		h        IKEHeader
		payloads []IKEPayload
		want     Tag
		err      error
	}{
		"v2_nonce":     {v2, []IKEPayload{{Type: IKEv2VendorID, Body: counting(9, TokenSize)}, {Type: IKEv2Nonce, Body: nonce}}, tag, nil},
		"v2_sealed":    {v2, []IKEPayload{{Type: IKEv2Encrypted, Body: sealed}}, tag, nil},
		"v2_fragment":  {v2, []IKEPayload{{Type: IKEv2EncryptedFragment, Body: sealed}}, tag, nil},
		"v1_nonce":     {v1, []IKEPayload{{Type: IKEv1KeyExchange, Body: nonce}, {Type: IKEv1Nonce, Body: nonce}}, tag, nil},
		"v1_sealed":    {secret, []IKEPayload{{Type: IKEv1Hash, Body: sealed}}, tag, nil},
		"v1_last":      {v1, append(vendors(VendorFragmentation2, string(tag.Token[:])), vendors(VendorNATT)...), alone, nil},
		"v2_vendor":    {v2, []IKEPayload{{Type: IKEv2VendorID, Body: tag.Token[:]}}, alone, nil},
		"v1_none":      {v1, vendors(VendorNATT, VendorDPD), Tag{}, ErrFormat},
		"no_payloads":  {v2, nil, Tag{}, ErrFormat},
		"short_nonce":  {v2, []IKEPayload{{Type: IKEv2Nonce, Body: nonce[:TagSize-1]}}, Tag{}, ErrShort},
		"short_sealed": {v2, []IKEPayload{{Type: IKEv2Encrypted, Body: sealed[:IKETagOffset-1]}}, Tag{}, ErrShort},
		"other_types":  {v1, []IKEPayload{{Type: IKEv2Nonce, Body: nonce}}, Tag{}, ErrFormat},
	} {
		t.Run(name, func(t *testing.T) {
			got, err := IKEMessage{Header: row.h, Payloads: row.payloads}.Tag()
			if got != row.want || !errors.Is(err, row.err) {
				t.Errorf("got %x, %v, want %x, %v", got, err, row.want, row.err)
			}
		})
	}
}
