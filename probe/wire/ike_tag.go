package wire

// Where a tag is in what we send of IKE.
const (
	// IKENonceLen is the length of our nonces, strongSwan's: a tag comes first.
	IKENonceLen = 32
	// IKETagOffset is where the tag is in what a cipher made, behind what is as long as an IV of AES (RFC 7296, section 3.14).
	IKETagOffset = 16
)

// Tag finds the tag in a message of ours, of either version: in an encrypted message behind what looks like an IV, else at the start of
// the nonce, and where there is none (message 1 and 2 of Main Mode) the token alone in the last Vendor ID that has its length. Tokens are
// in no SPI and no cookie, because routers rewrite those (F14). What carries no tag gives ErrFormat or ErrShort.
func (m IKEMessage) Tag() (Tag, error) {
	nonce, vendor := uint8(IKEv1Nonce), uint8(IKEv1VendorID)
	if m.Header.MajorVersion == 2 {
		nonce, vendor = IKEv2Nonce, IKEv2VendorID
	}
	if len(m.Payloads) > 0 && (m.Header.encrypted() || ikeOpaque(m.Header.MajorVersion, m.Payloads[len(m.Payloads)-1].Type)) {
		body := m.Payloads[len(m.Payloads)-1].Body
		return ParseTag(body[min(len(body), IKETagOffset):])
	}
	if p, ok := m.Find(nonce); ok {
		return ParseTag(p.Body)
	}
	for i := len(m.Payloads) - 1; i >= 0; i-- {
		if p := m.Payloads[i]; p.Type == vendor && len(p.Body) == TokenSize {
			return Tag{Token: Token(p.Body)}, nil
		}
	}
	return Tag{}, bad("IKE message has neither a nonce nor a Vendor ID of %d octets", TokenSize)
}
