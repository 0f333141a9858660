package wire

import "testing"

// FuzzParseIKE reads a message, and the body of every payload as whatever it could be.
func FuzzParseIKE(f *testing.F) {
	for _, row := range ikeRows {
		f.Add(row.b)
	}
	for _, m := range []IKEMessage{
		saInit(strongSwanProposal, GroupMODP2048), windowsSAInit(GroupMODP1024), windowsMainMode1(), mainMode2(), windowsMainMode3(),
	} {
		f.Add(m.Append(nil))
	}
	for _, row := range ikeBodyRows {
		f.Add(IKEMessage{Header: IKEHeader{MajorVersion: 2}, Payloads: []IKEPayload{{Type: IKEv2NotifyPayload, Body: row.b}}}.Append(nil))
	}
	for _, capture := range ikeCaptures {
		for _, c := range capturedIKE(f, capture.file) {
			f.Add(c.b)
		}
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		for i := -1; i <= min(len(b), 2000); i++ {
			if IKEFieldAt(b, i) == "" {
				t.Fatalf("octet %d has no name", i)
			}
		}
		m, err := ParseIKE(b)
		if refused(t, err) {
			return
		}
		again, err := ParseIKE(m.Append(nil))
		same(t, m, again, err)
		if len(m.Append(nil)) != len(b) {
			t.Fatalf("has %d octets, written again %d", len(b), len(m.Append(nil)))
		}
		m.Notify(NotifyCookie)
		m.HasVendor(VendorNATT)
		for _, p := range m.Payloads {
			fuzzBody(t, p.Body, ParseIKEv2SA)
			fuzzBody(t, p.Body, ParseIKEv1SA)
			fuzzBody(t, p.Body, ParseIKEv2KE)
			fuzzBody(t, p.Body, ParseIKENotify)
			fuzzBody(t, p.Body, ParseIKEv1Notify)
			fuzzNames(p.Body)
		}
	})
}

func fuzzBody[T appender](t *testing.T, b []byte, parse func([]byte) (T, error)) {
	t.Helper()
	body, err := parse(b)
	if refused(t, err) {
		return
	}
	again, err := parse(body.Append(nil))
	same(t, body, again, err)
}

// fuzzNames puts into words what can be read.
func fuzzNames(b []byte) {
	VendorName(b)
	if sa, err := ParseIKEv2SA(b); err == nil {
		IKEv2ProposalName(sa[0])
	}
	if sa, err := ParseIKEv1SA(b); err == nil {
		IKEv1TransformName(sa[0].Transforms[0])
	}
}
