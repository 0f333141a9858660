//go:build !linux

package sock

// Holder is known on Linux only.
func Holder(proto string, port uint16) (string, bool) { return "", false }
