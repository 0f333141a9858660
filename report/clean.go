package report

import (
	"fmt"
	"strings"
	"unicode"
	"unicode/utf8"
)

// Clean makes text from a network or a file fit to be shown to a person: one line of at most limit characters, in which nothing can
// command a terminal, reverse the direction of writing or hide. What does not print is written as an escape.
func Clean(s string, limit int) string {
	var b strings.Builder
	n := 0
	for i, c := range s {
		piece := cleanRune(s[i:], c)
		if n += utf8.RuneCountInString(piece); n > limit {
			b.WriteString("...")
			break
		}
		b.WriteString(piece)
	}
	return b.String()
}

func cleanRune(s string, c rune) string {
	switch {
	case c == utf8.RuneError && !strings.HasPrefix(s, "\ufffd"):
		return fmt.Sprintf(`\x%02x`, s[0])
	case c == '\n' || c == '\t' || c == '\r':
		return " "
	case c < 0x20 || c == 0x7f:
		return fmt.Sprintf(`\x%02x`, c)
	case !unicode.IsPrint(c) || unicode.Is(unicode.M, c): // marks stack up over their neighbours
		return fmt.Sprintf(`\u{%x}`, c)
	}
	return string(c)
}

// capital makes the first letter a capital one.
func capital(s string) string {
	c, n := utf8.DecodeRuneInString(s)
	return string(unicode.ToUpper(c)) + s[n:]
}

// list joins names as a person would: "PPTP, GRE and ESP".
func list(names []string) string {
	switch len(names) {
	case 0:
		return ""
	case 1:
		return names[0]
	}
	return strings.Join(names[:len(names)-1], ", ") + " and " + names[len(names)-1]
}
