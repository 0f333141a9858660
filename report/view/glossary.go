package view

import "strings"

// glossary has the words that people need not know, in the order of their importance.
var glossary = []struct{ word, called, means string }{
	{"IKE", "IKE", "IPsec's key exchange"},
	{"NAT-T", "NAT-T", "IPsec inside UDP port 4500, for networks with NAT"},
	{"ESP", "ESP", "what carries IPsec's data"},
	{"AH", "AH", "IPsec's signature alone"},
	{"NAT", "a NAT", "a device that lets several others share one address, as home routers do"},
	{"SPI", "the SPI", "the number that marks an IPsec connection"},
	{"hop", "a hop", "one router on the way"},
}

// uses notes which words of the glossary a text has.
func (p *page) uses(text string) {
	for _, g := range glossary {
		for i := 0; !p.words[g.word]; {
			n := strings.Index(text[i:], g.word)
			if n < 0 {
				break
			}
			i += n + len(g.word)
			before := i-len(g.word) == 0 || !letter(text[i-len(g.word)-1])
			after := i == len(text) || !letter(text[i]) || g.word == "hop" && text[i] == 's'
			p.words[g.word] = before && after
		}
	}
}

func letter(c byte) bool {
	return c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9' || c >= 0x80
}

// glossary explains the words that were used.
func (p *page) glossary() {
	var texts []string
	for _, g := range glossary {
		if p.words[g.word] {
			texts = append(texts, g.called+" is "+g.means)
		}
	}
	if len(texts) == 0 {
		return
	}
	p.blank()
	p.para(0, 2, "Words:", strings.Join(texts, "; ")+".")
}
