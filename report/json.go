package report

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf16"
)

// MaxSize is how long a report may be that Read takes.
const MaxSize = 32 << 20

// Errors of Read.
var (
	ErrNotJSON   = errors.New("this is not JSON")
	ErrNotReport = errors.New("this is JSON, but not a report of vpncheck")
	ErrNewer     = errors.New("this report was made by a newer version of vpncheck")
	ErrTooLarge  = errors.New("this is larger than any report")
	ErrLocal     = errors.New("this file describes one computer only: it was made without a connection string; there is no report to show")
)

// Read reads a report. Fields that this version does not know are ignored.
func Read(r io.Reader) (Report, error) {
	b, err := io.ReadAll(io.LimitReader(r, MaxSize+1))
	if err != nil {
		return Report{}, fmt.Errorf("reading a report: %w", err)
	}
	if len(b) > MaxSize {
		return Report{}, fmt.Errorf("reading a report: %w (%d MiB at most)", ErrTooLarge, MaxSize>>20)
	}
	b = bytes.TrimPrefix(b, []byte("\ufeff")) // editors and mail programs add it
	if !json.Valid(b) {
		return Report{}, fmt.Errorf("reading a report: %w", ErrNotJSON)
	}
	var head struct {
		Schema string `json:"schema"`
	}
	if err := json.Unmarshal(b, &head); err != nil {
		return Report{}, fmt.Errorf("reading a report: %w", ErrNotReport)
	}
	if err := readable(head.Schema); err != nil {
		return Report{}, fmt.Errorf("reading a report: %w", err)
	}
	var out Report
	if err := json.Unmarshal(b, &out); err != nil {
		return Report{}, fmt.Errorf("reading a report: %w: %w", ErrNotReport, err)
	}
	if out.VPNs == nil { // an older one
		out.weighVPNs()
	}
	return out, nil
}

// readable says whether this version understands a schema: "vpncheck-report/1", or 1 with a minor number.
func readable(schema string) error {
	name, version, _ := strings.Cut(schema, "/")
	ours, want, _ := strings.Cut(Schema, "/")
	if name == "vpncheck-local" {
		return ErrLocal
	}
	if name != ours {
		return ErrNotReport
	}
	major, _, _ := strings.Cut(version, ".")
	n, err := strconv.Atoi(major)
	if err != nil || n < 1 {
		return fmt.Errorf("%w: schema %q", ErrNotReport, Clean(schema, 40))
	}
	if newest, _ := strconv.Atoi(want); n > newest {
		return fmt.Errorf("%w (its schema is %d, this version reads %d)", ErrNewer, n, newest)
	}
	return nil
}

// WriteJSON writes the report, indented. The file is safe to show on a terminal: characters that do not print are written as \u
// escapes.
func (r Report) WriteJSON(w io.Writer) error {
	var buf bytes.Buffer
	enc := json.NewEncoder(&buf)
	enc.SetEscapeHTML(false)
	enc.SetIndent("", "  ")
	if err := enc.Encode(r); err != nil {
		return fmt.Errorf("writing a report: %w", err)
	}
	if _, err := w.Write(Printable(buf.Bytes())); err != nil {
		return fmt.Errorf("writing a report: %w", err)
	}
	return nil
}

// Printable escapes what does not print in valid JSON, where it can stand only inside strings.
func Printable(text []byte) []byte {
	out := make([]byte, 0, len(text))
	for _, c := range string(text) {
		switch {
		case c == '\n' || unicode.IsPrint(c):
			out = append(out, string(c)...)
		case c > 0xffff:
			a, b := utf16.EncodeRune(c)
			out = fmt.Appendf(out, `\u%04x\u%04x`, a, b)
		default:
			out = fmt.Appendf(out, `\u%04x`, c)
		}
	}
	return out
}
