package wire

// espTagBefore is how much of a tag is in front of the ICV: the nonce and the token's first octets.
const espTagBefore = TagSize - icvLen

// WithTag returns the packet with a tag as its last 28 octets: the nonce, then the token as WithToken puts it. They take the place of the
// ICV and of the last octets of Payload, in a copy.
func (e ESP) WithTag(t Tag) ESP {
	keep := max(len(e.Payload)-espTagBefore, 0) &^ 3
	payload := append(make([]byte, 0, keep+espTagBefore), e.Payload[:keep]...)
	e.Payload = append(append(payload, t.Nonce[:]...), t.Token[:TokenSize-icvLen]...)
	e.ICV = append([]byte(nil), t.Token[TokenSize-icvLen:]...)
	return e
}

// Tag returns what WithTag put in, or octets that no mint accepts.
func (e ESP) Tag() (Tag, error) {
	token, err := e.Token()
	if err != nil {
		return Tag{}, err
	}
	if len(e.Payload) < espTagBefore {
		return Tag{}, bad("ESP with %d octets of payload has no tag", len(e.Payload))
	}
	return Tag{Token: token, Nonce: [NonceSize]byte(e.Payload[len(e.Payload)-espTagBefore:])}, nil
}

// ESPPayload is how many octets of Payload a packet of ESPSize(inner) has.
func ESPPayload(inner int) int { return ESPSize(inner) - espHeaderLen - icvLen }
