package wire

import (
	"bufio"
	"bytes"
	"encoding/binary"
	"encoding/json"
	"errors"
	"flag"
	"io"
	"net/netip"
	"os"
	"reflect"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
)

var updateLink = flag.Bool("update-link", false, "rewrite the golden transcript of the side channel")

const transcript = "testdata/link-v1.txt"

// transcriptV1 has every message type with all fields set.
func transcriptV1() []Message {
	carriers := []CarrierState{
		{Carrier: CarrierGRE, Ready: true, Proof: &Proof{At: moment, Own: true}, NIC: true, Owners: []string{"kernel module ip_gre"}},
		{Carrier: CarrierPPTP, Why: "TCP 1723 is held by pptpd (pid 812)"},
	}
	return []Message{
		{Hello: &Hello{Versions: []int{1}, Build: "vpncheck 1.0.0 linux/amd64"}},
		{Open: &Open{Access: counting(1, 16), Prove: true, Laptop: counting(9, 8)}},
		{Session: &Session{
			ID: 0xfffefdfc, Key: counting(0, 32),
			Client: netip.MustParseAddrPort("192.0.2.1:40000"), Server: netip.MustParseAddrPort("[2001:db8::7]:443"),
			Control: 8443, Second: netip.MustParseAddr("198.51.100.7"),
			Carriers: carriers, Packets: 2000, Bytes: 2 << 20, Others: &Others{Count: 2, Last: moment, Running: 1},
			Cloud: &Cloud{Name: "azure", Cannot: []Carrier{CarrierGRE, CarrierGREv1}, Ask: []Carrier{CarrierESP, CarrierAH}},
		}},
		{Declare: &Declare{Conversation: "gre-1", Protocol: "gre", Carriers: []Carrier{CarrierControl, CarrierPPTP, CarrierGRE, CarrierGREv1}}},
		{Ready: &Ready{Conversation: "gre-1", Refused: "state-clash", Why: "another run holds it"}},
		{Turn: &Turn{Conversation: "gre-1", Ahead: 1, AtMost: 20 * time.Second}},
		{Saw: &Saw{Conversation: "gre-1", Exchange: 0xffffffff, Began: true, Arrived: fullSighting(), Replied: NotSeen(), ICV: "valid", Silent: "replay"}},
		{Stray: &Stray{Carrier: CarrierGREv1, Arrived: fullSighting()}},
		{Declare: &Declare{Conversation: "wireguard-1", Protocol: "wireguard", Carriers: []Carrier{CarrierWireGuard}, Key: Hex{1, 2, 0xff}}},
		{Ready: &Ready{Conversation: "wireguard-1", Key: Hex{0xfe, 3}}},
		{Came: &Came{Conversation: "gre-1", Carrier: CarrierGRE, ICMP: ICMPSighting{
			At: moment, From: netip.MustParseAddr("192.0.2.1"), TTL: 60, Type: 3, Code: 2, Quote: counting(0x45, 28),
		}}},
		{Finish: &Finish{Conversation: "gre-1"}},
		{Settled: &Settled{Conversation: "gre-1", Carriers: carriers, Others: &Others{Count: 1}}},
		{Ping: &Ping{N: 1}},
		{Pong: &Ping{N: 1}},
		{Bye: &Bye{Reason: "busy", Why: "no room for another session"}},
	}
}

func framed(t testing.TB, m Message) []byte {
	var b bytes.Buffer
	if err := WriteMessage(&b, m); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// TestLinkTranscript holds version 1 to what it was. A line may only ever be added or grow a field that old ends may ignore.
func TestLinkTranscript(t *testing.T) {
	var want bytes.Buffer
	for _, m := range transcriptV1() {
		want.Write(framed(t, m)[4:])
		want.WriteByte('\n')
	}
	if *updateLink {
		if err := os.WriteFile(transcript, want.Bytes(), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	golden, err := os.ReadFile(transcript)
	if err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff(string(golden), want.String()); d != "" {
		t.Errorf("the format of version 1 has changed: %s", d)
	}
	lines := bufio.NewScanner(bytes.NewReader(golden))
	for _, m := range transcriptV1() {
		if !lines.Scan() {
			t.Fatal("the transcript is too short")
		}
		got, err := ReadMessage(bytes.NewReader(frame(lines.Bytes())))
		if err != nil {
			t.Fatal(err)
		}
		if d := cmp.Diff(m, got, compares...); d != "" {
			t.Error(d)
		}
	}
}

func TestLinkTranscriptHasEveryMessage(t *testing.T) {
	set := make(map[string]bool)
	for _, m := range transcriptV1() {
		v := reflect.ValueOf(m)
		for i := range v.NumField() {
			if !v.Field(i).IsNil() {
				set[v.Type().Field(i).Name] = true
			}
		}
	}
	for f := range reflect.TypeFor[Message]().Fields() {
		if !set[f.Name] {
			t.Errorf("the transcript lacks %s", f.Name)
		}
	}
}

func frame(body []byte) []byte {
	return append(binary.BigEndian.AppendUint32(nil, uint32(len(body))), body...)
}

func TestReadMessageIgnoresUnknownFields(t *testing.T) {
	for in, want := range map[string]Message{
		`{"ping":{"n":3,"colour":"red"},"weather":[1]}`: {Ping: &Ping{N: 3}},
		`{"dance":{}}`: {},
		`{"saw":{"conversation":"c","exchange":1,"arrived":{"state":"absent","mood":1},"replied":{"state":"absent"}}}`: {
			Saw: &Saw{Conversation: "c", Exchange: 1, Arrived: NotSeen(), Replied: NotSeen()}},
	} {
		got, err := ReadMessage(bytes.NewReader(frame([]byte(in))))
		if err != nil {
			t.Errorf("%s: %v", in, err)
		} else if d := cmp.Diff(want, got, compares...); d != "" {
			t.Errorf("%s: %s", in, d)
		}
	}
}

func TestMessageOmitsZeroAddresses(t *testing.T) {
	m := Message{Session: &Session{ID: 1}}
	b := framed(t, m)
	want := `{"session":{"id":1,"key":"","client":"","server":"","control":0,"carriers":null,"packets":0,"bytes":0}}`
	if string(b[4:]) != want {
		t.Errorf("got %s, want %s", b[4:], want)
	}
	got, err := ReadMessage(bytes.NewReader(b))
	if err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff(m, got, append(compares, cmpopts.EquateEmpty())...); d != "" {
		t.Error(d)
	}
}

func TestReadMessageEveryPrefixIsAnError(t *testing.T) {
	for _, m := range transcriptV1() {
		b := framed(t, m)
		for n := range b {
			_, err := ReadMessage(bytes.NewReader(b[:n]))
			if clean := errors.Is(err, io.EOF); err == nil || clean != (n == 0) {
				t.Fatalf("of %d octets: got %v", n, err)
			}
		}
	}
}

func TestReadMessageErrors(t *testing.T) {
	for name, body := range map[string]string{
		"empty": "", "blank": " ", "not-json": "hello", "list": "[]", "number": "7", "two": "{}{}",
		"wrong-type": `{"ping":{"n":"1"}}`, "negative": `{"ping":{"n":-1}}`, "large": `{"ping":{"n":4294967296}}`,
		"bad-hex": `{"open":{"access":"0g"}}`, "bad-address": `{"session":{"client":"192.0.2.1"}}`,
		"deep": strings.Repeat(`{"a":`, 12000),
	} {
		if m, err := ReadMessage(bytes.NewReader(frame([]byte(body)))); err == nil {
			t.Errorf("%s: got %v, want an error", name, m)
		}
	}
}

// untouched fails the test if what follows the length is read.
type untouched struct{ t *testing.T }

func (u untouched) Read([]byte) (int, error) {
	u.t.Error("the body of an oversize message is read")
	return 0, io.EOF
}

// allocated returns the octets of memory that a call of f takes.
func allocated(f func()) uint64 {
	const calls = 100
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	for range calls {
		f()
	}
	runtime.ReadMemStats(&after)
	return (after.TotalAlloc - before.TotalAlloc) / calls
}

func TestOversizeMessages(t *testing.T) {
	for _, n := range []uint32{MaxMessage + 1, 1 << 31, 1<<32 - 1} {
		head := binary.BigEndian.AppendUint32(nil, n)
		if _, err := ReadMessage(io.MultiReader(bytes.NewReader(head), untouched{t})); err == nil {
			t.Errorf("%d octets: got no error", n)
		}
		if got := allocated(func() { _, _ = ReadMessage(bytes.NewReader(head)) }); got > 1<<10 {
			t.Errorf("%d octets: refusing it took %d octets of memory", n, got)
		}
	}
	var w bytes.Buffer
	if err := WriteMessage(&w, Message{Bye: &Bye{Why: strings.Repeat("a", MaxMessage)}}); err == nil || w.Len() != 0 {
		t.Errorf("wrote %d octets, %v, want an error and nothing written", w.Len(), err)
	}
}

func TestLargestMessage(t *testing.T) {
	room := MaxMessage - len(`{"bye":{"why":""}}`)
	m := Message{Bye: &Bye{Why: strings.Repeat("a", room)}}
	if got, err := ReadMessage(bytes.NewReader(framed(t, m))); err != nil || got.Bye.Why != m.Bye.Why {
		t.Errorf("got %v, want the message", err)
	}
}

func TestWriteMessageError(t *testing.T) {
	r, w := io.Pipe()
	r.Close()
	if err := WriteMessage(w, Message{}); !errors.Is(err, io.ErrClosedPipe) {
		t.Errorf("got %v, want %v", err, io.ErrClosedPipe)
	}
}

func FuzzReadMessage(f *testing.F) {
	for _, m := range transcriptV1() {
		f.Add(framed(f, m))
	}
	f.Add(frame([]byte(`{"saw":{"arrived":{"ttl":null,"at":"0000-01-01T00:00:00Z"}}}`)))
	f.Fuzz(func(t *testing.T, b []byte) {
		m, err := ReadMessage(bytes.NewReader(b))
		if err != nil {
			return
		}
		var out bytes.Buffer
		if err := WriteMessage(&out, m); err != nil {
			return // what was read may grow when it is written: control characters, invalid UTF-8
		}
		again, err := ReadMessage(&out)
		if err != nil {
			t.Fatalf("%q was read, but what it wrote was not: %v", b, err)
		}
		one, _ := json.Marshal(m)
		if two, _ := json.Marshal(again); !bytes.Equal(one, two) {
			t.Fatalf("got %s, want %s", two, one)
		}
	})
}
