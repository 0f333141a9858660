package report

import (
	"fmt"
	"slices"
	"strconv"
	"strings"

	"vpncheck/probe"
)

// addressesField begins what probes call the difference between the addresses of a connection's parts: "source address (call, tunnel)".
const addressesField = "source address ("

// pair is what such a field's name has in brackets.
func pair(field string) (a, b string) {
	a, b, ok := strings.Cut(strings.Trim(strings.TrimPrefix(field, addressesField), ")"), ", ")
	if !ok {
		return "set-up", "data"
	}
	return fieldName(a), fieldName(b)
}

// rows makes at most two rows of each field: one of the packets that kept it, one of those in which it changed.
func rows(all []crossing) []Row {
	type key struct {
		over, way, field string
		same             bool
	}
	index := make(map[key]int)
	var out []Row
	for _, c := range all {
		k := key{c.over, c.way, c.field, c.same}
		i, ok := index[k]
		if !ok {
			index[k] = len(out)
			out = append(out, Row{Over: c.over, Way: c.way, Field: c.field, Before: c.before, After: c.after, Offset: c.offset,
				Place: c.place, Same: c.same, Count: 1, Example: c.exchange})
			continue
		}
		out[i].Count++
		if r := out[i]; r.Before != c.before || r.After != c.after || r.Offset != c.offset {
			out[i].Varies = true
		}
	}
	slices.SortStableFunc(out, byOverWayField(all))
	for i := range out {
		out[i].Text = out[i].say()
		if r := out[i]; r.Field == "payload" && r.Same && slices.ContainsFunc(out, r.besides) {
			out[i].Text = "rest of the payload kept byte for byte"
		}
	}
	return out
}

// byOverWayField keeps what carried the packets in the order of the conversation.
func byOverWayField(all []crossing) func(a, b Row) int {
	var overs []string
	for _, c := range all {
		if !slices.Contains(overs, c.over) {
			overs = append(overs, c.over)
		}
	}
	rank := func(r Row) int {
		field := slices.Index(fields, r.Field)
		if field < 0 {
			field = len(fields)
		}
		n := slices.Index(overs, r.Over)*2 + slices.Index([]string{probe.WayOut, probe.WayBack}, r.Way)
		n = n*(len(fields)+1) + field
		if r.Same {
			return n*2 + 1
		}
		return n * 2
	}
	return func(a, b Row) int { return rank(a) - rank(b) }
}

// besides says whether another row tells of a change inside the payload that was expected.
func (r Row) besides(x Row) bool {
	return x.Over == r.Over && x.Way == r.Way && !x.Same && (x.Field == "call-id" || !slices.Contains(fields, x.Field))
}

// say is the row in words, after "on the way out: ".
func (r Row) say() string {
	name := fieldName(r.Field)
	switch {
	case r.Field == "payload" && r.Same:
		return "payload kept byte for byte"
	case r.Field == "payload":
		return r.sayPayload()
	case r.Field == "checksum":
		return r.sayChecksum()
	case r.Same && r.Varies, r.Same && r.Before == "":
		return name + " kept"
	case r.Same:
		return fmt.Sprintf("%s kept (%s)", name, Clean(r.Before, 60))
	case r.Field == "ttl":
		return r.sayTTL()
	case strings.HasPrefix(r.Field, addressesField):
		a, b := pair(r.Field)
		return fmt.Sprintf("%s and %s come from different addresses (%s and %s)", a, b, Clean(r.Before, 60), Clean(r.After, 60))
	case r.Varies:
		return fmt.Sprintf("%s rewritten (%s became %s, for one)", name, Clean(r.Before, 60), Clean(r.After, 60))
	}
	return fmt.Sprintf("%s %s became %s", name, Clean(r.Before, 60), Clean(r.After, 60))
}

// noChecksum is how a UDP packet says that it has none.
const noChecksum = "0x0000"

func (r Row) sayPayload() string {
	text := fmt.Sprintf("payload changed, from byte %d on", r.Offset)
	if r.Place != "" {
		text += ", in the " + fieldName(r.Place)
	}
	if r.Varies {
		text += " (the first time)"
	}
	return text
}

func (r Row) sayChecksum() string {
	switch name := fieldName(r.Field); {
	case r.Same && r.Before == noChecksum:
		return "what had no " + name + " arrived so"
	case r.Same:
		return name + " kept"
	case r.Before == noChecksum:
		return fmt.Sprintf("%s added (%s)", name, Clean(r.After, 20))
	case r.After == noChecksum:
		return fmt.Sprintf("%s removed (%s)", name, Clean(r.Before, 20))
	default:
		return fmt.Sprintf("%s rewritten (%s became %s)", name, Clean(r.Before, 20), Clean(r.After, 20))
	}
}

func (r Row) sayTTL() string {
	before, err1 := strconv.Atoi(r.Before)
	after, err2 := strconv.Atoi(r.After)
	if err1 != nil || err2 != nil || after > before {
		return fmt.Sprintf("TTL %s became %s", Clean(r.Before, 20), Clean(r.After, 20))
	}
	if before-after == 1 {
		return fmt.Sprintf("1 hop (TTL %d became %d)", before, after)
	}
	return fmt.Sprintf("%d hops (TTL %d became %d)", before-after, before, after)
}
