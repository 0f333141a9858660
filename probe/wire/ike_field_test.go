package wire

import (
	"fmt"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestIKEFieldAt(t *testing.T) {
	for name, row := range map[string]struct {
		b    []byte
		want []string // the offset at which a field begins, and its name
	}{
		"sa_init": {saInit(strongSwanProposal, GroupCurve25519).Append(nil), []string{
			"0 initiator SPI", "8 responder SPI", "16 next payload", "17 version", "18 exchange type", "19 flags", "20 message id",
			"24 length", "28 SA payload", "220 KE payload", "260 nonce", "296 notify NAT_DETECTION_SOURCE_IP",
			"324 notify NAT_DETECTION_DESTINATION_IP", "352 notify IKEV2_FRAGMENTATION_SUPPORTED",
			"360 notify SIGNATURE_HASH_ALGORITHMS", "376 notify REDIRECT_SUPPORTED",
		}},
		"main_mode_3": {mainMode3(GroupCurve25519, 32).Append(nil), []string{
			"0 initiator SPI", "8 responder SPI", "16 next payload", "17 version", "18 exchange type", "19 flags", "20 message id",
			"24 length", "28 KE payload", "64 nonce", "100 NAT-D",
		}},
		"v2_encrypted": {ikeRows[1].b, []string{
			"0 initiator SPI", "8 responder SPI", "16 next payload", "17 version", "18 exchange type", "19 flags", "20 message id",
			"24 length", "28 encrypted body",
		}},
		"v1_encrypted": {ikeRows[3].b, []string{
			"0 initiator SPI", "8 responder SPI", "16 next payload", "17 version", "18 exchange type", "19 flags", "20 message id",
			"24 length", "28 encrypted body",
		}},
	} {
		t.Run(name, func(t *testing.T) {
			if diff := cmp.Diff(row.want, ikeFields(row.b)); diff != "" {
				t.Errorf("differs (-want +got):\n%s", diff)
			}
		})
	}
}

// ikeFields returns where the name of the field changes.
func ikeFields(b []byte) []string {
	var fields []string
	last := ""
	for i := range b {
		if name := IKEFieldAt(b, i); name != last {
			fields = append(fields, fmt.Sprint(i, " ", name))
			last = name
		}
	}
	return fields
}

// Of a damaged message the fields before the damage keep their names.
func TestIKEFieldAtDamaged(t *testing.T) {
	whole := mainMode1().Append(nil)
	at := func(i int, v byte) []byte {
		b := slices.Clone(whole)
		b[i] = v
		return b
	}
	for name, row := range map[string]struct {
		b      []byte
		offset int
		want   string
	}{
		"cut_in_header":      {whole[:20], 18, "exchange type"},
		"cut_in_payload":     {whole[:60], 59, "SA payload"},
		"cut_in_its_header":  {whole[:30], 29, ikeFieldUnknown},
		"behind_the_end":     {whole, len(whole), "outside the message"},
		"before_the_start":   {whole, -1, "outside the message"},
		"no_length_at_all":   {at(31, 0), 40, ikeFieldUnknown},
		"length_too_long":    {at(30, 0xFF), 150, "SA payload"},
		"first_is_unknown":   {at(16, 200), 40, "payload 200"},
		"before_the_damage":  {at(87, 1), 40, "SA payload"},
		"behind_the_damage":  {at(87, 1), 120, ikeFieldUnknown},
		"chain_ended_early":  {at(84, 0), 120, ikeFieldUnknown},
		"vendor_id":          {whole, 90, "vendor id"},
		"another_version":    {at(17, 0x90), 40, "payload 1"},
		"notify_cut":         {saInit(nil, GroupCurve25519).Append(nil)[:114], 113, "notify"},
		"notify_not_in_list": {IKEMessage{Header: IKEHeader{MajorVersion: 2}, Payloads: []IKEPayload{notifyPayload(7, nil)}}.Append(nil), 30, "notify 7"},
	} {
		t.Run(name, func(t *testing.T) {
			if got := IKEFieldAt(row.b, row.offset); got != row.want {
				t.Errorf("got %q, want %q", got, row.want)
			}
		})
	}
}
