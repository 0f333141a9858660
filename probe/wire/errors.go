package wire

import (
	"errors"
	"fmt"
)

// ErrShort says that octets are missing: a packet was cut, or more of a stream has to be read first. Every parser wraps it
// with what it needed.
var ErrShort = errors.New("too short")

// ErrFormat says that the octets are there and are not what the parser reads: a wrong magic, a length that contradicts
// another, a checksum that does not match. More octets would not help.
var ErrFormat = errors.New("wrong format")

// need returns nil if b has at least n octets, else ErrShort with what was to be read.
func need(b []byte, n int, what string) error {
	if len(b) >= n {
		return nil
	}
	return fmt.Errorf("%s needs %d octets, has %d: %w", what, n, len(b), ErrShort)
}

// bad returns ErrFormat with what is wrong.
func bad(format string, args ...any) error {
	return fmt.Errorf("%s: %w", fmt.Sprintf(format, args...), ErrFormat)
}

// cut returns the first n octets of b, or all of a shorter b.
func cut(b []byte, n int) []byte {
	if len(b) > n {
		return b[:n]
	}
	return b
}

// some returns b, or nil if it is empty, so that what was parsed compares equal to what was appended.
func some(b []byte) []byte {
	if len(b) == 0 {
		return nil
	}
	return b
}
