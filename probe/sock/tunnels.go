package sock

// Tunnels says what on this machine looks like a VPN at work, in words: IPsec state in the kernel, tunnel interfaces, VPN daemons. A server
// that tests VPNs must not share an address with a real one, and a kernel that has a use for a packet of its own may keep it (F26). It
// finds nothing where the system does not tell.
func Tunnels() []string { return tunnels() }

// IPsec counts the security associations and the policies that this machine's kernel has; none where the system does not tell.
func IPsec() (states, policies int) { return ipsec() }
