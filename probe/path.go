package probe

// Path is all that a probe may touch: the addresses, the conversation with the server, the clock. A probe opens no socket of its own.
type Path struct{}
