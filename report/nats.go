package report

// natText says what translates addresses on the way, from the args of EvNATs.
func natText(a args) string {
	switch a.text("kind", 20) {
	case kindNone:
		return "Nothing translates addresses (no NAT) between this laptop and the server."
	case kindOne:
		return "There is one NAT: your router's."
	case kindDouble:
		return "There are two NATs: your router's and a second one."
	case kindCGNAT:
		return "There are two NATs: your router's and one of your internet provider's, which shares one public address among customers (CGNAT)."
	}
	return "How many NATs there are is not known."
}

// Kinds of NATs.Kind.
const (
	kindNone    = "none"
	kindOne     = "one"
	kindDouble  = "double"
	kindCGNAT   = "cgnat"
	kindUnknown = "unknown"
)
