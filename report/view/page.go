package view

import (
	"fmt"
	"io"
	"strings"
	"unicode"

	"github.com/fatih/color"

	"vpncheck/report"
)

const (
	defaultWidth = 80
	minWidth     = 40
	// A paragraph longer than this comes from no report of ours.
	maxParagraph = 1500
)

// A page lays out paragraphs. All that it prints has been cleaned; lines are filled first and coloured after, so that no line breaks inside
// an escape.
type page struct {
	w     io.Writer
	width int
	color bool
	err   error           // the first
	lines int             // written so far
	words map[string]bool // those of the glossary that were used
	// explained are the protocols whose reason and advice stand on the page in full.
	explained []report.Protocol
	// remarked are the remarks that stand on the page, by the protocol that has them first.
	remarked map[string]string
	// blamed are the culprits that stand on the page, with the kind of evidence, by the protocol that was told first.
	blamed map[string]string
}

func newPage(w io.Writer, o Options) *page {
	width := o.Width
	if width <= 0 {
		width = defaultWidth
	}
	return &page{w: w, width: max(width, minWidth), color: o.Color, words: make(map[string]bool), remarked: make(map[string]string), blamed: make(map[string]string)}
}

// blank leaves a line free.
func (p *page) blank() { p.write("\n") }

func (p *page) write(s string) {
	p.lines += strings.Count(s, "\n")
	if p.err == nil {
		_, p.err = io.WriteString(p.w, s)
	}
}

// para prints label and text as one paragraph, `indent` from the edge, further lines `hang` further in. The label, which may be the whole
// of it, is painted.
func (p *page) para(indent, hang int, label, text string, paint ...color.Attribute) {
	limit := 200
	if text == "" {
		limit = maxParagraph
	}
	label, text = report.Clean(label, limit), report.Clean(text, maxParagraph)
	whole := strings.TrimSpace(label + " " + text)
	p.uses(whole)
	left := len(strings.Join(strings.Fields(label), " ")) // octets of the label that are still to be painted
	for i, line := range wrap(whole, p.width-indent, p.width-indent-hang) {
		n := min(left, len(line))
		left = max(0, left-n-1)
		pad := indent
		if i > 0 {
			pad += hang
		}
		p.write(strings.Repeat(" ", pad) + p.paint(line[:n], paint) + line[n:] + "\n")
	}
}

// row prints a label and, at a column of its own, a text.
func (p *page) row(indent, column int, label, text string) {
	for _, line := range wrap(report.Clean(text, maxParagraph), p.width-indent-column, p.width-indent-column) {
		p.write(strings.Repeat(" ", indent) + fmt.Sprintf("%-*s", column, label) + line + "\n")
		label = ""
	}
}

// cells print a title and, at a column of its own, a text whose first word, up to a comma or a colon, is painted.
func (p *page) cells(indent, column int, label, text string, paint ...color.Attribute) {
	label, text = cutTo(report.Clean(label, 200), column-1), report.Clean(text, maxParagraph)
	p.uses(label + " " + text)
	for i, line := range wrap(text, p.width-indent-column, p.width-indent-column) {
		n := 0
		if i == 0 {
			if n = strings.IndexAny(line, ",:"); n < 0 {
				n = len(line)
			}
		}
		p.write(strings.Repeat(" ", indent) + label + strings.Repeat(" ", column-columns(label)) + p.paint(line[:n], paint) + line[n:] + "\n")
		label = ""
	}
}

// cutTo leaves of a text what fits into so many columns.
func cutTo(s string, room int) string {
	if columns(s) <= room {
		return s
	}
	return s[:cut(s, room)]
}

func (p *page) paint(s string, attrs []color.Attribute) string {
	if !p.color || s == "" || len(attrs) == 0 {
		return s
	}
	c := color.New(attrs...)
	c.EnableColor()
	return c.Sprint(s)
}

// wrap breaks text into lines of at most `first` columns, then `rest`. A word that is longer than a line is cut.
func wrap(text string, first, rest int) []string {
	var lines []string
	line, used, room := "", 0, first
	flush := func() {
		lines = append(lines, line)
		line, used, room = "", 0, rest
	}
	for _, word := range strings.Fields(text) {
		n := columns(word)
		if used > 0 && used+1+n > room {
			flush()
		}
		for n > room {
			head := cut(word, room)
			line, used = word[:head], room
			flush()
			word = word[head:]
			n = columns(word)
		}
		if used > 0 {
			line, used = line+" ", used+1
		}
		line, used = line+word, used+n
	}
	if used > 0 || len(lines) == 0 {
		flush()
	}
	return lines
}

// cut is how many octets of a word fill at most room columns; it takes at least one character.
func cut(word string, room int) int {
	used := 0
	for i, c := range word {
		used += columnsOf(c)
		if used > room && i > 0 {
			return i
		}
	}
	return len(word)
}

func columns(s string) (n int) {
	for _, c := range s {
		n += columnsOf(c)
	}
	return n
}

// columnsOf counts two for the scripts whose letters are that wide, rather one too many than one too few.
func columnsOf(c rune) int {
	if c >= 0x1100 && !unicode.In(c, unicode.Thai, unicode.Georgian, unicode.Ethiopic, unicode.Cherokee) && c < 0x1e00 || c >= 0x2000 {
		return 2
	}
	return 1
}
