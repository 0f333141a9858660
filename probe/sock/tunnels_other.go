//go:build !linux

package sock

func ipsec() (states, policies int) { return 0, 0 }

func tunnels() []string { return nil }
