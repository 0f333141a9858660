//go:build !linux

package sock

func tunnels() []string { return nil }
